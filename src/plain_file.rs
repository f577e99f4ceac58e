//! Files in places where an agent may have put something else: a link, a pipe, a
//! device or a directory under the name of a file of ours.
//!
//! Nothing here follows a link in the last part of a path or waits for what it
//! opens; what is no plain file is [`io::ErrorKind::InvalidData`]. Called by
//! whatever works in the directory of a session.

use std::{
    fs::{self, File},
    io::{self, Read as _},
    os::fd::AsRawFd as _,
    path::{Path, PathBuf},
};

use rustix::{
    fs::{Mode, OFlags, fcntl_setfl, open as open_at},
    io::Errno,
};

/// Opens a file to read it.
///
/// # Errors
///
/// Why it cannot be read.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    checked(path, OFlags::RDONLY)
}

/// Reads a file of at most so many bytes; a larger one is
/// [`io::ErrorKind::InvalidData`].
///
/// # Errors
///
/// Why it cannot be read.
pub(crate) fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(invalid(format!("it has more than {most} bytes")));
    }
    Ok(bytes)
}

/// Opens a file that is there to write it anew.
///
/// # Errors
///
/// Why it cannot be written.
pub(crate) fn open_to_change(path: &Path) -> io::Result<File> {
    checked(path, OFlags::WRONLY)
}

/// Opens a file to append to it, and makes one for its owner alone where there is
/// none.
///
/// # Errors
///
/// Why it cannot be written.
pub(crate) fn append(path: &Path) -> io::Result<File> {
    checked(path, OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE)
}

/// The same, to read what it has too.
///
/// # Errors
///
/// Why it cannot be read or written.
pub(crate) fn append_and_read(path: &Path) -> io::Result<File> {
    checked(path, OFlags::RDWR | OFlags::APPEND | OFlags::CREATE)
}

/// Makes an empty file for its owner alone, in place of whatever has its name and is
/// no directory.
///
/// # Errors
///
/// Why it cannot be made.
pub(crate) fn create_anew(path: &Path) -> io::Result<File> {
    let create = || checked(path, OFlags::RDWR | OFlags::CREATE | OFlags::EXCL);
    match create() {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            fs::remove_file(path)?;
            create()
        }
        created => created,
    }
}

/// A directory that stays the one that was opened, whatever its name leads to
/// meanwhile.
#[derive(Debug)]
pub(crate) struct Directory(File);

impl Directory {
    /// Opens a directory; a link to one is none.
    ///
    /// # Errors
    ///
    /// Why it cannot be opened.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(Self(File::from(open_at(path, flags, Mode::empty())?)))
    }

    /// Opens a directory in this one.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub(crate) fn inside(&self, name: &str) -> io::Result<Self> {
        Self::open(&self.path(name))
    }

    /// The path of something in it, which is of use as long as this is open.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        Path::new("/proc/self/fd").join(self.0.as_raw_fd().to_string()).join(name)
    }
}

fn checked(path: &Path, flags: OFlags) -> io::Result<File> {
    let all = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = match open_at(path, all, Mode::RUSR | Mode::WUSR) {
        Ok(file) => File::from(file),
        Err(Errno::LOOP) => return Err(invalid("it is a link".to_owned())),
        // A pipe that nobody reads, or a socket.
        Err(Errno::NXIO) => return Err(invalid("it is no plain file".to_owned())),
        Err(error) => return Err(error.into()),
    };
    // Asked of what was opened: its name may lead elsewhere by now.
    if !file.metadata()?.is_file() {
        return Err(invalid("it is no plain file".to_owned()));
    }
    // The file may become an agent's own, which expects none that does not wait.
    fcntl_setfl(&file, flags & OFlags::APPEND)?;
    Ok(file)
}

fn invalid(problem: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, problem)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use rustix::fs::{CWD, FileType, mknodat};

    use super::*;

    #[test]
    fn a_file_is_read_up_to_its_limit() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("file");
        fs::write(&path, "1234").unwrap();
        assert_eq!(read(&path, 4).unwrap(), b"1234");
        assert_eq!(read(&path, 3).unwrap_err().kind(), io::ErrorKind::InvalidData);
        let missing = read(&home.path().join("none"), 4).unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn what_is_no_plain_file_is_refused_and_neither_followed_nor_waited_for() {
        let home = tempfile::tempdir().unwrap();
        let [victim, link, pipe] = ["victim", "link", "pipe"].map(|name| home.path().join(name));
        fs::write(&victim, "precious").unwrap();
        symlink(&victim, &link).unwrap();
        mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        for path in [&link, &pipe, Path::new("/dev/null")] {
            assert_eq!(open(path).unwrap_err().kind(), io::ErrorKind::InvalidData, "{path:?}");
            assert_eq!(append(path).unwrap_err().kind(), io::ErrorKind::InvalidData, "{path:?}");
        }
        assert_eq!(open(home.path()).unwrap_err().kind(), io::ErrorKind::InvalidData);
        assert_eq!(append(home.path()).unwrap_err().kind(), io::ErrorKind::IsADirectory);
        create_anew(home.path()).unwrap_err();
        for path in [&link, &pipe] {
            assert!(create_anew(path).unwrap().metadata().unwrap().is_file());
            assert!(fs::symlink_metadata(path).unwrap().is_file(), "{path:?}");
        }
        assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
    }

    #[test]
    fn what_is_appended_to_is_its_owners_alone() {
        use std::io::Write as _;
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("file");
        for word in ["one ", "two"] {
            append(&path).unwrap().write_all(word.as_bytes()).unwrap();
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), "one two");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_directory_stays_the_one_that_was_opened() {
        let home = tempfile::tempdir().unwrap();
        let [real, link] = ["real", "link"].map(|name| home.path().join(name));
        fs::create_dir_all(real.join("inside")).unwrap();
        symlink(&real, &link).unwrap();
        assert_eq!(Directory::open(&link).unwrap_err().kind(), io::ErrorKind::NotADirectory);
        let directory = Directory::open(&real).unwrap();
        fs::rename(&real, home.path().join("elsewhere")).unwrap();
        directory.inside("inside").unwrap();
        fs::write(directory.path("file"), "").unwrap();
        assert!(home.path().join("elsewhere/file").exists());
    }
}
