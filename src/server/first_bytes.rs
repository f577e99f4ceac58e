//! Connections that say nothing: whoever opens one may hold it open only when
//! what it sends begins to be a request.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};

/// How many bytes tell HTTP/1 from HTTP/2: as many as HTTP/2 begins with. From
/// there on hyper has deadlines of its own.
const ENOUGH: usize = 24;

/// A connection whose reading fails unless its first bytes come in time.
#[derive(Debug)]
pub(super) struct FirstBytes<S> {
    stream: S,
    /// Gone when they have come.
    awaited: Option<Awaited>,
}

#[derive(Debug)]
struct Awaited {
    bytes: usize,
    deadline: Pin<Box<Sleep>>,
}

impl<S> FirstBytes<S> {
    /// Gives the stream this long for its first bytes.
    pub(super) fn new(stream: S, patience: Duration) -> Self {
        let awaited = Awaited { bytes: ENOUGH, deadline: Box::pin(sleep(patience)) };
        Self { stream, awaited: Some(awaited) }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for FirstBytes<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Self { stream, awaited } = self.get_mut();
        let before = buffer.filled().len();
        let read = Pin::new(stream).poll_read(cx, buffer);
        let Some(waiting) = awaited else { return read };
        if read.is_pending() {
            ready!(waiting.deadline.as_mut().poll(cx));
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        match waiting.bytes.checked_sub(buffer.filled().len() - before) {
            Some(left @ 1..) => waiting.bytes = left,
            Some(0) | None => *awaited = None,
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for FirstBytes<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
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
