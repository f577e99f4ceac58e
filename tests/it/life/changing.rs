//! Titles, labels and the archive.

use std::collections::BTreeMap;

use switchboard::proto::{Event, Session, event::Kind};

use super::{rename, update};
use crate::ledger::{self, check, create, events, get, reason, rest};

#[tokio::test(flavor = "multi_thread")]
async fn what_a_client_changes_is_durable_and_said_in_the_sessions_events() {
    let mut server = ledger::setup().start();
    let clients = server.connect_to_socket().await;
    let id = create(&clients, &server.work(), "thread,turn,completed").await.unwrap().session_id;
    let before = rest(&clients, &id).await;

    let labels = BTreeMap::from([("team".to_owned(), "größe".to_owned())]);
    let new = Session {
        title: "A title".to_owned(),
        labels: labels.clone(),
        archived: true,
        ..Session::default()
    };
    let changed = update(&clients, &id, new, &["title", "labels", "archived"], &before.etag).await;
    let changed = changed.unwrap();

    let expected = Session {
        title: "A title".to_owned(),
        labels,
        archived: true,
        etag: changed.etag.clone(),
        update_time: changed.update_time,
        ..before.clone()
    };
    assert_eq!(changed, expected);
    assert_ne!(changed.etag, before.etag);
    assert_eq!(get(&clients, &id).await, changed);
    let events = events(&clients, &id).await;
    let said = events.iter().filter_map(|event| match &event.kind {
        Some(Kind::SessionUpdated(updated)) => Some((event.turn, updated.clone())),
        _ => None,
    });
    let said: Vec<_> = said.collect();
    assert_eq!(said.len(), 1);
    assert_eq!(
        (said[0].0, &said[0].1.fields[..]),
        (0, &["title", "labels", "archived"].map(str::to_owned)[..])
    );
    assert_eq!(said[0].1.session.as_deref().unwrap(), &changed);

    server.kill_and_start();

    assert_eq!(get(&clients, &id).await, changed);
    assert_eq!(ledger::events(&clients, &id).await, events, "it is said once");
    assert_eq!(ledger::list(&clients).await, [], "archived sessions are not listed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_can_be_changed_while_its_turn_runs() {
    let server = ledger::setup().start();
    let clients = server.connect().await;
    let go = server.work().join("go");
    let script = format!("thread,turn,wait:{},completed", go.display());
    let id = create(&clients, &server.work(), &script).await.unwrap().session_id;

    let renamed = rename(&clients, &id, "while it runs").await.unwrap();
    std::fs::write(&go, "").unwrap();

    assert_eq!(renamed.title, "while it runs");
    let session = rest(&clients, &id).await;
    assert_eq!((session.title.as_str(), &session.etag), ("while it runs", &renamed.etag));
    // The event of no turn stands among those of the turn.
    let events = events(&clients, &id).await;
    let of_turn: Vec<_> =
        events.into_iter().filter(|event| event.seq == 1 || event.turn == 1).collect();
    assert!(of_turn.len() > 5, "{of_turn:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_etag_keeps_two_writers_from_undoing_each_other() {
    let server = ledger::setup().start();
    let clients = server.connect().await;
    let id = create(&clients, &server.work(), "thread,turn,completed").await.unwrap().session_id;
    let seen = rest(&clients, &id).await;

    rename(&clients, &id, "the first").await.unwrap();
    let title = Session { title: "the second".to_owned(), ..Session::default() };
    let refused = update(&clients, &id, title, &["title"], &seen.etag).await.unwrap_err();

    assert_eq!(reason(&refused), "ETAG_MISMATCH");
    assert_eq!(get(&clients, &id).await.title, "the first");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_changes_nothing_is_not_said() {
    let server = ledger::setup().start();
    let clients = server.connect().await;
    let id = create(&clients, &server.work(), "thread,turn,completed").await.unwrap().session_id;
    let session = rest(&clients, &id).await;

    let same = update(&clients, &id, session.clone(), &["title", "labels", "archived"], "").await;

    assert_eq!(same.unwrap(), session);
    check(&server, &session, &events(&clients, &id).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_changed_is_refused_with_the_field() {
    let server = ledger::setup().start();
    let clients = server.connect().await;
    let id = create(&clients, &server.work(), "thread,turn,completed").await.unwrap().session_id;
    let session = rest(&clients, &id).await;
    let long = Session { title: "x".repeat(201), ..Session::default() };
    let empty_key =
        Session { labels: BTreeMap::from([(String::new(), String::new())]), ..Session::default() };
    for (new, fields, at) in [
        (Session::default(), &["model"][..], "update_mask"),
        (Session::default(), &["title", "state"], "update_mask"),
        (Session::default(), &[], "update_mask"),
        (long, &["title"], "session.title"),
        (empty_key, &["labels"], "session.labels"),
    ] {
        let refused = update(&clients, &id, new, fields, "").await.unwrap_err();
        assert_eq!(reason(&refused), "INVALID_ARGUMENT");
        assert!(refused.message().starts_with(at), "{refused:?}");
    }
    assert_eq!(get(&clients, &id).await, session);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thread_that_is_lost_is_begun_anew_by_a_process_that_is_known() {
    let server = ledger::setup().start();
    let clients = server.connect().await;
    let id = create(&clients, &server.work(), "thread,turn,completed").await.unwrap().session_id;
    rest(&clients, &id).await;

    let script = "refuse-resume:no rollout found for thread id,thread,turn,message:ready,sleep";
    ledger::start_turn(&clients, &id, script).await.unwrap();
    let mut watcher = ledger::Watcher::start(&clients, &id);
    watcher.message("ready").await;
    let warned = |event: &Event| match &event.kind {
        Some(Kind::Warning(warning)) => warning.code == "THREAD_RESTARTED",
        _ => false,
    };
    let events = watcher.until("the warning", |events| events.iter().any(warned)).await;

    assert_eq!(events.iter().filter(|event| warned(event)).count(), 1);
    let session = get(&clients, &id).await;
    let known = session.last_turn.unwrap().pid;
    assert_eq!(Some(known), ledger::agent_of(&server, &id, 2), "not the one that was refused");
    assert!(std::path::Path::new(&format!("/proc/{known}")).exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_failed_before_it_had_a_thread_begins_one_and_says_so() {
    let server = ledger::setup().start();
    let clients = server.connect().await;
    let id = create(&clients, &server.work(), "exit:1").await.unwrap().session_id;
    rest(&clients, &id).await;
    ledger::start_turn(&clients, &id, "thread,turn,completed").await.unwrap();
    let session = rest(&clients, &id).await;
    let events = events(&clients, &id).await;
    check(&server, &session, &events);
    let warned = events.iter().filter_map(|event| match &event.kind {
        Some(Kind::Warning(warning)) => Some((event.turn, warning.code.as_str())),
        _ => None,
    });
    assert_eq!(warned.collect::<Vec<_>>(), [(2, "THREAD_RESTARTED")]);
}
