//! Subscriptions: what is watched, as notifications that each carry an array of
//! messages.
//!
//! ```text
//!  {"jsonrpc": "2.0", "method": "events/messages", "params": {
//!      "subscription": "…", "result": {"messages": [{"header": …}, {"event": …}]}}}
//!
//!  the last one, unless the client ended it:
//!      "result": {"messages": [], "closed": {"reason": "END", "lastSeqs": {"…": "7"}}}
//! ```
//!
//! A subscriber stays a cursor: what comes next is read when the connection has
//! taken the last notification. The connection holds a few of them for all its
//! subscriptions together, in the order in which they came, so that one which is
//! not read keeps no answer waiting longer than those few.

use std::collections::BTreeMap;

use futures_util::{FutureExt as _, Stream, StreamExt as _, stream, stream::BoxStream};
use jsonrpsee::{core::server::SubscriptionSink, types::ErrorObjectOwned};
use serde::Serialize;
use serde_json::value::RawValue;

use super::{error, methods::Answers, socket::Upgraded};
use crate::{
    Error, Result,
    app::App,
    event::Kinds,
    json::Json,
    proto,
    session::watch::Delivery,
    wire::{
        error::row,
        operations::event::{
            DEFAULT_MAX_EVENT_BYTES_IN_JSON, deliveries, message_of, parse_limit, parse_watch,
        },
        schema::{self, Message, schema},
        transcode,
    },
};

/// What is around an event in a message.
const NAMED: &str = "{\"event\":}";

/// Of how many sessions the last notification says how far they were told.
const MAX_LAST_SEQS: usize = 1_000;

/// The messages of one watch, and how much of them one notification may hold.
pub(super) struct Messages {
    stream: BoxStream<'static, Result<Told>>,
    most_bytes: usize,
}

/// One message, and where to resume after it.
struct Told {
    text: String,
    place: Option<Place>,
}

/// Where a watch can be resumed.
enum Place {
    /// In one session of several.
    Seq { session: String, seq: u64 },
    /// By this field, such as a cursor.
    At(&'static str, Json),
}

/// Where a watch has come to.
#[derive(Default)]
struct Places {
    last_seqs: BTreeMap<String, Json>,
    at: Option<(&'static str, Json)>,
}

impl Places {
    fn pass(&mut self, place: Option<Place>) {
        match place {
            Some(Place::Seq { session, seq }) => {
                self.last_seqs.insert(session, seq.to_string().into());
            }
            Some(Place::At(name, value)) => self.at = Some((name, value)),
            None => {}
        }
    }
}

/// Sends what is told until it ends, or until nobody wants it any more.
pub(super) async fn tell(sink: SubscriptionSink, messages: Messages, socket: &Upgraded) {
    let Messages { mut stream, most_bytes } = messages;
    let mut places = Places::default();
    let mut left = None;
    loop {
        let first = match left.take() {
            Some(first) => Some(Ok(first)),
            None => tokio::select! {
                next = stream.next() => next,
                () = sink.closed() => return,
            },
        };
        let mut texts = String::new();
        let mut next = first;
        let end = loop {
            match next {
                Some(Ok(Told { text, place })) => {
                    if !texts.is_empty() {
                        if texts.len() + text.len() > most_bytes {
                            left = Some(Told { text, place });
                            break None;
                        }
                        texts.push(',');
                    }
                    texts += &text;
                    places.pass(place);
                }
                Some(Err(error)) => break Some(Some(error)),
                None => break Some(None),
            }
            // What is there goes at once; what is not is not waited for.
            match stream.next().now_or_never() {
                Some(more) => next = more,
                None => break None,
            }
        };
        let closed = end.map(|error| format!(",\"closed\":{}", closed(error.as_ref(), &places)));
        let text = format!("{{\"messages\":[{texts}]{}}}", closed.as_deref().unwrap_or_default());
        let Ok(result) = RawValue::from_string(text) else { return };
        let sent = tokio::select! {
            sent = sink.send(result) => sent,
            () = sink.closed() => return,
        };
        if sent.is_err() {
            return;
        }
        socket.owe(1);
        if closed.is_some() {
            return;
        }
    }
}

/// Why nothing more comes, and where to go on.
fn closed(error: Option<&Error>, places: &Places) -> Json {
    let mut closed = vec![("reason", error.map_or("END", |error| row(error).reason).into())];
    // Of more of them a client knows it by their events.
    if (1..=MAX_LAST_SEQS).contains(&places.last_seqs.len()) {
        let seqs = places.last_seqs.iter().map(|(id, seq)| (id.as_str(), seq.clone()));
        closed.push(("lastSeqs", Json::object(seqs)));
    }
    closed.extend(places.at.clone());
    if let Some(error) = error {
        closed.push(("error", shown(&error::object(error))));
    }
    Json::object(closed)
}

fn shown(error: &ErrorObjectOwned) -> Json {
    let text = serde_json::to_string(error).unwrap_or_default();
    Json::parse_within(&text, transcode::MAX_DEPTH).unwrap_or(Json::Null)
}

/// The messages of a watch that each say one thing by a oneof, and where to
/// resume after it by a cursor or by the seq of what they say.
pub(super) fn messages_of<M: Serialize + 'static>(
    message: &'static Message,
    answers: impl Stream<Item = Result<M>> + Send + 'static,
) -> Messages {
    let told = move |answer: Result<M>| {
        let text = transcode::write(message, &answer?)?;
        let place = place_of(message, &text);
        Ok(Told { text, place })
    };
    let most_bytes = DEFAULT_MAX_EVENT_BYTES_IN_JSON as usize;
    Messages { stream: answers.map(told).boxed(), most_bytes }
}

fn place_of(message: &Message, text: &str) -> Option<Place> {
    transcode::members(text).find_map(|(name, value)| {
        let string = |value: &str| Json::from(value.trim_matches('"'));
        let field = message.field(name)?;
        if field.name == "cursor" {
            return Some(Place::At("cursor", string(value)));
        }
        field.oneof.as_ref()?;
        let (_, seq) = transcode::members(value).find(|(name, _)| *name == "seq")?;
        Some(Place::At("lastSeq", string(seq)))
    })
}

/// `WatchEvents`.
pub(super) const EVENTS: Answers<Messages> =
    |app, rpc, message| Box::pin(events(app, rpc, message));

async fn events(app: App, rpc: &'static schema::Method, message: Json) -> Result<Messages> {
    let mut request: proto::WatchEventsRequest =
        transcode::read(schema().message(&rpc.input), message)?;
    if request.max_event_bytes == 0 {
        request.max_event_bytes = DEFAULT_MAX_EVENT_BYTES_IN_JSON;
    }
    let most_bytes = parse_limit(request.max_event_bytes)?;
    let request = parse_watch(request)?;
    let kinds = request.kinds;
    let watch = app.watch(request).await?;
    let told = deliveries(watch).flat_map(move |delivery| {
        let told = match delivery {
            Ok(delivery) => told_of(delivery, kinds, most_bytes),
            Err(error) => vec![Err(error)],
        };
        stream::iter(told)
    });
    Ok(Messages { stream: told.boxed(), most_bytes })
}

fn told_of(delivery: Delivery, kinds: Kinds, most_bytes: usize) -> Vec<Result<Told>> {
    match delivery {
        Delivery::Events(span) => {
            let entries = span.entries().filter(|entry| kinds.contains(entry.kind));
            entries.map(|entry| event_within(&entry.frame, most_bytes)).collect()
        }
        Delivery::Header(_)
        | Delivery::Synced(_)
        | Delivery::Heartbeat(_)
        | Delivery::LeftOut(_) => {
            let message = message_of(delivery);
            let text = transcode::write(schema().message("WatchEventsResponse"), &message);
            vec![text.map(|text| Told { text, place: None })]
        }
    }
}

fn event_within(frame: &bytes::Bytes, most_bytes: usize) -> Result<Told> {
    let (event, text) = transcode::event_within(frame, most_bytes - NAMED.len())?;
    let place = Place::Seq { session: event.session_id, seq: event.seq };
    Ok(Told { text: format!("{{\"event\":{text}}}"), place: Some(place) })
}
