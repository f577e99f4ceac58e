//! The examples of the specification of JSON-RPC 2.0, section 7, with methods
//! that there are; and where jsonrpsee does otherwise.

use serde_json::{Value, json};

use super::{JSON, Rpc, Socket, websocket::Frame};
use crate::{harness::Server, ledger};

/// A text sent by POST and over a WebSocket: what comes back of it, where
/// something must.
fn both(rpc: &Rpc, socket: &mut Socket, text: &str) -> Value {
    let posted = rpc.send(text);
    socket.send(text);
    let told = socket.message();
    let (mut plain, mut other) = (posted.clone(), told);
    for answer in [&mut plain, &mut other] {
        // Over a WebSocket jsonrpsee says some errors in words of its own.
        if let Some(error) = answer.get_mut("error") {
            *error = error["code"].clone();
        }
    }
    assert_eq!(plain, other, "{text}");
    posted
}

fn start() -> (Server, Rpc) {
    let server = ledger::setup().start();
    let rpc = Rpc::new(&server);
    (server, rpc)
}

const INFO: &str = r#"{"jsonrpc": "2.0", "method": "audit/verify", "params": {}, "id": 3}"#;

#[test]
fn a_call_is_answered_with_its_id_as_it_was() {
    let (_server, rpc) = start();
    let mut socket = rpc.socket();
    for id in ["1", "0", "18446744073709551615", "\"1\"", "\"\"", "\"ü\\n\"", "null"] {
        let text = format!(r#"{{"jsonrpc":"2.0","method":"audit/verify","id":{id}}}"#);
        let answer = both(&rpc, &mut socket, &text);
        assert_eq!(answer["id"], serde_json::from_str::<Value>(id).unwrap());
        assert_eq!((&answer["jsonrpc"], &answer["result"]["valid"]), (&json!("2.0"), &json!(true)));
        assert_eq!(answer.get("error"), None);
    }
}

#[test]
fn parameters_are_by_name_in_any_order_and_may_be_left_out() {
    let (_server, rpc) = start();
    let mut socket = rpc.socket();
    for params in
        [r#"{"pageSize": 1, "newestFirst": true}"#, r#"{"newestFirst": true, "pageSize": 1}"#, "{}"]
    {
        let text = format!(r#"{{"jsonrpc":"2.0","method":"audit/list","params":{params},"id":3}}"#);
        assert!(both(&rpc, &mut socket, &text)["result"].is_object());
    }
    let text = r#"{"jsonrpc": "2.0", "method": "audit/list", "params": [42, 23], "id": 1}"#;
    let error = both(&rpc, &mut socket, text)["error"].clone();
    assert_eq!(error["code"], -32602);
}

#[test]
fn a_notification_is_carried_out_and_not_answered() {
    let (_server, rpc) = start();
    let mut socket = rpc.socket();
    let write = |key: &str| {
        format!(
            r#"{{"jsonrpc":"2.0","method":"settings/update","params":{{"scope":"SCOPE_DEFAULT","key":"{key}","value":1}}}}"#
        )
    };
    let answer = rpc.post(&[JSON], write("posted").as_bytes());
    assert_eq!((answer.status, answer.body.as_slice()), (200, b"".as_slice()));
    // One that fails is not answered either, nor one that is not there.
    for text in [
        r#"{"jsonrpc":"2.0","method":"foobar"}"#,
        r#"{"jsonrpc":"2.0","method":"session/get","params":{}}"#,
    ] {
        assert_eq!(rpc.post(&[JSON], text.as_bytes()).body, b"");
        socket.send(text);
    }
    socket.send(&write("told"));
    // The first thing that comes over the socket is an answer.
    let audit = socket.subscribe("audit/watch", &json!({}));
    while !socket
        .until(&audit, "entry")
        .iter()
        .any(|told| told["entry"]["settings"][0]["key"] == "told")
    {}
    let settings = rpc.ok("settings/get", &json!({"scope": "SCOPE_DEFAULT"}));
    assert_eq!(settings["settings"], json!({"posted": 1, "told": 1}));
}

#[test]
fn what_is_not_there_is_not_found() {
    let (_server, rpc) = start();
    let mut socket = rpc.socket();
    let answer = both(&rpc, &mut socket, r#"{"jsonrpc": "2.0", "method": "foobar", "id": "1"}"#);
    assert_eq!((&answer["id"], &answer["error"]["code"]), (&json!("1"), &json!(-32601)));
    assert_eq!(answer["error"]["data"]["reason"], "UNIMPLEMENTED");
    assert!(answer["error"]["message"].as_str().unwrap().contains("rpc.discover"));
}

#[test]
fn what_is_no_json_and_what_is_no_request_is_said() {
    let (_server, rpc) = start();
    let mut socket = rpc.socket();
    let mut refused = |text: &str, code: i64, id: Value| {
        let answer = both(&rpc, &mut socket, text);
        assert_eq!(
            (&answer["error"]["code"], &answer["id"]),
            (&json!(code), &id),
            "{text}: {answer}"
        );
        assert_eq!(answer["error"]["data"]["reason"], "INVALID_ARGUMENT", "{text}: {answer}");
    };
    refused(r#"{"jsonrpc": "2.0", "method": "foobar, "params": "bar", "baz]"#, -32700, Value::Null);
    refused(
        r#"[{"jsonrpc": "2.0", "method": "sum", "params": [1,2,4], "id": "1"},{"jsonrpc": "2.0", "method""#,
        -32700,
        Value::Null,
    );
    refused("nonsense", -32700, Value::Null);
    refused("1", -32700, Value::Null);
    refused(r#"{"id": 5, "method": "server/info"}"#, -32600, json!(5));
    refused(r#"{"jsonrpc": "1.0", "id": "x", "method": "server/info"}"#, -32600, json!("x"));
    refused(r#"{"jsonrpc": "2.0", "id": 6}"#, -32600, json!(6));
    refused("[]", -32600, Value::Null);
}

#[test]
fn a_batch_is_answered_as_a_batch() {
    let (_server, rpc) = start();
    let mut socket = rpc.socket();
    let answer = both(&rpc, &mut socket, "[1]");
    assert_eq!(answer.as_array().unwrap().len(), 1);
    let answer = both(&rpc, &mut socket, "[1,2,3]");
    for one in answer.as_array().unwrap() {
        assert_eq!((&one["error"]["code"], &one["id"]), (&json!(-32600), &Value::Null));
        assert_eq!(one["error"]["data"]["reason"], "INVALID_ARGUMENT");
    }
    assert_eq!(answer.as_array().unwrap().len(), 3);
    let text = format!(
        r#"[{INFO},
            {{"jsonrpc": "2.0", "method": "audit/verify"}},
            {{"foo": "boo"}},
            {{"jsonrpc": "2.0", "method": "foo.get", "params": {{"name": "myself"}}, "id": "5"}},
            {{"jsonrpc": "2.0", "method": "audit/list", "id": "9"}}]"#
    );
    let answer = both(&rpc, &mut socket, &text);
    let ids: Vec<&Value> = answer.as_array().unwrap().iter().map(|one| &one["id"]).collect();
    assert_eq!(ids, [&json!(3), &Value::Null, &json!("5"), &json!("9")]);
    assert_eq!(answer[1]["error"]["code"], -32600);
    assert_eq!(answer[2]["error"]["data"]["reason"], "UNIMPLEMENTED");

    let silent =
        r#"[{"jsonrpc": "2.0", "method": "audit/verify"},{"jsonrpc": "2.0", "method": "nope"}]"#;
    let posted = rpc.post(&[JSON], silent.as_bytes());
    assert_eq!((posted.status, posted.body.as_slice()), (200, b"".as_slice()));
    socket.send(silent);
    socket.send(INFO);
    assert_eq!(socket.message()["id"], 3, "nothing is said of notifications");
}

#[test]
fn deviation_ids_that_are_negative_or_fractions_make_a_notification() {
    let (_server, rpc) = start();
    for id in ["-1", "1.5", "{}", "[1]", "true", "1,\"id\":2"] {
        let text = format!(r#"{{"jsonrpc":"2.0","method":"audit/verify","id":{id}}}"#);
        assert_eq!(rpc.post(&[JSON], text.as_bytes()).body, b"", "{id}");
    }
}

#[test]
fn deviation_parameters_that_are_null_are_none() {
    let (_server, rpc) = start();
    let text = r#"{"jsonrpc":"2.0","method":"audit/verify","params":null,"id":1}"#;
    assert_eq!(rpc.send(text)["result"]["valid"], true);
}

#[test]
fn deviation_a_websocket_takes_128_blanks_for_no_json() {
    let (_server, rpc) = start();
    let mut socket = rpc.socket();
    let text = format!("{}{INFO}", " ".repeat(128));
    assert_eq!(rpc.send(&text)["id"], 3, "by POST it is read");
    socket.send(&text);
    assert_eq!(socket.message()["error"]["code"], -32700);
    socket.send(&text[1..]);
    assert_eq!(socket.message()["id"], 3);
}

#[test]
fn deviation_a_binary_message_is_read_as_a_text() {
    let (_server, rpc) = start();
    let mut socket = rpc.socket();
    socket.write(&super::websocket::frame(0x82, INFO.as_bytes()));
    assert_eq!(socket.message()["id"], 3);
    socket.write(&super::websocket::frame(0x89, b"x"));
    assert_eq!(socket.frame(), Frame::Pong);
}
