//! How many codexes are asked at once: each is a process of a hundred megabytes and
//! more, and whoever may verify a lock may do so a hundred times together.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// The most at once; one takes a quarter of a second.
const MOST: usize = 4;

/// Places for questions. Callers may block, so they wait for one.
#[derive(Debug)]
pub(super) struct Questions {
    free: Mutex<usize>,
    freed: Condvar,
}

/// A place, until it is dropped.
#[derive(Debug)]
pub(super) struct Place<'a>(&'a Questions);

impl Default for Questions {
    fn default() -> Self {
        Self { free: Mutex::new(MOST), freed: Condvar::new() }
    }
}

impl Questions {
    /// Waits for a place.
    pub(super) fn place(&self) -> Place<'_> {
        let free = self.freed.wait_while(self.free(), |free| *free == 0);
        *free.unwrap_or_else(PoisonError::into_inner) -= 1;
        Place(self)
    }

    fn free(&self) -> MutexGuard<'_, usize> {
        // A number is whole whenever its holder ended.
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        *self.0.free() += 1;
        self.0.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicUsize, Ordering},
        thread,
    };

    use super::*;

    #[test]
    fn no_more_than_a_few_are_asked_at_once() {
        let questions = Questions::default();
        let [now, most] = [AtomicUsize::new(0), AtomicUsize::new(0)];
        thread::scope(|scope| {
            for _ in 0..MOST * 8 {
                scope.spawn(|| {
                    let _place = questions.place();
                    most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    thread::yield_now();
                    now.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        assert!(most.into_inner() <= MOST);
        assert_eq!(*questions.free(), MOST);
    }
}
