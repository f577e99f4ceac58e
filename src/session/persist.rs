//! What is kept of a session to understand it later, where that is asked:
//!
//! ```text
//! sessions/<session_id>/
//!   rollout-<thread_id>.jsonl   a link to codex's own rollout, or a copy of it
//!   session.log                 the server's log about it (`debug_log`)
//!   session_oai_raw.log         what went to the model and came from it
//!   session_meta.log            what was asked of it, and what became of that
//!   trace/turn_<n>/             codex's own trace, until it is in the raw log
//! ```
//!
//! The session's owner has a [`Keeper`] for it. Nothing of a turn depends on what is
//! kept: what cannot be is a [`Keeper::problem`], and the turn goes on. Whatever
//! takes long is done on blocking threads that the owner does not wait for, and is
//! made up for when the session is loaded the next time.

mod meta;
mod raw;
mod rollout;

use std::{
    collections::BTreeSet,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

pub(crate) use self::meta::Note;
use self::rollout::Rollout;
use crate::{
    agent::{self, Agents},
    config::PersistConfig,
    debug_log::{self, Open, SessionLogs},
    id::TurnNumber,
    proto,
    row::Session,
    session::directory::SessionDirectory,
};

/// The variable by which codex is told where its trace goes.
const TRACE_ROOT: &str = "CODEX_ROLLOUT_TRACE_ROOT";

/// How many notes wait at most: a disk that takes none is not to fill the memory.
const MAX_NOTES: usize = 4_096;

/// Keeps what one needs to understand a session later.
#[derive(Debug)]
pub(crate) struct Keeper {
    place: Arc<Place>,
    log: Open,
    /// The latest turn of which was said that not all of it is kept.
    warned: Option<u32>,
}

/// Where it is kept, for the threads that write there.
#[derive(Debug)]
pub(crate) struct Place {
    directory: PathBuf,
    agents: Agents,
    kind: Option<agent::Kind>,
    rollout: Mutex<Rollout>,
    /// The turn that runs, whose trace is not complete. Held while directories of
    /// traces come and are looked for, so that none of a turn that begins is taken.
    running: Mutex<Option<TurnNumber>>,
    /// The turns whose traces are in the raw log. Held while one goes there.
    converted: Mutex<BTreeSet<u32>>,
    /// What is to be written down, in its order.
    notes: Mutex<Notes>,
    /// Held while it is.
    writing: Mutex<()>,
    /// What could not be kept, until it is told.
    problems: Mutex<Vec<String>>,
}

/// What waits to be written down.
#[derive(Debug, Default)]
struct Notes {
    waiting: Vec<Note>,
    /// How many threads are on their way to write it.
    writers: u32,
}

impl Keeper {
    /// Begins to keep what belongs to a session, and opens the log about it.
    pub(crate) fn open(
        session: &Session,
        directory: &SessionDirectory,
        agents: &Agents,
        persist: &PersistConfig,
        logs: &SessionLogs,
    ) -> Self {
        let directory = directory.path().to_owned();
        // An absolute path is that of one file for all sessions.
        let whose = match persist.debug_log.is_absolute() {
            true => debug_log::Place::Named,
            false => debug_log::Place::Session,
        };
        let log = logs.open(session.id, directory.join(&persist.debug_log), whose);
        let place = Place {
            directory,
            agents: agents.clone(),
            kind: agent::Kind::parse(&session.agent).ok(),
            rollout: Mutex::default(),
            running: Mutex::default(),
            converted: Mutex::default(),
            notes: Mutex::default(),
            writing: Mutex::default(),
            problems: Mutex::default(),
        };
        Self { place: Arc::new(place), log, warned: None }
    }

    /// Where it is kept.
    pub(crate) fn place(&self) -> Arc<Place> {
        Arc::clone(&self.place)
    }

    /// What could not be kept of the latest turn, which is `turn`, to be said once.
    pub(crate) fn problem(&mut self, turn: u32) -> Option<proto::Warning> {
        let mut problems = std::mem::take(&mut *lock(&self.place.problems));
        problems.extend(self.log.problem());
        if problems.is_empty() || self.warned == Some(turn) {
            return None;
        }
        self.warned = Some(turn);
        problems.sort_unstable();
        problems.dedup();
        Some(proto::Warning {
            code: "PERSIST_FAILED".to_owned(),
            message: format!(
                "not all is kept that is needed to understand the session later: {}",
                problems.join("; ")
            ),
        })
    }
}

impl Place {
    /// Takes what was asked of the session, and what became of it, to be written
    /// down in this order. Says whether [`write_notes`](Self::write_notes) is to be
    /// called for it: where threads wait for a disk, no more of them do.
    pub(crate) fn note(&self, notes: Vec<Note>) -> bool {
        let mut all = lock(&self.notes);
        if all.waiting.len() + notes.len() > MAX_NOTES {
            drop(all);
            self.fail(format!("{}: it is written too slowly", meta::NAME));
            return false;
        }
        all.waiting.extend(notes);
        // One that writes may have taken what it writes before this came.
        let is_needed = all.writers < 2;
        all.writers += u32::from(is_needed);
        is_needed
    }

    /// Writes down all that was noted. Blocks.
    pub(crate) fn write_notes(&self) {
        let _one_at_a_time = lock(&self.writing);
        let path = self.directory.join(meta::NAME);
        loop {
            let notes = {
                let mut all = lock(&self.notes);
                if all.waiting.is_empty() {
                    all.writers -= 1;
                    return;
                }
                std::mem::take(&mut all.waiting)
            };
            if let Err(error) = meta::append(&path, &notes) {
                self.failed(&path, &error);
            }
        }
    }

    /// Has codex trace a turn: what is to be in its environment, beside `env`. Blocks.
    pub(crate) fn trace(
        &self,
        turn: TurnNumber,
        env: &[(std::ffi::OsString, std::ffi::OsString)],
    ) -> Option<(String, String)> {
        match self.kind {
            Some(agent::Kind::Codex) => {}
            Some(agent::Kind::Replay(_)) | None => return None,
        }
        if env.iter().any(|(name, _)| name == TRACE_ROOT) {
            self.fail(format!(
                "what goes to the model is not in {}: the environment of the session names another place for it, {TRACE_ROOT}",
                raw::NAME
            ));
            return None;
        }
        let mut running = lock(&self.running);
        *running = Some(turn);
        match raw::prepare(&self.directory, turn) {
            Ok(path) => path.to_str().map(|path| (TRACE_ROOT.to_owned(), path.to_owned())),
            Err(error) => {
                self.failed(&self.directory.join(raw::TRACES), &error);
                None
            }
        }
    }

    /// Links the rollout of a thread in, if it is there and was not linked yet.
    /// Blocks.
    pub(crate) fn link_rollout(&self, thread: &str) {
        let Some(kind) = &self.kind else { return };
        let mut rollout = lock(&self.rollout);
        if let Err((path, error)) =
            rollout.link(&self.directory, thread, || self.agents.rollout(kind, thread))
        {
            self.failed(&path, &error);
        }
    }

    /// Whether a rollout is still to be linked in, and it is time to try it.
    pub(crate) fn rollout_is_due(&self, thread: &str) -> bool {
        // Where it is being tried, it need not be tried once more.
        self.rollout.try_lock().is_ok_and(|mut rollout| rollout.is_due(thread))
    }

    /// Says which turn runs.
    pub(crate) fn runs(&self, turn: Option<TurnNumber>) {
        *lock(&self.running) = turn;
    }

    /// Finishes what belongs to turns that came to their end. Blocks, as long as it
    /// takes.
    pub(crate) fn finish(&self, thread: Option<&str>) {
        if let Some(thread) = thread {
            // Whatever runs now: a copy is made anew.
            lock(&self.rollout).look_again();
            self.link_rollout(thread);
        }
        let mut converted = lock(&self.converted);
        if let Err(error) = self.convert(&mut converted) {
            self.failed(&self.directory.join(raw::NAME), &error);
        }
    }

    fn convert(&self, converted: &mut BTreeSet<u32>) -> io::Result<()> {
        let waiting = {
            let running = lock(&self.running);
            raw::waiting(&self.directory, *running)?
        };
        let mut result = Ok(());
        for turn in waiting {
            if converted.contains(&turn) {
                // None of codex's, which ended. It would take the place of what is there.
                self.fail(format!("{}/turn_{turn}: somebody put one there again", raw::TRACES));
                if let Err(error) = raw::discard(&self.directory, turn) {
                    result = Err(error);
                }
                continue;
            }
            match raw::convert(&self.directory, turn) {
                Ok(0) if self.note(vec![Note::no_trace(TurnNumber(turn))]) => self.write_notes(),
                Ok(0) => {}
                Ok(_) => drop(converted.insert(turn)),
                // The others are not kept from theirs.
                Err(error) => result = Err(error),
            }
        }
        let _nothing_comes = lock(&self.running);
        raw::tidy(&self.directory);
        result
    }

    /// Whether something could not be kept that was not told yet.
    pub(crate) fn has_problems(&self) -> bool {
        !lock(&self.problems).is_empty()
    }

    fn failed(&self, path: &Path, error: &io::Error) {
        let name = path.strip_prefix(&self.directory).unwrap_or(path);
        self.fail(format!("{}: {error}", name.display()));
    }

    fn fail(&self, problem: String) {
        let mut problems = lock(&self.problems);
        if !problems.contains(&problem) {
            problems.push(problem);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
