//! A run of events in the form in which they are sent, shared by all that send them.

use std::sync::Arc;

use bytes::Bytes;

use super::format::{RECORD_HEADER, RecordHeader};
use crate::id::Seq;

/// The bound of a chunk in bytes of frames; a larger frame is a chunk by itself.
pub(super) const CHUNK_BYTES: usize = 64 * 1024;

/// Consecutive events: their gRPC-framed messages one behind the other, ready
/// for the wire, and an index of them. Never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    first: Seq,
    frames: Bytes,
    index: Vec<Frame>,
    largest: u32,
}

/// Where one event's frame ends in its chunk, and what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    /// The byte after the frame, counted from the beginning of the chunk. The
    /// frame begins where the one before ends.
    pub end: u32,
    /// The event's `EventKind`.
    pub kind: u8,
    /// The latest turn at the event.
    pub turn: u32,
}

/// One event of a chunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The event's seq.
    pub seq: Seq,
    /// Its `EventKind`.
    pub kind: u8,
    /// The latest turn at the event.
    pub turn: u32,
    /// The gRPC-framed message; it shares the chunk's memory.
    pub frame: Bytes,
}

impl Chunk {
    pub(super) fn new(first: Seq, frames: Vec<u8>, index: Vec<Frame>) -> Self {
        let mut start = 0;
        let mut largest = 0;
        for frame in &index {
            largest = largest.max(frame.end - start);
            start = frame.end;
        }
        debug_assert!(largest > 0 && start as usize == frames.len(), "a chunk is never empty");
        Self { first, frames: Bytes::from(frames), index, largest }
    }

    /// The seq of its first event.
    #[must_use]
    pub fn first(&self) -> Seq {
        self.first
    }

    /// The seq of its last event.
    #[must_use]
    pub fn last(&self) -> Seq {
        Seq(self.first.0 + self.index.len() as u64 - 1)
    }

    /// All frames, ready for the wire.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.frames
    }

    /// One entry for each event, in order.
    #[must_use]
    pub fn index(&self) -> &[Frame] {
        &self.index
    }

    /// The size of its largest frame in bytes, prefix included: when that is
    /// within a receiver's bound, the whole chunk is.
    #[must_use]
    pub fn largest_frame(&self) -> usize {
        self.largest as usize
    }

    /// The frames from `seq` on, and their part of the index. Both are empty
    /// when the chunk ends before it; all is given when it begins behind it.
    ///
    /// The ends in the index are still counted from the beginning of the chunk.
    #[must_use]
    pub fn slice_from(&self, seq: Seq) -> (Bytes, &[Frame]) {
        let at = self.position(seq);
        (self.frames.slice(self.start(at)..), &self.index[at..])
    }

    /// Its events, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Entry> + '_ {
        self.iter_from(self.first)
    }

    /// Its events from `seq` on, in order.
    pub fn iter_from(&self, seq: Seq) -> impl ExactSizeIterator<Item = Entry> + '_ {
        let at = self.position(seq);
        (at..self.index.len()).map(|at| {
            let Frame { end, kind, turn } = self.index[at];
            Entry {
                seq: Seq(self.first.0 + at as u64),
                kind,
                turn,
                frame: self.frames.slice(self.start(at)..end as usize),
            }
        })
    }

    fn position(&self, seq: Seq) -> usize {
        let behind = seq.0.saturating_sub(self.first.0);
        usize::try_from(behind).map_or(self.index.len(), |at| at.min(self.index.len()))
    }

    fn start(&self, at: usize) -> usize {
        match at.checked_sub(1) {
            Some(before) => self.index[before].end as usize,
            None => 0,
        }
    }
}

/// Makes chunks of records that were just written, so that no one has to read them.
pub(super) fn from_records(first: Seq, records: &[u8]) -> Vec<Arc<Chunk>> {
    let mut chunks = Vec::new();
    let mut next = first;
    let mut rest = records;
    while !rest.is_empty() {
        let (taken, events, frames) = measure(rest);
        let (group, others) = rest.split_at(taken);
        chunks.push(Arc::new(copy(next, group, events, frames)));
        next = Seq(next.0 + events as u64);
        rest = others;
    }
    chunks
}

/// The bytes of records, the events and the bytes of frames of the next chunk.
fn measure(records: &[u8]) -> (usize, usize, usize) {
    let (mut taken, mut events, mut frames) = (0, 0, 0);
    while taken < records.len() {
        let header = written(&records[taken..]);
        if events > 0 && frames + header.length > CHUNK_BYTES {
            break;
        }
        taken += header.size();
        frames += header.length;
        events += 1;
    }
    (taken, events, frames)
}

fn copy(first: Seq, records: &[u8], events: usize, bytes: usize) -> Chunk {
    let mut frames = Vec::with_capacity(bytes);
    let mut index = Vec::with_capacity(events);
    let mut at = 0;
    while at < records.len() {
        let header = written(&records[at..]);
        frames.extend_from_slice(&records[at + RECORD_HEADER..at + header.size()]);
        index.push(Frame { end: end(frames.len()), kind: header.kind, turn: header.tail.turn });
        at += header.size();
    }
    Chunk::new(first, frames, index)
}

/// The header of a record that a batch made.
pub(super) fn written(record: &[u8]) -> RecordHeader {
    RecordHeader::decode(record).expect("a batch holds whole records only")
}

/// The end of a frame as the index keeps it.
pub(super) fn end(bytes: usize) -> u32 {
    u32::try_from(bytes).expect("a chunk is bounded by MAX_FRAME and what a reader may ask for")
}
