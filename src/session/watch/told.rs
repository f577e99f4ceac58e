//! What a watch is asked for, and what it tells.

use std::{collections::HashMap, time::Duration};

use crate::{
    Error,
    event::Kinds,
    id::{Seq, SessionId},
    proto,
    row::Session,
    session::{feed::Span, hub::Scope},
    store::log::Epoch,
};

/// Where a watch begins in one session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Start {
    /// After the latest event.
    Now,
    /// At the oldest event that is there.
    Beginning,
    /// At this event.
    At(Seq),
    /// At this event, or at the nearest that there is.
    Near(Seq),
}

impl Start {
    /// The first event, where that is known before the log is opened.
    pub(super) fn first(self) -> Seq {
        match self {
            Self::Now => Seq::ZERO,
            Self::Beginning => Seq::FIRST,
            Self::At(seq) | Self::Near(seq) => seq,
        }
    }
}

/// When a watch ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Until {
    /// Never.
    Forever,
    /// After the events of the turns that run when it begins.
    EndOfTurns,
}

/// What to watch.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// Which sessions.
    pub scope: Scope,
    /// Where to begin in some of them.
    pub starts: HashMap<SessionId, Start>,
    /// The field that `starts` came from, for errors.
    pub starts_field: &'static str,
    /// Where to begin in the others.
    pub default_start: Start,
    /// Whether sessions are begun only when something happens in them, for a watch
    /// of all from now on. It is told in any case which are deleted.
    pub lazily: bool,
    /// What the epoch of the one watched log must be.
    pub epoch: Option<String>,
    /// Which events to deliver.
    pub kinds: Kinds,
    /// The longest silence.
    pub heartbeat: Duration,
    /// When to end.
    pub until: Until,
}

/// One thing to tell the subscriber.
#[derive(Debug)]
pub(crate) enum Delivery {
    /// The first thing about a session.
    Header(Box<Header>),
    /// Events; those that the filter leaves out are still among them.
    Events(Span),
    /// All that was there at the time of the call was delivered.
    Synced(Option<SessionId>),
    /// How far each session has got that moved since it was last told.
    Heartbeat(Vec<(SessionId, Seq)>),
    /// Nothing more comes of a session.
    LeftOut(LeftOut),
}

/// A session that a watch goes on without.
#[derive(Debug)]
pub(crate) struct LeftOut {
    /// Which.
    pub id: SessionId,
    /// The first event that is not delivered; [`Seq::ZERO`] where it is not known.
    pub next: Seq,
    /// Why.
    pub error: Error,
}

/// What a subscriber gets to know of a session before its events.
#[derive(Debug)]
pub(crate) struct Header {
    /// The session as it is.
    pub session: Session,
    /// The oldest event that the log has.
    pub oldest: Seq,
    /// The latest event.
    pub latest: Seq,
    /// The log's incarnation.
    pub epoch: Epoch,
    /// The first event that will be delivered.
    pub start: Seq,
}

impl From<&Header> for proto::WatchHeader {
    fn from(header: &Header) -> Self {
        let Header { session, oldest, latest, epoch, start } = header;
        Self {
            session: Some(session.into()),
            oldest_seq: oldest.0,
            latest_seq: latest.0,
            epoch: epoch.to_string(),
            start_seq: start.0,
        }
    }
}
