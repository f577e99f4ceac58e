//! The database `state.db`: sessions, turns, controls and settings with their
//! audit, the outbox, tombstones, receipts, notes and the threads that agents
//! shall forget. No event bodies.
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

mod audit;
mod catalogue;
mod controls;
mod forgotten;
mod notes;
mod receipts;
mod rows;
mod schema;
mod states;
#[cfg(test)]
mod tests;
mod thread;
mod types;

use std::{collections::HashMap, path::Path, sync::Arc, time::SystemTime};

use rusqlite::{Connection, OptionalExtension as _, params};

use crate::{
    controls::Scope,
    id::{Seq, SessionId, TurnNumber},
    proto::SessionState,
    row::{Session, Tombstone, Turn},
    settings::Settings,
    time,
};

pub use audit::{At, Entries, From as EntriesFrom, Pieces, Rebuilt, ScopePlace, Unwritten, Wanted};
pub use catalogue::RecentPosition;
pub use controls::{Read, Write, Written};
pub use forgotten::ForgottenThread;
pub use notes::{MAX_NOTES, Note};
pub use schema::SCHEMA_VERSION;
use states::States;
use thread::{Access, Thread};
pub use types::{
    Archived, Change, Filter, ListPosition, OutboxRow, Place, RECEIPT_LIFETIME, Receipt, Stored,
};

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
    /// What was to be forked was deleted meanwhile.
    #[error("the session {} was deleted", .0.id)]
    Deleted(Tombstone),
    /// What a client asks for is refused in its transaction.
    #[error(transparent)]
    Refused(Box<crate::Error>),
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
            Error::Deleted(tombstone) => (&tombstone).into(),
            Error::Refused(error) => *error,
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

impl From<crate::Error> for Error {
    fn from(error: crate::Error) -> Self {
        Self::Refused(Box::new(error))
    }
}

/// The result of a database operation.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The database. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Database {
    writer: Thread,
    reader: Thread,
    states: Arc<States>,
}

impl Database {
    /// Opens `path`, creating or upgrading it, and starts its threads.
    ///
    /// # Errors
    ///
    /// [`Error::Newer`] for a file of a later version, which is left as it is.
    pub fn open(path: &Path) -> Result<Self> {
        let mut connection = Connection::open(path)?;
        // Before anything is set, which would be written into the file.
        schema::check(&connection)?;
        schema::configure(&connection)?;
        schema::migrate(&mut connection)?;
        let reader = Connection::open(path)?;
        schema::configure(&reader)?;
        Ok(Self {
            writer: Thread::start("state-writer", connection, Access::Write)?,
            reader: Thread::start("state-reader", reader, Access::Read)?,
            states: Arc::default(),
        })
    }

    /// Makes a session durable, with its settings, with its first turn where it has
    /// one, with its `session_created` event in the outbox, and with the receipt.
    ///
    /// # Errors
    ///
    /// [`Error::Exists`] when the id is taken, and [`Error::Deleted`] for a fork of
    /// a session that was deleted: its agent may be forgetting the history.
    pub async fn insert_session(
        &self,
        session: Session,
        settings: Settings,
        created: Vec<u8>,
        receipt: Option<Receipt>,
    ) -> Result<()> {
        self.writer
            .call(move |db| {
                if let Some(fork) = &session.forked_from
                    && let Some(tombstone) = catalogue::tombstone(db, fork.session)?
                {
                    return Err(Error::Deleted(tombstone));
                }
                receipts::insert(db, receipt.as_ref())?;
                rows::insert_session(db, &session, &settings)?;
                if let Some(turn) = &session.last_turn {
                    rows::upsert_turn(db, session.id, turn)?;
                }
                rows::insert_event(db, session.id, &created)
            })
            .await
    }

    /// Makes a turn durable before anything is spawned for it.
    pub async fn insert_turn(
        &self,
        session: Session,
        turn: Turn,
        receipt: Option<Receipt>,
    ) -> Result<()> {
        self.writer
            .call(move |db| {
                receipts::insert(db, receipt.as_ref())?;
                rows::update_session(db, &session, None)?;
                rows::upsert_turn(db, session.id, &turn)
            })
            .await
    }

    /// Stores what a client wrote, with the event that says it in the outbox.
    pub async fn update_session(
        &self,
        session: Session,
        updated: Vec<u8>,
        receipt: Option<Receipt>,
    ) -> Result<()> {
        self.writer
            .call(move |db| {
                receipts::insert(db, receipt.as_ref())?;
                rows::update_session(db, &session, None)?;
                rows::insert_event(db, session.id, &updated)
            })
            .await
    }

    /// Puts a tombstone in a session's place, for ever, and keeps in mind that its
    /// agent has to forget its thread, where it had one.
    pub async fn delete_session(
        &self,
        tombstone: Tombstone,
        thread: Option<ForgottenThread>,
        receipt: Option<Receipt>,
    ) -> Result<()> {
        let (states, id) = (Arc::clone(&self.states), tombstone.id);
        let delete = move |db: &Connection| {
            receipts::insert(db, receipt.as_ref())?;
            if let Some(thread) = &thread {
                forgotten::insert(db, thread, tombstone.delete_time)?;
            }
            rows::delete_session(db, &tombstone)
        };
        self.writer.call_then(delete, move |()| states.gone(Scope::Session(id))).await
    }

    /// The threads of deleted sessions that their agents still keep and that
    /// nothing was forked from that is left, oldest first.
    pub async fn forgettable_threads(&self) -> Result<Vec<ForgottenThread>> {
        self.reader.call(forgotten::forgettable).await
    }

    /// The agent keeps no record of the thread any more, or shall not be asked.
    pub async fn remove_forgotten_thread(&self, thread: ForgottenThread) -> Result<()> {
        self.writer.call(move |db| forgotten::remove(db, &thread)).await
    }

    /// The agent refused to forget the thread; how often it did so far.
    pub async fn refused_to_forget(&self, thread: ForgottenThread) -> Result<u32> {
        self.writer.call(move |db| forgotten::count_refusal(db, &thread)).await
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

    /// What is kept of a session that was deleted; `None` when none was.
    pub async fn tombstone(&self, id: SessionId) -> Result<Option<Tombstone>> {
        self.reader.call(move |db| catalogue::tombstone(db, id)).await
    }

    /// How far the clock of the catalogue is: the place of the latest change.
    pub async fn clock(&self) -> Result<Place> {
        self.reader
            .call(|db| {
                let mut statement = db.prepare_cached("SELECT value, catalogue FROM clock")?;
                let place = statement
                    .query_row([], |row| Ok(Place { at: row.get(0)?, catalogue: row.get(1)? }));
                Ok(place?)
            })
            .await
    }

    /// The sessions that changed after the clock stood at `after`, deletions
    /// included, in the order of their last changes and with the place of each.
    pub async fn changes(&self, after: i64, limit: u32) -> Result<Vec<(i64, Change)>> {
        self.reader.call(move |db| catalogue::changes(db, after, limit)).await
    }

    /// Sessions in one of `states` that did not change since `before`, oldest
    /// first, at most `limit`; those of systems only where that is asked for.
    pub async fn stale_ids(
        &self,
        states: Vec<SessionState>,
        before: SystemTime,
        include_system_owned: bool,
        limit: u32,
    ) -> Result<Vec<SessionId>> {
        self.reader
            .call(move |db| {
                let states = states.iter().map(|state| (*state as i32).to_string());
                let states = states.collect::<Vec<_>>().join(",");
                let sql = format!(
                    "SELECT id FROM sessions WHERE update_time <= ?1 AND state IN ({states}) \
                     AND (?2 OR NOT system_owned) ORDER BY update_time, number LIMIT ?3"
                );
                rows::ids(db, &sql, params![micros(before), include_system_owned, limit])
            })
            .await
    }

    /// The ids that begin with `prefix`, at most `limit`.
    pub async fn ids_with_prefix(&self, prefix: String, limit: u32) -> Result<Vec<SessionId>> {
        self.reader.call(move |db| rows::ids_with_prefix(db, &prefix, limit)).await
    }

    /// Every session's id, oldest first.
    pub async fn all_ids(&self) -> Result<Vec<SessionId>> {
        self.reader.call(|db| rows::ids(db, "SELECT id FROM sessions ORDER BY number", [])).await
    }

    /// The sessions with a turn that runs or waits, which a start must look after.
    pub async fn unsettled_ids(&self) -> Result<Vec<SessionId>> {
        self.reader
            .call(|db| {
                rows::ids(
                    db,
                    // Those that wait come in their order.
                    "SELECT id FROM sessions WHERE state IN (?1, ?2, ?3) ORDER BY queued, number",
                    params![
                        SessionState::Queued as i32,
                        SessionState::Running as i32,
                        SessionState::Stopping as i32
                    ],
                )
            })
            .await
    }

    /// The sessions with events in the outbox.
    pub async fn untold_ids(&self) -> Result<Vec<SessionId>> {
        self.reader
            .call(|db| {
                let sql = "SELECT id FROM sessions WHERE id IN (SELECT session FROM outbox) \
                           ORDER BY number";
                rows::ids(db, sql, [])
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
        self.reader.call(move |db| catalogue::list(db, &filter, after, limit)).await
    }

    /// Lists sessions, those that changed last first.
    pub async fn list_recent(
        &self,
        filter: Filter,
        after: Option<RecentPosition>,
        limit: u32,
    ) -> Result<Vec<(RecentPosition, Session)>> {
        self.reader.call(move |db| catalogue::list_recent(db, &filter, after, limit)).await
    }

    /// The sessions that have a label of this name, and what it says.
    pub async fn labelled(&self, name: &'static str) -> Result<HashMap<SessionId, String>> {
        self.reader.call(|db| catalogue::labelled(db, name)).await
    }

    /// The last event that each session's row follows.
    pub async fn applied_seqs(&self) -> Result<HashMap<SessionId, Seq>> {
        self.reader.call(rows::applied_seqs).await
    }

    /// The turns of a session after `after`, in order, at most `limit`.
    pub async fn turns(&self, id: SessionId, after: TurnNumber, limit: u32) -> Result<Vec<Turn>> {
        self.reader.call(move |db| rows::turns(db, id, after, limit)).await
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
