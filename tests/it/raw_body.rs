//! The raw body of `WatchEvents` against the generated service: two servers in
//! this process, on copies of one home, are asked the same by a client that
//! knows HTTP and nothing of gRPC, and must answer the same to the byte.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, Request, StatusCode, Version};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::{
    body::Incoming,
    client::conn::{http1, http2},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;
use switchboard::{
    config::Config,
    proto::{GetServerInfoRequest, GetServerInfoResponse, WatchEventsRequest, WatchEventsResponse},
    server::{bind, run},
    wire::grpc::WatchBody,
};
use tempfile::TempDir;
use tokio::{net::TcpStream, task::JoinHandle, time::timeout};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::subscriber::{GIVE_UP, fake_agent, finished, server};

mod differences;
mod endings;

const WATCH: &str = "/switchboard.v1.EventService/WatchEvents";

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
        Served { address, token, stop, task }
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
    address: SocketAddr,
    token: String,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

/// A request, as it goes over the wire.
#[derive(Debug, Clone)]
struct Call {
    version: Version,
    path: &'static str,
    headers: Vec<(&'static str, &'static str)>,
    /// The body, one DATA frame or chunk each.
    body: Vec<Bytes>,
}

impl Call {
    /// An ordinary watch over HTTP/2.
    fn watch(request: &WatchEventsRequest) -> Self {
        Self::bytes(framed(request))
    }

    /// A watch whose request is these bytes.
    fn bytes(body: impl Into<Bytes>) -> Self {
        Self {
            version: Version::HTTP_2,
            path: WATCH,
            headers: vec![("content-type", "application/grpc"), ("te", "trailers")],
            body: vec![body.into()],
        }
    }

    /// The same over gRPC-Web.
    fn web(mut self, version: Version, content_type: &'static str) -> Self {
        self.version = version;
        self.headers = vec![("content-type", content_type), ("accept", content_type)];
        if content_type.contains("text") {
            let encode = |part: &Bytes| Bytes::from(BASE64_STANDARD.encode(part));
            self.body = self.body.iter().map(encode).collect();
        }
        self
    }

    fn header(mut self, name: &'static str, value: &'static str) -> Self {
        self.headers.retain(|(given, _)| *given != name);
        self.headers.push((name, value));
        self
    }
}

/// One gRPC message as it stands in a body.
fn framed(message: &impl Message) -> Vec<u8> {
    let message = message.encode_to_vec();
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&[0][..], &length, &message].concat()
}

/// The messages of a body.
fn messages(mut body: &[u8]) -> Vec<WatchEventsResponse> {
    let mut messages = Vec::new();
    while let [compressed, a, b, c, d, rest @ ..] = body {
        assert_eq!(*compressed, 0);
        let (message, after) = rest.split_at(u32::from_be_bytes([*a, *b, *c, *d]) as usize);
        messages.push(WatchEventsResponse::decode(message).unwrap());
        body = after;
    }
    assert_eq!(body, b"");
    messages
}

/// An answer, with what may differ between two servers put in order.
#[derive(Debug, Clone, PartialEq)]
struct Answer {
    status: StatusCode,
    headers: BTreeMap<String, String>,
    problem: Option<Problem>,
    body: Bytes,
    trailers: Option<BTreeMap<String, String>>,
}

/// A gRPC status that is not OK, from the headers or the trailers.
#[derive(Debug, Clone, PartialEq)]
struct Problem {
    code: Code,
    message: String,
    reason: String,
    metadata: BTreeMap<String, String>,
    details: String,
}

impl Problem {
    fn read(headers: &HeaderMap) -> Option<Self> {
        let status = Status::from_header_map(headers).filter(|s| s.code() != Code::Ok)?;
        let details = status.get_error_details();
        let info = details.error_info().expect("every status has an ErrorInfo");
        assert_eq!(info.domain, "switchboard");
        Some(Self {
            code: status.code(),
            message: status.message().to_owned(),
            reason: info.reason.clone(),
            metadata: info.metadata.clone().into_iter().collect(),
            details: format!(
                "{:?} {:?} {:?} {:?}",
                details.bad_request(),
                details.resource_info(),
                details.precondition_failure(),
                details.retry_info()
            ),
        })
    }
}

/// Headers as text, without the time, and without what [`Problem`] has.
fn plain(headers: &HeaderMap) -> BTreeMap<String, String> {
    let left_out = ["date", "grpc-message", "grpc-status-details-bin"];
    headers
        .iter()
        .filter(|(name, _)| !left_out.contains(&name.as_str()))
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
        .collect()
}

impl Served {
    /// Sends a call, and returns the head of its answer.
    async fn send(&self, call: &Call) -> http::Response<Incoming> {
        let stream = TcpStream::connect(self.address).await.unwrap();
        let frames: Vec<_> =
            call.body.iter().map(|part| Ok::<_, Infallible>(Frame::data(part.clone()))).collect();
        let is_http2 = call.version == Version::HTTP_2;
        let authority = if is_http2 { format!("http://{}", self.address) } else { String::new() };
        let mut request = Request::post(format!("{authority}{}", call.path))
            .version(call.version)
            .header("authorization", format!("Bearer {}", self.token));
        if !is_http2 {
            request = request.header("host", self.address.to_string());
        }
        for (name, value) in &call.headers {
            request = request.header(*name, *value);
        }
        let request = request.body(StreamBody::new(stream::iter(frames))).unwrap();
        let io = TokioIo::new(stream);
        let answer = async {
            if is_http2 {
                let (mut sender, connection) =
                    http2::handshake(TokioExecutor::new(), io).await.unwrap();
                tokio::spawn(connection);
                sender.send_request(request).await
            } else {
                let (mut sender, connection) = http1::handshake(io).await.unwrap();
                tokio::spawn(connection);
                sender.send_request(request).await
            }
        };
        timeout(GIVE_UP, answer).await.expect("the call is not answered").unwrap()
    }

    /// Sends a call, and reads its answer to the end.
    async fn call(&self, call: &Call) -> Answer {
        read(self.send(call).await).await
    }

    /// Waits until no watch is open.
    async fn no_watches(&self) {
        let call = Call {
            path: "/switchboard.v1.SystemService/GetServerInfo",
            ..Call::bytes(framed(&GetServerInfoRequest {}))
        };
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

/// Reads an answer to its end.
async fn read(response: http::Response<Incoming>) -> Answer {
    let (parts, body) = response.into_parts();
    let collected = timeout(GIVE_UP, body.collect()).await.expect("the answer does not end");
    let collected = collected.unwrap();
    let trailers = collected.trailers().cloned();
    let problem =
        Problem::read(&parts.headers).or_else(|| trailers.as_ref().and_then(Problem::read));
    Answer {
        status: parts.status,
        headers: plain(&parts.headers),
        problem,
        trailers: trailers.as_ref().map(plain),
        body: collected.to_bytes(),
    }
}
