//! Turns as their owner begins, takes up and stops them.

use super::{Actor, blocking};
use crate::{
    Error, Result,
    agent::Launch,
    id::TurnNumber,
    proto::{self, SessionState, StateReason},
    session::{
        PROMPT_PREVIEW_CHARACTERS, Session,
        handle::NewTurn,
        head,
        ingest::Statement,
        registry::{report, storage_error},
        state,
        turn::{self, Ended, Running},
    },
    supervise::{self, Grace, Spec, Stop, StopMode},
};

impl Actor {
    pub(super) async fn start_turn(&mut self, prompt: String) -> Result<Session> {
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
    pub(super) async fn launch(&mut self, turn: NewTurn, previous: SessionState) -> Result<()> {
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

    /// Takes up a turn that ran when the server went down.
    pub(super) async fn take_up_turn(&mut self) -> Result<()> {
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
    pub(super) async fn state_before(&self, number: TurnNumber) -> Result<SessionState> {
        let before = TurnNumber(number.0 - 1);
        let turn = self.shared.database.turn(self.session.id, before).await?;
        Ok(turn.map_or(SessionState::Pending, |turn| turn.state))
    }

    /// The event with which the last turn begins.
    pub(super) fn spawned(&self, prompt: &str) -> proto::TurnSpawned {
        proto::TurnSpawned {
            codex_version: self.session.codex_version.clone(),
            resumed_thread_id: self.session.thread_id.clone().unwrap_or_default(),
            prompt: head(prompt, PROMPT_PREVIEW_CHARACTERS),
        }
    }

    pub(super) async fn stop(&mut self, mode: StopMode, actor: String) -> Result<Session> {
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

    pub(super) fn active_turn(&self) -> Option<TurnNumber> {
        let turn = self.session.last_turn.as_ref()?;
        state::is_active(turn.state).then_some(turn.number)
    }
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
