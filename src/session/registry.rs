//! All sessions of the server: finds the owner of a session, loading it when
//! nobody is, and starts the owners that a restart needs.

use std::{
    collections::{HashMap, HashSet},
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
        actor::{self, Actor, Handle},
        directory::SessionDirectory,
        feed::Feed,
        follow::Follower,
        hub::Hub,
    },
    store::sqlite::Database,
    supervise::Grace,
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
    /// How long the steps of stopping a turn are apart.
    pub grace: Grace,
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
        SessionDirectory::of(id, &self.shared.directory)
    }

    /// Reads a session's row.
    ///
    /// # Errors
    ///
    /// SESSION_NOT_FOUND.
    pub(crate) async fn session(&self, id: SessionId) -> Result<Session> {
        match self.shared.database.session(id).await? {
            Some(stored) => Ok(stored.session),
            None => Err(Error::SessionNotFound { id: id.to_string() }),
        }
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
        let Some(stored) = self.shared.database.session(id).await? else {
            return Err(Error::SessionNotFound { id: id.to_string() });
        };
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

    /// Takes back a session that was never acknowledged. Where the database
    /// refuses, the next start does it.
    pub(crate) async fn discard(&self, id: SessionId) {
        self.owners.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
        match self.shared.database.discard_session(id).await {
            Ok(()) => self.directory(id).remove(),
            Err(error) => {
                tracing::warn!(session = %id, error = %report(&error), "cannot take back a session");
            }
        }
    }

    /// Forgets a slot that was never filled.
    fn forget(&self, id: SessionId) {
        let mut owners = self.owners.lock().unwrap_or_else(PoisonError::into_inner);
        if owners.get(&id).is_some_and(|slot| Arc::strong_count(slot) == 1 && slot.get().is_none())
        {
            owners.remove(&id);
        }
    }

    /// Removes what a crash left of sessions that were being created, and loads
    /// the owners of all that were not at rest when the server went down. One
    /// that cannot be loaded is reported and left alone.
    pub(crate) async fn adopt(&self) -> Result<usize> {
        self.remove_unfinished().await?;
        let ids = self.shared.database.unsettled_ids().await?;
        let count = ids.len();
        for id in ids {
            self.directory(id).finish();
            if let Err(error) = self.owner(id).await {
                tracing::error!(session = %id, error = %report(&error), "session cannot be adopted");
            }
        }
        Ok(count)
    }

    /// Removes sessions whose creation was not acknowledged: rows without their
    /// first turn, and directories without a row.
    async fn remove_unfinished(&self) -> Result<()> {
        for id in self.shared.database.pending_ids().await? {
            if self.directory(id).is_unfinished() {
                tracing::info!(session = %id, "removing a session that was not created to its end");
                self.discard(id).await;
            }
        }
        let known = self.shared.database.all_ids().await?.into_iter().collect::<HashSet<_>>();
        let root = self.shared.directory.clone();
        actor::blocking(move || remove_strangers(&root, &known)).await
    }
}

/// Removes the directories of sessions that have no row: the server died
/// between making the one and the other. Whatever else is there is left alone.
fn remove_strangers(root: &Path, known: &HashSet<SessionId>) {
    let entries = match fs::read_dir(root) {
        Ok(entries) => entries,
        Err(error) => {
            tracing::warn!(path = %root.display(), %error, "cannot list the sessions' directories");
            return;
        }
    };
    for entry in entries.flatten() {
        let id = entry.file_name().to_str().and_then(|name| name.parse::<SessionId>().ok());
        let Some(id) = id.filter(|id| !known.contains(id)) else { continue };
        let directory = SessionDirectory::of(id, root);
        if directory.is_unfinished() || directory.has_no_turn() {
            tracing::info!(session = %id, "removing the directory of a session that was not created");
            directory.remove();
        } else {
            tracing::warn!(path = %directory.path().display(), "the database knows no such session; its files are left alone");
        }
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

/// A failed write as a client sees it.
pub(crate) fn storage_error(error: io::Error, path: &Path) -> Error {
    if matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
        Error::StorageFull { path: path.to_owned() }
    } else {
        Error::internal(error)
    }
}
