//! How an owner begins: the log is opened, the row follows it, what the database
//! has for it is appended, and a turn is launched or taken up.

use std::sync::Arc;

use prost::Message as _;
use tokio::{sync::mpsc, time::Instant};

use super::{
    Actor, Handle, NewTurn, blocking,
    turns::{self, Queued},
};
use crate::{
    Error, Result, event,
    id::{Seq, TurnNumber},
    proto::{self, SessionState, StateReason},
    row,
    session::{
        directory::SessionDirectory,
        feed::{Feed, Now},
        ingest::{Fact, Ingest, Statement},
        registry::Shared,
        state,
        turn::{self, Ended, Running},
    },
    store::sqlite::{OutboxRow, Stored},
    supervise,
};

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
        let last = session.last_turn.as_ref();
        let printing = last.filter(|turn| turn.state == SessionState::Running);
        let printing = printing.map(|turn| turn.number);
        let segment_bytes = shared.events.segment_bytes;
        let (ingest, opened) =
            blocking(move || Ingest::open(id, &place, applied, printing, segment_bytes)).await??;
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
            queued: None,
            deleted: None,
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
                Some(turn) => actor.begin(turn, SessionState::Pending).await?,
                None => actor.take_up_turn().await?,
            }
        }
        Ok((actor, Handle::new(tx, feed, in_use)))
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

    /// Appends what the database has for the log, and the log lacks.
    pub(super) async fn empty_outbox(&mut self) -> Result<()> {
        let done = self.outbox_done()?;
        let rows = self.shared.database.outbox(self.session.id, done).await?;
        let statements = rows.into_iter().filter_map(statement_of).collect::<Vec<_>>();
        self.say(statements).await;
        Ok(())
    }

    /// Takes up a turn that ran when the server went down.
    async fn take_up_turn(&mut self) -> Result<()> {
        let Some(turn) = self.session.last_turn.clone().filter(|turn| row::is_active(turn.state))
        else {
            return Ok(());
        };
        let (id, thread) = (self.session.id, self.session.thread_id.clone());
        let files = supervise::TurnFiles::new(self.directory.turns(), turn.number);
        let waited = turn.state == SessionState::Queued;
        let has_events = self.writer()?.tail().turn >= turn.number.0;
        if waited && !files.lock().exists() {
            self.queued = Some(Queued { number: turn.number, place: self.shared.slots.wait() });
            if !has_events {
                let previous = self.state_before(turn.number).await?;
                self.say(vec![turns::queued(turn.number, previous)]).await;
            }
            return Ok(());
        }
        let slot = self.shared.slots.take();
        let mut running =
            Running::new(&self.directory.turns(), turn.number, &self.shared.follower, slot);
        let was_said = has_events && !waited;
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
        if !was_said {
            // The server went down before it could say how the turn began.
            let previous = if waited && has_events {
                SessionState::Queued
            } else {
                self.state_before(turn.number).await?
            };
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
