//! Settings, controls and their audit, as a person or a script uses them on the
//! command line: the program against a real server.

use std::{
    io::Write as _,
    path::Path,
    process::{Output, Stdio},
};

use serde_json::{Value, json};
use switchboard::proto::{CreateSessionRequest, Session};

use crate::{
    cli::{Started, code, done, switchboard, text},
    harness::{Server, Setup},
};

mod audit;
mod controls;
mod lost;
mod paths;
mod refused;
mod values;

const ID: &str = "aaaa1111-0000-4000-8000-000000000000";

/// A server with a session that has no turn.
async fn server_with_session(setup: Setup) -> Server {
    let server = setup.start();
    make(&server, ID).await;
    server
}

/// Makes a session with this id that has no turn.
async fn make(server: &Server, id: &str) {
    let session =
        Session { working_directory: server.work().display().to_string(), ..Session::default() };
    let request = CreateSessionRequest {
        session: Some(session),
        session_id: id.to_owned(),
        ..CreateSessionRequest::default()
    };
    server.connect().await.sessions.clone().create_session(request).await.unwrap();
}

/// Runs a command that must succeed, and returns what it prints.
fn said(home: &Path, arguments: &[&str]) -> String {
    let output = done(home, arguments);
    assert_eq!(code(&output), 0, "{arguments:?}: {output:?}");
    text(&output.stdout)
}

/// Runs a command that must succeed, and returns the objects that it prints.
fn all_told(home: &Path, arguments: &[&str]) -> Vec<Value> {
    let said = said(home, &[&["--json"], arguments].concat());
    said.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Runs a command that must succeed, and returns the one object that it prints.
fn told(home: &Path, arguments: &[&str]) -> Value {
    let mut told = all_told(home, arguments);
    assert_eq!(told.len(), 1, "{told:?}");
    told.remove(0)
}

/// Runs a command that must fail, and returns its error as programs see it, and
/// its exit code.
fn refused(home: &Path, arguments: &[&str]) -> (Value, i32) {
    let output = done(home, [&["--json"], arguments].concat());
    let errors = text(&output.stderr);
    let last = errors.lines().last().unwrap_or_default();
    let error = serde_json::from_str(last)
        .unwrap_or_else(|error| panic!("{arguments:?}: {error}: {output:?}"));
    (error, code(&output))
}

/// All settings of the session.
fn settings(home: &Path) -> Value {
    told(home, &["settings", "get", ID])["settings"].clone()
}

/// Runs a command with this on its standard input.
fn fed(home: &Path, arguments: &[&str], input: &str) -> Output {
    let mut command = switchboard(home);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn the_help_has_examples_and_the_completions_know_the_commands() {
    let nowhere = Path::new("/nonexistent");
    for command in [
        ["settings", "get"],
        ["settings", "set"],
        ["settings", "unset"],
        ["controls", "get"],
        ["controls", "apply"],
        ["audit", "list"],
        ["audit", "watch"],
        ["audit", "show"],
        ["audit", "verify"],
    ] {
        let help = said(nowhere, &[command[0], command[1], "--help"]);
        let line = format!("  switchboard {} {}", command[0], command[1]);
        assert!(help.contains("Examples:") && help.contains(&line), "{help}");
    }
    let script = said(nowhere, &["completions", "bash"]);
    for word in ["settings", "--no-path", "--approval-policy", "--newest-first", "--known"] {
        assert!(script.contains(word), "{word} in the completions");
    }
}
