//! The supervisor of a turn, and the files that it shares with the server.
//!
//! The server is never an agent's parent. For each turn it starts a supervisor,
//! which outlives it, and what both must know lies in files:
//!
//! ```text
//!  server                                 supervisor                        agent
//!  ──────                                 ──────────                        ─────
//!  launch: lock taken, files made ──────▶ standard input is the lock
//!          spec.json                      handlers, setsid, subreaper
//!                                         pid.json (durable)
//!                                         stop.json there? then no agent
//!                                         start ──────────────────────────▶ turn_<n>.jsonl
//!                                         pid.json (with the agent)         turn_<n>.stderr
//!  request_stop: stop.json, nudge ──────▶ asked to, or a limit was passed:
//!                                         SIGINT ─────────────────────────▶
//!                                         SIGTERM to its group ───────────▶
//!                                         SIGKILL to everything ──────────▶ ✝
//!                                         every descendant that is left: SIGKILL
//!                                         stdout and stderr synced
//!                                         exit.json (durable)
//!  judge: lock, exit.json, lost ◀──────── lock released by the end of the process
//! ```
//!
//! An agent that exits at once because it refuses its arguments, in words that
//! the spec names, is started a second time with others, when nothing of the
//! first runs any more. Server and clients see one turn.
//!
//! What follows from that order: while the lock is held the turn lives; once
//! `exit.json` is there, nothing of the turn runs and its output is complete; a
//! free lock without `exit.json` means that the supervisor died, and then, if
//! `pid.json` is there, the turn is lost, else it never had an agent.
//!
//! The session's owner calls [`launch()`], [`request_stop`] and [`judge()`];
//! `main` calls [`main()`] before anything else. This module must never start a
//! runtime, a thread in the supervisor, or a log: a supervisor waits for hours
//! and there is one for each running turn. It depends on nothing of the server
//! but the turn's number.
//!
//! Deliberately absent: descriptors that the server itself inherited without
//! close-on-exec pass on to the agent, as under any parent; closing them by
//! number cannot be written without `unsafe`. And work that the agent hands to
//! a daemon that is not its descendant (docker, systemd-run) is out of reach.

mod agent;
mod fallback;
mod files;
mod judge;
mod launch;
mod limits;
mod procfs;
mod records;
mod shim;
mod signals;
mod stopping;

pub use self::{
    fallback::Fallback,
    files::{TurnFiles, read_exit, read_pid, read_spec, read_stop},
    judge::{Verdict, give_up, judge},
    launch::{Error, Launched, THIS_PROGRAM, launch, pidfd, request_stop},
    limits::{Limit, Limits},
    records::{
        Exit, Grace, Outcome, PidFile, SpawnProblem, Spec, Stop, StopMode, StopStep, Stopped,
        VERSION,
    },
    shim::main,
};

/// The environment variable that names an agent's session to it and its descendants.
pub const SESSION_VARIABLE: &str = "SWITCHBOARD_SESSION";

/// The environment variable that names an agent's turn to it and its descendants.
pub const TURN_VARIABLE: &str = "SWITCHBOARD_TURN";

/// The variable that codex gives to every command that it runs.
const THREAD_VARIABLE: &str = "CODEX_THREAD_ID";
