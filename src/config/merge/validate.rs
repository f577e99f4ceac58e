//! What a configuration must fulfil, once its layers are merged: bounds, paths
//! that are there, and no address by which strangers could come in.

use std::{
    ops::RangeInclusive,
    path::{Component, Path},
    time::Duration,
};

use super::Merge;
use crate::config::{Config, Error, ListenAddr, Source};

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

impl Merge {
    /// An error that says where the value is from.
    fn wrong(&self, key: &'static str, problem: impl Into<String>) -> Error {
        let found = self.values.iter().find(|value| value.key == key);
        let source_of_value = found.map_or(Source::Default, |value| value.source.clone());
        Error::Value { key, source_of_value, problem: problem.into() }
    }

    /// Makes paths absolute and adds the home's socket; the first thing that is wrong is the error.
    pub(super) fn validate(&self, config: &mut Config, insecure_public: bool) -> Result<(), Error> {
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
