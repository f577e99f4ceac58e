//! A subscriber of notes, which clients add to the transcripts of sessions: those
//! that are written from now on.
//!
//! A watch is a place in the order in which they were written; it reads on from
//! there at its own pace. Of a note that is written several times before it
//! comes to it, it tells the last.

use std::collections::VecDeque;

use tokio::sync::watch;

use crate::{Result, session::registry::Sessions, store::sqlite::Note};

/// How many notes are read at once: each may be as large as a request.
const PAGE: u32 = 8;

/// A watch that was opened.
#[derive(Debug)]
pub struct Watch {
    sessions: Sessions,
    latest: watch::Receiver<i64>,
    at: i64,
    notes: VecDeque<Note>,
}

impl Watch {
    /// Opens a watch.
    ///
    /// # Errors
    ///
    /// INTERNAL when the database cannot be read.
    pub(crate) async fn open(sessions: Sessions) -> Result<Self> {
        let mut latest = sessions.noted();
        // Before the clock is read, so that nothing written from here on is missed.
        latest.mark_unchanged();
        let at = sessions.database().clock().await?.at;
        Ok(Self { sessions, latest, at, notes: VecDeque::new() })
    }

    /// The next note. It never ends by itself.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: that there is one may be forgotten.
    ///
    /// # Errors
    ///
    /// INTERNAL when the database cannot be read.
    pub async fn next(&mut self) -> Result<Note> {
        loop {
            if let Some(note) = self.notes.pop_front() {
                return Ok(note);
            }
            self.notes = self.sessions.database().notes_since(self.at, PAGE).await?.into();
            if let Some(last) = self.notes.back() {
                self.at = last.changed;
            } else if self.latest.changed().await.is_err() {
                // The server is gone, which others tell.
                std::future::pending::<()>().await;
            }
        }
    }
}
