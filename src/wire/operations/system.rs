//! `SystemService`: the server.

use super::{Caller, event::DEFAULT_MAX_EVENT_BYTES_IN_JSON};
use crate::{
    Result,
    agent::{self, lines::MAX_LINE_BYTES},
    app::{App, MAX_PROMPT_BYTES, MAX_REQUEST_BYTES, ServerInfo},
    config::JsonRpcConfig,
    event::DEFAULT_MAX_EVENT_BYTES,
    proto,
    server::MAX_STREAMS_PER_CONNECTION,
    time::timestamp,
};

/// Says what this server is, and what it allows.
///
/// # Errors
///
/// As `GetServerInfo` of the contract lists.
pub(crate) async fn get_server_info(
    app: &App,
    _caller: &Caller,
    _request: proto::GetServerInfoRequest,
) -> Result<proto::GetServerInfoResponse> {
    let ServerInfo { start_time, home, addresses, codex, running_turns, open_watches, json_rpc } =
        app.server_info().await?;
    Ok(proto::GetServerInfoResponse {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        pid: std::process::id(),
        start_time: Some(timestamp(start_time)),
        home: home.display().to_string(),
        addresses,
        codex: Some(proto::CodexInfo {
            path: codex.path.map(|path| path.display().to_string()).unwrap_or_default(),
            version: codex.version,
            problem: codex.problem.unwrap_or_default(),
        }),
        running_turns,
        open_watches,
        limits: Some(limits(json_rpc)),
    })
}

fn limits(json_rpc: JsonRpcConfig) -> proto::Limits {
    let bound = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX);
    let characters = agent::Kind::Codex.prompt_limits().max_characters;
    proto::Limits {
        max_prompt_bytes: bound(MAX_PROMPT_BYTES),
        max_codex_prompt_characters: bound(characters.unwrap_or(MAX_PROMPT_BYTES)),
        max_request_bytes: bound(MAX_REQUEST_BYTES),
        default_max_event_bytes: bound(DEFAULT_MAX_EVENT_BYTES),
        max_line_bytes: bound(MAX_LINE_BYTES),
        max_streams_per_connection: MAX_STREAMS_PER_CONNECTION,
        json_rpc: Some(json_rpc_limits(json_rpc)),
    }
}

fn json_rpc_limits(config: JsonRpcConfig) -> proto::JsonRpcLimits {
    let JsonRpcConfig {
        max_connections,
        max_batch,
        max_message_bytes,
        max_subscriptions,
        ping_interval,
    } = config;
    proto::JsonRpcLimits {
        max_message_bytes,
        max_batch,
        max_connections,
        max_subscriptions,
        ping_interval: Some(pbjson_types::Duration::from(ping_interval)),
        default_max_event_bytes: DEFAULT_MAX_EVENT_BYTES_IN_JSON,
        max_calls: JsonRpcConfig::MAX_CALLS,
        max_unanswered: JsonRpcConfig::MAX_UNANSWERED,
        max_unanswered_bytes: JsonRpcConfig::MAX_UNANSWERED_BYTES,
        max_unsent_bytes: JsonRpcConfig::MAX_UNSENT_BYTES,
        max_unsent_notifications: JsonRpcConfig::MAX_UNSENT_NOTIFICATIONS,
        max_unsent_of_subscription: JsonRpcConfig::MAX_UNSENT_OF_SUBSCRIPTION,
        max_batch_answer_bytes: JsonRpcConfig::MAX_BATCH_ANSWER_BYTES,
        max_chunk_bytes: JsonRpcConfig::MAX_CHUNK_BYTES,
    }
}
