//! The codex CLI: `codex exec --json`, one process for each turn.
//!
//! Where the binary is ([`binary`]), what it says about itself ([`probe`]), what
//! it is told by the operator ([`config`]) and by clients ([`options`]), as
//! [`settings`] and other arguments ([`command`]), what of its session's controls
//! a turn does not honour ([`unhonoured`]), its lines ([`parse`]), its last words
//! ([`stderr`]) and its own record of a thread ([`rollout`]).
//!
//! What it would run with is found out by [`resolve`]; turns that are held to a
//! config lock are compared with it by [`held`], and with what they [`chosen`];
//! [`directories`] says by which names directories are compared, [`untrusted`] what no
//! lock may have, [`locking`] is where all of that meets, and [`questions`] how often
//! that may be at once.

use std::{
    ffi::OsString,
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use crate::{
    agent::{
        CodexStatus, ConfigFile, Fallback, History, Launch, NotForgotten, Options, TurnRequest,
    },
    error::{Error, Result},
    lock::{DriftedValue, Effective},
    proto::Warning,
};

mod binary;
mod chosen;
mod command;
mod config;
mod directories;
mod held;
mod locking;
mod lost;
mod options;
pub(crate) mod parse;
mod probe;
mod questions;
mod resolve;
mod rollout;
mod settings;
mod stderr;
mod tree;
mod unhonoured;
mod untrusted;

use binary::Binary;
use command::Retries;
use config::AgentConfig;
pub(super) use options::{check as check_options, check_images};
use questions::Questions;
pub(crate) use stderr::last_error;

/// The longest prompt that codex takes; beyond it, it exits with status 1.
pub(super) const MAX_PROMPT_CHARACTERS: usize = 1_048_576;

/// What codex says when it is to resume a thread that it has not, or of which a
/// part is gone.
const LOST_THREAD: [&str; 2] = ["no rollout found for thread id", "missing source rollout"];

/// Whether turns can be started with this agent configuration.
pub(super) fn check_config(file: &ConfigFile) -> Result<(), String> {
    AgentConfig::read(file).map(drop).map_err(|error| error.to_string())
}

/// How codex is found and started, and what is known about it.
#[derive(Debug)]
pub(super) struct Codex {
    explicit: Option<PathBuf>,
    path_var: Option<OsString>,
    home: Option<PathBuf>,
    default_home: Option<PathBuf>,
    config: ConfigFile,
    unbounded_connection_retries: bool,
    /// The binary asked last. Held while one is asked, so that turns that start
    /// together do not all ask: a lock of the standard library, because callers
    /// may block.
    known: Mutex<Option<Known>>,
    questions: Questions,
}

/// What a binary said about itself.
#[derive(Debug, Clone)]
struct Known {
    file: FileIdentity,
    version: Option<String>,
    /// None until it was asked.
    can_bound_retries: Option<bool>,
}

/// What is to be known of a binary before it is started.
#[derive(Debug)]
struct Met {
    /// Empty where it does not say it.
    version: String,
    retries: Retries,
    warnings: Vec<Warning>,
}

/// What tells one content of a file from another, without reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct FileIdentity {
    path: PathBuf,
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
}

impl FileIdentity {
    fn read(path: &Path) -> io::Result<Self> {
        let metadata = fs::metadata(path)?;
        Ok(Self {
            path: path.to_owned(),
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
        })
    }
}

impl Codex {
    pub(super) fn new(options: Options) -> Self {
        let Options {
            codex: explicit,
            path_var,
            exe: _,
            codex_home: home,
            default_codex_home: default_home,
            codex_config: config,
            unbounded_connection_retries,
        } = options;
        Self {
            explicit,
            path_var,
            home,
            default_home,
            config,
            unbounded_connection_retries,
            known: Mutex::new(None),
            questions: Questions::default(),
        }
    }

    /// Says how to start a turn.
    pub(super) fn launch(&self, turn: &TurnRequest<'_>) -> Result<Launch> {
        let unavailable = |problem| Error::AgentUnavailable { problem };
        let config = AgentConfig::read(&self.config)?;
        options::check_files(turn.options, self.codex_home())?;
        check_images(turn.images)?;
        let binary = self.binary_of(turn).map_err(unavailable)?;
        let Met { version, retries, mut warnings } = self.meet(&binary).map_err(unavailable)?;
        warnings.extend(unhonoured::warnings(turn, &config, &self.config));
        let held = self.hold(turn, &binary, &version, retries, &config)?;
        let (held, notes) = held.map_or((None, Vec::new()), |(held, notes)| (Some(held), notes));
        warnings.extend(notes);
        let held = held.as_ref();
        let args = command::arguments(turn, retries, &config, held)?;
        let fallback = match turn.history {
            History::Resume(_) => {
                let anew = TurnRequest { history: History::New, ..*turn };
                let args = command::arguments(&anew, retries, &config, held)?;
                let stderr_contains = LOST_THREAD.map(str::to_owned).into();
                Some(Fallback { stderr_contains, args })
            }
            // A fork that has no history is not what was asked for.
            History::New | History::Fork(_) => None,
        };
        let Binary { program, env } = binary;
        Ok(Launch { program, args, env, version, warnings, fallback })
    }

    /// The binary of a turn, with all of the turn's environment.
    fn binary_of(&self, turn: &TurnRequest<'_>) -> Result<Binary, String> {
        let mut binary = self.resolve()?;
        let asked = turn.options.environment.iter();
        binary.env.extend(asked.map(|(name, value)| (name.into(), value.into())));
        Ok(binary)
    }

    /// Finds out what is to be known of a binary before it is started.
    fn meet(&self, binary: &Binary) -> Result<Met, String> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let known = self.ask_version(binary, &mut known)?;
        let mut warnings = Vec::new();
        if known.version.is_none() {
            warnings.push(Warning {
                code: "VERSION_UNKNOWN".to_owned(),
                message: format!(
                    "{} does not say its version as codex does; it is used all the same",
                    binary.program.display()
                ),
            });
        }
        let retries = self.retries(binary, known, &mut warnings);
        let version = known.version.clone().unwrap_or_default();
        Ok(Met { version, retries, warnings })
    }

    /// Which binary a turn would start.
    pub(super) fn status(&self) -> CodexStatus {
        let binary = match self.resolve() {
            Ok(binary) => binary,
            Err(problem) => {
                return CodexStatus { path: None, version: String::new(), problem: Some(problem) };
            }
        };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let (version, problem) = match self.ask_version(&binary, &mut known) {
            Ok(known) => (known.version.clone().unwrap_or_default(), None),
            Err(problem) => (String::new(), Some(problem)),
        };
        CodexStatus { path: Some(binary.program), version, problem }
    }

    /// Has codex delete a thread: its rollout, and what its databases have of it.
    /// It refuses where another thread was forked from it, which has no history
    /// without it, and in the same words where it has no such thread.
    pub(super) fn delete_thread(&self, thread: &str) -> Result<(), NotForgotten> {
        // Codex would take anything else for a name, and ask.
        if uuid::Uuid::try_parse(thread).is_err() {
            return Err(NotForgotten::Refused(format!("{thread:?} is no thread of codex")));
        }
        let binary = self.resolve().map_err(NotForgotten::NotAsked)?;
        probe::delete(&binary, thread)
    }

    /// Codex's own record of a thread.
    pub(super) fn rollout(&self, thread: &str) -> Option<PathBuf> {
        rollout::find(self.codex_home()?, thread)
    }

    /// Compares what the latest turn of a thread ran with, with what was resolved.
    pub(super) fn check_after(
        &self,
        thread: &str,
        resolved: &Effective,
    ) -> io::Result<Vec<DriftedValue>> {
        match self.rollout(thread) {
            Some(rollout) => rollout::after::differs(&rollout, resolved),
            None => Ok(Vec::new()),
        }
    }

    /// The home of codex, where that is known.
    fn codex_home(&self) -> Option<&Path> {
        self.home.as_deref().or(self.default_home.as_deref())
    }

    fn resolve(&self) -> Result<Binary, String> {
        let mut binary = binary::resolve(self.explicit.as_deref(), self.path_var.as_deref())?;
        if let Some(home) = &self.home {
            binary.env.push(("CODEX_HOME".into(), home.into()));
        }
        Ok(binary)
    }

    /// Makes sure that the version is known, if the binary says one. An answer
    /// holds until the file is another; a failure is not kept.
    fn ask_version<'a>(
        &self,
        binary: &Binary,
        known: &'a mut Option<Known>,
    ) -> Result<&'a mut Known, String> {
        let file = FileIdentity::read(&binary.program)
            .map_err(|error| format!("{}: {error}", binary.program.display()))?;
        if known.as_ref().is_none_or(|known| known.file != file) {
            let version = probe::version(binary)?;
            *known = Some(Known { file, version, can_bound_retries: None });
        }
        Ok(known.as_mut().expect("it was put there"))
    }

    /// Whether codex shall be told to end its attempts to reach its provider,
    /// and a warning where it cannot be told.
    fn retries(&self, binary: &Binary, known: &mut Known, warnings: &mut Vec<Warning>) -> Retries {
        if self.unbounded_connection_retries {
            return Retries::AsConfigured;
        }
        let supported = match known.can_bound_retries {
            Some(supported) => Ok(supported),
            None => probe::has_feature(binary, command::UNBOUNDED_RETRIES),
        };
        if let Ok(supported) = supported {
            known.can_bound_retries = Some(supported);
        }
        let problem = match supported {
            Ok(true) => return Retries::Bounded,
            Ok(false) => "has no such feature".to_owned(),
            Err(problem) => problem,
        };
        warnings.push(Warning {
            code: "FEATURE_UNSUPPORTED".to_owned(),
            message: format!(
                "cannot switch {} off, so this codex decides itself how long it tries to reach \
                 its provider: codex {} {problem}",
                command::UNBOUNDED_RETRIES,
                known.version.as_deref().unwrap_or("of unknown version"),
            ),
        });
        Retries::AsConfigured
    }
}

#[cfg(test)]
mod tests;
