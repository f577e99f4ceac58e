//! A subscriber of the catalogue: which sessions there are, and what becomes of
//! them.
//!
//! Every change of a session's row moves it to the end of an order that a clock
//! in the database gives; a watch is a place in that order. It reads on from its
//! place, so that changes which follow each other quickly come as one, and a
//! place is as good after a restart as before.

use std::{collections::VecDeque, time::Duration};

use tokio::time::{Instant, sleep_until};

use crate::{
    Error, Result,
    row::{Session, Tombstone},
    session::{
        hub::{Registration, Scope},
        registry::Sessions,
    },
    store::sqlite::{Change, Place},
};

/// How many changes are read at once.
const PAGE: u32 = 256;
/// How long a watch waits at least between two looks: sessions that run publish
/// far more often than their rows change.
const PACE: Duration = Duration::from_millis(20);

/// What to watch.
#[derive(Debug, Clone)]
pub struct Request {
    /// The place after which to begin; none for all sessions that are there.
    pub after: Option<Place>,
    /// Also sessions of systems.
    pub include_system_owned: bool,
    /// The longest silence.
    pub heartbeat: Duration,
}

/// One thing to tell, with the place to resume at after it.
#[derive(Debug)]
pub struct Delivery {
    /// The place.
    pub place: Place,
    /// What is told.
    pub news: News,
}

/// What a watch tells.
#[derive(Debug)]
pub enum News {
    /// A session as it is.
    Session(Box<Session>),
    /// A session was deleted.
    Deleted(Tombstone),
    /// Everything that was there at the time of the call was told.
    Synced,
    /// Nothing else was told for a while.
    Heartbeat,
}

/// A watch that was opened.
#[derive(Debug)]
pub struct Watch {
    sessions: Sessions,
    registration: Registration,
    request: Request,
    at: i64,
    catalogue: [u8; 8],
    /// Up to where is told before synced; none afterwards.
    sync_to: Option<i64>,
    /// Deletions before this are not told.
    deletions_after: i64,
    changes: VecDeque<(i64, Change)>,
    heartbeat_at: Instant,
    not_before: Instant,
}

impl Watch {
    /// Opens a watch.
    ///
    /// # Errors
    ///
    /// INVALID_ARGUMENT for a place of another catalogue, or that the clock has not
    /// come to.
    pub(crate) async fn open(sessions: Sessions, request: Request) -> Result<Self> {
        // Registered first, so that nothing published from here on is missed.
        let registration = sessions.hub().register(Scope::All);
        let Place { at: clock, catalogue } = sessions.database().clock().await?;
        if request.after.is_some_and(|after| after.catalogue != catalogue || after.at > clock) {
            return Err(Error::invalid(
                "cursor",
                "is not of this server's catalogue; begin anew without a cursor",
            ));
        }
        Ok(Self {
            registration,
            at: request.after.map_or(0, |after| after.at),
            catalogue,
            sync_to: Some(clock),
            deletions_after: request.after.map_or(clock, |after| after.at),
            changes: VecDeque::new(),
            heartbeat_at: Instant::now() + request.heartbeat,
            not_before: Instant::now(),
            request,
            sessions,
        })
    }

    /// What to tell next. It never ends by itself.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: a delivery that was read may be lost.
    ///
    /// # Errors
    ///
    /// SHUTTING_DOWN; INTERNAL when the database cannot be read.
    pub async fn next(&mut self) -> Result<Delivery> {
        let closing = self.sessions.closing().clone();
        let news = tokio::select! {
            biased;
            () = closing.cancelled() => return Err(Error::ShuttingDown { last_seq: None }),
            news = self.advance() => news?,
        };
        self.heartbeat_at = Instant::now() + self.request.heartbeat;
        Ok(Delivery { place: Place { at: self.at, catalogue: self.catalogue }, news })
    }

    async fn advance(&mut self) -> Result<News> {
        loop {
            if let Some(place) = self.sync_to
                && self.changes.front().is_some_and(|(at, _)| *at > place)
            {
                return Ok(self.synced(place));
            }
            if let Some((at, change)) = self.changes.pop_front() {
                self.at = at;
                match self.wanted(change) {
                    Some(news) => return Ok(news),
                    None => continue,
                }
            }
            self.changes = self.sessions.database().changes(self.at, PAGE).await?.into();
            if !self.changes.is_empty() {
                continue;
            }
            if let Some(place) = self.sync_to {
                return Ok(self.synced(place));
            }
            let heartbeat_at = self.heartbeat_at;
            tokio::select! {
                () = self.changed() => {}
                () = sleep_until(heartbeat_at) => return Ok(News::Heartbeat),
            }
        }
    }

    /// Everything up to `place` was told, or has moved behind it.
    fn synced(&mut self, place: i64) -> News {
        self.sync_to = None;
        self.at = self.at.max(place);
        News::Synced
    }

    fn wanted(&self, change: Change) -> Option<News> {
        let systems = self.request.include_system_owned;
        match change {
            Change::Session(session) => {
                (systems || !session.system_owned).then_some(News::Session(session))
            }
            Change::Deleted(tombstone) => (self.at > self.deletions_after
                && (systems || !tombstone.system_owned))
                .then_some(News::Deleted(tombstone)),
        }
    }

    /// Waits until something was published, and not too often.
    async fn changed(&mut self) {
        self.registration.wake().marked().await;
        sleep_until(self.not_before).await;
        self.registration.wake().take();
        self.not_before = Instant::now() + PACE;
    }
}
