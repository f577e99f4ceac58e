//! The error table: one row for each variant of [`Error`], rendered by the
//! adapters. Exhaustive by construction: a new variant does not compile without
//! its row, its metadata and its detail.

use std::{borrow::Cow, collections::HashMap};

use http::StatusCode;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::{
    Error,
    controls::{Controls, approval_word, network_word, sandbox_word},
    json::Json,
    lock::{Drift, DriftedValue},
    session::registry::report,
};

/// The domain of every `google.rpc.ErrorInfo`.
pub(crate) const DOMAIN: &str = "switchboard";
/// The most bytes of one text in a gRPC status. Clients drop statuses whose
/// trailers are larger than 8 KiB, some at 4.
const MAX_STATUS_TEXT: usize = 512;
/// The most bytes of all metadata in a gRPC status.
const MAX_STATUS_METADATA: usize = 1_024;
/// The most bytes of a description in a detail, which repeats the message.
const MAX_DESCRIPTION: usize = 128;

/// How an error looks to clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    /// What programs branch on.
    pub reason: &'static str,
    /// The status of an HTTP answer.
    pub http: StatusCode,
    /// The code of a JSON-RPC error.
    pub json_rpc: i32,
    /// The status of a gRPC call.
    pub grpc: Code,
    /// The `google.rpc` message beside the reason.
    pub detail: Detail,
}

/// The `google.rpc` message that a row carries beside `ErrorInfo`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Detail {
    /// None.
    None,
    /// `BadRequest` with one violation of this field.
    BadRequest(Cow<'static, str>),
    /// `ResourceInfo` with type and name.
    Resource(&'static str, String),
    /// `PreconditionFailure` about this subject.
    Precondition(String),
    /// `RetryInfo`.
    Retry(std::time::Duration),
}

/// When a client should come back after a restart.
const RETRY_AFTER: std::time::Duration = std::time::Duration::from_secs(1);

/// The row of an error.
pub(crate) fn row(error: &Error) -> Row {
    let row = |reason, http, grpc, detail| {
        let json_rpc = json_rpc(http);
        Row { reason, http, json_rpc, grpc, detail }
    };
    let session = |id: &dyn ToString| Detail::Resource("session", id.to_string());
    match error {
        Error::InvalidArgument { field, .. } => row(
            "INVALID_ARGUMENT",
            StatusCode::BAD_REQUEST,
            Code::InvalidArgument,
            Detail::BadRequest(field.clone()),
        ),
        Error::WorkingDirectoryInvalid { .. } => row(
            "WORKING_DIRECTORY_INVALID",
            StatusCode::BAD_REQUEST,
            Code::InvalidArgument,
            Detail::BadRequest("session.working_directory".into()),
        ),
        Error::AgentNotFound { .. } => row(
            "AGENT_NOT_FOUND",
            StatusCode::BAD_REQUEST,
            Code::InvalidArgument,
            Detail::BadRequest("session.agent".into()),
        ),
        Error::Unauthenticated { .. } => {
            row("UNAUTHENTICATED", StatusCode::UNAUTHORIZED, Code::Unauthenticated, Detail::None)
        }
        Error::PermissionDenied { .. } => {
            row("PERMISSION_DENIED", StatusCode::FORBIDDEN, Code::PermissionDenied, Detail::None)
        }
        Error::SystemSession { .. } => {
            row("SYSTEM_SESSION", StatusCode::FORBIDDEN, Code::PermissionDenied, Detail::None)
        }
        Error::DefaultsLocked { .. } => row(
            "DEFAULTS_LOCKED",
            StatusCode::LOCKED,
            Code::FailedPrecondition,
            Detail::Precondition("defaults".to_owned()),
        ),
        Error::SessionNotFound { id } => {
            row("SESSION_NOT_FOUND", StatusCode::NOT_FOUND, Code::NotFound, session(id))
        }
        Error::SessionDeleted { id, .. } => {
            row("SESSION_DELETED", StatusCode::GONE, Code::NotFound, session(id))
        }
        Error::TurnNotFound { session: id, turn, .. } => row(
            "TURN_NOT_FOUND",
            StatusCode::NOT_FOUND,
            Code::NotFound,
            Detail::Resource("turn", format!("{id}:{turn}")),
        ),
        Error::SessionExists { id } => {
            row("SESSION_EXISTS", StatusCode::CONFLICT, Code::AlreadyExists, session(id))
        }
        Error::IdempotencyConflict { request_id } => row(
            "IDEMPOTENCY_CONFLICT",
            StatusCode::CONFLICT,
            Code::AlreadyExists,
            Detail::Resource("request", request_id.clone()),
        ),
        Error::EtagMismatch { .. } => {
            row("ETAG_MISMATCH", StatusCode::PRECONDITION_FAILED, Code::Aborted, Detail::None)
        }
        Error::SessionRunning { id, .. } => row(
            "SESSION_RUNNING",
            StatusCode::CONFLICT,
            Code::FailedPrecondition,
            Detail::Precondition(id.to_string()),
        ),
        Error::SessionReadOnly { id, .. } => row(
            "SESSION_READ_ONLY",
            StatusCode::CONFLICT,
            Code::FailedPrecondition,
            Detail::Precondition(id.to_string()),
        ),
        Error::NoActiveTurn { id, .. } => row(
            "NO_ACTIVE_TURN",
            StatusCode::CONFLICT,
            Code::FailedPrecondition,
            Detail::Precondition(id.to_string()),
        ),
        Error::AmbiguousId { prefix, .. } => row(
            "AMBIGUOUS_ID",
            StatusCode::CONFLICT,
            Code::FailedPrecondition,
            Detail::Precondition(prefix.clone()),
        ),
        Error::PayloadTooLarge { .. } => row(
            "PAYLOAD_TOO_LARGE",
            StatusCode::PAYLOAD_TOO_LARGE,
            Code::ResourceExhausted,
            Detail::None,
        ),
        Error::UnsupportedMediaType { .. } => row(
            "UNSUPPORTED_MEDIA_TYPE",
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Code::InvalidArgument,
            Detail::None,
        ),
        Error::RouteNotFound { .. } => {
            row("NOT_FOUND", StatusCode::NOT_FOUND, Code::NotFound, Detail::None)
        }
        Error::MethodNotAllowed { .. } => row(
            "METHOD_NOT_ALLOWED",
            StatusCode::METHOD_NOT_ALLOWED,
            Code::Unimplemented,
            Detail::None,
        ),
        Error::Misdirected { .. } => row(
            "MISDIRECTED_REQUEST",
            StatusCode::MISDIRECTED_REQUEST,
            Code::PermissionDenied,
            Detail::None,
        ),
        Error::CursorExpired { .. } => {
            row("CURSOR_EXPIRED", StatusCode::RANGE_NOT_SATISFIABLE, Code::OutOfRange, Detail::None)
        }
        Error::EventsDamaged { .. } => {
            row("EVENTS_DAMAGED", StatusCode::INTERNAL_SERVER_ERROR, Code::DataLoss, Detail::None)
        }
        Error::Overloaded { retry_after, .. } => row(
            "OVERLOADED",
            StatusCode::TOO_MANY_REQUESTS,
            Code::ResourceExhausted,
            Detail::Retry(*retry_after),
        ),
        Error::ConfigLockInvalid { .. } => row(
            "CONFIG_LOCK_INVALID",
            StatusCode::BAD_REQUEST,
            Code::InvalidArgument,
            Detail::BadRequest("config_lock".into()),
        ),
        Error::ConfigLockDrift { .. } => row(
            "CONFIG_LOCK_DRIFT",
            StatusCode::CONFLICT,
            Code::FailedPrecondition,
            Detail::Precondition("config_lock".to_owned()),
        ),
        Error::CodexVersionMismatch { .. } => row(
            "CODEX_VERSION_MISMATCH",
            StatusCode::CONFLICT,
            Code::FailedPrecondition,
            Detail::Precondition("config_lock".to_owned()),
        ),
        Error::Internal(_) => {
            row("INTERNAL", StatusCode::INTERNAL_SERVER_ERROR, Code::Internal, Detail::None)
        }
        Error::Unimplemented { .. } => {
            row("UNIMPLEMENTED", StatusCode::NOT_IMPLEMENTED, Code::Unimplemented, Detail::None)
        }
        Error::AgentUnavailable { .. } => row(
            "AGENT_UNAVAILABLE",
            StatusCode::SERVICE_UNAVAILABLE,
            Code::Unavailable,
            Detail::Retry(RETRY_AFTER),
        ),
        Error::ShuttingDown { .. } => row(
            "SHUTTING_DOWN",
            StatusCode::SERVICE_UNAVAILABLE,
            Code::Unavailable,
            Detail::Retry(RETRY_AFTER),
        ),
        Error::StorageFull { .. } | Error::StorageLow { .. } => row(
            "STORAGE_FULL",
            StatusCode::SERVICE_UNAVAILABLE,
            Code::Unavailable,
            Detail::Retry(RETRY_AFTER),
        ),
        Error::DeadlineExceeded => row(
            "DEADLINE_EXCEEDED",
            StatusCode::GATEWAY_TIMEOUT,
            Code::DeadlineExceeded,
            Detail::None,
        ),
    }
}

/// The code of JSON-RPC: the status of HTTP, except where JSON-RPC has a code of
/// its own.
fn json_rpc(http: StatusCode) -> i32 {
    match http {
        StatusCode::BAD_REQUEST => -32602,
        StatusCode::INTERNAL_SERVER_ERROR => -32603,
        StatusCode::NOT_IMPLEMENTED => -32601,
        other => other.as_u16().into(),
    }
}

/// What a program needs to act on an error.
pub(crate) fn metadata(error: &Error) -> Vec<(&'static str, String)> {
    match error {
        Error::InvalidArgument { field, problem: _ } => vec![("field", field.to_string())],
        Error::WorkingDirectoryInvalid { path, problem: _ } => {
            vec![("working_directory", path.display().to_string())]
        }
        Error::AgentNotFound { agent, problem: _ } => vec![("agent", agent.clone())],
        Error::SessionNotFound { id } => vec![("session_id", id.clone())],
        Error::SessionDeleted { id, title, delete_time } => vec![
            ("session_id", id.to_string()),
            ("delete_time", humantime::format_rfc3339_micros(*delete_time).to_string()),
            ("title", title.clone()),
        ],
        Error::IdempotencyConflict { request_id } => vec![("request_id", request_id.clone())],
        Error::EtagMismatch { what: _, id, etag, given: _ } => {
            let id = id.map(|id| ("session_id", id.to_string()));
            id.into_iter().chain([("etag", etag.clone())]).collect()
        }
        Error::SystemSession { id } => vec![("session_id", id.to_string())],
        Error::DefaultsLocked { current } => {
            let Controls { model, approval_policy, network, sandbox } = &current.controls;
            vec![
                ("model", model.clone().unwrap_or_default()),
                ("approval_policy", approval_word(*approval_policy).to_owned()),
                ("network_access", network_word(*network).to_owned()),
                ("filesystem_sandbox", sandbox_word(*sandbox).to_owned()),
                ("settings", current.settings.to_string()),
            ]
        }
        Error::TurnNotFound { session, turn, turn_count } => vec![
            ("session_id", session.to_string()),
            ("turn", turn.to_string()),
            ("turn_count", turn_count.to_string()),
        ],
        Error::SessionExists { id } => vec![("session_id", id.to_string())],
        Error::SessionReadOnly { id, problem: _ } => vec![("session_id", id.to_string())],
        Error::SessionRunning { id, state } | Error::NoActiveTurn { id, state } => {
            vec![("session_id", id.to_string()), ("state", state.as_str_name().to_owned())]
        }
        Error::AmbiguousId { prefix, matches } => vec![
            ("prefix", prefix.clone()),
            ("matches", matches.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")),
        ],
        Error::PayloadTooLarge { what: _, size, limit, unit } => vec![
            ("size", size.to_string()),
            ("limit", limit.to_string()),
            ("unit", (*unit).to_owned()),
        ],
        Error::CursorExpired { requested, oldest } => {
            vec![("requested_seq", requested.to_string()), ("oldest_seq", oldest.to_string())]
        }
        Error::EventsDamaged { seq, next } => {
            let next = next.map(|next| ("next_seq", next.to_string()));
            [("seq", seq.to_string())].into_iter().chain(next).collect()
        }
        Error::ConfigLockInvalid { rule, key, problem: _ } => {
            let key = key.clone().map(|key| ("key", key));
            [("rule", (*rule).to_owned())].into_iter().chain(key).collect()
        }
        Error::ConfigLockDrift { drift } => {
            let keys: Vec<_> = drift.values.iter().map(|value| value.key.as_str()).collect();
            vec![
                ("keys", keys.join(",")),
                ("drift", self::drift(drift).to_string()),
                ("diff", drift.diff.clone()),
            ]
        }
        Error::CodexVersionMismatch { locked, actual } => {
            vec![("locked", locked.clone()), ("actual", actual.clone())]
        }
        Error::ShuttingDown { last_seq: Some(seq) } => vec![("last_seq", seq.to_string())],
        Error::StorageFull { path } => vec![("path", path.display().to_string())],
        Error::StorageLow { path, free, floor } => vec![
            ("path", path.display().to_string()),
            ("free_bytes", free.to_string()),
            ("floor_bytes", floor.to_string()),
        ],
        Error::RouteNotFound { path } => vec![("path", path.clone())],
        Error::MethodNotAllowed { path, method: _, allowed } => {
            vec![("path", path.clone()), ("allow", allowed.clone())]
        }
        Error::Misdirected { host } => vec![("host", host.clone())],
        Error::UnsupportedMediaType { .. }
        | Error::ShuttingDown { last_seq: None }
        | Error::Unauthenticated { .. }
        | Error::PermissionDenied { .. }
        | Error::Overloaded { .. }
        | Error::Internal(_)
        | Error::Unimplemented { .. }
        | Error::AgentUnavailable { .. }
        | Error::DeadlineExceeded => Vec::new(),
    }
}

/// What differs from a lock, as JSON.
pub(crate) fn drift(drift: &Drift) -> Json {
    let values = drift.values.iter().map(|DriftedValue { key, locked, actual, origin }| {
        let toml = |value: &Option<String>| value.clone().map_or(Json::Null, Json::from);
        Json::object([
            ("key", key.as_str().into()),
            ("locked", toml(locked)),
            ("actual", toml(actual)),
            ("origin", origin.as_str().into()),
        ])
    });
    Json::Array(values.collect())
}

/// An error as a gRPC status, with its details. What is internal goes to the
/// log and not to the client.
pub(crate) fn status(error: &Error) -> Status {
    if matches!(error, Error::Internal(_)) {
        tracing::error!(error = %report(error), "internal error");
    }
    let row = row(error);
    rendered(&row, Said::of(error), metadata(error))
}

/// What a status says for people.
#[derive(Debug)]
struct Said {
    text: String,
    is_whole: bool,
}

impl Said {
    fn of(error: &Error) -> Self {
        let message = error.to_string();
        if message.len() <= MAX_STATUS_TEXT {
            return Self { text: message, is_whole: true };
        }
        if let Error::ConfigLockDrift { drift } = error {
            // The diff alone would take all the room, and it says of no value who says it.
            let room = MAX_STATUS_TEXT.saturating_sub(Drift::HEADING.len());
            let text = format!("{}{}", Drift::HEADING, drift.beginning(room));
            return Self { text, is_whole: false };
        }
        Self { text: message, is_whole: false }
    }
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        status(&error)
    }
}

/// A status that tonic itself made, with the details that every status of ours
/// has. Ours come back as they are.
pub(crate) fn completed(found: Status) -> Status {
    if !found.details().is_empty() {
        return found;
    }
    if let Some((size, limit)) = too_large(found.message()) {
        let error = Error::PayloadTooLarge { what: "the request", size, limit, unit: "bytes" };
        let mut status = status(&error);
        *status.metadata_mut() = found.metadata().clone();
        return status;
    }
    let (reason, grpc) = match found.code() {
        // What tonic calls an answer to an oversized message.
        Code::OutOfRange | Code::ResourceExhausted => {
            ("PAYLOAD_TOO_LARGE", Code::ResourceExhausted)
        }
        // Without our details this comes from reading the request.
        Code::Internal | Code::InvalidArgument => ("INVALID_ARGUMENT", Code::InvalidArgument),
        Code::Unimplemented => ("UNIMPLEMENTED", Code::Unimplemented),
        Code::DeadlineExceeded | Code::Cancelled => ("DEADLINE_EXCEEDED", Code::DeadlineExceeded),
        // Health and reflection, asked about a service that is not here.
        Code::NotFound => ("NOT_FOUND", Code::NotFound),
        code @ (Code::Ok
        | Code::Unknown
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::FailedPrecondition
        | Code::Aborted
        | Code::Unavailable
        | Code::DataLoss
        | Code::Unauthenticated) => ("INTERNAL", code),
    };
    let http = StatusCode::OK;
    let row = Row { reason, http, json_rpc: json_rpc(http), grpc, detail: Detail::None };
    let said = Said { text: found.message().to_owned(), is_whole: true };
    let mut status = rendered(&row, said, Vec::new());
    // Such as the encodings that a compressed request may have.
    *status.metadata_mut() = found.metadata().clone();
    status
}

/// How long a message is that tonic did not read, and how long it may be: both stand
/// in its words alone (tonic 0.14).
fn too_large(message: &str) -> Option<(u64, u64)> {
    let rest = message.strip_prefix("Error, decoded message length too large: found ")?;
    let (size, limit) = rest.strip_suffix(" bytes")?.split_once(" bytes, the limit is: ")?;
    Some((size.parse().ok()?, limit.parse().ok()?))
}

fn rendered(row: &Row, said: Said, metadata: Vec<(&'static str, String)>) -> Status {
    let Said { text, is_whole } = said;
    let mut cut = !is_whole || text.len() > MAX_STATUS_TEXT;
    let message = shortened(&text, MAX_STATUS_TEXT);
    let mut room = MAX_STATUS_METADATA;
    let mut kept = HashMap::new();
    for (key, value) in metadata {
        let short = shortened(&value, MAX_STATUS_TEXT.min(room)).to_owned();
        cut |= short.len() < value.len();
        room -= short.len();
        kept.insert(key.to_owned(), short);
    }
    if cut {
        kept.insert("truncated".to_owned(), "true".to_owned());
    }
    let mut details = ErrorDetails::new();
    details.set_error_info(row.reason, DOMAIN, kept);
    let description = shortened(message, MAX_DESCRIPTION);
    match &row.detail {
        Detail::None => {}
        Detail::BadRequest(field) => {
            details.add_bad_request_violation(field.as_ref(), description);
        }
        Detail::Resource(kind, name) => {
            details.set_resource_info(*kind, shortened(name, MAX_DESCRIPTION), "", description);
        }
        Detail::Precondition(subject) => {
            let subject = shortened(subject, MAX_DESCRIPTION);
            details.add_precondition_failure_violation(row.reason, subject, description);
        }
        Detail::Retry(after) => {
            details.set_retry_info(Some(*after));
        }
    }
    Status::with_error_details(row.grpc, message, details)
}

/// The head of a text, cut at a character's boundary.
fn shortened(text: &str, bytes: usize) -> &str {
    let end = (0..=bytes.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or(0)]
}

#[cfg(test)]
mod tests;
