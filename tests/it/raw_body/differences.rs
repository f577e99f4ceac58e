//! Calls that end by themselves.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http::{StatusCode, Version};
use prost::Message as _;
use switchboard::proto::{
    EventKind, WatchEventsRequest, WatchEventsResponse, watch_events_response::Message as Told,
};
use tonic::Code;

use super::{Served, Story, unreadable, watch};
use crate::{
    bare::{Answer, Call, framed},
    subscriber::{kinds, to_end},
};

/// Asks both servers, and gives the answer that they have in common.
async fn same([raw, generated]: &[Served; 2], call: &Call) -> Answer {
    let (one, other) = (raw.call(call).await, generated.call(call).await);
    assert!(one == other, "{call:?}\nraw: {one:#?}\ngenerated: {other:#?}");
    one
}

/// The same, where each says in its own words what is wrong.
async fn same_refusal([raw, generated]: &[Served; 2], call: &Call) -> (Code, String, Answer) {
    let told = |mut answer: Answer| {
        let problem = answer.problem.take().expect("an error");
        (problem.code, problem.reason, answer)
    };
    let (one, other) = (told(raw.call(call).await), told(generated.call(call).await));
    assert_eq!(one, other, "{call:?}");
    one
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replays_filters_and_cut_events_are_the_same_to_the_byte() {
    let story = Story::tell().await;
    let servers = story.serve_both().await;
    let all = |id: &str| to_end(id, 1);
    let both = WatchEventsRequest {
        session_ids: vec![story.small.clone(), story.large.clone()],
        start_seqs: [(story.small.clone(), 5), (story.large.clone(), 1)].into(),
        ..to_end("", 0)
    };
    let filter = kinds(&[EventKind::Error, EventKind::StateChanged, EventKind::TurnExited]);
    let watches = [
        (all(&story.small), false),
        (to_end(&story.small, 350), false),
        (to_end(&story.small, 0), false),
        (WatchEventsRequest { kinds: filter, ..all(&story.small) }, false),
        (WatchEventsRequest { kinds: kinds(&[EventKind::TurnFailed]), ..all(&story.small) }, false),
        (all(&story.large), true),
        (WatchEventsRequest { max_event_bytes: 64 << 10, ..all(&story.large) }, true),
        (WatchEventsRequest { max_event_bytes: 64 << 20, ..all(&story.large) }, false),
        (both, true),
    ];
    for (request, cuts) in watches {
        let answer = same(&servers, &watch(&request)).await;
        assert_eq!((answer.status, &answer.problem), (StatusCode::OK, &None));
        assert_eq!(answer.headers["content-type"], "application/grpc");
        let trailers = answer.trailers.unwrap();
        assert_eq!(trailers, [("grpc-status".to_owned(), "0".to_owned())].into());
        let elided = messages(&answer.body).into_iter().filter(|message| match &message.message {
            Some(Told::Event(event)) => event.elided.is_some(),
            _ => false,
        });
        assert_eq!(elided.count(), usize::from(cuts));
    }
    for server in servers {
        server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_before_the_stream_are_the_same_to_the_byte() {
    let story = Story::tell().await;
    let servers = story.serve_both().await;
    let unknown = "2f1c6a3e-8d0b-4c55-9a77-0d5a4a3f9b21";
    let one = || to_end(&story.small, 1);
    let refused = [
        (to_end(unknown, 1), "SESSION_NOT_FOUND"),
        (to_end("x", 1), "INVALID_ARGUMENT"),
        (to_end(&story.small, 1_000_000), "INVALID_ARGUMENT"),
        (WatchEventsRequest { epoch: "x".to_owned(), ..one() }, "INVALID_ARGUMENT"),
        (WatchEventsRequest { kinds: vec![99], ..one() }, "INVALID_ARGUMENT"),
        (WatchEventsRequest { max_event_bytes: 1, ..one() }, "INVALID_ARGUMENT"),
    ];
    for (request, reason) in refused {
        let answer = same(&servers, &watch(&request)).await;
        assert_eq!(answer.problem.unwrap().reason, reason);
        assert_eq!(answer.body, Bytes::new());
        for content_type in ["application/grpc-web+proto", "application/grpc-web-text"] {
            let call = watch(&request).web(Version::HTTP_11, content_type);
            assert_eq!(same(&servers, &call).await.status, StatusCode::OK);
        }
    }
    for server in servers {
        server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_cannot_be_read_are_refused_for_the_same_reason() {
    let story = Story::tell().await;
    let servers = story.serve_both().await;
    let whole = framed(&to_end(&story.small, 1));
    let truncated = Bytes::copy_from_slice(&whole[..whole.len() - 1]);
    let compressed = {
        let mut bytes = whole.clone();
        bytes[0] = 1;
        Bytes::from(bytes)
    };
    let oversized = {
        let size: u32 = (1 << 20) + 1;
        let mut bytes = vec![0; 5 + size as usize];
        bytes[1..5].copy_from_slice(&size.to_be_bytes());
        Bytes::from(bytes)
    };
    let invalid = (Code::InvalidArgument, "INVALID_ARGUMENT");
    let too_large = (Code::ResourceExhausted, "PAYLOAD_TOO_LARGE");
    let cases = [
        ("nothing", unreadable(Bytes::new()), invalid),
        ("half a prefix", unreadable(&[0, 0, 0][..]), invalid),
        ("half a message", unreadable(truncated), invalid),
        ("no protobuf", unreadable(&[0, 0, 0, 0, 3, 0xff, 0xff, 0xff][..]), invalid),
        ("not UTF-8", unreadable(&[0, 0, 0, 0, 3, 0x0a, 1, 0xff][..]), invalid),
        ("an unknown flag", unreadable(&[2, 0, 0, 0, 0][..]), invalid),
        ("compressed without saying how", unreadable(compressed.clone()), invalid),
        ("oversized", unreadable(oversized), too_large),
        ("a large length", unreadable(&[0, 0xff, 0xff, 0xff, 0xff][..]), too_large),
    ];
    for (name, call, expected) in cases {
        let (code, reason, answer) = same_refusal(&servers, &call).await;
        assert_eq!((code, &*reason), expected, "{name}");
        assert_eq!((answer.status, answer.body), (StatusCode::OK, Bytes::new()), "{name}");
    }
    for encoding in ["gzip", "nonsense"] {
        let call = unreadable(compressed.clone()).header("grpc-encoding", encoding);
        let (code, reason, answer) = same_refusal(&servers, &call).await;
        assert_eq!((code, &*reason), (Code::Unimplemented, "UNIMPLEMENTED"));
        assert_eq!(answer.headers["grpc-accept-encoding"], "identity");
    }
    for server in servers {
        server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_comes_however_the_request_is_sent() {
    let story = Story::tell().await;
    let servers = story.serve_both().await;
    let request = to_end(&story.small, 1);
    let plain = same(&servers, &watch(&request)).await;

    let gzip = watch(&request).header("grpc-accept-encoding", "gzip,deflate");
    assert_eq!(same(&servers, &gzip).await, plain);
    let identity = watch(&request).header("grpc-encoding", "identity");
    assert_eq!(same(&servers, &identity).await, plain);
    let mut in_pieces = watch(&request);
    in_pieces.body = in_pieces.body[0].chunks(1).map(Bytes::copy_from_slice).collect();
    assert_eq!(same(&servers, &in_pieces).await, plain);
    let proto = watch(&request).header("content-type", "application/grpc+proto");
    assert_eq!(same(&servers, &proto).await, plain);

    for version in [Version::HTTP_11, Version::HTTP_2] {
        for content_type in [
            "application/grpc-web",
            "application/grpc-web+proto",
            "application/grpc-web-text",
            "application/grpc-web-text+proto",
        ] {
            let call = watch(&request).web(version, content_type);
            let mut answers = Vec::new();
            for server in &servers {
                let mut answer = server.call(&call).await;
                if content_type.contains("text") {
                    answer.body = from_text(&answer.body);
                }
                answers.push(answer);
            }
            assert!(answers[0] == answers[1], "{version:?} {content_type}: {answers:#?}");
            let web = &answers[0];
            assert_eq!((web.status, &web.trailers), (StatusCode::OK, &None));
            // The messages as they are, and then the trailers as one more frame.
            let (messages, trailers) = web.body.split_at(plain.body.len());
            assert!(messages == plain.body, "{version:?} {content_type}");
            assert_eq!(trailers[0], 0x80);
            assert_eq!(trailers[5..], b"grpc-status:0\r\n"[..]);
        }
    }
    for server in servers {
        server.stop().await;
    }
}

/// Decodes pieces of base64 that were each encoded by themselves.
fn from_text(text: &[u8]) -> Bytes {
    let quads = text.chunks(4).flat_map(|quad| BASE64_STANDARD.decode(quad).unwrap());
    quads.collect::<Vec<_>>().into()
}

/// The messages of a body.
fn messages(mut body: &[u8]) -> Vec<WatchEventsResponse> {
    let mut messages = Vec::new();
    while let [compressed, a, b, c, d, rest @ ..] = body {
        assert_eq!(*compressed, 0);
        let (message, after) = rest.split_at(u32::from_be_bytes([*a, *b, *c, *d]) as usize);
        messages.push(WatchEventsResponse::decode(message).unwrap());
        body = after;
    }
    assert_eq!(body, b"");
    messages
}
