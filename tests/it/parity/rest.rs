//! Scenarios over `/v1`: calls, and watches as server-sent events.

use std::iter;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map, Value, json};

use super::transport::{self, Headers, Refusal, Request, Transport, Watch};
use crate::{harness::Server, raw::Answer, rest::Rest};

pub(super) struct V1(Rest);

impl Transport for V1 {
    const COLUMNS: &[usize] = &[1];
    const CONNECTIONS: u64 = 1;

    fn new(server: &Server) -> Self {
        Self(Rest::new(server))
    }

    fn says(&self, mark: &str) -> bool {
        mark != "rpc"
    }

    fn call(&mut self, method: &str, request: &Request) -> Result<Value, Refusal> {
        let mut request = request.clone();
        let place = place(method, &mut request);
        let (verb, path) = place.split_once(' ').unwrap();
        let answer = if matches!(verb, "GET" | "DELETE") {
            self.0.send(&format!("{verb} {path}{}", query(&request)), &[], b"")
        } else {
            let json = ("content-type", "application/json");
            self.0.send(&place, &[json], transport::text(&request).as_bytes())
        };
        if answer.status != 200 {
            return Err(refusal(&answer));
        }
        if method == "ReadOutput" {
            return Ok(read_output(&answer));
        }
        Ok(serde_json::from_slice(&answer.body).unwrap())
    }

    fn knock(&mut self, server: &Server, headers: &Headers) -> Result<Value, Refusal> {
        let answer = transport::knock(server, "GET /v1/server", headers, b"");
        if answer.status == 200 { Ok(Value::Null) } else { Err(refusal(&answer)) }
    }

    fn open(&mut self, method: &str, request: &Request) -> Result<Watch, Refusal> {
        let path = match method {
            "WatchEvents" => "/v1/events",
            "WatchSessions" => "/v1/sessions",
            "WatchAuditEntries" => "/v1/audit",
            other => panic!("{other}"),
        };
        let stream = self.0.try_stream(&format!("{path}{}", query(request)), &[]);
        let mut stream = stream.map_err(|answer| refusal(&answer))?;
        let is_of_events = method == "WatchEvents";
        let is_of_sessions = method == "WatchSessions";
        Ok(Box::new(iter::from_fn(move || {
            let event = stream.next().expect("a stream says how it ends");
            // The cursor is what a client of such streams keeps of each message.
            let cursor = event.id.filter(|_| is_of_sessions);
            let named = |name: &str, data: Value| match &cursor {
                Some(cursor) => json!({name: data, "cursor": cursor}),
                None => json!({name: data}),
            };
            match event.name.as_str() {
                "end" => None,
                "error" => Some(Err(error_of(None, &event.data))),
                "left_out" => Some(Ok(json!({"leftOut": event.data}))),
                name @ ("header" | "synced" | "heartbeat") => Some(Ok(named(name, event.data))),
                _ if is_of_events => Some(Ok(json!({"event": event.data}))),
                name => Some(Ok(named(name, event.data))),
            }
        })))
    }
}

fn refusal(answer: &Answer) -> Refusal {
    let body = serde_json::from_slice(&answer.body).unwrap_or_else(|_| panic!("{answer:?}"));
    error_of(Some(answer.status.to_string()), &body)
}

fn error_of(code: Option<String>, body: &Value) -> Refusal {
    let mut refusal = Refusal::of(code, &body["error"]["message"], &body["error"]);
    // What JSON-RPC has as parameters.
    if refusal.metadata["field"] == "body" {
        refusal.metadata["field"] = json!("params");
        refusal.message = refusal.message.replacen("body", "params", 1);
    }
    refusal
}

/// Bytes as they are, with what the other transports say of them in headers.
fn read_output(answer: &Answer) -> Value {
    let turn: u32 = answer.header("switchboard-turn").unwrap().parse().unwrap();
    let data = answer.whole_body();
    let data = (!data.is_empty()).then(|| STANDARD.encode(data));
    let number = |name| answer.header(name).filter(|number| *number != "0");
    let (offset, size) = (number("switchboard-offset"), number("switchboard-total-size"));
    json!({"turn": turn, "offset": offset, "data": data, "totalSize": size})
}

/// Where a request goes; what the place says is taken out of it.
fn place(method: &str, request: &mut Request) -> String {
    fn take(request: &mut Request, name: &str) -> Option<String> {
        let text: String =
            serde_json::from_str(&transport::expanded(&request.remove(name)?)).ok()?;
        Some(escaped(&text))
    }
    let session = |request: &mut Request| match take(request, "sessionId") {
        Some(id) => format!("/v1/sessions/{id}"),
        None => "/v1/defaults".to_owned(),
    };
    let scope = |request: &mut Request| match request.get("scope").map(|scope| scope.get()) {
        // With a session it would be another call.
        Some("\"SCOPE_DEFAULT\"") => "/v1/defaults".to_owned(),
        Some("\"SCOPE_SESSION\"") => {
            request.remove("scope");
            session(request)
        }
        _ => session(request),
    };
    let key = |request: &mut Request| {
        take(request, "key").map(|key| format!("/{key}")).unwrap_or_default()
    };
    match method {
        "CreateSession" => "POST /v1/sessions".to_owned(),
        "ListSessions" => "GET /v1/sessions".to_owned(),
        "GetSession" => format!("GET {}", session(request)),
        "UpdateSession" => format!("PATCH {}", session(request)),
        "DeleteSession" => format!("DELETE {}", session(request)),
        "StartTurn" => format!("POST {}/turns", session(request)),
        "ListTurns" => format!("GET {}/turns", session(request)),
        "InterruptTurn" => format!("POST {}/interrupt", session(request)),
        "KillSession" => format!("POST {}/kill", session(request)),
        "ForkSession" => format!("POST {}/fork", session(request)),
        "WaitSession" => format!("GET {}/wait", session(request)),
        "ListMessages" => format!("GET {}/messages", session(request)),
        "GetTrajectory" => format!("GET {}/trajectory", session(request)),
        "ReadOutput" => format!("GET {}/output", session(request)),
        "ListEvents" => format!("GET {}/events", session(request)),
        "CleanupSessions" => "POST /v1/cleanup".to_owned(),
        "ExportConfigLock" => format!("POST {}/config-lock", session(request)),
        "VerifyConfigLock" => "POST /v1/config-lock/verify".to_owned(),
        "GetSettings" => format!("GET {}/settings{}", scope(request), key(request)),
        "UpdateSettings" => {
            let verb = if request.contains_key("key") { "PUT" } else { "PATCH" };
            format!("{verb} {}/settings{}", scope(request), key(request))
        }
        "DeleteSetting" => format!("DELETE {}/settings{}", scope(request), key(request)),
        "GetControls" => format!("GET {}/controls", session(request)),
        "ApplyControls" => format!("PUT {}/controls", scope(request)),
        "ListAuditEntries" => "GET /v1/audit".to_owned(),
        "VerifyAudit" => "GET /v1/audit/verify".to_owned(),
        "GetAuditState" => "GET /v1/audit/state".to_owned(),
        "GetServerInfo" => "GET /v1/server".to_owned(),
        other => panic!("{other}"),
    }
}

/// What a request says, as a query has it.
fn query(request: &Request) -> String {
    let Value::Object(members) = serde_json::from_str(&transport::text(request)).unwrap() else {
        panic!("{request:?}")
    };
    let mut all = Vec::new();
    for (name, value) in members {
        match value {
            Value::Array(elements) => {
                all.extend(elements.into_iter().map(|element| (name.clone(), element)));
            }
            Value::Object(members) => all.extend(inner(&name, members)),
            value => all.push((name, value)),
        }
    }
    let text = |value: Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let all = all.into_iter().map(|(name, value)| format!("{name}={}", escaped(&text(value))));
    let all = all.collect::<Vec<_>>().join("&");
    if all.is_empty() { all } else { format!("?{all}") }
}

/// What is in a message is named with a dot, and what is in a map by its key.
fn inner(name: &str, members: Map<String, Value>) -> Vec<(String, Value)> {
    let of = |member: String| match name {
        "filter" => format!("{name}.{member}"),
        _ => format!("{name}[{}]", escaped(&member)),
    };
    members.into_iter().map(|(member, value)| (of(member), value)).collect()
}

pub(super) fn escaped(text: &str) -> String {
    let escaped = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => {
            char::from(byte).to_string()
        }
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(escaped).collect()
}
