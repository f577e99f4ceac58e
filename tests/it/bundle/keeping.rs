//! What is in the directory of a session that is persisted.

use std::fs;

use serde_json::{Value, json};
use switchboard::proto::{
    ApplyControlsRequest, ApprovalPolicy, CodexOptions, Event, FilesystemSandbox,
    InterruptTurnRequest, KillSessionRequest, NetworkAccess, event::Kind,
};

use super::{json_lines, mode, names, pending, plant_trace, start, until};
use crate::{
    json_rpc::Rpc,
    ledger::{self, Watcher, events, message, rest, session_directory, there},
};

/// The lines without their times, and without what is of this server alone.
fn notes(log: &str) -> Vec<Value> {
    let mut lines = json_lines(log);
    for line in &mut lines {
        let line = line.as_object_mut().unwrap();
        assert!(line.remove("time").is_some_and(|time| time.is_string()), "{line:?}");
    }
    // The agent of these tests writes none.
    lines.retain(|line| line["kind"] != "loaded" && line["kind"] != "no_trace");
    lines
}

#[tokio::test(flavor = "multi_thread")]
async fn the_files_of_a_turn_are_its_owners_alone() {
    let server = ledger::setup().start();
    let clients = server.connect().await;
    let id = pending(&clients, &server, CodexOptions::default()).await.session_id;
    let directory = session_directory(&server, &id);
    let gate = server.work().join("gate");
    let script =
        format!("thread,turn,env:CODEX_ROLLOUT_TRACE_ROOT,wait:{},completed", gate.display());
    start(&clients, &id, &script).await;
    let trace = directory.join("trace/turn_1");
    let mut watcher = Watcher::start(&clients, &id);
    watcher.message(&json!(trace).to_string()).await;
    assert_eq!([mode(&trace), mode(&directory.join("trace"))], [0o700; 2]);
    plant_trace(&trace, "what was asked");
    fs::write(&gate, "").unwrap();
    let session = rest(&clients, &id).await;
    ledger::check(&server, &session, &events(&clients, &id).await);

    let raw = until(&directory.join("session_oai_raw.log"), |log| log.lines().count() == 2).await;
    let raw = json_lines(&raw);
    let heads: Vec<_> = raw
        .iter()
        .map(|line| [&line["turn"], &line["request"], &line["direction"], &line["source"]])
        .collect();
    let source = json!("rollout_trace");
    assert_eq!(
        heads,
        [
            [&json!(1), &json!(1), &json!("request"), &source],
            [&json!(1), &json!(1), &json!("response"), &source]
        ]
    );
    assert_eq!(raw[0]["body"], json!({"input": "what was asked"}));
    // Once when it was made, and once after the turn.
    let is_complete = |log: &str| log.matches("is complete so far").count() > 1;
    let log = until(&directory.join("session.log"), is_complete).await;
    for said in ["starting the agent", "turn ended"] {
        assert!(log.lines().any(|line| line.contains(said) && line.contains(&id)), "{log}");
    }
    assert_eq!(
        names(&directory),
        ["events", "meta.json", "session.log", "session_meta.log", "session_oai_raw.log", "turns"]
    );
    for name in ["session.log", "session_meta.log", "session_oai_raw.log"] {
        assert_eq!(mode(&directory.join(name)), 0o600, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_asked_of_a_session_is_written_down_with_who_asked() {
    let server = ledger::setup().config("[turns]\nmax_running = 1\n").start();
    let clients = server.connect().await;
    let id = pending(&clients, &server, CodexOptions::default()).await.session_id;
    let path = session_directory(&server, &id).join("session_meta.log");
    start(&clients, &id, "thread,turn,message:up,sleep").await;
    Watcher::start(&clients, &id).message("up").await;
    let request = InterruptTurnRequest { session_id: id.clone(), ..Default::default() };
    clients.sessions.clone().interrupt_turn(request).await.unwrap();
    rest(&clients, &id).await;

    let apply = ApplyControlsRequest {
        scope: switchboard::proto::Scope::Session.into(),
        session_id: id.clone(),
        controls: Some(switchboard::proto::Controls {
            model: "gpt-5.4".to_owned(),
            approval_policy: ApprovalPolicy::Never.into(),
            network_access: NetworkAccess::Restricted.into(),
            filesystem_sandbox: FilesystemSandbox::ReadOnly.into(),
        }),
        actor: "ada".to_owned(),
        ..Default::default()
    };
    clients.controls.clone().apply_controls(apply).await.unwrap();
    until(&path, |log| log.contains("controls_changed")).await;

    // Another session has the only place, so that the next turn waits.
    let other = pending(&clients, &server, CodexOptions::default()).await.session_id;
    start(&clients, &other, "thread,turn,message:up,sleep").await;
    start(&clients, &id, "turn,completed").await;
    let rpc = Rpc::new(&server);
    rpc.call("session/kill", &json!({"sessionId": id})).unwrap();
    rest(&clients, &id).await;
    let request = KillSessionRequest { session_id: other.clone(), ..Default::default() };
    clients.sessions.clone().kill_session(request).await.unwrap();
    rest(&clients, &other).await;

    let log = until(&path, |log| log.contains("KILLED")).await;
    let mut notes = notes(&log);
    assert_eq!(mode(&path), 0o600);
    let changed = notes.iter().position(|note| note["kind"] == "controls_changed").unwrap();
    let changed = notes.remove(changed);
    assert_eq!(
        [&changed["actor"], &changed["transport"], &changed["controls"]["model"]],
        [&json!("ada"), &json!("grpc"), &json!("gpt-5.4")],
        "{changed}"
    );
    let version = notes[0]["codex_version"].clone();
    let expected = [
        json!({"kind": "turn_started", "turn": 1, "codex_version": version}),
        json!({"kind": "interrupt", "turn": 1, "asked": "interrupt", "transport": "grpc"}),
        json!({"kind": "turn_stopping", "turn": 1, "state": "STOPPING"}),
        json!({"kind": "agent_exited", "turn": 1, "exit_code": 1}),
        json!({"kind": "turn_ended", "turn": 1, "state": "INTERRUPTED"}),
        json!({"kind": "turn_queued", "turn": 2, "state": "QUEUED"}),
        json!({"kind": "queued_turn_cancelled", "turn": 2, "asked": "kill", "transport": "json-rpc"}),
        json!({"kind": "turn_ended", "turn": 2, "state": "KILLED"}),
    ];
    assert_eq!(notes, expected);
    let other = session_directory(&server, &other).join("session_meta.log");
    until(&other, |log| log.contains(r#""kind":"kill""#)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rollout_is_linked_while_the_turn_runs_or_copied_and_copied_again() {
    const THREAD: &str = "01a1fbeb-e716-7023-89e2-0851ae85c769";
    let codex_home = tempfile::tempdir().unwrap();
    let server = ledger::setup().env("CODEX_HOME", codex_home.path()).start();
    let clients = server.connect().await;
    let id = pending(&clients, &server, CodexOptions::default()).await.session_id;
    let name = session_directory(&server, &id).join(format!("rollout-{THREAD}.jsonl"));
    let gate = server.work().join("gate");
    let script = format!("thread:{THREAD},turn,message:up,wait:{},completed", gate.display());
    start(&clients, &id, &script).await;
    Watcher::start(&clients, &id).message("up").await;
    assert!(fs::symlink_metadata(&name).is_err(), "there is none yet");
    let day = codex_home.path().join("sessions/2026/11/27");
    fs::create_dir_all(&day).unwrap();
    let rollout = day.join(format!("rollout-2026-11-27T09-00-00-{THREAD}.jsonl"));
    fs::write(&rollout, "one\n").unwrap();
    until(&name, |text| text == "one\n").await;
    assert_eq!(fs::read_link(&name).unwrap(), rollout);
    fs::write(&gate, "").unwrap();
    rest(&clients, &id).await;

    // Once when it was made, and once after the turn.
    let is_complete = |log: &str| log.matches("is complete so far").count() > 1;
    until(&session_directory(&server, &id).join("session.log"), is_complete).await;

    // Where a copy is, because nothing could be linked, it is made anew.
    fs::remove_file(&name).unwrap();
    fs::write(&name, "").unwrap();
    fs::write(&rollout, "one\ntwo\n").unwrap();
    start(&clients, &id, "turn,message:more,completed").await;
    rest(&clients, &id).await;
    until(&name, |text| text == "one\ntwo\n").await;
    assert!(fs::read_link(&name).is_err(), "it is no link");
    assert_eq!(mode(&name), 0o600);

    // What is in the way is said, and stays.
    fs::remove_file(&name).unwrap();
    fs::create_dir(&name).unwrap();
    start(&clients, &id, "turn,message:more,completed").await;
    let said = |events: &[Event]| {
        events.iter().any(|event| {
            matches!(&event.kind, Some(Kind::Warning(warning)) if warning.code == "PERSIST_FAILED"
                && warning.message.contains("rollout-"))
        })
    };
    Watcher::start(&clients, &id).until("the warning", said).await;
    let session = rest(&clients, &id).await;
    ledger::check(&server, &session, &events(&clients, &id).await);
    assert!(name.is_dir());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_server_that_was_killed_left_undone_is_done_once_at_the_next_load() {
    let mut server = ledger::setup().start();
    let clients = server.connect().await;
    let id = pending(&clients, &server, CodexOptions::default()).await.session_id;
    let directory = session_directory(&server, &id);
    start(&clients, &id, "thread,turn,message:one,completed").await;
    rest(&clients, &id).await;
    until(&directory.join("session.log"), |log| log.contains("is complete so far")).await;
    server.kill();

    // As if it had been killed in the middle of the lines of the second of two turns.
    let raw = directory.join("session_oai_raw.log");
    let traces = directory.join("trace");
    plant_trace(&traces.join("turn_1"), "first");
    server.start();
    let clients = server.connect().await;
    start(&clients, &id, "turn,message:two,completed").await;
    let first = until(&raw, |log| log.lines().count() == 2).await;
    rest(&clients, &id).await;
    server.kill();
    plant_trace(&traces.join("turn_2"), "second");
    fs::write(&raw, format!("{first}{{\"time\":\"2026")).unwrap();

    for _ in 0..2 {
        server.start();
        let clients = server.connect().await;
        start(&clients, &id, "turn,message:more,completed").await;
        let log = until(&raw, |log| log.lines().count() == 4 && log.ends_with('\n')).await;
        let turns: Vec<_> = json_lines(&log).iter().map(|line| line["turn"].clone()).collect();
        assert_eq!(turns, [1, 1, 2, 2]);
        let session = rest(&clients, &id).await;
        ledger::check(&server, &session, &events(&clients, &id).await);
        server.kill();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turn_that_outlives_its_server_keeps_its_trace_until_its_end() {
    let mut server = ledger::setup().start();
    let clients = server.connect().await;
    let id = pending(&clients, &server, CodexOptions::default()).await.session_id;
    let directory = session_directory(&server, &id);
    let gate = server.work().join("gate");
    start(&clients, &id, &format!("thread,turn,message:up,wait:{},completed", gate.display()))
        .await;
    Watcher::start(&clients, &id).message("up").await;
    let trace = plant_trace(&directory.join("trace/turn_1"), "asked");
    server.kill_and_start();
    let clients = server.connect().await;
    until(&directory.join("session.log"), |log| log.matches("is complete so far").count() > 1)
        .await;
    assert!(trace.exists() && !directory.join("session_oai_raw.log").exists());
    fs::write(&gate, "").unwrap();
    let session = rest(&clients, &id).await;
    there(&directory.join("session_oai_raw.log")).await;
    until(&directory.join("session_oai_raw.log"), |log| log.lines().count() == 2).await;
    let told = events(&clients, &id).await;
    ledger::check(&server, &session, &told);
    assert!(told.iter().any(|event| message(event) == Some("up")));
}
