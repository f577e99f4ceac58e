//! Calls by POST.
//!
//! What is refused before it is read has the status of the table: 401 and 403
//! (by [`crate::wire::auth`]), 413, 415, 429. All else is answered by 200, with the
//! error in the body, and by nothing where there were notifications only.

use std::{convert::Infallible, sync::Arc};

use axum::{body::Body, extract::Request, response::Response};
use bytes::Bytes;
use futures_util::stream;
use http::{
    HeaderMap, HeaderValue,
    header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE},
};
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;

use super::{Endpoint, envelope, json, refusal};
use crate::{
    Error,
    wire::body::{self, Read},
};

/// How much of an answer is given at once.
const PIECE: usize = 64 << 10;

/// Answers a POST.
pub(super) async fn answer(endpoint: &Endpoint, request: Request) -> Response {
    match carried_out(endpoint, request).await {
        Ok(Some((text, place))) => sent(text, place),
        // Nothing is to be said.
        Ok(None) => Response::new(Body::empty()),
        Err(error) => refusal(&error),
    }
}

/// The answer, and the place of the request until it was sent.
type Answered = Option<(String, OwnedSemaphorePermit)>;

async fn carried_out(endpoint: &Endpoint, request: Request) -> Result<Answered, Error> {
    let (parts, body) = request.into_parts();
    check_media(&parts.headers)?;
    // Before its body: whoever sends that slowly is there as well.
    let place = endpoint.place()?;
    let engine = Arc::clone(&endpoint.engine);
    let gone = CancellationToken::new();
    let _waits = gone.clone().drop_guard();
    // In a task of its own: what has no answer is carried out, whoever still waits.
    let work = async move {
        let limit = engine.limits.max_message_bytes as usize;
        let (Read { bytes, size }, broken) = body::read_as_far(&parts.headers, body, limit).await;
        // Nothing but an end without a word is missing where all of a message came.
        if let Some(error) = broken
            && !envelope::is_whole(&bytes)
        {
            return Err(error);
        }
        if size > limit {
            let (size, limit) = (size as u64, limit as u64);
            return Err(Error::PayloadTooLarge { what: "the body", size, limit, unit: "bytes" });
        }
        let message = engine.read(&bytes);
        drop(bytes);
        let answer = engine.answer(message, None, &gone).await;
        Ok(answer.map(|answer| (answer.text, place)))
    };
    endpoint.engine.app.tasks().spawn(work).await.map_err(Error::internal)?
}

/// The answer in pieces that are given as the client takes them, so that the place of
/// its request is free when it has all but the last.
fn sent(text: String, place: OwnedSemaphorePermit) -> Response {
    let size = text.len();
    let pieces = stream::unfold((Bytes::from(text), place), |(mut left, place)| async move {
        let piece = left.split_to(left.len().min(PIECE));
        (!piece.is_empty()).then(|| (Ok::<_, Infallible>(piece), (left, place)))
    });
    let mut response = json(Body::from_stream(pieces));
    response.headers_mut().insert(CONTENT_LENGTH, size.into());
    response
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
    let is_utf_8 = |parameter: &str| match parameter.split_once('=') {
        Some((name, value)) if name.trim().eq_ignore_ascii_case("charset") => {
            value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
        }
        Some(_) | None => true,
    };
    if !given.split(';').skip(1).all(is_utf_8) {
        let problem = format!("the content-type is {given:?}; JSON is sent in UTF-8");
        return Err(Error::UnsupportedMediaType { problem });
    }
    let encoding: String = text(headers.get(CONTENT_ENCODING));
    if headers.contains_key(CONTENT_ENCODING) && !encoding.eq_ignore_ascii_case("identity") {
        let problem = format!("the content-encoding is {encoding:?}; send the body as it is");
        return Err(Error::UnsupportedMediaType { problem });
    }
    Ok(())
}
