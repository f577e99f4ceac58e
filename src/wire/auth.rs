//! Who may speak to the server: one layer for every transport.
//!
//! A Unix socket is the user's own, by the mode of its file. TCP on loopback is
//! open to every user of the machine and to every web page in a browser on it,
//! and whoever gets in can run code as this user. So a TCP request needs a
//! `Host` that is ours (421), an `Origin` that was allowed, if it has one
//! (403), and the token (401).

use std::{net::IpAddr, sync::Arc};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method,
    header::{
        ACCESS_CONTROL_REQUEST_METHOD, AUTHORIZATION, CONTENT_TYPE, HOST, ORIGIN, WWW_AUTHENTICATE,
    },
    uri::Authority,
};
use subtle::ConstantTimeEq as _;
use tokio::sync::OwnedSemaphorePermit;
use tower::{Layer as _, ServiceExt as _};
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};

use crate::{
    Error,
    wire::{contract, error, json_rpc, rest},
};

/// The headers of answers that web pages may read, beside those that all may.
const EXPOSED: [&str; 8] = [
    "grpc-status",
    "grpc-message",
    "grpc-status-details-bin",
    "etag",
    "retry-after",
    "switchboard-turn",
    "switchboard-offset",
    "switchboard-total-size",
];

/// How a request reached us; the listener says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Peer {
    /// Over a Unix socket.
    Unix,
    /// Over TCP, at this local address.
    Tcp(IpAddr),
}

/// A connection that counts among those that there may be, for as long as somebody
/// holds this; the listener says it.
#[derive(Debug)]
pub(crate) struct Connection {
    _permit: OwnedSemaphorePermit,
}

impl Connection {
    /// One that has this permit.
    pub(crate) fn new(permit: OwnedSemaphorePermit) -> Self {
        Self { _permit: permit }
    }
}

/// What is asked of TCP clients.
#[derive(Debug, Clone)]
pub(crate) struct Access {
    /// The token that they must show; none where that was switched off.
    pub token: Option<String>,
    /// Further names for `Host`, in lower case and without port.
    pub hosts: Vec<String>,
    /// The origins whose web pages may call.
    pub origins: Vec<String>,
}

/// Puts the checks around a router.
pub(crate) fn protect(router: Router, access: Access) -> Router {
    let origins = access.origins.iter().filter_map(|origin| HeaderValue::from_str(origin).ok());
    let cors = CorsLayer::new()
        .allow_origin(AllowOrigin::list(origins))
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers(EXPOSED.map(HeaderName::from_static));
    let access = Arc::new(access);
    router
        .layer(middleware::from_fn_with_state(Arc::clone(&access), check_token))
        .layer(middleware::from_fn_with_state(cors, tell_pages))
        .layer(middleware::from_fn_with_state(access, check_place))
}

async fn check_place(State(access): State<Arc<Access>>, request: Request, next: Next) -> Response {
    let Some(Peer::Tcp(local)) = request.extensions().get().copied() else {
        return next.run(request).await;
    };
    let authority = request.uri().authority().map(|authority| authority.as_str().to_owned());
    let host = authority.or_else(|| text(request.headers(), HOST).map(str::to_owned));
    if !host.as_deref().is_some_and(|host| is_ours(host, local, &access.hosts)) {
        let host = host.unwrap_or_else(|| "none".to_owned());
        return refusal(&request, &Error::Misdirected { host });
    }
    if let Some(origin) = text(request.headers(), ORIGIN)
        && !access.origins.iter().any(|allowed| allowed == origin)
    {
        let problem = format!(
            "web pages of the origin {origin:?} may not call this server; allow it with allowed_origins"
        );
        return refusal(&request, &Error::PermissionDenied { problem });
    }
    next.run(request).await
}

/// Answers web pages by the cross-origin rules. The layer takes every OPTIONS for
/// a browser's question before the request, which only one with both headers is.
async fn tell_pages(State(cors): State<CorsLayer>, request: Request, next: Next) -> Response {
    let headers = request.headers();
    let asks_before =
        headers.contains_key(ORIGIN) && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD);
    if request.method() == Method::OPTIONS && !asks_before {
        return next.run(request).await;
    }
    match cors.layer(next).oneshot(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

async fn check_token(State(access): State<Arc<Access>>, request: Request, next: Next) -> Response {
    let is_open = request.uri().path() == "/healthz";
    let (Some(Peer::Tcp(_)), Some(token), false) =
        (request.extensions().get(), &access.token, is_open)
    else {
        return next.run(request).await;
    };
    let given = text(request.headers(), AUTHORIZATION).and_then(|value| {
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    });
    let problem = match given {
        Some(given) if bool::from(given.as_bytes().ct_eq(token.as_bytes())) => {
            return next.run(request).await;
        }
        Some(_) => "the bearer token is not this server's; it is in the file token of its home",
        None => {
            "a bearer token is missing: send \"authorization: Bearer TOKEN\" with the content of the file token in the server's home, or use its Unix socket"
        }
    };
    refusal(&request, &Error::Unauthenticated { problem: problem.to_owned() })
}

/// Whether a host, with or without a port, is one of this server's names.
fn is_ours(host: &str, local: IpAddr, further: &[String]) -> bool {
    let Ok(authority) = host.parse::<Authority>() else { return false };
    let name = authority.host().trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
    match name.parse::<IpAddr>() {
        Ok(address) => {
            let (address, local) = (address.to_canonical(), local.to_canonical());
            address == local || (address.is_loopback() && local.is_loopback())
        }
        Err(_) => name == "localhost" || further.contains(&name),
    }
}

/// The answer to a request that is not let in, in the words of its protocol.
fn refusal(request: &Request, error: &Error) -> Response {
    let is_grpc = text(request.headers(), CONTENT_TYPE)
        .is_some_and(|content_type| content_type.starts_with("application/grpc"));
    // Whoever sent a request to the wrong host may not read what we say in gRPC.
    if is_grpc && !matches!(error, Error::Misdirected { .. }) {
        return error::status(error).into_http::<Body>();
    }
    let path = request.uri().path();
    let mut response = if rest::is_ours(path) {
        rest::refusal(error)
    } else if contract::is_ours(path) {
        contract::refusal(error)
    } else if json_rpc::is_ours(path) {
        json_rpc::refusal(error)
    } else {
        (error::row(error).http, format!("{error}\n")).into_response()
    };
    if matches!(error, Error::Unauthenticated { .. }) {
        let challenge = HeaderValue::from_static("Bearer realm=\"switchboard\"");
        response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    }
    response
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machines_own_names_are_ours() {
        let local = "127.0.0.1".parse().unwrap();
        let further = ["box.internal".to_owned()];
        for host in ["localhost", "127.0.0.1:7420", "LOCALHOST:1", "[::1]:7420", "box.internal:80"]
        {
            assert!(is_ours(host, local, &further), "{host}");
        }
        for host in
            ["evil.example", "127.0.0.1.evil.example", "10.0.0.1", "", "localhost.evil", "a b"]
        {
            assert!(!is_ours(host, local, &further), "{host}");
        }
    }
}
