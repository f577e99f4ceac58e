//! Every gRPC status says its reason, also those that no code of ours made.

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use http::{StatusCode, Version};
use prost::Message as _;
use switchboard::proto::{CreateSessionRequest, GetServerInfoRequest, Session, WaitSessionRequest};
use tokio::time::timeout;
use tonic::Code;
use tonic_types::pb;

use crate::{
    bare::{Answer, Call, Place, Problem, framed},
    harness::Server,
    subscriber::{Subscriber, create, finished, from, is_rest, no_watches, server},
};

fn place(server: &Server) -> Place {
    Place { address: server.tcp(), token: server.token() }
}

fn refused(answer: &Answer) -> (StatusCode, Code, &str) {
    let Problem { code, reason, .. } = answer.problem.as_ref().expect("an error");
    (answer.status, *code, reason)
}

#[tokio::test]
async fn what_is_not_there_is_unimplemented_with_its_reason() {
    let server = server();
    let place = place(&server);
    for path in [
        "/switchboard.v1.EventService/Nothing",
        "/switchboard.v1.SessionService/Nothing",
        "/switchboard.v1.SystemService/",
        "/switchboard.v1.ApprovalService/ListApprovals",
        "/switchboard.v2.EventService/WatchEvents",
        "/grpc.health.v1.Health/Nothing",
    ] {
        let call = Call::method(path, framed(&GetServerInfoRequest {}));
        let answer = place.call(&call).await;
        let expected = (StatusCode::OK, Code::Unimplemented, "UNIMPLEMENTED");
        assert_eq!(refused(&answer), expected, "{path}");
        // In the headers for a client on the web as well.
        let web = call.web(Version::HTTP_11, "application/grpc-web");
        assert_eq!(refused(&place.call(&web).await), expected, "{path}");
    }
}

#[tokio::test]
async fn requests_that_are_too_large_or_no_message_are_refused_with_their_reason() {
    let server = server();
    let place = place(&server);
    let large = |bytes: usize| {
        let request = CreateSessionRequest {
            session: Some(Session::default()),
            prompt: "x".repeat(bytes),
            ..CreateSessionRequest::default()
        };
        framed(&request)
    };
    let too_large = (StatusCode::OK, Code::ResourceExhausted, "PAYLOAD_TOO_LARGE");
    let malformed = (StatusCode::OK, Code::InvalidArgument, "INVALID_ARGUMENT");
    let no_message = || vec![0, 0, 0, 0, 3, 0xff, 0xff, 0xff];
    for (path, body, expected) in [
        ("/switchboard.v1.SessionService/CreateSession", large(6 << 20), too_large),
        ("/switchboard.v1.SessionService/StartTurn", large(6 << 20), too_large),
        ("/switchboard.v1.SystemService/GetServerInfo", large(2 << 20), too_large),
        ("/switchboard.v1.EventService/ListEvents", large(2 << 20), too_large),
        ("/switchboard.v1.EventService/WatchEvents", large(2 << 20), too_large),
        ("/switchboard.v1.SessionService/CreateSession", no_message(), malformed),
        ("/switchboard.v1.SessionService/ReadOutput", no_message(), malformed),
        ("/switchboard.v1.EventService/ListEvents", Vec::new(), malformed),
        ("/switchboard.v1.EventService/WatchEvents", no_message(), malformed),
    ] {
        let answer = place.call(&Call::method(path, body)).await;
        assert_eq!(refused(&answer), expected, "{path}");
    }
    let gzip = Call::method("/switchboard.v1.EventService/ListEvents", vec![1, 0, 0, 0, 1, 0]);
    let answer = place.call(&gzip.header("grpc-encoding", "gzip")).await;
    assert_eq!(refused(&answer), (StatusCode::OK, Code::Unimplemented, "UNIMPLEMENTED"));
    assert_eq!(answer.headers["grpc-accept-encoding"], "identity");
}

#[tokio::test]
async fn health_and_reflection_say_why_they_refuse() {
    let server = server();
    let place = place(&server);
    // HealthCheckRequest.service, and ServerReflectionRequest.file_containing_symbol.
    let check = Bytes::from_static(b"\0\0\0\0\x06\x0a\x04nope");
    let symbol = Bytes::from_static(b"\0\0\0\0\x06\x22\x04nope");
    for (path, body) in [
        ("/grpc.health.v1.Health/Check", check),
        ("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", symbol.clone()),
        ("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", symbol),
    ] {
        let answer = place.call(&Call::method(path, body)).await;
        assert_eq!(refused(&answer), (StatusCode::OK, Code::NotFound, "NOT_FOUND"), "{path}");
    }
}

#[tokio::test]
async fn a_deadline_ends_a_call_with_its_reason() {
    let server = server();
    let clients = server.connect().await;
    let id = create(&server, &clients, "thread,turn,sleep").await;
    let wait = WaitSessionRequest { session_id: id, ..WaitSessionRequest::default() };
    let call = Call::method("/switchboard.v1.SessionService/WaitSession", framed(&wait));
    let answer = place(&server).call(&call.header("grpc-timeout", "100m")).await;
    let expected = (StatusCode::OK, Code::DeadlineExceeded, "DEADLINE_EXCEEDED");
    assert_eq!(refused(&answer), expected);
}

#[tokio::test]
async fn who_is_not_let_in_learns_why() {
    let server = server();
    let place = place(&server);
    let call = Call::method(
        "/switchboard.v1.SystemService/GetServerInfo",
        framed(&GetServerInfoRequest {}),
    );
    let stranger = Place { token: "wrong".to_owned(), ..place.clone() };
    let denied = stranger.call(&call).await;
    assert_eq!(refused(&denied), (StatusCode::OK, Code::Unauthenticated, "UNAUTHENTICATED"));
    let from_page = place.call(&call.clone().header("origin", "https://evil.example")).await;
    assert_eq!(refused(&from_page), (StatusCode::OK, Code::PermissionDenied, "PERMISSION_DENIED"));
    assert_eq!(place.call(&call).await.problem, None);
}

#[tokio::test]
async fn a_status_with_its_details_fits_into_the_trailers_that_clients_take() {
    let server = server();
    let long = "x".repeat(100_000);
    let request = Session { agent: long.clone(), working_directory: long, ..Session::default() };
    let request =
        CreateSessionRequest { session: Some(request), ..CreateSessionRequest::default() };
    let call = Call::method("/switchboard.v1.SessionService/CreateSession", framed(&request));
    let response = place(&server).send(&call).await;
    let size: usize = response.headers().iter().map(|(k, v)| k.as_str().len() + v.len()).sum();
    assert!(size < 4_096, "{size}");
    let details = response.headers()["grpc-status-details-bin"].as_bytes();
    let details = base64::Engine::decode(&base64::prelude::BASE64_STANDARD_NO_PAD, details);
    let status = pb::Status::decode(&*details.unwrap()).unwrap();
    assert_eq!(status.code, i32::from(Code::InvalidArgument));
}

#[tokio::test]
async fn a_client_that_cancels_many_calls_at_once_keeps_its_connection() {
    let server = server();
    let clients = server.connect().await;
    let id = finished(&server, &clients, "thread,turn,print:300,completed").await;
    let mut kept = Subscriber::open(&clients, from(&id, 1)).await;
    for _ in 0..5 {
        let opening = (0..200).map(|_| Subscriber::open(&clients, from(&id, 1)));
        let some_answered = timeout(Duration::from_millis(5), join_all(opening)).await;
        drop(some_answered);
        let open = join_all((0..200).map(|_| Subscriber::open(&clients, from(&id, 1)))).await;
        drop(open);
    }
    kept.until(is_rest).await;
    drop(kept);
    no_watches(&clients).await;
}
