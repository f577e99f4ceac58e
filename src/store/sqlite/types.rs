//! What goes into the database and comes out of it, beside the rows themselves.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use crate::{
    id::{Seq, TurnNumber},
    proto::SessionState,
    row::{Session, Tombstone},
};

/// A server event that a commit made and the session's log may not have yet.
#[derive(Debug, Clone, PartialEq)]
pub struct OutboxRow {
    /// Rising over all sessions. The log's records carry the latest applied.
    pub id: u64,
    /// The turn that it belongs to.
    pub turn: Option<TurnNumber>,
    /// The encoded [`proto::Event`](crate::proto::Event), without a seq.
    pub event: Vec<u8>,
}

/// A session's row with the event up to which it follows the log.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    /// The session.
    pub session: Session,
    /// The last event that was applied to it. The log is durable up to here.
    pub applied: Seq,
}

/// Which sessions to list. The default is all that are neither archived nor a
/// system's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only ids that begin with this.
    pub id_prefix: String,
    /// Only these states; empty for all.
    pub states: Vec<SessionState>,
    /// Only this source.
    pub source: Option<String>,
    /// Only sessions that have all of these labels; an empty value is any.
    pub labels: BTreeMap<String, String>,
    /// By whether they are archived.
    pub archived: Archived,
    /// Only sessions that work in this directory or below it.
    pub working_directory: Option<String>,
    /// Only sessions created then or later.
    pub created_after: Option<SystemTime>,
    /// Only sessions created before then.
    pub created_before: Option<SystemTime>,
    /// Also those of systems.
    pub include_system_owned: bool,
}

/// Which sessions count, by whether they are archived.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Archived {
    /// Those that are not.
    #[default]
    No,
    /// Those that are.
    Only,
    /// All.
    All,
}

/// A place in the order of changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Where the clock of the catalogue stood.
    pub at: i64,
    /// Which catalogue's clock: random, made with it.
    pub catalogue: [u8; 8],
}

/// What became of a session.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// It is there, like this.
    Session(Box<Session>),
    /// It was deleted.
    Deleted(Tombstone),
}

/// The answer to a request that carried an id, kept to answer its twins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// Which operation.
    pub method: &'static str,
    /// The request's id.
    pub request_id: String,
    /// SHA-256 of the request without its id.
    pub fingerprint: [u8; 32],
    /// The encoded answer.
    pub response: Vec<u8>,
}

/// How long receipts are kept.
pub const RECEIPT_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

/// A place in a listing: the session after which to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListPosition(pub i64);
