//! Settings, controls and their audit.

use serde_json::{Value, json};

use super::{Event, JSON, Rest, json_of, names};
use crate::{harness::Server, ledger};

fn session(server: &Server, rest: &Rest) -> String {
    let body = json!({"session": {"workingDirectory": server.work()}});
    let created = rest.ok("POST /v1/sessions", &body);
    created["session"]["sessionId"].as_str().unwrap().to_owned()
}

#[test]
fn settings_are_json_and_come_back_to_the_digit() {
    let server = ledger::setup().start();
    let rest = Rest::new(&server);
    let path = format!("/v1/sessions/{}/settings", session(&server, &rest));
    // As text, because a parser would round the numbers.
    let sent = r#"{"big":9007199254740993,"huge":1e300,"exact":1.0,"none":null,"s":"é\n"}"#;
    let body = format!("{{\"settings\":{sent}}}");
    let patched = rest.send(&format!("PATCH {path}"), &[JSON], body.as_bytes());
    assert_eq!(patched.status, 200, "{patched:?}");
    let read = rest.send(&format!("GET {path}"), &[], b"");
    let text = String::from_utf8(read.body.clone()).unwrap();
    for number in ["\"big\":9007199254740993", "\"huge\":1e300", "\"exact\":1.0", "\"none\":null"] {
        assert!(text.contains(number), "{number} in {text}");
    }
    assert_eq!(read.header("etag"), patched.header("etag"));
    let rest_of_it = json!({"settings": {"none": null, "n": 1.5}, "mode": "UPDATE_MODE_REPLACE"});
    rest.ok(&format!("PATCH {path}"), &rest_of_it);

    let one = rest.ok(&format!("GET {path}/none"), &Value::Null);
    assert_eq!((&one["found"], one.get("value")), (&json!(true), Some(&Value::Null)));
    let missing = rest.ok(&format!("GET {path}?key=nope"), &Value::Null);
    assert_eq!((missing.get("found"), missing.get("value")), (None, None));

    let put = rest.ok(&format!("PUT {path}/a%2Fb%20c"), &json!({"value": {"deep": [1]}}));
    assert_eq!((&put["key"], &put["settings"]["a/b c"]), (&json!("a/b c"), &json!({"deep": [1]})));
    let again = rest.ok(&format!("PUT {path}/a%2Fb%20c"), &json!({"value": {"deep": [1.0]}}));
    assert_eq!(again["outcome"], "OUTCOME_UNCHANGED", "1.0 is 1");
    let gone = rest.ok(&format!("DELETE {path}/a%2Fb%20c?actor=me"), &Value::Null);
    assert_eq!((&gone["removed"], gone["settings"].get("a/b c")), (&json!(true), None));
    let emptied = json!({"settings": {}, "mode": "UPDATE_MODE_REPLACE"});
    assert_eq!(rest.ok(&format!("PATCH {path}"), &emptied)["settings"], json!({}));
}

#[test]
fn hostile_settings_are_refused_and_large_ones_are_not() {
    let server = ledger::setup().start();
    let rest = Rest::new(&server);
    let path = format!("PUT /v1/sessions/{}/settings/k", session(&server, &rest));
    let send = |value: &str| {
        let answer = rest.send(&path, &[JSON], format!("{{\"value\":{value}}}").as_bytes());
        let body = json_of(&answer);
        (answer.status, body["error"]["message"].as_str().unwrap_or_default().to_owned())
    };
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert_eq!(send(&nested(64)).0, 200);
    assert_eq!(send(&nested(65)).0, 400);
    let (status, said) = send(&format!("[{}]", "9".repeat(5_000)));
    assert!(status == 400 && said.starts_with("value: the value at /0 is a number"), "{said}");
    let (status, said) = send(r#"{"a":1,"\u0061":2}"#);
    assert!(
        status == 400 && said.contains("the key \"a\" is twice in the object at /value"),
        "{said}"
    );
    assert_eq!(send(&format!("\"{}\"", "x".repeat((1 << 20) - 100))).0, 200);
    assert_eq!(send(&format!("\"{}\"", "x".repeat(1 << 20))).0, 413);
}

#[test]
fn the_place_says_the_scope_and_an_etag_guards_a_write() {
    let server = ledger::setup().start();
    let rest = Rest::new(&server);
    let id = session(&server, &rest);
    let controls = json!({
        "approvalPolicy": "APPROVAL_POLICY_NEVER",
        "networkAccess": "NETWORK_ACCESS_ENABLED",
        "filesystemSandbox": "FILESYSTEM_SANDBOX_WORKSPACE_WRITE",
    });
    let body = json!({"controls": controls, "settings": {"team": "web"}}).to_string();
    let defaults = rest.send("PUT /v1/defaults/controls", &[JSON], body.as_bytes());
    assert_eq!(defaults.status, 200, "{defaults:?}");
    let applied = json_of(&defaults);
    assert_eq!(
        (&applied["scope"], &applied["applied"]["controls"]),
        (&json!("SCOPE_DEFAULT"), &controls)
    );
    let read = rest.send("GET /v1/defaults/controls", &[], b"");
    assert_eq!(read.header("etag"), defaults.header("etag"));
    assert_eq!(
        rest.ok("GET /v1/defaults/settings", &Value::Null)["settings"],
        json!({"team": "web"})
    );

    let path = format!("/v1/sessions/{id}/controls");
    let seen = rest.send(&format!("GET {path}"), &[], b"");
    assert_eq!(json_of(&seen)["session"]["settings"], json!({}), "it was made before");
    let etag = seen.header("etag").unwrap().to_owned();
    let put = |etag: &str| {
        rest.send(&format!("PUT {path}"), &[JSON, ("if-match", etag)], body.as_bytes()).status
    };
    assert_eq!((put(&etag), put(&etag)), (200, 412));
    let other = json!({"scope": "SCOPE_DEFAULT", "settings": {}});
    let (status, said) = rest.call(&format!("PATCH /v1/sessions/{id}/settings"), &other);
    assert_eq!(status, 400, "{said}");
    assert!(said["error"]["message"].as_str().unwrap().starts_with("scope: the body says another"));
}

#[test]
fn the_audit_is_listed_followed_and_verified() {
    let server = ledger::setup().start();
    let rest = Rest::new(&server);
    let id = session(&server, &rest);
    let path = format!("/v1/sessions/{id}/settings");
    for number in 1..=3 {
        rest.ok(&format!("PUT {path}/k"), &json!({"value": number, "actor": format!("a{number}")}));
    }
    let listed = rest.ok("GET /v1/audit?filter.actor=a2", &Value::Null);
    let entries = listed["entries"].as_array().unwrap();
    assert_eq!(entries.len(), 1, "{listed}");
    assert_eq!(entries[0]["settings"], json!([{"key": "k", "previous": 1, "value": 2}]));
    assert_eq!(entries[0]["transport"], "rest");

    let mut stream = rest.stream("/v1/audit?afterSeq=0", &[]);
    let all = stream.until("synced");
    assert_eq!(names(&all), ["entry", "entry", "entry", "synced"]);
    drop(stream);
    let second = all[1].id.clone().unwrap();
    let mut stream = rest.stream("/v1/audit?afterSeq=0", &[("last-event-id", &second)]);
    assert_eq!(stream.until("synced")[..1], all[2..3]);
    rest.ok(&format!("DELETE {path}/k"), &Value::Null);
    assert_eq!(
        stream.until("entry").last().unwrap().data["settings"],
        json!([{"key": "k", "previous": 3}])
    );

    let last: &Event = &all[2];
    let known = format!(
        "knownSeq={}&knownHash={}",
        last.data["seq"].as_str().unwrap(),
        last.data["hash"].as_str().unwrap()
    );
    let verified = rest.ok(&format!("GET /v1/audit/verify?{known}"), &Value::Null);
    assert_eq!((&verified["valid"], &verified["entries"]), (&json!(true), &json!("4")));
    let state = rest.ok(&format!("GET /v1/audit/state?sessionId={id}&atSeq=2"), &Value::Null);
    assert_eq!(state["state"]["settings"], json!({"k": 2}));
}

#[test]
fn a_change_of_settings_comes_in_the_sessions_stream() {
    let server = ledger::setup().start();
    let rest = Rest::new(&server);
    let id = session(&server, &rest);
    let mut stream = rest.stream(&format!("/v1/sessions/{id}/events"), &[]);
    stream.until("synced");
    rest.ok(&format!("PUT /v1/sessions/{id}/settings/k"), &json!({"value": {"a": null}}));
    let told = stream.until("settings_changed");
    let entry = told.last().unwrap().data["settingsChanged"].to_string();
    assert!(entry.contains(r#""value":{"a":null}"#), "{entry}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_here_is_what_grpc_reads() {
    let server = ledger::setup().start();
    let rest = Rest::new(&server);
    let id = session(&server, &rest);
    rest.ok(&format!("PUT /v1/sessions/{id}/settings/k"), &json!({"value": 1.50}));
    let request = switchboard::proto::GetControlsRequest { session_id: id.clone() };
    let mut controls = server.connect().await.controls;
    let read = controls.get_controls(request).await.unwrap().into_inner();
    let read = read.session.unwrap();
    assert_eq!(read.settings_json, r#"{"k":1.5}"#);
    let told = rest.send(&format!("GET /v1/sessions/{id}/controls"), &[], b"");
    assert_eq!(told.header("etag"), Some(format!("\"{}\"", read.etag).as_str()));
}

#[test]
fn the_session_is_looked_for_before_what_is_wrong_with_the_write() {
    let server = ledger::setup().start();
    let rest = Rest::new(&server);
    let id = session(&server, &rest);
    let unknown = "00000000-0000-4000-8000-000000000000";
    for (id, status) in [(unknown, 404), (id.as_str(), 410)] {
        if status == 410 {
            rest.ok(&format!("DELETE /v1/sessions/{id}"), &Value::Null);
        }
        let path = format!("/v1/sessions/{id}");
        for (line, body) in [
            (format!("PUT {path}/settings/k"), json!({})),
            (format!("PATCH {path}/settings"), json!({"settings": []})),
            (format!("PUT {path}/controls"), json!({})),
            (format!("GET {path}/settings/%20"), Value::Null),
            (format!("DELETE {path}/settings/k?actor=%20"), Value::Null),
        ] {
            assert_eq!(rest.call(&line, &body).0, status, "{line}");
        }
    }
}

#[test]
fn an_empty_etag_is_one_that_nothing_has() {
    let server = ledger::setup().start();
    let rest = Rest::new(&server);
    let path = format!("/v1/sessions/{}/settings", session(&server, &rest));
    let put = |etag: &str| {
        let headers = [JSON, ("if-match", etag)];
        rest.send(&format!("PUT {path}/k"), &headers, br#"{"value":1}"#).status
    };
    for etag in ["\"\"", "W/\"\"", ""] {
        assert_eq!(put(etag), 412, "{etag:?}");
    }
    assert_eq!((put("\"a\", \"b\""), put("*")), (400, 200));
}

#[test]
fn what_is_wrong_is_told_in_the_names_and_words_of_json() {
    let server = ledger::setup().start();
    let rest = Rest::new(&server);
    let path = format!("/v1/sessions/{}/settings", session(&server, &rest));
    let refused = |line: &str, body: &Value| {
        let (status, answer) = rest.call(line, body);
        assert_eq!(status, 400, "{answer}");
        let message = answer["error"]["message"].as_str().unwrap().to_owned();
        assert!(!message.contains("_json") && !message.contains("the text"), "{message}");
        (answer["error"]["metadata"]["field"].as_str().unwrap().to_owned(), message)
    };
    let (field, message) = refused(&format!("PUT {path}/k"), &json!({}));
    assert_eq!(field, "value");
    assert!(message.starts_with("value: is missing"), "{message}");
    assert_eq!(refused(&format!("PATCH {path}"), &json!({})).0, "settings");
    assert_eq!(refused(&format!("PATCH {path}"), &json!({"value": 1})).0, "key");
    assert_eq!(refused(&format!("PATCH {path}"), &json!({"settings": []})).0, "settings");
    assert_eq!(refused(&format!("PUT {path}/k"), &json!({"settings": {}})).0, "settings");
}

#[test]
fn a_number_of_an_enumeration_is_the_value_that_it_stands_for() {
    let server = ledger::setup().start();
    let rest = Rest::new(&server);
    let path = format!("PUT /v1/sessions/{}/settings/k", session(&server, &rest));
    assert_eq!(rest.ok(&path, &json!({"value": 1, "scope": 1}))["scope"], "SCOPE_SESSION");
    let message = |scope: Value| {
        let (status, answer) = rest.call(&path, &json!({"value": 1, "scope": scope}));
        assert_eq!(status, 400, "{answer}");
        answer["error"]["message"].as_str().unwrap().to_owned()
    };
    for other in [json!(2), json!("SCOPE_DEFAULT")] {
        assert!(message(other).starts_with("scope: the body says another value"));
    }
    for none in [json!(9), json!("x"), json!([])] {
        assert!(message(none).starts_with("scope: expected one of SCOPE_UNSPECIFIED"));
    }
}
