//! Tells the owners of running turns that a file in a turn directory grew or
//! appeared: one inotify instance for the server.
//!
//! It is a hint. An owner looks again every now and then anyway, so that a lost
//! hint costs time and nothing else.

use std::{
    collections::HashMap,
    io,
    mem::MaybeUninit,
    os::fd::OwnedFd,
    path::Path,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use rustix::fs::inotify::{self, ReadFlags, WatchFlags};
use tokio::{
    io::{Interest, unix::AsyncFd},
    sync::Notify,
};

/// Whoever watches a directory, by inotify's number for it.
type Watched = Arc<Mutex<HashMap<i32, Weak<Notify>>>>;

/// The server's inotify instance. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Follower {
    inotify: Arc<AsyncFd<OwnedFd>>,
    /// Held for single look-ups only.
    watched: Watched,
}

impl Follower {
    /// Opens the instance. [`run`](Self::run) has to be spawned.
    ///
    /// # Errors
    ///
    /// EMFILE when the user has too many instances (128 by default).
    pub(crate) fn new() -> io::Result<Self> {
        let flags = inotify::CreateFlags::NONBLOCK | inotify::CreateFlags::CLOEXEC;
        let inotify = poll_readable(inotify::init(flags)?)?;
        Ok(Self { inotify: Arc::new(inotify), watched: Arc::default() })
    }

    /// Watches the files of a directory, until the watch is dropped.
    ///
    /// # Errors
    ///
    /// Where the directory cannot be watched: its owner then only looks now and
    /// then.
    pub(crate) fn watch(&self, directory: &Path) -> io::Result<Watch> {
        let flags = WatchFlags::MODIFY | WatchFlags::CREATE | WatchFlags::MOVED_TO;
        let number = inotify::add_watch(&*self.inotify, directory, flags | WatchFlags::ONLYDIR)?;
        let notify = Arc::new(Notify::new());
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        watched.insert(number, Arc::downgrade(&notify));
        drop(watched);
        Ok(Watch { follower: self.clone(), number, notify })
    }

    /// Passes hints on, for as long as the server runs.
    ///
    /// # Errors
    ///
    /// Where the instance cannot be read, which does not happen.
    pub(crate) async fn run(self) -> io::Result<()> {
        let mut buffer = [MaybeUninit::uninit(); 16 << 10];
        loop {
            let mut ready = self.inotify.readable().await?;
            let mut reader = inotify::Reader::new(ready.get_inner(), &mut buffer);
            let drained = loop {
                match reader.next() {
                    Ok(event) if event.events().contains(ReadFlags::QUEUE_OVERFLOW) => {
                        self.notify(None);
                    }
                    Ok(event) => self.notify(Some(event.wd())),
                    Err(error) => break io::Error::from(error),
                }
            };
            if drained.kind() != io::ErrorKind::WouldBlock {
                return Err(drained);
            }
            ready.clear_ready();
        }
    }

    fn notify(&self, number: Option<i32>) {
        let watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        match number {
            Some(number) => {
                if let Some(notify) = watched.get(&number).and_then(Weak::upgrade) {
                    notify.notify_one();
                }
            }
            None => watched.values().filter_map(Weak::upgrade).for_each(|n| n.notify_one()),
        }
    }
}

/// Registers a descriptor, to be told when it becomes readable.
///
/// # Errors
///
/// Those of epoll.
#[expect(
    deprecated,
    reason = "what made it unsound are types that give their descriptor away; an OwnedFd does not, and the new form is unsafe"
)]
pub(crate) fn poll_readable(descriptor: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(descriptor, Interest::READABLE)
}

/// A watched directory.
#[derive(Debug)]
pub(crate) struct Watch {
    follower: Follower,
    number: i32,
    notify: Arc<Notify>,
}

impl Watch {
    /// Waits for a hint; one that came since the last wait counts.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub(crate) async fn hint(&self) {
        self.notify.notified().await;
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut watched = self.follower.watched.lock().unwrap_or_else(PoisonError::into_inner);
        // A later watch of the same directory has the same number.
        if watched.get(&self.number).is_some_and(|n| n.as_ptr() == Arc::as_ptr(&self.notify)) {
            watched.remove(&self.number);
            // The directory may be gone, and its watch with it.
            let _ = inotify::remove_watch(&*self.follower.inotify, self.number);
        }
    }
}
