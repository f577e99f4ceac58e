//! The settings that the benches write: a map of a hundred keys whose values are
//! small objects, as automation keeps them, and who writes it.

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicU64, Ordering},
};

use switchboard::proto::{
    Outcome, Scope, UpdateMode, UpdateSettingsRequest, UpdateSettingsResponse,
};

use super::{
    callers::{Grpc, Http, post},
    server::Server,
};

/// No two writes have the same number.
static NUMBER: AtomicU64 = AtomicU64::new(1_000_000);

/// How many keys a map has.
pub(crate) const KEYS: usize = 100;

/// A key of the map.
pub(crate) fn key(number: u64) -> String {
    format!("team{:03}.review", number % KEYS as u64)
}

/// A value that no other number has.
pub(crate) fn value(number: u64) -> String {
    format!(r#"{{"enabled":true,"threshold":0.75,"labels":["a","b"],"count":{number}}}"#)
}

/// The whole map.
pub(crate) fn map() -> String {
    let members = (0..KEYS as u64).map(|number| format!("\"{}\":{}", key(number), value(number)));
    format!("{{{}}}", members.collect::<Vec<_>>().join(","))
}

/// A session with the whole map.
pub(crate) async fn session(server: &Server) -> String {
    let id = server.create(String::new()).await;
    let request = UpdateSettingsRequest {
        session_id: id.clone(),
        scope: Scope::Session.into(),
        settings_json: Some(map()),
        mode: UpdateMode::Replace.into(),
        ..UpdateSettingsRequest::default()
    };
    let mut client = Grpc::connect(server.address).await;
    let _: UpdateSettingsResponse = client.call("SettingsService/UpdateSettings", &request).await;
    id
}

/// One who writes, and waits for each answer.
#[derive(Debug)]
pub(crate) struct Writer {
    connection: Connection,
    session: String,
}

#[derive(Debug)]
enum Connection {
    Http(Http, SocketAddr),
    Grpc(Grpc),
}

/// What writers speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Speech {
    Http,
    Grpc,
}

impl Writer {
    pub(crate) async fn new(server: &Server, session: &str, speech: Speech) -> Self {
        let connection = match speech {
            Speech::Http => Connection::Http(Http::connect(server.address).await, server.address),
            Speech::Grpc => Connection::Grpc(Grpc::connect(server.address).await),
        };
        Self { connection, session: session.to_owned() }
    }

    /// Writes one key.
    pub(crate) async fn write(&mut self) {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        match &mut self.connection {
            Connection::Http(client, address) => {
                let path = format!("/api/sessions/{}/settings", self.session);
                let (key, value) = (key(number), value(number));
                let body = format!(r#"{{"scope":"session","key":"{key}","value":{value}}}"#);
                let (status, body) = client.call(&post(*address, &path, &body)).await;
                assert_eq!(status, 200);
                assert!(body.starts_with(br#"{"status":"ok""#), "it changed something");
            }
            Connection::Grpc(client) => {
                let request = UpdateSettingsRequest {
                    session_id: self.session.clone(),
                    scope: Scope::Session.into(),
                    key: Some(key(number)),
                    value_json: Some(value(number)),
                    ..UpdateSettingsRequest::default()
                };
                let answer: UpdateSettingsResponse =
                    client.call("SettingsService/UpdateSettings", &request).await;
                assert_eq!(answer.outcome(), Outcome::Ok, "it changed something");
            }
        }
    }
}
