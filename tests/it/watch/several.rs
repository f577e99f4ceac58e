//! Watches of several sessions, and of all.

use std::{collections::BTreeMap, fs, os::unix::fs::PermissionsExt as _};

use switchboard::proto::{
    CreateSessionRequest, DefaultStart, Event, Session, StartTurnRequest, WatchEventsRequest,
    watch_events_response::Message,
};

use crate::harness::Setup;
use crate::subscriber::{
    Subscriber, create, events, fake_agent, finished, from, is_rest, read_all, rest, seqs, server,
    to_end,
};

/// The seqs of each session, in the order in which they came.
fn by_session(events: &[Event]) -> BTreeMap<String, Vec<u64>> {
    let mut seqs: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for event in events {
        seqs.entry(event.session_id.clone()).or_default().push(event.seq);
    }
    seqs
}

#[tokio::test]
async fn each_session_begins_at_its_own_cursor_and_the_others_where_the_default_says() {
    let server = server();
    let clients = server.connect().await;
    let script = "thread,turn,print:40,completed";
    let mut ids = Vec::new();
    for _ in 0..4 {
        ids.push(finished(&server, &clients, script).await);
    }
    let latest = read_all(&clients, &ids[0]).await.len() as u64;
    for (default_start, default) in [
        (DefaultStart::Unspecified, latest + 1),
        (DefaultStart::Now, latest + 1),
        (DefaultStart::Beginning, 1),
    ] {
        let start_seqs = BTreeMap::from([
            (ids[0].clone(), 3),
            (ids[1].clone(), 0),
            (ids[2].clone(), latest + 1),
        ]);
        for session_ids in [ids.clone(), Vec::new()] {
            let request = WatchEventsRequest {
                session_ids,
                start_seqs: start_seqs.clone(),
                default_start: default_start.into(),
                stop_at_end: true,
                ..WatchEventsRequest::default()
            };
            let mut subscriber = Subscriber::open(&clients, request).await;
            let mut starts = BTreeMap::new();
            for _ in &ids {
                let header = subscriber.header().await;
                assert_eq!(header.latest_seq, latest);
                starts.insert(header.session.unwrap().session_id, header.start_seq);
            }
            let expected: BTreeMap<_, _> =
                ids.iter().cloned().zip([3, latest + 1, latest + 1, default]).collect();
            assert_eq!(starts, expected);
            let messages = subscriber.rest().await;
            let (mut synced, mut open) = (Vec::new(), ids.clone());
            for message in &messages {
                match message {
                    Message::Event(event) => assert!(open.contains(&event.session_id)),
                    Message::Synced(about) => {
                        open.retain(|id| *id != about.session_id);
                        synced.push(about.session_id.clone());
                    }
                    Message::Header(_) | Message::Heartbeat(_) | Message::LeftOut(_) => {
                        panic!("{message:?}")
                    }
                }
            }
            // One for each session, and then the one for the whole.
            assert_eq!((synced.len(), synced.pop(), open), (5, Some(String::new()), vec![]));
            let read: BTreeMap<_, Vec<u64>> = expected
                .into_iter()
                .map(|(id, start)| (id, (start..=latest).collect()))
                .filter(|(_, seqs): &(_, Vec<u64>)| !seqs.is_empty())
                .collect();
            assert_eq!(by_session(&events(messages)), read);
        }
    }
}

#[tokio::test]
async fn a_session_that_is_created_later_begins_at_its_first_event_with_a_header() {
    let server = server();
    let clients = server.connect().await;
    let old = finished(&server, &clients, "thread,turn,completed").await;
    let mut subscriber = Subscriber::open(&clients, WatchEventsRequest::default()).await;
    assert_eq!(subscriber.header().await.session.unwrap().session_id, old);
    assert_eq!(
        (subscriber.synced().await, subscriber.synced().await),
        (old.clone(), String::new())
    );

    let mut expected = BTreeMap::new();
    for _ in 0..3 {
        let id = create(&server, &clients, "thread,turn,print:20,completed").await;
        expected.insert(id, Vec::new());
    }
    for id in expected.keys().cloned().collect::<Vec<_>>() {
        expected.insert(id.clone(), seqs(&read_all(&clients, &id).await));
    }
    let (mut found, mut headers, mut at_rest) = (Vec::new(), Vec::new(), 0);
    while at_rest < 3 {
        match subscriber.next().await.unwrap() {
            Message::Header(header) => {
                assert_eq!((header.start_seq, header.oldest_seq), (1, 1));
                headers.push(header.session.unwrap().session_id);
            }
            Message::Event(event) => {
                assert!(headers.contains(&event.session_id), "an event before its header");
                at_rest += usize::from(is_rest(&event));
                found.push(event);
            }
            Message::Heartbeat(_) => {}
            other @ (Message::Synced(_) | Message::LeftOut(_)) => panic!("{other:?}"),
        }
    }
    assert_eq!((headers.len(), by_session(&found)), (3, expected));
}

/// Each of these sessions is there for a moment: its working directory goes away
/// when codex is asked for its version, which is after the directory was looked
/// at for the first time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_of_all_sessions_outlives_sessions_that_could_not_start() {
    let place = tempfile::tempdir().unwrap();
    let (gone, codex) = (place.path().join("gone"), place.path().join("codex"));
    let install = |round: usize| {
        let (gone, agent) = (gone.display(), fake_agent());
        let agent = agent.display();
        let script =
            format!("#!/bin/sh\n#{}\nrm -rf {gone}\nexec {agent} \"$@\"\n", "x".repeat(round));
        fs::create_dir_all(place.path().join("gone")).unwrap();
        fs::write(place.path().join("next"), script).unwrap();
        let executable = fs::Permissions::from_mode(0o755);
        fs::set_permissions(place.path().join("next"), executable).unwrap();
        fs::rename(place.path().join("next"), &codex).unwrap();
    };
    install(0);
    let server = Setup::new().codex(&codex).start();
    let clients = server.connect().await;
    let mut subscribers = Vec::new();
    for _ in 0..10 {
        let mut subscriber = Subscriber::open(&clients, WatchEventsRequest::default()).await;
        assert_eq!(subscriber.synced().await, "");
        subscribers.push(subscriber);
    }
    for round in 1..=10 {
        // Another program is asked again.
        install(round);
        let request = CreateSessionRequest {
            session: Some(Session {
                working_directory: gone.to_str().unwrap().to_owned(),
                ..Session::default()
            }),
            prompt: "x".to_owned(),
            ..CreateSessionRequest::default()
        };
        // Its directory goes away while it is made, so that its turn cannot start.
        let created = clients.sessions.clone().create_session(request).await.unwrap();
        rest(&clients, &created.into_inner().session.unwrap().session_id).await;
    }
    let id = create(&server, &clients, "thread,turn,completed").await;
    for mut subscriber in subscribers {
        let events = subscriber.until(|event| event.session_id == id && is_rest(event)).await;
        let of_it: Vec<_> = events.into_iter().filter(|event| event.session_id == id).collect();
        assert_eq!(seqs(&of_it), (1..=of_it.len() as u64).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn stop_at_end_waits_for_all_turns_that_run_and_for_no_other() {
    let server = server();
    let clients = server.connect().await;
    let gate = |name: &str| server.work().join(name);
    let waiting =
        |name: &str| format!("thread,turn,print:3,wait:{},completed", gate(name).display());
    let a = create(&server, &clients, &waiting("a")).await;
    let b = create(&server, &clients, &waiting("b")).await;
    let idle = finished(&server, &clients, "thread,turn,completed").await;
    let request = WatchEventsRequest {
        stop_at_end: true,
        default_start: DefaultStart::Beginning.into(),
        ..WatchEventsRequest::default()
    };
    let mut subscriber = Subscriber::open(&clients, request).await;
    let mut found = events(subscriber.until_synced().await);

    // Neither a new session nor a new turn of one at rest is waited for.
    let later = create(&server, &clients, &waiting("never")).await;
    let turn = StartTurnRequest {
        session_id: idle.clone(),
        prompt: format!("FAKE_AGENT={}", waiting("never")),
        ..Default::default()
    };
    clients.sessions.clone().start_turn(turn).await.unwrap();
    fs::write(gate("a"), "").unwrap();
    rest(&clients, &a).await;
    // Nor is a further turn of one whose turn was waited for.
    let turn = StartTurnRequest {
        session_id: a.clone(),
        prompt: format!("FAKE_AGENT={}", waiting("never")),
        ..Default::default()
    };
    clients.sessions.clone().start_turn(turn).await.unwrap();
    fs::write(gate("b"), "").unwrap();
    found.extend(events(subscriber.rest().await));

    let found = by_session(&found);
    assert!(!found.contains_key(&later));
    for id in [a, b, idle] {
        let mut replay = Subscriber::open(&clients, from(&id, 1)).await;
        let first_turn = replay.until(is_rest).await;
        assert_eq!(found[&id], seqs(&first_turn));
    }
}

#[tokio::test]
async fn a_watch_of_many_sessions_at_once_gives_each_its_own_events() {
    let server = server();
    let clients = server.connect().await;
    let mut ids = Vec::new();
    for _ in 0..6 {
        ids.push(create(&server, &clients, "thread,turn,print:500,completed").await);
    }
    let request = WatchEventsRequest {
        default_start: DefaultStart::Beginning.into(),
        ..WatchEventsRequest { session_ids: ids.clone(), ..to_end("", 0) }
    };
    let found = by_session(&events(Subscriber::open(&clients, request).await.rest().await));
    for id in &ids {
        assert_eq!(found[id], seqs(&read_all(&clients, id).await));
    }
}
