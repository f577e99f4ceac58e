//! What a request, its session's controls and its options choose beside a config
//! lock, each with the words for where it was chosen.

use toml::{Table, Value};

use super::{
    command::{FULL_DANGER, network_access, sandbox_mode, says_sandbox},
    directories, options,
    resolve::left_out,
    tree::{leaves, put},
};
use crate::{agent::TurnRequest, error::Result};

/// The table of the sandbox that writes.
const TABLE: &str = "sandbox_workspace_write";

/// The setting that names a profile of permissions.
const DEFAULT_PERMISSIONS: &str = "default_permissions";

/// Where it is said whether commands may use the network.
const NETWORK: [&str; 2] = [TABLE, "network_access"];

/// Where the directories are that commands may write to.
pub(super) const ROOTS: [&str; 2] = [TABLE, "writable_roots"];

/// One value that was chosen.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Choice {
    /// Where it is in codex's configuration.
    pub(super) path: Vec<String>,
    pub(super) value: Value,
    /// Where it was chosen.
    pub(super) origin: String,
    /// What becomes of what is below it.
    pub(super) over: Over,
}

impl Choice {
    /// Whether it was chosen by a field of the request, and not by a file.
    pub(super) fn is_of_request(&self) -> bool {
        !self.origin.starts_with('/')
    }
}

/// What becomes of what is said below a choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Over {
    /// The choice takes its place.
    Replaces,
    /// It stays, and the values of the choice, an array, are added.
    Adds,
}

/// Everything that a turn's request chooses beside a lock with this configuration,
/// and what the profile says that it names, with its file: the highest last.
///
/// # Errors
///
/// As [`options::settings`].
pub(super) fn choices(
    turn: &TurnRequest<'_>,
    locked: &Table,
    profile: Option<(&Table, &str)>,
) -> Result<Vec<Choice>> {
    let choice = |path: &[&str], value: Value, origin: &str| Choice {
        path: path.iter().map(|part| (*part).to_owned()).collect(),
        value,
        origin: origin.to_owned(),
        over: Over::Replaces,
    };
    let mut choices = Vec::new();
    if let Some((table, file)) = profile {
        choices.extend(of_table(table, |_| file.to_owned()));
    }
    let settings = options::settings(turn.options)?;
    choices.extend(of_table(settings.table(), |key| format!("codex_options.config.{key}")));
    choices.extend(turn.model.map(|model| choice(&["model"], model.into(), "controls.model")));
    if turn.options.full_danger {
        let origin = "codex_options.full_danger";
        choices.push(choice(&["sandbox_mode"], FULL_DANGER.into(), origin));
    } else if let Some(mode) = sandbox_mode(turn.sandbox) {
        choices.push(choice(&["sandbox_mode"], mode.into(), "controls.filesystem_sandbox"));
    }
    let network = network_access(turn.network)
        .map(|enabled| choice(&NETWORK, enabled.into(), "controls.network_access"));
    let web_search = options::web_search(turn.options)
        .map(|mode| choice(&["web_search"], mode, "codex_options.web_search"));
    let effort = turn
        .effort
        .map(|effort| choice(&["model_reasoning_effort"], effort.as_str().into(), "prompt.effort"));
    choices.extend(network.into_iter().chain(web_search).chain(effort));
    choices.extend(added_directories(turn, locked));
    Ok(choices)
}

/// The directories to write to. A lock that says no sandbox leaves them to the turn.
fn added_directories(turn: &TurnRequest<'_>, locked: &Table) -> Option<Choice> {
    let chosen = &turn.options.add_directories;
    if chosen.is_empty() || !says_sandbox(locked) {
        return None;
    }
    Some(Choice {
        path: ROOTS.map(str::to_owned).to_vec(),
        value: directories::all_named(&chosen.clone().into()),
        origin: "codex_options.add_directories".to_owned(),
        over: Over::Adds,
    })
}

/// What a request itself says of the sandbox beside its mode and its directories,
/// where that is another than codex has by default.
///
/// # Errors
///
/// As [`options::settings`].
pub(super) fn said_of_sandbox(turn: &TurnRequest<'_>) -> Result<Table> {
    let mut said = options::settings(turn.options)?.table().clone();
    if let Some(enabled) = network_access(turn.network) {
        put(&mut said, &NETWORK.map(str::to_owned), enabled.into());
    }
    let mut of_sandbox = of_sandbox(&said);
    if let Some(Value::Table(table)) = of_sandbox.get_mut(TABLE) {
        table.retain(|_, value| !is_default(value));
    }
    Ok(of_sandbox)
}

/// Of a configuration, what belongs to the sandbox beside its mode.
pub(super) fn of_sandbox(config: &Table) -> Table {
    let of_sandbox = [DEFAULT_PERMISSIONS, TABLE].into_iter();
    of_sandbox.filter_map(|key| Some((key.to_owned(), config.get(key)?.clone()))).collect()
}

/// Whether a setting of a sandbox that writes has this value where nobody says it.
pub(super) fn is_default(value: &Value) -> bool {
    value.as_bool() == Some(false) || value.as_array().is_some_and(Vec::is_empty)
}

/// What is left of choices, the highest last, where each counts: of those that say
/// one thing the highest. What is added to others stays, and is in them too.
pub(super) fn folded(choices: Vec<Choice>) -> Vec<Choice> {
    let mut folded: Vec<Choice> = Vec::with_capacity(choices.len());
    for choice in choices {
        match choice.over {
            Over::Replaces => {
                let is_empty = choice.value.as_table().is_some_and(Table::is_empty);
                folded.retain(|below| is_empty || !is_one_thing(&below.path, &choice.path));
            }
            Over::Adds => {
                for below in folded.iter_mut().filter(|below| below.path == choice.path) {
                    below.value = added(Some(&below.value), &choice.value);
                }
            }
        }
        folded.push(choice);
    }
    folded
}

/// Whether one of two settings is the other, or is in it.
fn is_one_thing(one: &[String], other: &[String]) -> bool {
    one.starts_with(other) || other.starts_with(one)
}

/// An array with the values of another that it has not.
pub(super) fn added(to: Option<&Value>, values: &Value) -> Value {
    let array = |value: Option<&Value>| value.and_then(Value::as_array).cloned();
    let mut all = array(to).unwrap_or_default();
    for value in array(Some(values)).unwrap_or_default() {
        if !all.contains(&value) {
            all.push(value);
        }
    }
    all.into()
}

/// The values of a table, each with the words for where it was chosen.
pub(super) fn of_table(table: &Table, origin: impl Fn(&str) -> String) -> Vec<Choice> {
    let choice = |(path, value): (Vec<String>, &Value)| Choice {
        origin: origin(&path.join(".")),
        value: if path == ROOTS { directories::all_named(value) } else { value.clone() },
        path: left_out::renamed(&path),
        over: Over::Replaces,
    };
    leaves(table).into_iter().map(choice).collect()
}
