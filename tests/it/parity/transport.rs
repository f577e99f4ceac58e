//! What every transport is to a scenario: a function of a method's name and its
//! request, in the JSON that JSON-RPC and `/v1` have.

use std::collections::BTreeMap;

use serde_json::{Value, json, value::RawValue};

use crate::{
    harness::Server,
    raw::{self, Answer},
};

/// A request's members, as they are written.
pub(super) type Request = BTreeMap<String, Box<RawValue>>;

/// What somebody shows who is perhaps not let in.
pub(super) type Headers = BTreeMap<String, String>;

/// What is watched, message by message. The last is how it ends, where that is
/// an error.
pub(super) type Watch = Box<dyn Iterator<Item = Result<Value, Refusal>>>;

/// An error, as a transport tells it.
#[derive(Debug)]
pub(super) struct Refusal {
    /// Its own code; none in what ends a stream of server-sent events.
    pub code: Option<String>,
    /// Empty where it has none.
    pub reason: String,
    pub message: String,
    pub metadata: Value,
}

impl Refusal {
    /// An error with its reason beside its metadata, as both JSON transports have it.
    /// Their own default is put as gRPC's.
    pub(super) fn of(code: Option<String>, message: &Value, told: &Value) -> Self {
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        let reason = text(&told["reason"]);
        let message = text(message).replace("0 for 524288", "0 for 3145728");
        Self { code, reason, message, metadata: told["metadata"].clone() }
    }
}

pub(super) trait Transport: Sized {
    /// The columns of the table of errors that have its codes.
    const COLUMNS: &[usize];

    /// How many connections it opens for a call.
    const CONNECTIONS: u64;

    /// Connects to a server.
    fn new(server: &Server) -> Self;

    /// Whether it can say what has this mark.
    fn says(&self, mark: &str) -> bool;

    /// Calls a method that has one answer.
    fn call(&mut self, method: &str, request: &Request) -> Result<Value, Refusal>;

    /// Asks what the server is, with another `token` or further headers.
    fn knock(&mut self, server: &Server, headers: &Headers) -> Result<Value, Refusal>;

    /// Begins to watch.
    fn open(&mut self, method: &str, request: &Request) -> Result<Watch, Refusal>;
}

/// All that an error tells but its code, which is each transport's own.
pub(super) fn told(refusal: Refusal) -> Value {
    let Refusal { code: _, reason, message, mut metadata } = refusal;
    if let Some(drift) = metadata.get("drift").and_then(Value::as_str) {
        metadata["drift"] = serde_json::from_str(drift).unwrap();
    }
    json!({"reason": reason, "message": message, "metadata": metadata})
}

/// The same with the names of fields as the proto files have them.
pub(super) fn named(mut told: Value) -> Value {
    for at in ["/message", "/metadata/field"] {
        if let Some(text) = told.pointer_mut(at) {
            *text = in_proto(text.as_str().expect("a text")).into();
        }
    }
    told
}

/// A text whose names in lowerCamelCase are in snake_case.
fn in_proto(text: &str) -> String {
    let mut written = String::new();
    for c in text.chars() {
        if c.is_ascii_uppercase() && written.ends_with(|c: char| c.is_ascii_lowercase()) {
            written.push('_');
            written.push(c.to_ascii_lowercase());
        } else {
            written.push(c);
        }
    }
    written
}

/// All messages, and the error at their end.
pub(super) fn split(
    watch: impl Iterator<Item = Result<Value, Refusal>>,
) -> (Vec<Value>, Option<Refusal>) {
    let mut messages = Vec::new();
    for message in watch {
        match message {
            Ok(message) => messages.push(message),
            Err(end) => return (messages, Some(end)),
        }
    }
    (messages, None)
}

/// A request as a line has it.
pub(super) fn request(text: &str) -> Request {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// A value with what no line can have in it.
pub(super) fn expanded(value: &RawValue) -> String {
    let deep = format!("{}{}", "[".repeat(80), "]".repeat(80));
    let text = value.get().replace("\"$NAN\"", "NaN").replace("\"$DEEP\"", &deep);
    text.replace("$MUCH", &"x".repeat(1 << 20)).replace("$LONG", &"x".repeat(300))
}

/// A request as one text of JSON, or nearly.
pub(super) fn text(request: &Request) -> String {
    let members = request.iter().map(|(name, value)| format!("{name:?}:{}", expanded(value)));
    format!("{{{}}}", members.collect::<Vec<_>>().join(","))
}

/// Knocks over HTTP.
pub(super) fn knock(server: &Server, line: &str, headers: &Headers, body: &[u8]) -> Answer {
    let token = headers.get("token").cloned().unwrap_or_else(|| server.token());
    let authorization = format!("Bearer {token}");
    let others = headers.iter().filter(|(name, _)| *name != "token");
    let mut shown: Vec<_> = others.map(|(name, value)| (name.as_str(), value.as_str())).collect();
    shown.extend([("authorization", authorization.as_str()), ("content-type", "application/json")]);
    raw::request(server.tcp(), line, &shown, body)
}
