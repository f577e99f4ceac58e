//! What a request, its session's controls and its options choose beside a config
//! lock, each with the words for where it was chosen.

use toml::{Table, Value};

use super::{
    command::{FULL_DANGER, network_access, sandbox_mode, says_sandbox},
    options,
    resolve::left_out,
    tree::{get, leaves},
};
use crate::{agent::TurnRequest, error::Result};

/// One value that was chosen.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Choice {
    /// Where it is in codex's configuration.
    pub(super) path: Vec<String>,
    pub(super) value: Value,
    /// Where it was chosen.
    pub(super) origin: String,
}

/// Everything that a turn's request chooses beside a lock with this configuration,
/// and what the profile says that it names, with its file.
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
    };
    let mut choices = Vec::new();
    if let Some((table, file)) = profile {
        // It says for many turns how a sandbox would be, which this one may not have.
        let is_inert = |choice: &Choice| {
            choice.path.first().is_some_and(|key| key == "sandbox_workspace_write")
                && get(locked, &choice.path).is_none()
        };
        let of_profile = of_table(table, |_| file.to_owned()).into_iter();
        choices.extend(of_profile.filter(|choice| !is_inert(choice)));
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
    let network = network_access(turn.network).map(|enabled| {
        let path = ["sandbox_workspace_write", "network_access"];
        choice(&path, enabled.into(), "controls.network_access")
    });
    let web_search = options::web_search(turn.options)
        .map(|mode| choice(&["web_search"], mode, "codex_options.web_search"));
    let effort = turn
        .effort
        .map(|effort| choice(&["model_reasoning_effort"], effort.as_str().into(), "prompt.effort"));
    choices.extend(network.into_iter().chain(web_search).chain(effort));
    choices.extend(directories(turn, locked));
    Ok(choices)
}

/// The directories to write to, where the lock has not all that were chosen. A
/// lock that says no sandbox leaves them to the turn.
fn directories(turn: &TurnRequest<'_>, locked: &Table) -> Option<Choice> {
    if !says_sandbox(locked) {
        return None;
    }
    let path = ["sandbox_workspace_write", "writable_roots"].map(str::to_owned).to_vec();
    let roots = get(locked, &path).and_then(Value::as_array);
    let mut roots = roots.cloned().unwrap_or_default();
    let chosen =
        turn.options.add_directories.iter().map(|directory| Value::from(directory.as_str()));
    let added: Vec<Value> = chosen.filter(|directory| !roots.contains(directory)).collect();
    if added.is_empty() {
        return None;
    }
    roots.extend(added);
    let origin = "codex_options.add_directories".to_owned();
    Some(Choice { path, value: roots.into(), origin })
}

/// The values of a table, each with the words for where it was chosen.
pub(super) fn of_table(table: &Table, origin: impl Fn(&str) -> String) -> Vec<Choice> {
    let choice = |(path, value): (Vec<String>, &Value)| Choice {
        origin: origin(&path.join(".")),
        path: left_out::renamed(&path),
        value: value.clone(),
    };
    leaves(table).into_iter().map(choice).collect()
}
