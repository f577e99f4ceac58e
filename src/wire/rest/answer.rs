//! Answers that are JSON, errors among them.

use axum::{
    body::Body,
    response::{IntoResponse as _, Response},
};
use http::{
    HeaderValue,
    header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, ETAG, RETRY_AFTER},
};

use crate::{
    Error,
    json::Json,
    session::registry::report,
    wire::{
        error::{self, Detail},
        transcode,
    },
};

/// An answer, with the etag of what it shows.
pub(super) fn json(text: String, etag: Option<&str>) -> Response {
    let mut response = Response::new(Body::from(text));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    // What a session does changes more than its etag, so that it is of no use to
    // a cache.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(etag) = etag.and_then(|etag| HeaderValue::from_str(&format!("\"{etag}\"")).ok()) {
        headers.insert(ETAG, etag);
    }
    response
}

/// The etag in an answer: its own, or that of what it is about.
pub(super) fn etag(text: &str) -> Option<String> {
    let find = |text, wanted: &str| {
        transcode::members(text).find_map(|(name, value)| (name == wanted).then_some(value))
    };
    let about = || {
        // An answer has several of them where the first is what was written or
        // asked for.
        let mut about = ["applied", "session", "defaults"].into_iter();
        about.find_map(|name| find(text, name)).and_then(|about| find(about, "etag"))
    };
    let etag = find(text, "etag").or_else(about)?;
    serde_json::from_str(etag).ok()
}

/// The answer to a request that is refused, or that failed.
pub(crate) fn refusal(error: &Error) -> Response {
    if matches!(error, Error::Internal(_)) {
        tracing::error!(error = %report(error), "internal error");
    }
    let row = error::row(error);
    let mut response = (row.http, json(body(error).to_string(), None)).into_response();
    let headers = response.headers_mut();
    if let Detail::Retry(after) = row.detail {
        let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
        headers.insert(RETRY_AFTER, seconds.into());
    }
    if let Error::MethodNotAllowed { allowed, .. } = error
        && let Ok(allowed) = HeaderValue::from_str(allowed)
    {
        headers.insert(ALLOW, allowed);
    }
    response
}

/// What is said of an error.
pub(super) fn body(error: &Error) -> Json {
    let row = error::row(error);
    let metadata = error::metadata(error).into_iter();
    let metadata = metadata.map(|(key, value)| (key, Json::String(value)));
    Json::object([(
        "error",
        Json::object([
            ("code", u32::from(row.http.as_u16()).into()),
            ("message", error.to_string().into()),
            ("reason", row.reason.into()),
            ("metadata", Json::object(metadata)),
        ]),
    )])
}
