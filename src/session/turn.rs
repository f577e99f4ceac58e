//! A running turn as its owner sees it: where its files are, how its supervisor
//! is known to be alive, and how its end is read. The blocking parts are
//! functions without a session.

use std::{
    io,
    os::{fd::OwnedFd, unix::fs::FileExt as _},
    path::Path,
    time::SystemTime,
};

use tokio::io::unix::AsyncFd;

use crate::{
    Result,
    agent::{self, Agents, History, Launch, Prompt},
    id::{SessionId, TurnNumber},
    lock::Lock,
    plain_file,
    proto::{self, event::Kind},
    row::{self, ExitStatus, Session, Verdict},
    session::{
        follow::{self, Follower},
        ingest::Statement,
        registry::is_full,
        request,
        slots::Slot,
        state::{self, End, EndCause, StopAsked},
    },
    supervise::{self, Launched, Outcome, StopMode, TurnFiles},
    time::timestamp,
};

/// How much of the agent's stderr is searched for its last words.
const LAST_WORDS_BYTES: u64 = 64 << 10;

/// A turn that runs, or whose end was not yet written down.
#[derive(Debug)]
pub(crate) struct Running {
    /// Its number.
    pub number: TurnNumber,
    /// Its files.
    pub files: TurnFiles,
    /// Hints that its files grew.
    pub watch: Option<follow::Watch>,
    /// Readable when its supervisor has ended.
    pub supervisor: Option<AsyncFd<OwnedFd>>,
    /// The supervisor, where this process started it, so that it is reaped.
    pub launched: Option<Launched>,
    /// Whether an earlier server started it.
    pub adopted: bool,
    /// Whether the disk refused what the agent printed, at some time.
    pub disk_was_full: bool,
    /// How it ended, once that is known.
    pub ended: Option<Ended>,
    /// Its place among those that run at once, given up with this.
    slot: Slot,
}

/// How a turn is known to have ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Its supervisor wrote an exit file.
    Exited(Box<supervise::Exit>),
    /// Its supervisor died.
    Lost(String),
    /// It never had an agent.
    NotStarted(String),
}

impl Running {
    /// A turn whose files are in `turns`.
    pub(crate) fn new(turns: &Path, number: TurnNumber, follower: &Follower, slot: Slot) -> Self {
        let watch = follower.watch(turns).inspect_err(|error| {
            tracing::warn!(%error, "no inotify watch; the turn is looked at twice a second");
        });
        Self {
            number,
            files: TurnFiles::new(turns, number),
            watch: watch.ok(),
            supervisor: None,
            launched: None,
            adopted: false,
            disk_was_full: false,
            ended: None,
            slot,
        }
    }

    /// Lets go of everything but its place.
    pub(crate) fn into_slot(self) -> Slot {
        self.slot
    }

    /// Watches over the supervisor by this descriptor.
    pub(crate) fn watch_supervisor(&mut self, pidfd: io::Result<OwnedFd>) {
        match pidfd.and_then(follow::poll_readable) {
            Ok(pidfd) => self.supervisor = Some(pidfd),
            // It may have ended just now. Without it the lock is probed.
            Err(error) => tracing::debug!(%error, "no pidfd for the supervisor"),
        }
    }

    /// Waits for a hint that there is something new in the files.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub(crate) async fn hint(&self) {
        match &self.watch {
            Some(watch) => watch.hint().await,
            None => std::future::pending().await,
        }
    }

    /// Waits for the supervisor's end, where it is watched over.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub(crate) async fn supervisor_ended(&self) {
        match &self.supervisor {
            // An error says that the descriptor is of no more use: look.
            Some(pidfd) => drop(pidfd.readable().await),
            None => std::future::pending().await,
        }
    }
}

/// Everything that can refuse a turn before it exists, and how to start it.
/// Blocks.
///
/// # Errors
///
/// WORKING_DIRECTORY_INVALID, AGENT_NOT_FOUND, AGENT_UNAVAILABLE, and
/// INVALID_ARGUMENT for files that are not there.
pub(crate) fn plan(
    agents: &Agents,
    session: &Session,
    lock: Option<&Lock>,
    number: TurnNumber,
    prompt: &Prompt,
) -> Result<Launch> {
    agent::check_working_directory(&session.working_directory)?;
    let kind = agent::Kind::parse(&session.agent)?;
    let mut launch = agents.launch(&kind, &request(session, lock, number, prompt))?;
    if number.0 > 1 && history(session) == History::New {
        launch.warnings.push(thread_restarted("the session has no thread yet"));
    }
    Ok(launch)
}

/// A turn as its agent is asked for it.
pub(crate) fn request<'a>(
    session: &'a Session,
    lock: Option<&'a Lock>,
    number: TurnNumber,
    prompt: &'a Prompt,
) -> agent::TurnRequest<'a> {
    let any_version = session.lock.as_ref().is_some_and(|lock| lock.any_version);
    agent::TurnRequest {
        session: session.id,
        turn: number,
        working_directory: &session.working_directory,
        model: session.controls.model.as_deref(),
        approval_policy: session.controls.approval_policy,
        sandbox: session.controls.sandbox,
        network: session.controls.network,
        options: &session.options,
        images: &prompt.images,
        effort: prompt.effort,
        history: history(session),
        lock: lock.map(|lock| (lock, any_version)),
    }
}

/// The history that the session's next turn begins with.
pub(crate) fn history(session: &Session) -> History<'_> {
    match (&session.thread_id, &session.forked_from) {
        (Some(thread), _) => History::Resume(thread),
        (None, Some(fork)) => History::Fork(&fork.thread_id),
        (None, None) => History::New,
    }
}

/// What is to be said when the agent began a thread that is not the one that
/// the session had, or that it was to have.
pub(crate) fn thread_restarted(problem: &str) -> proto::Warning {
    proto::Warning {
        code: "THREAD_RESTARTED".to_owned(),
        message: format!(
            "{problem}: the agent began a new thread and does not know what was said before"
        ),
    }
}

/// What is to be said when the agent refused the session's thread and then began
/// no other.
fn thread_refused(thread: &str) -> proto::Warning {
    proto::Warning {
        code: "THREAD_RESTARTED".to_owned(),
        message: format!(
            "the thread {thread} could not be resumed: the agent was started without it, and \
             began no other"
        ),
    }
}

/// Looks for the exit file. To be asked before the output is read to its end.
pub(crate) fn look_for_exit(files: &TurnFiles) -> io::Result<Option<Ended>> {
    Ok(supervise::read_exit(files)?.map(|exit| Ended::Exited(Box::new(exit))))
}

/// Finds out what became of a turn whose supervisor may be gone; `None` while it
/// is alive. Blocks, and ends strays.
pub(crate) fn find_out(
    files: &TurnFiles,
    id: SessionId,
    thread_id: Option<&str>,
) -> io::Result<(Option<Ended>, Option<supervise::PidFile>)> {
    Ok(match supervise::judge(files, &id.to_string(), thread_id)? {
        supervise::Verdict::Alive(pid) => (None, pid),
        supervise::Verdict::Exited(exit) => (Some(Ended::Exited(Box::new(exit))), None),
        supervise::Verdict::Lost { cause, strays_ended } => {
            (Some(lost(&cause, strays_ended)), None)
        }
        supervise::Verdict::NeverStarted => (
            Some(Ended::NotStarted("the server went down before the agent was started".to_owned())),
            None,
        ),
    })
}

/// As [`find_out`], of a turn that is known to have been launched: without its
/// lock it never looks as if it had been.
pub(crate) fn find_out_launched(
    files: &TurnFiles,
    id: SessionId,
    thread_id: Option<&str>,
) -> io::Result<(Option<Ended>, Option<supervise::PidFile>)> {
    match find_out(files, id, thread_id)? {
        (Some(Ended::NotStarted(_)), _) if !files.lock().exists() => {
            give_up(files, id, thread_id).map(|ended| (Some(ended), None))
        }
        found => Ok(found),
    }
}

/// Ends what is left of a turn whose files are gone although it was launched.
/// Blocks.
pub(crate) fn give_up(
    files: &TurnFiles,
    id: SessionId,
    thread_id: Option<&str>,
) -> io::Result<Ended> {
    let cause = "the files of the turn were removed";
    let strays_ended = supervise::give_up(files, &id.to_string(), thread_id, cause)?;
    Ok(lost(cause, strays_ended))
}

fn lost(cause: &str, strays_ended: usize) -> Ended {
    Ended::Lost(match strays_ended {
        0 => cause.to_owned(),
        count => format!("{cause}; {count} processes that were left of it were ended"),
    })
}

/// What is to be said at the end of a turn whose output was read to its end, by
/// a session that has this thread now. Blocks.
pub(crate) fn last_statements(
    files: &TurnFiles,
    turn: &crate::row::Turn,
    thread_id: Option<&str>,
    ended: &Ended,
    disk_was_full: bool,
) -> Vec<Statement> {
    let exit = match ended {
        Ended::Exited(exit) => Some(exit),
        Ended::Lost(_) | Ended::NotStarted(_) => None,
    };
    let refused = exit.filter(|exit| exit.fell_back).and_then(|_| read_spec(files));
    let mut statements = Vec::new();
    // Where the agent began another thread, the session has that by now, and it
    // was said.
    if turn.exit.is_none()
        && let (Some(spec), Some(thread)) = (&refused, thread_id)
        && spec.args.iter().any(|argument| argument == thread)
    {
        statements.push(Statement::now(turn.number, Kind::Warning(thread_refused(thread))));
    }
    if let Some(exit) = exit
        && turn.exit.is_none()
        && let Some(exited) = turn_exited(exit)
    {
        statements.push(Statement::now(turn.number, exited));
    }
    if row::is_active(turn.state) {
        let end = End {
            verdict: turn.verdict.clone(),
            stop: stop_asked(files, ended),
            cause: cause(files, ended, disk_was_full),
            last_words: last_words(files, turn.verdict.as_ref(), refused.as_ref()),
        };
        statements.push(Statement::now(
            turn.number,
            state::state_changed(turn.state, state::judge(&end)),
        ));
    }
    statements
}

fn turn_exited(exit: &supervise::Exit) -> Option<Kind> {
    let status = exit_status(&exit.outcome)?;
    let (exit_code, signal) = match status {
        ExitStatus::Code(code) => (Some(code), None),
        ExitStatus::Signal(signal) => (None, Some(signal)),
    };
    Some(Kind::TurnExited(proto::TurnExited {
        exit_code,
        signal,
        start_time: Some(timestamp(exit.start_time)),
        end_time: Some(timestamp(exit.end_time)),
        cpu_time: Some(exit.cpu_time.into()),
        peak_memory_bytes: exit.peak_memory_bytes,
    }))
}

fn exit_status(outcome: &Outcome) -> Option<ExitStatus> {
    match outcome {
        Outcome::Exited { code } => Some(ExitStatus::Code(code.unsigned_abs())),
        Outcome::Signalled { signal, .. } => Some(ExitStatus::Signal(signal.unsigned_abs())),
        Outcome::SpawnFailed { .. } | Outcome::NotStarted => None,
    }
}

fn cause(files: &TurnFiles, ended: &Ended, disk_was_full: bool) -> EndCause {
    match ended {
        Ended::Lost(cause) => EndCause::Lost(cause.clone()),
        Ended::NotStarted(problem) => EndCause::SpawnFailed(problem.clone()),
        Ended::Exited(exit) => match (&exit.outcome, exit_status(&exit.outcome)) {
            (_, Some(status))
                if status != ExitStatus::Code(0)
                    && (disk_was_full || met_full_disk(files, exit)) =>
            {
                EndCause::StorageFull
            }
            (_, Some(status)) => EndCause::Exited(status),
            (Outcome::SpawnFailed { .. }, None) if exit.storage_full => EndCause::StorageFull,
            (Outcome::SpawnFailed { message, .. }, None) => EndCause::SpawnFailed(message.clone()),
            (_, None) => EndCause::SpawnFailed("it was stopped before it started".to_owned()),
        },
    }
}

fn stop_asked(files: &TurnFiles, ended: &Ended) -> StopAsked {
    let asked = supervise::read_stop(files).ok().flatten().map(|stop| stop.mode);
    let (stopped, limit) = match ended {
        Ended::Exited(exit) => (exit.stopped.as_ref().map(|stopped| stopped.mode), exit.limit),
        Ended::Lost(_) | Ended::NotStarted(_) => (None, None),
    };
    match (asked.or(stopped), limit) {
        (Some(StopMode::Interrupt), _) => StopAsked::Interrupt,
        (Some(StopMode::Kill), _) => StopAsked::Kill,
        (None, Some(limit)) => {
            StopAsked::Limit(limit, read_spec(files).map(|spec| spec.limits).unwrap_or_default())
        }
        (None, None) => StopAsked::No,
    }
}

fn read_spec(files: &TurnFiles) -> Option<supervise::Spec> {
    supervise::read_spec(files).ok().flatten()
}

/// Why the agent says that it ended with an error. What it said when it refused
/// the arguments of `refused`, and was started with others, is not why.
fn last_words(
    files: &TurnFiles,
    verdict: Option<&Verdict>,
    refused: Option<&supervise::Spec>,
) -> Option<String> {
    match verdict {
        Some(_) => None,
        None => {
            let said = agent::last_error(&agent::Kind::Codex, &stderr_tail(files).ok()?)?;
            let fallback = refused.and_then(|spec| spec.fallback.as_ref());
            let is_refusal = fallback
                .is_some_and(|it| it.stderr_contains.iter().any(|text| said.contains(text)));
            (!is_refusal).then_some(said)
        }
    }
}

fn stderr_tail(files: &TurnFiles) -> io::Result<Vec<u8>> {
    let file = plain_file::open(&files.stderr())?;
    let size = file.metadata()?.len();
    let begin = size.saturating_sub(LAST_WORDS_BYTES);
    let mut tail = vec![0; usize::try_from(size - begin).unwrap_or(0)];
    file.read_exact_at(&mut tail, begin)?;
    Ok(tail)
}

/// Whether the disk was full when the agent ended, or the agent said so.
fn met_full_disk(files: &TurnFiles, exit: &supervise::Exit) -> bool {
    exit.storage_full
        || stderr_tail(files)
            .is_ok_and(|tail| String::from_utf8_lossy(&tail).contains("No space left on device"))
}

/// Why a turn whose supervisor was not launched failed.
pub(crate) fn reason_of(error: &supervise::Error) -> proto::StateReason {
    match error {
        supervise::Error::File { source, .. } if is_full(source) => proto::StateReason::StorageFull,
        supervise::Error::File { .. }
        | supervise::Error::AlreadyLaunched(_)
        | supervise::Error::Spawn(_) => proto::StateReason::SpawnFailed,
    }
}

/// The prompt of a turn, as far as it can be read.
pub(crate) fn read_prompt(files: &TurnFiles) -> String {
    let prompt = plain_file::read(&files.prompt(), request::MAX_FILE).unwrap_or_default();
    String::from_utf8_lossy(&prompt).into_owned()
}

/// The statements with which a turn begins.
pub(crate) fn first_statements(
    turn: TurnNumber,
    previous: proto::SessionState,
    spawned: proto::TurnSpawned,
    warnings: Vec<proto::Warning>,
    time: SystemTime,
) -> Vec<Statement> {
    let running = (proto::SessionState::Running, proto::StateReason::Unspecified, String::new());
    [Kind::TurnSpawned(spawned), state::state_changed(previous, running)]
        .into_iter()
        .chain(warnings.into_iter().map(Kind::Warning))
        .map(|kind| Statement { turn: Some(turn), kind, time, outbox_id: None })
        .collect()
}
