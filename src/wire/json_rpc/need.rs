//! What a call needs before it is carried out, so that a client which calls and does
//! not read makes the server hold no more than it may.
//!
//! An answer takes its room before it is made: as much as it may need at most, since
//! nobody knows how large it will be. What waits for an agent takes it afterwards:
//! else those who wait would keep others from it.

use tokio::sync::OwnedSemaphorePermit;

use super::{
    DISCOVER, discover,
    link::Link,
    methods::{self, Call, Method},
};
use crate::{
    Result,
    wire::schema::{Field, Kind, Message, Shape, schema},
};

/// The most bytes of what no client can make large: numbers, ids, short texts.
const LITTLE: usize = 4 << 10;
/// The most bytes of labels, options and other lists of one message.
const LISTS: usize = 256 << 10;
/// The most bytes of settings, or of one value.
const SETTINGS: usize = 1 << 20;

/// The calls that wait for an agent.
const WAITING: [&str; 6] = [
    "session/create",
    "session/startTurn",
    "session/wait",
    "session/fork",
    "session/delete",
    "session/cleanup",
];

/// What a call needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Need {
    /// Room for so many bytes.
    Room(usize),
    /// Nothing but its turn: the room is taken when there is an answer.
    Turn,
    /// That no other like it is under way or unsent: it waits, and may be large.
    Alone,
}

/// What was taken for a call.
#[derive(Debug, Default)]
pub(super) struct Taken {
    /// Until the answer is made.
    pub room: Option<OwnedSemaphorePermit>,
    /// Until it was sent.
    pub held: Option<OwnedSemaphorePermit>,
}

impl Taken {
    /// Takes what a call of this method needs, as soon as there is enough of it.
    pub(super) async fn before(method: &str, link: &Link) -> Result<Self> {
        let mut taken = Self::default();
        match need(method) {
            Need::Room(bytes) => taken.room = Some(link.answers().take(bytes).await?),
            Need::Turn => link.answers().turn().await?,
            Need::Alone => taken.held = Some(link.alone().await?),
        }
        Ok(taken)
    }

    /// The same for one of a batch, which is alone already, or for what has no answer
    /// that could be unsent. It has its place among the calls under way, for which
    /// others wait who are alone.
    pub(super) async fn beside(method: &str, link: &Link) -> Result<Self> {
        if need(method) == Need::Alone {
            link.answers().turn().await?;
            return Ok(Self::default());
        }
        Self::before(method, link).await
    }
}

fn need(method: &str) -> Need {
    if method == DISCOVER {
        return Need::Room(discover::document().len());
    }
    // What there is not is answered by an error.
    methods::find(method).map_or(Need::Room(LITTLE), Method::need)
}

impl Method {
    fn need(&self) -> Need {
        match self.call {
            Call::Watch { .. } => Need::Room(LITTLE),
            Call::Unary(_) if self.asks_codex() => Need::Alone,
            // A page takes room among the notifications, when it has waited.
            Call::Unary(_) if self.is_page() || WAITING.contains(&self.name) => Need::Turn,
            Call::Unary(_) => Need::Room(most_bytes(schema().message(&self.rpc.output))),
        }
    }
}

/// The most bytes of an answer, or nearly so.
fn most_bytes(message: &Message) -> usize {
    let has = |is: fn(&Kind, Shape) -> bool| {
        message.fields.iter().any(|field| is(&field.kind, field.shape))
    };
    let own = if has(|kind, _| *kind == Kind::Json) {
        SETTINGS
    } else if has(|_, shape| shape != Shape::One) {
        LISTS
    } else {
        0
    };
    let inner = message.fields.iter().filter_map(Field::message);
    let inner = inner.map(|name| most_bytes(schema().message(name)));
    LITTLE + own + inner.sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_has_room_for_all_that_a_client_may_have_made_large() {
        let room = |method: &str| match need(method) {
            Need::Room(bytes) => bytes,
            other @ (Need::Turn | Need::Alone) => panic!("{method}: {other:?}"),
        };
        let settings = SETTINGS..SETTINGS + (64 << 10);
        assert!(settings.contains(&room("settings/get")));
        assert!(settings.contains(&room("settings/update")));
        assert!((2 * SETTINGS..3 * SETTINGS).contains(&room("controls/get")));
        assert!((3 * SETTINGS..4 * SETTINGS).contains(&room("controls/apply")));
        assert!((LISTS..SETTINGS).contains(&room("session/get")));
        assert!(room(DISCOVER) >= discover::document().len());
        for little in ["audit/verify", "events/watch", "events/unwatch", "nonsense"] {
            assert!(room(little) <= 4 * LITTLE, "{little}: {}", room(little));
        }
    }

    #[test]
    fn what_waits_takes_its_room_afterwards() {
        for name in WAITING {
            assert!(methods::find(name).is_some());
            assert_eq!(need(name), Need::Turn);
        }
        assert_eq!(need("events/list"), Need::Turn);
        assert_eq!(need("configLock/verify"), Need::Alone);
    }
}
