//! Errors have one form, whatever they are of.

use serde_json::{Value, json};

use super::{JSON, Rest, json_of};
use crate::{harness::Setup, ledger, raw::Answer};

/// Checks the form of an error, and returns what is in it.
fn error(answer: &Answer, status: u16, reason: &str) -> Value {
    assert_eq!(answer.status, status, "{answer:?}");
    let body = json_of(answer);
    let error = &body["error"];
    assert_eq!((&error["code"], &error["reason"]), (&json!(status), &json!(reason)), "{body}");
    assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()), "{body}");
    assert!(error["metadata"].is_object(), "{body}");
    assert_eq!(body.as_object().unwrap().len(), 1);
    error.clone()
}

#[test]
fn each_class_of_error_has_its_status_and_its_reason() {
    let server = ledger::setup().start();
    let rest = Rest::new(&server);
    let get = |line: &str| rest.send(line, &[], b"");
    let unknown = "00000000-0000-4000-8000-000000000000";
    let found = error(&get(&format!("GET /v1/sessions/{unknown}")), 404, "SESSION_NOT_FOUND");
    assert_eq!(found["metadata"]["session_id"], unknown);
    error(&get("GET /v1/sessions/x"), 400, "INVALID_ARGUMENT");

    let id = rest.create(&server, "thread,turn,sleep");
    let path = format!("/v1/sessions/{id}");
    let busy = rest.send(&format!("POST {path}/turns"), &[JSON], br#"{"prompt":"x"}"#);
    error(&busy, 409, "SESSION_RUNNING");
    let killed = rest.ok(&format!("POST {path}/kill"), &Value::Null);
    assert_eq!(killed["session"]["sessionId"], json!(id));
    assert_eq!(rest.rest(&id)["state"], "SESSION_STATE_KILLED");
    error(&get(&format!("POST {path}/interrupt")), 409, "NO_ACTIVE_TURN");
    error(&get(&format!("GET {path}/output?turn=9")), 404, "TURN_NOT_FOUND");

    let deleted = rest.ok(&format!("DELETE {path}"), &Value::Null);
    assert_eq!(deleted["session"]["sessionId"], json!(id));
    let gone = error(&get(&format!("GET {path}")), 410, "SESSION_DELETED");
    assert_eq!(gone["metadata"]["session_id"], json!(id));
}

#[test]
fn an_agent_that_is_not_there_says_when_to_come_back() {
    let server = Setup::new().arg("--codex").arg("/nonexistent/codex").start();
    let rest = Rest::new(&server);
    let body = json!({"session": {"workingDirectory": server.work()}, "prompt": "x"});
    let answer = rest.send("POST /v1/sessions", &[JSON], body.to_string().as_bytes());
    error(&answer, 503, "AGENT_UNAVAILABLE");
    assert_eq!(answer.header("retry-after"), Some("1"));
}

#[test]
fn nothing_is_anywhere_else_and_a_place_names_its_methods() {
    let server = ledger::setup().start();
    let rest = Rest::new(&server);
    for path in ["/v1", "/v1/", "/v1/nope", "/v1/sessions/", "/v1/sessions/a/b/c", "/v1/%00"] {
        let error = error(&rest.send(&format!("GET {path}"), &[], b""), 404, "NOT_FOUND");
        assert_eq!(error["metadata"]["path"], path);
    }
    let allowed = |line: &str| {
        let answer = rest.send(line, &[], b"");
        error(&answer, 405, "METHOD_NOT_ALLOWED");
        answer.header("allow").unwrap().to_owned()
    };
    assert_eq!(allowed("PUT /v1/sessions"), "GET, HEAD, POST");
    assert_eq!(allowed("POST /v1/sessions/x"), "DELETE, GET, HEAD, PATCH");
    assert_eq!(allowed("GET /v1/cleanup"), "POST");
    assert_eq!(allowed("BREW /v1/openapi.json"), "GET, HEAD");
    let head = rest.send("HEAD /v1/server", &[], b"");
    assert_eq!((head.status, head.body.len()), (200, 0));
}

#[test]
fn the_bound_of_events_that_is_told_is_that_of_this_transport() {
    let server = ledger::setup().start();
    let rest = Rest::new(&server);
    let stream = [("accept", "text/event-stream")];
    let answer = rest.send("GET /v1/events?maxEventBytes=1", &stream, b"");
    let error = error(&answer, 400, "INVALID_ARGUMENT");
    assert!(error["message"].as_str().unwrap().ends_with("0 for 524288"), "{error}");
}

#[test]
fn who_is_not_let_in_is_told_in_the_same_form() {
    let server = ledger::setup().start();
    let rest = Rest::new(&server);
    let nobody = Rest { authorization: "Bearer x".to_owned(), ..rest.clone() };
    for path in ["/v1/sessions", "/v1/openapi.json", "/v1/nope"] {
        let answer = nobody.send(&format!("GET {path}"), &[], b"");
        error(&answer, 401, "UNAUTHENTICATED");
        assert!(answer.header("www-authenticate").is_some());
    }
    let page = rest.send("GET /v1/sessions", &[("origin", "https://evil.example")], b"");
    error(&page, 403, "PERMISSION_DENIED");
    let misled = rest.send("GET /v1/sessions", &[("host", "evil.example")], b"");
    let error = error(&misled, 421, "MISDIRECTED_REQUEST");
    assert_eq!(error["metadata"]["host"], "evil.example");
}

#[test]
fn options_are_asked_like_anything_else_unless_a_browser_asks_beforehand() {
    let server = Setup::new().config("allowed_origins = [\"https://board.example\"]\n").start();
    let rest = Rest::new(&server);
    let nobody = Rest { authorization: String::new(), ..rest.clone() };
    for path in ["/api/nothing", "/v1/sessions", "/healthz", "/nothing"] {
        let line = format!("OPTIONS {path}");
        let open = if path == "/healthz" { 405 } else { 401 };
        assert_eq!(nobody.send(&line, &[], b"").status, open, "{path}");
        for half in [("origin", "https://board.example"), ("access-control-request-method", "GET")]
        {
            assert_eq!(nobody.send(&line, &[half], b"").status, open, "{path} {half:?}");
        }
        let both = [("origin", "https://board.example"), ("access-control-request-method", "GET")];
        let answer = nobody.send(&line, &both, b"");
        assert_eq!(answer.status, 200, "{path}");
        assert_eq!(answer.header("access-control-allow-origin"), Some("https://board.example"));
    }
    let answer = rest.send("OPTIONS /v1/sessions", &[], b"");
    error(&answer, 405, "METHOD_NOT_ALLOWED");
    assert_eq!(answer.header("allow"), Some("GET, HEAD, POST"));
    let answer = rest.send("OPTIONS /api/nothing", &[], b"");
    assert_eq!((answer.status, &json_of_api(&answer)["statusCode"]), (404, &json!(404)));
}

fn json_of_api(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.body).unwrap_or_else(|_| panic!("{answer:?}"))
}

#[test]
fn a_path_that_cannot_be_decoded_is_refused() {
    let server = ledger::setup().start();
    let rest = Rest::new(&server);
    let body = json!({"session": {"workingDirectory": server.work()}});
    let created = rest.ok("POST /v1/sessions", &body);
    let settings =
        format!("/v1/sessions/{}/settings", created["session"]["sessionId"].as_str().unwrap());
    for path in [&format!("{settings}/a%zz"), &format!("{settings}/a%"), "/v1/a%f", "/v1/%ff"] {
        let answer = rest.send(&format!("PUT {path}"), &[JSON], br#"{"value":1}"#);
        assert_eq!(error(&answer, 400, "INVALID_ARGUMENT")["metadata"]["field"], "path");
    }
    assert_eq!(rest.ok(&format!("GET {settings}"), &Value::Null)["settings"], json!({}));
}
