//! The way to the owner of a session: what it can be asked, and the handle that
//! asks it.

use std::sync::{Arc, Weak};

use tokio::sync::{mpsc, oneshot};

use crate::{
    Error, Result,
    agent::Launch,
    id::TurnNumber,
    session::{PROMPT_PREVIEW_CHARACTERS, Session, feed::Feed, head, state},
    supervise::StopMode,
};

/// How many commands may wait for an owner; a caller beyond that waits.
const QUEUE: usize = 16;

/// What an owner is asked.
#[derive(Debug)]
pub(super) enum Command {
    StartTurn { prompt: String, reply: oneshot::Sender<Result<Session>> },
    Stop { mode: StopMode, actor: String, reply: oneshot::Sender<Result<Session>> },
}

/// A turn that is about to be made: its row first, then its agent.
#[derive(Debug)]
pub(crate) struct NewTurn {
    /// What the agent shall do; written to the turn's files before the row.
    pub prompt: String,
    /// How the agent is started.
    pub launch: Launch,
}

impl NewTurn {
    /// Makes it the session's last turn.
    pub(crate) fn begin(&self, session: &mut Session) {
        let time = crate::time::now();
        let number = TurnNumber(session.turn_count() + 1);
        if session.first_prompt.is_empty() {
            session.first_prompt = head(&self.prompt, PROMPT_PREVIEW_CHARACTERS);
        }
        session.codex_version.clone_from(&self.launch.version);
        session.last_turn = Some(state::new_turn(number, time));
        session.update_time = time;
    }
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
    /// The handle of an owner that reads `feed`, its commands, and how it sees
    /// whether anybody else has a handle.
    pub(super) fn new(feed: Arc<Feed>) -> (Self, mpsc::Receiver<Command>, Weak<()>) {
        let (tx, commands) = mpsc::channel(QUEUE);
        let in_use = Arc::new(());
        let watch = Arc::downgrade(&in_use);
        (Self { commands: tx, feed, _in_use: in_use }, commands, watch)
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
