//! Interrupting a turn through the server: the supervisor does it, whatever
//! becomes of the server meanwhile.

use std::io::Write as _;

use rustix::process::Signal;
use switchboard::proto::{InterruptTurnRequest, Session, SessionState};
use tempfile::NamedTempFile;
use tonic::Status;

use crate::{
    harness::{Clients, Server},
    ledger::{self, Watcher, check, create, end, events, reason, rest, states},
};

/// A server whose stops take their steps soon after each other.
fn start() -> (Server, NamedTempFile) {
    let mut config = NamedTempFile::new().unwrap();
    config.write_all(b"[turns]\ninterrupt_grace = '50ms'\nterminate_grace = '50ms'\n").unwrap();
    let server = ledger::setup().arg("--config").arg(config.path()).start();
    (server, config)
}

async fn interrupt(clients: &Clients, id: &str) -> Result<Session, Status> {
    let request = InterruptTurnRequest { session_id: id.to_owned(), ..Default::default() };
    let answer = clients.sessions.clone().interrupt_turn(request).await?;
    Ok(answer.into_inner().session.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_is_interrupted_by_sigint() {
    let server = ledger::setup().start();
    let clients = server.connect().await;
    let id = create(&clients, &server.work(), "thread,turn,message:ready,sleep").await;
    let id = id.unwrap().session_id;
    let mut watcher = Watcher::start(&clients, &id);
    watcher.message("ready").await;

    let stopping = interrupt(&clients, &id).await.unwrap();

    assert_eq!(stopping.state(), SessionState::Stopping);
    let events = watcher.rest(1).await;
    let session = rest(&clients, &id).await;
    assert_eq!(session.state(), SessionState::Interrupted);
    assert_eq!(session.last_turn.as_ref().unwrap().exit_code, Some(1));
    use SessionState::{Interrupted, Running, Stopping};
    assert_eq!(states(&events, 1), [Running, Stopping, Interrupted]);
    check(&server, &session, &events);
    let refused = interrupt(&clients, &id).await.unwrap_err();
    assert_eq!(reason(&refused), "NO_ACTIVE_TURN");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_does_not_listen_is_interrupted_in_the_end_with_all_it_started() {
    let (server, _config) = start();
    let clients = server.connect().await;
    let script = "ignore-int,ignore-term,child,daemonize,thread,turn,message:ready,sleep";
    let id = create(&clients, &server.work(), script).await.unwrap().session_id;
    let mut watcher = Watcher::start(&clients, &id);
    watcher.message("ready").await;

    let first = interrupt(&clients, &id).await.unwrap();
    let second = interrupt(&clients, &id).await;

    assert_eq!(first.state(), SessionState::Stopping);
    match second {
        Ok(session) => assert_eq!(session.state(), SessionState::Stopping),
        // On a machine that is busy all the steps may be over by then.
        Err(refused) => assert_eq!(reason(&refused), "NO_ACTIVE_TURN"),
    }
    let events = watcher.rest(1).await;
    let session = rest(&clients, &id).await;
    assert_eq!(session.state(), SessionState::Interrupted);
    let signal = Signal::KILL.as_raw().unsigned_abs();
    assert_eq!(session.last_turn.as_ref().unwrap().signal, Some(signal));
    use SessionState::{Interrupted, Running, Stopping};
    assert_eq!(states(&events, 1), [Running, Stopping, Interrupted], "a stop is said once");
    server.assert_no_survivors();
    check(&server, &session, &events);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_is_carried_out_although_the_server_dies_behind_its_answer() {
    let (mut server, _config) = start();
    let clients = server.connect_to_socket().await;
    let script = "ignore-int,ignore-term,thread,turn,message:ready,sleep";
    let id = create(&clients, &server.work(), script).await.unwrap().session_id;
    Watcher::start(&clients, &id).message("ready").await;

    interrupt(&clients, &id).await.unwrap();
    server.kill_and_start();

    let session = rest(&clients, &id).await;
    let events = events(&clients, &id).await;
    assert_eq!(session.state(), SessionState::Interrupted);
    use SessionState::{Interrupted, Running, Stopping};
    assert_eq!(states(&events, 1), [Running, Stopping, Interrupted]);
    check(&server, &session, &events);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_interrupted_agent_still_says_is_kept_and_decides() {
    let server = ledger::setup().start();
    let clients = server.connect().await;
    let go = server.work().join("go");
    let script = format!(
        "ignore-int,thread,turn,message:ready,wait:{},message:last words,completed",
        go.display()
    );
    let id = create(&clients, &server.work(), &script).await.unwrap().session_id;
    let mut watcher = Watcher::start(&clients, &id);
    watcher.message("ready").await;

    interrupt(&clients, &id).await.unwrap();
    std::fs::write(&go, "").unwrap();

    let events = watcher.rest(1).await;
    let session = rest(&clients, &id).await;
    let (state, _) = events.iter().find_map(end).unwrap();
    assert_eq!((state, session.state()), (SessionState::Completed, SessionState::Completed));
    watcher.message("last words").await;
    check(&server, &session, &events);
}
