//! Files that somebody else named: by the kinds of agents, before a turn starts.
//!
//! Whatever is in a file's place, nobody waits for it: a pipe has perhaps never
//! a writer.

use std::{
    fs::File,
    io::{self, Read as _},
    path::Path,
};

use rustix::fs::{Mode, OFlags, open};

/// Opens a file to read it; what is no file is [`io::ErrorKind::InvalidInput`].
///
/// # Errors
///
/// Why it cannot be read.
pub(crate) fn open_regular(path: &Path) -> io::Result<File> {
    // A terminal must not become this server's own either.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = File::from(open(path, flags, Mode::empty())?);
    // Asked of what was opened: its name may lead elsewhere by now.
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a file"))
    }
}

/// Reads a file; none where it has more bytes than `most`, of which no more are
/// read than that tells.
///
/// # Errors
///
/// As [`open_regular`].
pub(crate) fn read_at_most(path: &Path, most: usize) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    let limit = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    open_regular(path)?.take(limit).read_to_end(&mut bytes)?;
    Ok((bytes.len() <= most).then_some(bytes))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use rustix::fs::{CWD, FileType, mknodat};

    use super::*;

    #[test]
    fn a_file_is_read_up_to_its_limit() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("file");
        fs::write(&path, "1234").unwrap();
        assert_eq!(read_at_most(&path, 4).unwrap(), Some(b"1234".to_vec()));
        assert_eq!(read_at_most(&path, 3).unwrap(), None);
        let missing = read_at_most(&home.path().join("none"), 4).unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn what_is_no_file_is_refused_and_not_waited_for() {
        let home = tempfile::tempdir().unwrap();
        let pipe = home.path().join("pipe");
        mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR, 0).unwrap();
        for path in [&pipe, home.path(), Path::new("/dev/zero")] {
            let refused = read_at_most(path, 4).unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::InvalidInput, "{path:?}");
        }
    }
}
