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

mod following;
mod saying;
mod turns;

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use tokio::{
    sync::mpsc,
    time::{Instant, sleep, sleep_until},
};

use crate::{
    Error, Result,
    proto::SessionState,
    session::{
        Session,
        directory::SessionDirectory,
        feed::Feed,
        handle::{Command, Handle, NewTurn},
        ingest::{Ingest, Statement},
        registry::Shared,
        turn::Running,
    },
    store::sqlite::Stored,
};

/// How often an owner looks at a running turn without a hint.
const LOOK: Duration = Duration::from_millis(500);
/// How long an owner stays when nobody uses it.
const IDLE: Duration = Duration::from_secs(60);
/// How long a step waits after the one before, so that a fast agent is read in
/// larger steps: at 50,000 lines a second this costs a fifteenth of the CPU.
const PACE: Duration = Duration::from_millis(1);
/// By how much one subscriber slows publishing down, so that wake-ups stay
/// under 20,000 a second, and at most by how much many do.
const PACE_PER_SUBSCRIBER: Duration = Duration::from_micros(50);
const MAX_PACE: Duration = Duration::from_millis(10);
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
    /// Opens a session's log, lets its row catch up, appends what the outbox
    /// has for it, and launches its new turn or takes up one that runs.
    ///
    /// # Errors
    ///
    /// INTERNAL when the log cannot be opened.
    pub(crate) async fn load(
        shared: Arc<Shared>,
        directory: SessionDirectory,
        stored: Stored,
        new_turn: Option<NewTurn>,
    ) -> Result<(Self, Handle)> {
        let Stored { session, applied } = stored;
        let (id, place) = (session.id, directory.clone());
        let (ingest, opened) = blocking(move || Ingest::open(id, &place, applied)).await??;
        if let Some(cut) = &opened.cut {
            tracing::info!(session = %id, bytes = cut.bytes, "cut the torn end of the event log");
        }
        for repair in &opened.repairs {
            tracing::warn!(session = %id, ?repair, "rebuilt a damaged segment of the event log");
        }
        if let Some(problem) = &opened.read_only {
            tracing::error!(session = %id, problem, "the event log is damaged; the session is read-only");
        }
        let feed = Arc::new(Feed::new(ingest.reader(), shared.replays.clone()));
        let (handle, commands, in_use) = Handle::new(Arc::clone(&feed));
        let mut actor = Self {
            shared,
            directory,
            session,
            feed: Arc::clone(&feed),
            commands,
            in_use,
            ingest: Some(ingest),
            running: None,
            unsaid: Vec::new(),
            row_behind: false,
            in_trouble: false,
            due: true,
            not_before: Instant::now(),
        };
        actor.catch_up(applied).await?;
        if opened.read_only.is_none() {
            actor.empty_outbox().await?;
            match new_turn {
                Some(turn) => actor.launch(turn, SessionState::Pending).await?,
                None => actor.take_up_turn().await?,
            }
        }
        Ok((actor, handle))
    }

    /// The session as it is now.
    pub(crate) fn session(&self) -> &Session {
        &self.session
    }

    /// Lives until the server goes down, or until `retire` says that nobody
    /// needs the owner.
    pub(crate) async fn run(mut self, retire: impl Fn(&Weak<()>) -> bool) {
        loop {
            match self.wait().await {
                Wake::Command(Command::StartTurn { prompt, reply }) => {
                    // A caller that has gone does not want the answer.
                    let _ = reply.send(self.start_turn(prompt).await);
                }
                Wake::Command(Command::Stop { mode, actor, reply }) => {
                    let _ = reply.send(self.stop(mode, actor).await);
                }
                Wake::Look => self.look(false).await,
                Wake::SupervisorEnded => self.look(true).await,
                Wake::Idle => {
                    if retire(&self.in_use) {
                        return;
                    }
                }
                Wake::Stopped => return,
            }
            if self.ingest.is_none() {
                tracing::error!(session = %self.session.id, "the session's writer was lost to a panic");
                return;
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

    async fn with_ingest<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut Ingest) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let mut ingest = self.ingest.take().ok_or_else(lost)?;
        let (ingest, result) = blocking(move || {
            let result = work(&mut ingest);
            (ingest, result)
        })
        .await?;
        self.ingest = Some(ingest);
        result
    }

    fn writer(&self) -> Result<&Ingest> {
        self.ingest.as_ref().ok_or_else(lost)
    }

    fn writer_mut(&mut self) -> Result<&mut Ingest> {
        self.ingest.as_mut().ok_or_else(lost)
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
