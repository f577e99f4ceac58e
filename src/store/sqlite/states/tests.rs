use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::UNIX_EPOCH,
};

use super::*;
use crate::{
    Error,
    audit::Origin,
    controls::{Edit, Policy},
    settings::Value,
    store::sqlite::{Database, Write, tests::session},
};

const WRITES: u64 = 60;
const SESSIONS: usize = 3;
const READERS: usize = 3;

fn scope() -> Scope {
    Scope::Session(SessionId::random())
}

/// A state after so many writes.
fn state(revision: u64) -> State {
    let settings = Settings::parse("x", &format!("{{\"n\":{revision}}}")).unwrap();
    State { settings, revision, ..State::default() }
}

#[test]
fn a_load_that_was_overtaken_puts_nothing_back() {
    let (states, scope) = (States::default(), scope());
    let load = states.load(scope);
    states.committed(scope, &state(2));
    states.recent().take(scope);
    load.found(&state(1));
    assert_eq!(states.state(scope), None);

    let load = states.load(scope);
    states.gone(scope);
    load.found(&state(2));
    assert_eq!(states.state(scope), None);

    let (load, other) = (states.load(scope), states.load(Scope::Default));
    states.committed(Scope::Default, &state(7));
    other.found(&state(6));
    load.found(&state(2));
    assert_eq!(states.state(scope), Some(state(2)), "another scope was written");
    assert_eq!(states.state(Scope::Default), Some(state(7)));
    assert!(states.recent().loads.is_empty());
}

#[test]
fn an_older_state_takes_no_later_ones_place() {
    let (states, scope) = (States::default(), scope());
    states.load(scope).found(&state(3));
    states.committed(scope, &state(2));
    assert_eq!(states.state(scope), Some(state(3)), "of the same commit");
    states.load(scope).found(&state(2));
    assert_eq!(states.state(scope), Some(state(3)));
    let mut same = state(3);
    same.controls.model = Some("m".to_owned());
    states.committed(scope, &same);
    assert_eq!(states.state(scope), Some(same));
}

#[test]
fn a_map_that_is_not_committed_stands_for_its_text_and_is_shown_to_nobody() {
    let (states, scope) = (States::default(), scope());
    states.committed(scope, &state(1));
    states.remember(scope, &state(2).settings);
    assert_eq!(states.state(scope), Some(state(1)));
    for revision in [1, 2, 3] {
        let text = state(revision).settings.to_string();
        assert_eq!(states.parse(scope, &text).unwrap(), state(revision).settings);
    }
    assert_eq!(states.state(scope), Some(state(1)));
    states.parse(scope, "{").unwrap_err();
}

#[test]
fn what_is_kept_is_bounded_and_what_is_used_stays() {
    let (states, used) = (States::default(), scope());
    let text = "x".repeat(300_000);
    let large = Settings::parse("x", &format!("{{\"a\":\"{text}\"}}")).unwrap();
    let large = State { settings: large, ..State::default() };
    states.committed(used, &large);
    let first = scope();
    states.committed(first, &large);
    for _ in 0..40 {
        states.committed(scope(), &large);
        assert!(states.state(used).is_some());
    }
    assert_eq!(states.state(first), None);
    let recent = states.recent();
    let all = recent.young.values().chain(recent.old.values());
    assert!(all.map(Known::bytes).sum::<usize>() <= MAX_BYTES);
}

/// What the tasks of a race know of one session.
#[derive(Debug)]
struct Raced {
    id: SessionId,
    /// The last write that was answered.
    written: AtomicU64,
    /// Whether its deletion was answered.
    deleted: AtomicBool,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_read_after_an_answered_write_or_deletion_never_sees_what_was_before() {
    let home = tempfile::tempdir().unwrap();
    let database = Database::open(&home.path().join("state.db")).unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..SESSIONS {
        let row = session(SessionId::random());
        let raced = Arc::new(Raced {
            id: row.id,
            written: AtomicU64::new(0),
            deleted: AtomicBool::new(false),
        });
        database.insert_session(row.clone(), Settings::default(), Vec::new(), None).await.unwrap();
        for _ in 0..READERS {
            tasks.spawn(read(database.clone(), Arc::clone(&raced)));
        }
        let database = database.clone();
        tasks.spawn(async move {
            for number in 1..=WRITES {
                write(&database, raced.id, number).await;
                raced.written.store(number, Ordering::SeqCst);
            }
            database.delete_session(row.tombstone(), None, None).await.unwrap();
            raced.deleted.store(true, Ordering::SeqCst);
        });
    }
    tasks.join_all().await;
}

async fn write(database: &Database, id: SessionId, number: u64) {
    let word = || "x".to_owned();
    let write = Write {
        scope: Scope::Session(id),
        session: Some(id),
        edit: Edit::Set("n".to_owned(), Value::parse("x", &number.to_string()).unwrap()),
        etag: String::new(),
        origin: Origin { actor: word(), source: word(), transport: word() },
        time: UNIX_EPOCH,
    };
    database.write_controls(Arc::default(), write, |_| None, |_| {}).await.unwrap();
}

/// Reads until the session is gone. What is in memory is lost now and then, so
/// that loads race with the writes.
async fn read(database: Database, raced: Arc<Raced>) {
    let policy = Arc::new(Policy::default());
    let mut seen = 0;
    for round in 0_u64.. {
        if round.is_multiple_of(5) {
            database.states.recent().take(Scope::Session(raced.id));
        }
        let was_deleted = raced.deleted.load(Ordering::SeqCst);
        let written = raced.written.load(Ordering::SeqCst);
        let found = database.controls(Arc::clone(&policy), Some(raced.id)).await;
        let found = match found.map_err(Error::from) {
            Ok(read) => read.session.unwrap(),
            Err(Error::SessionDeleted { .. }) => return,
            Err(error) => panic!("{error}"),
        };
        assert!(!was_deleted, "it was gone before it was asked for");
        let value = found.settings.get("n").map_or(0, |value| value.as_text().parse().unwrap());
        assert!(value >= written, "{value} was read after {written} was answered");
        assert!(value >= seen, "{value} was read after {seen} was read");
        seen = value;
        tokio::task::yield_now().await;
    }
}
