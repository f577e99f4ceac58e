//! Threads of deleted sessions that their agents still keep a record of.

use std::time::SystemTime;

use rusqlite::{Connection, params};

use super::{Result, micros};
use crate::row::Session;

/// A thread whose session was deleted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ForgottenThread {
    /// The kind of agent, in its wire form.
    pub agent: String,
    /// The agent's own id of the thread.
    pub id: String,
    /// The thread that it is a fork of.
    pub forked_from: Option<String>,
}

impl ForgottenThread {
    /// What the agent has to forget when this session is deleted: nothing where it
    /// named no thread.
    #[must_use]
    pub fn of(session: &Session) -> Option<Self> {
        Some(Self {
            agent: session.agent.clone(),
            id: session.thread_id.clone()?,
            forked_from: session.forked_from.as_ref().map(|fork| fork.thread_id.clone()),
        })
    }
}

/// Keeps a thread in mind. To be called in the transaction of the tombstone.
pub(super) fn insert(db: &Connection, thread: &ForgottenThread, time: SystemTime) -> Result<()> {
    let ForgottenThread { agent, id, forked_from } = thread;
    db.prepare_cached(
        "INSERT OR IGNORE INTO forgotten_threads (agent, thread, forked_thread, refusals, time) \
         VALUES (?1, ?2, ?3, 0, ?4)",
    )?
    .execute(params![agent, id, forked_from, micros(time)])?;
    Ok(())
}

/// The threads that are the history of nothing that is left: of no session, which
/// may not even have begun, and of no thread that its agent keeps as well.
pub(super) fn forgettable(db: &Connection) -> Result<Vec<ForgottenThread>> {
    let mut statement = db.prepare_cached(
        "SELECT agent, thread, forked_thread FROM forgotten_threads AS it \
         WHERE NOT EXISTS (SELECT 1 FROM sessions WHERE forked_thread = it.thread) \
         AND NOT EXISTS (SELECT 1 FROM forgotten_threads AS fork \
             WHERE fork.forked_thread = it.thread AND fork.thread <> it.thread) \
         ORDER BY time, thread",
    )?;
    let threads = statement.query_map([], |row| {
        Ok(ForgottenThread { agent: row.get(0)?, id: row.get(1)?, forked_from: row.get(2)? })
    })?;
    Ok(threads.collect::<rusqlite::Result<_>>()?)
}

pub(super) fn remove(db: &Connection, thread: &ForgottenThread) -> Result<()> {
    db.prepare_cached("DELETE FROM forgotten_threads WHERE agent = ?1 AND thread = ?2")?
        .execute([&thread.agent, &thread.id])?;
    Ok(())
}

/// Counts one refusal more; how many there are now.
pub(super) fn count_refusal(db: &Connection, thread: &ForgottenThread) -> Result<u32> {
    let mut statement = db.prepare_cached(
        "UPDATE forgotten_threads SET refusals = refusals + 1 \
         WHERE agent = ?1 AND thread = ?2 RETURNING refusals",
    )?;
    Ok(statement.query_row([&thread.agent, &thread.id], |row| row.get(0))?)
}
