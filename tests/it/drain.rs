//! SIGTERM: clients are told, agents go on, and nobody can hold the server.

use std::{io::Write as _, net::TcpStream, time::Duration};

use rustix::fs::{CWD, FileType, Mode, mknodat};
use switchboard::proto::{
    OutputStream, ReadOutputRequest, SessionState, WaitSessionRequest, WatchEventsRequest,
    watch_events_response::Message,
};
use tonic::{
    Code, Status,
    transport::{Channel, Endpoint},
};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};
use tonic_types::StatusExt as _;

use crate::{
    harness::{Clients, Server},
    ledger::{self, Watcher, check, create, events, pid_file, reason, rest, turn_files},
};

/// Longer than the harness waits: whoever is told to wait so long must not.
const FOR_EVER: &str = "1m";

/// A connection over the server's socket.
async fn channel(server: &Server) -> Channel {
    let uri = format!("unix://{}", server.socket().display());
    Endpoint::from_shared(uri).unwrap().connect().await.unwrap()
}

/// Watches one session to the end of the stream; returns the last seq and the error.
async fn watch(clients: &Clients, id: &str) -> (u64, Status) {
    let request = WatchEventsRequest {
        session_ids: vec![id.to_owned()],
        start_seq: 1,
        ..WatchEventsRequest::default()
    };
    let mut stream = clients.events.clone().watch_events(request).await.unwrap().into_inner();
    let mut last = 0;
    loop {
        match stream.message().await {
            Ok(Some(message)) => {
                if let Some(Message::Event(event)) = message.message {
                    last = event.seq;
                }
            }
            Ok(None) => panic!("the watch ended without an error"),
            Err(status) => return (last, status),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_told_to_stop_tells_its_clients_and_leaves_its_agents_alone() {
    let mut server = ledger::setup().arg("--drain-deadline").arg(FOR_EVER).start();
    let clients = server.connect().await;
    let go = server.work().join("go");
    let script = format!("thread,turn,message:ready,wait:{},message:on,completed", go.display());
    let id = create(&clients, &server.work(), &script).await.unwrap().session_id;
    Watcher::start(&clients, &id).message("ready").await;
    let running = pid_file(&server, &id, 1);
    let mut health = HealthClient::new(channel(&server).await)
        .watch(HealthCheckRequest::default())
        .await
        .unwrap()
        .into_inner();
    let serving = health.message().await.unwrap().unwrap();
    assert_eq!(serving.status(), ServingStatus::Serving);
    let watching = tokio::spawn({
        let (clients, id) = (clients.clone(), id.clone());
        async move { watch(&clients, &id).await }
    });
    let waiting = tokio::spawn({
        let request = WaitSessionRequest { session_id: id.clone(), ..Default::default() };
        let mut sessions = clients.sessions.clone();
        async move { sessions.wait_session(request).await }
    });
    // Both calls are with the server when it counts the watch and has answered
    // a later call of the same connection.
    ledger::open_watches(&clients, 1).await;

    server.ask_to_stop();

    let told = health.message().await.unwrap().unwrap();
    assert_eq!(told.status(), ServingStatus::NotServing);
    let (last_seq, ended) = watching.await.unwrap();
    assert_eq!((ended.code(), reason(&ended).as_str()), (Code::Unavailable, "SHUTTING_DOWN"));
    let info = ended.get_details_error_info().unwrap();
    assert_eq!(info.metadata["last_seq"], last_seq.to_string());
    let ended = waiting.await.unwrap().unwrap_err();
    assert_eq!((ended.code(), reason(&ended).as_str()), (Code::Unavailable, "SHUTTING_DOWN"));
    assert_eq!(health.message().await.unwrap(), None, "nothing more will be told");
    // With every connection still open.
    let status = server.stopped();
    assert_eq!(status.code(), Some(0), "{}", server.log());
    assert!(!server.home().join("switchboard.sock").exists());
    assert!(!server.home().join("server.json").exists());

    assert!(switchboard::supervise::pidfd(&running).is_ok(), "the supervisor lives");
    server.start();
    let clients = server.connect().await;
    assert_eq!(ledger::get(&clients, &id).await.state(), SessionState::Running);
    std::fs::write(&go, "").unwrap();
    let session = rest(&clients, &id).await;
    assert_eq!(session.state(), SessionState::Completed);
    assert_eq!(pid_file(&server, &id, 1), running);
    check(&server, &session, &events(&clients, &id).await);
}

/// Clients that hold on: one does not read its watch, one does not finish its request.
async fn stuck_clients(server: &Server) -> impl Sized + use<> {
    let clients = server.connect().await;
    let script = "thread,turn,big:3000000,big:3000000,big:3000000,message:end,completed";
    let id = create(&clients, &server.work(), script).await.unwrap().session_id;
    rest(&clients, &id).await;
    let unread = server.connect().await;
    let request = WatchEventsRequest {
        session_ids: vec![id],
        start_seq: 1,
        max_event_bytes: 16 << 20,
        ..WatchEventsRequest::default()
    };
    let mut unread = unread.events.clone().max_decoding_message_size(usize::MAX);
    let mut unread = unread.watch_events(request).await.unwrap().into_inner();
    // With the first large event the server is on its way with the next, for which there
    // is no room.
    loop {
        let message = unread.message().await.unwrap().unwrap().message;
        if matches!(message, Some(Message::Event(event)) if event.raw.len() > 1_000_000) {
            break;
        }
    }
    let mut unfinished = TcpStream::connect(server.tcp()).unwrap();
    unfinished.write_all(b"POST /healthz HTTP/1.1\r\nhost: localhost\r\n").unwrap();
    (clients, unread, unfinished)
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_are_stuck_do_not_hold_the_server_beyond_its_deadline() {
    let mut server = ledger::setup().arg("--drain-deadline").arg("200ms").start();
    let _stuck = stuck_clients(&server).await;

    server.ask_to_stop();

    assert_eq!(server.stopped().code(), Some(0));
    assert!(server.log().contains("closing connections that did not finish in time"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_the_server_at_once() {
    let mut server = ledger::setup().arg("--drain-deadline").arg(FOR_EVER).start();
    let _stuck = stuck_clients(&server).await;

    server.ask_to_stop();
    while !server.log().contains("draining") {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    server.ask_to_stop();

    assert_eq!(server.stopped().code(), Some(1));
    server.start();
    let clients = server.connect().await;
    assert_eq!(ledger::list(&clients).await.len(), 1);
}

/// A call whose thread in the server waits for ever: a pipe is in a file's place.
async fn stuck_thread(server: &Server) -> impl Sized + use<> {
    let clients = server.connect().await;
    let id = create(&clients, &server.work(), "thread,turn,completed").await.unwrap().session_id;
    rest(&clients, &id).await;
    let pipe = turn_files(server, &id, 1).stderr();
    std::fs::remove_file(&pipe).unwrap();
    mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let request = ReadOutputRequest {
        session_id: id.clone(),
        stream: OutputStream::Stderr.into(),
        ..ReadOutputRequest::default()
    };
    let mut sessions = clients.sessions.clone();
    let mut call = Box::pin(async move { sessions.read_output(request).await.map(drop) });
    // It is with the server when that has answered a later call.
    tokio::select! {
        biased;
        answer = &mut call => panic!("the pipe was read: {answer:?}"),
        _ = ledger::get(&clients, &id) => {}
    }
    call
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thread_that_hangs_does_not_keep_a_server_that_has_stopped() {
    let mut server = ledger::setup().arg("--drain-deadline").arg("200ms").start();
    let _stuck = stuck_thread(&server).await;

    server.ask_to_stop();

    assert_eq!(server.stopped().code(), Some(0));
    for said in ["closing connections that did not finish in time", "stopped"] {
        assert!(server.log().contains(said), "{}", server.log());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_is_created_while_the_server_stops_is_whole_or_was_refused() {
    let mut server = ledger::setup().start();
    let clients = server.connect_to_socket().await;
    let mut creations = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (clients, work) = (clients.clone(), server.work());
        creations.spawn(async move { create(&clients, &work, "thread,turn,completed").await });
    }
    server.ask_to_stop();
    assert_eq!(server.stopped().code(), Some(0));
    let mut created = std::collections::BTreeSet::new();
    while let Some(answer) = creations.join_next().await {
        match answer.unwrap() {
            Ok(session) => drop(created.insert(session.session_id)),
            Err(refused) => match refused.get_details_error_info() {
                Some(told) => assert_eq!(told.reason, "SHUTTING_DOWN", "{refused:?}"),
                // The client's own words for a call that the server did not take
                // any more, as its library has them: never sent, refused with the
                // GOAWAY, or on a connection that was closed.
                None => assert!(
                    matches!(refused.code(), Code::Unavailable | Code::Cancelled | Code::Unknown),
                    "{refused:?}"
                ),
            },
        }
    }
    server.start();

    let listed = ledger::list(&clients).await;
    assert!(created.iter().all(|id| listed.iter().any(|session| session.session_id == *id)));
    for session in listed {
        let session = rest(&clients, &session.session_id).await;
        assert_eq!(session.state(), SessionState::Completed, "{session:#?}");
        check(&server, &session, &events(&clients, &session.session_id).await);
    }
}
