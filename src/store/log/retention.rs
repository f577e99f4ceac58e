//! Removing what is not to be kept any more: whole segments, from the beginning.
//!
//! ```text
//! for the oldest segment, as long as it is not the last:
//!   every event before the turn that stays, and too old or too much?
//!     ──► taken from the readers ──► removed ──► directory synced ──► the next
//! ```
//!
//! Each removal is durable before the next begins, so that a crash leaves a log
//! that begins later, never one with a hole.

use std::{
    fs, io,
    path::Path,
    sync::{Arc, PoisonError},
};

use super::{
    Options,
    error::{Error, Result},
    recovery,
    segment::{self, Segment, Shared},
};
use crate::id::Seq;

/// How long events are kept.
///
/// A segment goes when one of the bounds asks for it and everything in it is
/// older than the turn that stays. The last segment never goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// The most bytes of segments, unless more have to stay.
    pub max_bytes: Option<u64>,
    /// A segment goes whose last event is from before this time, in nanoseconds
    /// since the Unix epoch.
    pub before_unix_nanos: Option<i64>,
    /// No event of this turn or a later one goes.
    pub keep_turn: u32,
}

/// What was removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Expired {
    /// How many segments.
    pub segments: usize,
    /// How many bytes they had.
    pub bytes: u64,
}

/// How large a log is on disk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Extent {
    /// How many segments it has. Where there is one only, nothing can expire.
    pub segments: usize,
    /// How many bytes they have.
    pub bytes: u64,
}

/// Measures a log without opening it.
///
/// # Errors
///
/// [`Error::Missing`] and [`Error::Io`].
pub fn extent(dir: &Path) -> Result<Extent> {
    let mut extent = Extent::default();
    for first in segment::list(dir)? {
        extent.segments += 1;
        extent.bytes += size(&segment::path(dir, first))?;
    }
    Ok(extent)
}

/// Removes the segments from the beginning of the log that are not to be kept.
pub(super) fn expire(shared: &Shared, options: &Options, retention: &Retention) -> Result<Expired> {
    let segments = shared.all();
    let mut expired = Expired::default();
    let mut left = 0;
    for segment in &segments {
        left += size(&shared.path(segment))?;
    }
    for pair in segments.windows(2) {
        let [segment, next] = pair else { break };
        let path = shared.path(next);
        // Where the header is damaged, nobody knows what ends before it.
        let Ok(header) = recovery::read_header(&path, next.first)? else { break };
        let too_much = retention.max_bytes.is_some_and(|most| left > most);
        let too_old =
            retention.before_unix_nanos.is_some_and(|time| header.before.time_unix_nanos < time);
        if !(too_much || too_old) || header.before.turn >= retention.keep_turn {
            break;
        }
        let bytes = size(&shared.path(segment))?;
        remove(shared, options, segment)?;
        expired.segments += 1;
        expired.bytes += bytes;
        left -= bytes;
    }
    Ok(expired)
}

/// Removes the first segment.
fn remove(shared: &Shared, options: &Options, segment: &Arc<Segment>) -> Result<()> {
    let path = shared.path(segment);
    // From the readers first: who looks for the file and finds none shall know why.
    shared.take_first();
    match options.disk.remove(&path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(source) => {
            // It must not stay behind when the next one goes.
            shared.put_first(segment);
            return Err(Error::io("remove", &path, source));
        }
    }
    options
        .disk
        .sync_directory(&shared.dir)
        .map_err(|source| Error::io("sync the directory", &shared.dir, source))
}

fn size(path: &Path) -> Result<u64> {
    match fs::metadata(path) {
        Ok(found) => Ok(found.len()),
        // Removed meanwhile, perhaps by the owner of the log.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(source) => Err(Error::io("look at", path, source)),
    }
}

impl Shared {
    fn all(&self) -> Vec<Arc<Segment>> {
        self.segments.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes the first segment from the readers; those that have its file open
    /// may read on in it.
    fn take_first(&self) {
        let mut segments = self.segments.write().unwrap_or_else(PoisonError::into_inner);
        if let [first, next, ..] = &segments[..] {
            first.expire(Seq(next.first.0 - 1));
            segments.remove(0);
        }
    }

    /// Gives the readers a segment back that could not be removed.
    fn put_first(&self, segment: &Arc<Segment>) {
        let mut segments = self.segments.write().unwrap_or_else(PoisonError::into_inner);
        let again = Segment::new(segment.first, None, None);
        segments.insert(0, Arc::new(again));
    }
}
