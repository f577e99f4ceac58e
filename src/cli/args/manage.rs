//! What a person can type to find, change and end sessions.

use std::{path::PathBuf, str::FromStr, time::Duration};

use clap::{Args, Subcommand};

use super::{Sandbox, State, duration};

const KILL_EXAMPLES: &str = "\
Examples:
  switchboard sessions kill 3f9a1c22                 and wait until nothing of it is left
  switchboard sessions kill 3f9a 77b0 --no-wait      two at once, without waiting
  switchboard sessions kill 3f9a1c22 --delete        and delete the session";

const FORK_EXAMPLES: &str = "\
Examples:
  switchboard sessions fork 3f9a1c22 \"try it with a channel instead\"
  switchboard sessions fork 3f9a1c22 -C ~/copy -s workspace-write \"fix it here\"
  switchboard sessions fork 3f9a1c22 --title spare   no prompt: it waits for `send`";

const LABEL_EXAMPLES: &str = "\
Examples:
  switchboard sessions label 3f9a1c22 team=web ticket=4711
  switchboard sessions label 3f9a1c22 ticket-
  switchboard sessions list --label team=web";

const CLEANUP_EXAMPLES: &str = "\
Examples:
  switchboard sessions cleanup --dry-run             which would go
  switchboard sessions cleanup --older-than 30d --state failed --state killed
  switchboard sessions cleanup --yes                 for a timer: asks nothing";

const LIST_EXAMPLES: &str = "\
Examples:
  switchboard sessions list --state running --state queued
  switchboard sessions list -C . --since 2h
  switchboard sessions list --label team=web --label ticket --all
  switchboard --json sessions list --since 2026-07-01 --limit 10000";

const WAIT_EXAMPLES: &str = "\
Examples:
  switchboard sessions wait 3f9a1c22 && echo it is complete
  switchboard sessions wait 3f9a1c22 --state running --timeout 1m";

const TOP_EXAMPLES: &str = "\
Examples:
  switchboard sessions top
  switchboard --json sessions top | jq -r 'select(.session.state == \"SESSION_STATE_FAILED\") | .session.sessionId'";

/// Those of `sessions …` that change sessions.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum ManageCommand {
    /// Kill the running turns of sessions, with everything that they started
    ///
    /// Codex is asked to stop and, when it does not, ended with every process
    /// that it started. Waits until the sessions are at rest and prints the
    /// state that each is in then; Ctrl-C ends the waiting, not the kill. A
    /// session without a running turn is an error (exit code 1) and does not
    /// keep the others from being killed; with --delete it is none.
    #[command(after_help = KILL_EXAMPLES)]
    Kill(KillArgs),
    /// Interrupt the running turn of a session, as Ctrl-C in codex does
    ///
    /// The session can go on with `send`. Waits until it is at rest and prints
    /// its state. A session without a running turn is an error (exit code 1).
    Interrupt {
        /// Its id, or the first four or more characters of it
        id: String,
        /// Return as soon as the request is durable
        #[arg(long)]
        no_wait: bool,
    },
    /// Begin a new session with the history of another, and follow it
    ///
    /// The other session stays as it is. Directory, model, sandbox and network
    /// are taken over where none is given; title and labels are not. Follows the
    /// new turn, and exits, as `run` does.
    #[command(after_help = FORK_EXAMPLES)]
    Fork(ForkArgs),
    /// Give a session a title
    Rename {
        /// Its id, or the first four or more characters of it
        id: String,
        /// The title; an empty one takes it away
        title: String,
    },
    /// Set and remove labels of a session
    #[command(after_help = LABEL_EXAMPLES)]
    Label {
        /// Its id, or the first four or more characters of it
        id: String,
        /// KEY=VALUE sets a label, KEY- removes one
        #[arg(required = true, value_name = "KEY=VALUE|KEY-")]
        changes: Vec<LabelChange>,
    },
    /// Put sessions aside: `sessions list` leaves them out
    Archive {
        /// Their ids, or the first four or more characters of each
        #[arg(required = true, value_name = "ID")]
        ids: Vec<String>,
    },
    /// Take sessions back from the archive
    Unarchive {
        /// Their ids, or the first four or more characters of each
        #[arg(required = true, value_name = "ID")]
        ids: Vec<String>,
    },
    /// Delete sessions for ever, with their events and files
    ///
    /// A turn that runs is killed first. Codex's own record of the thread goes
    /// too. Says what goes and asks; without a terminal it wants --yes.
    Delete {
        /// Their ids, or the first four or more characters of each
        #[arg(required = true, value_name = "ID")]
        ids: Vec<String>,
        /// Do not ask
        #[arg(short, long)]
        yes: bool,
    },
    /// Delete sessions at rest that did nothing for some time
    ///
    /// Says which go and asks; without a terminal it wants --yes.
    #[command(after_help = CLEANUP_EXAMPLES)]
    Cleanup(CleanupArgs),
}

/// `sessions kill`.
#[derive(Debug, Args)]
pub(in crate::cli) struct KillArgs {
    /// Their ids, or the first four or more characters of each
    #[arg(required = true, value_name = "ID")]
    pub ids: Vec<String>,
    /// Delete the sessions as well, for ever
    #[arg(long)]
    pub delete: bool,
    /// Do not ask before deleting
    #[arg(short, long, requires = "delete")]
    pub yes: bool,
    /// Return as soon as the requests are durable
    #[arg(long, conflicts_with = "delete")]
    pub no_wait: bool,
}

/// `sessions fork`.
#[derive(Debug, Args)]
pub(in crate::cli) struct ForkArgs {
    /// The id of the other session, or the first four or more characters of it
    pub id: String,
    /// What the agent shall do; - reads it from standard input
    ///
    /// Without one, the new session waits for `send`, and its id is printed.
    pub prompt: Option<String>,
    /// A title for the new session
    #[arg(long, value_name = "TEXT")]
    pub title: Option<String>,
    /// Another model
    #[arg(short, long, value_name = "MODEL")]
    pub model: Option<String>,
    /// Another sandbox
    #[arg(short, long, value_enum, value_name = "MODE")]
    pub sandbox: Option<Sandbox>,
    /// Another directory
    #[arg(short = 'C', long = "cd", value_name = "DIR")]
    pub directory: Option<PathBuf>,
    /// Keep in its directory what one needs to understand it later, as `run` does
    ///
    /// Always on where the other session has it.
    #[arg(long)]
    pub persist_session: bool,
    /// Print the new session's id and return, without following it
    #[arg(long)]
    pub detach: bool,
}

/// `sessions cleanup`.
#[derive(Debug, Args)]
pub(in crate::cli) struct CleanupArgs {
    /// Only those whose last change is at least so long ago
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "7d")]
    pub older_than: Duration,
    /// Only those in this state; may be repeated
    ///
    /// One of completed, failed, interrupted and killed; by default all four.
    #[arg(long, value_name = "STATE", value_enum, hide_possible_values = true)]
    pub state: Vec<State>,
    /// Only list which would go
    #[arg(long)]
    pub dry_run: bool,
    /// Do not ask
    #[arg(short, long)]
    pub yes: bool,
}

/// `sessions list`.
#[derive(Debug, Args)]
#[command(after_help = LIST_EXAMPLES)]
pub(in crate::cli) struct ListArgs {
    /// Only sessions in this state; may be repeated
    #[arg(long, value_name = "STATE", value_enum)]
    pub state: Vec<State>,
    /// Only sessions that this source started
    #[arg(long, value_name = "SOURCE")]
    pub source: Option<String>,
    /// Only sessions with this label, and with this value of it; may be repeated
    #[arg(long, value_name = "KEY[=VALUE]", value_parser = label_filter)]
    pub label: Vec<(String, String)>,
    /// Only archived sessions
    #[arg(long)]
    pub archived: bool,
    /// Archived sessions too
    #[arg(long, conflicts_with = "archived")]
    pub all: bool,
    /// Only sessions that work in this directory or below it
    #[arg(short = 'C', long = "dir", value_name = "DIR")]
    pub directory: Option<PathBuf>,
    /// Only sessions created then or later
    ///
    /// A time such as 2026-07-01 or 2026-07-01T12:00:00Z (in UTC), or how long
    /// ago, such as 2h or 7d.
    #[arg(long, value_name = "TIME")]
    pub since: Option<When>,
    /// Only sessions created before then
    #[arg(long, value_name = "TIME")]
    pub until: Option<When>,
    /// Sessions that a system owns too
    #[arg(long)]
    pub system: bool,
    /// The most sessions to list
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub limit: usize,
}

/// `sessions wait`.
#[derive(Debug, Args)]
#[command(after_help = WAIT_EXAMPLES)]
pub(in crate::cli) struct WaitArgs {
    /// Its id, or the first four or more characters of it
    pub id: String,
    /// Wait for this state instead; may be repeated
    ///
    /// Exits with 0 when the session is in one of them.
    #[arg(long, value_name = "STATE", value_enum)]
    pub state: Vec<State>,
    /// How long to wait, such as 30s; by default without end
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub timeout: Option<Duration>,
}

/// `sessions top`.
#[derive(Debug, Args)]
#[command(after_help = TOP_EXAMPLES)]
pub(in crate::cli) struct TopArgs {
    /// Archived sessions too
    #[arg(long)]
    pub all: bool,
    /// Sessions that a system owns too
    #[arg(long)]
    pub system: bool,
}

/// What to do with one label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) enum LabelChange {
    /// Give it this value.
    Set(String, String),
    /// Remove it.
    Remove(String),
}

impl FromStr for LabelChange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let change = match (text.split_once('='), text.strip_suffix('-')) {
            (Some((key, value)), _) => Self::Set(key.to_owned(), value.to_owned()),
            (None, Some(key)) => Self::Remove(key.to_owned()),
            (None, None) => return Err("expected KEY=VALUE to set or KEY- to remove".into()),
        };
        let (Self::Set(key, _) | Self::Remove(key)) = &change;
        if key.is_empty() { Err("the key is empty".into()) } else { Ok(change) }
    }
}

/// A point in time, as a person says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum When {
    /// So long ago.
    Ago(Duration),
    /// Then.
    At(std::time::SystemTime),
}

impl FromStr for When {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(ago) = humantime::parse_duration(text) {
            return Ok(Self::Ago(ago));
        }
        let at = humantime::parse_rfc3339_weak(text)
            .or_else(|_| humantime::parse_rfc3339_weak(&format!("{text}T00:00:00Z")));
        at.map(Self::At).map_err(|_| {
            "expected a time such as 2026-07-01 or 2026-07-01T12:00:00Z, or how long ago, such as 2h"
                .into()
        })
    }
}

/// The wire has an empty value for any.
fn label_filter(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').unwrap_or((text, ""));
    if key.is_empty() {
        return Err("expected KEY or KEY=VALUE".into());
    }
    Ok((key.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use std::time::{SystemTime, UNIX_EPOCH};

    use super::*;

    #[test]
    fn a_label_is_set_by_an_equals_sign_and_removed_by_a_dash() {
        let set = |key: &str, value: &str| Ok(LabelChange::Set(key.into(), value.into()));
        assert_eq!("team=web".parse(), set("team", "web"));
        assert_eq!("a-=b=c-".parse(), set("a-", "b=c-"));
        assert_eq!("a=".parse(), set("a", ""));
        assert_eq!("team-".parse(), Ok(LabelChange::Remove("team".into())));
        for text in ["", "team", "=x", "-"] {
            assert!(text.parse::<LabelChange>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_time_is_a_date_a_moment_or_how_long_ago() {
        let at = |seconds| Ok(When::At(UNIX_EPOCH + Duration::from_secs(seconds)));
        assert_eq!("2h".parse(), Ok(When::Ago(Duration::from_secs(7_200))));
        assert_eq!("2026-07-01".parse(), at(1_782_864_000));
        assert_eq!("2026-07-01T12:00:00Z".parse(), at(1_782_907_200));
        assert_eq!("2026-07-01 12:00:00".parse(), at(1_782_907_200));
        assert_eq!("1970-01-01".parse::<When>(), Ok(When::At(SystemTime::UNIX_EPOCH)));
        for text in ["", "yesterday", "2026-13-01", "2026-07-01T"] {
            assert!(text.parse::<When>().is_err(), "{text:?}");
        }
    }
}
