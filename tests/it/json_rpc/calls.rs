//! Every operation, by its name.

use serde_json::{Value, json};

use super::Rpc;
use crate::{harness::Server, ledger};

#[test]
fn a_session_lives_its_whole_life() {
    let server = ledger::setup().start();
    let rpc = Rpc::new(&server);
    let id = rpc.create(&server, "thread,turn,message:one,completed");
    assert_eq!(rpc.rest(&id)["state"], "SESSION_STATE_COMPLETED");
    let of = json!({"sessionId": id});
    assert_eq!(rpc.ok("session/get", &of)["session"]["sessionId"], json!(id));
    assert_eq!(rpc.ok("session/list", &json!({}))["sessions"][0]["sessionId"], json!(id));
    let change = json!({"sessionId": id, "session": {"title": "t"}, "updateMask": "title"});
    assert_eq!(rpc.ok("session/update", &change)["session"]["title"], "t");

    let turn = json!({"sessionId": id, "prompt": "FAKE_AGENT=turn,message:two,completed"});
    assert_eq!(rpc.ok("session/startTurn", &turn)["session"]["turnCount"], 2);
    rpc.rest(&id);
    assert_eq!(rpc.ok("session/listTurns", &of)["turns"].as_array().unwrap().len(), 2);
    let messages = rpc.ok("session/listMessages", &of).to_string();
    assert!(messages.contains("one") && messages.contains("two"), "{messages}");
    assert!(rpc.ok("session/getTrajectory", &of)["steps"].is_array());
    let page = rpc.ok("events/list", &of);
    let said = page["events"].as_array().unwrap().iter().find(|event| event["raw"].is_object());
    assert!(said.is_some(), "the agent's lines are embedded: {page:#}");

    let fork = rpc.ok("session/fork", &json!({"sessionId": id}))["session"].clone();
    assert_eq!(fork["state"], "SESSION_STATE_PENDING");
    let deleted = rpc.ok("session/delete", &of);
    assert_eq!(deleted["session"]["sessionId"], json!(id));
    rpc.refused("session/get", &of, 410, "SESSION_DELETED");
    rpc.ok("session/cleanup", &json!({}));
}

#[test]
fn turns_are_stopped() {
    let server = ledger::setup().start();
    let rpc = Rpc::new(&server);
    let gate = server.work().join("gate");
    let script = format!("thread,turn,message,wait:{}", gate.display());
    for method in ["session/interruptTurn", "session/kill"] {
        let id = rpc.create(&server, &script);
        let of = json!({"sessionId": id});
        let spawned = json!({"sessionId": id, "afterSeq": "1", "wait": "60s"});
        rpc.ok("events/list", &spawned);
        rpc.ok(method, &of);
        let state = rpc.rest(&id)["state"].clone();
        assert!(
            ["SESSION_STATE_INTERRUPTED", "SESSION_STATE_KILLED"].map(Value::from).contains(&state)
        );
        rpc.refused(method, &of, 409, "NO_ACTIVE_TURN");
    }
}

#[test]
fn settings_controls_and_the_audit_are_json() {
    let server = ledger::setup().start();
    let rpc = Rpc::new(&server);
    let id = rpc.create(&server, "thread,turn,completed");
    rpc.rest(&id);
    let write = r#"{"jsonrpc":"2.0","id":7,"method":"settings/update","params":{"scope":"SCOPE_SESSION","sessionId":"ID","settings":{"a":{"b":[1.0,9007199254740993,null]},"c":"x"}}}"#;
    let answer = rpc.post(&[super::JSON], write.replace("ID", &id).as_bytes());
    let text = String::from_utf8(answer.body).unwrap();
    assert!(text.contains(r#"{"a":{"b":[1.0,9007199254740993,null]},"c":"x"}"#), "{text}");

    let of = json!({"sessionId": id, "key": "c"});
    let got = rpc.ok("settings/get", &of);
    assert_eq!((&got["found"], &got["value"]), (&json!(true), &json!("x")));
    let null = json!({"sessionId": id, "scope": "SCOPE_SESSION", "key": "c", "value": null});
    assert_eq!(rpc.ok("settings/update", &null)["settings"]["c"], Value::Null);
    assert_eq!(rpc.ok("settings/delete", &of)["removed"], true);
    let apply = json!({
        "sessionId": id, "scope": "SCOPE_SESSION",
        "controls": {"model": "m", "approvalPolicy": "APPROVAL_POLICY_NEVER"},
    });
    let applied = rpc.call("controls/apply", &apply);
    let controls = rpc.ok("controls/get", &json!({"sessionId": id}));
    assert!(controls["session"]["settings"]["a"].is_object(), "{applied:?} {controls}");

    let entries = rpc.ok("audit/list", &json!({"filter": {"sessionId": id}}));
    let entries = entries["entries"].as_array().unwrap();
    assert!(entries.iter().all(|entry| entry["transport"] == "json-rpc"), "{entries:#?}");
    assert!(entries.len() >= 3);
    assert_eq!(rpc.ok("audit/verify", &json!({}))["valid"], true);
    let state = rpc.ok("audit/getState", &json!({"sessionId": id}));
    assert_eq!(state["state"]["settings"]["a"]["b"][2], Value::Null);
}

#[test]
fn output_is_read_in_chunks_that_say_how_much_there_is() {
    let server = ledger::setup().start();
    let rpc = Rpc::new(&server);
    let id = rpc.create(&server, "thread,turn,big:3000000,completed");
    rpc.rest(&id);
    let files = ledger::turn_files(&server, &id, 1);
    let whole = std::fs::read(files.stdout()).unwrap();
    let mut read = Vec::new();
    loop {
        let params = json!({"sessionId": id, "offset": read.len().to_string()});
        let chunk = rpc.ok("session/readOutput", &params);
        assert_eq!(chunk["totalSize"], whole.len().to_string());
        let data = chunk["data"].as_str().unwrap_or_default();
        let data = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, data);
        let data = data.unwrap();
        assert!(data.len() <= 512 << 10);
        if data.is_empty() {
            break;
        }
        read.extend(data);
    }
    assert!(read == whole, "{} of {} bytes", read.len(), whole.len());
    let part = json!({"sessionId": id, "offset": "1", "length": "3"});
    let data = rpc.ok("session/readOutput", &part)["data"].as_str().unwrap().len();
    assert_eq!(data, 4, "three bytes in base64");
    rpc.refused("session/readOutput", &json!({"sessionId": id, "turn": 9}), 404, "TURN_NOT_FOUND");
}

#[test]
fn the_server_tells_what_it_is_and_what_it_allows() {
    let server: Server = ledger::setup()
        .config("[json_rpc]\nmax_batch = 7\nmax_subscriptions = 3\nping_interval = \"90s\"\n")
        .start();
    let info = Rpc::new(&server).ok("server/info", &Value::Null);
    let expected = json!({
        "maxMessageBytes": 32 << 20,
        "maxBatch": 7,
        "maxConnections": 1024,
        "maxSubscriptions": 3,
        "pingInterval": "90s",
        "defaultMaxEventBytes": 512 << 10,
        "maxCalls": 256,
        "maxUnanswered": 320,
        "maxUnansweredBytes": 32 << 20,
        "maxUnsentBytes": 8 << 20,
        "maxUnsentNotifications": 8,
        "maxUnsentOfSubscription": 4,
        "maxBatchAnswerBytes": 64 << 20,
        "maxChunkBytes": 512 << 10,
    });
    assert_eq!(info["limits"]["jsonRpc"], expected);
}
