//! What each method that watches has to tell, and where to resume after it.

use std::collections::HashMap;

use futures_util::{Stream, StreamExt as _, stream};
use serde::Serialize;

use super::{
    methods::Answers,
    teller::{Messages, Next, Place},
};
use crate::{
    Result,
    app::App,
    event::{self, Kinds},
    id::{Seq, SessionId},
    json::Json,
    proto,
    session::watch::Delivery,
    wire::{
        operations::event::{
            DEFAULT_MAX_EVENT_BYTES_IN_JSON, deliveries, message_of, parse_limit_in_json,
            parse_watch,
        },
        schema::{self, Message, schema},
        transcode,
    },
};

/// The messages of a watch that each say one thing by a oneof, and where to
/// resume after it by a cursor or by the seq of what they say.
pub(super) fn messages_of<M: Serialize + 'static>(
    message: &'static Message,
    answers: impl Stream<Item = Result<M>> + Send + 'static,
) -> Messages {
    let told = move |answer: Result<M>| {
        let text = transcode::write(message, &answer?)?;
        let place = place_of(message, &text);
        Ok(Next::Text(text, place.into_iter().collect()))
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
    let request: proto::WatchEventsRequest =
        transcode::read(schema().message(&rpc.input), message)?;
    let most_bytes = parse_limit_in_json(request.max_event_bytes)?;
    let request = parse_watch(request)?;
    let kinds = request.kinds;
    let watch = app.watch(request).await?;
    let mut latest = HashMap::new();
    let next = deliveries(watch).flat_map(move |delivery| {
        let next = match delivery {
            Ok(delivery) => next_of(delivery, kinds, &mut latest),
            Err(error) => vec![Err(error)],
        };
        stream::iter(next)
    });
    Ok(Messages { stream: next.boxed(), most_bytes })
}

/// What a delivery becomes: events keep to the chunk that they share with all who
/// read the same. Of each session that is not synced, `latest` has the seq that it
/// will be past then, whatever the filter leaves out.
fn next_of(
    delivery: Delivery,
    kinds: Kinds,
    latest: &mut HashMap<SessionId, Seq>,
) -> Vec<Result<Next>> {
    let past = |id: &dyn ToString, seq: Seq| Place::Seq { session: id.to_string(), seq: seq.0 };
    let before = |next: Seq| Seq(next.0.saturating_sub(1));
    let places = match &delivery {
        Delivery::Events(span) => {
            let mut next = Vec::new();
            let mut last = None;
            for entry in span.entries() {
                last = Some(entry.frame.clone());
                if kinds.contains(entry.kind) {
                    last = None;
                    next.push(Ok(Next::Event(entry.frame)));
                }
            }
            // Those that the filter leaves out are passed as well.
            next.extend(last.map(|frame| {
                let event = event::decode_frame(&frame)?;
                Ok(Next::Past(past(&event.session_id, Seq(event.seq))))
            }));
            return next;
        }
        Delivery::Header(header) => {
            latest.insert(header.session.id, header.latest);
            vec![past(&header.session.id, before(header.start))]
        }
        Delivery::Synced(Some(id)) => {
            latest.remove(id).map(|seq| past(id, seq)).into_iter().collect()
        }
        Delivery::Heartbeat(latest) => latest.iter().map(|(id, seq)| past(id, *seq)).collect(),
        Delivery::LeftOut(left_out) if left_out.next != Seq::ZERO => {
            vec![past(&left_out.id, before(left_out.next))]
        }
        Delivery::LeftOut(_) | Delivery::Synced(None) => Vec::new(),
    };
    let message = message_of(delivery);
    let text = transcode::write(schema().message("WatchEventsResponse"), &message);
    vec![text.map(|text| Next::Text(text, places))]
}
