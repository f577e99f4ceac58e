//! Bodies of requests, read as the contract's server reads them: what it refuses
//! is refused here, before anything else is looked at.

use axum::body::Body;
use http::{
    HeaderMap, StatusCode,
    header::{CONTENT_LENGTH, CONTENT_TYPE},
};
use http_body::Body as _;
use http_body_util::{BodyExt as _, Limited};

use super::error::Failure;
use crate::{
    json::{self, Json},
    settings,
};

/// The most bytes of a body.
const LIMIT: usize = 1 << 20;
/// How much of a body that is refused is read and dropped: a client that is still
/// sending when it is answered and hung up on may not see the answer.
const DRAINED: usize = 16 * LIMIT;
/// How deep a body may be nested: a value as deep as it may be, in the settings of
/// the controls of a body. Whoever reads a value that stands higher judges it.
const DEPTH: usize = settings::MAX_DEPTH + 3;

/// The JSON of a body; none where there is none.
///
/// # Errors
///
/// What the contract has for a body that cannot be read.
pub(super) async fn read(headers: &HeaderMap, body: Body) -> Result<Option<Json>, Failure> {
    let Some(content_type) = headers.get(CONTENT_TYPE) else {
        return if is_absent(&body) { Ok(None) } else { Err(unsupported("undefined", body).await) };
    };
    let content_type = String::from_utf8_lossy(content_type.as_bytes());
    let media = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match media.as_str() {
        "application/json" => Ok(Some(parse(&bytes(headers, body).await?)?)),
        "text/plain" => {
            let bytes = bytes(headers, body).await?;
            Ok(Some(String::from_utf8_lossy(&bytes).into_owned().into()))
        }
        "" => Err(unsupported("undefined", body).await),
        _ => Err(unsupported(&content_type, body).await),
    }
}

/// Reads and drops a body that nobody asked for, so that the connection can be
/// used again.
pub(super) async fn drain(body: Body) {
    if !is_absent(&body) {
        // Only that it is read matters.
        let _ = Limited::new(body, DRAINED).collect().await;
    }
}

fn is_absent(body: &Body) -> bool {
    body.is_end_stream() || body.size_hint().exact() == Some(0)
}

async fn unsupported(content_type: &str, body: Body) -> Failure {
    drain(body).await;
    let message = format!("Unsupported Media Type: {content_type}");
    Failure::request(StatusCode::UNSUPPORTED_MEDIA_TYPE, message)
}

async fn bytes(headers: &HeaderMap, mut body: Body) -> Result<Vec<u8>, Failure> {
    let length = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    let length: Option<usize> = length.and_then(|length| length.parse().ok());
    let too_large = || Failure::request(StatusCode::PAYLOAD_TOO_LARGE, "Request body is too large");
    if length.is_some_and(|length| length > DRAINED) {
        return Err(too_large());
    }
    let (mut bytes, mut size) = (Vec::new(), 0);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            let message = format!("the body could not be read: {error}");
            Failure::request(StatusCode::BAD_REQUEST, message)
        })?;
        let Ok(data) = frame.into_data() else { continue };
        size += data.len();
        if size > DRAINED {
            return Err(too_large());
        }
        if size > LIMIT {
            bytes = Vec::new();
        } else {
            bytes.extend_from_slice(&data);
        }
    }
    if size > LIMIT { Err(too_large()) } else { Ok(bytes) }
}

fn parse(bytes: &[u8]) -> Result<Json, Failure> {
    let refused = |message: String| Failure::request(StatusCode::BAD_REQUEST, message);
    let malformed =
        || refused("Body is not valid JSON but content-type is set to 'application/json'".into());
    if bytes.is_empty() {
        let empty = "Body cannot be empty when content-type is set to 'application/json'";
        return Err(refused(empty.to_owned()));
    }
    let text = std::str::from_utf8(bytes).map_err(|_| malformed())?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    match Json::parse_within(text, DEPTH) {
        Ok(json) if is_poisoned(&json) => Err(malformed()),
        Ok(json) => Ok(json),
        Err(json::Error::Syntax { .. }) => Err(malformed()),
        // What some parser would take is told for what it is.
        Err(
            error @ (json::Error::TooDeep { .. }
            | json::Error::TooMany { .. }
            | json::Error::DuplicateKey { .. }
            | json::Error::UnreadableNumber { .. }
            | json::Error::LoneSurrogate { .. }),
        ) => Err(refused(error.to_string())),
    }
}

/// Whether a value has a member that would change the prototype of an object in
/// ECMAScript, which the contract refuses at any depth.
fn is_poisoned(json: &Json) -> bool {
    match json {
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => false,
        Json::Array(elements) => elements.iter().any(is_poisoned),
        Json::Object(members) => members.iter().any(|(key, value)| {
            key == "__proto__"
                || (key == "constructor" && value.get("prototype").is_some())
                || is_poisoned(value)
        }),
    }
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse as _;

    use super::*;

    async fn read_as(content_type: Option<&str>, body: &str) -> Result<Option<Json>, u16> {
        let mut headers = HeaderMap::new();
        if let Some(content_type) = content_type {
            headers.insert(CONTENT_TYPE, content_type.parse().unwrap());
        }
        let read = read(&headers, Body::from(body.to_owned())).await;
        read.map_err(|failure| failure.into_response().status().as_u16())
    }

    #[tokio::test]
    async fn bodies_are_read_by_their_content_type() {
        let json = Some("application/json");
        let one = || Ok(Some(Json::from(1_u32)));
        assert_eq!(read_as(json, "1").await, one());
        assert_eq!(read_as(Some("Application/JSON; charset=utf-8"), "\u{feff}1").await, one());
        assert_eq!(read_as(Some("text/plain"), "1").await, Ok(Some("1".into())));
        assert_eq!(read_as(None, "").await, Ok(None));
        for (content_type, body, status) in [
            (None, "1", 415),
            (Some("application/xml"), "1", 415),
            (Some("application/jsonx"), "1", 415),
            (json, "", 400),
            (json, "{", 400),
            (json, r#"{"a":1,"a":1}"#, 400),
            (json, r#"{"a":[{"__proto__":1}]}"#, 400),
            (json, r#"{"\u005f_proto__":1}"#, 400),
            (json, r#"{"constructor":{"prototype":null}}"#, 400),
        ] {
            assert_eq!(read_as(content_type, body).await, Err(status), "{body}");
        }
        assert!(read_as(json, r#"{"constructor":1,"prototype":{}}"#).await.is_ok());
    }

    #[tokio::test]
    async fn a_body_may_have_a_mebibyte_and_no_more() {
        let text = "x".repeat(LIMIT);
        assert!(read_as(Some("text/plain"), &text).await.is_ok());
        assert_eq!(read_as(Some("text/plain"), &format!("{text}x")).await, Err(413));
    }
}
