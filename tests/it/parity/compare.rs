//! When two results are the same.

use std::collections::BTreeSet;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map, Value};

use super::step::NAMES;

/// What is another on each server, or at each time.
const VARYING: [&str; 25] = [
    "archiveTime",
    "cpuTime",
    "createTime",
    "cursor",
    "deleteTime",
    "delete_time",
    "diskBytes",
    "durationMs",
    "endTime",
    "epoch",
    "exitCode",
    "hash",
    "lastHash",
    "nextPageToken",
    "peakMemoryBytes",
    "pid",
    "previousHash",
    "resumedThreadId",
    "signal",
    "startTime",
    "threadId",
    "thread_id",
    "time",
    "transport",
    "updateTime",
];

/// A result as it is on every server: without what varies, and with what is the
/// default left out.
pub(super) fn plain(value: Value, places: &[(&str, String)]) -> Value {
    match value {
        Value::Object(members) => {
            let members = members.into_iter().filter(|(name, _)| !VARYING.contains(&name.as_str()));
            let members = members.map(|(name, value)| {
                let value = if name == "data" { decoded(value) } else { value };
                (name, plain(value, places))
            });
            Value::Object(members.collect::<Map<_, _>>())
        }
        Value::Array(elements) => {
            Value::Array(elements.into_iter().map(|element| plain(element, places)).collect())
        }
        Value::String(text) => Value::String(words(&text, places)),
        other => other,
    }
}

/// The text in a piece of an agent's output, which is in base64.
fn decoded(data: Value) -> Value {
    let bytes = data.as_str().and_then(|text| STANDARD.decode(text).ok());
    bytes.map_or(data, |bytes| String::from_utf8_lossy(&bytes).into())
}

/// A text with names for what is another on each server.
fn words(text: &str, places: &[(&str, String)]) -> String {
    let named =
        places.iter().fold(text.to_owned(), |text, (name, place)| text.replace(place, name));
    let between = [' ', '\n', '"', '\'', ',', '(', ')', '/'];
    let words = named.split_inclusive(between).map(|word| {
        let (bare, end) = match word.strip_suffix(between) {
            Some(bare) => (bare, &word[bare.len()..]),
            None => (word, ""),
        };
        let random = length_of_random(bare);
        format!("{}{}{end}", if random > 0 { "$RANDOM" } else { "" }, &bare[random..])
    });
    words.collect()
}

/// How much at the beginning of a word is the epoch of a log, a hash, a time, the
/// address of a server, or an id that nobody chose.
fn length_of_random(word: &str) -> usize {
    let is_hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let bare = word.trim_end_matches([':', ';', '.']);
    let is_time = bare.ends_with('Z') && bare.as_bytes().get(10) == Some(&b'T');
    let is_hash = [16, 64].contains(&bare.len()) && is_hex(bare);
    if is_time || is_hash || bare.starts_with("127.0.0.1:") {
        return bare.len();
    }
    let Some(id) = word.get(..36) else { return 0 };
    let parts = id.split('-').map(|part| if is_hex(part) { part.len() } else { 0 });
    let is_id = parts.eq([8, 4, 4, 4, 12]);
    if is_id && NAMES.iter().all(|(_, known)| *known != id) { 36 } else { 0 }
}

/// Where two results differ first; null is compared with nothing.
pub(super) fn differing(path: &str, one: &Value, other: &Value) -> Option<String> {
    match (one, other) {
        (Value::Null, _) | (_, Value::Null) if path.is_empty() => None,
        (Value::Object(one), Value::Object(other)) => {
            let names: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
            names.into_iter().find_map(|name| {
                let of = |members: &Map<_, _>| members.get(name).cloned().unwrap_or_default();
                differing(&format!("{path}.{name}"), &of(one), &of(other))
            })
        }
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
            let both = one.iter().zip(other).enumerate();
            both.into_iter()
                .find_map(|(at, (one, other))| differing(&format!("{path}[{at}]"), one, other))
        }
        _ => (one != other).then(|| format!(" {path}: {one} and {other}")),
    }
}
