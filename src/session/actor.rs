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
mod change;
mod damage;
mod handle;
mod persisting;
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
use tracing::Span;

use self::{
    handle::{Command, Nudge},
    turns::Queued,
};
pub(crate) use self::{
    handle::{Handle, Update},
    turns::NewTurn,
};
use crate::{
    Error, Result,
    id::Seq,
    proto::event::Kind,
    row::{Session, Tombstone},
    session::{
        directory::SessionDirectory,
        feed::Feed,
        ingest::{Ingest, Statement},
        persist::Keeper,
        registry::{Shared, report},
        slots::Slot,
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
    /// Where work of its own says what came of it.
    own: mpsc::WeakSender<Command>,
    in_use: Weak<()>,
    nudge: Arc<Nudge>,
    /// Away while a blocking thread has it.
    ingest: Option<Ingest>,
    running: Option<Running>,
    queued: Option<Queued>,
    /// What the log must say before anything else, where the disk refused it.
    unsaid: Vec<Statement>,
    /// Keeps what one needs to understand the session later, where that is asked.
    keeper: Option<Keeper>,
    /// What the session left, once it was deleted.
    deleted: Option<Tombstone>,
    /// The latest event that the database knows the row to follow. The log had
    /// it, whatever is left of that.
    applied: Seq,
    /// The row does not follow the log, because the database refused.
    row_behind: bool,
    /// The log was verified as a whole, and nothing in it was to be repaired.
    mended_in_vain: bool,
    /// When to look next whether the session's files are still there.
    files_at: Instant,
    /// The log could not be opened when the session was loaded, and now can be.
    can_be_opened: bool,
    /// The last look failed, and that was said.
    in_trouble: bool,
    /// The next look at what others wrote in the database, for nobody who asks,
    /// does not come before this.
    told_at: Instant,
    /// There is something to read, or to try again.
    due: bool,
    /// The next look does not come before this.
    not_before: Instant,
}

/// How an owner ended.
#[derive(Debug)]
pub(crate) enum Ended {
    /// Nobody needed it, or the server goes down.
    Orderly,
    /// It lost its writer, and is of no more use.
    Broken,
    /// It did without the log, which can be opened now; the place of its turn,
    /// to be held until that has another owner.
    Outdated(Option<Slot>),
    /// Its session was deleted.
    Deleted,
}

/// Why the owner woke up.
#[derive(Debug)]
enum Wake {
    Command(Command),
    Look,
    SupervisorEnded,
    Granted(Slot),
    Nudged,
    Idle,
    Stopped,
}

impl Wake {
    /// Whether what others wrote in the database is taken up before it, without
    /// waiting: whoever writes and then asks is answered with what was written, and
    /// a turn runs with it.
    fn needs_all(&self) -> bool {
        match self {
            Self::Command(_) | Self::Granted(_) | Self::Stopped => true,
            Self::Look | Self::SupervisorEnded | Self::Nudged | Self::Idle => false,
        }
    }
}

impl Actor {
    /// Lives until the server goes down, or until `retire` says that nobody
    /// needs the owner; it asks while nobody can come to use it.
    pub(crate) async fn run(mut self, retire: impl Fn(&dyn Fn() -> bool) -> bool) -> Ended {
        loop {
            let wake = self.wait().await;
            if (wake.needs_all() || Instant::now() >= self.told_at) && self.nudge.take() {
                self.look_at_database().await;
                self.tell_unkept().await;
            }
            match wake {
                // A caller that has gone does not want the answer.
                Wake::Command(Command::StartTurn { prompt, ticket, reply }) => {
                    let _ = reply.send(self.start_turn(prompt, &ticket).await);
                }
                Wake::Command(Command::Stop { mode, actor, ticket, reply }) => {
                    let _ = reply.send(self.stop(mode, actor, &ticket).await);
                }
                Wake::Command(Command::Update { change, etag, ticket, reply }) => {
                    let _ = reply.send(self.update(change, &etag, &ticket).await);
                }
                Wake::Command(Command::Delete { etag, actor, ticket, reply }) => {
                    let _ = reply.send(self.delete(&etag, &actor, &ticket).await);
                }
                Wake::Command(Command::Mend { opening, reply }) => {
                    let _ = reply.send(self.mend(opening).await);
                }
                Wake::Command(Command::Warn(turn, warning)) => {
                    self.say(vec![Statement::now(turn, Kind::Warning(warning))]).await;
                }
                Wake::Granted(slot) => {
                    if let Err(error) = self.launch_queued(slot).await {
                        tracing::error!(session = %self.session.id, error = %report(&error), "cannot start a turn that waited");
                    }
                }
                Wake::Command(Command::Expire { reply }) => {
                    self.expire().await;
                    let _ = reply.send(());
                }
                Wake::Look => self.look(false).await,
                Wake::SupervisorEnded => self.look(true).await,
                Wake::Idle => {
                    if retire(&|| self.is_in_use()) {
                        return Ended::Orderly;
                    }
                }
                Wake::Nudged => {}
                Wake::Stopped => return Ended::Orderly,
            }
            if let Some(tombstone) = self.deleted.take() {
                self.linger(&tombstone).await;
                return Ended::Deleted;
            }
            if self.ingest.is_none() {
                tracing::error!(session = %self.session.id, "the session's writer was lost to a panic");
                return Ended::Broken;
            }
            // Whoever has asked already gets an answer.
            if self.can_be_opened && self.commands.is_empty() {
                return Ended::Outdated(self.running.take().map(Running::into_slot));
            }
        }
    }

    /// Whether somebody holds a handle, or has left a word.
    fn is_in_use(&self) -> bool {
        // In this order: whoever has let its handle go left its word before.
        self.in_use.strong_count() > 1 || self.nudge.is_given()
    }

    async fn wait(&mut self) -> Wake {
        let stopped = self.shared.stopped.clone();
        let nudge = Arc::clone(&self.nudge);
        loop {
            if let Some(queued) = &mut self.queued {
                return tokio::select! {
                    biased;
                    () = stopped.cancelled() => Wake::Stopped,
                    command = self.commands.recv() => command.map_or(Wake::Stopped, Wake::Command),
                    () = nudge.given_at(self.told_at) => Wake::Nudged,
                    slot = queued.place.granted() => Wake::Granted(slot),
                    () = sleep(RETRY), if self.row_behind || !self.unsaid.is_empty() => Wake::Look,
                };
            }
            let Some(running) = &self.running else {
                return tokio::select! {
                    () = stopped.cancelled() => Wake::Stopped,
                    command = self.commands.recv() => command.map_or(Wake::Stopped, Wake::Command),
                    () = nudge.given_at(self.told_at) => Wake::Nudged,
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
                () = nudge.given_at(self.told_at) => return Wake::Nudged,
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
    // What is said there is said about the same session.
    let span = Span::current();
    tokio::task::spawn_blocking(move || span.in_scope(work)).await.map_err(Error::internal)
}
