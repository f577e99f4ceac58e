//! The keys of the configuration, as a file, the environment or flags set them.
//!
//! One struct is the parser's, the schema's and the merge's; so they cannot
//! drift apart.

use std::{fmt, net::SocketAddr, path::PathBuf, str::FromStr, time::Duration};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::{
    size::Size,
    words::{ApprovalWord, NetworkWord, SandboxWord},
};

/// The configuration of `switchboard serve`.
///
/// Every key is optional. A flag beats an environment variable, which beats the
/// file, which beats the default.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Switchboard configuration")]
pub struct ConfigFile {
    /// Where to listen besides the Unix socket in the home: `ADDRESS:PORT`
    /// (port 0 for any free one) or `unix:/absolute/path`. Default:
    /// `["127.0.0.1:7420"]`.
    pub listen: Option<Vec<ListenAddr>>,
    /// Whether clients on TCP must show the token of the home. Default: true.
    /// Without it, every user of the machine can run code as you.
    pub require_token: Option<bool>,
    /// Allows `listen` to name an address that other machines can reach,
    /// although the connection is not encrypted. Default: false.
    pub insecure_public: Option<bool>,
    /// The origins (such as `https://dashboard.example`) whose web pages may
    /// call the server. Default: none.
    pub allowed_origins: Option<Vec<String>>,
    /// Names, besides the addresses listened on and `localhost`, that a request
    /// may give in its `Host` header. Default: none.
    pub allowed_hosts: Option<Vec<String>>,
    /// How long a stopping server waits for its clients. Agents are never
    /// stopped with it. Default: `10s`.
    pub drain_deadline: Option<Span>,
    /// Whether what one needs to understand a session later is kept in the
    /// directory of every new one: codex's own rollout, the server's log about it,
    /// what went to the model and came from it, what was asked of it. Default:
    /// false, so that only those that ask for it are persisted.
    pub persist_session: Option<bool>,
    /// The server's log about a session that is persisted: the name of a file in
    /// the session's directory, or the absolute path of one file for all of them.
    /// Default: `session.log`.
    pub debug_log: Option<PathBuf>,
    /// How turns are started and stopped, and how far they may go.
    #[serde(default)]
    pub turns: TurnsFile,
    /// How the events of each session are kept.
    #[serde(default)]
    pub events: EventsFile,
    /// What sessions may do where nobody chose, and who may write the defaults.
    #[serde(default)]
    pub controls: ControlsFile,
    /// What JSON-RPC is bounded by.
    #[serde(default)]
    pub json_rpc: JsonRpcFile,
    /// What helps to find out why a run was as it was.
    #[serde(default)]
    pub debug: DebugFile,
    /// The agent `codex`.
    #[serde(default)]
    pub codex: CodexFile,
    /// The server's own log, on its standard error.
    #[serde(default)]
    pub log: LogFile,
}

/// How turns are started and stopped, and how far they may go. A turn keeps what
/// was set when it began. A limit that is passed ends the turn as a kill would.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TurnsFile {
    /// How many turns may run at once; those beyond it wait in their order. 0
    /// for no limit. Default: 64.
    pub max_running: Option<u32>,
    /// How much must be free on the disk of the home for a turn to start.
    /// Default: `100MiB`.
    pub min_free_disk: Option<Size>,
    /// How long an agent that is interrupted has to end by itself, after
    /// SIGINT, before it is told to by SIGTERM. Default: `10s`.
    pub interrupt_grace: Option<Span>,
    /// The same for an agent that is killed. Default: `2s`.
    pub kill_grace: Option<Span>,
    /// How long it has after SIGTERM, before it and all that it started is
    /// killed. Default: `2s`.
    pub terminate_grace: Option<Span>,
    /// How long an agent may print nothing, neither on its standard output nor
    /// on its standard error, before its turn is ended. Default: for ever.
    pub inactivity_limit: Option<Span>,
    /// How long a turn may take before it is ended. Default: for ever.
    pub wall_clock_limit: Option<Span>,
    /// How much an agent may print in one turn on its standard output, and as
    /// much on its standard error, before the turn is ended. Default: `8GiB`.
    pub output_limit: Option<Size>,
}

/// How the events of each session are kept. They go by whole segments of its
/// log, the oldest first; the latest turn's and the last segment stay whatever
/// is set. Whoever asks for an event that is gone is told which is the oldest.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EventsFile {
    /// The most that is kept of a session. Default: all.
    pub retain_bytes: Option<Size>,
    /// How old events may grow. Default: as old as they may be.
    pub retain_age: Option<Span>,
    /// How large a segment of a log grows, from `4KiB` to `1GiB`: the smaller,
    /// the closer to the bounds, and the more files. Default: `16MiB`.
    pub segment_bytes: Option<Size>,
}

/// What new sessions begin with as long as nobody has written the default
/// controls, and who may write them.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ControlsFile {
    /// Whether the default controls and settings are the operator's alone:
    /// clients read them, and cannot write them. Default: false.
    pub lock_defaults: Option<bool>,
    /// When agents ask before they act. Default: shown as `untrusted`, and left
    /// to the agent.
    pub approval_policy: Option<ApprovalWord>,
    /// Whether commands may use the network. Default: shown as `restricted`, and
    /// left to the agent's own configuration.
    pub network_access: Option<NetworkWord>,
    /// What commands may write. Default: shown as `read-only`, and left to the
    /// agent's own configuration.
    pub filesystem_sandbox: Option<SandboxWord>,
}

/// What JSON-RPC is bounded by. Clients find it in `server/info`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JsonRpcFile {
    /// How many WebSockets and requests of `/rpc` there may be at once.
    /// Default: 1024.
    pub max_connections: Option<u32>,
    /// How many calls a batch may have. Default: 100.
    pub max_batch: Option<u32>,
    /// The largest message that is read, a whole batch as well as one call, from
    /// `1MiB` to `1GiB`. Default: `32MiB`.
    pub max_message_size: Option<Size>,
    /// How many subscriptions one WebSocket may have. Default: 128.
    pub max_subscriptions: Option<u32>,
    /// How often a WebSocket is asked whether its client is there, from `1s` to
    /// `10m`. One that does not answer for three times as long is closed.
    /// Default: `20s`.
    pub ping_interval: Option<Span>,
}

/// What helps to find out why a run was as it was, and to make it again.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DebugFile {
    /// Config locks.
    #[serde(default)]
    pub config_lockfile: ConfigLockFile,
}

/// Config locks: what sessions run with, written down, and held to.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConfigLockFile {
    /// The directory that `THREAD_ID.config.lock.toml` is written to of every
    /// session that starts; it is made where it is not there. Default: none is
    /// written unless that is asked for.
    pub export_dir: Option<PathBuf>,
    /// The config lock that every new session of codex is held to which brings
    /// none of its own. It is read when a session is created. Default: none.
    pub load_path: Option<PathBuf>,
    /// Whether that one holds although codex has another version than it was made
    /// with. Default: false, so that such a session is not created.
    pub allow_codex_version_mismatch: Option<bool>,
    /// Whether what only codex's catalogue of models says is written into locks,
    /// such as the effort of a model for which nobody chose one. Default: true;
    /// false leaves these to the catalogue of whoever runs it again.
    pub save_fields_resolved_from_model_catalog: Option<bool>,
}

/// The agent `codex`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CodexFile {
    /// The codex binary: a path, or a name to look for on the PATH. Default:
    /// the native binary behind `codex`.
    pub path: Option<PathBuf>,
    /// The agent configuration: the file that says what every turn of codex is
    /// told. Default: `codex.toml` in the home, if it is there.
    pub agent_config: Option<PathBuf>,
    /// Whether codex may try for ever to reach a provider that does not answer.
    /// Default: false, so that such a turn fails.
    pub unbounded_connection_retries: Option<bool>,
}

/// The server's own log.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LogFile {
    /// What to log: `error`, `warn`, `info`, `debug`, `trace`, or directives
    /// such as `info,switchboard::session=debug`. Default: `info`.
    pub filter: Option<String>,
    /// `text` or `json` (one object a line). Default: `text`.
    pub format: Option<LogFormat>,
}

/// How a line of the log looks.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, clap::ValueEnum,
)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// A place to listen on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListenAddr {
    /// A TCP address; port 0 for any free port.
    Tcp(SocketAddr),
    /// A Unix socket at an absolute path.
    Unix(PathBuf),
}

/// The text is not a place to listen on.
#[derive(Debug, thiserror::Error)]
#[error(
    "{0:?} is no place to listen on: expected ADDRESS:PORT such as 127.0.0.1:7420 or [::1]:0, or unix:/absolute/path"
)]
pub struct ParseListenAddrError(String);

impl FromStr for ListenAddr {
    type Err = ParseListenAddrError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let malformed = || ParseListenAddrError(text.to_owned());
        if let Some(path) = text.strip_prefix("unix:") {
            let path = PathBuf::from(path);
            return if path.is_absolute() { Ok(Self::Unix(path)) } else { Err(malformed()) };
        }
        let numeric = match text.strip_prefix("localhost:") {
            Some(port) => format!("127.0.0.1:{port}"),
            None => text.to_owned(),
        };
        numeric.parse().map(Self::Tcp).map_err(|_| malformed())
    }
}

impl fmt::Display for ListenAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// A length of time, written as `10s`, `500ms` or `1m 30s`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span(pub Duration);

impl FromStr for Span {
    type Err = humantime::DurationError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        humantime::parse_duration(text).map(Self)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_duration(self.0).fmt(f)
    }
}

/// They are text in every form: parsed by `FromStr`, written by `Display`.
macro_rules! text_form {
    ($type:ty, $description:literal, $examples:expr) => {
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
            }
        }

        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl JsonSchema for $type {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({
                    "type": "string",
                    "description": $description,
                    "examples": $examples,
                })
            }
        }
    };
}

text_form!(
    ListenAddr,
    "ADDRESS:PORT, or unix: and an absolute path.",
    ["127.0.0.1:7420", "unix:/run/user/1000/switchboard.sock"]
);
text_form!(Span, "A length of time with its unit.", ["10s", "500ms"]);
text_form!(
    Size,
    "A whole number and its unit: B, KB, MB, GB, TB (thousands), KiB, MiB, GiB or TiB (1024s).",
    ["8GiB", "500MB", "4096B"]
);
