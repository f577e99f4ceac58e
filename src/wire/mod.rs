//! The transports. Each adapter reads a request, has it carried out by
//! [`operations`], which parse, call [`crate::app::App`] and convert for all of
//! them, and renders the answer; a decision about sessions here is a bug.
//!
//! What all requests pass, from the outside in: which `Host` and `Origin` they
//! name, cross-origin rules, the token ([`auth`]); then the adapter: [`grpc`],
//! [`rest`] (`/v1`) or [`contract`] (`/api`). What is JSON goes by the descriptors of the contract ([`schema`],
//! [`transcode`]).

pub(crate) mod answers;
pub(crate) mod auth;
pub(crate) mod body;
pub(crate) mod contract;
pub(crate) mod error;
pub mod grpc;
pub(crate) mod json_rpc;
pub(crate) mod operations;
pub(crate) mod rest;
pub(crate) mod schema;
pub(crate) mod schemas;
pub(crate) mod transcode;
mod web;

use axum::{Router, routing::get};

use crate::{app::App, config::WatchBody};

/// The whole of what is served on a port, with the switch of its health.
pub(crate) fn router(
    app: App,
    access: auth::Access,
    watch_body: WatchBody,
    json_rpc: json_rpc::Options,
) -> (Router, grpc::Health) {
    let json_rpc = json_rpc::router(&app, json_rpc);
    let contract = contract::router(&app);
    let rest = rest::router(&app);
    let (grpc, health) = grpc::router(app, watch_body);
    let router = Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .merge(contract)
        .merge(rest)
        .merge(json_rpc)
        .merge(grpc);
    (auth::protect(router, access), health)
}
