//! What an owner appends and shows: first the log, then the row, then the
//! subscribers. What the disk refuses is made up for.

use std::time::Duration;

use super::{Actor, blocking, lost};
use crate::{
    Result,
    id::{Seq, TurnNumber},
    row,
    session::{
        ingest::{Fact, Ingest, Statement, Step},
        registry::report,
        state,
    },
};

/// How long a step waits after the one before, so that a fast agent is read in
/// larger steps: at 50,000 lines a second this costs a fifteenth of the CPU.
const PACE: Duration = Duration::from_millis(1);
/// By how much one subscriber slows publishing down, so that wake-ups stay
/// under 20,000 a second, and at most by how much many do.
const PACE_PER_SUBSCRIBER: Duration = Duration::from_micros(50);
const MAX_PACE: Duration = Duration::from_millis(10);

impl Actor {
    /// Appends statements and shows them, now or, when the disk refuses, as soon
    /// as it does not any more. Nothing else is appended before them.
    pub(super) async fn say(&mut self, statements: Vec<Statement>) {
        if let Err(error) = self.try_say(statements).await {
            tracing::error!(session = %self.session.id, error = %report(&error), "cannot append to the event log; trying again");
        }
    }

    /// As [`say`](Self::say); an error says that they are not appended yet.
    pub(super) async fn try_say(&mut self, statements: Vec<Statement>) -> Result<()> {
        self.unsaid.extend(statements);
        if self.unsaid.is_empty() {
            return Ok(());
        }
        let statements = self.unsaid.clone();
        let step = self.with_ingest(|ingest| ingest.state(statements)).await?;
        let said = std::mem::take(&mut self.unsaid);
        self.show(step).await;
        self.keep_statements(&said).await;
        Ok(())
    }

    /// Whether the log or the row lacks something, because the disk refused it.
    pub(super) fn is_behind(&self) -> bool {
        self.row_behind || !self.unsaid.is_empty()
    }

    /// Makes up for what the disk refused.
    pub(super) async fn make_up(&mut self) -> Result<()> {
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
    pub(super) async fn show(&mut self, step: Step) -> Duration {
        let last = match step.chunks.last() {
            Some(chunk) => chunk.last(),
            None if step.facts.is_empty() => return Duration::ZERO,
            // Nothing can be added to the log, and the row goes on without it.
            None => self.feed.now().latest,
        };
        self.fold(&step.facts);
        if !step.facts.is_empty() || self.row_behind || self.running.is_none() {
            self.store_row(last).await;
        }
        // Nothing between the row and this: whoever read the row asks for its events.
        self.feed.publish(step.chunks, self.active_turn());
        let subscribers =
            u32::try_from(self.shared.hub.publish(self.session.id)).unwrap_or(u32::MAX);
        if !step.facts.is_empty() {
            self.describe().await;
        }
        PACE.max(PACE_PER_SUBSCRIBER.saturating_mul(subscribers).min(MAX_PACE))
    }

    /// Renders the row for people; the row is what counts.
    pub(super) async fn describe(&self) {
        let (directory, session) = (self.directory.clone(), self.session.clone());
        let _ = blocking(move || directory.describe(&session)).await;
    }

    pub(super) fn active_turn(&self) -> Option<TurnNumber> {
        let turn = self.session.last_turn.as_ref()?;
        row::is_active(turn.state).then_some(turn.number)
    }

    pub(super) fn fold(&mut self, facts: &[Fact]) {
        for fact in facts {
            state::apply(&mut self.session, fact.turn, &fact.kind, fact.time);
        }
    }

    pub(super) async fn store_row(&mut self, applied: Seq) {
        if self.deleted.is_some() {
            return;
        }
        let outbox_done = self.ingest.as_ref().map_or(0, |ingest| ingest.tail().outbox_id);
        // Also what the log has lost since was in it.
        let applied = applied.max(self.applied);
        let stored = self.shared.database.apply(self.session.clone(), applied, outbox_done).await;
        self.row_behind = stored.is_err();
        if stored.is_ok() {
            self.applied = applied;
        }
        if let Err(error) = stored {
            // The log has it; the row follows at the next occasion or start.
            tracing::error!(session = %self.session.id, error = %report(&error), "cannot store the session's row");
        }
    }

    pub(super) async fn with_ingest<T: Send + 'static>(
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

    pub(super) fn writer(&self) -> Result<&Ingest> {
        self.ingest.as_ref().ok_or_else(lost)
    }

    pub(super) fn writer_mut(&mut self) -> Result<&mut Ingest> {
        self.ingest.as_mut().ok_or_else(lost)
    }
}
