//! What clients add to the transcripts of sessions: notes, by a name of the
//! client's.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::{
    Database, Result, catalogue,
    rows::{id_of, tick},
};
use crate::{Error, id::SessionId};

impl Database {
    /// Writes the note of this name into a session's transcript, and says where the
    /// clock of the catalogue stands then.
    ///
    /// # Errors
    ///
    /// SESSION_NOT_FOUND, SESSION_DELETED.
    pub async fn put_note(&self, id: SessionId, name: String, text: String) -> Result<i64> {
        self.writer.call(move |db| put(db, id, &name, &text)).await
    }

    /// The notes of a session in the order in which they were first written; of
    /// those that are together above `bytes`, the latest.
    pub async fn notes(&self, id: SessionId, bytes: usize) -> Result<Vec<Note>> {
        self.reader.call(move |db| of_session(db, id, bytes)).await
    }

    /// The notes that were written after the clock of the catalogue stood at
    /// `after`, in that order, at most `limit`.
    pub async fn notes_since(&self, after: i64, limit: u32) -> Result<Vec<Note>> {
        self.reader.call(move |db| since(db, after, limit)).await
    }
}

/// The most notes of a session; beyond it the oldest go.
pub const MAX_NOTES: u32 = 5_000;

/// Something that a client added to a session's transcript.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// The session.
    pub session: SessionId,
    /// What it says: whatever whoever wrote it makes of it.
    pub text: String,
    /// Where the clock of the catalogue stood when it was last written.
    pub changed: i64,
}

/// Writes the note of this name, and says where the clock stands then.
pub(super) fn put(db: &Connection, id: SessionId, name: &str, text: &str) -> Result<i64> {
    let exists = db
        .prepare_cached("SELECT 1 FROM sessions WHERE id = ?1")?
        .query_row([id.as_bytes()], |_| Ok(()))
        .optional()?;
    if exists.is_none() {
        return Err(match catalogue::tombstone(db, id)? {
            Some(tombstone) => super::Error::Deleted(tombstone),
            None => Error::SessionNotFound { id: id.to_string() }.into(),
        });
    }
    let changed = tick(db)?;
    db.prepare_cached(
        "INSERT INTO notes (session, name, text, changed) VALUES (?1, ?2, ?3, ?4) \
         ON CONFLICT (session, name) DO UPDATE SET text = ?3, changed = ?4",
    )?
    .execute(params![id.as_bytes(), name, text, changed])?;
    db.prepare_cached(
        "DELETE FROM notes WHERE session = ?1 AND number <= \
         (SELECT number FROM notes WHERE session = ?1 ORDER BY number DESC LIMIT 1 OFFSET ?2)",
    )?
    .execute(params![id.as_bytes(), MAX_NOTES])?;
    Ok(changed)
}

/// The notes of a session in the order in which they were first written; of those
/// that are together above `bytes`, the latest.
pub(super) fn of_session(db: &Connection, id: SessionId, bytes: usize) -> Result<Vec<Note>> {
    let mut statement = db.prepare_cached(
        "SELECT session, text, changed FROM notes WHERE session = ?1 ORDER BY number DESC",
    )?;
    let mut rows = statement.query([id.as_bytes()])?;
    let (mut notes, mut room) = (Vec::new(), bytes);
    while let Some(row) = rows.next()? {
        let note = note_of(row)?;
        let Some(left) = room.checked_sub(note.text.len()) else { break };
        room = left;
        notes.push(note);
    }
    notes.reverse();
    Ok(notes)
}

/// The notes that were written after the clock stood at `after`, in that order.
pub(super) fn since(db: &Connection, after: i64, limit: u32) -> Result<Vec<Note>> {
    let mut statement = db.prepare_cached(
        "SELECT session, text, changed FROM notes WHERE changed > ?1 ORDER BY changed LIMIT ?2",
    )?;
    let notes = statement.query_map(params![after, limit], note_of)?;
    Ok(notes.collect::<rusqlite::Result<_>>()?)
}

fn note_of(row: &rusqlite::Row<'_>) -> rusqlite::Result<Note> {
    Ok(Note { session: id_of(row, 0)?, text: row.get(1)?, changed: row.get(2)? })
}
