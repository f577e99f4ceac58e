//! What became of a turn: the server's judgement at adoption and when a
//! supervisor has ended.
//!
//! The order makes it sound: first the lock, which a supervisor holds until its
//! last act, then the exit file, and only then the word "lost". A turn that is
//! once lost stays lost, by its `.lost` file.

use std::{
    collections::HashSet,
    fs::{self, File},
    io,
    os::fd::OwnedFd,
    thread,
    time::{Duration, Instant, SystemTime},
};

use rustix::process::{Pid, Signal, getpid, pidfd_send_signal};

use super::{
    SESSION_VARIABLE, THREAD_VARIABLE, TURN_VARIABLE,
    files::{TurnFiles, read_exit, read_pid, read_record, temporary, write_record_durably},
    launch::open_of_this_boot,
    procfs::{self, Process},
    records::{Exit, Lost, PidFile, VERSION},
};
use crate::plain_file;

/// The most that is read of what a supervisor said.
const MAX_LOG: u64 = 1 << 20;

/// How long strays are hunted before those that do not die are left.
const PATIENCE: Duration = Duration::from_secs(5);

/// What became of a turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Its supervisor is alive; it has named itself, or will in a moment.
    ///
    /// Judge again when its pidfd is readable, or at once if [`super::pidfd`]
    /// finds it gone.
    Alive(Option<PidFile>),
    /// It ended, and its supervisor said how.
    Exited(Exit),
    /// Its supervisor ended without a word.
    Lost {
        /// Why, in words for people.
        cause: String,
        /// How many processes of the turn were found running and ended.
        strays_ended: usize,
    },
    /// It never had an agent: its supervisor was not started or died before it started one.
    NeverStarted,
}

/// Finds out what became of a turn.
///
/// A turn without a supervisor and without an exit file is written down as lost,
/// durably, and what still runs of it is ended: every process that carries its
/// session and turn in its environment, or codex's `thread_id` where one is
/// given, the agent itself, and their descendants. Calling this again gives the
/// same verdict. May block for some seconds when strays do not die, so it is not
/// for an async thread. To be called by one caller at a time for a turn.
///
/// # Errors
///
/// Those of the file system; nothing was judged then.
pub fn judge(files: &TurnFiles, session_id: &str, thread_id: Option<&str>) -> io::Result<Verdict> {
    // Held until the return, so that nobody judges beside us.
    let _lock = match File::options().read(true).write(true).open(files.lock()) {
        Ok(lock) => match lock.try_lock() {
            Ok(()) => Some(lock),
            Err(fs::TryLockError::WouldBlock) => {
                return Ok(Verdict::Alive(readable(read_pid(files))?.flatten()));
            }
            Err(fs::TryLockError::Error(error)) => return Err(error),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    let exit = readable(read_exit(files))?;
    if let Some(Some(exit)) = exit {
        return Ok(Verdict::Exited(exit));
    }
    let earlier = readable(read_record::<Lost>(&files.lost()))?.flatten();
    let lost = match earlier {
        Some(Lost { cause, strays_ended: Some(ended), .. }) => {
            let strays_ended = usize::try_from(ended).unwrap_or(usize::MAX);
            return Ok(Verdict::Lost { cause, strays_ended });
        }
        Some(unfinished) => unfinished,
        None if !files.pid().try_exists()? && exit.is_some() => return Ok(Verdict::NeverStarted),
        None => lose(files, cause(files, exit.is_none())?)?,
    };
    let strays_ended = finish(files, session_id, thread_id, &lost)?;
    Ok(Verdict::Lost { cause: lost.cause, strays_ended })
}

/// Calls a turn lost that was launched and whose files are gone, for which
/// [`judge`] can only say that it was never started. Ends what still runs of it
/// and says how many processes that were.
///
/// # Errors
///
/// Those of the file system.
pub fn give_up(
    files: &TurnFiles,
    session_id: &str,
    thread_id: Option<&str>,
    cause: &str,
) -> io::Result<usize> {
    fs::create_dir_all(files.directory())?;
    let lost = lose(files, cause.to_owned())?;
    finish(files, session_id, thread_id, &lost)
}

/// Writes down that a turn is lost, before anything is done about it.
fn lose(files: &TurnFiles, cause: String) -> io::Result<Lost> {
    let lost = Lost { version: VERSION, cause, time: SystemTime::now(), strays_ended: None };
    write_record_durably(&files.lost(), &lost)?;
    Ok(lost)
}

/// Ends the strays of a lost turn and writes down how many there were.
fn finish(
    files: &TurnFiles,
    session_id: &str,
    thread_id: Option<&str>,
    lost: &Lost,
) -> io::Result<usize> {
    let pid_file = readable(read_pid(files))?.flatten();
    let marks = Marks::new(session_id, files, thread_id);
    let strays_ended = end_strays(&marks, pid_file.as_ref())?;
    let finished = Lost { strays_ended: u64::try_from(strays_ended).ok(), ..lost.clone() };
    write_record_durably(&files.lost(), &finished)?;
    Ok(strays_ended)
}

/// `None` in place of a record that is there but is not one: damage is judged, not refused.
fn readable<T>(read: io::Result<T>) -> io::Result<Option<T>> {
    match read {
        Ok(record) => Ok(Some(record)),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => Ok(None),
        Err(error) => Err(error),
    }
}

fn cause(files: &TurnFiles, exit_is_damaged: bool) -> io::Result<String> {
    if exit_is_damaged {
        return Ok("the exit file cannot be read".to_owned());
    }
    let boot_id = procfs::boot_id()?;
    if readable(read_pid(files))?.flatten().is_some_and(|pid_file| pid_file.boot_id != boot_id) {
        return Ok("the machine went down while the turn ran".to_owned());
    }
    let log = plain_file::read(&files.supervisor_log(), MAX_LOG).unwrap_or_default();
    Ok(match String::from_utf8_lossy(&log).trim_end().lines().last() {
        Some(last) => format!("the supervisor gave up: {last}"),
        // On a full disk the log is empty too.
        None if temporary(&files.exit()).try_exists()? => {
            "the supervisor could not write the exit file".to_owned()
        }
        None => "the supervisor was killed or crashed".to_owned(),
    })
}

/// What a process of the turn carries in its environment.
#[derive(Debug)]
struct Marks {
    session: String,
    turn: String,
    thread: Option<String>,
}

impl Marks {
    fn new(session_id: &str, files: &TurnFiles, thread_id: Option<&str>) -> Self {
        Self {
            session: format!("{SESSION_VARIABLE}={session_id}"),
            turn: format!("{TURN_VARIABLE}={}", files.turn()),
            thread: thread_id.map(|id| format!("{THREAD_VARIABLE}={id}")),
        }
    }

    fn are_in(&self, environment: &[u8]) -> bool {
        let has = |mark: &str| environment.split(|&byte| byte == 0).any(|v| v == mark.as_bytes());
        (has(&self.session) && has(&self.turn)) || self.thread.as_deref().is_some_and(has)
    }
}

/// How many looks in a row must find nothing. One can miss a process in the
/// middle of an exec, when it has no environment, and one that was forked with
/// a lower id than the look had come to.
const LOOKS_IN_VAIN: u32 = 3;
/// The pause between looks.
const PAUSE: Duration = Duration::from_millis(5);

/// Kills what is found, and looks again until there is nothing more to find.
fn end_strays(marks: &Marks, pid_file: Option<&PidFile>) -> io::Result<usize> {
    let begin = Instant::now();
    let mut ended = HashSet::new();
    let mut looks_in_vain = 0;
    while looks_in_vain < LOOKS_IN_VAIN && begin.elapsed() < PATIENCE {
        looks_in_vain += 1;
        for (stray, pidfd) in stopped_strays(marks, pid_file)? {
            looks_in_vain = 0;
            if pidfd_send_signal(&pidfd, Signal::KILL).is_ok() {
                ended.insert((stray.pid, stray.start_time));
            }
        }
        thread::sleep(PAUSE);
    }
    Ok(ended.len())
}

/// The processes of the turn that are alive, each stopped as soon as it is met,
/// so that it forks no more and stays the parent of its children.
///
/// The list goes up the process ids, and whatever a process forks before it is
/// met comes after it, so that one that does nothing but fork and exit is met
/// further on.
fn stopped_strays(
    marks: &Marks,
    pid_file: Option<&PidFile>,
) -> io::Result<Vec<(Process, OwnedFd)>> {
    let spared = this_process_and_its_ancestors();
    let agent = pid_file.and_then(|pid_file| {
        let (pid, start_time) = (pid_file.agent_pid?, pid_file.agent_start_time?);
        open_of_this_boot(pid_file, pid, start_time).ok()?;
        procfs::parse_pid(&pid.to_string())
    });
    let mut found = HashSet::new();
    let mut strays = Vec::new();
    let mut others = Vec::new();
    procfs::for_each_process(|process| {
        if process.is_dead || spared.contains(&process.pid) {
            return;
        }
        let environment = fs::read(format!("/proc/{}/environ", process.pid));
        if Some(process.pid) == agent || environment.is_ok_and(|e| marks.are_in(&e)) {
            found.insert(process.pid);
            strays.extend(stopped(process));
        } else {
            others.push(process);
        }
    })?;
    // Children of strays are strays too, whatever they did to their environment.
    loop {
        let (children, rest): (Vec<_>, Vec<_>) = others
            .into_iter()
            .partition(|process| process.parent.is_some_and(|parent| found.contains(&parent)));
        if children.is_empty() {
            return Ok(strays);
        }
        for child in children {
            found.insert(child.pid);
            strays.extend(stopped(child));
        }
        others = rest;
    }
}

/// Stops a process; `None` when it has gone, or is another process by now.
fn stopped(process: Process) -> Option<(Process, OwnedFd)> {
    let pidfd = procfs::open(process.pid, process.start_time).ok()?;
    pidfd_send_signal(&pidfd, Signal::STOP).ok()?;
    Some((process, pidfd))
}

/// The server may itself have been started inside a session: it never ends itself.
fn this_process_and_its_ancestors() -> HashSet<Pid> {
    let mut line = HashSet::new();
    let mut next = Some(getpid());
    while let Some(pid) = next.filter(|&pid| line.insert(pid)) {
        next = procfs::process(pid).ok().and_then(|process| process.parent);
    }
    line
}
