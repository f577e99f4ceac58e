//! The transports, each as a function of a method's name and its request in the
//! JSON that JSON-RPC and `/v1` have.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};
use switchboard::proto;
use tonic::{Response, Status};

use crate::{
    harness::{Clients, Server},
    json_rpc::Rpc,
    ledger,
    rest::Rest,
};

pub(super) trait Transport {
    /// The result, or the reason of the error.
    fn call(&mut self, method: &str, request: Value) -> Result<Value, String>;
}

impl<F: FnMut(&str, Value) -> Result<Value, String>> Transport for F {
    fn call(&mut self, method: &str, request: Value) -> Result<Value, String> {
        self(method, request)
    }
}

pub(super) fn json_rpc(server: &Server) -> impl Transport {
    let rpc = Rpc::new(server);
    move |method: &str, request: Value| {
        let name = name(method);
        rpc.call(name, &request)
            .map_err(|error| error["data"]["reason"].as_str().unwrap().to_owned())
    }
}

fn name(method: &str) -> &'static str {
    match method {
        "CreateSession" => "session/create",
        "GetSession" => "session/get",
        "ListSessions" => "session/list",
        "UpdateSession" => "session/update",
        "StartTurn" => "session/startTurn",
        "InterruptTurn" => "session/interruptTurn",
        "KillSession" => "session/kill",
        "WaitSession" => "session/wait",
        "ForkSession" => "session/fork",
        "DeleteSession" => "session/delete",
        "CleanupSessions" => "session/cleanup",
        "ListTurns" => "session/listTurns",
        "ListMessages" => "session/listMessages",
        "GetTrajectory" => "session/getTrajectory",
        "ReadOutput" => "session/readOutput",
        "ListEvents" => "events/list",
        "GetSettings" => "settings/get",
        "UpdateSettings" => "settings/update",
        "DeleteSetting" => "settings/delete",
        "GetControls" => "controls/get",
        "ApplyControls" => "controls/apply",
        "ListAuditEntries" => "audit/list",
        "VerifyAudit" => "audit/verify",
        "GetAuditState" => "audit/getState",
        "GetServerInfo" => "server/info",
        other => panic!("{other}"),
    }
}

pub(super) fn rest(server: &Server) -> impl Transport {
    let rest = Rest::new(server);
    move |method: &str, request: Value| {
        let Value::Object(mut request) = request else { panic!("{request}") };
        let place = place(method, &mut request);
        let (verb, mut path) = place.split_once(' ').map(|(v, p)| (v, p.to_owned())).unwrap();
        let body = if matches!(verb, "GET" | "DELETE") {
            query(&mut path, &request);
            Value::Null
        } else {
            Value::Object(request)
        };
        if method == "ReadOutput" {
            return read_output(&rest, &path);
        }
        match rest.call(&format!("{verb} {path}"), &body) {
            (200, result) => Ok(result),
            (_, error) => Err(error["error"]["reason"].as_str().unwrap().to_owned()),
        }
    }
}

/// Bytes as they are, with what the other transports say of them in headers.
fn read_output(rest: &Rest, path: &str) -> Result<Value, String> {
    let answer = rest.send(&format!("GET {path}"), &[], b"");
    if answer.status != 200 {
        let error: Value = serde_json::from_slice(&answer.body).unwrap();
        return Err(error["error"]["reason"].as_str().unwrap().to_owned());
    }
    let turn: u32 = answer.header("switchboard-turn").unwrap().parse().unwrap();
    let data = STANDARD.encode(answer.whole_body());
    let header = |name| answer.header(name).unwrap();
    let (offset, size) = (header("switchboard-offset"), header("switchboard-total-size"));
    Ok(json!({"turn": turn, "offset": offset, "data": data, "totalSize": size}))
}

/// Where a request goes; what the place says is taken out of it.
fn place(method: &str, request: &mut Map<String, Value>) -> String {
    let session = |request: &mut Map<String, Value>| {
        let id = request.remove("sessionId").unwrap();
        format!("/v1/sessions/{}", id.as_str().unwrap())
    };
    let scope = |request: &mut Map<String, Value>| match request.remove("scope") {
        Some(scope) if scope == "SCOPE_DEFAULT" => "/v1/defaults".to_owned(),
        _ => session(request),
    };
    let key = |request: &mut Map<String, Value>| {
        request.remove("key").map(|key| format!("/{}", key.as_str().unwrap())).unwrap_or_default()
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

fn query(path: &mut String, request: &Map<String, Value>) {
    for (name, value) in request {
        path.push(if path.contains('?') { '&' } else { '?' });
        match value {
            Value::String(text) => *path += &format!("{name}={text}"),
            Value::Object(members) => {
                let (key, value) = members.iter().next().unwrap();
                *path += &format!("{name}[{key}]={}", value.as_str().unwrap());
            }
            other => *path += &format!("{name}={other}"),
        }
    }
}

pub(super) fn grpc(server: &Server) -> impl Transport {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let clients = runtime.block_on(server.connect());
    move |method: &str, request: Value| {
        runtime.block_on(typed(clients.clone(), method, to_proto(request)))
    }
}

/// A call from JSON to JSON of proto3.
macro_rules! unary {
    ($client:expr, $method:ident, $request:ident, $message:ident) => {{
        let request: proto::$message = read($request);
        answer($client.$method(request).await)
    }};
}

async fn typed(mut clients: Clients, method: &str, request: Value) -> Result<Value, String> {
    match method {
        "CreateSession" => unary!(clients.sessions, create_session, request, CreateSessionRequest),
        "GetSession" => unary!(clients.sessions, get_session, request, GetSessionRequest),
        "ListSessions" => unary!(clients.sessions, list_sessions, request, ListSessionsRequest),
        "UpdateSession" => unary!(clients.sessions, update_session, request, UpdateSessionRequest),
        "StartTurn" => unary!(clients.sessions, start_turn, request, StartTurnRequest),
        "InterruptTurn" => unary!(clients.sessions, interrupt_turn, request, InterruptTurnRequest),
        "KillSession" => unary!(clients.sessions, kill_session, request, KillSessionRequest),
        "WaitSession" => unary!(clients.sessions, wait_session, request, WaitSessionRequest),
        "ForkSession" => unary!(clients.sessions, fork_session, request, ForkSessionRequest),
        "DeleteSession" => unary!(clients.sessions, delete_session, request, DeleteSessionRequest),
        "CleanupSessions" => {
            unary!(clients.sessions, cleanup_sessions, request, CleanupSessionsRequest)
        }
        "ListTurns" => unary!(clients.sessions, list_turns, request, ListTurnsRequest),
        "ListMessages" => unary!(clients.sessions, list_messages, request, ListMessagesRequest),
        "GetTrajectory" => unary!(clients.sessions, get_trajectory, request, GetTrajectoryRequest),
        "ReadOutput" => {
            let request: proto::ReadOutputRequest = read(request);
            match clients.sessions.read_output(request).await {
                Ok(chunks) => answer(
                    chunks.into_inner().message().await.map(|chunk| Response::new(chunk.unwrap())),
                ),
                Err(status) => Err(ledger::reason(&status)),
            }
        }
        "ListEvents" => unary!(clients.events, list_events, request, ListEventsRequest),
        "GetSettings" => unary!(clients.settings, get_settings, request, GetSettingsRequest),
        "UpdateSettings" => {
            unary!(clients.settings, update_settings, request, UpdateSettingsRequest)
        }
        "DeleteSetting" => unary!(clients.settings, delete_setting, request, DeleteSettingRequest),
        "GetControls" => unary!(clients.controls, get_controls, request, GetControlsRequest),
        "ApplyControls" => unary!(clients.controls, apply_controls, request, ApplyControlsRequest),
        "ListAuditEntries" => {
            unary!(clients.audit, list_audit_entries, request, ListAuditEntriesRequest)
        }
        "VerifyAudit" => unary!(clients.audit, verify_audit, request, VerifyAuditRequest),
        "GetAuditState" => unary!(clients.audit, get_audit_state, request, GetAuditStateRequest),
        "GetServerInfo" => unary!(clients.system, get_server_info, request, GetServerInfoRequest),
        other => panic!("{other}"),
    }
}

fn read<M: DeserializeOwned>(request: Value) -> M {
    serde_json::from_value(request).unwrap()
}

fn answer<M: Serialize>(answered: Result<Response<M>, Status>) -> Result<Value, String> {
    match answered {
        Ok(response) => Ok(embedded(serde_json::to_value(response.into_inner()).unwrap())),
        Err(status) => Err(ledger::reason(&status)),
    }
}

/// A request in proto3 JSON, with JSON as text, and the mask as it is generated.
fn to_proto(request: Value) -> Value {
    let Value::Object(members) = request else { panic!("{request}") };
    let members = members.into_iter().map(|(name, value)| match name.as_str() {
        "settings" | "value" => (format!("{name}Json"), Value::String(value.to_string())),
        "updateMask" => (name, json!({"paths": [value]})),
        _ => (name, value),
    });
    Value::Object(members.collect())
}

/// A result with the JSON in it embedded.
fn embedded(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let members = members.into_iter().map(|(name, value)| {
                let text = value.as_str().map(str::to_owned);
                match (name.strip_suffix("Json"), text) {
                    (Some(name), Some(text)) => {
                        (name.to_owned(), serde_json::from_str(&text).unwrap())
                    }
                    (None, Some(text)) if name == "raw" => {
                        let line = STANDARD.decode(text).unwrap();
                        (name, serde_json::from_slice(&line).unwrap())
                    }
                    _ => (name, embedded(value)),
                }
            });
            Value::Object(members.collect())
        }
        Value::Array(elements) => Value::Array(elements.into_iter().map(embedded).collect()),
        other => other,
    }
}
