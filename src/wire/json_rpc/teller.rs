//! Subscriptions: what is watched, as notifications that each carry an array of
//! messages.
//!
//! ```text
//!  {"jsonrpc": "2.0", "method": "events/messages", "params": {
//!      "subscription": "…", "result": {"messages": [{"header": …}, {"event": …}]}}}
//!
//!  the last one, unless the client ended it:
//!      "result": {"messages": [], "closed": {"reason": "END", "lastSeqs": {"…": "7"}}}
//! ```
//!
//! A subscriber stays a cursor: what comes next is put together when the connection
//! has a place for it. The connection has a few of them for all its subscriptions
//! together, in the order in which they ask, so that one which is not read keeps no
//! answer waiting longer than those few.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use futures_util::{FutureExt as _, StreamExt as _, stream::BoxStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use uuid::Uuid;

use super::{error, frames::Frame, link::Link};
use crate::{
    Error, Result,
    config::JsonRpcConfig,
    json::Json,
    wire::{error::row, transcode},
};

/// The most bytes of what is around the messages of a notification.
const ENVELOPE: usize = 256;

/// What is around an event in a message.
const NAMED: &str = "{\"event\":}";

/// Of how many sessions the last notification says how far they were told.
const MAX_LAST_SEQS: usize = 1_000;

/// The messages of one watch, and how many bytes one notification may have.
pub(super) struct Messages {
    pub stream: BoxStream<'static, Result<Next>>,
    pub most_bytes: usize,
}

/// What comes next.
pub(super) enum Next {
    /// An event as the log has it: it becomes a text when there is room for it.
    Event(Bytes),
    /// A message that is none.
    Text(String, Vec<Place>),
    /// No message: the watch is past this.
    Past(Place),
}

/// A subscription that begins when its answer stands in the line.
pub(super) struct Begun {
    /// Its id.
    pub id: String,
    /// Begins it.
    pub then: oneshot::Sender<()>,
}

/// Where a watch can be resumed.
pub(super) enum Place {
    /// In one session of several.
    Seq { session: String, seq: u64 },
    /// By this field, such as a cursor.
    At(&'static str, Json),
}

/// Where a watch has come to.
#[derive(Default)]
struct Places {
    last_seqs: BTreeMap<String, u64>,
    at: Option<(&'static str, Json)>,
}

impl Places {
    fn pass(&mut self, place: Place) {
        match place {
            Place::Seq { session, seq } => {
                let last = self.last_seqs.entry(session).or_default();
                *last = seq.max(*last);
            }
            Place::At(name, value) => self.at = Some((name, value)),
        }
    }
}

/// Begins a subscription, whose permit is `held` as long as it lasts.
pub(super) fn begin(
    link: &Arc<Link>,
    method: &'static str,
    notification: &'static str,
    messages: Messages,
    held: OwnedSemaphorePermit,
) -> Begun {
    let id = Uuid::new_v4().simple().to_string();
    let (then, begun) = oneshot::channel();
    let teller = Teller { link: Arc::clone(link), id: id.clone(), notification };
    let task = link.tasks().spawn(async move {
        let _held = held;
        if begun.await.is_ok() {
            let gone = teller.link.gone();
            let _ = gone.run_until_cancelled(teller.tell(messages)).await;
        }
        teller.link.forget(&teller.id);
    });
    link.keep(&id, method, task);
    Begun { id, then }
}

/// Tells one subscription.
struct Teller {
    link: Arc<Link>,
    id: String,
    notification: &'static str,
}

/// What one notification has in it.
#[derive(Default)]
struct Batch {
    texts: String,
    /// How all ends, where it does.
    end: Option<Option<Error>>,
}

impl Teller {
    /// Sends what is told until it ends, or until nobody is there any more.
    async fn tell(&self, messages: Messages) {
        let Messages { mut stream, most_bytes } = messages;
        let own = Arc::new(Semaphore::new(JsonRpcConfig::MAX_UNSENT_OF_SUBSCRIPTION as usize));
        let most = most_bytes.saturating_sub(ENVELOPE);
        let mut places = Places::default();
        let mut left = None;
        loop {
            let first = match left.take() {
                Some(first) => Some(Ok(first)),
                None => stream.next().await,
            };
            // Nothing is made before there is a place and room for it.
            let Ok(own) = Arc::clone(&own).acquire_owned().await else { return };
            let Ok(place) = self.link.place().await else { return };
            let Ok(mut room) = self.link.room().take(most_bytes).await else { return };
            let batch;
            (batch, left) = gather(&mut stream, first, most, &mut places);
            let closed = batch.end.as_ref().map(|error| closed(error.as_ref(), &places));
            let mut held = vec![own, place];
            let mut texts = batch.texts;
            if let Some(closed) = closed {
                // What is long goes alone.
                if !texts.is_empty() && texts.len() + closed.len() > most {
                    let text = self.notification(&std::mem::take(&mut texts), None);
                    if !self.send(text, std::mem::take(&mut held), room).await {
                        return;
                    }
                    let Ok(another) = self.link.room().take(closed.len()).await else { return };
                    room = another;
                }
                self.link.forget(&self.id);
                self.send(self.notification(&texts, Some(&closed)), held, room).await;
                return;
            }
            if texts.is_empty() {
                continue;
            }
            if !self.send(self.notification(&texts, None), held, room).await {
                return;
            }
        }
    }

    /// Puts a notification into the line, with no more room than it needs; says whether
    /// it stands there.
    async fn send(
        &self,
        text: String,
        mut held: Vec<OwnedSemaphorePermit>,
        room: OwnedSemaphorePermit,
    ) -> bool {
        let Ok(room) = self.link.room().fit(room, text.len()).await else { return false };
        held.push(room);
        self.link.send(Frame::text(text, held)).await
    }

    fn notification(&self, texts: &str, closed: Option<&str>) -> String {
        let Self { link: _, id, notification } = self;
        let mut text = String::with_capacity(texts.len() + ENVELOPE);
        for part in [
            "{\"jsonrpc\":\"2.0\",\"method\":\"",
            notification,
            "\",\"params\":{\"subscription\":\"",
            id,
            "\",\"result\":{\"messages\":[",
            texts,
            "]",
            if closed.is_some() { ",\"closed\":" } else { "" },
            closed.unwrap_or_default(),
            "}}}",
        ] {
            text.push_str(part);
        }
        text
    }
}

/// Takes what is there, as far as it fits in `most` bytes; gives back what does not.
fn gather(
    stream: &mut BoxStream<'static, Result<Next>>,
    first: Option<Result<Next>>,
    most: usize,
    places: &mut Places,
) -> (Batch, Option<Next>) {
    let mut batch = Batch::default();
    let mut next = first;
    loop {
        let (text, passed) = match next {
            Some(Ok(Next::Past(place))) => (String::new(), vec![place]),
            Some(Ok(Next::Text(text, passed))) => {
                if !batch.texts.is_empty() && batch.texts.len() + text.len() >= most {
                    return (batch, Some(Next::Text(text, passed)));
                }
                (text, passed)
            }
            Some(Ok(Next::Event(frame))) => {
                // Its JSON is hardly ever shorter than what the log has.
                let is_full = |bytes| !batch.texts.is_empty() && batch.texts.len() + bytes >= most;
                if is_full(frame.len()) {
                    return (batch, Some(Next::Event(frame)));
                }
                match event_within(&frame, most) {
                    Ok((text, _)) if is_full(text.len()) => {
                        return (batch, Some(Next::Event(frame)));
                    }
                    Ok((text, place)) => (text, vec![place]),
                    Err(error) => {
                        batch.end = Some(Some(error));
                        return (batch, None);
                    }
                }
            }
            Some(Err(error)) => {
                batch.end = Some(Some(error));
                return (batch, None);
            }
            None => {
                batch.end = Some(None);
                return (batch, None);
            }
        };
        if !text.is_empty() {
            if !batch.texts.is_empty() {
                batch.texts.push(',');
            }
            batch.texts.push_str(&text);
        }
        passed.into_iter().for_each(|place| places.pass(place));
        // What is there goes at once; what is not is not waited for.
        match stream.next().now_or_never() {
            Some(more) => next = more,
            None => return (batch, None),
        }
    }
}

/// Why nothing more comes, and where to go on.
fn closed(error: Option<&Error>, places: &Places) -> String {
    let mut closed = vec![("reason", error.map_or("END", |error| row(error).reason).into())];
    // Of more of them a client knows it by their events.
    if (1..=MAX_LAST_SEQS).contains(&places.last_seqs.len()) {
        let seqs = places.last_seqs.iter();
        let seqs = seqs.map(|(id, seq)| (id.as_str(), Json::from(seq.to_string())));
        closed.push(("lastSeqs", Json::object(seqs)));
    }
    closed.extend(places.at.clone());
    closed.extend(error.map(|error| ("error", error::told(error))));
    Json::object(closed).to_string()
}

fn event_within(frame: &Bytes, most: usize) -> Result<(String, Place)> {
    let (event, text) = transcode::event_within(frame, most - NAMED.len())?;
    let place = Place::Seq { session: event.session_id, seq: event.seq };
    Ok((format!("{{\"event\":{text}}}"), place))
}
