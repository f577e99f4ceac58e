//! `/rpc`: JSON-RPC 2.0, as a client without any library of ours sees it.

mod calls;
mod closing;
mod discovery;
mod errors;
mod limits;
mod own_client;
mod programs;
mod specification;
mod subscriptions;
mod unread;
mod websocket;

use std::net::SocketAddr;

use serde_json::{Value, json};

pub(crate) use self::websocket::Socket;
use crate::{
    harness::Server,
    raw::{self, Answer},
};

/// A client.
#[derive(Debug, Clone)]
pub(crate) struct Rpc {
    address: SocketAddr,
    authorization: String,
}

impl Rpc {
    pub(crate) fn new(server: &Server) -> Self {
        Self { address: server.tcp(), authorization: format!("Bearer {}", server.token()) }
    }

    /// Sends a body as it is, and reads all of its answer.
    fn post(&self, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let authorization = [("authorization", self.authorization.as_str())];
        raw::request(self.address, "POST /rpc", &[&authorization, headers].concat(), body)
    }

    /// Sends a text, whose answer must be JSON with the status 200.
    pub(crate) fn send(&self, text: &str) -> Value {
        let answer = self.post(&[JSON], text.as_bytes());
        assert_eq!(answer.status, 200, "{answer:?}");
        json_of(&answer)
    }

    /// What a call is answered with.
    pub(crate) fn call(&self, method: &str, params: &Value) -> Result<Value, Value> {
        let request = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let answer = self.send(&request.to_string());
        assert_eq!((&answer["jsonrpc"], &answer["id"]), (&json!("2.0"), &json!(1)), "{answer}");
        outcome(answer)
    }

    /// What a call is answered with that must succeed.
    fn ok(&self, method: &str, params: &Value) -> Value {
        self.call(method, params).unwrap_or_else(|error| panic!("{method}: {error:#}"))
    }

    /// The error of a call that must fail, with its reason.
    fn refused(&self, method: &str, params: &Value, code: i64, reason: &str) -> Value {
        let error = self.call(method, params).expect_err(method);
        assert_eq!((&error["code"], &error["data"]["reason"]), (&json!(code), &json!(reason)));
        assert!(error["data"]["metadata"].is_object(), "{error}");
        error
    }

    /// A session whose agent follows `script`.
    fn create(&self, server: &Server, script: &str) -> String {
        let params = json!({
            "session": {"workingDirectory": server.work()},
            "prompt": format!("FAKE_AGENT={script}"),
        });
        let created = self.ok("session/create", &params);
        created["session"]["sessionId"].as_str().unwrap().to_owned()
    }

    /// Waits until a session is at rest.
    fn rest(&self, id: &str) -> Value {
        let answer = self.ok("session/wait", &json!({"sessionId": id, "timeout": "60s"}));
        assert_eq!(answer["reached"], true, "{answer}");
        answer["session"].clone()
    }

    /// Opens a WebSocket.
    pub(crate) fn socket(&self) -> Socket {
        Socket::open(self.address, &self.authorization)
    }
}

const JSON: (&str, &str) = ("content-type", "application/json");

fn json_of(answer: &Answer) -> Value {
    assert_eq!(answer.header("content-type"), Some("application/json"), "{answer:?}");
    serde_json::from_slice(&answer.body).unwrap_or_else(|_| panic!("{answer:?}"))
}

/// The result of an answer, or its error. It has one of them.
fn outcome(answer: Value) -> Result<Value, Value> {
    let Value::Object(mut answer) = answer else { panic!("{answer}") };
    match (answer.remove("result"), answer.remove("error")) {
        (Some(result), None) => Ok(result),
        (None, Some(error)) => Err(error),
        both => panic!("{both:?}"),
    }
}
