//! What a refusal tells comes through to whoever typed the command, and to its
//! programs, whole.

use super::*;
use crate::ledger::{self, Watcher};

/// What a command that is refused says to people.
fn shown(home: &Path, arguments: &[&str]) -> String {
    text(&done(home, arguments).stderr)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_keeps_its_reason_and_all_that_one_needs_to_act() {
    let server = server_with_session(ledger::setup()).await;
    let (home, work) = (server.home(), server.work());
    let other = "aaaa2222-0000-4000-8000-000000000000";
    make(&server, other).await;
    let wait = format!("FAKE_AGENT=thread,turn,message:ready,wait:{}", work.join("gate").display());
    said(&home, &["send", "--detach", &ID[..8], &wait]);
    // From here on nothing happens in it: each command is refused twice with the same words.
    Watcher::start(&server.connect().await, ID).message("ready").await;
    let cases: [(&[&str], &str, &str, Value); 6] = [
        (
            &["sessions", "show", "aaaa"],
            "FAILED_PRECONDITION",
            "AMBIGUOUS_ID",
            json!({"prefix": "aaaa", "matches": format!("{ID},{other}")}),
        ),
        (
            &["sessions", "show", "bbbb"],
            "NOT_FOUND",
            "SESSION_NOT_FOUND",
            json!({"session_id": "bbbb"}),
        ),
        (
            &["send", ID, "x"],
            "FAILED_PRECONDITION",
            "SESSION_RUNNING",
            json!({"session_id": ID, "state": "SESSION_STATE_RUNNING"}),
        ),
        (
            &["sessions", "interrupt", other],
            "FAILED_PRECONDITION",
            "NO_ACTIVE_TURN",
            json!({"session_id": other, "state": "SESSION_STATE_PENDING"}),
        ),
        (
            &["sessions", "output", ID, "--turn", "9"],
            "NOT_FOUND",
            "TURN_NOT_FOUND",
            json!({"session_id": ID, "turn": "9", "turn_count": "1"}),
        ),
        (
            &["sessions", "watch", ID, "--start", "1000"],
            "INVALID_ARGUMENT",
            "INVALID_ARGUMENT",
            json!({"field": "start_seq"}),
        ),
    ];
    for (command, grpc, reason, metadata) in cases {
        let (error, exit) = refused(&home, command);
        let told = (&error["code"], &error["reason"], &error["metadata"], exit);
        assert_eq!(told, (&json!(grpc), &json!(reason), &metadata, 1), "{command:?}");
        let shown = shown(&home, command);
        assert!(shown.starts_with(&format!("error: {}", error["message"].as_str().unwrap())));
    }
    let ambiguous = shown(&home, &["sessions", "show", "aaaa"]);
    assert!(ambiguous.ends_with(&format!("\n  {ID}\n  {other}\n")), "{ambiguous}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_succeed_later_says_when() {
    let server = Setup::new().codex(Path::new("/nonexistent/codex")).start();
    let work = server.work().display().to_string();
    let (error, exit) = refused(&server.home(), &["run", "-C", &work, "x"]);
    let told = (&error["reason"], &error["retryAfter"], exit);
    assert_eq!(told, (&json!("AGENT_UNAVAILABLE"), &json!("1s"), 1), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_grpc_cuts_short_is_said_to_be_and_where_the_whole_is() {
    let mut server = server_with_session(Setup::new().config("")).await;
    let home = server.home();
    let long = json!("long ".repeat(400)).to_string();
    said(&home, &["settings", "set", "--scope=default", "a", &long]);
    server.stop();
    std::fs::write(server.config_file(), "[controls]\nlock_defaults = true\n").unwrap();
    server.start();
    let write = ["settings", "set", "--scope=default", "b", "1"];
    let (error, _) = refused(&home, &write);
    assert_eq!(error["metadata"]["truncated"], "true", "{error}");
    assert_eq!(error["metadata"]["approval_policy"], "untrusted", "{error}");
    let shown = shown(&home, &write);
    for said in ["cut short", "settings get --scope default", "/rpc"] {
        assert!(shown.contains(said), "{said} in {shown}");
    }
    let whole = told(&home, &["settings", "get", "--scope=default"]);
    assert_eq!(whole["settings"]["a"].to_string(), long);
}
