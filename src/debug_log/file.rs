//! A file that is appended to, and put aside when it has grown large.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use crate::plain_file;

/// Whose place a file is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// A session's directory: an agent may have put something else there.
    Session,
    /// One that the configuration names, which may lead wherever it wants.
    Named,
}

/// How large a file grows, and how many older ones are kept.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rotation {
    /// A file that would be larger is put aside.
    pub(super) max_bytes: u64,
    /// Numbered from 1, the newest first.
    pub(super) old_files: u32,
}

impl Default for Rotation {
    fn default() -> Self {
        Self { max_bytes: 10 << 20, old_files: 2 }
    }
}

impl Rotation {
    /// Appends to a file that only its owner may read.
    ///
    /// Its directory is never made: it may be that of a session that was deleted.
    pub(super) fn append(self, path: &Path, place: Place, bytes: &[u8]) -> io::Result<()> {
        let open = || match place {
            Place::Session => plain_file::append(path),
            Place::Named => OpenOptions::new().append(true).create(true).mode(0o600).open(path),
        };
        let mut file = match open() {
            Ok(file) => file,
            // A session's directory that is gone needs no log.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        let size = file.metadata()?.len();
        if size > 0 && size + bytes.len() as u64 > self.max_bytes {
            self.put_aside(path)?;
            file = open()?;
        }
        file.write_all(bytes)
    }

    fn put_aside(self, path: &Path) -> io::Result<()> {
        let old = |number: u32| -> PathBuf {
            let mut name = path.as_os_str().to_owned();
            if number > 0 {
                name.push(format!(".{number}"));
            }
            name.into()
        };
        for number in (0..self.old_files).rev() {
            match fs::rename(old(number), old(number + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
        }
        Ok(())
    }
}
