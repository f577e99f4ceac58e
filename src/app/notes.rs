//! Notes: what clients add to the transcripts of sessions.

use crate::{Result, app::App, id::SessionId, session::noting, store::sqlite::Note};

impl App {
    /// Writes the note of this name into a session's transcript. It is on disk then.
    ///
    /// # Errors
    ///
    /// SESSION_NOT_FOUND, SESSION_DELETED, STORAGE_FULL.
    ///
    /// # Cancel safety
    ///
    /// Goes on when the caller does not wait any more.
    pub async fn put_note(&self, id: SessionId, name: String, text: String) -> Result<()> {
        let changed = self.sessions.database().put_note(id, name, text).await?;
        self.sessions.has_noted(changed);
        Ok(())
    }

    /// The notes of a session in the order in which they were first written; of
    /// those that are together above `bytes`, the latest.
    ///
    /// # Errors
    ///
    /// INTERNAL when the database cannot be read.
    pub async fn notes(&self, id: SessionId, bytes: usize) -> Result<Vec<Note>> {
        Ok(self.sessions.database().notes(id, bytes).await?)
    }

    /// Opens a watch of the notes that are written from now on.
    ///
    /// # Errors
    ///
    /// INTERNAL when the database cannot be read.
    pub async fn watch_notes(&self) -> Result<noting::Watch> {
        noting::Watch::open(self.sessions.clone()).await
    }
}
