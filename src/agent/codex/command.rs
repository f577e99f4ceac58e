//! The arguments of `codex exec` for one turn.

use std::{ffi::OsString, path::Path};

use toml::Table;
use uuid::Uuid;

use super::{config::AgentConfig, options, resolve::left_out, settings::Settings};
use crate::{
    agent::{History, TurnRequest},
    controls::check_model,
    error::{Error, Result},
    proto::{FilesystemSandbox, NetworkAccess},
};

/// The feature by which codex goes on without end when its provider cannot be
/// reached.
pub(super) const UNBOUNDED_RETRIES: &str = "unbounded_connection_retries";

/// What codex does when its provider cannot be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Retries {
    /// It gives up after some attempts, and the turn fails.
    Bounded,
    /// It does as its own configuration says.
    AsConfigured,
}

/// The arguments that make a turn, its prompt to come by standard input.
///
/// Everything is given for each turn, because a resumed thread inherits nothing;
/// and before `resume`, which does not take all of it. The session and turn are
/// in the environment of the agent's commands too, whatever of its own
/// environment codex lets them have: so they are found should their supervisor
/// die.
///
/// What a lock holds the turn to beats all of that. Where it says the sandbox, it
/// says the directories to write to as well, so that those of the turn are left out;
/// and so is the bypass, which comes to the same as its sandbox.
///
/// # Errors
///
/// [`Error::InvalidArgument`] for a model that has no name or would read as a flag and for
/// settings that codex cannot be given, and [`Error::AgentUnavailable`] for a
/// thread id that is not a UUID: codex would take it for a name, and begin a new
/// thread without a word.
pub(super) fn arguments(
    turn: &TurnRequest<'_>,
    retries: Retries,
    config: &AgentConfig,
    held: Option<&Table>,
) -> Result<Vec<OsString>> {
    let options = turn.options;
    let Told { model, sandbox, mut settings } = told(turn, retries, config, held)?;
    let mut args: Vec<OsString> = vec!["exec".into(), "--json".into()];
    if let Some(model) = model {
        args.extend(["-m".into(), model.into()]);
    }
    args.extend(["-C".into(), turn.working_directory.into()]);
    let is_full_danger = options.full_danger || config.full_danger;
    if is_full_danger && held.is_none() {
        // It would beat the sandbox without a word.
        args.push("--dangerously-bypass-approvals-and-sandbox".into());
    } else if let Some(mode) = sandbox {
        args.extend(["-s".into(), mode.into()]);
    }
    args.push("--skip-git-repo-check".into());
    if options.strict_config || config.strict {
        args.push("--strict-config".into());
    }
    if !options.profile.is_empty() {
        args.extend(["-p".into(), options.profile.as_str().into()]);
    }
    for directory in add_directories(turn, held) {
        args.extend(["--add-dir".into(), directory.into()]);
    }
    match retries {
        // A lock's features are settings, which this would beat.
        Retries::Bounded if held.is_none() => {
            args.extend(["--disable".into(), UNBOUNDED_RETRIES.into()]);
        }
        Retries::Bounded | Retries::AsConfigured => {}
    }
    if !options.output_schema.is_empty() {
        args.extend(["--output-schema".into(), options.output_schema.as_str().into()]);
    }
    settings.overlay(marks(turn)?);
    let settings = written(&settings, held)?;
    for setting in settings {
        args.extend(["-c".into(), setting.into()]);
    }
    // As one argument: the flag alone swallows all that follows.
    args.extend(turn.images.iter().map(|image| image_argument(image)));
    match turn.history {
        History::New => {}
        History::Resume(thread) => args.extend(["resume".into(), thread_id(thread)?.into()]),
        History::Fork(thread) => args.extend(["fork".into(), thread_id(thread)?.into()]),
    }
    args.push("-".into());
    Ok(args)
}

/// What follows each `-c`; `of_lock` where a lock is among the settings.
///
/// # Errors
///
/// For what codex cannot be told so, with its key.
pub(super) fn written(settings: &Settings, of_lock: Option<&Table>) -> Result<Vec<String>> {
    settings.arguments().map_err(|problem| match of_lock {
        None => Error::invalid("session.codex_options.config", problem),
        Some(_) => {
            let key = problem.split(": ").next().map(str::to_owned);
            Error::ConfigLockInvalid { rule: "size", key, problem }
        }
    })
}

/// What a turn's codex is told of its configuration.
#[derive(Debug)]
pub(super) struct Told {
    /// By `-m`; none for its own default.
    pub(super) model: Option<String>,
    /// By `-s`; none for its own default.
    pub(super) sandbox: Option<String>,
    /// By `-c`.
    pub(super) settings: Settings,
}

/// What the layers say together: what the turn is held to, over this turn, over
/// its session's options, over the agent configuration.
///
/// # Errors
///
/// As [`arguments`].
pub(super) fn told(
    turn: &TurnRequest<'_>,
    retries: Retries,
    config: &AgentConfig,
    held: Option<&Table>,
) -> Result<Told> {
    let mut settings = config.settings.clone();
    settings.overlay(options::settings(turn.options)?);
    settings.overlay(chosen(turn)?);
    let is_full_danger = turn.options.full_danger || config.full_danger;
    let sandbox = if is_full_danger { Some(FULL_DANGER) } else { sandbox_mode(turn.sandbox) };
    let mut sandbox = sandbox.map(str::to_owned);
    let mut model = turn.model.or(config.model.as_deref()).map(str::to_owned);
    if let Some(held) = held {
        match retries {
            Retries::Bounded => settings
                .set(&format!("features.{UNBOUNDED_RETRIES}"), false.into())
                .map_err(Error::internal)?,
            Retries::AsConfigured => {}
        }
        // The lock has the names that codex tells, and one of both is enough.
        settings.change(left_out::rename);
        settings.overlay(Settings::new(held.clone()));
        let mut take = |key| settings.take(key).and_then(|value| value.as_str().map(str::to_owned));
        model = take("model").or(model);
        let mode = take("sandbox_mode");
        if mode.is_some() || held.contains_key("default_permissions") {
            sandbox = mode;
        }
    }
    if let Some(model) = &model {
        // The session's row may be of a server that took any name.
        check_model(model).map_err(|problem| Error::invalid("session.model", problem))?;
    }
    Ok(Told { model, sandbox, settings })
}

/// The directories that a turn may write to beside what its settings say.
///
/// Codex adds them to a profile of permissions too, which takes no notice of the
/// setting that has them in the lock.
pub(super) fn add_directories(turn: &TurnRequest<'_>, held: Option<&Table>) -> Vec<String> {
    match held {
        Some(held) if held.contains_key("sandbox_mode") => Vec::new(),
        Some(held) if says_sandbox(held) => {
            let table = held.get("sandbox_workspace_write");
            let roots = table.and_then(|table| table.get("writable_roots")?.as_array());
            roots.into_iter().flatten().filter_map(|it| it.as_str().map(str::to_owned)).collect()
        }
        Some(_) | None => turn.options.add_directories.clone(),
    }
}

/// Whether a lock says the sandbox, and all that belongs to it. Those that codex
/// itself made do not.
pub(super) fn says_sandbox(held: &Table) -> bool {
    ["sandbox_mode", "default_permissions"].iter().any(|key| held.contains_key(*key))
}

/// The sandbox of a turn that bypasses it.
pub(super) const FULL_DANGER: &str = "danger-full-access";

/// What this turn chooses, as settings.
fn chosen(turn: &TurnRequest<'_>) -> Result<Settings> {
    let mut own = Settings::default();
    let network = network_access(turn.network)
        .map(|enabled| ("sandbox_workspace_write.network_access", enabled.into()));
    let web_search = options::web_search(turn.options).map(|mode| ("web_search", mode));
    let effort = turn.effort.map(|effort| ("model_reasoning_effort", effort.as_str().into()));
    for (key, value) in network.into_iter().chain(web_search).chain(effort) {
        own.set(key, value).map_err(Error::internal)?;
    }
    Ok(own)
}

/// What the commands of a turn are known by.
fn marks(turn: &TurnRequest<'_>) -> Result<Settings> {
    let mut own = Settings::default();
    let marks = [
        ("shell_environment_policy.set.SWITCHBOARD_SESSION", turn.session.to_string()),
        ("shell_environment_policy.set.SWITCHBOARD_TURN", turn.turn.to_string()),
    ];
    for (key, value) in marks {
        own.set(key, value.into()).map_err(Error::internal)?;
    }
    Ok(own)
}

fn image_argument(image: &Path) -> OsString {
    let mut argument = OsString::from("--image=");
    argument.push(image);
    argument
}

/// A thread that codex surely takes for one.
fn thread_id(thread: &str) -> Result<&str> {
    if Uuid::try_parse(thread).is_ok() {
        return Ok(thread);
    }
    Err(Error::AgentUnavailable {
        problem: format!(
            "cannot resume the thread {thread:?}: codex names its threads by UUIDs, and \
             would begin a new one; create another session"
        ),
    })
}

/// Whether commands may use the network; none for codex's own default.
pub(super) fn network_access(network: NetworkAccess) -> Option<bool> {
    match network {
        NetworkAccess::Unspecified => None,
        NetworkAccess::Restricted => Some(false),
        NetworkAccess::Enabled => Some(true),
    }
}

/// What `-s` takes; none for codex's own default.
pub(super) fn sandbox_mode(sandbox: FilesystemSandbox) -> Option<&'static str> {
    match sandbox {
        FilesystemSandbox::Unspecified => None,
        FilesystemSandbox::ReadOnly => Some("read-only"),
        FilesystemSandbox::WorkspaceWrite => Some("workspace-write"),
        FilesystemSandbox::DangerFullAccess => Some("danger-full-access"),
    }
}

#[cfg(test)]
mod tests;
