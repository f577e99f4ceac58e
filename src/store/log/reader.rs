//! Reading a log from any seq, beside its writer.

use std::{
    fs::File,
    io,
    path::Path,
    sync::{Arc, Mutex},
};

use rustix::{
    buffer::spare_capacity,
    io::{Errno, pread},
};

use super::{
    Chunk, Epoch, Frame, chunk,
    error::{Error, Result},
    format::{MAX_FRAME, RECORD_HEADER, RecordHeader},
    recovery,
    scan::Scan,
    segment::{Segment, Shared, lock},
};
use crate::{id::Seq, plain_file};

/// A view of a log for those that read it. Cheap to clone.
///
/// It keeps the segment open that it read last, until it has read all, so that
/// it can read on in a file that was moved or removed. Its reads block on the disk.
#[derive(Debug)]
pub struct Reader {
    shared: Arc<Shared>,
    /// Locked to take a file out or put one in, never over a read.
    held: Mutex<Option<Held>>,
}

#[derive(Debug, Clone)]
struct Held {
    segment: Arc<Segment>,
    file: Arc<File>,
}

impl Clone for Reader {
    fn clone(&self) -> Self {
        let held = lock(&self.held).clone();
        Self { shared: Arc::clone(&self.shared), held: Mutex::new(held) }
    }
}

impl Reader {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, held: Mutex::new(None) }
    }

    /// Opens a log only to read it, changing nothing: what is damaged stays so.
    /// Nothing that is appended later is seen.
    ///
    /// # Errors
    ///
    /// [`Error::Missing`], [`Error::NewerFormat`], [`Error::Io`].
    pub fn open_read_only(dir: &Path) -> Result<Self> {
        recovery::open_read_only(dir).map(Self::new)
    }

    /// Reads the events from `from` on, of at most `max_bytes` of frames, but at
    /// least one, however large. `None` when there is none yet.
    ///
    /// A chunk ends where it is cheap to read on, so it may be shorter though
    /// more is there. 64 KiB and more are read at full speed.
    ///
    /// # Errors
    ///
    /// [`Error::Expired`] when `from` is older than the log. [`Error::Damaged`]
    /// when the record of `from` cannot be read. [`Error::Io`].
    pub fn read(&self, from: Seq, max_bytes: usize) -> Result<Option<Arc<Chunk>>> {
        let from = from.max(Seq::FIRST);
        // Before the segments are looked at: those that are seen then reach at
        // least as far.
        let latest = self.latest();
        if from > latest {
            *lock(&self.held) = None;
            return Ok(None);
        }
        let (segment, limit) = match self.shared.find(from, latest) {
            Ok(found) => found,
            Err(error) => self.held_beyond_expiry(from).ok_or(error)?,
        };
        let path = self.shared.path(&segment);
        let damaged = |seq| Error::Damaged { seq, path: path.clone() };
        let file = self.open(&segment, &path).map_err(|error| match segment.expired() {
            // It was removed after it was found.
            Some(_) => Error::Expired { requested: from, oldest: self.oldest() },
            None => error,
        })?;
        let max_bytes = max_bytes.min(MAX_FRAME);
        let span = segment
            .span(&file, limit, from, max_bytes)
            .map_err(|source| Error::io("read", &path, source))?;
        let Some((start, end)) = span else { return Err(damaged(from)) };

        let length = usize::try_from(end - start.offset).map_err(|_| damaged(from))?;
        let bytes = read_exact(&file, start.offset, length).map_err(|source| {
            // The file is shorter than it was: its last records are lost.
            if source.kind() == io::ErrorKind::UnexpectedEof {
                damaged(from)
            } else {
                Error::io("read", &path, source)
            }
        })?;
        let skipped = skip(&bytes, start.seq, from).map_err(damaged)?;
        let chunk = compact(bytes, skipped, from, limit, max_bytes);
        chunk.map(|chunk| Some(Arc::new(chunk))).ok_or_else(|| damaged(from))
    }

    /// The first event from `from` on that can be read, as the files are now;
    /// `None` when there is none. Reads and verifies whole segments.
    ///
    /// # Errors
    ///
    /// [`Error::Expired`] when `from` is older than the log. [`Error::Io`].
    pub fn next_readable(&self, mut from: Seq) -> Result<Option<Seq>> {
        let latest = self.latest();
        while from <= latest {
            let (segment, limit) = self.shared.find(from, latest)?;
            let path = self.shared.path(&segment);
            let scan = match plain_file::open(&path) {
                Ok(file) => Scan::of(&file, segment.first, Some(limit.next())),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Scan::default()),
                Err(error) => Err(error),
            };
            let scan = scan.map_err(|source| Error::io("read", &path, source))?;
            if let Some(run) = scan.runs.iter().find(|run| run.last.last >= from) {
                return Ok(Some(run.first.last.max(from)));
            }
            from = limit.next();
        }
        Ok(None)
    }

    /// The seq of the oldest event that is there, or would be in an empty log.
    #[must_use]
    pub fn oldest(&self) -> Seq {
        self.shared.oldest()
    }

    /// The seq of the latest durable event; one less than the oldest, when there is none.
    #[must_use]
    pub fn latest(&self) -> Seq {
        self.shared.latest()
    }

    /// The log's identity.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.shared.epoch
    }

    /// The segment that is held open, where it has the event though the log has
    /// it no more, and its last seq.
    fn held_beyond_expiry(&self, from: Seq) -> Option<(Arc<Segment>, Seq)> {
        let held = lock(&self.held);
        let segment = &held.as_ref()?.segment;
        let last = segment.expired()?;
        (segment.first..=last).contains(&from).then(|| (Arc::clone(segment), last))
    }

    fn open(&self, segment: &Arc<Segment>, path: &Path) -> Result<Arc<File>> {
        if let Some(held) = &*lock(&self.held)
            && Arc::ptr_eq(&held.segment, segment)
        {
            return Ok(Arc::clone(&held.file));
        }
        let file = segment.open(path)?;
        *lock(&self.held) = Some(Held { segment: Arc::clone(segment), file: Arc::clone(&file) });
        Ok(file)
    }
}

/// The bytes of a file from `offset` on; an error where there are fewer.
fn read_exact(file: &File, offset: u64, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(length);
    while bytes.len() < length {
        let at = offset + bytes.len() as u64;
        match pread(file, spare_capacity(&mut bytes), at) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    bytes.truncate(length);
    Ok(bytes)
}

/// Where the record of `to` begins, or the first that is damaged before it. The
/// records that are passed are not verified.
fn skip(bytes: &[u8], from: Seq, to: Seq) -> Result<usize, Seq> {
    let (mut at, mut seq) = (0, from);
    while seq < to {
        let header = bytes.get(at..).and_then(RecordHeader::decode);
        let header = header.filter(|header| header.tail.last == seq).ok_or(seq)?;
        at += header.size();
        seq = seq.next();
    }
    Ok(at)
}

/// Verifies the records from `at` on and moves their frames together. Ends
/// before a damaged one; `None` when that is the first.
fn compact(
    mut bytes: Vec<u8>,
    mut at: usize,
    first: Seq,
    limit: Seq,
    max_bytes: usize,
) -> Option<Chunk> {
    let mut seq = first;
    let mut frames = 0;
    let mut index: Vec<Frame> = Vec::new();
    while at < bytes.len() && seq <= limit {
        let Some(header) = RecordHeader::verify(&bytes[at..], |found| found == seq) else { break };
        if frames > 0 && frames + header.length > max_bytes {
            break;
        }
        if index.is_empty() {
            // Records of a log are much alike: the first says about how many follow.
            let rest = (bytes.len() - at).min(max_bytes);
            index.reserve(rest / header.size() + 1);
        }
        bytes.copy_within(at + RECORD_HEADER..at + header.size(), frames);
        frames += header.length;
        index.push(Frame { end: chunk::end(frames), kind: header.kind, turn: header.tail.turn });
        at += header.size();
        seq = seq.next();
    }
    bytes.truncate(frames);
    (frames > 0).then(|| Chunk::new(first, bytes, index))
}
