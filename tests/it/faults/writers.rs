//! Clients write settings and controls while the server is killed: what was
//! acknowledged is there, is audited and is told once, and so is whatever else
//! took effect.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use switchboard::proto::{AuditEntry, Scope, UpdateSettingsRequest};
use tokio::task::JoinSet;

use super::killing::kill_writers_at_each;
use crate::{
    harness::Clients,
    ledger::{self, Watcher, create, events, rest, start_turn},
    restart::{Random, setting},
    settings::{
        application, apply, changed, check_audit, get, get_default, one, pending, to_default, told,
        update,
    },
};

/// One of those who write: which session it names, and whether it writes the
/// default.
#[derive(Debug, Clone)]
struct Writer {
    name: &'static str,
    id: String,
    is_of_default: bool,
}

impl Writer {
    /// Writes until it is told to stop; returns what was acknowledged, by the seq
    /// of its entry.
    async fn run(
        self,
        clients: Clients,
        mut random: Random,
        stop: Arc<AtomicBool>,
    ) -> BTreeMap<u64, String> {
        let mut acknowledged = BTreeMap::new();
        for number in 0.. {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            let mark = format!("{}-{number}-{}", self.name, random.below(u64::MAX));
            let seq = if !self.is_of_default && random.below(8) == 0 {
                let mut request = application(&self.id, &mark);
                request.actor = self.name.to_owned();
                apply(&clients, request).await.map(|answer| answer.audit_seq)
            } else {
                let filling = "x".repeat(usize::try_from(random.below(3_000)).unwrap());
                let value = format!("[\"{mark}\",\"{filling}\"]");
                let request = UpdateSettingsRequest {
                    actor: self.name.to_owned(),
                    ..one(&self.id, &format!("k{}", random.below(5)), &value)
                };
                let request = if self.is_of_default { to_default(request) } else { request };
                update(&clients, request).await.map(|answer| answer.audit_seq)
            };
            match seq {
                Ok(seq) => {
                    acknowledged.insert(seq, mark);
                }
                // The server is down, and comes back.
                Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
        acknowledged
    }
}

/// Whether an entry is the one that was acknowledged under this mark.
fn bears(entry: &AuditEntry, mark: &str) -> bool {
    entry.controls.as_ref().is_some_and(|controls| controls.model == mark)
        || entry.settings.iter().any(|change| {
            change.value_json.as_ref().is_some_and(|value| value.contains(&format!("\"{mark}\"")))
        })
}

/// Checks that the events of a session speak of each entry that names it, once
/// and in order, and that its settings are those of the last.
async fn check_told(clients: &Clients, id: &str, entries: &[AuditEntry]) {
    let own: Vec<_> = entries.iter().filter(|entry| entry.session_id == id).cloned().collect();
    let expected: Vec<u64> = own.iter().map(|entry| entry.seq).collect();
    let count = expected.len();
    let mut watcher = Watcher::start(clients, id);
    watcher.until("all changes", |events| told(events).len() >= count).await;
    let seen: Vec<_> = events(clients, id).await.iter().filter_map(changed).cloned().collect();
    assert_eq!(seen, own, "each entry once, and as the audit has it");
}

/// The settings that these entries come to.
fn settings_of<'a>(entries: impl Iterator<Item = &'a AuditEntry>) -> String {
    let mut settings = BTreeMap::new();
    for change in entries.flat_map(|entry| &entry.settings) {
        assert_eq!(settings.get(&change.key), change.previous_json.as_ref());
        settings.insert(change.key.clone(), change.value_json.clone().unwrap());
    }
    let members: Vec<_> =
        settings.iter().map(|(key, value)| format!("\"{key}\":{value}")).collect();
    format!("{{{}}}", members.join(","))
}

/// Checks that all that is there is what the entries come to, and is told.
async fn check_all(clients: &Clients, ids: &[&str], entries: &[AuditEntry]) {
    for id in ids {
        check_told(clients, id, entries).await;
        let own = entries
            .iter()
            .filter(|entry| entry.session_id == **id && entry.scope() == Scope::Session);
        assert_eq!(get(clients, id).await, settings_of(own));
    }
    let of_default = entries.iter().filter(|entry| entry.scope() == Scope::Default);
    assert_eq!(get_default(clients).await, settings_of(of_default));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_four_writers_were_told_is_lost_however_often_the_server_is_killed() {
    let rounds = setting("SWITCHBOARD_TEST_ROUNDS").unwrap_or(20);
    let mut random = Random::from_environment();
    let mut server = ledger::setup().start();
    let clients = server.connect_to_socket().await;
    let first = create(&clients, &server.work(), "thread,turn,completed").await.unwrap();
    let (first, second) = (first.session_id, pending(&clients, &server).await);
    let writer = |name, id: &str, is_of_default| Writer { name, id: id.to_owned(), is_of_default };
    let stop = Arc::new(AtomicBool::new(false));
    let mut writers = JoinSet::new();
    for writer in [
        writer("ann", &first, false),
        writer("bob", &first, false),
        writer("cat", &second, false),
        writer("dan", &second, true),
    ] {
        let (clients, random, stop) = (clients.clone(), random.split(), Arc::clone(&stop));
        writers.spawn(writer.run(clients, random, stop));
    }
    let mut watcher = Watcher::start(&clients, &first);

    for _ in 0..rounds {
        // A turn prints meanwhile, where none runs.
        let script = "thread,turn,print:100,sleep:0.005,print:100,completed";
        let starts = start_turn(&clients, &first, script);
        let _ = tokio::time::timeout(Duration::from_millis(200), starts).await;
        tokio::time::sleep(Duration::from_millis(random.below(120))).await;
        server.kill_and_start();
    }
    stop.store(true, Ordering::Relaxed);
    let acknowledged: Vec<BTreeMap<u64, String>> = writers.join_all().await;

    let entries = check_audit(&clients).await;
    let mut count = 0;
    for (seq, mark) in acknowledged.iter().flatten() {
        let entry = &entries[usize::try_from(*seq).unwrap() - 1];
        assert!(bears(entry, mark), "{mark} was acknowledged as {seq}: {entry:?}");
        count += 1;
    }
    eprintln!("{count} of {} writes were acknowledged", entries.len());
    assert!(acknowledged.iter().all(|own| !own.is_empty()));
    check_all(&clients, &[&first, &second], &entries).await;
    let session = rest(&clients, &first).await;
    let listed = events(&clients, &first).await;
    ledger::check(&server, &session, &listed);
    let length = listed.len();
    let watched = watcher.until("all events", |events| events.len() >= length).await;
    assert_eq!(watched, listed);
    server.kill_and_start();
    assert_eq!(check_audit(&clients).await, entries);
    assert_eq!(events(&clients, &first).await, listed, "nothing is told again");
}

/// Writes one after the other, as far as the server lives; then repeats all, as a
/// client does that got no answer.
pub(super) async fn write_all(clients: &Clients, id: &str, round: u64) -> bool {
    let named = |number: u64, request: UpdateSettingsRequest| UpdateSettingsRequest {
        request_id: format!("{round}-{number}"),
        ..request
    };
    let value = format!("\"{round}\"");
    let mut application = application(id, &format!("m{round}"));
    application.request_id = format!("{round}-2");
    update(clients, named(0, one(id, "a", &value))).await.is_ok()
        && update(clients, named(1, to_default(one(id, "b", &value)))).await.is_ok()
        && apply(clients, application).await.is_ok()
}

/// Checks what a server has that was killed while [`write_all`] was at work.
pub(super) async fn look(
    clients: &Clients,
    id: &str,
    round: u64,
    is_acknowledged: bool,
    what: &str,
) {
    let before = check_audit(clients).await;
    check_all(clients, &[id], &before).await;
    let earlier = 3 * usize::try_from(round).unwrap();
    assert!((earlier..=earlier + 3).contains(&before.len()), "{what}: {}", before.len());
    assert!(!is_acknowledged || before.len() == earlier + 3, "{what}: it was acknowledged");
    assert!(write_all(clients, id, round).await, "{what}: it is repeated");
    let after = check_audit(clients).await;
    assert_eq!(after.len(), earlier + 3, "{what}: each request has one effect");
    check_all(clients, &[id], &after).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_killed_before_any_sync_of_a_change_of_settings_keeps_its_word() {
    kill_writers_at_each("fsync,fdatasync", 1..).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_killed_before_any_write_of_a_change_of_settings_keeps_its_word() {
    // There are too many to take each: steps of a random size.
    let mut random = Random::from_environment();
    let mut number = 0;
    let steps = std::iter::from_fn(|| {
        number += 1 + random.below(5);
        Some(number)
    });
    kill_writers_at_each("write,pwrite64", steps).await;
}
