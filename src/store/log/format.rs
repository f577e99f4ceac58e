//! The bytes of a segment: its header, and the header of a record. Little endian.
//!
//! ```text
//! segment   0 magic          8 version u32   12 first_seq u64   20 epoch u64
//!          28 time i64      36 source_end u64  44 outbox u64    52 turn u32
//!          56 reserved u32  60 crc32c u32 of the 60 bytes before
//! record    0 crc32c u32 of all that follows, body included
//!           4 length u32 of the body          8 seq u64        16 time i64
//!          24 turn u32      28 kind u8  29 flags u8  30 reserved u16
//!          32 source_end u64                 40 outbox u64     48 body
//! body      0 compression flag (0)            1 length u32, big endian
//!           5 the message
//! ```
//!
//! The segment's header has the running values of the record before its first.
//! Its length and the places of magic, version and checksum stay the same in
//! every version of the format, so that a newer one is told from damage.

use bytes::{Buf as _, BufMut as _};

use super::{Epoch, Tail};
use crate::id::Seq;

/// The highest format version that this server reads, and the one it writes.
pub(super) const VERSION: u32 = 1;
/// The length of a segment's header in bytes.
pub(super) const SEGMENT_HEADER: usize = 64;
/// The length of a record's header in bytes.
pub(super) const RECORD_HEADER: usize = 48;
/// The length of the gRPC prefix of a message in bytes.
pub(super) const FRAME_PREFIX: usize = 5;
/// The longest body of a record in bytes: a line of 64 MiB, verbatim and typed, fits twice.
pub(super) const MAX_FRAME: usize = 256 * 1024 * 1024;

const MAGIC: [u8; 8] = *b"sbevents";
const SEGMENT_CRC: usize = SEGMENT_HEADER - 4;

/// The header of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    pub(super) epoch: Epoch,
    /// The end of the log when the segment was made; its first seq is the next.
    pub(super) before: Tail,
}

/// Why the header of a segment cannot be used.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum SegmentHeaderError {
    Damaged,
    Version(u32),
}

impl SegmentHeader {
    pub(super) fn first(&self) -> Seq {
        self.before.last.next()
    }

    pub(super) fn encode(&self) -> [u8; SEGMENT_HEADER] {
        let mut bytes = [0; SEGMENT_HEADER];
        let mut out = &mut bytes[..SEGMENT_CRC];
        out.put_slice(&MAGIC);
        out.put_u32_le(VERSION);
        out.put_u64_le(self.first().0);
        out.put_u64_le(self.epoch.0);
        out.put_i64_le(self.before.time_unix_nanos);
        out.put_u64_le(self.before.source_end_offset);
        out.put_u64_le(self.before.outbox_id);
        out.put_u32_le(self.before.turn);
        let crc = crc32c::crc32c(&bytes[..SEGMENT_CRC]);
        bytes[SEGMENT_CRC..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Reads the header of the segment whose name says that it begins at `first`.
    pub(super) fn decode(bytes: &[u8], first: Seq) -> Result<Self, SegmentHeaderError> {
        let Some((mut header, mut crc)) = bytes.split_at_checked(SEGMENT_CRC) else {
            return Err(SegmentHeaderError::Damaged);
        };
        if crc.try_get_u32_le() != Ok(crc32c::crc32c(header)) || !header.starts_with(&MAGIC) {
            return Err(SegmentHeaderError::Damaged);
        }
        header.advance(MAGIC.len());
        let version = header.get_u32_le();
        if version != VERSION {
            return Err(SegmentHeaderError::Version(version));
        }
        if header.get_u64_le() != first.0 {
            return Err(SegmentHeaderError::Damaged);
        }
        Ok(Self {
            epoch: Epoch(header.get_u64_le()),
            before: Tail {
                last: Seq(first.0 - 1),
                time_unix_nanos: header.get_i64_le(),
                source_end_offset: header.get_u64_le(),
                outbox_id: header.get_u64_le(),
                turn: header.get_u32_le(),
            },
        })
    }
}

/// The header of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RecordHeader {
    /// The length of the body in bytes.
    pub(super) length: usize,
    pub(super) kind: u8,
    /// The record's seq, time and running values.
    pub(super) tail: Tail,
}

impl RecordHeader {
    /// The length of the record in bytes, header and body.
    pub(super) fn size(&self) -> usize {
        RECORD_HEADER + self.length
    }

    /// Fills in the header and the gRPC prefix before a message that is there.
    /// `record` is the whole record, at most [`MAX_FRAME`] and its header long.
    pub(super) fn seal(record: &mut [u8], kind: u8, tail: &Tail) {
        let length = u32::try_from(record.len() - RECORD_HEADER)
            .expect("a record is never longer than MAX_FRAME and its header");
        let mut out = &mut record[4..RECORD_HEADER + FRAME_PREFIX];
        out.put_u32_le(length);
        out.put_u64_le(tail.last.0);
        out.put_i64_le(tail.time_unix_nanos);
        out.put_u32_le(tail.turn);
        out.put_u8(kind);
        out.put_u8(0);
        out.put_u16_le(0);
        out.put_u64_le(tail.source_end_offset);
        out.put_u64_le(tail.outbox_id);
        out.put_u8(0);
        out.put_u32(length - FRAME_PREFIX as u32);
        let crc = crc32c::crc32c(&record[4..]);
        record[..4].copy_from_slice(&crc.to_le_bytes());
    }

    /// Reads the header of a record without a look at its checksum; `None` when
    /// no record can begin with these bytes.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut header = bytes.get(4..RECORD_HEADER)?;
        let length = header.get_u32_le() as usize;
        if !(FRAME_PREFIX..=MAX_FRAME).contains(&length) {
            return None;
        }
        let last = Seq(header.get_u64_le());
        let time_unix_nanos = header.get_i64_le();
        let turn = header.get_u32_le();
        let kind = header.get_u8();
        header.advance(3);
        let source_end_offset = header.get_u64_le();
        let outbox_id = header.get_u64_le();
        let tail = Tail { last, time_unix_nanos, turn, source_end_offset, outbox_id };
        Some(Self { length, kind, tail })
    }

    /// Reads and verifies the record that these bytes begin with; `None` when
    /// there is no whole, undamaged one with a seq that is looked for.
    ///
    /// The seq is asked about first: it is the cheapest way to tell bytes that
    /// are not a record.
    pub(super) fn verify(bytes: &[u8], wanted: impl FnOnce(Seq) -> bool) -> Option<Self> {
        let header = Self::decode(bytes)?;
        if !wanted(header.tail.last) {
            return None;
        }
        let record = bytes.get(..header.size())?;
        let (mut crc, covered) = record.split_at(4);
        (crc.get_u32_le() == crc32c::crc32c(covered)).then_some(header)
    }
}
