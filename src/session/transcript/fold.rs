//! Which steps a session's events make, one event after the other.
//!
//! ```text
//!  first event of a turn ──▶ the prompt
//!  item.started ──▶ open ──▶ item.completed ──▶ a step
//!                    └────▶ the turn's end ──▶ a step as it was last
//! ```
//!
//! A step is where the thing was complete, so that it never changes its place or
//! its number. Pure: it reads nothing, and says by seq what has to be read. What
//! it must know to go on after a page is in a [`Place`] of fixed size, the open
//! items aside, which can be found again in the events of the turn.

use prost::Message as _;

use crate::{
    id::Seq,
    proto::{self, Event, SessionState, StateReason, event::Kind, item::Details},
    row,
};

/// The most items of a turn that are open at once and known to be so; codex has
/// a few. Others are told when they are complete.
const MAX_OPEN: usize = 256;

/// A place among a session's steps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Place {
    /// The last event that is behind it.
    pub after: Seq,
    /// How many steps of the event after that are behind it too.
    pub skip: u32,
    /// The turn of the events before it; 0 for none.
    pub turn: u32,
    /// The first event of that turn.
    pub first: Seq,
    /// How many steps of that turn there were up to `after`.
    pub steps: u32,
    /// Tells the turn's plan from others; 0 for none.
    pub plan: u32,
    /// How many of the items that are open at the latest event were told.
    pub open: u32,
}

/// A step, and what it is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Found {
    /// The turn that it belongs to; 0 for none.
    pub turn: u32,
    /// Its number in the turn; 0 without one.
    pub step: u32,
    /// What it is made of.
    pub made: Made,
}

/// What a step is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Made {
    /// The prompt of its turn.
    Prompt,
    /// The event.
    Event,
    /// This earlier event, the last of an item that was never complete.
    Open(Seq),
}

/// The items of a turn that began and are not complete, in the order in which
/// they began, each with its last event.
#[derive(Debug, Clone, Default)]
pub(crate) struct OpenItems(Vec<(String, Seq)>);

impl OpenItems {
    /// Follows one event of the turn.
    pub(crate) fn follow(&mut self, event: &Event) {
        match &event.kind {
            Some(
                Kind::ItemStarted(proto::ItemStarted { item: Some(item) })
                | Kind::ItemUpdated(proto::ItemUpdated { item: Some(item) }),
            ) if !is_plan(item) => {
                let seq = Seq(event.seq);
                if let Some((_, last)) = self.0.iter_mut().find(|(id, _)| *id == item.id) {
                    *last = seq;
                } else if self.0.len() < MAX_OPEN {
                    self.0.push((item.id.clone(), seq));
                }
            }
            Some(Kind::ItemCompleted(proto::ItemCompleted { item: Some(item) })) => {
                self.0.retain(|(id, _)| *id != item.id);
            }
            _ if ends_turn(event) => self.0.clear(),
            _ => {}
        }
    }

    /// The last event of each.
    pub(crate) fn seqs(&self) -> impl Iterator<Item = Seq> + '_ {
        self.0.iter().map(|(_, seq)| *seq)
    }
}

/// Finds the steps in events that come in order.
#[derive(Debug)]
pub(crate) struct Fold {
    place: Place,
    /// None where the beginning of the turn was not seen.
    open: Option<OpenItems>,
}

impl Fold {
    /// At a place that an earlier fold came to, or at the default one to begin.
    pub(crate) fn at(place: Place) -> Self {
        let open = (place.turn == 0).then(OpenItems::default);
        Self { place, open }
    }

    /// Where it is.
    pub(crate) fn place(&self) -> Place {
        self.place
    }

    /// Goes on after this event: those before it are gone, or of no interest.
    pub(crate) fn jump(&mut self, after: Seq) {
        self.place = Place { after, skip: 0, open: 0, ..self.place };
    }

    /// Whether the open items have to be told by [`know`](Self::know) before this
    /// event is pushed.
    pub(crate) fn must_know(&self, event: &Event) -> bool {
        self.open.is_none() && event.turn == self.place.turn && ends_turn(event)
    }

    /// Tells the open items of the turn, where their beginning was not seen.
    pub(crate) fn know(&mut self, open: OpenItems) {
        self.open = Some(open);
    }

    /// The items that are open where it is, as steps; none where they are not known.
    pub(crate) fn open(&self) -> Option<Vec<Found>> {
        let open = self.open.as_ref()?;
        let found = |(step, seq)| Found { turn: self.place.turn, step, made: Made::Open(seq) };
        Some((self.place.steps + 1..).zip(open.seqs()).map(found).collect())
    }

    /// Takes the next event and says which steps it makes, in order.
    pub(crate) fn push(&mut self, event: &Event) -> Vec<Found> {
        let mut found = Vec::new();
        if event.turn > self.place.turn {
            let (turn, first) = (event.turn, Seq(event.seq));
            self.place = Place { turn, first, ..Place::default() };
            self.open = Some(OpenItems::default());
            found.push(Made::Prompt);
        }
        if ends_turn(event)
            && let Some(open) = &self.open
        {
            found.extend(open.seqs().map(Made::Open));
        }
        if self.makes_step(event) {
            found.push(Made::Event);
        }
        if let Some(open) = &mut self.open {
            open.follow(event);
        }
        self.place.after = Seq(event.seq);
        (self.place.skip, self.place.open) = (0, 0);
        let numbered = |made| {
            // What the server says outside of turns has no number.
            if event.turn != 0 {
                self.place.steps += 1;
            }
            let step = if event.turn == 0 { 0 } else { self.place.steps };
            Found { turn: event.turn, step, made }
        };
        found.into_iter().map(numbered).collect()
    }

    /// Whether an event by itself is a step.
    fn makes_step(&mut self, event: &Event) -> bool {
        let Some(kind) = &event.kind else { return true };
        match kind {
            Kind::ItemStarted(proto::ItemStarted { item })
            | Kind::ItemUpdated(proto::ItemUpdated { item }) => {
                item.as_ref().is_some_and(is_plan) && self.is_new_plan(item.as_ref())
            }
            Kind::ItemCompleted(proto::ItemCompleted { item }) => {
                !item.as_ref().is_some_and(is_plan) || self.is_new_plan(item.as_ref())
            }
            Kind::TurnFailed(_)
            | Kind::Error(_)
            | Kind::Warning(_)
            | Kind::Unknown(_)
            | Kind::InvalidLine(_) => true,
            // What the agent itself said of it is an event of its own.
            Kind::StateChanged(changed) => {
                changed.state() == SessionState::Failed
                    && changed.reason() != StateReason::AgentError
            }
            Kind::ThreadStarted(_)
            | Kind::TurnStarted(_)
            | Kind::TurnCompleted(_)
            | Kind::SessionCreated(_)
            | Kind::TurnSpawned(_)
            | Kind::TurnExited(_)
            | Kind::SessionUpdated(_)
            | Kind::SessionDeleted(_)
            | Kind::SettingsChanged(_)
            | Kind::ControlsChanged(_) => false,
        }
    }

    /// Whether a plan differs from the one before: at the end of a turn codex gives
    /// the last one again.
    fn is_new_plan(&mut self, item: Option<&proto::Item>) -> bool {
        let Some(Details::TodoList(list)) = item.and_then(|item| item.details.as_ref()) else {
            return false;
        };
        let plan = crc32c::crc32c(&list.encode_to_vec()).max(1);
        std::mem::replace(&mut self.place.plan, plan) != plan
    }
}

fn is_plan(item: &proto::Item) -> bool {
    matches!(item.details, Some(Details::TodoList(_)))
}

/// Whether a turn comes to rest with this event.
fn ends_turn(event: &Event) -> bool {
    matches!(&event.kind, Some(Kind::StateChanged(changed)) if row::is_at_rest(changed.state()))
}
