//! What an owner does about a log that is damaged and about files that somebody
//! took away: it has made again what can be, says what cannot, and brings a turn
//! to its end without the log where it must.

use std::{path::PathBuf, time::Duration};

use tokio::time::Instant;

use super::{Actor, LOOK, blocking};
use crate::{
    Result,
    id::{Seq, TurnNumber},
    proto::{SessionState, StateReason},
    row::Session,
    session::{feed::Opening, ingest::Ingest, registry::storage_error},
    store::log::{Opened, Options, Verify},
};

/// How often is looked whether a log can be opened that could not be before.
const REOPEN: Duration = Duration::from_secs(5);

impl Actor {
    /// Opens the log again and verifies all of it, after somebody met damage who
    /// read it as it was at `opening`. Done once for each opening: where that
    /// found nothing to repair, or what cannot be repaired, it is not done again.
    ///
    /// # Errors
    ///
    /// Where the log cannot be opened; it stays open as it was.
    pub(super) async fn mend(&mut self, opening: Opening) -> Result<()> {
        if self.writer()?.is_unopened() {
            return self.try_log().await;
        }
        let is_closed = self.writer()?.read_only().is_some();
        if self.feed.opening() != opening || is_closed || self.mended_in_vain {
            return Ok(());
        }
        let (id, place, durable) = (self.session.id, self.directory.clone(), self.shown());
        let printing = printing(&self.session);
        let before = self.ingest.take().ok_or_else(super::lost)?;
        let mut options = Options::segments_of(self.shared.events.segment_bytes);
        options.verify = Verify::AllSegments;
        let (ingest, opened) =
            blocking(move || match Ingest::open(id, &place, durable, printing, options) {
                Ok((mut ingest, opened)) => {
                    ingest.go_on_from(before);
                    (ingest, Ok(opened))
                }
                Err(error) => (before, Err(error)),
            })
            .await?;
        self.feed.reopen(ingest.reader());
        self.ingest = Some(ingest);
        let opened = opened?;
        self.mended_in_vain = opened.repairs.is_empty();
        self.announce(&opened);
        if opened.tail.last > durable {
            // More was made again than was known to be there.
            self.catch_up(durable).await?;
        }
        if let Some(problem) = opened.read_only
            && let Some(queued) = self.queued.take()
        {
            let failed = cannot_be_told(&problem);
            self.fail_unstarted(queued.number, SessionState::Queued, failed).await;
        }
        // Those who watch learn that the log is closed, or read on.
        self.shared.hub.publish(self.session.id);
        Ok(())
    }

    /// The latest event that was durable, as far as is known here.
    fn shown(&self) -> Seq {
        self.applied.max(self.feed.now().latest)
    }

    /// Says what was found when the log was opened.
    pub(super) fn announce(&self, opened: &Opened) {
        let id = self.session.id;
        if let Some(cut) = &opened.cut {
            tracing::info!(session = %id, bytes = cut.bytes, "cut the torn end of the event log");
        }
        for repair in &opened.repairs {
            tracing::warn!(session = %id, ?repair, "rebuilt a damaged segment of the event log");
        }
        if let Some(problem) = &opened.read_only {
            tracing::error!(session = %id, problem, "the event log is damaged, or cannot be opened; the session is read-only");
            self.feed.close(problem.clone());
        }
    }

    /// Looks whether the log can be opened that could not be. The owner then makes
    /// way for one that has the log: only a new one finds out what it lacks.
    async fn try_log(&mut self) -> Result<()> {
        if self.can_be_opened {
            return Ok(());
        }
        let (id, place, durable) = (self.session.id, self.directory.clone(), self.applied);
        let printing = printing(&self.session);
        let options = Options::segments_of(self.shared.events.segment_bytes);
        // As the new owner will: what only looks as if it could be opened would have
        // owner follow owner.
        let opened = blocking(move || {
            Ingest::open(id, &place, durable, printing, options).map(|(_, opened)| opened)
        });
        if let Ok(opened) = opened.await? {
            self.can_be_opened = true;
            tracing::info!(session = %id, repairs = ?opened.repairs, "the event log can be opened again");
        }
        Ok(())
    }

    /// Looks now and then whether the session's files are still there. The turn's
    /// directory is made again, so that its supervisor can be asked to stop and
    /// can say how the agent ended; a log that is gone is read-only.
    pub(super) async fn look_for_files(&mut self) -> Result<()> {
        let now = Instant::now();
        if now < self.files_at {
            return Ok(());
        }
        let is_unopened = self.writer()?.is_unopened();
        self.files_at = now + if is_unopened { REOPEN } else { LOOK };
        let directory = self.directory.clone();
        // What cannot be looked at is not gone.
        let is_gone = |path: PathBuf| path.try_exists().is_ok_and(|exists| !exists);
        let (events_gone, turns_gone) =
            blocking(move || (is_gone(directory.events()), is_gone(directory.turns()))).await?;
        if turns_gone && self.running.is_some() {
            self.restore().await?;
            tracing::error!(session = %self.session.id, "somebody removed the files of a turn that runs");
        }
        if events_gone || is_unopened {
            self.mend(self.feed.opening()).await?;
        }
        Ok(())
    }

    /// As [`look_for_files`](Self::look_for_files), at once.
    pub(super) async fn check_files(&mut self) -> Result<()> {
        self.files_at = Instant::now();
        self.look_for_files().await
    }

    /// Makes the session's directories again where they are missing.
    async fn restore(&self) -> Result<()> {
        let directory = self.directory.clone();
        let path = directory.path().to_owned();
        blocking(move || directory.restore()).await?.map_err(|error| storage_error(error, &path))
    }
}

/// Why a turn is not started whose events have no place.
pub(super) fn cannot_be_told(problem: &str) -> (StateReason, String) {
    let problem = format!("nothing can be added to the session's event log: {problem}");
    (StateReason::SpawnFailed, problem)
}

/// The turn whose agent may be printing, as far as the row knows.
pub(super) fn printing(session: &Session) -> Option<TurnNumber> {
    let last = session.last_turn.as_ref();
    last.filter(|turn| turn.state == SessionState::Running).map(|turn| turn.number)
}
