//! A turn whose agent refuses its arguments and is started again with others.

use std::fs;

use switchboard::supervise::{Exit, Fallback, Outcome, StopMode, StopStep};

use super::{FOR_EVER, Turn};

/// What codex says of a thread that it does not have.
const REFUSAL: &str =
    "Error: thread/resume failed: no rollout found for thread id t1 (code -32600)";

/// A turn that resumes a thread, and begins a new one where there is no such.
fn resuming(script: &str) -> Turn {
    let words = |line: &[&str]| line.iter().map(|word| (*word).to_owned()).collect();
    let mut turn = Turn::new(script);
    turn.spec.args = words(&["exec", "resume", "t1"]);
    turn.spec.fallback = Some(Fallback {
        stderr_contains: words(&["missing source rollout", "no rollout found for thread id"]),
        args: words(&["exec", "--json", "-"]),
    });
    turn
}

fn end(mut turn: Turn) -> Exit {
    let exit = turn.end();
    assert_eq!(turn.survivors(), [].into());
    exit
}

fn stderr(turn: &Turn) -> String {
    fs::read_to_string(turn.files.stderr()).unwrap_or_default()
}

#[test]
fn an_agent_that_refuses_its_arguments_is_started_with_the_others() {
    let script = format!("refuse-resume:{REFUSAL},cwd,env:SWITCHBOARD_TURN,argv,message");
    let mut turn = resuming(&script).launch();
    let exit = turn.end();
    assert_eq!((exit.outcome, exit.fell_back), (Outcome::Exited { code: 0 }, true));
    assert_eq!(
        turn.messages(),
        [
            turn.spec.working_directory.display().to_string(),
            "\"3\"".to_owned(),
            r#"["exec", "--json", "-"]"#.to_owned(),
            "the prompt".to_owned(),
        ]
    );
    assert_eq!(stderr(&turn), format!("{REFUSAL}\n"));
    let names = ["exit.json", "jsonl", "lock", "pid.json", "prompt", "spec.json", "stderr"];
    assert_eq!(turn.names(), names.map(|name| format!("turn_3.{name}")).into());
}

#[test]
fn nothing_of_the_first_run_is_left_when_the_second_starts() {
    let mut turn = resuming("");
    let gate = turn.path("gate");
    turn.spec.env[0].1 = format!(
        "daemonize,setsid-child,refuse-resume:{REFUSAL},message:here,wait:{},exit:3",
        gate.display()
    );
    let mut turn = turn.launch();
    turn.wait_for_message("here");
    // The second run starts the same two.
    let survivors = turn.survivors();
    assert_eq!(survivors.len(), 3, "{survivors:?}");
    let mut agent = 0;
    turn.wait_until("the pid file names the second agent", || {
        agent = turn.wait_for_agent().agent_pid.unwrap();
        fs::read_to_string(format!("/proc/{agent}/cmdline")).is_ok_and(|line| line.contains("-\0"))
    });
    assert!(survivors.contains(&agent.to_string()));
    fs::File::create(gate).unwrap();
    let exit = turn.end();
    // What the exit file says is of the second run.
    assert_eq!(
        (exit.outcome, exit.fell_back, exit.descendants_ended),
        (Outcome::Exited { code: 3 }, true, 2)
    );
    assert_eq!(turn.survivors(), [].into());
}

#[test]
fn an_agent_that_ends_in_another_way_is_not_started_again() {
    let long = "Error: something else at length. ".repeat(1000);
    for script in [
        "stderr:Error: no such model,exit:1".to_owned(),
        format!("stderr:{long},exit:1"),
        format!("stderr:{REFUSAL},exit:0"),
        format!("stderr:{REFUSAL},message:hello,exit:1"),
        format!("stderr:{REFUSAL},partial:x,exit:1"),
        format!("stderr:{REFUSAL},signal:15"),
    ] {
        let mut turn = resuming(&script).launch();
        let exit = turn.end();
        assert!(!exit.fell_back, "{script}: {exit:?}");
        assert_eq!(stderr(&turn).lines().count(), 1, "{script}");
    }
}

#[test]
fn an_agent_that_refuses_both_is_started_twice_only() {
    let mut turn = resuming(&format!("refuse-resume:{REFUSAL}"));
    turn.spec.fallback.as_mut().unwrap().args = turn.spec.args.clone();
    let mut turn = turn.launch();
    let exit = turn.end();
    assert_eq!((exit.outcome, exit.fell_back), (Outcome::Exited { code: 1 }, true));
    assert_eq!(stderr(&turn), format!("{REFUSAL}\n{REFUSAL}\n"));
}

#[test]
fn a_turn_that_is_stopped_does_not_begin_again() {
    let mut turn = resuming(&format!("stderr:{REFUSAL},sleep"));
    turn.spec.grace.interrupt = FOR_EVER;
    let turn = turn.launch();
    turn.wait_until("the agent runs", || !stderr(&turn).is_empty());
    turn.stop(StopMode::Interrupt, "someone");
    let exit = end(turn);
    let step = exit.stopped.unwrap().step;
    let expected = (Outcome::Exited { code: 1 }, false, StopStep::Interrupt);
    assert_eq!((exit.outcome, exit.fell_back, step), expected);
}

#[test]
fn the_second_run_is_stopped_as_the_first_would_be() {
    let mut turn = resuming(&format!("refuse-resume:{REFUSAL},ignore-int,message:here,sleep"));
    turn.spec.grace.terminate = FOR_EVER;
    let turn = turn.launch();
    turn.wait_for_message("here");
    turn.stop(StopMode::Kill, "someone");
    let exit = end(turn);
    let step = exit.stopped.unwrap().step;
    let terminated = Outcome::Signalled { signal: 15, core_dumped: false };
    assert_eq!((exit.outcome, exit.fell_back, step), (terminated, true, StopStep::Terminate));
}
