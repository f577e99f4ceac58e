//! What beats a session's controls and what they beat, and which of them are
//! refused.

use switchboard::proto::{
    ApplyControlsRequest, ApprovalPolicy, CodexOptions, CreateSessionRequest, FilesystemSandbox,
    NetworkAccess, Scope, Session, SessionState,
};
use tonic::{Code, Status};

use super::{Stage, controls, done, ran, writing, wrote};
use crate::{
    codex::{items, options::told, warnings},
    ledger::{self, get, reason},
    model::Reply,
};

#[tokio::test(flavor = "multi_thread")]
async fn codex_asks_nobody_whatever_it_is_told() {
    let stage = Stage::new().await;
    stage.model.script(done(2));
    let session = stage.create_as(stage.unsaid(), "").await;
    for policy in ["on-failure", "on-request"] {
        stage.write_codex_toml(&format!("approval_policy = '{policy}'\n"));
        let (session, events) = stage.go_on(&session).await;
        assert_eq!(session.state(), SessionState::Completed, "{session:?}");
        assert_eq!(warnings(&events), []);
        assert_eq!(stage.ran_with(&session).last(), Some(&ran("gpt-5.5", "read-only")));
    }
    // Why it is not told: of one policy codex wants to hear no more.
    stage.write_codex_toml("approval_policy = 'untrusted'\n");
    let (session, _) = stage.go_on(&session).await;
    assert_eq!(session.state(), SessionState::Failed);
    let error = &session.last_turn.as_ref().unwrap().error;
    assert!(error.contains("approval_policy = \"untrusted\" is no longer supported"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_chose_is_the_agent_configurations_and_what_was_chosen_beats_it() {
    let stage = Stage::new().await;
    stage.model.script(done(3));
    stage.write_codex_toml(
        "model = 'gpt-5.4'\nsandbox_mode = 'workspace-write'\n\
         [sandbox_workspace_write]\nnetwork_access = true\n",
    );
    let session = stage.create_as(stage.unsaid(), "Go.").await;
    let (session, events) = stage.rest(&session).await;
    assert_eq!(warnings(&events), []);
    let mut expected = vec![wrote("gpt-5.4", true)];
    assert_eq!(stage.ran_with(&session), expected);
    let unsaid = (session.model.as_str(), session.filesystem_sandbox(), session.network_access());
    assert_eq!(unsaid, ("", FilesystemSandbox::Unspecified, NetworkAccess::Unspecified));
    assert_eq!(session.approval_policy(), ApprovalPolicy::Unspecified);
    // Shown as the contract has it, and in force only once it is written.
    let shown = stage.controls(&session).await.session.unwrap().controls.unwrap();
    let (policy, sandbox) = (ApprovalPolicy::Untrusted, FilesystemSandbox::ReadOnly);
    assert_eq!(shown, controls("", policy, sandbox, NetworkAccess::Restricted));
    stage.apply(&session, shown).await;
    let (session, events) = stage.go_on(&session).await;
    expected.push(ran("gpt-5.4", "read-only"));
    assert_eq!(stage.ran_with(&session), expected);
    assert_eq!(warnings(&events).len(), 1);

    stage.apply(&session, writing("gpt-5.5", NetworkAccess::Restricted)).await;
    let (session, _) = stage.go_on(&session).await;
    expected.push(wrote("gpt-5.5", false));
    assert_eq!(stage.ran_with(&session), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn full_danger_beats_what_was_applied_and_says_so() {
    let stage = Stage::new().await;
    stage.model.script(done(2));
    let options = CodexOptions { full_danger: true, ..CodexOptions::default() };
    let session = stage.create_as(told(&stage, options), "").await;
    stage.apply(&session, writing("gpt-5.4", NetworkAccess::Restricted)).await;
    let (session, events) = stage.go_on(&session).await;
    assert_eq!(stage.ran_with(&session), [ran("gpt-5.4", "danger-full-access")]);
    let danger = "commands run without a sandbox and without approvals by the session's option \
                  full_danger, although the session asks for the sandbox workspace-write";
    let network = "the network access \"restricted\" is not honoured: without a sandbox commands \
                   have the network";
    let expected = [("FULL_DANGER", danger), ("NETWORK_ACCESS_NOT_HONOURED", network)];
    assert_eq!(warnings(&events), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_codex_does_not_know_is_tried_and_said_and_the_provider_decides() {
    let stage = Stage::new().await;
    stage.model.script([
        Reply::new().message("done"),
        Reply::status(400, "The requested model 'gpt-none' does not exist."),
    ]);
    let session = stage.create("").await;
    stage.apply(&session, writing("gpt-none", NetworkAccess::Restricted)).await;
    let (session, events) = stage.go_on(&session).await;
    assert_eq!(session.state(), SessionState::Completed);
    let said = items(&events, 1)[0]["item"]["message"].as_str().unwrap().to_owned();
    assert!(said.starts_with("Model metadata for `gpt-none` not found."), "{said}");
    let (session, _) = stage.go_on(&session).await;
    assert_eq!(session.state(), SessionState::Failed);
    let error = &session.last_turn.as_ref().unwrap().error;
    assert!(error.contains("The requested model 'gpt-none' does not exist."), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_is_no_name_is_refused_wherever_it_is_written() {
    let server = ledger::setup().start();
    let clients = server.connect().await;
    let session =
        Session { working_directory: server.work().display().to_string(), ..Session::default() };
    let create = async |model: &str| {
        let session = Session { model: model.to_owned(), ..session.clone() };
        let request = CreateSessionRequest { session: Some(session), ..Default::default() };
        clients.sessions.clone().create_session(request).await
    };
    let id = create("gpt-5.5").await.unwrap().into_inner().session.unwrap().session_id;
    for (model, problem) in [
        ("--yolo", "\"--yolo\": expected a name that does not begin with a dash"),
        (" ", "expected a name"),
        ("a\nb", "control characters are not allowed"),
    ] {
        let check = |refused: Status, field: &str| {
            assert_eq!(refused.code(), Code::InvalidArgument);
            assert_eq!(reason(&refused), "INVALID_ARGUMENT");
            assert_eq!(refused.message(), format!("{field}: {problem}"));
        };
        check(create(model).await.unwrap_err(), "session.model");
        for scope in [Scope::Session, Scope::Default] {
            let request = ApplyControlsRequest {
                session_id: id.clone(),
                scope: scope.into(),
                controls: Some(writing(model, NetworkAccess::Restricted)),
                ..ApplyControlsRequest::default()
            };
            let refused = clients.controls.clone().apply_controls(request).await.unwrap_err();
            check(refused, "controls.model");
        }
    }
    assert_eq!(get(&clients, &id).await.model, "gpt-5.5");
}
