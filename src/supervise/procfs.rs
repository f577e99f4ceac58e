//! What `/proc` says of processes: who they are, whose children, and when they
//! started.
//!
//! A process id alone names nobody, because the kernel gives it again to
//! another process. Id, start time and boot together name one process for ever.

use std::{fs, io, os::fd::OwnedFd};

use rustix::process::{Pid, PidfdFlags, getpid, pidfd_open};

/// A process as `/proc/<pid>/stat` shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Process {
    pub(super) pid: Pid,
    pub(super) parent: Option<Pid>,
    /// In clock ticks since boot.
    pub(super) start_time: u64,
    /// It has ended and waits only to be reaped.
    pub(super) is_dead: bool,
}

/// The id of this boot of the machine.
pub(super) fn boot_id() -> io::Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim_end().to_owned())
}

/// Looks a process up.
///
/// # Errors
///
/// `NotFound` when there is none of that id.
pub(super) fn process(pid: Pid) -> io::Result<Process> {
    let stat = fs::read(format!("/proc/{pid}/stat"))?;
    parse_stat(pid, &stat).ok_or_else(|| {
        io::Error::new(io::ErrorKind::InvalidData, format!("/proc/{pid}/stat has another form"))
    })
}

/// Looks at every process that there is, in the order of their ids; those that
/// come or go meanwhile may be missing.
pub(super) fn for_each_process(mut look: impl FnMut(Process)) -> io::Result<()> {
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        if let Some(Ok(process)) = name.to_str().and_then(parse_pid).map(process) {
            look(process);
        }
    }
    Ok(())
}

/// The direct children of this process, those included that wait to be reaped.
///
/// A child that comes or goes meanwhile may be missing, so callers repeat this
/// until the kernel says that there is none (ECHILD).
pub(super) fn children() -> io::Result<Vec<Pid>> {
    let mut children = Vec::new();
    for task in fs::read_dir("/proc/self/task")? {
        match fs::read_to_string(task?.path().join("children")) {
            Ok(text) => children.extend(text.split_ascii_whitespace().filter_map(parse_pid)),
            // A kernel built without CONFIG_PROC_CHILDREN: slower, the same answer.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return scan_for_children(),
            Err(error) => return Err(error),
        }
    }
    Ok(children)
}

/// Opens a process for signals and for waiting, if the id still names the one
/// that started at `start_time` in this boot.
///
/// # Errors
///
/// `NotFound` when that process has gone, though another may bear its id.
pub(super) fn open(pid: Pid, start_time: u64) -> io::Result<OwnedFd> {
    // In this order: what is looked at after the opening is either the process
    // that was opened, or a later one with another start time.
    let pidfd = pidfd_open(pid, PidfdFlags::empty())
        .map_err(|errno| if errno == rustix::io::Errno::SRCH { gone(pid) } else { errno.into() })?;
    if process(pid)?.start_time == start_time { Ok(pidfd) } else { Err(gone(pid)) }
}

pub(super) fn gone(pid: Pid) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, format!("process {pid} has ended"))
}

pub(super) fn parse_pid(text: &str) -> Option<Pid> {
    text.parse().ok().and_then(Pid::from_raw)
}

fn scan_for_children() -> io::Result<Vec<Pid>> {
    let me = Some(getpid());
    let mut children = Vec::new();
    for_each_process(|process| {
        if process.parent == me {
            children.push(process.pid);
        }
    })?;
    Ok(children)
}

/// Parses by the last parenthesis, because the name before it may hold anything.
fn parse_stat(pid: Pid, stat: &[u8]) -> Option<Process> {
    let end_of_name = stat.iter().rposition(|&byte| byte == b')')?;
    let rest = str::from_utf8(stat.get(end_of_name + 1..)?).ok()?;
    let mut fields = rest.split_ascii_whitespace();
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok().and_then(Pid::from_raw);
    // `starttime` is field 22 of the line, the parent field 4.
    let start_time = fields.nth(17)?.parse().ok()?;
    Some(Process { pid, parent, start_time, is_dead: matches!(state, "Z" | "X") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_and_spaces_does_not_shift_the_fields() {
        let pid = parse_pid("77").unwrap();
        let stat = b"77 (a) R (b) S 5 77 77 0 -1 4194304 1 0 0 0 3 4 0 0 20 0 1 0 9001 1 1\n";
        let expected = Process { pid, parent: parse_pid("5"), start_time: 9001, is_dead: false };
        assert_eq!(parse_stat(pid, stat), Some(expected));
    }

    #[test]
    fn a_process_is_found_by_its_id_and_start_time_only() {
        let me = process(getpid()).unwrap();
        assert!(open(me.pid, me.start_time).is_ok());
        let error = open(me.pid, me.start_time + 1).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
