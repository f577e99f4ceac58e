//! Agents: what to start for a turn, and what their lines mean.
//!
//! This is the port between sessions and the programs that do the work. It
//! says which program with which arguments and environment makes a turn, and
//! turns a line of its output into an event. It starts nothing itself but the
//! short questions that a binary must answer about itself; turns are started
//! by a supervisor. What only one kind of agent knows stays in its own module.

use std::{
    collections::BTreeSet,
    ffi::OsString,
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustix::fs::{Access, access};
use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, Result},
    id::{SessionId, TurnNumber},
    lock::{CatalogueFields, Drift, DriftedValue, Effective, Lock},
    proto,
};

pub(crate) mod codex;
pub(crate) mod file;
pub mod lines;

/// The largest prompt in bytes, whatever the agent.
pub const MAX_PROMPT_BYTES: usize = 4 * 1024 * 1024;

/// A kind of agent, as a session names it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The codex CLI. On the wire `codex`.
    Codex,
    /// Prints a recorded transcript, with its pauses. On the wire `replay:FILE`.
    Replay(PathBuf),
}

impl Kind {
    /// Reads a session's field `agent`.
    ///
    /// # Errors
    ///
    /// [`Error::AgentNotFound`] where there is no such kind, and
    /// [`Error::InvalidArgument`] where the file to replay is not an absolute
    /// path. Whether the file is there is asked when a turn starts.
    pub fn parse(text: &str) -> Result<Self> {
        if text == "codex" {
            return Ok(Self::Codex);
        }
        match text.strip_prefix("replay:").map(Path::new) {
            Some(file) if file.is_absolute() => Ok(Self::Replay(file.to_owned())),
            Some(_) => Err(Error::invalid(
                "session.agent",
                format!("{text:?}: expected replay: and the absolute path of a transcript"),
            )),
            None => Err(Error::AgentNotFound {
                agent: text.to_owned(),
                problem: "there is no such kind; there are \"codex\" and \"replay:FILE\""
                    .to_owned(),
            }),
        }
    }

    /// What a prompt for this kind is bounded by.
    #[must_use]
    pub fn prompt_limits(&self) -> PromptLimits {
        let max_characters = match self {
            Self::Codex => Some(codex::MAX_PROMPT_CHARACTERS),
            Self::Replay(_) => None,
        };
        PromptLimits { max_bytes: MAX_PROMPT_BYTES, max_characters }
    }

    /// Whether a prompt can be given to this kind.
    ///
    /// Blocks where the prompt has images: it looks whether they are there.
    ///
    /// # Errors
    ///
    /// [`Error::PayloadTooLarge`] beyond [`Kind::prompt_limits`], and
    /// [`Error::InvalidArgument`] for an empty prompt and for images that cannot
    /// be given. White space alone is empty to codex, which ends with an error
    /// when it is given nothing else.
    pub fn check_prompt(&self, prompt: &Prompt) -> Result<()> {
        self.check_images(&prompt.images)?;
        self.check_effort(prompt.effort)?;
        let prompt = prompt.text.as_str();
        let PromptLimits { max_bytes, max_characters } = self.prompt_limits();
        let too_large = |size: usize, limit: usize, unit| Error::PayloadTooLarge {
            what: "the prompt",
            size: size as u64,
            limit: limit as u64,
            unit,
        };
        if prompt.len() > max_bytes {
            return Err(too_large(prompt.len(), max_bytes, "bytes"));
        }
        // Characters are never more than bytes, so that most need no count.
        if let Some(limit) = max_characters.filter(|&limit| prompt.len() > limit) {
            let size = prompt.chars().count();
            if size > limit {
                return Err(too_large(size, limit, "characters"));
            }
        }
        let is_empty = match self {
            Self::Codex => prompt.trim().is_empty(),
            Self::Replay(_) => prompt.is_empty(),
        };
        if is_empty {
            return Err(Error::invalid("prompt", "is empty; say what the agent shall do"));
        }
        Ok(())
    }

    /// Whether a session of this kind may have these options.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`].
    pub fn check_options(&self, options: &proto::CodexOptions) -> Result<()> {
        match self {
            Self::Codex => codex::check_options(options),
            Self::Replay(_) if *options == proto::CodexOptions::default() => Ok(()),
            Self::Replay(_) => Err(Error::invalid(
                "session.codex_options",
                "a transcript is replayed as it is; leave them out, or use the agent codex",
            )),
        }
    }

    fn check_effort(&self, effort: Option<Effort>) -> Result<()> {
        match (self, effort) {
            (Self::Codex, _) | (Self::Replay(_), None) => Ok(()),
            (Self::Replay(_), Some(_)) => {
                Err(Error::invalid("effort", "a transcript is replayed without"))
            }
        }
    }

    fn check_images(&self, images: &[PathBuf]) -> Result<()> {
        match self {
            Self::Codex => codex::check_images(images),
            Self::Replay(_) if images.is_empty() => Ok(()),
            Self::Replay(_) => Err(Error::invalid("images", "a transcript is replayed without")),
        }
    }
}

/// What an agent is asked to do in one turn.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Prompt {
    /// In words.
    pub text: String,
    /// The absolute paths of images that belong to them.
    pub images: Vec<PathBuf>,
    /// How hard the agent shall think in this turn; none for its own default.
    pub effort: Option<Effort>,
}

/// How hard a model thinks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Effort {
    /// `none`
    None,
    /// `minimal`
    Minimal,
    /// `low`
    Low,
    /// `medium`
    Medium,
    /// `high`
    High,
    /// `xhigh`
    Xhigh,
}

impl Effort {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::None, Self::Minimal, Self::Low, Self::Medium, Self::High, Self::Xhigh];

    /// Its name, which is also what codex calls it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Minimal => "minimal",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Xhigh => "xhigh",
        }
    }
}

impl From<&str> for Prompt {
    fn from(text: &str) -> Self {
        Self { text: text.to_owned(), ..Self::default() }
    }
}

impl fmt::Display for Kind {
    /// Writes what [`Kind::parse`] reads.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Codex => f.write_str("codex"),
            Self::Replay(file) => write!(f, "replay:{}", file.display()),
        }
    }
}

/// What a prompt is bounded by, beside that it must not be empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PromptLimits {
    /// The most bytes.
    pub max_bytes: usize,
    /// The most characters, where the agent has a bound of its own.
    pub max_characters: Option<usize>,
}

/// One turn, as far as its agent's command line depends on it. The prompt comes
/// by standard input.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TurnRequest<'a> {
    /// The session.
    pub session: SessionId,
    /// The turn's number.
    pub turn: TurnNumber,
    /// Where the agent works: an absolute path.
    pub working_directory: &'a Path,
    /// The model; none for the agent's own default.
    pub model: Option<&'a str>,
    /// When the agent asks before it acts; unspecified where nobody chose.
    pub approval_policy: proto::ApprovalPolicy,
    /// The sandbox; unspecified for the agent's own default.
    pub sandbox: proto::FilesystemSandbox,
    /// Whether commands may use the network; unspecified for the agent's own
    /// default.
    pub network: proto::NetworkAccess,
    /// What codex is told beside all this.
    pub options: &'a proto::CodexOptions,
    /// The absolute paths of the images that belong to the prompt.
    pub images: &'a [PathBuf],
    /// How hard the agent shall think; none where nobody chose.
    pub effort: Option<Effort>,
    /// The history that the turn begins with.
    pub history: History<'a>,
    /// The config lock that the turn is held to, and whether another version of
    /// codex may run it.
    pub lock: Option<(&'a Lock, bool)>,
}

/// The history that a turn begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum History<'a> {
    /// None: a new thread.
    New,
    /// That of this thread, which goes on.
    Resume(&'a str),
    /// That of this thread, in a new one.
    Fork(&'a str),
}

/// How to start the agent of one turn.
#[derive(Debug, Clone, PartialEq)]
pub struct Launch {
    /// The program, an absolute path.
    pub program: PathBuf,
    /// Its arguments, without the program's own name.
    pub args: Vec<OsString>,
    /// What its environment has beside the server's own.
    pub env: Vec<(OsString, OsString)>,
    /// The version of the agent's binary, such as "0.169.0"; empty where it has
    /// none or does not say it.
    pub version: String,
    /// What an operator should know about this start; each becomes an event.
    pub warnings: Vec<proto::Warning>,
    /// What to start in its place where the agent refuses `args`.
    pub fallback: Option<Fallback>,
}

/// Other arguments for an agent that exits at once because it refuses its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fallback {
    /// How it is told that it did: its stderr contains one of these texts.
    pub stderr_contains: Vec<String>,
    /// The arguments to start it with then.
    pub args: Vec<OsString>,
}

/// What [`Agents`] are found and started with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// The codex to start; none for `codex` on `path_var`. A bare name is
    /// looked for there as well.
    pub codex: Option<PathBuf>,
    /// The value of `PATH`.
    pub path_var: Option<OsString>,
    /// This program, which also is the agent that replays.
    pub exe: PathBuf,
    /// The value of `CODEX_HOME` for codex; none to leave it as it is.
    pub codex_home: Option<PathBuf>,
    /// Where codex's home is when nothing says it; none where that is not known.
    pub default_codex_home: Option<PathBuf>,
    /// What every turn of codex is told, unless its session says otherwise.
    pub codex_config: ConfigFile,
    /// Whether codex shall go on without end when its provider cannot be
    /// reached, which is what it does by default.
    pub unbounded_connection_retries: bool,
}

/// A file of settings that is read when they are needed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConfigFile {
    /// The file.
    pub path: PathBuf,
    /// Whether it was named, so that it must be there.
    pub must_exist: bool,
}

impl ConfigFile {
    /// Whether turns of codex can be started with it.
    ///
    /// # Errors
    ///
    /// The text says what is wrong, and where.
    pub fn check(&self) -> Result<(), String> {
        codex::check_config(self)
    }
}

/// The agents of this machine. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Agents {
    exe: Arc<Path>,
    codex: Arc<codex::Codex>,
}

impl Agents {
    /// Looks at nothing yet: what is missing is found out at each turn.
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self { exe: options.exe.as_path().into(), codex: Arc::new(codex::Codex::new(options)) }
    }

    /// Says how to start the agent of a turn.
    ///
    /// Blocks: it looks at files, and a codex binary that it has not seen yet is
    /// asked for its version and features, for at most ten seconds each.
    ///
    /// # Errors
    ///
    /// [`Error::AgentUnavailable`] where codex is missing or cannot be executed,
    /// or its agent configuration is of no use; [`Error::AgentNotFound`] where the
    /// transcript to replay cannot be read; and [`Error::InvalidArgument`] for a
    /// model that would read as a flag and for files that are not there.
    pub fn launch(&self, kind: &Kind, turn: &TurnRequest<'_>) -> Result<Launch> {
        let mut launch = match kind {
            Kind::Codex => self.codex.launch(turn)?,
            Kind::Replay(file) => self.replay(file)?,
        };
        // How the turn's processes are found again should their supervisor die.
        launch.env.extend([
            ("SWITCHBOARD_SESSION".into(), turn.session.to_string().into()),
            ("SWITCHBOARD_TURN".into(), turn.turn.to_string().into()),
        ]);
        Ok(launch)
    }

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

    /// Has the agent remove its own record of a thread whose session was deleted.
    ///
    /// Blocks: codex is asked to, for at most ten seconds.
    ///
    /// # Errors
    ///
    /// [`NotForgotten`]: the record stays.
    pub fn forget(&self, kind: &str, thread: &str) -> Result<(), NotForgotten> {
        match Kind::parse(kind).map_err(|error| NotForgotten::Refused(error.to_string()))? {
            Kind::Codex => self.codex.delete_thread(thread),
            Kind::Replay(_) => Ok(()),
        }
    }

    /// The agent's own record of a thread: a file of JSON lines. None where there
    /// is none, or none yet.
    ///
    /// Blocks: it looks through folders.
    #[must_use]
    pub fn rollout(&self, kind: &Kind, thread: &str) -> Option<PathBuf> {
        match kind {
            Kind::Codex => self.codex.rollout(thread),
            Kind::Replay(_) => None,
        }
    }

    fn replay(&self, file: &Path) -> Result<Launch> {
        let problem = match file::open_regular(file) {
            Ok(_) => {
                return Ok(Launch {
                    program: self.exe.to_path_buf(),
                    args: vec!["replay".into(), file.into()],
                    env: Vec::new(),
                    version: String::new(),
                    warnings: Vec::new(),
                    fallback: None,
                });
            }
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                "the transcript is not a file".to_owned()
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                "there is no such transcript".to_owned()
            }
            Err(error) => format!("the transcript cannot be read: {error}"),
        };
        Err(Error::AgentNotFound { agent: Kind::Replay(file.to_owned()).to_string(), problem })
    }

    /// Which codex a turn would start now. Blocks as [`Agents::launch`] does.
    #[must_use]
    pub fn codex(&self) -> CodexStatus {
        self.codex.status()
    }
}

fn not_codex() -> Error {
    Error::invalid("session.agent", "only codex has a configuration that can be locked")
}

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

/// Why an agent keeps its record of a thread; the text says more.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotForgotten {
    /// It could not be asked, or gave no answer.
    #[error("{0}")]
    NotAsked(String),
    /// It refused, which it also does where it knows no such thread.
    #[error("{0}")]
    Refused(String),
}

/// Which codex a turn would start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodexStatus {
    /// The binary; none where it was not found.
    pub path: Option<PathBuf>,
    /// Its version, such as "0.169.0"; empty where it could not be asked.
    pub version: String,
    /// Why it cannot be started; none when it can.
    pub problem: Option<String>,
}

/// Whether an agent can work in this directory.
///
/// # Errors
///
/// [`Error::WorkingDirectoryInvalid`] where it is not the absolute path of a
/// directory that can be entered.
pub fn check_working_directory(path: &Path) -> Result<()> {
    let problem = if !path.is_absolute() {
        "expected an absolute path".to_owned()
    } else {
        match fs::metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                "there is no such directory".to_owned()
            }
            Err(error) => error.to_string(),
            Ok(metadata) if !metadata.is_dir() => "is not a directory".to_owned(),
            Ok(_) => match access(path, Access::EXEC_OK) {
                Ok(()) => return Ok(()),
                Err(error) => format!("cannot be entered: {}", io::Error::from(error)),
            },
        }
    };
    Err(Error::WorkingDirectoryInvalid { path: path.to_owned(), problem })
}

/// Says what happened, by a line that an agent of this kind printed. The line
/// is without its line feed. Any bytes are some event.
#[must_use]
pub fn parse(kind: &Kind, line: &[u8]) -> proto::event::Kind {
    match kind {
        // Transcripts are codex's.
        Kind::Codex | Kind::Replay(_) => codex::parse::parse(line),
    }
}

/// What a line is that is longer than [`lines::MAX_LINE_BYTES`] and has this
/// size: an event that says so.
#[must_use]
pub fn oversized_line(size: u64) -> proto::event::Kind {
    codex::parse::oversized_line(size, lines::MAX_LINE_BYTES)
}

/// What an agent of this kind said last about why it ended with an error: from
/// the end of its standard error, which may begin in the middle of a line. At
/// most 4,096 characters.
#[must_use]
pub fn last_error(kind: &Kind, stderr_tail: &[u8]) -> Option<String> {
    match kind {
        Kind::Codex | Kind::Replay(_) => codex::last_error(stderr_tail),
    }
}

#[cfg(test)]
mod tests;
