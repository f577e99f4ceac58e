//! `/rpc`: JSON-RPC 2.0 by POST and over a WebSocket.
//!
//! ```text
//!  POST ──▶ post ─────────────┐                         ┌──▶ methods ──▶ operation
//!                             ├──▶ envelope ──▶ engine ─┤
//!  GET ───▶ socket ──▶ frames ┘                         └──▶ watch, teller: notifications
//!             └──▶ link: what one WebSocket is bounded by ◀──┘
//! ```
//!
//! Which name calls which operation is the table in [`methods`], one line for
//! each method of the contract. Parameters and results are the contract's
//! messages in our JSON ([`super::transcode`]). What there is says `rpc.discover`
//! ([`discover`]).

mod discover;
mod engine;
mod envelope;
mod error;
mod frames;
mod life;
mod link;
mod methods;
mod names;
mod need;
mod output;
mod page;
mod params;
mod post;
mod room;
mod socket;
mod teller;
mod watch;

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::Request,
    response::{IntoResponse as _, Response},
    routing::any,
};
use http::{
    HeaderValue, Method, StatusCode,
    header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::engine::Engine;
use super::{
    error::{Detail, row},
    operations::{Caller, Transport},
};
use crate::{Error, app::App, config::JsonRpcConfig};

/// Who asks, in all that comes through here.
const CALLER: Caller = Caller { transport: Transport::JsonRpc };

/// Where it is.
const PATH: &str = "/rpc";

/// The method that tells what there is, as OpenRPC has it.
const DISCOVER: &str = "rpc.discover";

/// What the server wants of it.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    /// What it is bounded by.
    pub limits: JsonRpcConfig,
    /// Where WebSockets are counted, so that the server ends after them.
    pub connections: TaskTracker,
    /// When they are to end.
    pub draining: CancellationToken,
}

/// Whether a path is its own.
pub(crate) fn is_ours(path: &str) -> bool {
    path == PATH
}

/// What is at `/rpc`.
pub(crate) fn router(app: &App, options: Options) -> Router {
    let endpoint = Arc::new(Endpoint::new(app, options));
    let handler = move |request: Request| {
        let endpoint = Arc::clone(&endpoint);
        async move {
            match *request.method() {
                Method::POST => post::answer(&endpoint, request).await,
                Method::GET if socket::is_asked_for(request.headers()) => {
                    socket::answer(&endpoint, request)
                }
                _ => {
                    let error = Error::MethodNotAllowed {
                        path: PATH.to_owned(),
                        method: request.method().to_string(),
                        allowed: "POST, GET".to_owned(),
                    };
                    let mut response = refusal(&error);
                    response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST, GET"));
                    response
                }
            }
        }
    };
    Router::new().route(PATH, any(handler))
}

/// What answers here.
struct Endpoint {
    options: Options,
    engine: Arc<Engine>,
    /// A permit for each WebSocket and each request that there may be.
    places: Arc<Semaphore>,
}

impl Endpoint {
    fn new(app: &App, options: Options) -> Self {
        let limits = options.limits;
        let places = Arc::new(Semaphore::new(limits.max_connections as usize));
        Self { options, engine: Arc::new(Engine { app: app.clone(), limits }), places }
    }

    /// A permit for one more.
    fn place(&self) -> Result<OwnedSemaphorePermit, Error> {
        Arc::clone(&self.places).try_acquire_owned().map_err(|_| Error::Overloaded {
            problem: format!(
                "{} WebSockets and requests are open, as many as there may be (json_rpc.max_connections)",
                self.options.limits.max_connections
            ),
            retry_after: Duration::from_secs(1),
        })
    }
}

/// The answer to a request that is refused before it is read.
pub(crate) fn refusal(error: &Error) -> Response {
    let row = row(error);
    let text = envelope::refused(error);
    let mut response = (row.http, json(text)).into_response();
    if let Detail::Retry(after) = row.detail {
        let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
        response.headers_mut().insert(RETRY_AFTER, seconds.into());
    }
    response
}

fn json(text: impl Into<Body>) -> Response {
    let mut response = (StatusCode::OK, text.into()).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
