//! When two results are the same.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

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
pub(super) fn plain(value: Value, work: &str) -> Value {
    match value {
        Value::Object(members) => {
            let members = members.into_iter().filter(|(name, _)| !VARYING.contains(&name.as_str()));
            Value::Object(
                members.map(|(name, value)| (name, plain(value, work))).collect::<Map<_, _>>(),
            )
        }
        Value::Array(elements) => {
            Value::Array(elements.into_iter().map(|element| plain(element, work)).collect())
        }
        Value::String(text) => {
            let words = text.replace(work, "$WORK");
            let words = words.split(' ').map(|word| if is_random(word) { "$RANDOM" } else { word });
            Value::String(words.collect::<Vec<_>>().join(" "))
        }
        other => other,
    }
}

/// Whether a word is the epoch of a log, or a hash.
fn is_random(word: &str) -> bool {
    let digits = word.trim_end_matches(',');
    [16, 64].contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
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
