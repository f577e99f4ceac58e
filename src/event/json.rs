//! Events as proto3 JSON, with the agent's line embedded as the JSON that it is.

use std::borrow::Cow;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::{
    json::is_readable,
    proto::{self, watch_events_response::Message},
};

/// The deepest nesting of a line that is embedded. Parsers give up at 128 and
/// up; an event sits at most a few levels down in what is sent.
const MAX_EMBEDDED_DEPTH: usize = 100;

/// An agent's line as JSON, if it is exactly one JSON value that any client can
/// parse: valid UTF-8, nested at most 100 deep, without lone surrogates, and without
/// numbers over 1,000 characters or beyond what a double can hold.
///
/// The text is the line's own, so that numbers and duplicate keys keep their
/// spelling; only white space around the value is left out.
#[must_use]
pub fn raw_json(raw: &[u8]) -> Option<&RawValue> {
    let json: &RawValue = serde_json::from_slice(raw).ok()?;
    is_embeddable(json.get()).then_some(json)
}

/// One event as proto3 JSON on one line.
///
/// `raw` is embedded as JSON when it is one JSON value (see [`raw_json`]), and
/// is in `rawBase64` otherwise.
#[must_use]
pub fn to_json(event: &proto::Event) -> String {
    let mut head = event.clone();
    let raw = std::mem::take(&mut head.raw);
    let mut text = serde_json::to_string(&head).unwrap_or_else(|_| {
        // A later server's enum value or a time out of range has no JSON form
        // here. The line is the authority: say where it stands, and pass it on.
        let proto::Event { session_id, seq, turn, .. } = head;
        json_of(&proto::Event { session_id, seq, turn, ..proto::Event::default() })
    });
    if raw.is_empty() {
        return text;
    }
    if let Some(json) = raw_json(&raw) {
        // A bare CR can only be white space between tokens here, and there are
        // readers of lines that would stop at it.
        let json = match json.get() {
            json if json.contains('\r') => Cow::from(json.replace('\r', " ")),
            json => Cow::from(json),
        };
        push_member(&mut text, "raw", &json);
    } else {
        push_member(&mut text, "rawBase64", &format!("\"{}\"", STANDARD.encode(&raw)));
    }
    text
}

/// One message of a watch as proto3 JSON on one line, its event as [`to_json`]
/// writes it.
#[must_use]
pub fn response_to_json(response: &proto::WatchEventsResponse) -> String {
    match &response.message {
        Some(Message::Event(event)) => format!("{{\"event\":{}}}", to_json(event)),
        Some(
            Message::Header(_) | Message::Synced(_) | Message::Heartbeat(_) | Message::LeftOut(_),
        )
        | None => json_of(response),
    }
}

/// One page of events as proto3 JSON on one line, its events as [`to_json`]
/// writes them.
#[must_use]
pub fn page_to_json(page: &proto::ListEventsResponse) -> String {
    let proto::ListEventsResponse { events, next_after_seq, oldest_seq, latest_seq, epoch } = page;
    let mut text = json_of(&proto::ListEventsResponse {
        events: Vec::new(),
        next_after_seq: *next_after_seq,
        oldest_seq: *oldest_seq,
        latest_seq: *latest_seq,
        epoch: epoch.clone(),
    });
    if !events.is_empty() {
        let events: Vec<String> = events.iter().map(to_json).collect();
        push_member(&mut text, "events", &format!("[{}]", events.join(",")));
    }
    text
}

/// The JSON of a message, `{}` where it has none (a later server's enum value).
fn json_of(message: &impl Serialize) -> String {
    serde_json::to_string(message).unwrap_or_else(|_| "{}".to_owned())
}

/// Adds a member to the end of a JSON object.
fn push_member(object: &mut String, name: &str, json: &str) {
    debug_assert!(object.ends_with('}'));
    object.pop();
    let separator = if object.ends_with('{') { "" } else { "," };
    object.reserve(name.len() + json.len() + 5);
    for part in [separator, "\"", name, "\":", json, "}"] {
        object.push_str(part);
    }
}

/// Whether valid JSON is also what parsers with the usual limits can read.
fn is_embeddable(json: &str) -> bool {
    let bytes = json.as_bytes();
    let (mut at, mut depth, mut in_string) = (0, 0_usize, false);
    while let Some(&byte) = bytes.get(at) {
        at += 1;
        match byte {
            b'"' => in_string = !in_string,
            b'\\' => match escape(bytes, at - 1) {
                Escape::Whole(length) => at += length - 1,
                Escape::LoneSurrogate => return false,
            },
            b'[' | b'{' if !in_string => {
                depth += 1;
                if depth > MAX_EMBEDDED_DEPTH {
                    return false;
                }
            }
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            b'-' | b'0'..=b'9' if !in_string => {
                let start = at - 1;
                let is_within =
                    |byte: &u8| matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-');
                at += bytes[at..].iter().take_while(|byte| is_within(byte)).count();
                if !is_readable(&json[start..at]) {
                    return false;
                }
            }
            _ => {}
        }
    }
    true
}

/// What an escape sequence in valid JSON is.
enum Escape {
    /// It stands for a character and has this many bytes.
    Whole(usize),
    /// It is half of a character, and has six bytes.
    LoneSurrogate,
}

/// Looks at the escape sequence that begins with the backslash at `at`.
fn escape(json: &[u8], at: usize) -> Escape {
    match code_unit(json, at) {
        Some(0xD800..=0xDBFF) => match code_unit(json, at + 6) {
            Some(0xDC00..=0xDFFF) => Escape::Whole(12),
            _ => Escape::LoneSurrogate,
        },
        Some(0xDC00..=0xDFFF) => Escape::LoneSurrogate,
        Some(_) => Escape::Whole(6),
        None => Escape::Whole(2),
    }
}

/// The number of the `\uXXXX` at `at`, if there is one.
fn code_unit(json: &[u8], at: usize) -> Option<u16> {
    let digits = json.get(at..at + 6)?.strip_prefix(b"\\u")?;
    u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

/// Replaces each lone surrogate escape of a valid JSON text by U+FFFD, so that
/// its strings can be read.
#[must_use]
pub(crate) fn repair_surrogates(json: &str) -> Cow<'_, str> {
    let mut repaired = String::new();
    let (mut at, mut copied) = (0, 0);
    while let Some(found) = memchr::memchr(b'\\', &json.as_bytes()[at..]) {
        at += found;
        match escape(json.as_bytes(), at) {
            Escape::Whole(length) => at += length,
            Escape::LoneSurrogate => {
                repaired.push_str(&json[copied..at]);
                repaired.push_str("\\ufffd");
                at += 6;
                copied = at;
            }
        }
    }
    if copied == 0 {
        return Cow::Borrowed(json);
    }
    repaired.push_str(&json[copied..]);
    Cow::Owned(repaired)
}

#[cfg(test)]
mod tests;
