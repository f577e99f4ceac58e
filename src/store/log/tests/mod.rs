//! Tests of the log, and what they share: events that are known by their seq, a
//! model of what a log should hold, and a disk that fails on demand.

mod failure;
mod recovery;
mod retention;
mod round_trip;

use std::{
    fs::{self, File},
    io,
    ops::RangeInclusive,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use prost::Message as _;

use super::{
    Batch, Entry, Error, Gap, Log, Meta, Missing, Options, Reader, Tail, Verify,
    disk::{self, Disk},
    segment,
};
use crate::{
    id::Seq,
    proto::{Event, WatchEventsResponse, watch_events_response},
};

/// What a log should hold: the size of each event's raw line, from seq 1 on. All
/// else about an event follows from its seq and that size.
#[derive(Debug, Clone, Default)]
struct Model {
    sizes: Vec<usize>,
}

impl Model {
    fn new(sizes: impl IntoIterator<Item = usize>) -> Self {
        Self { sizes: sizes.into_iter().collect() }
    }

    fn last(&self) -> Seq {
        Seq(self.sizes.len() as u64)
    }

    fn meta(seq: Seq) -> Meta {
        Meta {
            time_unix_nanos: 1_700_000_000_000_000_000 + i64::try_from(seq.0).unwrap(),
            turn: u32::try_from(seq.0 / 50).unwrap(),
            kind: u8::try_from(seq.0 % 40).unwrap(),
            source_end_offset: seq.0 * 1000,
            outbox_id: seq.0 / 7,
        }
    }

    fn tail(seq: Seq) -> Tail {
        if seq == Seq::ZERO {
            return Tail::default();
        }
        let Meta { time_unix_nanos, turn, kind: _, source_end_offset, outbox_id } = Self::meta(seq);
        Tail { last: seq, time_unix_nanos, turn, source_end_offset, outbox_id }
    }

    fn message(&self, seq: Seq) -> WatchEventsResponse {
        let size = self.sizes[usize::try_from(seq.0).unwrap() - 1];
        let mut raw = seq.0.wrapping_mul(0x0123_4567_89ab_cdef).to_le_bytes().repeat(size / 8 + 1);
        raw.truncate(size);
        let event = Event { seq: seq.0, raw: raw.into(), ..Event::default() };
        WatchEventsResponse { message: Some(watch_events_response::Message::Event(event)) }
    }

    fn entry(&self, seq: Seq) -> Entry {
        let message = self.message(seq).encode_to_vec();
        let mut frame = vec![0];
        frame.extend_from_slice(&u32::try_from(message.len()).unwrap().to_be_bytes());
        frame.extend_from_slice(&message);
        let Meta { turn, kind, .. } = Self::meta(seq);
        Entry { seq, kind, turn, frame: frame.into() }
    }

    fn batch(&self, seqs: RangeInclusive<u64>) -> Batch {
        let mut batch = Batch::new(Seq(*seqs.start()));
        for seq in seqs.map(Seq) {
            assert_eq!(batch.push(Self::meta(seq), &self.message(seq)).unwrap(), seq);
        }
        batch
    }

    /// Makes a log of all events, with `per_batch` in each write.
    fn write(&self, dir: &Path, options: Options, per_batch: usize) -> Log {
        let mut log = Log::create(dir, options).unwrap();
        self.extend(&mut log, per_batch);
        log
    }

    /// Appends what the log does not have yet.
    fn extend(&self, log: &mut Log, per_batch: usize) {
        while log.tail().last < self.last() {
            let first = log.tail().last.next().0;
            let last = self.last().0.min(first + per_batch as u64 - 1);
            log.append(&self.batch(first..=last)).unwrap();
        }
    }

    /// Makes again what is missing, and looks whether the gap tells the truth.
    fn rebuild(&self, gap: &Gap) -> Option<Batch> {
        assert_eq!(gap.after, Self::tail(Seq(gap.first.0 - 1)));
        let (Missing::Exactly(count) | Missing::AtLeast(count)) = gap.missing;
        let last = gap.first.0 + count - 1;
        if let Some(before) = gap.before {
            assert_eq!(before, Self::tail(Seq(last + 1)));
        }
        Some(self.batch(gap.first.0..=last))
    }

    /// Reads all and asserts that it is exactly what it should be.
    fn assert_whole(&self, reader: &Reader) {
        assert_eq!(reader.latest(), self.last());
        let mut next = Seq::FIRST;
        while let Some(chunk) = reader.read(next, 64 * 1024).unwrap() {
            for entry in chunk.iter() {
                assert_eq!(entry, self.entry(next));
                next = next.next();
            }
        }
        assert_eq!(next, self.last().next());
    }

    /// Reads each event by itself: it is right, or the read says that it is
    /// damaged. Gives the seqs of the damaged ones.
    fn damaged(&self, reader: &Reader) -> Vec<Seq> {
        let mut damaged = vec![];
        for seq in (1..=reader.latest().0).map(Seq) {
            match reader.read(seq, 1) {
                Ok(chunk) => {
                    assert_eq!(chunk.unwrap().iter().collect::<Vec<_>>(), vec![self.entry(seq)])
                }
                Err(Error::Damaged { .. }) => damaged.push(seq),
                Err(error) => panic!("{error:?}"),
            }
        }
        damaged
    }
}

fn never(gap: &Gap) -> Option<Batch> {
    panic!("nothing is missing, but {gap:?}")
}

/// A place for one log that is removed with it.
struct Home {
    home: tempfile::TempDir,
}

impl Home {
    fn new() -> Self {
        Self { home: tempfile::tempdir().unwrap() }
    }

    fn dir(&self) -> PathBuf {
        self.home.path().join("events")
    }

    fn segments(&self) -> Vec<PathBuf> {
        let seqs = segment::list(&self.dir()).unwrap();
        seqs.into_iter().map(|first| segment::path(&self.dir(), first)).collect()
    }

    /// The content of each segment.
    fn contents(&self) -> Vec<Vec<u8>> {
        self.segments().iter().map(|path| fs::read(path).unwrap()).collect()
    }
}

fn flip(path: &Path, at: u64) {
    let file = File::options().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 0x10], at).unwrap();
}

/// Options for tests that kill no machine: nothing waits for the disk.
fn unsynced(segment_bytes: u64) -> Options {
    Options { segment_bytes, disk: Arc::new(Unsynced), ..Options::default() }
}

fn all_segments(options: Options) -> Options {
    Options { verify: Verify::AllSegments, ..options }
}

#[derive(Debug)]
struct Unsynced;

impl Disk for Unsynced {
    fn sync(&self, _: &File) -> io::Result<()> {
        Ok(())
    }

    fn sync_directory(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }
}

/// What a disk does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    Create,
    Write,
    Sync,
    SetLen,
    Rename,
    Remove,
    SyncDirectory,
}

/// A disk whose acts fail where a test says so.
#[derive(Debug, Default)]
struct Faulty {
    /// The acts that fail, each once and in this order among acts of its kind:
    /// how many succeed before, and the error.
    faults: Mutex<Vec<(Act, usize, rustix::io::Errno)>>,
}

impl Faulty {
    /// Lets the act fail after it succeeded so many times.
    fn fail(&self, act: Act, after: usize, error: rustix::io::Errno) {
        self.faults.lock().unwrap().push((act, after, error));
    }

    fn options(self: &Arc<Self>, segment_bytes: u64) -> Options {
        let disk = Arc::<Self>::clone(self);
        Options { segment_bytes, disk, ..Options::default() }
    }

    fn check(&self, act: Act) -> io::Result<()> {
        let mut faults = self.faults.lock().unwrap();
        let Some(at) = faults.iter().position(|fault| fault.0 == act) else { return Ok(()) };
        if let Some(left) = faults[at].1.checked_sub(1) {
            faults[at].1 = left;
            return Ok(());
        }
        Err(faults.remove(at).2.into())
    }
}

impl Disk for Faulty {
    fn create(&self, path: &Path) -> io::Result<File> {
        self.check(Act::Create)?;
        disk::Real.create(path)
    }

    /// A write that fails leaves half of its bytes.
    fn write_all_at(&self, file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
        if let Err(error) = self.check(Act::Write) {
            disk::Real.write_all_at(file, &bytes[..bytes.len() / 2], offset)?;
            return Err(error);
        }
        disk::Real.write_all_at(file, bytes, offset)
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        self.check(Act::Sync)?;
        disk::Real.sync(file)
    }

    fn set_len(&self, file: &File, len: u64) -> io::Result<()> {
        self.check(Act::SetLen)?;
        disk::Real.set_len(file, len)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.check(Act::Rename)?;
        disk::Real.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.check(Act::Remove)?;
        disk::Real.remove(path)
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        self.check(Act::SyncDirectory)?;
        disk::Real.sync_directory(path)
    }
}
