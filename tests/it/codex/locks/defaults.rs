//! The defaults of new sessions are for those that are held to no lock.

use serde_json::json;
use switchboard::proto::{
    ApplyControlsRequest, ApprovalPolicy, Controls, FilesystemSandbox, NetworkAccess, Scope,
    SessionState,
};

use super::*;
use crate::{
    harness::{Clients, Setup},
    toolchain,
};

/// Chooses for all new sessions what the locks of these tests have otherwise.
async fn choose_otherwise(clients: &Clients) {
    let request = ApplyControlsRequest {
        scope: Scope::Default.into(),
        controls: Some(Controls {
            model: "gpt-5.4".to_owned(),
            filesystem_sandbox: FilesystemSandbox::WorkspaceWrite.into(),
            approval_policy: ApprovalPolicy::Never.into(),
            network_access: NetworkAccess::Enabled.into(),
        }),
        ..ApplyControlsRequest::default()
    };
    clients.controls.clone().apply_controls(request).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_holds_by_the_defaults_is_what_runs() {
    let stage = Stage::new().await;
    let locked = Session { model: "gpt-5.5".to_owned(), ..stage.session() };
    let (session, lock) = stage.locked_as(locked).await;
    choose_otherwise(&stage.clients).await;
    let defaults = stage
        .try_create(
            Session { working_directory: session.working_directory.clone(), ..Session::default() },
            "",
        )
        .await
        .unwrap();
    assert_eq!(defaults.model, "gpt-5.4", "they are for those without a lock");

    assert_eq!(stage.drift(&lock, Session::default()).await, []);
    stage.model.script([Reply::new().message("done")]);
    let made = stage.try_replay(&lock, Session::default()).await.unwrap();
    let (made, events) = stage.rest(&made).await;
    assert_eq!(made.state(), SessionState::Completed, "{events:?}");
    assert_eq!(super::super::warnings(&events), []);
    assert_eq!(
        (&*made.model, made.filesystem_sandbox()),
        ("gpt-5.5", FilesystemSandbox::DangerFullAccess)
    );

    // What the session itself chooses is a difference for both, as it was.
    let other = || Session { model: "gpt-5.4".to_owned(), ..Session::default() };
    let keys: Vec<_> =
        stage.drift(&lock, other()).await.into_iter().map(|value| value.key).collect();
    assert_eq!(keys, ["config.model"]);
    let refused = stage.try_replay(&lock, other()).await.unwrap_err();
    assert_eq!(metadata(&refused)["keys"], "config.model");
}

#[tokio::test(flavor = "multi_thread")]
async fn nor_are_they_laid_over_a_lock_that_is_configured_for_all() {
    let stage = Stage::new().await;
    let (session, lock) = stage.locked().await;
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("all.lock.toml");
    fs::write(&file, &lock).unwrap();
    let setup = Setup::new().codex(&toolchain::codex());
    let held = setup.arg("--config-lock").arg(&file).codex_home(&stage.home).start();
    choose_otherwise(&held.connect().await).await;
    // What the contract of settings makes has all of what is shown chosen otherwise.
    let rest = Rest::new(&held);
    let body = json!({"cwd": session.working_directory}).to_string();
    let kind = ("content-type", "application/json");
    let made = rest.send("POST /api/sessions", &[kind], body.as_bytes());
    assert_eq!(made.status, 200, "{made:?}");
    let (status, made) = rest.call(
        "POST /v1/sessions",
        &json!({"session": {"workingDirectory": session.working_directory}}),
    );
    assert_eq!(status, 200, "{made}");
    assert_eq!(made["session"]["model"], "gpt-5.5", "{made}");
}
