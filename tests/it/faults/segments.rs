//! Damage in a part of a log that no start looks at: it is met when events are
//! read, made again from the agents' output, or else said, and never a reason
//! for a session to hang.

use std::{
    fs::{self, File},
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use pbjson_types::FieldMask;
use rusqlite::Connection;
use switchboard::{
    id::SessionId,
    proto::{
        DeleteSessionRequest, Event, KillSessionRequest, Session, SessionState, StateReason,
        TimeSource, UpdateSessionRequest, event::Kind,
    },
};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::{
    harness::{Clients, Server},
    ledger::{
        self, Watcher, check, create, events, events_after, message, reason, rest,
        session_directory, start_turn,
    },
};

/// Enough for three segments.
pub(super) const LONG: &str = "print:18:1000000";

/// What the server says once of a log that it cannot mend.
pub(super) const READ_ONLY: &str = "the session is read-only";

/// Flips a bit of the byte at `at`.
pub(super) fn flip(path: &Path, at: u64) {
    let file = File::options().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 1], at).unwrap();
}

/// Where the first of these bytes stands in a file.
pub(super) fn find(path: &Path, bytes: &[u8]) -> u64 {
    let content = fs::read(path).unwrap();
    let mut starts = (0..content.len()).filter(|at| content[*at] == bytes[0]);
    starts.find(|at| content[*at..].starts_with(bytes)).expect("it is there") as u64
}

/// The segments of a session's log, in order.
pub(super) fn segments(server: &Server, id: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(session_directory(server, id).join("events")).unwrap();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "seg"));
    paths.sort();
    paths
}

/// Damages what the server itself said of a turn's beginning, which nobody can
/// make again; says its seq.
pub(super) fn damage_spawned(server: &Server, id: &str, events: &[Event]) -> u64 {
    let segment = segments(server, id).remove(0);
    let spawned = events.iter().find_map(|event| match &event.kind {
        Some(Kind::TurnSpawned(spawned)) => Some((event.seq, spawned.prompt.clone())),
        _ => None,
    });
    let (seq, prompt) = spawned.unwrap();
    flip(&segment, find(&segment, prompt.as_bytes()));
    seq
}

/// How often the server's log says something.
pub(super) fn said(server: &Server, what: &str) -> usize {
    server.log().matches(what).count()
}

/// The seqs that an error names: the first that cannot be read, and the next
/// that can.
pub(super) fn hole(status: &Status) -> (u64, Option<u64>) {
    assert_eq!(reason(status), "EVENTS_DAMAGED", "{status:?}");
    assert_eq!(status.code(), Code::DataLoss);
    let metadata = status.get_details_error_info().unwrap().metadata;
    (metadata["seq"].parse().unwrap(), metadata.get("next_seq").map(|seq| seq.parse().unwrap()))
}

/// Deletes a session and waits until its files are gone.
pub(super) async fn delete(server: &Server, clients: &Clients, id: &str) {
    let request = DeleteSessionRequest { session_id: id.to_owned(), ..Default::default() };
    clients.sessions.clone().delete_session(request).await.unwrap();
    let begin = Instant::now();
    while session_directory(server, id).exists() {
        assert!(begin.elapsed() < ledger::GIVE_UP, "the files of {id} stay");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A session at rest with several segments, of a server that is down.
async fn at_rest(script: &str) -> (Server, Clients, String, Vec<Event>) {
    let mut server = ledger::setup().start();
    let clients = server.connect_to_socket().await;
    let id = create(&clients, &server.work(), script).await.unwrap().session_id;
    rest(&clients, &id).await;
    let before = events(&clients, &id).await;
    server.kill();
    assert!(segments(&server, &id).len() > 2);
    (server, clients, id, before)
}

async fn again(clients: &Clients, id: &str) -> Result<Session, Status> {
    start_turn(clients, id, "thread,turn,message:again,completed").await
}

/// Sets what the database knows to be applied of a log back to its beginning,
/// and the turn to running: as a server leaves it that died early.
fn forget(server: &Server, id: &str) {
    let database = Connection::open(server.home().join("state.db")).unwrap();
    let id = id.parse::<SessionId>().unwrap();
    let running = SessionState::Running as i32;
    let changed = database.execute(
        "UPDATE sessions SET applied_seq = 1, state = ?1 WHERE id = ?2",
        (running, id.as_bytes()),
    );
    assert_eq!(changed.unwrap(), 1);
    let changed = database.execute(
        "UPDATE turns SET state = ?1, verdict = NULL, exit_code = NULL, end_time = NULL WHERE session = ?2",
        (running, id.as_bytes()),
    );
    assert_eq!(changed.unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_of_an_earlier_segment_is_made_again_when_it_is_read() {
    let (mut server, clients, id, before) =
        at_rest(&format!("thread,turn,message:the one,{LONG},completed")).await;
    let segment = segments(&server, &id).remove(0);
    flip(&segment, find(&segment, br#""text":"the one""#));
    server.start();

    let after = events(&clients, &id).await;

    let at = before.iter().position(|event| message(event) == Some("the one")).unwrap();
    let mut expected = before.clone();
    expected[at].time = expected[at - 1].time;
    expected[at].set_time_source(TimeSource::Rebuilt);
    assert!(after == expected);
    assert_eq!(said(&server, "rebuilt a damaged segment"), 1);
    again(&clients, &id).await.unwrap();
    let session = rest(&clients, &id).await;
    check(&server, &session, &events(&clients, &id).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_made_again_in_an_earlier_segment_is_said_and_stays_said() {
    let (mut server, clients, id, before) = at_rest(&format!("thread,turn,{LONG},completed")).await;
    let seq = damage_spawned(&server, &id, &before);
    let at = usize::try_from(seq).unwrap();
    server.start();

    for _ in 0..2 {
        // What is before the hole, and then the hole.
        let failed = events_after(&clients, &id, 0).await.unwrap_err();
        assert_eq!(hole(&failed), (seq, Some(seq + 1)));
        assert!(events_after(&clients, &id, seq).await.unwrap() == before[at..]);
        assert_eq!(reason(&again(&clients, &id).await.unwrap_err()), "SESSION_READ_ONLY");
        assert_eq!(said(&server, READ_ONLY), 1);
    }
    // Nobody has to meet it again for that.
    server.kill_and_start();
    assert_eq!(reason(&again(&clients, &id).await.unwrap_err()), "SESSION_READ_ONLY");
    assert_eq!(said(&server, READ_ONLY), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_judged_past_the_damage_in_its_log() {
    let (mut server, clients, id, before) = at_rest(&format!("thread,turn,{LONG},completed")).await;
    let seq = damage_spawned(&server, &id, &before);
    forget(&server, &id);
    server.start();

    let session = rest(&clients, &id).await;

    assert_eq!(session.state(), SessionState::Completed, "{session:#?}");
    assert_eq!(session.last_turn.unwrap().exit_code, Some(0));
    assert_eq!(hole(&events_after(&clients, &id, 0).await.unwrap_err()), (seq, Some(seq + 1)));
    assert_eq!(said(&server, READ_ONLY), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turn_that_runs_in_a_session_that_is_read_only_is_judged_by_its_files() {
    let mut server = ledger::setup().start();
    let clients = server.connect_to_socket().await;
    let go = server.work().join("go");
    let waits = format!("thread,turn,message:ready,wait:{},completed", go.display());
    let completes = create(&clients, &server.work(), &waits).await.unwrap().session_id;
    let failing = format!("thread,turn,message:ready,wait:{},failed:no", go.display());
    let fails = create(&clients, &server.work(), &failing).await.unwrap().session_id;
    let sleeps = "thread,turn,message:ready,sleep";
    let killed = create(&clients, &server.work(), sleeps).await.unwrap().session_id;
    let deleted = create(&clients, &server.work(), sleeps).await.unwrap().session_id;
    let ids = [&completes, &fails, &killed, &deleted];
    let mut seen = Vec::new();
    for id in ids {
        seen.push(Watcher::start(&clients, id).message("ready").await);
    }
    server.kill();
    for (id, events) in ids.iter().zip(&seen) {
        damage_spawned(&server, id, events);
    }
    server.start();

    for id in ids {
        assert_eq!(ledger::get(&clients, id).await.state(), SessionState::Running);
        assert_eq!(reason(&again(&clients, id).await.unwrap_err()), "SESSION_READ_ONLY");
    }
    fs::write(&go, "").unwrap();
    let session = rest(&clients, &completes).await;
    assert_eq!(session.state(), SessionState::Completed, "{session:#?}");
    assert_eq!(session.last_turn.unwrap().exit_code, Some(0));
    let session = rest(&clients, &fails).await;
    assert_eq!(session.state_reason(), StateReason::AgentError, "{session:#?}");
    let request = KillSessionRequest { session_id: killed.clone(), ..Default::default() };
    clients.sessions.clone().kill_session(request).await.unwrap();
    assert_eq!(rest(&clients, &killed).await.state(), SessionState::Killed);
    for id in [&deleted, &killed, &completes] {
        delete(&server, &clients, id).await;
    }
    server.assert_no_survivors();
    assert_eq!(said(&server, READ_ONLY), 4);
    // The rows do not depend on the logs.
    server.kill_and_start();
    let session = ledger::get(&clients, &fails).await;
    assert_eq!(session.state_reason(), StateReason::AgentError, "{session:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_line_takes_the_place_of_what_the_server_said_between_lines() {
    let mut server = ledger::setup().start();
    let clients = server.connect_to_socket().await;
    let go = server.work().join("go");
    let script = format!("thread,turn,message:one,wait:{},message:two,completed", go.display());
    let id = create(&clients, &server.work(), &script).await.unwrap().session_id;
    let mut watcher = Watcher::start(&clients, &id);
    watcher.message("one").await;
    let request = UpdateSessionRequest {
        session_id: id.clone(),
        session: Some(Session { title: "a title to be found".to_owned(), ..Session::default() }),
        update_mask: Some(FieldMask { paths: vec!["title".to_owned()] }),
        ..UpdateSessionRequest::default()
    };
    clients.sessions.clone().update_session(request).await.unwrap();
    fs::write(&go, "").unwrap();
    rest(&clients, &id).await;
    let before = events(&clients, &id).await;
    let updated = |event: &&Event| matches!(event.kind, Some(Kind::SessionUpdated(_)));
    let seq = before.iter().find(updated).unwrap().seq;
    assert_eq!(message(&before[usize::try_from(seq).unwrap()]), Some("two"));
    server.kill();
    let segment = segments(&server, &id).remove(0);
    flip(&segment, find(&segment, b"a title to be found"));
    server.start();

    assert_eq!(hole(&events_after(&clients, &id, 0).await.unwrap_err()), (seq, Some(seq + 1)));
    let behind = events_after(&clients, &id, seq).await.unwrap();
    assert!(behind == before[usize::try_from(seq).unwrap()..]);
}
