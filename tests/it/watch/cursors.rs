//! Where a watch may begin, and what it refuses.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
};

use futures_util::future::join_all;
use pbjson_types::Duration;
use switchboard::proto::{DefaultStart, ListEventsRequest, WatchEventsRequest};
use tonic::Code;

use crate::subscriber::{
    Subscriber, events, finished, from, lines, millis, problem, raws, read_all, seqs, server,
    to_end,
};

#[tokio::test]
async fn a_watch_resumed_at_any_cursor_gives_exactly_the_rest() {
    let server = server();
    let clients = server.connect().await;
    let id = finished(&server, &clients, "thread,turn,print:150,completed").await;
    let all = read_all(&clients, &id).await;
    assert_eq!(seqs(&all), (1..=all.len() as u64).collect::<Vec<_>>());
    assert_eq!(raws(&all), lines(&server, &id, 1));
    let mut server = server;
    // From the ring of the newest events, and then from the files.
    for round in ["memory", "files"] {
        let clients = server.connect().await;
        let resumed = (1..=all.len() as u64 + 1).map(|start| {
            let (clients, id) = (&clients, &id);
            async move { Subscriber::open(clients, to_end(id, start)).await.rest().await }
        });
        for (begin, messages) in join_all(resumed).await.into_iter().enumerate() {
            assert_eq!(events(messages), all[begin..], "{round}: {begin}");
        }
        server.kill_and_start();
    }
}

#[tokio::test]
async fn a_cursor_that_was_never_given_is_refused() {
    let server = server();
    let clients = server.connect().await;
    let id = finished(&server, &clients, "thread,turn,completed").await;
    let latest = read_all(&clients, &id).await.len() as u64;
    for beyond in [latest + 2, latest + 1_000, u64::MAX] {
        let refused = problem(Subscriber::try_open(&clients, from(&id, beyond)).await);
        let metadata = HashMap::from([("field".to_owned(), "start_seq".to_owned())]);
        let expected = (Code::InvalidArgument, "INVALID_ARGUMENT".to_owned(), metadata);
        assert_eq!(refused, expected, "{beyond}");
    }
    let several = WatchEventsRequest {
        start_seqs: BTreeMap::from([(id.clone(), latest + 2)]),
        ..WatchEventsRequest::default()
    };
    let refused = problem(Subscriber::try_open(&clients, several).await);
    assert_eq!((refused.0, &*refused.2["field"]), (Code::InvalidArgument, "start_seqs"));
}

#[tokio::test]
async fn an_epoch_must_be_that_of_the_log() {
    let server = server();
    let clients = server.connect().await;
    let id = finished(&server, &clients, "thread,turn,completed").await;
    let epoch = Subscriber::open(&clients, from(&id, 1)).await.header().await.epoch;
    let right = WatchEventsRequest { epoch: epoch.clone(), ..to_end(&id, 2) };
    assert_eq!(Subscriber::open(&clients, right).await.header().await.epoch, epoch);
    for wrong in ["0000000000000000", "x", &epoch.to_uppercase().replace(char::is_numeric, "f")] {
        let request = WatchEventsRequest { epoch: wrong.to_owned(), ..from(&id, 1) };
        let (code, reason, metadata) = problem(Subscriber::try_open(&clients, request).await);
        let refused = (code, &*reason, &*metadata["field"]);
        assert_eq!(refused, (Code::InvalidArgument, "INVALID_ARGUMENT", "epoch"), "{wrong}");
    }
}

#[tokio::test]
async fn malformed_watches_are_refused_with_the_field_that_is_wrong() {
    let server = server();
    let clients = server.connect().await;
    let a = finished(&server, &clients, "thread,turn,completed").await;
    let b = finished(&server, &clients, "thread,turn,completed").await;
    let unknown = "2f1c6a3e-8d0b-4c55-9a77-0d5a4a3f9b21";
    let ids = |ids: &[&str]| WatchEventsRequest {
        session_ids: ids.iter().map(|id| (*id).to_owned()).collect(),
        ..WatchEventsRequest::default()
    };
    let starts = |id: &str| BTreeMap::from([(id.to_owned(), 1)]);
    let one = || ids(&[&a]);
    let seconds = |seconds| Some(Duration { seconds, nanos: 0 });
    let cases = [
        ("session_ids", ids(&[""])),
        ("session_ids", ids(&["x"])),
        ("session_ids", ids(&[&a[..8]])),
        ("session_ids", ids(&[&a.to_uppercase().replace(char::is_numeric, "A")])),
        ("session_ids", ids(&["2f1c6a3e-8d0b-1c55-9a77-0d5a4a3f9b21"])),
        ("session_ids", ids(&vec![unknown; 1_001])),
        ("start_seq", WatchEventsRequest { start_seq: 1, ..ids(&[&a, &b]) }),
        ("start_seq", WatchEventsRequest { start_seq: 1, ..ids(&[]) }),
        ("epoch", WatchEventsRequest { epoch: "x".to_owned(), ..ids(&[&a, &b]) }),
        ("epoch", WatchEventsRequest { epoch: "x".to_owned(), ..ids(&[]) }),
        ("start_seqs", WatchEventsRequest { start_seqs: starts("x"), ..ids(&[]) }),
        ("start_seqs", WatchEventsRequest { start_seqs: starts(&b), ..one() }),
        ("start_seqs", WatchEventsRequest { start_seq: 1, start_seqs: starts(&a), ..one() }),
        ("kinds", WatchEventsRequest { kinds: vec![0], ..one() }),
        ("kinds", WatchEventsRequest { kinds: vec![1, 99], ..one() }),
        ("heartbeat", WatchEventsRequest { heartbeat: millis(999), ..one() }),
        ("heartbeat", WatchEventsRequest { heartbeat: seconds(0), ..one() }),
        ("heartbeat", WatchEventsRequest { heartbeat: seconds(-1), ..one() }),
        ("heartbeat", WatchEventsRequest { heartbeat: seconds(601), ..one() }),
        ("heartbeat", WatchEventsRequest { heartbeat: seconds(i64::MAX), ..one() }),
        ("max_event_bytes", WatchEventsRequest { max_event_bytes: 1, ..one() }),
        ("max_event_bytes", WatchEventsRequest { max_event_bytes: 65_535, ..one() }),
        ("max_event_bytes", WatchEventsRequest { max_event_bytes: (64 << 20) + 1, ..one() }),
    ];
    for (field, request) in cases {
        let (code, reason, metadata) =
            problem(Subscriber::try_open(&clients, request.clone()).await);
        let found = (code, &*reason, metadata.get("field").map(String::as_str));
        assert_eq!(found, (Code::InvalidArgument, "INVALID_ARGUMENT", Some(field)), "{request:?}");
    }
    for request in [
        ids(&[unknown]),
        ids(&[&a, unknown]),
        WatchEventsRequest { start_seqs: starts(unknown), ..ids(&[]) },
    ] {
        let found = problem(Subscriber::try_open(&clients, request.clone()).await);
        let metadata = HashMap::from([("session_id".to_owned(), unknown.to_owned())]);
        let expected = (Code::NotFound, "SESSION_NOT_FOUND".to_owned(), metadata);
        assert_eq!(found, expected, "{request:?}");
    }
    for accepted in [
        WatchEventsRequest { heartbeat: millis(1_000), ..one() },
        WatchEventsRequest { heartbeat: seconds(600), ..one() },
        WatchEventsRequest { max_event_bytes: 64 << 10, ..one() },
        WatchEventsRequest { max_event_bytes: 64 << 20, ..one() },
        ids(&vec![a.as_str(); 1_000]),
    ] {
        let mut subscriber = Subscriber::open(&clients, accepted).await;
        // A session that is named twice is watched once.
        subscriber.header().await;
        assert_eq!(subscriber.synced().await, a);
    }
}

/// A segment has 16 MiB, so that a few large lines make several.
#[tokio::test]
async fn a_cursor_before_the_oldest_event_has_expired() {
    let mut server = server();
    let clients = server.connect().await;
    let script = format!("thread,turn,{}completed", "big:2000000,".repeat(12));
    let id = finished(&server, &clients, &script).await;
    let all = read_all(&clients, &id).await;
    server.stop();
    let directory = server.home().join(format!("sessions/{id}/events"));
    let mut segments: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "seg"))
        .collect();
    segments.sort();
    assert!(segments.len() >= 3, "{segments:?}");
    let name = segments[2].file_stem().unwrap().to_str().unwrap();
    let oldest: u64 = name.parse().unwrap();
    assert!(oldest > 2);
    for expired in &segments[..2] {
        fs::remove_file(expired).unwrap();
    }
    server.start();

    let clients = server.connect().await;
    let starts = |seq| WatchEventsRequest {
        start_seqs: BTreeMap::from([(id.clone(), seq)]),
        ..WatchEventsRequest::default()
    };
    for seq in [1, oldest - 1] {
        let metadata = HashMap::from([
            ("requested_seq".to_owned(), seq.to_string()),
            ("oldest_seq".to_owned(), oldest.to_string()),
        ]);
        let expected = (Code::OutOfRange, "CURSOR_EXPIRED".to_owned(), metadata);
        for request in [from(&id, seq), starts(seq)] {
            assert_eq!(problem(Subscriber::try_open(&clients, request).await), expected);
        }
        let page = ListEventsRequest {
            session_id: id.clone(),
            after_seq: seq - 1,
            ..ListEventsRequest::default()
        };
        assert_eq!(problem(clients.events.clone().list_events(page).await), expected);
    }
    let beginning =
        WatchEventsRequest { default_start: DefaultStart::Beginning.into(), ..to_end(&id, 0) };
    for request in [to_end(&id, oldest), beginning] {
        let mut subscriber = Subscriber::open(&clients, request).await;
        let header = subscriber.header().await;
        assert_eq!((header.oldest_seq, header.start_seq), (oldest, oldest));
        let rest = events(subscriber.rest().await);
        assert_eq!(rest, all[usize::try_from(oldest).unwrap() - 1..]);
    }
    let page = ListEventsRequest {
        session_id: id.clone(),
        after_seq: oldest - 1,
        ..ListEventsRequest::default()
    };
    let page = clients.events.clone().list_events(page).await.unwrap().into_inner();
    assert_eq!((page.oldest_seq, page.events[0].seq), (oldest, oldest));
}
