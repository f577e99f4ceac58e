//! `ListEvents`: the twin of the watch for those who cannot stream.

use std::fs;

use prost::Message as _;
use switchboard::proto::{
    EventKind, ListEventsRequest, ListEventsResponse, StartTurnRequest, event::Kind,
};
use tonic::Code;

use crate::{
    harness::Clients,
    subscriber::{
        Subscriber, create, finished, from, is_rest, kinds, lines, millis, problem, raws, read_all,
        rest, says, seqs, server,
    },
};

fn after(id: &str, after_seq: u64) -> ListEventsRequest {
    ListEventsRequest { session_id: id.to_owned(), after_seq, ..ListEventsRequest::default() }
}

async fn list(clients: &Clients, request: ListEventsRequest) -> ListEventsResponse {
    clients.events.clone().list_events(request).await.unwrap().into_inner()
}

/// Reads every page; `request` says how large they are.
async fn pages(clients: &Clients, mut request: ListEventsRequest) -> Vec<ListEventsResponse> {
    let mut pages = Vec::new();
    loop {
        let page = list(clients, request.clone()).await;
        request.after_seq = page.next_after_seq;
        let done = page.next_after_seq == page.latest_seq;
        pages.push(page);
        if done {
            return pages;
        }
    }
}

#[tokio::test]
async fn all_pages_together_are_what_a_watch_gives() {
    let mut server = server();
    let clients = server.connect().await;
    let id = finished(&server, &clients, "thread,turn,print:2500,completed").await;
    let all = read_all(&clients, &id).await;
    assert_eq!(raws(&all), lines(&server, &id, 1));
    // From memory, and then from the files.
    for _ in 0..2 {
        let clients = server.connect().await;
        for (page_size, expected) in [(0, 1_000), (1, 1), (7, 7), (999, 999), (10_000, 10_000)] {
            let limited = page_size == 1;
            let mut request = ListEventsRequest { page_size, ..after(&id, 0) };
            if limited {
                request.after_seq = all.len() as u64 - 20;
            }
            let begin = usize::try_from(request.after_seq).unwrap();
            let pages = pages(&clients, request).await;
            for page in &pages[..pages.len() - 1] {
                assert_eq!(page.events.len(), expected);
                assert_eq!(page.next_after_seq, page.events.last().unwrap().seq);
                assert_eq!((page.oldest_seq, page.latest_seq), (1, all.len() as u64));
            }
            let found: Vec<_> = pages.into_iter().flat_map(|page| page.events).collect();
            assert_eq!(found, all[begin..]);
        }
        server.kill_and_start();
    }
}

#[tokio::test]
async fn a_page_is_bounded_by_bytes_and_holds_at_least_one_event() {
    let server = server();
    let clients = server.connect().await;
    let id = finished(&server, &clients, "thread,turn,print:40:9000,big:40000,completed").await;
    let all = read_all(&clients, &id).await;
    let max_bytes = 64 << 10;
    let pages = pages(&clients, ListEventsRequest { max_bytes, ..after(&id, 0) }).await;
    for page in &pages {
        assert!(page.encoded_len() <= max_bytes as usize, "{}", page.encoded_len());
        assert!(!page.events.is_empty());
    }
    // Three events of 18 kB each, as their text is in them twice.
    assert!(pages.iter().filter(|page| page.events.len() == 3).count() >= 10);
    let found: Vec<_> = pages.into_iter().flat_map(|page| page.events).collect();
    let (cut, whole): (Vec<_>, Vec<_>) =
        found.into_iter().partition(|event| event.elided.is_some());
    assert_eq!((cut.len(), whole.len()), (1, all.len() - 1));
    let place = usize::try_from(cut[0].seq).unwrap() - 1;
    assert_eq!(whole, [&all[..place], &all[place + 1..]].concat());
    assert_eq!(cut[0].elided.unwrap().size, all[place].raw.len() as u64);
}

#[tokio::test]
async fn a_page_of_one_event_is_bounded_by_bytes_with_all_that_it_says_itself() {
    let server = server();
    let clients = server.connect().await;
    let id = finished(&server, &clients, "thread,turn,big:100000,completed").await;
    let all = read_all(&clients, &id).await;
    let large = all.iter().find(|event| event.raw.len() > 100_000).unwrap();
    let before = large.seq - 1;
    let page = ListEventsRequest { max_bytes: 1 << 20, page_size: 1, ..after(&id, before) };
    let size = u32::try_from(list(&clients, page).await.encoded_len()).unwrap();
    for (max_bytes, whole) in [(size + 16, true), (size - 1, false), (size - 16, false)] {
        let page = list(&clients, ListEventsRequest { max_bytes, ..after(&id, before) }).await;
        assert!(page.encoded_len() <= max_bytes as usize, "{max_bytes}: {}", page.encoded_len());
        assert_eq!(page.events[0] == *large, whole, "{max_bytes}");
    }
}

#[tokio::test]
async fn a_filtered_page_moves_past_what_it_leaves_out() {
    let server = server();
    let clients = server.connect().await;
    let script = "thread,turn,print:30,error:one,print:30,error:two,print:30,completed";
    let id = finished(&server, &clients, script).await;
    let all = read_all(&clients, &id).await;
    let errors: Vec<_> =
        all.iter().filter(|event| matches!(event.kind, Some(Kind::Error(_)))).cloned().collect();
    let request = ListEventsRequest { kinds: kinds(&[EventKind::Error]), ..after(&id, 0) };

    let page = list(&clients, request.clone()).await;
    assert_eq!((page.events, page.next_after_seq), (errors.clone(), all.len() as u64));
    // A page that is full ends somewhere before the next event that fits.
    let page = list(&clients, ListEventsRequest { page_size: 1, ..request.clone() }).await;
    assert_eq!(page.events, errors[..1]);
    assert!((errors[0].seq..errors[1].seq).contains(&page.next_after_seq), "{page:?}");
    let next = ListEventsRequest { after_seq: page.next_after_seq, ..request.clone() };
    assert_eq!(list(&clients, next).await.events, errors[1..]);
    let none = ListEventsRequest { kinds: kinds(&[EventKind::TurnFailed]), ..after(&id, 0) };
    let page = list(&clients, none).await;
    assert_eq!((page.events, page.next_after_seq), (vec![], all.len() as u64));
}

#[tokio::test]
async fn a_long_poll_answers_with_the_next_event_and_empty_when_the_time_is_up() {
    let server = server();
    let clients = server.connect().await;
    let gate = server.work().join("gate");
    let script = format!("thread,turn,print:5,wait:{},message:new,completed", gate.display());
    let id = create(&server, &clients, &script).await;
    let mut probe = Subscriber::open(&clients, from(&id, 1)).await;
    let latest = probe.until(|event| says(event, "5")).await.last().unwrap().seq;

    for wait in [None, millis(0), millis(20)] {
        let page = list(&clients, ListEventsRequest { wait, ..after(&id, latest) }).await;
        assert_eq!((page.events, page.next_after_seq, page.latest_seq), (vec![], latest, latest));
    }
    let long = ListEventsRequest { wait: millis(60_000), ..after(&id, latest) };
    // What is there already is not waited for.
    let page = list(&clients, ListEventsRequest { after_seq: latest - 1, ..long.clone() }).await;
    assert_eq!(seqs(&page.events), [latest]);
    let (page, ()) = tokio::join!(list(&clients, long), async {
        fs::write(&gate, "").unwrap();
    });
    assert_eq!(page.events[0].seq, latest + 1);
    assert!(says(&page.events[0], "new"));
}

#[tokio::test]
async fn a_long_poll_with_a_filter_waits_for_an_event_that_fits() {
    let server = server();
    let clients = server.connect().await;
    let gate = server.work().join("gate");
    let script = format!("thread,turn,until:{},completed", gate.display());
    let id = create(&server, &clients, &script).await;
    let completed = kinds(&[EventKind::TurnCompleted]);
    let mut probe = Subscriber::open(&clients, from(&id, 1)).await;
    probe.until(|event| says(event, "20")).await;
    // The time is up while other events come all along: the page tells how far it got.
    let short = ListEventsRequest { kinds: completed.clone(), wait: millis(100), ..after(&id, 0) };
    let page = list(&clients, short).await;
    assert_eq!((page.events.len(), page.next_after_seq), (0, page.latest_seq));

    let long = ListEventsRequest {
        kinds: completed,
        wait: millis(60_000),
        ..after(&id, page.next_after_seq)
    };
    let (page, ()) = tokio::join!(list(&clients, long), async {
        fs::write(&gate, "").unwrap();
    });
    let raw = lines(&server, &id, 1).pop().unwrap();
    assert_eq!(raws(&page.events), [raw]);
}

#[tokio::test]
async fn a_long_poll_goes_on_with_the_next_turn() {
    let server = server();
    let clients = server.connect().await;
    let id = finished(&server, &clients, "thread,turn,completed").await;
    let latest = read_all(&clients, &id).await.len() as u64;
    let long = ListEventsRequest { wait: millis(60_000), ..after(&id, latest) };
    let turn = StartTurnRequest {
        session_id: id.clone(),
        prompt: "FAKE_AGENT=turn,completed".to_owned(),
        ..Default::default()
    };
    let mut sessions = clients.sessions.clone();
    let (page, started) = tokio::join!(list(&clients, long), sessions.start_turn(turn));
    started.unwrap();
    assert_eq!((page.events[0].seq, page.events[0].turn), (latest + 1, 2));
    rest(&clients, &id).await;
    assert!(is_rest(read_all(&clients, &id).await.last().unwrap()));
}

#[tokio::test]
async fn malformed_requests_are_refused_with_the_field_that_is_wrong() {
    let server = server();
    let clients = server.connect().await;
    let id = finished(&server, &clients, "thread,turn,completed").await;
    let latest = read_all(&clients, &id).await.len() as u64;
    let one = || after(&id, 0);
    let cases = [
        ("session_id", after("", 0)),
        ("session_id", after(&id[..8], 0)),
        ("after_seq", after(&id, latest + 1)),
        ("after_seq", after(&id, u64::MAX)),
        ("page_size", ListEventsRequest { page_size: 10_001, ..one() }),
        ("max_bytes", ListEventsRequest { max_bytes: 65_535, ..one() }),
        ("wait", ListEventsRequest { wait: millis(60_001), ..one() }),
        ("wait", ListEventsRequest { wait: millis(-1_000), ..one() }),
        ("kinds", ListEventsRequest { kinds: vec![99], ..one() }),
        ("epoch", ListEventsRequest { epoch: "x".to_owned(), ..one() }),
    ];
    for (field, request) in cases {
        let (code, reason, metadata) =
            problem(clients.events.clone().list_events(request.clone()).await);
        let found = (code, &*reason, metadata.get("field").map(String::as_str));
        assert_eq!(found, (Code::InvalidArgument, "INVALID_ARGUMENT", Some(field)), "{request:?}");
    }
    let unknown = after("2f1c6a3e-8d0b-4c55-9a77-0d5a4a3f9b21", 0);
    let refused = problem(clients.events.clone().list_events(unknown).await);
    assert_eq!((refused.0, &*refused.1), (Code::NotFound, "SESSION_NOT_FOUND"));
    let epoch = list(&clients, one()).await.epoch;
    let page = list(&clients, ListEventsRequest { epoch, ..after(&id, latest) }).await;
    assert_eq!((page.events, page.next_after_seq), (vec![], latest));
}
