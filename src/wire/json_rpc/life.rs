//! Whether a client is there.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use tokio::time::Instant;

/// What is known of it.
#[derive(Debug, Default)]
pub(super) struct Life {
    /// Held to look and to change it only.
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Whether a ping is on its way out: no second one is made.
    is_asking: bool,
    /// Since when it was asked, and said nothing.
    unheard: Option<Instant>,
    /// Whether nothing is read, so that it cannot be heard.
    is_deaf: bool,
    /// What the newest ping has in it that was not answered.
    ping: Option<Bytes>,
}

impl Life {
    /// Something came of it.
    pub(super) fn heard(&self) {
        self.lock().unheard = None;
    }

    /// Whether it shall be asked now: it is not being asked already.
    pub(super) fn shall_ask(&self) -> bool {
        !std::mem::replace(&mut self.lock().is_asking, true)
    }

    /// A ping has gone.
    pub(super) fn asked(&self) {
        let mut state = self.lock();
        state.is_asking = false;
        state.unheard.get_or_insert_with(Instant::now);
    }

    /// It asks with this whether we are there. Says whether no answer to an earlier
    /// ping is on its way out: else that one becomes the answer to this (RFC 6455,
    /// section 5.5.3), so that pings which nobody waits for fill no line.
    pub(super) fn shall_answer(&self, ping: Bytes) -> bool {
        self.lock().ping.replace(ping).is_none()
    }

    /// What its newest ping has in it, which is answered now.
    pub(super) fn answered(&self) -> Bytes {
        self.lock().ping.take().unwrap_or_default()
    }

    /// Nothing is read of it, or something is again.
    pub(super) fn set_deaf(&self, is_deaf: bool) {
        let mut state = self.lock();
        state.is_deaf = is_deaf;
        // What it said in the meantime was not heard.
        state.unheard = None;
    }

    /// Whether it has said nothing for so long, although it was asked.
    pub(super) fn is_silent_for(&self, time: Duration) -> bool {
        let state = self.lock();
        !state.is_deaf && state.unheard.is_some_and(|since| since.elapsed() >= time)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_pings_the_newest_is_answered_and_then_the_next_one() {
        let life = Life::default();
        assert!(life.shall_answer("first".into()));
        for n in 0..3 {
            assert!(!life.shall_answer(n.to_string().into()));
        }
        assert_eq!(life.answered(), "2");
        assert!(life.shall_answer("next".into()));
        assert_eq!(life.answered(), "next");
    }
}
