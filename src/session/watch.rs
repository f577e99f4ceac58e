//! A subscriber: a cursor for each session that it watches.
//!
//! ```text
//!  open ──▶ headers ──▶ replay, session by session ──▶ synced ──▶ live ──▶ end
//! ```
//!
//! It pulls. Between two calls of [`Watch::next`] it holds no place in any
//! queue, so a subscriber that stops reading costs a cursor and the marks of
//! the sessions that have more for it. Which bytes a delivery becomes is the
//! wire's matter.

mod told;

use std::{
    collections::{HashMap, HashSet, VecDeque},
    time::Duration,
};

use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

pub(crate) use self::told::{Delivery, Header, LeftOut, Request, Start, Until};
use crate::{
    Error, Result,
    event::{EventKind, Kinds},
    id::{Seq, SessionId, TurnNumber},
    proto::event::Kind,
    row,
    session::{
        feed::{Feed, Now, Span},
        hub::{Attendance, Registration, Scope},
        registry::{Sessions, report},
    },
};

#[derive(Debug)]
struct Cursor {
    next: Seq,
    /// The `next` that a heartbeat last told.
    told: Seq,
    replay_to: Seq,
    end: End,
    /// A deleted session stays for those who have not read its last event.
    _attendance: Attendance,
}

/// When the watch is done with a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Never,
    /// After the event with which this turn comes to rest.
    AfterTurn(TurnNumber),
    /// After this event.
    At(Seq),
}

impl Cursor {
    fn is_done(&self) -> bool {
        matches!(self.end, End::At(last) if self.next > last)
    }

    /// Why a turn's events do not come behind those that are there: the log is
    /// damaged, and the turn goes on without it, or did.
    fn missed(&self, feed: &Feed) -> Option<String> {
        let problem = feed.closed()?;
        let is_waiting = matches!(self.end, End::AfterTurn(_));
        (is_waiting || feed.now().active.is_some()).then(|| problem.to_owned())
    }
}

#[derive(Debug)]
enum Phase {
    Headers(VecDeque<Header>),
    Replay,
    Live,
}

/// A watch that was opened.
#[derive(Debug)]
pub(crate) struct Watch {
    sessions: Sessions,
    registration: Registration,
    starts_field: &'static str,
    closing: CancellationToken,
    watches_all: bool,
    follow_new: bool,
    kinds: Kinds,
    heartbeat: Duration,
    heartbeat_at: Instant,
    until: Until,
    phase: Phase,
    cursors: HashMap<SessionId, Cursor>,
    /// Sessions that may have more, in turn.
    ready: VecDeque<SessionId>,
    /// Sessions that the watch goes on without. They are never begun again: their
    /// events would come twice.
    left_out: HashSet<SessionId>,
    /// Where sessions begin that are begun only when something happens in them; none
    /// where all were begun at once.
    later: Option<HashMap<SessionId, Seq>>,
    /// What is to be told of them.
    untold: VecDeque<LeftOut>,
    /// How many sessions the watch began with.
    names: usize,
    /// That the last of the watched sessions to go was deleted.
    deleted: Option<Error>,
}

impl Watch {
    /// Opens every session of the request and checks every cursor.
    ///
    /// # Errors
    ///
    /// SESSION_NOT_FOUND, INVALID_ARGUMENT for a cursor beyond the latest event
    /// or of another epoch, CURSOR_EXPIRED; INTERNAL when the log of the only
    /// session cannot be opened.
    pub(crate) async fn open(sessions: Sessions, request: Request) -> Result<Self> {
        // Registered first, so that nothing published from here on is missed.
        let registration = sessions.hub().register(request.scope.clone());
        let mut later = None;
        let ids = match &request.scope {
            Scope::Sessions(ids) => ids.clone(),
            Scope::All if request.lazily => {
                later = Some(from_now_on(&sessions).await?);
                Vec::new()
            }
            Scope::All => sessions.database().all_ids().await?,
        };
        let known: HashSet<_> = ids.iter().collect();
        let mut untold = VecDeque::new();
        for (unknown, start) in request.starts.iter().filter(|(id, _)| !known.contains(id)) {
            match sessions.session(*unknown).await {
                // It was made in this moment.
                Ok(_) => {}
                // Whoever comes back to all sessions cannot know that one has gone.
                Err(error @ Error::SessionDeleted { .. }) if request.scope == Scope::All => {
                    untold.push_back(LeftOut { id: *unknown, next: start.first(), error });
                }
                Err(error) => return Err(error),
            }
        }
        let mut watch = Self {
            closing: sessions.closing().clone(),
            registration,
            starts_field: request.starts_field,
            watches_all: request.scope == Scope::All,
            follow_new: request.scope == Scope::All && request.until == Until::Forever,
            kinds: request.kinds,
            heartbeat: request.heartbeat,
            heartbeat_at: Instant::now() + request.heartbeat,
            until: request.until,
            phase: Phase::Live,
            cursors: HashMap::with_capacity(ids.len()),
            ready: VecDeque::with_capacity(ids.len()),
            left_out: HashSet::new(),
            later,
            untold,
            names: ids.len(),
            deleted: None,
            sessions,
        };
        let mut headers = VecDeque::with_capacity(ids.len());
        for id in ids {
            let start = request.starts.get(&id).copied().unwrap_or(request.default_start);
            match watch.begin(id, start, request.epoch.as_deref()).await {
                Ok(header) => {
                    watch.ready.push_back(id);
                    headers.push_back(header);
                }
                // That it cannot be read must not keep the others from a client
                // that has a cursor of it.
                Err(error) if request.starts.contains_key(&id) && !is_damage(&error) => {
                    return Err(error);
                }
                Err(error) => watch.leave_out(id, start.first(), error)?,
            }
        }
        watch.phase = Phase::Headers(headers);
        Ok(watch)
    }

    /// What to tell next; `None` at the end of a watch that ends by itself.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: a delivery that was read may be lost. It is called by
    /// one stream that drops the watch when it stops.
    ///
    /// # Errors
    ///
    /// SHUTTING_DOWN with the last seq of a watch of one session; INTERNAL when
    /// a log cannot be read.
    pub(crate) async fn next(&mut self) -> Result<Option<Delivery>> {
        let closing = self.closing.clone();
        let delivery = tokio::select! {
            biased;
            () = closing.cancelled() => Err(Error::ShuttingDown { last_seq: self.only_seq() }),
            delivery = self.advance() => delivery,
        };
        // Also where the closing was met on the way.
        let delivery = match delivery {
            Err(Error::ShuttingDown { .. }) => {
                Err(Error::ShuttingDown { last_seq: self.only_seq() })
            }
            Ok(_) | Err(_) => delivery,
        };
        self.heartbeat_at = Instant::now() + self.heartbeat;
        delivery
    }

    async fn advance(&mut self) -> Result<Option<Delivery>> {
        loop {
            // After the headers, and not before a watch began.
            if !matches!(self.phase, Phase::Headers(_))
                && let Some(left_out) = self.untold.pop_front()
            {
                return Ok(Some(Delivery::LeftOut(left_out)));
            }
            match &mut self.phase {
                Phase::Headers(headers) => match headers.pop_front() {
                    Some(header) => return Ok(Some(Delivery::Header(Box::new(header)))),
                    None => self.phase = Phase::Replay,
                },
                Phase::Replay => {
                    let Some(id) = self.ready.front().copied() else {
                        self.phase = Phase::Live;
                        self.ready = self.cursors.keys().copied().collect();
                        // With nothing that was told to its end it is synced with nothing.
                        if !self.watches_all && self.left_out.len() >= self.names {
                            continue;
                        }
                        return Ok(Some(Delivery::Synced(None)));
                    };
                    let limit = self.cursors.get(&id).map_or(Seq::ZERO, |cursor| cursor.replay_to);
                    if let Some(span) = self.read(id, limit).await? {
                        if self.passes(&span) {
                            return Ok(Some(Delivery::Events(span)));
                        }
                    } else {
                        self.ready.pop_front();
                        if !self.left_out.contains(&id) {
                            return Ok(Some(Delivery::Synced(Some(id))));
                        }
                    }
                }
                Phase::Live => {
                    if let Some(end) = self.live().await? {
                        return Ok(end);
                    }
                }
            }
            if self.heartbeat_at <= Instant::now() {
                return Ok(Some(self.tell_progress()));
            }
        }
    }

    /// One step of the live phase: `Some` to return it.
    async fn live(&mut self) -> Result<Option<Option<Delivery>>> {
        while let Some(id) = self.ready.pop_front() {
            if !self.cursors.contains_key(&id) {
                if !self.follow_new || self.left_out.contains(&id) {
                    continue;
                }
                // Everything of a session that is new to the watch is after it.
                let later = self.later.as_mut().and_then(|later| later.remove(&id));
                let start = later.map_or(Start::At(Seq::FIRST), |seq| Start::Near(seq.next()));
                match self.begin(id, start, None).await {
                    Ok(header) => {
                        self.ready.push_back(id);
                        return Ok(Some(Some(Delivery::Header(Box::new(header)))));
                    }
                    Err(error) => {
                        self.leave_out(id, start.first(), error)?;
                        continue;
                    }
                }
            }
            if let Some(span) = self.read(id, Seq(u64::MAX)).await? {
                self.ready.push_back(id);
                return Ok(self.passes(&span).then_some(Some(Delivery::Events(span))));
            }
        }
        if !self.untold.is_empty() {
            return Ok(None);
        }
        // Before the watch ends by itself: there may be nothing left to end with.
        if self.cursors.is_empty()
            && !self.watches_all
            && let Some(deleted) = self.deleted.take()
        {
            return Err(deleted);
        }
        if self.until == Until::EndOfTurns && self.cursors.values().all(Cursor::is_done) {
            return Ok(Some(None));
        }
        tokio::select! {
            marked = self.registration.wake().marked() => self.ready.extend(marked),
            () = sleep_until(self.heartbeat_at) => return Ok(Some(Some(self.tell_progress()))),
        }
        Ok(None)
    }

    /// Goes on without a session whose events cannot be read from `next` on, where
    /// there are others; or, where all are watched, without one that came to
    /// nothing while it was created.
    fn leave_out(&mut self, id: SessionId, next: Seq, error: Error) -> Result<()> {
        let is_gone = matches!(error, Error::SessionNotFound { .. } | Error::SessionDeleted { .. });
        if self.watches_all && is_gone {
            self.cursors.remove(&id);
            // Whoever began with all that were there was told nothing of it yet.
            if self.later.is_some() && matches!(error, Error::SessionDeleted { .. }) {
                self.tell_gone(id, next, error);
            }
            return Ok(());
        }
        let is_last = !self.watches_all && self.left_out.len() + 1 >= self.names;
        if is_last || !is_damage(&error) {
            return Err(error);
        }
        if let Error::Internal(source) = &error {
            tracing::error!(session = %id, error = %report(&**source), "a watch goes on without a session");
        }
        self.cursors.remove(&id);
        self.left_out.insert(id);
        self.untold.push_back(LeftOut { id, next, error });
        Ok(())
    }

    /// Tells that a session was deleted, where its last event cannot be told: it was
    /// not begun, or was not read to its end in time.
    fn tell_gone(&mut self, id: SessionId, next: Seq, error: Error) {
        if self.left_out.insert(id) {
            self.untold.push_back(LeftOut { id, next, error });
        }
    }

    /// Puts a cursor into a session.
    async fn begin(
        &mut self,
        id: SessionId,
        start: Start,
        expected: Option<&str>,
    ) -> Result<Header> {
        let feed = self.sessions.feed(id).await?;
        feed.check_epoch(expected)?;
        let (oldest, epoch, Now { latest, active }) = (feed.oldest(), feed.epoch(), feed.now());
        // Read after the latest seq: the row follows all events up to it, and
        // may be ahead of them.
        let session = self.sessions.session(id).await?;
        let next = match start {
            Start::Now => latest.next(),
            Start::Beginning => oldest,
            Start::At(seq) if seq > latest.next() => {
                return Err(Error::invalid(
                    self.starts_field,
                    format!(
                        "{seq} is beyond the next event of session {id}, which is {}",
                        latest.next()
                    ),
                ));
            }
            Start::At(seq) if seq < oldest => {
                return Err(Error::CursorExpired { requested: seq, oldest });
            }
            Start::At(seq) => seq,
            Start::Near(seq) => seq.min(latest.next()).max(oldest),
        };
        let end = match (self.until, active) {
            (Until::Forever, _) => End::Never,
            (Until::EndOfTurns, Some(turn)) => End::AfterTurn(turn),
            (Until::EndOfTurns, None) => End::At(latest),
        };
        let attendance = self.sessions.hub().attend(id);
        let cursor = Cursor { next, told: next, replay_to: latest, end, _attendance: attendance };
        self.cursors.insert(id, cursor);
        Ok(Header { session, oldest, latest, epoch, start: next })
    }

    /// Reads on in one session, up to `limit` and not past the end of the turn
    /// that the watch ends with.
    async fn read(&mut self, id: SessionId, limit: Seq) -> Result<Option<Span>> {
        let Some(cursor) = self.cursors.get_mut(&id) else { return Ok(None) };
        let limit = match cursor.end {
            End::At(last) => limit.min(last),
            End::Never | End::AfterTurn(_) => limit,
        };
        if cursor.next > limit {
            return Ok(None);
        }
        let next = cursor.next;
        let (found, feed, missed) = match self.sessions.feed_to_its_end(id).await {
            Ok(feed) => {
                // Before the read: to what is closed nothing is added.
                let missed = cursor.missed(&feed);
                (self.sessions.read(id, &feed, next).await, Some(feed), missed)
            }
            Err(error) => (Err(error), None, None),
        };
        let mut span = match found {
            Ok(Some(span)) => span,
            Ok(None) => {
                if let Some(problem) = missed {
                    self.leave_out(id, next, Error::SessionReadOnly { id, problem })?;
                }
                return Ok(None);
            }
            // It is too late to read to the end.
            Err(Error::SessionDeleted { id, title, delete_time }) => {
                let deleted = || Error::SessionDeleted { id, title: title.clone(), delete_time };
                self.cursors.remove(&id);
                if !self.watches_all {
                    self.deleted = Some(deleted());
                }
                if self.watches_all || self.names > 1 {
                    self.tell_gone(id, next, deleted());
                } else {
                    // The watch ends with the error.
                    self.left_out.insert(id);
                }
                return Ok(None);
            }
            Err(error) => return self.leave_out(id, next, error).map(|()| None),
        };
        let Some(cursor) = self.cursors.get_mut(&id) else { return Ok(None) };
        span.to = span.to.min(limit);
        if let End::AfterTurn(turn) = cursor.end
            && let Some(last) = end_of_turn(&span, turn)?
        {
            span.to = last;
            cursor.end = End::At(last);
        }
        cursor.next = span.to.next();
        let is_last = span.entries().any(|entry| entry.kind == EventKind::SessionDeleted as u8);
        if is_last && let Some(tombstone) = feed.as_ref().and_then(|feed| feed.tombstone()) {
            self.cursors.remove(&id);
            if self.later.is_some() {
                // It was told.
                self.left_out.insert(id);
            }
            self.deleted = Some(tombstone.into());
        }
        Ok(Some(span))
    }

    fn passes(&self, span: &Span) -> bool {
        self.kinds.is_all() || span.entries().any(|frame| self.kinds.contains(frame.kind))
    }

    fn tell_progress(&mut self) -> Delivery {
        let moved = self.cursors.iter_mut().filter(|(_, cursor)| cursor.told != cursor.next);
        Delivery::Heartbeat(
            moved
                .map(|(id, cursor)| {
                    cursor.told = cursor.next;
                    (*id, Seq(cursor.next.0 - 1))
                })
                .collect(),
        )
    }

    /// The last seq of a watch of one session.
    fn only_seq(&self) -> Option<Seq> {
        let mut cursors = self.cursors.values();
        match (cursors.next(), cursors.next()) {
            (Some(cursor), None) => Some(Seq(cursor.next.0 - 1)),
            (None, _) | (Some(_), Some(_)) => None,
        }
    }
}

/// The latest event of each session.
async fn from_now_on(sessions: &Sessions) -> Result<HashMap<SessionId, Seq>> {
    let mut latest = sessions.database().applied_seqs().await?;
    for (id, seq) in &mut latest {
        // While a turn runs, its row stays behind what is shown of it. One that is
        // at rest may have no owner, and its row is up to date.
        if let Some(shown) = sessions.shown(*id).filter(|shown| *shown > Seq::ZERO) {
            *seq = shown;
        }
    }
    Ok(latest)
}

/// Whether it says that the events of one session cannot be read, or do not come.
fn is_damage(error: &Error) -> bool {
    matches!(
        error,
        Error::Internal(_) | Error::EventsDamaged { .. } | Error::SessionReadOnly { .. }
    )
}

/// The event of the span with which the turn came to rest.
fn end_of_turn(span: &Span, turn: TurnNumber) -> Result<Option<Seq>> {
    for frame in span.entries() {
        if frame.turn != turn.0 || frame.kind != EventKind::StateChanged as u8 {
            continue;
        }
        if let Some(Kind::StateChanged(changed)) = crate::event::decode_frame(&frame.frame)?.kind
            && row::is_at_rest(changed.state())
        {
            return Ok(Some(frame.seq));
        }
    }
    Ok(None)
}
