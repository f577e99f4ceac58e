//! The writes of a log to the disk, behind a trait so that tests can let them fail.

use std::{fmt, fs::File, io, os::unix::fs::FileExt as _, path::Path};

use crate::plain_file;

/// Every change that a log makes to the disk. Reads need no such hook: tests
/// damage the files themselves.
pub(super) trait Disk: fmt::Debug + Send + Sync {
    /// Makes an empty file, in place of one that is there; for reading and writing.
    fn create(&self, path: &Path) -> io::Result<File> {
        plain_file::create_anew(path)
    }

    /// Writes all of the bytes at the offset.
    fn write_all_at(&self, file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
        file.write_all_at(bytes, offset)
    }

    /// Makes the file's content and size durable (fdatasync).
    fn sync(&self, file: &File) -> io::Result<()> {
        file.sync_data()
    }

    /// Cuts the file.
    fn set_len(&self, file: &File, len: u64) -> io::Result<()> {
        file.set_len(len)
    }

    /// Renames a file over another of the same directory.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    /// Makes the entries of the directory durable.
    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }
}

/// The disk as it is.
#[derive(Debug)]
pub(super) struct Real;

impl Disk for Real {}
