//! Events: watched, and listed page by page.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use prost::Message as _;
use tokio::time::Instant;

use crate::{
    Error, Result,
    app::App,
    event::{self, Kinds},
    id::{Seq, SessionId},
    proto,
    session::{
        hub::Scope,
        watch::{Request as WatchRequest, Watch},
    },
    store::log::Epoch,
};

/// Which events to list.
#[derive(Debug, Clone)]
pub struct EventQuery {
    /// Of which session.
    pub session: SessionId,
    /// After which event.
    pub after: Seq,
    /// How many at most.
    pub count: usize,
    /// How many bytes at most, and the size above which an event is elided.
    pub bytes: usize,
    /// How long to wait for the first.
    pub wait: Duration,
    /// Of which kinds.
    pub kinds: Kinds,
    /// What the log's epoch must be.
    pub epoch: Option<String>,
}

/// One page of events.
#[derive(Debug, Clone)]
pub struct EventPage {
    /// In order.
    pub events: Vec<proto::Event>,
    /// The last event that the page went past.
    pub next_after: Seq,
    /// The oldest that the log has.
    pub oldest: Seq,
    /// The latest.
    pub latest: Seq,
    /// The log's incarnation.
    pub epoch: Epoch,
}

/// A watch that is counted while it is open.
#[derive(Debug)]
pub(crate) struct OpenWatch {
    /// The watch.
    pub watch: Watch,
    count: Arc<AtomicUsize>,
}

impl Drop for OpenWatch {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::Relaxed);
    }
}

impl App {
    /// Opens a watch.
    ///
    /// # Errors
    ///
    /// SESSION_NOT_FOUND, INVALID_ARGUMENT, CURSOR_EXPIRED.
    pub(crate) async fn watch(&self, request: WatchRequest) -> Result<OpenWatch> {
        let watch = Watch::open(self.sessions.clone(), request).await?;
        self.open_watches.fetch_add(1, Ordering::Relaxed);
        Ok(OpenWatch { watch, count: Arc::clone(&self.open_watches) })
    }

    /// Reads a page of events, waiting for the first when there is none.
    ///
    /// # Errors
    ///
    /// SESSION_NOT_FOUND, INVALID_ARGUMENT, CURSOR_EXPIRED, EVENTS_DAMAGED,
    /// SHUTTING_DOWN.
    pub async fn list_events(&self, mut query: EventQuery) -> Result<EventPage> {
        let deadline = Instant::now() + query.wait;
        let registration = self.sessions.hub().register(Scope::Sessions(vec![query.session]));
        loop {
            let page = self.page(&query).await?;
            if !page.events.is_empty()
                || page.next_after < page.latest
                || Instant::now() >= deadline
            {
                return Ok(page);
            }
            tokio::select! {
                // What the filter left out is not looked at again.
                _ = registration.wake().marked() => query.after = page.next_after,
                () = tokio::time::sleep_until(deadline) => return Ok(page),
                () = self.sessions.closing().cancelled() => {
                    return Err(Error::ShuttingDown { last_seq: Some(page.next_after) });
                }
            }
        }
    }

    async fn page(&self, query: &EventQuery) -> Result<EventPage> {
        let feed = self.sessions.feed(query.session).await?;
        let (oldest, latest, epoch) = (feed.oldest(), feed.now().latest, feed.epoch());
        feed.check_epoch(query.epoch.as_deref())?;
        if query.after > latest {
            return Err(Error::invalid(
                "after_seq",
                format!("{} is beyond the latest event, which is {latest}", query.after),
            ));
        }
        if query.after.next() < oldest {
            return Err(Error::CursorExpired { requested: query.after.next(), oldest });
        }
        let mut page =
            EventPage { events: Vec::new(), next_after: query.after, oldest, latest, epoch };
        // What the response says beside its events, at most, counts as well.
        let frame = proto::ListEventsResponse {
            events: Vec::new(),
            next_after_seq: latest.0,
            oldest_seq: oldest.0,
            latest_seq: latest.0,
            epoch: epoch.to_string(),
        };
        let room = query.bytes.saturating_sub(frame.encoded_len());
        let mut bytes = 0;
        'page: while page.next_after < latest && page.events.len() < query.count {
            let span = match self.sessions.read(query.session, &feed, page.next_after.next()).await
            {
                Ok(Some(span)) => span,
                Ok(None) => break,
                // Damage: what is before it can be had, and the next page says it.
                Err(_) if page.next_after > query.after => break,
                Err(error) => return Err(error),
            };
            for entry in span.entries().take_while(|entry| entry.seq <= latest) {
                if query.kinds.contains(entry.kind) {
                    if page.events.len() == query.count {
                        break 'page;
                    }
                    let event = event::decode_frame_within(&entry.frame, room)?;
                    bytes += event::message_len(&event);
                    if bytes > room && !page.events.is_empty() {
                        break 'page;
                    }
                    page.events.push(event);
                }
                page.next_after = entry.seq;
            }
        }
        Ok(page)
    }
}
