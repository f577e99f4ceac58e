//! What of a lock is not read as it was written.
//!
//! TOML has no NaN that is itself, no 31st of February, and no end of nesting
//! that its parser would follow.

use toml::{Table, Value};

use super::{Lock, invalid};
use crate::{
    Error, time,
    toml_text::{self, dotted},
};

/// A key, or a lock, that is not read as it was written.
pub(super) fn unreadable(key: Option<&str>) -> Error {
    let what = key.unwrap_or("the configuration");
    invalid(
        "round_trip",
        key,
        format!("{what} does not survive being written as TOML and read again"),
    )
}

/// The key of a lock that is read as something else than was written.
pub(super) fn culprit(lock: &Lock) -> Option<String> {
    if let Some(time) = lock.made_of.time
        && time::system_time(&time::timestamp(time)) != Some(time)
    {
        return Some("create_time".to_owned());
    }
    culprit_below(&lock.effective.config, &mut vec!["config"])
}

/// Looks for it value by value, each inside of the tables that it is in, because
/// these may be what cannot be read.
fn culprit_below<'a>(table: &'a Table, path: &mut Vec<&'a str>) -> Option<String> {
    for (key, value) in table {
        path.push(key);
        let found = match value {
            Value::Table(table) if !table.is_empty() => culprit_below(table, path),
            Value::String(_)
            | Value::Integer(_)
            | Value::Float(_)
            | Value::Boolean(_)
            | Value::Datetime(_)
            | Value::Array(_)
            | Value::Table(_) => (!survives(path, value))
                .then(|| path.iter().fold(String::new(), |name, part| dotted(&name, part))),
        };
        if found.is_some() {
            return found;
        }
        path.pop();
    }
    None
}

/// Whether a value in its tables, with nothing beside it, is read as it was.
fn survives(path: &[&str], value: &Value) -> bool {
    let within = |value, part: &&str| Table::from_iter([((*part).to_owned(), value)]).into();
    let top: Value = path.iter().rev().fold(value.clone(), within);
    let mut document = Vec::new();
    for (key, table) in top.as_table().into_iter().flatten() {
        if let Value::Table(table) = table {
            toml_text::write_table(&mut document, key, table);
        }
    }
    let text: String = document.into_iter().map(|entry| entry.text).collect();
    toml::from_str(&text).is_ok_and(|read: Table| top == read.into())
}
