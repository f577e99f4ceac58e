//! Config locks: what a session's agent ran with, as a file, so that the run can
//! be made again.
//!
//! A leaf: the form of the file, what of two configurations differs, and what a
//! lock may not hold. What codex really uses is resolved by `agent`, which makes
//! locks and compares them.

use std::{collections::BTreeMap, path::PathBuf, time::SystemTime};

use sha2::{Digest as _, Sha256};
use toml::Table;

use crate::{Error, Result, audit::hex};

mod diff;
mod drift;
mod form;
mod round_trip;
pub mod secrets;
#[cfg(test)]
mod tests;
mod words;

pub use drift::drift;

/// The version of the form that is written and read.
pub const VERSION: i64 = 1;

/// The most bytes of a lock.
pub const MAX_BYTES: usize = 1 << 20;

/// A lock, as its file has it.
#[derive(Debug, Clone, PartialEq)]
pub struct Lock {
    /// What it was made of.
    pub made_of: MadeOf,
    /// What codex is held to.
    pub effective: Effective,
}

/// What a lock was made of; it tells people, and is compared with nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MadeOf {
    /// The version of switchboard; none in locks of codex itself.
    pub switchboard_version: Option<String>,
    /// The session.
    pub session_id: Option<String>,
    /// Its thread, where it had one.
    pub thread_id: Option<String>,
    /// When.
    pub time: Option<SystemTime>,
}

/// What codex runs with, whatever said so.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Effective {
    /// The version of codex.
    pub codex_version: String,
    /// Where it works; none in locks of codex itself.
    pub working_directory: Option<PathBuf>,
    /// Its configuration in canonical names: what it takes by `-c`, and nothing
    /// that depends on the machine.
    pub config: Table,
    /// The SHA-256 of what the catalogue says of its model and the configuration does
    /// not, in hexadecimal; none where the catalogue may change.
    pub model_catalog_sha256: Option<String>,
    /// The SHA-256 of each file of instructions that it reads, in hexadecimal.
    pub instructions: BTreeMap<String, String>,
}

/// Whether what only the catalogue of models says is a part of a lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CatalogueFields {
    /// It is, and stays as it was.
    Saved,
    /// It is left out, and may change.
    LeftOut,
}

/// What of a lock is not as it would be used.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Drift {
    /// Value by value, in the order of their keys.
    pub values: Vec<DriftedValue>,
    /// The same for people: a unified diff of TOML, with a line feed at its end.
    pub diff: String,
}

/// One value that is not as a lock has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DriftedValue {
    /// Its key, dotted, as `config.model` or `codex_version`.
    pub key: String,
    /// What the lock has, as TOML on one line; none for nothing.
    pub locked: Option<String>,
    /// What would be used, as TOML on one line; none for nothing.
    pub actual: Option<String>,
    /// Where that comes from, in words: a field of the request or of the controls,
    /// a file, or codex itself.
    pub origin: String,
}

impl Lock {
    /// Reads a lock, of ours or of codex itself.
    ///
    /// # Errors
    ///
    /// [`Error::ConfigLockInvalid`] with one of the rules `toml`, `version`,
    /// `unknown_field`, `missing_field`, `type`, `size`, `secret`.
    pub fn parse(text: &str) -> Result<Self> {
        form::parse(text)
    }

    /// Writes it as [`Lock::parse`] reads it: the same lock is the same text.
    ///
    /// # Errors
    ///
    /// [`Error::ConfigLockInvalid`] with one of the rules `round_trip`, `secret`,
    /// `size`, and the key; or as [`Lock::parse`], where that would not read it.
    pub fn to_toml(&self) -> Result<String> {
        form::write(self)
    }

    /// The SHA-256 of its text, in hexadecimal.
    #[must_use]
    pub fn sha256(text: &str) -> String {
        hex(&Sha256::digest(text).into())
    }

    /// As [`Effective::lacks`].
    #[must_use]
    pub fn lacks(&self) -> Vec<&'static str> {
        self.effective.lacks()
    }

    /// Takes what it [`lacks`](Lock::lacks) from what would be used, so that it
    /// holds from then on, and says what that was.
    pub fn fill(&mut self, from: &Effective) -> Vec<&'static str> {
        let lacks = self.lacks();
        self.effective.fill(from);
        lacks
    }
}

/// The settings that codex's own locks never had.
const LEFT_OUT_BY_CODEX: [(&str, &str); 4] = [
    ("sandbox_mode", "config.sandbox_mode"),
    ("sandbox_workspace_write", "config.sandbox_workspace_write"),
    ("default_permissions", "config.default_permissions"),
    ("permissions", "config.permissions"),
];

impl Effective {
    /// The keys that it says nothing of because codex itself made it; none where
    /// we did. [`drift()`] does not compare them.
    #[must_use]
    pub fn lacks(&self) -> Vec<&'static str> {
        if self.working_directory.is_some() {
            return Vec::new();
        }
        let settings = LEFT_OUT_BY_CODEX.iter().filter(|(key, _)| !self.config.contains_key(*key));
        let mut lacks: Vec<_> = settings.map(|(_, key)| *key).collect();
        lacks.extend(self.instructions.is_empty().then_some("instructions"));
        lacks.push("working_directory");
        lacks
    }

    /// Takes what it lacks from another.
    fn fill(&mut self, from: &Self) {
        if self.working_directory.is_some() {
            return;
        }
        self.working_directory.clone_from(&from.working_directory);
        for (key, _) in LEFT_OUT_BY_CODEX {
            if let (false, Some(value)) = (self.config.contains_key(key), from.config.get(key)) {
                self.config.insert(key.to_owned(), value.clone());
            }
        }
        if self.instructions.is_empty() {
            self.instructions.clone_from(&from.instructions);
        }
    }
}

/// A lock of no use.
fn invalid(rule: &'static str, key: Option<&str>, problem: impl Into<String>) -> Error {
    Error::ConfigLockInvalid { rule, key: key.map(str::to_owned), problem: problem.into() }
}
