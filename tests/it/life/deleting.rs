//! The end of sessions: for ever, for everybody, and without a trace on the disk.

use std::{fs, time::Duration};

use switchboard::{
    id::SessionId,
    proto::{
        CleanupSessionsRequest, CleanupSessionsResponse, CreateSessionRequest,
        DeleteSessionRequest, ForkSessionRequest, ListEventsRequest, ReadOutputRequest, Session,
        SessionState, event::Kind, watch_events_response::Message,
    },
};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::{delete, kill, rename};
use crate::{
    harness::{Clients, Server},
    ledger::{self, Watcher, create, get, list, reason, rest, start_turn},
    subscriber::{Subscriber, from},
};

fn quick() -> Server {
    ledger::setup().config("[turns]\nkill_grace = '50ms'\nterminate_grace = '50ms'\n").start()
}

/// Waits until nothing of a session is left on the disk.
async fn gone(server: &Server, id: &str) {
    let places = [server.home().join("sessions").join(id), server.home().join("trash").join(id)];
    let begin = std::time::Instant::now();
    while places.iter().any(|place| place.exists()) {
        assert!(begin.elapsed() < ledger::GIVE_UP, "{id} stays on the disk");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Whether an answer says that the session was deleted, and when.
#[track_caller]
fn assert_deleted<T: std::fmt::Debug>(answer: Result<T, Status>, id: &str) {
    let refused = answer.expect_err("it was deleted");
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::NotFound, "SESSION_DELETED"));
    let told = refused.get_details_error_info().unwrap().metadata;
    assert_eq!(told["session_id"], id);
    assert!(humantime::parse_rfc3339(&told["delete_time"]).is_ok(), "{told:?}");
}

/// Every call that names one session says that it was deleted.
async fn assert_deleted_everywhere(clients: &Clients, server: &Server, id: &str) {
    let sessions = || clients.sessions.clone();
    let name = || id.to_owned();
    let found = ledger::try_get(clients, id).await;
    assert_deleted(found, id);
    assert_deleted(start_turn(clients, id, "completed").await, id);
    assert_deleted(rename(clients, id, "x").await, id);
    assert_deleted(kill(clients, id).await, id);
    assert_deleted(delete(clients, id).await, id);
    assert_deleted(ledger::try_rest(clients, id).await, id);
    assert_deleted(Subscriber::try_open(clients, from(id, 1)).await, id);
    let events = ListEventsRequest { session_id: name(), ..Default::default() };
    assert_deleted(clients.events.clone().list_events(events).await, id);
    let output = ReadOutputRequest { session_id: name(), ..Default::default() };
    assert_deleted(sessions().read_output(output).await, id);
    let fork = ForkSessionRequest { session_id: name(), ..Default::default() };
    assert_deleted(sessions().fork_session(fork).await, id);
    let again = CreateSessionRequest {
        session: Some(Session {
            working_directory: server.work().display().to_string(),
            ..Session::default()
        }),
        session_id: name(),
        ..Default::default()
    };
    assert_deleted(sessions().create_session(again).await, id);
    assert!(list(clients).await.iter().all(|session| session.session_id != id));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_was_deleted_is_gone_for_ever() {
    let mut server = quick();
    let clients = server.connect_to_socket().await;
    let script = "thread,turn,message,completed";
    let other = create(&clients, &server.work(), script).await.unwrap().session_id;
    let id = create(&clients, &server.work(), script).await.unwrap().session_id;
    let session = rest(&clients, &id).await;

    assert_eq!(delete(&clients, &id).await.unwrap(), session);

    assert_deleted_everywhere(&clients, &server, &id).await;
    gone(&server, &id).await;
    server.kill_and_start();
    assert_deleted_everywhere(&clients, &server, &id).await;
    assert_eq!(rest(&clients, &other).await.state(), SessionState::Completed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_ends_the_turn_first_with_all_that_it_started() {
    let server = quick();
    let clients = server.connect().await;
    let script = "ignore-int,ignore-term,daemonize,thread,turn,message:ready,sleep";
    let id = create(&clients, &server.work(), script).await.unwrap().session_id;
    Watcher::start(&clients, &id).message("ready").await;

    let deleted = delete(&clients, &id).await.unwrap();

    assert_eq!(deleted.state(), SessionState::Killed);
    server.assert_no_survivors();
    assert_deleted_everywhere(&clients, &server, &id).await;
    gone(&server, &id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn those_who_watch_get_every_event_and_learn_of_the_end() {
    let server = quick();
    let clients = server.connect().await;
    let id = create(&clients, &server.work(), "thread,turn,print:2000:1000,completed").await;
    let id = id.unwrap().session_id;
    rest(&clients, &id).await;
    let events = ledger::events(&clients, &id).await;
    let mut live = Subscriber::open(&clients, from(&id, 1)).await;
    live.until_synced().await;
    // One that has read nothing when the session goes.
    let mut late = Subscriber::open(&clients, from(&id, 1)).await;
    late.header().await;

    delete(&clients, &id).await.unwrap();

    for (mut subscriber, mut seq) in [(live, events.len() as u64), (late, 0)] {
        let ended = loop {
            match subscriber.try_next().await {
                Ok(Some(Message::Event(event))) => {
                    seq += 1;
                    assert_eq!(event.seq, seq);
                    let is_last = matches!(event.kind, Some(Kind::SessionDeleted(_)));
                    assert_eq!(is_last, seq == events.len() as u64 + 1);
                }
                Ok(Some(_)) => {}
                Ok(None) => panic!("it ended without a word"),
                Err(status) => break status,
            }
        };
        assert_eq!(seq, events.len() as u64 + 1);
        assert_eq!(reason(&ended), "SESSION_DELETED");
    }
    gone(&server, &id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_of_several_goes_on_with_those_that_are_left() {
    let server = quick();
    let clients = server.connect().await;
    let script = "thread,turn,completed";
    let mut ids = Vec::new();
    for _ in 0..2 {
        let id = create(&clients, &server.work(), script).await.unwrap().session_id;
        rest(&clients, &id).await;
        ids.push(id);
    }
    let request = |ids: &[String]| switchboard::proto::WatchEventsRequest {
        session_ids: ids.to_vec(),
        ..Default::default()
    };
    let mut both = Subscriber::open(&clients, request(&ids)).await;
    both.until_synced().await;
    let mut all = Subscriber::open(&clients, request(&[])).await;
    all.until_synced().await;

    delete(&clients, &ids[0]).await.unwrap();
    rename(&clients, &ids[1], "still here").await.unwrap();

    for subscriber in [&mut both, &mut all] {
        let seen =
            subscriber.until(|event| matches!(event.kind, Some(Kind::SessionUpdated(_)))).await;
        assert_eq!(seen.len(), 2, "{seen:#?}");
        assert!(matches!(seen[0].kind, Some(Kind::SessionDeleted(_))));
    }
    delete(&clients, &ids[1]).await.unwrap();
    both.until(|event| matches!(event.kind, Some(Kind::SessionDeleted(_)))).await;
    assert_eq!(reason(&both.try_next().await.unwrap_err()), "SESSION_DELETED");
    // Whoever comes back to all sessions with a cursor of it is told that it is gone.
    let back = switchboard::proto::WatchEventsRequest {
        start_seqs: [(ids[0].clone(), 4)].into(),
        ..request(&[])
    };
    let messages = Subscriber::open(&clients, back).await.until_synced().await;
    let [Message::LeftOut(left_out)] = &messages[..] else { panic!("{messages:#?}") };
    assert_eq!((&left_out.session_id, left_out.next_seq), (&ids[0], 4));
    assert_eq!(left_out.reason, "SESSION_DELETED");
    // A watch of all has no end; a session that comes later is in it.
    all.until(|event| matches!(event.kind, Some(Kind::SessionDeleted(_)))).await;
    let new = create(&clients, &server.work(), script).await.unwrap().session_id;
    let seen = all.until(|event| event.session_id == new).await;
    assert_eq!(seen.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_session_is_off_the_disk_when_all_have_read_its_end() {
    let server = quick();
    let clients = server.connect().await;
    let id = create(&clients, &server.work(), "thread,turn,completed").await.unwrap().session_id;
    rest(&clients, &id).await;
    // They watch all, and the catalogue, and go on to.
    let everything = switchboard::proto::WatchEventsRequest::default();
    let mut all = Subscriber::open(&clients, everything).await;
    all.until_synced().await;
    let request = switchboard::proto::WatchSessionsRequest::default();
    let _catalogue = clients.sessions.clone().watch_sessions(request).await.unwrap();

    delete(&clients, &id).await.unwrap();
    all.until(|event| matches!(event.kind, Some(Kind::SessionDeleted(_)))).await;
    gone(&server, &id).await;

    let log = server.log();
    assert!(!log.contains("still read"), "nobody had to be waited for: {log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_etag_keeps_a_session_that_has_changed() {
    let server = quick();
    let clients = server.connect().await;
    let id = create(&clients, &server.work(), "thread,turn,sleep").await.unwrap().session_id;
    let seen = get(&clients, &id).await;
    rename(&clients, &id, "better kept").await.unwrap();

    let request =
        DeleteSessionRequest { session_id: id.clone(), etag: seen.etag, ..Default::default() };
    let refused = clients.sessions.clone().delete_session(request).await.unwrap_err();

    assert_eq!(reason(&refused), "ETAG_MISMATCH");
    assert_eq!(get(&clients, &id).await.state(), SessionState::Running, "not even killed");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_crash_leaves_of_a_deleted_session_goes_at_the_next_start() {
    let mut server = quick();
    let clients = server.connect_to_socket().await;
    let id = create(&clients, &server.work(), "thread,turn,completed").await.unwrap().session_id;
    rest(&clients, &id).await;
    delete(&clients, &id).await.unwrap();
    gone(&server, &id).await;
    server.kill();
    // As a server leaves them that dies behind the tombstone, or behind the move.
    let left = server.home().join("sessions").join(&id).join("turns");
    fs::create_dir_all(&left).unwrap();
    fs::write(left.join("turn_1.jsonl"), "{}\n").unwrap();
    let trash = server.home().join("trash").join(SessionId::random().to_string());
    fs::create_dir_all(&trash).unwrap();
    fs::write(trash.join("meta.json"), "{}").unwrap();

    server.start();

    assert!(!server.home().join("sessions").join(&id).exists());
    assert!(!trash.exists());
    assert_deleted_everywhere(&clients, &server, &id).await;
}

async fn clean_up(
    clients: &Clients,
    request: CleanupSessionsRequest,
) -> Result<CleanupSessionsResponse, Status> {
    Ok(clients.sessions.clone().cleanup_sessions(request).await?.into_inner())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cleanup_deletes_what_rests_and_is_old_and_nothing_else() {
    let server = quick();
    let clients = server.connect().await;
    let script = async |script: &str| create(&clients, &server.work(), script).await.unwrap();
    let completed = script("thread,turn,completed").await.session_id;
    rest(&clients, &completed).await;
    let failed = script("thread,turn,failed:no").await.session_id;
    rest(&clients, &failed).await;
    let running = script("thread,turn,sleep").await.session_id;
    let now = Some(pbjson_types::Duration::default());

    let young = clean_up(&clients, CleanupSessionsRequest::default()).await.unwrap();
    assert_eq!(young, CleanupSessionsResponse::default(), "nothing is seven days old");
    let dry = CleanupSessionsRequest { older_than: now, dry_run: true, ..Default::default() };
    let told = clean_up(&clients, dry.clone()).await.unwrap();
    assert_eq!(told.session_ids, [completed.clone(), failed.clone()], "oldest first");
    assert_eq!(clean_up(&clients, dry).await.unwrap(), told, "nothing was deleted");
    let failures = CleanupSessionsRequest {
        older_than: now,
        states: vec![SessionState::Failed.into()],
        ..Default::default()
    };
    assert_eq!(
        clean_up(&clients, failures).await.unwrap().session_ids,
        std::slice::from_ref(&failed)
    );
    let rest = CleanupSessionsRequest { older_than: now, ..Default::default() };
    assert_eq!(
        clean_up(&clients, rest).await.unwrap().session_ids,
        std::slice::from_ref(&completed)
    );

    let left: Vec<_> = list(&clients).await.into_iter().map(|session| session.session_id).collect();
    assert_eq!(left, [running]);
    for id in [&completed, &failed] {
        assert_deleted(ledger::try_get(&clients, id).await, id);
    }
    let owned = CreateSessionRequest {
        session: Some(Session {
            working_directory: server.work().display().to_string(),
            system_owned: true,
            ..Session::default()
        }),
        prompt: "FAKE_AGENT=thread,turn,completed".to_owned(),
        ..Default::default()
    };
    let owned = clients.sessions.clone().create_session(owned).await.unwrap().into_inner();
    let owned = owned.session.unwrap().session_id;
    ledger::rest(&clients, &owned).await;
    let plain = CleanupSessionsRequest { older_than: now, ..Default::default() };
    assert_eq!(clean_up(&clients, plain.clone()).await.unwrap().session_ids, Vec::<String>::new());
    let with_systems = CleanupSessionsRequest { include_system_owned: true, ..plain };
    assert_eq!(clean_up(&clients, with_systems).await.unwrap().session_ids, [owned]);
    let busy =
        CleanupSessionsRequest { states: vec![SessionState::Running.into()], ..Default::default() };
    assert_eq!(reason(&clean_up(&clients, busy).await.unwrap_err()), "INVALID_ARGUMENT");
}
