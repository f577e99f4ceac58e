//! What a session's options say reaches codex, in each turn, or is refused
//! before there is one.

use base64::Engine as _;
use serde_json::{Value, json};
use switchboard::proto::{
    CodexOptions, CreateSessionRequest, FilesystemSandbox, NetworkAccess, Session, SessionState,
    StartTurnRequest, StateReason, WebSearchMode,
};
use tonic::Code;

use super::{Stage, items, warnings};
use crate::{
    ledger::{agent_of, get, reason},
    model::{Gate, Reply, Request},
};

/// A picture of one pixel.
const PNG: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

/// What codex says of a setting that it does not know.
const IGNORED: &str = "Codex is ignoring 1 unrecognized configuration setting. Check for typos or \
                       deprecated settings.\n  session-flags: `foo` is ignored.";

/// A session with options.
pub(super) fn told(stage: &Stage, options: CodexOptions) -> Session {
    Session { codex_options: Some(options), ..stage.session() }
}

/// Settings of codex's configuration.
pub(super) fn config<const N: usize>(settings: [(&str, &str); N]) -> CodexOptions {
    let settings = settings.map(|(key, value)| (key.to_owned(), value.to_owned()));
    CodexOptions { config: settings.into(), ..CodexOptions::default() }
}

/// The images that the user said, oldest first.
fn images(request: &Request) -> Vec<&Value> {
    let input = request.body["input"].as_array().unwrap();
    let parts = input.iter().filter_map(|item| item["content"].as_array()).flatten();
    parts.filter(|part| part["type"] == "input_image").map(|part| &part["image_url"]).collect()
}

fn web_access(request: &Request) -> Option<&Value> {
    let tools = request.body["tools"].as_array().unwrap();
    tools.iter().find(|tool| tool["type"] == "web_search").map(|tool| &tool["external_web_access"])
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_session_asks_for_reaches_codex_in_every_turn() {
    let stage = Stage::new().await;
    stage.model.script([Reply::new().message("one"), Reply::new().message("two")]);
    let work = stage.server.work();
    let schema = json!({
        "type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"],
        "additionalProperties": false,
    });
    std::fs::write(work.join("schema.json"), schema.to_string()).unwrap();
    std::fs::create_dir(work.join("further")).unwrap();
    let png = base64::engine::general_purpose::STANDARD.decode(PNG).unwrap();
    std::fs::write(work.join("a picture.png"), &png).unwrap();
    std::fs::write(work.join("-another.png"), &png).unwrap();
    let path = |name: &str| work.join(name).display().to_string();
    let options = CodexOptions {
        output_schema: path("schema.json"),
        add_directories: vec![path("further")],
        web_search: WebSearchMode::Live.into(),
        ..config([("model_reasoning_effort", "'high'")])
    };
    let asked = Session {
        model: "gpt-5.4".to_owned(),
        filesystem_sandbox: FilesystemSandbox::WorkspaceWrite.into(),
        network_access: NetworkAccess::Enabled.into(),
        ..told(&stage, options.clone())
    };
    let request = CreateSessionRequest {
        session: Some(asked),
        prompt: "Look at this.".to_owned(),
        images: vec![path("a picture.png")],
        ..CreateSessionRequest::default()
    };
    let sessions = || stage.clients.sessions.clone();
    let answer = sessions().create_session(request).await.unwrap();
    let session = answer.into_inner().session.unwrap();
    assert_eq!(session.codex_options, Some(options));
    stage.rest(&session).await;
    let request = StartTurnRequest {
        session_id: session.session_id.clone(),
        prompt: "And at these.".to_owned(),
        images: vec![path("-another.png"), path("a picture.png")],
        ..StartTurnRequest::default()
    };
    sessions().start_turn(request).await.unwrap();
    let (session, events) = stage.rest(&session).await;

    assert_eq!(session.state(), SessionState::Completed);
    assert_eq!(warnings(&events), []);
    let requests = stage.model.requests();
    assert_eq!(requests.len(), 2);
    for request in &requests {
        assert_eq!(request.body["model"], "gpt-5.4");
        assert_eq!(request.body["reasoning"]["effort"], "high");
        assert_eq!(request.body["text"]["format"]["schema"], schema);
        assert_eq!(web_access(request), Some(&json!(true)));
    }
    let picture = Value::from(format!("data:image/png;base64,{PNG}"));
    assert_eq!(images(&requests[0]), [&picture]);
    assert_eq!(images(&requests[1]), [&picture; 3]);
    let contexts = stage.turn_contexts(&session.thread_id);
    assert_eq!(contexts.len(), 2);
    for context in contexts {
        assert_eq!(context["model"], "gpt-5.4");
        assert_eq!(context["cwd"], work.to_str().unwrap());
        let sandbox = &context["sandbox_policy"];
        assert_eq!(sandbox["type"], "workspace-write");
        assert_eq!(sandbox["network_access"], true);
        assert_eq!(sandbox["writable_roots"], json!([path("further")]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_session_restricts_beats_codexs_own_configuration() {
    let stage = Stage::configured(
        "[sandbox_workspace_write]\nnetwork_access = true\nexclude_slash_tmp = true\n",
    )
    .await;
    stage.model.script([Reply::new().message("one"), Reply::new().message("two")]);
    let options =
        CodexOptions { web_search: WebSearchMode::Disabled.into(), ..CodexOptions::default() };
    let restricted = Session {
        filesystem_sandbox: FilesystemSandbox::WorkspaceWrite.into(),
        network_access: NetworkAccess::Restricted.into(),
        ..told(&stage, options)
    };
    let session = stage.create_as(restricted.clone(), "Go.").await;
    let (session, _) = stage.rest(&session).await;
    let unsaid = Session { network_access: 0, codex_options: None, ..restricted };
    let other = stage.create_as(unsaid, "Go.").await;
    let (other, _) = stage.rest(&other).await;
    let sandbox = |session: &Session| {
        let context = &stage.turn_contexts(&session.thread_id)[0]["sandbox_policy"];
        [&context["network_access"], &context["exclude_slash_tmp"]].map(|it| it.as_bool().unwrap())
    };
    // The rest of the user's own table stays.
    assert_eq!(sandbox(&session), [false, true]);
    assert_eq!(sandbox(&other), [true, true]);
    let requests = stage.model.requests();
    assert_eq!(web_access(&requests[0]), None);
    // Codex's own default in a sandbox.
    assert_eq!(web_access(&requests[1]), Some(&json!(false)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_variable_reaches_codex_and_as_far_as_its_policy_says_its_commands() {
    let stage = Stage::new().await;
    let gate = Gate::closed();
    let command = || Reply::new().command("printf '%s' \"$GREETING\"");
    stage.model.script([
        command(),
        Reply::new().message("done"),
        Reply::new().wait(&gate).command("printf '%s' \"${GREETING-unset}\""),
        Reply::new().message("done"),
    ]);
    let environment = [("GREETING".to_owned(), "hello = \"you\"".to_owned())];
    let options = CodexOptions { environment: environment.into(), ..CodexOptions::default() };
    let session = stage.create_as(told(&stage, options.clone()), "Greet.").await;
    let (session, events) = stage.rest(&session).await;
    assert_eq!(items(&events, 1)[1]["item"]["aggregated_output"], "hello = \"you\"");
    // It is never told again, neither in the session nor in its first event.
    let shown = session.codex_options.unwrap().environment;
    assert_eq!(shown.into_iter().collect::<Vec<_>>(), [("GREETING".to_owned(), String::new())]);
    assert!(!format!("{:?}", events[0]).contains("hello"), "{:?}", events[0]);

    let kept_from = config([("shell_environment_policy.exclude", "['GREETING']")]);
    let options = CodexOptions { config: kept_from.config, ..options };
    let session = stage.create_as(told(&stage, options), "Greet.").await;
    gate.reached(1).await;
    let pid = agent_of(&stage.server, &session.session_id, 1).unwrap();
    let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap();
    let has = |variable: &[u8]| environment.split(|&byte| byte == 0).any(|it| it == variable);
    assert!(has(b"GREETING=hello = \"you\""));
    gate.open_once();
    let (_, events) = stage.rest(&session).await;
    assert_eq!(items(&events, 1)[1]["item"]["aggregated_output"], "unset");
}

#[tokio::test(flavor = "multi_thread")]
async fn full_danger_beats_the_sandbox_and_is_said_in_each_turn() {
    let stage = Stage::new().await;
    stage.model.script([Reply::new().message("one"), Reply::new().message("two")]);
    let options = CodexOptions { full_danger: true, ..CodexOptions::default() };
    let asked =
        Session { filesystem_sandbox: FilesystemSandbox::ReadOnly.into(), ..told(&stage, options) };
    let session = stage.create_as(asked, "Go.").await;
    stage.rest(&session).await;
    stage.start_turn(&session.session_id, "Go on.").await;
    let (session, events) = stage.rest(&session).await;
    let said = "commands run without a sandbox and without approvals by the session's option \
                full_danger, although the session asks for the sandbox read-only";
    assert_eq!(warnings(&events), [("FULL_DANGER", said); 2]);
    for context in stage.turn_contexts(&session.thread_id) {
        assert_eq!(context["sandbox_policy"]["type"], "danger-full-access");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_setting_that_codex_does_not_know_is_said_or_fails_the_turn_where_that_is_wanted() {
    let stage = Stage::new().await;
    stage.model.script([Reply::new().message("all the same")]);
    let lax = stage.create_as(told(&stage, config([("foo", "1")])), "Go.").await;
    let (lax, events) = stage.rest(&lax).await;
    assert_eq!(lax.state(), SessionState::Completed);
    // Codex itself says it twice.
    let said: Vec<_> = items(&events, 1).iter().map(|it| it["item"]["message"].clone()).collect();
    assert_eq!(said, [json!(IGNORED), json!(IGNORED), Value::Null]);

    let options = CodexOptions { strict_config: true, ..config([("foo", "1")]) };
    let strict = stage.create_as(told(&stage, options), "Go.").await;
    let (strict, _) = stage.rest(&strict).await;
    assert_eq!(
        (strict.state(), strict.state_reason()),
        (SessionState::Failed, StateReason::ExitStatus)
    );
    let error = &strict.last_turn.as_ref().unwrap().error;
    let expected = "unknown configuration field `foo` in -c/--config override";
    assert!(error.contains(expected), "{error}");
    assert_eq!(stage.model.requests().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_profile_is_laid_over_codexs_own_configuration() {
    let stage = Stage::new().await;
    stage.model.script([Reply::new().message("done")]);
    let profile = |name: &str| CodexOptions { profile: name.to_owned(), ..CodexOptions::default() };
    let refused = stage.try_create(told(&stage, profile("quick")), "Go.").await.unwrap_err();
    assert_eq!(reason(&refused), "INVALID_ARGUMENT");
    assert!(refused.message().contains("quick.config.toml"), "{refused}");

    std::fs::write(stage.home.path().join("quick.config.toml"), "model = 'gpt-5.4'\n").unwrap();
    let session = stage.create_as(told(&stage, profile("quick")), "Go.").await;
    let (session, _) = stage.rest(&session).await;
    assert_eq!(session.state(), SessionState::Completed);
    assert_eq!(stage.model.requests()[0].body["model"], "gpt-5.4");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_told_is_refused_before_there_is_a_session_or_a_turn() {
    let stage = Stage::new().await;
    stage.model.script([Reply::new().message("done")]);
    let work = stage.server.work();
    let missing = work.join("missing").display().to_string();
    let schema = CodexOptions { output_schema: missing.clone(), ..CodexOptions::default() };
    let own_field = config([("sandbox_mode", "'read-only'")]);
    for (options, expected) in [
        (schema.clone(), "session.codex_options.output_schema"),
        (own_field, "session.filesystem_sandbox"),
        (config([("a", "high")]), "session.codex_options.config"),
    ] {
        let refused = stage.try_create(told(&stage, options), "Go.").await.unwrap_err();
        assert_eq!(
            (refused.code(), reason(&refused)),
            (Code::InvalidArgument, "INVALID_ARGUMENT".to_owned())
        );
        assert!(refused.message().contains(expected), "{refused}");
    }
    let transcript = Session {
        agent: format!("replay:{missing}"),
        ..told(&stage, CodexOptions { full_danger: true, ..CodexOptions::default() })
    };
    let refused = stage.try_create(transcript, "").await.unwrap_err();
    assert_eq!(reason(&refused), "INVALID_ARGUMENT");

    let mut sessions = stage.clients.sessions.clone();
    let request = |prompt: &str| CreateSessionRequest {
        session: Some(stage.session()),
        prompt: prompt.to_owned(),
        images: vec![missing.clone()],
        ..CreateSessionRequest::default()
    };
    for prompt in ["", "Look."] {
        let refused = sessions.create_session(request(prompt)).await.unwrap_err();
        assert_eq!(reason(&refused), "INVALID_ARGUMENT", "{refused}");
    }

    // A schema that is gone when the next turn is to start.
    std::fs::write(&missing, "{}").unwrap();
    let session = stage.create_as(told(&stage, schema), "Go.").await;
    let (session, _) = stage.rest(&session).await;
    std::fs::remove_file(&missing).unwrap();
    let turn = StartTurnRequest {
        session_id: session.session_id.clone(),
        prompt: "Go on.".to_owned(),
        ..StartTurnRequest::default()
    };
    let refused = sessions.start_turn(turn.clone()).await.unwrap_err();
    assert_eq!(reason(&refused), "INVALID_ARGUMENT");
    let refused = sessions
        .start_turn(StartTurnRequest { images: vec!["a,b.png".to_owned()], ..turn })
        .await
        .unwrap_err();
    assert!(refused.message().contains("a,b.png"), "{refused}");
    assert_eq!(get(&stage.clients, &session.session_id).await, session);
}
