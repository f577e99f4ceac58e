//! The append-only event log of one session.
//!
//! A log is a directory of segments, each a file of records in the order of
//! their seqs. A record holds one event as the gRPC-framed message that goes on
//! the wire, so that live delivery and replay send the same bytes.
//!
//! ```text
//!  Batch ──append──► Log ── pwrite, fdatasync ──► 00000000000000000001.seg
//!                     │                           00000000000000004711.seg
//!                     │ then visible                        │
//!                     ├──► Arc<Chunk> (to those that follow)│ pread, CRC
//!                     └──► Reader (any seq that is durable) ┘
//! ```
//!
//! What holds:
//!
//! - One [`Log`] writes; any number of [`Reader`]s read. An event is visible
//!   only when it is durable.
//! - Every record carries the latest values of what ingestion needs to go on
//!   (turn, offset in its output, outbox id), and so does each segment's
//!   header, so that the end of the log alone says where to resume.
//! - The seqs of a segment end where the next one begins. What stands behind
//!   that in the file (after a write that failed) is never read.
//! - A record is read only after its checksum was verified; a bad one is an
//!   error, never an event.
//! - At open a torn tail is cut. Whatever else is damaged is made again by the
//!   caller or stays as it is, and the log is then read-only.
//! - Events expire by whole segments, the oldest first, so that a log may begin
//!   at any seq and has no holes.
//! - A segment is never rewritten but to repair it, and then the damaged file
//!   is kept beside it.
//!
//! Everything is synchronous and blocks on the disk. The session's owner calls
//! it from a blocking thread. It must never interpret an event's content.

mod batch;
mod chunk;
mod disk;
mod error;
mod format;
mod index;
mod reader;
mod recovery;
mod repair;
mod retention;
mod scan;
mod segment;
mod writer;

#[cfg(test)]
mod tests;

use std::{fmt, sync::Arc};

pub use self::{
    batch::{Batch, Meta},
    chunk::{Chunk, Entry, Frame},
    error::{Error, Result},
    reader::Reader,
    recovery::{Behind, Cut, Gap, Missing, Opened, Rebuild},
    repair::Repair,
    retention::{Expired, Extent, Retention, extent},
    writer::Log,
};
use crate::id::Seq;

/// The identity of a log: random, made with it, and the same as long as its
/// seqs mean the same events. Shown as 16 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Epoch(u64);

impl Epoch {
    /// That of a log which could not be opened. It is shown to nobody.
    const UNKNOWN: Self = Self(0);

    fn random() -> Result<Self> {
        getrandom::u64().map(Self).map_err(Error::Random)
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// The last record of a log, or of a part of it, and the values that ran with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tail {
    /// The seq of the record; [`Seq::ZERO`] before the first.
    pub last: Seq,
    /// The time of its event, in nanoseconds since the Unix epoch.
    pub time_unix_nanos: i64,
    /// The latest turn; 0 before the first.
    pub turn: u32,
    /// The byte after the last line of that turn's output that is in the log.
    pub source_end_offset: u64,
    /// The last outbox row that is in the log; 0 for none.
    pub outbox_id: u64,
}

/// How a log is kept.
#[derive(Debug, Clone)]
pub struct Options {
    /// A segment that a batch would make longer than this, in bytes, is
    /// followed by a new one. Default 16 MiB. A single batch may be larger.
    pub segment_bytes: u64,
    /// What is verified when the log is opened.
    pub verify: Verify,
    disk: Arc<dyn disk::Disk>,
}

/// How much of a log is verified when it is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verify {
    /// The last segment, where a crash leaves its marks. Damage to an earlier
    /// one is met as [`Error::Damaged`] by whoever reads it.
    LastSegment,
    /// All segments: after a reader met damage.
    AllSegments,
}

impl Options {
    /// The default, but for how long a segment grows.
    #[must_use]
    pub fn segments_of(segment_bytes: u64) -> Self {
        Self { segment_bytes, ..Self::default() }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            segment_bytes: 16 * 1024 * 1024,
            verify: Verify::LastSegment,
            disk: Arc::new(disk::Real),
        }
    }
}
