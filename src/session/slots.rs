//! Places for the turns that run at once, and the order of those that wait.
//!
//! ```text
//!  StartTurn ──▶ admit ──┬─▶ Now(Slot) ───────────────▶ turn runs ──▶ slot dropped
//!                        └─▶ Later(Waiting) ──granted──▶    ▲              │
//!                               ▲                            │              │
//!                               └──── first come, first served ◀────────────┘
//! ```
//!
//! A turn that runs holds a slot, one that waits a place in the queue; dropping
//! either gives it up. While the disk has less room than the floor nobody is
//! admitted, and those that wait go on waiting. Turns that a restart takes up
//! have a slot whatever the limit says.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::{Notify, oneshot};

use crate::{Error, Result};

/// The most turns that may wait.
pub(crate) const MAX_WAITING: usize = 10_000;
/// How often the disk is looked at while turns wait for room on it.
const LOOK: Duration = Duration::from_secs(1);
/// When a client should try again that found the queue full.
const RETRY_AFTER: Duration = Duration::from_secs(10);

/// The places of a server. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Slots(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// How many turns may run; none for any number.
    limit: Option<usize>,
    /// The disk that sessions are on.
    directory: PathBuf,
    /// How many bytes must be free there for a turn to start.
    min_free_bytes: u64,
    /// Held for single changes and for a look at the disk, never across a wait.
    queue: Mutex<Queue>,
    /// There is somebody who waits.
    waited_for: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    /// Nobody starts before all that waited at the last stop are back in line.
    open: bool,
    running: usize,
    next_ticket: u64,
    waiting: BTreeMap<u64, oneshot::Sender<Slot>>,
}

/// Where a new turn stands.
#[derive(Debug)]
pub(crate) enum Place {
    /// It may start.
    Now(Slot),
    /// It waits for its turn.
    Later(Waiting),
}

/// The right to run one turn, given up when it is dropped.
#[derive(Debug)]
pub(crate) struct Slot(Option<Slots>);

/// A place in the queue, given up when it is dropped.
#[derive(Debug)]
pub(crate) struct Waiting {
    slots: Slots,
    ticket: u64,
    granted: oneshot::Receiver<Slot>,
}

impl Slots {
    /// Places for `limit` turns whose files are in `directory`, all closed until
    /// [`Slots::open`].
    pub(crate) fn new(limit: Option<usize>, directory: &Path, min_free_bytes: u64) -> Self {
        Self(Arc::new(Inner {
            limit,
            directory: directory.to_owned(),
            min_free_bytes,
            queue: Mutex::default(),
            waited_for: Notify::new(),
        }))
    }

    /// Lets turns start from here on.
    pub(crate) fn open(&self) {
        let mut queue = self.lock();
        queue.open = true;
        self.grant(&mut queue);
    }

    /// Finds a place for a new turn.
    ///
    /// # Errors
    ///
    /// STORAGE_FULL below the floor of free disk, OVERLOADED when too many wait.
    pub(crate) fn admit(&self) -> Result<Place> {
        self.check_room()?;
        let mut queue = self.lock();
        if queue.waiting.len() >= MAX_WAITING {
            return Err(Error::Overloaded {
                problem: format!("{MAX_WAITING} turns wait already; try again later"),
                retry_after: RETRY_AFTER,
            });
        }
        if queue.open && queue.waiting.is_empty() && self.has_place(&queue) {
            queue.running += 1;
            return Ok(Place::Now(Slot(Some(self.clone()))));
        }
        Ok(Place::Later(self.line_up(&mut queue)))
    }

    /// Puts a turn back in line that waited when the server went down.
    pub(crate) fn wait(&self) -> Waiting {
        self.line_up(&mut self.lock())
    }

    /// The slot of a turn that runs already.
    pub(crate) fn take(&self) -> Slot {
        self.lock().running += 1;
        Slot(Some(self.clone()))
    }

    /// Looks after those that wait for room on the disk, for ever.
    pub(crate) async fn run(&self) {
        loop {
            if self.lock().waiting.is_empty() {
                self.0.waited_for.notified().await;
            }
            tokio::time::sleep(LOOK).await;
            self.grant(&mut self.lock());
        }
    }

    fn line_up(&self, queue: &mut Queue) -> Waiting {
        let (tx, granted) = oneshot::channel();
        queue.next_ticket += 1;
        let ticket = queue.next_ticket;
        queue.waiting.insert(ticket, tx);
        self.0.waited_for.notify_one();
        Waiting { slots: self.clone(), ticket, granted }
    }

    fn has_place(&self, queue: &Queue) -> bool {
        self.0.limit.is_none_or(|limit| queue.running < limit)
    }

    /// Gives the places that are free to those that wait, in their order.
    fn grant(&self, queue: &mut Queue) {
        while queue.open && self.has_place(queue) && !queue.waiting.is_empty() {
            if self.check_room().is_err() {
                return;
            }
            let Some((_, waiting)) = queue.waiting.pop_first() else { return };
            queue.running += 1;
            if let Err(mut unwanted) = waiting.send(Slot(Some(self.clone()))) {
                // Its drop would take the lock that is held here.
                unwanted.0 = None;
                queue.running -= 1;
            }
        }
    }

    /// # Errors
    ///
    /// STORAGE_FULL below the floor. A disk that cannot be asked has room.
    fn check_room(&self) -> Result<()> {
        let Inner { directory, min_free_bytes, .. } = &*self.0;
        match free_bytes(directory) {
            Ok(free) if free < *min_free_bytes => {
                Err(Error::StorageLow { path: directory.clone(), free, floor: *min_free_bytes })
            }
            Ok(_) => Ok(()),
            Err(error) => {
                tracing::warn!(path = %directory.display(), %error, "cannot see how much room the disk has");
                Ok(())
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.0.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let Some(slots) = &self.0 else { return };
        let mut queue = slots.lock();
        queue.running = queue.running.saturating_sub(1);
        slots.grant(&mut queue);
    }
}

impl Waiting {
    /// Waits for the place.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub(crate) async fn granted(&mut self) -> Slot {
        match (&mut self.granted).await {
            Ok(slot) => slot,
            // The sender is in the queue until it sends.
            Err(_) => std::future::pending().await,
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.slots.lock().waiting.remove(&self.ticket);
        // A slot that was granted and not taken goes with the channel.
    }
}

fn free_bytes(directory: &Path) -> io::Result<u64> {
    let disk = rustix::fs::statvfs(directory)?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slots(limit: usize) -> Slots {
        let slots = Slots::new(Some(limit), Path::new("/"), 0);
        slots.open();
        slots
    }

    fn now(place: Place) -> Slot {
        match place {
            Place::Now(slot) => slot,
            Place::Later(_) => panic!("it has to wait"),
        }
    }

    fn later(place: Place) -> Waiting {
        match place {
            Place::Now(_) => panic!("it may start"),
            Place::Later(waiting) => waiting,
        }
    }

    #[tokio::test]
    async fn those_that_wait_start_in_the_order_in_which_they_came() {
        let slots = slots(1);
        let running = now(slots.admit().unwrap());
        let mut first = later(slots.admit().unwrap());
        let mut second = later(slots.admit().unwrap());
        assert!(first.granted.try_recv().is_err());
        drop(running);
        assert!(second.granted.try_recv().is_err());
        let running = first.granted().await;
        assert!(second.granted.try_recv().is_err());
        // Whoever comes now is behind those that wait.
        let third = later(slots.admit().unwrap());
        drop(running);
        drop(second.granted().await);
        drop(third);
        now(slots.admit().unwrap());
    }

    #[tokio::test]
    async fn a_place_that_is_given_up_goes_to_the_next() {
        let slots = slots(1);
        let running = now(slots.admit().unwrap());
        let leaves = later(slots.admit().unwrap());
        let leaves_late = later(slots.admit().unwrap());
        let mut stays = later(slots.admit().unwrap());
        drop(leaves);
        drop(running);
        // It was granted a slot, and goes without having looked.
        drop(leaves_late);
        drop(stays.granted().await);
        now(slots.admit().unwrap());
    }

    #[tokio::test]
    async fn nobody_starts_before_the_doors_open_and_adopted_turns_count() {
        let slots = Slots::new(Some(2), Path::new("/"), 0);
        let adopted = [slots.take(), slots.take(), slots.take()];
        let mut waiting = slots.wait();
        let mut new = later(slots.admit().unwrap());
        slots.open();
        assert!(waiting.granted.try_recv().is_err());
        let [one, two, three] = adopted;
        drop(one);
        assert!(waiting.granted.try_recv().is_err(), "two still run");
        drop(two);
        let started = waiting.granted().await;
        drop((three, started));
        drop(new.granted().await);
    }

    #[test]
    fn below_the_floor_nobody_is_admitted() {
        let slots = Slots::new(None, Path::new("/"), u64::MAX);
        slots.open();
        let refused = slots.admit().unwrap_err();
        assert!(matches!(refused, Error::StorageLow { floor: u64::MAX, .. }), "{refused:?}");
    }
}
