//! What an owner keeps to understand its session later, where that is asked. The
//! owner waits for nothing that takes long, and nothing of a turn depends on it.

use std::{ffi::OsString, time::Duration};

use tokio::time::timeout;
use tracing::Span;

use super::{Actor, blocking};
use crate::{
    id::TurnNumber,
    proto::event::Kind,
    row,
    session::{
        ingest::Statement,
        persist::{Keeper, Note},
    },
};

/// How long the owner waits for a line of a log.
const PATIENCE: Duration = Duration::from_secs(1);

impl Actor {
    /// The span of what is said while the owner works; none where nobody keeps it.
    pub(crate) fn span(&self) -> Span {
        match self.keeper {
            Some(_) => tracing::debug_span!("session", session = %self.session.id),
            None => Span::none(),
        }
    }

    /// Begins to keep, and finishes what an earlier server could not.
    pub(super) fn open_keeper(&mut self) {
        if !self.session.persist {
            return;
        }
        let shared = &self.shared;
        let keeper = Keeper::open(
            &self.session,
            &self.directory,
            &shared.agents,
            &shared.persist,
            &shared.session_logs,
        );
        self.keeper = Some(keeper);
        self.note(Note::loaded());
        tracing::debug!(session = %self.session.id, state = self.session.state().as_str_name(), "the session has an owner");
        self.keep_turn();
    }

    /// Has what was asked of the session written down, and waits for nothing.
    pub(super) fn note(&self, note: Note) {
        let Some(keeper) = &self.keeper else { return };
        let place = keeper.place();
        if place.note(vec![note]) {
            drop(self.shared.tasks.spawn_blocking(move || place.write_notes()));
        }
    }

    /// Writes down what the server said.
    pub(super) async fn keep_statements(&self, statements: &[Statement]) {
        if self.keeper.is_some() {
            self.keep_notes(statements.iter().filter_map(Note::of).collect()).await;
        }
    }

    async fn keep_notes(&self, notes: Vec<Note>) {
        let Some(keeper) = self.keeper.as_ref().filter(|_| !notes.is_empty()) else { return };
        let place = keeper.place();
        if !place.note(notes) {
            return;
        }
        // What fails is best said in the turn it belongs to; a disk that does not
        // answer is not waited for.
        let written = self.shared.tasks.spawn_blocking(move || place.write_notes());
        let _ = timeout(PATIENCE, written).await;
    }

    /// What codex is to have in its environment so that it traces a turn.
    pub(super) async fn trace_turn(
        &self,
        number: TurnNumber,
        env: &[(OsString, OsString)],
    ) -> Option<(String, String)> {
        let place = self.keeper.as_ref()?.place();
        let env = env.to_vec();
        blocking(move || place.trace(number, &env)).await.ok().flatten()
    }

    /// Links codex's rollout in, if that has not been done.
    pub(super) fn follow_rollout(&self) {
        let (Some(keeper), Some(thread)) = (&self.keeper, &self.session.thread_id) else { return };
        let place = keeper.place();
        if place.rollout_is_due(thread) {
            let thread = thread.clone();
            drop(self.shared.tasks.spawn_blocking(move || place.link_rollout(&thread)));
        }
    }

    /// Finishes what is kept of turns that came to their end.
    pub(super) fn keep_turn(&self) {
        let Some(keeper) = &self.keeper else { return };
        let place = keeper.place();
        let last = self.session.last_turn.as_ref();
        let running = last.filter(|turn| row::is_active(turn.state)).map(|turn| turn.number);
        place.runs(running);
        let (thread, nudge) = (self.session.thread_id.clone(), std::sync::Arc::clone(&self.nudge));
        let (id, span) = (self.session.id, Span::current());
        let finishing = move || {
            let _in = span.entered();
            place.finish(thread.as_deref());
            tracing::debug!(session = %id, "what is kept of the session is complete so far");
            if place.has_problems() {
                // So that the owner says it.
                nudge.give();
            }
        };
        drop(self.shared.tasks.spawn_blocking(finishing));
    }

    /// Says that not all is kept, once a turn.
    pub(super) async fn tell_unkept(&mut self) {
        // What the log must say before may be the end of the turn.
        if !self.unsaid.is_empty() {
            return;
        }
        let number = self.session.turn_count();
        let Some(warning) = self.keeper.as_mut().and_then(|keeper| keeper.problem(number)) else {
            return;
        };
        tracing::warn!(session = %self.session.id, problem = warning.message, "cannot keep all of a session");
        let turn = self.running.as_ref().map(|running| running.number);
        let kind = Kind::Warning(warning);
        self.say(vec![Statement { turn, kind, time: crate::time::now(), outbox_id: None }]).await;
    }
}
