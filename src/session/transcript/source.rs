//! What a transcript is read from: events by the feed, as for any subscriber;
//! prompts, and lines that were too long for the log, from the files of their turn.

use std::{io, os::unix::fs::FileExt as _, path::PathBuf, sync::Arc};

use bytes::Bytes;

use super::fold::{OpenItems, Place};
use crate::{
    Error, Result,
    agent::{self, lines::MAX_LINE_BYTES},
    event,
    id::{Seq, TurnNumber},
    plain_file,
    proto::{Event, Origin},
    session::{
        actor::blocking,
        feed::{Feed, Span},
        turn::read_prompt,
    },
    supervise::TurnFiles,
};

/// A session, up to the latest event when the reading began.
#[derive(Debug)]
pub(super) struct Source {
    /// Its events.
    pub feed: Arc<Feed>,
    /// The latest of them.
    pub latest: Seq,
    /// Whose lines they are.
    pub agent: agent::Kind,
    /// Where the files of its turns are.
    pub turns: PathBuf,
}

impl Source {
    /// Events from this one on, which the log has.
    pub(super) async fn from(&self, seq: Seq) -> Result<Span> {
        let span = self.feed.read(seq).await?;
        span.ok_or_else(|| Error::internal(format!("event {seq} is not there")))
    }

    /// One event.
    pub(super) async fn event(&self, seq: Seq) -> Result<Event> {
        let span = self.from(seq).await?;
        let entry = span.entries().next();
        let entry = entry.ok_or_else(|| Error::internal(format!("event {seq} is not there")))?;
        event::decode_frame(&entry.frame)
    }

    /// The first event of a turn, or of a later one where it has none; the log
    /// names the turns of its events in order.
    pub(super) async fn first_of_turn(&self, turn: TurnNumber, oldest: Seq) -> Result<Seq> {
        let (mut low, mut high) = (oldest, self.latest.next());
        while low < high {
            let middle = Seq(low.0 + (high.0 - low.0) / 2);
            let span = self.from(middle).await?;
            let of_middle = span.entries().next().map_or(0, |entry| entry.turn);
            if of_middle < turn.0 {
                low = middle.next();
            } else {
                high = middle;
            }
        }
        Ok(low)
    }

    /// The items of a turn that are open at a place in it.
    pub(super) async fn open_items(&self, place: Place) -> Result<OpenItems> {
        let mut open = OpenItems::default();
        let mut next = place.first.max(self.feed.oldest());
        while next <= place.after {
            let span = self.from(next).await?;
            for entry in span.entries().take_while(|entry| entry.seq <= place.after) {
                open.follow(&event::decode_frame(&entry.frame)?);
            }
            next = span.to.next();
            tokio::task::yield_now().await;
        }
        Ok(open)
    }

    /// The prompt of a turn; empty where it cannot be read.
    pub(super) async fn prompt(&self, turn: TurnNumber) -> Result<String> {
        let files = TurnFiles::new(self.turns.clone(), turn);
        blocking(move || read_prompt(&files)).await
    }

    /// An event that was cut, made again from the output of its turn; none where
    /// that does not have the line any more.
    pub(super) async fn reread(&self, event: &Event) -> Result<Option<Event>> {
        let Some(elided) = event.elided.filter(|_| event.origin() == Origin::Agent) else {
            return Ok(None);
        };
        let Some(size) = usize::try_from(elided.size).ok().filter(|size| *size <= MAX_LINE_BYTES)
        else {
            return Ok(None);
        };
        let path = TurnFiles::new(self.turns.clone(), TurnNumber(elided.turn)).stdout();
        let agent = self.agent.clone();
        let line = blocking(move || {
            let mut line = vec![0; size];
            plain_file::open(&path)?.read_exact_at(&mut line, elided.byte_offset)?;
            let kind = agent::parse(&agent, &line);
            Ok::<_, io::Error>((Bytes::from(line), kind))
        });
        let Ok((raw, kind)) = line.await? else { return Ok(None) };
        Ok(Some(Event { raw, kind: Some(kind), elided: None, ..event.clone() }))
    }
}
