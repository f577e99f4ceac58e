//! WebSockets: jsonrpsee's own, each with an end of its own, so that a server
//! which goes down first ends what is watched over it and then the socket.
//!
//! ```text
//!  upgraded ──▶ served ──▶ closed
//!                 │ draining
//!                 └──▶ watches say SHUTTING_DOWN ──▶ stop ──▶ Close 1001
//! ```

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    task::Waker,
    time::Duration,
};

use axum::{body::Body, extract::Request, response::Response};
use futures_util::task::AtomicWaker;
use http::StatusCode;
use jsonrpsee::server::stop_channel;
use tokio::time::timeout;
use tokio_util::task::{TaskTracker, task_tracker::TaskTrackerToken};
use tower::Service as _;

use super::{Endpoint, guard::MAX_IN_FLIGHT, refusal};
use crate::Error;

/// How long a client may take to read how its subscriptions end.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// How many messages may be owed before no more calls are read: more than there may
/// be calls under way, so that one too many is said to be that.
const MAX_OWED: i64 = MAX_IN_FLIGHT as i64 + 64;

/// What a connection and the WebSocket that it perhaps becomes know of each other;
/// its listener made it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Upgraded(Arc<State>);

#[derive(Debug, Default)]
struct State {
    is_set: AtomicBool,
    /// The calls that have no answer yet, and what was told and is not sent yet.
    owed: AtomicI64,
    /// Who reads calls.
    reader: AtomicWaker,
}

impl Upgraded {
    /// Whether it has become one.
    pub(crate) fn is_set(&self) -> bool {
        self.0.is_set.load(Ordering::Relaxed)
    }

    /// Says that it has.
    pub(crate) fn set(&self) {
        self.0.is_set.store(true, Ordering::Relaxed);
    }

    /// Adds messages that are to be sent, each for a call or a notification.
    pub(crate) fn owe(&self, messages: i64) {
        self.0.owed.fetch_add(messages, Ordering::AcqRel);
    }

    /// Takes off what was sent, or needs no answer.
    pub(crate) fn settle(&self, messages: i64) {
        self.0.owed.fetch_sub(messages, Ordering::AcqRel);
        self.0.reader.wake();
    }

    /// Whether so much is owed that no more calls are read; wakes the reader as soon
    /// as some of it is settled.
    pub(crate) fn owes_too_much(&self, reader: &Waker) -> bool {
        let owes = || self.0.owed.load(Ordering::Acquire) >= MAX_OWED;
        owes() && {
            self.0.reader.register(reader);
            owes()
        }
    }
}

/// The subscriptions of one WebSocket.
#[derive(Debug, Clone)]
pub(super) struct Subscriptions(TaskTracker);

impl Subscriptions {
    /// Held as long as one of them is told.
    pub(super) fn token(&self) -> TaskTrackerToken {
        self.0.token()
    }
}

/// Answers the request for a WebSocket.
pub(super) async fn answer(endpoint: &Endpoint, mut request: Request) -> Response {
    let subscriptions = TaskTracker::new();
    let upgraded = request.extensions().get::<Upgraded>().cloned();
    request.extensions_mut().insert(Subscriptions(subscriptions.clone()));
    let (stop, server) = stop_channel();
    let mut service = endpoint.builder.clone().build(endpoint.methods.clone(), stop);
    let closed = service.on_session_closed();
    let Ok(response) = service.call(request).await else {
        return refusal(&Error::internal("jsonrpsee failed"));
    };
    match response.status() {
        StatusCode::SWITCHING_PROTOCOLS => {}
        StatusCode::TOO_MANY_REQUESTS => {
            let problem = format!(
                "{} WebSockets and requests are open, as many as there may be (json_rpc.max_connections)",
                endpoint.options.limits.max_connections
            );
            return refusal(&Error::Overloaded { problem, retry_after: Duration::from_secs(1) });
        }
        _ => {
            let problem = "this is no handshake of a WebSocket, version 13";
            return refusal(&Error::invalid("request", problem));
        }
    }
    if let Some(upgraded) = upgraded {
        upgraded.set();
    }
    let draining = endpoint.options.draining.clone();
    endpoint.options.connections.spawn(async move {
        let mut closed = closed;
        tokio::select! {
            () = &mut closed => return,
            () = draining.cancelled() => {}
        }
        // They end by themselves, and say why.
        subscriptions.close();
        let _ = timeout(LAST_WORDS, subscriptions.wait()).await;
        let _ = server.stop();
        closed.await;
    });
    response.map(Body::new)
}
