//! How an owner begins: the log is opened, the row follows it, what the database
//! has for it is appended, and a turn is launched or taken up.

use std::sync::Arc;

use prost::Message as _;
use tokio::{sync::mpsc, time::Instant};

use super::{
    Actor, Handle, NewTurn, blocking, damage,
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
    store::{
        log,
        sqlite::{OutboxRow, Stored},
    },
    supervise,
};

impl Actor {
    /// Opens a session's log, lets its row catch up, appends what the outbox
    /// has for it, and launches its new turn or takes up one that runs. A log that
    /// cannot be opened is as one that is damaged as a whole.
    ///
    /// # Errors
    ///
    /// OVERLOADED and STORAGE_FULL when the log cannot be opened for want of these
    /// things; INTERNAL when it is not there and cannot be made.
    pub(crate) async fn load(
        shared: Arc<Shared>,
        directory: SessionDirectory,
        stored: Stored,
        new_turn: Option<NewTurn>,
    ) -> Result<(Self, Handle)> {
        let Stored { session, applied } = stored;
        let (id, place) = (session.id, directory.clone());
        let printing = damage::printing(&session);
        let options = log::Options::segments_of(shared.events.segment_bytes);
        let (ingest, opened) =
            blocking(move || Ingest::open_or_stand_in(id, &place, applied, printing, options))
                .await??;
        let feed = Arc::new(Feed::new(ingest.reader(), shared.replays.clone()));
        let (tx, commands) = mpsc::channel(16);
        let in_use = Arc::new(());
        let nudge = Arc::default();
        let is_unopened = ingest.is_unopened();
        let mut actor = Self {
            shared,
            directory,
            session,
            feed: Arc::clone(&feed),
            commands,
            own: tx.downgrade(),
            in_use: Arc::downgrade(&in_use),
            nudge: Arc::clone(&nudge),
            ingest: Some(ingest),
            running: None,
            queued: None,
            deleted: None,
            unsaid: Vec::new(),
            keeper: None,
            applied,
            row_behind: false,
            mended_in_vain: false,
            files_at: Instant::now(),
            can_be_opened: false,
            in_trouble: false,
            due: true,
            told_at: Instant::now(),
            not_before: Instant::now(),
        };
        actor.open_keeper();
        actor.announce(&opened);
        if actor.catch_up(applied).await? == Met::Damage {
            actor.mend(feed.opening()).await?;
            // What was made again is followed too, and what was not is passed.
            actor.catch_up(applied).await?;
        }
        let problem = actor.writer()?.read_only().map(ToOwned::to_owned);
        if problem.is_none() {
            actor.empty_outbox().await?;
        }
        if actor.keeper.is_some() {
            // A session that has had no turn is to be understood, too.
            actor.describe().await;
        }
        match (new_turn, problem) {
            (Some(turn), None) => actor.begin(turn, SessionState::Pending).await?,
            (Some(_), Some(problem)) => {
                let number = TurnNumber(actor.session.turn_count());
                let failed = damage::cannot_be_told(&problem);
                actor.fail_unstarted(number, SessionState::Pending, failed).await;
            }
            (None, problem) => actor.take_up_turn(problem).await?,
        }
        Ok((actor, Handle::new(tx, feed, in_use, nudge, is_unopened)))
    }

    /// Lets the row follow what is in the log after `applied`, as far as that can
    /// be read.
    pub(super) async fn catch_up(&mut self, applied: Seq) -> Result<Met> {
        let reader = self.writer()?.reader();
        let latest = reader.latest();
        let (facts, met) = blocking(move || {
            let (mut facts, mut met) = (Vec::new(), Met::Nothing);
            let mut next = applied.next().max(reader.oldest());
            loop {
                let chunk = match reader.read(next, 1 << 20) {
                    Ok(Some(chunk)) => chunk,
                    Ok(None) => break,
                    Err(log::Error::Damaged { seq, path: _ }) => {
                        met = Met::Damage;
                        match reader.next_readable(seq.max(next.next()))? {
                            Some(readable) => next = readable,
                            None => break,
                        }
                        continue;
                    }
                    Err(error) => return Err(error.into()),
                };
                for entry in
                    chunk.iter_from(next).filter(|entry| state::kind_concerns_row(entry.kind))
                {
                    facts.extend(fact_of(event::decode_frame(&entry.frame)?));
                }
                next = chunk.last().next();
            }
            Ok::<_, Error>((facts, met))
        })
        .await??;
        self.fold(&facts);
        if applied < latest {
            self.store_row(latest).await;
        }
        // Whoever asks for what the log has lost is told so.
        let latest = latest.max(applied);
        self.feed.reveal(Now { latest, active: self.active_turn() });
        Ok(met)
    }

    /// Appends what the database has for the log, and the log lacks.
    pub(super) async fn empty_outbox(&mut self) -> Result<()> {
        let done = self.outbox_done()?;
        let rows = self.shared.database.outbox(self.session.id, done).await?;
        let statements = rows.into_iter().filter_map(statement_of).collect::<Vec<_>>();
        self.say(statements).await;
        Ok(())
    }

    /// Takes up a turn that ran when the server went down. Where the log is
    /// damaged, which is the `problem`, it comes to its end without it.
    async fn take_up_turn(&mut self, problem: Option<String>) -> Result<()> {
        let Some(turn) = self.session.last_turn.clone().filter(|turn| row::is_active(turn.state))
        else {
            return Ok(());
        };
        let (id, thread) = (self.session.id, self.session.thread_id.clone());
        let files = supervise::TurnFiles::new(self.directory.turns(), turn.number);
        let waited = turn.state == SessionState::Queued;
        // A log that is damaged may have lost that its turn was launched.
        let has_events = self.writer()?.tail().turn >= turn.number.0 || problem.is_some();
        if waited && !files.lock().exists() {
            if let Some(problem) = problem {
                let failed = damage::cannot_be_told(&problem);
                self.fail_unstarted(turn.number, SessionState::Queued, failed).await;
                return Ok(());
            }
            return self.line_up_again(turn.number, has_events).await;
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
        if waited && problem.is_none() && matches!(ended, Some(Ended::NotStarted(_))) {
            // Its time had come when the server went down, and nothing ran.
            let files = running.files.clone();
            drop(running);
            blocking(move || supervise::take_back(&files)).await?.map_err(Error::system)?;
            return self.line_up_again(turn.number, has_events).await;
        }
        tracing::info!(session = %id, turn = turn.number.0, ?ended, "took up a turn");
        if let Some(pid_file) = &pid_file {
            running.watch_supervisor(supervise::pidfd(pid_file));
        }
        if !was_said {
            // The server went down before it could say how the turn began. What
            // it had to warn of when it planned the turn is not known any more: it
            // is in no file, and is said again at the next turn if it still holds.
            let previous = if waited && has_events {
                SessionState::Queued
            } else {
                self.state_before(turn.number).await?
            };
            match &ended {
                Some(Ended::NotStarted(problem)) => {
                    let failed = (StateReason::SpawnFailed, problem.clone());
                    self.fail_unstarted(turn.number, previous, failed).await;
                }
                Some(Ended::Exited(_) | Ended::Lost(_)) | None => {
                    let files = running.files.clone();
                    let prompt = blocking(move || turn::read_prompt(&files)).await?;
                    let spawned = self.spawned(&prompt);
                    let now = crate::time::now();
                    self.say(turn::first_statements(
                        turn.number,
                        previous,
                        spawned,
                        Vec::new(),
                        now,
                    ))
                    .await;
                }
            }
        }
        running.ended = ended;
        running.adopted = true;
        self.running = Some(running);
        // The server may have gone down before it was written.
        self.write_lock();
        Ok(())
    }

    /// Puts the turn that waited back in line.
    async fn line_up_again(&mut self, number: TurnNumber, was_said: bool) -> Result<()> {
        self.queued = Some(Queued { number, place: self.shared.slots.wait() });
        if !was_said {
            let previous = self.state_before(number).await?;
            self.say(vec![turns::queued(number, previous)]).await;
        }
        Ok(())
    }

    /// In which state turn `number` found the session.
    async fn state_before(&self, number: TurnNumber) -> Result<SessionState> {
        let before = TurnNumber(number.0 - 1);
        let turn = self.shared.database.turn(self.session.id, before).await?;
        Ok(turn.map_or(SessionState::Pending, |turn| turn.state))
    }
}

/// What a row met on its way after the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Met {
    /// All could be read.
    Nothing,
    /// Some of the log could not be read.
    Damage,
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
