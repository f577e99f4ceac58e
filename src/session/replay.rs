//! What subscribers that lag read from the files of logs, shared by those that
//! lag alike: when many fall behind together, one of them reads and verifies,
//! and the others take what it read.
//!
//! One for the whole server, and bounded as a whole, so that a session that was
//! replayed once holds nothing.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::OnceCell;
use tokio_util::task::TaskTracker;

use crate::{
    Error, Result,
    id::Seq,
    session::actor::blocking,
    store::log::{Chunk, Epoch, Reader},
};

/// How much is read at once.
const READ_BYTES: usize = 256 << 10;
/// The most reads that are kept, the last of them.
const KEPT: usize = 32;
/// The most bytes of them; single events can be large.
const KEPT_BYTES: usize = 8 << 20;

/// The last reads. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Replays {
    /// In the order in which they began. Held to look and to exchange entries
    /// only, never over a read.
    reads: Arc<Mutex<VecDeque<Read>>>,
    /// Where reads are tracked, so that the server ends after them.
    tasks: TaskTracker,
}

/// A read that was done, or is being done by whoever came first.
#[derive(Debug)]
struct Read {
    epoch: Epoch,
    from: Seq,
    chunk: Arc<OnceCell<Arc<Chunk>>>,
}

impl Read {
    /// Whether the event is in it, or will be.
    fn has(&self, epoch: Epoch, seq: Seq) -> bool {
        self.epoch == epoch
            && self.from <= seq
            && self.chunk.get().map_or(self.from, |chunk| chunk.last()) >= seq
    }

    fn bytes(&self) -> usize {
        self.chunk.get().map_or(0, |chunk| chunk.bytes().len())
    }
}

impl Replays {
    /// None yet.
    pub(crate) fn new(tasks: TaskTracker) -> Self {
        Self { reads: Arc::default(), tasks }
    }

    /// Events of a log, among them `seq`, which the log has.
    ///
    /// # Errors
    ///
    /// CURSOR_EXPIRED when the log begins later; INTERNAL when it cannot be read.
    pub(crate) async fn read(&self, reader: &Reader, seq: Seq) -> Result<Arc<Chunk>> {
        let slot = self.slot(reader.epoch(), seq);
        if let Some(chunk) = slot.get() {
            return Ok(Arc::clone(chunk));
        }
        // In a task of its own: whoever came first may be looked after again only when
        // its client reads on, and the others must not wait for that.
        let (replays, reader) = (self.clone(), reader.clone());
        let reading = self.tasks.spawn(async move {
            let read = slot.get_or_try_init(|| async {
                let chunk = blocking(move || reader.read(seq, READ_BYTES)).await??;
                chunk.ok_or_else(|| Error::internal("the log ends before what was published"))
            });
            let chunk = read.await.cloned();
            replays.trim();
            chunk
        });
        reading.await.map_err(Error::internal)?
    }

    fn slot(&self, epoch: Epoch, seq: Seq) -> Arc<OnceCell<Arc<Chunk>>> {
        let mut reads = self.lock();
        if let Some(read) = reads.iter().rev().find(|read| read.has(epoch, seq)) {
            return Arc::clone(&read.chunk);
        }
        let chunk = Arc::<OnceCell<_>>::default();
        reads.push_back(Read { epoch, from: seq, chunk: Arc::clone(&chunk) });
        chunk
    }

    /// Lets the oldest go, as far as there are too many.
    fn trim(&self) {
        let mut reads = self.lock();
        let mut bytes: usize = reads.iter().map(Read::bytes).sum();
        while reads.len() > KEPT || bytes > KEPT_BYTES {
            let Some(oldest) = reads.pop_front() else { break };
            bytes -= oldest.bytes();
        }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Read>> {
        self.reads.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::{path::Path, pin::pin};

    use futures_util::FutureExt as _;

    use super::*;
    use crate::{
        proto::WatchEventsResponse,
        store::log::{Batch, Log, Meta, Options},
    };

    /// A log of so many events.
    fn log(dir: &Path, events: u64) -> Log {
        let mut log = Log::create(dir, Options::default()).unwrap();
        let mut batch = Batch::new(Seq::FIRST);
        for _ in 0..events {
            let meta =
                Meta { time_unix_nanos: 0, turn: 1, kind: 7, source_end_offset: 0, outbox_id: 0 };
            batch.push(meta, &WatchEventsResponse::default()).unwrap();
        }
        log.append(&batch).unwrap();
        log
    }

    #[tokio::test]
    async fn those_that_lag_alike_share_one_read() {
        let dir = tempfile::tempdir().unwrap();
        let (one, other) = (log(&dir.path().join("one"), 9), log(&dir.path().join("other"), 9));
        let replays = Replays::default();

        let reader = one.reader();
        let (first, beside) =
            tokio::join!(replays.read(&reader, Seq(3)), replays.read(&reader, Seq(3)));
        let (first, beside) = (first.unwrap(), beside.unwrap());
        assert_eq!((first.first(), first.last()), (Seq(3), Seq(9)));
        assert!(Arc::ptr_eq(&first, &beside));
        let within = replays.read(&one.reader(), Seq(7)).await.unwrap();
        assert!(Arc::ptr_eq(&first, &within));

        let before = replays.read(&one.reader(), Seq(2)).await.unwrap();
        assert_eq!(before.first(), Seq(2));
        let elsewhere = replays.read(&other.reader(), Seq(3)).await.unwrap();
        assert!(!Arc::ptr_eq(&first, &elsewhere));
    }

    #[tokio::test]
    async fn whoever_came_first_and_does_not_go_on_keeps_nobody_waiting() {
        let dir = tempfile::tempdir().unwrap();
        let log = log(dir.path(), 9);
        let replays = Replays::default();
        let reader = log.reader();
        let mut first = pin!(replays.read(&reader, Seq(3)));
        let begun = first.as_mut().now_or_never();
        let beside = replays.read(&reader, Seq(3)).await.unwrap();
        assert_eq!((beside.first(), beside.last()), (Seq(3), Seq(9)));
        let first = match begun {
            Some(read) => read.unwrap(),
            None => first.await.unwrap(),
        };
        assert!(Arc::ptr_eq(&first, &beside));
    }

    #[tokio::test]
    async fn only_the_last_reads_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        let log = log(&dir.path().join("log"), 2 * KEPT as u64);
        let replays = Replays::default();
        for seq in (1..=log.tail().last.0).rev() {
            replays.read(&log.reader(), Seq(seq)).await.unwrap();
        }
        let kept: Vec<u64> = replays.lock().iter().map(|read| read.from.0).collect();
        assert_eq!(kept, (1..=KEPT as u64).rev().collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn a_read_that_fails_is_done_again() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = log(&dir.path().join("log"), 1);
        let replays = Replays::default();
        assert!(replays.read(&log.reader(), Seq(2)).await.is_err());
        let mut batch = Batch::new(Seq(2));
        let meta =
            Meta { time_unix_nanos: 0, turn: 1, kind: 7, source_end_offset: 0, outbox_id: 0 };
        batch.push(meta, &WatchEventsResponse::default()).unwrap();
        log.append(&batch).unwrap();
        assert_eq!(replays.read(&log.reader(), Seq(2)).await.unwrap().first(), Seq(2));
    }
}
