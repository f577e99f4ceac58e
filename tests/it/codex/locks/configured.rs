//! What the server does with locks by its configuration.

use std::os::unix::fs::PermissionsExt as _;

use switchboard::proto::SessionState;

use super::*;
use crate::{harness::Setup, ledger, toolchain};

#[tokio::test(flavor = "multi_thread")]
async fn every_session_that_starts_is_written_down_where_that_is_configured() {
    let place = tempfile::tempdir().unwrap();
    let directory = place.path().join("locks");
    let setup = Setup::new().codex(&toolchain::codex());
    let setup = setup.arg("--export-config-locks").arg(&directory);
    let stage = Stage::with(setup, |home| home).await;
    stage.model.script((0..2).map(|_| Reply::new().message("done")));
    for _ in 0..2 {
        let session = stage.create("Go.").await;
        let (session, _) = stage.rest(&session).await;
        let file = directory.join(format!("{}.config.lock.toml", session.thread_id));
        ledger::there(&file).await;
        let lock = fs::read_to_string(file).unwrap();
        assert_eq!(stage.drift(&lock, Session::default()).await, []);
        // An ordinary session ran with what it would run with.
        assert_eq!(stage.export(&session).await.notes, [""; 0]);
    }
    let mode = fs::metadata(&directory).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_written_down_is_warned_of_and_the_turn_goes_on() {
    let place = tempfile::tempdir().unwrap();
    let directory = place.path().join("locks");
    fs::write(&directory, "in the way").unwrap();
    let setup = Setup::new().codex(&toolchain::codex());
    let setup = setup.arg("--export-config-locks").arg(&directory);
    let stage = Stage::with(setup, |home| home).await;
    stage.model.script([Reply::new().message("done")]);
    let session = stage.create("Go.").await;
    let mut watcher = stage.watch(&session);
    let is_warned = |events: &[switchboard::proto::Event]| {
        super::super::warnings(events).iter().any(|(code, _)| *code == "CONFIG_LOCK_NOT_EXPORTED")
    };
    watcher.until("the warning", is_warned).await;
    let session = ledger::rest(&stage.clients, &session.session_id).await;
    assert_eq!(session.state(), SessionState::Completed);
    // Who asks for it is told which place is in the way.
    let refused = stage.try_export(&session).await.unwrap_err();
    assert_eq!(
        (reason(&refused), &*metadata(&refused)["rule"]),
        ("CONFIG_LOCK_INVALID".to_owned(), "file")
    );
    assert!(refused.message().contains(directory.to_str().unwrap()), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_new_session_is_held_to_the_lock_that_is_configured() {
    let stage = Stage::new().await;
    let (_, lock) = stage.locked().await;
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("all.lock.toml");
    fs::write(&file, &lock).unwrap();
    let setup = Setup::new().codex(&toolchain::codex());
    let held = setup.arg("--config-lock").arg(&file).codex_home(&stage.home).start();
    let clients = held.connect().await;
    let create = |session: Session| {
        let request =
            CreateSessionRequest { session: Some(session), ..CreateSessionRequest::default() };
        let mut sessions = clients.sessions.clone();
        async move {
            Ok::<_, Status>(sessions.create_session(request).await?.into_inner().session.unwrap())
        }
    };
    let same = || Session {
        working_directory: stage.server.work().display().to_string(),
        ..Session::default()
    };
    let session = create(same()).await.unwrap();
    assert_eq!(session.config_lock.as_ref().unwrap().codex_version, "0.169.0");
    let refused = create(Session { model: "gpt-5.4".to_owned(), ..same() }).await.unwrap_err();
    assert_eq!(reason(&refused), "CONFIG_LOCK_DRIFT");
    // It is no configuration of theirs.
    let replay = Session { agent: "replay:/x".to_owned(), ..same() };
    assert!(create(replay).await.unwrap().config_lock.is_none());
    fs::remove_file(&file).unwrap();
    let refused = create(same()).await.unwrap_err();
    assert_eq!(metadata(&refused)["rule"], "file");
    // A pipe that nobody writes into is none either, and nobody waits for it.
    let kind = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(rustix::fs::CWD, &file, kind, 0o600.into(), 0).unwrap();
    let refused = create(same()).await.unwrap_err();
    assert_eq!(
        (reason(&refused), metadata(&refused)["rule"].as_str()),
        ("CONFIG_LOCK_INVALID".to_owned(), "file")
    );
}
