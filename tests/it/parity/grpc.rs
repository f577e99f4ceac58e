//! Scenarios over gRPC, with the generated clients.

use std::iter;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};
use switchboard::proto;
use tokio::runtime::{Handle, Runtime};
use tonic::{Response, Status, Streaming};
use tonic_types::StatusExt as _;

use super::transport::{self, Headers, Refusal, Request, Transport, Watch};
use crate::{
    bare::{Call, Place},
    harness::{Clients, Server},
};

pub(super) struct Grpc {
    runtime: Runtime,
    clients: Clients,
    place: Place,
}

impl Transport for Grpc {
    const COLUMNS: &[usize] = &[3];
    const CONNECTIONS: u64 = 0;

    fn new(server: &Server) -> Self {
        let runtime = Runtime::new().unwrap();
        let clients = runtime.block_on(server.connect());
        let place = Place { address: server.tcp(), token: server.token() };
        Self { runtime, clients, place }
    }

    fn says(&self, mark: &str) -> bool {
        mark != "json"
    }

    fn call(&mut self, method: &str, request: &Request) -> Result<Value, Refusal> {
        if method == "NoSuchMethod" {
            let call = Call::method("/switchboard.v1.SessionService/NoSuchMethod", vec![0; 5]);
            return self.runtime.block_on(bare(&self.place, &call));
        }
        self.runtime.block_on(typed(self.clients.clone(), method, to_proto(request)))
    }

    fn knock(&mut self, _server: &Server, headers: &Headers) -> Result<Value, Refusal> {
        let mut place = self.place.clone();
        let path = "/switchboard.v1.SystemService/GetServerInfo";
        let mut call = Call::method(path, vec![0; 5]);
        for (name, value) in headers.clone() {
            match name.as_str() {
                "token" => place.token = value,
                _ => call = call.header(name.leak(), value.leak()),
            }
        }
        self.runtime.block_on(bare(&place, &call))
    }

    fn open(&mut self, method: &str, request: &Request) -> Result<Watch, Refusal> {
        let handle = self.runtime.handle().clone();
        let mut clients = self.clients.clone();
        let request = to_proto(request);
        self.runtime.block_on(async {
            match method {
                "WatchEvents" => watched(
                    handle,
                    clients.events.watch_events(read::<proto::WatchEventsRequest>(request)).await,
                ),
                "WatchSessions" => watched(
                    handle,
                    clients
                        .sessions
                        .watch_sessions(read::<proto::WatchSessionsRequest>(request))
                        .await,
                ),
                "WatchAuditEntries" => watched(
                    handle,
                    clients
                        .audit
                        .watch_audit_entries(read::<proto::WatchAuditEntriesRequest>(request))
                        .await,
                ),
                other => panic!("{other}"),
            }
        })
    }
}

/// A call without a client of ours.
async fn bare(place: &Place, call: &Call) -> Result<Value, Refusal> {
    let Some(problem) = place.call(call).await.problem else { return Ok(Value::Null) };
    let (code, message) = (Some(format!("{:?}", problem.code)), problem.message);
    Err(Refusal { code, reason: problem.reason, message, metadata: json!(problem.metadata) })
}

fn watched<M: Serialize + 'static>(
    handle: Handle,
    opened: Result<Response<Streaming<M>>, Status>,
) -> Result<Watch, Refusal> {
    let mut stream = opened.map_err(|status| refusal(&status))?.into_inner();
    Ok(Box::new(iter::from_fn(move || match handle.block_on(stream.message()) {
        Ok(message) => message.map(|message| Ok(shown(message))),
        Err(status) => Some(Err(refusal(&status))),
    })))
}

/// A call from JSON to JSON of proto3.
macro_rules! unary {
    ($client:expr, $method:ident, $request:ident, $message:ident) => {{
        let request: proto::$message = read($request);
        answer($client.$method(request).await)
    }};
}

async fn typed(mut clients: Clients, method: &str, request: Value) -> Result<Value, Refusal> {
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
                Err(status) => Err(refusal(&status)),
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
        "ExportConfigLock" => {
            unary!(clients.locks, export_config_lock, request, ExportConfigLockRequest)
        }
        "VerifyConfigLock" => {
            unary!(clients.locks, verify_config_lock, request, VerifyConfigLockRequest)
        }
        "GetServerInfo" => unary!(clients.system, get_server_info, request, GetServerInfoRequest),
        other => panic!("{other}"),
    }
}

fn read<M: DeserializeOwned>(request: Value) -> M {
    serde_json::from_value(request).unwrap()
}

fn answer<M: Serialize>(answered: Result<Response<M>, Status>) -> Result<Value, Refusal> {
    match answered {
        Ok(response) => Ok(shown(response.into_inner())),
        Err(status) => Err(refusal(&status)),
    }
}

fn refusal(status: &Status) -> Refusal {
    let told = status.get_details_error_info();
    let mut told = told.unwrap_or_else(|| panic!("a status without a reason: {status:?}"));
    let (code, mut message) = (Some(format!("{:?}", status.code())), status.message().to_owned());
    // JSON that is a text here has another name where it is JSON.
    if let Some(field) = told.metadata.get_mut("field")
        && let Some(name) = field.strip_suffix("_json")
    {
        message = message.replacen(field.as_str(), name, 1);
        *field = name.to_owned();
    }
    Refusal { code, reason: told.reason, message, metadata: json!(told.metadata) }
}

/// A request in proto3 JSON, with JSON as text, and the mask as it is generated.
fn to_proto(request: &Request) -> Value {
    let members = request.iter().map(|(name, value)| {
        let text = transport::expanded(value);
        match name.as_str() {
            "settings" | "value" => (format!("{name}Json"), Value::String(text)),
            "updateMask" => {
                let mask: String = serde_json::from_str(&text).unwrap();
                (name.clone(), json!({"paths": mask.split(',').collect::<Vec<_>>()}))
            }
            _ => (name.clone(), serde_json::from_str(&text).unwrap()),
        }
    });
    Value::Object(members.collect())
}

/// A message with the JSON in it embedded.
fn shown(message: impl Serialize) -> Value {
    embedded(serde_json::to_value(message).unwrap())
}

fn embedded(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            Value::Object(members.into_iter().map(member).collect::<Map<_, _>>())
        }
        Value::Array(elements) => Value::Array(elements.into_iter().map(embedded).collect()),
        other => other,
    }
}

fn member((name, value): (String, Value)) -> (String, Value) {
    let json = |text: &Value| serde_json::from_str(text.as_str().unwrap()).unwrap();
    match (name.strip_suffix("Json"), &value) {
        (Some(name), Value::String(_)) => (name.to_owned(), json(&value)),
        (Some(name), Value::Array(texts)) => (name.to_owned(), texts.iter().map(json).collect()),
        (None, Value::String(text)) if name == "raw" => {
            match serde_json::from_slice(&STANDARD.decode(text).unwrap()) {
                Ok(line) => (name, line),
                Err(_) => ("rawBase64".to_owned(), value),
            }
        }
        _ => (name, embedded(value)),
    }
}
