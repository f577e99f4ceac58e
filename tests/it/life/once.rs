//! A request that is repeated with its id is carried out once.

use std::fmt::Debug;

use switchboard::proto::{
    CleanupSessionsRequest, CreateSessionRequest, DeleteSessionRequest, ForkSessionRequest,
    InterruptTurnRequest, KillSessionRequest, Session, SessionState, StartTurnRequest,
    UpdateSessionRequest,
};
use tokio::task::JoinSet;
use tonic::Status;

use crate::{
    harness::{Clients, Server},
    ledger::{self, Watcher, events, get, list, reason, rest},
};

fn new(server: &Server, script: &str, request_id: &str) -> CreateSessionRequest {
    CreateSessionRequest {
        session: Some(Session {
            working_directory: server.work().display().to_string(),
            ..Session::default()
        }),
        prompt: format!("FAKE_AGENT={script}"),
        request_id: request_id.to_owned(),
        ..Default::default()
    }
}

async fn create(clients: &Clients, request: CreateSessionRequest) -> Result<Session, Status> {
    let answer = clients.sessions.clone().create_session(request).await?;
    Ok(answer.into_inner().session.unwrap())
}

async fn start(clients: &Clients, request: StartTurnRequest) -> Result<Session, Status> {
    let answer = clients.sessions.clone().start_turn(request).await?;
    Ok(answer.into_inner().session.unwrap())
}

#[track_caller]
fn assert_conflict<T: Debug>(answer: Result<T, Status>) {
    assert_eq!(reason(&answer.unwrap_err()), "IDEMPOTENCY_CONFLICT");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_creation_and_turn_give_the_earlier_answer_also_after_a_restart() {
    let mut server = ledger::setup().start();
    let clients = server.connect_to_socket().await;
    let creation = new(&server, "thread,turn,completed", "create-1");
    let created = create(&clients, creation.clone()).await.unwrap();
    let id = created.session_id.clone();
    rest(&clients, &id).await;
    let turn = StartTurnRequest {
        session_id: id.clone(),
        prompt: "FAKE_AGENT=thread,turn,message:second,completed".to_owned(),
        request_id: "turn-1".to_owned(),
        ..StartTurnRequest::default()
    };
    let started = start(&clients, turn.clone()).await.unwrap();
    assert_eq!(started.turn_count, 2);
    let session = rest(&clients, &id).await;
    let events = events(&clients, &id).await;

    for again in ["at once", "after a restart"] {
        assert_eq!(create(&clients, creation.clone()).await.unwrap(), created, "{again}");
        assert_eq!(start(&clients, turn.clone()).await.unwrap(), started, "{again}");
        assert_eq!(list(&clients).await, std::slice::from_ref(&session), "{again}");
        assert_eq!(ledger::events(&clients, &id).await, events, "{again}");
        server.kill_and_start();
    }
    // The same id for something else.
    assert_conflict(create(&clients, new(&server, "thread,turn,failed:x", "create-1")).await);
    let other = StartTurnRequest { prompt: "something else".to_owned(), ..turn.clone() };
    assert_conflict(start(&clients, other).await);
    // Methods do not share their ids.
    let turn = StartTurnRequest { request_id: "create-1".to_owned(), ..turn };
    assert_eq!(start(&clients, turn).await.unwrap().turn_count, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn twins_that_come_together_have_one_effect_and_one_answer() {
    let server = ledger::setup().start();
    let clients = server.connect().await;
    let mut twins = JoinSet::new();
    for _ in 0..10 {
        let (clients, request) = (clients.clone(), new(&server, "thread,turn,completed", "twin"));
        twins.spawn(async move { create(&clients, request).await.unwrap() });
    }

    let answers = twins.join_all().await;

    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "{answers:#?}");
    let listed = list(&clients).await;
    assert_eq!(listed.len(), 1);
    assert_eq!(rest(&clients, &listed[0].session_id).await.turn_count, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_refused_may_be_tried_again_under_its_id() {
    let server = ledger::setup().start();
    let clients = server.connect().await;
    let work = server.work().join("later");
    let mut request = new(&server, "thread,turn,completed", "once-more");
    request.session.as_mut().unwrap().working_directory = work.display().to_string();
    let refused = create(&clients, request.clone()).await.unwrap_err();
    assert_eq!(reason(&refused), "WORKING_DIRECTORY_INVALID");

    std::fs::create_dir(&work).unwrap();
    let created = create(&clients, request.clone()).await.unwrap();

    assert_eq!(create(&clients, request).await.unwrap(), created);
    assert_eq!(list(&clients).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_has_one_effect_and_its_answer_is_kept() {
    let server = ledger::setup().config("[turns]\nkill_grace = '50ms'\n").start();
    let clients = server.connect().await;
    let sleeping = new(&server, "thread,turn,message:ready,sleep", "");
    let id = create(&clients, sleeping).await.unwrap().session_id;
    Watcher::start(&clients, &id).message("ready").await;
    let sessions = || clients.sessions.clone();
    let request_id = || "the-same".to_owned();

    let update = UpdateSessionRequest {
        session_id: id.clone(),
        session: Some(Session { title: "first".to_owned(), ..Session::default() }),
        update_mask: Some(pbjson_types::FieldMask { paths: vec!["title".to_owned()] }),
        request_id: request_id(),
        ..Default::default()
    };
    let updated = sessions().update_session(update.clone()).await.unwrap().into_inner();
    super::rename(&clients, &id, "second").await.unwrap();
    assert_eq!(sessions().update_session(update).await.unwrap().into_inner(), updated);
    assert_eq!(get(&clients, &id).await.title, "second");

    let interrupt = InterruptTurnRequest { session_id: id.clone(), request_id: request_id() };
    let interrupted = sessions().interrupt_turn(interrupt.clone()).await.unwrap().into_inner();
    assert_eq!(rest(&clients, &id).await.state(), SessionState::Interrupted);
    // It would be NO_ACTIVE_TURN by now.
    assert_eq!(sessions().interrupt_turn(interrupt).await.unwrap().into_inner(), interrupted);

    let again = StartTurnRequest {
        session_id: id.clone(),
        prompt: "FAKE_AGENT=thread,turn,sleep".to_owned(),
        ..Default::default()
    };
    start(&clients, again).await.unwrap();
    let kill = KillSessionRequest { session_id: id.clone(), request_id: request_id() };
    let killed = sessions().kill_session(kill.clone()).await.unwrap().into_inner();
    assert_eq!(rest(&clients, &id).await.state(), SessionState::Killed);
    assert_eq!(sessions().kill_session(kill).await.unwrap().into_inner(), killed);

    let fork = ForkSessionRequest {
        session_id: id.clone(),
        request_id: request_id(),
        ..Default::default()
    };
    let forked = sessions().fork_session(fork.clone()).await.unwrap().into_inner();
    assert_eq!(sessions().fork_session(fork).await.unwrap().into_inner(), forked);
    assert_eq!(list(&clients).await.len(), 2);

    let cleanup = CleanupSessionsRequest {
        older_than: Some(pbjson_types::Duration::default()),
        dry_run: true,
        request_id: request_id(),
        ..Default::default()
    };
    let cleaned = sessions().cleanup_sessions(cleanup.clone()).await.unwrap().into_inner();
    assert_eq!(cleaned.session_ids, std::slice::from_ref(&id));

    let delete = DeleteSessionRequest {
        session_id: id.clone(),
        request_id: request_id(),
        ..Default::default()
    };
    let deleted = sessions().delete_session(delete.clone()).await.unwrap().into_inner();
    assert_eq!(sessions().delete_session(delete).await.unwrap().into_inner(), deleted);
    assert_eq!(sessions().cleanup_sessions(cleanup).await.unwrap().into_inner(), cleaned);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_id_of_a_request_is_refused() {
    let server = ledger::setup().start();
    let clients = server.connect().await;
    for malformed in ["two words".to_owned(), "größe".to_owned(), "x".repeat(129)] {
        let refused = create(&clients, new(&server, "completed", &malformed)).await.unwrap_err();
        assert_eq!(reason(&refused), "INVALID_ARGUMENT");
        assert!(refused.message().starts_with("request_id"), "{refused:?}");
    }
}
