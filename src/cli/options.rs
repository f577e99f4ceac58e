//! What `run` and `send` have codex told, from what a person types.

use std::{collections::BTreeMap, path::PathBuf};

use clap::{Args, ValueEnum};

use super::{Failure, run::absolute};
use crate::proto::{CodexOptions, NetworkAccess, WebSearchMode};

/// What else codex is told in each turn of a session.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Options for codex")]
pub(super) struct CodexArgs {
    /// A setting of codex's configuration; may be repeated
    ///
    /// The key is dotted as codex has it. A value that is no TOML is a string.
    #[arg(short, long, value_name = "KEY=VALUE", value_parser = setting)]
    pub config_override: Vec<(String, String)>,
    /// A further directory that commands may write in; may be repeated
    #[arg(long, value_name = "DIR")]
    pub add_dir: Vec<PathBuf>,
    /// A JSON Schema that the last message must fit
    #[arg(long, value_name = "FILE")]
    pub output_schema: Option<PathBuf>,
    /// A profile: NAME.config.toml in codex's home
    #[arg(long, value_name = "NAME")]
    pub profile: Option<String>,
    /// How codex searches the web
    #[arg(long, value_enum, value_name = "MODE")]
    pub web_search: Option<WebSearch>,
    /// A variable for codex's environment; may be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    pub env: Vec<(String, String)>,
    /// Run commands without a sandbox and without approvals, whatever --sandbox says
    #[arg(long)]
    pub full_danger: bool,
    /// Fail turns on a setting that codex does not know, in your config.toml too
    #[arg(long)]
    pub strict_config: bool,
}

/// Whether the agent's commands may use the network.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum Network {
    /// They may
    Enabled,
    /// They may not
    Restricted,
}

impl From<Network> for NetworkAccess {
    fn from(network: Network) -> Self {
        match network {
            Network::Enabled => Self::Enabled,
            Network::Restricted => Self::Restricted,
        }
    }
}

/// How codex searches the web.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum WebSearch {
    /// Not at all
    Disabled,
    /// In a cache of the model's provider
    Cached,
    /// Live
    Live,
}

impl From<WebSearch> for i32 {
    fn from(mode: WebSearch) -> Self {
        match mode {
            WebSearch::Disabled => WebSearchMode::Disabled,
            WebSearch::Cached => WebSearchMode::Cached,
            WebSearch::Live => WebSearchMode::Live,
        }
        .into()
    }
}

/// The options of a new session; none where nobody gave any.
///
/// # Errors
/// When a path cannot be made absolute.
pub(super) fn codex(args: CodexArgs) -> Result<Option<CodexOptions>, Failure> {
    let CodexArgs {
        config_override,
        add_dir,
        output_schema,
        profile,
        web_search,
        env,
        full_danger,
        strict_config,
    } = args;
    let options = CodexOptions {
        // As with codex itself, the last of several for one key counts.
        config: config_override.into_iter().collect(),
        output_schema: output_schema.as_deref().map(absolute).transpose()?.unwrap_or_default(),
        add_directories: paths(&add_dir)?,
        profile: profile.unwrap_or_default(),
        web_search: web_search.map(Into::into).unwrap_or_default(),
        environment: env.into_iter().collect::<BTreeMap<_, _>>(),
        full_danger,
        strict_config,
    };
    Ok((options != CodexOptions::default()).then_some(options))
}

/// The absolute forms of paths.
///
/// # Errors
/// When one cannot be made absolute.
pub(super) fn paths(paths: &[PathBuf]) -> Result<Vec<String>, Failure> {
    paths.iter().map(|path| absolute(path)).collect()
}

/// Reads `KEY=VALUE` as codex does: a value that is no TOML is a string.
///
/// # Errors
/// The text says what is missing.
fn setting(text: &str) -> Result<(String, String), String> {
    let (key, value) = pair(text)?;
    if value.trim().parse::<toml::Value>().is_ok() {
        return Ok((key, value));
    }
    // A JSON string is a string of TOML.
    Ok((key, serde_json::Value::from(value).to_string()))
}

/// Reads `NAME=VALUE`.
///
/// # Errors
/// The text says what is missing.
fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("expected an equals sign")?;
    Ok((name.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_files_are_made_absolute_here() {
        let here = std::env::current_dir().unwrap().into_os_string().into_string().unwrap();
        assert_eq!(paths(&["b.png".into()]).unwrap(), [format!("{here}/b.png")]);
    }

    #[test]
    fn a_setting_that_is_no_toml_is_a_string() {
        let read = |text: &str| setting(text).unwrap().1;
        assert_eq!(read("a=high"), "\"high\"");
        assert_eq!(read("a=\"high\""), "\"high\"");
        assert_eq!(read("a={b = 1}"), "{b = 1}");
        assert_eq!(read("a=b=c"), "\"b=c\"");
        assert_eq!(read("a="), "\"\"");
        assert_eq!(setting("a").unwrap_err(), "expected an equals sign");
    }
}
