//! The commands that find, change and end sessions, as a person or a script
//! uses them: the program against a real server whose codex is a scripted agent.

use std::{
    path::Path,
    process::{Command, Output},
};

use serde_json::Value;
use switchboard::proto::{CreateSessionRequest, Session};

use crate::{
    cli::{Started, code, done, sessions, switchboard, text},
    harness::{Clients, Server},
    ledger,
};

mod changing;
mod ending;
mod lost;
mod top;

/// The command that gives a new session this script as its prompt.
fn run(server: &Server, script: &str) -> Command {
    let mut command = switchboard(&server.home());
    command.arg("run").arg("-C").arg(server.work()).arg(format!("FAKE_AGENT={script}"));
    command
}

/// The id of a new session whose agent follows this script.
fn begin(server: &Server, script: &str) -> String {
    let started = run(server, script).arg("--detach").output().unwrap();
    assert_eq!(code(&started), 0, "{started:?}");
    text(&started.stdout).trim_end().to_owned()
}

/// The id of a new session whose agent has said "up" and goes on.
fn begin_and_see(server: &Server, script: &str) -> String {
    let id = begin(server, &format!("thread,turn,{script},message:up,sleep"));
    let mut command = switchboard(&server.home());
    let mut watch = Started::new(command.args(["sessions", "watch", &id]));
    // Not the "up" of the prompt.
    watch.until("\nup\n");
    watch.signal(rustix::process::Signal::INT);
    watch.end();
    id
}

/// The id of a new session whose turn is complete.
fn complete(server: &Server, title: &str) -> String {
    let ran = run(server, "thread,turn,completed").args(["--title", title]).output().unwrap();
    assert_eq!(code(&ran), 0, "{ran:?}");
    sessions(&server.home())[0]["sessionId"].as_str().unwrap().to_owned()
}

/// Runs a command that must succeed, and returns what it prints.
fn said(home: &Path, arguments: &[&str]) -> String {
    let output = done(home, arguments);
    assert_eq!(code(&output), 0, "{arguments:?}: {output:?}");
    text(&output.stdout)
}

/// Runs a command that must succeed, and returns the one object that it prints.
fn told(home: &Path, arguments: &[&str]) -> Value {
    let said = said(home, &[&["--json"], arguments].concat());
    serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}"))
}

/// Why a command failed, as it tells programs, and its exit code.
fn refused(output: &Output) -> (Value, i32) {
    let errors = text(&output.stderr);
    let last = errors.lines().last().unwrap_or_default();
    let error: Value =
        serde_json::from_str(last).unwrap_or_else(|error| panic!("{error}: {errors}"));
    (error["reason"].clone(), code(output))
}

fn state(home: &Path, id: &str) -> Value {
    told(home, &["sessions", "show", id])["state"].clone()
}

/// Makes a session with this id that has no turn.
async fn make(clients: &Clients, server: &Server, id: &str) {
    let request = CreateSessionRequest {
        session: Some(Session {
            working_directory: server.work().display().to_string(),
            ..Session::default()
        }),
        session_id: id.to_owned(),
        ..CreateSessionRequest::default()
    };
    clients.sessions.clone().create_session(request).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prefix_names_one_session_or_none() {
    let server = ledger::setup().start();
    let home = server.home();
    let clients = server.connect().await;
    let (one, two) =
        ("aaaa1111-0000-4000-8000-000000000000", "aaaa2222-0000-4000-8000-000000000000");
    make(&clients, &server, one).await;
    make(&clients, &server, two).await;
    let commands: [&[&str]; 8] = [
        &["kill", "aaaa", "--delete", "--yes"],
        &["interrupt", "aaaa"],
        &["fork", "aaaa", "x"],
        &["rename", "aaaa", "x"],
        &["label", "aaaa", "x=y"],
        &["archive", one, "aaaa"],
        &["delete", one, "aaaa", "--yes"],
        &["wait", "aaaa"],
    ];
    for command in commands {
        let output = done(&home, [&["--json", "sessions"], command].concat());
        assert_eq!(refused(&output), ("AMBIGUOUS_ID".into(), 1), "{command:?}");
    }
    let none = done(&home, ["--json", "sessions", "delete", "--yes", "aaaa11", "bbbb"]);
    assert_eq!(refused(&none), ("SESSION_NOT_FOUND".into(), 1));
    // Nothing was done to those that were named rightly beside.
    let listed = sessions(&home);
    let ids: Vec<&str> = listed.iter().map(|it| it["sessionId"].as_str().unwrap()).collect();
    assert_eq!(ids, [two, one]);
    assert!(listed.iter().all(|it| it["title"].is_null() && it["labels"].is_null()), "{listed:?}");
    assert_eq!(said(&home, &["sessions", "rename", "aaaa2", "second"]), format!("{two}  second\n"));
}

#[test]
fn the_completions_know_the_commands() {
    let script = said(Path::new("/nonexistent"), &["completions", "bash"]);
    for word in ["unarchive", "--older-than", "--no-wait", "top"] {
        assert!(script.contains(word), "{word} in the completions");
    }
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("switchboard");
    std::fs::write(&file, script).unwrap();
    let checked = Command::new("bash").arg("-n").arg(file).output().unwrap();
    assert!(checked.status.success(), "{checked:?}");
}
