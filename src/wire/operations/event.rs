//! `EventService`: events watched and listed.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use futures_util::{Stream, StreamExt as _, stream};

use super::{
    Caller, Transport,
    fields::{parse_duration, parse_heartbeat, parse_id},
};
use crate::{
    Error, Result,
    app::{App, EventPage, EventQuery, OpenWatch},
    event::{self, Kinds},
    id::{Seq, SessionId},
    proto::{self, DefaultStart, watch_events_response::Message},
    session::{
        hub::Scope,
        watch::{Delivery, LeftOut, Request as WatchRequest, Start, Until},
    },
    wire::error,
};

/// The largest event that a client of a JSON transport gets that does not say
/// what it can take; on JSON-RPC, where an answer is one message, a page too.
pub(crate) const DEFAULT_MAX_EVENT_BYTES_IN_JSON: u32 = 512 << 10;
/// The most sessions that one watch may name.
const MAX_SESSIONS: usize = 1_000;
const MAX_PAGE: u32 = 10_000;
const DEFAULT_PAGE: u32 = 1_000;
const MAX_WAIT: Duration = Duration::from_secs(60);

/// Tells events as they come, each as a message. An adapter with a quicker way
/// puts it together of [`parse_limit`], [`parse_watch`], [`deliveries`] and [`message_of`].
///
/// # Errors
///
/// As `WatchEvents` of the contract lists.
pub(crate) async fn watch_events(
    app: &App,
    _caller: &Caller,
    request: proto::WatchEventsRequest,
) -> Result<impl Stream<Item = Result<proto::WatchEventsResponse>> + Send + use<>> {
    let limit = parse_limit(request.max_event_bytes)?;
    let request = parse_watch(request)?;
    let kinds = request.kinds;
    let messages = deliveries(app.watch(request).await?).flat_map(move |delivery| {
        let messages = match delivery {
            Ok(delivery) => messages_of(delivery, kinds, limit),
            Err(error) => vec![Err(error)],
        };
        stream::iter(messages)
    });
    Ok(messages)
}

/// Reads a page of events, waiting for the first when there is none.
///
/// # Errors
///
/// As `ListEvents` of the contract lists.
pub(crate) async fn list_events(
    app: &App,
    caller: &Caller,
    request: proto::ListEventsRequest,
) -> Result<proto::ListEventsResponse> {
    let query = parse_query(caller, request)?;
    let EventPage { events, next_after, oldest, latest, epoch } = app.list_events(query).await?;
    Ok(proto::ListEventsResponse {
        events,
        next_after_seq: next_after.0,
        oldest_seq: oldest.0,
        latest_seq: latest.0,
        epoch: epoch.to_string(),
    })
}

/// What a watch delivers, to its end or to an error.
pub(crate) fn deliveries(watch: OpenWatch) -> impl Stream<Item = Result<Delivery>> + Send {
    stream::unfold(Some(watch), |watch| async move {
        let mut watch = watch?;
        match watch.watch.next().await {
            Ok(None) => None,
            Ok(Some(delivery)) => Some((Ok(delivery), Some(watch))),
            Err(error) => Some((Err(error), None)),
        }
    })
}

fn messages_of(
    delivery: Delivery,
    kinds: Kinds,
    limit: usize,
) -> Vec<Result<proto::WatchEventsResponse>> {
    let Delivery::Events(span) = delivery else { return vec![Ok(message_of(delivery))] };
    let entries = span.entries().filter(|entry| kinds.contains(entry.kind));
    entries
        .map(|entry| Ok(event::message(event::decode_frame_within(&entry.frame, limit)?)))
        .collect()
}

/// The field `max_event_bytes`.
///
/// # Errors
///
/// INVALID_ARGUMENT outside its bounds.
pub(crate) fn parse_limit(bytes: u32) -> Result<usize> {
    event::parse_max_event_bytes("max_event_bytes", bytes)
}

/// The field `max_event_bytes` where the transport is JSON.
///
/// # Errors
///
/// INVALID_ARGUMENT outside its bounds.
pub(crate) fn parse_limit_in_json(bytes: u32) -> Result<usize> {
    let default = DEFAULT_MAX_EVENT_BYTES_IN_JSON as usize;
    event::parse_bytes("max_event_bytes", bytes, default)
}

/// The field `max_bytes` of a page.
///
/// # Errors
///
/// INVALID_ARGUMENT outside its bounds.
pub(crate) fn parse_page_bytes(caller: &Caller, bytes: u32) -> Result<usize> {
    let default = match caller.transport {
        Transport::JsonRpc => DEFAULT_MAX_EVENT_BYTES_IN_JSON as usize,
        Transport::Grpc | Transport::Rest | Transport::Contract => event::DEFAULT_MAX_EVENT_BYTES,
    };
    event::parse_bytes("max_bytes", bytes, default)
}

/// A delivery that is no event as a message.
pub(crate) fn message_of(delivery: Delivery) -> proto::WatchEventsResponse {
    let message = match delivery {
        Delivery::Header(header) => Some(Message::Header(header.as_ref().into())),
        Delivery::Synced(id) => Some(Message::Synced(proto::Synced {
            session_id: id.map(|id| id.to_string()).unwrap_or_default(),
        })),
        Delivery::Heartbeat(latest) => Some(Message::Heartbeat(proto::Heartbeat {
            latest_seqs: latest.into_iter().map(|(id, seq)| (id.to_string(), seq.0)).collect(),
            time: Some(crate::time::timestamp(crate::time::now())),
        })),
        Delivery::LeftOut(LeftOut { id, next, error }) => Some(Message::LeftOut(proto::LeftOut {
            session_id: id.to_string(),
            next_seq: next.0,
            reason: error::row(&error).reason.to_owned(),
            message: error.to_string(),
            next_readable_seq: if let Error::EventsDamaged { next: Some(readable), .. } = error {
                readable.0
            } else {
                0
            },
        })),
        Delivery::Events(_) => None,
    };
    proto::WatchEventsResponse { message }
}

/// What a request asks to watch.
///
/// # Errors
///
/// INVALID_ARGUMENT names the field.
pub(crate) fn parse_watch(request: proto::WatchEventsRequest) -> Result<WatchRequest> {
    let default_start = request.default_start();
    let proto::WatchEventsRequest {
        session_ids,
        start_seq,
        start_seqs,
        default_start: _,
        epoch,
        kinds,
        heartbeat,
        stop_at_end,
        max_event_bytes: _,
    } = request;
    if session_ids.len() > MAX_SESSIONS {
        let problem = format!(
            "{} ids; at most {MAX_SESSIONS} are allowed, none means all",
            session_ids.len()
        );
        return Err(Error::invalid("session_ids", problem));
    }
    let mut ids = Vec::with_capacity(session_ids.len());
    for text in &session_ids {
        let id = parse_id("session_ids", text)?;
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    let only = if let [id] = ids.as_slice() { Some(*id) } else { None };
    let mut starts = parse_starts(start_seqs, &ids)?;
    match only {
        None if start_seq != 0 => {
            return Err(Error::invalid(
                "start_seq",
                "only with exactly one session; use start_seqs",
            ));
        }
        None if !epoch.is_empty() => {
            return Err(Error::invalid("epoch", "only with exactly one session"));
        }
        Some(_) if start_seq != 0 && !starts.is_empty() => {
            return Err(Error::invalid("start_seqs", "not beside start_seq"));
        }
        Some(id) if start_seq != 0 => {
            starts.insert(id, Start::At(Seq(start_seq)));
        }
        None | Some(_) => {}
    }
    Ok(WatchRequest {
        scope: if ids.is_empty() { Scope::All } else { Scope::Sessions(ids) },
        starts,
        starts_field: if start_seq != 0 { "start_seq" } else { "start_seqs" },
        default_start: match default_start {
            DefaultStart::Unspecified | DefaultStart::Now => Start::Now,
            DefaultStart::Beginning => Start::Beginning,
        },
        lazily: false,
        epoch: (!epoch.is_empty()).then_some(epoch),
        kinds: Kinds::parse(&kinds)?,
        heartbeat: parse_heartbeat(heartbeat)?,
        until: if stop_at_end { Until::EndOfTurns } else { Until::Forever },
    })
}

fn parse_starts(
    start_seqs: BTreeMap<String, u64>,
    ids: &[SessionId],
) -> Result<HashMap<SessionId, Start>> {
    let mut starts = HashMap::with_capacity(start_seqs.len());
    for (text, seq) in start_seqs {
        let id = parse_id("start_seqs", &text)?;
        if !ids.is_empty() && !ids.contains(&id) {
            return Err(Error::invalid("start_seqs", format!("{id} is not among session_ids")));
        }
        starts.insert(id, if seq == 0 { Start::Now } else { Start::At(Seq(seq)) });
    }
    Ok(starts)
}

/// Whether a request waits for the first event where there is none yet.
///
/// # Errors
///
/// INVALID_ARGUMENT names the field.
pub(crate) fn waits(caller: &Caller, request: proto::ListEventsRequest) -> Result<bool> {
    Ok(!parse_query(caller, request)?.wait.is_zero())
}

fn parse_query(caller: &Caller, request: proto::ListEventsRequest) -> Result<EventQuery> {
    let proto::ListEventsRequest {
        session_id,
        after_seq,
        page_size,
        max_bytes,
        wait,
        kinds,
        epoch,
    } = request;
    if page_size > MAX_PAGE {
        let problem = format!("{page_size} is above {MAX_PAGE}, the most events of a page");
        return Err(Error::invalid("page_size", problem));
    }
    let count = if page_size == 0 { DEFAULT_PAGE } else { page_size };
    Ok(EventQuery {
        session: parse_id("session_id", &session_id)?,
        after: Seq(after_seq),
        count: count as usize,
        bytes: parse_page_bytes(caller, max_bytes)?,
        wait: parse_duration("wait", wait, Duration::ZERO, MAX_WAIT)?.unwrap_or_default(),
        kinds: Kinds::parse(&kinds)?,
        epoch: (!epoch.is_empty()).then_some(epoch),
    })
}
