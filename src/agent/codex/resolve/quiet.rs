//! How codex is asked so that no command of its configuration runs, that nothing
//! goes over the network, and that nobody's login is used: also where a lock, whose
//! author nobody knows, says otherwise.
//!
//! As soon as codex starts it asks its provider and its maker's servers for models,
//! accounts and the like, and reports to its maker and its operator. It takes the
//! token for that from the login of its home, or from a command that the provider
//! names. So while it is asked
//!
//! - its provider is one of ours, which leads nowhere and wants no login: no other
//!   one's command, address or token is used then. Which one a turn has is what the
//!   layers say, and `codex features list`, which is told the truth and asks nobody,
//!   refuses a provider that there is not;
//! - it keeps its login in its memory, where there is none: it reads neither
//!   `auth.json` nor a keyring. Variables with a login are empty;
//! - what addresses, programs and folders for records the flags say is left out, and
//!   reports are off in whatever layer they are;
//! - a proxy that nobody listens at is in the way of whatever is left.
//!
//! None of that changes another value that codex tells. The values in its way are
//! put back by [`restore`] as the layers have them, so that they are compared and
//! exported like all others; what is in [`left_out`](super::left_out) is in no lock.
//! What only a login can get is not known: what the maker's servers require of
//! those who are logged in, and the model that they are given by default. What a
//! turn then ran with is compared with its lock afterwards.

use toml::{Table, Value};

use super::{Layers, PLUGINS};
use crate::agent::codex::{binary::Binary, settings::Settings};

/// The provider that leads nowhere, by its name.
const PROVIDER: &str = "switchboard_nowhere";

/// The key of the provider's name.
const MODEL_PROVIDER: &str = "model_provider";

/// The key of the table of providers.
const PROVIDERS: &str = "model_providers";

/// The provider of codex itself.
const DEFAULT_PROVIDER: &str = "openai";

/// An address that nobody listens at: no program may use this port.
const NOWHERE: &str = "http://127.0.0.1:1";

/// Settings of the top level that the flags do not say while codex is asked.
const UNSAID: [&str; 17] = [
    "analytics",
    "chatgpt_base_url",
    "cli_auth_credentials_store",
    "debug",
    "experimental_realtime_webrtc_call_base_url",
    "experimental_realtime_ws_base_url",
    "experimental_thread_store",
    "experimental_thread_store_endpoint",
    "feedback",
    "js_repl_node_path",
    "log_dir",
    "marketplaces",
    "mcp_oauth_credentials_store",
    "notify",
    "openai_base_url",
    "otel",
    "sqlite_home",
];

/// Variables by which codex finds a proxy.
const PROXIES: [&str; 8] = [
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "WSS_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "wss_proxy",
];

/// Variables that are to be empty: with exceptions from the proxy, or with a login.
const EMPTY: [&str; 5] =
    ["NO_PROXY", "no_proxy", "CODEX_API_KEY", "CODEX_ACCESS_TOKEN", "OPENAI_API_KEY"];

/// The same binary, in an environment with no way out and no login.
pub(super) fn binary(binary: &Binary) -> Binary {
    let mut quiet = binary.clone();
    let variables = PROXIES.map(|name| (name, NOWHERE)).into_iter();
    let variables = variables.chain(EMPTY.map(|name| (name, "")));
    // Behind those of the turn, which they beat.
    quiet.env.extend(variables.map(|(name, value)| (name.into(), value.into())));
    quiet
}

/// What codex is told in place of these settings while it is asked.
///
/// # Errors
///
/// The text names a table that has a value in its place.
pub(super) fn settings(settings: &Settings) -> Result<Settings, String> {
    let mut quiet = settings.clone();
    for key in UNSAID {
        quiet.take(key);
    }
    let provider = [("name", PROVIDER), ("base_url", NOWHERE), ("wire_api", "responses")];
    let provider = provider.map(|(key, value)| (key.to_owned(), Value::from(value)));
    let values = [
        (PLUGINS, false.into()),
        (MODEL_PROVIDER, PROVIDER.into()),
        ("cli_auth_credentials_store", "ephemeral".into()),
        ("otel.exporter", "none".into()),
        ("otel.trace_exporter", "none".into()),
        ("otel.metrics_exporter", "none".into()),
        ("analytics.enabled", false.into()),
        ("feedback.enabled", false.into()),
    ];
    for (key, value) in values {
        quiet.set(key, value)?;
    }
    let of_ours = format!("{PROVIDERS}.{PROVIDER}");
    quiet.set(&of_ours, Table::from_iter(provider).into())?;
    Ok(quiet)
}

/// Puts back what was told otherwise: into the layer of the flags what they say, and
/// into the configuration what the layers say together.
pub(super) fn restore(config: &mut Table, layers: &mut Layers, settings: &Settings) {
    for key in UNSAID.into_iter().chain([PLUGINS, MODEL_PROVIDER]) {
        layers.say_by_flag(key, settings.get(key));
    }
    let of_ours = format!("{PROVIDERS}.{PROVIDER}");
    layers.say_by_flag(&of_ours, None);
    if settings.get(PROVIDERS).is_none() {
        layers.say_by_flag(PROVIDERS, None);
    }
    if let Some(Value::Table(providers)) = config.get_mut(PROVIDERS) {
        providers.remove(PROVIDER);
    }
    let said = layers.merged();
    let provider = said.get(MODEL_PROVIDER).cloned();
    let provider = provider.unwrap_or_else(|| DEFAULT_PROVIDER.into());
    config.insert(MODEL_PROVIDER.to_owned(), provider);
    for key in UNSAID.into_iter().filter(|key| settings.get(key).is_some()) {
        config.extend(said.get(key).map(|value| (key.to_owned(), value.clone())));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_told_otherwise_is_put_back() {
        let said = "model = 'm'\nmodel_provider = 'x'\nchatgpt_base_url = 'http://x'\n\
            notify = ['x']\n[otel]\nexporter = 'otlp-http'\n[model_providers.x]\nname = 'x'\n\
            [model_providers.x.auth]\ncommand = 'x'\n";
        let own = Settings::new(said.parse().unwrap());
        let told = settings(&own).unwrap();
        let told = told.table();
        assert_eq!(told["model_provider"].as_str(), Some(PROVIDER));
        assert_eq!(told["otel"]["exporter"].as_str(), Some("none"));
        assert_eq!(told["model"].as_str(), Some("m"));
        assert!(!told.contains_key("chatgpt_base_url") && !told.contains_key("notify"));
        // As codex answers: with what was told, over what a file says.
        let user = json!({"type": "user", "file": "/home/dev/.codex/config.toml"});
        let of_user = json!({"model_provider": "y", "chatgpt_base_url": "http://y"});
        let layers = json!({"layers": [
            {"name": {"type": "sessionFlags"}, "config": told},
            {"name": user, "config": of_user},
        ]});
        let mut layers = Layers::read(&layers);
        let mut config = layers.merged();
        restore(&mut config, &mut layers, &own);
        assert_eq!(layers.origins()["model_provider"], None);
        assert_eq!(layers.merged()["model_providers"], own.table()["model_providers"]);
        for (key, value) in own.table() {
            assert_eq!(config.get(key), Some(value), "{key}");
        }
    }

    #[test]
    fn what_nobody_says_is_what_the_files_say_or_codex_itself() {
        let none = Settings::default();
        let told =
            json!({"name": {"type": "sessionFlags"}, "config": settings(&none).unwrap().table()});
        let mut layers = Layers::read(&json!({"layers": [told]}));
        let mut config = layers.merged();
        restore(&mut config, &mut layers, &none);
        assert_eq!(config[MODEL_PROVIDER].as_str(), Some(DEFAULT_PROVIDER));
        assert!(!layers.origins().contains_key(MODEL_PROVIDER));
        assert_eq!(config[PROVIDERS], Table::new().into());
        let user = json!({"type": "user", "file": "/home/dev/.codex/config.toml"});
        let user = json!({"name": user, "config": {"model_provider": "y"}});
        let mut layers = Layers::read(&json!({"layers": [told, user]}));
        restore(&mut config, &mut layers, &none);
        assert_eq!(config[MODEL_PROVIDER].as_str(), Some("y"));
    }

    #[test]
    fn there_is_no_way_out_whatever_the_turn_has_in_its_environment() {
        let env = vec![("HTTPS_PROXY".into(), "http://proxy".into())];
        let quiet = binary(&Binary { program: "/usr/bin/codex".into(), env });
        let last = quiet.env.iter().rfind(|(name, _)| name == "HTTPS_PROXY").unwrap();
        assert_eq!(last.1, NOWHERE);
    }
}
