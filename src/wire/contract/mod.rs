//! `/api`: the settings contract, and nothing else.
//!
//! ```text
//!  request ──▶ call: path, query, headers, body ──▶ check ──▶ operation
//!  answer  ◀── answer: members, ETag ◀───────────────────────────┘
//!          ◀── error: the one table of refusals
//! ```
//!
//! Clients of another server speak this, to the byte: which status, which body,
//! and which of two refusals comes first. Where that server has a defect, the
//! contract says so, and ours does what is right.
//!
//! | file | what it owns |
//! |---|---|
//! | [`call`], [`body`], [`query`] | a request as its handler gets it, and what HTTP itself refuses |
//! | [`check`] | what members and parameters may be, and the issues of those that are not |
//! | [`answer`] | bodies, with JSON in them as it is |
//! | [`error`] | every refusal |
//! | [`settings`], [`controls`], [`sessions`], [`listing`], [`messages`], [`notes`] | the routes |
//! | [`thread`], [`transcript`] | how sessions, their turns and what was said are shown |
//! | [`stream`] | the WebSocket: its commands, its pace, its end |
//! | [`news`], [`frames`] | what it tells, to whom, and in which words |
//! | [`audit`] | entries of the audit as entries of a transcript |

mod answer;
mod audit;
mod body;
mod call;
mod check;
mod controls;
mod error;
mod frames;
mod listing;
mod messages;
mod news;
mod notes;
mod query;
mod sessions;
mod settings;
mod stream;
mod thread;
mod transcript;

use axum::{
    Router,
    extract::Request,
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
    routing::{MethodRouter, any},
};

use self::error::Failure;
pub(crate) use self::error::refusal;
use super::{
    operations::{Caller, Transport},
    web::{self, Plus},
};
use crate::app::App;

/// Who asks, in all that comes through here.
const CALLER: Caller = Caller { transport: Transport::Contract };

/// Whether a path is one of these, also where nothing is at it.
pub(crate) fn is_ours(path: &str) -> bool {
    path == "/api" || path.starts_with("/api/")
}

/// All of `/api`.
pub(crate) fn router(app: &App) -> Router {
    Router::new()
        .merge(settings::routes())
        .merge(controls::routes())
        .merge(sessions::routes())
        .merge(messages::routes())
        .merge(stream::routes())
        .route("/api", any(unknown))
        .route("/api/", any(unknown))
        .route("/api/{*rest}", any(unknown))
        .route_layer(middleware::from_fn(check_path))
        .with_state(app.clone())
}

/// What is at a place; by any other method there is nothing.
fn at(path: &str, methods: MethodRouter<App>) -> Router<App> {
    Router::new().route(path, methods.fallback(unknown))
}

async fn unknown(request: Request) -> Response {
    let failure = Failure::unknown(request.method(), request.uri());
    body::drain(request.into_body()).await;
    failure.into_response()
}

/// Refuses what cannot be decoded, whether or not anything is there.
async fn check_path(request: Request, next: Next) -> Response {
    if web::decoded(request.uri().path(), Plus::IsPlus).is_none() {
        let failure = Failure::bad_path(request.uri());
        body::drain(request.into_body()).await;
        return failure.into_response();
    }
    next.run(request).await
}
