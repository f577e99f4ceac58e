//! What cannot be kept is said once a turn, and changes nothing else.

use std::{fs, os::unix::fs::symlink, path::Path};

use switchboard::proto::{CodexOptions, Event, SessionState, event::Kind};

use super::{pending, plant_trace, start, until};
use crate::{
    harness::{Clients, Server},
    ledger::{self, Watcher, events, rest, session_directory},
};

/// The turns and texts of the warnings.
fn warnings(events: &[Event]) -> Vec<(u32, &str)> {
    events
        .iter()
        .filter_map(|event| match &event.kind {
            Some(Kind::Warning(warning)) if warning.code == "PERSIST_FAILED" => {
                Some((event.turn, warning.message.as_str()))
            }
            _ => None,
        })
        .collect()
}

async fn turn(clients: &Clients, server: &Server, id: &str) -> Vec<Event> {
    start(clients, id, "thread,turn,message:done,completed").await;
    let session = rest(clients, id).await;
    assert_eq!(session.state(), SessionState::Completed);
    let events = events(clients, id).await;
    ledger::check(server, &session, &events);
    events
}

/// Puts something in the way that refuses what is written.
fn obstruct(directory: &Path, name: &str) {
    let path = directory.join(name);
    let _ = fs::remove_file(&path);
    fs::create_dir(path).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_cannot_be_written_are_one_warning_a_turn() {
    let server = ledger::setup().start();
    let clients = server.connect().await;
    let id = pending(&clients, &server, CodexOptions::default()).await.session_id;
    let directory = session_directory(&server, &id);
    until(&directory.join("session_meta.log"), |log| log.contains("loaded")).await;
    until(&directory.join("session.log"), |log| log.contains("is complete so far")).await;
    obstruct(&directory, "session_meta.log");
    obstruct(&directory, "session.log");
    fs::write(directory.join("trace"), "in the way").unwrap();
    for number in 1..=2 {
        let told = turn(&clients, &server, &id).await;
        let warnings = warnings(&told);
        let turns: Vec<_> = warnings.iter().map(|(turn, _)| *turn).collect();
        assert_eq!(turns, (1..=number).collect::<Vec<_>>(), "{warnings:?}");
        let (_, said) = warnings.last().unwrap();
        assert!(said.contains("trace: "), "{said}");
    }
    // Whatever is out of the way again is kept.
    for name in ["session_meta.log", "session.log"] {
        fs::remove_dir(directory.join(name)).unwrap();
    }
    fs::remove_file(directory.join("trace")).unwrap();
    start(&clients, &id, "turn,message:done,completed").await;
    rest(&clients, &id).await;
    let log = until(&directory.join("session_meta.log"), |log| log.contains("COMPLETED")).await;
    assert!(log.contains(r#""kind":"turn_started""#), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_is_full_for_the_logs_alone_leaves_the_turn_alone() {
    let server = ledger::setup().start();
    let clients = server.connect().await;
    let id = pending(&clients, &server, CodexOptions::default()).await.session_id;
    let directory = session_directory(&server, &id);
    until(&directory.join("session_meta.log"), |log| log.contains("loaded")).await;
    for name in ["session_meta.log", "session.log"] {
        let _ = fs::remove_file(directory.join(name));
        symlink("/dev/full", directory.join(name)).unwrap();
    }
    let told = turn(&clients, &server, &id).await;
    let warnings = warnings(&told);
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].1.contains("No space left on device"), "{warnings:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_after_the_turns_end_is_said_too_and_made_up_for() {
    let server = ledger::setup().start();
    let clients = server.connect().await;
    let id = pending(&clients, &server, CodexOptions::default()).await.session_id;
    let directory = session_directory(&server, &id);
    let raw = directory.join("session_oai_raw.log");
    symlink("/dev/full", &raw).unwrap();
    let gate = server.work().join("gate");
    start(&clients, &id, &format!("thread,turn,message:up,wait:{},completed", gate.display()))
        .await;
    let mut watcher = Watcher::start(&clients, &id);
    watcher.message("up").await;
    let trace = plant_trace(&directory.join("trace/turn_1"), "asked");
    fs::write(&gate, "").unwrap();
    let told = watcher.until("the warning", |events| !warnings(events).is_empty()).await;
    let said = warnings(&told)[0].1;
    assert!(said.contains("session_oai_raw.log: No space left on device"), "{said}");
    let session = rest(&clients, &id).await;
    assert_eq!(session.state(), SessionState::Completed);
    assert!(trace.exists(), "nothing is lost");

    fs::remove_file(&raw).unwrap();
    start(&clients, &id, "turn,message:done,completed").await;
    until(&raw, |log| log.lines().count() == 2).await;
    let session = rest(&clients, &id).await;
    let told = events(&clients, &id).await;
    ledger::check(&server, &session, &told);
    assert_eq!(warnings(&told).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_names_another_place_for_traces_keeps_it_and_is_told() {
    let server = ledger::setup().start();
    let clients = server.connect().await;
    let variable = ("CODEX_ROLLOUT_TRACE_ROOT".to_owned(), "/nowhere".to_owned());
    let options = CodexOptions { environment: [variable].into(), ..CodexOptions::default() };
    let id = pending(&clients, &server, options).await.session_id;
    start(&clients, &id, "thread,turn,env:CODEX_ROLLOUT_TRACE_ROOT,completed").await;
    let session = rest(&clients, &id).await;
    let told = events(&clients, &id).await;
    ledger::check(&server, &session, &told);
    assert_eq!(told.iter().find_map(ledger::message), Some("\"/nowhere\""));
    assert_eq!(warnings(&told).len(), 1);
}
