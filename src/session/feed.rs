//! The newest events of one session in memory, and the way to the older ones.
//!
//! The owner publishes chunks here after they are durable and after the
//! session's row follows them; [`Feed::read`] gives them to subscribers by
//! cursor, from a bounded ring of shared chunks or, for whoever lags, from the
//! log's files. A reader holds nothing here and is not known here.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use bytes::Bytes;

use crate::{
    Error, Result,
    id::{Seq, TurnNumber},
    row::Tombstone,
    session::{actor::blocking, replay::Replays},
    store::log::{Chunk, Entry, Epoch, Reader},
};

/// The most chunks that the ring holds. Keeping all trebled the CPU per
/// delivery; 64 chunks of 64 KiB are about 4 MiB a session.
const RING_CHUNKS: usize = 64;
/// The most bytes that the ring holds: single events can be large.
const RING_BYTES: usize = 4 << 20;

/// A session's events. Shared between its owner and its subscribers.
#[derive(Debug)]
pub(crate) struct Feed {
    /// Held to copy or to exchange it only.
    log: Mutex<OpenLog>,
    replays: Replays,
    /// Held to push or to copy a pointer only.
    ring: Mutex<Ring>,
    /// Set when the session was deleted; those who read go on to its end.
    tombstone: OnceLock<Tombstone>,
    /// Set when nothing can be added any more: what is damaged.
    closed: OnceLock<String>,
}

/// The log's files as they were opened.
#[derive(Debug, Clone)]
struct OpenLog {
    reader: Reader,
    opening: Opening,
}

/// Which opening of a session's log somebody read from: they count from zero.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Opening(u32);

#[derive(Debug)]
struct Ring {
    chunks: VecDeque<Arc<Chunk>>,
    bytes: usize,
    now: Now,
}

/// What subscribers may see, and what the session does as far as they may know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Now {
    /// The latest event.
    pub latest: Seq,
    /// The turn that runs at that event. The row may know already that it ended.
    pub active: Option<TurnNumber>,
}

/// Events to deliver: those of `chunk` from `from` to `to`, both included.
#[derive(Debug, Clone)]
pub(crate) struct Span {
    /// Holds them, and perhaps others before and after.
    pub chunk: Arc<Chunk>,
    /// The first to deliver.
    pub from: Seq,
    /// The last to deliver.
    pub to: Seq,
}

impl Span {
    /// The frames to deliver, as they are sent.
    pub(crate) fn bytes(&self) -> Bytes {
        let (frames, index) = self.chunk.slice_from(self.from);
        let begin = self.chunk.bytes().len() - frames.len();
        let count = usize::try_from(self.to.0 + 1 - self.from.0).unwrap_or(usize::MAX);
        let end =
            index.get(count.wrapping_sub(1)).map_or(frames.len(), |last| last.end as usize - begin);
        frames.slice(..end)
    }

    /// The events to deliver.
    pub(crate) fn entries(&self) -> impl Iterator<Item = Entry> + '_ {
        self.chunk.iter_from(self.from).take_while(|entry| entry.seq <= self.to)
    }
}

impl Feed {
    /// A feed that shows nothing yet.
    pub(crate) fn new(reader: Reader, replays: Replays) -> Self {
        let now = Now { latest: Seq::ZERO, active: None };
        let ring = Ring { chunks: VecDeque::new(), bytes: 0, now };
        Self {
            log: Mutex::new(OpenLog { reader, opening: Opening::default() }),
            replays,
            ring: Mutex::new(ring),
            tombstone: OnceLock::new(),
            closed: OnceLock::new(),
        }
    }

    /// Has everybody read on in the log as it was opened again.
    pub(crate) fn reopen(&self, reader: Reader) {
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        *log = OpenLog { reader, opening: Opening(log.opening.0 + 1) };
    }

    /// Says that nothing can be added any more, and why.
    pub(crate) fn close(&self, problem: String) {
        // The first problem stays: a log that is closed is not opened again.
        let _ = self.closed.set(problem);
    }

    /// Why nothing can be added any more, where that is so.
    pub(crate) fn closed(&self) -> Option<&str> {
        self.closed.get().map(String::as_str)
    }

    /// How the log is opened now.
    pub(crate) fn opening(&self) -> Opening {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).opening
    }

    fn reader(&self) -> Reader {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).reader.clone()
    }

    /// Makes what the log has up to `now.latest` visible.
    pub(crate) fn reveal(&self, now: Now) {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner).now = now;
    }

    /// Makes chunks visible. They continue what was published before; after them
    /// the turn `active` runs.
    pub(crate) fn publish(
        &self,
        chunks: impl IntoIterator<Item = Arc<Chunk>>,
        active: Option<TurnNumber>,
    ) {
        let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        for chunk in chunks {
            ring.now.latest = chunk.last();
            ring.bytes += chunk.bytes().len();
            ring.chunks.push_back(chunk);
        }
        ring.now.active = active;
        while ring.chunks.len() > RING_CHUNKS || ring.bytes > RING_BYTES {
            let Some(oldest) = ring.chunks.pop_front() else { break };
            ring.bytes -= oldest.bytes().len();
        }
    }

    /// Says that the session was deleted.
    pub(crate) fn bury(&self, tombstone: Tombstone) {
        // Once: an owner deletes its session once.
        let _ = self.tombstone.set(tombstone);
    }

    /// What the session left, where it was deleted.
    pub(crate) fn tombstone(&self) -> Option<&Tombstone> {
        self.tombstone.get()
    }

    /// What subscribers may see.
    pub(crate) fn now(&self) -> Now {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner).now
    }

    /// The oldest event that the log still has.
    pub(crate) fn oldest(&self) -> Seq {
        self.reader().oldest()
    }

    /// Which incarnation of the log this is.
    pub(crate) fn epoch(&self) -> Epoch {
        self.reader().epoch()
    }

    /// Checks that a cursor belongs to this log.
    ///
    /// # Errors
    ///
    /// INVALID_ARGUMENT when it is of another epoch.
    pub(crate) fn check_epoch(&self, expected: Option<&str>) -> Result<()> {
        let epoch = self.epoch().to_string();
        match expected.filter(|expected| **expected != epoch) {
            Some(expected) => Err(Error::invalid(
                "epoch",
                format!(
                    "the log's epoch is {epoch}, not {expected}: the cursor belongs to a log that is gone; begin anew without an epoch"
                ),
            )),
            None => Ok(()),
        }
    }

    /// Reads on at `from`; `None` when there is nothing yet.
    ///
    /// # Errors
    ///
    /// CURSOR_EXPIRED when the log begins later; EVENTS_DAMAGED, without the next
    /// that can be read; INTERNAL when it cannot be read.
    pub(crate) async fn read(&self, from: Seq) -> Result<Option<Span>> {
        let latest = {
            let ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
            if from > ring.now.latest {
                return Ok(None);
            }
            let at = ring.chunks.partition_point(|chunk| chunk.last() < from);
            if let Some(chunk) = ring.chunks.get(at).filter(|chunk| chunk.first() <= from) {
                return Ok(Some(Span { chunk: Arc::clone(chunk), from, to: chunk.last() }));
            }
            ring.now.latest
        };
        let reader = self.reader();
        if from > reader.latest() {
            // What was shown is gone from the end of the log.
            return Err(Error::EventsDamaged { seq: from, next: None });
        }
        let chunk = self.replays.read(&reader, from).await?;
        let to = chunk.last().min(latest);
        Ok(Some(Span { chunk, from, to }))
    }

    /// The error with the next event that can be read, where it is one of damage.
    pub(crate) async fn look_beyond(&self, error: Error) -> Error {
        let Error::EventsDamaged { seq, next: None } = error else { return error };
        let reader = self.reader();
        // What cannot be found out is not said.
        let next = blocking(move || reader.next_readable(seq)).await;
        Error::EventsDamaged { seq, next: next.ok().and_then(|next| next.ok()).flatten() }
    }
}
