//! The raw body of `WatchEvents` against the generated service: two servers in
//! this process, on copies of one home, are asked the same by a client that
//! knows HTTP and nothing of gRPC, and must answer the same to the byte.

use std::{
    fs,
    path::{Path, PathBuf},
};

use prost::Message as _;
use switchboard::{
    config::{Config, WatchBody},
    proto::{GetServerInfoRequest, GetServerInfoResponse, WatchEventsRequest},
    server::{bind, run},
};
use tempfile::TempDir;
use tokio::{task::JoinHandle, time::timeout};
use tokio_util::sync::CancellationToken;

use crate::{
    bare::{Answer, Call, Place, framed},
    subscriber::{GIVE_UP, fake_agent, finished, server},
};

mod differences;
mod endings;

/// What the two servers have to tell about.
struct Story {
    directory: TempDir,
    /// A session with many small events.
    small: String,
    /// A session with an event that a default client cannot take.
    large: String,
}

impl Story {
    async fn tell() -> Self {
        let mut server = server();
        let clients = server.connect().await;
        let small = finished(&server, &clients, "thread,turn,print:700,error:x,completed").await;
        let large = finished(&server, &clients, "thread,turn,print:3,big:4000000,completed").await;
        server.stop();
        let directory = tempfile::Builder::new().prefix("sb-").tempdir().unwrap();
        for name in ["raw", "generated"] {
            copy(&server.home(), &directory.path().join(name));
        }
        Self { directory, small, large }
    }

    async fn serve(&self, name: &str, watch_body: WatchBody) -> Served {
        let home = self.directory.path().join(name);
        let mut config = Config::ephemeral(&home);
        config.program = env!("CARGO_BIN_EXE_switchboard").into();
        config.codex.path = Some(fake_agent());
        config.watch_body = watch_body;
        let listeners = bind(&config).await.unwrap();
        let addresses = listeners.addresses();
        let address = addresses.iter().find_map(|address| address.strip_prefix("http://")).unwrap();
        let address = address.parse().unwrap();
        let stop = CancellationToken::new();
        let stopped = stop.clone().cancelled_owned();
        let task = tokio::spawn(async move { run(config, listeners, stopped).await.unwrap() });
        let token = fs::read_to_string(home.join("token")).unwrap().trim_end().to_owned();
        Served { place: Place { address, token }, stop, task }
    }

    /// One server with the raw body, and one with the generated service.
    async fn serve_both(&self) -> [Served; 2] {
        [
            self.serve("raw", WatchBody::Raw).await,
            self.serve("generated", WatchBody::Generated).await,
        ]
    }
}

fn copy(from: &Path, to: &PathBuf) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            copy(&entry.path(), &target);
        } else if kind.is_file() {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// A server in this process.
struct Served {
    place: Place,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Served {
    async fn call(&self, call: &Call) -> Answer {
        self.place.call(call).await
    }

    /// Waits until no watch is open.
    async fn no_watches(&self) {
        let call = Call::method(
            "/switchboard.v1.SystemService/GetServerInfo",
            framed(&GetServerInfoRequest {}),
        );
        let gone = async {
            loop {
                let answer = self.call(&call).await;
                let info = GetServerInfoResponse::decode(answer.body.slice(5..)).unwrap();
                if info.open_watches == 0 {
                    return;
                }
            }
        };
        timeout(GIVE_UP, gone).await.expect("the server keeps a watch open");
    }

    async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }
}

/// An ordinary watch over HTTP/2.
fn watch(request: &WatchEventsRequest) -> Call {
    unreadable(framed(request))
}

/// A watch whose request is these bytes.
fn unreadable(bytes: impl Into<bytes::Bytes>) -> Call {
    Call::method("/switchboard.v1.EventService/WatchEvents", bytes)
}
