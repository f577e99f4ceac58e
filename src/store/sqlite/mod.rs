//! The database `state.db`: sessions, turns and the outbox. No event bodies.
//!
//! One thread owns the writing connection and commits whatever is waiting in
//! one transaction (group commit), each job under a savepoint of its own;
//! another thread owns the reading one. `synchronous=FULL` in WAL mode: a write
//! that was answered is on disk.
//!
//! For what agents do, the event log is the truth and a session's row follows
//! it: [`Database::apply`] stores the row together with the `applied_seq` that
//! it corresponds to. For what clients ask, this is the truth: the commit
//! writes an outbox row too, which the session's owner appends to the log.
//!
//! Called by `session` and `app`. Synchronous inside, asynchronous outside.

mod rows;
mod schema;
mod thread;

use std::path::Path;

use rusqlite::{Connection, OptionalExtension as _, params};

use crate::{
    id::{Seq, SessionId, TurnNumber},
    proto::SessionState,
    session::{Session, Turn},
    time,
};

pub use schema::SCHEMA_VERSION;
use thread::{Access, Thread};

/// What can go wrong with the database.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file was written by a later version.
    #[error(
        "the database has schema version {found}, this program knows up to {known}; start the newer switchboard that wrote it"
    )]
    Newer {
        /// As found in the file.
        found: i64,
        /// The latest that is known here.
        known: i64,
    },
    /// The session's id is taken.
    #[error("a session with the id {0} exists")]
    Exists(SessionId),
    /// SQLite failed.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    /// The database's thread is gone: the server is going down.
    #[error("the database is closed")]
    Closed,
}

impl From<Error> for crate::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::Exists(id) => Self::SessionExists { id },
            Error::Closed => Self::ShuttingDown { last_seq: None },
            Error::Sqlite(rusqlite::Error::SqliteFailure(failure, _))
                if failure.code == rusqlite::ErrorCode::DiskFull =>
            {
                Self::StorageFull { path: "state.db".into() }
            }
            error @ (Error::Newer { .. } | Error::Sqlite(_)) => Self::internal(error),
        }
    }
}

/// The result of a database operation.
pub type Result<T, E = Error> = std::result::Result<T, E>;

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

/// Which sessions to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only ids that begin with this.
    pub id_prefix: String,
    /// Only these states; empty for all.
    pub states: Vec<SessionState>,
}

/// A place in a listing: the session after which to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListPosition(pub i64);

/// The database. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Database {
    writer: Thread,
    reader: Thread,
}

impl Database {
    /// Opens `path`, creating or upgrading it, and starts its threads.
    ///
    /// # Errors
    ///
    /// [`Error::Newer`] for a file of a later version, which is left as it is.
    pub fn open(path: &Path) -> Result<Self> {
        let mut connection = Connection::open(path)?;
        schema::configure(&connection)?;
        schema::migrate(&mut connection)?;
        let reader = Connection::open(path)?;
        schema::configure(&reader)?;
        Ok(Self {
            writer: Thread::start("state-writer", connection, Access::Write)?,
            reader: Thread::start("state-reader", reader, Access::Read)?,
        })
    }

    /// Makes a session durable, with its first turn where it has one, and with
    /// its `session_created` event in the outbox.
    ///
    /// # Errors
    ///
    /// [`Error::Exists`] when the id is taken.
    pub async fn insert_session(&self, session: Session, created: Vec<u8>) -> Result<()> {
        self.writer
            .call(move |db| {
                rows::insert_session(db, &session)?;
                if let Some(turn) = &session.last_turn {
                    rows::upsert_turn(db, session.id, turn)?;
                }
                db.prepare_cached(
                    "INSERT INTO outbox (session, turn, event) VALUES (?1, NULL, ?2)",
                )?
                .execute(params![session.id.as_bytes(), created])?;
                Ok(())
            })
            .await
    }

    /// Makes a turn durable before anything is spawned for it.
    pub async fn insert_turn(&self, session: Session, turn: Turn) -> Result<()> {
        self.writer
            .call(move |db| {
                rows::update_session(db, &session, None)?;
                rows::upsert_turn(db, session.id, &turn)
            })
            .await
    }

    /// Stores the session's row as it is after event `applied` of its log, and
    /// that outbox rows up to `outbox_done` are in the log, in one transaction.
    pub async fn apply(&self, session: Session, applied: Seq, outbox_done: u64) -> Result<()> {
        self.writer
            .call(move |db| {
                rows::update_session(db, &session, Some(applied))?;
                if let Some(turn) = &session.last_turn {
                    rows::upsert_turn(db, session.id, turn)?;
                }
                db.prepare_cached("DELETE FROM outbox WHERE session = ?1 AND id <= ?2")?
                    .execute(params![session.id.as_bytes(), i64_of(outbox_done)])?;
                Ok(())
            })
            .await
    }

    /// The outbox rows of a session after `done`, oldest first.
    pub async fn outbox(&self, id: SessionId, done: u64) -> Result<Vec<OutboxRow>> {
        self.reader.call(move |db| rows::outbox(db, id, done)).await
    }

    /// Reads one session; `None` when there is no such.
    pub async fn session(&self, id: SessionId) -> Result<Option<Stored>> {
        self.reader.call(move |db| rows::session(db, id)).await
    }

    /// The ids that begin with `prefix`, at most `limit`.
    pub async fn ids_with_prefix(&self, prefix: String, limit: u32) -> Result<Vec<SessionId>> {
        self.reader.call(move |db| rows::ids_with_prefix(db, &prefix, limit)).await
    }

    /// Every session's id, oldest first.
    pub async fn all_ids(&self) -> Result<Vec<SessionId>> {
        self.reader.call(|db| rows::ids(db, "SELECT id FROM sessions ORDER BY number", [])).await
    }

    /// The sessions that a start must look after: those with a running turn or
    /// with events in the outbox.
    pub async fn unsettled_ids(&self) -> Result<Vec<SessionId>> {
        self.reader
            .call(|db| {
                rows::ids(
                    db,
                    "SELECT id FROM sessions WHERE state IN (?1, ?2)
                     UNION SELECT session FROM outbox",
                    params![SessionState::Running as i32, SessionState::Stopping as i32],
                )
            })
            .await
    }

    /// How many turns run.
    pub async fn running_turns(&self) -> Result<u32> {
        self.reader
            .call(|db| {
                Ok(db
                    .prepare_cached("SELECT count(*) FROM sessions WHERE state IN (?1, ?2)")?
                    .query_row(
                        params![SessionState::Running as i32, SessionState::Stopping as i32],
                        |row| row.get(0),
                    )?)
            })
            .await
    }

    /// Lists sessions, newest first, with the place of each.
    pub async fn list(
        &self,
        filter: Filter,
        after: Option<ListPosition>,
        limit: u32,
    ) -> Result<Vec<(ListPosition, Session)>> {
        self.reader.call(move |db| rows::list(db, &filter, after, limit)).await
    }

    /// One turn of a session; `None` when there is no such.
    pub async fn turn(&self, id: SessionId, number: TurnNumber) -> Result<Option<Turn>> {
        self.reader.call(move |db| Ok(rows::turn(db, id, number).optional()?)).await
    }
}

fn i64_of(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn micros(at: std::time::SystemTime) -> i64 {
    time::micros(at)
}
