//! All sessions of the server: finds the owner of a session, loading it when
//! nobody is, and starts the owners that a restart needs.

mod adopt;
mod create;

use std::{
    collections::HashMap,
    fmt, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::{Notify, OnceCell, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::Instrument as _;

use crate::{
    Error, Result,
    agent::Agents,
    config::{EventsConfig, LocksConfig, PersistConfig},
    controls::Policy,
    debug_log::SessionLogs,
    id::{Seq, SessionId},
    proto,
    row::Session,
    session::{
        actor::{self, Actor, Ended, Handle},
        directory::SessionDirectory,
        feed::{Feed, Span},
        follow::Follower,
        hub::Hub,
        once::{Begun, Once, Requests, Ticket},
        orphans::Orphans,
        replay::Replays,
        slots::{Place, Slots},
    },
    store::sqlite::{Database, ForgottenThread, Stored},
    supervise::{Grace, Limits},
};

/// What all owners share.
#[derive(Debug)]
pub(crate) struct Shared {
    /// Rows and outbox.
    pub database: Database,
    /// Who wants to hear of what.
    pub hub: Hub,
    /// What those who lag read from the logs' files.
    pub replays: Replays,
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
    /// `$SWITCHBOARD_HOME/trash`: what is left of deleted sessions.
    pub trash: PathBuf,
    /// Places for the turns that run at once.
    pub slots: Slots,
    /// The requests that carry an id and are at work.
    pub requests: Requests,
    /// How far a turn may go.
    pub limits: Limits,
    /// How events are kept.
    pub events: EventsConfig,
    /// How config locks are written and read.
    pub locks: Arc<LocksConfig>,
    /// What is kept of sessions to understand them later.
    pub persist: PersistConfig,
    /// The server's log about single sessions.
    pub session_logs: SessionLogs,
    /// What the operator configured of controls.
    pub policy: Arc<Policy>,
    /// The latest entry of the audit that watches are told of.
    pub audited: watch::Sender<u64>,
    /// Rises with every note that is written.
    pub noted: watch::Sender<i64>,
    /// How many files an agent may have open; none for no limit.
    pub agent_open_files: Option<u64>,
    /// Cancelled when the server begins to go down: watches and waits end.
    pub closing: CancellationToken,
    /// Cancelled when owners have to end.
    pub stopped: CancellationToken,
    /// Where tasks run.
    pub runtime: tokio::runtime::Handle,
    /// Every owner's task; the server waits for them at the end.
    pub tasks: TaskTracker,
}

/// An owner that is there, or is being loaded by whoever came first.
type Slot = Arc<OnceCell<Handle>>;

/// The sessions of the server. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Sessions {
    shared: Arc<Shared>,
    /// Those that have to be loaded again.
    orphans: Arc<Orphans>,
    /// Told when a session was deleted and nobody reads it any more.
    deletions: Arc<Notify>,
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
        Self {
            shared: Arc::new(shared),
            orphans: Arc::default(),
            deletions: Arc::default(),
            owners: Arc::default(),
        }
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

    /// How events are kept.
    pub(crate) fn events(&self) -> EventsConfig {
        self.shared.events
    }

    /// How config locks are written and read.
    pub(crate) fn locks(&self) -> &Arc<LocksConfig> {
        &self.shared.locks
    }

    /// What the operator configured of controls.
    pub(crate) fn policy(&self) -> &Arc<Policy> {
        &self.shared.policy
    }

    /// Whether every new session is persisted.
    pub(crate) fn persists_all(&self) -> bool {
        self.shared.persist.all
    }

    /// Rises with every entry of the audit.
    pub(crate) fn audited(&self) -> watch::Receiver<u64> {
        self.shared.audited.subscribe()
    }

    /// Tells that entry `seq` of the audit was committed, with an event for
    /// `session`.
    pub(crate) fn recorded(&self, seq: u64, session: Option<SessionId>) {
        self.shared.audited.send_if_modified(|latest| {
            let is_later = seq > *latest;
            *latest = seq.max(*latest);
            is_later
        });
        if let Some(id) = session {
            self.nudge(id);
        }
    }

    /// Rises with every note that is written.
    pub(crate) fn noted(&self) -> watch::Receiver<i64> {
        self.shared.noted.subscribe()
    }

    /// Tells that a note was written, when the clock of the catalogue stood at
    /// `changed`.
    pub(crate) fn has_noted(&self, changed: i64) {
        self.shared.noted.send_modify(|latest| *latest = changed.max(*latest));
    }

    /// Has the owner of a session look at what others wrote in the database: the
    /// session's controls, and what its log shall say.
    fn nudge(&self, id: SessionId) {
        let owner = {
            let owners = self.owners.lock().unwrap_or_else(PoisonError::into_inner);
            owners.get(&id).and_then(|slot| slot.get().cloned())
        };
        if let Some(owner) = owner {
            owner.nudge();
            return;
        }
        let sessions = self.clone();
        let nudged = async move {
            match sessions.owner(id).await {
                Ok(owner) => owner.nudge(),
                // Whoever loads it later does the same; those who watch the
                // catalogue look at rows.
                Err(_) => drop(sessions.hub().publish(id)),
            }
        };
        // The database's own thread tells of what it committed.
        self.shared.tasks.spawn_on(nudged, &self.shared.runtime);
    }

    /// Told when a session was deleted and nobody reads it any more.
    pub(crate) fn deletions(&self) -> &Notify {
        &self.deletions
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

    /// Begins a request that may carry an id; see [`Requests::begin`].
    ///
    /// # Errors
    ///
    /// INVALID_ARGUMENT, IDEMPOTENCY_CONFLICT.
    pub(crate) async fn begin<R: prost::Message + Default>(
        &self,
        method: &'static str,
        once: Once,
    ) -> Result<Begun<R>> {
        self.shared.requests.begin(&self.shared.database, method, once).await
    }

    /// Finds a place for a new turn; see [`Slots::admit`].
    ///
    /// # Errors
    ///
    /// STORAGE_FULL, OVERLOADED.
    pub(crate) fn admit(&self) -> Result<Place> {
        self.shared.slots.admit()
    }

    /// Deletes a session at rest that has no owner, because it cannot be loaded.
    ///
    /// # Errors
    ///
    /// SESSION_NOT_FOUND, SESSION_DELETED, SESSION_RUNNING, ETAG_MISMATCH.
    pub(crate) async fn delete_unloaded(
        &self,
        id: SessionId,
        etag: &str,
        ticket: &Ticket,
    ) -> Result<proto::Session> {
        let session = self.session(id).await?;
        session.check_etag(etag)?;
        if session.is_active() {
            return Err(Error::SessionRunning { id, state: session.state() });
        }
        let receipt = ticket.receipt_of(&session);
        let thread = ForgottenThread::of(&session);
        self.database().delete_session(session.tombstone(), thread, receipt).await?;
        self.hub().publish(id);
        self.clear_away(id).await;
        Ok((&session).into())
    }

    /// The latest event that is shown of a session, where it has an owner.
    pub(crate) fn shown(&self, id: SessionId) -> Option<Seq> {
        let owners = self.owners.lock().unwrap_or_else(PoisonError::into_inner);
        owners.get(&id)?.get().map(|owner| owner.feed().now().latest)
    }

    /// Reads a session's row.
    ///
    /// # Errors
    ///
    /// SESSION_NOT_FOUND, SESSION_DELETED.
    pub(crate) async fn session(&self, id: SessionId) -> Result<Session> {
        self.stored(id).await.map(|stored| stored.session)
    }

    /// Reads a session's row, with the last event that it follows.
    ///
    /// # Errors
    ///
    /// SESSION_NOT_FOUND, SESSION_DELETED.
    pub(crate) async fn stored(&self, id: SessionId) -> Result<Stored> {
        if let Some(stored) = self.shared.database.session(id).await? {
            return Ok(stored);
        }
        match self.shared.database.tombstone(id).await? {
            Some(tombstone) => Err((&tombstone).into()),
            None => Err(Error::SessionNotFound { id: id.to_string() }),
        }
    }

    /// A session's events, for whoever begins to read them.
    ///
    /// # Errors
    ///
    /// SESSION_NOT_FOUND, SESSION_DELETED; SESSION_READ_ONLY when its log cannot
    /// be opened.
    pub(crate) async fn feed(&self, id: SessionId) -> Result<Arc<Feed>> {
        let owner = self.owner(id).await?;
        let feed = owner.feed();
        if let Some(tombstone) = feed.tombstone() {
            return Err(tombstone.into());
        }
        if owner.is_unopened() {
            let problem = feed.closed().unwrap_or_default().to_owned();
            // It is tried again, for the next one who asks: this one has no part in
            // how that ends.
            let _ = owner.mend(feed.opening()).await;
            return Err(Error::SessionReadOnly { id, problem });
        }
        Ok(Arc::clone(feed))
    }

    /// A session's events, for whoever reads them already: those of a session
    /// that was deleted too, for a while.
    ///
    /// # Errors
    ///
    /// SESSION_NOT_FOUND, SESSION_DELETED; else as [`Sessions::owner`].
    pub(crate) async fn feed_to_its_end(&self, id: SessionId) -> Result<Arc<Feed>> {
        Ok(Arc::clone(self.owner(id).await?.feed()))
    }

    /// Reads on at `from` in a session's events, which `feed` is of; `None` when
    /// there is nothing yet. What is damaged is made again where that can be done.
    ///
    /// # Errors
    ///
    /// CURSOR_EXPIRED when the log begins later; EVENTS_DAMAGED; INTERNAL when
    /// the log cannot be read.
    pub(crate) async fn read(&self, id: SessionId, feed: &Feed, from: Seq) -> Result<Option<Span>> {
        let opening = feed.opening();
        let error = match feed.read(from).await {
            Err(error @ Error::EventsDamaged { .. }) => error,
            read => return read,
        };
        let error = match self.owner(id).await?.mend(opening).await {
            Ok(()) => match feed.read(from).await {
                Err(error @ Error::EventsDamaged { .. }) => error,
                read => return read,
            },
            Err(Error::SessionDeleted { .. }) => error,
            Err(error) => return Err(error),
        };
        Err(feed.look_beyond(error).await)
    }

    /// The owner of a session, loaded when it is not there.
    ///
    /// # Errors
    ///
    /// SESSION_NOT_FOUND; OVERLOADED, STORAGE_FULL and INTERNAL when it cannot be
    /// loaded.
    pub(crate) async fn owner(&self, id: SessionId) -> Result<Handle> {
        if let Some(handle) = self.slot(id)?.get() {
            return Ok(handle.clone());
        }
        // In a task of its own: a caller that leaves must not leave a log behind
        // that is half opened, while the next one opens it again.
        let sessions = self.clone();
        let loading = self.shared.tasks.spawn(async move {
            let slot = sessions.slot(id)?;
            let loaded = slot.get_or_try_init(|| sessions.load(id)).await.cloned();
            drop(slot);
            if loaded.is_err() {
                sessions.forget(id);
            }
            loaded
        });
        loading.await.map_err(Error::internal)?
    }

    async fn load(&self, id: SessionId) -> Result<Handle> {
        let stored = self.stored(id).await?;
        let (actor, handle) =
            Actor::load(Arc::clone(&self.shared), self.directory(id), stored, None).await?;
        self.spawn(id, actor);
        Ok(handle)
    }

    fn spawn(&self, id: SessionId, actor: Actor) {
        let sessions = self.clone();
        let span = actor.span();
        self.shared.tasks.spawn(async move {
            let retire = |is_in_use: &dyn Fn() -> bool| sessions.retire(id, is_in_use);
            let ended = actor.run(retire).instrument(span).await;
            match ended {
                Ended::Orderly => {}
                // Whoever asks next has it loaded anew. Where a turn runs, that
                // must not depend on somebody who asks.
                Ended::Broken => {
                    sessions.remove_owner(id);
                    sessions.orphans.add(id);
                }
                Ended::Outdated(slot) => {
                    sessions.remove_owner(id);
                    if sessions.owner(id).await.is_err() {
                        sessions.orphans.add(id);
                    }
                    drop(slot);
                }
                Ended::Deleted => {
                    sessions.remove_owner(id);
                    // Those who watch it look again, and find that it is gone.
                    sessions.hub().publish(id);
                    sessions.clear_away(id).await;
                }
            }
        });
    }

    fn remove_owner(&self, id: SessionId) {
        self.owners.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
    }

    /// Removes what a deleted session left on the disk, and lets its agent be asked
    /// to forget the thread. What fails is said and made up for at the next start.
    async fn clear_away(&self, id: SessionId) {
        let (directory, trash) = (self.directory(id), self.shared.trash.clone());
        if let Err(error) = actor::blocking(move || directory.discard(&trash)).await {
            tracing::error!(session = %id, error = %report(&error), "cannot clear away a deleted session");
        }
        self.deletions.notify_one();
    }

    /// Forgets an owner that nobody uses; whether it may end.
    fn retire(&self, id: SessionId, is_in_use: &dyn Fn() -> bool) -> bool {
        let mut owners = self.owners.lock().unwrap_or_else(PoisonError::into_inner);
        let unused =
            owners.get(&id).is_none_or(|slot| Arc::strong_count(slot) == 1 && !is_in_use());
        if unused {
            owners.remove(&id);
        }
        unused
    }

    /// The place of a session's owner, filled or not.
    fn slot(&self, id: SessionId) -> Result<Slot> {
        if self.shared.closing.is_cancelled() {
            return Err(Error::ShuttingDown { last_seq: None });
        }
        let mut owners = self.owners.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(Arc::clone(owners.entry(id).or_default()))
    }

    /// Forgets a slot that was never filled.
    fn forget(&self, id: SessionId) {
        let mut owners = self.owners.lock().unwrap_or_else(PoisonError::into_inner);
        if owners.get(&id).is_some_and(|slot| Arc::strong_count(slot) == 1 && slot.get().is_none())
        {
            owners.remove(&id);
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
    if is_full(&error) {
        Error::StorageFull { path: path.to_owned() }
    } else {
        Error::system(error)
    }
}

/// Whether a write failed for want of room.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
