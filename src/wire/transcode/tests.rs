use proptest::prelude::*;

use super::*;
use crate::{json::Json, proto, wire::schema::schema};

/// What a message reads as, or why it is refused.
fn read_as<M: serde::de::DeserializeOwned>(name: &str, json: &str) -> Result<M, String> {
    let json = Json::parse(json).unwrap();
    read(schema().message(name), json).map_err(|error| error.to_string())
}

#[test]
fn a_lock_that_is_allowed_is_so_however_it_is_escaped() {
    let lock = "\u{1}".repeat(lock::MAX_BYTES);
    let request = Json::object([("configLock", Json::String(lock))]).to_string();
    assert!(request.len() <= most_bytes(schema().message("VerifyConfigLockRequest")));
}

#[test]
fn what_the_proto3_mapping_takes_is_taken() {
    let request: proto::ListSessionsRequest = read_as(
        "ListSessionsRequest",
        r#"{"pageSize":"5","page_token":"t","states":["SESSION_STATE_RUNNING",1],"labels":{"a":"b"},
            "createdAfter":"2026-11-18T13:06:40+02:00","source":null,"includeSystemOwned":true,"archived":2}"#,
    )
    .unwrap();
    let expected = proto::ListSessionsRequest {
        page_size: 5,
        page_token: "t".to_owned(),
        states: vec![3, 1],
        labels: [("a".to_owned(), "b".to_owned())].into(),
        created_after: Some(crate::time::Timestamp { seconds: 1_795_000_000, nanos: 0 }),
        include_system_owned: true,
        archived: 2,
        ..Default::default()
    };
    assert_eq!(request, expected);
    let wait: proto::WaitSessionRequest =
        read_as("WaitSessionRequest", r#"{"timeout":"1.5s"}"#).unwrap();
    assert_eq!(wait.timeout, Some(pbjson_types::Duration { seconds: 1, nanos: 500_000_000 }));
    let watch: proto::WatchEventsRequest = read_as(
        "WatchEventsRequest",
        r#"{"startSeq":"18446744073709551615","startSeqs":{"x":1e1},"maxEventBytes":1.0}"#,
    )
    .unwrap();
    assert_eq!((watch.start_seq, watch.start_seqs["x"], watch.max_event_bytes), (u64::MAX, 10, 1));
    let update: proto::UpdateSessionRequest =
        read_as("UpdateSessionRequest", r#"{"updateMask":"title,workingDirectory"}"#).unwrap();
    assert_eq!(update.update_mask.unwrap().paths, ["title", "working_directory"]);
}

#[test]
fn what_it_does_not_take_is_refused_by_its_path() {
    let refused = |json: &str| {
        read_as::<proto::CreateSessionRequest>("CreateSessionRequest", json).unwrap_err()
    };
    for (json, expected) in [
        ("[]", "request: expected an object, found an array"),
        (r#"{"x":1}"#, "x: CreateSessionRequest has no such field"),
        (
            r#"{"session":{"lastTurn":{"pid":-1}}}"#,
            "session.last_turn.pid: expected a whole number from 0 to 4294967295, found -1",
        ),
        (
            r#"{"session":{"turnCount":1.5}}"#,
            "session.turn_count: expected a whole number from 0 to 4294967295, found 1.5",
        ),
        (
            r#"{"session":{"usage":{"inputTokens":"9223372036854775808"}}}"#,
            "session.usage.input_tokens: expected a whole number of 64 bits, found \"9223372036854775808\"",
        ),
        (r#"{"images":"x"}"#, "images: expected an array, found \"x\""),
        (r#"{"images":[null]}"#, "images[0]: expected a string, found null"),
        (
            r#"{"session":{"labels":{"a":null}}}"#,
            "session.labels[a]: expected a string, found null",
        ),
        (
            r#"{"session":{"createTime":"yesterday"}}"#,
            "session.create_time: expected a time from 1970 on, such as \"2026-01-31T12:00:00Z\", found \"yesterday\"",
        ),
        (
            r#"{"session":{"archived":"true"}}"#,
            "session.archived: expected a boolean, found \"true\"",
        ),
        (
            r#"{"sessionId":"a","session_id":null,"session_id ":"a"}"#,
            "session_id : CreateSessionRequest has no such field",
        ),
    ] {
        assert_eq!(refused(json), expected);
    }
    let event: Result<proto::Event, _> = read_as("Event", r#"{"turnStarted":{},"error":{}}"#);
    assert_eq!(event.unwrap_err(), "error: not beside turn_started: only one may be set");
    for wrong in ["1", "s", "1.s", ".5s", "1e3s", "999999999999s", "1.0000000001s"] {
        let json = format!("{{\"timeout\":\"{wrong}\"}}");
        assert!(
            read_as::<proto::WaitSessionRequest>("WaitSessionRequest", &json).is_err(),
            "{wrong}"
        );
    }
}

/// A call of a tool with this text as arguments and as content.
fn call(arguments: &str, content: &[&str]) -> proto::McpToolCall {
    proto::McpToolCall {
        server: "a\"b".to_owned(),
        arguments_json: arguments.to_owned(),
        result: Some(proto::McpToolCallResult {
            content_json: content.iter().map(|text| (*text).to_owned()).collect(),
            structured_content_json: None,
        }),
        ..Default::default()
    }
}

fn written(call: &proto::McpToolCall) -> String {
    write(schema().message("McpToolCall"), call).unwrap()
}

#[test]
fn json_is_embedded_as_it_is_written() {
    assert_eq!(
        written(&call(r#"{"n":1.0e5, "s":"a,]}\"\\"}"#, &["1", "{\"x\":[]}", "null"])),
        r#"{"server":"a\"b","arguments":{"n":1.0e5, "s":"a,]}\"\\"},"result":{"content":[1,{"x":[]},null]}}"#
    );
    assert_eq!(
        written(&call("[1,\n2]", &[])),
        r#"{"server":"a\"b","arguments":[1, 2],"result":{}}"#
    );
}

#[test]
fn what_is_no_json_stays_a_text_under_its_own_name() {
    assert_eq!(
        written(&call("{\"cut", &["1", "x"])),
        r#"{"server":"a\"b","argumentsJson":"{\"cut","result":{"contentJson":["1","x"]}}"#
    );
}

#[test]
fn embedded_json_is_read_as_its_text() {
    let read: proto::McpToolCall = read_as(
        "McpToolCall",
        r#"{"arguments":{"n":1.0e5,"s":[null]},"result":{"content":[1,null],"structured_content":null}}"#,
    )
    .unwrap();
    assert_eq!(read.arguments_json, r#"{"n":1.0e5,"s":[null]}"#);
    let result = read.result.unwrap();
    assert_eq!(result.content_json, ["1", "null"]);
    assert_eq!(result.structured_content_json.as_deref(), Some("null"), "null is JSON");
    let unset: proto::McpToolCall = read_as("McpToolCall", r#"{"error":null}"#).unwrap();
    assert_eq!(unset, proto::McpToolCall::default());
    let name: Result<proto::McpToolCall, _> = read_as("McpToolCall", r#"{"argumentsJson":"1"}"#);
    assert_eq!(name.unwrap_err(), "argumentsJson: McpToolCall has no such field");
}

/// JSON texts, and texts that are none.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        any::<String>().prop_map(|text| Json::from(text).to_string()),
        "[\\[\\]{}\",:\\\\0-9]{0,12}",
        Just("{\"a\":[1,{\"b\":\"]}\\\"\"}]}".to_owned()),
    ]
}

proptest! {
    #[test]
    fn what_is_written_is_valid_and_has_all_that_was_there(arguments in text(), content in prop::collection::vec(text(), 0..4), server in any::<String>(), status in any::<String>()) {
        let call = proto::McpToolCall {
            server: server.clone(),
            status: status.clone(),
            ..call(&arguments, &content.iter().map(String::as_str).collect::<Vec<_>>())
        };
        let text = written(&call);
        prop_assert!(!text.contains('\n') && !text.contains('\r'));
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(json.get("server").and_then(|s| s.as_str()).unwrap_or_default(), server);
        prop_assert_eq!(json.get("status").and_then(|s| s.as_str()).unwrap_or_default(), status);
        let told = |value: Option<&serde_json::Value>, held: &str| match value {
            Some(value) => serde_json::from_str::<serde_json::Value>(held).is_ok_and(|held| held == *value),
            None => false,
        };
        let as_text = json.get("argumentsJson").and_then(|text| text.as_str()) == Some(arguments.as_str());
        prop_assert!(arguments.is_empty() || as_text || told(json.get("arguments"), &arguments), "{}", text);
        if let Some(elements) = json["result"].get("content").and_then(|content| content.as_array()) {
            prop_assert_eq!(elements.len(), content.len());
        }
    }
}
