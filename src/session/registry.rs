//! All sessions of the server: finds the owner of a session, loading it when
//! nobody is, and starts the owners that a restart needs.

use std::{
    collections::HashMap,
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, Weak},
};

use tokio::sync::OnceCell;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    Error, Result,
    agent::Agents,
    id::SessionId,
    session::{
        Session,
        actor::{Actor, Handle},
        feed::Feed,
        follow::Follower,
        hub::Hub,
    },
    store::{
        log,
        sqlite::{Database, Stored},
    },
};

/// What all owners share.
#[derive(Debug)]
pub(crate) struct Shared {
    /// Rows and outbox.
    pub database: Database,
    /// Who wants to hear of what.
    pub hub: Hub,
    /// Hints that files grew.
    pub follower: Follower,
    /// How agents are started.
    pub agents: Agents,
    /// `$SWITCHBOARD_HOME/sessions`.
    pub directory: PathBuf,
    /// The program that `supervise` is a command of.
    pub supervisor: PathBuf,
    /// Cancelled when the server begins to go down: watches and waits end.
    pub closing: CancellationToken,
    /// Cancelled when owners have to end.
    pub stopped: CancellationToken,
    /// Every owner's task; the server waits for them at the end.
    pub tasks: TaskTracker,
}

/// An owner that is there, or is being loaded by whoever came first.
type Slot = Arc<OnceCell<Handle>>;

/// The sessions of the server. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Sessions {
    shared: Arc<Shared>,
    /// Held for single look-ups only. Slots are cloned under it alone, so that a
    /// count of one means that nobody is about to use the owner.
    owners: Arc<Mutex<HashMap<SessionId, Slot>>>,
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions")
            .field("directory", &self.shared.directory)
            .finish_non_exhaustive()
    }
}

impl Sessions {
    /// The sessions under `shared.directory`.
    pub(crate) fn new(shared: Shared) -> Self {
        Self { shared: Arc::new(shared), owners: Arc::default() }
    }

    /// The database.
    pub(crate) fn database(&self) -> &Database {
        &self.shared.database
    }

    /// Where subscribers register.
    pub(crate) fn hub(&self) -> &Hub {
        &self.shared.hub
    }

    /// How agents are started.
    pub(crate) fn agents(&self) -> &Agents {
        &self.shared.agents
    }

    /// Cancelled when the server goes down.
    pub(crate) fn closing(&self) -> &CancellationToken {
        &self.shared.closing
    }

    /// Where the tasks of the sessions are tracked.
    pub(crate) fn tasks(&self) -> &TaskTracker {
        &self.shared.tasks
    }

    /// The directory of one session.
    pub(crate) fn directory(&self, id: SessionId) -> SessionDirectory {
        SessionDirectory(self.shared.directory.join(id.to_string()))
    }

    /// Reads a session's row.
    ///
    /// # Errors
    ///
    /// SESSION_NOT_FOUND.
    pub(crate) async fn session(&self, id: SessionId) -> Result<Session> {
        self.stored(id).await.map(|stored| stored.session)
    }

    /// Reads a session's row, with the last event that it follows.
    ///
    /// # Errors
    ///
    /// SESSION_NOT_FOUND.
    pub(crate) async fn stored(&self, id: SessionId) -> Result<Stored> {
        let stored = self.shared.database.session(id).await?;
        stored.ok_or_else(|| Error::SessionNotFound { id: id.to_string() })
    }

    /// A session's events.
    ///
    /// # Errors
    ///
    /// SESSION_NOT_FOUND; INTERNAL when its log cannot be opened.
    pub(crate) async fn feed(&self, id: SessionId) -> Result<Arc<Feed>> {
        Ok(Arc::clone(self.owner(id).await?.feed()))
    }

    /// The owner of a session, loaded when it is not there.
    ///
    /// # Errors
    ///
    /// SESSION_NOT_FOUND; INTERNAL when its log cannot be opened.
    pub(crate) async fn owner(&self, id: SessionId) -> Result<Handle> {
        if self.shared.closing.is_cancelled() {
            return Err(Error::ShuttingDown { last_seq: None });
        }
        let slot = {
            let mut owners = self.owners.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(owners.entry(id).or_default())
        };
        let loaded = slot.get_or_try_init(|| self.load(id)).await.cloned();
        if loaded.is_err() {
            drop(slot);
            self.forget(id);
        }
        loaded
    }

    async fn load(&self, id: SessionId) -> Result<Handle> {
        let stored = self.stored(id).await?;
        let (actor, handle) =
            Actor::load(Arc::clone(&self.shared), self.directory(id), stored).await?;
        let sessions = self.clone();
        self.shared.tasks.spawn(actor.run(move |in_use| sessions.retire(id, in_use)));
        Ok(handle)
    }

    /// Forgets an owner that nobody uses; whether it may end.
    fn retire(&self, id: SessionId, in_use: &Weak<()>) -> bool {
        let mut owners = self.owners.lock().unwrap_or_else(PoisonError::into_inner);
        let unused = owners
            .get(&id)
            .is_none_or(|slot| Arc::strong_count(slot) == 1 && in_use.strong_count() <= 1);
        if unused {
            owners.remove(&id);
        }
        unused
    }

    /// Takes back a session that was never acknowledged.
    pub(crate) async fn discard(&self, id: SessionId) {
        self.owners.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
        if let Err(error) = self.shared.database.discard_session(id).await {
            tracing::warn!(session = %id, error = %report(&error), "cannot take back a session");
        }
        self.directory(id).remove();
    }

    /// Forgets a slot that was never filled.
    fn forget(&self, id: SessionId) {
        let mut owners = self.owners.lock().unwrap_or_else(PoisonError::into_inner);
        if owners.get(&id).is_some_and(|slot| Arc::strong_count(slot) == 1 && slot.get().is_none())
        {
            owners.remove(&id);
        }
    }

    /// Loads the owners of all sessions that were not at rest when the server
    /// went down. One that cannot be loaded is reported and left alone.
    pub(crate) async fn adopt(&self) -> Result<usize> {
        let ids = self.shared.database.unsettled_ids().await?;
        let count = ids.len();
        for id in ids {
            if let Err(error) = self.owner(id).await {
                tracing::error!(session = %id, error = %report(&error), "session cannot be adopted");
            }
        }
        Ok(count)
    }
}

/// An error with its sources, for the log.
pub(crate) fn report(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// Where the files of a session are.
#[derive(Debug, Clone)]
pub(crate) struct SessionDirectory(PathBuf);

impl SessionDirectory {
    /// The event log's segments.
    pub(crate) fn events(&self) -> PathBuf {
        self.0.join("events")
    }

    /// The files of turns.
    pub(crate) fn turns(&self) -> PathBuf {
        self.0.join("turns")
    }

    /// Makes the directory durable, with what a session needs in it.
    ///
    /// # Errors
    ///
    /// Where the disk refuses; nothing is left behind.
    pub(crate) fn create(&self) -> Result<()> {
        let make = || -> io::Result<()> {
            fs::create_dir(&self.0)?;
            fs::create_dir(self.turns())?;
            if let Some(parent) = self.0.parent() {
                fs::File::open(parent)?.sync_all()?;
            }
            Ok(())
        };
        make().map_err(|error| {
            self.remove();
            storage_error(error, &self.0)
        })?;
        log::Log::create(&self.events(), log::Options::default()).map_err(|error| {
            self.remove();
            Error::from(error)
        })?;
        Ok(())
    }

    /// Removes the files of a session that was never acknowledged.
    pub(crate) fn remove(&self) {
        if let Err(error) = fs::remove_dir_all(&self.0)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(path = %self.0.display(), %error, "left-over session directory");
        }
    }
}

/// A failed write as a client sees it.
pub(crate) fn storage_error(error: io::Error, path: &Path) -> Error {
    if matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
        Error::StorageFull { path: path.to_owned() }
    } else {
        Error::internal(error)
    }
}
