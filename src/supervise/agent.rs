//! The agent and everything under it: started, reaped, ended.
//!
//! The supervisor is a child subreaper, so that whatever loses its parent below
//! it, a daemon in a session of its own too, becomes its direct child. Only
//! direct children are ever signalled with SIGKILL: nobody but the supervisor
//! can reap them, so that their ids cannot have passed to other processes.

use std::{
    fs::{self, File},
    io,
    os::unix::process::{CommandExt as _, ExitStatusExt as _},
    path::Path,
    process::{Child, Command, ExitStatus},
    time::{Duration, Instant, SystemTime},
};

use rustix::{
    io::Errno,
    process::{
        Pid, Resource, Rlimit, Signal, WaitOptions, getrlimit, kill_process, kill_process_group,
        setrlimit, wait, waitpid,
    },
};
use wait4::{ResUse, Wait4 as _};

use super::{
    SESSION_VARIABLE, TURN_VARIABLE,
    files::TurnFiles,
    procfs,
    records::{Outcome, SpawnProblem, Spec},
    signals::Signals,
};
use crate::plain_file;

/// The longest pause between two looks at children that do not die.
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// How long children are asked that may not be signalled, before they are left.
const PATIENCE: Duration = Duration::from_secs(2);

/// The agent's process, a child of this one that is not reaped yet.
#[derive(Debug)]
pub(super) struct Agent {
    child: Child,
    pid: Pid,
    /// When it was started.
    pub(super) start_time: SystemTime,
    /// Its stdout and stderr, to be synced at the end.
    pub(super) output: Output,
}

/// The files that the agent writes.
#[derive(Debug)]
pub(super) struct Output {
    stdout: File,
    stderr: File,
}

/// How the agent ended and what it used.
#[derive(Debug)]
pub(super) struct AgentEnd {
    pub(super) status: ExitStatus,
    pub(super) cpu_time: Duration,
    pub(super) peak_memory_bytes: u64,
    pub(super) time: SystemTime,
}

/// What was left under the supervisor when the agent had gone.
#[derive(Debug, Default)]
pub(super) struct Remains {
    pub(super) ended: u32,
    pub(super) left_behind: Vec<u32>,
}

impl Agent {
    /// Starts the agent with these arguments in a process group of its own.
    pub(super) fn start(spec: &Spec, args: &[String], files: &TurnFiles) -> Result<Self, Outcome> {
        let prompt = plain_file::open(&files.prompt()).map_err(|e| failed("the prompt", &e))?;
        let open = |path: &Path| {
            let file = plain_file::append(path)?;
            Ok((file.try_clone()?, file))
        };
        let (stdout, agent_stdout) =
            open(&files.stdout()).map_err(|e| failed("the file for its output", &e))?;
        let (stderr, agent_stderr) =
            open(&files.stderr()).map_err(|e| failed("the file for its errors", &e))?;

        if let Some(open_files) = spec.open_files {
            limit_open_files(open_files);
        }
        let mut command = Command::new(&spec.program);
        for name in &spec.env_remove {
            command.env_remove(name);
        }
        let start_time = SystemTime::now();
        let child = command
            .args(args)
            .envs(spec.env.iter().map(|(name, value)| (name, value)))
            .env(SESSION_VARIABLE, &spec.session_id)
            .env(TURN_VARIABLE, spec.turn.to_string())
            .current_dir(&spec.working_directory)
            .process_group(0)
            .stdin(prompt)
            .stdout(agent_stdout)
            .stderr(agent_stderr)
            .spawn()
            .map_err(|error| spawn_failed(spec, &error))?;
        let pid = procfs::parse_pid(&child.id().to_string())
            .expect("the id of a child is a positive number");
        Ok(Self { child, pid, start_time, output: Output { stdout, stderr } })
    }

    pub(super) fn pid(&self) -> Pid {
        self.pid
    }

    /// SIGINT, to the agent alone: codex records the abort and ends its commands itself.
    pub(super) fn interrupt(&self) {
        // It is not reaped, so the only error would be that it may not be
        // signalled, and then the harder steps are what is left to try.
        let _ = kill_process(self.pid, Signal::INT);
    }

    /// SIGTERM to the agent's process group.
    pub(super) fn terminate(&self) {
        let _ = kill_process_group(self.pid, Signal::TERM);
    }

    /// Reaps the agent if it has ended, and descendants that ended without a parent.
    ///
    /// # Errors
    ///
    /// None that the kernel documents for a child that was not reaped.
    pub(super) fn reap(&mut self) -> io::Result<Option<AgentEnd>> {
        if let Some(end) = self.child.try_wait4()? {
            return Ok(Some(AgentEnd::new(&end)));
        }
        // One at a time by id: a wait for any child could swallow the agent's
        // own status if it ended just now.
        for child in children().into_iter().filter(|&child| child != self.pid) {
            let _ = waitpid(Some(child), WaitOptions::NOHANG);
        }
        Ok(None)
    }

    /// SIGKILL to the agent and all other children, until the agent has gone.
    pub(super) fn kill(&mut self, signals: &Signals) -> io::Result<AgentEnd> {
        let mut pause = Pause::default();
        loop {
            for child in children() {
                let _ = kill_process(child, Signal::KILL);
            }
            if let Some(end) = self.reap()? {
                return Ok(end);
            }
            pause.wait(signals);
        }
    }
}

impl AgentEnd {
    fn new(end: &ResUse) -> Self {
        Self {
            status: end.status,
            cpu_time: end.rusage.utime + end.rusage.stime,
            peak_memory_bytes: end.rusage.maxrss,
            time: SystemTime::now(),
        }
    }

    pub(super) fn outcome(&self) -> Outcome {
        match (self.status.code(), self.status.signal()) {
            (Some(code), _) => Outcome::Exited { code },
            (None, Some(signal)) => {
                Outcome::Signalled { signal, core_dumped: self.status.core_dumped() }
            }
            (None, None) => unreachable!("a process that was reaped has exited or was signalled"),
        }
    }
}

impl Output {
    /// How large the agent's stdout and stderr are now.
    pub(super) fn sizes(&self) -> [u64; 2] {
        // What cannot be asked for once has not grown, and is asked for again.
        [&self.stdout, &self.stderr].map(|file| file.metadata().map_or(0, |found| found.len()))
    }

    /// Brings what the agent wrote to the disk.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.stdout.sync_data().and(self.stderr.sync_data())
    }
}

/// Ends every descendant that is left after the agent was reaped.
///
/// Kills the direct children, reaps them, and repeats with the orphans that
/// surface from below, until the kernel says that there is no child. A child
/// that may not be signalled is left after a while, and named.
pub(super) fn end_descendants(signals: &Signals) -> Remains {
    let mut remains = Remains::default();
    let mut pause = Pause::default();
    let mut last_progress = Instant::now();
    loop {
        let children = children();
        let refused: Vec<Pid> = children
            .iter()
            .copied()
            .filter(|&child| kill_process(child, Signal::KILL) == Err(Errno::PERM))
            .collect();
        loop {
            match wait(WaitOptions::NOHANG) {
                Ok(Some(_)) => {
                    remains.ended += 1;
                    pause = Pause::default();
                    last_progress = Instant::now();
                }
                Ok(None) => break,
                // ECHILD, the only error of a wait for any child without blocking.
                Err(_) => return remains,
            }
        }
        let only_refused = !refused.is_empty() && refused.len() == children.len();
        if only_refused && last_progress.elapsed() >= PATIENCE {
            remains.left_behind =
                refused.iter().map(|pid| pid.as_raw_nonzero().get().unsigned_abs()).collect();
            return remains;
        }
        pause.wait(signals);
    }
}

/// A wait for SIGCHLD that grows, for children that take their time to die.
#[derive(Debug)]
struct Pause(Duration);

impl Default for Pause {
    fn default() -> Self {
        Self(Duration::from_millis(5))
    }
}

impl Pause {
    fn wait(&mut self, signals: &Signals) {
        signals.wait(self.0);
        self.0 = (self.0 * 2).min(LONGEST_PAUSE);
    }
}

/// The direct children; none where the list cannot be had for now, because the
/// callers look again until the kernel says that there is no child.
fn children() -> Vec<Pid> {
    procfs::children().unwrap_or_default()
}

/// Sets the soft limit of this process, which the agent inherits. A supervisor
/// itself has but a few files open.
fn limit_open_files(soft: u64) {
    let Rlimit { current: _, maximum } = getrlimit(Resource::Nofile);
    let soft = maximum.map_or(soft, |maximum| soft.min(maximum));
    // Lowering a soft limit is always allowed.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(soft), maximum });
}

fn failed(what: &str, error: &io::Error) -> Outcome {
    Outcome::SpawnFailed {
        problem: SpawnProblem::Other,
        errno: error.raw_os_error(),
        message: format!("{what} could not be opened: {error}"),
    }
}

/// Says which of program and working directory the error is about, since the
/// kernel's answer is the same for both.
fn spawn_failed(spec: &Spec, error: &io::Error) -> Outcome {
    let program = spec.program.display();
    let directory = spec.working_directory.display();
    let (problem, message) = match fs::metadata(spec.working_directory.join(".")) {
        Err(error) => (
            SpawnProblem::WorkingDirectory,
            format!("the working directory {directory} cannot be entered: {error}"),
        ),
        Ok(_) if error.kind() == io::ErrorKind::NotFound && spec.program.exists() => (
            SpawnProblem::NotFound,
            format!("{program} could not be started: its interpreter or loader is missing"),
        ),
        Ok(_) if error.kind() == io::ErrorKind::NotFound => {
            (SpawnProblem::NotFound, format!("{program} could not be started: there is none"))
        }
        Ok(_) if error.kind() == io::ErrorKind::PermissionDenied => (
            SpawnProblem::PermissionDenied,
            format!("{program} could not be started: it is not executable ({error})"),
        ),
        Ok(_) => (SpawnProblem::Other, format!("{program} could not be started: {error}")),
    };
    Outcome::SpawnFailed { problem, errno: error.raw_os_error(), message }
}
