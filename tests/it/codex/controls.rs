//! A session's controls reach codex at its next turn: read off what the real
//! codex recorded that it ran with.

use serde_json::{Value, json};
use switchboard::proto::{
    ApplyControlsRequest, ApplyControlsResponse, ApprovalPolicy, Controls, FilesystemSandbox,
    ForkSessionRequest, GetControlsRequest, GetControlsResponse, NetworkAccess, Scope, Session,
    SessionState,
};
use tonic::Status;

use super::{Stage, items, warnings};
use crate::{
    harness::Setup,
    ledger::{get, states},
    model::{Gate, Reply},
    toolchain,
};

mod layers;

impl Stage {
    async fn try_apply(
        &self,
        scope: Scope,
        id: &str,
        controls: Controls,
    ) -> Result<ApplyControlsResponse, Status> {
        let request = ApplyControlsRequest {
            session_id: id.to_owned(),
            scope: scope.into(),
            controls: Some(controls),
            ..ApplyControlsRequest::default()
        };
        Ok(self.clients.controls.clone().apply_controls(request).await?.into_inner())
    }

    async fn apply(&self, session: &Session, controls: Controls) {
        self.try_apply(Scope::Session, &session.session_id, controls).await.unwrap();
    }

    async fn controls(&self, session: &Session) -> GetControlsResponse {
        let request = GetControlsRequest { session_id: session.session_id.clone() };
        self.clients.controls.clone().get_controls(request).await.unwrap().into_inner()
    }

    /// A session that chooses nothing.
    fn unsaid(&self) -> Session {
        Session { filesystem_sandbox: 0, ..self.session() }
    }

    /// Starts another turn, and waits for its end.
    async fn go_on(&self, session: &Session) -> (Session, Vec<switchboard::proto::Event>) {
        self.start_turn(&session.session_id, "Go on.").await;
        self.rest(session).await
    }

    /// What each turn of a thread ran with: model, policy, sandbox and directory.
    fn ran_with(&self, session: &Session) -> Vec<(String, String, Value)> {
        let work = self.server.work();
        let contexts = self.turn_contexts(&session.thread_id).into_iter();
        contexts
            .map(|mut context| {
                assert_eq!(context["cwd"], work.to_str().unwrap());
                let text = |key: &str| context[key].as_str().unwrap().to_owned();
                let (model, policy) = (text("model"), text("approval_policy"));
                (model, policy, context["sandbox_policy"].take())
            })
            .collect()
    }
}

fn controls(
    model: &str,
    approval_policy: ApprovalPolicy,
    filesystem_sandbox: FilesystemSandbox,
    network_access: NetworkAccess,
) -> Controls {
    Controls {
        model: model.to_owned(),
        approval_policy: approval_policy.into(),
        network_access: network_access.into(),
        filesystem_sandbox: filesystem_sandbox.into(),
    }
}

/// Controls with which codex does nothing unexpected.
fn writing(model: &str, network: NetworkAccess) -> Controls {
    controls(model, ApprovalPolicy::Never, FilesystemSandbox::WorkspaceWrite, network)
}

/// A turn that ran with such controls.
fn wrote(model: &str, network: bool) -> (String, String, Value) {
    let sandbox = json!({
        "type": "workspace-write", "network_access": network,
        "exclude_tmpdir_env_var": false, "exclude_slash_tmp": false,
    });
    (model.to_owned(), "never".to_owned(), sandbox)
}

/// A turn that ran in a sandbox without particulars.
fn ran(model: &str, sandbox: &str) -> (String, String, Value) {
    (model.to_owned(), "never".to_owned(), json!({"type": sandbox}))
}

fn done(count: usize) -> Vec<Reply> {
    (0..count).map(|_| Reply::new().message("done")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_session_runs_with_the_defaults_of_when_it_was_made() {
    let stage = Stage::new().await;
    stage.model.script(done(4));
    let defaults = writing("gpt-5.4", NetworkAccess::Enabled);
    stage.try_apply(Scope::Default, "", defaults.clone()).await.unwrap();
    let session = stage.create_as(stage.unsaid(), "Go.").await;
    stage.rest(&session).await;
    let read_only = controls(
        "gpt-5.5",
        ApprovalPolicy::Never,
        FilesystemSandbox::ReadOnly,
        NetworkAccess::Restricted,
    );
    stage.try_apply(Scope::Default, "", read_only).await.unwrap();
    let (session, events) = stage.go_on(&session).await;
    assert_eq!(warnings(&events), []);
    assert_eq!(stage.ran_with(&session), [wrote("gpt-5.4", true), wrote("gpt-5.4", true)]);
    assert_eq!(stage.controls(&session).await.session.unwrap().controls, Some(defaults));
    assert_eq!(session.model, "gpt-5.4");

    // The next one has the others, and beats them where it chooses.
    let session = stage.create_as(stage.unsaid(), "Go.").await;
    let (session, _) = stage.rest(&session).await;
    assert_eq!(stage.ran_with(&session), [ran("gpt-5.5", "read-only")]);
    let chosen = Session { model: "gpt-5.4".to_owned(), ..stage.session() };
    let session = stage.create_as(chosen, "Go.").await;
    let (session, events) = stage.rest(&session).await;
    assert_eq!(stage.ran_with(&session), [ran("gpt-5.4", "danger-full-access")]);
    assert_eq!(warnings(&events)[0].0, "NETWORK_ACCESS_NOT_HONOURED");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_turn_has_what_was_applied_before_it_and_says_what_is_not_honoured() {
    use {ApprovalPolicy as Policy, FilesystemSandbox as Sandbox, NetworkAccess as Network};
    let stage = Stage::new().await;
    stage.model.script(done(6));
    let session = stage.create_as(stage.unsaid(), "").await;
    let not_asked = "APPROVAL_POLICY_NOT_HONOURED";
    let no_network = "NETWORK_ACCESS_NOT_HONOURED";
    let turns: [(_, _, _, _, &[&str], _); 6] = [
        (
            "gpt-5.4",
            Policy::Untrusted,
            Sandbox::WorkspaceWrite,
            Network::Enabled,
            &[not_asked],
            wrote("gpt-5.4", true),
        ),
        (
            "gpt-5.5",
            Policy::OnFailure,
            Sandbox::DangerFullAccess,
            Network::Restricted,
            &[not_asked, no_network],
            ran("gpt-5.5", "danger-full-access"),
        ),
        (
            "gpt-5.4",
            Policy::OnRequest,
            Sandbox::ReadOnly,
            Network::Enabled,
            &[not_asked, no_network],
            ran("gpt-5.4", "read-only"),
        ),
        // The default of codex's own configuration.
        (
            "",
            Policy::Never,
            Sandbox::WorkspaceWrite,
            Network::Restricted,
            &[],
            wrote("gpt-5.5", false),
        ),
        (
            "",
            Policy::Never,
            Sandbox::ReadOnly,
            Network::Restricted,
            &[],
            ran("gpt-5.5", "read-only"),
        ),
        (
            "",
            Policy::Never,
            Sandbox::DangerFullAccess,
            Network::Enabled,
            &[],
            ran("gpt-5.5", "danger-full-access"),
        ),
    ];
    let mut expected = Vec::new();
    for (number, (model, policy, sandbox, network, not_honoured, ran)) in (1..).zip(turns) {
        stage.apply(&session, controls(model, policy, sandbox, network)).await;
        let (rested, events) = stage.go_on(&session).await;
        assert_eq!(rested.state(), SessionState::Completed, "{rested:?}");
        let of_turn: Vec<_> = events.into_iter().filter(|event| event.turn == number).collect();
        let codes: Vec<_> = warnings(&of_turn).iter().map(|(code, _)| *code).collect();
        assert_eq!(codes, not_honoured, "turn {number}");
        expected.push(ran);
        assert_eq!(stage.ran_with(&rested), expected, "turn {number}");
        let asked = stage.model.requests();
        assert_eq!(asked.last().unwrap().body["model"], expected.last().unwrap().0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_while_a_turn_runs_waits_for_the_next() {
    let stage = Stage::new().await;
    let gate = Gate::closed();
    stage.model.script([
        Reply::new().wait(&gate).command("true"),
        Reply::new().message("done"),
        Reply::new().message("done"),
    ]);
    let before = Session {
        model: "gpt-5.5".to_owned(),
        network_access: NetworkAccess::Enabled.into(),
        ..stage.session()
    };
    let session = stage.create_as(before, "Go.").await;
    gate.reached(1).await;
    let after = writing("gpt-5.4", NetworkAccess::Restricted);
    stage.apply(&session, after.clone()).await;
    let told = get(&stage.clients, &session.session_id).await;
    assert_eq!((told.state(), told.model.as_str()), (SessionState::Running, "gpt-5.4"));
    gate.open_once();
    let (session, _) = stage.rest(&session).await;
    let mut expected = vec![ran("gpt-5.5", "danger-full-access")];
    assert_eq!(stage.ran_with(&session), expected);
    let models = |asked: &[crate::model::Request]| {
        asked.iter().map(|request| request.body["model"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(models(&stage.model.requests()), ["gpt-5.5", "gpt-5.5"]);

    let (session, events) = stage.go_on(&session).await;
    expected.push(wrote("gpt-5.4", false));
    assert_eq!(stage.ran_with(&session), expected);
    // Codex says that the thread goes on with another model.
    let said = items(&events, 2)[0]["item"]["message"].as_str().unwrap().to_owned();
    assert!(
        said.contains("recorded with model `gpt-5.5` but is resuming with `gpt-5.4`"),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turn_that_waited_has_what_holds_when_it_starts() {
    for killed in [false, true] {
        check_one_that_waits(killed).await;
    }
}

/// The same where the server is killed while the turn waits.
async fn check_one_that_waits(killed: bool) {
    let setup = Setup::new().codex(&toolchain::codex()).config("[turns]\nmax_running = 1\n");
    let mut stage = Stage::with(setup, |home| home).await;
    let gate = Gate::closed();
    let mut script = vec![Reply::new().wait(&gate).message("done")];
    script.extend(done(1));
    stage.model.script(script);
    let first = stage.create("Go.").await;
    gate.reached(1).await;
    let session = stage.create("Wait.").await;
    assert_eq!(session.state(), SessionState::Queued);
    stage.apply(&session, writing("gpt-5.5", NetworkAccess::Restricted)).await;
    let last = controls(
        "gpt-5.4",
        ApprovalPolicy::Untrusted,
        FilesystemSandbox::WorkspaceWrite,
        NetworkAccess::Enabled,
    );
    stage.apply(&session, last).await;
    if killed {
        stage.server.kill_and_start();
        stage.clients = stage.server.connect().await;
    }
    gate.open_once();
    stage.rest(&first).await;
    let (session, events) = stage.rest(&session).await;
    use SessionState::{Completed, Queued, Running};
    assert_eq!(states(&events, 1), [Queued, Running, Completed]);
    assert_eq!(stage.ran_with(&session), [wrote("gpt-5.4", true)]);
    let codes: Vec<_> = warnings(&events).iter().map(|(code, _)| *code).collect();
    assert_eq!(codes, ["APPROVAL_POLICY_NOT_HONOURED"], "once, although it was planned twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fork_has_a_copy_that_goes_its_own_way() {
    let stage = Stage::new().await;
    stage.model.script(done(4));
    let source = stage.create("Go.").await;
    stage.rest(&source).await;
    let copied = writing("gpt-5.4", NetworkAccess::Enabled);
    stage.apply(&source, copied.clone()).await;
    let fork = async |session: Session| {
        let request = ForkSessionRequest {
            session_id: source.session_id.clone(),
            session: Some(session),
            ..ForkSessionRequest::default()
        };
        let answer = stage.clients.sessions.clone().fork_session(request).await.unwrap();
        answer.into_inner().session.unwrap()
    };
    let same = fork(Session::default()).await;
    let restricted = NetworkAccess::Restricted.into();
    let other = fork(Session { network_access: restricted, ..Session::default() }).await;
    stage.apply(&source, writing("gpt-5.5", NetworkAccess::Restricted)).await;
    let of = async |session: &Session| stage.controls(session).await.session.unwrap().controls;
    assert_eq!(of(&same).await, Some(copied.clone()));
    assert_eq!(of(&other).await, Some(Controls { network_access: restricted, ..copied }));
    for (session, expected) in [
        (&same, wrote("gpt-5.4", true)),
        (&other, wrote("gpt-5.4", false)),
        (&source, wrote("gpt-5.5", false)),
    ] {
        let (session, _) = stage.go_on(session).await;
        // A fork's rollout holds its source's turns too.
        assert_eq!(stage.ran_with(&session).last(), Some(&expected));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_applied_before_the_server_was_killed_holds_afterwards() {
    let mut stage = Stage::new().await;
    stage.model.script(done(3));
    let session = stage.create("Go.").await;
    stage.rest(&session).await;
    let pending = stage.create("").await;
    for session in [&session, &pending] {
        stage.apply(session, writing("gpt-5.4", NetworkAccess::Enabled)).await;
    }
    stage.server.kill_and_start();
    stage.clients = stage.server.connect().await;
    for session in [&session, &pending] {
        let (session, _) = stage.go_on(session).await;
        assert_eq!(stage.ran_with(&session).last(), Some(&wrote("gpt-5.4", true)));
    }
}
