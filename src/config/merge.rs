//! The layers read, merged and validated.

use std::{
    fmt, fs, io,
    ops::RangeInclusive,
    path::{Component, Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use serde::Serialize;

use super::{
    CodexConfig, CodexFile, Config, ConfigFile, ControlsFile, DEFAULT_LISTEN, DEFAULT_OUTPUT_LIMIT,
    DEFAULT_SEGMENT, Environment, Error, EventsConfig, JsonRpcConfig, ListenAddr, LocksConfig,
    LogConfig, LogFile, LogFormat, PersistConfig, Size, Source, Span, TurnsConfig, Value,
    WatchBody,
};
use crate::{
    controls::{Controls, Policy},
    debug_log::SessionLogs,
    home::Home,
    lock::CatalogueFields,
    supervise::{self, Grace, Limits},
};

/// How many turns run at once by default: of codex, some 10 GB of memory.
const DEFAULT_MAX_RUNNING: u32 = 64;

/// How much of the disk is left free by default.
const DEFAULT_MIN_FREE: Size = Size(100 << 20);

/// The longest path of a Unix socket in bytes (`sun_path` without its NUL).
const MAX_SOCKET_PATH: usize = 107;

/// The longest grace of a stop; whoever asked for it waits.
const MAX_GRACE: Duration = Duration::from_secs(3600);

/// The shortest limit of a turn's time, since an agent needs some to start, and
/// the shortest age of events.
const MIN_TIME_LIMIT: Duration = Duration::from_secs(1);

/// How large a segment may be set to be: smaller, and a log has more files than
/// events; larger, and it takes long to open.
const SEGMENT_BYTES: RangeInclusive<u64> = 4 << 10..=1 << 30;

/// The largest message of JSON-RPC that may be allowed, and the smallest that must.
const MESSAGE_BYTES: RangeInclusive<u32> = 1 << 20..=1 << 30;

/// How often a WebSocket may be asked whether its client is there.
const PING_INTERVAL: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(600);

/// The logs of a session that say something else.
const OWN_LOGS: [&str; 2] = ["session_meta.log", "session_oai_raw.log"];

/// The longest drain; beyond it a supervisor such as systemd kills the server anyhow.
const MAX_DRAIN: Duration = Duration::from_secs(600);

/// Reads the file that was named, else the default one where there is one.
pub(super) fn read_file(
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

/// A value that the environment sets.
fn word_of<T: FromStr<Err: fmt::Display>>(
    environment: &Environment,
    key: &'static str,
    variable: &str,
) -> Result<Option<T>, Error> {
    let parsed = environment.text(variable).map(|text| {
        text.parse().map_err(|error| Error::Value {
            key,
            source_of_value: Source::Environment,
            problem: format!("{variable}: {error}"),
        })
    });
    parsed.transpose()
}

/// What the environment sets.
pub(super) fn from_environment(environment: &Environment) -> Result<ConfigFile, Error> {
    let wrong = |key, variable: &str, problem: String| Error::Value {
        key,
        source_of_value: Source::Environment,
        problem: format!("{variable}: {problem}"),
    };
    let listen = environment.text("SWITCHBOARD_LISTEN").map(|text| {
        let addresses = text.split(',').map(|part| part.trim().parse());
        addresses.collect::<Result<Vec<ListenAddr>, _>>()
    });
    // The names that operators of the settings contract know.
    let controls = ControlsFile {
        lock_defaults: word_of(environment, "controls.lock_defaults", "SESSION_DEFAULTS_LOCKED")?,
        approval_policy: word_of(
            environment,
            "controls.approval_policy",
            "DEFAULT_APPROVAL_POLICY",
        )?,
        network_access: word_of(environment, "controls.network_access", "DEFAULT_NETWORK_ACCESS")?,
        filesystem_sandbox: word_of(
            environment,
            "controls.filesystem_sandbox",
            "DEFAULT_SANDBOX_MODE",
        )?,
    };
    let format = environment.text("SWITCHBOARD_LOG_FORMAT").map(|text| {
        clap::ValueEnum::from_str(&text, true)
            .map_err(|_| format!("{text:?} is no format: expected text or json"))
    });
    Ok(ConfigFile {
        listen: listen
            .transpose()
            .map_err(|error| wrong("listen", "SWITCHBOARD_LISTEN", error.to_string()))?,
        controls,
        codex: CodexFile {
            path: environment.raw("SWITCHBOARD_CODEX").map(PathBuf::from),
            ..CodexFile::default()
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
pub(super) struct Merge {
    flags: ConfigFile,
    environment: ConfigFile,
    file: ConfigFile,
    path: PathBuf,
    values: Vec<Value>,
}

impl Merge {
    /// Prepares to merge layers, the highest first; `path` is that of the file.
    pub(super) fn new(
        flags: ConfigFile,
        environment: ConfigFile,
        file: ConfigFile,
        path: PathBuf,
    ) -> Self {
        Self { flags, environment, file, path, values: Vec::new() }
    }

    /// Each key's value and source, in the order of the schema.
    pub(super) fn into_values(self) -> Vec<Value> {
        self.values
    }

    /// Merges and validates.
    pub(super) fn config(
        &mut self,
        home: Home,
        environment: &Environment,
    ) -> Result<Config, Error> {
        let default_listen = || DEFAULT_LISTEN.parse().expect("the default is an address");
        let listen =
            self.pick("listen", |layer| layer.listen.clone()).unwrap_or(vec![default_listen()]);
        let require_token = self.pick("require_token", |layer| layer.require_token);
        let insecure_public = self.pick("insecure_public", |layer| layer.insecure_public);
        let allowed_origins = self.pick("allowed_origins", |layer| layer.allowed_origins.clone());
        let allowed_hosts = self.pick("allowed_hosts", |layer| layer.allowed_hosts.clone());
        let drain = self.pick("drain_deadline", |layer| layer.drain_deadline);
        let persist_session = self.pick("persist_session", |layer| layer.persist_session);
        let debug_log = self.pick("debug_log", |layer| layer.debug_log.clone());
        let max_running = self.pick("turns.max_running", |layer| layer.turns.max_running);
        let min_free = self.pick("turns.min_free_disk", |layer| layer.turns.min_free_disk);
        let interrupt = self.pick("turns.interrupt_grace", |layer| layer.turns.interrupt_grace);
        let kill = self.pick("turns.kill_grace", |layer| layer.turns.kill_grace);
        let terminate = self.pick("turns.terminate_grace", |layer| layer.turns.terminate_grace);
        let inactivity = self.pick("turns.inactivity_limit", |layer| layer.turns.inactivity_limit);
        let wall_clock = self.pick("turns.wall_clock_limit", |layer| layer.turns.wall_clock_limit);
        let output = self.pick("turns.output_limit", |layer| layer.turns.output_limit);
        let retain_bytes = self.pick("events.retain_bytes", |layer| layer.events.retain_bytes);
        let retain_age = self.pick("events.retain_age", |layer| layer.events.retain_age);
        let segment = self.pick("events.segment_bytes", |layer| layer.events.segment_bytes);
        let lock_defaults =
            self.pick("controls.lock_defaults", |layer| layer.controls.lock_defaults);
        let approval =
            self.pick("controls.approval_policy", |layer| layer.controls.approval_policy);
        let network = self.pick("controls.network_access", |layer| layer.controls.network_access);
        let sandbox =
            self.pick("controls.filesystem_sandbox", |layer| layer.controls.filesystem_sandbox);
        let rpc = JsonRpcConfig::default();
        let max_connections =
            self.pick("json_rpc.max_connections", |layer| layer.json_rpc.max_connections);
        let max_batch = self.pick("json_rpc.max_batch", |layer| layer.json_rpc.max_batch);
        let max_message =
            self.pick("json_rpc.max_message_size", |layer| layer.json_rpc.max_message_size);
        let max_subscriptions =
            self.pick("json_rpc.max_subscriptions", |layer| layer.json_rpc.max_subscriptions);
        let ping = self.pick("json_rpc.ping_interval", |layer| layer.json_rpc.ping_interval);
        let export_dir = self.pick("debug.config_lockfile.export_dir", |layer| {
            layer.debug.config_lockfile.export_dir.clone()
        });
        let load_path = self.pick("debug.config_lockfile.load_path", |layer| {
            layer.debug.config_lockfile.load_path.clone()
        });
        let any_version = self
            .pick(ANY_VERSION, |layer| layer.debug.config_lockfile.allow_codex_version_mismatch);
        let save_catalogue = self.pick(SAVE_CATALOGUE, |layer| {
            layer.debug.config_lockfile.save_fields_resolved_from_model_catalog
        });
        let codex_path = self.pick("codex.path", |layer| layer.codex.path.clone());
        let agent_config =
            self.pick("codex.agent_config", |layer| layer.codex.agent_config.clone());
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
            turns: TurnsConfig {
                max_running: match max_running.unwrap_or(DEFAULT_MAX_RUNNING) {
                    0 => None,
                    limit => Some(limit as usize),
                },
                min_free_bytes: min_free.unwrap_or(DEFAULT_MIN_FREE).0,
            },
            grace: Grace {
                interrupt: interrupt.map_or(grace.interrupt, |span| span.0),
                kill: kill.map_or(grace.kill, |span| span.0),
                terminate: terminate.map_or(grace.terminate, |span| span.0),
                ..grace
            },
            limits: Limits {
                inactivity: inactivity.map(|span| span.0),
                wall_clock: wall_clock.map(|span| span.0),
                output_bytes: Some(output.unwrap_or(DEFAULT_OUTPUT_LIMIT).0),
            },
            events: EventsConfig {
                retain_bytes: retain_bytes.map(|size| size.0),
                retain_age: retain_age.map(|span| span.0),
                segment_bytes: segment.unwrap_or(DEFAULT_SEGMENT).0,
            },
            locks: LocksConfig {
                export_dir,
                load_path,
                any_version: any_version.unwrap_or(false),
                catalogue: match save_catalogue {
                    None | Some(true) => CatalogueFields::Saved,
                    Some(false) => CatalogueFields::LeftOut,
                },
            },
            controls: Policy {
                defaults: Controls {
                    model: None,
                    approval_policy: approval.map(|word| word.0).unwrap_or_default(),
                    network: network.map(|word| word.0).unwrap_or_default(),
                    sandbox: sandbox.map(|word| word.0).unwrap_or_default(),
                },
                lock_defaults: lock_defaults.unwrap_or(false),
            },
            json_rpc: JsonRpcConfig {
                max_connections: max_connections.unwrap_or(rpc.max_connections),
                max_batch: max_batch.unwrap_or(rpc.max_batch),
                max_message_bytes: max_message.map_or(rpc.max_message_bytes, |size| {
                    u32::try_from(size.0).unwrap_or(u32::MAX)
                }),
                max_subscriptions: max_subscriptions.unwrap_or(rpc.max_subscriptions),
                ping_interval: ping.map_or(rpc.ping_interval, |span| span.0),
            },
            codex: CodexConfig {
                path: codex_path,
                search_path: environment.raw("PATH"),
                codex_home: environment.raw("CODEX_HOME").map(PathBuf::from),
                default_codex_home: environment
                    .directory("HOME")
                    .map(|directory| directory.join(".codex")),
                agent_config,
                unbounded_connection_retries: retries.unwrap_or(false),
            },
            log: LogConfig {
                filter: filter.unwrap_or_else(|| "info".into()),
                format: format.unwrap_or(LogFormat::Text),
            },
            persist: PersistConfig {
                all: persist_session.unwrap_or(false),
                debug_log: debug_log.unwrap_or_else(|| PersistConfig::default().debug_log),
            },
            session_logs: SessionLogs::default(),
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
                "turns.max_running" => DEFAULT_MAX_RUNNING.into(),
                "turns.min_free_disk" => serde_json::json!(DEFAULT_MIN_FREE),
                "turns.interrupt_grace" => serde_json::json!(Span(config.grace.interrupt)),
                "turns.kill_grace" => serde_json::json!(Span(config.grace.kill)),
                "turns.terminate_grace" => serde_json::json!(Span(config.grace.terminate)),
                "turns.output_limit" => serde_json::json!(config.limits.output_bytes.map(Size)),
                "events.segment_bytes" => serde_json::json!(Size(config.events.segment_bytes)),
                "json_rpc.max_connections" => config.json_rpc.max_connections.into(),
                "json_rpc.max_batch" => config.json_rpc.max_batch.into(),
                "json_rpc.max_message_size" => {
                    serde_json::json!(Size(config.json_rpc.max_message_bytes.into()))
                }
                "json_rpc.max_subscriptions" => config.json_rpc.max_subscriptions.into(),
                "json_rpc.ping_interval" => serde_json::json!(Span(config.json_rpc.ping_interval)),
                "debug_log" => serde_json::json!(config.persist.debug_log),
                SAVE_CATALOGUE => true.into(),
                ANY_VERSION
                | "insecure_public"
                | "persist_session"
                | "controls.lock_defaults"
                | "codex.unbounded_connection_retries" => false.into(),
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
        let socket = ListenAddr::Unix(config.home.socket());
        config.listen.retain(|address| *address != socket);
        config.listen.push(socket);
        forget_repetitions(&mut config.listen);
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
            ("turns.kill_grace", config.grace.kill),
            ("turns.terminate_grace", config.grace.terminate),
        ] {
            if grace > MAX_GRACE {
                return Err(self.wrong(key, "expected at most 1h"));
            }
        }
        for (key, limit) in [
            ("turns.inactivity_limit", config.limits.inactivity),
            ("turns.wall_clock_limit", config.limits.wall_clock),
        ] {
            if limit.is_some_and(|limit| limit < MIN_TIME_LIMIT) {
                return Err(self.wrong(key, "expected at least 1s; leave it out for no limit"));
            }
        }
        if config.events.retain_age.is_some_and(|age| age < MIN_TIME_LIMIT) {
            let problem = "expected at least 1s, such as 30d; leave it out to keep all";
            return Err(self.wrong("events.retain_age", problem));
        }
        if !SEGMENT_BYTES.contains(&config.events.segment_bytes) {
            return Err(self.wrong("events.segment_bytes", "expected 4KiB to 1GiB"));
        }
        for (key, most) in [
            ("json_rpc.max_connections", config.json_rpc.max_connections),
            ("json_rpc.max_batch", config.json_rpc.max_batch),
            ("json_rpc.max_subscriptions", config.json_rpc.max_subscriptions),
        ] {
            if most == 0 {
                return Err(self.wrong(key, "expected at least 1"));
            }
        }
        if !MESSAGE_BYTES.contains(&config.json_rpc.max_message_bytes) {
            return Err(self.wrong("json_rpc.max_message_size", "expected 1MiB to 1GiB"));
        }
        if !PING_INTERVAL.contains(&config.json_rpc.ping_interval) {
            return Err(self.wrong("json_rpc.ping_interval", "expected 1s to 10m"));
        }
        if config.limits.output_bytes == Some(0) {
            return Err(self.wrong("turns.output_limit", "expected at least 1B"));
        }
        if let Err(error) = tracing_subscriber::EnvFilter::try_new(&config.log.filter) {
            return Err(self.wrong("log.filter", error.to_string()));
        }
        self.validate_debug_log(&config.persist.debug_log)?;
        // A bare name is looked for on the PATH.
        if let Some(path) = &mut config.codex.path
            && path.components().count() > 1
        {
            *path = std::path::absolute(&*path)
                .map_err(|error| self.wrong("codex.path", error.to_string()))?;
        }
        if let Some(path) = &mut config.locks.export_dir {
            *path = std::path::absolute(&*path).map_err(|error| {
                self.wrong("debug.config_lockfile.export_dir", error.to_string())
            })?;
        }
        if let Some(path) = &mut config.locks.load_path {
            let key = "debug.config_lockfile.load_path";
            *path =
                std::path::absolute(&*path).map_err(|error| self.wrong(key, error.to_string()))?;
            if !path.is_file() {
                let problem = format!("{}: there is no such file", path.display());
                return Err(self.wrong(key, problem));
            }
        }
        if let Some(path) = &mut config.codex.agent_config {
            *path = std::path::absolute(&*path)
                .map_err(|error| self.wrong("codex.agent_config", error.to_string()))?;
            if !path.is_file() {
                let problem = format!("{}: there is no such file", path.display());
                return Err(self.wrong("codex.agent_config", problem));
            }
        }
        Ok(())
    }

    /// A relative path names a file in each session's directory, and none of those
    /// that are there.
    fn validate_debug_log(&self, path: &Path) -> Result<(), Error> {
        if path.is_absolute() {
            let directory = path.parent().filter(|_| path.file_name().is_some());
            if directory.is_some_and(Path::is_dir) && !path.is_dir() {
                return Ok(());
            }
            let problem = format!(
                "{}: expected the path of a file in a directory that is there",
                path.display()
            );
            return Err(self.wrong("debug_log", problem));
        }
        let mut parts = path.components();
        let name = match (parts.next(), parts.next()) {
            (Some(Component::Normal(name)), None) => name.to_str(),
            (Some(_) | None, _) => None,
        };
        if name.is_some_and(|name| name.ends_with(".log") && !OWN_LOGS.contains(&name)) {
            return Ok(());
        }
        let problem = format!(
            "{}: expected a name in the session's directory that ends in .log, such as session.log, or an absolute path",
            path.display()
        );
        Err(self.wrong("debug_log", problem))
    }
}

/// Keys that stand in two places.
const ANY_VERSION: &str = "debug.config_lockfile.allow_codex_version_mismatch";
const SAVE_CATALOGUE: &str = "debug.config_lockfile.save_fields_resolved_from_model_catalog";

/// Leaves each address once, in the place where it came first. Port 0 is a
/// free port of its own each time.
fn forget_repetitions(listen: &mut Vec<ListenAddr>) {
    let mut seen: Vec<ListenAddr> = Vec::with_capacity(listen.len());
    for address in listen.drain(..) {
        let is_new_each_time = match &address {
            ListenAddr::Tcp(address) => address.port() == 0,
            ListenAddr::Unix(_) => false,
        };
        if is_new_each_time || !seen.contains(&address) {
            seen.push(address);
        }
    }
    *listen = seen;
}

fn is_host(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte);
    !text.is_empty() && text.bytes().all(allowed)
}
