//! Scenarios over `/api`, as far as it has a counterpart, and over JSON-RPC on a
//! WebSocket where it has none.
//!
//! Its bodies are its own, so of a refusal only the status is compared, with that
//! of the table. Of what is read the values must be those that JSON-RPC reads of
//! the same server.

use serde_json::{Value, json, value::to_raw_value};

use super::{
    json_rpc::JsonRpc,
    rest::escaped,
    transport::{self, Headers, Refusal, Request, Transport, Watch},
};
use crate::{harness::Server, raw::Answer, rest::Rest};

pub(super) struct Contract {
    api: Rest,
    others: JsonRpc,
}

impl Transport for Contract {
    // Of JSON-RPC, and of HTTP where that is what was asked.
    const COLUMNS: &[usize] = &[1, 2];
    const CONNECTIONS: u64 = 1;

    fn new(server: &Server) -> Self {
        Self { api: Rest::new(server), others: JsonRpc::over_a_socket(server) }
    }

    fn says(&self, _mark: &str) -> bool {
        true
    }

    fn call(&mut self, method: &str, request: &Request) -> Result<Value, Refusal> {
        let Some(call) = counterpart(method, request) else {
            return self.others.call(method, request);
        };
        let answer = call.send(&self.api);
        if !(200..300).contains(&answer.status) {
            return Err(refusal(&answer));
        }
        if !method.starts_with("Get") {
            return Ok(Value::Null);
        }
        let shown: Value = serde_json::from_slice(&answer.body).unwrap();
        let read = self.others.call(method, request)?;
        for name in ["settings", "key", "value"].iter().filter(|name| read.get(name).is_some()) {
            assert_eq!(shown.get(name), read.get(name), "{method}: {shown}");
        }
        for (ours, name) in [("session", "controls"), ("defaults", "defaults")] {
            if method == "GetControls" {
                assert_eq!(shown[name]["settings"], read[ours]["settings"], "{shown}");
            }
        }
        Ok(read)
    }

    fn knock(&mut self, server: &Server, headers: &Headers) -> Result<Value, Refusal> {
        let answer = transport::knock(server, "GET /api/sessions", headers, b"");
        if answer.status == 200 { Ok(Value::Null) } else { Err(refusal(&answer)) }
    }

    fn open(&mut self, method: &str, request: &Request) -> Result<Watch, Refusal> {
        self.others.open(method, request)
    }
}

/// A status, of which nothing else is compared.
fn refusal(answer: &Answer) -> Refusal {
    let (code, reason) = (Some(answer.status.to_string()), String::new());
    Refusal { code, reason, message: String::new(), metadata: Value::Null }
}

/// A call of `/api`.
struct Call {
    line: String,
    etag: Option<Value>,
    body: Option<String>,
}

impl Call {
    fn send(&self, api: &Rest) -> Answer {
        let etag = self.etag.as_ref().map(Value::to_string);
        let mut headers: Vec<_> = etag.iter().map(|etag| ("if-match", etag.as_str())).collect();
        headers.extend(self.body.iter().map(|_| ("content-type", "application/json")));
        api.send(&self.line, &headers, self.body.as_deref().unwrap_or_default().as_bytes())
    }
}

/// What `/api` has for a call; none where it cannot say all that the call says,
/// or takes another view of it.
fn counterpart(method: &str, request: &Request) -> Option<Call> {
    let text = |name: &str| -> Option<String> {
        serde_json::from_str(&transport::expanded(request.get(name)?)).ok()
    };
    // What is no id is no session there.
    let id = text("sessionId").filter(|id| id.len() == 36)?;
    let is_only = |names: &[&str]| request.keys().all(|name| names.contains(&name.as_str()));
    let scope = match text("scope").as_deref() {
        Some("SCOPE_SESSION") | None => "session",
        Some("SCOPE_DEFAULT") => "default",
        Some(_) => return None,
    };
    let of = |verb: &str, tail: &str| format!("{verb} /api/sessions/{id}{tail}");
    let etag = text("etag").map(Value::String);
    let said = |names: &[&str]| {
        let mut said: Request = request.clone();
        said.retain(|name, _| names.contains(&name.as_str()));
        said
    };
    let call = |line: String| Some(Call { line, etag: etag.clone(), body: None });
    let written = |tail: &str, mut said: Request, more: Value| {
        for (name, value) in more.as_object().into_iter().flatten() {
            said.insert(name.clone(), to_raw_value(value).unwrap());
        }
        let body = Some(transport::text(&said));
        Some(Call { line: of("POST", tail), etag: etag.clone(), body })
    };
    let scoped = json!({"scope": scope});
    let writes = ["sessionId", "scope", "key", "value", "settings", "actor", "source", "etag"];
    match method {
        "GetSettings" => {
            let key = text("key").map(|key| format!("&key={}", escaped(&key))).unwrap_or_default();
            call(of("GET", &format!("/settings?scope={scope}{key}")))
        }
        "UpdateSettings" if is_only(&writes) => {
            written("/settings", said(&["key", "value", "settings", "actor", "source"]), scoped)
        }
        "DeleteSetting" if is_only(&writes) => {
            let key = escaped(&text("key")?);
            let source = text("source").map(|source| format!("&source={}", escaped(&source)));
            let source = source.unwrap_or_default();
            call(of("DELETE", &format!("/settings/{key}?scope={scope}{source}")))
        }
        "GetSession" => call(of("GET", "")),
        "GetControls" => call(of("GET", "/session-controls")),
        "ApplyControls" if is_only(&["sessionId", "scope", "controls", "source", "etag"]) => {
            let controls: Value = serde_json::from_str(request["controls"].get()).unwrap();
            let more = json!({"controls": words(&controls), "scope": scope});
            written("/session-controls", said(&["source"]), more)
        }
        "DeleteSession" if is_only(&["sessionId"]) => call(of("DELETE", "")),
        "InterruptTurn" if is_only(&["sessionId"]) => written("/interrupt", said(&[]), json!({})),
        "StartTurn" if is_only(&["sessionId", "prompt"]) => {
            written("/messages", said(&[]), json!({"text": text("prompt")?}))
        }
        _ => None,
    }
}

/// Controls in the words of the contract.
fn words(controls: &Value) -> Value {
    let word = |name: &str, prefix: &str| {
        let word = controls.get(name)?.as_str()?.strip_prefix(prefix)?;
        Some(word.to_ascii_lowercase().replace('_', "-"))
    };
    json!({
        "model": controls.get("model").filter(|model| *model != ""),
        "approvalPolicy": word("approvalPolicy", "APPROVAL_POLICY_"),
        "networkAccess": word("networkAccess", "NETWORK_ACCESS_"),
        "filesystemSandbox": word("filesystemSandbox", "FILESYSTEM_SANDBOX_"),
    })
}
