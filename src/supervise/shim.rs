//! The whole life of a supervisor. See [`super`] for the picture.
//!
//! Started by [`super::launch()`] through the hidden `supervise` command, before
//! any runtime, argument parser or log is set up: it shares the server's binary
//! but none of its weight. It has one thread and waits in one place.

use std::{
    ffi::OsString,
    fs::{self, File},
    io::{self, Write as _},
    os::{fd::AsFd as _, unix::fs::MetadataExt as _},
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant, SystemTime},
};

use rustix::{
    io::{Errno, FdFlags, fcntl_setfd},
    process::{getpid, set_child_subreaper, setsid},
    thread::set_name,
};

use super::{
    agent::{self, Agent, AgentEnd, Remains},
    fallback::Fallback,
    files::{
        TurnFiles, is_disk_full, private, read_spec, read_stop, write_record_atomically,
        write_record_durably,
    },
    limits::Watch,
    procfs,
    records::{Exit, Outcome, PidFile, SpawnProblem, Spec, Stop, StopMode, StopStep, VERSION},
    signals::Signals,
    stopping::Stopping,
};
use crate::id::TurnNumber;

/// How often the stop file is looked at when no nudge comes: the server may
/// have died between the request and the nudge.
const LOOK_FOR_STOP: Duration = Duration::from_secs(2);

/// How often the writing of the exit file is tried again.
const TRY_EXIT_AGAIN: Duration = Duration::from_millis(250);

/// Supervises one turn to its end: `switchboard supervise <turns directory> <turn>`.
///
/// `args` are those after `supervise`. Standard input must be the turn's lock,
/// as [`super::launch()`] hands it over.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let mut args = args.into_iter();
    let (directory, turn, rest) = (args.next(), args.next(), args.next());
    let turn = turn.and_then(|turn| turn.to_str().and_then(|turn| turn.parse().ok()));
    let (Some(directory), Some(turn), None) = (directory, turn, rest) else {
        complain(
            "usage: switchboard supervise <turns directory> <turn number>; the server runs it",
        );
        return ExitCode::from(2);
    };
    let files = TurnFiles::new(PathBuf::from(directory), TurnNumber(turn));
    if let Err(problem) = hold_lock(&files) {
        complain(&problem);
        return ExitCode::FAILURE;
    }
    let log = files.clone();
    std::panic::set_hook(Box::new(move |panic| note(&log, &format!("{panic}"))));
    match supervise(&files) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            note(&files, &format!("no exit file was written: {error}"));
            ExitCode::FAILURE
        }
    }
    // The lock is released by the end of the process, after everything else.
}

/// Makes sure that standard input is the turn's lock and that it is held, and
/// keeps it from the agent: a descendant with the lock would look like a
/// supervisor that is alive.
fn hold_lock(files: &TurnFiles) -> Result<(), String> {
    let stdin = io::stdin();
    fcntl_setfd(&stdin, FdFlags::CLOEXEC).map_err(|e| format!("standard input: {e}"))?;
    let handed = stdin.as_fd().try_clone_to_owned().map(File::from);
    let handed = handed.map_err(|e| format!("standard input: {e}"))?;
    let is_lock = match (handed.metadata(), fs::metadata(files.lock())) {
        (Ok(a), Ok(b)) => (a.dev(), a.ino()) == (b.dev(), b.ino()),
        (Err(_), _) | (_, Err(_)) => false,
    };
    // On an open file that holds the lock already, this changes nothing.
    if is_lock && handed.try_lock().is_ok() {
        Ok(())
    } else {
        Err(format!("standard input must be {}, locked", files.lock().display()))
    }
}

/// Everything between the taking over of the lock and its release.
fn supervise(files: &TurnFiles) -> io::Result<()> {
    let signals = Signals::install()?;
    let mut turn = Turn { files, signals, stop: None };
    let (spec, exit) = match turn.prepare() {
        Ok(spec) => {
            let exit = turn.run(&spec)?;
            (Some(spec), exit)
        }
        Err(error) => {
            let now = SystemTime::now();
            let message = format!("the supervisor could not begin: {error}");
            let errno = error.raw_os_error();
            let outcome = Outcome::SpawnFailed { problem: SpawnProblem::Other, errno, message };
            (None, turn.exit_without_agent(outcome, now))
        }
    };
    let patience = spec.map(|spec| spec.grace).unwrap_or_default().storage;
    turn.write_exit(&exit, patience)
}

/// One turn in the hands of its supervisor.
#[derive(Debug)]
struct Turn<'a> {
    files: &'a TurnFiles,
    signals: Signals,
    stop: Option<Stopping>,
}

impl Turn<'_> {
    /// Leaves the server's session, and says who supervises.
    fn prepare(&self) -> io::Result<Spec> {
        match setsid() {
            // EPERM: it leads a process group already, so nobody else's signals reach it.
            Ok(_) | Err(Errno::PERM) => {}
            Err(errno) => return Err(errno.into()),
        }
        set_child_subreaper(Some(getpid()))?;
        // Else `ps` would show the name of the link that it was started by.
        let _ = set_name(c"switchboard-sup");
        let spec = read_spec(self.files)?
            .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "there is no spec file"))?;
        // Durable, because a turn without this file counts as never started.
        write_record_durably(&self.files.pid(), &pid_file(None)?)?;
        Ok(spec)
    }

    /// Runs the agent to its end, a second time where it refuses its arguments.
    fn run(&mut self, spec: &Spec) -> io::Result<Exit> {
        let now = SystemTime::now();
        // After the pid file: a request that came before it sent no nudge.
        self.look_for_stop(spec);
        if self.stop.is_some() {
            return Ok(self.exit_without_agent(Outcome::NotStarted, now));
        }
        let mut watch = Watch::new(spec.limits, Instant::now());
        let mut exit = self.run_once(spec, &spec.args, &mut watch)?;
        if let Some(fallback) = spec.fallback.as_ref().filter(|it| self.was_refused(it, &exit)) {
            self.look_for_stop(spec);
            if self.stop.is_some() {
                exit.stopped = self.stop.as_ref().and_then(Stopping::stopped);
            } else {
                exit = self.run_once(spec, &fallback.args, &mut watch)?;
                exit.fell_back = true;
            }
        }
        Ok(exit)
    }

    /// Whether the agent, of which nothing runs any more, refused its arguments.
    fn was_refused(&self, fallback: &Fallback, exit: &Exit) -> bool {
        let refused = matches!(exit.outcome, Outcome::Exited { code } if code != 0);
        // What may not be signalled may go on writing.
        let is_alone = exit.left_behind.is_empty();
        refused && is_alone && self.stop.is_none() && fallback.is_for(self.files)
    }

    /// Starts the agent with these arguments, waits until it has gone, and ends
    /// what it left.
    fn run_once(&mut self, spec: &Spec, args: &[String], watch: &mut Watch) -> io::Result<Exit> {
        let now = SystemTime::now();
        watch.start(Instant::now());
        let mut agent = match Agent::start(spec, args, self.files) {
            Ok(agent) => agent,
            Err(outcome) => return Ok(self.exit_without_agent(outcome, now)),
        };
        let named = pid_file(Some(&agent))
            .and_then(|record| write_record_atomically(&self.files.pid(), &record));
        if let Err(error) = named {
            note(self.files, &format!("the agent's process id could not be written: {error}"));
        }
        let end = self.wait(&mut agent, spec, watch)?;
        if self.stop.as_ref().is_some_and(|stop| stop.limit().is_some()) {
            // Somebody may have asked while the limit's steps were taken.
            self.look_for_stop(spec);
        }
        let remains = agent::end_descendants(&self.signals);
        let sync_error = agent.output.sync().err().map(|error| error.to_string());
        Ok(self.exit(agent.start_time, &end, remains, sync_error))
    }

    /// Waits for the agent's end, and stops it when that is asked for or a limit is passed.
    fn wait(&mut self, agent: &mut Agent, spec: &Spec, watch: &mut Watch) -> io::Result<AgentEnd> {
        loop {
            if let Some(end) = agent.reap()? {
                return Ok(end);
            }
            self.look_for_stop(spec);
            // After the request: whoever asked goes before a limit.
            if self.stop.is_none() {
                let passed = watch.look(Instant::now(), agent.output.sizes());
                self.stop = passed.map(Stopping::limited);
            }
            let pause = match &mut self.stop {
                Some(stop) => {
                    if stop.advance(agent, &spec.grace) == StopStep::Kill {
                        return agent.kill(&self.signals);
                    }
                    stop.pause()
                }
                None => watch.pause(Instant::now()),
            };
            self.signals.wait(pause.min(LOOK_FOR_STOP));
        }
    }

    /// Takes a request to stop from the stop file or from SIGTERM.
    fn look_for_stop(&mut self, spec: &Spec) {
        let request = match read_stop(self.files) {
            Ok(Some(stop)) => stop,
            Ok(None) if self.stop.is_none() && self.signals.terminated() => {
                Stop::now(StopMode::Interrupt, "SIGTERM")
            }
            Ok(None) => return,
            // It asks for a stop, in words of a later version: the polite one is safe.
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                Stop::now(StopMode::Interrupt, "an unreadable stop file")
            }
            // Out of file descriptors or of memory for now: looked at again soon.
            Err(_) => return,
        };
        match &mut self.stop {
            None => self.stop = Some(Stopping::requested(request)),
            Some(stop) => stop.harden(request, &spec.grace),
        }
    }

    fn exit_without_agent(&self, outcome: Outcome, start_time: SystemTime) -> Exit {
        Exit {
            version: VERSION,
            outcome,
            start_time,
            end_time: SystemTime::now(),
            cpu_time: Duration::ZERO,
            peak_memory_bytes: 0,
            stopped: self.stop.as_ref().and_then(Stopping::stopped),
            limit: self.stop.as_ref().and_then(Stopping::limit),
            descendants_ended: 0,
            left_behind: Vec::new(),
            sync_error: None,
            fell_back: false,
            storage_full: is_disk_full(self.files.directory()),
        }
    }

    fn exit(
        &self,
        start_time: SystemTime,
        end: &AgentEnd,
        remains: Remains,
        sync_error: Option<String>,
    ) -> Exit {
        Exit {
            version: VERSION,
            outcome: end.outcome(),
            start_time,
            end_time: end.time,
            cpu_time: end.cpu_time,
            peak_memory_bytes: end.peak_memory_bytes,
            stopped: self.stop.as_ref().and_then(Stopping::stopped),
            limit: self.stop.as_ref().and_then(Stopping::limit),
            descendants_ended: remains.ended,
            left_behind: remains.left_behind,
            sync_error,
            fell_back: false,
            // Asked at once: whoever finds the disk full makes room.
            storage_full: is_disk_full(self.files.directory()),
        }
    }

    /// Writes the exit file, again and again for a while when the disk is full.
    fn write_exit(&self, exit: &Exit, patience: Duration) -> io::Result<()> {
        let begin = Instant::now();
        loop {
            match write_record_durably(&self.files.exit(), exit) {
                Ok(()) => return Ok(()),
                Err(error) if begin.elapsed() >= patience => return Err(error),
                Err(_) => self.signals.wait(TRY_EXIT_AGAIN),
            }
        }
    }
}

fn pid_file(agent: Option<&Agent>) -> io::Result<PidFile> {
    let me = procfs::process(getpid())?;
    let agent_start_time = agent.map(|agent| procfs::process(agent.pid())).transpose()?;
    Ok(PidFile {
        version: VERSION,
        supervisor_pid: me.pid.as_raw_nonzero().get().unsigned_abs(),
        supervisor_start_time: me.start_time,
        boot_id: procfs::boot_id()?,
        agent_pid: agent.map(|agent| agent.pid().as_raw_nonzero().get().unsigned_abs()),
        agent_start_time: agent_start_time.map(|process| process.start_time),
        time: SystemTime::now(),
    })
}

/// Leaves a line in the turn's `supervisor.log`.
fn note(files: &TurnFiles, problem: &str) {
    let line = format!("{} {problem}\n", humantime::format_rfc3339_millis(SystemTime::now()));
    // Where the log cannot be written there is nobody left to tell.
    let _ = private()
        .append(true)
        .create(true)
        .open(files.supervisor_log())
        .and_then(|mut log| log.write_all(line.as_bytes()));
}

/// Tells whoever ran the command by hand; under the server stderr leads nowhere.
fn complain(problem: &str) {
    let _ = writeln!(io::stderr(), "switchboard supervise: {problem}");
}
