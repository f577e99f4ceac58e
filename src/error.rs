//! What can go wrong, in words that a client can act on.
//!
//! One enum for the whole server. It names no transport: how a variant looks on
//! the wire is one row of the table in `wire::error`. Component errors (of the
//! log, the database, the agents) are small enums of their own that convert
//! into this one.

use std::{
    borrow::Cow,
    error::Error as StdError,
    io,
    path::PathBuf,
    time::{Duration, SystemTime},
};

use rustix::io::Errno;

use crate::{
    controls::State,
    id::{Seq, SessionId, TurnNumber},
    lock::Drift,
    proto::SessionState,
};

/// The result of an operation of the server.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an operation was refused or failed.
///
/// The text says what was wrong, what was expected and what to do; the fields
/// are what a program needs to act.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A field of the request is malformed or out of bounds.
    #[error("{field}: {problem}")]
    InvalidArgument {
        /// The request's field, in its proto name, dotted where nested.
        field: Cow<'static, str>,
        /// What is wrong and what was expected.
        problem: String,
    },
    /// The working directory is not an absolute path of a directory that can be entered.
    #[error("working directory {path:?}: {problem}")]
    WorkingDirectoryInvalid {
        /// As it was given.
        path: PathBuf,
        /// What is wrong and what was expected.
        problem: String,
    },
    /// There is no such kind of agent.
    #[error("agent {agent:?}: {problem}")]
    AgentNotFound {
        /// As it was given.
        agent: String,
        /// What is wrong and what was expected.
        problem: String,
    },
    /// No valid token came with the request.
    #[error("{problem}")]
    Unauthenticated {
        /// What was missing and where to get it.
        problem: String,
    },
    /// The request came from a place that is not allowed.
    #[error("{problem}")]
    PermissionDenied {
        /// What is not allowed and where to allow it.
        problem: String,
    },
    /// The session is a system's, whose settings and controls are not for clients.
    #[error(
        "session {id} is owned by a system of the operator's: its settings and controls are not for clients"
    )]
    SystemSession {
        /// The session.
        id: SessionId,
    },
    /// The default controls and settings are the operator's.
    #[error(
        "the default controls and settings are managed by the server's configuration (controls.lock_defaults) and cannot be written; those of a session can"
    )]
    DefaultsLocked {
        /// What they are, with what nobody chose as it is shown.
        current: Box<State>,
    },
    /// No session has this id.
    #[error("no session has the id {id}")]
    SessionNotFound {
        /// As it was given: an id, or a prefix of one.
        id: String,
    },
    /// The session was deleted.
    #[error("session {id} was deleted for ever; it cannot be had again")]
    SessionDeleted {
        /// Its id.
        id: SessionId,
        /// Its title.
        title: String,
        /// When it was deleted.
        delete_time: SystemTime,
    },
    /// The session has no such turn.
    #[error("session {session} has no turn {turn}; it has {turn_count}")]
    TurnNotFound {
        /// The session.
        session: SessionId,
        /// The turn asked for.
        turn: TurnNumber,
        /// How many turns there are.
        turn_count: u32,
    },
    /// The id for the new session is taken.
    #[error("a session with the id {id} exists already")]
    SessionExists {
        /// The id.
        id: SessionId,
    },
    /// The request's id was used for another request.
    #[error(
        "request_id {request_id:?} was used for another request of the same kind; a retry must repeat all fields, and anything else needs an id of its own"
    )]
    IdempotencyConflict {
        /// As it was given.
        request_id: String,
    },
    /// Something is not what the caller saw.
    #[error("{what} {} changed: the etag is {etag}, not {given}; read again", of_session(*.id))]
    EtagMismatch {
        /// What has changed.
        what: &'static str,
        /// The session that it is of; none for the default.
        id: Option<SessionId>,
        /// The etag that there is.
        etag: String,
        /// As it was given.
        given: String,
    },
    /// A turn runs, so that another cannot start.
    #[error("session {id} is {}: wait for its turn to end, or interrupt it", .state.as_str_name())]
    SessionRunning {
        /// The session.
        id: SessionId,
        /// Its state.
        state: SessionState,
    },
    /// The session's event log is damaged, or cannot be opened, so that nothing can
    /// be added to it.
    #[error(
        "session {id} cannot be continued, because nothing can be added to its event log: {problem}"
    )]
    SessionReadOnly {
        /// The session.
        id: SessionId,
        /// What is damaged.
        problem: String,
    },
    /// No turn runs that could be stopped.
    #[error("session {id} has no running turn; it is {}", .state.as_str_name())]
    NoActiveTurn {
        /// The session.
        id: SessionId,
        /// Its state.
        state: SessionState,
    },
    /// Several sessions share the prefix.
    #[error("{prefix} begins the ids of {} sessions; give more characters", counted(.matches))]
    AmbiguousId {
        /// As it was given.
        prefix: String,
        /// The first [`MOST_MATCHES`] of the sessions that match.
        matches: Vec<SessionId>,
    },
    /// Something in the request is larger than allowed.
    #[error("{what} is {size} {unit} long; at most {limit} are allowed")]
    PayloadTooLarge {
        /// What is too large.
        what: &'static str,
        /// Its size.
        size: u64,
        /// The bound.
        limit: u64,
        /// `bytes` or `characters`.
        unit: &'static str,
    },
    /// The body is not in the one form in which it is read.
    #[error("{problem}")]
    UnsupportedMediaType {
        /// What was given, and what was expected.
        problem: String,
    },
    /// Nothing is at this place.
    #[error("there is nothing at {path}; GET /v1/openapi.json says what there is")]
    RouteNotFound {
        /// The path, as it was given.
        path: String,
    },
    /// What is at this place does not take this method.
    #[error("{path} does not take {method}; it takes {allowed}")]
    MethodNotAllowed {
        /// The path, as it was given.
        path: String,
        /// The method, as it was given.
        method: String,
        /// The methods that it takes.
        allowed: String,
    },
    /// The request was meant for another server.
    #[error(
        "the request names the host {host:?}, which is not this server's; use 127.0.0.1 or localhost, or allow the name with allowed_hosts"
    )]
    Misdirected {
        /// The host, as it was given.
        host: String,
    },
    /// The cursor is older than the log.
    #[error(
        "the events before seq {oldest} have expired; start at {oldest}, or at 0 for new events only"
    )]
    CursorExpired {
        /// The seq asked for.
        requested: Seq,
        /// The oldest that is there.
        oldest: Seq,
    },
    /// The event is damaged in the session's log and could not be made again.
    #[error("the event {seq} is damaged in the session's log: {}", beyond(*.next))]
    EventsDamaged {
        /// The first event that cannot be read.
        seq: Seq,
        /// The next one that can be, where that is known.
        next: Option<Seq>,
    },
    /// The server is at a limit.
    #[error("{problem}")]
    Overloaded {
        /// Which limit.
        problem: String,
        /// When to try again.
        retry_after: Duration,
    },
    /// A config lock is of no use as it is, or cannot be made.
    #[error("config lock: {problem}")]
    ConfigLockInvalid {
        /// Which of its rules is broken, for programs.
        rule: &'static str,
        /// The key that breaks it, dotted, where there is one.
        key: Option<String>,
        /// What is wrong and what was expected.
        problem: String,
    },
    /// What would run is not what a config lock has.
    #[error("{}{drift}", Drift::HEADING)]
    ConfigLockDrift {
        /// What differs.
        drift: Box<Drift>,
    },
    /// A config lock was made with another version of codex.
    #[error(
        "the config lock was made with codex {locked}, and the server starts {actual}: install that, or allow it with allow_codex_version_mismatch"
    )]
    CodexVersionMismatch {
        /// The version in the lock.
        locked: String,
        /// The version of the binary.
        actual: String,
    },
    /// A fault of ours or of the machine. Its source goes to the log, never to a client.
    #[error("internal error; the server's log has the details")]
    Internal(#[source] Box<dyn StdError + Send + Sync>),
    /// There is no such operation.
    #[error("{what} is not implemented")]
    Unimplemented {
        /// What was called.
        what: String,
    },
    /// The agent cannot be started on this machine as it is.
    #[error("{problem}")]
    AgentUnavailable {
        /// What is missing and how to provide it.
        problem: String,
    },
    /// The server is going down.
    #[error("the server is shutting down; running turns go on, connect again when it is back")]
    ShuttingDown {
        /// The last seq that the ended watch delivered, where there is one.
        last_seq: Option<Seq>,
    },
    /// There is no room left on the disk.
    #[error("no space left on the disk that holds {path:?}")]
    StorageFull {
        /// What could not be written.
        path: PathBuf,
    },
    /// The disk has less room left than a turn may be started with.
    #[error(
        "the disk that holds {path:?} has {free} bytes left; no turn starts below {floor} (turns.min_free_disk): make room, and try again"
    )]
    StorageLow {
        /// What is on the disk.
        path: PathBuf,
        /// How many bytes are free.
        free: u64,
        /// How many must be.
        floor: u64,
    },
    /// The caller's deadline passed.
    #[error("the deadline of the call passed")]
    DeadlineExceeded,
}

/// How many of the sessions that share a prefix are told.
pub const MOST_MATCHES: u32 = 10;

/// How many sessions match, as far as they were looked for.
fn counted(matches: &[SessionId]) -> String {
    let more = if matches.len() < MOST_MATCHES as usize { "" } else { " or more" };
    format!("{}{more}", matches.len())
}

/// Whose something is.
fn of_session(id: Option<SessionId>) -> String {
    id.map_or_else(|| "of new sessions".to_owned(), |id| format!("of session {id}"))
}

/// Where to read on behind damage.
fn beyond(next: Option<Seq>) -> String {
    match next {
        Some(next) => format!("start at {next}, the next that can be read"),
        None => "no later one can be read".to_owned(),
    }
}

impl Error {
    /// A malformed or out-of-bounds field.
    pub fn invalid(field: impl Into<Cow<'static, str>>, problem: impl Into<String>) -> Self {
        Self::InvalidArgument { field: field.into(), problem: problem.into() }
    }

    /// An error of the system: where it has no file descriptor left, the same may
    /// be tried again; else a fault.
    #[must_use]
    pub fn system(source: io::Error) -> Self {
        if is_out_of_descriptors(&source) {
            let problem =
                "the server has as many files open as it may; raise its limit (ulimit -n)";
            return Self::Overloaded { problem: problem.to_owned(), retry_after: RETRY_AFTER };
        }
        Self::internal(source)
    }

    /// A fault of ours or of the machine.
    pub fn internal(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::Internal(source.into())
    }
}

/// When to try again where files were too many; turns that end give theirs back.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Whether the process, or the whole machine, has no file descriptor left.
#[must_use]
pub fn is_out_of_descriptors(error: &io::Error) -> bool {
    let number = error.raw_os_error();
    [Errno::MFILE, Errno::NFILE].iter().any(|errno| number == Some(errno.raw_os_error()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lack_of_descriptors_passes_and_any_other_error_of_the_system_is_a_fault() {
        for errno in [Errno::MFILE, Errno::NFILE] {
            let error = Error::system(errno.into());
            assert!(matches!(error, Error::Overloaded { retry_after: RETRY_AFTER, .. }));
        }
        assert!(matches!(Error::system(Errno::IO.into()), Error::Internal(_)));
    }
}
