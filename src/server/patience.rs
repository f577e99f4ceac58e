//! Clients that take nothing of their answer: the connection of one that does not for
//! long is given up, with what is held for it.
//!
//! This is for answers that are made whole. Streams wait for their reader in the log,
//! where that costs nothing, and a WebSocket has patience of its own.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use http::{Response, Version, header::CONTENT_TYPE};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};

/// What is answered on a connection.
#[derive(Debug, Default)]
pub(super) struct Answers {
    /// Whether a stream is, which may be read as slowly as one likes.
    has_stream: AtomicBool,
}

impl Answers {
    /// An answer begins.
    pub(super) fn begin<B>(&self, version: Version, answer: &Response<B>) {
        let media = answer.headers().get(CONTENT_TYPE).map(|media| media.as_bytes());
        let is_whole = media.is_none_or(|media| media.starts_with(b"application/json"))
            && !answer.status().is_informational();
        // HTTP/1 has one answer after the other, HTTP/2 many at once.
        if version == Version::HTTP_2 {
            self.has_stream.fetch_or(!is_whole, Ordering::Relaxed);
        } else {
            self.has_stream.store(!is_whole, Ordering::Relaxed);
        }
    }
}

/// A connection whose writing fails when its client takes nothing for too long.
#[derive(Debug)]
pub(super) struct Patient<S> {
    stream: S,
    patience: Duration,
    answers: Arc<Answers>,
    /// Until when something must be taken, where it takes nothing.
    deadline: Option<Pin<Box<Sleep>>>,
}

impl<S> Patient<S> {
    pub(super) fn new(stream: S, patience: Duration, answers: Arc<Answers>) -> Self {
        Self { stream, patience, answers, deadline: None }
    }

    /// What came of writing, or that it took too long.
    fn bounded<T>(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() || self.answers.has_stream.load(Ordering::Relaxed) {
            self.deadline = None;
            return written;
        }
        let deadline = self.deadline.get_or_insert_with(|| Box::pin(sleep(self.patience)));
        deadline.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let patient = self.get_mut();
        let written = Pin::new(&mut patient.stream).poll_write(cx, bytes);
        patient.bounded(cx, written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let patient = self.get_mut();
        let written = Pin::new(&mut patient.stream).poll_write_vectored(cx, parts);
        patient.bounded(cx, written)
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
    use futures_util::FutureExt as _;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    const PATIENCE: Duration = Duration::from_millis(20);

    fn answer(media: &'static str) -> Response<()> {
        Response::builder().header(CONTENT_TYPE, media).body(()).unwrap()
    }

    #[tokio::test]
    async fn who_takes_nothing_any_more_is_given_up() {
        let (stream, mut client) = duplex(4);
        let mut stream = Patient::new(stream, PATIENCE, Arc::default());
        let mut taken = [0; 16];
        let (written, read) =
            tokio::join!(stream.write_all(&[0; 20]), client.read_exact(&mut taken));
        assert!(written.is_ok() && read.is_ok());
        let error = stream.write_all(&[0; 8]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn a_stream_waits_for_its_reader() {
        let answers = Arc::new(Answers::default());
        let (stream, _client) = duplex(4);
        let mut stream = Patient::new(stream, PATIENCE, Arc::clone(&answers));
        answers.begin(Version::HTTP_11, &answer("text/event-stream"));
        let mut writing = Box::pin(stream.write_all(&[0; 8]));
        assert!((&mut writing).now_or_never().is_none());
        // Longer than another one has.
        let (other, _reader) = duplex(4);
        let mut other = Patient::new(other, PATIENCE, Arc::default());
        assert!(other.write_all(&[0; 8]).await.is_err());
        assert!((&mut writing).now_or_never().is_none());
        drop(writing);
        answers.begin(Version::HTTP_11, &answer("application/json"));
        assert!(stream.write_all(&[0; 8]).await.is_err());
        // Among many answers at once it stays one.
        answers.begin(Version::HTTP_2, &answer("application/grpc"));
        answers.begin(Version::HTTP_2, &answer("application/json"));
        assert!(answers.has_stream.load(Ordering::Relaxed));
    }
}
