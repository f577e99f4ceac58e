//! What a watch says of a session that it cannot go on with, and that it goes on
//! with the others.

use std::{collections::HashMap, fs};

use switchboard::proto::{
    DefaultStart, DeleteSessionRequest, KillSessionRequest, LeftOut, WatchEventsRequest,
    event::Kind, watch_events_response::Message,
};
use tonic::Code;

use crate::{
    harness::{Clients, Server},
    subscriber::{
        Subscriber, create, finished, from, is_rest, kinds, output, problem, rest, says, seqs,
        to_end,
    },
};

/// A server with a session at rest and one whose turn runs and whose log has
/// lost, beyond repair, how that turn began; the seq of what is lost, and the
/// latest.
struct Damaged {
    server: Server,
    clients: Clients,
    other: String,
    id: String,
    seq: u64,
    latest: u64,
}

impl Damaged {
    async fn prepare() -> Self {
        let mut server = crate::subscriber::server();
        let clients = server.connect_to_socket().await;
        let other = finished(&server, &clients, "thread,turn,completed").await;
        let id = create(&server, &clients, "thread,turn,message:ready,sleep").await;
        let mut subscriber = Subscriber::open(&clients, from(&id, 1)).await;
        let seen = subscriber.until(|event| says(event, "ready")).await;
        let (seq, prompt) = seen
            .iter()
            .find_map(|event| match &event.kind {
                Some(Kind::TurnSpawned(spawned)) => Some((event.seq, spawned.prompt.clone())),
                _ => None,
            })
            .unwrap();
        server.kill();
        let directory = server.home().join(format!("sessions/{id}/events"));
        let segment = directory.join("00000000000000000001.seg");
        let mut bytes = fs::read(&segment).unwrap();
        let mut windows = bytes.windows(prompt.len());
        let at = windows.position(|part| part == prompt.as_bytes()).unwrap();
        bytes[at] ^= 1;
        fs::write(&segment, bytes).unwrap();
        server.start();
        let clients = server.connect_to_socket().await;
        let latest = seen.last().unwrap().seq;
        Self { server, clients, other, id, seq, latest }
    }

    async fn kill(&self) {
        let request = KillSessionRequest { session_id: self.id.clone(), ..Default::default() };
        self.clients.sessions.clone().kill_session(request).await.unwrap();
        rest(&self.clients, &self.id).await;
    }

    fn damage(&self) -> LeftOut {
        let (seq, next) = (self.seq, self.seq + 1);
        LeftOut {
            session_id: self.id.clone(),
            next_seq: seq,
            reason: "EVENTS_DAMAGED".to_owned(),
            message: format!(
                "the event {seq} is damaged in the session's log: start at {next}, the next that can be read"
            ),
            next_readable_seq: next,
        }
    }
}

/// The session that a message is about.
fn about(message: &Message) -> Option<&str> {
    match message {
        Message::Header(header) => Some(&header.session.as_ref()?.session_id),
        Message::Event(event) => Some(&event.session_id),
        Message::Synced(synced) => Some(&synced.session_id),
        Message::LeftOut(left_out) => Some(&left_out.session_id),
        Message::Heartbeat(_) => None,
    }
}

fn all() -> WatchEventsRequest {
    WatchEventsRequest {
        default_start: DefaultStart::Beginning.into(),
        ..WatchEventsRequest::default()
    }
}

#[tokio::test]
async fn a_watch_of_several_goes_on_without_a_damaged_session_and_never_begins_it_again() {
    let damaged = Damaged::prepare().await;
    let (clients, id) = (&damaged.clients, damaged.id.as_str());
    let named = WatchEventsRequest {
        session_ids: vec![damaged.other.clone(), damaged.id.clone()],
        ..all()
    };
    let mut subscribers = Vec::new();
    for request in [all(), named] {
        let mut subscriber = Subscriber::open(clients, request).await;
        let messages = subscriber.until_synced().await;
        let of_it: Vec<_> = messages.iter().filter(|found| about(found) == Some(id)).collect();
        // Its header, its events before the damage, and not that it was synced.
        let (header, rest) = of_it.split_first().unwrap();
        assert!(matches!(header, Message::Header(_)));
        let (last, events) = rest.split_last().unwrap();
        assert_eq!(**last, Message::LeftOut(damaged.damage()));
        let seqs = events.iter().map(|message| match message {
            Message::Event(event) => event.seq,
            other => panic!("{other:?}"),
        });
        assert!(seqs.eq(1..damaged.seq));
        let other = Some(damaged.other.as_str());
        assert!(
            messages
                .iter()
                .any(|found| matches!(found, Message::Synced(_)) && about(found) == other)
        );
        subscribers.push(subscriber);
    }
    // It is published again and again.
    damaged.kill().await;
    let turn = switchboard::proto::StartTurnRequest {
        session_id: damaged.other.clone(),
        prompt: "FAKE_AGENT=thread,turn,completed".to_owned(),
        ..Default::default()
    };
    clients.sessions.clone().start_turn(turn).await.unwrap();
    for mut subscriber in subscribers {
        loop {
            let message = subscriber.next().await.unwrap();
            assert_ne!(about(&message), Some(id), "{message:?}");
            if matches!(&message, Message::Event(event) if is_rest(event)) {
                break;
            }
        }
    }
    assert_eq!(damaged.server.log().matches("the session is read-only").count(), 1);
}

#[tokio::test]
async fn a_watch_of_a_damaged_session_ends_with_what_is_damaged_and_where_to_go_on() {
    let damaged = Damaged::prepare().await;
    let (clients, id, seq) = (&damaged.clients, damaged.id.as_str(), damaged.seq);
    for request in [from(id, 1), to_end(id, 1)] {
        let mut subscriber = Subscriber::open(clients, request).await;
        subscriber.header().await;
        for expected in 1..seq {
            assert_eq!(subscriber.event().await.seq, expected);
        }
        let metadata = [("seq", seq), ("next_seq", seq + 1)];
        let metadata = metadata.map(|(key, seq)| (key.to_owned(), seq.to_string()));
        assert_eq!(
            problem(subscriber.try_next().await),
            (Code::DataLoss, "EVENTS_DAMAGED".to_owned(), HashMap::from(metadata))
        );
    }
    // Behind the damage all that is there comes; the turn that runs adds nothing.
    for request in [from(id, seq + 1), to_end(id, seq + 1)] {
        let mut subscriber = Subscriber::open(clients, request).await;
        let messages = subscriber.until_synced().await;
        let found = crate::subscriber::events(messages);
        assert_eq!(seqs(&found), (seq + 1..=damaged.latest).collect::<Vec<_>>());
        let (code, reason, _) = problem(subscriber.try_next().await);
        assert_eq!((code, reason.as_str()), (Code::FailedPrecondition, "SESSION_READ_ONLY"));
    }
    let silent = WatchEventsRequest { kinds: kinds(&[]), ..from(id, 0) };
    let mut subscriber = Subscriber::open(clients, silent).await;
    subscriber.until_synced().await;
    assert_eq!(problem(subscriber.try_next().await).1, "SESSION_READ_ONLY");
    damaged.kill().await;
    // At rest nothing is missed.
    let rest = Subscriber::open(clients, to_end(id, seq + 1)).await.rest().await;
    assert_eq!(seqs(&crate::subscriber::events(rest)).last(), Some(&damaged.latest));
}

#[tokio::test]
async fn a_cursor_of_a_session_that_cannot_be_opened_keeps_nobody_from_the_others() {
    let mut server = crate::subscriber::server();
    let clients = server.connect_to_socket().await;
    let other = finished(&server, &clients, "thread,turn,completed").await;
    let id = finished(&server, &clients, "thread,turn,completed").await;
    server.kill();
    let log = server.home().join(format!("sessions/{id}/events"));
    fs::remove_dir_all(&log).unwrap();
    fs::write(&log, "").unwrap();
    server.start();
    let clients = server.connect_to_socket().await;
    let start_seqs = [(id.clone(), 3), (other.clone(), 1)].into();
    let mut subscriber =
        Subscriber::open(&clients, WatchEventsRequest { start_seqs, ..all() }).await;
    let messages = subscriber.until_synced().await;
    let of_it: Vec<_> = messages.iter().filter(|found| about(found) == Some(&id)).collect();
    let [Message::LeftOut(left_out)] = of_it[..] else { panic!("{of_it:?}") };
    assert_eq!((left_out.next_seq, left_out.reason.as_str()), (3, "SESSION_READ_ONLY"));
    assert!(!output(&server, &other, 1).is_empty());
    let found = crate::subscriber::events(messages);
    assert_eq!(seqs(&found), (1..=found.len() as u64).collect::<Vec<_>>());
    let named = WatchEventsRequest { session_ids: vec![id.clone()], ..all() };
    let refused = Subscriber::try_open(&clients, named).await;
    assert_eq!(problem(refused).1, "SESSION_READ_ONLY");
}

/// The events of a session that a watch told, which must be all of them up to some one;
/// and its last.
fn told_of(messages: &[Message], id: &str) -> u64 {
    let events = messages.iter().filter_map(|message| match message {
        Message::Event(event) if event.session_id == id => Some(event.seq),
        Message::Event(_)
        | Message::Header(_)
        | Message::Synced(_)
        | Message::Heartbeat(_)
        | Message::LeftOut(_) => None,
    });
    let seqs: Vec<_> = events.collect();
    assert!(seqs.iter().copied().eq(1..=seqs.len() as u64), "{seqs:?}");
    seqs.len() as u64
}

#[tokio::test]
async fn whoever_reads_too_slowly_of_a_deleted_session_is_not_told_that_it_was_all() {
    let server = crate::subscriber::server();
    let clients = server.connect_to_socket().await;
    let other = finished(&server, &clients, "thread,turn,completed").await;
    // More than a connection has room for.
    let id = finished(&server, &clients, "thread,turn,print:3000:10000,completed").await;
    let both = WatchEventsRequest { session_ids: vec![id.clone(), other.clone()], ..all() };
    let mut watches = Vec::new();
    for request in [from(&id, 1), to_end(&id, 1), both, all()] {
        let clients = server.connect_to_socket().await;
        let mut subscriber = Subscriber::open(&clients, request).await;
        let first = subscriber.header().await;
        watches.push((subscriber, first));
    }

    let request = DeleteSessionRequest { session_id: id.clone(), ..Default::default() };
    clients.sessions.clone().delete_session(request).await.unwrap();
    // The server waits some time for them, and then no longer.
    crate::bundle::until(&server.log_file(), |log| log.contains("go though they are still read"))
        .await;
    let files = server.home().join("sessions").join(&id);
    while files.exists() {
        tokio::task::yield_now().await;
    }

    let mut ends = Vec::new();
    for (mut subscriber, _) in watches {
        let (mut messages, mut end) = (Vec::new(), None);
        while !messages.iter().any(
            |message| matches!(message, Message::Synced(synced) if synced.session_id.is_empty()),
        ) {
            match subscriber.try_next().await {
                Ok(message) => messages.push(message.expect("a watch ended without a word")),
                Err(status) => {
                    end = Some(status);
                    break;
                }
            }
        }
        let told = told_of(&messages, &id);
        assert!((1..3000).contains(&told), "{told}");
        let is_synced = |message: &Message| matches!(message, Message::Synced(synced) if synced.session_id == id);
        assert!(!messages.iter().any(is_synced));
        let left_out = messages.iter().find_map(|message| match message {
            Message::LeftOut(left_out) => {
                Some((left_out.session_id.as_str(), left_out.next_seq, left_out.reason.as_str()))
            }
            Message::Event(_) | Message::Header(_) | Message::Synced(_) | Message::Heartbeat(_) => {
                None
            }
        });
        match end {
            Some(status) => {
                assert_eq!(problem(Err::<(), _>(status)).1, "SESSION_DELETED");
                assert_eq!(left_out, None);
                ends.push("an error");
            }
            None => {
                assert_eq!(left_out, Some((id.as_str(), told + 1, "SESSION_DELETED")));
                assert!(told_of(&messages, &other) > 0);
                ends.push("left out");
            }
        }
    }
    assert_eq!(ends, ["an error", "an error", "left out", "left out"]);
}
