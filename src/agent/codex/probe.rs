//! What a codex binary says about itself: its version and its features.
//!
//! Each question is a process of its own with nothing on its standard input
//! and a time limit. A binary that answers otherwise than codex does is no
//! error, as long as it answers: it is met with what it supports.

use std::{
    fs::File,
    io::{self, Read as _, Seek as _},
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{MemfdFlags, memfd_create},
    process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open},
};

use super::binary::Binary;
use crate::agent::NotForgotten;

/// How long a binary may take for one answer; codex takes about 10 ms.
const TIME_LIMIT: Duration = Duration::from_secs(10);

/// How much of an answer is read; the features of codex are 12 kB, and its
/// catalogue of models 750 kB.
const MAX_ANSWER_BYTES: u64 = 2 << 20;

/// Asks for the version; none where the answer has none.
///
/// # Errors
///
/// The text says why the binary cannot be started, or that it does not answer.
pub(super) fn version(binary: &Binary) -> Result<Option<String>, String> {
    let answer = ask(binary, &["--version"], TIME_LIMIT)?;
    Ok(answer.status.success().then(|| version_in(&answer.stdout)).flatten())
}

/// Asks whether there is a feature that `--disable` can switch off.
///
/// # Errors
///
/// The text goes on after "codex VERSION".
pub(super) fn has_feature(binary: &Binary, feature: &str) -> Result<bool, String> {
    let answer = ask(binary, &["features", "list"], TIME_LIMIT)
        .map_err(|problem| format!("does not say its features: {problem}"))?;
    if !answer.status.success() {
        // Versions before that command know no such feature either; others say
        // here that their configuration cannot be read.
        let said = super::last_error(answer.stderr.as_bytes()).unwrap_or_default();
        let first = said.lines().next().unwrap_or_default();
        return Err(format!("does not say its features ({}): {first}", answer.status));
    }
    Ok(answer.stdout.lines().any(|line| line.split_ascii_whitespace().next() == Some(feature)))
}

/// Asks with these arguments in a directory, on which the configuration depends.
///
/// # Errors
///
/// The text says that it does not answer, or what it says in place of it.
pub(super) fn answer(
    binary: &Binary,
    arguments: &[String],
    question: &[&str],
    directory: &Path,
) -> Result<String, String> {
    let arguments: Vec<&str> =
        arguments.iter().map(String::as_str).chain(question.iter().copied()).collect();
    let what = format!("codex {}", question.join(" "));
    let answer = run(binary, &arguments, Some(directory), TIME_LIMIT)
        .map_err(|error| format!("{what}: {error}"))?
        .ok_or_else(|| format!("{what}: did not answer within {} s", TIME_LIMIT.as_secs()))?;
    if !answer.status.success() {
        let said = super::last_error(answer.stderr.as_bytes()).unwrap_or_default();
        // The reason is behind the first line, and the places in its code behind that.
        let lines = said.lines().map(str::trim).take_while(|line| *line != "Stack backtrace:");
        let lines: Vec<_> =
            lines.filter(|line| !line.is_empty() && *line != "Caused by:").take(3).collect();
        return Err(format!("{what}: {}: {}", answer.status, lines.join(": ")));
    }
    Ok(answer.stdout)
}

/// Has the binary delete a thread.
///
/// # Errors
///
/// [`NotForgotten`] tells whether it answered.
pub(super) fn delete(binary: &Binary, thread: &str) -> Result<(), NotForgotten> {
    let answer =
        ask(binary, &["delete", "--force", thread], TIME_LIMIT).map_err(NotForgotten::NotAsked)?;
    if answer.status.success() {
        return Ok(());
    }
    let said = super::last_error(answer.stderr.as_bytes()).unwrap_or_default();
    let first = said.lines().next().unwrap_or_default();
    let problem = format!("codex delete --force {thread}: {} {first}", answer.status);
    // One that a signal ended did not answer.
    Err(match answer.status.code() {
        Some(_) => NotForgotten::Refused(problem),
        None => NotForgotten::NotAsked(problem),
    })
}

/// The version in `codex-cli 0.169.0`, or one that stands alone. None in the
/// answer of another program that has the name `codex`, or was named by mistake.
fn version_in(answer: &str) -> Option<String> {
    let words: Vec<&str> = answer.lines().next()?.split_ascii_whitespace().collect();
    let (version, names) = words.split_last()?;
    let is_codex = names.first().is_none_or(|name| name.starts_with("codex"));
    let is_version = version.starts_with(|c: char| c.is_ascii_digit()) && version.len() <= 64;
    (is_codex && is_version).then(|| (*version).to_owned())
}

/// How a question was answered.
#[derive(Debug)]
struct Answer {
    status: ExitStatus,
    stdout: String,
    stderr: String,
}

/// Starts the binary with these arguments and waits for its end.
fn ask(binary: &Binary, args: &[&str], limit: Duration) -> Result<Answer, String> {
    let problem = |problem: String| {
        format!("codex {} {}: {problem}", binary.program.display(), args.join(" "))
    };
    run(binary, args, None, limit)
        .map_err(|error| problem(error.to_string()))?
        .ok_or_else(|| problem(format!("did not answer within {} s", limit.as_secs_f32())))
}

/// The same; none where the time was up. No process is left then.
fn run(
    binary: &Binary,
    args: &[&str],
    directory: Option<&Path>,
    limit: Duration,
) -> io::Result<Option<Answer>> {
    // Files, so that a binary that prints a lot never waits for a reader.
    let (stdout, stderr) = (memory_file()?, memory_file()?);
    let mut command = Command::new(&binary.program);
    command
        .args(args)
        .envs(binary.env.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(stdout.try_clone()?)
        .stderr(stderr.try_clone()?)
        .process_group(0);
    if let Some(directory) = directory {
        command.current_dir(directory);
    }
    let deadline = Instant::now() + limit;
    let mut child = spawn(&mut command, deadline)?;
    let pid = Pid::from_child(&child);
    let ended = pidfd_open(pid, PidfdFlags::empty())
        .map_err(io::Error::from)
        .and_then(|pidfd| wait_until(&pidfd, deadline));
    if !matches!(ended, Ok(true)) {
        // It was not waited for, so that the number is still its own.
        let _ = kill_process_group(pid, Signal::KILL);
    }
    let status = child.wait()?;
    if !ended? {
        return Ok(None);
    }
    Ok(Some(Answer { status, stdout: read(stdout)?, stderr: read(stderr)? }))
}

/// Starts a program; where somebody writes its file just now, an installer most
/// likely, once that is over.
pub(super) fn spawn(command: &mut Command, deadline: Instant) -> io::Result<Child> {
    loop {
        match command.spawn() {
            Err(error)
                if error.kind() == io::ErrorKind::ExecutableFileBusy
                    && Instant::now() < deadline =>
            {
                std::thread::sleep(Duration::from_millis(10));
            }
            spawned => return spawned,
        }
    }
}

/// Waits until the process has ended; false when the time is up before.
pub(super) fn wait_until(pidfd: &impl std::os::fd::AsFd, deadline: Instant) -> io::Result<bool> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = Timespec::try_from(left).map_err(io::Error::other)?;
        match poll(&mut [PollFd::new(pidfd, PollFlags::IN)], Some(&timeout)) {
            Ok(0) => return Ok(false),
            Ok(_) => return Ok(true),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn memory_file() -> io::Result<File> {
    Ok(memfd_create("answer", MemfdFlags::CLOEXEC)?.into())
}

fn read(mut file: File) -> io::Result<String> {
    file.rewind()?;
    let mut bytes = Vec::new();
    file.take(MAX_ANSWER_BYTES).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests;
