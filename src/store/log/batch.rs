//! Events on their way into the log: encoded and framed once, as they are
//! written and as they are sent.

use prost::Message;

use super::{
    Tail,
    error::{Error, Result},
    format::{FRAME_PREFIX, MAX_FRAME, RECORD_HEADER, RecordHeader},
};
use crate::id::Seq;

/// What the log keeps beside an event's message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meta {
    /// The time of the event, in nanoseconds since the Unix epoch.
    pub time_unix_nanos: i64,
    /// The latest turn, this event included; 0 before the first.
    pub turn: u32,
    /// The event's `EventKind`, to filter by.
    pub kind: u8,
    /// The byte after the last line of the turn's output that is in the log,
    /// this event included.
    pub source_end_offset: u64,
    /// The last outbox row that is in the log, this event included.
    pub outbox_id: u64,
}

/// Events that are appended by one write, in order.
///
/// It outlives an append that failed, to be tried again, and can be used anew
/// after one that succeeded ([`Batch::clear`]).
#[derive(Debug)]
pub struct Batch {
    first: Seq,
    len: usize,
    last: Tail,
    records: Vec<u8>,
}

/// What [`Batch::restart`] keeps allocated, in bytes: a rare large event must not
/// hold its memory for ever.
const KEPT_CAPACITY: usize = 2 * 1024 * 1024;

impl Batch {
    /// Begins a batch whose first event has the seq `next`.
    #[must_use]
    pub fn new(next: Seq) -> Self {
        Self { first: next, len: 0, last: Tail::default(), records: Vec::new() }
    }

    /// Encodes an event's message as the next of the batch, and says its seq,
    /// which is what [`Batch::next_seq`] said before.
    ///
    /// # Errors
    ///
    /// [`Error::TooLarge`]; the batch is then as it was.
    pub fn push(&mut self, meta: Meta, message: &impl Message) -> Result<Seq> {
        let Meta { time_unix_nanos, turn, kind, source_end_offset, outbox_id } = meta;
        let seq = self.next_seq();
        let start = self.records.len();
        self.records.extend_from_slice(&[0; RECORD_HEADER + FRAME_PREFIX]);
        message.encode(&mut self.records).expect("a Vec grows with what is put in it");
        let bytes = self.records.len() - start - RECORD_HEADER;
        if bytes > MAX_FRAME {
            self.records.truncate(start);
            return Err(Error::TooLarge { bytes, limit: MAX_FRAME });
        }
        self.last = Tail { last: seq, time_unix_nanos, turn, source_end_offset, outbox_id };
        RecordHeader::seal(&mut self.records[start..], kind, &self.last);
        self.len += 1;
        Ok(seq)
    }

    /// Empties the batch after it was appended; the seqs go on.
    pub fn clear(&mut self) {
        self.restart(self.next_seq());
    }

    /// Empties the batch, to begin anew with the seq `next`.
    pub fn restart(&mut self, next: Seq) {
        self.first = next;
        self.len = 0;
        self.records.clear();
        self.records.shrink_to(KEPT_CAPACITY);
    }

    /// The seq of the first event.
    #[must_use]
    pub fn first(&self) -> Seq {
        self.first
    }

    /// The seq that the next event gets.
    #[must_use]
    pub fn next_seq(&self) -> Seq {
        Seq(self.first.0 + self.len as u64)
    }

    /// How many events it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it has no events.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Its size on disk in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.records.len()
    }

    /// The records, as they stand in a segment.
    pub(super) fn records(&self) -> &[u8] {
        &self.records
    }

    /// The values of its last record; those of no record when it is empty.
    pub(super) fn last(&self) -> Tail {
        self.last
    }
}
