//! What a person can type about the server itself and its configuration.

use std::{path::PathBuf, str::FromStr, time::Duration};

use clap::{Args, Subcommand};

use super::duration;
use crate::config::{ListenAddr, LogFormat, Size, Span};

/// `serve`.
#[derive(Debug, Args)]
pub(in crate::cli) struct ServeArgs {
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Write the pid and the addresses here, as JSON, once the server is ready
    #[arg(long, value_name = "PATH")]
    pub ready_file: Option<PathBuf>,
    /// Leave the terminal: for a server that `run` starts in the background
    #[arg(long, hide = true)]
    pub own_session: bool,
}

/// The flags that set keys of the configuration.
#[derive(Debug, Args)]
pub(in crate::cli) struct ConfigArgs {
    /// The configuration file [env: SWITCHBOARD_CONFIG]
    ///
    /// By default $XDG_CONFIG_HOME/switchboard/config.toml, if it is there.
    #[arg(long = "config", value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Where to listen instead of 127.0.0.1:7420; may be repeated [env: SWITCHBOARD_LISTEN]
    ///
    /// ADDRESS:PORT (port 0 for any free one) or unix:PATH. The Unix socket in
    /// the home is always there too.
    #[arg(long, value_name = "ADDR", value_parser = listen_addr)]
    pub listen: Vec<ListenAddr>,
    /// Let every user of this machine in: ask for no token on loopback
    #[arg(long)]
    pub no_token: bool,
    /// Allow --listen on an address that other machines reach, unencrypted
    #[arg(long)]
    pub insecure_public: bool,
    /// Let nobody write the default controls and settings [env: SESSION_DEFAULTS_LOCKED]
    ///
    /// They are read as before, and each session's own can be written.
    #[arg(long)]
    pub lock_defaults: bool,
    /// The codex binary [env: SWITCHBOARD_CODEX]
    ///
    /// By default the native binary behind `codex` on the PATH.
    #[arg(long, value_name = "PATH")]
    pub codex: Option<PathBuf>,
    /// The agent configuration: what every turn of codex is told
    ///
    /// By default codex.toml in the home, if it is there.
    #[arg(long, value_name = "FILE")]
    pub agent_config: Option<PathBuf>,
    /// Write a config lock of every session that starts into this directory
    ///
    /// THREAD_ID.config.lock.toml has what the session runs with, so that the run
    /// can be made again.
    #[arg(long, value_name = "DIR")]
    pub export_config_locks: Option<PathBuf>,
    /// Hold every new session of codex to this config lock
    ///
    /// A session that brings a lock of its own is held to that.
    #[arg(long, value_name = "FILE")]
    pub config_lock: Option<PathBuf>,
    /// Hold them to it with another version of codex too
    #[arg(long)]
    pub allow_codex_version_mismatch: bool,
    /// What to log, such as info or info,switchboard=debug [env: SWITCHBOARD_LOG]
    #[arg(long = "log", value_name = "FILTER")]
    pub log_filter: Option<String>,
    /// How log lines look [env: SWITCHBOARD_LOG_FORMAT]
    #[arg(long, value_name = "FORMAT", value_enum)]
    pub log_format: Option<LogFormat>,
    /// How long a stopping server waits for its clients, such as 10s
    #[arg(long, value_name = "DURATION")]
    pub drain_deadline: Option<Span>,
    /// How much of each session's events is kept: a size such as 100MB, or an age such as 30d
    ///
    /// May be given twice, once with each. By default all are kept; those of the
    /// latest turn always are.
    #[arg(long, value_name = "SIZE|AGE", value_parser = retain_events)]
    pub retain_events: Vec<RetainEvents>,
    /// Keep what one needs to understand a session later, of every new one
    ///
    /// In its directory: codex's own rollout, the server's log about it, what went
    /// to the model and came from it, and what was asked of it. Off by default;
    /// `run --persist-session` does it for one.
    #[arg(long)]
    pub persist_session: bool,
    /// The server's log about each session that is persisted
    ///
    /// A name in the session's directory, or an absolute path of one file for all
    /// of them. By default session.log.
    #[arg(long, value_name = "PATH", num_args = 0..=1, default_missing_value = "session.log")]
    pub debug_log: Option<PathBuf>,
}

/// A bound of the events that are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum RetainEvents {
    /// Of so many bytes.
    Size(Size),
    /// Of this age.
    Age(Span),
}

/// `server …`.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum ServerCommand {
    /// Show the server's version, addresses and agents
    Status,
    /// Stop the server of this home; running turns go on without it
    Stop {
        /// How long to wait for it to end
        #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "30s")]
        timeout: Duration,
    },
}

/// `config …`.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum ConfigCommand {
    /// Say whether the configuration is valid
    Check(ConfigArgs),
    /// Show each value that is in effect and where it comes from
    Show(ConfigArgs),
    /// Print the JSON Schema of the configuration file
    Schema,
}

/// A path after `unix:` may be relative here: a person types it in a directory.
fn listen_addr(text: &str) -> Result<ListenAddr, String> {
    if let Some(path) = text.strip_prefix("unix:").filter(|path| !path.is_empty()) {
        return std::path::absolute(path).map(ListenAddr::Unix).map_err(|error| error.to_string());
    }
    ListenAddr::from_str(text).map_err(|error| error.to_string())
}

fn retain_events(text: &str) -> Result<RetainEvents, String> {
    // Ages may be given in months, but nobody who leaves a letter away means them.
    if let Some(number) = text.strip_suffix('M') {
        return Err(format!(
            "{text} could mean megabytes or months: write {number}MB, or an age in days such as 30d"
        ));
    }
    let size = text.parse().map(RetainEvents::Size);
    size.or_else(|_| text.parse().map(RetainEvents::Age)).map_err(|_: humantime::DurationError| {
        "expected a size such as 100MB or 8GiB, or an age such as 30d or 12h".to_owned()
    })
}
