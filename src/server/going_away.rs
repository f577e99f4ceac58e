//! Connections of WebSockets: what jsonrpsee does not do for them.
//!
//! A client that does not read its answers is not read from: else it could call on
//! and on, and every answer would wait in memory. As soon as it reads, so does the
//! server. How many answers are owed is counted in the frames that pass.
//!
//! jsonrpsee ends a WebSocket by a close frame that says 1000, a normal end,
//! whatever the reason. While the server drains it is 1001, so that clients know
//! that they shall come back; it is put in its place on the way out.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::sync::CancellationToken;

use super::frames::Frames;
use crate::wire::json_rpc::Upgraded;

/// The close frame of a server: its head, and the code 1000.
const NORMAL_END: [u8; 4] = [0x88, 2, 0x03, 0xE8];
/// The same with the code 1001.
const GOING_AWAY: [u8; 4] = [0x88, 2, 0x03, 0xE9];

/// The largest read that waits until less is owed. Whatever is larger is the rest of
/// a message, whose client perhaps reads when all of it is sent.
const SMALL_READ: usize = 8 << 10;

/// A connection, with what is held as long as it is open.
#[derive(Debug)]
pub(super) struct GoingAway<S, H> {
    stream: S,
    _held: H,
    upgraded: Upgraded,
    received: Frames,
    sent: Frames,
    draining: CancellationToken,
    /// How much of [`GOING_AWAY`] was written in place of the other.
    written: usize,
}

impl<S, H> GoingAway<S, H> {
    /// A connection that perhaps is upgraded, and then ends with `draining`.
    pub(super) fn new(stream: S, held: H, upgraded: Upgraded, draining: CancellationToken) -> Self {
        let (received, sent) = (Frames::received(), Frames::sent());
        Self { stream, _held: held, upgraded, received, sent, draining, written: 0 }
    }

    fn is_going(&self) -> bool {
        self.upgraded.is_set() && self.draining.is_cancelled()
    }
}

impl<S: AsyncWrite + Unpin, H> GoingAway<S, H> {
    fn write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if !self.is_going() {
            return Pin::new(&mut self.stream).poll_write(cx, bytes);
        }
        let rest = &NORMAL_END[self.written..];
        // It is the last frame, flushed as a whole. No message ends in its bytes:
        // JSON has no control characters. The rest of one that was written in part
        // comes alone.
        let is_rest = if self.written > 0 { bytes == rest } else { bytes.ends_with(rest) };
        if !is_rest {
            return Pin::new(&mut self.stream).poll_write(cx, bytes);
        }
        match &bytes[..bytes.len() - rest.len()] {
            [] => {
                let instead = &GOING_AWAY[self.written..];
                let count = ready!(Pin::new(&mut self.stream).poll_write(cx, instead))?;
                self.written = (self.written + count) % GOING_AWAY.len();
                Poll::Ready(Ok(count))
            }
            before => Pin::new(&mut self.stream).poll_write(cx, before),
        }
    }
}

impl<S: AsyncRead + Unpin, H: Unpin> AsyncRead for GoingAway<S, H> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.upgraded.is_set() {
            return Pin::new(&mut this.stream).poll_read(cx, buffer);
        }
        if buffer.remaining() <= SMALL_READ && this.upgraded.owes_too_much(cx.waker()) {
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut this.stream).poll_read(cx, buffer))?;
        this.upgraded.owe(this.received.pass(&buffer.filled()[before..]));
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin, H: Unpin> AsyncWrite for GoingAway<S, H> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let count = ready!(this.write(cx, bytes))?;
        if this.upgraded.is_set() {
            match this.sent.pass(&bytes[..count]) {
                0 => {}
                messages => this.upgraded.settle(messages),
            }
        }
        Poll::Ready(Ok(count))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.upgraded.is_set() {
            let part = parts.iter().find(|part| !part.is_empty());
            return self.poll_write(cx, part.map_or(&[], |part| part));
        }
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    /// What comes out of a connection whose other end takes `room` bytes at once.
    async fn written(upgrade: bool, drain: bool, room: usize, writes: &[&[u8]]) -> Vec<u8> {
        let (near, mut far) = duplex(room);
        let (upgraded, draining) = (Upgraded::default(), CancellationToken::new());
        if upgrade {
            upgraded.set();
        }
        if drain {
            draining.cancel();
        }
        let mut stream = GoingAway::new(near, (), upgraded, draining);
        let reading = async {
            let mut all = Vec::new();
            far.read_to_end(&mut all).await.unwrap();
            all
        };
        let writing = async {
            for bytes in writes {
                stream.write_all(bytes).await.unwrap();
            }
            drop(stream);
        };
        tokio::join!(reading, writing).0
    }

    #[tokio::test]
    async fn the_end_of_a_websocket_is_1001_while_the_server_drains_and_nothing_else_changes() {
        let text: &[u8] = b"\x81\x02{}";
        for room in [1, 2, 3, 64] {
            let whole = [text, &NORMAL_END].concat();
            let gone = written(true, true, room, &[text, &NORMAL_END]).await;
            assert_eq!(gone, [text, &GOING_AWAY].concat());
            assert_eq!(written(true, true, room, &[&whole]).await, gone);
            assert_eq!(written(true, false, room, &[&whole]).await, whole);
            assert_eq!(written(false, true, room, &[&whole]).await, whole);
        }
    }
}
