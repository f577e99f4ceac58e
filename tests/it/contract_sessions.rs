//! The rest of `/api`, followed row by row by a client in Python
//! (`tests/clients/python/api`): sessions, turns, transcripts, and the stream.

use std::{
    ffi::OsString,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Command, Stdio},
};

use serde_json::Value;
use switchboard::proto::{CreateSessionRequest, Session};

use crate::{
    harness::{Clients, Server},
    ledger, toolchain,
};

/// A part of the client, to be run with these arguments.
fn part(server: &Server, name: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(toolchain::python());
    command.arg(toolchain::tests_dir().join("clients/python/api"));
    command.arg(name).arg(server.tcp().to_string()).arg(server.token()).args(arguments);
    command
}

/// Runs a part of the client to its end, which must be a success; gives what it
/// printed.
pub(crate) fn follow(server: &Server, name: &str, arguments: &[&str]) -> Value {
    let output = part(server, name, arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap_or_default()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A session that a system owns, with a turn that waits for the file `system`.
async fn of_a_system(server: &Server, clients: &Clients) -> String {
    let go = server.work().join("system");
    let request = CreateSessionRequest {
        session: Some(Session {
            working_directory: server.work().display().to_string(),
            system_owned: true,
            ..Session::default()
        }),
        prompt: format!("FAKE_AGENT=thread,turn,wait:{},message,completed", go.display()),
        ..CreateSessionRequest::default()
    };
    let made = clients.sessions.clone().create_session(request).await.unwrap();
    made.into_inner().session.unwrap().session_id
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_made_shown_changed_and_deleted_by_the_contract_also_after_a_kill() {
    let mut server = ledger::setup().start();
    let clients = server.connect().await;
    let system = of_a_system(&server, &clients).await;
    let start = std::env::current_dir().unwrap();
    let work = server.work();

    let known = follow(&server, "sessions", &[text(&start), text(&work), &system]);
    let deleted = known["deleted"].as_str().unwrap();
    let kept = follow(&server, "transcripts", &[text(&work)]);

    server.kill_and_start();
    let arguments = [kept["kept"].as_str().unwrap(), deleted, &system];
    follow(&server, "after_restart", &arguments);
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_listed_by_the_contract() {
    let server = ledger::setup().start();
    let system = of_a_system(&server, &server.connect().await).await;
    follow(&server, "listing", &[&system]);
}

#[test]
fn turns_are_begun_shown_and_interrupted_by_the_contract() {
    let server = ledger::setup().start();
    follow(&server, "turns", &[text(&server.work())]);
}

#[test]
fn what_agents_cannot_do_is_refused_by_the_contract() {
    let server = ledger::setup().start();
    follow(&server, "unsupported", &[text(&server.work())]);
}

#[tokio::test(flavor = "multi_thread")]
async fn sockets_are_told_what_they_watch_by_the_contract() {
    let server = ledger::setup().start();
    let system = of_a_system(&server, &server.connect().await).await;
    follow(&server, "stream", &[text(&server.work()), &system]);
}

#[test]
fn a_socket_that_is_opened_during_a_turn_is_not_told_what_was_before() {
    let server = ledger::setup().start();
    follow(&server, "midway", &[text(&server.work())]);
}

#[test]
fn sockets_that_send_too_much_or_may_not_be_there_are_refused() {
    let server = ledger::setup().start();
    follow(&server, "limits", &[]);
}

#[test]
fn a_socket_that_is_not_read_holds_nobody_up_and_loses_nothing() {
    let server = ledger::setup().start();
    follow(&server, "slow", &[text(&server.work()), "2000"]);
}

#[test]
fn a_server_that_goes_down_says_so_to_its_sockets_and_does_not_wait_for_deaf_ones() {
    let drain = OsString::from("60s");
    let mut server = ledger::setup().arg("--drain-deadline").arg(drain).start();
    let work = server.work();
    let mut client = part(&server, "draining", &[text(&work), "8"]);
    let mut client = client.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(client.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "open\n");

    // The harness does not wait for as long as the deadline is.
    assert!(server.stop().success());

    let output = client.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(!server.log().contains("did not"), "{}", server.log());
}
