//! The way to an owner, and what it is asked.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::{
    sync::{Notify, mpsc, oneshot},
    time::Instant,
};

use crate::{
    Error, Result,
    agent::Prompt,
    id::TurnNumber,
    proto,
    session::{
        feed::{Feed, Opening},
        once::Ticket,
    },
    supervise::StopMode,
};

/// What an owner is asked.
#[derive(Debug)]
pub(super) enum Command {
    StartTurn {
        prompt: Prompt,
        ticket: Ticket,
        reply: Reply,
    },
    Stop {
        mode: StopMode,
        actor: String,
        ticket: Ticket,
        reply: Reply,
    },
    Update {
        change: Update,
        etag: String,
        ticket: Ticket,
        reply: Reply,
    },
    Expire {
        reply: oneshot::Sender<()>,
    },
    Delete {
        etag: String,
        actor: String,
        ticket: Ticket,
        reply: Reply,
    },
    Mend {
        opening: Opening,
        reply: oneshot::Sender<Result<()>>,
    },
    /// From work of its own, beside the turn.
    Warn(TurnNumber, proto::Warning),
}

/// Where the answer goes.
pub(super) type Reply = oneshot::Sender<Result<proto::Session>>;

/// What a client writes of a session; what is not given stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Update {
    /// The title.
    pub title: Option<String>,
    /// All labels.
    pub labels: Option<BTreeMap<String, String>>,
    /// Whether it is put aside.
    pub archived: Option<bool>,
}

/// The way to an owner. Cheap to clone; while one exists the owner stays.
#[derive(Debug, Clone)]
pub(crate) struct Handle {
    commands: mpsc::Sender<Command>,
    feed: Arc<Feed>,
    /// Counts the handles.
    _in_use: Arc<()>,
    nudge: Arc<Nudge>,
    is_unopened: bool,
}

/// A word to an owner that there is something new in the database. Given again
/// and again before the owner looks, it is one.
#[derive(Debug, Default)]
pub(super) struct Nudge {
    given: AtomicBool,
    notify: Notify,
}

impl Nudge {
    pub(super) fn give(&self) {
        self.given.store(true, Ordering::Release);
        self.notify.notify_one();
    }

    /// Takes it, if it was given.
    pub(super) fn take(&self) -> bool {
        self.given.swap(false, Ordering::AcqRel)
    }

    /// Whether it was given and not taken.
    pub(super) fn is_given(&self) -> bool {
        self.given.load(Ordering::Acquire)
    }

    /// Waits until it may have been given.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub(super) async fn given(&self) {
        if !self.is_given() {
            self.notify.notified().await;
        }
    }

    /// Waits until it may have been given, and not less long than until then.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it stays given.
    pub(super) async fn given_at(&self, at: Instant) {
        self.given().await;
        super::until(at).await;
    }
}

impl Handle {
    /// A handle of an owner that takes `commands`; `in_use` counts it,
    /// `nudge` is the owner's, and `is_unopened` says that it has no log.
    pub(super) fn new(
        commands: mpsc::Sender<Command>,
        feed: Arc<Feed>,
        in_use: Arc<()>,
        nudge: Arc<Nudge>,
        is_unopened: bool,
    ) -> Self {
        Self { commands, feed, _in_use: in_use, nudge, is_unopened }
    }

    /// Has the owner look at what others wrote in the database before it does
    /// anything else.
    pub(crate) fn nudge(&self) {
        self.nudge.give();
    }

    /// Whether the session's log could not be opened, so that the feed shows
    /// nothing and says nothing of it, not even its epoch.
    pub(crate) fn is_unopened(&self) -> bool {
        self.is_unopened
    }

    /// The session's events.
    pub(crate) fn feed(&self) -> &Arc<Feed> {
        &self.feed
    }

    /// Starts a turn; answers when it is durable and its supervisor runs, or when
    /// it waits.
    ///
    /// # Errors
    ///
    /// INVALID_ARGUMENT, SESSION_RUNNING, WORKING_DIRECTORY_INVALID,
    /// AGENT_UNAVAILABLE, STORAGE_FULL, OVERLOADED: nothing was started.
    ///
    /// # Cancel safety
    ///
    /// As of all these: the owner goes on when the caller does not wait any more.
    pub(crate) async fn start_turn(
        &self,
        prompt: Prompt,
        ticket: Ticket,
    ) -> Result<proto::Session> {
        self.call(|reply| Command::StartTurn { prompt, ticket, reply }).await
    }

    /// Makes a request to stop the running turn durable and passes it on.
    ///
    /// # Errors
    ///
    /// NO_ACTIVE_TURN.
    pub(crate) async fn stop(
        &self,
        mode: StopMode,
        actor: String,
        ticket: Ticket,
    ) -> Result<proto::Session> {
        self.call(|reply| Command::Stop { mode, actor, ticket, reply }).await
    }

    /// Has the events removed that are not to be kept any more.
    ///
    /// # Errors
    ///
    /// SHUTTING_DOWN.
    pub(crate) async fn expire(&self) -> Result<()> {
        let (reply, answer) = oneshot::channel();
        let gone = || Error::ShuttingDown { last_seq: None };
        self.commands.send(Command::Expire { reply }).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())
    }

    /// Makes what a client writes durable.
    ///
    /// # Errors
    ///
    /// ETAG_MISMATCH, SESSION_READ_ONLY, STORAGE_FULL: nothing was changed.
    pub(crate) async fn update(
        &self,
        change: Update,
        etag: String,
        ticket: Ticket,
    ) -> Result<proto::Session> {
        self.call(|reply| Command::Update { change, etag, ticket, reply }).await
    }

    /// Deletes the session for ever.
    ///
    /// # Errors
    ///
    /// SESSION_RUNNING, ETAG_MISMATCH, STORAGE_FULL: it is as it was.
    pub(crate) async fn delete(
        &self,
        etag: String,
        actor: String,
        ticket: Ticket,
    ) -> Result<proto::Session> {
        self.call(|reply| Command::Delete { etag, actor, ticket, reply }).await
    }

    /// Has the log repaired, as far as it can be, after damage was met in it as it
    /// was at `opening`.
    ///
    /// # Errors
    ///
    /// INTERNAL when it cannot be opened, SHUTTING_DOWN.
    pub(crate) async fn mend(&self, opening: Opening) -> Result<()> {
        let (reply, answer) = oneshot::channel();
        let gone = || Error::ShuttingDown { last_seq: None };
        self.commands.send(Command::Mend { opening, reply }).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }

    async fn call(&self, command: impl FnOnce(Reply) -> Command) -> Result<proto::Session> {
        let (reply, answer) = oneshot::channel();
        let gone = || Error::ShuttingDown { last_seq: None };
        self.commands.send(command(reply)).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}
