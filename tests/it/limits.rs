//! The limits of a turn, as a server sets them and says how they ended it.

use std::fs;

use switchboard::proto::{Session, SessionState, StateReason};
use tempfile::TempDir;

use crate::{
    harness::{Server, Setup},
    ledger::{self, Watcher, check, create, events, rest, there, turn_files},
};

/// A server whose configuration file says this, and the file's place.
fn configured(text: &str) -> (Setup, TempDir) {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("config.toml");
    fs::write(&path, text).unwrap();
    (ledger::setup().arg("--config").arg(path), place)
}

fn end(session: &Session) -> (SessionState, StateReason, Option<u32>, String) {
    let turn = session.last_turn.clone().unwrap();
    (session.state(), session.state_reason(), turn.exit_code, turn.error)
}

/// Runs one turn to its end, and checks what must hold for every session.
async fn ended(server: &Server, script: &str) -> (SessionState, StateReason, Option<u32>, String) {
    let clients = server.connect_to_socket().await;
    let id = create(&clients, &server.work(), script).await.unwrap().session_id;
    let session = rest(&clients, &id).await;
    check(server, &session, &events(&clients, &id).await);
    server.assert_no_survivors();
    end(&session)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turn_that_falls_silent_fails_as_inactive() {
    let (setup, _file) = configured("[turns]\ninactivity_limit = '3s'\n");
    let seen = ended(&setup.start(), "thread,turn,message:here,setsid-child,sleep").await;
    let text = "the agent printed nothing for its inactivity limit of 3s".to_owned();
    assert_eq!(seen, (SessionState::Failed, StateReason::Inactive, Some(1), text));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turn_that_takes_too_long_fails_with_its_deadline() {
    let (setup, _file) = configured("[turns]\nwall_clock_limit = '3s'\n");
    let seen = ended(&setup.start(), "thread,turn,until:never").await;
    let text = "the turn took longer than its wall-clock limit of 3s".to_owned();
    assert_eq!(seen, (SessionState::Failed, StateReason::Deadline, Some(1), text));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turn_that_prints_too_much_fails_with_its_output_limit() {
    let (setup, _file) = configured("[turns]\noutput_limit = '100KB'\n");
    let seen = ended(&setup.start(), "thread,turn,big:200000,sleep").await;
    let text = "the agent printed more than its output limit of 100KB".to_owned();
    assert_eq!(seen, (SessionState::Failed, StateReason::OutputLimit, Some(1), text));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_that_is_passed_behind_a_completed_turn_does_not_undo_it() {
    let (setup, _file) = configured("[turns]\ninactivity_limit = '3s'\n");
    let seen = ended(&setup.start(), "thread,turn,message:here,completed,sleep").await;
    let expected = (SessionState::Completed, StateReason::Unspecified, Some(1), String::new());
    assert_eq!(seen, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_holds_although_the_server_was_killed() {
    let (setup, _file) = configured("[turns]\nwall_clock_limit = '3s'\n");
    let mut server = setup.start();
    let clients = server.connect_to_socket().await;
    let script = "thread,turn,message:here,sleep";
    let id = create(&clients, &server.work(), script).await.unwrap().session_id;
    Watcher::start(&clients, &id).message("here").await;

    server.kill();
    there(&turn_files(&server, &id, 1).exit()).await;
    server.start();

    let session = rest(&clients, &id).await;
    let text = "the turn took longer than its wall-clock limit of 3s".to_owned();
    let expected = (SessionState::Failed, StateReason::Deadline, Some(1), text);
    assert_eq!(end(&session), expected);
    check(&server, &session, &events(&clients, &id).await);
}
