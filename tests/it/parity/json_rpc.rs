//! Scenarios over JSON-RPC: calls by POST or over one WebSocket, each watch over a
//! WebSocket of its own.

use std::{collections::VecDeque, iter};

use serde_json::{Value, json};

use super::transport::{self, Headers, Refusal, Request, Transport, Watch};
use crate::{
    harness::Server,
    json_rpc::{Rpc, Socket},
};

pub(super) struct JsonRpc {
    rpc: Rpc,
    /// What calls go over; none for a POST each.
    socket: Option<Socket>,
}

impl JsonRpc {
    /// All calls over one WebSocket.
    pub(super) fn over_a_socket(server: &Server) -> Self {
        let rpc = Rpc::new(server);
        let socket = Some(rpc.socket());
        Self { rpc, socket }
    }
}

impl Transport for JsonRpc {
    const COLUMNS: &[usize] = &[2];
    const CONNECTIONS: u64 = 1;

    fn new(server: &Server) -> Self {
        Self { rpc: Rpc::new(server), socket: None }
    }

    fn says(&self, _mark: &str) -> bool {
        true
    }

    fn call(&mut self, method: &str, request: &Request) -> Result<Value, Refusal> {
        let (method, params) = (json!(name(method)), transport::text(request));
        let call = format!(r#"{{"jsonrpc":"2.0","id":1,"method":{method},"params":{params}}}"#);
        let mut answer = match &mut self.socket {
            Some(socket) => {
                socket.send(&call);
                socket.message()
            }
            None => self.rpc.send(&call),
        };
        match answer.get("error") {
            Some(error) => Err(refusal(error)),
            None => Ok(answer["result"].take()),
        }
    }

    fn knock(&mut self, server: &Server, headers: &Headers) -> Result<Value, Refusal> {
        let call = br#"{"jsonrpc":"2.0","id":1,"method":"server/info"}"#;
        let answer = transport::knock(server, "POST /rpc", headers, call);
        let body: Value = serde_json::from_slice(&answer.body).unwrap();
        body.get("error").map_or(Ok(Value::Null), |error| Err(refusal(error)))
    }

    fn open(&mut self, method: &str, request: &Request) -> Result<Watch, Refusal> {
        let params = serde_json::from_str(&transport::text(request)).unwrap();
        let mut socket = self.rpc.socket();
        let subscription = socket.call(name(method), &params).map_err(|error| refusal(&error))?;
        let subscription = subscription.as_str().unwrap().to_owned();
        let mut there = VecDeque::new();
        Ok(Box::new(iter::from_fn(move || {
            while there.is_empty() {
                let mut told = socket.told(&subscription);
                let Value::Array(messages) = told["messages"].take() else { panic!("{told}") };
                there.extend(messages.into_iter().map(|message| Some(Ok(message))));
                if let Some(closed) = told.get("closed") {
                    let error = closed.get("error").map(refusal);
                    let reason = error.as_ref().map_or("END", |error| error.reason.as_str());
                    assert_eq!(closed["reason"], reason);
                    there.push_back(error.map(Err));
                }
            }
            there.pop_front().flatten()
        })))
    }
}

fn refusal(error: &Value) -> Refusal {
    // What is no JSON at all has a code of JSON-RPC itself.
    let code = error["code"].to_string().replace("-32700", "-32602");
    let mut refusal = Refusal::of(Some(code), &error["message"], &error["data"]);
    // What is here as a value is a text elsewhere.
    if let Some(drift) = error["data"].get("drift") {
        refusal.metadata["drift"] = drift.clone();
    }
    refusal
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
        "ExportConfigLock" => "configLock/export",
        "VerifyConfigLock" => "configLock/verify",
        "ListTurns" => "session/listTurns",
        "ListMessages" => "session/listMessages",
        "GetTrajectory" => "session/getTrajectory",
        "ReadOutput" => "session/readOutput",
        "WatchSessions" => "sessions/watch",
        "ListEvents" => "events/list",
        "WatchEvents" => "events/watch",
        "GetSettings" => "settings/get",
        "UpdateSettings" => "settings/update",
        "DeleteSetting" => "settings/delete",
        "GetControls" => "controls/get",
        "ApplyControls" => "controls/apply",
        "ListAuditEntries" => "audit/list",
        "WatchAuditEntries" => "audit/watch",
        "VerifyAudit" => "audit/verify",
        "GetAuditState" => "audit/getState",
        "GetServerInfo" => "server/info",
        "NoSuchMethod" => "session/noSuchMethod",
        other => panic!("{other}"),
    }
}
