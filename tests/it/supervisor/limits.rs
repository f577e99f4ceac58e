//! The limits of a turn: what passes them, what does not, and how the turn ends.

use std::{
    fs,
    time::{Duration, Instant},
};

use rustix::process::{Signal, kill_process};
use switchboard::supervise::{Exit, Limit, Limits, Outcome, StopMode, StopStep, read_exit};

use super::{FOR_EVER, Turn, pid};

/// Long enough for an agent to come to its first step, and then to print more
/// often than this, on a machine that is busy.
const LIMIT: Duration = Duration::from_secs(2);

const INACTIVITY: Limits = Limits { inactivity: Some(LIMIT), wall_clock: None, output_bytes: None };

/// How the agent ends on SIGINT.
const INTERRUPTED: Outcome = Outcome::Exited { code: 1 };

/// A turn whose steps wait for ever, so that the first must work.
fn limited(script: &str, limits: Limits) -> Turn {
    let mut turn = Turn::new(script);
    turn.spec.limits = limits;
    turn.spec.grace.kill = FOR_EVER;
    turn.spec.grace.terminate = FOR_EVER;
    turn
}

fn end(mut turn: Turn) -> Exit {
    let exit = turn.end();
    assert_eq!(turn.survivors(), [].into());
    exit
}

fn outcome(exit: &Exit) -> (Outcome, Option<Limit>) {
    assert_eq!(exit.stopped, None, "nobody asked");
    (exit.outcome.clone(), exit.limit)
}

fn took(exit: &Exit) -> Duration {
    exit.end_time.duration_since(exit.start_time).unwrap()
}

#[test]
fn an_agent_that_prints_nothing_any_more_is_ended() {
    let exit = end(limited("message:here,sleep", INACTIVITY).launch());
    assert_eq!(outcome(&exit), (INTERRUPTED, Some(Limit::Inactivity)));
    assert!(took(&exit) >= LIMIT, "{exit:?}");
}

#[test]
fn a_limit_ends_a_tree_that_resists_as_a_kill_does() {
    let script = "ignore-int,ignore-term,child,setsid-child,daemonize,daemonize-clean,sleep";
    let mut turn = limited(script, INACTIVITY);
    turn.spec.grace.kill = Duration::from_millis(30);
    turn.spec.grace.terminate = Duration::from_millis(30);
    // Only a kill's grace counts.
    turn.spec.grace.interrupt = FOR_EVER;
    let exit = end(turn.launch());
    let killed = Outcome::Signalled { signal: 9, core_dumped: false };
    assert_eq!(outcome(&exit), (killed, Some(Limit::Inactivity)));
}

#[test]
fn an_agent_that_goes_on_printing_is_not_inactive() {
    let mut turn = limited("", Limits { inactivity: Some(LIMIT), ..Limits::default() });
    let gate = turn.path("gate");
    turn.spec.env[0].1 = format!("until:{}", gate.display());
    let turn = turn.launch();
    let begin = Instant::now();
    turn.wait_until("it has printed for longer than the limit", || begin.elapsed() > LIMIT * 5 / 2);
    fs::File::create(gate).unwrap();
    assert_eq!(outcome(&end(turn)), (Outcome::Exited { code: 0 }, None));
}

#[test]
fn words_on_stderr_are_activity_too() {
    let script = ["stderr:still here,sleep:0.6"; 8].join(",");
    let turn = limited(&script, Limits { inactivity: Some(LIMIT), ..Limits::default() }).launch();
    let exit = end(turn);
    assert_eq!(outcome(&exit), (Outcome::Exited { code: 0 }, None));
    assert!(took(&exit) > LIMIT * 2, "{exit:?}");
}

#[test]
fn an_agent_that_runs_too_long_is_ended_however_much_it_prints() {
    let limits = Limits { wall_clock: Some(LIMIT), ..Limits::default() };
    let mut turn = limited("", limits);
    turn.spec.env[0].1 = format!("until:{}", turn.path("never").display());
    let exit = end(turn.launch());
    assert_eq!(outcome(&exit), (INTERRUPTED, Some(Limit::WallClock)));
    assert!(took(&exit) >= LIMIT, "{exit:?}");
}

#[test]
fn an_agent_that_prints_too_much_is_ended() {
    for (script, bytes) in [("big:100000,sleep", 50_000), ("stderr:too much,sleep", 5)] {
        let limits = Limits { output_bytes: Some(bytes), ..Limits::default() };
        let exit = end(limited(script, limits).launch());
        assert_eq!(outcome(&exit), (INTERRUPTED, Some(Limit::Output)), "{script}");
    }
}

#[test]
fn an_agent_within_all_limits_ends_by_itself() {
    let limits = Limits {
        inactivity: Some(FOR_EVER),
        wall_clock: Some(FOR_EVER),
        output_bytes: Some(1_000_000),
    };
    let exit = end(limited("print:100,stderr:well,exit:3", limits).launch());
    assert_eq!(outcome(&exit), (Outcome::Exited { code: 3 }, None));
}

#[test]
fn a_request_that_comes_while_a_limit_ends_the_turn_takes_its_place() {
    let turn = limited("message:here,sleep", INACTIVITY).launch();
    turn.wait_for_message("here");
    let agent = pid(turn.wait_for_agent().agent_pid.unwrap());
    // Stopped, so that the first step waits for its effect.
    kill_process(agent, Signal::STOP).unwrap();
    let status = format!("/proc/{}/status", agent.as_raw_nonzero());
    turn.wait_until("SIGINT was sent", || {
        let status = fs::read_to_string(&status).unwrap();
        let pending = status.lines().find_map(|line| line.strip_prefix("ShdPnd:")).unwrap();
        u64::from_str_radix(pending.trim(), 16).unwrap() & 2 != 0
    });
    turn.stop(StopMode::Interrupt, "someone");
    kill_process(agent, Signal::CONT).unwrap();
    let exit = end(turn);
    let stopped = exit.stopped.unwrap();
    assert_eq!(
        (exit.outcome, exit.limit, stopped.mode, &*stopped.actor, stopped.step),
        (INTERRUPTED, None, StopMode::Interrupt, "someone", StopStep::Interrupt)
    );
}

#[test]
fn an_exit_file_that_names_a_limit_of_a_later_version_can_be_read() {
    let mut turn = Turn::new("exit:1").launch();
    let exit = turn.end();
    let text = fs::read_to_string(turn.files.exit()).unwrap();
    let later = text.replace(r#""limit": null"#, r#""limit": {"memory": 4096}"#);
    assert_ne!(later, text);
    fs::write(turn.files.exit(), later).unwrap();
    let expected = Exit { limit: Some(Limit::Other), ..exit };
    assert_eq!(read_exit(&turn.files).unwrap(), Some(expected));
}
