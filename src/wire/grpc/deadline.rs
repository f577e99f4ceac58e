//! Ends calls at the deadline that their caller set. tonic does that only in
//! its own transport server, not behind a router.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use axum::{body::Body, extract::Request, middleware::Next, response::Response};
use bytes::Bytes;
use http::HeaderMap;
use http_body::Frame;
use tokio::time::{Instant, Sleep, sleep_until, timeout_at};

use crate::{Error, wire::error};

/// The longest deadline that is kept; a caller of a longer one has gone before.
const MAX: Duration = Duration::from_secs(365 * 24 * 3600);

/// The layer.
pub(super) async fn enforce(request: Request, next: Next) -> Response {
    let Some(timeout) = grpc_timeout(request.headers()) else { return next.run(request).await };
    let deadline = Instant::now() + timeout;
    match timeout_at(deadline, next.run(request)).await {
        Ok(response) => response.map(|body| {
            Body::new(Limited { body, deadline: Box::pin(sleep_until(deadline)), done: false })
        }),
        Err(_) => error::status(&Error::DeadlineExceeded).into_http(),
    }
}

/// The header `grpc-timeout`: at most eight digits and a unit, as the gRPC
/// protocol over HTTP/2 defines it. A malformed one is ignored, as tonic does.
fn grpc_timeout(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let number: u64 = digits.parse().ok()?;
    let timeout = match unit {
        "H" => Duration::from_secs(number * 3600),
        "M" => Duration::from_secs(number * 60),
        "S" => Duration::from_secs(number),
        "m" => Duration::from_millis(number),
        "u" => Duration::from_micros(number),
        "n" => Duration::from_nanos(number),
        _ => return None,
    };
    Some(timeout.min(MAX))
}

/// A body that ends with DEADLINE_EXCEEDED when its time is up.
#[derive(Debug)]
struct Limited {
    body: Body,
    deadline: Pin<Box<Sleep>>,
    done: bool,
}

impl http_body::Body for Limited {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.done {
            return Poll::Ready(None);
        }
        if self.deadline.as_mut().poll(cx).is_ready() {
            self.done = true;
            let mut trailers = HeaderMap::new();
            let status = error::status(&Error::DeadlineExceeded);
            return Poll::Ready(
                status.add_header(&mut trailers).ok().map(|()| Ok(Frame::trailers(trailers))),
            );
        }
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.done || self.body.is_end_stream()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_read_as_the_protocol_writes_them() {
        let timeout = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("grpc-timeout", text.parse().unwrap());
            grpc_timeout(&headers)
        };
        assert_eq!(timeout("2S"), Some(Duration::from_secs(2)));
        assert_eq!(timeout("1500m"), Some(Duration::from_millis(1500)));
        assert_eq!(timeout("99999999H"), Some(MAX));
        for malformed in ["", "S", "123456789S", "-1S", "1x", "1 S"] {
            assert_eq!(timeout(malformed), None, "{malformed}");
        }
    }
}
