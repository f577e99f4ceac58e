//! Who wants to know when a session has something new.
//!
//! A subscriber registers a [`Wake`] for some sessions, or for all; whoever
//! publishes marks the session in it. Marks are a set, so that a subscriber that
//! does not come to look costs one entry a session, however much is published:
//! no queue, nothing that grows.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::Notify;

use crate::id::SessionId;

/// What a subscriber waits on.
#[derive(Debug, Default)]
pub(crate) struct Wake {
    /// Held for single inserts and drains only, never across a wait.
    marked: Mutex<HashSet<SessionId>>,
    notify: Notify,
}

impl Wake {
    fn mark(&self, id: SessionId) {
        let new = self.marked.lock().unwrap_or_else(PoisonError::into_inner).insert(id);
        if new {
            self.notify.notify_one();
        }
    }

    /// Waits until a session is marked, and takes all marks.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: marks are taken only when they are returned.
    pub(crate) async fn marked(&self) -> Vec<SessionId> {
        loop {
            let notified = self.notify.notified();
            let marked = self.take();
            if !marked.is_empty() {
                return marked;
            }
            notified.await;
        }
    }

    /// Takes all marks that are there.
    pub(crate) fn take(&self) -> Vec<SessionId> {
        self.marked.lock().unwrap_or_else(PoisonError::into_inner).drain().collect()
    }
}

/// Which sessions a subscriber wants to hear of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Scope {
    /// These.
    Sessions(Vec<SessionId>),
    /// All, those to come included.
    All,
}

/// Lists of subscribers, replaced whole when one comes or goes, so that
/// publishing holds the lock only to copy a pointer.
type Wakes = Arc<[Arc<Wake>]>;

#[derive(Debug, Default)]
struct Lists {
    by_session: HashMap<SessionId, Wakes>,
    all: Wakes,
}

/// The registrations of all subscribers. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Hub {
    /// Held to look up or to exchange a list only.
    lists: Arc<Mutex<Lists>>,
    /// How many read each session's events. Held for single changes only.
    attended: Arc<Mutex<HashMap<SessionId, usize>>>,
}

impl Hub {
    /// Registers a subscriber. Dropping the registration ends it.
    pub(crate) fn register(&self, scope: Scope) -> Registration {
        let wake = Arc::new(Wake::default());
        let mut lists = self.lists.lock().unwrap_or_else(PoisonError::into_inner);
        match &scope {
            Scope::All => lists.all = with(&lists.all, &wake),
            Scope::Sessions(ids) => {
                for id in ids {
                    let list = lists.by_session.entry(*id).or_default();
                    *list = with(list, &wake);
                }
            }
        }
        drop(lists);
        Registration { hub: self.clone(), scope, wake }
    }

    /// Counts a reader of a session's events.
    pub(crate) fn attend(&self, id: SessionId) -> Attendance {
        let mut attended = self.attended.lock().unwrap_or_else(PoisonError::into_inner);
        *attended.entry(id).or_default() += 1;
        drop(attended);
        Attendance { hub: self.clone(), id }
    }

    /// How many read a session's events and have not come to its last one.
    pub(crate) fn readers(&self, id: SessionId) -> usize {
        let attended = self.attended.lock().unwrap_or_else(PoisonError::into_inner);
        attended.get(&id).copied().unwrap_or(0)
    }

    /// Tells everybody concerned that `id` has something new, and says how many
    /// they are.
    pub(crate) fn publish(&self, id: SessionId) -> usize {
        let (own, all) = {
            let lists = self.lists.lock().unwrap_or_else(PoisonError::into_inner);
            (lists.by_session.get(&id).map(Arc::clone), Arc::clone(&lists.all))
        };
        let own = own.unwrap_or_default();
        for wake in own.iter().chain(all.iter()) {
            wake.mark(id);
        }
        own.len() + all.len()
    }
}

/// A reader that is on its way to a session's last event. Dropping it says that
/// it is there, or comes no more.
#[derive(Debug)]
pub(crate) struct Attendance {
    hub: Hub,
    id: SessionId,
}

impl Drop for Attendance {
    fn drop(&mut self) {
        let mut attended = self.hub.attended.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = attended.get_mut(&self.id) {
            *count -= 1;
            if *count == 0 {
                attended.remove(&self.id);
            }
        }
    }
}

fn with(list: &Wakes, wake: &Arc<Wake>) -> Wakes {
    list.iter().chain([wake]).map(Arc::clone).collect()
}

fn without(list: &Wakes, wake: &Arc<Wake>) -> Wakes {
    list.iter().filter(|other| !Arc::ptr_eq(other, wake)).map(Arc::clone).collect()
}

/// A subscriber's place in the [`Hub`].
#[derive(Debug)]
pub(crate) struct Registration {
    hub: Hub,
    scope: Scope,
    wake: Arc<Wake>,
}

impl Registration {
    /// What the subscriber waits on.
    pub(crate) fn wake(&self) -> &Wake {
        &self.wake
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let mut lists = self.hub.lists.lock().unwrap_or_else(PoisonError::into_inner);
        match &self.scope {
            Scope::All => lists.all = without(&lists.all, &self.wake),
            Scope::Sessions(ids) => {
                for id in ids {
                    let Some(list) = lists.by_session.get_mut(id) else { continue };
                    *list = without(list, &self.wake);
                    if list.is_empty() {
                        lists.by_session.remove(id);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn marks_are_a_set_and_are_taken_once() {
        let hub = Hub::default();
        let (a, b) = (SessionId::random(), SessionId::random());
        let one = hub.register(Scope::Sessions(vec![a]));
        let all = hub.register(Scope::All);
        assert_eq!(hub.publish(a), 2);
        assert_eq!(hub.publish(a), 2);
        assert_eq!(hub.publish(b), 1);
        assert_eq!(one.wake().marked().await, [a]);
        assert_eq!(HashSet::from_iter(all.wake().marked().await), HashSet::from([a, b]));
        assert_eq!(one.wake().take(), []);
    }

    #[test]
    fn a_subscriber_that_leaves_is_forgotten() {
        let hub = Hub::default();
        let id = SessionId::random();
        let one = hub.register(Scope::Sessions(vec![id]));
        let two = hub.register(Scope::Sessions(vec![id]));
        drop(one);
        assert_eq!(hub.publish(id), 1);
        drop(two);
        assert_eq!(hub.publish(id), 0);
        assert!(hub.lists.lock().unwrap().by_session.is_empty());
    }
}
