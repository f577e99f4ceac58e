//! The single writer of a log.

use std::{
    fs::{self, DirBuilder, File},
    io,
    os::unix::fs::DirBuilderExt as _,
    path::Path,
    sync::Arc,
};

use super::{
    Batch, Chunk, Epoch, Expired, Opened, Options, Reader, Rebuild, Retention, Tail, chunk,
    error::{Error, Result},
    format::{SEGMENT_HEADER, SegmentHeader},
    recovery, retention,
    segment::{self, Segment, Shared},
};
use crate::id::Seq;

/// The log of one session, for the one that writes it.
///
/// Its methods block on the disk.
#[derive(Debug)]
pub struct Log {
    shared: Arc<Shared>,
    options: Options,
    tail: Tail,
    /// The byte after the last record of the last segment.
    len: u64,
    /// Open from the first append until [`Log::rest`].
    file: Option<Arc<File>>,
    /// Whether a write to the last segment failed. What the kernel kept of it is
    /// unknown, so that nothing is written to that segment again.
    closed: bool,
    read_only: Option<String>,
}

impl Log {
    /// Makes the directory and an empty log in it, durable when this returns.
    /// The directory above must be there.
    ///
    /// # Errors
    ///
    /// [`Error::Exists`] where a segment is already there; [`Error::NoSpace`], [`Error::Io`].
    pub fn create(dir: &Path, options: Options) -> Result<Self> {
        match DirBuilder::new().mode(0o700).create(dir) {
            Ok(()) => {}
            // An empty directory is a creation that did not come to its end.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                if !segment::list(dir)?.is_empty() {
                    return Err(Error::Exists { dir: dir.to_path_buf() });
                }
            }
            Err(source) => return Err(Error::io("create", dir, source)),
        }
        let header = SegmentHeader { epoch: Epoch::random()?, before: Tail::default() };
        let file = Arc::new(segment::create(&options, dir, &header, |_| Ok(()))?);
        if let Some(parent) = dir.parent() {
            // The parent of a bare name is empty, and means the current directory.
            let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
            options
                .disk
                .sync_directory(parent)
                .map_err(|source| Error::io("sync the directory", parent, source))?;
        }
        let first = Segment::new(Seq::FIRST, Some(Default::default()), Some(&file));
        Ok(Self {
            shared: Arc::new(Shared::new(dir, header.epoch, vec![Arc::new(first)], Seq::ZERO)),
            options,
            tail: header.before,
            len: SEGMENT_HEADER as u64,
            file: Some(file),
            closed: false,
            read_only: None,
        })
    }

    /// What stands for a log that cannot be opened: it shows nothing, nothing can
    /// be appended, and the files in `dir` are never touched.
    #[must_use]
    pub fn stand_in(dir: &Path, options: Options, problem: String) -> Self {
        let first = Segment::new(Seq::FIRST, Some(Default::default()), None);
        Self {
            shared: Arc::new(Shared::new(dir, Epoch::UNKNOWN, vec![Arc::new(first)], Seq::ZERO)),
            options,
            tail: Tail::default(),
            len: SEGMENT_HEADER as u64,
            file: None,
            closed: true,
            read_only: Some(problem),
        }
    }

    /// Removes a log that was just created, as far as it came. Needs no file
    /// descriptor, so that it can be done where the want of one is the reason.
    pub fn discard(dir: &Path) {
        let first = segment::path(dir, Seq::FIRST);
        // What is not there need not be removed.
        let _ = fs::remove_file(first.with_extension("new"));
        let _ = fs::remove_file(first);
        let _ = fs::remove_dir(dir);
    }

    /// Opens a log, recovers it from a crash, and says what was found.
    ///
    /// `durable` is the last seq that the caller knows to have been durable; the
    /// log may have more. `rebuild` is asked for records that are damaged.
    ///
    /// # Errors
    ///
    /// [`Error::Missing`]; [`Error::NewerFormat`], with nothing changed;
    /// [`Error::NoSpace`], [`Error::Io`]. Damage is no error: see [`Opened::read_only`].
    pub fn open(
        dir: &Path,
        durable: Seq,
        rebuild: &mut Rebuild<'_>,
        options: Options,
    ) -> Result<(Self, Opened)> {
        let recovered = recovery::open(dir, durable, rebuild, &options)?;
        let log = Self {
            shared: recovered.shared,
            options,
            tail: recovered.opened.tail,
            len: recovered.len,
            file: None,
            closed: recovered.closed,
            read_only: recovered.opened.read_only.clone(),
        };
        Ok((log, recovered.opened))
    }

    /// Appends a batch: writes it, makes it durable and only then visible to
    /// readers. Gives it back as chunks of at most 64 KiB of frames; a larger
    /// frame is a chunk by itself.
    ///
    /// A write that fails is tried once more in a new segment.
    ///
    /// # Errors
    ///
    /// [`Error::NoSpace`] and [`Error::Io`]: nothing of the batch is visible, and
    /// it may be appended later. [`Error::ReadOnly`]; [`Error::OutOfOrder`].
    pub fn append(&mut self, batch: &Batch) -> Result<Vec<Arc<Chunk>>> {
        if let Some(problem) = &self.read_only {
            return Err(Error::ReadOnly { problem: problem.clone() });
        }
        if batch.first() != self.tail.last.next() {
            return Err(Error::OutOfOrder { last: self.tail.last, given: batch.first() });
        }
        if batch.is_empty() {
            return Ok(vec![]);
        }
        if self.closed || self.is_full_for(batch) {
            self.roll()?;
        }
        if let Err(error) = self.write(batch) {
            tracing::error!(%error, "a write to the event log failed; going on in a new segment");
            self.roll()?;
            self.write(batch)?;
        }
        Ok(self.publish(batch))
    }

    /// Removes whole segments from the beginning that are not to be kept any
    /// more. Readers that have one open read on in it; the others are told that
    /// it has expired. A log that is read-only stays as it is.
    ///
    /// # Errors
    ///
    /// [`Error::Io`]: some segments may have gone, and the log begins behind them.
    pub fn expire(&mut self, retention: &Retention) -> Result<Expired> {
        if self.read_only.is_some() {
            return Ok(Expired::default());
        }
        retention::expire(&self.shared, &self.options, retention)
    }

    /// The end of the log.
    #[must_use]
    pub fn tail(&self) -> &Tail {
        &self.tail
    }

    /// A reader of this log.
    #[must_use]
    pub fn reader(&self) -> Reader {
        Reader::new(Arc::clone(&self.shared))
    }

    /// Closes the file until the next append, for a session that rests.
    pub fn rest(&mut self) {
        self.file = None;
    }

    fn is_full_for(&self, batch: &Batch) -> bool {
        let has_records = self.len > SEGMENT_HEADER as u64;
        has_records && self.len + batch.bytes() as u64 > self.options.segment_bytes
    }

    /// Writes the batch behind the last record. When that fails, the segment is
    /// closed, and ends before the batch.
    fn write(&mut self, batch: &Batch) -> Result<()> {
        let segment = self.shared.last_segment();
        let path = self.shared.path(&segment);
        let file = match &self.file {
            Some(file) => Arc::clone(file),
            None => match self.reopen(&path) {
                Ok(file) => {
                    segment.lend(&file);
                    self.file = Some(Arc::clone(&file));
                    file
                }
                Err(source) => {
                    self.closed = true;
                    return Err(Error::io("open", &path, source));
                }
            },
        };
        let disk = &self.options.disk;
        let (action, failure) = match disk.write_all_at(&file, batch.records(), self.len) {
            Ok(()) => match disk.sync(&file) {
                Ok(()) => return Ok(()),
                Err(failure) => ("sync", failure),
            },
            Err(failure) => ("write", failure),
        };
        // Should this fail too, the first seq of the next segment says where this one ends.
        let _ = disk.set_len(&file, self.len);
        self.closed = true;
        self.file = None;
        Err(Error::io(action, &path, failure))
    }

    fn reopen(&self, path: &Path) -> io::Result<Arc<File>> {
        let file = File::options().read(true).write(true).open(path)?;
        if file.metadata()?.len() != self.len {
            return Err(io::Error::other("the segment is not as long as it was left"));
        }
        Ok(Arc::new(file))
    }

    /// Begins a new segment behind the last record.
    fn roll(&mut self) -> Result<()> {
        let header = SegmentHeader { epoch: self.shared.epoch, before: self.tail };
        let file = Arc::new(segment::create(&self.options, &self.shared.dir, &header, |_| Ok(()))?);
        let segment = Segment::new(header.first(), Some(Default::default()), Some(&file));
        self.shared.push(Arc::new(segment));
        self.file = Some(file);
        self.len = SEGMENT_HEADER as u64;
        self.closed = false;
        Ok(())
    }

    fn publish(&mut self, batch: &Batch) -> Vec<Arc<Chunk>> {
        let mut rest = batch.records();
        let mut offset = self.len;
        let records = std::iter::from_fn(|| {
            if rest.is_empty() {
                return None;
            }
            let header = chunk::written(rest);
            let place = (header.tail.last, offset, header.size());
            offset += header.size() as u64;
            rest = &rest[header.size()..];
            Some(place)
        });
        self.shared.last_segment().extend(records);
        self.len = offset;
        self.tail = batch.last();
        self.shared.publish(self.tail.last);
        chunk::from_records(batch.first(), batch.records())
    }
}
