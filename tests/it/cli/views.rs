//! Reading sessions at a terminal: messages, steps, turns, diagnostics.

use std::path::Path;

use serde_json::Value;

use super::{code, done, replay, sessions, text};
use crate::{harness::Server, ledger};

/// The id of the only session of a home.
fn only(home: &Path) -> String {
    sessions(home)[0]["sessionId"].as_str().unwrap().to_owned()
}

fn values(bytes: &[u8]) -> Vec<Value> {
    text(bytes).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_session_is_read_as_messages_steps_and_turns() {
    let server = Server::new();
    let home = server.home();
    assert_eq!(code(&done(&home, ["run", "do it", &replay("cmd_fail")])), 0);
    assert_eq!(code(&done(&home, ["send", &only(&home)[..8], "again"])), 0);
    let id = &only(&home)[..8];

    let shown = text(&done(&home, ["sessions", "messages", id, "--turn", "2"]).stdout);
    assert!(shown.starts_with("turn 2\nyou\n    again\n\nnote: "), "{shown}");
    let command = "$ echo out; echo err >&2; exit 3\n";
    assert!(shown.contains(command) && shown.contains("    err\n    exit 3\n"), "{shown}");
    assert!(shown.ends_with("agent\n    Commands failed.\n\n"), "{shown}");
    let messages = values(&done(&home, ["sessions", "messages", id, "--json"]).stdout);
    assert_eq!(messages.len(), 10);
    assert_eq!(messages[0]["role"], "MESSAGE_ROLE_USER");
    assert_eq!(messages[0]["content"]["text"], "do it");
    assert_eq!(messages[7]["exitCode"], 3);

    let shown = text(&done(&home, ["sessions", "trajectory", id]).stdout);
    assert!(shown.starts_with("turn 1\n   1 you        do it\n   2 warning "), "{shown}");
    assert!(shown.contains("turn 2\n   1 you        again\n"), "{shown}");
    let cut = done(&home, ["--json", "sessions", "trajectory", id, "--max-characters", "4"]);
    let steps = values(&cut.stdout);
    assert_eq!(steps.len(), 10);
    assert_eq!(steps[4]["message"]["text"], "Comm");
    assert_eq!(steps[4]["message"]["truncated"], true);
    assert_eq!(steps[4]["message"]["totalCharacters"], "16");
    let whole = values(&done(&home, ["--json", "sessions", "trajectory", id, "--full"]).stdout);
    assert_eq!(whole[4]["message"]["text"], "Commands failed.");
    let both = done(&home, ["sessions", "trajectory", id, "--full", "--max-characters", "4"]);
    assert_eq!(code(&both), 2);
    let none = done(&home, ["--json", "sessions", "trajectory", id, "--turn", "3"]);
    assert_eq!(code(&none), 1);
    assert_eq!(values(&none.stderr)[0]["reason"], "TURN_NOT_FOUND");

    let shown = text(&done(&home, ["sessions", "turns", id]).stdout);
    let rows: Vec<Vec<&str>> =
        shown.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows.len(), 3, "{shown}");
    assert_eq!((rows[1][0], rows[1][1], rows[2][0]), ("1", "completed", "2"), "{shown}");
    let turns = values(&done(&home, ["--json", "sessions", "turns", id]).stdout);
    assert_eq!(turns.len(), 2);
    assert_eq!(turns[0]["usage"]["inputTokens"], "300");
}

#[test]
fn the_whole_of_a_long_output_is_there_for_programs_and_its_end_for_people() {
    let server = Server::new();
    let home = server.home();
    assert_eq!(code(&done(&home, ["run", "x", &replay("big_output")])), 0);
    let id = &only(&home)[..8];
    let messages = values(&done(&home, ["--json", "sessions", "messages", id]).stdout);
    let output = messages[2]["content"]["text"].as_str().unwrap();
    assert!(output.len() > 1_000_000, "{}", output.len());
    let shown = text(&done(&home, ["sessions", "messages", id]).stdout);
    assert!(shown.len() < 10_000, "{}", shown.len());
    let shown = text(&done(&home, ["sessions", "trajectory", id]).stdout);
    assert!(shown.len() < 10_000 && shown.contains(" characters)"), "{shown}");
}

#[test]
fn the_diagnostics_of_each_turn_are_printed_as_they_are() {
    let server = ledger::setup().start();
    let home = server.home();
    let work = server.work();
    let run = |script: &str| {
        let prompt = format!("FAKE_AGENT=thread,turn,stderr:{script},completed");
        done(&home, ["run", "-C", work.to_str().unwrap(), &prompt])
    };
    assert_eq!(code(&run("one \u{1b}[31mred")), 0);
    let id = only(&home);
    let sent = done(&home, ["send", &id, "FAKE_AGENT=thread,turn,stderr:two,completed"]);
    assert_eq!(code(&sent), 0);
    let stderr = |arguments: &[&str]| {
        done(&home, [&["sessions", "stderr", &id[..8]], arguments].concat()).stdout
    };
    assert_eq!(text(&stderr(&["--turn", "1"])), "one \u{1b}[31mred\n");
    assert_eq!(text(&stderr(&[])), "two\n");
    let chunks = values(&stderr(&["--json"]));
    assert_eq!(
        (&chunks[0]["turn"], &chunks[0]["data"]),
        (&Value::from(2), &Value::from("dHdvCg=="))
    );
}

#[test]
fn a_session_shows_what_it_takes_and_who_began_it() {
    let server = Server::new();
    let home = server.home();
    assert_eq!(code(&done(&home, ["run", "do it", &replay("basic")])), 0);
    let id = only(&home);
    let shown = text(&done(&home, ["sessions", "show", &id[..8]]).stdout);
    let value = |name: &str| {
        let line = shown.lines().find(|line| line.split_whitespace().next() == Some(name));
        line.map(|line| line[name.len()..].trim().to_owned())
    };
    assert_eq!(value("session").as_deref(), Some(id.as_str()));
    assert_eq!(value("state").as_deref(), Some("completed"));
    assert_eq!(value("process").as_deref(), Some("exit 0"));
    assert_eq!(value("source").as_deref(), Some("you"));
    assert_eq!(value("prompt").as_deref(), Some("do it"));
    assert!(value("runtime").is_some() && value("disk").is_some(), "{shown}");
    let session = values(&done(&home, ["--json", "sessions", "show", &id]).stdout);
    assert_eq!(session[0]["sessionId"], Value::from(id));
    assert!(session[0]["diskBytes"].as_str().unwrap().parse::<u64>().unwrap() > 0);
}
