//! A client that knows HTTP and nothing of gRPC: it sends what it is told to,
//! and shows every byte of the answer.

use std::{collections::BTreeMap, convert::Infallible, net::SocketAddr};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, Request, StatusCode, Version};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::{
    body::Incoming,
    client::conn::{http1, http2},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;
use tokio::{net::TcpStream, time::timeout};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::subscriber::GIVE_UP;

/// Where a server is, and how it lets in.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) address: SocketAddr,
    pub(crate) token: String,
}

/// A request, as it goes over the wire.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) version: Version,
    pub(crate) path: &'static str,
    pub(crate) headers: Vec<(&'static str, &'static str)>,
    /// The body, one DATA frame or chunk each.
    pub(crate) body: Vec<Bytes>,
}

impl Call {
    /// A call of a method over HTTP/2, whose request body is these bytes.
    pub(crate) fn method(path: &'static str, body: impl Into<Bytes>) -> Self {
        Self {
            version: Version::HTTP_2,
            path,
            headers: vec![("content-type", "application/grpc"), ("te", "trailers")],
            body: vec![body.into()],
        }
    }

    /// The same over gRPC-Web.
    pub(crate) fn web(mut self, version: Version, content_type: &'static str) -> Self {
        self.version = version;
        self.headers = vec![("content-type", content_type), ("accept", content_type)];
        if content_type.contains("text") {
            let encode = |part: &Bytes| Bytes::from(BASE64_STANDARD.encode(part));
            self.body = self.body.iter().map(encode).collect();
        }
        self
    }

    pub(crate) fn header(mut self, name: &'static str, value: &'static str) -> Self {
        self.headers.retain(|(given, _)| *given != name);
        self.headers.push((name, value));
        self
    }
}

/// One gRPC message as it stands in a body.
pub(crate) fn framed(message: &impl Message) -> Vec<u8> {
    let message = message.encode_to_vec();
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&[0][..], &length, &message].concat()
}

/// An answer, with what may differ between two servers put in order.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) problem: Option<Problem>,
    pub(crate) body: Bytes,
    pub(crate) trailers: Option<BTreeMap<String, String>>,
}

/// A gRPC status that is not OK, from the headers or the trailers.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Problem {
    pub(crate) code: Code,
    pub(crate) message: String,
    pub(crate) reason: String,
    pub(crate) metadata: BTreeMap<String, String>,
    pub(crate) details: String,
}

impl Problem {
    fn read(headers: &HeaderMap) -> Option<Self> {
        let status = Status::from_header_map(headers).filter(|s| s.code() != Code::Ok)?;
        let details = status.get_error_details();
        let info = details.error_info().expect("every status has an ErrorInfo");
        assert_eq!(info.domain, "switchboard");
        Some(Self {
            code: status.code(),
            message: status.message().to_owned(),
            reason: info.reason.clone(),
            metadata: info.metadata.clone().into_iter().collect(),
            details: format!(
                "{:?} {:?} {:?} {:?}",
                details.bad_request(),
                details.resource_info(),
                details.precondition_failure(),
                details.retry_info()
            ),
        })
    }
}

/// Headers as text, without the time, and without what [`Problem`] has.
fn plain(headers: &HeaderMap) -> BTreeMap<String, String> {
    let left_out = ["date", "grpc-message", "grpc-status-details-bin"];
    headers
        .iter()
        .filter(|(name, _)| !left_out.contains(&name.as_str()))
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
        .collect()
}

impl Place {
    /// Sends a call, and returns the head of its answer.
    pub(crate) async fn send(&self, call: &Call) -> http::Response<Incoming> {
        let stream = TcpStream::connect(self.address).await.unwrap();
        let frames: Vec<_> =
            call.body.iter().map(|part| Ok::<_, Infallible>(Frame::data(part.clone()))).collect();
        let is_http2 = call.version == Version::HTTP_2;
        let authority = if is_http2 { format!("http://{}", self.address) } else { String::new() };
        let mut request = Request::post(format!("{authority}{}", call.path))
            .version(call.version)
            .header("authorization", format!("Bearer {}", self.token));
        if !is_http2 {
            request = request.header("host", self.address.to_string());
        }
        for (name, value) in &call.headers {
            request = request.header(*name, *value);
        }
        let request = request.body(StreamBody::new(stream::iter(frames))).unwrap();
        let io = TokioIo::new(stream);
        let answer = async {
            if is_http2 {
                let (mut sender, connection) =
                    http2::handshake(TokioExecutor::new(), io).await.unwrap();
                tokio::spawn(connection);
                sender.send_request(request).await
            } else {
                let (mut sender, connection) = http1::handshake(io).await.unwrap();
                tokio::spawn(connection);
                sender.send_request(request).await
            }
        };
        timeout(GIVE_UP, answer).await.expect("the call is not answered").unwrap()
    }

    /// Sends a call, and reads its answer to the end.
    pub(crate) async fn call(&self, call: &Call) -> Answer {
        read(self.send(call).await).await
    }
}

/// Reads an answer to its end.
pub(crate) async fn read(response: http::Response<Incoming>) -> Answer {
    let (parts, body) = response.into_parts();
    let collected = timeout(GIVE_UP, body.collect()).await.expect("the answer does not end");
    let collected = collected.unwrap();
    let trailers = collected.trailers().cloned();
    let problem =
        Problem::read(&parts.headers).or_else(|| trailers.as_ref().and_then(Problem::read));
    Answer {
        status: parts.status,
        headers: plain(&parts.headers),
        problem,
        trailers: trailers.as_ref().map(plain),
        body: collected.to_bytes(),
    }
}
