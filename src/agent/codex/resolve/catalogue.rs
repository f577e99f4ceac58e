//! What the catalogue of models says of one: what of it is put into a configuration,
//! and the hash of the rest, which no setting can say again.
//!
//! Codex has one built in, and gets a newer one for those who are logged in, which
//! it keeps in its home. Nobody is logged in while it is [asked](super::quiet); so
//! what it got last is read here, for the providers that it gets one from.

use std::path::Path;

use serde_json::{Map, Value as Json};
use sha2::{Digest as _, Sha256};
use toml::{Table, Value};

use crate::{agent::file::read_at_most, audit::hex};

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

/// The file in codex's home that has what it got.
const CACHE: &str = "models_cache.json";

/// The most bytes of that; the built-in catalogue has 750 kB.
const MAX_BYTES: usize = 16 << 20;

/// A model in a catalogue, as JSON.
pub(super) fn model(catalogue: &str, name: &Json) -> Option<Json> {
    find(&serde_json::from_str(catalogue).ok()?, name)
}

/// The same in the one that this version of codex got last, where a turn with this
/// configuration would go by that.
pub(super) fn fetched(
    home: Option<&Path>,
    version: &str,
    config: &Table,
    name: &Json,
) -> Option<Json> {
    // A file that is named takes its place.
    if config.contains_key("model_catalog_json") || !is_fetched(config) {
        return None;
    }
    let cache = read_at_most(&home?.join(CACHE), MAX_BYTES).ok()??;
    let cache: Json = serde_json::from_slice(&cache).ok()?;
    if cache["client_version"] != version {
        return None;
    }
    find(&cache, name)
}

fn find(catalogue: &Json, name: &Json) -> Option<Json> {
    catalogue["models"].as_array()?.iter().find(|model| model["slug"] == *name).cloned()
}

/// Whether codex asks the provider for its catalogue: its own, and those that have
/// a login.
fn is_fetched(config: &Table) -> bool {
    let name = config.get("model_provider").and_then(Value::as_str).unwrap_or_default();
    let provider = config.get("model_providers").and_then(|providers| providers.get(name));
    match provider {
        None => name == "openai",
        Some(provider) => {
            let wants_login = provider.get("requires_openai_auth").and_then(Value::as_bool);
            wants_login == Some(true) || provider.get("auth").is_some()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::json;

    use super::*;

    #[test]
    fn a_model_is_as_codex_got_it_last_where_it_gets_one() {
        let home = tempfile::tempdir().unwrap();
        let cache = r#"{"client_version":"0.169.0","models":[{"slug":"m","x":1}]}"#;
        let found = |version: &str, config: &str| {
            let config = config.parse().unwrap();
            fetched(Some(home.path()), version, &config, &"m".into())
        };
        let openai = "model_provider = 'openai'\n";
        assert_eq!(found("0.169.0", openai), None);
        fs::write(home.path().join(CACHE), cache).unwrap();
        assert_eq!(found("0.169.0", openai), Some(json!({"slug": "m", "x": 1})));
        assert_eq!(found("0.170.0", openai), None);
        assert_eq!(found("0.169.0", &format!("{openai}model_catalog_json = '/x'\n")), None);
        let own = |rest: &str| format!("model_provider = 'p'\n[model_providers.p]\n{rest}\n");
        assert_eq!(found("0.169.0", &own("name = 'p'")), None);
        assert!(found("0.169.0", &own("requires_openai_auth = true")).is_some());
        assert!(found("0.169.0", &own("auth = {command = 'x'}")).is_some());
    }

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
