//! What agents are asked for config locks: what a turn would run with, whether that is
//! what its lock has, and what it did run with.

use std::{collections::BTreeSet, io, path::PathBuf};

use super::{Agents, Kind, TurnRequest};
use crate::{
    error::{Error, Result},
    lock::{CatalogueFields, Drift, DriftedValue, Effective},
};

/// What a turn would run with.
#[derive(Debug, Clone, PartialEq)]
pub struct Resolved {
    /// The configuration.
    pub effective: Effective,
    /// The files that say it, in the order of their names.
    pub files: BTreeSet<PathBuf>,
    /// What one should know about it, each a whole sentence.
    pub notes: Vec<String>,
}

/// What a turn would run with, beside its lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compared {
    /// What differs; the version of codex too, where another is not allowed.
    pub drift: Drift,
    /// The version of the binary.
    pub codex_version: String,
    /// What one should know about the comparison, each a whole sentence.
    pub notes: Vec<String>,
}

impl Agents {
    /// Finds out what a turn would run with, which needs no turn and no model: the
    /// agent is asked. With a lock, the turn runs with that.
    ///
    /// Blocks: a codex is started for it, for at most thirty seconds.
    ///
    /// # Errors
    ///
    /// As [`Agents::launch`], and [`Error::InvalidArgument`] for an agent that is
    /// not codex.
    pub fn resolve(
        &self,
        kind: &Kind,
        turn: &TurnRequest<'_>,
        catalogue: CatalogueFields,
    ) -> Result<Resolved> {
        match kind {
            Kind::Codex => self.codex.resolve_config(turn, catalogue),
            Kind::Replay(_) => Err(not_codex()),
        }
    }

    /// Compares what a turn would run with, with the lock that it has.
    ///
    /// Blocks as [`Agents::resolve`] does.
    ///
    /// # Errors
    ///
    /// As [`Agents::resolve`]; what differs is no error.
    pub fn compare(&self, kind: &Kind, turn: &TurnRequest<'_>) -> Result<Compared> {
        match kind {
            Kind::Codex => self.codex.compare_with_lock(turn),
            Kind::Replay(_) => Err(not_codex()),
        }
    }

    /// Whether a turn would run with what its lock has.
    ///
    /// Blocks as [`Agents::resolve`] does.
    ///
    /// # Errors
    ///
    /// As [`Agents::resolve`], [`Error::CodexVersionMismatch`] and
    /// [`Error::ConfigLockDrift`].
    pub fn check(&self, kind: &Kind, turn: &TurnRequest<'_>) -> Result<()> {
        let Compared { drift, codex_version, notes: _ } = self.compare(kind, turn)?;
        if let Some((lock, false)) = turn.lock
            && lock.effective.codex_version != codex_version
        {
            let locked = lock.effective.codex_version.clone();
            return Err(Error::CodexVersionMismatch { locked, actual: codex_version });
        }
        if drift.values.is_empty() {
            return Ok(());
        }
        Err(Error::ConfigLockDrift { drift: Box::new(drift) })
    }

    /// Compares what the latest turn of a thread ran with, as the agent recorded it,
    /// with what was resolved: `locked` is that, `actual` what it ran with.
    ///
    /// Blocks: the end of a file is read.
    ///
    /// # Errors
    ///
    /// Those of the file system; a thread without a record is none, and nothing
    /// differs then.
    pub fn check_after(
        &self,
        kind: &Kind,
        thread: &str,
        resolved: &Effective,
    ) -> io::Result<Vec<DriftedValue>> {
        match kind {
            Kind::Codex => self.codex.check_after(thread, resolved),
            Kind::Replay(_) => Ok(Vec::new()),
        }
    }
}

fn not_codex() -> Error {
    Error::invalid("session.agent", "only codex has a configuration that can be locked")
}
