//! No subscriber slows another one, or the agent, and none costs memory.

use std::fs;

use futures_util::{StreamExt as _, future::join_all, stream};
use switchboard::proto::{Event, watch_events_response::Message};
use tokio::sync::watch;

use crate::{
    harness::{Clients, Server},
    proxy::Proxy,
    subscriber::{
        Subscriber, create, from, is_rest, lines, no_watches, raws, rest, seqs, server, to_end,
    },
};

/// The memory of the server in bytes.
pub(crate) fn resident(server: &Server) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscriber_that_crawls_costs_nobody_anything_and_misses_nothing() {
    let server = server();
    let clients = server.connect().await;
    let gate = server.work().join("gate");
    let script = format!("thread,turn,wait:{},print:30000:1000,completed", gate.display());
    let id = create(&server, &clients, &script).await;

    let proxy = Proxy::start(server.tcp());
    let through_proxy = server.connect_through(proxy.address()).await;
    let mut slow = Subscriber::open(&through_proxy, from(&id, 1)).await;
    slow.header().await;
    proxy.throttle(1 << 10);
    let (progress, far) = watch::channel(0);
    let slow = tokio::spawn(async move {
        let mut events: Vec<Event> = Vec::new();
        while !events.last().is_some_and(is_rest) {
            if let Message::Event(event) = slow.next().await.unwrap() {
                progress.send_replace(event.seq);
                events.push(event);
            }
        }
        events
    });

    let mut fast = Subscriber::open(&clients, from(&id, 1)).await;
    fast.header().await;
    let before = resident(&server);
    fs::write(&gate, "").unwrap();
    let mut most = 0;
    let mut fast_events: Vec<Event> = Vec::new();
    while !fast_events.last().is_some_and(is_rest) {
        if let Message::Event(event) = fast.next().await.unwrap() {
            if event.seq % 1_000 == 0 {
                most = most.max(resident(&server));
            }
            fast_events.push(event);
        }
    }
    // The agent has ended and the fast one has all; 60 MB went to it, of which
    // the slow one lacks more than what buffers on the way to it may hold.
    let last = fast_events.last().unwrap().seq;
    let reached = *far.borrow();
    assert!(reached < last / 2, "the slow one is at {reached} of {last}");
    // The newest 4 MiB of the session, what one step of the agent's output
    // takes on its way into the log, and what each connection may hold back.
    let grown = most.max(resident(&server)).saturating_sub(before);
    assert!(grown < 32 << 20, "the server grew by {grown} bytes");

    proxy.throttle(1 << 30);
    let slow_events = slow.await.unwrap();
    assert_eq!(seqs(&slow_events), (1..=last).collect::<Vec<_>>());
    assert!(slow_events == fast_events, "the two got other events");
    assert!(raws(&fast_events) == lines(&server, &id, 1), "other lines");
}

/// Watches to the end and says how many events came, each in its turn.
async fn count(clients: Clients, id: String, open: watch::Sender<usize>) -> u64 {
    let mut subscriber = Subscriber::open(&clients, to_end(&id, 1)).await;
    subscriber.header().await;
    open.send_modify(|open| *open += 1);
    let mut last = 0;
    while let Some(message) = subscriber.next().await {
        if let Message::Event(event) = message {
            assert_eq!(event.seq, last + 1);
            last = event.seq;
        }
    }
    last
}

async fn thousand_subscribers_over(connections: usize) {
    let server = server();
    let clients = server.connect().await;
    let gate = server.work().join("gate");
    let script = format!("thread,turn,print:50,wait:{},print:150,completed", gate.display());
    let id = create(&server, &clients, &script).await;
    let connections: Vec<Clients> =
        stream::iter(0..connections).then(|_| server.connect()).collect().await;
    let (open, mut opened) = watch::channel(0);
    let subscribers: Vec<_> = (0..1_000)
        .map(|number| {
            let clients = connections[number % connections.len()].clone();
            tokio::spawn(count(clients, id.clone(), open.clone()))
        })
        .collect();
    opened.wait_for(|open| *open == 1_000).await.unwrap();
    fs::write(&gate, "").unwrap();
    let counts = join_all(subscribers).await;
    rest(&clients, &id).await;
    // The agent's lines, and what the server says before and after them.
    let last = counts[0].as_ref().unwrap();
    assert!(*last > lines(&server, &id, 1).len() as u64);
    for count in &counts {
        assert_eq!(count.as_ref().unwrap(), last);
    }
    no_watches(&clients).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_subscribers_over_one_connection_get_everything() {
    thousand_subscribers_over(1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_subscribers_over_a_hundred_connections_get_everything() {
    thousand_subscribers_over(100).await;
}
