//! The live table of sessions.

use rustix::process::Signal;
use serde_json::json;

use super::*;
use crate::terminal::Terminal;

#[test]
fn the_catalogue_is_told_as_json_across_a_restart() {
    let mut server = ledger::setup().start();
    let home = server.home();
    let there = complete(&server, "there");
    let mut command = switchboard(&home);
    // Standard output is a pipe, so that it needs no --json.
    let mut top = Started::new(command.args(["sessions", "top"]));
    let snapshot = top.until("synced");
    let snapshot: Vec<Value> =
        snapshot.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(snapshot.len(), 2, "{snapshot:?}");
    assert_eq!(snapshot[0]["session"]["sessionId"], json!(there));
    assert_eq!(snapshot[1]["synced"], json!({}));

    server.kill();
    server.start();
    let later = complete(&server, "later");
    said(&home, &["sessions", "delete", "--yes", &there]);
    let seen = top.until("deleted");
    assert!(seen.contains(&later), "{seen}");
    top.signal(Signal::INT);
    let (rest, errors, code) = top.end();
    assert_eq!(code, 130, "{errors}");
    assert!(errors.contains("lost the server") && errors.contains("connected again"), "{errors}");
    // It came back where it was: what did not change was not told again.
    let told: Vec<Value> =
        seen.lines().chain(rest.lines()).map(|line| serde_json::from_str(line).unwrap()).collect();
    let again = told.iter().filter(|it| it["session"]["sessionId"] == json!(there)).count();
    assert_eq!(again, 0, "{told:?}");
    assert_eq!(told.iter().filter(|it| it["deleted"]["sessionId"] == json!(there)).count(), 1);
}

#[test]
fn on_a_terminal_a_table_follows_the_sessions() {
    let mut server = ledger::setup().start();
    let home = server.home();
    let rests = complete(&server, "at rest");
    let runs = begin_and_see(&server, "signals");
    said(&home, &["sessions", "rename", &runs, "goes on"]);
    let mut command = switchboard(&home);
    command.args(["sessions", "top"]).env("TERM", "xterm");
    let mut top = Terminal::start(command, 100, 10);
    let frame = top.until("at rest").to_owned();
    assert!(frame.starts_with("\x1b[?1049h"), "{frame:?}");
    assert!(frame.contains("2 sessions · 1 running"), "{frame:?}");
    assert!(frame.find(&runs[..8]) < frame.find(&rests[..8]), "{frame:?}");
    assert!(frame.contains("\x1b[36mrunning\x1b[0m"), "{frame:?}");
    // The running turn's time goes on by itself.
    top.forget();
    top.until("goes on");

    server.kill();
    top.until("lost the server");
    server.start();
    top.until("connected again");
    top.forget();
    said(&home, &["sessions", "kill", &runs]);
    top.until("\x1b[31mkilled\x1b[0m");
    said(&home, &["sessions", "archive", &runs]);
    top.until("1 session · 0 running");
    top.forget();
    top.resize(20, 10);
    top.until("1 session · 0 runni…");
    top.press("xq");
    let (seen, code) = top.end();
    assert_eq!(code, 0, "{seen}");
    assert!(seen.ends_with("\x1b[?25h\x1b[?1049l"), "{seen:?}");
}

#[test]
fn the_terminal_is_given_back_at_ctrl_c_and_when_the_server_is_of_no_use() {
    let server = ledger::setup().start();
    let mut command = switchboard(&server.home());
    command.args(["sessions", "top"]);
    let mut top = Terminal::start(command, 80, 24);
    top.until("0 sessions");
    top.signal(Signal::INT);
    let (seen, code) = top.end();
    assert_eq!(code, 130);
    assert!(seen.ends_with("\x1b[?1049l"), "{seen:?}");

    let mut command = switchboard(Path::new("/nonexistent"));
    command.args(["sessions", "top"]);
    let (seen, code) = Terminal::start(command, 80, 24).end();
    assert_eq!(code, 3, "{seen}");
    assert!(!seen.contains("\x1b[?1049h"), "{seen:?}");
}
