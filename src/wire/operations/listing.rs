//! The catalogue on the wire: filters and page tokens of `ListSessions`, cursors
//! and messages of `WatchSessions`.

use super::{
    Caller,
    fields::{parse_enum, parse_heartbeat, parse_states, parse_time},
    token::{sealed, unsealed},
};
use crate::{
    Error, Result,
    app::{App, Archived, Filter, ListPosition, Place, SessionPage},
    proto::{self, watch_sessions_response::Message},
    session::catalogue::{Delivery, News, Request, Watch},
};
use futures_util::{Stream, stream};

const MAX_PAGE: u32 = 1_000;
const DEFAULT_PAGE: u32 = 100;
const MAX_LABELS: usize = 64;

/// What the cursors of the catalogue are sealed with.
const CATALOGUE: &str = "catalogue";

/// Lists sessions, newest first.
///
/// # Errors
///
/// As `ListSessions` of the contract lists.
pub(crate) async fn list_sessions(
    app: &App,
    _caller: &Caller,
    request: proto::ListSessionsRequest,
) -> Result<proto::ListSessionsResponse> {
    let listing = parse(request)?;
    let SessionPage { sessions, next } =
        app.list_sessions(listing.filter.clone(), listing.after, listing.count).await?;
    Ok(proto::ListSessionsResponse {
        sessions: sessions.iter().map(Into::into).collect(),
        next_page_token: next.map(|next| listing.token(next)).unwrap_or_default(),
    })
}

/// Tells sessions as they change.
///
/// # Errors
///
/// As `WatchSessions` of the contract lists.
pub(crate) async fn watch_sessions(
    app: &App,
    _caller: &Caller,
    request: proto::WatchSessionsRequest,
) -> Result<impl Stream<Item = Result<proto::WatchSessionsResponse>> + Send + use<>> {
    let watch = app.watch_sessions(parse_watch(request)?).await?;
    Ok(changes(watch))
}

/// A request to list.
#[derive(Debug)]
struct Listing {
    pub filter: Filter,
    pub after: Option<ListPosition>,
    pub count: u32,
}

/// Reads a request to list.
///
/// # Errors
///
/// INVALID_ARGUMENT.
fn parse(request: proto::ListSessionsRequest) -> Result<Listing> {
    let archived = parse_enum("archived", request.archived)?;
    let proto::ListSessionsRequest {
        page_size,
        page_token,
        id_prefix,
        states,
        source,
        labels,
        archived: _,
        working_directory,
        created_after,
        created_before,
        include_system_owned,
    } = request;
    if page_size > MAX_PAGE {
        let problem = format!("{page_size} is above {MAX_PAGE}, the most sessions of a page");
        return Err(Error::invalid("page_size", problem));
    }
    if labels.len() > MAX_LABELS {
        let problem = format!("{} labels; at most {MAX_LABELS} are allowed", labels.len());
        return Err(Error::invalid("labels", problem));
    }
    if !working_directory.is_empty() && !working_directory.starts_with('/') {
        let problem = format!("{working_directory:?} is not absolute");
        return Err(Error::invalid("working_directory", problem));
    }
    let filter = Filter {
        id_prefix,
        states: parse_states("states", &states)?,
        source: (!source.is_empty()).then_some(source),
        labels,
        archived: match archived {
            proto::ArchivedFilter::Unspecified => Archived::No,
            proto::ArchivedFilter::Only => Archived::Only,
            proto::ArchivedFilter::All => Archived::All,
        },
        working_directory: (!working_directory.is_empty()).then_some(working_directory),
        created_after: parse_time("created_after", created_after)?,
        created_before: parse_time("created_before", created_before)?,
        include_system_owned,
    };
    Ok(Listing {
        after: parse_token(&page_token, &filter)?,
        count: if page_size == 0 { DEFAULT_PAGE } else { page_size },
        filter,
    })
}

impl Listing {
    /// The next page: the place, and a check that it is of this listing.
    fn token(&self, next: ListPosition) -> String {
        sealed(&next.0.to_be_bytes(), &format!("{:?}", self.filter))
    }
}

fn parse_token(text: &str, filter: &Filter) -> Result<Option<ListPosition>> {
    if text.is_empty() {
        return Ok(None);
    }
    let place = unsealed(text, &format!("{filter:?}"));
    place.map(|place| Some(ListPosition(i64::from_be_bytes(place)))).ok_or_else(|| {
        Error::invalid(
            "page_token",
            "expected the next_page_token of a listing with the same filter",
        )
    })
}

/// Reads a request to watch.
///
/// # Errors
///
/// INVALID_ARGUMENT.
fn parse_watch(request: proto::WatchSessionsRequest) -> Result<Request> {
    let proto::WatchSessionsRequest { cursor, include_system_owned, heartbeat } = request;
    let after = match cursor.as_str() {
        "" => None,
        text => Some(unsealed(text, CATALOGUE).map(place_of).ok_or_else(|| {
            Error::invalid("cursor", "expected the cursor of a message of this watch")
        })?),
    };
    Ok(Request { after, include_system_owned, heartbeat: parse_heartbeat(heartbeat)? })
}

/// What a watch tells, as it tells it.
fn changes(watch: Watch) -> impl Stream<Item = Result<proto::WatchSessionsResponse>> {
    stream::unfold(Some(watch), |watch| async move {
        let mut watch = watch?;
        match watch.next().await {
            Ok(delivery) => Some((Ok(message(delivery)), Some(watch))),
            Err(error) => Some((Err(error), None)),
        }
    })
}

fn message(Delivery { place, news }: Delivery) -> proto::WatchSessionsResponse {
    let message = match news {
        News::Session(session) => Message::Session((&*session).into()),
        News::Deleted(tombstone) => Message::Deleted((&tombstone).into()),
        News::Synced => Message::Synced(proto::SessionsSynced {}),
        News::Heartbeat => Message::Heartbeat(proto::SessionsHeartbeat {}),
    };
    proto::WatchSessionsResponse {
        cursor: sealed(&bytes_of(place), CATALOGUE),
        message: Some(message),
    }
}

fn bytes_of(Place { at, catalogue }: Place) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&at.to_be_bytes());
    bytes[8..].copy_from_slice(&catalogue);
    bytes
}

fn place_of(bytes: [u8; 16]) -> Place {
    let (at, catalogue) = bytes.split_at(8);
    let eight = |half: &[u8]| half.try_into().expect("a half of sixteen bytes is eight");
    Place { at: i64::from_be_bytes(eight(at)), catalogue: eight(catalogue) }
}
