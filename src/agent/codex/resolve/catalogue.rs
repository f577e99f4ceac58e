//! What the catalogue of models says of one: what of it is put into a configuration,
//! and the hash of the rest, which no setting can say again.

use serde_json::{Map, Value as Json};
use sha2::{Digest as _, Sha256};
use toml::{Table, Value};

use crate::audit::hex;

/// The field of a lock that has the hash.
pub(in crate::agent::codex) const HASH: &str = "model_catalog_sha256";

/// The settings that say the same as fields of a model.
const FIELDS: [(&str, &str); 4] = [
    ("model_reasoning_effort", "default_reasoning_level"),
    ("model_reasoning_summary", "default_reasoning_summary"),
    ("model_verbosity", "default_verbosity"),
    ("instructions", "base_instructions"),
];

/// Fields that are there for people who choose a model.
const SHOWN: [&str; 8] = [
    "availability_nux",
    "description",
    "display_name",
    "minimal_client_version",
    "priority",
    "supported_in_api",
    "upgrade",
    "visibility",
];

/// Saves what the catalogue says of the model and nobody else does. The request to
/// the model is the same to the byte with it.
pub(super) fn save(config: &mut Table, model: &Json, notes: &mut Vec<String>) {
    for (key, field) in FIELDS {
        if field == "default_verbosity" && model["support_verbosity"] != true {
            continue;
        }
        let Some(value) = model[field].as_str().filter(|_| !config.contains_key(key)) else {
            continue;
        };
        // Codex writes other instructions then, which it does not tell.
        if key == "instructions" && config.get("personality") == Some(&Value::from("none")) {
            notes.push(
                "The instructions of the model are not saved, as there is no personality in them."
                    .to_owned(),
            );
            continue;
        }
        config.insert(key.to_owned(), value.into());
    }
}

/// The SHA-256 of what the catalogue says of a model, in hexadecimal, without what
/// the configuration says in its place and what a turn never sees.
pub(super) fn hash(model: &Json, config: &Table) -> String {
    let is_said = |field: &str| {
        FIELDS.iter().any(|(key, other)| *other == field && config.contains_key(*key))
    };
    let counts = |field: &str| !SHOWN.contains(&field) && !is_said(field);
    let members = model.as_object().into_iter().flatten();
    let counted: Map<String, Json> = members
        .filter(|(field, _)| counts(field))
        .map(|(field, value)| (field.clone(), value.clone()))
        .collect();
    hex(&Sha256::digest(Json::from(counted).to_string()).into())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_hash_is_of_what_a_turn_runs_with_and_no_setting_says() {
        let config: Table = "model_reasoning_effort = 'low'\n".parse().unwrap();
        let of = |model: Json| hash(&model, &config);
        let model = of(json!({"slug": "a", "context_window": 1, "base_instructions": "x"}));
        for same in [
            json!({"slug": "a", "context_window": 1, "base_instructions": "x", "priority": 3}),
            json!({"slug": "a", "context_window": 1, "base_instructions": "x",
                "default_reasoning_level": "high"}),
        ] {
            assert_eq!(of(same.clone()), model, "{same}");
        }
        for other in [
            json!({"slug": "a", "context_window": 2, "base_instructions": "x"}),
            json!({"slug": "a", "context_window": 1, "base_instructions": "y"}),
            json!({"slug": "a", "context_window": 1, "base_instructions": "x", "new": 1}),
        ] {
            assert_ne!(of(other.clone()), model, "{other}");
        }
    }
}
