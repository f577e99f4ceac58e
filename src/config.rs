//! What the server is told: read once, validated, typed.
//!
//! The only reader of the environment and of the configuration file. `serve`
//! and `config` build a [`Config`] through [`Loaded::load`]; the server takes it as it is.

mod environment;
mod file;
mod layers;
mod merge;
mod size;
mod words;

use std::{
    ffi::OsString,
    fmt, io,
    path::{Path, PathBuf},
    time::Duration,
};

use self::merge::Merge;
pub use self::{
    environment::Environment,
    file::{
        CodexFile, ConfigFile, ConfigLockFile, ControlsFile, DebugFile, EventsFile, JsonRpcFile,
        ListenAddr, LogFile, LogFormat, ParseListenAddrError, Span, TurnsFile,
    },
    size::{ParseSizeError, Size},
    words::{ApprovalWord, NetworkWord, ParseWordError, SandboxWord},
};
use crate::{
    controls::Policy,
    debug_log::SessionLogs,
    home::Home,
    lock::CatalogueFields,
    supervise::{self, Grace, Limits},
};

/// Where the server listens by default, besides its Unix socket.
pub const DEFAULT_LISTEN: &str = "127.0.0.1:7420";

/// How much an agent may print in one turn by default.
const DEFAULT_OUTPUT_LIMIT: Size = Size(8 << 30);

/// How large a segment of an event log grows by default.
const DEFAULT_SEGMENT: Size = Size(16 << 20);

/// The server's log about a session, in that session's directory.
const DEFAULT_DEBUG_LOG: &str = "session.log";

/// The validated configuration of one server.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where everything is kept.
    pub home: Home,
    /// Where to listen; the last is always the Unix socket of the home.
    pub listen: Vec<ListenAddr>,
    /// Whether TCP clients must show the token.
    pub require_token: bool,
    /// The origins whose web pages may call, as `scheme://host[:port]`.
    pub allowed_origins: Vec<String>,
    /// Further names for the `Host` header, lower case, without port.
    pub allowed_hosts: Vec<String>,
    /// How long a stopping server waits for its clients.
    pub drain_deadline: Duration,
    /// Which turns start.
    pub turns: TurnsConfig,
    /// How long the steps of stopping a turn are apart.
    pub grace: Grace,
    /// How far a turn may go.
    pub limits: Limits,
    /// How events are kept.
    pub events: EventsConfig,
    /// How config locks are written and read.
    pub locks: LocksConfig,
    /// What sessions may do where nobody chose.
    pub controls: Policy,
    /// What JSON-RPC is bounded by.
    pub json_rpc: JsonRpcConfig,
    /// The agent `codex`.
    pub codex: CodexConfig,
    /// The server's own log.
    pub log: LogConfig,
    /// What is kept of sessions to understand them later.
    pub persist: PersistConfig,
    /// Where the log about single sessions goes: to those that are open in here.
    pub session_logs: SessionLogs,
    /// The program whose commands `supervise` and `replay` the server starts:
    /// this very binary, also when another has taken its place on the disk.
    pub program: PathBuf,
    /// Which body answers `WatchEvents`. For comparisons; nothing sets it.
    pub watch_body: WatchBody,
}

/// Which turns start.
#[derive(Debug, Clone)]
pub struct TurnsConfig {
    /// How many may run at once; none for no limit.
    pub max_running: Option<usize>,
    /// How many bytes must be free on the disk of the home.
    pub min_free_bytes: u64,
}

/// How codex is found and started.
#[derive(Debug, Clone)]
pub struct CodexConfig {
    /// The binary that was configured: absolute, or a bare name to look for in
    /// `search_path`; none for `codex`.
    pub path: Option<PathBuf>,
    /// The `PATH` of this process.
    pub search_path: Option<OsString>,
    /// The `CODEX_HOME` of this process.
    pub codex_home: Option<PathBuf>,
    /// Where codex's home is without one: `.codex` in the user's home.
    pub default_codex_home: Option<PathBuf>,
    /// What every turn is told; none for `codex.toml` in the server's home, if it
    /// is there.
    pub agent_config: Option<PathBuf>,
    /// Whether codex may try for ever to reach a provider.
    pub unbounded_connection_retries: bool,
}

/// How the events of each session are kept. All are, where no bound is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventsConfig {
    /// The most bytes of them.
    pub retain_bytes: Option<u64>,
    /// How old they may grow.
    pub retain_age: Option<Duration>,
    /// How large a segment of the log grows, in bytes. Events go by whole segments.
    pub segment_bytes: u64,
}

impl EventsConfig {
    /// Whether any event is ever let go.
    #[must_use]
    pub fn has_bounds(&self) -> bool {
        self.retain_bytes.is_some() || self.retain_age.is_some()
    }
}

/// How config locks are written and read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocksConfig {
    /// Where one is written of every session whose thread begins; none to write
    /// them when they are asked for, in the session's directory.
    pub export_dir: Option<PathBuf>,
    /// The lock of every new session of codex that brings none itself.
    pub load_path: Option<PathBuf>,
    /// Whether that holds for another version of codex too.
    pub any_version: bool,
    /// Whether what only the catalogue of models says is written.
    pub catalogue: CatalogueFields,
}

impl Default for LocksConfig {
    fn default() -> Self {
        Self {
            export_dir: None,
            load_path: None,
            any_version: false,
            catalogue: CatalogueFields::Saved,
        }
    }
}

/// What JSON-RPC is bounded by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JsonRpcConfig {
    /// The most WebSockets and requests at once.
    pub max_connections: u32,
    /// The most calls of a batch.
    pub max_batch: u32,
    /// The largest message that is read, in bytes.
    pub max_message_bytes: u32,
    /// The most subscriptions of one WebSocket.
    pub max_subscriptions: u32,
    /// How often a WebSocket is asked whether its client is there.
    pub ping_interval: Duration,
}

/// What it is bounded by besides, whatever the configuration says.
impl JsonRpcConfig {
    /// The most calls under way of one WebSocket.
    pub const MAX_CALLS: u32 = 256;
    /// The most messages of one WebSocket that were read and whose answers were not
    /// sent: more than there may be calls under way, so that one too many is told so.
    pub const MAX_UNANSWERED: u32 = 320;
    /// The most bytes of those messages.
    pub const MAX_UNANSWERED_BYTES: u32 = 32 << 20;
    /// The most bytes of answers and notifications that one WebSocket holds unsent. A
    /// larger one is made when nothing else is held.
    pub const MAX_UNSENT_BYTES: u32 = 8 << 20;
    /// The most notifications that one WebSocket holds unsent.
    pub const MAX_UNSENT_NOTIFICATIONS: u32 = 8;
    /// The most of them that are of one subscription.
    pub const MAX_UNSENT_OF_SUBSCRIPTION: u32 = 4;
    /// The bytes of answers after which no more calls of a batch are carried out.
    pub const MAX_BATCH_ANSWER_BYTES: u32 = 64 << 20;
    /// The most bytes of output in one answer of `session/readOutput`: in base64 they
    /// stay below the 1 MiB that many a client takes by default.
    pub const MAX_CHUNK_BYTES: u32 = 512 << 10;
    /// How many pings a client may not answer, and how many intervals take nothing.
    pub(crate) const PINGS: u32 = 3;

    /// How long a client may take nothing of what it is sent.
    pub(crate) fn patience(&self) -> Duration {
        self.ping_interval * Self::PINGS
    }
}

impl Default for JsonRpcConfig {
    fn default() -> Self {
        Self {
            max_connections: 1_024,
            max_batch: 100,
            max_message_bytes: 32 << 20,
            max_subscriptions: 128,
            ping_interval: Duration::from_secs(20),
        }
    }
}

/// The server's own log.
#[derive(Debug, Clone)]
pub struct LogConfig {
    /// Directives of tracing-subscriber's `EnvFilter`.
    pub filter: String,
    /// How a line looks.
    pub format: LogFormat,
}

/// What is kept of sessions to understand them later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersistConfig {
    /// Whether it is of every new session, or only of those that ask for it.
    pub all: bool,
    /// The server's log about a session: a name in its directory, or an absolute
    /// path of one file for all of them.
    pub debug_log: PathBuf,
}

impl Default for PersistConfig {
    fn default() -> Self {
        Self { all: false, debug_log: DEFAULT_DEBUG_LOG.into() }
    }
}

/// Which body answers `WatchEvents`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WatchBody {
    /// Shared chunks of frames that were encoded once.
    #[default]
    Raw,
    /// tonic's own encoder, one message at a time. To compare with.
    Generated,
}

impl Config {
    /// The defaults on a home, listening on one free loopback port and the
    /// home's socket; for `demo` and for tests.
    #[must_use]
    pub fn ephemeral(home: &Path) -> Self {
        Self {
            home: Home::at(home),
            listen: vec![
                ListenAddr::Tcp(([127, 0, 0, 1], 0).into()),
                ListenAddr::Unix(Home::at(home).socket()),
            ],
            require_token: true,
            allowed_origins: Vec::new(),
            allowed_hosts: Vec::new(),
            drain_deadline: Duration::from_secs(2),
            turns: TurnsConfig { max_running: None, min_free_bytes: 0 },
            grace: Grace::default(),
            limits: Limits { output_bytes: Some(DEFAULT_OUTPUT_LIMIT.0), ..Limits::default() },
            events: EventsConfig {
                retain_bytes: None,
                retain_age: None,
                segment_bytes: DEFAULT_SEGMENT.0,
            },
            locks: LocksConfig::default(),
            controls: Policy::default(),
            json_rpc: JsonRpcConfig::default(),
            codex: CodexConfig {
                path: None,
                search_path: None,
                codex_home: None,
                default_codex_home: None,
                agent_config: None,
                unbounded_connection_retries: false,
            },
            log: LogConfig { filter: "warn".into(), format: LogFormat::Text },
            persist: PersistConfig::default(),
            session_logs: SessionLogs::default(),
            program: supervise::THIS_PROGRAM.into(),
            watch_body: WatchBody::default(),
        }
    }
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("cannot read the configuration file {path:?}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is not what it should be; the text names line and column.
    #[error("{}: {problem}", .path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// The parser's words.
        problem: String,
    },
    /// A value is not allowed.
    #[error("{key} ({source_of_value}): {problem}")]
    Value {
        /// The key, dotted.
        key: &'static str,
        /// Where the value came from.
        source_of_value: Source,
        /// What is wrong and what to do.
        problem: String,
    },
    /// There is no place for the home.
    #[error("no home: neither HOME nor SWITCHBOARD_HOME is set; give --home DIRECTORY")]
    NoHome,
}

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A flag.
    Flag,
    /// The environment.
    Environment,
    /// The file.
    File(PathBuf),
    /// Nobody set it.
    Default,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag => f.write_str("flag"),
            Self::Environment => f.write_str("environment"),
            Self::File(path) => write!(f, "file {}", path.display()),
            Self::Default => f.write_str("default"),
        }
    }
}

/// One effective value, to show.
#[derive(Debug, Clone, PartialEq)]
pub struct Value {
    /// The key, dotted.
    pub key: &'static str,
    /// The value; null for one that nobody set and that has no default.
    pub value: serde_json::Value,
    /// Where it came from.
    pub source: Source,
}

/// What the flags of `serve` and `config` say.
#[derive(Debug, Clone, Default)]
pub struct Flags {
    /// `--home`.
    pub home: Option<PathBuf>,
    /// `--config`.
    pub file: Option<PathBuf>,
    /// The keys that flags can set.
    pub keys: ConfigFile,
}

/// A configuration and how it came about.
#[derive(Debug)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// Each key's value and source, in the order of the schema.
    pub values: Vec<Value>,
    /// Where the home came from.
    pub home_source: Source,
    /// The file that was read, if one was there.
    pub file: Option<PathBuf>,
}

impl Loaded {
    /// Reads the file and merges: flags over environment over file over defaults.
    ///
    /// # Errors
    /// When the file named is not there, when a file holds an unknown key or a
    /// malformed value, and when values do not go together.
    pub fn load(flags: Flags, environment: &Environment) -> Result<Self, Error> {
        let (home, home_source) = home(flags.home, environment)?;
        let (file, from_file) = layers::read_file(flags.file, environment)?;
        let from_environment = layers::from_environment(environment)?;
        let path = file.clone().unwrap_or_default();
        let mut merge = Merge::new(flags.keys, from_environment, from_file, path);
        let config = merge.config(home, environment)?;
        Ok(Self { config, values: merge.into_values(), home_source, file })
    }
}

/// Finds the home: `--home`, `SWITCHBOARD_HOME`, else the XDG state directory.
///
/// # Errors
/// When there is none.
pub fn home(flag: Option<PathBuf>, environment: &Environment) -> Result<(Home, Source), Error> {
    let from_environment = || environment.raw("SWITCHBOARD_HOME").map(PathBuf::from);
    let (path, source) = if let Some(path) = flag {
        (path, Source::Flag)
    } else if let Some(path) = from_environment() {
        (path, Source::Environment)
    } else {
        (environment.state_directory().ok_or(Error::NoHome)?, Source::Default)
    };
    let path = std::path::absolute(&path).map_err(|source| Error::Read { path, source })?;
    Ok((Home::at(path), source))
}

#[cfg(test)]
#[path = "config/tests.rs"]
mod tests;
