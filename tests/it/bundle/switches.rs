//! How a session comes to be persisted, and that nothing changes where it is not.

use std::fs;

use serde_json::{Value, json};
use switchboard::{
    proto::{CodexOptions, ForkSessionRequest, Session},
    supervise::read_spec,
};

use super::{mode, names, pending, start, until};
use crate::{
    cli::{code, done, switchboard, text},
    json_rpc::Rpc,
    ledger::{self, create, events, get, message, rest, session_directory, turn_files},
};

const TURN: &str = "thread,turn,message:done,completed";

#[tokio::test(flavor = "multi_thread")]
async fn each_transport_asks_for_it_and_shows_it() {
    let server = ledger::setup().start();
    let clients = server.connect().await;
    let by_grpc = pending(&clients, &server, CodexOptions::default()).await;
    let rpc = Rpc::new(&server);
    let params = json!({"session": {"workingDirectory": server.work(), "persistSession": true}});
    let by_rpc = rpc.call("session/create", &params).unwrap()["session"].clone();
    let ran = switchboard(&server.home())
        .args(["run", "--json", "--detach", "--persist-session", "-C"])
        .arg(server.work())
        .arg(format!("FAKE_AGENT={TURN}"))
        .output()
        .unwrap();
    assert_eq!(code(&ran), 0, "{ran:?}");
    let by_cli: Value = serde_json::from_slice(&ran.stdout).unwrap();
    let plain = create(&clients, &server.work(), TURN).await.unwrap();

    let ids = [by_rpc, by_cli].map(|session| session["sessionId"].as_str().unwrap().to_owned());
    for id in ids.iter().chain([&by_grpc.session_id]) {
        assert!(get(&clients, id).await.persist_session, "{id}");
        let shown = rpc.call("session/get", &json!({"sessionId": id})).unwrap();
        assert_eq!(shown["session"]["persistSession"], true);
        let shown = text(&done(&server.home(), ["sessions", "show", id]).stdout);
        assert!(shown.contains("persisted  yes\n"), "{shown}");
        until(&session_directory(&server, id).join("session_meta.log"), |log| !log.is_empty())
            .await;
    }
    assert!(!plain.persist_session);
    let shown = done(&server.home(), ["sessions", "show", &plain.session_id]);
    assert!(!text(&shown.stdout).contains("persisted"));

    // A fork of one that is persisted is, and one of another where it is asked.
    rest(&clients, &ids[1]).await;
    rest(&clients, &plain.session_id).await;
    let fork = |of: &str, persist_session| ForkSessionRequest {
        session_id: of.to_owned(),
        session: Some(Session { persist_session, ..Session::default() }),
        ..ForkSessionRequest::default()
    };
    for (of, asked, expected) in
        [(&ids[1], false, true), (&plain.session_id, true, true), (&plain.session_id, false, false)]
    {
        let answer = clients.sessions.clone().fork_session(fork(of, asked)).await.unwrap();
        assert_eq!(answer.into_inner().session.unwrap().persist_session, expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_is_not_persisted_has_the_files_and_the_environment_that_it_had() {
    let server = ledger::setup().start();
    let clients = server.connect().await;
    let script = "thread,turn,env:CODEX_ROLLOUT_TRACE_ROOT,completed";
    let id = create(&clients, &server.work(), script).await.unwrap().session_id;
    let session = rest(&clients, &id).await;
    let told = events(&clients, &id).await;
    ledger::check(&server, &session, &told);
    assert_eq!(told.iter().find_map(message), Some("null"));
    assert_eq!(names(&session_directory(&server, &id)), ["events", "meta.json", "turns"]);
    let spec = read_spec(&turn_files(&server, &id, 1)).unwrap().unwrap();
    assert!(spec.env.iter().all(|(name, _)| name != "CODEX_ROLLOUT_TRACE_ROOT"), "{spec:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_may_persist_all_new_sessions_into_one_log() {
    let logs = tempfile::tempdir().unwrap();
    let log = logs.path().join("all.log");
    let server = ledger::setup().arg("--persist-session").arg("--debug-log").arg(&log).start();
    let clients = server.connect().await;
    let mut ids = Vec::new();
    for _ in 0..2 {
        let session = create(&clients, &server.work(), TURN).await.unwrap();
        assert!(session.persist_session);
        rest(&clients, &session.session_id).await;
        ids.push(session.session_id);
    }
    for id in &ids {
        let ended = |log: &str| {
            log.lines().any(|line| line.contains("turn ended") && line.contains(id.as_str()))
        };
        until(&log, ended).await;
        assert!(!session_directory(&server, id).join("session.log").exists());
    }
    assert_eq!(mode(&log), 0o600);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_configuration_has_both_keys_and_says_what_they_may_be() {
    let home = tempfile::tempdir().unwrap();
    let config = home.path().join("config.toml");
    fs::write(&config, "persist_session = true\ndebug_log = 'switchboard.log'\n").unwrap();
    let path = config.to_str().unwrap();
    let shown = done(home.path(), ["--json", "config", "show", "--config", path]);
    let shown: Value = serde_json::from_slice(&shown.stdout).unwrap();
    assert_eq!(shown["persist_session"]["value"], true);
    assert_eq!(shown["debug_log"], json!({"value": "switchboard.log", "source": path}));
    let shown = done(home.path(), ["--json", "config", "show", "--debug-log"]);
    let shown: Value = serde_json::from_slice(&shown.stdout).unwrap();
    assert_eq!(shown["persist_session"], json!({"value": false, "source": "default"}));
    assert_eq!(shown["debug_log"], json!({"value": "session.log", "source": "flag"}));
    let schema = text(&done(home.path(), ["config", "schema"]).stdout);
    assert!(schema.contains("\"persist_session\"") && schema.contains("\"debug_log\""));

    for wrong in
        ["a/b.log", "../x.log", "meta.json", "turns", "session_meta.log", "/", "/nowhere/x.log"]
    {
        let refused = done(home.path(), ["config", "check", "--debug-log", wrong]);
        assert_eq!(code(&refused), 2, "{wrong:?}: {refused:?}");
        let said = text(&refused.stderr);
        assert!(said.contains("debug_log (flag): "), "{wrong:?}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_of_a_session_may_have_another_name() {
    let server = ledger::setup().config("debug_log = 'switchboard.log'\n").start();
    let clients = server.connect().await;
    let id = pending(&clients, &server, CodexOptions::default()).await.session_id;
    start(&clients, &id, TURN).await;
    rest(&clients, &id).await;
    let log = session_directory(&server, &id).join("switchboard.log");
    until(&log, |log| log.contains("turn ended")).await;
}
