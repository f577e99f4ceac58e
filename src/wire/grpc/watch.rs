//! The body of `WatchEvents`, the one hot path of the server.
//!
//! Every event was encoded and framed once, when it was written. A subscriber's
//! body hands out shared pieces of those frames, tens of kilobytes in one HTTP/2
//! write; nothing is encoded, copied or queued for it. On the wire it is an
//! ordinary stream of messages. Beside that: frames that a filter leaves out
//! and events that the receiver cannot take are sorted out one by one.

use std::{
    convert::Infallible,
    task::{Context, Poll},
};

use bytes::{BufMut as _, Bytes, BytesMut};
use futures_util::{FutureExt as _, Stream, future::BoxFuture, stream};
use http::{HeaderMap, Request, Response, header::CONTENT_TYPE};
use http_body::Frame;
use http_body_util::{BodyExt as _, Limited, StreamBody};
use prost::Message as _;
use tonic::{Status, server::NamedService};
use tower::Service;

use crate::{
    Error, Result,
    app::{App, MAX_REQUEST_BYTES, OpenWatch},
    event::{self, Kinds},
    proto,
    session::{feed::Span, watch::Delivery},
    wire::{
        error,
        operations::event::{message_of, parse_limit, parse_watch},
    },
};

const PATH: &str = "/switchboard.v1.EventService/WatchEvents";
/// The bytes before each message on the wire.
const PREFIX: usize = 5;

/// The event service with `WatchEvents` taken out and answered by a raw body.
#[derive(Debug, Clone)]
pub(super) struct Raw<S> {
    inner: S,
    app: App,
}

impl<S> Raw<S> {
    pub(super) fn new(inner: S, app: App) -> Self {
        Self { inner, app }
    }
}

impl<S: NamedService> NamedService for Raw<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> Service<Request<tonic::body::Body>> for Raw<S>
where
    S: Service<
            Request<tonic::body::Body>,
            Response = Response<tonic::body::Body>,
            Error = Infallible,
        >,
    S::Future: Send + 'static,
{
    type Response = Response<tonic::body::Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<tonic::body::Body>) -> Self::Future {
        if request.uri().path() != PATH {
            return self.inner.call(request).boxed();
        }
        let app = self.app.clone();
        async move { Ok(answer(app, request).await.unwrap_or_else(Status::into_http)) }.boxed()
    }
}

async fn answer(
    app: App,
    request: Request<tonic::body::Body>,
) -> Result<Response<tonic::body::Body>, Status> {
    let request = read(request).await?;
    let limit = parse_limit(request.max_event_bytes)?;
    let request = parse_watch(request)?;
    let kinds = request.kinds;
    let watch = app.watch(request).await?;
    let body = tonic::body::Body::new(StreamBody::new(frames(watch, kinds, limit)));
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, tonic::metadata::GRPC_CONTENT_TYPE);
    Ok(response)
}

/// Reads the one message of the request.
async fn read(request: Request<tonic::body::Body>) -> Result<proto::WatchEventsRequest, Status> {
    let (parts, body) = request.into_parts();
    let encoding = parts.headers.get("grpc-encoding").map(|value| value.as_bytes().to_owned());
    if encoding.is_some_and(|encoding| encoding != b"identity") {
        let what = "a compressed request".to_owned();
        let mut status = error::status(&Error::Unimplemented { what });
        let identity = tonic::metadata::MetadataValue::from_static("identity");
        status.metadata_mut().insert("grpc-accept-encoding", identity);
        return Err(status);
    }
    let malformed = |problem: &str| Status::from(Error::invalid("request", problem));
    let collected = Limited::new(body, MAX_REQUEST_BYTES + PREFIX).collect().await;
    let bytes = match collected {
        Ok(collected) => collected.to_bytes(),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => {
            return Err(too_large(MAX_REQUEST_BYTES + 1).into());
        }
        Err(error) => return Err(malformed(&format!("it could not be read: {error}"))),
    };
    let (prefix, message) =
        bytes.split_first_chunk::<PREFIX>().ok_or_else(|| malformed("it has no message"))?;
    let [compressed, length @ ..] = *prefix;
    let length = u32::from_be_bytes(length) as usize;
    if length > MAX_REQUEST_BYTES {
        return Err(too_large(length).into());
    }
    if compressed != 0 {
        return Err(malformed("its message is compressed without saying how"));
    }
    if message.len() != length {
        return Err(malformed("it does not hold exactly one message"));
    }
    proto::WatchEventsRequest::decode(message)
        .map_err(|error| malformed(&format!("it is not a WatchEventsRequest: {error}")))
}

fn too_large(size: usize) -> Error {
    Error::PayloadTooLarge {
        what: "the request",
        size: size as u64,
        limit: MAX_REQUEST_BYTES as u64,
        unit: "bytes",
    }
}

/// The frames of a watch: pieces of data and, at the end, the trailers.
fn frames(
    watch: OpenWatch,
    kinds: Kinds,
    limit: usize,
) -> impl Stream<Item = Result<Frame<Bytes>, Infallible>> {
    stream::unfold(Some(watch), move |watch| async move {
        let mut watch = watch?;
        loop {
            let delivered = match watch.watch.next().await {
                Ok(Some(delivery)) => bytes_of(delivery, kinds, limit),
                Ok(None) => return Some((Ok(Frame::trailers(trailers(&Status::ok("")))), None)),
                Err(error) => Err(error),
            };
            match delivered {
                Ok(bytes) if bytes.is_empty() => {}
                Ok(bytes) => return Some((Ok(Frame::data(bytes)), Some(watch))),
                Err(error) => {
                    let status = error::status(&error);
                    return Some((Ok(Frame::trailers(trailers(&status))), None));
                }
            }
        }
    })
}

fn trailers(status: &Status) -> HeaderMap {
    let mut trailers = HeaderMap::with_capacity(3);
    if status.add_header(&mut trailers).is_err() {
        // A message that is no header value; the code alone always is one.
        trailers.insert("grpc-status", http::HeaderValue::from_static("13"));
    }
    trailers
}

fn bytes_of(delivery: Delivery, kinds: Kinds, limit: usize) -> Result<Bytes> {
    match delivery {
        Delivery::Events(span) => events(&span, kinds, limit),
        Delivery::Header(_)
        | Delivery::Synced(_)
        | Delivery::Heartbeat(_)
        | Delivery::LeftOut(_) => framed(&message_of(delivery)),
    }
}

/// Frames as they are where all may pass, else one by one.
fn events(span: &Span, kinds: Kinds, limit: usize) -> Result<Bytes> {
    let all_fit = span.chunk.largest_frame() <= limit + PREFIX;
    if kinds.is_all() && all_fit {
        return Ok(span.bytes());
    }
    let mut bytes = BytesMut::new();
    for entry in span.entries().filter(|entry| kinds.contains(entry.kind)) {
        if entry.frame.len() <= limit + PREFIX {
            bytes.extend_from_slice(&entry.frame);
        } else {
            let event = event::decode_frame_within(&entry.frame, limit)?;
            bytes.extend_from_slice(&framed(&event::message(event))?);
        }
    }
    Ok(bytes.freeze())
}

fn framed(message: &proto::WatchEventsResponse) -> Result<Bytes> {
    let length = message.encoded_len();
    let mut bytes = BytesMut::with_capacity(PREFIX + length);
    bytes.put_u8(0);
    bytes.put_u32(u32::try_from(length).map_err(Error::internal)?);
    message.encode(&mut bytes).map_err(Error::internal)?;
    Ok(bytes.freeze())
}
