//! The one place where refusals become answers of the contract.
//!
//! What the contract has a body for gets that one. All else is
//! `{status: "error", code, message}`, its status and code those of the
//! [table of errors](crate::wire::error).

use axum::response::{IntoResponse, Response};
use http::{Method, StatusCode, Uri, header::RETRY_AFTER};

use super::answer::{Answer, Object};
use crate::{
    Error,
    controls::LOCK_REASON,
    json::Json,
    session::registry::report,
    wire::error::{self, Detail},
};

/// Why a request is not answered with what it asks for.
#[derive(Debug)]
pub(super) enum Failure {
    /// An operation was refused, or failed.
    Error(Error),
    /// Members or parameters are not what they may be: the issues with them.
    Issues(Vec<Json>),
    /// They do not go together.
    Invalid(String),
    /// The defaults cannot be written.
    Locked(Object),
    /// The session is in no state for it.
    State(String),
    /// HTTP itself cannot be read: a request of this status, and why.
    Request(StatusCode, String),
    /// There is nothing at this place, by this method.
    Unknown(String),
    /// The place cannot be decoded.
    BadPath(String),
}

impl Failure {
    /// There is nothing at a place, by a method.
    pub(super) fn unknown(method: &Method, uri: &Uri) -> Self {
        Self::Unknown(format!("{method}:{}", place(uri)))
    }

    /// A place cannot be decoded.
    pub(super) fn bad_path(uri: &Uri) -> Self {
        Self::BadPath(place(uri).to_owned())
    }

    /// Members do not go together, or a header is malformed.
    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::Invalid(message.into())
    }

    /// HTTP itself cannot be read.
    pub(super) fn request(status: StatusCode, message: impl Into<String>) -> Self {
        Self::Request(status, message.into())
    }
}

fn place(uri: &Uri) -> &str {
    uri.path_and_query().map_or("/", |place| place.as_str())
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let bad = StatusCode::BAD_REQUEST;
        let (status, body) = match self {
            Self::Error(error) => return refusal(&error),
            Self::Issues(issues) => {
                let body = plain("invalid_request", "request validation failed");
                (bad, body.with("issues", issues))
            }
            Self::Invalid(message) => (bad, plain("invalid_request", &message)),
            Self::State(message) => (StatusCode::CONFLICT, mapped("invalid_state", &message)),
            Self::Locked(body) => (StatusCode::LOCKED, body),
            Self::Request(status, message) => (status, plain("request_failed", &message)),
            Self::Unknown(route) => {
                let body = Object::new()
                    .with("message", format!("Route {route} not found"))
                    .with("error", "Not Found");
                (StatusCode::NOT_FOUND, body.with("statusCode", 404_u32))
            }
            Self::BadPath(path) => {
                let body = Object::new()
                    .with("error", "Bad Request")
                    .with("code", "FST_ERR_BAD_URL")
                    .with("message", format!("'{path}' is not a valid url component"));
                (bad, body.with("statusCode", 400_u32))
            }
        };
        Answer::of(status, body).into_response()
    }
}

/// The answer to a request that is refused, or that failed.
pub(crate) fn refusal(error: &Error) -> Response {
    if matches!(error, Error::Internal(_)) {
        tracing::error!(error = %report(error), "internal error");
    }
    let row = error::row(error);
    let mut response = Answer::of(row.http, body(error)).into_response();
    if let Detail::Retry(after) = row.detail {
        let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
        response.headers_mut().insert(RETRY_AFTER, seconds.into());
    }
    response
}

/// The body of an error, as events hold it too; its status is that of the table of errors.
pub(super) fn body(error: &Error) -> Object {
    let message = error.to_string();
    match error {
        Error::SessionNotFound { id } => Object::status("not_found").with("sessionId", id.as_str()),
        Error::SystemSession { id } => Object::status("error")
            .with("code", "system_session")
            .with("sessionId", id.to_string())
            .with("message", "system-owned sessions are reserved for orchestrator workers"),
        Error::SessionDeleted { id, title, delete_time } => {
            let deleted_at = humantime::format_rfc3339_millis(*delete_time).to_string();
            let body = Object::status("deleted")
                .with("sessionId", id.to_string())
                .with("message", "This chat was permanently deleted and is no longer available.")
                .with("deletedAt", deleted_at);
            if title.is_empty() { body } else { body.with("title", title.as_str()) }
        }
        // The routes that can be locked say more.
        Error::DefaultsLocked { current } => {
            locked().with_text("settings", &current.settings.to_string())
        }
        Error::NoActiveTurn { id, state: _ } => {
            Object::status("no_active_turn").with("sessionId", id.to_string())
        }
        Error::InvalidArgument { .. } => plain("invalid_request", &message),
        Error::PayloadTooLarge { .. } | Error::UnsupportedMediaType { .. } => {
            plain("request_failed", &message)
        }
        Error::WorkingDirectoryInvalid { .. } | Error::AgentNotFound { .. } => {
            mapped("invalid_params", &message)
        }
        Error::SessionRunning { .. } | Error::SessionReadOnly { .. } => {
            mapped("invalid_state", &message)
        }
        Error::Unimplemented { .. } => mapped("method_not_supported", &message),
        Error::Unauthenticated { .. } => plain("unauthorized", &message),
        Error::Internal(_) => plain("internal_error", "internal server error"),
        Error::PermissionDenied { .. }
        | Error::TurnNotFound { .. }
        | Error::RouteNotFound { .. }
        | Error::MethodNotAllowed { .. }
        | Error::Misdirected { .. }
        | Error::SessionExists { .. }
        | Error::IdempotencyConflict { .. }
        | Error::EtagMismatch { .. }
        | Error::AmbiguousId { .. }
        | Error::CursorExpired { .. }
        | Error::EventsDamaged { .. }
        | Error::Overloaded { .. }
        | Error::ConfigLockInvalid { .. }
        | Error::ConfigLockDrift { .. }
        | Error::CodexVersionMismatch { .. }
        | Error::AgentUnavailable { .. }
        | Error::ShuttingDown { .. }
        | Error::StorageFull { .. }
        | Error::StorageLow { .. }
        | Error::DeadlineExceeded => {
            plain(&error::row(error).reason.to_ascii_lowercase(), &message)
        }
    }
}

fn plain(code: &str, message: &str) -> Object {
    Object::status("error").with("code", code).with("message", message)
}

/// As [`plain`], of what agents cannot do.
fn mapped(code: &str, message: &str) -> Object {
    plain(code, message).with("details", Json::Null)
}

/// What all bodies say that tell of the lock.
pub(super) fn locked() -> Object {
    Object::status("locked").with("scope", "default").with("message", LOCK_REASON)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;
    use crate::id::SessionId;

    #[test]
    fn errors_have_the_bodies_of_the_contract() {
        let id = SessionId::random();
        let time = SystemTime::UNIX_EPOCH + Duration::from_micros(1_764_244_800_123_456);
        let deleted =
            |title: &str| Error::SessionDeleted { id, title: title.to_owned(), delete_time: time };
        let gone = format!(
            r#"{{"status":"deleted","sessionId":"{id}","message":"This chat was permanently deleted and is no longer available.","deletedAt":"2025-11-27T12:00:00.123Z""#
        );
        for (error, expected) in [
            (
                Error::SessionNotFound { id: "x\"".to_owned() },
                r#"{"status":"not_found","sessionId":"x\""}"#.to_owned(),
            ),
            (deleted(""), format!("{gone}}}")),
            (deleted("t"), format!("{gone},\"title\":\"t\"}}")),
            (
                Error::internal("a secret"),
                r#"{"status":"error","code":"internal_error","message":"internal server error"}"#
                    .to_owned(),
            ),
            (
                Error::Overloaded {
                    problem: "too many".to_owned(),
                    retry_after: Duration::from_millis(1),
                },
                r#"{"status":"error","code":"overloaded","message":"too many"}"#.to_owned(),
            ),
        ] {
            assert_eq!(body(&error).into_text(), expected);
        }
    }
}
