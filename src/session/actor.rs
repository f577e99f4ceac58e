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

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use prost::Message as _;
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep, sleep_until},
};

use crate::{
    Error, Result,
    agent::Launch,
    event,
    id::{Seq, TurnNumber},
    proto::{self, SessionState, StateReason},
    session::{
        PROMPT_PREVIEW_CHARACTERS, Session,
        directory::SessionDirectory,
        feed::{Feed, Now},
        head,
        ingest::{Fact, Ingest, Statement, Step},
        registry::{Shared, report, storage_error},
        state,
        turn::{self, Ended, Running},
    },
    store::sqlite::{OutboxRow, Stored},
    supervise::{self, Grace, Spec, Stop, StopMode},
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

/// What an owner is asked.
#[derive(Debug)]
enum Command {
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
        let (tx, commands) = mpsc::channel(16);
        let in_use = Arc::new(());
        let mut actor = Self {
            shared,
            directory,
            session,
            feed: Arc::clone(&feed),
            commands,
            in_use: Arc::downgrade(&in_use),
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
        Ok((actor, Handle { commands: tx, feed, _in_use: in_use }))
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

    /// Lets the row follow what is in the log after `applied`.
    async fn catch_up(&mut self, applied: Seq) -> Result<()> {
        let reader = self.writer()?.reader();
        let latest = reader.latest();
        let (facts, reader) = blocking(move || {
            let mut facts = Vec::new();
            let mut next = applied.next().max(reader.oldest());
            while let Some(chunk) = reader.read(next, 1 << 20)? {
                for entry in
                    chunk.iter_from(next).filter(|entry| state::kind_concerns_row(entry.kind))
                {
                    facts.extend(fact_of(event::decode_frame(&entry.frame)?));
                }
                next = chunk.last().next();
            }
            Ok::<_, Error>((facts, reader))
        })
        .await??;
        drop(reader);
        self.fold(&facts);
        if applied < latest {
            self.store_row(latest).await;
        }
        self.feed.reveal(Now { latest, active: self.active_turn() });
        Ok(())
    }

    async fn empty_outbox(&mut self) -> Result<()> {
        let done = self.writer()?.tail().outbox_id;
        let rows = self.shared.database.outbox(self.session.id, done).await?;
        let statements = rows.into_iter().filter_map(statement_of).collect::<Vec<_>>();
        self.say(statements).await;
        Ok(())
    }

    /// Takes up a turn that ran when the server went down.
    async fn take_up_turn(&mut self) -> Result<()> {
        let Some(turn) = self.session.last_turn.clone().filter(|turn| state::is_active(turn.state))
        else {
            return Ok(());
        };
        let (id, thread) = (self.session.id, self.session.thread_id.clone());
        let mut running = Running::new(&self.directory.turns(), turn.number, &self.shared.follower);
        let files = running.files.clone();
        let was_said = self.writer()?.tail().turn >= turn.number.0;
        let found = blocking(move || match turn::find_out(&files, id, thread.as_deref())? {
            (Some(Ended::NotStarted(_)), _) if was_said => {
                turn::give_up(&files, id, thread.as_deref()).map(|ended| (Some(ended), None))
            }
            found => Ok(found),
        });
        let (ended, pid_file) = found.await?.map_err(Error::internal)?;
        tracing::info!(session = %id, turn = turn.number.0, ?ended, "took up a turn");
        if let Some(pid_file) = &pid_file {
            running.watch_supervisor(supervise::pidfd(pid_file));
        }
        if self.writer()?.tail().turn < turn.number.0 {
            // The server went down before it could say how the turn began.
            let previous = self.state_before(turn.number).await?;
            let statements = match &ended {
                Some(Ended::NotStarted(problem)) => {
                    let failed = (SessionState::Failed, StateReason::SpawnFailed, problem.clone());
                    vec![Statement::now(turn.number, state::state_changed(previous, failed))]
                }
                Some(Ended::Exited(_) | Ended::Lost(_)) | None => {
                    let files = running.files.clone();
                    let prompt = blocking(move || turn::read_prompt(&files)).await?;
                    let spawned = self.spawned(&prompt);
                    turn::first_statements(
                        turn.number,
                        previous,
                        spawned,
                        Vec::new(),
                        crate::time::now(),
                    )
                }
            };
            self.say(statements).await;
        }
        running.ended = ended;
        running.adopted = true;
        self.running = Some(running);
        Ok(())
    }

    /// In which state turn `number` found the session.
    async fn state_before(&self, number: TurnNumber) -> Result<SessionState> {
        let before = TurnNumber(number.0 - 1);
        let turn = self.shared.database.turn(self.session.id, before).await?;
        Ok(turn.map_or(SessionState::Pending, |turn| turn.state))
    }

    /// The event with which the last turn begins.
    fn spawned(&self, prompt: &str) -> proto::TurnSpawned {
        proto::TurnSpawned {
            codex_version: self.session.codex_version.clone(),
            resumed_thread_id: self.session.thread_id.clone().unwrap_or_default(),
            prompt: head(prompt, PROMPT_PREVIEW_CHARACTERS),
        }
    }

    /// Reads on, and writes the end of the turn down when it has come.
    async fn look(&mut self, supervisor_ended: bool) {
        let looked = self.try_look(supervisor_ended).await;
        let pause = match looked {
            Ok(pause) => {
                self.in_trouble = false;
                pause
            }
            Err(error) => {
                // Said once: the log may be on the disk that is full.
                if !self.in_trouble {
                    tracing::error!(session = %self.session.id, error = %report(&error), "cannot follow the session; trying again");
                }
                self.in_trouble = true;
                if let (Some(running), Error::StorageFull { .. }) = (&mut self.running, &error) {
                    running.disk_was_full = true;
                }
                self.due = true;
                RETRY
            }
        };
        self.not_before = Instant::now() + pause;
    }

    async fn try_look(&mut self, supervisor_ended: bool) -> Result<Duration> {
        self.make_up().await?;
        let Some(running) = &mut self.running else { return Ok(Duration::ZERO) };
        if supervisor_ended {
            // It is told once; from here on the lock is probed.
            running.supervisor = None;
        }
        let (files, adopted) = (running.files.clone(), running.adopted);
        let was_ended = running.ended.is_some();
        let judge = running.supervisor.is_none();
        let (id, thread) = (self.session.id, self.session.thread_id.clone());
        let looked = self.with_ingest(move |ingest| {
            // The order matters: the exit file is looked for before the read, so
            // that what is then read to its end is complete.
            let (ended, pid_file) = if was_ended {
                (None, None)
            } else {
                match turn::look_for_exit(&files).map_err(Error::internal)? {
                    None if judge => {
                        turn::find_out(&files, id, thread.as_deref()).map_err(Error::internal)?
                    }
                    ended => (ended, None),
                }
            };
            let step = ingest.step(&files, adopted, was_ended || ended.is_some());
            Ok((ended, pid_file, step))
        });
        let (ended, pid_file, step) = looked.await?;
        let Some(running) = &mut self.running else { return Ok(Duration::ZERO) };
        if let Some(pid_file) = pid_file.filter(|_| running.supervisor.is_none()) {
            running.watch_supervisor(supervise::pidfd(&pid_file));
        }
        running.ended = running.ended.take().or(ended);
        let ended = running.ended.is_some();
        self.learn_pid().await;
        let step = step?;
        let at_end = step.at_end;
        let pause = self.show(step).await;
        if at_end && ended {
            self.conclude().await?;
            return Ok(Duration::ZERO);
        }
        if at_end {
            return Ok(pause);
        }
        // There is more: no hint will come for it, and a pause would make the
        // next step no larger.
        self.due = true;
        Ok(Duration::ZERO)
    }

    /// The agent's process id is known a moment after the turn began.
    async fn learn_pid(&mut self) {
        let (Some(running), Some(turn)) = (&self.running, &mut self.session.last_turn) else {
            return;
        };
        if turn.pid.is_some() {
            return;
        }
        let files = running.files.clone();
        let pid = blocking(move || supervise::read_pid(&files)).await;
        let Ok(Ok(Some(supervise::PidFile { agent_pid: Some(pid), .. }))) = pid else { return };
        turn.pid = Some(pid);
        self.store_row(self.feed.now().latest).await;
    }

    /// The turn's output was read to its end, and how it ended is known.
    async fn conclude(&mut self) -> Result<()> {
        let Some(running) = &self.running else { return Ok(()) };
        let (Some(ended), Some(turn)) = (running.ended.clone(), self.session.last_turn.clone())
        else {
            return Ok(());
        };
        let (files, disk_was_full) = (running.files.clone(), running.disk_was_full);
        let statements =
            blocking(move || turn::last_statements(&files, &turn, &ended, disk_was_full)).await?;
        self.try_say(statements).await?;
        if let Some(launched) = self.running.take().and_then(|running| running.launched) {
            // Reaps the supervisor, now or in a thread of its own.
            drop(launched);
        }
        self.writer_mut()?.unfollow();
        let state = self.session.state();
        tracing::info!(session = %self.session.id, turn = self.session.turn_count(), state = state.as_str_name(), "turn ended");
        Ok(())
    }

    async fn start_turn(&mut self, prompt: String) -> Result<Session> {
        let id = self.session.id;
        if self.running.is_some() || self.session.is_active() {
            return Err(Error::SessionRunning { id, state: self.session.state() });
        }
        if let Some(problem) = self.writer()?.read_only() {
            return Err(Error::SessionReadOnly { id, problem: problem.to_owned() });
        }
        let number = TurnNumber(self.session.turn_count() + 1);
        let (agents, planned) = (self.shared.agents.clone(), self.session.clone());
        let launch = blocking(move || turn::plan(&agents, &planned, number)).await??;
        let files = supervise::TurnFiles::new(self.directory.turns(), number);
        let (prompt_files, bytes) = (files.clone(), prompt.clone().into_bytes());
        blocking(move || {
            // There already, unless somebody took it away.
            std::fs::create_dir_all(prompt_files.directory())?;
            prompt_files.write_prompt(&bytes)
        })
        .await?
        .map_err(|error| storage_error(error, &files.prompt()))?;

        let previous = self.session.state();
        let turn = NewTurn { prompt, launch };
        let mut session = self.session.clone();
        turn.begin(&mut session);
        let row =
            session.last_turn.clone().ok_or_else(|| Error::internal("a new turn is there"))?;
        self.shared.database.insert_turn(session.clone(), row).await?;
        // From here on the turn exists, whatever happens.
        self.session = session;
        self.launch(turn, previous).await?;
        Ok(self.session.clone())
    }

    /// Starts the agent of the last turn, whose row and prompt are there.
    async fn launch(&mut self, turn: NewTurn, previous: SessionState) -> Result<()> {
        let NewTurn { prompt, launch } = turn;
        let number = TurnNumber(self.session.turn_count());
        let mut running = Running::new(&self.directory.turns(), number, &self.shared.follower);
        let spec = spec(&self.session, number, &launch, self.shared.grace);
        let (supervisor, files) = (self.shared.supervisor.clone(), running.files.clone());
        let launched = blocking(move || supervise::launch(&supervisor, &files, &spec)).await?;
        let statements = match launched {
            Ok(launched) => {
                running.watch_supervisor(launched.pidfd());
                running.launched = Some(launched);
                self.running = Some(running);
                let spawned = self.spawned(&prompt);
                let now = crate::time::now();
                turn::first_statements(number, previous, spawned, launch.warnings, now)
            }
            Err(error) => {
                let reason = turn::reason_of(&error);
                let failed = (SessionState::Failed, reason, report(&error));
                vec![Statement::now(number, state::state_changed(previous, failed))]
            }
        };
        self.say(statements).await;
        Ok(())
    }

    async fn stop(&mut self, mode: StopMode, actor: String) -> Result<Session> {
        let (Some(running), state) = (&self.running, self.session.state()) else {
            return Err(Error::NoActiveTurn { id: self.session.id, state: self.session.state() });
        };
        let (number, files) = (running.number, running.files.clone());
        let path = files.stop();
        let stop = Stop::now(mode, actor);
        blocking(move || supervise::request_stop(&files, &stop))
            .await?
            .map_err(|error| storage_error(error, &path))?;
        // Once: also while the disk refuses to have it said.
        if state == SessionState::Running && self.unsaid.is_empty() {
            let stopping = (SessionState::Stopping, StateReason::Unspecified, String::new());
            self.say(vec![Statement::now(number, state::state_changed(state, stopping))]).await;
        }
        Ok(self.session.clone())
    }

    /// Appends statements and shows them, now or, when the disk refuses, as soon
    /// as it does not any more. Nothing else is appended before them.
    async fn say(&mut self, statements: Vec<Statement>) {
        if let Err(error) = self.try_say(statements).await {
            tracing::error!(session = %self.session.id, error = %report(&error), "cannot append to the event log; trying again");
        }
    }

    /// As [`say`](Self::say); an error says that they are not appended yet.
    async fn try_say(&mut self, statements: Vec<Statement>) -> Result<()> {
        self.unsaid.extend(statements);
        if self.unsaid.is_empty() {
            return Ok(());
        }
        let statements = self.unsaid.clone();
        let step = self.with_ingest(|ingest| ingest.state(statements)).await?;
        self.unsaid.clear();
        self.show(step).await;
        Ok(())
    }

    /// Whether the log or the row lacks something, because the disk refused it.
    fn is_behind(&self) -> bool {
        self.row_behind || !self.unsaid.is_empty()
    }

    /// Makes up for what the disk refused.
    async fn make_up(&mut self) -> Result<()> {
        self.try_say(Vec::new()).await?;
        if self.row_behind {
            self.store_row(self.feed.now().latest).await;
            if !self.row_behind {
                // Those who wait for a state read the row.
                self.shared.hub.publish(self.session.id);
            }
        }
        Ok(())
    }

    /// Lets the row follow what was appended, then shows it. Says how long to
    /// wait before the next time.
    async fn show(&mut self, step: Step) -> Duration {
        let Some(last) = step.chunks.last().map(|chunk| chunk.last()) else {
            return Duration::ZERO;
        };
        self.fold(&step.facts);
        if !step.facts.is_empty() || self.row_behind || self.running.is_none() {
            self.store_row(last).await;
        }
        self.feed.publish(step.chunks, self.active_turn());
        let subscribers =
            u32::try_from(self.shared.hub.publish(self.session.id)).unwrap_or(u32::MAX);
        PACE.max(PACE_PER_SUBSCRIBER.saturating_mul(subscribers).min(MAX_PACE))
    }

    fn active_turn(&self) -> Option<TurnNumber> {
        let turn = self.session.last_turn.as_ref()?;
        state::is_active(turn.state).then_some(turn.number)
    }

    fn fold(&mut self, facts: &[Fact]) {
        for fact in facts {
            state::apply(&mut self.session, fact.turn, &fact.kind, fact.time);
        }
    }

    async fn store_row(&mut self, applied: Seq) {
        let outbox_done = self.ingest.as_ref().map_or(0, |ingest| ingest.tail().outbox_id);
        let stored = self.shared.database.apply(self.session.clone(), applied, outbox_done).await;
        let (directory, session) = (self.directory.clone(), self.session.clone());
        // For people; the row is what counts.
        let _ = blocking(move || directory.describe(&session)).await;
        self.row_behind = stored.is_err();
        if let Err(error) = stored {
            // The log has it; the row follows at the next occasion or start.
            tracing::error!(session = %self.session.id, error = %report(&error), "cannot store the session's row");
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

fn fact_of(event: proto::Event) -> Option<Fact> {
    let time = event.time.as_ref().and_then(crate::time::system_time)?;
    Some(Fact { turn: TurnNumber(event.turn), kind: event.kind?, time })
}

fn statement_of(row: OutboxRow) -> Option<Statement> {
    let event = proto::Event::decode(row.event.as_slice()).ok()?;
    let time = event.time.as_ref().and_then(crate::time::system_time)?;
    Some(Statement { turn: row.turn, kind: event.kind?, time, outbox_id: Some(row.id) })
}

fn spec(session: &Session, number: TurnNumber, launch: &Launch, grace: Grace) -> Spec {
    let text = |text: &std::ffi::OsString| text.to_string_lossy().into_owned();
    Spec {
        version: supervise::VERSION,
        session_id: session.id.to_string(),
        turn: number.0,
        program: launch.program.clone(),
        args: launch.args.iter().map(text).collect(),
        env: launch.env.iter().map(|(name, value)| (text(name), text(value))).collect(),
        // What opens this server is not the agent's business.
        env_remove: vec!["SWITCHBOARD_TOKEN".to_owned()],
        working_directory: session.working_directory.clone(),
        grace,
    }
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
