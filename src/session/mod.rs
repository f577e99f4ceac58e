//! Sessions: what they are, who owns them and how they are followed.
//!
//! ```text
//!              StartTurn                 stop request
//!  PENDING ───────────────▶ RUNNING ───────────────────▶ STOPPING
//!                           ▲     │                          │
//!                 StartTurn │     │ the agent has gone       │ the agent has gone
//!                           │     ▼                          ▼
//!                         COMPLETED · FAILED · INTERRUPTED · KILLED
//! ```
//!
//! A session at rest is a row and files. One that is used has an owner task
//! ([`actor`]): the only writer of its log and the only one that changes its
//! state; requests and the agent's output meet in its loop. [`registry`] loads
//! owners on demand and unloads idle ones. [`feed`] holds the newest events in
//! memory, [`hub`] tells subscribers that there is more, [`watch`] is a
//! subscriber: a cursor.
//!
//! Called by `app` alone. Names no transport.

use std::{collections::BTreeMap, path::PathBuf, time::SystemTime};

use crate::{
    id::{SessionId, TurnNumber},
    proto::{self, FilesystemSandbox, SessionState, StateReason},
};

pub(crate) mod actor;
pub(crate) mod directory;
pub(crate) mod feed;
pub(crate) mod follow;
pub(crate) mod hub;
pub(crate) mod ingest;
pub(crate) mod janitor;
pub(crate) mod registry;
pub(crate) mod replay;
pub(crate) mod state;
pub(crate) mod turn;
pub(crate) mod watch;

/// The most characters of a prompt that a session or an event shows.
pub const PROMPT_PREVIEW_CHARACTERS: usize = 1_000;
/// The most characters of an error that a session or an event shows.
pub const ERROR_CHARACTERS: usize = 4_096;

/// A session as its row holds it.
#[derive(Debug, Clone, PartialEq)]
pub struct Session {
    /// Its id.
    pub id: SessionId,
    /// The kind of agent, in its wire form.
    pub agent: String,
    /// Who started it.
    pub source: String,
    /// A title for people.
    pub title: String,
    /// Free labels.
    pub labels: BTreeMap<String, String>,
    /// The absolute directory that the agent works in.
    pub working_directory: PathBuf,
    /// The model asked for.
    pub model: Option<String>,
    /// The sandbox asked for.
    pub sandbox: FilesystemSandbox,
    /// The agent's own id of the thread, once it said it.
    pub thread_id: Option<String>,
    /// The version of the agent's binary in the latest turn.
    pub codex_version: String,
    /// The head of the first prompt.
    pub first_prompt: String,
    /// The latest turn. Its state is the session's.
    pub last_turn: Option<Turn>,
    /// Tokens used by the thread, as last reported.
    pub usage: Option<proto::Usage>,
    /// When it was created.
    pub create_time: SystemTime,
    /// When any of this last changed.
    pub update_time: SystemTime,
}

/// A turn as its row holds it.
#[derive(Debug, Clone, PartialEq)]
pub struct Turn {
    /// Its number.
    pub number: TurnNumber,
    /// What it does, or how it ended.
    pub state: SessionState,
    /// Why it failed.
    pub reason: StateReason,
    /// What the agent itself said about its end, once it did.
    pub verdict: Option<Verdict>,
    /// The agent's process id, once it is known.
    pub pid: Option<u32>,
    /// How the agent's process ended, once it did.
    pub exit: Option<ExitStatus>,
    /// When the turn was started.
    pub start_time: SystemTime,
    /// When the agent ended.
    pub end_time: Option<SystemTime>,
    /// What went wrong, for people.
    pub error: String,
}

/// What an agent says about the end of its turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It printed `turn.completed`.
    Completed,
    /// It printed `turn.failed` with this message.
    Failed(String),
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitStatus {
    /// By itself, with this status.
    Code(u32),
    /// By this signal.
    Signal(u32),
}

impl Session {
    /// What the session does: the state of its latest turn.
    #[must_use]
    pub fn state(&self) -> SessionState {
        self.last_turn.as_ref().map_or(SessionState::Pending, |turn| turn.state)
    }

    /// How many turns were started.
    #[must_use]
    pub fn turn_count(&self) -> u32 {
        self.last_turn.as_ref().map_or(0, |turn| turn.number.0)
    }

    /// Whether a turn runs.
    #[must_use]
    pub fn is_active(&self) -> bool {
        state::is_active(self.state())
    }
}

impl From<&Session> for proto::Session {
    fn from(session: &Session) -> Self {
        let Session {
            id,
            agent,
            source,
            title,
            labels,
            working_directory,
            model,
            sandbox,
            thread_id,
            codex_version,
            first_prompt,
            last_turn,
            usage,
            create_time,
            update_time,
        } = session;
        Self {
            session_id: id.to_string(),
            state: session.state().into(),
            state_reason: last_turn.as_ref().map_or(0, |turn| turn.reason.into()),
            agent: agent.clone(),
            source: source.clone(),
            title: title.clone(),
            labels: labels.clone().into_iter().collect(),
            working_directory: working_directory.to_string_lossy().into_owned(),
            model: model.clone().unwrap_or_default(),
            filesystem_sandbox: (*sandbox).into(),
            thread_id: thread_id.clone().unwrap_or_default(),
            codex_version: codex_version.clone(),
            first_prompt: first_prompt.clone(),
            turn_count: session.turn_count(),
            last_turn: last_turn.as_ref().map(Into::into),
            usage: *usage,
            create_time: Some(crate::time::timestamp(*create_time)),
            update_time: Some(crate::time::timestamp(*update_time)),
        }
    }
}

impl From<&Turn> for proto::Turn {
    fn from(turn: &Turn) -> Self {
        let Turn { number, state, reason, verdict: _, pid, exit, start_time, end_time, error } =
            turn;
        let (exit_code, signal) = match exit {
            Some(ExitStatus::Code(code)) => (Some(*code), None),
            Some(ExitStatus::Signal(signal)) => (None, Some(*signal)),
            None => (None, None),
        };
        Self {
            number: number.0,
            state: (*state).into(),
            state_reason: (*reason).into(),
            pid: pid.unwrap_or(0),
            exit_code,
            signal,
            start_time: Some(crate::time::timestamp(*start_time)),
            end_time: end_time.map(crate::time::timestamp),
            error: error.clone(),
        }
    }
}

/// The first `characters` characters of `text`.
pub(crate) fn head(text: &str, characters: usize) -> String {
    match text.char_indices().nth(characters) {
        Some((end, _)) => text[..end].to_owned(),
        None => text.to_owned(),
    }
}
