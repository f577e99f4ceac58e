//! What events do to a session, and how a turn's end is judged: pure functions
//! without clocks, locks or I/O.
//!
//! The log is the truth about what agents do; [`apply`] folds one of its events
//! into the session's row, live and when a restart catches up.

use std::time::SystemTime;

use crate::{
    config::{Size, Span},
    id::TurnNumber,
    proto::{self, EventKind, SessionState, StateReason, event::Kind},
    row::{ERROR_CHARACTERS, ExitStatus, Session, Turn, Verdict, head, is_at_rest},
    supervise::{Limit, Limits},
    time::{system_time, to_micros},
};

/// Whether [`apply`] would change anything, so that batches without such events
/// cost no write to the database.
#[must_use]
pub(crate) fn concerns_row(kind: &Kind) -> bool {
    match kind {
        Kind::ThreadStarted(_)
        | Kind::TurnCompleted(_)
        | Kind::TurnFailed(_)
        | Kind::TurnSpawned(_)
        | Kind::StateChanged(_)
        | Kind::TurnExited(_) => true,
        Kind::TurnStarted(_)
        | Kind::ItemStarted(_)
        | Kind::ItemUpdated(_)
        | Kind::ItemCompleted(_)
        | Kind::Error(_)
        | Kind::Unknown(_)
        | Kind::InvalidLine(_)
        | Kind::SessionCreated(_)
        | Kind::SessionUpdated(_)
        | Kind::SessionDeleted(_)
        | Kind::SettingsChanged(_)
        | Kind::ControlsChanged(_)
        | Kind::Warning(_) => false,
    }
}

/// The same of the number that log records hold.
#[must_use]
pub(crate) fn kind_concerns_row(number: u8) -> bool {
    [
        EventKind::ThreadStarted,
        EventKind::TurnCompleted,
        EventKind::TurnFailed,
        EventKind::TurnSpawned,
        EventKind::StateChanged,
        EventKind::TurnExited,
    ]
    .iter()
    .any(|kind| i32::from(number) == *kind as i32)
}

/// Folds one event of turn `number` into the session. Applying an event twice
/// is the same as applying it once.
pub(crate) fn apply(session: &mut Session, number: TurnNumber, kind: &Kind, time: SystemTime) {
    let Some(turn) = session.last_turn.as_mut().filter(|turn| turn.number == number) else {
        return;
    };
    match kind {
        Kind::ThreadStarted(event) => {
            let another = session.thread_id.as_ref().is_some_and(|had| *had != event.thread_id);
            if another {
                // A new thread counts from zero.
                session.usage = None;
                (turn.usage_before, turn.usage_after) = (None, None);
            }
            session.thread_id = Some(event.thread_id.clone());
        }
        Kind::TurnCompleted(event) => {
            turn.verdict = Some(Verdict::Completed);
            // Cumulative for the thread: a later report replaces an earlier one.
            session.usage = event.usage.or(session.usage);
            turn.usage_after = event.usage.or(turn.usage_after);
        }
        Kind::TurnFailed(event) => {
            turn.verdict = Some(Verdict::Failed(head(&event.message, ERROR_CHARACTERS)));
        }
        Kind::TurnSpawned(event) => session.codex_version.clone_from(&event.codex_version),
        Kind::StateChanged(event) => {
            turn.state = event.state();
            turn.reason = event.reason();
            turn.error.clone_from(&event.error);
            if is_at_rest(turn.state) && turn.end_time.is_none() {
                turn.end_time = Some(time);
            }
        }
        Kind::TurnExited(event) => {
            turn.exit = match (event.exit_code, event.signal) {
                (_, Some(signal)) => Some(ExitStatus::Signal(signal)),
                (Some(code), None) => Some(ExitStatus::Code(code)),
                (None, None) => None,
            };
            let end_time = event.end_time.as_ref().and_then(system_time);
            turn.end_time = end_time.map(to_micros).or(Some(time));
        }
        Kind::TurnStarted(_)
        | Kind::ItemStarted(_)
        | Kind::ItemUpdated(_)
        | Kind::ItemCompleted(_)
        | Kind::Error(_)
        | Kind::Unknown(_)
        | Kind::InvalidLine(_)
        | Kind::SessionCreated(_)
        // The row came first.
        | Kind::SessionUpdated(_)
        | Kind::SessionDeleted(_)
        | Kind::SettingsChanged(_)
        | Kind::ControlsChanged(_)
        | Kind::Warning(_) => return,
    }
    session.update_time = time;
}

/// What stopped a turn from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StopAsked {
    /// Nobody asked.
    No,
    /// An interrupt was asked for.
    Interrupt,
    /// A kill was asked for.
    Kill,
    /// Nobody asked, but the turn passed one of its limits.
    Limit(Limit, Limits),
}

/// All that is known when a turn is over.
#[derive(Debug, Clone)]
pub(crate) struct End {
    /// What the agent itself said.
    pub verdict: Option<Verdict>,
    /// What was asked of it.
    pub stop: StopAsked,
    /// How its process ended.
    pub cause: EndCause,
    /// The agent's last words on stderr, for turns without a verdict.
    pub last_words: Option<String>,
}

/// How a turn's process ended, as far as is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum EndCause {
    /// It exited, and there is an exit file that says so.
    Exited(ExitStatus),
    /// It failed while the disk was full.
    StorageFull,
    /// It could not be executed; why.
    SpawnFailed(String),
    /// No exit file and no supervisor; what is known of it.
    Lost(String),
}

/// The table of the design's section 5: how a turn that is over is called.
#[must_use]
pub(crate) fn judge(end: &End) -> (SessionState, StateReason, String) {
    use SessionState::{Completed, Failed, Interrupted, Killed};
    let words = |otherwise: String| end.last_words.clone().unwrap_or(otherwise);
    match (&end.verdict, &end.cause, end.stop) {
        (Some(Verdict::Completed), _, _) => (Completed, StateReason::Unspecified, String::new()),
        (Some(Verdict::Failed(message)), _, _) => {
            (Failed, StateReason::AgentError, message.clone())
        }
        (None, EndCause::SpawnFailed(problem), StopAsked::No) => {
            (Failed, StateReason::SpawnFailed, problem.clone())
        }
        (None, EndCause::Lost(cause), StopAsked::No) => (Failed, StateReason::Lost, cause.clone()),
        (None, _, StopAsked::Kill) => (Killed, StateReason::Unspecified, String::new()),
        (None, _, StopAsked::Interrupt) => (Interrupted, StateReason::Unspecified, String::new()),
        (None, _, StopAsked::Limit(limit, limits)) => passed(limit, &limits),
        (None, EndCause::StorageFull, StopAsked::No) => {
            (Failed, StateReason::StorageFull, words("the disk was full".to_owned()))
        }
        (None, EndCause::Exited(ExitStatus::Code(0)), StopAsked::No) => (
            Failed,
            StateReason::Incomplete,
            words("the agent exited with status 0 and did not say how the turn ended".to_owned()),
        ),
        (None, EndCause::Exited(ExitStatus::Code(code)), StopAsked::No) => {
            (Failed, StateReason::ExitStatus, words(format!("the agent exited with status {code}")))
        }
        (None, EndCause::Exited(ExitStatus::Signal(signal)), StopAsked::No) => (
            Failed,
            StateReason::ExitStatus,
            words(format!("the agent was ended by signal {signal}")),
        ),
    }
}

/// How a turn is called that passed a limit; the number is left out where the
/// turn's spec cannot be read any more.
fn passed(limit: Limit, limits: &Limits) -> (SessionState, StateReason, String) {
    let of =
        |number: Option<String>| number.map_or(String::new(), |number| format!(" of {number}"));
    let time = |time: Option<std::time::Duration>| of(time.map(|time| Span(time).to_string()));
    let (reason, text) = match limit {
        Limit::Inactivity => (
            StateReason::Inactive,
            format!(
                "the agent printed nothing for its inactivity limit{}",
                time(limits.inactivity)
            ),
        ),
        Limit::WallClock => (
            StateReason::Deadline,
            format!("the turn took longer than its wall-clock limit{}", time(limits.wall_clock)),
        ),
        Limit::Output => (
            StateReason::OutputLimit,
            format!(
                "the agent printed more than its output limit{}",
                of(limits.output_bytes.map(|bytes| Size(bytes).to_string()))
            ),
        ),
        Limit::Other => (
            StateReason::ExitStatus,
            "the turn passed a limit that this version of the server does not know".to_owned(),
        ),
    };
    (SessionState::Failed, reason, text)
}

/// The event that says that `turn` went from one state to another.
#[must_use]
pub(crate) fn state_changed(
    previous: SessionState,
    (state, reason, error): (SessionState, StateReason, String),
) -> Kind {
    Kind::StateChanged(proto::StateChanged {
        previous_state: previous.into(),
        state: state.into(),
        reason: reason.into(),
        error: head(&error, ERROR_CHARACTERS),
    })
}

/// A turn that was just accepted, of a thread that has used `usage` before.
#[must_use]
pub(crate) fn new_turn(
    number: TurnNumber,
    state: SessionState,
    usage: Option<proto::Usage>,
    time: SystemTime,
) -> Turn {
    Turn {
        number,
        state,
        reason: StateReason::Unspecified,
        verdict: None,
        pid: None,
        exit: None,
        start_time: time,
        end_time: None,
        error: String::new(),
        usage_before: usage,
        usage_after: None,
    }
}

#[cfg(test)]
mod tests;
