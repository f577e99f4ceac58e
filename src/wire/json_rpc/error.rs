//! Errors as JSON-RPC has them: a code, a message for people, and `data` for
//! programs.
//!
//! `data` has the `reason` and the `metadata` of the one table, and beside them
//! what a client needs to act, whole and with its own types. The errors that
//! jsonrpsee itself makes have none of that; [`own`] gives them theirs.

use std::time::Duration;

use jsonrpsee::types::{ErrorObjectOwned, error as codes};
use serde_json::value::RawValue;

use crate::{
    Error,
    config::JsonRpcConfig,
    json::Json,
    proto,
    session::registry::report,
    wire::{
        error::{self, Detail},
        schema::schema,
        transcode,
    },
};

/// An error, with the code of the table.
pub(super) fn object(error: &Error) -> ErrorObjectOwned {
    object_with(error::row(error).json_rpc, error)
}

/// An error with another code: one of those that JSON-RPC itself defines.
pub(super) fn object_with(code: i32, error: &Error) -> ErrorObjectOwned {
    if matches!(error, Error::Internal(_)) {
        tracing::error!(error = %report(error), "internal error");
    }
    let data = RawValue::from_string(data(error).to_string()).ok();
    ErrorObjectOwned::owned(code, error.to_string(), data)
}

/// What jsonrpsee made an error of, in our words.
///
/// | code | when | reason |
/// |---|---|---|
/// | -32700, -32600 | no JSON, no request | INVALID_ARGUMENT, with that code |
/// | -32006 | too many subscriptions | OVERLOADED |
/// | another | never: [`super::guard`] and [`super::post`] say it first | INTERNAL |
pub(super) fn own(code: i32, limits: &JsonRpcConfig) -> ErrorObjectOwned {
    match code {
        codes::PARSE_ERROR_CODE => {
            let problem = "it is no JSON: expected an object, or an array of them";
            object_with(code, &Error::invalid("request", problem))
        }
        codes::INVALID_REQUEST_CODE => object_with(code, &no_request()),
        codes::TOO_MANY_SUBSCRIPTIONS_CODE => object(&Error::Overloaded {
            problem: format!(
                "this connection has {} subscriptions, as many as it may (json_rpc.max_subscriptions): end one, or open another connection",
                limits.max_subscriptions
            ),
            retry_after: Duration::from_secs(1),
        }),
        code => object(&Error::internal(format!("jsonrpsee answered {code}"))),
    }
}

/// What is no request.
fn no_request() -> Error {
    Error::invalid(
        "request",
        "it is no request of JSON-RPC 2.0: expected {\"jsonrpc\": \"2.0\", \"id\": 1, \"method\": \"server/info\", \"params\": {}}, where id is a text, null or a whole number from 0 to 2^64-1",
    )
}

/// What programs go by.
fn data(error: &Error) -> Json {
    let row = error::row(error);
    let needed = needed(error);
    // What there is as a value is not there once more as a text.
    let is_told =
        |key: &str| needed.as_ref().is_some_and(|(name, _)| *name == key && key == "drift");
    let metadata = error::metadata(error).into_iter().filter(|(key, _)| !is_told(key));
    let metadata = metadata.map(|(key, value)| (key, Json::String(value)));
    let mut data = vec![("reason", row.reason.into()), ("metadata", Json::object(metadata))];
    if let Detail::Retry(after) = row.detail {
        data.push(("retryAfter", format!("{}s", after.as_secs_f64()).into()));
    }
    data.extend(needed);
    Json::object(data)
}

/// What a client needs to act on an error, as its own types.
fn needed(error: &Error) -> Option<(&'static str, Json)> {
    match error {
        Error::DefaultsLocked { current } => {
            let state = proto::ScopedControls {
                controls: Some((&current.controls).into()),
                settings_json: current.settings.to_string(),
                etag: current.etag(),
            };
            let text = transcode::write(schema().message("ScopedControls"), &state).ok()?;
            Some(("current", Json::parse_within(&text, transcode::MAX_DEPTH).ok()?))
        }
        Error::AmbiguousId { matches, .. } => {
            let ids = matches.iter().map(|id| Json::String(id.to_string()));
            Some(("matches", Json::Array(ids.collect())))
        }
        Error::CursorExpired { oldest, .. } => Some(("oldestSeq", oldest.to_string().into())),
        Error::EventsDamaged { next, .. } => Some(("nextSeq", (*next)?.to_string().into())),
        Error::ShuttingDown { last_seq } => Some(("lastSeq", (*last_seq)?.to_string().into())),
        Error::SessionRunning { state, .. } | Error::NoActiveTurn { state, .. } => {
            Some(("state", state.as_str_name().into()))
        }
        Error::EtagMismatch { etag, .. } => Some(("etag", etag.as_str().into())),
        Error::TurnNotFound { turn_count, .. } => Some(("turnCount", (*turn_count).into())),
        Error::PayloadTooLarge { limit, .. } => Some(("limit", limit.to_string().into())),
        Error::InvalidArgument { field, .. } => Some(("field", field.as_ref().into())),
        Error::ConfigLockDrift { drift } => Some(("drift", error::drift(drift))),
        Error::WorkingDirectoryInvalid { .. }
        | Error::ConfigLockInvalid { .. }
        | Error::CodexVersionMismatch { .. }
        | Error::AgentNotFound { .. }
        | Error::Unauthenticated { .. }
        | Error::PermissionDenied { .. }
        | Error::SystemSession { .. }
        | Error::SessionNotFound { .. }
        | Error::SessionDeleted { .. }
        | Error::SessionExists { .. }
        | Error::IdempotencyConflict { .. }
        | Error::SessionReadOnly { .. }
        | Error::UnsupportedMediaType { .. }
        | Error::RouteNotFound { .. }
        | Error::MethodNotAllowed { .. }
        | Error::Misdirected { .. }
        | Error::Overloaded { .. }
        | Error::Internal(_)
        | Error::Unimplemented { .. }
        | Error::AgentUnavailable { .. }
        | Error::StorageFull { .. }
        | Error::StorageLow { .. }
        | Error::DeadlineExceeded => None,
    }
}
