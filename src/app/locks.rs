//! Config locks: what sessions run with, written down, and compared.

use std::{path::PathBuf, sync::Arc};

use crate::{
    Error, Result,
    agent::{self, Compared, Kind},
    app::{
        App,
        create::{NewSession, Planned},
    },
    controls::Controls,
    id::{SessionId, TurnNumber},
    lock::{CatalogueFields, Lock, MAX_BYTES},
    proto::{FilesystemSandbox, NetworkAccess},
    row::SessionLock,
    session::{
        actor::blocking,
        locking::{self, Exported},
        turn,
    },
};

/// A config lock that a client gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewLock {
    /// Its text.
    pub text: String,
    /// Whether another version of codex may run it.
    pub any_version: bool,
}

/// What is compared with a lock.
#[derive(Debug)]
pub enum Verified {
    /// The next turn of a session.
    Session(SessionId),
    /// A new session.
    New(Box<NewSession>),
}

/// How something compares with a lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// What differs, and what there is to know.
    pub compared: Compared,
    /// The version of codex that the lock was made with.
    pub locked_codex_version: String,
    /// The directory that was looked at.
    pub working_directory: PathBuf,
}

/// A config lock as it was written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrittenLock {
    /// Its text.
    pub text: String,
    /// The file that has it too.
    pub path: PathBuf,
    /// The SHA-256 of the text, in hexadecimal.
    pub sha256: String,
    /// What one should know about it, each a whole sentence.
    pub notes: Vec<String>,
}

impl App {
    /// Writes down what a session's next turn would run with.
    ///
    /// # Errors
    ///
    /// As `ConfigLockService.ExportConfigLock` lists.
    pub async fn export_lock(
        &self,
        id: SessionId,
        catalogue: Option<CatalogueFields>,
    ) -> Result<WrittenLock> {
        let session = self.sessions.session(id).await?;
        let (agents, directory) = (self.agents().clone(), self.sessions.directory(id));
        let locks = Arc::clone(self.sessions.locks());
        let exported = blocking(move || {
            agent::check_working_directory(&session.working_directory)?;
            let catalogue = catalogue.unwrap_or(locks.catalogue);
            locking::export(&agents, &session, &directory, &locks, catalogue)
        });
        let Exported { text, path, notes } = exported.await??;
        let sha256 = Lock::sha256(&text);
        Ok(WrittenLock { text, path, sha256, notes })
    }

    /// Compares a lock with what would run; without one, the session's own.
    ///
    /// # Errors
    ///
    /// As `ConfigLockService.VerifyConfigLock` lists; what differs is none.
    pub async fn verify_lock(&self, what: Verified, lock: Option<NewLock>) -> Result<Verdict> {
        let mut given = lock;
        let (mut session, planned) = match what {
            Verified::Session(id) => (self.sessions.session(id).await?, None),
            Verified::New(_) if given.is_none() => return Err(no_lock()),
            Verified::New(new) => {
                let new = NewSession { lock: given.take(), ..*new };
                let Planned { mut session, lock, chosen, .. } = self.plan(new, None).await?;
                session.controls = chosen.unwrap_or(session.controls);
                (session, lock.map(|(_, lock)| lock))
            }
        };
        let (agents, directory) = (self.agents().clone(), self.sessions.directory(session.id));
        let is_new = planned.is_some();
        blocking(move || {
            let lock = match (planned, given) {
                (Some(planned), _) => planned,
                (None, Some(given)) => {
                    let parsed = parse(&given.text)?;
                    session.lock = Some(of(&given.text, &parsed, given.any_version));
                    parsed
                }
                (None, None) => locking::held_to(&session, &directory)?.ok_or_else(no_lock)?,
            };
            // As a lock of it is written, where there is something to be as.
            let prompt = match is_new {
                true => agent::Prompt::default(),
                false => locking::as_latest(&session, &directory)?,
            };
            agent::check_working_directory(&session.working_directory)?;
            let kind = Kind::parse(&session.agent)?;
            let number = TurnNumber(session.turn_count() + 1);
            let request = turn::request(&session, Some(&lock), number, &prompt);
            let compared = agents.compare(&kind, &request)?;
            let locked_codex_version = lock.effective.codex_version.clone();
            let working_directory = session.working_directory;
            Ok(Verdict { compared, locked_codex_version, working_directory })
        })
        .await?
    }

    /// The lock of a new session: its own, or else the one that the server is
    /// configured with for all of codex.
    pub(super) async fn lock_for(
        &self,
        kind: &Kind,
        own: Option<NewLock>,
    ) -> Result<Option<(NewLock, Lock)>> {
        let is_codex = matches!(kind, Kind::Codex);
        if own.is_some() && !is_codex {
            return Err(Error::invalid(
                "config_lock",
                "only codex has a configuration that can be locked",
            ));
        }
        let locks = Arc::clone(self.sessions.locks());
        let configured = locks.load_path.clone().filter(|_| is_codex);
        if own.is_none() && configured.is_none() {
            return Ok(None);
        }
        blocking(move || {
            let lock = match (own, configured) {
                (Some(own), _) => own,
                (None, Some(path)) => {
                    NewLock { text: locking::read_file(&path)?, any_version: locks.any_version }
                }
                (None, None) => return Ok(None),
            };
            let parsed = parse(&lock.text)?;
            Ok(Some((lock, parsed)))
        })
        .await?
    }
}

/// That there is nothing to compare with.
fn no_lock() -> Error {
    Error::invalid("config_lock", "is empty, and the session has none; give one")
}

/// Reads what a client gives.
fn parse(text: &str) -> Result<Lock> {
    if text.len() > MAX_BYTES {
        return Err(Error::PayloadTooLarge {
            what: "the config lock",
            size: text.len() as u64,
            limit: MAX_BYTES as u64,
            unit: "bytes",
        });
    }
    Lock::parse(text)
}

/// What a session keeps of its lock.
pub(super) fn of(text: &str, lock: &Lock, any_version: bool) -> SessionLock {
    SessionLock {
        sha256: Lock::sha256(text),
        codex_version: lock.effective.codex_version.clone(),
        any_version,
    }
}

/// Lets a new session be what the lock has, where it chooses nothing itself.
pub(super) fn adopt(directory: &mut PathBuf, controls: &mut Controls, lock: &Lock) {
    let effective = &lock.effective;
    if let (true, Some(locked)) = (directory.as_os_str().is_empty(), &effective.working_directory) {
        directory.clone_from(locked);
    }
    let text = |key: &str| effective.config.get(key).and_then(|value| value.as_str());
    let network = effective
        .config
        .get("sandbox_workspace_write")
        .and_then(|table| table.get("network_access")?.as_bool());
    let locked = Controls {
        model: text("model").map(ToOwned::to_owned),
        sandbox: match text("sandbox_mode") {
            Some("read-only") => FilesystemSandbox::ReadOnly,
            Some("workspace-write") => FilesystemSandbox::WorkspaceWrite,
            Some("danger-full-access") => FilesystemSandbox::DangerFullAccess,
            // What codex does not know it refuses itself.
            Some(_) | None => FilesystemSandbox::Unspecified,
        },
        network: match network {
            Some(true) => NetworkAccess::Enabled,
            Some(false) => NetworkAccess::Restricted,
            None => NetworkAccess::Unspecified,
        },
        ..Controls::default()
    };
    *controls = controls.clone().over(&locked);
}
