//! A run is written down and made again.

use serde_json::json;
use switchboard::proto::{FilesystemSandbox, NetworkAccess, SessionState};

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_written_down_and_made_again() {
    let stage = Stage::configured("[features]\ngoals = false\n").await;
    let (session, _) = stage
        .locked_as(Session {
            model: "gpt-5.4".to_owned(),
            filesystem_sandbox: FilesystemSandbox::WorkspaceWrite.into(),
            network_access: NetworkAccess::Enabled.into(),
            codex_options: options("model_reasoning_effort", "'high'"),
            ..stage.session()
        })
        .await;
    let exported = stage.export(&session).await;
    let lock = exported.config_lock.clone();
    let path = file_of(&exported);
    assert_eq!(
        path.file_name().unwrap().to_str().unwrap(),
        format!("{}.config.lock.toml", session.thread_id)
    );
    assert_eq!(
        path.parent().unwrap(),
        crate::ledger::session_directory(&stage.server, &session.session_id)
    );
    assert_eq!(exported.notes, Vec::<String>::new());
    for line in [
        "version = 1",
        "codex_version = \"0.169.0\"",
        "model = \"gpt-5.4\"",
        "model_reasoning_effort = \"high\"",
        "sandbox_mode = \"workspace-write\"",
        "network_access = true",
        "goals = false",
        &format!("session_id = \"{}\"", session.session_id),
        &format!("thread_id = \"{}\"", session.thread_id),
    ] {
        assert!(lock.lines().any(|found| found == line), "{line} is not in {lock}");
    }

    // The user's own configuration is another by now, and the session chooses
    // nothing at all.
    let config = stage.home.path().join("config.toml");
    let changed = fs::read_to_string(&config).unwrap().replace("gpt-5.5", "gpt-5.1");
    fs::write(config, changed.replace("goals = false", "goals = true")).unwrap();
    stage.model.script([Reply::new().message("done")]);
    let replayed = stage.try_replay(&lock, Session::default()).await.unwrap();
    let (replayed, events) = stage.rest(&replayed).await;
    assert_eq!(replayed.state(), SessionState::Completed, "{events:?}");
    assert_eq!(super::super::warnings(&events), []);
    assert_eq!(replayed.model, "gpt-5.4");
    assert_eq!(replayed.filesystem_sandbox(), FilesystemSandbox::WorkspaceWrite);
    assert_eq!(replayed.network_access(), NetworkAccess::Enabled);
    assert_eq!(replayed.working_directory, session.working_directory);
    let held = replayed.config_lock.unwrap();
    assert_eq!((held.sha256, held.codex_version), (exported.sha256, "0.169.0".to_owned()));
    let contexts = [&session.thread_id, &replayed.thread_id]
        .map(|thread| context(stage.turn_contexts(thread).remove(0)));
    assert_eq!(contexts[0], contexts[1]);
    let requests = stage.model.requests();
    for key in ["model", "reasoning", "instructions", "tools"] {
        assert_eq!(requests[0].body[key], requests[1].body[key], "{key}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_over_json_rpc_and_rest() {
    let stage = Stage::new().await;
    let (session, lock) = stage.locked().await;
    let (rpc, rest) = (Rpc::new(&stage.server), Rest::new(&stage.server));
    let id = &session.session_id;
    let by_rpc = rpc.call("configLock/export", &json!({"sessionId": id})).unwrap();
    let (status, by_rest) = rest.call(&format!("POST /v1/sessions/{id}/config-lock"), &json!({}));
    assert_eq!(status, 200, "{by_rest}");
    for answer in [&by_rpc, &by_rest] {
        let text = answer["configLock"].as_str().unwrap();
        let timeless = |text: &str| -> Vec<String> {
            text.lines().filter(|line| !line.starts_with("create_time")).map(String::from).collect()
        };
        assert_eq!(timeless(text), timeless(&lock));
    }
    let question = json!({"configLock": lock});
    let by_rpc = rpc.call("configLock/verify", &question).unwrap();
    let (status, by_rest) = rest.call("POST /v1/config-lock/verify", &question);
    assert_eq!((status, &by_rest), (200, &by_rpc));
    assert_eq!(by_rpc["matches"], true);

    let create = json!({
        "configLock": lock, "prompt": "Go.",
        "session": {"model": "gpt-5.4", "workingDirectory": session.working_directory},
    });
    let error = rpc.call("session/create", &create).unwrap_err();
    assert_eq!(
        (&error["code"], &error["data"]["reason"]),
        (&json!(409), &json!("CONFIG_LOCK_DRIFT"))
    );
    let drift = json!([{
        "key": "config.model", "locked": "\"gpt-5.5\"", "actual": "\"gpt-5.4\"",
        "origin": "controls.model",
    }]);
    assert_eq!(error["data"]["drift"], drift);
    assert_eq!(error["data"]["metadata"].get("drift"), None, "once is enough");
    let message = error["message"].as_str().unwrap();
    assert!(message.contains("\n-model = \"gpt-5.5\"\n+model = \"gpt-5.4\"\n"), "{message}");
    assert!(message.ends_with("\nconfig.model comes from controls.model\n"), "{message}");
    let (status, refused) = rest.call("POST /v1/sessions", &create);
    assert_eq!((status, &refused["error"]["message"]), (409, &error["message"]), "{refused}");
    let metadata = &refused["error"]["metadata"];
    assert_eq!(metadata["keys"], "config.model");
    let told: Value = serde_json::from_str(metadata["drift"].as_str().unwrap()).unwrap();
    assert_eq!(told, drift);

    stage.model.script([Reply::new().message("done")]);
    let replay = json!({"configLock": lock, "prompt": "Go."});
    let made = rpc.call("session/create", &replay).unwrap();
    let id = made["session"]["sessionId"].as_str().unwrap();
    assert_eq!(crate::ledger::rest(&stage.clients, id).await.state(), SessionState::Completed);
}
