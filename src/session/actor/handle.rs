//! The way to an owner, and what it is asked.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use crate::{
    Error, Result,
    session::{Session, feed::Feed},
    supervise::StopMode,
};

/// What an owner is asked.
#[derive(Debug)]
pub(super) enum Command {
    StartTurn { prompt: String, reply: oneshot::Sender<Result<Session>> },
    Stop { mode: StopMode, actor: String, reply: oneshot::Sender<Result<Session>> },
    Expire { reply: oneshot::Sender<()> },
}

/// The way to an owner. Cheap to clone; while one exists the owner stays.
#[derive(Debug, Clone)]
pub(crate) struct Handle {
    commands: mpsc::Sender<Command>,
    feed: Arc<Feed>,
    /// Counts the handles.
    _in_use: Arc<()>,
}

impl Handle {
    /// A handle of an owner that takes `commands`; `in_use` counts it.
    pub(super) fn new(commands: mpsc::Sender<Command>, feed: Arc<Feed>, in_use: Arc<()>) -> Self {
        Self { commands, feed, _in_use: in_use }
    }

    /// The session's events.
    pub(crate) fn feed(&self) -> &Arc<Feed> {
        &self.feed
    }

    /// Starts a turn; answers when it is durable and its supervisor runs.
    ///
    /// # Errors
    ///
    /// SESSION_RUNNING, WORKING_DIRECTORY_INVALID, AGENT_UNAVAILABLE,
    /// STORAGE_FULL: nothing was started.
    ///
    /// # Cancel safety
    ///
    /// The owner goes on when the caller does not wait any more.
    pub(crate) async fn start_turn(&self, prompt: String) -> Result<Session> {
        self.call(|reply| Command::StartTurn { prompt, reply }).await
    }

    /// Makes a request to stop the running turn durable and passes it on.
    ///
    /// # Errors
    ///
    /// NO_ACTIVE_TURN.
    ///
    /// # Cancel safety
    ///
    /// The owner goes on when the caller does not wait any more.
    pub(crate) async fn stop(&self, mode: StopMode, actor: String) -> Result<Session> {
        self.call(|reply| Command::Stop { mode, actor, reply }).await
    }

    /// Has the events removed that are not to be kept any more.
    ///
    /// # Errors
    ///
    /// SHUTTING_DOWN.
    ///
    /// # Cancel safety
    ///
    /// The owner goes on when the caller does not wait any more.
    pub(crate) async fn expire(&self) -> Result<()> {
        let (reply, answer) = oneshot::channel();
        let gone = || Error::ShuttingDown { last_seq: None };
        self.commands.send(Command::Expire { reply }).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())
    }

    async fn call(
        &self,
        command: impl FnOnce(oneshot::Sender<Result<Session>>) -> Command,
    ) -> Result<Session> {
        let (reply, answer) = oneshot::channel();
        let gone = || Error::ShuttingDown { last_seq: None };
        self.commands.send(command(reply)).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}
