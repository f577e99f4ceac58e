//! What a person can type about sessions that there are.

use clap::{Subcommand, ValueEnum};

use super::{ListArgs, ManageCommand, TopArgs, WaitArgs};

/// `sessions …`.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum SessionsCommand {
    /// List sessions, newest first
    List(ListArgs),
    /// Show every session in a live table
    ///
    /// Those with a running turn come first, then those that changed last. q or
    /// Ctrl-C leaves. Where standard output is no terminal, and with --json, it
    /// prints one JSON object for each change instead, first the sessions that
    /// are there and a "synced". It comes back when the server is restarted; a
    /// session that changed meanwhile is told at least once.
    Top(TopArgs),
    /// Show one session
    Show {
        /// Its id, or the first four or more characters of it
        id: String,
    },
    /// Follow a session's events, from its first
    ///
    /// When the connection is lost it comes back where it was: no event is
    /// shown twice and none is left out. Ctrl-C ends the watching, not the
    /// session.
    Watch {
        /// Its id, or the first four or more characters of it
        id: String,
        /// The first event to show; 0 for only new ones
        #[arg(long, value_name = "SEQ", default_value_t = 1)]
        start: u64,
        /// End after the turn that runs now, or at once when none does
        #[arg(long)]
        until_end: bool,
    },
    /// Print what the agent printed in a turn, byte for byte
    Output {
        /// Its id, or the first four or more characters of it
        id: String,
        /// Which turn; by default the latest
        #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
        turn: u32,
        /// The first byte to print
        #[arg(long, value_name = "BYTE", default_value_t = 0)]
        offset: u64,
        /// How many bytes to print; by default all that is there
        #[arg(long, value_name = "BYTES", default_value_t = 0, hide_default_value = true)]
        length: u64,
        /// Its diagnostics instead of its event lines
        #[arg(long)]
        stderr: bool,
    },
    /// Print what was said in a session: prompts, answers, what tools did
    Messages {
        /// Its id, or the first four or more characters of it
        id: String,
        /// Only in this turn
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
        turn: Option<u32>,
    },
    /// Print what happened in a session, step by step
    Trajectory {
        /// Its id, or the first four or more characters of it
        id: String,
        /// Only in this turn
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
        turn: Option<u32>,
        /// The most characters of each text
        #[arg(long, value_name = "N", default_value_t = 200,
              value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
        max_characters: u32,
        /// Print texts whole
        #[arg(long, conflicts_with = "max_characters")]
        full: bool,
    },
    /// List the turns of a session, with what each used
    Turns {
        /// Its id, or the first four or more characters of it
        id: String,
    },
    /// Print an agent's diagnostics
    ///
    /// Byte for byte, but for control sequences where it prints to a terminal.
    Stderr {
        /// Its id, or the first four or more characters of it
        id: String,
        /// Of which turn; by default the latest
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
        turn: Option<u32>,
    },
    /// Wait until a session is at rest
    ///
    /// Exits like `run`: 0 completed, 1 failed or the time was up, 130
    /// interrupted. Goes on waiting when the server is restarted.
    Wait(WaitArgs),
    #[command(flatten)]
    Manage(ManageCommand),
}

/// A state, to filter by.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(in crate::cli) enum State {
    Pending,
    Queued,
    Running,
    Stopping,
    Completed,
    Failed,
    Interrupted,
    Killed,
}
