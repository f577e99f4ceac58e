//! The server's log about single sessions: a layer of tracing that leads each
//! record with a field `session`, or within a span that has one, to the file of
//! that session, as long as somebody holds it open.
//!
//! ```text
//!  tracing ──▶ layer: is the session's log open? ──▶ queue ──▶ one thread ──▶ session.log
//!              (a look into a map)                  (bounded)  (opens, appends, closes)
//! ```
//!
//! A leaf: the CLI puts the layer in, and sessions that persist open their logs.
//! A record never waits: where the queue is full it is left out, and the file
//! says how many were. No file stays open.

mod file;
mod record;

use std::{
    collections::HashMap,
    fmt,
    path::PathBuf,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
    time::Duration,
};

use tracing::{
    Event, Level, Metadata, Subscriber,
    span::{Attributes, Id},
    subscriber::Interest,
};
use tracing_subscriber::{
    Layer,
    filter::dynamic_filter_fn,
    layer::Context,
    registry::{LookupSpan, Scope},
};

pub use self::file::Place;
use self::{file::Rotation, record::Record};
use crate::id::SessionId;

/// How many records may wait to be written.
const QUEUE: usize = 4_096;
/// How many are written at once.
const BATCH: usize = 512;
/// The program whose records are taken.
const OWN: &str = "switchboard";

/// The logs of all sessions that have one. Cheap to clone.
#[derive(Clone, Default)]
pub struct SessionLogs(Arc<Logs>);

#[derive(Default)]
struct Logs {
    /// Held for single look-ups only.
    open: Mutex<HashMap<String, Arc<Target>>>,
    /// How many are open, so that a record costs nothing where none is.
    count: AtomicUsize,
    queue: OnceLock<SyncSender<Message>>,
}

/// Where the records of a session go.
#[derive(Debug)]
struct Target {
    path: PathBuf,
    place: Place,
    /// How many records were left out, and not told yet.
    left_out: AtomicU64,
    /// Why the file could not be written, until somebody asks.
    problem: Mutex<Option<String>>,
}

/// What the thread that writes is told.
enum Message {
    Line(Arc<Target>, String),
    Flush(SyncSender<()>),
}

/// A session's log, led to as long as this lives.
#[derive(Debug)]
pub struct Open {
    logs: SessionLogs,
    session: String,
    target: Arc<Target>,
}

impl fmt::Debug for SessionLogs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionLogs")
            .field("open", &self.0.count.load(Ordering::Relaxed))
            .finish_non_exhaustive()
    }
}

impl SessionLogs {
    /// The layer that leads records to the logs that are open.
    pub fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let is_taken = |metadata: &Metadata<'_>| {
            let target = metadata.target();
            let is_own = target
                .strip_prefix(OWN)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"));
            is_own && *metadata.level() <= Level::DEBUG
        };
        let logs = Arc::clone(&self.0);
        let any = move |metadata: &Metadata<'_>, _: &Context<'_, S>| {
            logs.count.load(Ordering::Relaxed) > 0 && is_taken(metadata)
        };
        let filter = dynamic_filter_fn(any)
            // What is never taken costs nothing, however often it is said.
            .with_callsite_filter(move |metadata| {
                if is_taken(metadata) { Interest::sometimes() } else { Interest::never() }
            })
            .with_max_level_hint(Level::DEBUG);
        Lead(Arc::clone(&self.0)).with_filter(filter)
    }

    /// Leads the records of a session to a file, which is made when there is one.
    #[must_use]
    pub fn open(&self, session: SessionId, path: PathBuf, place: Place) -> Open {
        let (left_out, problem) = (AtomicU64::new(0), Mutex::default());
        let target = Arc::new(Target { path, place, left_out, problem });
        let session = session.to_string();
        self.0.queue.get_or_init(start_writer);
        let mut open = self.0.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.insert(session.clone(), Arc::clone(&target));
        self.0.count.store(open.len(), Ordering::Relaxed);
        drop(open);
        Open { logs: self.clone(), session, target }
    }

    /// Waits until what was said so far is written, but not longer than this.
    pub fn flush(&self, within: Duration) {
        let Some(queue) = self.0.queue.get() else { return };
        let (done, written) = sync_channel(1);
        if queue.try_send(Message::Flush(done)).is_ok() {
            let _ = written.recv_timeout(within);
        }
    }
}

impl Open {
    /// Why the file could not be written since the last call.
    pub fn problem(&self) -> Option<String> {
        self.target.problem.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let mut open = self.logs.0.open.lock().unwrap_or_else(PoisonError::into_inner);
        // The session may have another owner by now.
        if open.get(&self.session).is_some_and(|target| Arc::ptr_eq(target, &self.target)) {
            open.remove(&self.session);
        }
        self.logs.0.count.store(open.len(), Ordering::Relaxed);
    }
}

/// The layer.
struct Lead(Arc<Logs>);

/// The session that a span is about.
struct OfSession(String);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Lead {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, cx: Context<'_, S>) {
        let mut record = Record::default();
        attributes.record(&mut record);
        if let (Some(session), Some(span)) = (record.session, cx.span(id)) {
            span.extensions_mut().insert(OfSession(session));
        }
    }

    fn on_event(&self, event: &Event<'_>, cx: Context<'_, S>) {
        let mut record = Record::default();
        event.record(&mut record);
        let session = record.session.clone().or_else(|| session_of(cx.event_scope(event)?));
        let Some(session) = session else { return };
        let target = {
            let open = self.0.open.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(target) = open.get(&session) else { return };
            Arc::clone(target)
        };
        let Some(queue) = self.0.queue.get() else { return };
        let line = record.line(event.metadata(), &session, crate::time::now());
        if let Err(error) = queue.try_send(Message::Line(target, line)) {
            let (std::sync::mpsc::TrySendError::Full(message)
            | std::sync::mpsc::TrySendError::Disconnected(message)) = error;
            if let Message::Line(target, _) = message {
                target.left_out.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

/// The session of the innermost span that has one.
fn session_of<S: for<'a> LookupSpan<'a>>(scope: Scope<'_, S>) -> Option<String> {
    scope
        .into_iter()
        .find_map(|span| span.extensions().get::<OfSession>().map(|session| session.0.clone()))
}

fn start_writer() -> SyncSender<Message> {
    let (queue, messages) = sync_channel(QUEUE);
    // Without a thread nobody takes what is queued, and all is left out.
    let _ = thread::Builder::new()
        .name("session-logs".to_owned())
        .spawn(move || write_on(&messages, Rotation::default()));
    queue
}

/// Writes what comes, until nobody can send any more.
fn write_on(messages: &Receiver<Message>, rotation: Rotation) {
    while let Ok(first) = messages.recv() {
        let mut batch: Vec<(Arc<Target>, String)> = Vec::new();
        let mut flushed = Vec::new();
        let more = std::iter::from_fn(|| messages.try_recv().ok());
        for message in std::iter::once(first).chain(more.take(BATCH)) {
            match message {
                Message::Line(target, line) => {
                    match batch.iter_mut().find(|(other, _)| Arc::ptr_eq(other, &target)) {
                        Some((_, text)) => text.push_str(&line),
                        None => batch.push((target, line)),
                    }
                }
                Message::Flush(done) => flushed.push(done),
            }
        }
        for (target, mut text) in batch {
            match target.left_out.swap(0, Ordering::Relaxed) {
                0 => {}
                count => text.push_str(&format!("{count} records were left out here\n")),
            }
            if let Err(error) = rotation.append(&target.path, target.place, text.as_bytes()) {
                let problem = format!("{}: {error}", target.path.display());
                *target.problem.lock().unwrap_or_else(PoisonError::into_inner) = Some(problem);
            }
        }
        for done in flushed {
            let _ = done.send(());
        }
    }
}

#[cfg(test)]
mod tests;
