//! The files of one turn: their names, and how they are written and read.
//!
//! Every record is replaced as a whole: written to a temporary file, synced,
//! renamed over the old one, and the directory synced. A reader therefore sees
//! the old record or the new one, never a part, also after power loss.

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use serde::{Serialize, de::DeserializeOwned};

use super::records::{self, Exit, PidFile, Spec, Stop};
use crate::{id::TurnNumber, plain_file};

/// Free space at or below which a disk counts as full.
const FULL_DISK_BYTES: u64 = 64 << 10;
/// The largest record that is read.
const MAX_RECORD: u64 = 16 << 20;

/// The files of one turn, in the `turns/` directory of its session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TurnFiles {
    directory: PathBuf,
    turn: TurnNumber,
}

impl TurnFiles {
    /// The files of turn `turn` in `directory`, an absolute path. Touches nothing.
    #[must_use]
    pub fn new(directory: impl Into<PathBuf>, turn: TurnNumber) -> Self {
        Self { directory: directory.into(), turn }
    }

    /// The directory that the files are in.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The turn that the files belong to.
    #[must_use]
    pub fn turn(&self) -> TurnNumber {
        self.turn
    }

    /// `turn_<n>.jsonl`: the agent's stdout, verbatim, appended by the agent itself.
    #[must_use]
    pub fn stdout(&self) -> PathBuf {
        self.path("jsonl")
    }

    /// `turn_<n>.stderr`: the agent's stderr, appended by the agent itself.
    #[must_use]
    pub fn stderr(&self) -> PathBuf {
        self.path("stderr")
    }

    /// `turn_<n>.prompt`: the agent's stdin.
    #[must_use]
    pub fn prompt(&self) -> PathBuf {
        self.path("prompt")
    }

    /// `turn_<n>.request.json`: what came with the prompt; the server's own.
    #[must_use]
    pub fn request(&self) -> PathBuf {
        self.path("request.json")
    }

    /// `turn_<n>.spec.json`, a [`Spec`].
    #[must_use]
    pub fn spec(&self) -> PathBuf {
        self.path("spec.json")
    }

    /// `turn_<n>.pid.json`, a [`PidFile`].
    #[must_use]
    pub fn pid(&self) -> PathBuf {
        self.path("pid.json")
    }

    /// `turn_<n>.stop.json`, a [`Stop`].
    #[must_use]
    pub fn stop(&self) -> PathBuf {
        self.path("stop.json")
    }

    /// `turn_<n>.exit.json`, an [`Exit`].
    #[must_use]
    pub fn exit(&self) -> PathBuf {
        self.path("exit.json")
    }

    /// `turn_<n>.lock`: held (flock) from before the supervisor starts until it has ended.
    #[must_use]
    pub fn lock(&self) -> PathBuf {
        self.path("lock")
    }

    /// `turn_<n>.lost`: the server's finding that no exit file will come.
    #[must_use]
    pub fn lost(&self) -> PathBuf {
        self.path("lost")
    }

    /// `turn_<n>.supervisor.log`: the supervisor's own troubles; absent when it had none.
    #[must_use]
    pub fn supervisor_log(&self) -> PathBuf {
        self.path("supervisor.log")
    }

    /// Writes the prompt durably; to be done before the launch.
    ///
    /// # Errors
    ///
    /// Those of the file system.
    pub fn write_prompt(&self, prompt: &[u8]) -> io::Result<()> {
        write_durably(&self.prompt(), prompt)
    }

    /// Writes what came with the prompt durably, and before it.
    ///
    /// # Errors
    ///
    /// Those of the file system.
    pub fn write_request(&self, request: &[u8]) -> io::Result<()> {
        write_durably(&self.request(), request)
    }

    fn path(&self, suffix: &str) -> PathBuf {
        self.directory.join(format!("turn_{}.{suffix}", self.turn))
    }
}

/// Reads what the turn was launched with, if it was.
///
/// # Errors
///
/// Those of the file system, and `InvalidData` when the file is not such a record.
pub fn read_spec(files: &TurnFiles) -> io::Result<Option<Spec>> {
    read_record(&files.spec())
}

/// Reads who supervises the turn, once the supervisor has said so.
///
/// # Errors
///
/// Those of the file system, and `InvalidData` when the file is not such a record.
pub fn read_pid(files: &TurnFiles) -> io::Result<Option<PidFile>> {
    read_record(&files.pid())
}

/// Reads the request to stop the turn, if there is one.
///
/// # Errors
///
/// Those of the file system, and `InvalidData` when the file is not such a record.
pub fn read_stop(files: &TurnFiles) -> io::Result<Option<Stop>> {
    read_record(&files.stop())
}

/// Reads how the turn ended, once it has.
///
/// # Errors
///
/// Those of the file system, and `InvalidData` when the file is not such a record.
pub fn read_exit(files: &TurnFiles) -> io::Result<Option<Exit>> {
    read_record(&files.exit())
}

pub(super) fn read_record<T: DeserializeOwned>(path: &Path) -> io::Result<Option<T>> {
    match plain_file::read(path, MAX_RECORD) {
        Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|error| {
            io::Error::new(io::ErrorKind::InvalidData, format!("{}: {error}", path.display()))
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Replaces a record; when this returns it survives power loss.
pub(super) fn write_record_durably<T: Serialize>(path: &Path, record: &T) -> io::Result<()> {
    write_durably(path, &records::encode(record)?)
}

/// Replaces a record in one step, without the word that it survives power loss.
pub(super) fn write_record_atomically<T: Serialize>(path: &Path, record: &T) -> io::Result<()> {
    let temporary = temporary(path);
    write_new(&temporary, &records::encode(record)?)?;
    fs::rename(temporary, path)
}

/// Syncs the entries of a directory.
pub(super) fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

/// Whether next to nothing can be written any more where this directory is.
pub(super) fn is_disk_full(directory: &Path) -> bool {
    rustix::fs::statvfs(directory)
        .is_ok_and(|disk| disk.f_bavail.saturating_mul(disk.f_frsize) <= FULL_DISK_BYTES)
}

/// The name under which a file is written before it is renamed into place.
pub(super) fn temporary(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".new");
    PathBuf::from(name)
}

/// Opens a file that only its owner may read; the caller says how else.
pub(super) fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.mode(0o600);
    options
}

fn write_durably(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = temporary(path);
    write_new(&temporary, bytes)?.sync_all()?;
    fs::rename(&temporary, path)?;
    sync_directory(path.parent().unwrap_or(Path::new("/")))
}

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<File> {
    let mut file = plain_file::create_anew(path)?;
    file.write_all(bytes)?;
    Ok(file)
}

/// Puts a directory aside that an agent made in the place of a file.
pub(super) fn set_aside(path: &Path) -> io::Result<()> {
    if !fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_dir()) {
        return Ok(());
    }
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut aside = OsString::from(path);
    aside.push(format!(".{}.aside", since.as_nanos()));
    fs::rename(path, aside)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use rustix::fs::{CWD, FileType, Mode, mknodat};

    use super::*;
    use crate::supervise::StopMode;

    #[test]
    fn nothing_in_the_place_of_a_record_is_followed_or_waited_for_or_keeps_it_out() {
        let home = tempfile::tempdir().unwrap();
        let files = TurnFiles::new(home.path(), TurnNumber(1));
        let victim = home.path().join("victim");
        fs::write(&victim, "precious").unwrap();
        let stop = Stop::now(StopMode::Kill, String::new());
        let plant: [&dyn Fn(&Path); 3] = [
            &|path| symlink(&victim, path).unwrap(),
            &|path| mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap(),
            &|path| fs::create_dir(path).unwrap(),
        ];
        for (number, plant) in plant.iter().enumerate() {
            let _ = fs::remove_file(files.stop());
            plant(&files.stop());
            assert_eq!(read_stop(&files).unwrap_err().kind(), io::ErrorKind::InvalidData);
            if number < 2 {
                plant(&temporary(&files.stop()));
            }
            set_aside(&files.stop()).unwrap();
            write_record_durably(&files.stop(), &stop).unwrap();
            assert_eq!(read_stop(&files).unwrap().map(|stop| stop.mode), Some(StopMode::Kill));
            assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
        }
    }
}
