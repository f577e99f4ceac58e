use std::{
    collections::BTreeMap,
    fs,
    path::PathBuf,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use super::*;
use crate::{
    controls::Controls,
    proto::{CodexOptions, FilesystemSandbox, StateReason, Usage},
    row::{ExitStatus, Fork, Verdict},
};

mod listing;
mod notes;
mod threads;
mod writing;

const VERSION_1: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/state-v1.sql"));

/// A moment that a row can hold.
fn at(micros: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_700_000_000) + Duration::from_micros(micros)
}

/// The id that begins with `number`, as the fixture has them.
fn id(number: u32) -> SessionId {
    format!("{number:08}-0000-4000-8000-{number:012}").parse().unwrap()
}

pub(super) fn session(id: SessionId) -> Session {
    Session {
        id,
        agent: "codex".to_owned(),
        source: "user".to_owned(),
        title: String::new(),
        labels: BTreeMap::new(),
        working_directory: PathBuf::from("/"),
        controls: Controls::default(),
        options: CodexOptions::default(),
        archived: false,
        system_owned: false,
        persist: false,
        lock: None,
        forked_from: None,
        revision: 1,
        queue_position: None,
        thread_id: None,
        codex_version: String::new(),
        first_prompt: String::new(),
        last_turn: None,
        usage: None,
        create_time: at(0),
        update_time: at(0),
    }
}

fn turn(number: u32, state: SessionState) -> Turn {
    Turn {
        number: TurnNumber(number),
        state,
        reason: StateReason::Unspecified,
        verdict: None,
        pid: None,
        exit: None,
        start_time: at(2),
        end_time: None,
        error: String::new(),
        usage_before: None,
        usage_after: None,
    }
}

/// A database in a directory of its own.
struct Place {
    database: Database,
    directory: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let database = Database::open(&directory.path().join("state.db")).unwrap();
        Self { database, directory }
    }

    fn open_again(self) -> Self {
        let Self { database, directory } = self;
        drop(database);
        let database = Database::open(&directory.path().join("state.db")).unwrap();
        Self { database, directory }
    }

    async fn insert(&self, session: &Session) {
        self.database
            .insert_session(session.clone(), Settings::default(), vec![1], None)
            .await
            .unwrap();
    }

    async fn stored(&self, id: SessionId) -> Stored {
        self.database.session(id).await.unwrap().unwrap()
    }
}

/// What the fixture holds, oldest first.
fn fixture() -> Vec<Stored> {
    let pending = Session {
        title: "A title".to_owned(),
        labels: [("team", "tools"), ("ticket", "7")].map(|(k, v)| (k.into(), v.into())).into(),
        working_directory: "/work".into(),
        controls: Controls {
            model: Some("gpt-5".to_owned()),
            sandbox: FilesystemSandbox::WorkspaceWrite,
            ..Controls::default()
        },
        ..session(id(1))
    };
    let completed = Session {
        source: "orchestrator:7".to_owned(),
        working_directory: "/work/deep".into(),
        thread_id: Some("thread-2".to_owned()),
        codex_version: "0.169.0".to_owned(),
        first_prompt: "First prompt".to_owned(),
        usage: Some(Usage {
            input_tokens: 1_200,
            cached_input_tokens: 1_000,
            cache_write_input_tokens: 0,
            output_tokens: 30,
            reasoning_output_tokens: 10,
        }),
        last_turn: Some(Turn {
            verdict: Some(Verdict::Completed),
            pid: Some(102),
            exit: Some(ExitStatus::Code(0)),
            start_time: at(4),
            end_time: Some(at(9)),
            ..turn(2, SessionState::Completed)
        }),
        create_time: at(1),
        update_time: at(9),
        ..session(id(2))
    };
    let failed = Session {
        agent: "replay:/x.jsonl".to_owned(),
        controls: Controls { sandbox: FilesystemSandbox::ReadOnly, ..Controls::default() },
        first_prompt: "p".to_owned(),
        last_turn: Some(Turn {
            reason: StateReason::ExitStatus,
            pid: Some(103),
            exit: Some(ExitStatus::Code(3)),
            end_time: Some(at(5)),
            error: "the agent exited with status 3".to_owned(),
            ..turn(1, SessionState::Failed)
        }),
        create_time: at(2),
        update_time: at(5),
        ..session(id(3))
    };
    let interrupted = Session {
        controls: Controls { sandbox: FilesystemSandbox::DangerFullAccess, ..Controls::default() },
        thread_id: Some("thread-4".to_owned()),
        codex_version: "0.169.0".to_owned(),
        first_prompt: "p".to_owned(),
        last_turn: Some(Turn {
            pid: Some(104),
            exit: Some(ExitStatus::Signal(9)),
            start_time: at(3),
            end_time: Some(at(6)),
            ..turn(1, SessionState::Interrupted)
        }),
        create_time: at(3),
        update_time: at(6),
        ..session(id(4))
    };
    let running = Session {
        codex_version: "0.169.0".to_owned(),
        first_prompt: "p".to_owned(),
        last_turn: Some(Turn { start_time: at(4), ..turn(1, SessionState::Running) }),
        create_time: at(4),
        update_time: at(4),
        ..session(id(5))
    };
    let applied = [0, 42, 7, 8, 3];
    let sessions = [pending, completed, failed, interrupted, running].into_iter();
    sessions.zip(applied).map(|(session, seq)| Stored { session, applied: Seq(seq) }).collect()
}

#[tokio::test]
async fn a_database_of_the_first_version_is_read_as_it_was_meant() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.db");
    Connection::open(&path).unwrap().execute_batch(VERSION_1).unwrap();

    let database = Database::open(&path).unwrap();

    let ids = database.all_ids().await.unwrap();
    let mut found = Vec::new();
    for id in ids {
        found.push(database.session(id).await.unwrap().unwrap());
    }
    assert_eq!(found, fixture());
    let first = Turn {
        reason: StateReason::AgentError,
        verdict: Some(Verdict::Failed("no such model".to_owned())),
        pid: Some(101),
        exit: Some(ExitStatus::Code(1)),
        end_time: Some(at(3)),
        error: "no such model".to_owned(),
        ..turn(1, SessionState::Failed)
    };
    assert_eq!(database.turn(id(2), TurnNumber(1)).await.unwrap(), Some(first));
    let created = OutboxRow { id: 4, turn: None, event: vec![0x82, 2, 0] };
    assert_eq!(database.outbox(id(1), 0).await.unwrap(), [created]);
    let unsettled = database.unsettled_ids().await.unwrap();
    assert_eq!(unsettled, [id(5)], "one is running");
    assert_eq!(database.untold_ids().await.unwrap(), [id(1)], "one is in the outbox");
    assert_eq!(database.running_turns().await.unwrap(), 1);
    let version: i64 = Connection::open(&path)
        .unwrap()
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .unwrap();
    assert_eq!(version, SCHEMA_VERSION);
    // What it takes from here on has numbers of its own.
    database.insert_session(session(id(6)), Settings::default(), vec![7], None).await.unwrap();
    assert_eq!(database.outbox(id(6), 0).await.unwrap()[0].id, 5);
}

#[test]
fn a_database_of_a_later_version_is_refused_and_left_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.db");
    let connection = Connection::open(&path).unwrap();
    connection.execute_batch("CREATE TABLE later (x); PRAGMA user_version = 999;").unwrap();
    drop(connection);
    let before = fs::read(&path).unwrap();

    let refused = Database::open(&path).unwrap_err();

    assert!(matches!(refused, Error::Newer { found: 999, known: SCHEMA_VERSION }), "{refused:?}");
    assert!(refused.to_string().contains("start the newer switchboard"), "{refused}");
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[tokio::test]
async fn a_session_is_there_with_its_first_turn_after_the_database_was_closed() {
    let place = Place::new();
    let mut new = session(id(1));
    new.last_turn = Some(turn(1, SessionState::Running));
    place.insert(&new).await;
    let taken = place
        .database
        .insert_session(session(id(1)), Settings::default(), vec![2], None)
        .await
        .unwrap_err();
    assert!(matches!(taken, Error::Exists(taken) if taken == id(1)), "{taken:?}");

    let place = place.open_again();

    let stored = Stored { session: new.clone(), applied: Seq::ZERO };
    assert_eq!(place.stored(id(1)).await, stored);
    assert_eq!(place.database.turn(id(1), TurnNumber(1)).await.unwrap(), new.last_turn);
    assert_eq!(place.database.turn(id(1), TurnNumber(2)).await.unwrap(), None);
    let outbox = place.database.outbox(id(1), 0).await.unwrap();
    assert_eq!(outbox.into_iter().map(|row| row.event).collect::<Vec<_>>(), [[1]]);
    assert_eq!(place.database.session(id(2)).await.unwrap(), None);
}

#[tokio::test]
async fn a_row_follows_the_log_and_keeps_its_earlier_turns() {
    let place = Place::new();
    let mut row = session(id(1));
    place.insert(&row).await;
    row.last_turn = Some(turn(1, SessionState::Running));
    place.database.insert_turn(row.clone(), turn(1, SessionState::Running), None).await.unwrap();
    assert_eq!(place.stored(id(1)).await, Stored { session: row.clone(), applied: Seq::ZERO });

    let first = Turn { end_time: Some(at(5)), ..turn(1, SessionState::Completed) };
    row.last_turn = Some(first.clone());
    row.thread_id = Some("thread".to_owned());
    row.usage = Some(Usage { input_tokens: 1, ..Usage::default() });
    row.update_time = at(5);
    place.database.apply(row.clone(), Seq(9), 1).await.unwrap();
    assert_eq!(place.stored(id(1)).await, Stored { session: row.clone(), applied: Seq(9) });
    assert_eq!(place.database.outbox(id(1), 0).await.unwrap(), []);

    // A new turn says nothing about the log.
    row.last_turn = Some(turn(2, SessionState::Running));
    place.database.insert_turn(row.clone(), turn(2, SessionState::Running), None).await.unwrap();
    assert_eq!(place.stored(id(1)).await, Stored { session: row, applied: Seq(9) });
    assert_eq!(place.database.turn(id(1), TurnNumber(1)).await.unwrap(), Some(first));
}

#[tokio::test]
async fn an_outbox_is_emptied_as_far_as_the_log_has_it() {
    let place = Place::new();
    for number in 1..=3 {
        place.insert(&session(id(number))).await;
    }
    let rows = place.database.outbox(id(2), 0).await.unwrap();
    assert_eq!(rows, [OutboxRow { id: 2, turn: None, event: vec![1] }]);
    assert_eq!(place.database.outbox(id(2), 2).await.unwrap(), []);

    place.database.apply(session(id(2)), Seq(1), 3).await.unwrap();

    assert_eq!(place.database.outbox(id(2), 0).await.unwrap(), []);
    assert_eq!(place.database.untold_ids().await.unwrap(), [id(1), id(3)], "those of others");
    place.insert(&session(id(4))).await;
    assert_eq!(place.database.outbox(id(4), 0).await.unwrap()[0].id, 4, "no id comes twice");
}
