//! The owner of one session: the only task that changes its state and the only
//! writer of its log.
//!
//! ```text
//!  commands ─────────┐
//!  hints, twice a s. ├──▶ owner ──▶ ingest (blocking: read, parse, append, sync)
//!  supervisor's end ─┘      ▲              │ durable events
//!                           │              ▼
//!                           └── row (SQLite) ──▶ feed ──▶ hub ──▶ subscribers
//! ```
//!
//! An event is shown only after it is durable and after the row follows it, so
//! that whoever saw it reads a row that knows of it.

mod begin;
mod handle;
mod retention;
mod say;
mod turns;

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use tokio::{
    sync::mpsc,
    time::{Instant, sleep, sleep_until},
};

use self::handle::Command;
pub(crate) use self::{handle::Handle, turns::NewTurn};
use crate::{
    Error, Result,
    session::{
        Session,
        directory::SessionDirectory,
        feed::Feed,
        ingest::{Ingest, Statement},
        registry::Shared,
        turn::Running,
    },
};

/// How often an owner looks at a running turn without a hint.
const LOOK: Duration = Duration::from_millis(500);
/// How long an owner stays when nobody uses it.
const IDLE: Duration = Duration::from_secs(60);
/// How long to wait before a step that failed is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// The owner.
#[derive(Debug)]
pub(crate) struct Actor {
    shared: Arc<Shared>,
    directory: SessionDirectory,
    session: Session,
    feed: Arc<Feed>,
    commands: mpsc::Receiver<Command>,
    in_use: Weak<()>,
    /// Away while a blocking thread has it.
    ingest: Option<Ingest>,
    running: Option<Running>,
    /// What the log must say before anything else, where the disk refused it.
    unsaid: Vec<Statement>,
    /// The row does not follow the log, because the database refused.
    row_behind: bool,
    /// The last look failed, and that was said.
    in_trouble: bool,
    /// There is something to read, or to try again.
    due: bool,
    /// The next look does not come before this.
    not_before: Instant,
}

/// How an owner ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Nobody needed it, or the server goes down.
    Orderly,
    /// It lost its writer, and is of no more use.
    Broken,
}

/// Why the owner woke up.
#[derive(Debug)]
enum Wake {
    Command(Command),
    Look,
    SupervisorEnded,
    Idle,
    Stopped,
}

impl Actor {
    /// The session as it is now.
    pub(crate) fn session(&self) -> &Session {
        &self.session
    }

    /// Lives until the server goes down, or until `retire` says that nobody
    /// needs the owner.
    pub(crate) async fn run(mut self, retire: impl Fn(&Weak<()>) -> bool) -> Ended {
        loop {
            match self.wait().await {
                Wake::Command(Command::StartTurn { prompt, reply }) => {
                    // A caller that has gone does not want the answer.
                    let _ = reply.send(self.start_turn(prompt).await);
                }
                Wake::Command(Command::Stop { mode, actor, reply }) => {
                    let _ = reply.send(self.stop(mode, actor).await);
                }
                Wake::Command(Command::Expire { reply }) => {
                    self.expire().await;
                    let _ = reply.send(());
                }
                Wake::Look => self.look(false).await,
                Wake::SupervisorEnded => self.look(true).await,
                Wake::Idle => {
                    if retire(&self.in_use) {
                        return Ended::Orderly;
                    }
                }
                Wake::Stopped => return Ended::Orderly,
            }
            if self.ingest.is_none() {
                tracing::error!(session = %self.session.id, "the session's writer was lost to a panic");
                return Ended::Broken;
            }
        }
    }

    async fn wait(&mut self) -> Wake {
        let stopped = self.shared.stopped.clone();
        loop {
            let Some(running) = &self.running else {
                return tokio::select! {
                    () = stopped.cancelled() => Wake::Stopped,
                    command = self.commands.recv() => command.map_or(Wake::Stopped, Wake::Command),
                    () = sleep(RETRY), if self.is_behind() => Wake::Look,
                    () = sleep(IDLE), if !self.is_behind() => Wake::Idle,
                };
            };
            tokio::select! {
                biased;
                () = stopped.cancelled() => return Wake::Stopped,
                command = self.commands.recv() => {
                    return command.map_or(Wake::Stopped, Wake::Command);
                }
                () = until(self.not_before), if self.due => {
                    self.due = false;
                    return Wake::Look;
                }
                () = running.supervisor_ended(), if running.ended.is_none() && !self.due => {
                    return Wake::SupervisorEnded;
                }
                () = running.hint(), if !self.due => self.due = true,
                () = sleep(LOOK), if !self.due => return Wake::Look,
            }
        }
    }
}

fn lost() -> Error {
    Error::internal("the session's writer was lost to a panic")
}

/// Waits until then; not at all where that has passed, which a timer would take
/// for the next millisecond.
async fn until(deadline: Instant) {
    if Instant::now() < deadline {
        sleep_until(deadline).await;
    }
}

/// Runs what blocks on a thread for that.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(Error::internal)
}
