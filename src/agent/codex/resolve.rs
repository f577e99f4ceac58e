//! What a turn of codex would run with, whatever file, flag, default or catalogue
//! says it: the one resolver, for the export of config locks and for the turns
//! that are held to one.
//!
//! ```text
//!   layers of a turn ──► -c …  ──► codex app-server   config/read, thread/start,
//!                                                     configRequirements/read
//!                              ──► codex features list
//!                              ──► codex debug models  (where catalogue values count)
//!                                        │
//!                                        ▼
//!                         canonical table, origins, hashes
//! ```
//!
//! The binary, its environment, the directory and the flags are those of the turn.
//! The thread that the app-server starts is ephemeral, has no MCP server, no
//! plugin, no hook and no shell, and ends with it: nothing stays of it, and no
//! model is asked. [`quiet`] sees to it that nobody else is either, and that no
//! command runs. [`server`] talks to it, [`mod@thread`] has it start that, [`layers`]
//! says who says what, [`mod@features`] and [`left_out`] what can be said again,
//! [`canonical`] makes a configuration of it all, and [`instructions`] the hashes of
//! what it reads beside.

use std::path::Path;

use serde_json::{Value as Json, json};
use toml::{Table, Value};

use super::{
    binary::Binary,
    probe,
    settings::Settings,
    tree::{leaves, remove},
};
use crate::{
    error::{Error, Result},
    lock::{CatalogueFields, Effective},
};

mod canonical;
pub(super) mod catalogue;
pub(super) mod features;
pub(super) mod instructions;
mod layers;
pub(super) mod left_out;
mod origins;
mod quiet;
mod server;
mod thread;

use layers::Layers;
use origins::Origins;
use server::Server;

/// What is asked: everything that a turn's configuration depends on.
#[derive(Debug)]
pub(super) struct Question<'a> {
    /// The binary, with the whole environment of the turn.
    pub(super) binary: &'a Binary,
    /// Its version.
    pub(super) version: &'a str,
    /// The home of codex, where that is known.
    pub(super) home: Option<&'a Path>,
    /// Where the turn works.
    pub(super) directory: &'a Path,
    /// What the turn is told by `-c`.
    pub(super) settings: Settings,
    /// What it is told by `-m`, which beats more than a setting does.
    pub(super) model: Option<&'a str>,
    /// What it is told by `-s`, which does too.
    pub(super) sandbox: Option<&'a str>,
    /// The directories of `--add-dir`.
    pub(super) add_directories: &'a [String],
    /// What else is said of the sandbox by whoever asks for the turn, or by its lock,
    /// and may have no effect.
    pub(super) said_of_sandbox: Table,
    /// Whether it counts what the catalogue says of the model, also where that is no
    /// part of the configuration.
    pub(super) asks_catalogue: bool,
    /// What its profile says, which codex lays between user and project.
    pub(super) profile: Option<Table>,
}

/// What a turn would run with, and why.
#[derive(Debug, Clone)]
pub(super) struct Picture {
    pub(super) effective: Effective,
    pub(super) origins: Origins,
    /// The old names of features that some layer says.
    pub(super) aliases: features::Aliases,
    /// What the sandbox comes to, in the settings of sandboxes.
    pub(super) sandbox: Table,
    /// What beats the flags, where something does.
    pub(super) above: &'static str,
    /// What one should know about it, each a whole sentence.
    pub(super) notes: Vec<String>,
}

/// What codex answers.
#[derive(Debug)]
struct Answers {
    config: Table,
    layers: Layers,
    /// Settings that codex says it takes no notice of, dotted.
    ignored: Vec<String>,
    thread: Json,
    requirements: Json,
    features: features::Features,
    /// The old names of features that some layer says.
    aliases: features::Aliases,
    /// The model in the catalogue, where that was asked for and knows it.
    model: Option<Json>,
    /// Whether what it says is to be a part of the configuration.
    catalogue: CatalogueFields,
}

/// Resolves.
///
/// # Errors
///
/// [`Error::AgentUnavailable`] with what codex says, and
/// [`Error::ConfigLockInvalid`] for a value that is none of TOML.
pub(super) fn resolve(question: Question<'_>, catalogue: CatalogueFields) -> Result<Picture> {
    let unavailable = |problem| Error::AgentUnavailable { problem };
    let binary = quiet::binary(question.binary);
    let mut question = Question { binary: &binary, ..question };
    if let Some(profile) = question.profile.take() {
        lay_profile(&mut question, profile).map_err(unavailable)?;
    }
    let answers = ask(&question, catalogue).map_err(unavailable)?;
    canonical::picture(&question, answers)
}

/// The features of a binary in a directory, as it has them by itself there.
///
/// # Errors
///
/// The text says why it does not say them.
pub(super) fn features(binary: &Binary, directory: &Path) -> Result<features::Features, String> {
    probe::answer(binary, &[], &["features", "list"], directory).map(|list| features::parse(&list))
}

/// Puts among the settings what the profile says and no project does: an
/// app-server takes no profile, and settings beat a project.
fn lay_profile(question: &mut Question<'_>, mut profile: Table) -> Result<(), String> {
    let mut server = start(question)?;
    let of_projects = Layers::read(&read_config(&mut server, question)?).of_projects();
    left_out::rename(&mut profile);
    for (path, _) in leaves(&of_projects) {
        remove(&mut profile, &path);
    }
    let own = std::mem::replace(&mut question.settings, Settings::new(profile));
    question.settings.overlay(own);
    Ok(())
}

fn ask(question: &Question<'_>, catalogue: CatalogueFields) -> Result<Answers, String> {
    let mut server = start(question)?;
    let mut config = read_config(&mut server, question)?;
    let mut thread = thread::start(&mut server, question, &config["config"])?;
    let requirements = server.ask("configRequirements/read", &json!({}))?;
    let ignored = server.warnings().iter().flat_map(|text| ignored(text)).collect();
    drop(server);
    let (binary, directory) = (question.binary, question.directory);
    // It asks nobody, and refuses a provider that there is not.
    let truth = arguments(&question.settings)?;
    let list = probe::answer(binary, &truth, &["features", "list"], directory)?;
    let mut layers = Layers::read(&config);
    let Some(Value::Table(mut config)) = toml_of(&config["config"].take()) else {
        return Err("codex app-server: its configuration is no table".to_owned());
    };
    quiet::restore(&mut config, &mut layers, &question.settings);
    thread["modelProvider"] = config.get("model_provider").and_then(Value::as_str).into();
    let asks_catalogue = match catalogue {
        CatalogueFields::LeftOut => question.asks_catalogue,
        CatalogueFields::Saved => true,
    };
    let model = if asks_catalogue {
        let arguments = arguments(&quiet::settings(&question.settings)?)?;
        let list = probe::answer(binary, &arguments, &["debug", "models"], directory)?;
        let name = &thread["model"];
        catalogue::fetched(question.home, question.version, &config, name)
            .or_else(|| catalogue::model(&list, name))
    } else {
        None
    };
    let features = features::parse(&list);
    let merged = layers.merged();
    let said = merged.get("features").and_then(Value::as_table);
    let lists = |name: &str, is_on: bool| {
        let flags = ["-c".to_owned(), format!("features.{name}={is_on}")];
        let list = probe::answer(binary, &flags, &["features", "list"], directory);
        list.ok().map(|list| features::parse(&list))
    };
    let aliases = match said {
        Some(said) => features::aliases(&features, said, lists)?,
        None => features::Aliases::new(),
    };
    Ok(Answers {
        config,
        layers,
        ignored,
        thread,
        requirements,
        features,
        aliases,
        model,
        catalogue,
    })
}

/// The feature by which codex asks a server for plugins as soon as it starts.
const PLUGINS: &str = "features.plugins";

fn start(question: &Question<'_>) -> Result<Server, String> {
    let settings = quiet::settings(&question.settings)?;
    Server::start(question.binary, &arguments(&settings)?, question.directory)
}

fn read_config(server: &mut Server, question: &Question<'_>) -> Result<Json, String> {
    server.ask("config/read", &json!({"includeLayers": true, "cwd": question.directory}))
}

/// Settings as arguments before a command of codex.
fn arguments(settings: &Settings) -> Result<Vec<String>, String> {
    let settings = settings.arguments()?.into_iter();
    Ok(settings.flat_map(|setting| ["-c".to_owned(), setting]).collect())
}

/// The settings that a warning says are ignored: each between grave accents, and
/// these words behind it.
fn ignored(warning: &str) -> Vec<String> {
    let parts: Vec<&str> = warning.split('`').collect();
    let named = parts.windows(2).skip(1).step_by(2);
    let named = named.filter(|pair| pair[1].starts_with(" is ignored"));
    named.map(|pair| pair[0].to_owned()).collect()
}

/// A value of JSON as one of TOML; none for null, which is left out of tables and
/// arrays too, and for a number that TOML has not.
fn toml_of(json: &Json) -> Option<Value> {
    match json {
        Json::Null => None,
        Json::Bool(value) => Some((*value).into()),
        Json::Number(number) => {
            number.as_i64().map(Value::from).or_else(|| number.as_f64().map(Value::from))
        }
        Json::String(text) => Some(text.as_str().into()),
        Json::Array(values) => Some(values.iter().filter_map(toml_of).collect::<Vec<_>>().into()),
        Json::Object(members) => {
            let members = members.iter();
            let table: Table =
                members.filter_map(|(key, value)| Some((key.clone(), toml_of(value)?))).collect();
            Some(table.into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_codex_takes_no_notice_of_is_told_by_its_warnings() {
        let warning = "Codex is ignoring 2 unrecognized configuration settings. Check for typos.\n  \
            user (/home/dev/.codex/config.toml): `tools.view_image` is ignored.\n  \
            session-flags: `debug` is ignored.";
        assert_eq!(ignored(warning), ["tools.view_image", "debug"]);
        assert_eq!(ignored("`[features].multi_agent` is deprecated."), [""; 0]);
        assert_eq!(ignored(""), [""; 0]);
    }

    #[test]
    fn nothing_is_no_value_of_toml() {
        let json = json!({"a": null, "b": [1, null, 2.5], "c": {"d": null}, "e": "x", "f": true});
        let expected: Table = "b = [1, 2.5]\nc = {}\ne = 'x'\nf = true\n".parse().unwrap();
        assert_eq!(toml_of(&json), Some(expected.into()));
    }
}
