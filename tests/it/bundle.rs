//! What is kept of a session to understand it later, and its bundle, with a
//! scripted agent. With the real codex: `codex::persist`.

mod failing;
mod keeping;
mod packing;
mod switches;

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::Instant,
};

use serde_json::Value;
use switchboard::proto::{CodexOptions, CreateSessionRequest, Session, StartTurnRequest};

use crate::{
    harness::{Clients, Server},
    ledger::GIVE_UP,
};

/// A new session that is persisted, and waits for its first prompt.
pub(crate) async fn pending(clients: &Clients, server: &Server, options: CodexOptions) -> Session {
    let request = CreateSessionRequest {
        session: Some(Session {
            working_directory: server.work().display().to_string(),
            persist_session: true,
            codex_options: Some(options),
            ..Session::default()
        }),
        ..CreateSessionRequest::default()
    };
    clients.sessions.clone().create_session(request).await.unwrap().into_inner().session.unwrap()
}

/// Starts a turn of it.
async fn start(clients: &Clients, id: &str, script: &str) {
    let request = StartTurnRequest {
        session_id: id.to_owned(),
        prompt: format!("FAKE_AGENT={script}"),
        ..Default::default()
    };
    clients.sessions.clone().start_turn(request).await.unwrap();
}

/// Waits until a file is as it shall be, and returns what it says.
pub(crate) async fn until(path: &Path, enough: impl Fn(&str) -> bool) -> String {
    let begin = Instant::now();
    loop {
        let text = fs::read_to_string(path).unwrap_or_default();
        if enough(&text) {
            return text;
        }
        assert!(begin.elapsed() < GIVE_UP, "waited in vain for {}: {text}", path.display());
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

/// The lines of a file as JSON.
pub(crate) fn json_lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The names in a directory, without what is on its way to its name.
pub(crate) fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| !name.starts_with('.'));
    names.sort();
    names
}

/// The permissions of a file.
pub(crate) fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// Writes the trace that codex would write of one request with this text, into the
/// place of a turn.
fn plant_trace(place: &Path, text: &str) -> PathBuf {
    let trace = place.join("trace-1-2");
    fs::create_dir_all(trace.join("payloads")).unwrap();
    let line = |seq: u32, payload: Value| {
        serde_json::json!({
            "schema_version": 2, "seq": seq, "wall_time_unix_ms": 1_795_792_438_500_u64,
            "payload": payload,
        })
        .to_string()
    };
    let payload =
        |kind: &str, path: &str| serde_json::json!({"kind": {"type": kind}, "path": path});
    let lines = [
        line(
            1,
            serde_json::json!({
                "type": "inference_started", "inference_call_id": "a",
                "request_payload": payload("inference_request", "payloads/1.json"),
            }),
        ),
        line(
            2,
            serde_json::json!({
                "type": "inference_completed", "inference_call_id": "a",
                "response_payload": payload("inference_response", "payloads/2.json"),
            }),
        ),
    ];
    fs::write(trace.join("payloads/1.json"), serde_json::json!({"input": text}).to_string())
        .unwrap();
    fs::write(trace.join("payloads/2.json"), serde_json::json!({"said": text}).to_string())
        .unwrap();
    fs::write(trace.join("trace.jsonl"), lines.join("\n")).unwrap();
    trace
}
