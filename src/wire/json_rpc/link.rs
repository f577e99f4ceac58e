//! What one WebSocket is bounded by, and what it watches.
//!
//! ```text
//!  read ──▶ unanswered ──▶ answers ──▶ calls ──▶ queue ──▶ sent: all is free again
//!                             pages ──▶ room ──┤
//!              watches ──▶ places ──▶ room ────┘
//! ```
//!
//! Answers and the rest each have their own room for bytes, so that nothing which is
//! watched keeps a call from being carried out. Whoever makes something that may be
//! large takes its room first, and gives back what was not needed. Whoever has room
//! waits for nothing but the client, so that nobody waits for each other.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot},
    task::JoinHandle,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{frames::Frame, room::Room};
use crate::{Error, Result, config::JsonRpcConfig};

/// The bytes that may be unsent of answers, and those of all else.
const HALF: u32 = JsonRpcConfig::MAX_UNSENT_BYTES / 2;
/// As many messages as there may be at once, and some of control.
const QUEUE: usize =
    (JsonRpcConfig::MAX_UNANSWERED + JsonRpcConfig::MAX_UNSENT_NOTIFICATIONS) as usize + 16;

/// One WebSocket, as those know it who answer over it.
#[derive(Debug)]
pub(super) struct Link {
    queue: mpsc::Sender<Frame>,
    /// Calls under way.
    calls: Arc<Semaphore>,
    /// One at a time of what may be as large as all else, such as a batch.
    alone: Arc<Semaphore>,
    /// Messages that are not answered.
    unanswered: Arc<Semaphore>,
    /// The bytes of those.
    unanswered_bytes: Room,
    /// The bytes of answers that are unsent, or being made.
    answers: Room,
    /// The same of pages and notifications.
    room: Room,
    /// Notifications that are unsent.
    places: Arc<Semaphore>,
    /// Subscriptions that there may be.
    subscriptions: Arc<Semaphore>,
    max_subscriptions: u32,
    /// By the id of the subscription; none any more where all were ended. Held to look
    /// and to change it only.
    watches: Mutex<Option<HashMap<String, Watch>>>,
    /// All that is under way.
    tasks: TaskTracker,
    /// Whether nobody is there any more.
    gone: CancellationToken,
}

/// What is watched.
#[derive(Debug)]
struct Watch {
    /// The method that began it.
    method: &'static str,
    task: JoinHandle<()>,
}

/// An answer to a message, and what it holds.
#[derive(Debug, Default)]
pub(super) struct Answer {
    pub text: String,
    /// Until it was sent.
    pub held: Vec<OwnedSemaphorePermit>,
    /// The room for it, where that was taken before.
    pub room: Option<OwnedSemaphorePermit>,
    /// What begins as soon as it stands in the line.
    pub then: Option<oneshot::Sender<()>>,
}

impl From<String> for Answer {
    fn from(text: String) -> Self {
        Self { text, ..Self::default() }
    }
}

fn semaphore(permits: u32) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(permits as usize))
}

/// Waits for a permit of a semaphore that nobody closes.
async fn acquire(semaphore: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit> {
    Arc::clone(semaphore).acquire_owned().await.map_err(Error::internal)
}

impl Link {
    /// A new one, and what is to be sent over it.
    pub(super) fn new(limits: &JsonRpcConfig) -> (Self, mpsc::Receiver<Frame>) {
        let (queue, queued) = mpsc::channel(QUEUE);
        let link = Self {
            queue,
            calls: semaphore(JsonRpcConfig::MAX_CALLS),
            alone: semaphore(1),
            unanswered: semaphore(JsonRpcConfig::MAX_UNANSWERED),
            unanswered_bytes: Room::new(JsonRpcConfig::MAX_UNANSWERED_BYTES),
            answers: Room::new(HALF),
            room: Room::new(HALF),
            places: semaphore(JsonRpcConfig::MAX_UNSENT_NOTIFICATIONS),
            subscriptions: semaphore(limits.max_subscriptions),
            max_subscriptions: limits.max_subscriptions,
            watches: Mutex::new(Some(HashMap::new())),
            tasks: TaskTracker::new(),
            gone: CancellationToken::new(),
        };
        (link, queued)
    }

    /// What is under way.
    pub(super) fn tasks(&self) -> &TaskTracker {
        &self.tasks
    }

    /// Cancelled when nobody waits for answers any more.
    pub(super) fn gone(&self) -> &CancellationToken {
        &self.gone
    }

    /// A permit for a message that will be read; none while too many are unanswered.
    pub(super) fn try_read(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.unanswered).try_acquire_owned().ok()
    }

    /// Waits for the same.
    pub(super) async fn may_read(&self) -> Result<OwnedSemaphorePermit> {
        acquire(&self.unanswered).await
    }

    /// Waits until a message that was read may be held beside the others.
    pub(super) async fn may_hold(&self, bytes: usize) -> Result<OwnedSemaphorePermit> {
        self.unanswered_bytes.take(bytes).await
    }

    /// A permit for a call under way.
    ///
    /// # Errors
    ///
    /// OVERLOADED where there are as many as may be.
    pub(super) fn try_call(&self) -> Result<OwnedSemaphorePermit> {
        Arc::clone(&self.calls).try_acquire_owned().map_err(|_| Error::Overloaded {
            problem: format!(
                "this connection has {} calls under way: wait for one of their answers, or open another connection",
                JsonRpcConfig::MAX_CALLS
            ),
            retry_after: Duration::from_secs(1),
        })
    }

    /// Waits for the same: nobody could be told that there are too many.
    pub(super) async fn call(&self) -> Result<OwnedSemaphorePermit> {
        acquire(&self.calls).await
    }

    /// Waits until no other batch, or what is like it, is under way or unsent.
    pub(super) async fn alone(&self) -> Result<OwnedSemaphorePermit> {
        acquire(&self.alone).await
    }

    /// The room for answers.
    pub(super) fn answers(&self) -> &Room {
        &self.answers
    }

    /// The room for pages and notifications.
    pub(super) fn room(&self) -> &Room {
        &self.room
    }

    /// Waits for a place for one notification.
    pub(super) async fn place(&self) -> Result<OwnedSemaphorePermit> {
        acquire(&self.places).await
    }

    /// A permit for one more subscription.
    ///
    /// # Errors
    ///
    /// OVERLOADED where there are as many as may be.
    pub(super) fn subscription(&self) -> Result<OwnedSemaphorePermit> {
        Arc::clone(&self.subscriptions).try_acquire_owned().map_err(|_| Error::Overloaded {
            problem: format!(
                "this connection has {} subscriptions, as many as it may (json_rpc.max_subscriptions): end one, or open another connection",
                self.max_subscriptions
            ),
            retry_after: Duration::from_secs(1),
        })
    }

    /// Puts an answer into the line.
    pub(super) async fn answer(&self, answer: Answer, unanswered: OwnedSemaphorePermit) {
        let Answer { text, mut held, room, then } = answer;
        let room = match room {
            Some(room) => Ok(room),
            None => self.answers.take(text.len()).await,
        };
        let Ok(room) = room else { return };
        held.extend([room, unanswered]);
        // An end that is not told begins nothing.
        if self.send(Frame::text(text, held)).await
            && let Some(then) = then
        {
            let _ = then.send(());
        }
    }

    /// Puts a message into the line; says whether it stands there.
    pub(super) async fn send(&self, frame: Frame) -> bool {
        self.queue.send(frame).await.is_ok()
    }

    /// Keeps what a subscription is told by. One that comes when all were ended ends
    /// too.
    pub(super) fn keep(&self, id: &str, method: &'static str, task: JoinHandle<()>) {
        match &mut *self.lock() {
            Some(watches) => {
                watches.insert(id.to_owned(), Watch { method, task });
            }
            None => task.abort(),
        }
    }

    /// Forgets a subscription that has come to its end.
    pub(super) fn forget(&self, id: &str) {
        if let Some(watches) = &mut *self.lock() {
            watches.remove(id);
        }
    }

    /// Ends a subscription of this method; says whether there was one. Nothing more
    /// comes of it.
    pub(super) async fn end(&self, id: &str, method: &str) -> bool {
        let watch = {
            let mut watches = self.lock();
            let Some(watches) = &mut *watches else { return false };
            if watches.get(id).is_none_or(|watch| watch.method != method) {
                return false;
            }
            watches.remove(id)
        };
        let Some(Watch { task, .. }) = watch else { return false };
        task.abort();
        let _ = task.await;
        true
    }

    /// Ends all subscriptions, those that are about to begin too.
    pub(super) fn end_all(&self) {
        for (_, watch) in self.lock().take().unwrap_or_default() {
            watch.task.abort();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<HashMap<String, Watch>>> {
        self.watches.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
