//! What cannot be kept is said once a turn, and changes nothing else.

use std::{fs, os::unix::fs::symlink, path::Path};

use rustix::fs::{CWD, FileType, Mode, mknodat};
use switchboard::proto::{CodexOptions, Event, KillSessionRequest, SessionState, event::Kind};

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
async fn logs_that_lead_elsewhere_are_not_followed_and_leave_the_turn_alone() {
    let server = ledger::setup().start();
    let clients = server.connect().await;
    let id = pending(&clients, &server, CodexOptions::default()).await.session_id;
    let directory = session_directory(&server, &id);
    until(&directory.join("session_meta.log"), |log| log.contains("loaded")).await;
    let victim = server.work().join("victim");
    fs::write(&victim, "precious").unwrap();
    for name in ["session_meta.log", "session.log", ".meta.json.new"] {
        let _ = fs::remove_file(directory.join(name));
        symlink(&victim, directory.join(name)).unwrap();
    }
    let told = turn(&clients, &server, &id).await;
    let warnings = warnings(&told);
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].1.contains("it is a link"), "{warnings:?}");
    assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
    assert!(fs::symlink_metadata(directory.join("meta.json")).unwrap().is_file());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_puts_pipes_in_the_place_of_the_files_is_stopped_all_the_same() {
    let mut server = ledger::setup().start();
    let clients = server.connect().await;
    let id = pending(&clients, &server, CodexOptions::default()).await.session_id;
    let directory = session_directory(&server, &id);
    until(&directory.join("session_meta.log"), |log| log.contains("loaded")).await;
    let plant = |names: &[&str]| {
        for name in names {
            let path = directory.join(name);
            let _ = fs::remove_file(&path);
            mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        }
    };
    start(&clients, &id, "thread,turn,message:up,sleep").await;
    Watcher::start(&clients, &id).message("up").await;
    let logs = ["session_meta.log", "session.log", "session_oai_raw.log", ".meta.json.new"];
    plant(&logs);
    plant(&["turns/turn_1.stop.json", "turns/turn_1.stop.json.new"]);
    kill(&clients, &id).await;
    assert_eq!(rest(&clients, &id).await.state(), SessionState::Killed);

    // A server that comes upon them waits for none either.
    start(&clients, &id, "turn,message:up,sleep").await;
    Watcher::start(&clients, &id).message("up").await;
    server.kill();
    plant(&["turns/turn_2.jsonl", "turns/turn_2.stderr", "turns/turn_2.prompt"]);
    fs::create_dir(directory.join("turns/turn_2.stop.json")).unwrap();
    server.start();
    let clients = server.connect().await;
    kill(&clients, &id).await;
    assert_eq!(rest(&clients, &id).await.state(), SessionState::Killed);
}

async fn kill(clients: &Clients, id: &str) {
    let request = KillSessionRequest { session_id: id.to_owned(), ..Default::default() };
    clients.sessions.clone().kill_session(request).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_after_the_turns_end_is_said_too_and_made_up_for() {
    let server = ledger::setup().start();
    let clients = server.connect().await;
    let id = pending(&clients, &server, CodexOptions::default()).await.session_id;
    let directory = session_directory(&server, &id);
    let raw = directory.join("session_oai_raw.log");
    mknodat(CWD, &raw, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let gate = server.work().join("gate");
    start(&clients, &id, &format!("thread,turn,message:up,wait:{},completed", gate.display()))
        .await;
    let mut watcher = Watcher::start(&clients, &id);
    watcher.message("up").await;
    let trace = plant_trace(&directory.join("trace/turn_1"), "asked");
    fs::write(&gate, "").unwrap();
    let told = watcher.until("the warning", |events| !warnings(events).is_empty()).await;
    let said = warnings(&told)[0].1;
    assert!(said.contains("session_oai_raw.log: it is no plain file"), "{said}");
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
