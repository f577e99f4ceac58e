//! Bodies of requests, read up to a bound, for the transports on plain HTTP.

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::{
    HeaderMap,
    header::{CONTENT_LENGTH, EXPECT},
};
use http_body_util::BodyExt as _;

use crate::{Error, Result};

/// How much of a body that is too large is read and dropped.
const DRAINED: usize = 64 << 20;

/// What was read of a body.
#[derive(Debug)]
pub(crate) struct Read {
    /// The whole of it, where it is not larger than its bound.
    pub bytes: Bytes,
    /// How large it is, or says that it is.
    pub size: usize,
}

/// Reads a body of at most `limit` bytes; of a larger one, its size.
///
/// # Errors
///
/// INVALID_ARGUMENT where it breaks off.
pub(crate) async fn read(headers: &HeaderMap, body: Body, limit: usize) -> Result<Read> {
    let (read, broken) = read_as_far(headers, body, limit).await;
    broken.map_or(Ok(read), Err)
}

/// The same, with what came before it broke off, and why it did.
pub(crate) async fn read_as_far(
    headers: &HeaderMap,
    mut body: Body,
    limit: usize,
) -> (Read, Option<Error>) {
    let declared = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    let declared = declared.and_then(|length| length.parse().ok()).unwrap_or_default();
    // Whoever waits for leave to send it need not send it.
    let is_asked_for = headers.contains_key(EXPECT);
    let mut bytes = BytesMut::new();
    let mut size = 0_usize;
    let mut broken = None;
    let is_wanted = declared <= limit || !is_asked_for;
    while let Some(frame) = if is_wanted { body.frame().await } else { None } {
        let frame = match frame {
            Ok(frame) => frame,
            // All of it came, and then its client went.
            Err(_) if size > 0 && size == declared => break,
            Err(error) => {
                let problem = format!("it could not be read: {error}");
                broken = Some(Error::invalid("body", problem));
                break;
            }
        };
        let Ok(data) = frame.into_data() else { continue };
        size = size.saturating_add(data.len());
        if size > limit + DRAINED {
            break;
        }
        // A client that sends on while it is answered may never see the answer, so
        // that the rest is read and dropped.
        if size <= limit {
            bytes.extend_from_slice(&data);
        }
    }
    (Read { bytes: bytes.freeze(), size: size.max(declared) }, broken)
}
