//! The layers of codex's configuration, as it tells them: which file, or which of
//! its flags, says what.

use std::{collections::BTreeMap, path::PathBuf};

use serde_json::Value as Json;
use toml::{Table, Value};

use super::{left_out, toml_of};
use crate::agent::codex::tree::{dotted_path, leaves, merge, put, remove};

/// What one place says.
#[derive(Debug, Clone)]
struct Layer {
    from: Place,
    table: Table,
}

/// Where a layer is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    /// The arguments that codex was started with.
    Flags,
    /// The configuration that comes with a project.
    Project(String),
    /// Any other: a file, or what codex calls it.
    Other(String),
}

/// The layers that hold, the highest first.
#[derive(Debug, Clone, Default)]
pub(super) struct Layers(Vec<Layer>);

impl Layers {
    /// Reads what `config/read` answers. What codex leaves out because nobody
    /// trusts its directory is left out.
    pub(super) fn read(answer: &Json) -> Self {
        let layers = answer["layers"].as_array().into_iter().flatten();
        let layers = layers.filter(|layer| layer["disabledReason"].is_null()).map(|layer| Layer {
            from: place(&layer["name"]),
            table: match toml_of(&layer["config"]) {
                Some(Value::Table(mut table)) => {
                    left_out::rename(&mut table);
                    table
                }
                _ => Table::new(),
            },
        });
        Self(layers.collect())
    }

    /// What all of them say together, table by table.
    pub(super) fn merged(&self) -> Table {
        let mut merged = Table::new();
        for layer in self.0.iter().rev() {
            merge(&mut merged, &layer.table);
        }
        merged
    }

    /// What a project says over what a user says.
    pub(super) fn of_projects(&self) -> Table {
        let mut merged = Table::new();
        for layer in self.0.iter().rev().filter(|layer| matches!(layer.from, Place::Project(_))) {
            merge(&mut merged, &layer.table);
        }
        merged
    }

    /// Has the flags say this at a dotted key, or nothing.
    pub(super) fn say_by_flag(&mut self, key: &str, value: Option<&Value>) {
        let path: Vec<String> = key.split('.').map(str::to_owned).collect();
        for layer in self.0.iter_mut().filter(|layer| layer.from == Place::Flags) {
            remove(&mut layer.table, &path);
            if let Some(value) = value {
                put(&mut layer.table, &path, value.clone());
            }
        }
    }

    /// Where each value comes from, by its dotted key: a file, or nothing for the
    /// flags.
    pub(super) fn origins(&self) -> BTreeMap<String, Option<String>> {
        let mut origins = BTreeMap::new();
        for layer in self.0.iter().rev() {
            let from = match &layer.from {
                Place::Flags => None,
                Place::Project(file) | Place::Other(file) => Some(file.clone()),
            };
            for (path, _) in leaves(&layer.table) {
                origins.insert(dotted_path(&path), from.clone());
            }
        }
        origins
    }
}

/// Codex names a layer by its type, and by a file or the folder that it is in.
fn place(name: &Json) -> Place {
    let kind = name["type"].as_str().unwrap_or_default();
    if kind == "sessionFlags" {
        return Place::Flags;
    }
    if let Some(folder) = name["dotCodexFolder"].as_str() {
        return Place::Project(PathBuf::from(folder).join("config.toml").display().to_string());
    }
    let file = name["file"].as_str().map(str::to_owned);
    Place::Other(file.unwrap_or_else(|| kind.to_owned()))
}
