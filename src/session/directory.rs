//! The directory of one session: what is in it, and how it comes and goes.
//!
//! ```text
//! sessions/<session_id>/
//!   events/        the event log's segments
//!   turns/         the files of its turns
//!   meta.json      a rendering of its row, for people
//!   config.lock.toml   the config lock that it is held to, if it is
//!   and, where it is persisted, what `persist` keeps beside these
//! ```
//!
//! Called by [`super::registry`] and by `app` while a session is created. What
//! is inside the two directories is the matter of `store::log` and `supervise`.

use std::{
    fs,
    io::{self, Write as _},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use crate::{
    Error, Result, home,
    id::{SessionId, TurnNumber},
    plain_file, proto,
    row::Session,
    session::registry::storage_error,
    store::log,
    supervise::TurnFiles,
};

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

    /// The config lock that the session is held to.
    pub(crate) fn lock(&self) -> PathBuf {
        self.path.join("config.lock.toml")
    }

    /// Makes the directory durable, with what a session needs in it: the text of
    /// its config lock too, where it has one.
    ///
    /// # Errors
    ///
    /// SESSION_EXISTS where it is there already; STORAGE_FULL and INTERNAL, with
    /// nothing left behind.
    pub(crate) fn create(&self, lock: Option<&str>) -> Result<()> {
        match fs::create_dir(&self.path) {
            Ok(()) => {}
            // Its files are there without a row.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(Error::SessionExists { id: self.id });
            }
            Err(error) => return Err(storage_error(error, &self.path)),
        }
        self.fill(lock).inspect_err(|_| self.remove())
    }

    /// Makes the directories again that somebody took away, as far as they are
    /// missing. The one that holds all sessions must be there: where that is
    /// gone, a disk is.
    ///
    /// # Errors
    ///
    /// Those of the file system.
    pub(crate) fn restore(&self) -> io::Result<()> {
        for path in [self.path.clone(), self.events(), self.turns()] {
            match fs::create_dir(&path) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                Ok(()) | Err(_) => {}
            }
        }
        Ok(())
    }

    /// Renders the session's row as `meta.json`, for people who look.
    ///
    /// # Errors
    ///
    /// Where it cannot be written; nothing depends on it.
    pub(crate) fn describe(&self, session: &Session) -> io::Result<()> {
        let mut text = serde_json::to_vec_pretty(&proto::Session::from(session))?;
        text.push(b'\n');
        let temporary = self.path.join(".meta.json.new");
        plain_file::create_anew(&temporary)?.write_all(&text)?;
        fs::rename(temporary, self.path.join("meta.json"))
    }

    /// Whether nothing has run in the session: there may be a prompt and what came
    /// with it, and nothing else.
    pub(crate) fn never_ran(&self) -> bool {
        let is_asked = |entry: io::Result<fs::DirEntry>| {
            entry.is_ok_and(|entry| {
                let name = entry.file_name();
                let name = name.to_string_lossy();
                name.contains(".prompt") || name.contains(".request.json")
            })
        };
        match fs::read_dir(self.turns()) {
            Ok(mut entries) => entries.all(is_asked),
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        }
    }

    /// How many bytes the files take on the disk; what vanishes meanwhile does not
    /// count.
    pub(crate) fn disk_bytes(&self) -> u64 {
        fn below(path: &Path) -> u64 {
            let entries = fs::read_dir(path).into_iter().flatten().flatten();
            let sizes = entries.filter_map(|entry| {
                let metadata = entry.metadata().ok()?;
                let below = if metadata.is_dir() { below(&entry.path()) } else { 0 };
                // `st_blocks` counts units of 512 bytes, whatever the disk's own.
                Some(metadata.blocks() * 512 + below)
            });
            sizes.sum()
        }
        below(&self.path)
    }

    /// How many files there are.
    pub(crate) fn file_count(&self) -> u64 {
        fn below(path: &Path) -> u64 {
            let entries = fs::read_dir(path).into_iter().flatten().flatten();
            let counts = entries.map(|entry| match entry.file_type() {
                Ok(kind) if kind.is_dir() => below(&entry.path()),
                Ok(_) | Err(_) => 1,
            });
            counts.sum()
        }
        below(&self.path)
    }

    /// Removes the files of a session that was deleted: out of the way first, so
    /// that a crash leaves nothing that looks like a session.
    pub(crate) fn discard(&self, trash: &Path) {
        let place = trash.join(self.id.to_string());
        let moved = fs::create_dir_all(trash).and_then(|()| fs::rename(&self.path, &place));
        match moved {
            Ok(()) => remove_tree(&place),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                tracing::warn!(path = %self.path.display(), %error, "cannot move a deleted session to the trash");
            }
        }
    }

    fn fill(&self, lock: Option<&str>) -> Result<()> {
        if let Some(text) = lock {
            let path = self.lock();
            home::write_atomically(&path, text.as_bytes())
                .and_then(|()| fs::File::open(&self.path)?.sync_all())
                .map_err(|error| storage_error(error, &path))?;
        }
        let parent = self.path.parent().unwrap_or(Path::new("/"));
        fs::create_dir(self.turns())
            .and_then(|()| fs::File::open(parent)?.sync_all())
            .map_err(|error| storage_error(error, &self.path))?;
        log::Log::create(&self.events(), log::Options::default())?;
        Ok(())
    }

    /// Removes the files of a session that was never acknowledged.
    pub(crate) fn remove(&self) {
        // By their names, which needs no file descriptor: there may be none left.
        let prompt = TurnFiles::new(self.turns(), TurnNumber(1)).prompt();
        let _ = fs::remove_file(prompt);
        let _ = fs::remove_file(self.lock());
        let _ = fs::remove_dir(self.turns());
        log::Log::discard(&self.events());
        if fs::remove_dir(&self.path).is_err() {
            remove_tree(&self.path);
        }
    }
}

/// Removes what is left of sessions that were deleted.
pub(crate) fn empty_trash(trash: &Path) {
    for entry in fs::read_dir(trash).into_iter().flatten().flatten() {
        remove_tree(&entry.path());
    }
}

fn remove_tree(path: &Path) {
    if let Err(error) = fs::remove_dir_all(path)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(path = %path.display(), %error, "left-over session directory");
    }
}
