//! The sandbox of a turn, as codex resolved it.

use serde_json::Value as Json;
use toml::{Table, Value};

use super::Question;
use crate::agent::codex::{chosen::is_default, command::FULL_DANGER, directories};

/// The table of the sandbox that writes.
const TABLE: &str = "sandbox_workspace_write";

/// The setting that names a profile of permissions.
const PROFILE: &str = "default_permissions";

/// The sandbox that a thread has; none for what no flag can say.
fn mode(thread: &Json) -> Option<&'static str> {
    match thread["sandbox"]["type"].as_str()? {
        "readOnly" => Some("read-only"),
        "workspaceWrite" => Some("workspace-write"),
        "dangerFullAccess" => Some(FULL_DANGER),
        _ => None,
    }
}

/// Whether the sandbox is another than was asked for, and than any layer says.
pub(super) fn is_forced(question: &Question<'_>, config: &Table, thread: &Json) -> bool {
    let said = config.get("sandbox_mode").and_then(Value::as_str);
    let mode = mode(thread);
    let asked = question.sandbox.or(said);
    asked.is_some() && mode.is_some() && mode != asked && mode != said
}

/// Puts the sandbox in as codex resolved it, which may be by a default, by whether
/// the directory is trusted, and by what the machine's administrator requires.
///
/// What was asked for beside it and has no effect stays beside it, so that whoever
/// asks for the same again asks for nothing else than the lock has: what a flag
/// beats, and what a sandbox that writes would do.
pub(super) fn put(question: &Question<'_>, config: &mut Table, thread: &Json, comes_to: &Table) {
    let roots = config.remove(TABLE).and_then(|table| {
        let roots = table.get("writable_roots")?.as_array()?;
        Some(roots.iter().filter_map(Value::as_str).map(str::to_owned).collect::<Vec<_>>())
    });
    let said = &question.said_of_sandbox;
    let profile = thread["activePermissionProfile"]["id"].as_str();
    let wanted = config.remove(PROFILE);
    let wanted = wanted.filter(|wanted| profile.is_some() && wanted.as_str() == profile);
    if let (None, Some(wanted)) = (question.sandbox, wanted) {
        // A profile says all of it but the directories that were added, and codex
        // takes one or the other.
        config.remove("sandbox_mode");
        config.insert(PROFILE.to_owned(), wanted);
        if !question.add_directories.is_empty() {
            let roots = with_added(Vec::new(), question.add_directories);
            let table = Table::from_iter([("writable_roots".to_owned(), roots)]);
            config.insert(TABLE.to_owned(), table.into());
        }
        return;
    }
    let Some(mode) = comes_to.get("sandbox_mode").and_then(Value::as_str) else { return };
    config.insert("sandbox_mode".to_owned(), mode.into());
    if let (Some(_), Some(wanted)) = (question.sandbox, said.get(PROFILE)) {
        config.insert(PROFILE.to_owned(), wanted.clone());
    }
    let mut table = match mode {
        "workspace-write" => comes_to.get(TABLE),
        "read-only" => said.get(TABLE),
        _ => return,
    }
    .and_then(Value::as_table)
    .cloned()
    .unwrap_or_default();
    let is_writing = mode == "workspace-write";
    let said = table.get("writable_roots").and_then(Value::as_array).into_iter().flatten();
    let said = said.filter_map(Value::as_str).map(str::to_owned).collect();
    let roots = if is_writing { roots.unwrap_or_default() } else { said };
    let roots = with_added(roots, question.add_directories);
    if is_writing || !is_default(&roots) {
        table.insert("writable_roots".to_owned(), roots);
    }
    if !table.is_empty() {
        config.insert(TABLE.to_owned(), table.into());
    }
}

/// Directories, with those that are added.
fn with_added(mut roots: Vec<String>, add: &[String]) -> Value {
    roots.extend_from_slice(add);
    directories::all_named(&roots.into())
}

/// What the sandbox of a thread comes to, in the settings of sandboxes; without the
/// directories that it may write to.
pub(super) fn comes_to(thread: &Json) -> Table {
    let mut table = Table::new();
    let Some(mode) = mode(thread) else { return table };
    table.insert("sandbox_mode".to_owned(), mode.into());
    if mode == "workspace-write" {
        let resolved = &thread["sandbox"];
        let flag = |name: &str| Value::from(resolved[name].as_bool().unwrap_or_default());
        let flags = Table::from_iter([
            ("network_access".to_owned(), flag("networkAccess")),
            ("exclude_tmpdir_env_var".to_owned(), flag("excludeTmpdirEnvVar")),
            ("exclude_slash_tmp".to_owned(), flag("excludeSlashTmp")),
        ]);
        table.insert(TABLE.to_owned(), flags.into());
    }
    table
}
