//! What the catalogue of models says of one.
//!
//! Codex has one built in, and gets a newer one for those who are logged in, which
//! it keeps in its home. Nobody is logged in while it is [asked](super::quiet); so
//! what it got last is read here, for the providers that it gets one from.

use std::path::Path;

use serde_json::Value as Json;
use toml::{Table, Value};

use crate::agent::file::read_at_most;

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
}
