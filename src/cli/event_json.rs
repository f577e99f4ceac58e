//! Events as JSON lines.

use crate::proto::Event;

/// One event as proto3 JSON on one line. The agent's own line stands in it as
/// the JSON that it is, else as `rawBase64`.
pub(super) fn line(event: &Event) -> String {
    use base64::{Engine as _, prelude::BASE64_STANDARD};

    let mut head = event.clone();
    let raw = std::mem::take(&mut head.raw);
    let mut json = serde_json::to_string(&head).unwrap_or_else(|_| "{}".to_owned());
    if raw.is_empty() {
        return json;
    }
    let value: Option<&serde_json::value::RawValue> = serde_json::from_slice(&raw).ok();
    let member = match value {
        // A line of the agent may not hold a line feed, but JSON of others may.
        Some(value) if !value.get().contains('\n') => format!("\"raw\":{}", value.get()),
        _ => format!("\"rawBase64\":\"{}\"", BASE64_STANDARD.encode(&raw)),
    };
    json.pop();
    if json.len() > 1 {
        json.push(',');
    }
    json.push_str(&member);
    json.push('}');
    json
}
