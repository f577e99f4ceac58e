//! From statements and steps to durable events, the row that follows them, and
//! those who wait for both. What the disk refuses is made up for.

use std::time::Duration;

use prost::Message as _;

use super::{Actor, MAX_PACE, PACE, PACE_PER_SUBSCRIBER, blocking};
use crate::{
    Error, Result, event,
    id::{Seq, TurnNumber},
    proto,
    session::{
        feed::Now,
        ingest::{Fact, Statement, Step},
        registry::report,
        state,
    },
    store::sqlite::OutboxRow,
};

impl Actor {
    /// Lets the row follow what is in the log after `applied`.
    pub(super) async fn catch_up(&mut self, applied: Seq) -> Result<()> {
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

    pub(super) async fn empty_outbox(&mut self) -> Result<()> {
        let done = self.writer()?.tail().outbox_id;
        let rows = self.shared.database.outbox(self.session.id, done).await?;
        let statements = rows.into_iter().filter_map(statement_of).collect::<Vec<_>>();
        self.say(statements).await;
        Ok(())
    }

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
        self.unsaid.clear();
        self.show(step).await;
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

    pub(super) fn fold(&mut self, facts: &[Fact]) {
        for fact in facts {
            state::apply(&mut self.session, fact.turn, &fact.kind, fact.time);
        }
    }

    pub(super) async fn store_row(&mut self, applied: Seq) {
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
