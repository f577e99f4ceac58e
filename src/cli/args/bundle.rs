//! `bundle …`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

const EXAMPLES: &str = "\
Examples:
  switchboard bundle 3f9a1c22 -o report.tar.zst
  switchboard bundle 3f9a1c22 --redact 'project-[a-z]+' --redact-file secrets.txt
  switchboard bundle verify report.tar.zst
  tar --zstd -xf report.tar.zst                  look at what is in it";

/// `bundle`.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    after_help = EXAMPLES
)]
pub(in crate::cli) struct BundleArgs {
    #[command(subcommand)]
    pub command: Option<BundleCommand>,
    /// The session's id, or the first four or more characters of it
    #[arg(required = true, value_name = "SESSION")]
    pub session: Option<String>,
    /// The file to write; by default switchboard-ID.tar.zst
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Leave out what else matches this regular expression; may be repeated
    #[arg(long, value_name = "REGEX")]
    pub redact: Vec<String>,
    /// Leave out what matches one of the expressions in this file, one a line
    ///
    /// Empty lines and those that begin with # do not count.
    #[arg(long, value_name = "FILE")]
    pub redact_file: Vec<PathBuf>,
}

/// `bundle …`.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum BundleCommand {
    /// Compare a bundle, or the directory it was unpacked to, with its manifest
    ///
    /// Exit codes: 0 all is as the manifest says, 1 it cannot be read, 4 something
    /// differs, and each is listed.
    Verify {
        /// The bundle, or the directory.
        #[arg(value_name = "FILE|DIRECTORY")]
        path: PathBuf,
    },
}
