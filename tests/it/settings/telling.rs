//! What the subscribers of a session hear of its settings and controls: each
//! change once and in its order, whatever happens to the server and to the log.

use std::{fs, path::PathBuf};

use switchboard::proto::{
    DeleteSessionRequest, Event, EventKind, ListEventsRequest, UpdateMode, UpdateSettingsRequest,
    event::Kind,
};

use super::shared::{
    application, apply, changed, check_audit, get, many, one, pending, refused, set, to_default,
    told, update,
};
use crate::{
    harness::{Clients, Server},
    ledger::{self, Watcher, create, events, events_after, message, rest, session_directory},
};

#[tokio::test(flavor = "multi_thread")]
async fn every_change_is_one_event_for_whoever_watches_before_during_or_after_a_restart() {
    let mut server = ledger::setup().start();
    let clients = server.connect_to_socket().await;
    let go = server.work().join("go");
    let script = format!("thread,turn,message:ready,wait:{},print:200,completed", go.display());
    let id = create(&clients, &server.work(), &script).await.unwrap().session_id;
    let mut before = Watcher::start(&clients, &id);
    before.message("ready").await;
    set(&clients, &id, "a", "1").await.unwrap();
    apply(&clients, application(&id, "m")).await.unwrap();
    server.kill();
    let mut during = Watcher::start(&clients, &id);
    server.start();
    update(&clients, to_default(one(&id, "d", "1"))).await.unwrap();
    fs::write(&go, "").unwrap();
    for number in 0..50 {
        set(&clients, &id, "n", &number.to_string()).await.unwrap();
    }
    // Another session's stream has none of this, and neither has that of a write
    // of the default that names no session.
    let other = pending(&clients, &server).await;
    update(&clients, to_default(one("", "d", "2"))).await.unwrap();
    let session = rest(&clients, &id).await;
    let mut after = Watcher::start(&clients, &id);

    let enough = |events: &[Event]| {
        told(events).len() >= 53 && events.iter().any(|event| ledger::end(event).is_some())
    };
    let seen = before.until("all changes", enough).await;
    let count = seen.len();
    for watcher in [&mut during, &mut after] {
        let also = watcher.until("all events", |events| events.len() >= count).await;
        assert_eq!(also, seen);
    }
    assert_eq!(seen, events(&clients, &id).await);
    ledger::check(&server, &session, &seen);
    assert_eq!(told(&seen), (1..=53).collect::<Vec<_>>());
    assert_eq!(told(&events(&clients, &other).await), Vec::<u64>::new());
    let entries = check_audit(&clients).await;
    assert_eq!(entries.len(), 54);
    for (event, entry) in seen.iter().filter(|event| changed(event).is_some()).zip(&entries) {
        assert_eq!((changed(event), event.time), (Some(entry), entry.time));
    }
    let kinds = |kind: EventKind| ListEventsRequest {
        session_id: id.clone(),
        kinds: vec![kind.into()],
        ..Default::default()
    };
    for (kind, count) in [(EventKind::ControlsChanged, 1), (EventKind::SettingsChanged, 52)] {
        let page = clients.events.clone().list_events(kinds(kind)).await.unwrap().into_inner();
        assert_eq!(page.events.len(), count, "{kind:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_is_answered_is_before_what_the_agent_prints_later() {
    let server = ledger::setup().start();
    let clients = server.connect_to_socket().await;
    let script: String = (0..10)
        .map(|n| format!("wait:{},message:m{n},", server.work().join(n.to_string()).display()))
        .collect();
    let script = format!("thread,turn,{script}completed");
    let id = create(&clients, &server.work(), &script).await.unwrap().session_id;
    let mut watcher = Watcher::start(&clients, &id);
    for number in 0..10 {
        set(&clients, &id, "n", &number.to_string()).await.unwrap();
        let place = number + 1;
        watcher.until("the change", |events| told(events).len() == place).await;
        fs::write(server.work().join(number.to_string()), "").unwrap();
        watcher.message(&format!("m{number}")).await;
    }
    rest(&clients, &id).await;
    let order: Vec<bool> = events(&clients, &id)
        .await
        .iter()
        .filter(|event| changed(event).is_some() || message(event).is_some())
        .map(|event| changed(event).is_some())
        .collect();
    assert_eq!(order, [true, false].repeat(10));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_event_of_a_huge_change_leaves_its_values_out_and_says_so() {
    let server = ledger::setup().start();
    let clients = server.connect_to_socket().await;
    let id = pending(&clients, &server).await;
    let mut watcher = Watcher::start(&clients, &id);
    let values = format!(r#"{{"big":"{}","small":1}}"#, "x".repeat(900_000));
    update(&clients, many(&id, &values, UpdateMode::Merge)).await.unwrap();
    let keys = (0..80_000).map(|number| format!("\"k{number}\":1")).collect::<Vec<_>>();
    let keys = format!("{{{}}}", keys.join(","));
    update(&clients, many(&id, &keys, UpdateMode::Replace)).await.unwrap();
    set(&clients, &id, "k0", "2").await.unwrap();

    let seen = watcher.until("the changes", |events| told(events).len() == 3).await;

    let seen: Vec<_> = seen
        .iter()
        .filter_map(|event| match &event.kind {
            Some(Kind::SettingsChanged(changed)) => {
                let entry = changed.entry.as_ref().unwrap();
                let valued =
                    entry.settings.iter().filter(|change| change.value_json.is_some()).count();
                Some((changed.truncated, entry.settings.len() < 10_000, valued))
            }
            _ => None,
        })
        .collect();
    assert_eq!(seen, [(true, true, 0), (true, true, 0), (false, true, 1)]);
    let entries = check_audit(&clients).await;
    assert_eq!(entries[0].settings.len(), 2);
    assert_eq!(entries[1].settings.len(), 80_002);
}

/// Puts a file in the place of a log; returns where the log is now.
fn put_away(server: &Server, id: &str) -> PathBuf {
    let log = session_directory(server, id).join("events");
    let away = server.work().join(id);
    fs::rename(&log, &away).unwrap();
    fs::write(&log, "").unwrap();
    away
}

async fn is_read_only(clients: &Clients, id: &str) {
    let answer = events_after(clients, id, 0).await;
    assert_eq!(refused(answer), "SESSION_READ_ONLY");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_whose_log_cannot_be_opened_takes_writes_and_tells_them_when_it_can() {
    let mut server = ledger::setup().start();
    let clients = server.connect_to_socket().await;
    let id = create(&clients, &server.work(), "thread,turn,completed").await.unwrap().session_id;
    rest(&clients, &id).await;
    let gone = pending(&clients, &server).await;
    set(&clients, &id, "a", "1").await.unwrap();
    Watcher::start(&clients, &id).until("the change", |events| told(events) == [1]).await;
    server.kill();
    let away = put_away(&server, &id);
    put_away(&server, &gone);
    server.start();

    is_read_only(&clients, &id).await;
    set(&clients, &id, "a", "2").await.unwrap();
    apply(&clients, application(&id, "m")).await.unwrap();
    set(&clients, &gone, "a", "1").await.unwrap();
    is_read_only(&clients, &id).await;
    assert_eq!(get(&clients, &id).await, r#"{"a":2}"#);
    assert_eq!(ledger::get(&clients, &id).await.model, "m");
    // They are kept, and hold up no start.
    for _ in 0..2 {
        server.kill_and_start();
        is_read_only(&clients, &id).await;
        assert_eq!(ledger::get(&clients, &id).await.model, "m");
    }
    let request = DeleteSessionRequest { session_id: gone.clone(), ..Default::default() };
    clients.sessions.clone().delete_session(request).await.unwrap();

    server.kill();
    let log = session_directory(&server, &id).join("events");
    fs::remove_file(&log).unwrap();
    fs::rename(&away, &log).unwrap();
    server.start();
    let seen = Watcher::start(&clients, &id).until("all", |events| told(events).len() == 3).await;
    assert_eq!(told(&seen), [1, 2, 3]);
    ledger::check(&server, &rest(&clients, &id).await, &seen);
    server.kill_and_start();
    assert_eq!(events(&clients, &id).await, seen, "each is told once");
    assert_eq!(check_audit(&clients).await.len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_can_be_opened_again_gets_what_was_written_meanwhile_without_a_restart() {
    let mut server = ledger::setup().start();
    let clients = server.connect_to_socket().await;
    let id = pending(&clients, &server).await;
    server.kill();
    let away = put_away(&server, &id);
    server.start();
    is_read_only(&clients, &id).await;
    for number in 0..3 {
        set(&clients, &id, "n", &number.to_string()).await.unwrap();
    }
    let log = session_directory(&server, &id).join("events");
    fs::remove_file(&log).unwrap();
    fs::rename(&away, &log).unwrap();
    // Whoever asks has it tried, for the one who asks next.
    let begin = std::time::Instant::now();
    while events_after(&clients, &id, 0).await.is_err() {
        assert!(begin.elapsed() < ledger::GIVE_UP);
    }
    let seen = Watcher::start(&clients, &id).until("all", |events| told(events).len() == 3).await;
    assert_eq!(told(&seen), [1, 2, 3]);
    set(&clients, &id, "n", "3").await.unwrap();
    let request = UpdateSettingsRequest { etag: "x".to_owned(), ..one(&id, "n", "4") };
    assert_eq!(refused(update(&clients, request).await), "ETAG_MISMATCH");
    let mut watcher = Watcher::start(&clients, &id);
    let seen = watcher.until("the last", |events| told(events).len() == 4).await;
    assert_eq!(told(&seen), [1, 2, 3, 4]);
}
