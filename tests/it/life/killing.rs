//! Kills: nothing of the tree is left, and each has one clear answer.

use switchboard::proto::{InterruptTurnRequest, Session, SessionState};
use tokio::task::JoinSet;

use super::kill;
use crate::{
    harness::Server,
    ledger::{self, Watcher, check, create, events, get, reason, rest, start_turn, states},
};

/// A server whose stops take their steps soon after each other.
fn quick() -> Server {
    ledger::setup().config("[turns]\nkill_grace = '50ms'\nterminate_grace = '50ms'\n").start()
}

fn is_alive(pid: u32) -> bool {
    std::path::Path::new(&format!("/proc/{pid}")).exists()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_leaves_nothing_of_a_tree_that_resists() {
    let server = quick();
    let clients = server.connect().await;
    let script = "ignore-int,ignore-term,child,setsid-child,daemonize,daemonize-clean,writer,fork-loop,thread,turn,message:ready,sleep";
    let id = create(&clients, &server.work(), script).await.unwrap().session_id;
    let mut watcher = Watcher::start(&clients, &id);
    watcher.message("ready").await;
    assert!(server.descendants().len() > 5);

    let stopping = kill(&clients, &id).await.unwrap();

    assert_eq!(stopping.state(), SessionState::Stopping);
    let session = rest(&clients, &id).await;
    assert_eq!(session.state(), SessionState::Killed);
    server.assert_no_survivors();
    let events = watcher.rest(1).await;
    use SessionState::{Killed, Running, Stopping};
    assert_eq!(states(&events, 1), [Running, Stopping, Killed]);
    check(&server, &session, &events);

    // It is a session like any other.
    start_turn(&clients, &id, "thread,turn,completed").await.unwrap();
    assert_eq!(rest(&clients, &id).await.state(), SessionState::Completed);
}

#[tokio::test(flavor = "multi_thread")]
async fn killing_twice_is_killing_once_and_nothing_is_killed_after_the_end() {
    let server = quick();
    let clients = server.connect().await;
    let script = "ignore-int,ignore-term,thread,turn,message:ready,sleep";
    let id = create(&clients, &server.work(), script).await.unwrap().session_id;
    let mut watcher = Watcher::start(&clients, &id);
    watcher.message("ready").await;

    for _ in 0..2 {
        assert_eq!(kill(&clients, &id).await.unwrap().state(), SessionState::Stopping);
    }

    let session = rest(&clients, &id).await;
    let events = watcher.rest(1).await;
    check(&server, &session, &events);
    let refused = kill(&clients, &id).await.unwrap_err();
    assert_eq!(reason(&refused), "NO_ACTIVE_TURN");
    assert_eq!(get(&clients, &id).await, session);
    assert_eq!(ledger::events(&clients, &id).await, events);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_hastens_an_interrupt_that_an_agent_does_not_hear() {
    let server = ledger::setup()
        .config("[turns]\ninterrupt_grace = '1h'\nkill_grace = '50ms'\nterminate_grace = '50ms'\n")
        .start();
    let clients = server.connect().await;
    let script = "ignore-int,ignore-term,thread,turn,message:ready,sleep";
    let id = create(&clients, &server.work(), script).await.unwrap().session_id;
    Watcher::start(&clients, &id).message("ready").await;

    let request = InterruptTurnRequest { session_id: id.clone(), ..Default::default() };
    clients.sessions.clone().interrupt_turn(request).await.unwrap();
    kill(&clients, &id).await.unwrap();

    let session = rest(&clients, &id).await;
    assert_eq!(session.state(), SessionState::Killed);
    check(&server, &session, &events(&clients, &id).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_at_any_moment_of_a_start_leaves_nothing_running() {
    let server = quick();
    let clients = server.connect().await;
    let mut kills = JoinSet::new();
    for _ in 0..10 {
        let (clients, work) = (clients.clone(), server.work());
        kills.spawn(async move {
            let id = create(&clients, &work, "thread,turn,sleep").await.unwrap().session_id;
            assert_eq!(kill(&clients, &id).await.unwrap().state(), SessionState::Stopping);
            rest(&clients, &id).await
        });
    }
    let killed: Vec<Session> = kills.join_all().await;
    for session in killed {
        assert_eq!(session.state(), SessionState::Killed, "{session:#?}");
        let turn = session.last_turn.as_ref().unwrap();
        assert!(turn.pid == 0 || !is_alive(turn.pid), "{turn:#?}");
    }
    server.assert_no_survivors();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_is_finished_although_the_server_dies_behind_its_answer() {
    let mut server = quick();
    let clients = server.connect_to_socket().await;
    let script = "ignore-int,ignore-term,daemonize,thread,turn,message:ready,sleep";
    let id = create(&clients, &server.work(), script).await.unwrap().session_id;
    Watcher::start(&clients, &id).message("ready").await;

    kill(&clients, &id).await.unwrap();
    server.kill();
    server.assert_no_survivors();
    server.start();

    let session = rest(&clients, &id).await;
    assert_eq!(session.state(), SessionState::Killed);
    check(&server, &session, &events(&clients, &id).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_of_what_is_not_there_says_so() {
    let server = ledger::setup().start();
    let clients = server.connect().await;
    let unknown = "2f1c6a3e-8d0b-4c55-9a77-0d5a4a3f9b21";
    assert_eq!(reason(&kill(&clients, unknown).await.unwrap_err()), "SESSION_NOT_FOUND");
    assert_eq!(reason(&kill(&clients, "2f1c").await.unwrap_err()), "INVALID_ARGUMENT");
}
