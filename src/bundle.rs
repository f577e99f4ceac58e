//! Bundles: a session's directory as one file for a report of a bug, with a
//! manifest that says what is in it, and without what is secret.
//!
//! ```text
//!  sessions/<id>/  ──▶ contents ──▶ redact ──▶ FILE.tar.zst
//!                      (which)      (line by   switchboard-<id>/…
//!                                    line)     switchboard-<id>/manifest.json, the last
//! ```
//!
//! Called by the CLI, on the files of a home, whether or not a server runs on it.
//! Changes nothing there.
//!
//! The segments of the event log are not packed: nothing could be left out of them.
//! Their events are, as `events.jsonl`, in the form in which clients get them.

mod contents;
mod entry;
mod pack;
mod redact;
mod verify;

use std::{io, path::PathBuf};

use serde::{Deserialize, Serialize};

pub use self::{
    pack::{Packed, pack},
    redact::{Redactor, Rules},
    verify::{Difference, Verified, verify},
};
use crate::time::Timestamp;

/// The name of the manifest.
pub const MANIFEST: &str = "manifest.json";
/// What a manifest's `format` says.
const FORMAT: &str = "switchboard-bundle";
/// The version of the form that is written and read.
const VERSION: u32 = 1;

/// What is in a bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Always `switchboard-bundle`.
    pub format: String,
    /// The version of this form: 1.
    pub version: u32,
    /// When it was made.
    pub created: Timestamp,
    /// The version of the switchboard that made it.
    pub switchboard_version: String,
    /// The version of codex that ran in the latest turn; empty where nobody knows.
    pub codex_version: String,
    /// The whole id of the session.
    pub session_id: String,
    /// What is in it beside the manifest, by path.
    pub files: Vec<File>,
    /// How often something was left out, by the name of the rule.
    pub redactions: std::collections::BTreeMap<String, u64>,
    /// The files of the directory that are not in it, and why.
    pub left_out: Vec<LeftOut>,
}

/// One file of a bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// Its path in the bundle.
    pub path: String,
    /// Its size in the bundle, in bytes.
    pub size: u64,
    /// The SHA-256 of what is in the bundle, in hexadecimal.
    pub sha256: String,
    /// How often something was left out of it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub redacted: u64,
    /// Where it was cut, in bytes of the original: it grew while it was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cut_at: Option<u64>,
    /// What one should know about it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
}

/// A file that is not in a bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// Its path in the session's directory.
    pub path: String,
    /// Why.
    pub why: String,
}

/// Why there is no bundle, or nothing to say about one.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file cannot be used.
    #[error("cannot {action} {}: {source}", .path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// A rule is no regular expression.
    #[error("{text:?} is no regular expression: {problem}")]
    Pattern {
        /// What was given.
        text: String,
        /// What is wrong with it.
        problem: String,
    },
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

fn failed(action: &'static str, path: &std::path::Path) -> impl FnOnce(io::Error) -> Error {
    move |source| Error::Io { action, path: path.to_owned(), source }
}
