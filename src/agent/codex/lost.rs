//! What is chosen beside a config lock and lost by it: a turn that is held to the
//! lock would not do it, and without the lock would.
//!
//! The second half counts too, because much that is chosen has no effect anyhow: a
//! higher layer says the same key otherwise, an administrator forces another value,
//! or codex takes no notice. A session that was locked with such a choice may go on
//! making it.

use toml::{Table, Value};

use super::{
    chosen::{Choice, Over, is_default},
    command::FULL_DANGER,
    resolve::{Picture, left_out},
    tree::{dotted_path, get},
};

/// A turn that is held to a lock.
#[derive(Debug)]
pub(super) struct Held<'a> {
    /// What the lock has.
    pub(super) locked: &'a Table,
    /// What the turn would run with.
    pub(super) actual: &'a Table,
    /// What its sandbox comes to, in the settings of sandboxes.
    pub(super) sandbox: &'a Table,
    /// Whether the lock leaves the sandbox to the turn.
    pub(super) leaves_sandbox: bool,
}

impl Held<'_> {
    /// Whether the turn would not do what was chosen: the lock has it otherwise, or
    /// says nothing of it and leaves no room for it.
    pub(super) fn is_without(&self, choice: &Choice) -> bool {
        let Choice { path, value, origin: _, over } = choice;
        if self.leaves_sandbox && is_of_sandbox(path) {
            return false;
        }
        let locked = get(self.locked, path);
        match (over, locked) {
            (Over::Adds, locked) => !has_all(locked, value) && !self.is_granted(choice),
            (Over::Replaces, Some(locked)) => !is_same(locked, value),
            (Over::Replaces, None) => {
                let is_empty = value.as_table().is_some_and(Table::is_empty);
                let has_effect =
                    get(self.actual, path).is_some_and(|actual| is_same(actual, value));
                !is_empty && !has_effect && !left_out::is_left_out(path) && !self.is_granted(choice)
            }
        }
    }

    /// Whether the sandbox of the lock does by itself what was chosen, which the lock
    /// has no setting for. What only reads has no network, what has no sandbox has
    /// all, so that it is no more than was chosen only where nothing shall be kept
    /// from it, and profiles of codex itself are the modes by another name.
    fn is_granted(&self, choice: &Choice) -> bool {
        let text = |table: &Table, key: &str| Some(table.get(key)?.as_str()?.to_owned());
        let locked = text(self.locked, "sandbox_mode");
        let is_mode = locked.is_some();
        let Some(mode) = locked.or_else(|| text(self.sandbox, "sandbox_mode")) else {
            return false;
        };
        let value = &choice.value;
        match choice.path.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            ["sandbox_mode"] => {
                let profile = text(self.locked, "default_permissions");
                let is_of_codex = profile.is_some_and(|profile| profile.starts_with(':'));
                !is_mode && is_of_codex && value.as_str() == Some(&mode)
            }
            ["sandbox_workspace_write", key] if mode == FULL_DANGER => {
                !(key.starts_with("exclude_") && value.as_bool() == Some(true))
            }
            ["sandbox_workspace_write", _] if !is_mode && mode != "read-only" => {
                get(self.sandbox, &choice.path) == Some(value)
            }
            ["sandbox_workspace_write", _] => mode == "read-only" && is_default(value),
            _ => false,
        }
    }
}

/// Whether a turn without the lock, which is `free`, would do what was chosen, and
/// the lock's has something else in its place.
pub(super) fn is_real(choice: &Choice, locked: &Table, free: &Picture) -> bool {
    let Choice { path, value, origin: _, over } = choice;
    match over {
        // Nothing is above them.
        Over::Adds => return true,
        Over::Replaces => {}
    }
    let would_be = get(&free.effective.config, path);
    let is_as_locked = match (would_be, get(locked, path)) {
        (Some(one), Some(other)) => is_same(one, other),
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    };
    // Codex may tell it otherwise than it was said.
    let is_by_request = || free.origins.of(&dotted_path(path)).is_none();
    !is_as_locked && (would_be.is_some_and(|it| is_same(it, value)) || is_by_request())
}

/// Whether a setting is one of those that say what commands may do.
pub(super) fn is_of_sandbox(path: &[String]) -> bool {
    let of_sandbox =
        ["sandbox_mode", "sandbox_workspace_write", "default_permissions", "permissions"];
    path.first().is_some_and(|first| of_sandbox.contains(&first.as_str()))
}

/// Whether an array has all values of another.
fn has_all(array: Option<&Value>, values: &Value) -> bool {
    let has = |value| array.and_then(Value::as_array).is_some_and(|array| array.contains(value));
    values.as_array().is_none_or(|values| values.iter().all(has))
}

/// Whether codex takes two values for the same: it reads whole numbers where it
/// tells fractions.
fn is_same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Integer(integer), Value::Float(float))
        | (Value::Float(float), Value::Integer(integer)) => {
            float.fract() == 0.0 && float.to_string() == integer.to_string()
        }
        _ => one == other,
    }
}
