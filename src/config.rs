//! What the server is told: read once, validated, typed.
//!
//! The only reader of the environment and of the configuration file. `serve`
//! and `config` build a [`Config`] through [`Loaded::load`]; the server takes it as it is.

mod environment;
mod file;

use std::{
    ffi::OsString,
    fmt, fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Serialize;

pub use self::{
    environment::Environment,
    file::{
        CodexFile, ConfigFile, ListenAddr, LogFile, LogFormat, ParseListenAddrError, Span,
        TurnsFile,
    },
};
use crate::{
    home::Home,
    supervise::{self, Grace},
    wire::grpc::WatchBody,
};

/// Where the server listens by default, besides its Unix socket.
pub const DEFAULT_LISTEN: &str = "127.0.0.1:7420";

/// The longest path of a Unix socket in bytes (`sun_path` without its NUL).
const MAX_SOCKET_PATH: usize = 107;

/// The longest drain; beyond it a supervisor such as systemd kills the server anyhow.
const MAX_DRAIN: Duration = Duration::from_secs(600);

/// The longest grace of a stop; whoever asked for it waits.
const MAX_GRACE: Duration = Duration::from_secs(3600);

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
    /// How long the steps of stopping a turn are apart.
    pub grace: Grace,
    /// The agent `codex`.
    pub codex: CodexConfig,
    /// The server's own log.
    pub log: LogConfig,
    /// The program whose commands `supervise` and `replay` the server starts:
    /// this very binary, also when another has taken its place on the disk.
    pub program: PathBuf,
    /// Which body answers `WatchEvents`. For comparisons; nothing sets it.
    pub watch_body: WatchBody,
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
    /// Whether codex may try for ever to reach a provider.
    pub unbounded_connection_retries: bool,
}

/// The server's own log.
#[derive(Debug, Clone)]
pub struct LogConfig {
    /// Directives of tracing-subscriber's `EnvFilter`.
    pub filter: String,
    /// How a line looks.
    pub format: LogFormat,
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
            grace: Grace::default(),
            codex: CodexConfig {
                path: None,
                search_path: None,
                codex_home: None,
                unbounded_connection_retries: false,
            },
            log: LogConfig { filter: "warn".into(), format: LogFormat::Text },
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
        let (file, from_file) = read_file(flags.file, environment)?;
        let mut merge = Merge {
            flags: flags.keys,
            environment: from_environment(environment)?,
            file: from_file,
            path: file.clone().unwrap_or_default(),
            values: Vec::new(),
        };
        let config = merge.config(home, environment)?;
        Ok(Self { config, values: merge.values, home_source, file })
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

fn read_file(
    flag: Option<PathBuf>,
    environment: &Environment,
) -> Result<(Option<PathBuf>, ConfigFile), Error> {
    let named = flag.or_else(|| environment.raw("SWITCHBOARD_CONFIG").map(PathBuf::from));
    let must_exist = named.is_some();
    let default = || environment.config_directory().map(|directory| directory.join("config.toml"));
    let Some(path) = named.or_else(default) else { return Ok((None, ConfigFile::default())) };
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound && !must_exist => {
            return Ok((None, ConfigFile::default()));
        }
        Err(source) => return Err(Error::Read { path, source }),
    };
    match toml::from_str(&text) {
        Ok(file) => Ok((Some(path), file)),
        Err(error) => Err(Error::Parse { path, problem: error.to_string().trim_end().to_owned() }),
    }
}

fn from_environment(environment: &Environment) -> Result<ConfigFile, Error> {
    let wrong = |key, variable: &str, problem: String| Error::Value {
        key,
        source_of_value: Source::Environment,
        problem: format!("{variable}: {problem}"),
    };
    let listen = environment.text("SWITCHBOARD_LISTEN").map(|text| {
        let addresses = text.split(',').map(|part| part.trim().parse());
        addresses.collect::<Result<Vec<ListenAddr>, _>>()
    });
    let format = environment.text("SWITCHBOARD_LOG_FORMAT").map(|text| {
        clap::ValueEnum::from_str(&text, true)
            .map_err(|_| format!("{text:?} is no format: expected text or json"))
    });
    Ok(ConfigFile {
        listen: listen
            .transpose()
            .map_err(|error| wrong("listen", "SWITCHBOARD_LISTEN", error.to_string()))?,
        codex: CodexFile {
            path: environment.raw("SWITCHBOARD_CODEX").map(PathBuf::from),
            unbounded_connection_retries: None,
        },
        log: LogFile {
            filter: environment.text("SWITCHBOARD_LOG"),
            format: format
                .transpose()
                .map_err(|problem| wrong("log.format", "SWITCHBOARD_LOG_FORMAT", problem))?,
        },
        ..ConfigFile::default()
    })
}

/// The three layers, and what was picked from them so far.
struct Merge {
    flags: ConfigFile,
    environment: ConfigFile,
    file: ConfigFile,
    path: PathBuf,
    values: Vec<Value>,
}

impl Merge {
    fn config(&mut self, home: Home, environment: &Environment) -> Result<Config, Error> {
        let default_listen = || DEFAULT_LISTEN.parse().expect("the default is an address");
        let listen =
            self.pick("listen", |layer| layer.listen.clone()).unwrap_or(vec![default_listen()]);
        let require_token = self.pick("require_token", |layer| layer.require_token);
        let insecure_public = self.pick("insecure_public", |layer| layer.insecure_public);
        let allowed_origins = self.pick("allowed_origins", |layer| layer.allowed_origins.clone());
        let allowed_hosts = self.pick("allowed_hosts", |layer| layer.allowed_hosts.clone());
        let drain = self.pick("drain_deadline", |layer| layer.drain_deadline);
        let interrupt = self.pick("turns.interrupt_grace", |layer| layer.turns.interrupt_grace);
        let terminate = self.pick("turns.terminate_grace", |layer| layer.turns.terminate_grace);
        let codex_path = self.pick("codex.path", |layer| layer.codex.path.clone());
        let retries = self.pick("codex.unbounded_connection_retries", |layer| {
            layer.codex.unbounded_connection_retries
        });
        let filter = self.pick("log.filter", |layer| layer.log.filter.clone());
        let format = self.pick("log.format", |layer| layer.log.format);

        let grace = Grace::default();
        let mut config = Config {
            listen,
            require_token: require_token.unwrap_or(true),
            allowed_origins: allowed_origins.unwrap_or_default(),
            allowed_hosts: allowed_hosts.unwrap_or_default(),
            drain_deadline: drain.map_or(Duration::from_secs(10), |span| span.0),
            grace: Grace {
                interrupt: interrupt.map_or(grace.interrupt, |span| span.0),
                terminate: terminate.map_or(grace.terminate, |span| span.0),
                ..grace
            },
            codex: CodexConfig {
                path: codex_path,
                search_path: environment.raw("PATH"),
                codex_home: environment.raw("CODEX_HOME").map(PathBuf::from),
                unbounded_connection_retries: retries.unwrap_or(false),
            },
            log: LogConfig {
                filter: filter.unwrap_or_else(|| "info".into()),
                format: format.unwrap_or(LogFormat::Text),
            },
            program: supervise::THIS_PROGRAM.into(),
            watch_body: WatchBody::default(),
            home,
        };
        self.show_defaults(&config);
        self.validate(&mut config, insecure_public.unwrap_or(false))?;
        Ok(config)
    }

    /// Takes the highest layer's value and notes it.
    fn pick<T: Serialize>(
        &mut self,
        key: &'static str,
        get: impl Fn(&ConfigFile) -> Option<T>,
    ) -> Option<T> {
        let layers = [
            (&self.flags, Source::Flag),
            (&self.environment, Source::Environment),
            (&self.file, Source::File(self.path.clone())),
        ];
        let (value, source) = layers
            .into_iter()
            .find_map(|(layer, source)| Some((get(layer)?, source)))
            .map_or((None, Source::Default), |(value, source)| (Some(value), source));
        let shown = serde_json::to_value(&value).unwrap_or_default();
        self.values.push(Value { key, value: shown, source });
        value
    }

    /// Puts the defaults in where nobody set a value.
    fn show_defaults(&mut self, config: &Config) {
        let default = |key: &str| -> serde_json::Value {
            match key {
                "listen" => serde_json::json!(config.listen),
                "require_token" => config.require_token.into(),
                "allowed_origins" | "allowed_hosts" => serde_json::json!([]),
                "drain_deadline" => serde_json::json!(Span(config.drain_deadline)),
                "turns.interrupt_grace" => serde_json::json!(Span(config.grace.interrupt)),
                "turns.terminate_grace" => serde_json::json!(Span(config.grace.terminate)),
                "insecure_public" | "codex.unbounded_connection_retries" => false.into(),
                "log.filter" => config.log.filter.clone().into(),
                "log.format" => serde_json::json!(config.log.format),
                _ => serde_json::Value::Null,
            }
        };
        for value in &mut self.values {
            if value.source == Source::Default {
                value.value = default(value.key);
            }
        }
    }

    fn wrong(&self, key: &'static str, problem: impl Into<String>) -> Error {
        let found = self.values.iter().find(|value| value.key == key);
        let source_of_value = found.map_or(Source::Default, |value| value.source.clone());
        Error::Value { key, source_of_value, problem: problem.into() }
    }

    fn validate(&self, config: &mut Config, insecure_public: bool) -> Result<(), Error> {
        for address in &config.listen {
            let ListenAddr::Tcp(address) = address else { continue };
            if address.ip().is_loopback() {
                continue;
            }
            if !insecure_public {
                let problem = format!(
                    "{address} can be reached from other machines, and the connection would not be encrypted; whoever reads the token on the way can run code as you. Listen on 127.0.0.1 and use a tunnel, or say it twice with --insecure-public"
                );
                return Err(self.wrong("listen", problem));
            }
            if !config.require_token {
                let problem = format!(
                    "{address} can be reached from other machines; a server without a token listens on loopback only"
                );
                return Err(self.wrong("require_token", problem));
            }
        }
        config.listen.push(ListenAddr::Unix(config.home.socket()));
        for address in &config.listen {
            let ListenAddr::Unix(path) = address else { continue };
            let length = path.as_os_str().len();
            if length > MAX_SOCKET_PATH {
                let problem = format!(
                    "the path of the Unix socket {} is {length} bytes long; the system allows {MAX_SOCKET_PATH}: choose a shorter --home or path",
                    path.display()
                );
                return Err(self.wrong("listen", problem));
            }
        }
        for origin in &config.allowed_origins {
            let bare = origin.split_once("://").is_some_and(|(scheme, rest)| {
                matches!(scheme, "http" | "https") && is_host(rest) && !rest.contains('*')
            });
            if !bare {
                let problem = format!(
                    "{origin:?} is no origin: expected http(s)://HOST or http(s)://HOST:PORT"
                );
                return Err(self.wrong("allowed_origins", problem));
            }
        }
        for host in &mut config.allowed_hosts {
            if !is_host(host) || host.contains(':') {
                let problem = format!("{host:?} is no host name: expected a name without port");
                return Err(self.wrong("allowed_hosts", problem));
            }
            host.make_ascii_lowercase();
        }
        if config.drain_deadline > MAX_DRAIN {
            return Err(self.wrong("drain_deadline", "expected at most 10m"));
        }
        for (key, grace) in [
            ("turns.interrupt_grace", config.grace.interrupt),
            ("turns.terminate_grace", config.grace.terminate),
        ] {
            if grace > MAX_GRACE {
                return Err(self.wrong(key, "expected at most 1h"));
            }
        }
        if let Err(error) = tracing_subscriber::EnvFilter::try_new(&config.log.filter) {
            return Err(self.wrong("log.filter", error.to_string()));
        }
        // A bare name is looked for on the PATH.
        if let Some(path) = &mut config.codex.path
            && path.components().count() > 1
        {
            *path = std::path::absolute(&*path)
                .map_err(|error| self.wrong("codex.path", error.to_string()))?;
        }
        Ok(())
    }
}

fn is_host(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte);
    !text.is_empty() && text.bytes().all(allowed)
}

#[cfg(test)]
#[path = "config/tests.rs"]
mod tests;
