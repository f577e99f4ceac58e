//! A WebSocket by hand: RFC 6455 as far as a test needs it.

use std::{
    collections::VecDeque,
    io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use serde_json::{Value, json};

use super::outcome;

/// An open one. It is closed, without a word, when it is dropped.
#[derive(Debug)]
pub(crate) struct Socket {
    reader: BufReader<TcpStream>,
    next_id: u64,
    /// Notifications that came while an answer was waited for.
    waiting: VecDeque<Value>,
    /// Of a frame that the connection had no room for.
    unsent: Vec<u8>,
}

/// What came.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Frame {
    Text(String),
    Ping,
    Pong,
    Close(Option<u16>),
    /// The connection is gone.
    End,
}

impl Socket {
    pub(super) fn open(address: SocketAddr, authorization: &str) -> Self {
        let (status, socket) = Self::request(address, &[("authorization", authorization)]);
        assert_eq!(status, 101);
        socket
    }

    /// Asks for one; says with which status that was answered.
    pub(super) fn request(address: SocketAddr, headers: &[(&str, &str)]) -> (u16, Self) {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let mut request = format!(
            "GET /rpc HTTP/1.1\r\nhost: {address}\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
             sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        );
        for (name, value) in headers {
            request += &format!("{name}: {value}\r\n");
        }
        stream.write_all(format!("{request}\r\n").as_bytes()).unwrap();
        let mut reader = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(reader.read_line(&mut head).unwrap(), 0, "{head}");
        }
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        if status == 101 {
            // RFC 6455, section 1.3, has the answer to this key.
            assert!(head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{head}");
        }
        (status, Self { reader, next_id: 1, waiting: VecDeque::new(), unsent: Vec::new() })
    }

    /// Sends bytes as they are.
    pub(super) fn write(&mut self, bytes: &[u8]) {
        self.reader.get_mut().write_all(bytes).unwrap();
    }

    /// The same, where the server perhaps has gone.
    pub(super) fn try_write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.reader.get_mut().write_all(bytes)
    }

    /// Sends a frame where the connection has room for some of it; what of it is
    /// left is sent before the next one. Says whether it had. Nothing is read until
    /// [`Socket::stop_writing`].
    pub(super) fn write_if_room(&mut self, frame: &[u8]) -> bool {
        let stream = self.reader.get_mut();
        stream.set_nonblocking(true).unwrap();
        while !self.unsent.is_empty() {
            match stream.write(&self.unsent) {
                Ok(count) => drop(self.unsent.drain(..count)),
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::WouldBlock);
                    return false;
                }
            }
        }
        self.unsent.extend(frame);
        true
    }

    /// Makes reading wait again.
    pub(super) fn stop_writing(&mut self) {
        self.reader.get_mut().set_nonblocking(false).unwrap();
    }

    /// Sends what is left of the last frame.
    pub(super) fn write_rest(&mut self) {
        let stream = self.reader.get_mut();
        stream.write_all(&std::mem::take(&mut self.unsent)).unwrap();
    }

    /// Waits until something came, and leaves it where it is.
    pub(super) fn arrives(&self) {
        assert_eq!(self.reader.get_ref().peek(&mut [0]).unwrap(), 1);
    }

    /// Sends one message.
    pub(crate) fn send(&mut self, text: &str) {
        self.write(&frame(0x81, text.as_bytes()));
    }

    /// The next frame, whatever it is. A ping is answered.
    pub(super) fn frame(&mut self) -> Frame {
        let frame = self.frame_unanswered();
        if frame == Frame::Ping {
            self.write(&self::frame(0x8A, b""));
        }
        frame
    }

    /// The same, and a ping is not answered.
    pub(super) fn frame_unanswered(&mut self) -> Frame {
        let mut head = [0; 2];
        if self.reader.read_exact(&mut head).is_err() {
            return Frame::End;
        }
        assert_eq!(head[0] & 0x80, 0x80, "the server sends each message as one frame");
        assert_eq!(head[1] & 0x80, 0, "what a server sends is not masked");
        let length = match head[1] {
            126 => u64::from(u16::from_be_bytes(self.exactly())),
            127 => u64::from_be_bytes(self.exactly()),
            short => short.into(),
        };
        let mut payload = vec![0; usize::try_from(length).unwrap()];
        self.reader.read_exact(&mut payload).unwrap();
        match head[0] & 0x0F {
            1 => Frame::Text(String::from_utf8(payload).unwrap()),
            8 => Frame::Close(payload.first_chunk().map(|code| u16::from_be_bytes(*code))),
            9 => Frame::Ping,
            10 => Frame::Pong,
            other => panic!("opcode {other}"),
        }
    }

    fn exactly<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.reader.read_exact(&mut bytes).unwrap();
        bytes
    }

    /// The next message, pings left out.
    pub(crate) fn message(&mut self) -> Value {
        loop {
            match self.frame() {
                Frame::Text(text) => return serde_json::from_str(&text).unwrap(),
                Frame::Ping | Frame::Pong => {}
                other => panic!("{other:?} instead of a message"),
            }
        }
    }

    /// Sends a call, and gives its id.
    pub(super) fn begin(&mut self, method: &str, params: &Value) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        let request = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        self.send(&request.to_string());
        id
    }

    /// The answer to a call; notifications before it wait.
    pub(super) fn answer(&mut self, id: u64) -> Result<Value, Value> {
        loop {
            let message = self.message();
            if message.get("id") == Some(&json!(id)) {
                return outcome(message);
            }
            assert!(message.get("method").is_some(), "{message}");
            self.waiting.push_back(message);
        }
    }

    /// The same, where answers that nobody wants come before it.
    pub(super) fn answer_among(&mut self, id: u64) -> Result<Value, Value> {
        loop {
            let message = self.message();
            if message.get("id") == Some(&json!(id)) {
                return outcome(message);
            }
        }
    }

    pub(crate) fn call(&mut self, method: &str, params: &Value) -> Result<Value, Value> {
        let id = self.begin(method, params);
        self.answer(id)
    }

    pub(super) fn ok(&mut self, method: &str, params: &Value) -> Value {
        self.call(method, params).unwrap_or_else(|error| panic!("{method}: {error:#}"))
    }

    /// Keeps a notification for when it is asked for.
    pub(super) fn keep(&mut self, notification: Value) {
        self.waiting.push_back(notification);
    }

    /// How many notifications of a subscription came and were not asked for.
    pub(super) fn waiting(&self, subscription: &str) -> usize {
        let of = |message: &&Value| message["params"]["subscription"] == subscription;
        self.waiting.iter().filter(of).count()
    }

    /// Begins a subscription, and gives its id.
    pub(super) fn subscribe(&mut self, method: &str, params: &Value) -> String {
        self.ok(method, params).as_str().unwrap().to_owned()
    }

    /// The result of the next notification of a subscription.
    pub(crate) fn told(&mut self, subscription: &str) -> Value {
        let is_of = |message: &Value| message["params"]["subscription"] == subscription;
        if let Some(at) = self.waiting.iter().position(is_of) {
            return self.waiting.remove(at).unwrap()["params"]["result"].take();
        }
        loop {
            let mut message = self.message();
            assert!(message["method"].as_str().unwrap().ends_with("/messages"), "{message}");
            if is_of(&message) {
                return message["params"]["result"].take();
            }
            self.waiting.push_back(message);
        }
    }

    /// The messages of a subscription up to the first that has this member.
    pub(super) fn until(&mut self, subscription: &str, member: &str) -> Vec<Value> {
        let mut all: Vec<Value> = Vec::new();
        loop {
            let told = self.told(subscription);
            assert!(told.get("closed").is_none(), "closed before {member}: {told:#} {all:#?}");
            all.extend(told["messages"].as_array().unwrap().iter().cloned());
            if all.iter().any(|message| message.get(member).is_some()) {
                return all;
            }
        }
    }

    /// All messages of a subscription that ends, and how it ends.
    pub(super) fn rest_of(&mut self, subscription: &str) -> (Vec<Value>, Value) {
        let mut all: Vec<Value> = Vec::new();
        loop {
            let mut told = self.told(subscription);
            all.extend(told["messages"].as_array().unwrap().iter().cloned());
            if let Some(closed) = told.get_mut("closed") {
                return (all, closed.take());
            }
        }
    }
}

/// A masked frame.
pub(super) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        length @ ..126 => frame.push(0x80 | u8::try_from(length).unwrap()),
        length @ ..65_536 => {
            frame.push(0x80 | 126);
            frame.extend(u16::try_from(length).unwrap().to_be_bytes());
        }
        length => {
            frame.push(0x80 | 127);
            frame.extend((length as u64).to_be_bytes());
        }
    }
    let mask = [0x5A, 0xC3, 0x0F, 0x99];
    frame.extend(mask);
    frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

/// The seqs of the events among messages.
pub(super) fn seqs(messages: &[Value]) -> Vec<u64> {
    let events = messages.iter().filter_map(|message| message.get("event"));
    events.map(|event| event["seq"].as_str().unwrap().parse().unwrap()).collect()
}
