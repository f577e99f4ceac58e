//! Where in a segment the events are: one entry for about 64 KiB.

use crate::id::Seq;

/// The bytes of records that one entry stands for, at least.
pub(super) const SPACING: u64 = 64 * 1024;

/// A sparse index of a segment's records, and where they end.
#[derive(Debug, Clone, Default)]
pub(super) struct Index {
    entries: Vec<Place>,
    /// The byte after the last record that may be read.
    end: u64,
}

/// A record: its seq, and the offset at which it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) seq: Seq,
    pub(super) offset: u64,
}

impl Index {
    /// Takes in the record behind the last one.
    ///
    /// A large record gets an entry of its own, so that it is not read for the
    /// sake of the small ones before it.
    pub(super) fn add(&mut self, seq: Seq, offset: u64, size: usize) {
        let size = size as u64;
        let due = match self.entries.last() {
            // A record that is not where the last one ended is behind damage,
            // and only an entry leads to it.
            Some(last) => offset != self.end || offset - last.offset >= SPACING || size >= SPACING,
            None => true,
        };
        if due {
            self.entries.push(Place { seq, offset });
        }
        self.end = offset + size;
    }

    /// A range of whole records with `seq` in it: where the first is, and the
    /// byte after the last. It ends at an entry, so that who reads on from
    /// there begins at one; within `bytes` where it can, and else at the next.
    pub(super) fn span(&self, seq: Seq, bytes: usize) -> Option<(Place, u64)> {
        let behind = self.entries.partition_point(|place| place.seq <= seq);
        let start = *self.entries.get(behind.checked_sub(1)?)?;
        let bound = start.offset.saturating_add(bytes as u64);
        if self.end <= bound {
            return Some((start, self.end));
        }
        let fitting = self.entries.partition_point(|place| place.offset <= bound);
        let end = match fitting.checked_sub(1) {
            Some(last) if last >= behind => self.entries[last].offset,
            Some(_) | None => self.entries.get(behind).map_or(self.end, |place| place.offset),
        };
        Some((start, end))
    }
}
