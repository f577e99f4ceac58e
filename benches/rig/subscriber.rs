//! Subscribers that only count: HTTP/2 and the lengths of messages, nothing
//! else, so that they leave the machine to the server.

use std::net::SocketAddr;

use bytes::{BufMut as _, Bytes, BytesMut};
use futures_util::future::join_all;
use h2::{RecvStream, client::SendRequest};
use http::Request;
use prost::Message as _;
use switchboard::proto::WatchEventsRequest;
use tokio::{net::TcpStream, task::JoinHandle};

/// What a stream may send ahead, as good clients allow.
const STREAM_WINDOW: u32 = 4 << 20;
const CONNECTION_WINDOW: u32 = 64 << 20;
/// The largest HTTP/2 frame that a subscriber takes. Clients made of gRPC's C
/// core raise it as they go; h2 writes one frame at a time, so that it decides
/// about the number of system calls.
pub(crate) const LARGE_FRAMES: u32 = 256 << 10;
/// The same for clients that leave it at what HTTP/2 begins with.
pub(crate) const SMALL_FRAMES: u32 = 16 << 10;
/// More subscribers than this share connections.
const CONNECTIONS: usize = 100;

/// One stream of messages.
#[derive(Debug)]
pub(crate) struct Subscriber {
    body: RecvStream,
    counter: Counter,
    /// Messages that were received and not yet taken.
    ahead: usize,
}

/// Subscribers and their connections.
#[derive(Debug)]
pub(crate) struct Audience {
    subscribers: Vec<Subscriber>,
    connections: Vec<JoinHandle<()>>,
}

impl Audience {
    /// Opens so many watches of the same kind.
    pub(crate) async fn new(
        address: SocketAddr,
        count: usize,
        request: &WatchEventsRequest,
        max_frame: u32,
    ) -> Self {
        let mut builder = h2::client::Builder::new();
        builder
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_frame_size(max_frame);
        Self::with(builder, address, count, request).await
    }

    /// Opens watches that take nothing, over at most so many connections, with
    /// the windows that HTTP/2 has by default. The connections themselves are read.
    pub(crate) async fn of_readers_that_stop(
        address: SocketAddr,
        count: usize,
        request: &WatchEventsRequest,
    ) -> Self {
        Self::with(h2::client::Builder::new(), address, count, request).await
    }

    async fn with(
        builder: h2::client::Builder,
        address: SocketAddr,
        count: usize,
        request: &WatchEventsRequest,
    ) -> Self {
        let mut senders = Vec::new();
        let mut connections = Vec::new();
        for _ in 0..count.min(CONNECTIONS) {
            let (sender, connection) = connect(&builder, address).await;
            senders.push(sender);
            connections.push(connection);
        }
        let mut subscribers = Vec::new();
        for at in 0..count {
            let sender = senders[at % senders.len()].clone();
            subscribers.push(watch(sender, address, request).await);
        }
        Self { subscribers, connections }
    }

    /// Waits until each has taken so many more messages.
    pub(crate) async fn take(&mut self, messages: usize) {
        let subscribers = std::mem::take(&mut self.subscribers);
        let tasks = subscribers.into_iter().map(|mut subscriber| {
            tokio::spawn(async move {
                subscriber.take(messages).await;
                subscriber
            })
        });
        let subscribers = join_all(tasks.collect::<Vec<_>>()).await;
        self.subscribers = subscribers.into_iter().map(|task| task.expect("no panic")).collect();
    }
}

impl Drop for Audience {
    fn drop(&mut self) {
        for connection in &self.connections {
            connection.abort();
        }
    }
}

async fn connect(
    builder: &h2::client::Builder,
    address: SocketAddr,
) -> (SendRequest<Bytes>, JoinHandle<()>) {
    let stream = TcpStream::connect(address).await.expect("a server that listens");
    stream.set_nodelay(true).expect("a socket");
    let (sender, connection) = builder.handshake(stream).await.expect("HTTP/2");
    let connection = tokio::spawn(async move {
        // The end of the server is the end of the connection.
        let _ = connection.await;
    });
    (sender.ready().await.expect("a connection"), connection)
}

async fn watch(
    mut sender: SendRequest<Bytes>,
    address: SocketAddr,
    request: &WatchEventsRequest,
) -> Subscriber {
    let head = Request::post(format!("http://{address}/switchboard.v1.EventService/WatchEvents"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(())
        .expect("a request");
    let (response, mut body) = sender.send_request(head, false).expect("a stream");
    let mut message = BytesMut::new();
    message.put_u8(0);
    message.put_u32(u32::try_from(request.encoded_len()).expect("a small request"));
    request.encode(&mut message).expect("BytesMut grows");
    body.send_data(message.freeze(), true).expect("a stream");
    let response = response.await.expect("a response");
    assert_eq!(response.headers().get("grpc-status"), None, "the watch was refused");
    Subscriber { body: response.into_body(), counter: Counter::default(), ahead: 0 }
}

impl Subscriber {
    async fn take(&mut self, messages: usize) {
        while self.ahead < messages {
            let bytes = self.body.data().await.expect("a stream that goes on").expect("data");
            self.body.flow_control().release_capacity(bytes.len()).expect("capacity");
            self.ahead += self.counter.count(&bytes);
        }
        self.ahead -= messages;
    }
}

/// Counts the messages of a gRPC body.
#[derive(Debug, Default)]
struct Counter {
    prefix: [u8; 5],
    /// Bytes of the prefix that are known.
    known: usize,
    /// Bytes of the message that are still to come.
    missing: usize,
}

impl Counter {
    /// How many messages end in these bytes.
    fn count(&mut self, mut bytes: &[u8]) -> usize {
        let mut count = 0;
        while !bytes.is_empty() {
            if self.known < self.prefix.len() {
                let taken = bytes.len().min(self.prefix.len() - self.known);
                self.prefix[self.known..self.known + taken].copy_from_slice(&bytes[..taken]);
                self.known += taken;
                bytes = &bytes[taken..];
                if self.known < self.prefix.len() {
                    break;
                }
                let [_, length @ ..] = self.prefix;
                self.missing = u32::from_be_bytes(length) as usize;
            }
            let taken = bytes.len().min(self.missing);
            self.missing -= taken;
            bytes = &bytes[taken..];
            if self.missing == 0 {
                self.known = 0;
                count += 1;
            }
        }
        count
    }
}
