//! What a turn's agent wrote, byte for byte.

use axum::{body::Body, response::Response};
use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use http::{
    HeaderValue,
    header::{CACHE_CONTROL, CONTENT_TYPE},
};

use super::{CALLER, routes::Call};
use crate::{
    Error, Result,
    app::App,
    json::Json,
    session::registry::report,
    wire::{
        operations,
        schema::{self, schema},
        transcode,
    },
};

/// `ReadOutput`.
pub(super) const CALL: Call = Call::Bytes(|app, rpc, message| Box::pin(read(app, rpc, message)));

async fn read(app: App, rpc: &'static schema::Method, message: Json) -> Result<Response> {
    let request = transcode::read(schema().message(&rpc.input), message)?;
    let mut chunks = Box::pin(operations::read_output(&app, &CALLER, request).await?);
    // The first says what the others are pieces of; there always is one.
    let first = chunks.try_next().await?.ok_or_else(|| Error::internal("an output of nothing"))?;
    let headers = [
        ("switchboard-turn", u64::from(first.turn)),
        ("switchboard-offset", first.offset),
        ("switchboard-total-size", first.total_size),
    ];
    let rest = chunks.map(|chunk| {
        chunk.map(|chunk| chunk.data).inspect_err(|error| {
            tracing::error!(error = %report(error), "an output could not be read to its end");
        })
    });
    let first = stream::once(async { Ok::<Bytes, Error>(first.data) });
    let mut response = Response::new(Body::from_stream(first.chain(rest)));
    for (name, value) in headers {
        response.headers_mut().insert(name, value.into());
    }
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}
