//! The server's side while a turn runs: starting its supervisor, asking it to
//! stop the agent, and watching for its end.

use std::{
    fs::{self, File},
    io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
};

use rustix::process::{PidfdFlags, pidfd_open, pidfd_send_signal};

use super::{
    SESSION_VARIABLE, TURN_VARIABLE,
    files::{
        TurnFiles, private, read_pid, read_stop, set_aside, sync_directory, temporary,
        write_record_atomically, write_record_durably,
    },
    procfs,
    records::{PidFile, Spec, Stop, StopMode},
    signals::NUDGE,
};
use crate::plain_file;

/// The program to launch supervisors from: this very binary, also when another
/// has taken its place on the disk.
pub const THIS_PROGRAM: &str = "/proc/self/exe";

/// Why a turn was not launched.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The turn has a lock file: it was launched before, and never is twice.
    #[error("turn {0} was launched before")]
    AlreadyLaunched(crate::id::TurnNumber),
    /// A file of the turn could not be written.
    #[error("{}: {source}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The reason; `StorageFull` and `QuotaExceeded` among them.
        source: io::Error,
    },
    /// The supervisor could not be started.
    #[error("the supervisor could not be started: {0}")]
    Spawn(#[source] io::Error),
}

/// A supervisor that this process started.
///
/// It is a child of this process, so somebody must reap it: the caller, with
/// [`Launched::try_reap`] when the pidfd says that it has ended, or else a
/// thread that the drop leaves behind. After a restart of the server it is
/// init's child, and nothing is to be done.
#[derive(Debug)]
pub struct Launched {
    child: Option<Child>,
    pid: u32,
}

impl Launched {
    /// The supervisor's process id.
    #[must_use]
    pub fn supervisor_pid(&self) -> u32 {
        self.pid
    }

    /// Opens the supervisor; the descriptor is readable when it has ended.
    ///
    /// # Errors
    ///
    /// `NotFound` when it was reaped, and those of the system.
    pub fn pidfd(&self) -> io::Result<OwnedFd> {
        // A child that is not reaped keeps its id, so no check is needed.
        let pid = self.child.as_ref().and_then(|child| procfs::parse_pid(&child.id().to_string()));
        let pid = pid.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
        Ok(pidfd_open(pid, PidfdFlags::empty())?)
    }

    /// Reaps the supervisor if it has ended; never blocks. The status is given
    /// once, and says nothing of the turn: the exit file does.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn try_reap(&mut self) -> io::Result<Option<ExitStatus>> {
        let Some(child) = &mut self.child else { return Ok(None) };
        let status = child.try_wait()?;
        if status.is_some() {
            self.child = None;
        }
        Ok(status)
    }
}

impl Drop for Launched {
    fn drop(&mut self) {
        if let (Ok(None), Some(mut child)) = (self.try_reap(), self.child.take()) {
            // Where no thread can be had, the zombie goes with the server.
            let _ = thread::Builder::new()
                .name("reap supervisor".to_owned())
                .stack_size(64 * 1024)
                .spawn(move || child.wait());
        }
    }
}

/// Creates the turn's files, takes its lock, and starts its supervisor with it.
///
/// `exe` is an absolute path, [`THIS_PROGRAM`] in the server. The prompt must
/// have been written. The lock file appears locked and the supervisor inherits
/// it, so that it is never seen free while the turn lives. An error leaves a
/// turn that [`super::judge()`] calls never started.
///
/// # Errors
///
/// [`Error`] says what was not done.
pub fn launch(exe: &Path, files: &TurnFiles, spec: &Spec) -> Result<Launched, Error> {
    let lock = take_new_lock(files)?;
    let stdout = files.stdout();
    private()
        .append(true)
        .create_new(true)
        .open(&stdout)
        .and_then(|file| file.sync_all())
        .map_err(at(&stdout))?;
    write_record_atomically(&files.spec(), spec)
        .and_then(|()| File::open(files.spec())?.sync_all())
        .map_err(at(&files.spec()))?;
    sync_directory(files.directory()).map_err(at(files.directory()))?;

    let child = Command::new(exe)
        .arg("supervise")
        .arg(files.directory())
        .arg(files.turn().to_string())
        // A server that itself runs inside a session must not mark its
        // supervisors as that session's strays.
        .env_remove(SESSION_VARIABLE)
        .env_remove(TURN_VARIABLE)
        .current_dir("/")
        .stdin(Stdio::from(lock))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(Error::Spawn)?;
    let pid = child.id();
    Ok(Launched { child: Some(child), pid })
}

/// Takes back the launch of a turn that [`super::judge()`] calls never started, so
/// that it can be launched again. To be called by the one who judged.
///
/// # Errors
///
/// Those of the file system; the turn counts as launched then.
pub fn take_back(files: &TurnFiles) -> io::Result<()> {
    // The lock last: while it is there, the turn was launched.
    for path in [files.stdout(), files.spec(), files.lock()] {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
    }
    sync_directory(files.directory())
}

/// Writes a request to stop the turn durably and wakes its supervisor.
///
/// A kill takes the place of an interrupt; any other request leaves the one
/// that is there, and wakes the supervisor again. To be called by one caller at
/// a time for a turn. May come before the launch: the agent is then never
/// started. Does not wait for the stop.
///
/// # Errors
///
/// Those of the file system; the request is then perhaps not on the disk.
pub fn request_stop(files: &TurnFiles, stop: &Stop) -> io::Result<()> {
    let is_new = match read_stop(files) {
        Ok(Some(earlier)) => earlier.mode == StopMode::Interrupt && stop.mode == StopMode::Kill,
        Ok(None) => true,
        Err(error) if error.kind() == io::ErrorKind::InvalidData => true,
        Err(error) => return Err(error),
    };
    if is_new {
        // Nothing in its place is to keep the request out.
        set_aside(&files.stop())?;
        write_record_durably(&files.stop(), stop)?;
    }
    nudge(files)
}

/// Opens the supervisor that the pid file names; the descriptor is readable
/// when it has ended.
///
/// # Errors
///
/// `NotFound` when it has gone: start time and boot are checked, so that another
/// process with its id is never taken for it.
pub fn pidfd(pid_file: &PidFile) -> io::Result<OwnedFd> {
    open_of_this_boot(pid_file, pid_file.supervisor_pid, pid_file.supervisor_start_time)
}

pub(super) fn open_of_this_boot(
    pid_file: &PidFile,
    pid: u32,
    start_time: u64,
) -> io::Result<OwnedFd> {
    let pid = procfs::parse_pid(&pid.to_string())
        .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))?;
    if pid_file.boot_id == procfs::boot_id()? {
        procfs::open(pid, start_time)
    } else {
        Err(procfs::gone(pid))
    }
}

/// Tells the supervisor to look at the stop file, if it is there to be told.
fn nudge(files: &TurnFiles) -> io::Result<()> {
    // A supervisor that has not named itself looks at the stop file when it has.
    let Some(pid_file) = read_pid(files)? else { return Ok(()) };
    if !is_locked(files)? {
        return Ok(());
    }
    match pidfd(&pid_file).and_then(|pidfd| Ok(pidfd_send_signal(pidfd, NUDGE)?)) {
        Err(error)
            if error.kind() != io::ErrorKind::NotFound
                && error.raw_os_error() != Some(rustix::io::Errno::SRCH.raw_os_error()) =>
        {
            Err(error)
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Whether somebody holds the turn's lock.
fn is_locked(files: &TurnFiles) -> io::Result<bool> {
    match plain_file::open(&files.lock()).map(|lock| lock.try_lock_shared()) {
        Ok(Ok(())) => Ok(false),
        Ok(Err(fs::TryLockError::WouldBlock)) => Ok(true),
        Ok(Err(fs::TryLockError::Error(error))) => Err(error),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Makes the lock file under another name, locks it, and renames it, so that
/// nobody sees it free.
fn take_new_lock(files: &TurnFiles) -> Result<File, Error> {
    let path = files.lock();
    if path.exists() {
        return Err(Error::AlreadyLaunched(files.turn()));
    }
    let temporary = temporary(&path);
    plain_file::create_anew(&temporary)
        .and_then(|lock| {
            lock.try_lock()?;
            fs::rename(&temporary, &path)?;
            Ok(lock)
        })
        .map_err(at(&path))
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> Error {
    move |source| Error::File { path: path.to_owned(), source }
}
