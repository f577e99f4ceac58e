//! What one would write without thinking about speed: a tonic server that keeps
//! a channel for each subscriber and lets prost encode each message for each of
//! them. No agent, no parsing, no log: the events are made in memory, and so are
//! the settings.
//!
//! It serves the same contract, so that the same messages are on the wire.
#![allow(clippy::print_stdout, reason = "the bench reads the address there")]

use std::{
    io::{self, BufRead as _},
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use bytes::Bytes;
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use switchboard::{
    agent,
    event::{self, Envelope},
    id::{Seq, SessionId, TurnNumber},
    proto::{
        DeleteSettingRequest, DeleteSettingResponse, GetSettingsRequest, GetSettingsResponse,
        ListEventsRequest, ListEventsResponse, TimeSource, UpdateSettingsRequest,
        UpdateSettingsResponse, WatchEventsRequest, WatchEventsResponse,
        event::Kind,
        event_service_server::{EventService, EventServiceServer},
        settings_service_server::{SettingsService, SettingsServiceServer},
    },
};
use tokio::{net::TcpListener, sync::mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, service::Routes};

pub(crate) const ROLE: &str = "plain-tonic-server";

/// Messages that a channel holds.
const CHANNEL: usize = 1024;

type Message = Result<WatchEventsResponse, Status>;

#[derive(Debug, Clone, Default)]
struct Plain {
    subscribers: Arc<Mutex<Vec<mpsc::Sender<Message>>>>,
}

#[tonic::async_trait]
impl EventService for Plain {
    type WatchEventsStream = ReceiverStream<Message>;

    async fn watch_events(
        &self,
        _: Request<WatchEventsRequest>,
    ) -> Result<Response<Self::WatchEventsStream>, Status> {
        let (tx, rx) = mpsc::channel(CHANNEL);
        self.subscribers.lock().unwrap_or_else(PoisonError::into_inner).push(tx);
        Ok(Response::new(ReceiverStream::new(rx)))
    }

    async fn list_events(
        &self,
        _: Request<ListEventsRequest>,
    ) -> Result<Response<ListEventsResponse>, Status> {
        Err(Status::unimplemented("a bench only watches"))
    }
}

/// Settings that are in memory.
#[derive(Debug)]
struct Map(String);

#[tonic::async_trait]
impl SettingsService for Map {
    async fn get_settings(
        &self,
        request: Request<GetSettingsRequest>,
    ) -> Result<Response<GetSettingsResponse>, Status> {
        let key = request.into_inner().key;
        Ok(Response::new(GetSettingsResponse {
            settings_json: key.is_none().then(|| self.0.clone()),
            value_json: key.is_some().then(|| super::settings::value(7)),
            found: key.is_some(),
            key,
            etag: "1".to_owned(),
            ..GetSettingsResponse::default()
        }))
    }

    async fn update_settings(
        &self,
        _: Request<UpdateSettingsRequest>,
    ) -> Result<Response<UpdateSettingsResponse>, Status> {
        Err(Status::unimplemented("a bench only reads"))
    }

    async fn delete_setting(
        &self,
        _: Request<DeleteSettingRequest>,
    ) -> Result<Response<DeleteSettingResponse>, Status> {
        Err(Status::unimplemented("a bench only reads"))
    }
}

/// Serves. Prints the address; each line on stdin is a number of events to send
/// to all who are there, whose streams then end.
pub(crate) fn serve() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let plain = Plain::default();
    runtime.spawn(accept(plain.clone()));
    for line in io::stdin().lock().lines() {
        let count = line.expect("stdin").parse().expect("a number of events");
        runtime.block_on(runtime.spawn(plain.clone().produce(count))).expect("no panic");
    }
}

async fn accept(plain: Plain) {
    let settings = SettingsServiceServer::new(Map(super::settings::map()));
    let router = Routes::new(EventServiceServer::new(plain)).add_service(settings);
    let router = router.prepare().into_axum_router();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    println!("{}", listener.local_addr().expect("a listener has an address"));
    loop {
        let (stream, _) = listener.accept().await.expect("a connection");
        stream.set_nodelay(true).expect("a socket");
        let service = TowerToHyperService::new(router.clone());
        tokio::spawn(async move {
            let builder = auto::Builder::new(TokioExecutor::new()).http2_only();
            // A client that goes away is no error here.
            let _ = builder.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

impl Plain {
    async fn produce(self, count: u64) {
        let subscribers =
            std::mem::take(&mut *self.subscribers.lock().unwrap_or_else(PoisonError::into_inner));
        let events = Events::new();
        for seq in 1..=count {
            let message = events.message(Seq(seq));
            let Some((last, others)) = subscribers.split_last() else { return };
            for subscriber in others {
                // One that is gone misses it.
                let _ = subscriber.send(Ok(message.clone())).await;
            }
            let _ = last.send(Ok(message)).await;
        }
    }
}

/// The events of an agent, parsed already.
#[derive(Debug)]
pub(crate) struct Events {
    envelope: Envelope,
    kinds: Vec<(Kind, Bytes)>,
}

impl Events {
    pub(crate) fn new() -> Self {
        let now = SystemTime::now();
        let envelope = Envelope::agent(SessionId::random(), TurnNumber(1), now, TimeSource::Live);
        let kinds = (100_000..100_004).map(|number| {
            let mut line = String::new();
            super::agent::item(&mut line, number, std::time::Duration::ZERO);
            let line = Bytes::from(line.trim_end().to_owned());
            (agent::parse(&agent::Kind::Codex, &line), line)
        });
        Self { envelope, kinds: kinds.collect() }
    }

    pub(crate) fn message(&self, seq: Seq) -> WatchEventsResponse {
        let (kind, raw) = &self.kinds[(seq.0 % self.kinds.len() as u64) as usize];
        event::message(self.envelope.seal(seq, kind.clone(), raw.clone(), 356 * seq.0))
    }
}
