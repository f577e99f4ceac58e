//! What codex writes of a turn while it runs: which requests went to the model, how
//! they ended, and where their bodies are. Read by [`super`], for which it is what
//! anybody may have written.

use std::{
    fs,
    io::{self, BufRead as _, BufReader, Read as _},
};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::plain_file::{self, Directory};

/// The most bytes that are read of a list of events.
const MAX_TRACE: u64 = 256 << 20;

/// What codex notes of a request to the model, or of its end.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) time_unix_ms: u64,
    /// Its place in its trace.
    pub(super) seq: u64,
    /// What joins a request and its end.
    pub(super) id: String,
    pub(super) direction: Direction,
    /// How it ended; empty for a request.
    pub(super) status: String,
    pub(super) kind: &'static str,
    pub(super) thread_id: Option<String>,
    pub(super) model: Option<String>,
    pub(super) provider: Option<String>,
    pub(super) error: Option<String>,
    pub(super) payload: Option<Payload>,
}

/// Where the body of a call is.
#[derive(Debug)]
pub(super) struct Payload {
    /// The name of the trace in the turn's.
    pub(super) trace: String,
    /// The name in its `payloads`; none where that is named otherwise.
    pub(super) file: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Direction {
    Request,
    Response,
}

/// A line of a trace.
#[derive(Debug, Deserialize)]
struct Traced {
    #[serde(default)]
    seq: u64,
    #[serde(default)]
    wall_time_unix_ms: u64,
    #[serde(default)]
    thread_id: Option<String>,
    payload: serde_json::Map<String, Value>,
}

/// The calls in the traces of a turn, in the order of their times.
pub(super) fn calls(turn: &Directory) -> io::Result<Vec<Call>> {
    let mut calls = Vec::new();
    for entry in fs::read_dir(turn.path(""))? {
        let Ok(name) = entry?.file_name().into_string() else { continue };
        let opened =
            turn.inside(&name).and_then(|trace| plain_file::open(&trace.path("trace.jsonl")));
        let lines = match opened {
            Ok(file) => BufReader::new(file.take(MAX_TRACE)),
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound
                        | io::ErrorKind::NotADirectory
                        | io::ErrorKind::InvalidData
                ) =>
            {
                // It is not what codex writes.
                continue;
            }
            Err(error) => return Err(error),
        };
        for line in lines.split(b'\n') {
            // A codex that was killed leaves half a line.
            let Ok(traced) = serde_json::from_slice::<Traced>(&line?) else { continue };
            calls.extend(call(&name, traced));
        }
    }
    calls.sort_by_key(|call| (call.time_unix_ms, call.seq));
    Ok(calls)
}

fn call(trace: &str, traced: Traced) -> Option<Call> {
    let Traced { seq, wall_time_unix_ms, thread_id, payload } = traced;
    let text = |key: &str| payload.get(key).and_then(Value::as_str).map(ToOwned::to_owned);
    let event = text("type")?;
    let (kind, what) = if let Some(what) = event.strip_prefix("inference_") {
        ("inference", what)
    } else {
        ("compaction", event.strip_prefix("compaction_request_")?)
    };
    let direction = match what {
        "started" => Direction::Request,
        "completed" | "failed" | "cancelled" => Direction::Response,
        _ => return None,
    };
    let id = payload
        .iter()
        .find(|(key, value)| key.starts_with(kind) && key.ends_with("_id") && value.is_string())
        .and_then(|(_, value)| value.as_str());
    // A request has one kind of payload, and its end another.
    let body = payload.values().find_map(|value| {
        let kind = value.get("kind")?.get("type")?.as_str()?;
        let is_body = kind.ends_with("_request") || kind.ends_with("_response");
        let path = value.get("path")?.as_str()?;
        is_body.then(|| Payload { trace: trace.to_owned(), file: payload_name(path) })
    });
    Some(Call {
        time_unix_ms: wall_time_unix_ms,
        seq,
        id: id.unwrap_or_default().to_owned(),
        direction,
        status: match direction {
            Direction::Request => String::new(),
            Direction::Response => what.to_owned(),
        },
        kind,
        thread_id: text("thread_id").or(thread_id),
        model: text("model"),
        provider: text("provider_name"),
        error: text("error").or_else(|| text("reason")),
        payload: body,
    })
}

/// The name of a file in `payloads`, as codex names them.
fn payload_name(path: &str) -> Option<String> {
    let name = path.strip_prefix("payloads/")?;
    let number = name.strip_suffix(".json")?;
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| name.to_owned())
}
