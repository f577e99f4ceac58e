//! Calls by POST.
//!
//! What is refused before it is read has the status of the table: 401 and 403
//! (by [`crate::wire::auth`]), 413, 415, 429. All else is answered by 200, with the
//! error in the body, and by nothing where there were notifications only.

use std::time::Duration;

use axum::{body::Body, extract::Request, response::Response};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE},
};
use http_body_util::BodyExt as _;
use jsonrpsee::{
    server::stop_channel,
    types::{
        ErrorObject, ErrorObjectOwned, Id, Response as Answer, ResponsePayload, error as codes,
    },
};
use serde::Deserialize;
use serde_json::value::RawValue;
use tower::Service as _;

use super::{Endpoint, answer as answer_to_nobody, error, guard::too_many, json, refusal};
use crate::{
    Error,
    wire::body::{self, Read},
};

/// The longest answer in which jsonrpsee's own words are looked for: all of those
/// are shorter.
const SHORT: usize = 1 << 10;

/// Answers a POST.
pub(super) async fn answer(endpoint: &Endpoint, request: Request) -> Response {
    let limits = &endpoint.options.limits;
    let (mut parts, body) = request.into_parts();
    if let Err(error) = check_media(&parts.headers) {
        return refusal(&error);
    }
    let limit = limits.max_message_bytes as usize;
    let bytes = match body::read(&parts.headers, body, limit).await {
        Ok(Read { bytes, size }) if size <= limit => bytes,
        Ok(Read { size, .. }) => {
            let (size, limit) = (size as u64, limit as u64);
            return refusal(&Error::PayloadTooLarge {
                what: "the body",
                size,
                limit,
                unit: "bytes",
            });
        }
        Err(error) => return refusal(&error),
    };
    // It gives up after some blanks, and wants one of a few spellings.
    let bytes = bytes.slice(bytes.len() - bytes.trim_ascii_start().len()..);
    parts.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    parts.headers.remove(CONTENT_LENGTH);
    let (stop, _server) = stop_channel();
    let mut service = endpoint.builder.clone().build(endpoint.methods.clone(), stop);
    let request = Request::from_parts(parts, Body::from(bytes.clone()));
    let Ok(response) = service.call(request).await else {
        return refusal(&Error::internal("jsonrpsee failed"));
    };
    match response.status() {
        StatusCode::OK => {}
        StatusCode::BAD_REQUEST => {
            return answer_to_nobody(error::own(codes::PARSE_ERROR_CODE, limits));
        }
        StatusCode::TOO_MANY_REQUESTS => {
            let problem = format!(
                "{} WebSockets and requests are open, as many as there may be (json_rpc.max_connections)",
                limits.max_connections
            );
            let retry_after = Duration::from_secs(1);
            return refusal(&Error::Overloaded { problem, retry_after });
        }
        status => return refusal(&Error::internal(format!("jsonrpsee answered {status}"))),
    }
    let text = match response.into_body().collect().await {
        Ok(text) => text.to_bytes(),
        Err(error) => return refusal(&Error::internal(error.to_string())),
    };
    if text.as_ref() == b"null" {
        // Nothing is to be said.
        return Response::new(Body::empty());
    }
    match in_our_words(endpoint, &bytes, &text) {
        Some(text) => json(text),
        None => json(text),
    }
}

/// Whether a body is JSON as it is.
fn check_media(headers: &HeaderMap) -> Result<(), Error> {
    let text = |value: Option<&HeaderValue>| {
        value.map_or_else(|| "none".to_owned(), |v| String::from_utf8_lossy(v.as_bytes()).into())
    };
    let given: String = text(headers.get(CONTENT_TYPE));
    let media = given.split(';').next().unwrap_or_default().trim();
    let is_json = ["application/json", "application/json-rpc"]
        .iter()
        .any(|known| media.eq_ignore_ascii_case(known));
    if !is_json {
        let problem = format!(
            "the content-type is {given:?}; a body must be JSON and say so: content-type: application/json"
        );
        return Err(Error::UnsupportedMediaType { problem });
    }
    let encoding: String = text(headers.get(CONTENT_ENCODING));
    if headers.contains_key(CONTENT_ENCODING) && !encoding.eq_ignore_ascii_case("identity") {
        let problem = format!("the content-encoding is {encoding:?}; send the body as it is");
        return Err(Error::UnsupportedMediaType { problem });
    }
    Ok(())
}

/// An error that jsonrpsee made before the guard saw anything of it.
fn in_our_words(endpoint: &Endpoint, request: &Bytes, text: &Bytes) -> Option<String> {
    #[derive(Deserialize)]
    struct Failed<'a> {
        #[serde(borrow)]
        id: Id<'a>,
        #[serde(borrow)]
        error: ErrorObject<'a>,
    }
    if text.len() > SHORT {
        return None;
    }
    let Failed { id, error: found } = serde_json::from_slice(text).ok()?;
    if found.data().is_some_and(|data| data.get().starts_with('{')) {
        return None;
    }
    let limits = &endpoint.options.limits;
    let error: ErrorObjectOwned = match found.code() {
        codes::TOO_BIG_BATCH_REQUEST_CODE => {
            let calls = serde_json::from_slice::<Vec<&RawValue>>(request);
            error::object(&too_many(calls.map_or(0, |calls| calls.len()), limits))
        }
        code => error::own(code, limits),
    };
    serde_json::to_string(&Answer::new(ResponsePayload::<()>::error(error), id)).ok()
}
