use crate::time::Timestamp;
use bytes::Bytes;

use super::*;
use crate::proto::event::Kind;

/// An event with this line.
fn event(raw: &[u8]) -> proto::Event {
    proto::Event {
        session_id: "2f1c6a3e-8d0b-4c55-9a77-0d5a4a3f9b21".to_owned(),
        seq: 42,
        time: Some(Timestamp { seconds: 1_700_000_000, nanos: 0 }),
        time_source: proto::TimeSource::Live.into(),
        turn: 2,
        origin: proto::Origin::Agent.into(),
        raw: Bytes::copy_from_slice(raw),
        elided: None,
        byte_offset: 0,
        kind: Some(Kind::Unknown(proto::Unknown { r#type: "later".to_owned() })),
    }
}

/// What [`event`] looks like before its line.
const HEAD: &str = r#"{"sessionId":"2f1c6a3e-8d0b-4c55-9a77-0d5a4a3f9b21","seq":"42","time":"2023-11-14T22:13:20Z","timeSource":"TIME_SOURCE_LIVE","turn":2,"origin":"ORIGIN_AGENT","unknown":{"type":"later"}"#;

/// Checks the JSON of an event with this line, after [`HEAD`].
fn check(raw: &[u8], expected: &str) {
    assert_eq!(to_json(&event(raw)), format!("{HEAD}{expected}}}"));
}

#[test]
fn a_line_that_is_json_is_embedded_as_it_is_spelled() {
    check(
        br#" {"id":1,"id":2, "n":1e300,"big":123456789012345678901.50,"u":"\u00e9\ud83e\udd80"}  "#,
        r#","raw":{"id":1,"id":2, "n":1e300,"big":123456789012345678901.50,"u":"\u00e9\ud83e\udd80"}"#,
    );
    check(b"null", r#","raw":null"#);
    check("\"\u{2028}\"".as_bytes(), ",\"raw\":\"\u{2028}\"");
}

#[test]
fn a_carriage_return_between_tokens_does_not_break_the_line() {
    check(b"{\"a\":\r1}\r", r#","raw":{"a": 1}"#);
}

#[test]
fn a_line_that_not_every_client_can_parse_is_base64() {
    check(b"{\"a\":1} x", r#","rawBase64":"eyJhIjoxfSB4""#);
    check(b"\"\xff\"", r#","rawBase64":"Iv8i""#);
    check(br#""\ud800""#, r#","rawBase64":"Ilx1ZDgwMCI=""#);
    check(br#""\udc00 \ud800\u0041""#, r#","rawBase64":"Ilx1ZGMwMCBcdWQ4MDBcdTAwNDEi""#);
}

#[test]
fn a_line_with_a_number_that_not_every_client_can_parse_is_base64() {
    let is_embedded = |line: &str| raw_json(line.as_bytes()).is_some();
    let digits = |count: usize| "9".repeat(count);
    for number in [
        "123456789012345678901234567890",
        "-1.7976931348623157e308",
        "1e-999",
        &digits(300),
        &format!("0.{}", digits(998)),
    ] {
        assert!(is_embedded(number), "{number}");
        assert!(is_embedded(&format!(r#"{{"a":[0,{number},""],"b":{number}}}"#)), "{number}");
    }
    for number in ["1e999", "-1.8E+308", &digits(310), &digits(6000), &format!("0.{}", digits(999))]
    {
        assert!(!is_embedded(number), "{number}");
        assert!(!is_embedded(&format!(r#"{{"a":[0,{number},""]}}"#)), "{number}");
        // In a text it is none.
        assert!(is_embedded(&format!(r#"{{"a":"{number}\\","{number}":0}}"#)), "{number}");
    }
    check(b"1e999", r#","rawBase64":"MWU5OTk=""#);
}

#[test]
fn an_event_without_a_line_has_no_raw() {
    check(b"", "");
}

#[test]
fn nesting_is_embedded_up_to_what_parsers_take() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(raw_json(nested(100).as_bytes()).is_some());
    assert!(raw_json(nested(101).as_bytes()).is_none());
    assert!(raw_json(nested(1_000_000).as_bytes()).is_none());
    // Brackets in strings nest nothing, and neither does a quote that is escaped.
    assert!(raw_json(format!(r#""\"{}""#, "[".repeat(500)).as_bytes()).is_some());
    assert!(raw_json(format!("[{}1]", "[],".repeat(500)).as_bytes()).is_some());
}

#[test]
fn the_json_of_an_event_parses_and_is_that_of_the_message_but_for_raw() {
    let event = event(br#"{"type":"later","x":[1.5]}"#);
    let mut json: serde_json::Value = serde_json::from_str(&to_json(&event)).unwrap();
    let raw = json.as_object_mut().unwrap().remove("raw").unwrap();
    assert_eq!(raw, serde_json::json!({"type": "later", "x": [1.5]}));
    let head: proto::Event = serde_json::from_value(json).unwrap();
    assert_eq!(head, proto::Event { raw: Bytes::new(), ..event });
}

#[test]
fn an_event_with_a_word_of_a_later_version_still_passes_its_line_on() {
    let event = proto::Event { time_source: 99, ..event(b"{}") };
    assert_eq!(
        to_json(&event),
        r#"{"sessionId":"2f1c6a3e-8d0b-4c55-9a77-0d5a4a3f9b21","seq":"42","turn":2,"raw":{}}"#
    );
}

#[test]
fn a_watch_and_a_page_write_their_events_the_same_way() {
    let one = event(b"[1]");
    let watch = proto::WatchEventsResponse { message: Some(Message::Event(one.clone())) };
    assert_eq!(response_to_json(&watch), format!(r#"{{"event":{HEAD},"raw":[1]}}}}"#));

    let synced = Message::Synced(proto::Synced { session_id: "s".to_owned() });
    let watch = proto::WatchEventsResponse { message: Some(synced) };
    assert_eq!(response_to_json(&watch), r#"{"synced":{"sessionId":"s"}}"#);

    let page = proto::ListEventsResponse {
        events: vec![one, event(b"")],
        next_after_seq: 43,
        oldest_seq: 1,
        latest_seq: 50,
        epoch: "e".to_owned(),
    };
    let head = r#"{"nextAfterSeq":"43","oldestSeq":"1","latestSeq":"50","epoch":"e""#;
    let events = format!(r#","events":[{HEAD},"raw":[1]}},{HEAD}}}]}}"#);
    assert_eq!(page_to_json(&page), format!("{head}{events}"));
    assert_eq!(page_to_json(&proto::ListEventsResponse::default()), "{}");
}

#[test]
fn lone_surrogates_are_repaired_and_nothing_else_is() {
    let check = |json: &str, expected: &str| assert_eq!(repair_surrogates(json), expected);
    check(r#""\ud800""#, r#""\ufffd""#);
    check(r#""é\udc00\ud83e\udd80\ud83e\\ud800""#, r#""é\ufffd\ud83e\udd80\ufffd\\ud800""#);
    check(r#""\ud800\ud800\udc00""#, r#""\ufffd\ud800\udc00""#);
    assert!(matches!(repair_surrogates(r#""\n\\u00e9""#), Cow::Borrowed(_)));
}
