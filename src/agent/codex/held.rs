//! Turns that are held to a config lock: what of a lock this codex can be told,
//! and what would differ from it.
//!
//! The lock is laid over all other layers, and the configuration is resolved
//! again. What differs then is what beats a lock or is not in it, such as a
//! server that a project adds. What a request chooses beside the lock would be
//! beaten by it, in silence; so it is compared with the lock itself.

use toml::{Table, Value};

use super::{
    chosen::{Choice, Over, ROOTS, added, folded},
    command::{UNBOUNDED_RETRIES, says_sandbox},
    directories,
    lost::{Held, is_of_sandbox, is_real},
    resolve::{
        Picture, catalogue,
        features::{Aliases, Features, Stage},
        left_out,
    },
    tree::{dotted_path, get, leaves, put, remove},
};
use crate::{
    agent::Compared,
    lock::{self, Effective, Lock},
    toml_text::line,
};

/// A lock as this codex is told it.
#[derive(Debug)]
pub(super) struct Fitted {
    /// What it is told.
    pub(super) config: Table,
    /// What of the lock it is not told, and why; each a whole sentence.
    pub(super) notes: Vec<String>,
}

/// When codex asks before it acts.
const POLICY: &str = "approval_policy";

/// Whether that is never.
fn is_never(policy: &Value) -> bool {
    policy.as_str() == Some("never")
}

/// Whether a lock was made otherwise than this codex would be locked now, so that
/// they have not all in common.
pub(super) fn is_foreign(lock: &Lock, version: &str) -> bool {
    is_of_codex(lock) || lock.effective.codex_version != version
}

/// Whether codex itself made the lock, as its versions until 0.147 did. Those have
/// no working directory.
fn is_of_codex(lock: &Lock) -> bool {
    lock.effective.working_directory.is_none()
}

/// Takes out of a lock what this codex would refuse or warn of. `features` are
/// those that it knows, where the lock may have others.
pub(super) fn fit(lock: &Lock, features: Option<&Features>) -> Fitted {
    let mut config = lock.effective.config.clone();
    let mut notes = Vec::new();
    // Whoever wrote it may have other names for them.
    let roots = ROOTS.map(str::to_owned);
    if let Some(named) = get(&config, &roots).map(directories::all_named) {
        put(&mut config, &roots, named);
    }
    // `codex exec` has its own, whatever it is told.
    if let Some(policy) = config.remove(POLICY).filter(|policy| !is_never(policy)) {
        notes.push(format!(
            "The lock has the approval policy {}, which is not compared: codex exec asks nobody.",
            line(&policy)
        ));
    }
    let Some(features) = features else { return Fitted { config, notes } };
    let out = left_out::take(&mut config);
    note(&mut notes, out.iter().copied(), "no part of a lock, and left to the session");
    if let Some(Value::Table(locked)) = config.get_mut("features") {
        let is_known = |name: &String, value: &Value| {
            let is_on = value.as_bool().or_else(|| value.get("enabled")?.as_bool());
            features.get(name).is_some_and(|feature| match feature.stage {
                Stage::Settled => true,
                Stage::UnderDevelopment => is_on == Some(false),
                Stage::Gone => false,
            })
        };
        let gone: Vec<String> = locked
            .iter()
            .filter(|(name, value)| !is_known(name, value))
            .map(|(name, _)| name.clone())
            .collect();
        for name in &gone {
            locked.remove(name);
        }
        note(
            &mut notes,
            gone.iter().map(String::as_str),
            "features that this codex has not, or not to be set",
        );
    }
    // Codex's own locks have tables that say nothing.
    config.retain(|_, value| value.as_table().is_none_or(|table| !table.is_empty()));
    Fitted { config, notes }
}

/// Says what is not told, where there is something.
fn note<'a>(notes: &mut Vec<String>, keys: impl Iterator<Item = &'a str>, why: &str) {
    let keys: Vec<&str> = keys.collect();
    if !keys.is_empty() {
        notes.push(format!("Not taken from the lock ({why}): {}.", keys.join(", ")));
    }
}

/// Compares a lock with what was resolved with it.
///
/// `told` is what of it codex was told, without what it does not know: that is
/// taken out here where the lock is [foreign](is_foreign). `choices` are the
/// request's, the highest last, `below` what the server's agent configuration says.
/// `free` is asked what the same turn would run with if it had no lock, where a
/// choice seems to be lost; none where that cannot be found out.
pub(super) fn compare(
    lock: &Lock,
    any_version: bool,
    told: &mut Fitted,
    picture: Picture,
    choices: &[Choice],
    below: &[Choice],
    free: impl FnOnce() -> Option<Picture>,
) -> Compared {
    let Picture { effective: mut actual, mut origins, aliases, sandbox, above, notes } = picture;
    let [choices, below] = [choices, below].map(|choices| renamed(choices, &aliases));
    let choices = folded(choices);
    let version = actual.codex_version.clone();
    let mut notes: Vec<String> = told.notes.drain(..).chain(notes).collect();
    if is_foreign(lock, &version) {
        let unknown = take_unknown(&mut told.config, &actual);
        note(
            &mut notes,
            unknown.iter().map(String::as_str),
            "settings that this codex does not know",
        );
    }
    let mut locked = Effective { config: told.config.clone(), ..lock.effective.clone() };
    let policy = lock.effective.config.get(POLICY).filter(|policy| is_never(policy));
    let policy = policy.or(actual.config.get(POLICY)).cloned();
    locked.config.extend(policy.map(|policy| (POLICY.to_owned(), policy)));
    if any_version && locked.codex_version != version {
        notes.push(format!(
            "The lock was made with codex {}, and turns run with {version}, which is allowed.",
            locked.codex_version
        ));
        locked.codex_version.clone_from(&version);
        let has_hash = locked.model_catalog_sha256.is_some();
        if has_hash && locked.model_catalog_sha256 != actual.model_catalog_sha256 {
            notes.push(
                "The catalogue of models, of which each version of codex has its own, is not \
                 compared."
                    .to_owned(),
            );
            locked.model_catalog_sha256.clone_from(&actual.model_catalog_sha256);
        }
    }
    if locked.model_catalog_sha256.is_none() && actual.model_catalog_sha256.take().is_some() {
        notes.push(
            "The lock has no hash of what the catalogue says of its model, which is not compared."
                .to_owned(),
        );
    }
    if is_foreign(lock, &version) {
        // What somebody says beside a lock differs from it, but for what codex never
        // wrote into its own, and for what we say ourselves.
        let is_filled = |key: &str| {
            let table = key.split('.').next().unwrap_or_default();
            origins.is_of_codex(key)
                || (is_of_codex(lock) && is_of_sandbox(&[table.to_owned()]))
                || key.strip_prefix("features.") == Some(UNBOUNDED_RETRIES)
        };
        let filled = fill(&mut locked.config, &actual.config, &is_filled);
        if !filled.is_empty() {
            notes.push(format!(
                "The lock lacks these ({}), which are as the session has them: {}.",
                filled.len(),
                filled.join(", ")
            ));
        }
    }
    let held = Held {
        locked: &locked.config,
        actual: &actual.config,
        sandbox: &sandbox,
        // What it leaves to the turn is as it would be without a lock.
        leaves_sandbox: !says_sandbox(&told.config),
    };
    let (lost, kept): (Vec<_>, Vec<_>) = choices.iter().partition(|choice| held.is_without(choice));
    let free = if lost.is_empty() { None } else { free() };
    let (lost, idle): (Vec<_>, Vec<_>) = lost
        .into_iter()
        .partition(|choice| free.as_ref().is_none_or(|free| is_real(choice, &locked.config, free)));
    // A profile says much for many turns.
    let idle = idle.into_iter().filter(|choice| choice.is_of_request());
    let keys: Vec<_> = idle.map(|choice| dotted_path(&choice.path)).collect();
    if !keys.is_empty() {
        notes.push(format!("Without effect, with the lock as without it: {}.", keys.join(", ")));
    }
    for choice in lost {
        let there = get(&actual.config, &choice.path);
        let value = match choice.over {
            Over::Replaces => choice.value.clone(),
            Over::Adds => added(there, &choice.value),
        };
        put(&mut actual.config, &choice.path, value);
        origins.know(&dotted_path(&choice.path), &choice.origin);
    }
    for choice in kept {
        let key = dotted_path(&choice.path);
        if origins.of(&key).is_none() {
            origins.know(&key, &choice.origin);
        }
    }
    for choice in &below {
        let key = dotted_path(&choice.path);
        if origins.of(&key).is_none() {
            origins.know(&key, &choice.origin);
        }
    }
    if origins.of(catalogue::HASH).is_none() {
        let of_catalogue = |choice: &&Choice| choice.path == ["model_catalog_json"];
        let choice = choices.iter().rfind(of_catalogue).or(below.iter().rfind(of_catalogue));
        if let Some(choice) = choice {
            origins.know(catalogue::HASH, &choice.origin);
        }
    }
    let origin_of = |key: &str| origins.of(key).unwrap_or_else(|| above.to_owned());
    let drift = lock::drift(&locked, &actual, |key| match key.strip_prefix("config.") {
        Some(key) => origin_of(key),
        None if key == "working_directory" => "session.working_directory".to_owned(),
        None => origin_of(key),
    });
    Compared { drift, codex_version: version, notes }
}

/// The same choices, with the canonical names of features.
fn renamed(choices: &[Choice], aliases: &Aliases) -> Vec<Choice> {
    let mut choices = choices.to_vec();
    for Choice { path, .. } in &mut choices {
        if let [table, name, ..] = &mut path[..]
            && table == "features"
            && let Some(canonical) = aliases.get(name)
        {
            name.clone_from(canonical);
        }
    }
    choices
}

/// Takes out what codex was told and does not tell again, and says what that was.
fn take_unknown(told: &mut Table, actual: &Effective) -> Vec<String> {
    let unknown: Vec<Vec<String>> = leaves(told)
        .into_iter()
        .filter(|(path, value)| {
            let is_empty = value.as_table().is_some_and(Table::is_empty);
            !is_empty && get(&actual.config, path).is_none()
        })
        .map(|(path, _)| path)
        .collect();
    for path in &unknown {
        remove(told, path);
    }
    unknown.iter().map(|path| dotted_path(path)).collect()
}

/// Takes what is lacking from another table, where that may be done, and says
/// which keys that were.
fn fill(table: &mut Table, from: &Table, may: &impl Fn(&str) -> bool) -> Vec<String> {
    let lacking = leaves(from).into_iter().filter(|(path, _)| get(table, path).is_none());
    let lacking = lacking.map(|(path, value)| (dotted_path(&path), path, value.clone()));
    let lacking: Vec<_> = lacking.filter(|(key, _, _)| may(key)).collect();
    let mut filled = Vec::new();
    for (key, path, value) in lacking {
        put(table, &path, value);
        filled.push(key);
    }
    filled
}

#[cfg(test)]
mod tests;
