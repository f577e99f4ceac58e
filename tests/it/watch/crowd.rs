//! Many subscribers that come and go while the agent prints.

use std::collections::HashSet;

use futures_util::future::join_all;
use switchboard::proto::{Event, ListEventsRequest, watch_events_response::Message};

use crate::{
    harness::Clients,
    restart::Random,
    subscriber::{Subscriber, create, from, is_rest, lines, millis, raws, seqs, server},
};

/// Reads the whole session in pieces: by watches that are dropped after a
/// random number of messages, and by pages of random size.
async fn read_in_pieces(clients: &Clients, id: &str, mut random: Random) -> Vec<Event> {
    let mut found: Vec<Event> = Vec::new();
    let over = |found: &[Event]| found.last().is_some_and(is_rest);
    while !over(&found) {
        let last = found.last().map_or(0, |event| event.seq);
        if random.below(4) == 0 {
            let request = ListEventsRequest {
                session_id: id.to_owned(),
                after_seq: last,
                page_size: u32::try_from(1 + random.below(400)).unwrap(),
                wait: millis(1_000),
                ..ListEventsRequest::default()
            };
            let page = clients.events.clone().list_events(request).await.unwrap().into_inner();
            assert_eq!(page.next_after_seq, page.events.last().map_or(last, |event| event.seq));
            found.extend(page.events);
            continue;
        }
        let mut left = random.below(3_000);
        let mut watch = Subscriber::open(clients, from(id, last + 1)).await;
        while left > 0 && !over(&found) {
            left -= 1;
            if let Message::Event(event) = watch.next().await.unwrap() {
                found.push(event);
            }
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn subscribers_that_come_and_go_get_every_event_exactly_once() {
    let server = server();
    let clients = server.connect().await;
    let script = "thread,turn,print:4000,sleep:0.2,print:4000,sleep:0.05,print:4000,completed";
    let id = create(&server, &clients, script).await;
    let mut connections = Vec::new();
    for _ in 0..4 {
        connections.push(server.connect().await);
    }
    let mut random = Random::from_environment();
    let subscribers = (0..24).map(|number| {
        let (clients, id) = (connections[number % 4].clone(), id.clone());
        let random = random.split();
        tokio::spawn(async move { read_in_pieces(&clients, &id, random).await })
    });
    let printed: Vec<_> = join_all(subscribers).await;
    let expected = lines(&server, &id, 1);
    let mut all_seqs = HashSet::new();
    for events in printed {
        let events = events.unwrap();
        let found = seqs(&events);
        assert_eq!(found, (1..=events.len() as u64).collect::<Vec<_>>());
        assert!(raws(&events) == expected, "other lines");
        all_seqs.insert(found);
    }
    assert_eq!(all_seqs.len(), 1);
}
