//! Directories that somebody removed: it is said once, every answer is clear,
//! turns come to their ends, and the session can be deleted.

use std::{fs, path::Path};

use switchboard::proto::{KillSessionRequest, SessionState, StateReason};

use super::segments::{READ_ONLY, delete, hole, said};
use crate::{
    harness::{Clients, Server},
    ledger::{
        self, Watcher, check, create, events, events_after, get, list, reason, rest,
        session_directory, start_turn,
    },
};

const ENDED: &str = "thread,turn,print:3,completed";

async fn server() -> (Server, Clients) {
    let server = ledger::setup().start();
    let clients = server.connect_to_socket().await;
    (server, clients)
}

async fn kill(clients: &Clients, id: &str) {
    let request = KillSessionRequest { session_id: id.to_owned(), ..Default::default() };
    clients.sessions.clone().kill_session(request).await.unwrap();
}

/// Every answer about a session at rest whose log is gone, and then its end.
async fn is_clear_and_can_be_deleted(server: &Server, clients: &Clients, id: &str) {
    for _ in 0..2 {
        assert_eq!(get(clients, id).await.state(), SessionState::Completed);
        let refused = start_turn(clients, id, ENDED).await.unwrap_err();
        assert_eq!(reason(&refused), "SESSION_READ_ONLY", "{refused:?}");
        assert_eq!(said(server, READ_ONLY), 1);
    }
    delete(server, clients, id).await;
    assert_eq!(list(clients).await.len(), 1);
}

/// The other session is as it was, and goes on.
async fn goes_on(server: &Server, clients: &Clients, other: &str) {
    start_turn(clients, other, ENDED).await.unwrap();
    let session = rest(clients, other).await;
    check(server, &session, &events(clients, other).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_whose_directory_is_removed_while_the_server_is_down_is_left_alone() {
    let (mut server, clients) = server().await;
    let other = create(&clients, &server.work(), ENDED).await.unwrap().session_id;
    let id = create(&clients, &server.work(), ENDED).await.unwrap().session_id;
    rest(&clients, &other).await;
    rest(&clients, &id).await;
    server.kill();
    fs::remove_dir_all(session_directory(&server, &id)).unwrap();
    server.start();

    assert_eq!(hole(&events_after(&clients, &id, 0).await.unwrap_err()), (1, None));
    is_clear_and_can_be_deleted(&server, &clients, &id).await;
    goes_on(&server, &clients, &other).await;
    server.kill_and_start();
    assert_eq!(said(&server, READ_ONLY), 1);
    goes_on(&server, &clients, &other).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_whose_directory_is_removed_beside_the_server_is_left_alone() {
    for removed in ["", "events"] {
        let (server, clients) = server().await;
        let other = create(&clients, &server.work(), ENDED).await.unwrap().session_id;
        let id = create(&clients, &server.work(), ENDED).await.unwrap().session_id;
        rest(&clients, &other).await;
        rest(&clients, &id).await;
        fs::remove_dir_all(session_directory(&server, &id).join(removed)).unwrap();

        is_clear_and_can_be_deleted(&server, &clients, &id).await;
        goes_on(&server, &clients, &other).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_whose_directory_is_gone_can_be_deleted_at_once() {
    let (mut server, clients) = server().await;
    let id = create(&clients, &server.work(), ENDED).await.unwrap().session_id;
    rest(&clients, &id).await;
    server.kill();
    fs::remove_dir_all(session_directory(&server, &id)).unwrap();
    server.start();
    delete(&server, &clients, &id).await;
    assert_eq!(list(&clients).await, []);
}

/// Sessions whose turns run, one until `go` is there and one until it is killed.
async fn two_running(server: &Server, clients: &Clients, go: &Path) -> (String, String) {
    let waits = format!("thread,turn,message:ready,wait:{},completed", go.display());
    let waits = create(clients, &server.work(), &waits).await.unwrap().session_id;
    let sleeps = "thread,turn,message:ready,ignore-int,ignore-term,daemonize,sleep";
    let sleeps = create(clients, &server.work(), sleeps).await.unwrap().session_id;
    for id in [&waits, &sleeps] {
        Watcher::start(clients, id).message("ready").await;
    }
    (waits, sleeps)
}

#[tokio::test(flavor = "multi_thread")]
async fn turns_come_to_their_ends_though_their_directories_are_removed_while_they_run() {
    for removed in ["", "events"] {
        let (mut server, clients) = server().await;
        let go = server.work().join("go");
        let (waits, sleeps) = two_running(&server, &clients, &go).await;
        for id in [&waits, &sleeps] {
            fs::remove_dir_all(session_directory(&server, id).join(removed)).unwrap();
        }
        // They are looked for now and then, and first of all by whoever asks.
        for id in [&waits, &sleeps] {
            assert_eq!(
                reason(&start_turn(&clients, id, ENDED).await.unwrap_err()),
                "SESSION_READ_ONLY"
            );
        }
        fs::write(&go, "").unwrap();
        kill(&clients, &sleeps).await;

        let session = rest(&clients, &waits).await;
        assert_eq!(session.state(), SessionState::Completed, "{removed:?}: {session:#?}");
        let session = rest(&clients, &sleeps).await;
        assert_eq!(session.state(), SessionState::Killed, "{removed:?}: {session:#?}");
        server.assert_no_survivors();
        assert_eq!(said(&server, READ_ONLY), 2);
        // The rows have it, and nobody looks for more at the next start.
        server.kill_and_start();
        assert_eq!(said(&server, READ_ONLY), 2);
        assert_eq!(get(&clients, &waits).await.state(), SessionState::Completed);
        for id in [&waits, &sleeps] {
            delete(&server, &clients, id).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn turns_whose_whole_directories_are_removed_while_the_server_is_down_are_lost() {
    let (mut server, clients) = server().await;
    let go = server.work().join("go");
    let (waits, sleeps) = two_running(&server, &clients, &go).await;
    server.kill();
    for id in [&waits, &sleeps] {
        fs::remove_dir_all(session_directory(&server, id)).unwrap();
    }
    server.start();
    for id in [&waits, &sleeps] {
        let session = rest(&clients, id).await;
        assert_eq!(
            (session.state(), session.state_reason()),
            (SessionState::Failed, StateReason::Lost),
            "{session:#?}"
        );
    }
    // What ran was found by its marks.
    server.assert_no_survivors();
    for id in [&waits, &sleeps] {
        delete(&server, &clients, id).await;
    }
    assert_eq!(list(&clients).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_can_be_opened_again_has_all_of_a_turn_that_went_on_without_it() {
    let (mut server, clients) = server().await;
    let go = server.work().join("go");
    let script = format!("thread,turn,message:ready,wait:{},completed", go.display());
    let id = create(&clients, &server.work(), &script).await.unwrap().session_id;
    Watcher::start(&clients, &id).message("ready").await;
    server.kill();
    // As an error of the disk, which passes.
    let log = session_directory(&server, &id).join("events");
    let away = server.work().join("events");
    fs::rename(&log, &away).unwrap();
    fs::write(&log, "").unwrap();
    server.start();
    assert_eq!(said(&server, READ_ONLY), 1);
    assert_eq!(reason(&events_after(&clients, &id, 0).await.unwrap_err()), "SESSION_READ_ONLY");
    assert_eq!(get(&clients, &id).await.state(), SessionState::Running);
    fs::remove_file(&log).unwrap();
    fs::rename(&away, &log).unwrap();
    fs::write(&go, "").unwrap();

    // This reads the row and loads nothing.
    let session = rest(&clients, &id).await;

    assert_eq!(session.state(), SessionState::Completed);
    check(&server, &session, &events(&clients, &id).await);
    assert_eq!(said(&server, "can be opened again"), 1);
    assert_eq!(said(&server, "session cannot be adopted"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_cannot_be_loaded_at_the_start_is_loaded_as_soon_as_it_can_be() {
    let (mut server, clients) = server().await;
    let go = server.work().join("go");
    let script = format!("thread,turn,message:ready,wait:{},completed", go.display());
    let id = create(&clients, &server.work(), &script).await.unwrap().session_id;
    Watcher::start(&clients, &id).message("ready").await;
    server.kill();
    // Neither the log nor what became of the turn can be read.
    let directory = session_directory(&server, &id);
    let away = server.work().join("session");
    fs::rename(&directory, &away).unwrap();
    fs::write(&directory, "").unwrap();
    server.start();
    assert_eq!(said(&server, "session cannot be adopted"), 1);
    assert_eq!(reason(&events_after(&clients, &id, 0).await.unwrap_err()), "INTERNAL");
    assert_eq!(get(&clients, &id).await.state(), SessionState::Running);
    fs::write(&go, "").unwrap();
    fs::remove_file(&directory).unwrap();
    fs::rename(&away, &directory).unwrap();

    // This reads the row and loads nothing.
    let session = rest(&clients, &id).await;

    assert_eq!(session.state(), SessionState::Completed);
    check(&server, &session, &events(&clients, &id).await);
    assert_eq!(said(&server, "session cannot be adopted"), 1);
    assert_eq!(said(&server, "has an owner again"), 1);
}
