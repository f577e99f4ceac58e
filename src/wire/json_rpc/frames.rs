//! The frames of a WebSocket (RFC 6455): what comes is read by tungstenite, which
//! holds clients to it; what goes is written here, one message after the other.
//!
//! tungstenite's own writer is not used: it answers a close before what was asked
//! before it, and does not say when a message has gone.

use std::{io, time::Duration};

use bytes::{Buf as _, Bytes, BytesMut};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    sync::{OwnedSemaphorePermit, mpsc},
    time::timeout,
};
use tungstenite::{
    Message, WebSocket,
    error::{Error, ProtocolError},
    protocol::{
        CloseFrame, Role, WebSocketConfig,
        frame::{
            Frame as Bare,
            coding::{Data, OpCode},
        },
    },
};

use super::life::Life;

/// How much is read at once.
const READ: usize = 16 << 10;

/// Reads what a client sends.
pub(super) struct Reader<S> {
    stream: S,
    socket: WebSocket<Arrived>,
}

/// Why no more messages come.
#[derive(Debug)]
pub(super) enum Broken {
    /// Nobody is there any more.
    Gone,
    /// A message is larger than it may be: so large, as far as is known.
    TooLarge(usize),
    /// A text is no UTF-8.
    NoText,
    /// It is not what RFC 6455 allows.
    Protocol,
}

impl<S: AsyncRead + Unpin> Reader<S> {
    /// Reads messages of at most `limit` bytes, all of their frames together.
    pub(super) fn new(stream: S, limit: usize) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(READ)
            .write_buffer_size(0)
            .max_message_size(Some(limit))
            .max_frame_size(Some(limit));
        let socket = WebSocket::from_raw_socket(Arrived::default(), Role::Server, Some(config));
        Self { stream, socket }
    }

    /// The next message, which may be one of control. Nothing is lost where this is
    /// dropped and called again.
    ///
    /// # Errors
    ///
    /// There is no next one.
    pub(super) async fn next(&mut self, life: &Life) -> Result<Message, Broken> {
        loop {
            match self.socket.read() {
                Ok(message) => return Ok(message),
                Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(broken(&error)),
            }
            let arrived = self.socket.get_mut();
            arrived.bytes.reserve(READ);
            match self.stream.read_buf(&mut arrived.bytes).await {
                Ok(0) => arrived.is_over = true,
                Ok(_) => life.heard(),
                Err(_) => return Err(Broken::Gone),
            }
        }
    }

    /// Reads and drops whatever comes, until nothing does.
    pub(super) async fn drain(&mut self) {
        let mut dropped = BytesMut::with_capacity(READ);
        while matches!(self.stream.read_buf(&mut dropped).await, Ok(1..)) {
            dropped.clear();
        }
    }
}

fn broken(error: &Error) -> Broken {
    match error {
        Error::Capacity(tungstenite::error::CapacityError::MessageTooLong { size, .. }) => {
            Broken::TooLarge(*size)
        }
        Error::Utf8(_) => Broken::NoText,
        Error::Protocol(
            ProtocolError::ResetWithoutClosingHandshake
            | ProtocolError::SendAfterClosing
            | ProtocolError::ReceivedAfterClosing,
        ) => Broken::Gone,
        Error::Protocol(_) => Broken::Protocol,
        Error::Capacity(_)
        | Error::ConnectionClosed
        | Error::AlreadyClosed
        | Error::Io(_)
        | Error::Tls(_)
        | Error::WriteBufferFull(_)
        | Error::AttackAttempt
        | Error::Url(_)
        | Error::Http(_)
        | Error::HttpFormat(_) => Broken::Gone,
    }
}

/// The bytes that came and were not looked at yet.
#[derive(Debug, Default)]
struct Arrived {
    bytes: BytesMut,
    is_over: bool,
}

impl io::Read for Arrived {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        if self.bytes.is_empty() && !self.is_over {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let count = self.bytes.len().min(to.len());
        self.bytes.copy_to_slice(&mut to[..count]);
        Ok(count)
    }
}

/// What tungstenite answers by itself is not wanted: it is not in our line.
impl io::Write for Arrived {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// One message for a client, with what it holds until it was sent.
#[derive(Debug)]
pub(super) struct Frame {
    frame: Bare,
    kind: Kind,
    held: Vec<OwnedSemaphorePermit>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Plain,
    Ping,
    /// It has what the newest ping has, when it goes.
    Pong,
    Close,
}

impl Frame {
    pub(super) fn text(text: String, held: Vec<OwnedSemaphorePermit>) -> Self {
        let frame = Bare::message(text, OpCode::Data(Data::Text), true);
        Self { frame, kind: Kind::Plain, held }
    }

    pub(super) fn ping() -> Self {
        Self { frame: Bare::ping(Bytes::new()), kind: Kind::Ping, held: Vec::new() }
    }

    pub(super) fn pong() -> Self {
        Self { frame: Bare::pong(Bytes::new()), kind: Kind::Pong, held: Vec::new() }
    }

    pub(super) fn close(close: Option<CloseFrame>) -> Self {
        Self { frame: Bare::close(close), kind: Kind::Close, held: Vec::new() }
    }
}

/// Writes what is in the queue up to a close, or until the client takes nothing for
/// as long as `patience`.
pub(super) async fn write<S: AsyncWrite + Unpin>(
    mut stream: S,
    mut queue: mpsc::Receiver<Frame>,
    patience: Duration,
    life: &Life,
) {
    while let Some(Frame { mut frame, kind, held }) = queue.recv().await {
        if kind == Kind::Pong {
            frame = Bare::pong(life.answered());
        }
        let mut head = Vec::with_capacity(10);
        let payload = frame.payload().len() as u64;
        if frame.header().format(payload, &mut head).is_err() {
            return;
        }
        let mut bytes = Bytes::from(head).chain(frame.into_payload());
        while bytes.has_remaining() {
            // It is a client's own matter how long all takes, as long as it reads.
            match timeout(patience, stream.write_buf(&mut bytes)).await {
                Ok(Ok(1..)) => {}
                Ok(Ok(0) | Err(_)) | Err(_) => return,
            }
        }
        drop(held);
        match kind {
            Kind::Plain | Kind::Pong => {}
            Kind::Ping => life.asked(),
            Kind::Close => {
                let _ = timeout(patience, stream.shutdown()).await;
                return;
            }
        }
    }
}
