//! The controls and settings that were used last, in memory, so that reading
//! them asks neither the database nor its thread.
//!
//! # What always holds
//!
//! **What readers are given is never older than the last write that was
//! answered.** Three things keep it:
//!
//! - The writing thread puts what it has committed here, and takes away what it
//!   has deleted, before it answers: [`States::committed`], [`States::gone`].
//! - A [`Load`] that began before that puts nothing here afterwards: it may have
//!   read what was there before. Both end it.
//! - What is not committed is never given to readers.
//!
//! Whether a session is there, and is no system's, is part of that: what is here
//! is there, and what is not is asked for. So making a session needs no word,
//! and nothing is here of sessions that clients may not read.
//!
//! Beside what readers see, this keeps the latest map of a scope that was parsed
//! or written, whether or not that is committed: it stands for its text, byte by
//! byte, and for nothing else.
//!
//! All of it is bounded in bytes, and is memory alone: a start begins without.

#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    mem,
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::{controls::Read, rows};
use crate::{
    controls::{Scope, State},
    id::SessionId,
    settings::Settings,
};

/// About how many bytes all of it takes at most.
const MAX_BYTES: usize = 16 << 20;
/// What one takes beside its map.
const BYTES_EACH: usize = 512;
/// What a key takes beside its text and its value's.
const BYTES_A_KEY: usize = 128;

/// The scopes that were used last.
#[derive(Debug, Default)]
pub(super) struct States {
    /// Held to look up and to exchange only; never while SQLite works.
    recent: Mutex<Recent>,
}

/// Begun before a scope is read from the database, by whoever wants to put here
/// what it finds.
#[derive(Debug)]
pub(super) struct Load<'a> {
    states: &'a States,
    scope: Scope,
    number: u64,
}

#[derive(Debug, Default)]
struct Recent {
    /// Those that were used since `old` was made.
    young: HashMap<Scope, Known>,
    /// About what `young` takes.
    bytes: usize,
    /// Those that were used before; they go together.
    old: HashMap<Scope, Known>,
    /// The loads under way that nothing has overtaken.
    loads: Vec<(u64, Scope)>,
    /// How many loads there were.
    count: u64,
}

#[derive(Debug, Default)]
struct Known {
    /// What readers see; none where they have to ask.
    state: Option<State>,
    /// The latest map that was parsed or written.
    settings: Settings,
}

impl States {
    /// What a reader sees of a session, where one is named, and of new ones;
    /// `None` where the database has to be asked.
    pub(super) fn read(&self, session: Option<SessionId>) -> Option<Read> {
        let mut recent = self.recent();
        let defaults = recent.get(Scope::Default)?.state.clone()?;
        let session = match session {
            Some(id) => Some(recent.get(Scope::Session(id))?.state.clone()?),
            None => None,
        };
        Some(Read { session, defaults })
    }

    /// What a reader sees of one scope.
    pub(super) fn state(&self, scope: Scope) -> Option<State> {
        self.recent().get(scope)?.state.clone()
    }

    /// Begins to read a scope from the database.
    pub(super) fn load(&self, scope: Scope) -> Load<'_> {
        let mut recent = self.recent();
        recent.count += 1;
        let number = recent.count;
        recent.loads.push((number, scope));
        Load { states: self, scope, number }
    }

    /// Says that a write was committed, before it is answered: this is what there
    /// is, unless something later is here already.
    pub(super) fn committed(&self, scope: Scope, state: &State) {
        let mut recent = self.recent();
        recent.loads.retain(|(_, loaded)| *loaded != scope);
        // A load may have met the next write of the same commit. A revision that is
        // the same may have other controls.
        recent.show(scope, state, |known| state.revision >= known.revision);
    }

    /// Says that a scope was deleted, before that is answered.
    pub(super) fn gone(&self, scope: Scope) {
        let mut recent = self.recent();
        recent.loads.retain(|(_, loaded)| *loaded != scope);
        recent.take(scope);
    }

    /// The map that a text of a scope means.
    pub(super) fn parse(&self, scope: Scope, text: &str) -> rusqlite::Result<Settings> {
        if let Some(known) = self.recent().get(scope)
            && known.settings.as_text() == text
        {
            return Ok(known.settings.clone());
        }
        let settings = Settings::parse("settings", text);
        let settings = settings.map_err(|error| rows::damaged(7, error))?;
        self.remember(scope, &settings);
        Ok(settings)
    }

    /// Keeps a map that was written in mind, for when its text is read again.
    pub(super) fn remember(&self, scope: Scope, settings: &Settings) {
        let mut recent = self.recent();
        let state = recent.take(scope).and_then(|known| known.state);
        recent.put(scope, Known { state, settings: settings.clone() });
    }

    fn recent(&self) -> MutexGuard<'_, Recent> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Load<'_> {
    /// Puts here what was found, unless a write or a deletion was answered since,
    /// or may have been.
    pub(super) fn found(self, state: &State) {
        let mut recent = self.states.recent();
        if recent.loads.contains(&(self.number, self.scope)) {
            recent.show(self.scope, state, |known| state.revision > known.revision);
        }
    }
}

impl Drop for Load<'_> {
    fn drop(&mut self) {
        self.states.recent().loads.retain(|(number, _)| *number != self.number);
    }
}

impl Recent {
    fn get(&mut self, scope: Scope) -> Option<&Known> {
        if let Some(known) = self.old.remove(&scope) {
            self.put(scope, known);
        }
        // It is the first of the old ones, where putting it made them so.
        self.young.get(&scope).or_else(|| self.old.get(&scope))
    }

    /// Shows readers a state, where there is none or `is_later` than the one that
    /// there is.
    fn show(&mut self, scope: Scope, state: &State, is_later: impl FnOnce(&State) -> bool) {
        let known = self.take(scope).unwrap_or_default();
        let known = match known.state {
            Some(shown) if !is_later(&shown) => Known { state: Some(shown), ..known },
            Some(_) | None => {
                Known { state: Some(state.clone()), settings: state.settings.clone() }
            }
        };
        self.put(scope, known);
    }

    fn take(&mut self, scope: Scope) -> Option<Known> {
        if let Some(known) = self.young.remove(&scope) {
            self.bytes -= known.bytes();
            return Some(known);
        }
        self.old.remove(&scope)
    }

    fn put(&mut self, scope: Scope, known: Known) {
        self.bytes += known.bytes();
        // Nobody puts what is here: it was taken.
        self.young.insert(scope, known);
        if self.bytes > MAX_BYTES / 2 {
            self.bytes = 0;
            self.old = mem::take(&mut self.young);
        }
    }
}

impl Known {
    /// About what it takes. The two maps are one, but for the moment of a commit.
    fn bytes(&self) -> usize {
        let settings = &self.settings;
        BYTES_EACH + 2 * settings.as_text().len() + BYTES_A_KEY * settings.len()
    }
}
