//! What a person can type to read and write settings and controls.
//!
//! With `--scope default` the positionals move up by one: no SESSION is given.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum, builder::NonEmptyStringValueParser};

use super::Sandbox;
use crate::{
    cli::options::Network,
    proto::{self, ApprovalPolicy},
};

const SET_EXAMPLES: &str = "\
Examples:
  switchboard settings set 3f9a1c22 team.review.autoApprove.enabled true
  switchboard settings set 3f9a1c22 team.review.limit 2.50 --actor ann --source deploy
  switchboard settings set 3f9a1c22 team.note '\"in JSON a text has quotes\"'
  switchboard settings set 3f9a1c22 team.note --string 'or as it is, with --string'
  switchboard settings set 3f9a1c22 '\"a.b\".c' 1       a quoted part may hold dots
  switchboard settings set 3f9a1c22 a.b.c 1 --no-path  the key \"a.b.c\", dots and all
  switchboard settings set 3f9a1c22 rules --file rules.json
  jq . rules.json | switchboard settings set 3f9a1c22 rules -
  switchboard settings set 3f9a1c22 --settings all.json --replace
  switchboard settings set --scope default team.size 4";

const GET_EXAMPLES: &str = "\
Examples:
  switchboard settings get 3f9a1c22                    all settings
  switchboard settings get 3f9a1c22 team.review        what lies there
  switchboard settings get 3f9a1c22 team.members.0 -r  a text without its quotes
  switchboard settings get --scope default team";

const UNSET_EXAMPLES: &str = "\
Examples:
  switchboard settings unset 3f9a1c22 team.review.autoApprove
  switchboard settings unset 3f9a1c22 a.b.c --no-path  the key \"a.b.c\", dots and all
  switchboard settings unset --scope default team";

const APPLY_EXAMPLES: &str = "\
Examples:
  switchboard controls apply 3f9a1c22 --filesystem-sandbox workspace-write
  switchboard controls apply 3f9a1c22 --model gpt-5.4 --network-access enabled
  switchboard controls apply --scope default --no-model --settings '{}'";

const CONTROLS_EXAMPLES: &str = "\
Examples:
  switchboard controls get 3f9a1c22
  switchboard --json controls get --scope default";

/// `settings …`.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum SettingsCommand {
    /// Print the settings of a session, or what lies at a path in them
    ///
    /// Prints JSON, numbers as they were written. A path is a key, or a key and
    /// what lies below it, parted by dots; in an array the elements are counted
    /// from 0. Exits with 1 when nothing is there.
    #[command(
        after_help = GET_EXAMPLES,
        override_usage = "switchboard settings get [OPTIONS] SESSION [PATH]\n       \
                          switchboard settings get [OPTIONS] --scope default [PATH]"
    )]
    Get(GetSettingsArgs),
    /// Write a setting, or many
    ///
    /// VALUE is JSON: true, 4, null, '"a text"', '{"a": 1}'. A word that is no
    /// JSON is refused; --string takes it as text. A path with dots changes one
    /// value inside of a setting: the setting is read, changed and written back
    /// only if nobody else wrote meanwhile, and is tried again where somebody
    /// did. Objects that are missing on the way are made; a value that is in
    /// the way is an error. Writing what is there already changes nothing.
    #[command(
        after_help = SET_EXAMPLES,
        override_usage = "switchboard settings set [OPTIONS] SESSION PATH VALUE\n       \
                          switchboard settings set [OPTIONS] SESSION PATH --file FILE\n       \
                          switchboard settings set [OPTIONS] SESSION --settings JSON|FILE|- [--replace]\n       \
                          switchboard settings set [OPTIONS] --scope default PATH VALUE"
    )]
    Set(SetSettingsArgs),
    /// Remove a setting, or a value inside of one
    ///
    /// Says whether it was there, and exits with 0 both ways. What is around the
    /// value stays, also where it is empty then; of an array the later elements
    /// move up.
    #[command(
        after_help = UNSET_EXAMPLES,
        override_usage = "switchboard settings unset [OPTIONS] SESSION PATH\n       \
                          switchboard settings unset [OPTIONS] --scope default PATH"
    )]
    Unset(UnsetSettingsArgs),
}

/// `controls …`.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum ControlsCommand {
    /// Show what the agent of a session may do
    #[command(
        after_help = CONTROLS_EXAMPLES,
        override_usage = "switchboard controls get [OPTIONS] SESSION\n       \
                          switchboard controls get [OPTIONS] --scope default"
    )]
    Get(GetControlsArgs),
    /// Change what the agent of a session may do, from its next turn on
    ///
    /// What is not given stays as `controls get` shows it; what nobody chose
    /// before is chosen with it, and so no longer left to codex's own
    /// configuration. Everything is written at once, only if nobody else wrote
    /// meanwhile, and is tried again where somebody did.
    #[command(
        after_help = APPLY_EXAMPLES,
        override_usage = "switchboard controls apply [OPTIONS] SESSION\n       \
                          switchboard controls apply [OPTIONS] --scope default"
    )]
    Apply(ApplyControlsArgs),
}

/// `settings get`.
#[derive(Debug, Args)]
pub(in crate::cli) struct GetSettingsArgs {
    /// The session's id, or the first four or more characters of it
    pub session: Option<String>,
    /// A key, or a path such as team.review; by default all settings
    pub path: Option<String>,
    #[command(flatten)]
    pub scope: ScopeArgs,
    /// Take PATH for a key as it is, dots and all
    #[arg(long)]
    pub no_path: bool,
    /// Print a text without quotes and escapes
    #[arg(short, long)]
    pub raw: bool,
}

/// `settings set`.
#[derive(Debug, Args)]
pub(in crate::cli) struct SetSettingsArgs {
    /// The session's id, or the first four or more characters of it
    pub session: Option<String>,
    /// A key, or a path such as team.review
    // With --scope default this is the value.
    #[arg(allow_negative_numbers = true)]
    pub path: Option<String>,
    /// The value, as JSON; - reads it from standard input
    #[arg(allow_negative_numbers = true)]
    pub value: Option<String>,
    /// Take the value for text, and not for JSON
    #[arg(long, conflicts_with = "settings")]
    pub string: bool,
    /// Read the value from a file; - is standard input
    #[arg(long, value_name = "FILE", conflicts_with = "settings")]
    pub file: Option<PathBuf>,
    /// Write each member of a JSON object as a setting, and leave the others
    ///
    /// The object itself, which begins with a brace, a file that holds it, or -
    /// for standard input.
    #[arg(long, value_name = "JSON|FILE|-")]
    pub settings: Option<String>,
    /// Remove all settings that --settings does not name
    #[arg(long, requires = "settings")]
    pub replace: bool,
    /// Take PATH for a key as it is, dots and all
    #[arg(long, conflicts_with = "settings")]
    pub no_path: bool,
    #[command(flatten)]
    pub scope: ScopeArgs,
    #[command(flatten)]
    pub writer: WriterArgs,
}

/// `settings unset`.
#[derive(Debug, Args)]
pub(in crate::cli) struct UnsetSettingsArgs {
    /// The session's id, or the first four or more characters of it
    pub session: Option<String>,
    /// A key, or a path such as team.review
    pub path: Option<String>,
    /// Take PATH for a key as it is, dots and all
    #[arg(long)]
    pub no_path: bool,
    #[command(flatten)]
    pub scope: ScopeArgs,
    #[command(flatten)]
    pub writer: WriterArgs,
}

/// `controls get`.
#[derive(Debug, Args)]
pub(in crate::cli) struct GetControlsArgs {
    /// The session's id, or the first four or more characters of it
    pub session: Option<String>,
    #[command(flatten)]
    pub scope: ScopeArgs,
}

/// `controls apply`.
#[derive(Debug, Args)]
pub(in crate::cli) struct ApplyControlsArgs {
    /// The session's id, or the first four or more characters of it
    pub session: Option<String>,
    #[command(flatten)]
    pub change: ControlsChange,
    #[command(flatten)]
    pub scope: ScopeArgs,
    #[command(flatten)]
    pub writer: WriterArgs,
}

/// What is to become of controls.
#[derive(Debug, Args)]
#[group(id = "change", required = true, multiple = true)]
pub(in crate::cli) struct ControlsChange {
    /// The model
    #[arg(short, long, value_name = "MODEL", value_parser = NonEmptyStringValueParser::new())]
    pub model: Option<String>,
    /// Leave the model to the agent
    #[arg(long, conflicts_with = "model")]
    pub no_model: bool,
    /// When the agent asks before it acts
    #[arg(long, value_name = "POLICY", value_enum)]
    pub approval_policy: Option<Approval>,
    /// Whether commands may use the network
    #[arg(long, visible_alias = "network", value_name = "ACCESS", value_enum)]
    pub network_access: Option<Network>,
    /// What commands may write
    #[arg(short = 's', long, visible_alias = "sandbox", value_name = "MODE", value_enum)]
    pub filesystem_sandbox: Option<Sandbox>,
    /// All settings: those that the JSON object does not name are removed
    ///
    /// The object itself, which begins with a brace, a file that holds it, or -
    /// for standard input.
    #[arg(long, value_name = "JSON|FILE|-")]
    pub settings: Option<String>,
}

/// Whose settings and controls.
#[derive(Debug, Clone, Copy, Args)]
pub(in crate::cli) struct ScopeArgs {
    /// Of the session, or what new sessions begin with; then no SESSION is given
    #[arg(long, value_name = "SCOPE", value_enum, default_value = "session")]
    pub scope: ScopeWord,
}

/// A scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum ScopeWord {
    /// Of one session
    Session,
    /// What new sessions begin with
    Default,
}

impl From<ScopeWord> for proto::Scope {
    fn from(scope: ScopeWord) -> Self {
        match scope {
            ScopeWord::Session => Self::Session,
            ScopeWord::Default => Self::Default,
        }
    }
}

/// Who writes.
#[derive(Debug, Clone, Args)]
pub(in crate::cli) struct WriterArgs {
    /// Who writes, for the audit; by default "user"
    #[arg(long, value_name = "NAME")]
    pub actor: Option<String>,
    /// What it is written with, for the audit
    #[arg(long, value_name = "NAME", default_value = "cli")]
    pub source: String,
    /// Write only if the settings and controls are those that had this etag
    #[arg(long, value_name = "ETAG", value_parser = NonEmptyStringValueParser::new())]
    pub etag: Option<String>,
    /// With --scope default: tell of it in the events of this session
    #[arg(long, value_name = "SESSION")]
    pub tell: Option<String>,
}

/// When the agent asks before it acts.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(in crate::cli) enum Approval {
    /// Before all that is not known to be harmless
    Untrusted,
    /// Before it tries outside of the sandbox what failed in it
    OnFailure,
    /// When the model wants to be asked for
    OnRequest,
    /// Not at all
    Never,
}

impl From<Approval> for ApprovalPolicy {
    fn from(policy: Approval) -> Self {
        match policy {
            Approval::Untrusted => Self::Untrusted,
            Approval::OnFailure => Self::OnFailure,
            Approval::OnRequest => Self::OnRequest,
            Approval::Never => Self::Never,
        }
    }
}
