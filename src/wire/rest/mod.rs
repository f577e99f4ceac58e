//! `/v1`: our REST, with server-sent events for what streams.
//!
//! ```text
//!  request ──▶ input: path, query, headers, body ──▶ our JSON of the message
//!                                                          │ transcode
//!  answer  ◀── answer: our JSON, ETag ◀── operation ◀──────┘
//!          ◀── sse: event by event
//! ```
//!
//! Which place calls which operation is the table in [`mod@routes`], one line for
//! each method of the contract. All else goes by the descriptors: what a method
//! takes, what it answers, and the document that says so ([`openapi`]).

mod answer;
mod input;
mod openapi;
mod output;
mod query;
mod routes;
mod sse;

use std::{collections::BTreeMap, convert::Infallible};

use axum::{
    Router,
    extract::{RawPathParams, Request, rejection::RawPathParamsRejection},
    middleware::{self, Next},
    response::Response,
    routing::any,
};
use http::{HeaderMap, Method, header::ACCEPT};

pub(crate) use self::answer::refusal;
use self::routes::{Call, Route, routes};
use super::{
    operations::{Caller, Transport},
    schema::schema,
    transcode,
    web::{Plus, decoded},
};
use crate::{Error, Result, app::App};

/// Who asks, in all that comes through here.
const CALLER: Caller = Caller { transport: Transport::Rest };

/// Where the document is that describes all this.
const DOCUMENT: &str = "/v1/openapi.json";

/// Whether a path is one of these, also where nothing is at it.
pub(crate) fn is_ours(path: &str) -> bool {
    path == "/v1" || path.starts_with("/v1/")
}

/// All of `/v1`.
pub(crate) fn router(app: &App) -> Router {
    let mut places: BTreeMap<&'static str, Vec<&'static Route>> = BTreeMap::new();
    for route in routes() {
        places.entry(route.path).or_default().push(route);
    }
    let mut router = Router::new();
    for (path, routes) in places {
        let app = app.clone();
        let handler = move |params: Result<RawPathParams, RawPathParamsRejection>,
                            request: Request| {
            let (app, routes) = (app.clone(), routes.clone());
            async move {
                match answered(app, &routes, params, request).await {
                    Ok(response) => response,
                    Err(error) => refusal(&error),
                }
            }
        };
        router = router.route(path, any(handler));
    }
    let nothing = |request: Request| async move {
        let path = request.uri().path().to_owned();
        Ok::<_, Infallible>(refusal(&Error::RouteNotFound { path }))
    };
    router
        .route(DOCUMENT, any(document))
        .route("/v1", any(nothing))
        .route("/v1/", any(nothing))
        .route("/v1/{*rest}", any(nothing))
        .route_layer(middleware::from_fn(check_path))
}

/// Refuses what cannot be decoded, whether or not anything is there.
async fn check_path(request: Request, next: Next) -> Response {
    match decoded(request.uri().path(), Plus::IsPlus) {
        Some(_) => next.run(request).await,
        None => refusal(&Error::invalid("path", query::MALFORMED)),
    }
}

async fn document(request: Request) -> Response {
    match *request.method() {
        Method::GET | Method::HEAD => answer::json(openapi::document().to_owned(), None),
        _ => refusal(&not_allowed(&request, &["GET", "HEAD"])),
    }
}

async fn answered(
    app: App,
    routes: &[&'static Route],
    params: Result<RawPathParams, RawPathParamsRejection>,
    request: Request,
) -> Result<Response> {
    let route = route(routes, &request)?;
    let params =
        params.map_err(|_| Error::invalid("path", "it is not UTF-8 when it is decoded"))?;
    let (parts, body) = request.into_parts();
    let message = input::message(route, &parts, &params, body).await?;
    let answered = match &route.call {
        Call::Unary(call) => call(app, route.rpc, message).await.map(|text| {
            let etag = answer::etag(&text);
            answer::json(text, etag.as_deref())
        }),
        Call::Stream(call) => call(app, route.rpc, message).await.map(sse::response),
        Call::Bytes(call) => call(app, route.rpc, message).await,
    };
    answered.map_err(|error| transcode::renamed(schema().message(&route.rpc.input), error))
}

/// What is asked for at a place: by method and, where it can be told or
/// streamed, by what the caller accepts.
fn route(routes: &[&'static Route], request: &Request) -> Result<&'static Route> {
    let method = if request.method() == Method::HEAD { &Method::GET } else { request.method() };
    let mut fitting: Vec<&'static Route> =
        routes.iter().copied().filter(|route| route.method == *method).collect();
    if fitting.len() > 1 {
        let wanted = accepts_stream(request.headers());
        fitting.retain(|route| matches!(route.call, Call::Stream(_)) == wanted);
    }
    fitting.first().copied().ok_or_else(|| {
        let mut allowed: Vec<&str> = routes.iter().map(|route| route.method.as_str()).collect();
        if allowed.contains(&"GET") {
            allowed.push("HEAD");
        }
        allowed.sort_unstable();
        allowed.dedup();
        not_allowed(request, &allowed)
    })
}

fn not_allowed(request: &Request, allowed: &[&str]) -> Error {
    Error::MethodNotAllowed {
        path: request.uri().path().to_owned(),
        method: request.method().to_string(),
        allowed: allowed.join(", "),
    }
}

/// Whether the caller asks for server-sent events, as `EventSource` does.
fn accepts_stream(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let mut types = accepted.flat_map(|value| value.split(','));
    types.any(|media| {
        let mut parts = media.split(';').map(str::trim);
        let is_stream = parts.next().unwrap_or_default().eq_ignore_ascii_case("text/event-stream");
        is_stream && !parts.any(is_not_wanted)
    })
}

/// Whether a parameter of a media type is the weight 0.
fn is_not_wanted(parameter: &str) -> bool {
    parameter.split_once('=').is_some_and(|(name, weight)| {
        name.trim().eq_ignore_ascii_case("q") && weight.trim().parse() == Ok(0.0_f32)
    })
}
