//! What a person can type about config locks.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::ChoiceArgs;

const EXPORT_EXAMPLES: &str = "\
Examples:
  switchboard lock export 3f9a1c22                     prints the path of the file
  switchboard lock export 3f9a1c22 -o run.lock.toml
  switchboard lock export 3f9a1c22 -o - | less";

const VERIFY_EXAMPLES: &str = "\
Examples:
  switchboard lock verify run.lock.toml                as a new session
  switchboard lock verify run.lock.toml -C ~/project -m gpt-5.5
  switchboard lock verify run.lock.toml --session 3f9a1c22
  switchboard lock verify --session 3f9a1c22           against the lock that it has
  switchboard run --config-lock run.lock.toml \"once more\"";

/// `lock …`.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum LockCommand {
    /// Write down what a session's agent runs with, so that the run can be made again
    ///
    /// The lock is a file of TOML: versions, the working directory, and the whole
    /// effective configuration of codex, whatever file, flag or default a value
    /// came from. It holds no secrets: where the configuration has one, nothing is
    /// written, and the key is named.
    #[command(after_help = EXPORT_EXAMPLES)]
    Export(ExportLockArgs),
    /// Say what would differ from a lock, without running anything
    ///
    /// Exits with 0 when nothing does, and with 4 when something does, which it
    /// prints as a diff with the place where each value comes from. It looks at the
    /// directory that the lock names, from wherever it is called, and prints that; -C
    /// has it look at another, which is a difference then.
    #[command(after_help = VERIFY_EXAMPLES)]
    Verify(VerifyLockArgs),
}

/// `lock export`.
#[derive(Debug, Args)]
pub(in crate::cli) struct ExportLockArgs {
    /// The session's id, or the first four or more characters of it
    pub session: String,
    /// Where to write it; - for standard output
    ///
    /// The server has it too, in the session's directory or in the directory that
    /// it is configured to export to, whose path is printed.
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Leave out what only codex's catalogue of models says
    #[arg(long)]
    pub without_catalog_fields: bool,
}

/// `lock verify`.
#[derive(Debug, Args)]
pub(in crate::cli) struct VerifyLockArgs {
    /// The lock; - for standard input, and nothing for the one that --session has
    #[arg(required_unless_present = "session")]
    pub file: Option<PathBuf>,
    /// Compare with the next turn of this session, and not with a new one
    #[arg(long, value_name = "SESSION", conflicts_with_all = ["directory", "model", "sandbox", "network"])]
    pub session: Option<String>,
    /// Do not count another version of codex as a difference
    #[arg(long)]
    pub allow_codex_version_mismatch: bool,
    /// What the new session would choose.
    #[command(flatten)]
    pub choices: ChoiceArgs,
}
