//! What differs from a lock is refused before a turn runs, with its key and the
//! place that it comes from.

use switchboard::proto::{
    ApplyControlsRequest, ApprovalPolicy, Controls, FilesystemSandbox, NetworkAccess, Scope,
    StartTurnRequest,
};
use tonic::Code;

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn what_a_session_chooses_otherwise_is_never_dropped_in_silence() {
    let stage = Stage::new().await;
    let (session, lock) = stage
        .locked_as(Session {
            filesystem_sandbox: FilesystemSandbox::WorkspaceWrite.into(),
            network_access: NetworkAccess::Restricted.into(),
            ..stage.session()
        })
        .await;
    let elsewhere = stage.server.work().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    let elsewhere = elsewhere.display().to_string();
    let itself =
        || Session { working_directory: session.working_directory.clone(), ..Session::default() };
    for (chosen, key, origin) in [
        (Session { model: "gpt-5.4".to_owned(), ..itself() }, "config.model", "controls.model"),
        (
            Session { filesystem_sandbox: FilesystemSandbox::ReadOnly.into(), ..itself() },
            "config.sandbox_mode",
            "controls.filesystem_sandbox",
        ),
        (
            Session { network_access: NetworkAccess::Enabled.into(), ..itself() },
            "config.sandbox_workspace_write.network_access",
            "controls.network_access",
        ),
        (
            Session { codex_options: options("model_reasoning_effort", "'low'"), ..itself() },
            "config.model_reasoning_effort",
            "codex_options.config.model_reasoning_effort",
        ),
        (
            Session { codex_options: options("features.goals", "false"), ..itself() },
            "config.features.goals",
            "codex_options.config.features.goals",
        ),
        (
            Session { working_directory: elsewhere, ..itself() },
            "working_directory",
            "session.working_directory",
        ),
    ] {
        let drift = stage.drift(&lock, chosen.clone()).await;
        let found: Vec<_> = drift.iter().map(|it| (it.key.as_str(), it.origin.as_str())).collect();
        assert_eq!(found, [(key, origin)]);
        assert_ne!(drift[0].locked, drift[0].actual);
        let refused = stage.assert_refused(stage.try_replay(&lock, chosen).await).await;
        assert_eq!(
            (refused.code(), reason(&refused)),
            (Code::FailedPrecondition, "CONFIG_LOCK_DRIFT".to_owned())
        );
        assert_eq!(metadata(&refused)["keys"], key);
        assert!(refused.message().contains("\n+"), "{}", refused.message());
        let from = format!("\n{key} comes from {origin}\n");
        assert!(refused.message().contains(&from), "{}", refused.message());
    }
    // What it chooses as the lock has it is no difference.
    let same = Session {
        model: "gpt-5.5".to_owned(),
        filesystem_sandbox: FilesystemSandbox::WorkspaceWrite.into(),
        network_access: NetworkAccess::Restricted.into(),
        ..itself()
    };
    assert_eq!(stage.drift(&lock, same).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn controls_that_change_later_are_refused_at_the_next_turn() {
    let stage = Stage::new().await;
    let (_, lock) = stage.locked().await;
    stage.model.script((0..2).map(|_| Reply::new().message("done")));
    let session = stage.try_replay(&lock, Session::default()).await.unwrap();
    stage.rest(&session).await;
    let apply = |model: &str| {
        let (mut controls, session_id) =
            (stage.clients.controls.clone(), session.session_id.clone());
        let request = ApplyControlsRequest {
            session_id,
            scope: Scope::Session.into(),
            controls: Some(Controls {
                model: model.to_owned(),
                filesystem_sandbox: session.filesystem_sandbox,
                approval_policy: ApprovalPolicy::Never.into(),
                // As the sandbox of this lock has it.
                network_access: NetworkAccess::Enabled.into(),
            }),
            ..ApplyControlsRequest::default()
        };
        async move { controls.apply_controls(request).await.unwrap() }
    };
    apply("gpt-5.4").await;
    let next = StartTurnRequest {
        session_id: session.session_id.clone(),
        prompt: "Go on.".to_owned(),
        ..StartTurnRequest::default()
    };
    let refused = stage.clients.sessions.clone().start_turn(next.clone()).await.unwrap_err();
    assert_eq!(reason(&refused), "CONFIG_LOCK_DRIFT");
    assert_eq!(stage.model.requests().len(), 2, "no turn ran");
    apply("gpt-5.5").await;
    stage.clients.sessions.clone().start_turn(next).await.unwrap();
    stage.rest(&session).await;
    let question =
        VerifyConfigLockRequest { session_id: session.session_id.clone(), ..Default::default() };
    let verified = stage.try_verify(question).await.unwrap();
    assert!(verified.matches, "against its own lock: {verified:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_chosen_beside_a_lock_and_has_no_effect_is_told() {
    let stage = Stage::new().await;
    let (session, lock) = stage.locked().await;
    let chosen = Session {
        working_directory: session.working_directory,
        codex_options: options("nobody_has_this", "1"),
        ..Session::default()
    };
    let note = "Without effect, with the lock as without it: nobody_has_this.";
    let question = VerifyConfigLockRequest {
        session: Some(chosen.clone()),
        config_lock: lock.clone(),
        ..Default::default()
    };
    let verified = stage.try_verify(question).await.unwrap();
    assert!(verified.matches && verified.notes == [note], "{verified:?}");
    stage.model.script([Reply::new().message("done")]);
    let session = stage.try_replay(&lock, chosen).await.unwrap();
    stage.rest(&session).await;
    let events = crate::ledger::events(&stage.clients, &session.session_id).await;
    let warnings = crate::codex::warnings(&events);
    assert!(warnings.contains(&("CONFIG_LOCK_NOT_WHOLE", note)), "{warnings:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_holds_for_its_session_that_asks_for_more_than_its_sandbox_does() {
    let stage = Stage::new().await;
    let (session, lock) = stage
        .locked_as(Session {
            filesystem_sandbox: FilesystemSandbox::ReadOnly.into(),
            network_access: NetworkAccess::Enabled.into(),
            ..stage.session()
        })
        .await;
    let question = VerifyConfigLockRequest {
        session_id: session.session_id,
        config_lock: lock,
        ..Default::default()
    };
    let verified = stage.try_verify(question).await.unwrap();
    assert!(verified.matches, "{verified:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_of_another_version_of_codex_is_refused_unless_that_is_allowed() {
    let stage = Stage::new().await;
    let (_, lock) = stage.locked().await;
    let other = with(&lock, "codex_version = \"0.169.0\"", "codex_version = \"0.168.0\"");
    let refused = stage.assert_refused(stage.try_replay(&other, Session::default()).await).await;
    assert_eq!(reason(&refused), "CODEX_VERSION_MISMATCH");
    let told = metadata(&refused);
    assert_eq!((&*told["locked"], &*told["actual"]), ("0.168.0", "0.169.0"));
    let drift = stage.drift(&other, Session::default()).await;
    let found: Vec<_> = drift.iter().map(|it| (&*it.key, &*it.locked, &*it.actual)).collect();
    assert_eq!(found, [("codex_version", "\"0.168.0\"", "\"0.169.0\"")]);

    stage.model.script([Reply::new().message("done")]);
    let request = CreateSessionRequest {
        prompt: "Go.".to_owned(),
        config_lock: other,
        allow_codex_version_mismatch: true,
        ..CreateSessionRequest::default()
    };
    let made = stage.clients.sessions.clone().create_session(request).await.unwrap();
    let session = made.into_inner().session.unwrap();
    stage.rest(&session).await;
    // It holds for its later turns too.
    stage.model.script([Reply::new().message("done")]);
    stage.start_turn(&session.session_id, "Go on.").await;
    stage.rest(&session).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_that_is_none_is_refused_with_the_rule_that_it_breaks() {
    let stage = Stage::new().await;
    let (session, lock) = stage.locked().await;
    for (lock, rule) in [
        ("version = ".to_owned(), "toml"),
        (with(&lock, "version = 1", "version = 2"), "version"),
        (with(&lock, "version = 1", "version = 1\ncolour = 'red'"), "unknown_field"),
        (with(&lock, "version = 1\n", ""), "version"),
        (with(&lock, "codex_version = \"0.169.0\"", "codex_version = 169"), "type"),
    ] {
        let refused = stage.assert_refused(stage.try_replay(&lock, Session::default()).await).await;
        assert_eq!(
            (refused.code(), reason(&refused)),
            (Code::InvalidArgument, "CONFIG_LOCK_INVALID".to_owned()),
            "{lock}"
        );
        assert_eq!(metadata(&refused)["rule"], rule, "{lock}");
    }
    let long = format!("{lock}# {}\n", "x".repeat(1 << 20));
    let refused = stage.assert_refused(stage.try_replay(&long, Session::default()).await).await;
    assert_eq!(reason(&refused), "PAYLOAD_TOO_LARGE");
    let replay = Session {
        agent: "replay:/x".to_owned(),
        working_directory: session.working_directory.clone(),
        ..Session::default()
    };
    let refused = stage.assert_refused(stage.try_replay(&lock, replay).await).await;
    assert_eq!(reason(&refused), "INVALID_ARGUMENT");
    let neither = VerifyConfigLockRequest { session_id: session.session_id, ..Default::default() };
    assert_eq!(reason(&stage.try_verify(neither).await.unwrap_err()), "INVALID_ARGUMENT");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_with_a_secret_is_not_written_down() {
    let stage = Stage::configured(
        "[mcp_servers.tickets]\ncommand = \"true\"\nenabled = false\n\
         [mcp_servers.tickets.env]\nTICKETS_API_KEY = \"sk-test-0123456789abcdef0123456789\"\n",
    )
    .await;
    stage.model.script([Reply::new().message("done")]);
    let session = stage.create("Go.").await;
    stage.rest(&session).await;
    let refused = stage.try_export(&session).await.unwrap_err();
    assert_eq!(reason(&refused), "CONFIG_LOCK_INVALID");
    let told = metadata(&refused);
    assert_eq!(
        (&*told["rule"], &*told["key"]),
        ("secret", "mcp_servers.tickets.env.TICKETS_API_KEY")
    );
    assert!(!refused.message().contains("sk-test"), "{}", refused.message());
    let directory = crate::ledger::session_directory(&stage.server, &session.session_id);
    assert!(super::super::find(&directory, ".config.lock.toml").is_none(), "nothing is left");
}

#[tokio::test(flavor = "multi_thread")]
async fn controls_that_come_to_what_a_profile_of_permissions_has_are_no_drift() {
    let stage = Stage::new().await;
    let unspecified = FilesystemSandbox::Unspecified.into();
    let (_, lock) = stage
        .locked_as(Session {
            filesystem_sandbox: unspecified,
            codex_options: options("default_permissions", "':workspace'"),
            ..stage.session()
        })
        .await;
    assert!(lock.contains("\ndefault_permissions = \":workspace\"\n"), "{lock}");
    stage.model.script([Reply::new().message("done"), Reply::new().message("done")]);
    let session = stage.try_replay(&lock, Session::default()).await.unwrap();
    stage.rest(&session).await;
    let apply = |sandbox: FilesystemSandbox, network: NetworkAccess| {
        let mut controls = stage.clients.controls.clone();
        let request = ApplyControlsRequest {
            session_id: session.session_id.clone(),
            scope: Scope::Session.into(),
            controls: Some(Controls {
                model: "gpt-5.5".to_owned(),
                filesystem_sandbox: sandbox.into(),
                approval_policy: ApprovalPolicy::Never.into(),
                network_access: network.into(),
            }),
            ..ApplyControlsRequest::default()
        };
        async move { controls.apply_controls(request).await.unwrap() }
    };
    let next = StartTurnRequest {
        session_id: session.session_id.clone(),
        prompt: "Go on.".to_owned(),
        ..StartTurnRequest::default()
    };
    for (sandbox, network, key) in [
        (FilesystemSandbox::ReadOnly, NetworkAccess::Restricted, "config.sandbox_mode"),
        (
            FilesystemSandbox::WorkspaceWrite,
            NetworkAccess::Enabled,
            "config.sandbox_workspace_write.network_access",
        ),
    ] {
        apply(sandbox, network).await;
        let refused = stage.clients.sessions.clone().start_turn(next.clone()).await.unwrap_err();
        assert_eq!(metadata(&refused)["keys"], key);
    }
    apply(FilesystemSandbox::WorkspaceWrite, NetworkAccess::Restricted).await;
    stage.clients.sessions.clone().start_turn(next).await.unwrap();
    let (session, events) = stage.rest(&session).await;
    assert_eq!(super::super::warnings(&events), []);
    let contexts = stage.turn_contexts(&session.thread_id);
    assert_eq!(context(contexts[0].clone()), context(contexts[1].clone()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_profile_says_is_not_hidden_by_what_a_session_takes_from_its_lock() {
    let stage = Stage::new().await;
    let (_, lock) = stage.locked().await;
    fs::write(stage.home.path().join("deep.config.toml"), "model = \"gpt-5.4\"\n").unwrap();
    let deep = || Session {
        codex_options: Some(CodexOptions { profile: "deep".to_owned(), ..CodexOptions::default() }),
        ..Session::default()
    };
    let drift = stage.drift(&lock, deep()).await;
    let found: Vec<_> = drift.iter().map(|value| (&*value.key, &*value.actual)).collect();
    assert_eq!(found, [("config.model", "\"gpt-5.4\"")]);
    let refused = stage.try_replay(&lock, deep()).await.unwrap_err();
    assert_eq!(metadata(&refused)["keys"], "config.model");
    // The lock's sandbox keeps nothing from anybody.
    let narrower = Session {
        codex_options: options("sandbox_workspace_write.exclude_slash_tmp", "true"),
        ..Session::default()
    };
    let drift = stage.drift(&lock, narrower).await;
    let keys: Vec<_> = drift.iter().map(|value| &*value.key).collect();
    assert_eq!(keys, ["config.sandbox_workspace_write.exclude_slash_tmp"]);
}
