//! A throw-away app-server of codex, and the few questions that it answers.
//!
//! It is started for one resolution and ended after it, whatever it says: by the
//! end of its standard input, and by a signal to its process group where that is
//! not enough. It speaks JSON, one message on a line. It gets no prompt, so that
//! no model is asked.

use std::{
    fs::File,
    io::{self, Read as _, Write as _},
    os::{
        fd::{AsFd, OwnedFd},
        unix::process::CommandExt as _,
    },
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open},
};
use serde_json::{Value, json};

use crate::agent::codex::{binary::Binary, last_error, probe};

/// How long it may take for all of its answers; codex takes 0.15 s. It is over well
/// before the 30 s that clients wait for a call, so that they are told why.
const TIME_LIMIT: Duration = Duration::from_secs(20);

/// How long it may take to end by itself.
const GRACE: Duration = Duration::from_secs(2);

/// The most bytes of one message; a configuration has texts in it.
const MAX_LINE_BYTES: usize = 16 << 20;

/// How much of the end of its standard error is kept.
const STDERR_BYTES: usize = 8 << 10;

/// The most bytes that a pipe takes at once when it has room at all.
const PIPE_CHUNK: usize = 4096;

/// A running app-server. It ends when this is dropped.
pub(super) struct Server {
    child: Child,
    input: Option<File>,
    output: File,
    errors: Option<File>,
    deadline: Instant,
    /// What was read and not yet taken.
    read: Vec<u8>,
    stderr: Vec<u8>,
    next_id: u64,
    /// What codex warned of when it read its configuration.
    warnings: Vec<String>,
}

impl Server {
    /// Starts one, with these arguments before its command, and greets it.
    ///
    /// # Errors
    ///
    /// The text says why there is none.
    pub(super) fn start(
        binary: &Binary,
        arguments: &[String],
        directory: &Path,
    ) -> Result<Self, String> {
        let mut command = Command::new(&binary.program);
        command
            .args(arguments)
            .arg("app-server")
            .envs(binary.env.iter().map(|(name, value)| (name, value)))
            .current_dir(directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        let deadline = Instant::now() + TIME_LIMIT;
        let mut child = probe::spawn(&mut command, deadline)
            .map_err(|error| format!("codex {} app-server: {error}", binary.program.display()))?;
        let pipe = |pipe: Option<OwnedFd>| File::from(pipe.expect("it was asked for as a pipe"));
        let mut server = Self {
            input: Some(pipe(child.stdin.take().map(OwnedFd::from))),
            output: pipe(child.stdout.take().map(OwnedFd::from)),
            errors: Some(pipe(child.stderr.take().map(OwnedFd::from))),
            child,
            deadline,
            read: Vec::new(),
            stderr: Vec::new(),
            next_id: 1,
            warnings: Vec::new(),
        };
        let client = json!({"name": "switchboard", "title": "Switchboard", "version": env!("CARGO_PKG_VERSION")});
        // The members of a thread that tell its sandbox are of the experimental part.
        let greeting = json!({"clientInfo": client, "capabilities": {"experimentalApi": true}});
        server.ask("initialize", &greeting)?;
        server.send(&json!({"method": "initialized"}))?;
        Ok(server)
    }

    /// Asks, and waits for the answer.
    ///
    /// # Errors
    ///
    /// The text says what codex said, or that it said nothing.
    pub(super) fn ask(&mut self, method: &str, params: &Value) -> Result<Value, String> {
        let id = self.next_id;
        self.next_id += 1;
        self.send(&json!({"id": id, "method": method, "params": params}))?;
        loop {
            let mut message = self.message(method)?;
            if message["method"] == "configWarning" {
                self.warnings.extend(message["params"]["summary"].as_str().map(str::to_owned));
            }
            if message["id"] != id || !message["method"].is_null() {
                continue;
            }
            if let Some(problem) = message["error"]["message"].as_str() {
                return Err(format!("codex refuses its configuration: {}", problem.trim_end()));
            }
            return Ok(message["result"].take());
        }
    }

    /// What codex warned of until now.
    pub(super) fn warnings(&self) -> &[String] {
        &self.warnings
    }

    fn send(&mut self, message: &Value) -> Result<(), String> {
        let mut text = message.to_string();
        text.push('\n');
        for chunk in text.as_bytes().chunks(PIPE_CHUNK) {
            self.wait(Wanted::Room)?;
            let Some(input) = &mut self.input else { break };
            if let Err(error) = input.write_all(chunk) {
                return Err(self.ended(&error.to_string()));
            }
        }
        Ok(())
    }

    /// The next message.
    fn message(&mut self, method: &str) -> Result<Value, String> {
        let mut searched = 0;
        loop {
            if let Some(end) = memchr::memchr(b'\n', &self.read[searched..]) {
                let line: Vec<u8> = self.read.drain(..=searched + end).collect();
                // It logs to its other output; a line that is no message is none of ours.
                match serde_json::from_slice(&line) {
                    Ok(message) => return Ok(message),
                    Err(_) => searched = 0,
                }
                continue;
            }
            searched = self.read.len();
            if searched > MAX_LINE_BYTES {
                return Err(format!("codex app-server: too long an answer to {method}"));
            }
            self.wait(Wanted::Answer)?;
            let mut buffer = [0; 1 << 16];
            match self.output.read(&mut buffer) {
                Ok(0) => return Err(self.ended("it ended")),
                Ok(length) => self.read.extend_from_slice(&buffer[..length]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.ended(&error.to_string())),
            }
        }
    }

    /// Waits until it takes input, or has output. Its errors are taken meanwhile, so
    /// that it never waits for a reader of those.
    fn wait(&mut self, wanted: Wanted) -> Result<(), String> {
        loop {
            let left = self.deadline.saturating_duration_since(Instant::now());
            let timeout = Timespec::try_from(left).map_err(|error| error.to_string())?;
            let (wanted, flags) = match (wanted, &self.input) {
                (Wanted::Room, Some(input)) => (input.as_fd(), PollFlags::OUT),
                (Wanted::Room, None) => return Ok(()),
                (Wanted::Answer, _) => (self.output.as_fd(), PollFlags::IN),
            };
            let errors = self.errors.as_ref().map(|errors| PollFd::new(errors, PollFlags::IN));
            let mut polled: Vec<PollFd<'_>> =
                [PollFd::from_borrowed_fd(wanted, flags)].into_iter().chain(errors).collect();
            match poll(&mut polled, Some(&timeout)) {
                Ok(0) => {
                    let limit = TIME_LIMIT.as_secs();
                    return Err(format!("codex app-server: did not answer within {limit} s"));
                }
                Ok(_) => {}
                Err(Errno::INTR) => continue,
                Err(error) => return Err(format!("codex app-server: {error}")),
            }
            let is_ready = !polled[0].revents().is_empty();
            let has_errors = polled.get(1).is_some_and(|polled| !polled.revents().is_empty());
            drop(polled);
            if has_errors {
                self.take_errors();
            }
            if is_ready {
                return Ok(());
            }
        }
    }

    /// Reads what there is of its standard error, and keeps the end.
    fn take_errors(&mut self) {
        let mut buffer = [0; 1 << 13];
        let length = self.errors.as_mut().and_then(|errors| errors.read(&mut buffer).ok());
        match length {
            None | Some(0) => self.errors = None,
            Some(length) => {
                self.stderr.extend_from_slice(&buffer[..length]);
                let surplus = self.stderr.len().saturating_sub(STDERR_BYTES);
                self.stderr.drain(..surplus);
            }
        }
    }

    /// Why it is not there any more, which it said last.
    fn ended(&mut self, otherwise: &str) -> String {
        // What is left of it holds its errors open no longer than this.
        let deadline = Instant::now() + GRACE;
        while let Some(errors) = &self.errors {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(timeout) = Timespec::try_from(left) else { break };
            match poll(&mut [PollFd::new(errors, PollFlags::IN)], Some(&timeout)) {
                Ok(0) | Err(_) => break,
                Ok(_) => self.take_errors(),
            }
        }
        let said = last_error(&self.stderr).unwrap_or_else(|| otherwise.to_owned());
        format!("codex app-server: {said}")
    }
}

/// What is waited for.
#[derive(Clone, Copy)]
enum Wanted {
    /// Room for more input.
    Room,
    /// More output.
    Answer,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.input = None;
        let pid = Pid::from_child(&self.child);
        // Its databases are closed when it ends by itself.
        let deadline = Instant::now() + GRACE;
        let _ = pidfd_open(pid, PidfdFlags::empty())
            .map_err(io::Error::from)
            .and_then(|pidfd| probe::wait_until(&pidfd, deadline));
        // It was not waited for, so that the number is still its own; and what it
        // started is in its group.
        let _ = kill_process_group(pid, Signal::KILL);
        let _ = self.child.wait();
    }
}
