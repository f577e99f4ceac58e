//! Everything that a person can type.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum};

mod audit;
mod bundle;
mod lock;
mod manage;
mod serve;
mod sessions;
mod values;

pub(super) use self::{
    audit::{
        AuditCommand, AuditFilterArgs, AuditListArgs, AuditShowArgs, AuditWatchArgs, Known, Moment,
    },
    bundle::{BundleArgs, BundleCommand},
    lock::{ExportLockArgs, LockCommand, VerifyLockArgs},
    manage::{
        CleanupArgs, ForkArgs, KillArgs, LabelChange, ListArgs, ManageCommand, TopArgs, WaitArgs,
        When,
    },
    serve::{ConfigArgs, ConfigCommand, RetainEvents, ServeArgs, ServerCommand},
    sessions::{SessionsCommand, State},
    values::{
        ApplyControlsArgs, ControlsChange, ControlsCommand, GetControlsArgs, GetSettingsArgs,
        ScopeWord, SetSettingsArgs, SettingsCommand, UnsetSettingsArgs, WriterArgs,
    },
};
use super::{
    connect::Target,
    options::{CodexArgs, Network},
};
use crate::proto::FilesystemSandbox;

const EXAMPLES: &str = "\
Begin here:
  switchboard demo                         see it work: no account, no codex needed
  switchboard run \"explain this project\"   start a session and follow it
  switchboard run -C ~/project -s workspace-write \"fix the failing test\"

Then:
  switchboard sessions list                every session, newest first
  switchboard sessions watch 3f9a1c22      follow one, from its first event
  switchboard send 3f9a1c22 \"and now?\"     give it its next prompt
  switchboard sessions top                 all of them, live
  switchboard sessions kill 3f9a1c22       end it, with all that it started
  switchboard settings set 3f9a1c22 team.size 4
                                           a value that all its clients share
  switchboard controls apply 3f9a1c22 -s workspace-write
                                           what it may do, from its next turn on
  switchboard serve                        run the server in this terminal

Exit codes: 0 done, 1 it failed, 2 bad usage, 3 no server answers,
4 a comparison found differences, 130 interrupted.";

/// One server for every codex session on this machine.
///
/// Switchboard starts codex agents under supervisors of their own, so that they
/// go on when the server, your terminal or your connection do not, and streams
/// their events, live and without gaps, to any number of clients over gRPC.
#[derive(Debug, Parser)]
#[command(name = "switchboard", version, after_help = EXAMPLES, max_term_width = 100)]
pub(super) struct Arguments {
    /// What holds for every command.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What holds for every command.
#[derive(Debug, Args)]
pub(super) struct Global {
    /// The server to talk to: http://HOST:PORT or unix:PATH [env: SWITCHBOARD_URL]
    ///
    /// By default the Unix socket in the home. The home's token is sent to
    /// loopback addresses only; for any other server set SWITCHBOARD_TOKEN.
    #[arg(long, global = true, value_name = "URL", help_heading = "Global options")]
    pub url: Option<Target>,
    /// The server of this name in profiles.toml, where --url names none [env: SWITCHBOARD_PROFILE]
    ///
    /// Goes before the command: behind `run` it is the profile of codex. The file
    /// is $XDG_CONFIG_HOME/switchboard/profiles.toml; docs/profiles.md has its keys.
    #[arg(long, value_name = "NAME", help_heading = "Global options")]
    pub profile: Option<String>,
    /// The directory that holds the server's state [env: SWITCHBOARD_HOME]
    ///
    /// By default $XDG_STATE_HOME/switchboard, which is
    /// ~/.local/state/switchboard.
    #[arg(long, global = true, value_name = "DIR", help_heading = "Global options")]
    pub home: Option<PathBuf>,
    /// Print JSON for programs: one object, or one a line for lists and streams
    #[arg(long, global = true, help_heading = "Global options")]
    pub json: bool,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run the server in the foreground
    Serve(ServeArgs),
    /// Start a session with a prompt and follow it
    ///
    /// Uses the server that runs; when none does, starts one in the background
    /// for you (its log is server.log in the home). Ctrl-C once interrupts the
    /// turn, twice leaves it running and returns. The exit code is the turn's
    /// outcome: 0 completed, 1 failed, 130 interrupted or left.
    Run(RunArgs),
    /// Show what Switchboard does, with a prepared session
    ///
    /// Needs no account and no codex. Starts a server of its own in a temporary
    /// home, runs a prepared session through the real pipeline, and removes
    /// everything again.
    Demo(DemoArgs),
    /// Print a recorded transcript with its pauses, as an agent would
    ///
    /// The pauses come from FILE.timing, in the format of script(1): lines of
    /// "SECONDS BYTES", the seconds counted from the chunk before. Exits with 0 when the last
    /// turn event in the transcript is turn.completed, else with 1; on SIGINT
    /// it stops printing and exits with 1. Standard input is read and ignored.
    Replay(ReplayArgs),
    /// Find, follow, change and end sessions
    #[command(subcommand)]
    Sessions(SessionsCommand),
    /// Give a session its next prompt and follow it
    Send(SendArgs),
    /// Read and write settings: values that the clients of a session share
    #[command(subcommand)]
    Settings(SettingsCommand),
    /// Show and change what agents may do: model, approvals, network, sandbox
    #[command(subcommand)]
    Controls(ControlsCommand),
    /// See who changed which settings and controls, and check the record
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Write down what a session runs with, and compare with that
    #[command(subcommand)]
    Lock(LockCommand),
    /// Pack a session's directory for a report of a bug, without what is secret
    ///
    /// Reads the files in the home, whether or not a server runs on it: turns, events,
    /// logs, and with --persist-session codex's rollout and what went to the model.
    /// Left out are what looks like keys and tokens, the server's token and the
    /// values of the session's environment.
    Bundle(BundleArgs),
    /// Ask about the server, or stop it
    #[command(subcommand)]
    Server(ServerCommand),
    /// Check and explain the configuration of the server
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Print the completions of a shell
    ///
    /// For bash: switchboard completions bash > ~/.local/share/bash-completion/completions/switchboard
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Supervise one turn; for the server only
    #[command(hide = true)]
    Supervise {
        /// The turn's files.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        rest: Vec<std::ffi::OsString>,
    },
}

/// What a new session is made of.
#[derive(Debug, Args)]
pub(super) struct RunArgs {
    /// What the agent shall do; - or nothing reads it from standard input
    pub prompt: Option<String>,
    /// What the session chooses.
    #[command(flatten)]
    pub choices: ChoiceArgs,
    /// Hold the session to this config lock; - reads it from standard input
    ///
    /// As `switchboard lock export` wrote it. Whatever would differ is refused
    /// before the first turn runs. The directory is the lock's, unless -C says
    /// another, which is a difference.
    #[arg(long, value_name = "FILE")]
    pub config_lock: Option<PathBuf>,
    /// Hold it to that with another version of codex too
    #[arg(long, requires = "config_lock")]
    pub allow_codex_version_mismatch: bool,
    /// Keep in the session's directory what one needs to understand it later
    ///
    /// Codex's own rollout, the server's log about it, what went to the model and
    /// came from it, and what was asked of it. See `switchboard bundle`.
    #[arg(long)]
    pub persist_session: bool,
    /// An image for the prompt; may be repeated
    #[arg(long = "image", value_name = "FILE")]
    pub images: Vec<PathBuf>,
    /// The kind of agent: codex, or replay:FILE for a recorded transcript
    #[arg(long, value_name = "KIND", default_value = "codex")]
    pub agent: String,
    /// A title for the session
    #[arg(long, value_name = "TEXT")]
    pub title: Option<String>,
    /// Print the session's id and return, without following it
    #[arg(long)]
    pub detach: bool,
}

/// What a new session chooses of what its agent runs with.
#[derive(Debug, Args)]
pub(super) struct ChoiceArgs {
    /// The directory that the agent works in; by default the config
    /// lock's where there is one that says it, or else this one
    #[arg(short = 'C', long = "cd", value_name = "DIR")]
    pub directory: Option<PathBuf>,
    /// The model; by default the agent's own choice
    #[arg(short, long, value_name = "MODEL")]
    pub model: Option<String>,
    /// What the agent's commands may write; by default the agent's own choice
    #[arg(short, long, value_enum, value_name = "MODE")]
    pub sandbox: Option<Sandbox>,
    /// Let the agent's commands use the network, or say that they may not
    ///
    /// In the sandbox workspace-write; read-only never has a network, and
    /// danger-full-access always has.
    #[arg(
        long, value_enum, value_name = "MODE", num_args = 0..=1, require_equals = true,
        default_missing_value = "enabled"
    )]
    pub network: Option<Network>,
    /// What else codex is told in each turn.
    #[command(flatten)]
    pub codex: CodexArgs,
}

/// What the agent's commands may write.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum Sandbox {
    /// Nothing
    ReadOnly,
    /// The working directory and temporary directories
    WorkspaceWrite,
    /// Everything
    DangerFullAccess,
}

impl From<Sandbox> for FilesystemSandbox {
    fn from(sandbox: Sandbox) -> Self {
        match sandbox {
            Sandbox::ReadOnly => Self::ReadOnly,
            Sandbox::WorkspaceWrite => Self::WorkspaceWrite,
            Sandbox::DangerFullAccess => Self::DangerFullAccess,
        }
    }
}

/// `demo`.
#[derive(Debug, Args)]
pub(super) struct DemoArgs {
    /// How much faster than recorded
    #[arg(long, value_name = "X", default_value = "1", value_parser = speed)]
    pub speed: f64,
}

/// `replay`.
#[derive(Debug, Args)]
pub(super) struct ReplayArgs {
    /// The transcript
    pub file: PathBuf,
    /// How much faster than recorded
    #[arg(long, value_name = "X", default_value = "1", value_parser = speed)]
    pub speed: f64,
    /// Pause this long before each line, when there is no FILE.timing
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub pace: Option<Duration>,
}

/// `send`.
#[derive(Debug, Args)]
pub(super) struct SendArgs {
    /// The session's id, or the first four or more characters of it
    pub id: String,
    /// What the agent shall do next; - or nothing reads it from standard input
    pub prompt: Option<String>,
    /// An image for the prompt; may be repeated
    #[arg(long = "image", value_name = "FILE")]
    pub images: Vec<PathBuf>,
    /// Return at once, without following the turn
    #[arg(long)]
    pub detach: bool,
}

fn duration(text: &str) -> Result<Duration, humantime::DurationError> {
    humantime::parse_duration(text)
}

fn speed(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(speed) if speed > 0.0 => Ok(speed),
        _ => Err("expected a number above 0, such as 2 or 0.5".into()),
    }
}
