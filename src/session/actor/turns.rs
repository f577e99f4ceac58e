//! A turn from its start to its end, as its session's owner sees it.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{Actor, RETRY, blocking, damage, handle::Command};
use crate::{
    Error, Result,
    agent::{History, Launch, Prompt},
    id::TurnNumber,
    proto::{self, SessionState, StateReason, event::Kind},
    row::{PROMPT_PREVIEW_CHARACTERS, Session, head},
    session::{
        ingest::{Fact, Statement},
        locking,
        once::Ticket,
        persist,
        registry::{Shared, report, storage_error},
        request,
        slots::{Place, Slot, Waiting},
        state,
        turn::{self, Running},
    },
    supervise::{self, Fallback, Spec, Stop, StopMode},
};

/// A turn that is about to be made: its row first, then its agent.
#[derive(Debug)]
pub(crate) struct NewTurn {
    /// What the agent shall do; written to the turn's files before the row.
    pub prompt: Prompt,
    /// How the agent is started.
    pub launch: Launch,
    /// Whether it starts now.
    pub place: Place,
}

/// A turn that waits to be started.
#[derive(Debug)]
pub(super) struct Queued {
    pub number: TurnNumber,
    pub place: Waiting,
}

impl NewTurn {
    /// Makes it the session's last turn.
    pub(crate) fn begin(&self, session: &mut Session) {
        let time = crate::time::now();
        let number = TurnNumber(session.turn_count() + 1);
        if session.first_prompt.is_empty() {
            session.first_prompt = head(&self.prompt.text, PROMPT_PREVIEW_CHARACTERS);
        }
        session.codex_version.clone_from(&self.launch.version);
        let state = match self.place {
            Place::Now(_) => SessionState::Running,
            Place::Later(_) => SessionState::Queued,
        };
        session.last_turn = Some(state::new_turn(number, state, session.usage, time));
        session.update_time = time;
    }
}

impl Actor {
    /// The event with which the last turn begins.
    pub(super) fn spawned(&self, prompt: &str) -> proto::TurnSpawned {
        let (resumed_thread_id, forked_thread_id) = match turn::history(&self.session) {
            History::New => (String::new(), String::new()),
            History::Resume(thread) => (thread.to_owned(), String::new()),
            History::Fork(thread) => (String::new(), thread.to_owned()),
        };
        proto::TurnSpawned {
            codex_version: self.session.codex_version.clone(),
            resumed_thread_id,
            prompt: head(prompt, PROMPT_PREVIEW_CHARACTERS),
            forked_thread_id,
        }
    }

    /// Reads on, and writes the end of the turn down when it has come.
    pub(super) async fn look(&mut self, supervisor_ended: bool) {
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

    pub(super) async fn try_look(&mut self, supervisor_ended: bool) -> Result<Duration> {
        self.look_for_files().await?;
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
                    None if judge => turn::find_out_launched(&files, id, thread.as_deref())
                        .map_err(Error::internal)?,
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
        let restarted = step.as_ref().ok().and_then(|step| self.restarted(&step.facts));
        if restarted.is_some()
            && let Some(turn) = &mut self.session.last_turn
        {
            // The one that could not resume is not the one that runs now.
            turn.pid = None;
        }
        self.learn_pid().await;
        let step = step?;
        let at_end = step.at_end;
        let has_begun = step.facts.iter().any(|fact| matches!(fact.kind, Kind::ThreadStarted(_)));
        let pause = self.show(step).await;
        if has_begun {
            self.write_lock();
        }
        self.follow_rollout();
        self.say(restarted.into_iter().collect()).await;
        if at_end && ended {
            if self.writer()?.is_unopened() {
                // What is told now is not in the log, so it has a last chance.
                self.check_files().await?;
                if self.can_be_opened {
                    return Ok(Duration::ZERO);
                }
            }
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
    pub(super) async fn learn_pid(&mut self) {
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
        self.shared.hub.publish(self.session.id);
    }

    /// The turn's output was read to its end, and how it ended is known.
    pub(super) async fn conclude(&mut self) -> Result<()> {
        let Some(running) = &self.running else { return Ok(()) };
        let (Some(ended), Some(turn)) = (running.ended.clone(), self.session.last_turn.clone())
        else {
            return Ok(());
        };
        let (files, disk_was_full) = (running.files.clone(), running.disk_was_full);
        let (agents, session) = (self.shared.agents.clone(), self.session.clone());
        let directory = self.directory.clone();
        let statements = blocking(move || {
            let thread = session.thread_id.as_deref();
            let last = turn::last_statements(&files, &turn, thread, &ended, disk_was_full);
            let warnings = locking::ran_otherwise(&agents, &session, &directory).into_iter();
            let warnings =
                warnings.map(|warning| Statement::now(turn.number, Kind::Warning(warning)));
            warnings.chain(last).collect()
        });
        let statements = statements.await?;
        self.tell_unkept().await;
        self.try_say(statements).await?;
        if let Some(launched) = self.running.take().and_then(|running| running.launched) {
            // Reaps the supervisor, now or in a thread of its own.
            drop(launched);
        }
        self.writer_mut()?.unfollow();
        let state = self.session.state();
        tracing::info!(session = %self.session.id, turn = self.session.turn_count(), state = state.as_str_name(), "turn ended");
        self.keep_turn();
        self.expire().await;
        Ok(())
    }

    /// Has what the session runs with written down, where the server does that for
    /// all. The turn does not wait for it.
    pub(super) fn write_lock(&self) {
        let (locks, agents) = (Arc::clone(&self.shared.locks), self.shared.agents.clone());
        if locks.export_dir.is_none() || self.session.thread_id.is_none() {
            return;
        }
        let (session, directory) = (self.session.clone(), self.directory.clone());
        let (number, own) = (TurnNumber(session.turn_count()), self.own.clone());
        let written = async move {
            let warning =
                blocking(move || locking::export_at_start(&agents, &session, &directory, &locks));
            if let (Ok(Some(warning)), Some(own)) = (warning.await, own.upgrade()) {
                // An owner that has gone says nothing any more.
                let _ = own.send(Command::Warn(number, warning)).await;
            }
        };
        self.shared.tasks.spawn_on(written, &self.shared.runtime);
    }

    /// What is to be said where the agent began another thread than the one that
    /// it was to go on with.
    fn restarted(&self, facts: &[Fact]) -> Option<Statement> {
        let had = self.session.thread_id.as_ref()?;
        facts.iter().find_map(|fact| {
            let Kind::ThreadStarted(started) = &fact.kind else { return None };
            let problem = format!("the thread {had} could not be resumed");
            let warning = Kind::Warning(turn::thread_restarted(&problem));
            (started.thread_id != *had).then(|| Statement::now(fact.turn, warning))
        })
    }

    /// Refuses what a session that is damaged cannot take.
    pub(super) fn check_writable(&self) -> Result<()> {
        match self.writer()?.read_only() {
            Some(problem) => {
                Err(Error::SessionReadOnly { id: self.session.id, problem: problem.to_owned() })
            }
            None => Ok(()),
        }
    }

    pub(super) async fn start_turn(
        &mut self,
        prompt: Prompt,
        ticket: &Ticket,
    ) -> Result<proto::Session> {
        let id = self.session.id;
        self.check_files().await?;
        self.check_writable()?;
        if self.running.is_some() || self.queued.is_some() || self.session.is_active() {
            return Err(Error::SessionRunning { id, state: self.session.state() });
        }
        self.learn_controls().await?;
        let number = TurnNumber(self.session.turn_count() + 1);
        let (agents, planned) = (self.shared.agents.clone(), self.session.clone());
        let (asked, directory) = (prompt.clone(), self.directory.clone());
        let launch = blocking(move || {
            let lock = locking::held_to(&planned, &directory)?;
            turn::plan(&agents, &planned, lock.as_ref(), number, &asked)
        })
        .await??;
        let files = supervise::TurnFiles::new(self.directory.turns(), number);
        let place = self.shared.slots.admit()?;
        let (asked_files, asked) = (files.clone(), prompt.clone());
        blocking(move || request::write(&asked_files, &asked))
            .await?
            .map_err(|error| storage_error(error, &files.prompt()))?;

        let previous = self.session.state();
        let turn = NewTurn { prompt, launch, place };
        let mut session = self.session.clone();
        turn.begin(&mut session);
        let row =
            session.last_turn.clone().ok_or_else(|| Error::internal("a new turn is there"))?;
        let receipt = ticket.receipt_of(&session);
        self.shared.database.insert_turn(session.clone(), row, receipt).await?;
        // From here on the turn exists, whatever happens.
        self.session = session;
        self.begin(turn, previous).await?;
        self.acknowledge(ticket).await
    }

    /// Launches the last turn, whose row and prompt are there, or lets it wait.
    pub(super) async fn begin(&mut self, turn: NewTurn, previous: SessionState) -> Result<()> {
        let NewTurn { prompt, launch, place } = turn;
        match place {
            Place::Now(slot) => self.launch(&prompt.text, launch, slot, previous).await,
            Place::Later(place) => {
                let number = TurnNumber(self.session.turn_count());
                self.queued = Some(Queued { number, place });
                self.say(vec![queued(number, previous)]).await;
                Ok(())
            }
        }
    }

    /// Starts the agent of the last turn.
    async fn launch(
        &mut self,
        prompt: &str,
        launch: Launch,
        slot: Slot,
        previous: SessionState,
    ) -> Result<()> {
        let number = TurnNumber(self.session.turn_count());
        let mut running =
            Running::new(&self.directory.turns(), number, &self.shared.follower, slot);
        let mut spec = spec(&self.session, number, &launch, &self.shared);
        spec.env.extend(self.trace_turn(number, &launch.env).await);
        tracing::debug!(session = %self.session.id, turn = number.0, program = %spec.program.display(), version = launch.version, "starting the agent");
        let (supervisor, files) = (self.shared.supervisor.clone(), running.files.clone());
        let launched = blocking(move || supervise::launch(&supervisor, &files, &spec)).await?;
        match launched {
            Ok(launched) => {
                running.watch_supervisor(launched.pidfd());
                running.launched = Some(launched);
                self.running = Some(running);
                let spawned = self.spawned(prompt);
                let now = crate::time::now();
                let warnings = launch.warnings;
                self.say(turn::first_statements(number, previous, spawned, warnings, now)).await;
                self.tell_unkept().await;
            }
            Err(error) => {
                let failed = (turn::reason_of(&error), report(&error));
                self.fail_unstarted(number, previous, failed).await;
            }
        }
        Ok(())
    }

    /// Ends a turn that never had an agent and gets none, and says why.
    pub(super) async fn fail_unstarted(
        &mut self,
        number: TurnNumber,
        previous: SessionState,
        (reason, problem): (StateReason, String),
    ) {
        let failed = (SessionState::Failed, reason, problem);
        self.say(vec![Statement::now(number, state::state_changed(previous, failed))]).await;
    }

    /// Starts the turn that has waited. What it is started with is found out
    /// again: it may have waited long.
    pub(super) async fn launch_queued(&mut self, slot: Slot) -> Result<()> {
        let Some(Queued { number, .. }) = self.queued.take() else { return Ok(()) };
        if let Some(problem) = self.writer()?.read_only().map(ToOwned::to_owned) {
            let failed = damage::cannot_be_told(&problem);
            self.fail_unstarted(number, SessionState::Queued, failed).await;
            return Ok(());
        }
        let learnt = self.learn_controls().await;
        let files = supervise::TurnFiles::new(self.directory.turns(), number);
        let (agents, planned) = (self.shared.agents.clone(), self.session.clone());
        let directory = self.directory.clone();
        let planned = blocking(move || {
            // Nothing runs with controls that may hold no more.
            learnt?;
            let prompt = request::read(&files).map_err(Error::internal)?;
            let lock = locking::held_to(&planned, &directory)?;
            let launch = turn::plan(&agents, &planned, lock.as_ref(), number, &prompt)?;
            Ok::<_, Error>((prompt.text, launch))
        });
        match planned.await? {
            Ok((prompt, launch)) => {
                self.session.codex_version.clone_from(&launch.version);
                self.launch(&prompt, launch, slot, SessionState::Queued).await
            }
            Err(error) => {
                let failed = (StateReason::SpawnFailed, report(&error));
                self.fail_unstarted(number, SessionState::Queued, failed).await;
                Ok(())
            }
        }
    }

    pub(super) async fn stop(
        &mut self,
        mode: StopMode,
        actor: String,
        ticket: &Ticket,
    ) -> Result<proto::Session> {
        let number = TurnNumber(self.session.turn_count());
        if self.queued.is_some() || self.running.is_some() {
            let note = persist::Note::stop(number, mode, &actor, self.queued.is_some());
            self.note(note);
        }
        if let Some(Queued { number, .. }) = self.queued.take() {
            // It never starts: its place went with it.
            let stopped = match mode {
                StopMode::Interrupt => SessionState::Interrupted,
                StopMode::Kill => SessionState::Killed,
            };
            let stopped = (stopped, StateReason::Unspecified, String::new());
            let stopped = state::state_changed(SessionState::Queued, stopped);
            self.say(vec![Statement::now(number, stopped)]).await;
        } else if let Some(running) = &self.running {
            let (number, files) = (running.number, running.files.clone());
            let path = files.stop();
            // The supervisor looks for the request where its files were. What cannot
            // be made again there, the request itself fails for.
            let _ = self.check_files().await;
            let stop = Stop::now(mode, actor);
            blocking(move || supervise::request_stop(&files, &stop))
                .await?
                .map_err(|error| storage_error(error, &path))?;
            let state = self.session.state();
            // Once: also while the disk refuses to have it said.
            if state == SessionState::Running && self.unsaid.is_empty() {
                let stopping = (SessionState::Stopping, StateReason::Unspecified, String::new());
                let stopping = state::state_changed(state, stopping);
                self.say(vec![Statement::now(number, stopping)]).await;
            }
        } else {
            return Err(Error::NoActiveTurn { id: self.session.id, state: self.session.state() });
        }
        // The effect is a file of the turn, and doing it again does no harm.
        self.acknowledge(ticket).await
    }

    /// Answers a request, and keeps the answer for its twins: what was kept with
    /// the effect knows nothing of what came of it since.
    pub(crate) async fn acknowledge(&self, ticket: &Ticket) -> Result<proto::Session> {
        let answer = self.answer().await?;
        if let Some(receipt) = ticket.receipt(&answer)
            && let Err(error) = self.shared.database.insert_receipt(receipt).await
        {
            // The effect stands, and this caller gets its answer.
            tracing::error!(session = %self.session.id, error = %report(&error), "cannot keep the answer to a request");
        }
        Ok(answer)
    }

    /// The session as its row shows it: the place in the queue is only there.
    async fn answer(&self) -> Result<proto::Session> {
        let mut session = self.session.clone();
        if self.queued.is_some() {
            let stored = self.shared.database.session(session.id).await?;
            session.queue_position = stored.and_then(|stored| stored.session.queue_position);
        }
        Ok((&session).into())
    }
}

/// The statement that a turn waits.
pub(super) fn queued(number: TurnNumber, previous: SessionState) -> Statement {
    let queued = (SessionState::Queued, StateReason::Unspecified, String::new());
    Statement::now(number, state::state_changed(previous, queued))
}

fn spec(session: &Session, number: TurnNumber, launch: &Launch, shared: &Shared) -> Spec {
    let text = |text: &std::ffi::OsString| text.to_string_lossy().into_owned();
    Spec {
        version: supervise::VERSION,
        session_id: session.id.to_string(),
        turn: number.0,
        program: launch.program.clone(),
        args: launch.args.iter().map(text).collect(),
        env: launch.env.iter().map(|(name, value)| (text(name), text(value))).collect(),
        // What opens this server, and who manages it, is not the agent's business.
        env_remove: ["SWITCHBOARD_TOKEN", "NOTIFY_SOCKET"].map(str::to_owned).into(),
        working_directory: session.working_directory.clone(),
        open_files: shared.agent_open_files,
        grace: shared.grace,
        limits: shared.limits,
        fallback: launch.fallback.as_ref().map(|fallback| Fallback {
            stderr_contains: fallback.stderr_contains.clone(),
            args: fallback.args.iter().map(text).collect(),
        }),
    }
}
