//! What a person can type to read the audit.

use std::str::FromStr;

use clap::{Args, Subcommand};

use super::{
    When,
    values::{ScopeArgs, ScopeWord},
};

const LIST_EXAMPLES: &str = "\
Examples:
  switchboard audit list --newest-first --limit 20
  switchboard audit list --session 3f9a1c22 --key team --since 7d
  switchboard --json audit list --actor ann --scope default";

const WATCH_EXAMPLES: &str = "\
Examples:
  switchboard audit watch                              what is written from now on
  switchboard --json audit watch --after 0             everything, and on
  switchboard audit watch --session 3f9a1c22 --key team";

const SHOW_EXAMPLES: &str = "\
Examples:
  switchboard audit show 3f9a1c22 --at 12              as entry 12 left it
  switchboard audit show 3f9a1c22 --at 2026-07-01T12:00:00Z
  switchboard audit show --scope default --at 2h       as it was two hours ago";

const VERIFY_EXAMPLES: &str = "\
Examples:
  switchboard audit verify
  switchboard audit verify --known 12:9f86d081…        as an earlier verify printed it";

/// `audit …`.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum AuditCommand {
    /// List who changed which settings and controls, oldest first
    #[command(after_help = LIST_EXAMPLES)]
    List(AuditListArgs),
    /// Follow the changes of settings and controls
    ///
    /// When the connection is lost it comes back where it was: no entry is shown
    /// twice and none is left out. Ctrl-C ends it.
    #[command(after_help = WATCH_EXAMPLES)]
    Watch(AuditWatchArgs),
    /// Show settings and controls as they once were
    ///
    /// They are made again from the entries, also for a session that was
    /// deleted, whose whole id is needed then.
    #[command(
        after_help = SHOW_EXAMPLES,
        override_usage = "switchboard audit show [OPTIONS] SESSION\n       \
                          switchboard audit show [OPTIONS] --scope default"
    )]
    Show(AuditShowArgs),
    /// Check that the audit was not altered
    ///
    /// Follows the chain of its entries and compares its end with the settings
    /// and controls that are there. Names the first entry that does not hold,
    /// and exits with 1 then. Prints the last entry as SEQ:HASH: whoever keeps
    /// that elsewhere can have a later --known show that nothing up to there was
    /// altered, cut off or made anew.
    #[command(after_help = VERIFY_EXAMPLES)]
    Verify {
        /// An entry that was there, as an earlier verify printed it
        #[arg(long, value_name = "SEQ:HASH")]
        known: Option<Known>,
    },
}

/// Which entries.
#[derive(Debug, Args)]
pub(in crate::cli) struct AuditFilterArgs {
    /// Only those of writes that named this session
    ///
    /// Its id, or the first four or more characters of it; of a session that was
    /// deleted the whole id.
    #[arg(long, value_name = "SESSION")]
    pub session: Option<String>,
    /// Only writes of this scope
    #[arg(long, value_name = "SCOPE", value_enum)]
    pub scope: Option<ScopeWord>,
    /// Only writes by this actor
    #[arg(long, value_name = "NAME")]
    pub actor: Option<String>,
    /// Only writes with this source
    #[arg(long, value_name = "NAME")]
    pub source: Option<String>,
    /// Only writes that changed this setting, by its key without a path
    #[arg(long, value_name = "KEY")]
    pub key: Option<String>,
    /// Only those written then or later
    ///
    /// A time such as 2026-07-01 or 2026-07-01T12:00:00Z (in UTC), or how long
    /// ago, such as 2h or 7d.
    #[arg(long, value_name = "TIME|AGE")]
    pub since: Option<When>,
    /// Only those written before then
    #[arg(long, value_name = "TIME|AGE")]
    pub until: Option<When>,
}

/// `audit list`.
#[derive(Debug, Args)]
pub(in crate::cli) struct AuditListArgs {
    #[command(flatten)]
    pub filter: AuditFilterArgs,
    /// Only entries after this one
    #[arg(long, value_name = "SEQ", default_value_t = 0, hide_default_value = true)]
    pub after: u64,
    /// The latest first
    #[arg(long, conflicts_with = "after")]
    pub newest_first: bool,
    /// The most entries to list
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub limit: usize,
}

/// `audit watch`.
#[derive(Debug, Args)]
pub(in crate::cli) struct AuditWatchArgs {
    #[command(flatten)]
    pub filter: AuditFilterArgs,
    /// Begin after this entry, 0 for the first; by default only new ones
    #[arg(long, value_name = "SEQ")]
    pub after: Option<u64>,
}

/// `audit show`.
#[derive(Debug, Args)]
pub(in crate::cli) struct AuditShowArgs {
    /// The session's id, or the first four or more characters of it
    pub session: Option<String>,
    #[command(flatten)]
    pub scope: ScopeArgs,
    /// As an entry of the audit left it, or as it was at a time; by default now
    ///
    /// The number of an entry, of whatever scope, or a time such as 2026-07-01
    /// or 2026-07-01T12:00:00Z (in UTC), or how long ago, such as 2h or 7d.
    #[arg(long, value_name = "SEQ|TIME|AGE")]
    pub at: Option<Moment>,
}

/// A moment in the audit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Moment {
    /// After this entry.
    Entry(u64),
    /// Then.
    Time(When),
}

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            return match text.parse() {
                Ok(seq) if seq > 0 => Ok(Self::Entry(seq)),
                Ok(_) | Err(_) => Err("the entries are counted from 1".to_owned()),
            };
        }
        text.parse().map(Self::Time).map_err(|_| {
            "expected the number of an entry, a time such as 2026-07-01 or 2026-07-01T12:00:00Z, or how long ago, such as 2h"
                .to_owned()
        })
    }
}

/// An entry of the audit that somebody kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) struct Known {
    /// Which.
    pub seq: u64,
    /// Its hash, in hexadecimal.
    pub hash: String,
}

impl FromStr for Known {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let known = text.split_once(':').and_then(|(seq, hash)| {
            let seq = seq.parse().ok().filter(|seq| *seq > 0)?;
            let is_hash = hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
            is_hash.then(|| Self { seq, hash: hash.to_owned() })
        });
        known.ok_or_else(|| "expected SEQ:HASH, with the 64 digits of the hash".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_moment_is_an_entry_or_a_time() {
        assert_eq!("12".parse(), Ok(Moment::Entry(12)));
        assert_eq!("2h".parse(), Ok(Moment::Time(When::Ago(Duration::from_secs(7_200)))));
        assert!(matches!("2026-07-01".parse(), Ok(Moment::Time(When::At(_)))));
        for text in ["", "0", "-1", "99999999999999999999", "yesterday", "1.5"] {
            assert!(text.parse::<Moment>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_known_entry_has_its_whole_hash() {
        let hash = "aB".repeat(32);
        assert_eq!(format!("7:{hash}").parse(), Ok(Known { seq: 7, hash: hash.clone() }));
        for text in
            [String::new(), hash.clone(), format!("0:{hash}"), "7:ab".into(), format!("x:{hash}")]
        {
            assert!(text.parse::<Known>().is_err(), "{text:?}");
        }
    }
}
