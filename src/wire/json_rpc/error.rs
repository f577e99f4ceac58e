//! Errors as JSON-RPC has them: a code, a message for people, and `data` for
//! programs.
//!
//! `data` has the `reason` and the `metadata` of the one table, and beside them
//! what a client needs to act, whole and with its own types.

use std::fmt;

use crate::{
    Error,
    json::Json,
    proto,
    session::registry::report,
    wire::{
        error::{self, Detail},
        schema::schema,
        transcode,
    },
};

/// The code of what is no JSON.
pub(super) const NO_JSON: i32 = -32700;
/// The code of what is no request.
pub(super) const NO_REQUEST: i32 = -32600;

/// An error as it is told.
#[derive(Debug)]
pub(super) struct Failure {
    /// Its code.
    pub code: i32,
    /// What went wrong.
    pub error: Error,
}

impl From<Error> for Failure {
    /// With the code of the table.
    fn from(error: Error) -> Self {
        Self { code: error::row(&error).json_rpc, error }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        object(self.code, &self.error).fmt(f)
    }
}

/// An error with the code of the table, as JSON.
pub(super) fn told(error: &Error) -> Json {
    object(error::row(error).json_rpc, error)
}

fn object(code: i32, error: &Error) -> Json {
    if matches!(error, Error::Internal(_)) {
        tracing::error!(error = %report(error), "internal error");
    }
    Json::object([
        ("code", i64::from(code).into()),
        ("message", error.to_string().into()),
        ("data", data(error)),
    ])
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
