//! Which codex is started, and what happens where there is none, or another one.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use switchboard::proto::{
    CreateSessionRequest, GetServerInfoRequest, ReadOutputRequest, ReadOutputResponse, Session,
    SessionState, StateReason,
};
use tonic::{Code, Status};

use super::{Stage, VERSION, items, message, warnings};
use crate::{
    harness::{Clients, Server, Setup},
    ledger::{self, check, create, events, list, reason, rest, start_turn},
    model::Reply,
    toolchain,
};

async fn info(clients: &Clients) -> switchboard::proto::CodexInfo {
    let answer = clients.system.clone().get_server_info(GetServerInfoRequest {}).await.unwrap();
    answer.into_inner().codex.unwrap()
}

async fn try_create(server: &Server, clients: &Clients) -> Result<Session, Status> {
    let request = CreateSessionRequest {
        session: Some(Session {
            working_directory: server.work().display().to_string(),
            ..Session::default()
        }),
        prompt: "Go.".to_owned(),
        ..CreateSessionRequest::default()
    };
    Ok(clients.sessions.clone().create_session(request).await?.into_inner().session.unwrap())
}

fn file(folder: &Path, name: &str, content: &[u8], mode: u32) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, content).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    path
}

#[tokio::test(flavor = "multi_thread")]
async fn a_codex_that_cannot_be_started_is_said_at_once_and_leaves_no_session() {
    let folder = tempfile::tempdir().unwrap();
    let data = file(folder.path(), "data", b"this is no program", 0o755);
    let unusable = [
        (folder.path().join("missing"), "there is no such file"),
        (file(folder.path(), "plain", b"#!/bin/sh\n", 0o644), "cannot be executed"),
        (folder.path().to_owned(), "is a directory"),
        (data, ""),
        (file(folder.path(), "script", b"#!/nonexistent/interpreter\n", 0o755), ""),
    ];
    for (codex, expected) in unusable {
        let server = Setup::new().codex(&codex).start();
        let clients = server.connect().await;
        let refused = try_create(&server, &clients).await.unwrap_err();
        assert_eq!(reason(&refused), "AGENT_UNAVAILABLE", "{refused:?}");
        assert_eq!(refused.code(), Code::Unavailable);
        let shown = codex.to_str().unwrap();
        assert!(refused.message().contains(shown), "{refused:?}");
        assert!(refused.message().contains(expected), "{refused:?}");
        assert_eq!(info(&clients).await.problem, refused.message());
        assert_eq!(list(&clients).await, []);
        assert_eq!(fs::read_dir(server.home().join("sessions")).unwrap().count(), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_codex_that_is_not_on_path_is_said_with_what_to_do() {
    let server = Setup::new().env("PATH", "/nonexistent").start();
    let clients = server.connect().await;
    let refused = try_create(&server, &clients).await.unwrap_err();
    assert_eq!(reason(&refused), "AGENT_UNAVAILABLE");
    assert!(refused.message().contains("npm install -g @openai/codex"), "{refused:?}");
    assert_eq!(list(&clients).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_codex_that_comes_back_is_used_without_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let codex = folder.path().join("codex");
    let server = Setup::new().codex(&codex).start();
    let clients = server.connect().await;
    assert_eq!(reason(&try_create(&server, &clients).await.unwrap_err()), "AGENT_UNAVAILABLE");
    std::os::unix::fs::symlink(ledger::fake_agent(), &codex).unwrap();
    let session = try_create(&server, &clients).await.unwrap();
    assert_eq!(rest(&clients, &session.session_id).await.state(), SessionState::Completed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_is_not_codex_is_used_with_a_warning() {
    let server = Setup::new().codex(Path::new("/bin/true")).start();
    let clients = server.connect().await;
    let session = try_create(&server, &clients).await.unwrap();
    let session = rest(&clients, &session.session_id).await;
    assert_eq!(
        (session.state(), session.state_reason(), session.codex_version.as_str()),
        (SessionState::Failed, StateReason::Incomplete, "")
    );
    let events = events(&clients, &session.session_id).await;
    check(&server, &session, &events);
    let codes: Vec<_> = warnings(&events).into_iter().map(|(code, _)| code).collect();
    assert_eq!(codes, ["VERSION_UNKNOWN", "FEATURE_UNSUPPORTED"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_codex_that_cannot_be_executed_any_more_fails_the_turn_and_serves_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let interpreter = folder.path().join("python3");
    let link = || std::os::unix::fs::symlink("/usr/bin/python3", &interpreter).unwrap();
    link();
    let script = fs::read_to_string(ledger::fake_agent()).unwrap();
    let (_, script) = script.split_once('\n').unwrap();
    let script = format!("#!{}\n{script}", interpreter.display());
    let codex = file(folder.path(), "codex", script.as_bytes(), 0o755);
    let server = Setup::new().codex(&codex).start();
    let clients = server.connect().await;
    // From here on the server knows the version of this file, and does not ask again.
    let first = try_create(&server, &clients).await.unwrap();
    rest(&clients, &first.session_id).await;
    fs::remove_file(&interpreter).unwrap();

    let id = try_create(&server, &clients).await.unwrap().session_id;

    let session = rest(&clients, &id).await;
    let turn = session.last_turn.as_ref().unwrap();
    assert_eq!(
        (session.state(), session.state_reason(), turn.pid, turn.exit_code, turn.signal),
        (SessionState::Failed, StateReason::SpawnFailed, 0, None, None)
    );
    let problem =
        format!("{} could not be started: its interpreter or loader is missing", codex.display());
    assert_eq!(turn.error, problem);
    let output = ReadOutputRequest { session_id: id.clone(), ..ReadOutputRequest::default() };
    let mut output = clients.sessions.clone().read_output(output).await.unwrap().into_inner();
    let empty = ReadOutputResponse { turn: 1, ..ReadOutputResponse::default() };
    assert_eq!(output.message().await.unwrap(), Some(empty));
    assert_eq!(output.message().await.unwrap(), None);
    link();
    start_turn(&clients, &id, "thread,turn,completed").await.unwrap();
    let session = rest(&clients, &id).await;
    assert_eq!((session.state(), session.turn_count), (SessionState::Completed, 2));
    check(&server, &session, &events(&clients, &id).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_codex_without_bounded_retries_is_used_with_a_warning() {
    let server = ledger::setup()
        .env("FAKE_AGENT_VERSION", "codex-cli 0.120.0")
        .env("FAKE_AGENT_FEATURES", "apps=true")
        .start();
    let clients = server.connect().await;
    let id = create(&clients, &server.work(), "thread,turn,argv,completed").await;
    let id = id.unwrap().session_id;
    let session = rest(&clients, &id).await;
    assert_eq!(session.state(), SessionState::Completed);
    assert_eq!(session.codex_version, "0.120.0");
    let events = events(&clients, &id).await;
    check(&server, &session, &events);
    assert_eq!(
        warnings(&events),
        [(
            "FEATURE_UNSUPPORTED",
            "cannot switch unbounded_connection_retries off, so this codex decides itself how long it tries to reach its provider: codex 0.120.0 has no such feature"
        )]
    );
    let argv = events.iter().find_map(ledger::message).unwrap();
    assert!(!argv.contains("--disable"), "{argv}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_native_binary_is_found_behind_the_wrapper_of_npm() {
    let bin = toolchain::tests_dir().join("node_modules/.bin");
    let path = format!("{}:/usr/bin:/bin", bin.display());
    for setup in [
        Setup::new().codex(&bin.join("codex")),
        Setup::new().env("PATH", path.clone()),
        Setup::new().env("PATH", path.clone()).codex(Path::new("codex")),
    ] {
        let stage = Stage::with(setup, |home| home).await;
        let found = info(&stage.clients).await;
        let path = Path::new(&found.path).canonicalize().unwrap();
        assert_eq!(path, toolchain::codex().canonicalize().unwrap());
        assert_eq!((found.version.as_str(), found.problem.as_str()), (VERSION, ""));
        stage.model.script([Reply::new().message("native")]);
        let session = stage.create("Go.").await;
        let (session, events) = stage.rest(&session).await;
        assert_eq!(session.codex_version, VERSION);
        assert_eq!(items(&events, 1), [message("item_0", "native")]);
        assert_eq!(warnings(&events), []);
    }
}
