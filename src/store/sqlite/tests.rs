use std::{
    collections::BTreeMap,
    fs,
    path::PathBuf,
    sync::mpsc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use super::*;
use crate::{
    controls::Controls,
    proto::{CodexOptions, FilesystemSandbox, StateReason, Usage},
    row::{ExitStatus, Fork, Verdict},
};

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

#[tokio::test]
async fn ids_are_found_by_any_prefix_that_is_spelt_as_they_are() {
    let place = Place::new();
    let ids = ["1a2b0000-0000-4000-8000-000000000000", "1a2bffff-ffff-4fff-bfff-ffffffffffff"]
        .map(|id| id.parse::<SessionId>().unwrap());
    for id in ids {
        place.insert(&session(id)).await;
    }
    let find = async |prefix: &str, limit| {
        place.database.ids_with_prefix(prefix.to_owned(), limit).await.unwrap()
    };
    for prefix in ["", "1", "1a2", "1a2b"] {
        assert_eq!(find(prefix, 10).await, ids, "{prefix}");
    }
    for prefix in ["1a2b0", "1a2b0000", "1a2b0000-", "1a2b0000-0000-4000-8000-000000000000"] {
        assert_eq!(find(prefix, 10).await, ids[..1], "{prefix}");
    }
    for prefix in ["1a2bffff-ffff-4fff-b", "1a2bf"] {
        assert_eq!(find(prefix, 10).await, ids[1..], "{prefix}");
    }
    for prefix in
        ["1a2c", "1A2B", "1a2b00000", "1a2b-", "g", "1a2b0000-0000-4000-8000-0000000000000"]
    {
        assert_eq!(find(prefix, 10).await, [], "{prefix}");
    }
    assert_eq!(find("1a2b", 1).await, ids[..1]);
}

#[tokio::test]
async fn ten_thousand_sessions_are_listed_page_by_page_while_more_come() {
    let place = Place::new();
    let states = [SessionState::Completed, SessionState::Failed];
    let new = |number: u32| {
        let state = states[number as usize % 2];
        Session { last_turn: Some(turn(1, state)), ..session(id(number)) }
    };
    // In one transaction, as the order of their numbers is what counts here.
    let sessions: Vec<Session> = (1..=10_000).map(new).collect();
    let inserted = place.database.writer.call(move |db| {
        for session in &sessions {
            rows::insert_session(db, session, &Settings::default())?;
            rows::upsert_turn(db, session.id, session.last_turn.as_ref().unwrap())?;
        }
        Ok(())
    });
    inserted.await.unwrap();
    let pages = async |filter: Filter| {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = place.database.list(filter.clone(), after, 999).await.unwrap();
            let Some((last, _)) = page.last() else { return found };
            after = Some(*last);
            found.extend(page.into_iter().map(|(_, session)| session));
            // Whoever comes later is newer, and on no later page.
            place.insert(&session(SessionId::random())).await;
        }
    };

    let all: Vec<Session> = (1..=10_000).rev().map(new).collect();
    assert_eq!(pages(Filter::default()).await, all);
    let failed = Filter { states: vec![SessionState::Failed], ..Filter::default() };
    let expected: Vec<Session> =
        all.iter().filter(|session| session.state() == SessionState::Failed).cloned().collect();
    assert_eq!(pages(failed).await, expected);
    let prefixed = Filter {
        id_prefix: "000012".to_owned(),
        states: vec![SessionState::Completed],
        ..Filter::default()
    };
    let expected: Vec<Session> = (1_200..1_300).rev().step_by(2).map(|n| new(n - 1)).collect();
    assert_eq!(pages(prefixed).await, expected);
}

/// Lets the writer wait, so that all that is called meanwhile shares one commit.
async fn hold(database: &Database) -> mpsc::Sender<()> {
    let (let_go, held) = mpsc::channel::<()>();
    let (begun, has_begun) = tokio::sync::oneshot::channel();
    let writer = database.writer.clone();
    tokio::spawn(async move {
        let waiting = writer.call(move |_| {
            let _ = begun.send(());
            // An error says that the test is over.
            let _ = held.recv();
            Ok(())
        });
        waiting.await
    });
    has_begun.await.unwrap();
    let_go
}

#[tokio::test]
async fn a_write_that_fails_does_not_harm_its_neighbours() {
    let place = Place::new();
    place.insert(&session(id(2))).await;
    let let_go = hold(&place.database).await;
    let half_done = place.database.writer.call(|db| {
        rows::insert_session(db, &session(id(9)), &Settings::default())?;
        Err::<(), _>(Error::Closed)
    });

    let calls = async {
        tokio::join!(
            place.database.insert_session(session(id(1)), Settings::default(), vec![1], None),
            place.database.insert_session(session(id(2)), Settings::default(), vec![1], None),
            half_done,
            place.database.insert_session(session(id(3)), Settings::default(), vec![1], None),
            async { let_go.send(()).unwrap() },
        )
    };
    let (first, taken, half_done, last, ()) = calls.await;

    first.unwrap();
    assert!(matches!(taken, Err(Error::Exists(_))), "{taken:?}");
    assert!(matches!(half_done, Err(Error::Closed)), "{half_done:?}");
    last.unwrap();
    assert_eq!(place.open_again().database.all_ids().await.unwrap(), [id(2), id(1), id(3)]);
}

#[tokio::test]
async fn a_full_disk_in_the_middle_of_a_commit_is_told_to_those_that_it_concerns() {
    let place = Place::new();
    place.insert(&session(id(2))).await;
    // As many pages as there are, and a few more.
    let limit = |more: i64| {
        place.database.writer.call(move |db| {
            let pages: i64 = db.pragma_query_value(None, "page_count", |row| row.get(0))?;
            db.pragma_update(None, "max_page_count", pages + more)?;
            Ok(())
        })
    };
    limit(4).await.unwrap();
    let let_go = hold(&place.database).await;

    let calls = async {
        tokio::join!(
            place.database.insert_session(session(id(1)), Settings::default(), vec![1], None),
            place.database.insert_session(
                session(id(7)),
                Settings::default(),
                vec![0; 1 << 20],
                None
            ),
            place.database.insert_session(session(id(3)), Settings::default(), vec![1], None),
            async { let_go.send(()).unwrap() },
        )
    };
    let (before, too_much, after, ()) = calls.await;

    for refused in [before, too_much] {
        let refused = crate::Error::from(refused.unwrap_err());
        assert!(matches!(refused, crate::Error::StorageFull { .. }), "{refused:?}");
    }
    after.unwrap();
    limit(1_000).await.unwrap();
    place.insert(&session(id(4))).await;
    assert_eq!(place.open_again().database.all_ids().await.unwrap(), [id(2), id(3), id(4)]);
}

#[tokio::test]
async fn places_in_the_queue_are_those_of_the_moment() {
    let place = Place::new();
    for number in 1..=4 {
        let state = if number == 2 { SessionState::Running } else { SessionState::Queued };
        let last_turn = Some(turn(1, state));
        place.insert(&Session { last_turn, ..session(id(number)) }).await;
    }
    let places = async || {
        let listed = place.database.list(Filter::default(), None, 10).await.unwrap();
        let mut places = Vec::new();
        for (_, session) in listed.into_iter().rev() {
            let alone = place.stored(session.id).await.session.queue_position;
            assert_eq!(session.queue_position, alone);
            places.push(alone);
        }
        places
    };
    assert_eq!(places().await, [Some(1), None, Some(2), Some(3)]);
    let first = Session { last_turn: Some(turn(1, SessionState::Running)), ..session(id(1)) };
    place.database.apply(first, Seq(1), 0).await.unwrap();
    assert_eq!(places().await, [None, None, Some(1), Some(2)]);
}

/// A session with this thread, forked from another one's.
fn with_thread(id: SessionId, thread: Option<&str>, source: Option<(SessionId, &str)>) -> Session {
    let fork = |(session, thread): (_, &str)| Fork { session, thread_id: thread.to_owned() };
    Session { thread_id: thread.map(str::to_owned), forked_from: source.map(fork), ..session(id) }
}

#[tokio::test]
async fn a_thread_can_be_forgotten_when_nothing_that_was_forked_from_it_is_left() {
    let place = Place::new();
    let source = with_thread(id(1), Some("a"), None);
    let fork = with_thread(id(2), Some("b"), Some((id(1), "a")));
    let further = with_thread(id(3), Some("c"), Some((id(2), "b")));
    let pending = with_thread(id(4), None, Some((id(3), "c")));
    for session in [&source, &fork, &further, &pending] {
        place.insert(session).await;
    }
    let database = &place.database;
    let delete = |session: &Session| {
        let thread = ForgottenThread::of(session);
        database.delete_session(session.tombstone(), thread, None)
    };
    let forgettable = async || {
        let threads = database.forgettable_threads().await.unwrap();
        threads.into_iter().map(|thread| thread.id).collect::<Vec<_>>()
    };

    for session in [&source, &further, &fork] {
        delete(session).await.unwrap();
        assert_eq!(forgettable().await, [""; 0]);
    }
    delete(&pending).await.unwrap();
    assert_eq!(forgettable().await, ["c"]);
    for session in [&further, &fork, &source] {
        let thread = ForgottenThread::of(session).unwrap();
        assert_eq!(database.refused_to_forget(thread.clone()).await.unwrap(), 1);
        assert_eq!(forgettable().await, [thread.id.as_str()]);
        database.remove_forgotten_thread(thread).await.unwrap();
    }
    assert_eq!(forgettable().await, [""; 0]);
}

#[tokio::test]
async fn a_session_that_was_deleted_meanwhile_is_not_forked() {
    let place = Place::new();
    let source = with_thread(id(1), Some("a"), None);
    place.insert(&source).await;
    place.database.delete_session(source.tombstone(), None, None).await.unwrap();

    let fork = with_thread(id(2), None, Some((id(1), "a")));
    let refused =
        place.database.insert_session(fork, Settings::default(), vec![1], None).await.unwrap_err();

    let refused = crate::Error::from(refused);
    assert!(matches!(refused, crate::Error::SessionDeleted { .. }), "{refused:?}");
    assert_eq!(place.database.all_ids().await.unwrap(), []);
}

#[tokio::test]
async fn those_that_changed_last_are_listed_first_and_each_once() {
    let place = Place::new();
    for number in 1..=5_u32 {
        let changed = at(u64::from(10 * (number % 3)));
        place.insert(&Session { update_time: changed, ..session(id(number)) }).await;
    }
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = place.database.list_recent(Filter::default(), after, 2).await.unwrap();
        let Some((last, _)) = page.last() else { break };
        after = Some(*last);
        found.extend(page.into_iter().map(|(_, session)| session.id));
    }
    assert_eq!(found, [5, 2, 4, 1, 3].map(id));
}

#[tokio::test]
async fn notes_are_kept_in_order_written_anew_in_their_place_and_go_with_their_session() {
    let place = Place::new();
    let database = &place.database;
    place.insert(&session(id(1))).await;
    place.insert(&session(id(2))).await;
    let put = async |number, name: &str, text: &str| {
        database.put_note(id(number), name.to_owned(), text.to_owned()).await.unwrap()
    };
    let begin = put(1, "a", "1").await;
    put(1, "b", "2").await;
    put(2, "a", "3").await;
    let last = put(1, "a", "four").await;
    let texts = async |number, bytes| {
        let notes = database.notes(id(number), bytes).await.unwrap();
        notes.into_iter().map(|note| note.text).collect::<Vec<_>>()
    };
    assert_eq!(texts(1, 100).await, ["four", "2"]);
    assert_eq!(texts(1, 4).await, ["2"], "the latest, as far as there is room");
    let since = database.notes_since(begin, 10).await.unwrap();
    let since: Vec<_> = since.into_iter().map(|note| (note.session, note.text)).collect();
    assert_eq!(since, [(1, "2"), (2, "3"), (1, "four")].map(|(n, t)| (id(n), t.to_owned())));
    assert_eq!(database.notes_since(last, 10).await.unwrap(), []);

    let tombstone = session(id(1)).tombstone();
    database.delete_session(tombstone, None, None).await.unwrap();
    assert_eq!(texts(1, 100).await, Vec::<String>::new());
    let refused = |number| database.put_note(id(number), "a".to_owned(), String::new());
    assert!(matches!(refused(1).await, Err(Error::Deleted(_))));
    assert!(matches!(refused(9).await, Err(Error::Refused(_))));
    assert_eq!(texts(2, 100).await, ["3"]);
}

#[tokio::test]
async fn of_too_many_notes_the_oldest_go() {
    let place = Place::new();
    place.insert(&session(id(1))).await;
    let written = place.database.writer.call(|db| {
        (0..=MAX_NOTES).try_for_each(|n| notes::put(db, id(1), &n.to_string(), "").map(drop))
    });
    written.await.unwrap();
    let notes = place.database.notes(id(1), 1).await.unwrap();
    assert_eq!(notes.len(), MAX_NOTES as usize);
}

#[tokio::test]
async fn sessions_are_found_by_a_label() {
    let place = Place::new();
    let labels = [("project".to_owned(), "p\"".to_owned())].into();
    place.insert(&Session { labels, ..session(id(1)) }).await;
    place.insert(&session(id(2))).await;
    let found = place.database.labelled("project").await.unwrap();
    assert_eq!(found, [(id(1), "p\"".to_owned())].into());
    let applied = place.database.applied_seqs().await.unwrap();
    assert_eq!(applied, [(id(1), Seq::ZERO), (id(2), Seq::ZERO)].into());
}
