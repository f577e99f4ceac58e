//! What a watch of one session sends, and in which order.

use std::{collections::BTreeMap, fs};

use switchboard::proto::{
    EventKind, SessionState, StartTurnRequest, Synced, WatchEventsRequest,
    watch_events_response::Message,
};

use crate::subscriber::{
    Subscriber, create, events, finished, from, is_rest, kinds, lines, millis, raws, rest, says,
    seqs, server, to_end,
};

#[tokio::test]
async fn a_watch_tells_header_replay_synced_live_and_heartbeat_in_this_order() {
    let server = server();
    let clients = server.connect().await;
    let gate = server.work().join("gate");
    let script = format!("thread,turn,print:5,wait:{},print:3,completed", gate.display());
    let id = create(&server, &clients, &script).await;
    // The agent waits at the gate once this one has seen the fifth message.
    let mut probe = Subscriber::open(&clients, from(&id, 1)).await;
    let before = probe.until(|event| says(event, "5")).await;
    let latest = before.last().unwrap().seq;

    let request = WatchEventsRequest { heartbeat: millis(1_000), ..from(&id, 1) };
    let mut subscriber = Subscriber::open(&clients, request).await;
    let header = subscriber.header().await;
    assert_eq!((header.oldest_seq, header.latest_seq, header.start_seq), (1, latest, 1));
    assert_eq!(header.epoch.len(), 16, "{}", header.epoch);
    let session = header.session.unwrap();
    assert_eq!((session.session_id.as_str(), session.state()), (&*id, SessionState::Running));

    let mut replay = Vec::new();
    for _ in 1..=latest {
        replay.push(subscriber.event().await);
    }
    assert_eq!(replay, before);
    assert_eq!(subscriber.synced().await, id);
    assert_eq!(subscriber.synced().await, "");
    // Nothing happens now.
    assert_eq!(subscriber.heartbeat().await, BTreeMap::from([(id.clone(), latest)]));
    assert_eq!(subscriber.heartbeat().await, BTreeMap::new());

    fs::write(&gate, "").unwrap();
    let live = subscriber.until(is_rest).await;
    let last = live.last().unwrap().seq;
    assert_eq!(seqs(&live), (latest + 1..=last).collect::<Vec<_>>());
    assert_eq!(subscriber.heartbeat().await, BTreeMap::from([(id.clone(), last)]));
    let all = [before, live].concat();
    assert_eq!(raws(&all), lines(&server, &id, 1));
    assert!(all.iter().all(|event| event.session_id == id));
}

#[tokio::test]
async fn a_watch_that_starts_now_tells_only_what_is_new() {
    let server = server();
    let clients = server.connect().await;
    let gate = server.work().join("gate");
    let script = format!("thread,turn,print:5,wait:{},print:3,completed", gate.display());
    let id = create(&server, &clients, &script).await;
    let mut probe = Subscriber::open(&clients, from(&id, 1)).await;
    let latest = probe.until(|event| says(event, "5")).await.last().unwrap().seq;

    let mut subscriber = Subscriber::open(&clients, from(&id, 0)).await;
    let header = subscriber.header().await;
    assert_eq!((header.latest_seq, header.start_seq), (latest, latest + 1));
    assert_eq!((subscriber.synced().await, subscriber.synced().await), (id.clone(), String::new()));
    fs::write(&gate, "").unwrap();
    let live = subscriber.until(is_rest).await;
    assert_eq!(live, probe.until(is_rest).await);
    assert_eq!(live[0].seq, latest + 1);
}

#[tokio::test]
async fn heartbeats_move_the_cursor_past_what_the_filter_leaves_out() {
    let server = server();
    let clients = server.connect().await;
    let id = finished(&server, &clients, "thread,turn,print:50,completed").await;
    let only_failures = WatchEventsRequest {
        kinds: kinds(&[EventKind::TurnFailed]),
        heartbeat: millis(1_000),
        ..from(&id, 1)
    };
    let mut subscriber = Subscriber::open(&clients, only_failures).await;
    let latest = subscriber.header().await.latest_seq;
    assert_eq!((subscriber.synced().await, subscriber.synced().await), (id.clone(), String::new()));
    assert_eq!(subscriber.heartbeat().await, BTreeMap::from([(id.clone(), latest)]));

    let resumed = Subscriber::open(&clients, to_end(&id, latest + 1)).await.rest().await;
    assert_eq!(events(resumed), []);
}

#[tokio::test]
async fn heartbeats_come_also_while_everything_that_happens_is_left_out() {
    let server = server();
    let clients = server.connect().await;
    let gate = server.work().join("gate");
    let script = format!("thread,turn,until:{},completed", gate.display());
    let id = create(&server, &clients, &script).await;
    let request = WatchEventsRequest {
        kinds: kinds(&[EventKind::TurnCompleted]),
        heartbeat: millis(1_000),
        ..from(&id, 1)
    };
    let mut subscriber = Subscriber::open(&clients, request).await;
    subscriber.header().await;
    assert_eq!(subscriber.until_synced().await.pop(), synced(&id));
    let first = subscriber.heartbeat().await[&id];
    let second = subscriber.heartbeat().await[&id];
    assert!(first < second, "{first} {second}");
    fs::write(&gate, "").unwrap();
    let events = subscriber.until(|_| true).await;
    assert_eq!(events[0].raw, lines(&server, &id, 1).pop().unwrap());
    // The cursor that a heartbeat tells leads to exactly what is after it.
    rest(&clients, &id).await;
    let resumed = Subscriber::open(&clients, to_end(&id, second + 1)).await.rest().await;
    assert_eq!(events_from(resumed), second + 1);
}

fn synced(id: &str) -> Option<Message> {
    Some(Message::Synced(Synced { session_id: id.to_owned() }))
}

fn events_from(messages: Vec<Message>) -> u64 {
    events(messages)[0].seq
}

#[tokio::test]
async fn a_filter_lets_its_kinds_through_in_replay_and_live() {
    let server = server();
    let clients = server.connect().await;
    let gate = server.work().join("gate");
    let script = format!(
        "thread,turn,print:300,error:one,wait:{},print:300,error:two,completed",
        gate.display()
    );
    let id = create(&server, &clients, &script).await;
    let request = WatchEventsRequest {
        kinds: kinds(&[EventKind::Error, EventKind::StateChanged]),
        ..to_end(&id, 1)
    };
    let mut subscriber = Subscriber::open(&clients, request.clone()).await;
    let is_error = |event: &switchboard::proto::Event| event.raw.starts_with(b"{\"type\":\"error");
    let mut filtered = subscriber.until(is_error).await;
    fs::write(&gate, "").unwrap();
    filtered.extend(events(subscriber.rest().await));

    let all = events(Subscriber::open(&clients, to_end(&id, 1)).await.rest().await);
    let expected: Vec<_> = all
        .into_iter()
        .filter(|event| {
            use switchboard::proto::event::Kind::{Error, StateChanged};
            matches!(event.kind, Some(Error(_) | StateChanged(_)))
        })
        .collect();
    assert_eq!(filtered, expected);
    assert_eq!(events(Subscriber::open(&clients, request).await.rest().await), expected);
}

#[tokio::test]
async fn stop_at_end_ends_after_the_last_event_of_the_turn_that_runs() {
    let server = server();
    let clients = server.connect().await;
    let gate = server.work().join("gate");
    let script = format!("thread,turn,wait:{},completed", gate.display());
    let id = create(&server, &clients, &script).await;
    let running = Subscriber::open(&clients, to_end(&id, 0)).await;
    fs::write(&gate, "").unwrap();
    let live = events(running.rest().await);
    assert!(is_rest(live.last().unwrap()), "{live:?}");

    // A turn that begins later is none of its business, and one at rest has none.
    for start in [1, 0, live.last().unwrap().seq + 1] {
        let messages = Subscriber::open(&clients, to_end(&id, start)).await.rest().await;
        assert_eq!(messages.last(), Some(&Message::Synced(Synced::default())), "{start}");
    }
}

/// The session's row says that a turn ended a moment before its last events can
/// be seen. A watch that is opened in this moment ends with them all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stop_at_end_gives_the_end_of_a_turn_that_ends_just_now() {
    let server = server();
    let clients = server.connect().await;
    let id = finished(&server, &clients, "thread,turn,completed").await;
    for _ in 0..15 {
        let request = StartTurnRequest {
            session_id: id.clone(),
            prompt: "FAKE_AGENT=turn,completed".to_owned(),
            ..Default::default()
        };
        let started = clients.sessions.clone().start_turn(request).await.unwrap().into_inner();
        let turn = started.session.unwrap().turn_count;
        // One after the other until one begins after the end, so that some begin
        // in that moment.
        let mut watches = Vec::new();
        loop {
            let mut subscriber = Subscriber::open(&clients, to_end(&id, 1)).await;
            let state = subscriber.header().await.session.unwrap().state();
            watches.push(tokio::spawn(subscriber.rest()));
            if state == SessionState::Completed {
                break;
            }
        }
        for watch in watches {
            let events = events(watch.await.unwrap());
            let last = events.last().unwrap();
            assert!(is_rest(last) && last.turn == turn, "{last:?}");
        }
    }
}
