//! The config locks of sessions: the one that a session is held to, those that
//! are written of what it runs with, and whether a turn ran with that.
//!
//! Called by `app` and by the owner of a session. Everything here blocks: files
//! are read and written, and codex is asked what it would run with.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::{
    Error, Result,
    agent::{Agents, Kind, Prompt, Resolved},
    config::LocksConfig,
    home::write_atomically,
    id::TurnNumber,
    lock::{CatalogueFields, DriftedValue, Lock, MadeOf},
    plain_file, proto,
    row::{Session, SessionLock},
    session::{directory::SessionDirectory, registry::storage_error, turn},
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
    let problem = match fs::read_to_string(path) {
        Ok(text) => return Ok(text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => "there is no such file".to_owned(),
        Err(error) => format!("cannot be read: {error}"),
    };
    Err(Error::ConfigLockInvalid {
        rule: "file",
        key: None,
        problem: format!("{}: {problem}", path.display()),
    })
}

/// The lock that a session is held to, if it has one.
///
/// # Errors
///
/// CONFIG_LOCK_INVALID where its file is gone or not what it was.
pub(crate) fn held_to(session: &Session, directory: &SessionDirectory) -> Result<Option<Lock>> {
    let Some(SessionLock { sha256, .. }) = &session.lock else { return Ok(None) };
    let path = directory.lock();
    // In the session's directory, and not where somebody named a file.
    let text = plain_file::read(&path, MAX_LOCK).and_then(|text| {
        String::from_utf8(text).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    });
    let text = text.map_err(|error| Error::ConfigLockInvalid {
        rule: "file",
        key: None,
        problem: if error.kind() == io::ErrorKind::NotFound {
            format!("{}: there is no such file", path.display())
        } else {
            format!("{}: cannot be read: {error}", path.display())
        },
    })?;
    if Lock::sha256(&text) != *sha256 {
        return Err(Error::ConfigLockInvalid {
            rule: "file",
            key: None,
            problem: format!(
                "{}: it was changed since the session was created with it; sha256 was {sha256}",
                path.display()
            ),
        });
    }
    Lock::parse(&text).map(Some)
}

/// Resolves what the session's next turn would run with, and writes it down.
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
    let prompt = Prompt::default();
    let number = TurnNumber(session.turn_count() + 1);
    let request = turn::request(session, lock.as_ref(), number, &prompt);
    if lock.is_some() {
        agents.check(&kind, &request)?;
    }
    let Resolved { effective, mut notes } = agents.resolve(&kind, &request, catalogue)?;
    if let Some(thread) = &session.thread_id {
        let ran = agents.check_after(&kind, thread, &effective).map_err(Error::system)?;
        notes.extend(ran.iter().map(|value| format!("The latest turn ran {}.", otherwise(value))));
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
        fs::create_dir_all(parent).map_err(|error| storage_error(error, parent))?;
    }
    write_atomically(&path, text.as_bytes()).map_err(|error| storage_error(error, &path))?;
    Ok(Exported { text, path, notes })
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
        Ok(Exported { path, .. }) => {
            tracing::info!(session = %session.id, path = %path.display(), "wrote a config lock");
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
