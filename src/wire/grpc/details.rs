//! Gives the statuses that tonic itself makes (an unknown method, a request
//! that cannot be read) the details that every status of this server has.

use axum::{body::Body, extract::Request, middleware::Next, response::Response};
use tonic::Status;

use crate::wire::error;

/// The layer. Statuses without an answer before them are in the headers; those
/// in trailers come from our own code and have their details.
pub(super) async fn complete(request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    match Status::from_header_map(response.headers()) {
        Some(status) if status.code() != tonic::Code::Ok && status.details().is_empty() => {
            error::completed(status).into_http::<Body>()
        }
        Some(_) | None => response,
    }
}
