//! A session keeps its lock: when the server is killed, in its forks, and not
//! when somebody changed it.

use std::{os::unix::fs::PermissionsExt as _, path::Path};

use serde_json::json;
use switchboard::proto::{ForkSessionRequest, StartTurnRequest};

use super::*;
use crate::{
    harness::Setup,
    ledger::{get, session_directory},
    toolchain,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_held_to_its_lock_after_the_server_was_killed_and_so_is_its_fork() {
    let mut stage = Stage::new().await;
    let (_, lock) = stage.locked().await;
    stage.model.script([Reply::new().message("done")]);
    let session = stage.try_replay(&lock, Session::default()).await.unwrap();
    stage.rest(&session).await;
    stage.server.kill_and_start();
    stage.clients = stage.server.connect().await;
    let again = get(&stage.clients, &session.session_id).await;
    assert_eq!(again.config_lock, session.config_lock);

    let request =
        ForkSessionRequest { session_id: session.session_id.clone(), ..Default::default() };
    let forked = stage.clients.sessions.clone().fork_session(request.clone()).await.unwrap();
    assert_eq!(forked.into_inner().session.unwrap().config_lock, session.config_lock);
    let other = Session { model: "gpt-5.4".to_owned(), ..Session::default() };
    let request = ForkSessionRequest { session: Some(other), ..request };
    let refused = stage.clients.sessions.clone().fork_session(request).await.unwrap_err();
    assert_eq!(reason(&refused), "CONFIG_LOCK_DRIFT");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_that_somebody_changed_is_not_believed() {
    let stage = Stage::new().await;
    let (_, lock) = stage.locked().await;
    stage.model.script([Reply::new().message("done")]);
    let session = stage.try_replay(&lock, Session::default()).await.unwrap();
    stage.rest(&session).await;
    let file = session_directory(&stage.server, &session.session_id).join("config.lock.toml");
    assert_eq!(fs::read_to_string(&file).unwrap(), lock, "as it was given");
    let next = StartTurnRequest {
        session_id: session.session_id.clone(),
        prompt: "Go on.".to_owned(),
        ..StartTurnRequest::default()
    };
    for changed in [Some(with(&lock, "gpt-5.5", "gpt-5.4")), None] {
        match changed {
            Some(text) => fs::write(&file, text).unwrap(),
            None => fs::remove_file(&file).unwrap(),
        }
        let refused = stage.clients.sessions.clone().start_turn(next.clone()).await.unwrap_err();
        assert_eq!(reason(&refused), "CONFIG_LOCK_INVALID");
        assert_eq!(metadata(&refused)["rule"], "file");
        // Nor would a fork be held to another one.
        let fork = ForkSessionRequest { session_id: next.session_id.clone(), ..Default::default() };
        let refused = stage.clients.sessions.clone().fork_session(fork).await.unwrap_err();
        assert_eq!(reason(&refused), "CONFIG_LOCK_INVALID");
    }
    fs::write(&file, lock).unwrap();
    stage.model.script([Reply::new().message("done")]);
    stage.clients.sessions.clone().start_turn(next).await.unwrap();
    stage.rest(&session).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_effort_of_a_prompt_is_in_the_lock_of_what_ran_with_it() {
    let stage = Stage::new().await;
    let codex_options = options("model_reasoning_effort", "'medium'");
    let (session, lock) = stage.locked_as(Session { codex_options, ..stage.session() }).await;
    assert!(lock.contains("\nmodel_reasoning_effort = \"medium\"\n"));
    stage.model.script([Reply::new().message("done")]);
    let line = format!("POST /api/sessions/{}/messages", session.session_id);
    let body = json!({"text": "Go on.", "effort": "high"});
    let json = ("content-type", "application/json");
    let answer = Rest::new(&stage.server).send(&line, &[json], body.to_string().as_bytes());
    assert_eq!(answer.status, 202, "{answer:?}");
    stage.rest(&session).await;
    let request = stage.model.requests().pop().unwrap();
    assert_eq!(request.body["reasoning"]["effort"], "high");
    let lock = stage.export(&session).await.config_lock;
    assert!(lock.contains("\nmodel_reasoning_effort = \"high\"\n"));
    // It holds for the session that it was made of.
    let question = VerifyConfigLockRequest {
        session_id: session.session_id.clone(),
        config_lock: lock.clone(),
        ..VerifyConfigLockRequest::default()
    };
    let verified = stage.try_verify(question).await.unwrap();
    assert!(verified.matches, "{verified:?}");
    stage.model.script([Reply::new().message("done")]);
    let again = stage.try_replay(&lock, Session::default()).await.unwrap();
    stage.rest(&again).await;
    let request = stage.model.requests().pop().unwrap();
    assert_eq!(request.body["reasoning"]["effort"], "high");
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_were_changed_since_the_turn_are_named_beside_its_lock() {
    let stage = Stage::new().await;
    let instructions = stage.server.work().join("AGENTS.md");
    fs::write(&instructions, "Answer in one word.").unwrap();
    stage.model.script([Reply::new().message("done")]);
    let session = stage.create("Go.").await;
    let (session, _) = stage.rest(&session).await;
    assert_eq!(stage.export(&session).await.notes, [""; 0]);
    fs::write(&instructions, "Answer in two words.").unwrap();
    let notes = stage.export(&session).await.notes;
    let [note] = &notes[..] else { panic!("{notes:?}") };
    assert!(note.starts_with("Changed since the latest turn began"), "{note}");
    assert!(note.ends_with("/AGENTS.md.") && !note.contains("config.toml"), "{note}");
    // Put in place of what was there, with the time that it had.
    let config = stage.home.path().join("config.toml");
    let other = stage.home.path().join("other.toml");
    fs::write(&other, fs::read_to_string(&config).unwrap()).unwrap();
    fs::rename(&other, &config).unwrap();
    let notes = stage.export(&session).await.notes;
    let both = notes[0].contains("/AGENTS.md") && notes[0].contains("/config.toml");
    assert!(both && notes.len() == 1, "{notes:?}");
    // The next turn runs with them.
    stage.model.script([Reply::new().message("done")]);
    stage.start_turn(&session.session_id, "Go on.").await;
    stage.rest(&session).await;
    assert_eq!(stage.export(&session).await.notes, [""; 0]);
}

/// A codex that thinks less in a turn than it is told to, and says nothing of it when
/// it is asked.
fn thoughtless(folder: &Path) -> PathBuf {
    let program = folder.join("codex");
    let codex = toolchain::codex();
    let script = format!(
        "#!/bin/sh\ncase \" $* \" in\n*' exec '*) exec '{0}' \"$@\" -c 'model_reasoning_effort=\"low\"' ;;\n\
         *) exec '{0}' \"$@\" ;;\nesac\n",
        codex.display()
    );
    fs::write(&program, script).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    program
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turn_that_ran_with_something_else_is_warned_of() {
    let folder = tempfile::tempdir().unwrap();
    let setup = Setup::new().codex(&thoughtless(folder.path()));
    let stage = Stage::with(setup, |home| home).await;
    let (session, lock) = stage.locked().await;
    let notes = stage.export(&session).await.notes.join(" ");
    assert!(notes.contains("config.model_reasoning_effort = \"low\""), "{notes}");
    stage.model.script([Reply::new().message("done")]);
    let replayed = stage.try_replay(&lock, Session::default()).await.unwrap();
    let (_, events) = stage.rest(&replayed).await;
    let warnings = super::super::warnings(&events);
    let [("CONFIG_LOCK_NOT_HONOURED", message)] = warnings[..] else { panic!("{warnings:?}") };
    assert!(message.contains("config.model_reasoning_effort = \"low\""), "{message}");
    assert!(message.contains("\"medium\" was resolved"), "{message}");
}
