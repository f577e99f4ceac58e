//! Sessions that have a turn and no owner, because it could not be loaded or
//! came to a bad end, and when that is tried again.
//!
//! One task tries them all, each at its own pace: soon at first, ever more
//! rarely then, so that one error of the disk does not leave a session RUNNING
//! for ever and one that stays damaged costs next to nothing. It is said when a
//! session comes here and when it has an owner again, and nothing in between.
//! Sessions at rest are loaded when somebody asks for them.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};

use crate::{
    Error,
    id::SessionId,
    session::registry::{Sessions, report},
};

/// How long after its loss an owner is loaded again.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// Every pause is twice as long as the one before, up to this.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// The sessions that need an owner.
#[derive(Debug, Default)]
pub(crate) struct Orphans {
    /// Held for single changes only. An entry stays when its session has an owner
    /// again: one that is lost again and again is tried no more often for that.
    pauses: Mutex<HashMap<SessionId, Pause>>,
    changed: Notify,
}

/// How a session is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Pause {
    length: Duration,
    /// When it is over; none while the session has an owner.
    until: Option<Instant>,
}

impl Orphans {
    /// Takes in a session that has no owner and needs one.
    pub(crate) fn add(&self, id: SessionId) {
        self.add_at(id, Instant::now());
    }

    fn add_at(&self, id: SessionId, now: Instant) {
        let mut pauses = self.lock();
        let pause = pauses.entry(id).or_insert(Pause { length: FIRST_PAUSE, until: None });
        if pause.until.is_none() {
            pause.until = Some(now + pause.length);
            pause.length = longer(pause.length);
            self.changed.notify_one();
        }
    }

    /// Loads the owners when their time has come, until the server goes down.
    pub(crate) async fn run(&self, sessions: Sessions) {
        let closing = sessions.closing().clone();
        loop {
            let due = self.next();
            tokio::select! {
                () = closing.cancelled() => return,
                () = self.changed.notified() => {}
                () = sleep_until(due.map_or_else(Instant::now, |(_, until)| until)), if due.is_some() => {
                    if let Some((id, _)) = due {
                        self.attempt(&sessions, id).await;
                    }
                }
            }
        }
    }

    async fn attempt(&self, sessions: &Sessions, id: SessionId) {
        let loaded = match sessions.session(id).await {
            // Somebody else saw to it.
            Ok(session) if !session.is_active() => Ok(()),
            Ok(_) => sessions.owner(id).await.map(|_| {
                tracing::info!(session = %id, "a session that could not be loaded has an owner again");
            }),
            Err(Error::SessionNotFound { .. } | Error::SessionDeleted { .. }) => Ok(()),
            Err(error) => Err(error),
        };
        let mut pauses = self.lock();
        let Some(pause) = pauses.get_mut(&id) else { return };
        match loaded {
            Ok(()) => pause.until = None,
            Err(error) => {
                tracing::debug!(session = %id, error = %report(&error), "a session still cannot be loaded");
                pause.until = Some(Instant::now() + pause.length);
                pause.length = longer(pause.length);
            }
        }
    }

    /// The session whose time comes first.
    fn next(&self) -> Option<(SessionId, Instant)> {
        let pauses = self.lock();
        let waiting = pauses.iter().filter_map(|(id, pause)| Some((*id, pause.until?)));
        waiting.min_by_key(|(_, until)| *until)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SessionId, Pause>> {
        self.pauses.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn longer(pause: Duration) -> Duration {
    (pause * 2).min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_that_is_lost_again_is_tried_later_and_never_twice_at_once() {
        let orphans = Orphans::default();
        let (id, now) = (SessionId::random(), Instant::now());
        let mut pauses = Vec::new();
        for _ in 0..8 {
            orphans.add_at(id, now);
            orphans.add_at(id, now + FIRST_PAUSE);
            let (found, until) = orphans.next().unwrap();
            assert_eq!(found, id);
            pauses.push((until - now).as_secs());
            // It has an owner, for a while.
            orphans.lock().get_mut(&id).unwrap().until = None;
            assert_eq!(orphans.next(), None);
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60]);
    }

    #[test]
    fn the_session_whose_time_comes_first_is_the_next() {
        let orphans = Orphans::default();
        let (one, other, now) = (SessionId::random(), SessionId::random(), Instant::now());
        orphans.add_at(one, now);
        orphans.add_at(other, now + FIRST_PAUSE / 2);
        assert_eq!(orphans.next().unwrap().0, one);
        orphans.lock().get_mut(&one).unwrap().until = None;
        assert_eq!(orphans.next().unwrap().0, other);
    }
}
