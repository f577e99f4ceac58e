//! How a turn is stopped: the steps, their order, and that nothing survives.

use std::time::{Duration, SystemTime};

use rustix::process::{Signal, kill_process};
use switchboard::supervise::{
    Exit, Outcome, Stop, StopMode, StopStep, Stopped, VERSION, read_stop, request_stop,
};

use super::{FOR_EVER, Turn, pid};

fn stopped(exit: &Exit, turn: &Turn) -> (Outcome, StopMode, String, StopStep) {
    let Stopped { mode, actor, request_time, step } = exit.stopped.clone().unwrap();
    if let Some(request) = read_stop(&turn.files).unwrap() {
        assert_eq!((request.mode, &request.actor, request.time), (mode, &actor, request_time));
    }
    assert_eq!(turn.survivors(), [].into());
    (exit.outcome.clone(), mode, actor, step)
}

/// Stops an agent that follows `script`. The steps named in `futile` are given a
/// short grace, the others for ever, so that the outcome hangs on no race.
fn stop_when_it_says_here(
    script: &str,
    mode: StopMode,
    futile: &[StopStep],
) -> (Outcome, StopMode, String, StopStep) {
    let grace = |step| {
        if futile.contains(&step) { Duration::from_millis(30) } else { FOR_EVER }
    };
    let mut turn = Turn::new(&format!("{script},message:here,sleep"));
    turn.spec.grace.interrupt = grace(StopStep::Interrupt);
    turn.spec.grace.kill = grace(StopStep::Interrupt);
    turn.spec.grace.terminate = grace(StopStep::Terminate);
    let mut turn = turn.launch();
    turn.wait_for_message("here");
    turn.stop(mode, "someone");
    let exit = turn.end();
    assert!(exit.stopped.as_ref().unwrap().request_time <= exit.end_time);
    stopped(&exit, &turn)
}

const KILLED: Outcome = Outcome::Signalled { signal: 9, core_dumped: false };
const TERMINATED: Outcome = Outcome::Signalled { signal: 15, core_dumped: false };
/// How the agent ends on SIGINT.
const INTERRUPTED: Outcome = Outcome::Exited { code: 1 };

#[test]
fn an_interrupt_ends_a_polite_agent_at_the_first_step() {
    let seen = stop_when_it_says_here("turn", StopMode::Interrupt, &[]);
    let expected = (INTERRUPTED, StopMode::Interrupt, "someone".to_owned(), StopStep::Interrupt);
    assert_eq!(seen, expected);
}

#[test]
fn an_interrupt_of_an_agent_deaf_to_sigint_goes_on_to_sigterm() {
    let futile = [StopStep::Interrupt];
    let seen = stop_when_it_says_here("ignore-int", StopMode::Interrupt, &futile);
    let expected = (TERMINATED, StopMode::Interrupt, "someone".to_owned(), StopStep::Terminate);
    assert_eq!(seen, expected);
}

#[test]
fn an_interrupt_of_an_agent_deaf_to_both_goes_on_to_sigkill() {
    let futile = [StopStep::Interrupt, StopStep::Terminate];
    let seen = stop_when_it_says_here("ignore-int,ignore-term", StopMode::Interrupt, &futile);
    let expected = (KILLED, StopMode::Interrupt, "someone".to_owned(), StopStep::Kill);
    assert_eq!(seen, expected);
}

#[test]
fn a_kill_leaves_nothing_of_a_tree_that_resists() {
    let script = "ignore-int,ignore-term,child,setsid-child,daemonize,daemonize,daemonize-clean,writer,fork-loop";
    let futile = [StopStep::Interrupt, StopStep::Terminate];
    let seen = stop_when_it_says_here(script, StopMode::Kill, &futile);
    assert_eq!(seen, (KILLED, StopMode::Kill, "someone".to_owned(), StopStep::Kill));
}

#[test]
fn an_interrupt_leaves_nothing_behind_a_polite_agent_either() {
    let script = "child,setsid-child,daemonize,daemonize-clean,writer,fork-loop";
    let seen = stop_when_it_says_here(script, StopMode::Interrupt, &[]);
    let expected = (INTERRUPTED, StopMode::Interrupt, "someone".to_owned(), StopStep::Interrupt);
    assert_eq!(seen, expected);
}

#[test]
fn a_stop_that_is_there_first_keeps_the_agent_from_starting() {
    for mode in [StopMode::Interrupt, StopMode::Kill] {
        let turn = Turn::new("message:never");
        turn.stop(mode, "someone");
        let mut turn = turn.launch();
        let exit = turn.end();
        let expected = (Outcome::NotStarted, mode, "someone".to_owned(), StopStep::NotStarted);
        assert_eq!(stopped(&exit, &turn), expected);
        assert_eq!(turn.stdout(), "");
    }
}

#[test]
fn a_stop_at_any_moment_of_the_start_is_not_missed() {
    for _ in 0..10 {
        let mut turn = Turn::new("sleep").launch();
        turn.stop(StopMode::Kill, "someone");
        let exit = turn.end();
        let (_, mode, ..) = stopped(&exit, &turn);
        assert_eq!(mode, StopMode::Kill);
    }
}

#[test]
fn sigterm_to_the_supervisor_is_an_interrupt() {
    let mut turn = Turn::new("message:here,sleep");
    turn.spec.grace.interrupt = FOR_EVER;
    let mut turn = turn.launch();
    turn.wait_for_message("here");
    kill_process(pid(turn.wait_for_agent().supervisor_pid), Signal::TERM).unwrap();
    let exit = turn.end();
    let expected = (INTERRUPTED, StopMode::Interrupt, "SIGTERM".to_owned(), StopStep::Interrupt);
    assert_eq!(stopped(&exit, &turn), expected);
}

#[test]
fn a_kill_hastens_an_interrupt_that_is_under_way() {
    let mut turn = Turn::new("ignore-int,message:here,sleep");
    turn.spec.grace.interrupt = FOR_EVER;
    turn.spec.grace.terminate = FOR_EVER;
    let mut turn = turn.launch();
    turn.wait_for_message("here");
    turn.stop(StopMode::Interrupt, "the first");
    turn.stop(StopMode::Kill, "the second");
    let exit = turn.end();
    let expected = (TERMINATED, StopMode::Kill, "the second".to_owned(), StopStep::Terminate);
    assert_eq!(stopped(&exit, &turn), expected);
}

#[test]
fn a_later_request_that_is_not_harder_changes_nothing() {
    let at = |mode, actor: &str| Stop {
        version: VERSION,
        mode,
        actor: actor.to_owned(),
        time: SystemTime::UNIX_EPOCH,
    };
    for (first, second, kept) in [
        (StopMode::Interrupt, StopMode::Interrupt, "the first"),
        (StopMode::Interrupt, StopMode::Kill, "the second"),
        (StopMode::Kill, StopMode::Interrupt, "the first"),
        (StopMode::Kill, StopMode::Kill, "the first"),
    ] {
        let turn = Turn::new("message:never");
        request_stop(&turn.files, &at(first, "the first")).unwrap();
        request_stop(&turn.files, &at(second, "the second")).unwrap();
        let mode = if kept == "the first" { first } else { second };
        assert_eq!(read_stop(&turn.files).unwrap(), Some(at(mode, kept)));
    }
}

#[test]
fn a_request_without_a_nudge_is_found() {
    let mut turn = Turn::new("message:here,sleep");
    turn.spec.grace.interrupt = FOR_EVER;
    let mut turn = turn.launch();
    turn.wait_for_message("here");
    // As a server leaves it that dies after the writing.
    let request = Stop::now(StopMode::Interrupt, "someone");
    std::fs::write(turn.files.stop(), serde_json::to_vec(&request).unwrap()).unwrap();
    let exit = turn.end();
    let expected = (INTERRUPTED, StopMode::Interrupt, "someone".to_owned(), StopStep::Interrupt);
    assert_eq!(stopped(&exit, &turn), expected);
}

#[test]
fn a_request_of_a_later_version_is_an_interrupt() {
    let turn = Turn::new("message:never");
    std::fs::write(turn.files.stop(), r#"{"version":2,"mode":"pause"}"#).unwrap();
    let mut turn = turn.launch();
    let exit = turn.end();
    let stop = exit.stopped.unwrap();
    assert_eq!((exit.outcome, stop.mode), (Outcome::NotStarted, StopMode::Interrupt));
}

#[test]
fn a_stop_after_the_end_changes_nothing() {
    let mut turn = Turn::new("exit:0").launch();
    let exit = turn.end();
    turn.stop(StopMode::Kill, "too late");
    assert_eq!(switchboard::supervise::read_exit(&turn.files).unwrap(), Some(exit));
}
