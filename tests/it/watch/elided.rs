//! Events that their receiver cannot take whole, and lines that nobody can.

use std::fs;

use prost::Message as _;
use switchboard::proto::{
    Elided, Event, ListEventsRequest, ReadOutputRequest, WatchEventsRequest, WatchEventsResponse,
    event::Kind, watch_events_response::Message,
};

use crate::{
    harness::{Clients, Server},
    subscriber::{
        Subscriber, events, finished, lines, message_text, output, problem, raws, read_all, server,
        to_end,
    },
};

async fn read_output(clients: &Clients, id: &str, elided: &Elided) -> Vec<u8> {
    let request = ReadOutputRequest {
        session_id: id.to_owned(),
        turn: elided.turn,
        offset: elided.byte_offset,
        length: elided.size,
        ..ReadOutputRequest::default()
    };
    let mut chunks = clients.sessions.clone().read_output(request).await.unwrap().into_inner();
    let mut bytes = Vec::new();
    while let Some(chunk) = chunks.message().await.unwrap() {
        assert_eq!(chunk.offset, elided.byte_offset + bytes.len() as u64);
        bytes.extend_from_slice(&chunk.data);
    }
    bytes
}

/// The memory of the server in KiB, by a name in /proc/PID/status.
fn memory(server: &Server, name: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim_start_matches(':').trim().trim_end_matches(" kB").parse().unwrap()
}

/// All pages of a session, with pages of this many bytes.
async fn pages(clients: &Clients, id: &str, max_bytes: u32) -> Vec<Event> {
    let mut found = Vec::new();
    let mut after_seq = 0;
    let mut client = clients.events.clone().max_decoding_message_size(usize::MAX);
    loop {
        let request = ListEventsRequest {
            session_id: id.to_owned(),
            after_seq,
            max_bytes,
            ..ListEventsRequest::default()
        };
        let page = client.list_events(request).await.unwrap().into_inner();
        after_seq = page.next_after_seq;
        found.extend(page.events);
        if after_seq == page.latest_seq {
            return found;
        }
    }
}

#[tokio::test]
async fn a_large_message_comes_cut_to_a_default_client_and_whole_to_one_that_can_take_it() {
    let server = server();
    let mut clients = server.connect().await;
    let id = finished(&server, &clients, "thread,turn,message:first,big:5000000,completed").await;
    let printed = lines(&server, &id, 1);
    let start = (printed[0].len() + printed[1].len() + printed[2].len() + 3) as u64;
    let at = Elided { size: printed[3].len() as u64, turn: 1, byte_offset: start };

    let all = read_all(&clients, &id).await;
    let (place, cut) =
        all.iter().enumerate().find(|(_, event)| event.elided.is_some()).expect("one is elided");
    assert_eq!((cut.seq, cut.byte_offset, cut.elided), (place as u64 + 1, start, Some(at)));
    assert_eq!((&cut.raw[..], message_text(cut)), (&b""[..], Some(&*"x".repeat(1_024))));
    assert_eq!(read_output(&clients, &id, &at).await, printed[3]);
    assert_eq!(pages(&clients, &id, 0).await, all);

    clients.events = clients.events.clone().max_decoding_message_size(usize::MAX);
    let request = WatchEventsRequest { max_event_bytes: 64 << 20, ..to_end(&id, 1) };
    let taken = events(Subscriber::open(&clients, request).await.rest().await);
    let whole = Event { elided: None, raw: printed[3].clone().into(), ..taken[place].clone() };
    assert_eq!(taken[place], whole);
    assert_eq!(message_text(&whole), Some(&*"x".repeat(5_000_000)));
    let others = |events: &[Event]| [&events[..place], &events[place + 1..]].concat();
    assert_eq!(others(&taken), others(&all));
    assert_eq!(pages(&clients, &id, 64 << 20).await, taken);
}

#[tokio::test]
async fn an_event_of_exactly_the_size_that_its_receiver_takes_comes_whole() {
    let server = server();
    let clients = server.connect().await;
    let id = finished(&server, &clients, "thread,turn,big:100000,completed").await;
    let all = read_all(&clients, &id).await;
    let large = all.iter().find(|event| event.raw.len() > 100_000).unwrap();
    let message = WatchEventsResponse { message: Some(Message::Event(large.clone())) };
    let size = u32::try_from(message.encoded_len()).unwrap();
    for (max_event_bytes, whole) in [(size + 1, true), (size, true), (size - 1, false)] {
        let request = WatchEventsRequest { max_event_bytes, ..to_end(&id, large.seq) };
        let found = events(Subscriber::open(&clients, request).await.rest().await);
        assert_eq!(found[0] == *large, whole, "{max_event_bytes} {size}");
        assert_eq!(found[0].elided.is_none(), whole);
        assert_eq!(found[1..], all[usize::try_from(large.seq).unwrap()..]);
    }
}

#[tokio::test]
async fn lines_up_to_64_mib_and_longer_ones_are_events_and_the_server_stays_small() {
    let limit = 64 << 20;
    let server = server();
    let clients = server.connect().await;
    let before = memory(&server, "VmRSS");
    let script =
        format!("thread,turn,long:{limit},message:a,long:{},message:b,completed", limit + 1);
    let id = finished(&server, &clients, &script).await;
    let all = read_all(&clients, &id).await;
    let found: Vec<_> = all
        .iter()
        .filter_map(|event| match &event.kind {
            Some(Kind::InvalidLine(line)) => {
                Some((line.problem.as_str(), event.elided.unwrap().size, event.raw.len()))
            }
            _ => message_text(event).map(|text| (text, 0, event.raw.len())),
        })
        .collect();
    let message = lines(&server, &id, 1)[3].len();
    let too_long = format!("the line has {} bytes; at most {limit} are read", limit + 1);
    assert_eq!(
        found,
        [
            ("not JSON: expected value at line 1 column 1", limit, 0),
            ("a", 0, message),
            (too_long.as_str(), limit + 1, 0),
            ("b", 0, message),
        ]
    );
    for event in all.iter().filter(|event| event.elided.is_some()) {
        let at = event.elided.unwrap();
        let begin = usize::try_from(at.byte_offset).unwrap();
        let line = &output(&server, &id, 1)[begin..begin + usize::try_from(at.size).unwrap()];
        assert!(read_output(&clients, &id, &at).await == line);
    }
    assert_eq!(pages(&clients, &id, 64 << 20).await, all);
    // One line of the longest, once while it grows and once more while it is moved.
    let grown = memory(&server, "VmHWM") - before;
    assert!(grown < 140 << 10, "{grown} KiB");
}

#[tokio::test]
async fn a_line_that_fits_into_the_largest_message_comes_whole_and_what_is_said_of_it_cut() {
    let server = server();
    let mut clients = server.connect().await;
    clients.events = clients.events.clone().max_decoding_message_size(64 << 20);
    // Its text is in the event twice: once in the line, once beside it.
    let message = 40 << 20;
    let longest = (64 << 20) - (64 << 10);
    let script = format!("thread,turn,big:{message},long:{longest},completed");
    let id = finished(&server, &clients, &script).await;
    let printed = lines(&server, &id, 1);

    let request = WatchEventsRequest { max_event_bytes: 64 << 20, ..to_end(&id, 1) };
    let taken = events(Subscriber::open(&clients, request).await.rest().await);

    let large: Vec<_> = taken.iter().filter(|event| event.raw.len() > 1 << 20).collect();
    assert!(raws(&taken) == printed, "some line is not whole");
    let at = Elided { size: printed[2].len() as u64, turn: 1, byte_offset: large[0].byte_offset };
    assert_eq!([large[0].elided, large[1].elided], [Some(at), None]);
    assert_eq!(message_text(large[0]), Some(&*"x".repeat(1_024)));
    assert!(pages(&clients, &id, 64 << 20).await == taken, "the pages differ");
    // To those who take less it comes without its line, as any other.
    let small = read_all(&clients, &id).await;
    let small: Vec<_> = small.iter().filter(|event| event.elided.is_some()).collect();
    assert_eq!((small.len(), small[0].elided), (2, Some(at)));
    assert!(small.iter().all(|event| event.raw.is_empty()));
}

#[tokio::test]
async fn no_size_of_a_page_is_above_64_mib_or_below_64_kib() {
    let server = server();
    let clients = server.connect().await;
    let id = finished(&server, &clients, "thread,turn,completed").await;
    for max_bytes in [1, 65_535, (64 << 20) + 1] {
        let request =
            ListEventsRequest { session_id: id.clone(), max_bytes, ..ListEventsRequest::default() };
        let (code, _, metadata) = problem(clients.events.clone().list_events(request).await);
        assert_eq!((code, &*metadata["field"]), (tonic::Code::InvalidArgument, "max_bytes"));
    }
}
