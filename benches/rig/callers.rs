//! Clients that do no more than they must, so that they leave the machine to the
//! server: each has one connection, and one call on it at a time.

use std::net::SocketAddr;

use bytes::{BufMut as _, Bytes, BytesMut};
use h2::client::SendRequest;
use http::Request;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinHandle,
};

/// HTTP/1.1: a request is bytes, and of an answer only its length is understood.
#[derive(Debug)]
pub(crate) struct Http {
    stream: TcpStream,
    buffer: BytesMut,
}

impl Http {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.expect("a server that listens");
        stream.set_nodelay(true).expect("a socket");
        Self { stream, buffer: BytesMut::with_capacity(64 << 10) }
    }

    /// The status and the body.
    pub(crate) async fn call(&mut self, request: &[u8]) -> (u16, Bytes) {
        self.stream.write_all(request).await.expect("a connection");
        let head = loop {
            let end = self.buffer.windows(4).position(|window| window == b"\r\n\r\n");
            if let Some(end) = end {
                break self.buffer.split_to(end + 4);
            }
            self.read().await;
        };
        let head = String::from_utf8_lossy(&head).to_ascii_lowercase();
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
        let length = length.and_then(|length| length.trim().parse().ok()).unwrap_or(0);
        while self.buffer.len() < length {
            self.read().await;
        }
        (status.expect("a status"), self.buffer.split_to(length).freeze())
    }

    async fn read(&mut self) {
        let count = self.stream.read_buf(&mut self.buffer).await.expect("a connection");
        assert!(count > 0, "the server closed the connection");
    }
}

/// A GET of HTTP/1.1.
pub(crate) fn get(address: SocketAddr, path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: {address}\r\naccept: */*\r\n\r\n").into_bytes()
}

/// A POST of JSON.
pub(crate) fn post(address: SocketAddr, path: &str, body: &str) -> Vec<u8> {
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    );
    (head + body).into_bytes()
}

/// gRPC, of calls with one message each way.
#[derive(Debug)]
pub(crate) struct Grpc {
    sender: SendRequest<Bytes>,
    address: SocketAddr,
    connection: JoinHandle<()>,
}

impl Grpc {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.expect("a server that listens");
        stream.set_nodelay(true).expect("a socket");
        let mut builder = h2::client::Builder::new();
        builder.initial_window_size(1 << 20).initial_connection_window_size(4 << 20);
        let (sender, connection) = builder.handshake(stream).await.expect("HTTP/2");
        let connection = tokio::spawn(async move {
            // The end of the server is the end of the connection.
            let _ = connection.await;
        });
        Self { sender: sender.ready().await.expect("a connection"), address, connection }
    }

    /// Calls `method`, as in `SettingsService/GetSettings`, which must succeed.
    pub(crate) async fn call<R: prost::Message + Default>(
        &mut self,
        method: &str,
        request: &impl prost::Message,
    ) -> R {
        let head = Request::post(format!("http://{}/switchboard.v1.{method}", self.address))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(())
            .expect("a request");
        let (response, mut body) = self.sender.send_request(head, false).expect("a stream");
        let mut message = BytesMut::new();
        message.put_u8(0);
        message.put_u32(u32::try_from(request.encoded_len()).expect("a small request"));
        request.encode(&mut message).expect("BytesMut grows");
        body.send_data(message.freeze(), true).expect("a stream");
        let response = response.await.expect("a response");
        assert_eq!(response.headers().get("grpc-status"), None, "{method} was refused");
        let mut body = response.into_body();
        let mut answer = BytesMut::new();
        while let Some(bytes) = body.data().await {
            let bytes = bytes.expect("data");
            body.flow_control().release_capacity(bytes.len()).expect("capacity");
            answer.extend_from_slice(&bytes);
        }
        R::decode(&answer[5..]).expect("an answer")
    }
}

impl Drop for Grpc {
    fn drop(&mut self) {
        self.connection.abort();
    }
}
