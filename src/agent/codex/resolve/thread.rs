//! The thread that an app-server is asked to start, to say what it has: a model, a
//! sandbox, files of instructions.

use serde_json::{Map, Value as Json, json};

use super::{Question, server::Server};

/// Starts the thread, and gives what it has.
///
/// `codex exec` runs with the approval policy `never`, unless the machine's
/// administrator requires another. Where those requirements allow no such turn in
/// the sandbox that is asked for, codex says so; with another policy it says which
/// sandbox it would take.
pub(super) fn start(
    server: &mut Server,
    question: &Question<'_>,
    config: &Json,
) -> Result<Json, String> {
    let mut params = params(question, config);
    params["approvalPolicy"] = NEVER.into();
    server.ask("thread/start", &params).or_else(|problem| {
        params["approvalPolicy"] = "on-request".into();
        let Ok(mut thread) = server.ask("thread/start", &params) else { return Err(problem) };
        thread["approvalPolicy"] = NEVER.into();
        thread[REFUSED] = problem.into();
        Ok(thread)
    })
}

/// The member of such a thread that says why a turn would be refused.
pub(super) const REFUSED: &str = "switchboardRefused";

/// The approval policy of `codex exec`.
pub(super) const NEVER: &str = "never";

/// What starts a thread that starts nothing itself.
///
/// Its settings take the place of what the flags say, table by table: so the
/// servers are told whole, and features by dotted keys. It names no directory,
/// which is the one that the app-server is in: codex writes into its configuration
/// that one which is named is trusted.
fn params(question: &Question<'_>, config: &Json) -> Json {
    let mut settings = Map::new();
    for feature in ["apps", "hooks", "plugins", "shell_snapshot"] {
        settings.insert(format!("features.{feature}"), false.into());
    }
    let mut servers = without_nulls(&config["mcp_servers"]);
    for server in servers.as_object_mut().into_iter().flat_map(Map::values_mut) {
        server["enabled"] = false.into();
    }
    settings.insert("mcp_servers".to_owned(), servers);
    let mut params = json!({"ephemeral": true, "config": settings});
    for (key, value) in [("sandbox", question.sandbox), ("model", question.model)] {
        if let Some(value) = value {
            params[key] = value.into();
        }
    }
    params
}

/// The same without members that are null, as codex takes none of those.
fn without_nulls(json: &Json) -> Json {
    match json {
        Json::Object(members) => {
            let members = members.iter().filter(|(_, value)| !value.is_null());
            members.map(|(key, value)| (key.clone(), without_nulls(value))).collect()
        }
        Json::Array(values) => values.iter().map(without_nulls).collect(),
        Json::Null => Json::Object(Map::new()),
        Json::Bool(_) | Json::Number(_) | Json::String(_) => json.clone(),
    }
}
