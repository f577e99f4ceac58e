//! What is done when a log is opened: find the end, cut what was torn, have
//! made again what is damaged.
//!
//! ```text
//! last segment ends in bytes that are no record, its seqs reach `durable`
//!                                                        ──► cut there
//! records are missing before valid ones, before the next segment, or up to
//! `durable`; or the header is damaged                    ──► rebuild asked
//!     it gives exactly what is missing ──► the segment is written anew, the
//!                                          damaged file is kept beside it
//!     it does not                      ──► nothing is touched, read-only
//! ```

use std::{
    fs,
    io::{self, Read as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    Batch, Epoch, Options, Tail, Verify,
    error::{Error, Result},
    format::{SEGMENT_HEADER, SegmentHeader, SegmentHeaderError, VERSION},
    repair::{self, Repair},
    scan::{Run, Scan},
    segment::{self, Segment, Shared},
};
use crate::{id::Seq, plain_file};

/// Makes missing records again: gives a batch that begins at [`Gap::first`]
/// with as many events as [`Gap::missing`] says, each with the time of
/// [`Gap::after`]; or `None` when that cannot be done.
pub type Rebuild<'a> = dyn FnMut(&Gap) -> Option<Batch> + 'a;

/// Records that were durable and are not there, or not as they were written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// The first that is missing.
    pub first: Seq,
    /// How many are.
    pub missing: Missing,
    /// The record before them, which says where in the turn's output they begin.
    pub after: Tail,
    /// The valid record behind them, where there is one.
    pub before: Option<Behind>,
}

/// The record behind a gap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Behind {
    /// Its seq and the values that ran with it.
    pub tail: Tail,
    /// The `EventKind` of its event.
    pub kind: u8,
}

/// How many records are missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// So many: what follows is there.
    Exactly(u64),
    /// So many were durable; more may have been.
    AtLeast(u64),
}

/// What was found, and done, when a log was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// The end of the log, where to go on.
    pub tail: Tail,
    /// The torn end that was removed.
    pub cut: Option<Cut>,
    /// The segments that were written anew.
    pub repairs: Vec<Repair>,
    /// What is damaged and could not be repaired. The log can be read outside
    /// of it, and nothing can be appended.
    pub read_only: Option<String>,
}

/// The end of a write that was never acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    /// The segment's file.
    pub path: PathBuf,
    /// How many bytes were removed.
    pub bytes: u64,
}

/// A log that can be read, and where to write on.
#[derive(Debug)]
pub(super) struct Recovered {
    pub(super) shared: Arc<Shared>,
    pub(super) opened: Opened,
    /// The byte after the last record of the last segment.
    pub(super) len: u64,
    /// Whether bytes that are no record could not be cut, so that nothing may
    /// be written behind them.
    pub(super) closed: bool,
}

/// Opens a log for writing.
pub(super) fn open(
    dir: &Path,
    durable: Seq,
    rebuild: &mut Rebuild<'_>,
    options: &Options,
) -> Result<Recovered> {
    let mut found = Found::survey(dir)?;
    remove_leftovers(dir);
    if found.segments.is_empty() && durable == Seq::ZERO {
        // The log was created and never written to.
        let header = SegmentHeader { epoch: found.epoch, before: Tail::default() };
        segment::create(options, dir, &header, |_| Ok(()))?;
        found.segments.push(Listed { first: Seq::FIRST, state: State::Good(header) });
    }
    found.expect_first();

    let count = found.segments.len();
    let from = match options.verify {
        Verify::LastSegment => count - 1,
        Verify::AllSegments => 0,
    };
    let mut opened = Opened { tail: Tail::default(), cut: None, repairs: vec![], read_only: None };
    let mut scans = vec![];
    let mut closed = false;
    for at in from..count {
        let mut segment = found.examine(at, durable)?;
        if segment.damaged {
            match repair::mend(options, dir, &segment, rebuild) {
                Ok(repair) => {
                    opened.cut = cut(&repair.path, &segment);
                    opened.repairs.push(repair);
                    found.segments[at].state = State::Good(segment.header);
                    segment = found.examine(at, durable)?;
                }
                Err(problem) => {
                    opened.read_only.get_or_insert(problem);
                }
            }
        } else if segment.torn > 0 && opened.read_only.is_none() {
            let path = segment::path(dir, segment.header.first());
            opened.cut = cut(&path, &segment);
            closed = truncate(options, &path, segment.scan.end()).is_err();
        }
        opened.tail = segment.scan.tail().unwrap_or(segment.header.before);
        scans.push(segment.scan);
    }
    let len = scans.last().map_or(SEGMENT_HEADER as u64, Scan::end);
    let shared = found.share(scans, opened.tail.last);
    Ok(Recovered { shared, opened, len, closed })
}

/// Opens a log to be read as it is, without a change to anything.
pub(super) fn open_read_only(dir: &Path) -> Result<Arc<Shared>> {
    let mut found = Found::survey(dir)?;
    found.expect_first();
    let segment = found.examine(found.segments.len() - 1, Seq::ZERO)?;
    let tail = segment.scan.tail().unwrap_or(segment.header.before);
    Ok(found.share(vec![segment.scan], tail.last))
}

/// The segments that are there.
struct Found<'a> {
    dir: &'a Path,
    epoch: Epoch,
    segments: Vec<Listed>,
}

struct Listed {
    first: Seq,
    state: State,
}

#[derive(Clone, Copy)]
enum State {
    Good(SegmentHeader),
    /// The header is damaged; the records may be as they were.
    BadHeader,
    /// The file is not there, or belongs to another log.
    Lost,
}

/// A segment, and what is wrong with it.
pub(super) struct Examined {
    /// Its header as it should be.
    pub(super) header: SegmentHeader,
    /// Whether the header's values are known to be those of the record before the
    /// segment. Where they are not, nothing can be made again that follows them.
    pub(super) is_anchored: bool,
    pub(super) scan: Scan,
    /// What it should hold, in order.
    pub(super) parts: Vec<Part>,
    /// Whether it has to be written anew.
    pub(super) damaged: bool,
    /// The bytes at the end of the log that are no record and were never acknowledged.
    pub(super) torn: u64,
}

/// A part of a segment.
pub(super) enum Part {
    There(Run),
    Missing(Gap),
}

impl<'a> Found<'a> {
    fn survey(dir: &'a Path) -> Result<Self> {
        let mut epoch = None;
        let mut segments = vec![];
        for first in segment::list(dir)? {
            let path = segment::path(dir, first);
            let state = match read_header(&path, first)? {
                Ok(header) if *epoch.get_or_insert(header.epoch) == header.epoch => {
                    State::Good(header)
                }
                Ok(_) => State::Lost,
                Err(SegmentHeaderError::Damaged) => State::BadHeader,
                Err(SegmentHeaderError::Version(version)) => {
                    return Err(Error::NewerFormat { path, version, supported: VERSION });
                }
            };
            segments.push(Listed { first, state });
        }
        // Where every header is damaged the epoch is lost, and clients that
        // hold the old one begin anew.
        let epoch = epoch.map_or_else(Epoch::random, Ok)?;
        Ok(Self { dir, epoch, segments })
    }

    /// Where there is no segment at all, the first one is lost.
    fn expect_first(&mut self) {
        if self.segments.is_empty() {
            self.segments.push(Listed { first: Seq::FIRST, state: State::Lost });
        }
    }

    fn scan(&self, at: usize) -> Result<Scan> {
        let Listed { first, state } = self.segments[at];
        let bound = self.segments.get(at + 1).map(|next| next.first);
        match state {
            State::Good(_) | State::BadHeader => self.scan_to(first, bound),
            State::Lost => Ok(Scan::default()),
        }
    }

    fn scan_to(&self, first: Seq, bound: Option<Seq>) -> Result<Scan> {
        let path = segment::path(self.dir, first);
        plain_file::open(&path)
            .and_then(|file| Scan::of(&file, first, bound))
            .map_err(|source| Error::io("read", &path, source))
    }

    /// The values before the first record of a segment whose header does not say
    /// them, and whether they are surely those: the record before it may be
    /// damaged too.
    fn before(&self, at: usize) -> Result<(Tail, bool)> {
        let last = Seq(self.segments[at].first.0 - 1);
        let before = match at.checked_sub(1) {
            Some(previous) => self.scan(previous)?.tail().unwrap_or_default(),
            None => Tail::default(),
        };
        Ok((Tail { last, ..before }, before.last == last))
    }

    fn examine(&self, at: usize, durable: Seq) -> Result<Examined> {
        let (header, is_anchored, mut damaged) = match self.segments[at].state {
            State::Good(header) => (header, true, false),
            State::BadHeader | State::Lost => {
                let (before, is_anchored) = self.before(at)?;
                (SegmentHeader { epoch: self.epoch, before }, is_anchored, true)
            }
        };
        let scan = self.scan(at)?;
        let mut parts = vec![];
        let mut after = header.before;
        let mut end = SEGMENT_HEADER as u64;
        for &run in &scan.runs {
            let lost = run.first.last.0 - after.last.next().0;
            if lost > 0 {
                parts.push(Part::missing(after, Missing::Exactly(lost), Some(&run)));
            }
            damaged |= lost > 0 || run.start != end;
            parts.push(Part::There(run));
            after = run.last;
            end = run.end;
        }
        let mut torn = 0;
        if let Some(next) = self.segments.get(at + 1) {
            let lost = next.first.0 - after.last.next().0;
            if lost > 0 {
                let before = match next.state {
                    State::Good(_) | State::BadHeader => {
                        self.scan_to(next.first, Some(next.first.next()))?
                    }
                    State::Lost => Scan::default(),
                };
                parts.push(Part::missing(after, Missing::Exactly(lost), before.runs.first()));
                damaged = true;
            }
        } else if after.last < durable {
            let lost = Missing::AtLeast(durable.0 - after.last.0);
            parts.push(Part::missing(after, lost, None));
            damaged = true;
        } else {
            torn = scan.len.saturating_sub(end);
        }
        Ok(Examined { header, is_anchored, scan, parts, damaged, torn })
    }

    /// Makes the segments that readers use; the last ones were scanned.
    fn share(self, scans: Vec<Scan>, latest: Seq) -> Arc<Shared> {
        let unscanned = self.segments.len() - scans.len();
        let indexes = std::iter::repeat_with(|| None)
            .take(unscanned)
            .chain(scans.into_iter().map(|scan| Some(scan.index)));
        let segments = self
            .segments
            .iter()
            .zip(indexes)
            .map(|(listed, index)| Arc::new(Segment::new(listed.first, index, None)))
            .collect();
        Arc::new(Shared::new(self.dir, self.epoch, segments, latest))
    }
}

impl Part {
    fn missing(after: Tail, missing: Missing, before: Option<&Run>) -> Self {
        let before = before.map(|run| Behind { tail: run.first, kind: run.first_kind });
        Self::Missing(Gap { first: after.last.next(), missing, after, before })
    }
}

/// Reads the header of the segment that begins at `first`.
pub(super) fn read_header(
    path: &Path,
    first: Seq,
) -> Result<std::result::Result<SegmentHeader, SegmentHeaderError>> {
    let mut bytes = Vec::with_capacity(SEGMENT_HEADER);
    plain_file::open(path)
        .and_then(|file| file.take(SEGMENT_HEADER as u64).read_to_end(&mut bytes))
        .map_err(|source| Error::io("read", path, source))?;
    Ok(SegmentHeader::decode(&bytes, first))
}

fn cut(path: &Path, segment: &Examined) -> Option<Cut> {
    (segment.torn > 0).then(|| Cut { path: path.to_path_buf(), bytes: segment.torn })
}

fn truncate(options: &Options, path: &Path, len: u64) -> io::Result<()> {
    let file = plain_file::open_to_change(path)?;
    options.disk.set_len(&file, len)?;
    options.disk.sync(&file)
}

/// Removes files that were not finished. They are no part of the log, so a
/// failure changes nothing.
fn remove_leftovers(dir: &Path) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.extension().is_some_and(|extension| extension == "new") {
            let _ = fs::remove_file(path);
        }
    }
}
