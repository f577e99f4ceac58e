//! `/rpc`: JSON-RPC 2.0 by POST and over a WebSocket, on jsonrpsee.
//!
//! ```text
//!  POST ──▶ post ───┐                                   ┌──▶ methods ──▶ operation
//!                   ├──▶ jsonrpsee ──▶ guard ──▶ module ┤
//!  GET ───▶ socket ─┘    (envelope)                     └──▶ watch: notifications
//! ```
//!
//! Which name calls which operation is the table in [`methods`], one line for
//! each method of the contract. Parameters and results are the contract's
//! messages in our JSON ([`super::transcode`]); a message's parameters are read by
//! [`crate::json`], whatever jsonrpsee would let pass. What there is says
//! `rpc.discover` ([`discover`]).

mod discover;
mod error;
mod guard;
mod methods;
mod module;
mod output;
mod post;
mod socket;
mod watch;

use std::sync::Arc;

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
use jsonrpsee::{
    server::{
        BatchRequestConfig, Methods, PingConfig, RandomStringIdProvider, Server, ServerConfig,
        TowerServiceBuilder, middleware::rpc::RpcServiceBuilder, ws::is_upgrade_request,
    },
    types::{ErrorObjectOwned, Id, Response as Answer, ResponsePayload},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::layer::util::{Identity, Stack};

use self::guard::Guards;
pub(crate) use self::socket::Upgraded;
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

/// How many entries of a batch that is too large are looked at, so that it is
/// answered in our words.
const COUNTED_BATCH: u32 = 10_000;

/// How many notifications and answers a WebSocket holds that were not sent.
const UNSENT: u32 = 8;

/// How many times a client may be asked whether it is there, and not answer.
const PINGS: u32 = 3;

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
                Method::GET if is_upgrade_request(&request) => {
                    socket::answer(&endpoint, request).await
                }
                _ => {
                    let error = Error::MethodNotAllowed {
                        path: PATH.to_owned(),
                        method: request.method().to_string(),
                        allowed: "POST, and GET for a WebSocket".to_owned(),
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

/// jsonrpsee, as it is set up here.
struct Endpoint {
    options: Options,
    methods: Methods,
    builder: TowerServiceBuilder<Stack<Guards, Identity>, Identity>,
}

impl Endpoint {
    fn new(app: &App, options: Options) -> Self {
        let limits = options.limits;
        let ping = PingConfig::new()
            .ping_interval(limits.ping_interval)
            .inactive_limit(limits.ping_interval * PINGS);
        let config = ServerConfig::builder()
            .max_connections(limits.max_connections)
            .max_request_body_size(limits.max_message_bytes)
            // Pages may be as large as their caller wants, up to 64 MiB in the
            // contract's own form.
            .max_response_body_size(u32::MAX)
            .max_subscriptions_per_connection(limits.max_subscriptions)
            .set_batch_request_config(BatchRequestConfig::Limit(
                limits.max_batch.max(COUNTED_BATCH),
            ))
            .set_message_buffer_capacity(UNSENT)
            .enable_ws_ping(ping)
            .set_id_provider(RandomStringIdProvider::new(16))
            .build();
        let builder = Server::builder()
            .set_config(config)
            .set_rpc_middleware(RpcServiceBuilder::new().layer(Guards { limits }))
            .to_service_builder();
        Self { options, methods: module::module(app).into(), builder }
    }
}

/// The answer to a request that is refused before it is read.
pub(crate) fn refusal(error: &Error) -> Response {
    let row = row(error);
    let mut response = (row.http, answer(error::object(error))).into_response();
    if let Detail::Retry(after) = row.detail {
        let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
        response.headers_mut().insert(RETRY_AFTER, seconds.into());
    }
    response
}

/// An answer to nothing that has an id.
fn answer(error: ErrorObjectOwned) -> Response {
    let answer = Answer::new(ResponsePayload::<()>::error(error), Id::Null);
    json(serde_json::to_string(&answer).unwrap_or_default())
}

fn json(text: impl Into<Body>) -> Response {
    let mut response = (StatusCode::OK, text.into()).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
