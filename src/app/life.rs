//! What becomes of sessions: turns, changes, stops, and their end.

use std::time::Duration;

use crate::{
    Error, Result, agent,
    app::{
        App,
        create::{check_labels, check_title},
    },
    id::SessionId,
    proto::{self, SessionState},
    row,
    session::{
        actor::{Update, blocking},
        once::{Begun, Once, Ticket},
        registry::report,
    },
    supervise::StopMode,
};

/// The most sessions that one cleanup deletes.
const MAX_CLEANUP: usize = 1_000;
/// How long a turn that was killed may take to end: its supervisor goes through
/// all its steps, and on a full disk tries for a minute to say so.
const KILLED_WITHIN: Duration = Duration::from_secs(180);

/// Which sessions a cleanup is about.
#[derive(Debug, Clone)]
pub struct Cleanup {
    /// Those whose last change is at least so long ago.
    pub older_than: Duration,
    /// In one of these states; empty for all states at rest.
    pub states: Vec<SessionState>,
    /// Whether they are only told.
    pub dry_run: bool,
    /// Also those of systems.
    pub include_system_owned: bool,
}

impl App {
    /// Starts a session's next turn.
    ///
    /// # Errors
    ///
    /// As `SessionService.StartTurn` lists; nothing was started then.
    ///
    /// # Cancel safety
    ///
    /// As of all these: it goes on when the caller does not wait any more.
    pub async fn start_turn(
        &self,
        id: SessionId,
        prompt: agent::Prompt,
        once: Once,
    ) -> Result<proto::Session> {
        let app = self.clone();
        self.once("StartTurn", once, move |ticket| async move {
            let session = app.sessions.session(id).await?;
            let kind = agent::Kind::parse(&session.agent)?;
            let prompt = blocking(move || kind.check_prompt(&prompt).map(|()| prompt)).await??;
            app.sessions.owner(id).await?.start_turn(prompt, ticket).await
        })
        .await
    }

    /// Whether a turn could be started now, as far as that is known before it is
    /// tried.
    ///
    /// # Errors
    ///
    /// As `SessionService.StartTurn` lists.
    pub async fn check_turn(&self, id: SessionId, prompt: &agent::Prompt) -> Result<()> {
        let session = self.sessions.session(id).await?;
        if session.is_active() {
            return Err(Error::SessionRunning { id, state: session.state() });
        }
        let kind = agent::Kind::parse(&session.agent)?;
        let prompt = prompt.clone();
        blocking(move || {
            kind.check_prompt(&prompt)?;
            agent::check_working_directory(&session.working_directory)
        })
        .await?
    }

    /// Asks the running turn to stop, as Ctrl-C in a terminal would.
    ///
    /// # Errors
    ///
    /// SESSION_NOT_FOUND, SESSION_DELETED, NO_ACTIVE_TURN.
    pub async fn interrupt_turn(
        &self,
        id: SessionId,
        actor: String,
        once: Once,
    ) -> Result<proto::Session> {
        let app = self.clone();
        self.once("InterruptTurn", once, move |ticket| async move {
            app.sessions.owner(id).await?.stop(StopMode::Interrupt, actor, ticket).await
        })
        .await
    }

    /// Ends the running turn, whatever it takes.
    ///
    /// # Errors
    ///
    /// SESSION_NOT_FOUND, SESSION_DELETED, NO_ACTIVE_TURN.
    pub async fn kill_session(
        &self,
        id: SessionId,
        actor: String,
        once: Once,
    ) -> Result<proto::Session> {
        let app = self.clone();
        self.once("KillSession", once, move |ticket| async move {
            app.sessions.owner(id).await?.stop(StopMode::Kill, actor, ticket).await
        })
        .await
    }

    /// Changes what a client may write of a session.
    ///
    /// # Errors
    ///
    /// As `SessionService.UpdateSession` lists; nothing was changed then.
    pub(crate) async fn update_session(
        &self,
        id: SessionId,
        change: Update,
        etag: String,
        once: Once,
    ) -> Result<proto::Session> {
        check_title(change.title.as_deref().unwrap_or_default())?;
        check_labels(change.labels.as_ref().unwrap_or(&Default::default()))?;
        let app = self.clone();
        self.once("UpdateSession", once, move |ticket| async move {
            app.sessions.owner(id).await?.update(change, etag, ticket).await
        })
        .await
    }

    /// Deletes a session for ever, after the end of its turn, which is killed.
    ///
    /// # Errors
    ///
    /// As `SessionService.DeleteSession` lists; the session is there then, though
    /// perhaps without its turn.
    pub async fn delete_session(
        &self,
        id: SessionId,
        etag: String,
        actor: String,
        once: Once,
    ) -> Result<proto::Session> {
        let app = self.clone();
        self.once("DeleteSession", once, move |ticket| async move {
            loop {
                match app.try_delete(id, &etag, &actor, &ticket).await {
                    Err(Error::SessionRunning { .. }) => app.end_turn(id, &actor).await?,
                    done => return done,
                }
            }
        })
        .await
    }

    /// Deletes sessions at rest that did nothing for some time, oldest first, and
    /// says which.
    ///
    /// # Errors
    ///
    /// INVALID_ARGUMENT for a state that is not at rest, SHUTTING_DOWN.
    pub async fn cleanup_sessions(
        &self,
        cleanup: Cleanup,
        once: Once,
    ) -> Result<proto::CleanupSessionsResponse> {
        if let Some(state) = cleanup.states.iter().find(|state| !row::is_at_rest(**state)) {
            return Err(Error::invalid(
                "states",
                format!("{} is no state of a session at rest", state.as_str_name()),
            ));
        }
        let app = self.clone();
        self.once("CleanupSessions", once, move |ticket| async move {
            app.clean_up(cleanup, &ticket).await
        })
        .await
    }

    async fn clean_up(
        &self,
        cleanup: Cleanup,
        ticket: &Ticket,
    ) -> Result<proto::CleanupSessionsResponse> {
        let Cleanup { older_than, mut states, dry_run, include_system_owned } = cleanup;
        if states.is_empty() {
            states = row::AT_REST.to_vec();
        }
        let now = crate::time::now();
        let before = now.checked_sub(older_than).unwrap_or(std::time::UNIX_EPOCH);
        // One more than is deleted says whether there are more.
        let limit = u32::try_from(MAX_CLEANUP + 1).unwrap_or(u32::MAX);
        let stale = self.sessions.database().stale_ids(states, before, include_system_owned, limit);
        let mut ids = stale.await?;
        let more = ids.len() > MAX_CLEANUP;
        ids.truncate(MAX_CLEANUP);
        let mut session_ids = Vec::with_capacity(ids.len());
        let mut failed = None;
        for id in ids {
            if !dry_run {
                match self.try_delete(id, "", "cleanup", &Ticket::default()).await {
                    Ok(_) => {}
                    // It was given work, or deleted, in this moment.
                    Err(
                        Error::SessionRunning { .. }
                        | Error::SessionDeleted { .. }
                        | Error::SessionNotFound { .. },
                    ) => continue,
                    // One that cannot be deleted does not keep the others.
                    Err(error) => {
                        tracing::warn!(session = %id, error = %report(&error), "a session is not cleaned up");
                        failed = Some(error);
                        continue;
                    }
                }
            }
            session_ids.push(id.to_string());
        }
        if let Some(error) = failed.filter(|_| session_ids.is_empty()) {
            return Err(error);
        }
        let answer = proto::CleanupSessionsResponse { session_ids, more };
        if let Some(receipt) = ticket.receipt(&answer) {
            self.sessions.database().insert_receipt(receipt).await?;
        }
        Ok(answer)
    }

    /// Deletes a session at rest.
    async fn try_delete(
        &self,
        id: SessionId,
        etag: &str,
        actor: &str,
        ticket: &Ticket,
    ) -> Result<proto::Session> {
        match self.sessions.owner(id).await {
            Ok(owner) => owner.delete(etag.to_owned(), actor.to_owned(), ticket.clone()).await,
            // Its log cannot be opened; its end needs none.
            Err(Error::Internal(_)) => self.sessions.delete_unloaded(id, etag, ticket).await,
            Err(error) => Err(error),
        }
    }

    /// Kills the turn that runs and waits for its end.
    async fn end_turn(&self, id: SessionId, actor: &str) -> Result<()> {
        let owner = self.sessions.owner(id).await?;
        match owner.stop(StopMode::Kill, actor.to_owned(), Ticket::default()).await {
            Ok(_) | Err(Error::NoActiveTurn { .. }) => {}
            Err(error) => return Err(error),
        }
        match self.wait_session(id, &[], KILLED_WITHIN).await? {
            (_, true) => Ok(()),
            (session, false) => Err(Error::SessionRunning { id, state: session.state() }),
        }
    }

    /// Carries a request out, whether or not its caller still waits, or gives the
    /// answer of its twin.
    pub(super) async fn once<R, F>(
        &self,
        method: &'static str,
        once: Once,
        operation: impl FnOnce(Ticket) -> F + Send + 'static,
    ) -> Result<R>
    where
        R: prost::Message + Default + 'static,
        F: Future<Output = Result<R>> + Send,
    {
        let sessions = self.sessions.clone();
        let carried_out = self.sessions.tasks().spawn(async move {
            match sessions.begin(method, once).await? {
                Begun::Answered(answer) => Ok(answer),
                Begun::First(ticket) => operation(ticket).await,
            }
        });
        carried_out.await.map_err(Error::internal)?
    }
}
