//! The directory of one session: what is in it, and how it comes and goes.
//!
//! ```text
//! sessions/<session_id>/
//!   unfinished     while the session is created with its first turn
//!   events/        the event log's segments
//!   turns/         the files of its turns
//! ```
//!
//! Called by [`super::registry`] and by `app` while a session is created. What
//! is inside the two directories is the matter of `store::log` and `supervise`.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::{Error, Result, id::SessionId, session::registry::storage_error, store::log};

/// Where the files of a session are.
#[derive(Debug, Clone)]
pub(crate) struct SessionDirectory {
    id: SessionId,
    path: PathBuf,
}

impl SessionDirectory {
    /// The directory of session `id` under `root`. Touches nothing.
    pub(crate) fn of(id: SessionId, root: &Path) -> Self {
        Self { id, path: root.join(id.to_string()) }
    }

    /// The directory itself.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The event log's segments.
    pub(crate) fn events(&self) -> PathBuf {
        self.path.join("events")
    }

    /// The files of turns.
    pub(crate) fn turns(&self) -> PathBuf {
        self.path.join("turns")
    }

    /// Makes the directory durable, with what a session needs in it.
    ///
    /// # Errors
    ///
    /// SESSION_EXISTS where it is there already; STORAGE_FULL and INTERNAL, with
    /// nothing left behind.
    pub(crate) fn create(&self) -> Result<()> {
        self.make(|| Ok(()))
    }

    /// As [`create`](Self::create), for a session that is nothing without its
    /// first turn: until [`finish`](Self::finish), a start removes it again
    /// where it has none.
    ///
    /// # Errors
    ///
    /// As [`create`](Self::create).
    pub(crate) fn create_unfinished(&self) -> Result<()> {
        self.make(|| fs::File::create_new(self.unfinished()).map(drop))
    }

    /// Says that the session has its first turn.
    pub(crate) fn finish(&self) {
        if let Err(error) = fs::remove_file(self.unfinished())
            && error.kind() != io::ErrorKind::NotFound
        {
            // With a turn in its row the session stays in any case.
            tracing::debug!(path = %self.path.display(), %error, "left-over mark");
        }
    }

    /// Whether the session was not created to its end, if it has no turn.
    pub(crate) fn is_unfinished(&self) -> bool {
        self.unfinished().exists()
    }

    /// Whether nothing is known to have run in the session.
    pub(crate) fn has_no_turn(&self) -> bool {
        match fs::read_dir(self.turns()) {
            Ok(mut entries) => entries.next().is_none(),
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        }
    }

    fn unfinished(&self) -> PathBuf {
        self.path.join("unfinished")
    }

    fn make(&self, mark: impl Fn() -> io::Result<()>) -> Result<()> {
        match fs::create_dir(&self.path) {
            Ok(()) => {}
            // Somebody else creates it now, or its files are there without a row.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(Error::SessionExists { id: self.id });
            }
            Err(error) => return Err(storage_error(error, &self.path)),
        }
        self.fill(mark).inspect_err(|_| self.remove())
    }

    fn fill(&self, mark: impl Fn() -> io::Result<()>) -> Result<()> {
        let parent = self.path.parent().unwrap_or(Path::new("/"));
        mark()
            .and_then(|()| fs::create_dir(self.turns()))
            .and_then(|()| fs::File::open(parent)?.sync_all())
            .map_err(|error| storage_error(error, &self.path))?;
        log::Log::create(&self.events(), log::Options::default())?;
        Ok(())
    }

    /// Removes the files of a session that was never acknowledged.
    pub(crate) fn remove(&self) {
        if let Err(error) = fs::remove_dir_all(&self.path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(path = %self.path.display(), %error, "left-over session directory");
        }
    }
}
