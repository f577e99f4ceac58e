//! Gives the statuses that tonic itself makes (an unknown method, a request
//! that cannot be read) the details that every status of this server has.

use axum::{body::Body, extract::Request, middleware::Next, response::Response};
use bytes::Bytes;
use http::HeaderMap;
use http_body::Frame;
use http_body_util::BodyExt as _;
use tonic::Status;

use crate::wire::error;

/// The layer. A status without an answer before it is in the headers, others
/// are in the trailers.
pub(super) async fn complete(request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    match incomplete(response.headers()) {
        Some(status) => error::completed(status).into_http::<Body>(),
        None => response.map(|body| Body::new(body.map_frame(complete_trailers))),
    }
}

fn complete_trailers(frame: Frame<Bytes>) -> Frame<Bytes> {
    let Some(status) = frame.trailers_ref().and_then(incomplete) else { return frame };
    let mut trailers = HeaderMap::new();
    match error::completed(status).add_header(&mut trailers) {
        Ok(()) => Frame::trailers(trailers),
        Err(_) => frame,
    }
}

/// An error without details.
fn incomplete(headers: &HeaderMap) -> Option<Status> {
    // Most answers have no status in their headers; this costs them a look-up.
    headers.get("grpc-status")?;
    Status::from_header_map(headers)
        .filter(|status| status.code() != tonic::Code::Ok && status.details().is_empty())
}
