//! The segments of a log, shared by its writer and its readers.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock, Weak,
        atomic::{AtomicU64, Ordering},
    },
};

use super::{
    Epoch, Options,
    error::{Error, Result},
    format::SegmentHeader,
    index::{Index, Place},
    scan::Scan,
};
use crate::{id::Seq, plain_file};

/// What the writer and all readers of a log have in common.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) dir: PathBuf,
    pub(super) epoch: Epoch,
    /// In the order of their seqs, never empty. Locked for a look or a change only.
    pub(super) segments: RwLock<Vec<Arc<Segment>>>,
    /// The last durable seq. It is raised after the segment and its index say
    /// where the event is, so whoever sees it here finds it there.
    latest: AtomicU64,
}

/// One file of the log.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) first: Seq,
    /// Made by a scan at first use, unless it was made while writing. The lock
    /// is held over that scan: all that wait for it want its result.
    index: Mutex<Option<Index>>,
    /// Open as long as somebody reads or writes it.
    file: Mutex<Weak<File>>,
    /// Its last seq, once it was taken from the log to be removed.
    expired: OnceLock<Seq>,
}

impl Shared {
    pub(super) fn new(dir: &Path, epoch: Epoch, segments: Vec<Arc<Segment>>, latest: Seq) -> Self {
        debug_assert!(!segments.is_empty(), "a log has at least one segment");
        Self {
            dir: dir.to_path_buf(),
            epoch,
            segments: RwLock::new(segments),
            latest: AtomicU64::new(latest.0),
        }
    }

    pub(super) fn latest(&self) -> Seq {
        Seq(self.latest.load(Ordering::Acquire))
    }

    pub(super) fn oldest(&self) -> Seq {
        let segments = self.segments.read().unwrap_or_else(PoisonError::into_inner);
        segments.first().expect("a log has at least one segment").first
    }

    /// The segment of a durable event, and the last seq that may be read from it.
    pub(super) fn find(&self, seq: Seq, latest: Seq) -> Result<(Arc<Segment>, Seq)> {
        let segments = self.segments.read().unwrap_or_else(PoisonError::into_inner);
        let behind = segments.partition_point(|segment| segment.first <= seq);
        let Some(segment) = behind.checked_sub(1).and_then(|at| segments.get(at)) else {
            return Err(Error::Expired { requested: seq, oldest: segments[0].first });
        };
        let limit = match segments.get(behind) {
            Some(next) => latest.min(Seq(next.first.0 - 1)),
            None => latest,
        };
        Ok((Arc::clone(segment), limit))
    }

    /// Adds a segment behind the last, or in its place when that holds nothing.
    pub(super) fn push(&self, segment: Arc<Segment>) {
        let mut segments = self.segments.write().unwrap_or_else(PoisonError::into_inner);
        if segments.last().is_some_and(|last| last.first == segment.first) {
            segments.pop();
        }
        segments.push(segment);
    }

    pub(super) fn last_segment(&self) -> Arc<Segment> {
        let segments = self.segments.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(segments.last().expect("a log has at least one segment"))
    }

    pub(super) fn publish(&self, latest: Seq) {
        self.latest.store(latest.0, Ordering::Release);
    }

    pub(super) fn path(&self, segment: &Segment) -> PathBuf {
        path(&self.dir, segment.first)
    }
}

impl Segment {
    pub(super) fn new(first: Seq, index: Option<Index>, file: Option<&Arc<File>>) -> Self {
        let file = file.map_or_else(Weak::new, Arc::downgrade);
        Self { first, index: Mutex::new(index), file: Mutex::new(file), expired: OnceLock::new() }
    }

    /// The file, opened for reading unless it is open.
    pub(super) fn open(&self, path: &Path) -> Result<Arc<File>> {
        let mut slot = lock(&self.file);
        if let Some(file) = slot.upgrade() {
            return Ok(file);
        }
        let file = plain_file::open(path).map_err(|source| {
            // Somebody took it away: all that was in it is lost.
            if source.kind() == io::ErrorKind::NotFound {
                Error::Damaged { seq: self.first, path: path.to_path_buf() }
            } else {
                Error::io("open", path, source)
            }
        })?;
        let file = Arc::new(file);
        *slot = Arc::downgrade(&file);
        Ok(file)
    }

    /// Notes that it is no part of the log any more, and where it ended.
    pub(super) fn expire(&self, last: Seq) {
        // It is taken once only.
        let _ = self.expired.set(last);
    }

    /// Its last seq, once it is no part of the log any more.
    pub(super) fn expired(&self) -> Option<Seq> {
        self.expired.get().copied()
    }

    /// Lets readers use the writer's file.
    pub(super) fn lend(&self, file: &Arc<File>) {
        *lock(&self.file) = Arc::downgrade(file);
    }

    /// A range of whole records with `seq` in it, of `bytes` or a little more.
    pub(super) fn span(
        &self,
        file: &File,
        limit: Seq,
        seq: Seq,
        bytes: usize,
    ) -> io::Result<Option<(Place, u64)>> {
        let mut index = lock(&self.index);
        if index.is_none() {
            // Only a segment with others behind it comes without an index, so
            // that `limit` is its very last seq.
            *index = Some(Scan::of(file, self.first, Some(limit.next()))?.index);
        }
        Ok(index.as_ref().and_then(|index| index.span(seq, bytes)))
    }

    /// Takes durable records into the index: the seq, offset and size of each.
    pub(super) fn extend(&self, records: impl Iterator<Item = (Seq, u64, usize)>) {
        let mut index = lock(&self.index);
        let index = index.get_or_insert_default();
        for (seq, offset, size) in records {
            index.add(seq, offset, size);
        }
    }
}

/// Every value behind these locks is whole between two statements, so a panic
/// elsewhere leaves nothing half done.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The file of the segment that begins at `first`.
pub(super) fn path(dir: &Path, first: Seq) -> PathBuf {
    dir.join(format!("{:020}.seg", first.0))
}

/// The first seqs of the segments in the directory, in order. Files with other
/// names are no part of the log.
pub(super) fn list(dir: &Path) -> Result<Vec<Seq>> {
    let entries = fs::read_dir(dir).map_err(|source| {
        if source.kind() == io::ErrorKind::NotFound {
            Error::Missing { dir: dir.to_path_buf() }
        } else {
            Error::io("list", dir, source)
        }
    })?;
    let mut segments = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|source| Error::io("list", dir, source))?;
        let name = entry.file_name();
        let Some(digits) = name.to_str().and_then(|name| name.strip_suffix(".seg")) else {
            continue;
        };
        if digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit()) {
            segments.extend(digits.parse().ok().filter(|&first| first > 0).map(Seq));
        }
    }
    segments.sort_unstable();
    Ok(segments)
}

/// Makes a segment with what `fill` writes behind its header, whole and durable
/// under its name, or not at all. A file that has the name is replaced.
pub(super) fn create(
    options: &Options,
    dir: &Path,
    header: &SegmentHeader,
    fill: impl FnOnce(&File) -> Result<()>,
) -> Result<File> {
    let path = path(dir, header.first());
    let new = path.with_extension("new");
    let made = (|| {
        let path = &path;
        let wrap = |action| move |source| Error::io(action, path, source);
        let file = options.disk.create(&new).map_err(wrap("create"))?;
        options.disk.write_all_at(&file, &header.encode(), 0).map_err(wrap("write"))?;
        fill(&file)?;
        options.disk.sync(&file).map_err(wrap("sync"))?;
        options.disk.rename(&new, path).map_err(wrap("rename"))?;
        Ok(file)
    })();
    match made {
        Ok(file) => {
            options
                .disk
                .sync_directory(dir)
                .map_err(|source| Error::io("sync the directory", dir, source))?;
            Ok(file)
        }
        Err(error) => {
            // What is left of it is removed at the next open in any case.
            let _ = fs::remove_file(&new);
            Err(error)
        }
    }
}
