//! Requests: bodies, queries, headers, and what is said twice.

use serde_json::{Value, json};

use super::{JSON, Rest, json_of};
use crate::ledger;

/// What is said of a request that is refused.
fn refused(rest: &Rest, line: &str, headers: &[(&str, &str)], body: &[u8]) -> String {
    let answer = rest.send(line, headers, body);
    let error = json_of(&answer)["error"].clone();
    assert_eq!((answer.status, &error["reason"]), (400, &json!("INVALID_ARGUMENT")), "{error}");
    error["message"].as_str().unwrap().to_owned()
}

#[test]
fn hostile_bodies_are_refused_with_what_is_wrong() {
    let server = ledger::setup().start();
    let rest = Rest::new(&server);
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let cases: [(&[u8], &str); 12] = [
        (b"{", "body: not valid JSON: line 1, column 2"),
        (b"nul", "body: not valid JSON: line 1, column 1"),
        (b"[]", "body: expected an object of CreateSessionRequest, found an array"),
        (b"\"\xff\"", "body: invalid utf-8"),
        (b"{\"prompt\":\"a\",\"prompt\":\"b\"}", "body: the key \"prompt\" is twice"),
        (b"{\"prompt\":\"\\ud800\"}", "body: half of a surrogate pair"),
        (deep.as_bytes(), "body: nested too deep"),
        (b"{\"prompt\":1}", "prompt: expected a string, found 1"),
        (
            b"{\"session\":{\"labels\":{\"a\":[]}}}",
            "session.labels[a]: expected a string, found an array",
        ),
        (
            b"{\"session\":{\"networkAccess\":\"X\"}}",
            "session.network_access: expected one of NETWORK_ACCESS_",
        ),
        (b"{\"session\":{\"nope\":1}}", "session.nope: Session has no such field"),
        (b"{\"requestId\":\"a\",\"request_id\":\"a\"}", "request_id: is given twice"),
    ];
    for (body, expected) in cases {
        let said = refused(&rest, "POST /v1/sessions", &[JSON], body);
        assert!(said.starts_with(expected), "{said}");
    }
    assert_eq!(rest.ok("GET /v1/sessions", &Value::Null), json!({}), "none was created");
}

#[test]
fn a_body_is_json_and_says_so_and_has_its_bounds() {
    let server = ledger::setup().start();
    let rest = Rest::new(&server);
    let send = |headers: &[(&str, &str)], body: &[u8]| {
        let answer = rest.send("POST /v1/cleanup", headers, body);
        (answer.status, json_of(&answer)["error"]["reason"].as_str().map(str::to_owned))
    };
    let unsupported = (415, Some("UNSUPPORTED_MEDIA_TYPE".to_owned()));
    assert_eq!(send(&[], b"{}"), unsupported);
    assert_eq!(send(&[("content-type", "text/plain")], b"{}"), unsupported);
    assert_eq!(send(&[JSON, ("content-encoding", "gzip")], b"{}"), unsupported);
    assert_eq!(send(&[("content-type", "Application/JSON; charset=utf-8")], b"{}"), (200, None));
    assert_eq!(send(&[], b""), (200, None), "nothing is an empty object");
    let large = format!("{{\"requestId\":\"{}\"}}", "x".repeat(1 << 20));
    assert_eq!(send(&[JSON], large.as_bytes()), (413, Some("PAYLOAD_TOO_LARGE".to_owned())));
    let unknown = br#"{"settings_json":"{}"}"#;
    let said = refused(&rest, "PATCH /v1/defaults/settings", &[JSON], unknown);
    assert_eq!(said, "settings_json: UpdateSettingsRequest has no such field");
    let said = refused(&rest, "GET /v1/sessions", &[JSON], b"{}");
    assert_eq!(said, "body: GET takes none: use the query");
}

#[test]
fn a_large_prompt_passes_however_it_is_escaped() {
    let server = ledger::setup().start();
    let rest = Rest::new(&server);
    let id = rest.ok("POST /v1/sessions", &json!({"session": {"workingDirectory": server.work()}}));
    let path = format!("POST /v1/sessions/{}/turns", id["session"]["sessionId"].as_str().unwrap());
    // One megabyte of characters that take six bytes each.
    let prompt = format!(
        "{{\"prompt\":\"FAKE_AGENT=thread,turn,completed\\n{}\"}}",
        "\\u00e9".repeat(1_000_000)
    );
    let answer = rest.send(&path, &[JSON], prompt.as_bytes());
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
    // What no agent takes is refused as such, and what nobody reads before.
    let long = format!("{{\"prompt\":\"{}\"}}", "x".repeat(4 << 20));
    assert_eq!(rest.send(&path, &[JSON], long.as_bytes()).status, 413);
    let longer = format!("{{\"prompt\":\"{}\"}}", "x".repeat(26 << 20));
    assert_eq!(rest.send(&path, &[JSON], longer.as_bytes()).status, 413);
}

#[test]
fn a_query_selects_and_what_it_does_not_know_is_refused() {
    let server = ledger::setup().start();
    let rest = Rest::new(&server);
    for team in ["red", "blue"] {
        let session = json!({"workingDirectory": server.work(), "labels": {"team": team}});
        rest.ok("POST /v1/sessions", &json!({"session": session}));
    }
    let count = |query: &str| {
        let listed = rest.ok(&format!("GET /v1/sessions?{query}"), &Value::Null);
        listed["sessions"].as_array().map_or(0, Vec::len)
    };
    assert_eq!(count("labels[team]=red"), 1);
    assert_eq!(count("states=SESSION_STATE_PENDING&states=SESSION_STATE_RUNNING"), 2);
    assert_eq!(count("states=SESSION_STATE_RUNNING"), 0);
    assert_eq!(count("createdAfter=2020-01-01T00:00:00%2B01:00&page_size=1"), 1);
    assert_eq!(count("createdBefore=2020-01-01T00:00:00Z"), 0);
    let said = refused(&rest, "GET /v1/sessions?nope=1", &[], b"");
    assert_eq!(said, "nope: ListSessionsRequest has no such field");
    let said = refused(&rest, "GET /v1/sessions?pageSize=-1", &[], b"");
    assert_eq!(said, "page_size: expected a whole number from 0 to 4294967295, found \"-1\"");
}

#[test]
fn an_etag_guards_a_write_and_a_key_makes_it_happen_once() {
    let server = ledger::setup().start();
    let rest = Rest::new(&server);
    let body = json!({"session": {"workingDirectory": server.work()}}).to_string();
    let create = |key: &str| {
        rest.send("POST /v1/sessions", &[JSON, ("idempotency-key", key)], body.as_bytes())
    };
    let first = create("\"a\"");
    assert_eq!(create("a").body, first.body, "with quotes or without, it is the same key");
    assert_ne!(create("b").body, first.body);
    let other = json!({"session": {"workingDirectory": "/"}, "requestId": "a"});
    let (status, conflict) = rest.call("POST /v1/sessions", &other);
    assert_eq!((status, &conflict["error"]["reason"]), (409, &json!("IDEMPOTENCY_CONFLICT")));

    let id = json_of(&first)["session"]["sessionId"].as_str().unwrap().to_owned();
    let path = format!("/v1/sessions/{id}");
    let seen = rest.send(&format!("GET {path}"), &[], b"").header("etag").unwrap().to_owned();
    assert_eq!(first.header("etag"), Some(seen.as_str()));
    let patch = |title: &str, etag: &str| {
        let body = json!({"session": {"title": title}}).to_string();
        rest.send(&format!("PATCH {path}"), &[JSON, ("if-match", etag)], body.as_bytes())
    };
    let changed = patch("one", &seen);
    assert_eq!(
        (changed.status, json_of(&changed)["session"]["title"].as_str()),
        (200, Some("one"))
    );
    assert_ne!(changed.header("etag"), Some(seen.as_str()));
    assert_eq!(patch("two", &seen).status, 412);
    assert_eq!(patch("two", "*").status, 200);
    let said = refused(&rest, &format!("POST {path}/kill"), &[("if-match", "\"1\"")], b"");
    assert_eq!(said, "if-match: KillSessionRequest has no etag");
    let twice = json!({"session": {"title": "x"}, "etag": "1"}).to_string();
    let said =
        refused(&rest, &format!("PATCH {path}"), &[JSON, ("if-match", "\"2\"")], twice.as_bytes());
    assert_eq!(said, "etag: the body says another value than the path, query or headers");
}

#[test]
fn an_update_without_a_mask_changes_what_its_body_names() {
    let server = ledger::setup().start();
    let rest = Rest::new(&server);
    let session = json!({"workingDirectory": server.work(), "title": "t", "labels": {"a": "b"}});
    let created = rest.ok("POST /v1/sessions", &json!({"session": session}));
    let path = format!("PATCH /v1/sessions/{}", created["session"]["sessionId"].as_str().unwrap());
    let archived = rest.ok(&path, &json!({"session": {"archived": true}}))["session"].clone();
    assert_eq!((&archived["archived"], &archived["title"]), (&json!(true), &json!("t")));
    let masked = json!({"session": {"title": "no", "labels": {}}, "updateMask": "labels"});
    let masked = rest.ok(&path, &masked)["session"].clone();
    assert_eq!((masked.get("labels"), &masked["title"]), (None, &json!("t")));
    let emptied = rest.ok(&path, &json!({"session": {"title": null, "archived": false}}));
    assert_eq!((emptied["session"].get("title"), emptied["session"].get("archived")), (None, None));
    for (body, expected) in [
        (json!({}), "update_mask: is empty"),
        (
            json!({"session": {"state": "SESSION_STATE_KILLED"}}),
            "update_mask: \"state\" cannot be changed",
        ),
        (json!({"session": {}, "sessionId": "x"}), "session_id: the body says another value"),
    ] {
        let said = refused(&rest, &path, &[JSON], body.to_string().as_bytes());
        assert!(said.starts_with(expected), "{said}");
    }
}

#[test]
fn the_output_of_a_turn_comes_as_it_is() {
    let server = ledger::setup().start();
    let rest = Rest::new(&server);
    let id = rest.create(&server, "thread,turn,long:700000,completed,stderr:oops");
    rest.rest(&id);
    let read = |query: &str| {
        let answer = rest.send(&format!("GET /v1/sessions/{id}/output{query}"), &[], b"");
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.header("content-type"), Some("application/octet-stream"));
        let size = answer.header("switchboard-total-size").unwrap().parse::<usize>().unwrap();
        (answer.whole_body(), size)
    };
    let written = std::fs::read(ledger::turn_files(&server, &id, 1).stdout()).unwrap();
    assert_eq!(read(""), (written.clone(), written.len()));
    assert_eq!(read("?turn=1&offset=5&length=10"), (written[5..15].to_vec(), written.len()));
    assert_eq!(read(&format!("?offset={}", written.len())).0, b"");
    assert_eq!(read("?stream=OUTPUT_STREAM_STDERR").0, b"oops\n");
    let beyond = format!("GET /v1/sessions/{id}/output?offset={}", written.len() + 1);
    assert!(refused(&rest, &beyond, &[], b"").starts_with("offset: "));
}
