//! `EventService`.

use std::{
    collections::{BTreeMap, HashMap},
    pin::Pin,
    time::Duration,
};

use futures_util::{Stream, StreamExt as _, stream};
use tonic::{Request, Response, Status};

use super::watch::{message_of, parse_limit};
use crate::{
    Error, Result,
    app::{App, EventPage, EventQuery},
    event::{self, Kinds},
    id::{Seq, SessionId},
    proto::{self, DefaultStart, event_service_server::EventService},
    session::{
        hub::Scope,
        watch::{Delivery, Request as WatchRequest, Start, Until},
    },
    wire::grpc::session::parse_id,
};

/// The most sessions that one watch may name.
const MAX_SESSIONS: usize = 1_000;
const DEFAULT_HEARTBEAT: Duration = Duration::from_secs(15);
const MAX_PAGE: u32 = 10_000;
const DEFAULT_PAGE: u32 = 1_000;
const MAX_WAIT: Duration = Duration::from_secs(60);

/// The adapter.
#[derive(Debug, Clone)]
pub(super) struct Service {
    app: App,
}

impl Service {
    pub(super) fn new(app: App) -> Self {
        Self { app }
    }
}

type Messages = Pin<Box<dyn Stream<Item = Result<proto::WatchEventsResponse, Status>> + Send>>;

#[tonic::async_trait]
impl EventService for Service {
    type WatchEventsStream = Messages;

    /// The plain form of [`super::watch`], which stands before it: the same
    /// deliveries, encoded by tonic.
    async fn watch_events(
        &self,
        request: Request<proto::WatchEventsRequest>,
    ) -> Result<Response<Messages>, Status> {
        let request = request.into_inner();
        let limit = parse_limit(request.max_event_bytes)?;
        let request = parse_watch(request)?;
        let kinds = request.kinds;
        let watch = self.app.watch(request).await?;
        let deliveries = stream::unfold(Some(watch), |watch| async move {
            let mut watch = watch?;
            match watch.watch.next().await {
                Ok(None) => None,
                Ok(Some(delivery)) => Some((Ok(delivery), Some(watch))),
                Err(error) => Some((Err(error), None)),
            }
        });
        let messages = deliveries.flat_map(move |delivery| {
            let messages = match delivery {
                Ok(delivery) => messages_of(delivery, kinds, limit),
                Err(error) => vec![Err(error.into())],
            };
            stream::iter(messages)
        });
        Ok(Response::new(Box::pin(messages)))
    }

    async fn list_events(
        &self,
        request: Request<proto::ListEventsRequest>,
    ) -> Result<Response<proto::ListEventsResponse>, Status> {
        let query = parse_query(request.into_inner())?;
        let EventPage { events, next_after, oldest, latest, epoch } =
            self.app.list_events(query).await?;
        Ok(Response::new(proto::ListEventsResponse {
            events,
            next_after_seq: next_after.0,
            oldest_seq: oldest.0,
            latest_seq: latest.0,
            epoch: epoch.to_string(),
        }))
    }
}

fn messages_of(
    delivery: Delivery,
    kinds: Kinds,
    limit: usize,
) -> Vec<Result<proto::WatchEventsResponse, Status>> {
    let Delivery::Events(span) = delivery else { return vec![Ok(message_of(delivery))] };
    let entries = span.entries().filter(|entry| kinds.contains(entry.kind));
    entries
        .map(|entry| Ok(event::message(event::decode_frame_within(&entry.frame, limit)?)))
        .collect()
}

/// What a request asks to watch.
///
/// # Errors
///
/// INVALID_ARGUMENT names the field.
pub(super) fn parse_watch(request: proto::WatchEventsRequest) -> Result<WatchRequest> {
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

fn parse_query(request: proto::ListEventsRequest) -> Result<EventQuery> {
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
        bytes: event::parse_max_event_bytes("max_bytes", max_bytes)?,
        wait: parse_duration("wait", wait, Duration::ZERO, MAX_WAIT)?.unwrap_or_default(),
        kinds: Kinds::parse(&kinds)?,
        epoch: (!epoch.is_empty()).then_some(epoch),
    })
}

/// How long a watch may be silent.
///
/// # Errors
///
/// INVALID_ARGUMENT.
pub(super) fn parse_heartbeat(given: Option<pbjson_types::Duration>) -> Result<Duration> {
    let (least, most) = (Duration::from_secs(1), Duration::from_secs(600));
    Ok(parse_duration("heartbeat", given, least, most)?.unwrap_or(DEFAULT_HEARTBEAT))
}

/// A duration within its bounds, where one was given.
///
/// # Errors
///
/// INVALID_ARGUMENT outside of them.
pub(super) fn parse_duration(
    field: &'static str,
    given: Option<pbjson_types::Duration>,
    least: Duration,
    most: Duration,
) -> Result<Option<Duration>> {
    let Some(given) = given else { return Ok(None) };
    let bounds = || {
        Error::invalid(
            field,
            format!("expected a duration from {} s to {} s", least.as_secs(), most.as_secs()),
        )
    };
    let duration = Duration::try_from(given).map_err(|_| bounds())?;
    if duration < least || duration > most { Err(bounds()) } else { Ok(Some(duration)) }
}
