//! The config locks of sessions: the one that a session is held to, those that
//! are written of what it runs with, and whether a turn ran with that.
//!
//! Called by `app` and by the owner of a session. Everything here blocks: files
//! are read and written, and codex is asked what it would run with.

use std::{
    fs::{self, DirBuilder},
    io,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use crate::{
    Error, Result,
    agent::{Agents, Kind, Prompt, Resolved, file::read_at_most},
    config::LocksConfig,
    home::write_atomically,
    id::TurnNumber,
    lock::{CatalogueFields, DriftedValue, Lock, MAX_BYTES, MadeOf},
    plain_file, proto,
    row::{Session, SessionLock},
    session::{
        directory::SessionDirectory,
        registry::{is_full, storage_error},
        request, turn,
    },
    supervise::TurnFiles,
};

/// The largest lock of a session that is read; a request with one is no larger.
const MAX_LOCK: u64 = 16 << 20;

/// A lock that was written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Exported {
    /// Its text.
    pub text: String,
    /// The file that has it.
    pub path: PathBuf,
    /// What one should know about it.
    pub notes: Vec<String>,
}

/// Reads a lock from a file that was named.
///
/// # Errors
///
/// CONFIG_LOCK_INVALID where it cannot be read; what it says is not looked at.
pub(crate) fn read_file(path: &Path) -> Result<String> {
    let problem = match read_at_most(path, MAX_BYTES) {
        Ok(Some(text)) => match String::from_utf8(text) {
            Ok(text) => return Ok(text),
            Err(_) => "it is not UTF-8".to_owned(),
        },
        Ok(None) => format!("larger than {MAX_BYTES} bytes"),
        Err(error) if error.kind() == io::ErrorKind::NotFound => "there is no such file".to_owned(),
        Err(error) => format!("cannot be read: {error}"),
    };
    Err(of_no_use(path, &problem))
}

/// A file that is no lock, or cannot be made one.
fn of_no_use(path: &Path, problem: &str) -> Error {
    let problem = format!("{}: {problem}", path.display());
    Error::ConfigLockInvalid { rule: "file", key: None, problem }
}

/// Why a lock was not written, with the file: it is a place that somebody chose.
fn unwritten(error: io::Error, path: &Path) -> Error {
    if is_full(&error) {
        return storage_error(error, path);
    }
    of_no_use(path, &format!("cannot be written: {error}"))
}

/// The lock that a session is held to, if it has one.
///
/// # Errors
///
/// CONFIG_LOCK_INVALID where its file is gone or not what it was.
pub(crate) fn held_to(session: &Session, directory: &SessionDirectory) -> Result<Option<Lock>> {
    let Some(lock) = &session.lock else { return Ok(None) };
    Lock::parse(&text_of(lock, directory)?).map(Some)
}

/// The text of that.
///
/// # Errors
///
/// As [`held_to`].
pub(crate) fn text_of(lock: &SessionLock, directory: &SessionDirectory) -> Result<String> {
    let path = directory.lock();
    // In the session's directory, and not where somebody named a file.
    let text = plain_file::read(&path, MAX_LOCK).and_then(|text| {
        String::from_utf8(text).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    });
    let text = text.map_err(|error| {
        if error.kind() == io::ErrorKind::NotFound {
            return of_no_use(&path, "there is no such file");
        }
        of_no_use(&path, &format!("cannot be read: {error}"))
    })?;
    let sha256 = &lock.sha256;
    if Lock::sha256(&text) == *sha256 {
        return Ok(text);
    }
    let problem =
        format!("it was changed since the session was created with it; sha256 was {sha256}");
    Err(of_no_use(&path, &problem))
}

/// Resolves what the session's next turn would run with, with the effort that its
/// latest one was asked for, and writes it down.
///
/// # Errors
///
/// As `ConfigLockService.ExportConfigLock` lists.
pub(crate) fn export(
    agents: &Agents,
    session: &Session,
    directory: &SessionDirectory,
    config: &LocksConfig,
    catalogue: CatalogueFields,
) -> Result<Exported> {
    let kind = Kind::parse(&session.agent)?;
    let lock = held_to(session, directory)?;
    let prompt = as_latest(session, directory)?;
    let number = TurnNumber(session.turn_count() + 1);
    let request = turn::request(session, lock.as_ref(), number, &prompt);
    if lock.is_some() {
        agents.check(&kind, &request)?;
    }
    let Resolved { effective, files, mut notes } = agents.resolve(&kind, &request, catalogue)?;
    // What a session is held to, no file changes.
    if let (Some(turn), None) = (&session.last_turn, &lock) {
        notes.extend(changed_since(turn.start_time, files));
    }
    if let Some(thread) = &session.thread_id {
        let ran = agents.check_after(&kind, thread, &effective).map_err(Error::system)?;
        // What only the catalogue says is not recorded.
        let ran = ran.iter().filter(|value| value.actual.is_some());
        notes.extend(ran.map(|value| format!("The latest turn ran {}.", otherwise(value))));
    }
    let made_of = MadeOf {
        switchboard_version: Some(env!("CARGO_PKG_VERSION").to_owned()),
        session_id: Some(session.id.to_string()),
        thread_id: session.thread_id.clone(),
        time: Some(crate::time::now()),
    };
    let text = Lock { made_of, effective }.to_toml()?;
    let path = export_path(session, directory, config);
    let parent = path.parent().unwrap_or(Path::new("/"));
    if config.export_dir.is_some() {
        // What a session runs with is its owner's.
        let mut folder = DirBuilder::new();
        folder.recursive(true).mode(0o700);
        folder.create(parent).map_err(|error| unwritten(error, parent))?;
    }
    write_atomically(&path, text.as_bytes()).map_err(|error| unwritten(error, &path))?;
    Ok(Exported { text, path, notes })
}

/// A prompt that asks for the effort that the latest turn of a session was asked for: a
/// prompt may have its own, which is what that ran with.
///
/// # Errors
///
/// Those of the file system.
pub(crate) fn as_latest(session: &Session, directory: &SessionDirectory) -> Result<Prompt> {
    let latest = TurnFiles::new(directory.turns(), TurnNumber(session.turn_count()));
    let effort =
        request::effort(&latest).map_err(|error| storage_error(error, &latest.request()))?;
    Ok(Prompt { effort, ..Prompt::default() })
}

/// What is to be said of files that say the configuration and were changed since.
fn changed_since(time: SystemTime, files: impl IntoIterator<Item = PathBuf>) -> Option<String> {
    let is_newer = |path: &PathBuf| changed(path).is_some_and(|changed| changed > time);
    let newer = files.into_iter().filter(is_newer).map(|path| path.display().to_string());
    let newer: Vec<_> = newer.collect();
    (!newer.is_empty()).then(|| {
        format!(
            "Changed since the latest turn began, which may have run with something else: {}.",
            newer.join(", ")
        )
    })
}

/// When a file was last written, or put in its place.
fn changed(path: &Path) -> Option<SystemTime> {
    let metadata = fs::metadata(path).ok()?;
    let seconds = Duration::from_secs(metadata.ctime().try_into().ok()?);
    let nanos = Duration::from_nanos(metadata.ctime_nsec().try_into().ok()?);
    SystemTime::UNIX_EPOCH.checked_add(seconds + nanos)
}

/// Where a session's lock is written.
pub(crate) fn export_path(
    session: &Session,
    directory: &SessionDirectory,
    config: &LocksConfig,
) -> PathBuf {
    let own = session.id.to_string();
    let name = session.thread_id.as_deref().unwrap_or(&own);
    let parent = config.export_dir.as_deref().unwrap_or(directory.path());
    parent.join(format!("{name}.config.lock.toml"))
}

/// Writes down what a session runs with whose thread has begun, where the server
/// does that for all; once. What cannot be written is warned of.
pub(crate) fn export_at_start(
    agents: &Agents,
    session: &Session,
    directory: &SessionDirectory,
    config: &LocksConfig,
) -> Option<proto::Warning> {
    let is_codex = matches!(Kind::parse(&session.agent), Ok(Kind::Codex));
    if !is_codex || export_path(session, directory, config).exists() {
        return None;
    }
    let error = match export(agents, session, directory, config, config.catalogue) {
        Ok(Exported { text: _, path, notes }) => {
            tracing::info!(session = %session.id, path = %path.display(), "wrote a config lock");
            for note in notes {
                tracing::warn!(session = %session.id, note, "of its config lock");
            }
            return None;
        }
        Err(error) => error,
    };
    Some(proto::Warning {
        code: "CONFIG_LOCK_NOT_EXPORTED".to_owned(),
        message: format!("what the session runs with was not written down: {error}"),
    })
}

/// What is to be said at the end of a turn that ran with something else than the
/// session's lock has.
pub(crate) fn ran_otherwise(
    agents: &Agents,
    session: &Session,
    directory: &SessionDirectory,
) -> Vec<proto::Warning> {
    let found = held_to(session, directory).and_then(|lock| {
        let (Some(lock), Some(thread)) = (lock, &session.thread_id) else { return Ok(Vec::new()) };
        let kind = Kind::parse(&session.agent)?;
        agents.check_after(&kind, thread, &lock.effective).map_err(Error::system)
    });
    match found {
        Ok(values) => values
            .iter()
            .map(|value| proto::Warning {
                code: "CONFIG_LOCK_NOT_HONOURED".to_owned(),
                message: format!("this turn ran {}", otherwise(value)),
            })
            .collect(),
        Err(error) => {
            tracing::debug!(session = %session.id, %error, "cannot see what a turn ran with");
            Vec::new()
        }
    }
}

/// What a turn ran with, in words.
fn otherwise(value: &DriftedValue) -> String {
    let DriftedValue { key, locked, actual, origin: _ } = value;
    let nothing = || "nothing".to_owned();
    format!(
        "with {key} = {}, where {} was resolved",
        actual.clone().unwrap_or_else(nothing),
        locked.clone().unwrap_or_else(nothing)
    )
}
