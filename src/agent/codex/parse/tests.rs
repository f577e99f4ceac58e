use std::{fs, path::Path};

use proptest::{collection, prelude::*};
use serde_json::{Value, json};

use super::*;
use crate::{event::kind_of, proto::item::Details};

/// Checks what a line is.
fn check(line: &str, expected: Kind) {
    assert_eq!(parse(line.as_bytes()), expected, "{line}");
}

fn unknown(r#type: &str) -> Kind {
    Kind::Unknown(proto::Unknown { r#type: r#type.to_owned() })
}

fn completed(id: &str, r#type: &str, details: Option<Details>) -> Kind {
    let item = proto::Item { id: id.to_owned(), r#type: r#type.to_owned(), details };
    Kind::ItemCompleted(proto::ItemCompleted { item: Some(item) })
}

fn message(text: &str) -> Option<Details> {
    Some(Details::AgentMessage(proto::AgentMessage { text: text.to_owned() }))
}

/// Checks what the item of a completed item is, when it has these members.
fn check_item(members: &str, id: &str, r#type: &str, details: Option<Details>) {
    check(
        &format!(r#"{{"type":"item.completed","item":{{{members}}}}}"#),
        completed(id, r#type, details),
    );
}

#[test]
fn the_frame_of_a_turn_is_typed() {
    check(
        r#"{"type":"thread.started","thread_id":"01a1fbeb"}"#,
        Kind::ThreadStarted(proto::ThreadStarted { thread_id: "01a1fbeb".to_owned() }),
    );
    check(r#"{"type":"turn.started"}"#, Kind::TurnStarted(proto::TurnStarted {}));
    let usage = proto::Usage {
        input_tokens: 200,
        cached_input_tokens: 20,
        cache_write_input_tokens: 3,
        output_tokens: 40,
        reasoning_output_tokens: 10,
    };
    check(
        r#"{"type":"turn.completed","usage":{"input_tokens":200,"cached_input_tokens":20,"cache_write_input_tokens":3,"output_tokens":40,"reasoning_output_tokens":10}}"#,
        Kind::TurnCompleted(proto::TurnCompleted { usage: Some(usage) }),
    );
    check(
        r#"{"type":"turn.failed","error":{"message":"no"}}"#,
        Kind::TurnFailed(proto::TurnFailed { message: "no".to_owned() }),
    );
    check(
        r#"{"type":"error","message":"Reconnecting... 1/5"}"#,
        Kind::Error(proto::AgentError { message: "Reconnecting... 1/5".to_owned() }),
    );
}

#[test]
fn the_first_id_of_a_search_is_the_items_and_the_second_the_searchs() {
    let action = r#"{"type":"search", "n":1e999, "query":"a"}"#;
    check_item(
        &format!(r#""id":"item_1","type":"web_search","id":"ws_29","query":"a","action":{action}"#),
        "item_1",
        "web_search",
        Some(Details::WebSearch(proto::WebSearch {
            search_id: "ws_29".to_owned(),
            query: "a".to_owned(),
            action_type: "search".to_owned(),
            action_json: action.to_owned(),
        })),
    );
}

#[test]
fn json_of_tools_keeps_its_spelling() {
    check_item(
        r#""id":"item_0","type":"mcp_tool_call","server":"s","tool":"t","arguments": {"n": 1.50, "n":12345678901234567890123, "s":"\ud800"} ,"result":{"content":[ {"a": 1} , "b"],"structured_content":{"x": 1e400}},"error":null,"status":"completed""#,
        "item_0",
        "mcp_tool_call",
        Some(Details::McpToolCall(proto::McpToolCall {
            server: "s".to_owned(),
            tool: "t".to_owned(),
            arguments_json: r#"{"n": 1.50, "n":12345678901234567890123, "s":"\ud800"}"#.to_owned(),
            result: Some(proto::McpToolCallResult {
                content_json: vec![r#"{"a": 1}"#.to_owned(), r#""b""#.to_owned()],
                structured_content_json: Some(r#"{"x": 1e400}"#.to_owned()),
            }),
            error: None,
            status: "completed".to_owned(),
        })),
    );
}

#[test]
fn members_that_are_not_known_change_nothing() {
    check(
        r#" {"v":[1e999],"type":"turn.failed","item":7,"error":{"code":5,"message":"no","x":{}}} "#,
        Kind::TurnFailed(proto::TurnFailed { message: "no".to_owned() }),
    );
    check_item(
        r#""id":"item_1","type":"agent_message","status":{"new":1},"text":"hi","exit_code":"?""#,
        "item_1",
        "agent_message",
        message("hi"),
    );
}

#[test]
fn the_type_may_come_last() {
    check(
        r#"{"error":{"message":"no"},"type":"turn.failed"}"#,
        Kind::TurnFailed(proto::TurnFailed { message: "no".to_owned() }),
    );
    check(
        r#"{"item":{"text":"hi","type":"agent_message","id":"item_1"},"type":"item.completed"}"#,
        completed("item_1", "agent_message", message("hi")),
    );
}

#[test]
fn of_duplicate_members_one_counts() {
    check(
        r#"{"type":"turn.failed","type":"error","error":{"message":"a","message":"b"}}"#,
        Kind::TurnFailed(proto::TurnFailed { message: "b".to_owned() }),
    );
    check_item(
        r#""id":"item_1","type":"agent_message","text":"a","id":"other","text":"b""#,
        "item_1",
        "agent_message",
        message("b"),
    );
}

#[test]
fn a_type_that_is_not_known_passes_through() {
    check(r#"{"type":"item.plan.delta","item":{"id":"x"},"usage":5}"#, unknown("item.plan.delta"));
    check(r#"{"item":1,"type":"later\n"}"#, unknown("later\n"));
    check_item(r#""id":"item_1","type":"hologram","text":7"#, "item_1", "hologram", None);
}

#[test]
fn json_that_is_no_event_is_unknown_without_a_type() {
    for line in ["{}", "null", "1e999", "\"type\"", "[]", r#"["type","x"]"#, r#"{"type":5}"#] {
        check(line, unknown(""));
    }
    check(r#"{"type":null,"error":{}}"#, unknown(""));
    check(r#"{"\ud800":{"type":1},"type":"x"}"#, unknown("x"));
}

#[test]
fn an_event_of_another_shape_is_unknown_with_its_type() {
    for line in [
        r#"{"type":"thread.started"}"#,
        r#"{"type":"thread.started","thread_id":5}"#,
        r#"{"type":"thread.started","thread_id":null}"#,
    ] {
        check(line, unknown("thread.started"));
    }
    for line in [
        r#"{"type":"item.started"}"#,
        r#"{"type":"item.started","item":"x"}"#,
        r#"{"item":null,"type":"item.started"}"#,
    ] {
        check(line, unknown("item.started"));
    }
    for line in [r#"{"type":"error"}"#, r#"{"type":"error","message":{"text":"no"}}"#] {
        check(line, unknown("error"));
    }
}

#[test]
fn an_item_of_another_shape_keeps_its_id_and_type() {
    check_item(
        r#""id":"item_1","type":"agent_message","text":[1]"#,
        "item_1",
        "agent_message",
        None,
    );
    check_item(r#""id":"item_1","type":"reasoning","text":1e999"#, "item_1", "reasoning", None);
    check_item(r#""id":7,"type":"error","message":"m""#, "", "error", None);
    check_item(r#""id":"item_1","text":"hi""#, "item_1", "", None);
    check_item("", "", "", None);
    check_item(
        r#""id":"item_1","type":"file_change","changes":[{"path":1}]"#,
        "item_1",
        "file_change",
        None,
    );
    check_item(
        r#""id":"item_1","type":"command_execution","exit_code":99999999999"#,
        "item_1",
        "command_execution",
        None,
    );
}

#[test]
fn the_end_of_a_turn_does_not_hang_on_its_details() {
    let without = Kind::TurnCompleted(proto::TurnCompleted { usage: None });
    for line in [
        r#"{"type":"turn.completed"}"#,
        r#"{"type":"turn.completed","usage":null}"#,
        r#"{"type":"turn.completed","usage":"lots"}"#,
        r#"{"type":"turn.completed","usage":{"input_tokens":12345678901234567890123}}"#,
        r#"{"type":"turn.completed","usage":{"output_tokens":1e999}}"#,
        r#"{"usage":[],"type":"turn.completed"}"#,
    ] {
        check(line, without.clone());
    }
    let failed =
        |message: &str| Kind::TurnFailed(proto::TurnFailed { message: message.to_owned() });
    check(r#"{"type":"turn.failed"}"#, failed(""));
    check(r#"{"type":"turn.failed","error":null}"#, failed(""));
    check(r#"{"type":"turn.failed","error": "no" }"#, failed(r#""no""#));
    check(r#"{"type":"turn.failed","error":{"message":["no"]}}"#, failed(r#"{"message":["no"]}"#));
}

#[test]
fn half_a_surrogate_pair_does_not_lose_the_line() {
    check_item(
        r#""id":"item_1","type":"agent_message","text":"a\ud800b\ud83e\udd80\udc00""#,
        "item_1",
        "agent_message",
        message("a\u{fffd}b🦀\u{fffd}"),
    );
    check(r#"{"type":"\udfff"}"#, unknown("\u{fffd}"));
}

#[test]
fn deep_nesting_is_only_text() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    check(&deep, unknown(""));
    check(
        &format!(r#"{{"type":"turn.started","x":{deep}}}"#),
        Kind::TurnStarted(proto::TurnStarted {}),
    );
    check_item(
        &format!(r#""id":"item_1","type":"agent_message","text":{deep}"#),
        "item_1",
        "agent_message",
        None,
    );
    check_item(
        &format!(r#""id":"item_1","type":"mcp_tool_call","arguments":{deep}"#),
        "item_1",
        "mcp_tool_call",
        Some(Details::McpToolCall(proto::McpToolCall {
            arguments_json: deep.clone(),
            ..proto::McpToolCall::default()
        })),
    );
}

#[test]
fn a_line_that_is_not_json_says_why() {
    let check = |line: &[u8], problem: &str| {
        let problem = problem.to_owned();
        assert_eq!(parse(line), Kind::InvalidLine(proto::InvalidLine { problem }));
    };
    check(b"", "the line is blank");
    check(b" \r", "the line is blank");
    check(b"panicked at src/main.rs", "not JSON: expected value at line 1 column 1");
    check(b"{\"type\":\"turn.started\"} x", "not JSON: trailing characters at line 1 column 25");
    check(b"{\"type\":\"turn", "not JSON: EOF while parsing a string at line 1 column 13");
    check(
        b"{\"type\":\"a\x01\"}",
        "not JSON: control character (\\u0000-\\u001F) found while parsing a string at line 1 column 10",
    );
    check(b"{\"type\":\"\xff\"}", "not UTF-8 from byte 10");
    check("\u{feff}{}".as_bytes(), "not JSON: expected value at line 1 column 1");
}

/// The recorded transcripts, by name.
fn transcripts() -> Vec<(String, Vec<u8>)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/transcripts");
    let mut transcripts: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            (path.file_stem().unwrap().to_str().unwrap().to_owned(), fs::read(path).unwrap())
        })
        .collect();
    transcripts.sort();
    assert_eq!(transcripts.len(), 20);
    transcripts
}

fn lines(transcript: &[u8]) -> impl Iterator<Item = &[u8]> {
    transcript.strip_suffix(b"\n").unwrap_or(transcript).split(|&byte| byte == b'\n')
}

/// An event of this kind as JSON; what is over 2 KiB comes elided, to keep the
/// fixtures readable.
fn kind_json(kind: Kind) -> Value {
    let mut event = proto::Event { kind: Some(kind), ..proto::Event::default() };
    if prost::Message::encoded_len(&event) > 2048 {
        event = crate::event::elide(event, proto::Elided::default(), 0);
    }
    serde_json::to_value(event).unwrap()
}

/// Every transcript gives what `tests/fixtures/kinds` says, which
/// `UPDATE_FIXTURES=1` writes anew. Of a long one the kinds are summed up after
/// its first fifty lines.
#[test]
fn transcripts_give_the_expected_kinds_and_nothing_unknown() {
    #[expect(clippy::disallowed_methods, reason = "a switch of this test, not configuration")]
    let update = std::env::var_os("UPDATE_FIXTURES").is_some();
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/kinds");
    for (name, transcript) in transcripts() {
        let mut rendered: Vec<Value> = Vec::new();
        for line in lines(&transcript) {
            let kind = parse(line);
            let what = String::from_utf8_lossy(line);
            assert!(!matches!(kind, Kind::Unknown(_) | Kind::InvalidLine(_)), "{name}: {what}");
            if let Kind::ItemStarted(proto::ItemStarted { item: Some(item) })
            | Kind::ItemUpdated(proto::ItemUpdated { item: Some(item) })
            | Kind::ItemCompleted(proto::ItemCompleted { item: Some(item) }) = &kind
            {
                assert!(item.details.is_some(), "{name}: {what}");
            }
            rendered.push(kind_json(kind));
        }
        if let Some((_, rest)) = rendered.split_at_checked(50) {
            let text: String = rest.iter().map(Value::to_string).collect();
            let summary = json!({"more": rest.len(), "crc32c": crc32c::crc32c(text.as_bytes())});
            rendered.truncate(50);
            rendered.push(summary);
        }
        let actual: String = rendered.iter().map(|kind| format!("{kind}\n")).collect();
        let path = directory.join(format!("{name}.jsonl"));
        if update {
            fs::create_dir_all(&directory).unwrap();
            fs::write(&path, &actual).unwrap();
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), actual, "{name}");
    }
}

/// Every member of a recorded line is in what it is parsed to: its strings all
/// stand in the event's own JSON.
#[test]
fn nothing_of_a_recorded_line_is_left_behind() {
    fn strings<'a>(value: &'a Value, into: &mut Vec<&'a str>) {
        match value {
            Value::String(text) => into.push(text),
            Value::Array(values) => values.iter().for_each(|value| strings(value, into)),
            Value::Object(members) => members.values().for_each(|value| strings(value, into)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
    for (name, transcript) in transcripts() {
        for line in lines(&transcript) {
            let value: Value = serde_json::from_slice(line).unwrap();
            let event = proto::Event { kind: Some(parse(line)), ..proto::Event::default() };
            let event = serde_json::to_value(event).unwrap();
            let (mut printed, mut parsed) = (Vec::new(), Vec::new());
            strings(&value, &mut printed);
            strings(&event, &mut parsed);
            let parsed = parsed.join("\n");
            for text in printed.iter().filter(|text| Some(**text) != value["type"].as_str()) {
                let quoted = Value::from(*text).to_string();
                assert!(parsed.contains(*text) || parsed.contains(&quoted), "{name}: {text}");
            }
        }
    }
}

/// Recorded lines that are not too long to be changed often.
fn recorded_line() -> impl Strategy<Value = Vec<u8>> {
    let lines: Vec<Vec<u8>> = transcripts()
        .iter()
        .flat_map(|(_, transcript)| lines(transcript).map(<[u8]>::to_vec).take(60))
        .filter(|line| line.len() < 4096)
        .collect();
    proptest::sample::select(lines)
}

/// Bytes that mean something in JSON, and others.
fn byte() -> impl Strategy<Value = u8> {
    prop_oneof![proptest::sample::select(b"{}[]\":,\\u0d8-eE.ntf \r".to_vec()), any::<u8>()]
}

/// Whether a kind is one that an agent's line can be.
fn is_of_agent(kind: &Kind) -> bool {
    i32::from(kind_of(kind)) < 32
}

proptest! {
    #[test]
    fn any_bytes_are_some_event(line in collection::vec(byte(), 0..200)) {
        let kind = parse(&line);
        prop_assert!(is_of_agent(&kind));
        let is_json = serde_json::from_slice::<&RawValue>(&line).is_ok();
        prop_assert_eq!(!is_json, matches!(kind, Kind::InvalidLine(_)));
    }

    #[test]
    fn a_changed_line_is_some_event(
        line in recorded_line(),
        changes in collection::vec((any::<proptest::sample::Index>(), byte(), 0..3_u8), 1..4),
    ) {
        let mut line = line;
        for (at, byte, change) in changes {
            if line.is_empty() {
                break;
            }
            let at = at.index(line.len());
            match change {
                0 => line[at] = byte,
                1 => line.insert(at, byte),
                _ => {
                    line.remove(at);
                }
            }
        }
        let kind = parse(&line);
        prop_assert!(is_of_agent(&kind));
        let is_json = serde_json::from_slice::<&RawValue>(&line).is_ok();
        prop_assert_eq!(!is_json, matches!(kind, Kind::InvalidLine(_)));
    }
}
