//! Config locks: what a session's agent ran with, as a file, so that the run can
//! be made again.
//!
//! A leaf: the form of the file, what of two configurations differs, and what a
//! lock may not hold. What codex really uses is resolved by [`crate::agent`].

use std::{collections::BTreeMap, path::PathBuf, time::SystemTime};

use toml::Table;

use crate::{Error, Result};

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
    pub fn parse(_text: &str) -> Result<Self> {
        Err(Error::Unimplemented { what: "locks".to_owned() })
    }

    /// Writes it as [`Lock::parse`] reads it.
    ///
    /// # Errors
    ///
    /// [`Error::ConfigLockInvalid`] with one of the rules `round_trip`, `secret`,
    /// `size`, and the key.
    pub fn to_toml(&self) -> Result<String> {
        Err(Error::Unimplemented { what: "locks".to_owned() })
    }

    /// The SHA-256 of its text, in hexadecimal.
    #[must_use]
    pub fn sha256(_text: &str) -> String {
        String::new()
    }
}

/// What differs; `origin` says where an actual value comes from, by its key.
#[must_use]
pub fn drift(_locked: &Effective, _actual: &Effective, _origin: impl Fn(&str) -> String) -> Drift {
    Drift::default()
}
