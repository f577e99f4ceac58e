//! Sessions and turns as their rows hold them: what the database keeps, what
//! events change, and what clients are told.
//!
//! A leaf: it names ids, errors and the generated messages alone.

use std::{collections::BTreeMap, path::PathBuf, time::SystemTime};

use crate::{
    Error, Result,
    controls::Controls,
    id::{SessionId, TurnNumber},
    proto::{self, SessionState, StateReason},
};

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
    /// What its agent may do.
    pub controls: Controls,
    /// What codex is told beside all this.
    pub options: proto::CodexOptions,
    /// Put aside by a client.
    pub archived: bool,
    /// Owned by a system of the operator's.
    pub system_owned: bool,
    /// Whether what one needs to understand it later is kept.
    pub persist: bool,
    /// The config lock that its turns are held to.
    pub lock: Option<SessionLock>,
    /// What it was forked from.
    pub forked_from: Option<Fork>,
    /// Rises with every change of what clients may write.
    pub revision: u64,
    /// The place among those that wait, when it was read; not stored.
    pub queue_position: Option<u32>,
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

/// Where a session's history comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fork {
    /// The session.
    pub session: SessionId,
    /// Its thread, as the agent names it.
    pub thread_id: String,
}

/// The config lock that a session has. Its text is in the session's directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionLock {
    /// The SHA-256 of the text, in hexadecimal.
    pub sha256: String,
    /// The version of codex that it was made with.
    pub codex_version: String,
    /// Whether turns may run with another version.
    pub any_version: bool,
}

/// What is kept of a session that was deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tombstone {
    /// Its id.
    pub id: SessionId,
    /// Its title.
    pub title: String,
    /// Whether a system owned it.
    pub system_owned: bool,
    /// When it was deleted.
    pub delete_time: SystemTime,
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
    /// Tokens that the thread had used when the turn was asked for.
    pub usage_before: Option<proto::Usage>,
    /// Tokens that the thread had used when the agent last said it.
    pub usage_after: Option<proto::Usage>,
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

    /// Whether a turn runs, or waits to.
    #[must_use]
    pub fn is_active(&self) -> bool {
        is_active(self.state())
    }

    /// What stays of it when it is deleted now.
    pub(crate) fn tombstone(&self) -> Tombstone {
        Tombstone {
            id: self.id,
            title: self.title.clone(),
            system_owned: self.system_owned,
            delete_time: crate::time::now(),
        }
    }

    /// Names the values of what clients may write.
    #[must_use]
    pub fn etag(&self) -> String {
        format!("{:x}", self.revision)
    }

    /// Checks an etag that a client saw; an empty one fits always.
    ///
    /// # Errors
    ///
    /// ETAG_MISMATCH.
    pub(crate) fn check_etag(&self, seen: &str) -> Result<()> {
        let etag = self.etag();
        if seen.is_empty() || seen == etag {
            return Ok(());
        }
        let (what, id) = ("what clients may write", Some(self.id));
        Err(Error::EtagMismatch { what, id, etag, given: seen.to_owned() })
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
            controls,
            options,
            archived,
            system_owned,
            persist,
            lock,
            forked_from,
            revision: _,
            queue_position,
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
            labels: labels.clone(),
            working_directory: working_directory.to_string_lossy().into_owned(),
            model: controls.model.clone().unwrap_or_default(),
            filesystem_sandbox: controls.sandbox.into(),
            thread_id: thread_id.clone().unwrap_or_default(),
            codex_version: codex_version.clone(),
            first_prompt: first_prompt.clone(),
            turn_count: session.turn_count(),
            last_turn: last_turn.as_ref().map(Into::into),
            usage: *usage,
            create_time: Some(crate::time::timestamp(*create_time)),
            update_time: Some(crate::time::timestamp(*update_time)),
            network_access: controls.network.into(),
            approval_policy: controls.approval_policy.into(),
            codex_options: shown(options),
            archived: *archived,
            system_owned: *system_owned,
            persist_session: *persist,
            config_lock: lock.as_ref().map(Into::into),
            forked_from: forked_from
                .as_ref()
                .map(|fork| fork.session.to_string())
                .unwrap_or_default(),
            etag: session.etag(),
            queue_position: queue_position.unwrap_or(0),
        }
    }
}

impl From<&SessionLock> for proto::SessionLock {
    fn from(lock: &SessionLock) -> Self {
        let SessionLock { sha256, codex_version, any_version } = lock.clone();
        Self { sha256, codex_version, allow_codex_version_mismatch: any_version }
    }
}

/// Options as they are told: what the environment's variables hold may be
/// secret, and stays here.
fn shown(options: &proto::CodexOptions) -> Option<proto::CodexOptions> {
    if *options == proto::CodexOptions::default() {
        return None;
    }
    let mut options = options.clone();
    options.environment.values_mut().for_each(String::clear);
    Some(options)
}

impl From<&Tombstone> for Error {
    fn from(tombstone: &Tombstone) -> Self {
        Self::SessionDeleted {
            id: tombstone.id,
            title: tombstone.title.clone(),
            delete_time: tombstone.delete_time,
        }
    }
}

impl From<&Tombstone> for proto::DeletedSession {
    fn from(tombstone: &Tombstone) -> Self {
        let Tombstone { id, title, system_owned: _, delete_time } = tombstone;
        Self {
            session_id: id.to_string(),
            title: title.clone(),
            delete_time: Some(crate::time::timestamp(*delete_time)),
        }
    }
}

impl From<&Turn> for proto::Turn {
    fn from(turn: &Turn) -> Self {
        let Turn {
            number,
            state,
            reason,
            verdict: _,
            pid,
            exit,
            start_time,
            end_time,
            error,
            usage_before,
            usage_after,
        } = turn;
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
            usage: usage_after.map(|after| used(after, *usage_before)),
        }
    }
}

/// What a turn used, from what its thread had used after it and before it. An
/// agent that counts down is not believed.
fn used(after: proto::Usage, before: Option<proto::Usage>) -> proto::Usage {
    let before = before.unwrap_or_default();
    let less = |after: i64, before: i64| after.saturating_sub(before).max(0);
    proto::Usage {
        input_tokens: less(after.input_tokens, before.input_tokens),
        cached_input_tokens: less(after.cached_input_tokens, before.cached_input_tokens),
        cache_write_input_tokens: less(
            after.cache_write_input_tokens,
            before.cache_write_input_tokens,
        ),
        output_tokens: less(after.output_tokens, before.output_tokens),
        reasoning_output_tokens: less(
            after.reasoning_output_tokens,
            before.reasoning_output_tokens,
        ),
    }
}

/// The first `characters` characters of `text`.
pub(crate) fn head(text: &str, characters: usize) -> String {
    match text.char_indices().nth(characters) {
        Some((end, _)) => text[..end].to_owned(),
        None => text.to_owned(),
    }
}

/// Whether a turn runs in this state, or waits to.
#[must_use]
pub(crate) fn is_active(state: SessionState) -> bool {
    match state {
        SessionState::Queued | SessionState::Running | SessionState::Stopping => true,
        SessionState::Unspecified
        | SessionState::Pending
        | SessionState::Completed
        | SessionState::Failed
        | SessionState::Interrupted
        | SessionState::Killed => false,
    }
}

/// The states at rest.
pub(crate) const AT_REST: [SessionState; 4] = [
    SessionState::Completed,
    SessionState::Failed,
    SessionState::Interrupted,
    SessionState::Killed,
];

/// Whether a turn ended in this state.
#[must_use]
pub(crate) fn is_at_rest(state: SessionState) -> bool {
    match state {
        SessionState::Completed
        | SessionState::Failed
        | SessionState::Interrupted
        | SessionState::Killed => true,
        SessionState::Unspecified
        | SessionState::Pending
        | SessionState::Queued
        | SessionState::Running
        | SessionState::Stopping => false,
    }
}
