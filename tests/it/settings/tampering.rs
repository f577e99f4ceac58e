//! Somebody alters the database while no server runs: the audit says where.

use std::path::PathBuf;

use rusqlite::{Connection, params};
use sha2::{Digest as _, Sha256};
use switchboard::{
    id::SessionId,
    proto::{AuditEntry, UpdateMode, VerifyAuditRequest},
};

use super::shared::{
    application, apply, delete_session, entries, many, one, pending, removal, remove, set,
    to_default, update, verify,
};
use crate::{
    harness::{Clients, Server},
    ledger,
};

/// A server that is down, with entries of two sessions and of the default.
///
/// ```text
///  1 a   2 default   3 b   4 a   5 default   6 b   7 a, controls   8 deleted   9 a
/// ```
struct Place {
    server: Server,
    clients: Clients,
    a: Vec<u8>,
    /// The last entry, as somebody kept it.
    known: AuditEntry,
    /// The database as it was.
    original: Vec<u8>,
}

impl Place {
    async fn prepare() -> Self {
        let mut server = ledger::setup().start();
        let clients = server.connect_to_socket().await;
        let ids = [pending(&clients, &server).await, pending(&clients, &server).await];
        let gone = pending(&clients, &server).await;
        set(&clients, &ids[0], "k", "1").await.unwrap();
        update(&clients, to_default(one(&ids[0], "d", "1"))).await.unwrap();
        set(&clients, &ids[1], "k", "1").await.unwrap();
        update(&clients, many(&ids[0], r#"{"k":2,"l":[]}"#, UpdateMode::Merge)).await.unwrap();
        update(&clients, to_default(one("", "d", "2"))).await.unwrap();
        set(&clients, &ids[1], "k", "2").await.unwrap();
        apply(&clients, application(&ids[0], "m")).await.unwrap();
        set(&clients, &gone, "k", "1").await.unwrap();
        remove(&clients, removal(&ids[0], "l")).await.unwrap();
        delete_session(&clients, &gone).await;
        assert_eq!(verify(&clients).await.first_break, None);
        let known = entries(&clients).await.pop().unwrap();
        // An orderly stop leaves everything in the one file.
        assert_eq!(server.stop().code(), Some(0));
        let a: SessionId = ids[0].parse().unwrap();
        let path = server.home().join("state.db");
        let connection = Connection::open(&path).unwrap();
        connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
        drop(connection);
        let original = std::fs::read(&path).unwrap();
        Self { server, clients, a: a.as_bytes().to_vec(), known, original }
    }

    fn path(&self) -> PathBuf {
        self.server.home().join("state.db")
    }

    /// Where the audit breaks after `alter`, and what whoever kept the last entry
    /// is told; the database is as before then.
    async fn broken_by(&mut self, alter: impl FnOnce(&Connection)) -> (Option<u64>, Option<u64>) {
        let connection = Connection::open(self.path()).unwrap();
        alter(&connection);
        connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
        drop(connection);
        self.server.start();
        let found = verify(&self.clients).await;
        let request =
            VerifyAuditRequest { known_seq: self.known.seq, known_hash: self.known.hash.clone() };
        let known = self.clients.audit.clone().verify_audit(request).await.unwrap().into_inner();
        assert_eq!(found.valid, found.first_break.is_none());
        if let Some(found) = &found.first_break {
            eprintln!("entry {}: {}", found.seq, found.problem);
        }
        self.server.kill();
        for name in ["state.db-wal", "state.db-shm"] {
            let _ = std::fs::remove_file(self.server.home().join(name));
        }
        std::fs::write(self.path(), &self.original).unwrap();
        let seq = |found: Option<switchboard::proto::AuditBreak>| found.map(|found| found.seq);
        (seq(found.first_break), seq(known.first_break))
    }

    /// Checks that one change of the database is found at entry `seq`.
    async fn check(&mut self, seq: u64, sql: &str) {
        let found = self.broken_by(|db| assert_ne!(db.execute(sql, []).unwrap(), 0, "{sql}"));
        assert_eq!(found.await, (Some(seq), Some(seq)), "{sql}");
    }
}

fn entry(db: &Connection, seq: u64) -> AuditEntry {
    let body: Vec<u8> = db
        .query_row("SELECT entry FROM audit WHERE seq = ?1", [seq.cast_signed()], |row| row.get(0))
        .unwrap();
    prost::Message::decode(body.as_slice()).unwrap()
}

fn write(db: &Connection, seq: u64, entry: &AuditEntry) {
    let body = prost::Message::encode_to_vec(entry);
    let sql = "UPDATE audit SET entry = ?2 WHERE seq = ?1";
    assert_eq!(db.execute(sql, params![seq.cast_signed(), body]).unwrap(), 1);
}

/// Makes all hashes again, as one does who knows how they are made.
fn chain_again(db: &Connection) {
    let mut statement = db.prepare("SELECT seq, entry FROM audit ORDER BY seq").unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    let rows: Vec<(i64, Vec<u8>)> = rows.map(Result::unwrap).collect();
    let mut hash = [0; 32];
    for (seq, body) in rows {
        hash = Sha256::new().chain_update(hash).chain_update(body).finalize().into();
        db.execute("UPDATE audit SET hash = ?2 WHERE seq = ?1", params![seq, hash]).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_altered_entry_is_named() {
    let mut place = Place::prepare().await;
    let untouched = place.broken_by(|_| {}).await;
    assert_eq!(untouched, (None, None));
    let alterations: [fn(&mut AuditEntry); 7] = [
        |entry| entry.actor = "eve".to_owned(),
        |entry| entry.settings[0].value_json = Some("9".to_owned()),
        |entry| entry.settings[0].previous_json = None,
        |entry| entry.settings.clear(),
        |entry| entry.time.as_mut().unwrap().nanos += 1_000,
        |entry| entry.session_id = String::new(),
        |entry| entry.state_hash = String::new(),
    ];
    for alter in alterations {
        let found = place.broken_by(|db| {
            let mut altered = entry(db, 4);
            alter(&mut altered);
            write(db, 4, &altered);
        });
        assert_eq!(found.await, (Some(4), Some(4)));
    }
    place.check(4, "UPDATE audit SET hash = zeroblob(32) WHERE seq = 4").await;
    place.check(9, "UPDATE audit SET hash = x'00' WHERE seq = 9").await;
    place.check(1, "UPDATE audit SET entry = x'ff' WHERE seq = 1").await;
    place.check(5, "UPDATE audit SET scope = randomblob(16) WHERE seq = 5").await;
    // By these it is found, and not found where they are others.
    place.check(4, "UPDATE audit SET session = NULL WHERE seq = 4").await;
    place.check(5, "UPDATE audit SET session = randomblob(16) WHERE seq = 5").await;
    place.check(4, "UPDATE audit SET time = time + 1 WHERE seq = 4").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_that_were_removed_added_or_moved_are_named() {
    let mut place = Place::prepare().await;
    place.check(1, "DELETE FROM audit").await;
    place.check(1, "DELETE FROM audit WHERE seq = 1").await;
    place.check(4, "DELETE FROM audit WHERE seq = 4").await;
    place.check(9, "DELETE FROM audit WHERE seq = 9").await;
    place.check(7, "DELETE FROM audit WHERE seq >= 7").await;
    let columns = "time, scope, session, hash, entry, snapshot";
    let copy = |seq: i64| {
        format!(
            "INSERT INTO audit (seq, {columns}) SELECT {seq}, {columns} FROM audit WHERE seq = 9"
        )
    };
    place.check(10, &copy(10)).await;
    place.check(10, &copy(12)).await;
    place.check(1, &copy(0)).await;
    let found = place.broken_by(|db| {
        db.execute_batch(
            "UPDATE audit SET seq = -4 WHERE seq = 4; UPDATE audit SET seq = 4 WHERE seq = 6;
             UPDATE audit SET seq = 6 WHERE seq = -4",
        )
        .unwrap();
    });
    assert_eq!(found.await, (Some(4), Some(4)));
    // Also by one who makes all hashes again.
    let found = place.broken_by(|db| {
        db.execute_batch(
            "DELETE FROM audit WHERE seq = 4; UPDATE audit SET seq = seq - 1 WHERE seq > 4",
        )
        .unwrap();
        chain_again(db);
    });
    assert_eq!(found.await, (Some(4), Some(4)));
    // Of a session that is not there any more, nothing but the known hash tells.
    let found = place.broken_by(|db| {
        db.execute_batch("DELETE FROM audit WHERE seq = 8").unwrap();
        let mut last = entry(db, 9);
        last.seq = 8;
        write(db, 9, &last);
        db.execute_batch(
            "UPDATE audit SET seq = 8 WHERE seq = 9;
             UPDATE controls SET audit_seq = 8 WHERE audit_seq = 9",
        )
        .unwrap();
        chain_again(db);
    });
    assert_eq!(found.await, (None, Some(9)));
}

#[tokio::test(flavor = "multi_thread")]
async fn values_that_are_not_those_of_the_last_entries_are_named() {
    let mut place = Place::prepare().await;
    let a = place.a.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    for (seq, scope) in [(9, format!("x'{a}'")), (5, "x''".to_owned())] {
        for column in [
            "model = 'other'",
            "approval_policy = 1",
            "network = 1",
            "sandbox = 1",
            "settings = '{\"k\":3}'",
            "settings = 'x'",
            "audit_seq = audit_seq - 1",
            "audit_seq = 0",
            "scope = randomblob(16)",
        ] {
            place.check(seq, &format!("UPDATE controls SET {column} WHERE scope = {scope}")).await;
        }
        place.check(seq, &format!("DELETE FROM controls WHERE scope = {scope}")).await;
    }
    // One that nobody wrote says that it was.
    place
        .check(
            10,
            "INSERT INTO controls SELECT randomblob(16), model, 1, 1, 1, 1, 12, 0, settings \
             FROM controls LIMIT 1",
        )
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn states_that_are_kept_beside_entries_are_verified_too() {
    let mut place = Place::prepare().await;
    // A state of the default, which has other settings.
    let another = "(SELECT snapshot FROM audit WHERE seq = 2)";
    place.check(1, &format!("UPDATE audit SET snapshot = {another} WHERE seq = 1")).await;
    place.check(1, "UPDATE audit SET snapshot = NULL WHERE seq = 1").await;
    place.check(1, "UPDATE audit SET snapshot = x'ff' WHERE seq = 1").await;
    place.check(9, &format!("UPDATE audit SET snapshot = {another} WHERE seq = 9")).await;
    // A value that leads elsewhere, with all hashes made again.
    let found = place.broken_by(|db| {
        let mut altered = entry(db, 4);
        altered.settings[0].value_json = Some("9".to_owned());
        write(db, 4, &altered);
        chain_again(db);
    });
    assert_eq!(found.await, (Some(4), Some(4)));
    // Who wrote is in no state: there the known hash tells.
    let found = place.broken_by(|db| {
        let mut altered = entry(db, 4);
        altered.actor = "eve".to_owned();
        write(db, 4, &altered);
        chain_again(db);
    });
    assert_eq!(found.await, (None, Some(9)));
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_that_cannot_be_read_hide_no_others_and_writes_stop_at_a_damaged_end() {
    let mut place = Place::prepare().await;
    let before = place.known.seq;
    let connection = Connection::open(place.path()).unwrap();
    connection
        .execute_batch(
            "UPDATE audit SET entry = x'ff' WHERE seq = 4;
             UPDATE audit SET hash = x'00' WHERE seq = 9",
        )
        .unwrap();
    drop(connection);
    place.server.start();
    let found = entries(&place.clients).await;
    assert_eq!(found.len() as u64, before);
    for (seq, entry) in (1..).zip(&found) {
        let bare = AuditEntry { seq, ..AuditEntry::default() };
        assert_eq!(*entry == bare, seq == 4 || seq == 9, "{entry:?}");
    }
    let id = SessionId::from_bytes(place.a.clone().try_into().unwrap()).to_string();
    let refused = set(&place.clients, &id, "k", "5").await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::Internal);
    // What changes nothing needs no entry.
    set(&place.clients, &id, "k", "2").await.unwrap();
}
