//! Kills, interrupts, deletions and waits.

use std::time::Instant;

use serde_json::json;

use super::*;
use crate::{ledger::session_directory, terminal::Terminal};

const DEAF: &str = "ignore-int,ignore-term,child,setsid-child,daemonize";

/// Waits until no process of the server's agents is there: the supervisor ends a
/// moment after it has said how the agent did.
fn nothing_is_left(server: &Server) {
    let begin = Instant::now();
    while !server.descendants().is_empty() {
        assert!(begin.elapsed() < ledger::GIVE_UP, "{:?} run on", server.descendants());
    }
}

#[test]
fn a_kill_ends_an_agent_that_ignores_signals_and_all_that_it_started() {
    let server = ledger::setup().start();
    let home = server.home();
    let id = begin_and_see(&server, DEAF);
    assert!(server.descendants().len() >= 4);
    assert_eq!(said(&home, &["sessions", "kill", &id[..8]]), format!("{id}  killed\n"));
    nothing_is_left(&server);
    let again = done(&home, ["sessions", "kill", &id[..8]]);
    assert_eq!(code(&again), 1);
    assert!(text(&again.stderr).contains("has no running turn"), "{again:?}");
}

#[test]
fn of_several_sessions_those_that_run_are_killed() {
    let server = ledger::setup().start();
    let home = server.home();
    let (one, two) = (begin_and_see(&server, "signals"), begin_and_see(&server, "signals"));
    let rests = complete(&server, "at rest");
    let killed = done(&home, ["--json", "sessions", "kill", &one, &rests, &two, &one[..8]]);
    assert_eq!(refused(&killed), ("NO_ACTIVE_TURN".into(), 1));
    let printed = text(&killed.stdout);
    let printed: Vec<Value> =
        printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let printed: Vec<_> = printed.iter().map(|it| (&it["sessionId"], &it["state"])).collect();
    let killed = json!("SESSION_STATE_KILLED");
    assert_eq!(printed, [(&json!(one), &killed), (&json!(two), &killed)]);
}

#[test]
fn an_interrupted_session_can_go_on() {
    let server = ledger::setup().start();
    let home = server.home();
    let id = begin_and_see(&server, "signals");
    assert_eq!(said(&home, &["sessions", "interrupt", &id[..8]]), format!("{id}  interrupted\n"));
    let nothing = done(&home, ["--json", "sessions", "interrupt", &id]);
    assert_eq!(refused(&nothing), ("NO_ACTIVE_TURN".into(), 1));
    said(&home, &["send", &id[..8], "FAKE_AGENT=thread,turn,completed"]);

    let id = begin_and_see(&server, DEAF);
    let asked = told(&home, &["sessions", "interrupt", &id, "--no-wait"]);
    assert_eq!(asked["state"], "SESSION_STATE_STOPPING");
    let asked = said(&home, &["sessions", "kill", &id, "--no-wait"]);
    assert_eq!(asked, format!("{id}  stopping\n"));
    said(&home, &["sessions", "wait", &id, "--state=killed", "--state=interrupted"]);
}

#[test]
fn nothing_is_deleted_without_a_word_where_nobody_can_be_asked() {
    let server = ledger::setup().start();
    let home = server.home();
    let id = begin_and_see(&server, "signals");
    let commands: [&[&str]; 3] =
        [&["delete", &id], &["kill", &id, "--delete"], &["cleanup", "--older-than=0s"]];
    for command in commands {
        let output = done(&home, [&["sessions"], command].concat());
        assert_eq!(code(&output), 2, "{command:?}");
        assert!(text(&output.stderr).contains("--yes"), "{output:?}");
    }
    assert_eq!(state(&home, &id), "SESSION_STATE_RUNNING");
    // Without something to delete there is nothing to agree to.
    assert_eq!(code(&done(&home, ["sessions", "kill", &id, "--yes"])), 2);
}

#[test]
fn what_is_deleted_is_said_in_full_and_gone() {
    let server = ledger::setup().start();
    let home = server.home();
    let id = complete(&server, "to go");
    let output = done(&home, ["sessions", "delete", &id[..8], "--yes"]);
    assert_eq!((text(&output.stdout), code(&output)), (format!("{id}  deleted\n"), 0));
    let notes = text(&output.stderr);
    assert!(notes.contains(&format!("{id}  completed    to go\n")), "{notes}");
    assert!(!session_directory(&server, &id).exists());
    let again = done(&home, ["--json", "sessions", "delete", &id, "--yes"]);
    assert_eq!(refused(&again), ("SESSION_DELETED".into(), 1));

    let id = begin_and_see(&server, DEAF);
    let deleted = told(&home, &["sessions", "kill", "--delete", "--yes", &id[..8]]);
    assert_eq!(
        (&deleted["sessionId"], &deleted["state"]),
        (&json!(id), &json!("SESSION_STATE_KILLED"))
    );
    nothing_is_left(&server);
    assert_eq!(sessions(&home).len(), 0);
}

#[test]
fn on_a_terminal_it_is_asked_first() {
    let server = ledger::setup().start();
    let home = server.home();
    let id = complete(&server, "to go");
    let answered = |arguments: &[&str], answer: &str| {
        let mut command = switchboard(&home);
        command.args(arguments);
        let mut terminal = Terminal::start(command, 80, 24);
        let asked = terminal.until("? [y/N] ").to_owned();
        assert!(asked.contains(&format!("{id}  completed    to go")), "{asked}");
        terminal.press(answer);
        terminal.end()
    };
    for no in ["n\n", "\n", "yess\n", "\x04"] {
        let (seen, code) = answered(&["sessions", "delete", &id[..8]], no);
        assert_eq!(code, 1, "{seen}");
        assert!(seen.contains("nothing was deleted"), "{seen}");
    }
    let (_, code) = answered(&["sessions", "cleanup", "--older-than=0s"], "n\n");
    assert_eq!(code, 1);
    let (_, code) = answered(&["sessions", "kill", &id[..8], "--delete"], "no\n");
    assert_eq!(code, 1);
    assert_eq!(sessions(&home).len(), 1);
    let (seen, code) = answered(&["sessions", "delete", &id[..8]], "Y\n");
    assert_eq!(code, 0, "{seen}");
    assert_eq!(sessions(&home).len(), 0);
}

#[test]
fn a_cleanup_deletes_what_has_had_its_time() {
    let server = ledger::setup().start();
    let home = server.home();
    let old = complete(&server, "old");
    let running = begin_and_see(&server, "signals");
    let fails = begin(&server, "thread,failed:no");
    assert_eq!(code(&done(&home, ["sessions", "wait", &fails])), 1);

    let nothing = done(&home, ["sessions", "cleanup", "--yes"]);
    assert_eq!((text(&nothing.stdout).as_str(), code(&nothing)), ("", 0));
    assert!(text(&nothing.stderr).contains("nothing to clean up"), "{nothing:?}");
    let shown = said(&home, &["sessions", "cleanup", "--older-than=0s", "--dry-run"]);
    assert!(shown.contains(&old) && shown.contains(&fails) && !shown.contains(&running), "{shown}");
    let shown =
        told(&home, &["sessions", "cleanup", "--older-than=0s", "--state=failed", "--dry-run"]);
    assert_eq!(shown, json!({"sessionIds": [fails]}));
    assert_eq!(sessions(&home).len(), 3);

    let flags = ["sessions", "cleanup", "--older-than=0s", "--yes"];
    assert_eq!(told(&home, &[&flags[..], &["--state=failed"]].concat()), shown);
    let output = done(&home, flags);
    assert_eq!((text(&output.stdout), code(&output)), (format!("{old}  deleted\n"), 0));
    assert!(text(&output.stderr).contains(&format!("{old}  completed    old\n")), "{output:?}");
    assert_eq!(told(&home, &flags), json!({}));
    assert_eq!(sessions(&home).len(), 1);
    assert_eq!(code(&done(&home, [&flags[..], &["--state=running"]].concat())), 2);
}

#[test]
fn a_wait_ends_with_the_wanted_state_or_when_the_time_is_up() {
    let server = ledger::setup().start();
    let home = server.home();
    let go = server.work().join("go");
    let id = begin(&server, &format!("thread,turn,wait:{},failed:no", go.display()));
    said(&home, &["sessions", "wait", &id[..8], "--state=running"]);
    let up = done(&home, ["--json", "sessions", "wait", &id, "--timeout=10ms"]);
    assert_eq!(code(&up), 1);
    let session: Value = serde_json::from_slice(&up.stdout).unwrap();
    assert_eq!(session["state"], "SESSION_STATE_RUNNING");
    assert_eq!(code(&done(&home, ["sessions", "wait", &id, "--timeout=25h"])), 2);

    std::fs::write(go, "").unwrap();
    let failed = done(&home, ["sessions", "wait", &id]);
    assert_eq!((text(&failed.stdout).as_str(), code(&failed)), ("failed\n", 1));
    assert_eq!(said(&home, &["sessions", "wait", &id, "--state=failed"]), "failed\n");
}
