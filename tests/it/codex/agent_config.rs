//! The operator's `codex.toml`: what every turn of codex is told unless its
//! session says otherwise.

use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::json;
use switchboard::proto::{FilesystemSandbox, Session, SessionState, StartTurnRequest};
use tonic::Code;

use super::{
    Stage, items,
    options::{config, told},
    warnings,
};
use crate::{
    harness::Setup,
    ledger::{self, get, reason},
    model::Reply,
    toolchain,
};

impl Stage {
    pub(super) fn write_codex_toml(&self, text: &str) {
        std::fs::write(self.server.home().join("codex.toml"), text).unwrap();
    }

    /// The model and the effort of each request.
    fn asked_of_model(&self) -> Vec<(String, String)> {
        let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        let requests = self.model.requests();
        let asked = requests.iter().map(|request| &request.body);
        asked.map(|body| (text(&body["model"]), text(&body["reasoning"]["effort"]))).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_read_again_for_each_turn_and_a_session_beats_it() {
    let stage = Stage::configured("").await;
    stage.model.script((0..4).map(|_| Reply::new().message("done")));
    stage.write_codex_toml("model = 'gpt-5.4'\nmodel_reasoning_effort = 'low'\n");
    let session = stage.create("Go.").await;
    stage.rest(&session).await;
    stage.write_codex_toml("model_reasoning_effort = 'high'\n");
    stage.start_turn(&session.session_id, "Go on.").await;
    stage.rest(&session).await;
    std::fs::remove_file(stage.server.home().join("codex.toml")).unwrap();
    stage.start_turn(&session.session_id, "Go on.").await;
    stage.rest(&session).await;

    stage.write_codex_toml("model = 'gpt-5.4'\nmodel_reasoning_effort = 'low'\n");
    let asked = Session {
        model: "gpt-5.5".to_owned(),
        ..told(&stage, config([("model_reasoning_effort", "'high'")]))
    };
    let session = stage.create_as(asked, "Go.").await;
    let (session, _) = stage.rest(&session).await;
    assert_eq!(session.model, "gpt-5.5");
    let asked = stage.asked_of_model();
    let model_and_effort: Vec<_> = asked.iter().map(|(m, e)| (m.as_str(), e.as_str())).collect();
    assert_eq!(model_and_effort[..2], [("gpt-5.4", "low"), ("gpt-5.5", "high")]);
    assert_eq!(model_and_effort[2].0, "gpt-5.5");
    assert_eq!(model_and_effort[3], ("gpt-5.5", "high"));
}

#[tokio::test(flavor = "multi_thread")]
async fn its_tables_and_odd_keys_reach_codex() {
    let stage = Stage::new().await;
    let command = "printf '%s/%s' \"$FIRST\" \"$SECOND\"";
    stage.model.script([Reply::new().command(command), Reply::new().message("done")]);
    stage.write_codex_toml(
        "strict = true\nsandbox_mode = 'workspace-write'\ndeveloper_instructions = \"\"\"\n\
         Say \"please\",\nalways.\"\"\"\n\
         [shell_environment_policy.set]\nFIRST = 'a = 1'\nSECOND = '\"b\"'\n\
         [sandbox_workspace_write]\nwritable_roots = ['/var/tmp']\n\
         [projects.'/home/dev/a.b']\ntrust_level = 'trusted'\n",
    );
    let session = stage.create("Go.").await;
    let (session, events) = stage.rest(&session).await;
    assert_eq!(session.state(), SessionState::Completed, "{session:?}");
    assert_eq!(items(&events, 1)[1]["item"]["aggregated_output"], "a = 1/\"b\"");
    let instructions = stage.model.requests()[0].texts("developer").join("\n");
    assert!(instructions.contains("Say \"please\",\nalways."), "{instructions}");
    // The session asks for a sandbox of its own; one that does not has this one.
    let context = &stage.turn_contexts(&session.thread_id)[0];
    assert_eq!(context["sandbox_policy"]["type"], "danger-full-access");
    stage.model.script([Reply::new().message("done")]);
    let unsaid = Session { filesystem_sandbox: 0, ..stage.session() };
    let session = stage.create_as(unsaid, "Go.").await;
    let (session, _) = stage.rest(&session).await;
    let sandbox = &stage.turn_contexts(&session.thread_id)[0]["sandbox_policy"];
    assert_eq!(sandbox["type"], "workspace-write");
    assert_eq!(sandbox["writable_roots"], json!(["/var/tmp"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn full_danger_and_strict_hold_for_every_session() {
    let stage = Stage::new().await;
    stage.model.script([Reply::new().message("done")]);
    stage.write_codex_toml("full_danger = true\n");
    let file = stage.server.home().join("codex.toml");
    let unsaid = Session { filesystem_sandbox: 0, ..stage.session() };
    let session = stage.create_as(unsaid, "Go.").await;
    let (session, events) = stage.rest(&session).await;
    let said = format!(
        "commands run without a sandbox and without approvals by full_danger in {}",
        file.display()
    );
    assert_eq!(warnings(&events), [("FULL_DANGER", said.as_str())]);
    let context = &stage.turn_contexts(&session.thread_id)[0];
    assert_eq!(context["sandbox_policy"]["type"], "danger-full-access");

    stage.write_codex_toml("strict = true\nfoo = 1\n");
    stage.start_turn(&session.session_id, "Go on.").await;
    let (session, events) = stage.rest(&session).await;
    assert_eq!(session.state(), SessionState::Failed);
    let error = &session.last_turn.as_ref().unwrap().error;
    assert!(error.contains("unknown configuration field `foo`"), "{error}");
    assert_eq!(items(&events, 2), Vec::<serde_json::Value>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_no_toml_refuses_the_turn_and_names_the_place() {
    let stage = Stage::new().await;
    stage.model.script([Reply::new().message("one"), Reply::new().message("two")]);
    let session = stage.create("Go.").await;
    let (session, _) = stage.rest(&session).await;
    stage.write_codex_toml("model = 'gpt-5.4'\n[features\n");
    let turn = StartTurnRequest {
        session_id: session.session_id.clone(),
        prompt: "Go on.".to_owned(),
        ..StartTurnRequest::default()
    };
    let refused = stage.clients.sessions.clone().start_turn(turn).await.unwrap_err();
    assert_eq!(
        (refused.code(), reason(&refused).as_str()),
        (Code::Unavailable, "AGENT_UNAVAILABLE")
    );
    let place = stage.server.home().join("codex.toml").display().to_string();
    assert!(refused.message().contains(&place), "{refused}");
    assert!(refused.message().contains("line 2, column "), "{refused}");
    let refused = stage.try_create(stage.session(), "Go.").await.unwrap_err();
    assert_eq!(reason(&refused), "AGENT_UNAVAILABLE");
    assert_eq!(get(&stage.clients, &session.session_id).await, session);

    stage.write_codex_toml("");
    stage.start_turn(&session.session_id, "Go on.").await;
    let (session, _) = stage.rest(&session).await;
    assert_eq!(session.state(), SessionState::Completed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipe_or_a_contradiction_in_it_refuses_the_turn_and_holds_nothing_up() {
    let mut server = ledger::setup().start();
    let clients = server.connect_to_socket().await;
    let file = server.home().join("codex.toml");
    let problem = async || {
        let refused = ledger::create(&clients, &server.work(), "thread,turn,completed").await;
        let refused = refused.unwrap_err();
        assert_eq!(reason(&refused), "AGENT_UNAVAILABLE");
        refused.message().to_owned()
    };
    std::fs::write(&file, "shell_environment_policy.set = 3\n").unwrap();
    let expected = format!("{}: shell_environment_policy.set: expected a table", file.display());
    assert!(problem().await.contains(&expected));
    std::fs::remove_file(&file).unwrap();
    mknodat(CWD, &file, FileType::Fifo, Mode::RUSR, 0).unwrap();
    let expected = format!("{}: cannot be read: it is not a file", file.display());
    assert!(problem().await.contains(&expected));
    assert_eq!(server.stop().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_was_named_must_be_there() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("agents.toml");
    let setup =
        || Setup::new().codex(&toolchain::codex()).arg("--agent-config").arg(file.as_os_str());
    let mut server = setup().prepare();
    server.try_start().unwrap_err();
    let expected = format!("codex.agent_config (flag): {}: there is no such file", file.display());
    assert!(server.log().contains(&expected), "{}", server.log());

    std::fs::write(&file, "model_reasoning_effort = 'high'\n").unwrap();
    let stage = Stage::with(setup(), |home| home).await;
    stage.model.script([Reply::new().message("done")]);
    // The file of the home counts no more.
    stage.write_codex_toml("model_reasoning_effort = 'low'\n");
    let session = stage.create("Go.").await;
    stage.rest(&session).await;
    assert_eq!(stage.asked_of_model()[0].1, "high");
    std::fs::remove_file(&file).unwrap();
    let refused = stage.try_create(stage.session(), "Go.").await.unwrap_err();
    assert_eq!(reason(&refused), "AGENT_UNAVAILABLE");
    assert!(
        refused.message().contains(&format!("{}: cannot be read", file.display())),
        "{refused}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sandbox_of_the_session_beats_that_of_the_file() {
    let stage = Stage::new().await;
    stage.model.script([Reply::new().message("done")]);
    stage.write_codex_toml("sandbox_mode = 'danger-full-access'\n");
    let asked =
        Session { filesystem_sandbox: FilesystemSandbox::ReadOnly.into(), ..stage.session() };
    let session = stage.create_as(asked, "Go.").await;
    let (session, events) = stage.rest(&session).await;
    assert_eq!(warnings(&events), []);
    let context = &stage.turn_contexts(&session.thread_id)[0];
    assert_eq!(context["sandbox_policy"]["type"], "read-only");
}
