//! A session as people read it: what was said in it, and what happened step by
//! step, from its event log.
//!
//! ```text
//!  log ──▶ feed ──▶ fold ──▶ step ──▶ message ──▶ cut ──▶ page
//!                    pure     pure     pure        pure
//! ```
//!
//! What is pure is in modules of its own, and so is what reads ([`source`]). A
//! page is bounded by count, by bytes and by what is read for it, and nothing is
//! kept from one page to the next but a [`Place`], which its reader holds.
//!
//! Called by `app`.

mod cut;
mod fold;
mod message;
mod source;
mod step;
#[cfg(test)]
mod tests;

pub(crate) use self::{cut::Entry, fold::Place};
use self::{
    fold::{Fold, Found, Made},
    source::Source,
};
use crate::{
    Error, Result, agent, event,
    id::{Seq, SessionId, TurnNumber},
    proto::{Event, Step, event::Kind},
    session::registry::Sessions,
};

/// What an entry adds in a list to its own encoded size, at most: its tag and
/// its length.
const LIST_OVERHEAD_BYTES: usize = 16;

/// What a page takes beside its entries, at most.
const PAGE_OVERHEAD_BYTES: usize = 256;
/// How much is read for one page, so that a page that finds little ends too.
const MAX_SCANNED_BYTES: usize = 64 << 20;

/// What to read.
#[derive(Debug, Clone)]
pub(crate) struct Query {
    /// Of which session.
    pub session: SessionId,
    /// Only of this turn.
    pub turn: Option<TurnNumber>,
    /// How many entries at most.
    pub count: usize,
    /// How many bytes at most.
    pub bytes: usize,
    /// Where to go on; none to begin.
    pub place: Option<Place>,
    /// How many characters of each text; none for all.
    pub characters: Option<usize>,
}

/// What was read.
#[derive(Debug)]
pub(crate) struct Page<E> {
    /// In order.
    pub entries: Vec<E>,
    /// Where the next page begins, where there is one.
    pub next: Option<Place>,
    /// The oldest event that the log has.
    pub oldest: Seq,
    /// The latest that was looked at.
    pub latest: Seq,
}

/// Reads a page.
///
/// # Errors
///
/// SESSION_NOT_FOUND, SESSION_DELETED, TURN_NOT_FOUND, SHUTTING_DOWN; INTERNAL
/// where the log cannot be read at its beginning.
pub(crate) async fn read<E: Entry>(sessions: &Sessions, query: &Query) -> Result<Page<E>> {
    let feed = sessions.feed(query.session).await?;
    let latest = feed.now().latest;
    // Read after the latest seq: the row follows all events up to it.
    let session = sessions.session(query.session).await?;
    let turn_count = session.turn_count();
    if let Some(turn) = query.turn.filter(|turn| turn.0 > turn_count) {
        return Err(Error::TurnNotFound { session: session.id, turn, turn_count });
    }
    let reading = Reading {
        source: Source {
            feed,
            latest,
            agent: agent::Kind::parse(&session.agent)?,
            turns: sessions.directory(session.id).turns(),
        },
        query,
    };
    let page =
        Page { entries: Vec::new(), next: None, oldest: reading.source.feed.oldest(), latest };
    match reading.fill(page).await {
        Err(error) => Err(reading.source.feed.tombstone().map_or(error, Into::into)),
        page => page,
    }
}

/// What is read from, for one page.
struct Reading<'a> {
    source: Source,
    query: &'a Query,
}

/// What became of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Put {
    /// What it gives is on the page, if it gives anything.
    OnPage,
    PageIsFull,
}

impl Reading<'_> {
    async fn fill<E: Entry>(&self, mut page: Page<E>) -> Result<Page<E>> {
        let mut fold = Fold::at(self.begin(page.oldest).await?);
        let begin = fold.place();
        let (mut room, mut scanned) = (self.room(), 0);
        while fold.place().after < self.source.latest {
            let span = match self.source.from(fold.place().after.next()).await {
                Ok(span) => span,
                Err(Error::CursorExpired { oldest, .. }) => {
                    fold.jump(Seq(oldest.0 - 1));
                    page.oldest = oldest;
                    continue;
                }
                // Damage: what is before it can be had, and the next page says it.
                Err(_) if fold.place() != begin => {
                    page.next = Some(fold.place());
                    return Ok(page);
                }
                Err(error) => return Err(error),
            };
            for entry in span.entries().take_while(|entry| entry.seq <= self.source.latest) {
                if self.query.turn.is_some_and(|turn| entry.turn > turn.0) {
                    return Ok(page);
                }
                scanned += entry.frame.len();
                let event = event::decode_frame(&entry.frame)?;
                if fold.must_know(&event) {
                    fold.know(self.source.open_items(fold.place()).await?);
                }
                let before = fold.place();
                let found = fold.push(&event);
                for (nth, found) in (0..).zip(&found).skip(before.skip as usize) {
                    if self.query.turn.is_some_and(|turn| turn.0 != found.turn) {
                        continue;
                    }
                    let step = self.step(found, &event).await?;
                    if self.put(&mut page, &mut room, step) == Put::PageIsFull {
                        page.next = Some(Place { skip: nth, ..before });
                        return Ok(page);
                    }
                }
            }
            if scanned > MAX_SCANNED_BYTES && fold.place().after < self.source.latest {
                page.next = Some(fold.place());
                return Ok(page);
            }
            tokio::task::yield_now().await;
        }
        self.fill_with_open(page, room, fold).await
    }

    /// Adds what is open at the latest event.
    async fn fill_with_open<E: Entry>(
        &self,
        mut page: Page<E>,
        mut room: usize,
        mut fold: Fold,
    ) -> Result<Page<E>> {
        let place = fold.place();
        if fold.open().is_none() {
            fold.know(self.source.open_items(place).await?);
        }
        let open = fold.open().unwrap_or_default();
        for (nth, found) in (0..).zip(&open).skip(place.open as usize) {
            let Made::Open(seq) = found.made else { continue };
            let step = self.whole_step(found, &self.source.event(seq).await?).await?;
            if self.put(&mut page, &mut room, step) == Put::PageIsFull {
                page.next = Some(Place { open: nth, ..place });
                return Ok(page);
            }
        }
        Ok(page)
    }

    /// Where to begin: at the place that was given, or before the first event of
    /// the turn.
    async fn begin(&self, oldest: Seq) -> Result<Place> {
        let gone = Seq(oldest.0 - 1);
        let mut place = match (self.query.place, self.query.turn) {
            (Some(place), _) => place,
            (None, Some(turn)) => {
                let first = self.source.first_of_turn(turn, oldest).await?;
                Place { after: Seq(first.0 - 1), ..Place::default() }
            }
            (None, None) => Place::default(),
        };
        if place.after > self.source.latest {
            return Err(Error::invalid("page_token", "is beyond the latest event of the session"));
        }
        if place.after < gone {
            place = Place { after: gone, skip: 0, ..place };
        }
        Ok(place)
    }

    /// Puts what a step gives on the page, if there is room.
    fn put<E: Entry>(&self, page: &mut Page<E>, room: &mut usize, step: Step) -> Put {
        let Some(mut entry) = E::of(step) else { return Put::OnPage };
        if page.entries.len() >= self.query.count {
            return Put::PageIsFull;
        }
        if let Some(characters) = self.query.characters {
            cut::to_characters(&mut entry, characters);
        }
        if page.entries.is_empty() {
            cut::to_bytes(&mut entry, room.saturating_sub(LIST_OVERHEAD_BYTES));
        }
        let size = entry.encoded_len() + LIST_OVERHEAD_BYTES;
        let Some(left) = room.checked_sub(size) else { return Put::PageIsFull };
        *room = left;
        page.entries.push(entry);
        Put::OnPage
    }

    async fn step(&self, found: &Found, event: &Event) -> Result<Step> {
        match found.made {
            Made::Prompt => {
                let prompt = self.source.prompt(TurnNumber(found.turn)).await?;
                let prompt = match &event.kind {
                    // Somebody took the file away; this is its head.
                    Some(Kind::TurnSpawned(spawned)) if prompt.is_empty() => spawned.prompt.clone(),
                    _ => prompt,
                };
                Ok(step::prompt(event, found, prompt))
            }
            Made::Event => self.whole_step(found, event).await,
            Made::Open(seq) => {
                let event = self.source.event(seq).await?;
                self.whole_step(found, &event).await
            }
        }
    }

    /// The step of an event, and where the log holds only the head of its line,
    /// of the line as the agent printed it.
    async fn whole_step(&self, found: &Found, event: &Event) -> Result<Step> {
        if event.elided.is_none() {
            return Ok(step::of_event(event, found));
        }
        if let Some(whole) = self.source.reread(event).await? {
            return Ok(step::of_event(&whole, found));
        }
        let mut step = step::of_event(event, found);
        step.texts().into_iter().for_each(|text| text.truncated = true);
        Ok(step)
    }

    fn room(&self) -> usize {
        self.query.bytes.saturating_sub(PAGE_OVERHEAD_BYTES)
    }
}
