//! A walk over the records of one segment, past damage.

use std::{fs::File, io, os::unix::fs::FileExt as _};

use super::{
    Tail,
    format::{FRAME_PREFIX, RECORD_HEADER, RecordHeader, SEGMENT_HEADER},
    index::Index,
};
use crate::id::Seq;

/// What a segment holds.
#[derive(Debug, Default)]
pub(super) struct Scan {
    /// The runs of valid records with consecutive seqs, in order.
    pub(super) runs: Vec<Run>,
    /// Where they are.
    pub(super) index: Index,
    /// The length of the file in bytes.
    pub(super) len: u64,
}

/// Valid records with consecutive seqs, one behind the other.
#[derive(Debug, Clone, Copy)]
pub(super) struct Run {
    pub(super) first: Tail,
    /// The kind of the first record's event.
    pub(super) first_kind: u8,
    pub(super) last: Tail,
    /// The offset of the first record.
    pub(super) start: u64,
    /// The byte after the last.
    pub(super) end: u64,
}

impl Scan {
    /// Walks over the records of a segment that begins at `first` and ends where
    /// the next begins (`bound`), which is where the walk ends too: what stands
    /// behind was never acknowledged.
    pub(super) fn of(file: &File, first: Seq, bound: Option<Seq>) -> io::Result<Self> {
        let len = file.metadata()?.len();
        let mut window = Window { file, len, buffer: Vec::new(), base: 0 };
        let mut scan = Self { len, ..Self::default() };
        let mut at = SEGMENT_HEADER as u64;
        let mut expected = first;
        while at < len && bound.is_none_or(|bound| expected < bound) {
            let found = match window.record(at, expected)? {
                Some(header) => Some((at, header)),
                None => window.search(at, expected, bound)?,
            };
            let Some((offset, header)) = found else { break };
            scan.add(offset, &header);
            at = offset + header.size() as u64;
            expected = header.tail.last.next();
        }
        Ok(scan)
    }

    /// The values of the last valid record.
    pub(super) fn tail(&self) -> Option<Tail> {
        self.runs.last().map(|run| run.last)
    }

    /// The byte after the last valid record.
    pub(super) fn end(&self) -> u64 {
        self.runs.last().map_or(SEGMENT_HEADER as u64, |run| run.end)
    }

    fn add(&mut self, offset: u64, header: &RecordHeader) {
        let end = offset + header.size() as u64;
        self.index.add(header.tail.last, offset, header.size());
        match self.runs.last_mut() {
            Some(run) if run.end == offset && run.last.last.next() == header.tail.last => {
                run.last = header.tail;
                run.end = end;
            }
            Some(_) | None => {
                let (tail, first_kind) = (header.tail, header.kind);
                self.runs.push(Run { first: tail, first_kind, last: tail, start: offset, end });
            }
        }
    }
}

/// The part of the file that is in memory.
struct Window<'a> {
    file: &'a File,
    len: u64,
    buffer: Vec<u8>,
    base: u64,
}

impl Window<'_> {
    const READ: usize = 256 * 1024;

    /// The record at `at`, when it is valid and is the one that is expected.
    fn record(&mut self, at: u64, expected: Seq) -> io::Result<Option<RecordHeader>> {
        let Some(header) = RecordHeader::decode(self.bytes(at, RECORD_HEADER)?) else {
            return Ok(None);
        };
        // A length that reaches beyond the file is found out before it is read.
        if header.tail.last != expected || header.size() as u64 > self.len - at {
            return Ok(None);
        }
        Ok(RecordHeader::verify(self.bytes(at, header.size())?, |seq| seq == expected))
    }

    /// Tries each byte from `at` on for a valid record that may follow.
    fn search(
        &mut self,
        at: u64,
        expected: Seq,
        bound: Option<Seq>,
    ) -> io::Result<Option<(u64, RecordHeader)>> {
        let rest = usize::try_from(self.len - at).map_err(io::Error::other)?;
        // No segment can hold more records than bytes. That bound is far too
        // wide for what was lost, but it tells nearly all bytes apart at once.
        let beyond = Seq(expected.0.saturating_add(self.len));
        let beyond = bound.map_or(beyond, |bound| bound.min(beyond));
        let rest = self.bytes(at, rest)?;
        let last = rest.len().saturating_sub(RECORD_HEADER + FRAME_PREFIX - 1);
        Ok((0..last).find_map(|skipped| {
            let wanted = |seq| (expected..beyond).contains(&seq);
            let header = RecordHeader::verify(&rest[skipped..], wanted)?;
            Some((at + skipped as u64, header))
        }))
    }

    /// At least `need` bytes from `at` on, or all to the end of the file when
    /// that is less.
    fn bytes(&mut self, at: u64, need: usize) -> io::Result<&[u8]> {
        let need = need.min(usize::try_from(self.len - at).unwrap_or(usize::MAX));
        let held = self.base..self.base + self.buffer.len() as u64;
        if !(held.contains(&at) && at + need as u64 <= held.end) {
            self.load(at, need)?;
        }
        let skip = usize::try_from(at - self.base).map_err(io::Error::other)?;
        Ok(&self.buffer[skip..])
    }

    fn load(&mut self, at: u64, need: usize) -> io::Result<()> {
        let rest = usize::try_from(self.len - at).unwrap_or(usize::MAX);
        self.buffer.resize(need.max(Self::READ).min(rest), 0);
        self.base = at;
        let mut filled = 0;
        while filled < self.buffer.len() {
            match self.file.read_at(&mut self.buffer[filled..], at + filled as u64) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.buffer.truncate(filled);
        Ok(())
    }
}
