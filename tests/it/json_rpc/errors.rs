//! What a program reads of an error.

use serde_json::{Value, json};

use super::{JSON, Rpc, json_of};
use crate::{harness::Setup, ledger};

#[test]
fn data_has_the_reason_and_what_a_client_needs_to_act() {
    let server = ledger::setup().start();
    let rpc = Rpc::new(&server);
    let unknown = json!({"sessionId": "00000000-0000-4000-8000-000000000000"});
    let error = rpc.refused("session/get", &unknown, 404, "SESSION_NOT_FOUND");
    assert_eq!(error["data"]["metadata"]["session_id"], unknown["sessionId"]);
    let error = rpc.refused("session/get", &json!({"sessionId": "x"}), -32602, "INVALID_ARGUMENT");
    assert_eq!(error["data"]["field"], "sessionId");
    assert_eq!(error["data"]["metadata"]["field"], "sessionId");
    let error = rpc.refused(
        "events/list",
        &json!({"sessionId": unknown["sessionId"], "pageSize": 10_001}),
        -32602,
        "INVALID_ARGUMENT",
    );
    assert!(error["message"].as_str().unwrap().starts_with("pageSize: "), "{error}");
    let controls = json!({"scope": "SCOPE_DEFAULT", "controls": {"approvalPolicy": "NO"}});
    let error = rpc.refused("controls/apply", &controls, -32602, "INVALID_ARGUMENT");
    assert_eq!(error["data"]["field"], "controls.approvalPolicy");
    let bounds = json!({"maxEventBytes": 1});
    let error = rpc.socket().call("events/watch", &bounds).unwrap_err();
    let message = error["message"].as_str().unwrap();
    assert!(message.starts_with("maxEventBytes: ") && message.ends_with("0 for 524288"), "{error}");

    // What a client said itself is told as it was said, also where it is called like a field.
    let options = json!({"config": {"working_directory": "no TOML"}});
    let session = json!({"workingDirectory": server.work(), "codexOptions": options});
    let session = json!({"session": session, "prompt": "x"});
    let error = rpc.refused("session/create", &session, -32602, "INVALID_ARGUMENT");
    let message = error["message"].as_str().unwrap();
    assert!(message.starts_with("session.codexOptions.config: working_directory: "), "{error}");

    let gate = server.work().join("gate");
    let script = format!("thread,turn,message,wait:{},completed", gate.display());
    let id = rpc.create(&server, &script);
    let turn = json!({"sessionId": id, "prompt": "x"});
    let error = rpc.refused("session/startTurn", &turn, 409, "SESSION_RUNNING");
    assert!(error["data"]["state"].as_str().unwrap().starts_with("SESSION_STATE_"), "{error}");
    std::fs::write(&gate, "").unwrap();
    rpc.rest(&id);

    let update =
        json!({"sessionId": id, "session": {"title": "t"}, "updateMask": "title", "etag": "x"});
    let error = rpc.refused("session/update", &update, 412, "ETAG_MISMATCH");
    let etag = rpc.ok("session/get", &json!({"sessionId": id}))["session"]["etag"].clone();
    assert_eq!(error["data"]["etag"], etag);

    let beyond = json!({"sessionId": id, "afterSeq": "1000"});
    rpc.refused("events/list", &beyond, -32602, "INVALID_ARGUMENT");
    let nowhere = json!({"session": {"workingDirectory": "/nonexistent"}});
    let error = rpc.refused("session/create", &nowhere, -32602, "WORKING_DIRECTORY_INVALID");
    assert_eq!(error["data"]["metadata"]["working_directory"], "/nonexistent");
}

#[test]
fn whoever_writes_locked_defaults_is_told_what_they_are_whole_and_as_json() {
    let server = ledger::setup().config("[controls]\nlock_defaults = true\n").start();
    let rpc = Rpc::new(&server);
    let write = json!({"scope": "SCOPE_DEFAULT", "settings": {"a": 1}});
    let error = rpc.refused("settings/update", &write, 423, "DEFAULTS_LOCKED");
    let current = &error["data"]["current"];
    let controls = rpc.ok("controls/get", &json!({}));
    assert_eq!(current["controls"], controls["defaults"]["controls"]);
    assert_eq!(current["settings"], json!({}));
    assert!(error["message"].as_str().unwrap().contains("lock_defaults"), "{error}");
}

#[test]
fn an_agent_that_is_not_there_says_when_to_come_back() {
    let server = Setup::new().arg("--codex").arg("/nonexistent/codex").start();
    let params = json!({"session": {"workingDirectory": server.work()}, "prompt": "x"});
    let error = Rpc::new(&server).refused("session/create", &params, 503, "AGENT_UNAVAILABLE");
    assert_eq!(error["data"]["retryAfter"], "1s");
}

#[test]
fn hostile_parameters_are_refused_by_what_is_wrong_with_them() {
    let server = ledger::setup().start();
    let rpc = Rpc::new(&server);
    let deep = format!("{{\"settings\":{{\"a\":{}1{}}}}}", "[".repeat(200), "]".repeat(200));
    let digits = "9".repeat(5_000);
    let long = format!(r#"{{"scope":"SCOPE_DEFAULT","key":"k","value":{digits}}}"#);
    for (params, wanted) in [
        (r#"{"scope":"SCOPE_DEFAULT","settings":{"a":1,"a":2}}"#, "twice"),
        (r#"{"scope":"SCOPE_DEFAULT","settings":{"a":"\ud800"}}"#, "surrogate"),
        (&deep, "deep"),
        (r#"{"scope":"SCOPE_DEFAULT","settings":{"a":[1,1e999]}}"#, "settings: the value at /a/1"),
        (&long, "value: the value is a number that not every program can read"),
        (r#"{"scope":"SCOPE_DEFAULT","settings":{"a":1},"nope":1}"#, "no such field"),
        (r#"{"settings_json":"{}"}"#, "settings_json: UpdateSettingsRequest has no such field"),
        (r#"["SCOPE_DEFAULT"]"#, "by their names"),
        (r#""SCOPE_DEFAULT""#, "by their names"),
        (r#"{"scope":"NOPE","settings":{}}"#, "expected one of"),
    ] {
        let text =
            format!(r#"{{"jsonrpc":"2.0","id":"x","method":"settings/update","params":{params}}}"#);
        let answer = rpc.send(&text);
        let error = &answer["error"];
        assert_eq!((&answer["id"], &error["code"]), (&json!("x"), &json!(-32602)), "{answer}");
        assert_eq!(error["data"]["reason"], "INVALID_ARGUMENT", "{answer}");
        assert!(error["message"].as_str().unwrap().contains(wanted), "{wanted}: {answer}");
    }
    assert_eq!(rpc.ok("audit/verify", &json!({}))["entries"], Value::Null, "nothing was written");
}

#[test]
fn what_is_refused_before_it_is_read_has_the_status_of_the_table() {
    let server = ledger::setup().config("[json_rpc]\nmax_message_size = \"1MiB\"\n").start();
    let rpc = Rpc::new(&server);
    let refused = |answer: &crate::raw::Answer, status: u16, reason: &str| {
        let body = json_of(answer);
        assert_eq!((answer.status, &body["id"]), (status, &Value::Null), "{body}");
        assert_eq!(body["error"]["data"]["reason"], reason, "{body}");
    };
    let call = br#"{"jsonrpc":"2.0","id":1,"method":"server/info"}"#;
    let nobody = Rpc { authorization: "Bearer x".to_owned(), ..rpc.clone() };
    refused(&nobody.post(&[JSON], call), 401, "UNAUTHENTICATED");
    let origin = ("origin", "https://evil.example");
    refused(&rpc.post(&[JSON, origin], call), 403, "PERMISSION_DENIED");
    refused(&rpc.post(&[], call), 415, "UNSUPPORTED_MEDIA_TYPE");
    refused(&rpc.post(&[("content-type", "text/plain")], call), 415, "UNSUPPORTED_MEDIA_TYPE");
    let packed = [JSON, ("content-encoding", "gzip")];
    refused(&rpc.post(&packed, call), 415, "UNSUPPORTED_MEDIA_TYPE");
    for charset in ["utf-16", "\"latin1\""] {
        let media = format!("application/json; charset={charset}");
        let answer = rpc.post(&[("content-type", &media)], call);
        refused(&answer, 415, "UNSUPPORTED_MEDIA_TYPE");
    }
    let large = rpc.post(&[JSON], &vec![b' '; (1 << 20) + 1]);
    refused(&large, 413, "PAYLOAD_TOO_LARGE");
    let address = server.tcp();
    let authorization = [("authorization", rpc.authorization.as_str())];
    for line in ["GET /rpc", "PUT /rpc", "DELETE /rpc"] {
        let answer = crate::raw::request(address, line, &authorization, b"");
        refused(&answer, 405, "METHOD_NOT_ALLOWED");
        assert_eq!(answer.header("allow"), Some("POST, GET"));
        assert_eq!(json_of(&answer)["error"]["data"]["metadata"]["allow"], "POST, GET");
    }
    let (status, _) = super::Socket::request(address, &[("authorization", "Bearer x")]);
    assert_eq!(status, 401);
    for media in [
        "application/json; charset=utf-8",
        "Application/JSON;x=y;Charset=\"UTF-8\"",
        "application/json-rpc",
    ] {
        assert_eq!(rpc.post(&[("content-type", media)], call).status, 200, "{media}");
    }
}

#[test]
fn one_call_may_have_no_more_than_its_method_allows() {
    let server = ledger::setup().start();
    let rpc = Rpc::new(&server);
    let params = json!({"sessionId": "x".repeat(1 << 20)});
    let error = rpc.refused("session/get", &params, 413, "PAYLOAD_TOO_LARGE");
    assert_eq!(error["data"]["limit"], (1 << 20).to_string());
    // A prompt has a bound of its own.
    let params =
        json!({"session": {"workingDirectory": server.work()}, "prompt": "x".repeat(2 << 20)});
    let error = rpc.refused("session/create", &params, 413, "PAYLOAD_TOO_LARGE");
    assert_eq!(error["data"]["metadata"]["unit"], "characters");
}
