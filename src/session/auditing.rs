//! A subscriber of the audit: its entries, live after those that are there.
//!
//! A watch is the seq of the last entry that it told; it reads on from there at
//! its own pace.

use std::{collections::VecDeque, time::Duration};

use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

use crate::{
    Error, Result,
    proto::AuditEntry,
    session::registry::Sessions,
    store::sqlite::{EntriesFrom, Wanted},
};

/// How many entries are read at once.
const PAGE: u32 = 256;

/// What to watch.
#[derive(Debug, Clone)]
pub struct Request {
    /// Which entries.
    pub wanted: Wanted,
    /// The last entry that the caller has; none for new ones only.
    pub after: Option<u64>,
    /// The longest silence.
    pub heartbeat: Duration,
}

/// What a watch tells, with the latest entry that it has looked at.
#[derive(Debug)]
pub enum News {
    /// An entry.
    Entry(Box<AuditEntry>),
    /// Everything that was there at the time of the call was told.
    Synced(u64),
    /// Nothing else was told for a while.
    Heartbeat(u64),
}

/// A watch that was opened.
#[derive(Debug)]
pub struct Watch {
    sessions: Sessions,
    latest: watch::Receiver<u64>,
    request: Request,
    at: u64,
    /// Up to where is told before synced; none afterwards.
    sync_to: Option<u64>,
    entries: VecDeque<AuditEntry>,
    heartbeat_at: Instant,
}

impl Watch {
    /// Opens a watch.
    ///
    /// # Errors
    ///
    /// INVALID_ARGUMENT for an entry that there is not yet.
    pub(crate) async fn open(sessions: Sessions, request: Request) -> Result<Self> {
        // Subscribed first, so that nothing written from here on is missed.
        let mut latest = sessions.audited();
        latest.mark_unchanged();
        let there = sessions.database().latest_audit_seq().await?;
        if let Some(after) = request.after.filter(|after| *after > there) {
            let problem = format!("{after} is beyond the latest entry, which is {there}");
            return Err(Error::invalid("after_seq", problem));
        }
        Ok(Self {
            latest,
            at: request.after.unwrap_or(there),
            sync_to: Some(there),
            entries: VecDeque::new(),
            heartbeat_at: Instant::now() + request.heartbeat,
            request,
            sessions,
        })
    }

    /// What to tell next. It never ends by itself.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: an entry that was read may be lost.
    ///
    /// # Errors
    ///
    /// SHUTTING_DOWN; INTERNAL when the database cannot be read.
    pub async fn next(&mut self) -> Result<News> {
        let closing = self.sessions.closing().clone();
        let news = tokio::select! {
            biased;
            () = closing.cancelled() => return Err(Error::ShuttingDown { last_seq: None }),
            news = self.advance() => news?,
        };
        self.heartbeat_at = Instant::now() + self.request.heartbeat;
        Ok(news)
    }

    async fn advance(&mut self) -> Result<News> {
        loop {
            if let Some(place) = self.sync_to
                && self.entries.front().is_some_and(|entry| entry.seq > place)
            {
                self.sync_to = None;
                return Ok(News::Synced(place));
            }
            if let Some(entry) = self.entries.pop_front() {
                return Ok(News::Entry(Box::new(entry)));
            }
            let wanted = self.request.wanted.clone();
            let from = EntriesFrom::After(self.at);
            let read = self.sessions.database().audit_entries(wanted, from, PAGE).await?;
            self.at = read.next.unwrap_or(read.latest).max(self.at);
            self.entries = read.entries.into();
            if !self.entries.is_empty() || read.next.is_some() {
                continue;
            }
            if let Some(place) = self.sync_to.take() {
                return Ok(News::Synced(place));
            }
            let heartbeat_at = self.heartbeat_at;
            tokio::select! {
                // An error says that the server is gone, which the other arm tells.
                changed = self.latest.changed() => if changed.is_err() {
                    std::future::pending::<()>().await;
                },
                () = sleep_until(heartbeat_at) => return Ok(News::Heartbeat(self.at)),
            }
        }
    }
}
