//! Server-sent events: `text/event-stream` as the HTML standard has it.
//!
//! | event | id | data |
//! |---|---|---|
//! | what it tells, such as `item_completed` or `session` | where to resume | its JSON, on one line |
//! | `synced`, `heartbeat`, … | only where one can resume there | its JSON |
//! | `error` | | the body of an error; nothing follows |
//! | `end` | | `{}`; nothing follows |
//!
//! The agent's notice of an error, whose kind is `error`, is `agent_error`.
//!
//! A subscriber stays a cursor: the next events are read when the connection
//! has taken the last ones, and nothing waits for it in a queue.

use std::{convert::Infallible, fmt::Write as _};

use axum::{body::Body, response::Response};
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, TryStreamExt as _, future::ready, stream};
use http::{
    HeaderName, HeaderValue,
    header::{CACHE_CONTROL, CONTENT_TYPE},
};
use serde::Serialize;

use super::{
    answer,
    routes::{Call, Events},
};
use crate::{
    Error, Result,
    app::App,
    event::{self, Kinds},
    json::Json,
    proto,
    session::{registry::report, watch::Delivery},
    wire::{
        operations::event::{deliveries, message_of, parse_limit_in_json, parse_watch},
        schema::{self, Message, schema},
        transcode,
    },
};

/// `WatchEvents`.
pub(super) const WATCH: Call = Call::Stream(|app, rpc, message| Box::pin(watch(app, rpc, message)));

/// The answer that streams these events.
pub(super) fn response(events: Events) -> Response {
    // An error is the last event; how the events of a client end has an own one.
    let events = stream::unfold(Some(events), |events| async move {
        let mut events = events?;
        let (text, more) = match events.next().await {
            Some(Ok(text)) => (text, Some(events)),
            Some(Err(error)) => (failure(&error), None),
            None => (event(None, "end", "{}").into(), None),
        };
        Some((Ok::<_, Infallible>(text), more))
    });
    let mut response = Response::new(Body::from_stream(events));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Proxies such as nginx would collect what comes before they pass it on.
    let buffering = HeaderName::from_static("x-accel-buffering");
    headers.insert(buffering, HeaderValue::from_static("no"));
    response
}

/// The events of a stream of messages that each say one thing by a oneof, and
/// where to resume after it by a cursor or by the seq of what they say.
pub(super) fn events_of<M: Serialize + 'static>(
    message: &'static Message,
    answers: impl Stream<Item = Result<M>> + Send + 'static,
) -> Events {
    answers.map(move |answer| Ok(event_of(message, &transcode::write(message, &answer?)?))).boxed()
}

fn event_of(message: &Message, text: &str) -> Bytes {
    let (mut id, mut named) = (None, None);
    for (name, value) in transcode::members(text) {
        match message.field(name) {
            Some(field) if field.oneof.is_some() => {
                let seq = transcode::members(value).find(|(name, _)| *name == "seq");
                id = id.or(seq.map(|(_, seq)| seq));
                named = Some((field.name.as_str(), value));
            }
            Some(field) if field.name == "cursor" => id = Some(value),
            Some(_) | None => {}
        }
    }
    let id = id.map(|id| id.trim_matches('"'));
    named.map(|(name, data)| event(id, name, data).into()).unwrap_or_default()
}

async fn watch(app: App, rpc: &'static schema::Method, message: Json) -> Result<Events> {
    let request: proto::WatchEventsRequest =
        transcode::read(schema().message(&rpc.input), message)?;
    // In a stream of several sessions a seq alone says nothing.
    let with_ids = request.session_ids.len() == 1;
    let limit = parse_limit_in_json(request.max_event_bytes)?;
    let request = parse_watch(request)?;
    let kinds = request.kinds;
    let watch = app.watch(request).await?;
    let texts = deliveries(watch).map(move |delivery| told(delivery?, kinds, limit, with_ids));
    // Of a delivery may be nothing that was asked for.
    let is_something = |text: &Result<String>| !matches!(text, Ok(text) if text.is_empty());
    let events = texts.filter(move |text| ready(is_something(text))).map_ok(Bytes::from);
    Ok(events.boxed())
}

/// What a delivery is as events.
fn told(delivery: Delivery, kinds: Kinds, limit: usize, with_ids: bool) -> Result<String> {
    let mut text = String::new();
    match delivery {
        Delivery::Events(span) => {
            for entry in span.entries().filter(|entry| kinds.contains(entry.kind)) {
                let (told, data) = transcode::event_within(&entry.frame, limit)?;
                let seq = entry.seq.to_string();
                let id = with_ids.then_some(seq.as_str());
                text += &event(id, &name(&told), &data);
            }
        }
        Delivery::Header(_)
        | Delivery::Synced(_)
        | Delivery::Heartbeat(_)
        | Delivery::LeftOut(_) => {
            let response = schema().message("WatchEventsResponse");
            let json = transcode::write(response, &message_of(delivery))?;
            for (name, data) in transcode::members(&json) {
                let name = response.field(name).map_or(name, |field| field.name.as_str());
                text += &event(None, name, data);
            }
        }
    }
    Ok(text)
}

/// The name of an event: its kind.
fn name(told: &proto::Event) -> String {
    match &told.kind {
        // What ends a stream has that name.
        Some(proto::event::Kind::Error(_)) => "agent_error".to_owned(),
        Some(kind) => {
            let name = event::kind_of(kind).as_str_name();
            name.trim_start_matches("EVENT_KIND_").to_ascii_lowercase()
        }
        None => "unknown".to_owned(),
    }
}

fn failure(error: &Error) -> Bytes {
    if matches!(error, Error::Internal(_)) {
        tracing::error!(error = %report(error), "internal error");
    }
    event(None, "error", &answer::body(error).to_string()).into()
}

/// One event. None of its parts has a line break in it.
fn event(id: Option<&str>, name: &str, data: &str) -> String {
    let mut text = String::with_capacity(data.len() + 64);
    if let Some(id) = id {
        let _ = writeln!(text, "id: {id}");
    }
    let _ = write!(text, "event: {name}\ndata: {data}\n\n");
    text
}
