//! The examples of the specification of JSON-RPC 2.0, section 7, with methods
//! that there are.

use serde_json::{Value, json};

use super::{
    JSON, Rpc, Socket,
    websocket::{Frame, frame},
};
use crate::{harness::Server, ledger};

/// A text sent by POST and over a WebSocket: what comes back of it, which is the
/// same.
fn both(rpc: &Rpc, socket: &mut Socket, text: &str) -> Value {
    let posted = rpc.send(text);
    socket.send(text);
    assert_eq!(posted, socket.message(), "{text}");
    posted
}

/// The same, as the text that it is.
fn text_of(rpc: &Rpc, socket: &mut Socket, text: &str) -> String {
    let posted = String::from_utf8(rpc.post(&[JSON], text.as_bytes()).body).unwrap();
    socket.send(text);
    assert_eq!(socket.frame(), Frame::Text(posted.clone()), "{text}");
    posted
}

fn start() -> (Server, Rpc) {
    let server = ledger::setup().start();
    let rpc = Rpc::new(&server);
    (server, rpc)
}

const INFO: &str = r#"{"jsonrpc": "2.0", "method": "audit/verify", "params": {}, "id": 3}"#;

#[test]
fn a_call_is_answered_once_with_its_id_as_it_was() {
    let (_server, rpc) = start();
    let mut socket = rpc.socket();
    for (nth, id) in [
        "1",
        "0",
        "-7",
        "1.0",
        "1e3",
        "-0.5E-7",
        "18446744073709551615",
        "18446744073709551616",
        "\"1\"",
        "\"\"",
        "\"ü\\n\"",
        "\"\\ud800\"",
        "\"\\u0061\"",
        "null",
    ]
    .into_iter()
    .enumerate()
    {
        let text = format!(r#"{{"jsonrpc":"2.0","method":"audit/verify","id":{id}}}"#);
        let answer = text_of(&rpc, &mut socket, &text);
        let begins = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"valid":true"#);
        assert!(answer.starts_with(&begins), "{answer}");
        let batch = text_of(&rpc, &mut socket, &format!("[{text},{text}]"));
        assert_eq!(batch, format!("[{answer},{answer}]"));
        // An error has it as well, and what is carried out is carried out once.
        let text = format!(r#"{{"jsonrpc":"2.0","method":"nope","id":{id}}}"#);
        let begins = format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":-32601,"#);
        assert!(text_of(&rpc, &mut socket, &text).starts_with(&begins), "{id}");
        let text = format!(
            r#"{{"jsonrpc":"2.0","method":"session/create","id":{id},"params":{{"session":{{"workingDirectory":"/"}}}}}}"#
        );
        socket.send(&text);
        let Frame::Text(answer) = socket.frame() else { panic!("no answer to {text}") };
        assert!(answer.contains("sessionId") && answer.contains(&format!(r#""id":{id},"#)));
        let sessions = rpc.ok("session/list", &json!({}))["sessions"].as_array().unwrap().len();
        assert_eq!(sessions, nth + 1);
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
    let audit = socket.subscribe("audit/watch", &json!({"afterSeq": "0"}));
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
    refused("", -32700, Value::Null);
    refused("[1,]", -32700, Value::Null);
    for text in ["1", "null", "\"x\"", "{}", r#"{"a":1}"#, r#"{"jsonrpc":"2.0"}"#] {
        refused(text, -32600, Value::Null);
    }
    refused(r#"{"jsonrpc":"2.0","method":1,"params":"bar"}"#, -32600, Value::Null);
    for id in ["{}", "[1]", "true", "1,\"id\":2"] {
        let text = format!(r#"{{"jsonrpc":"2.0","method":"audit/verify","id":{id}}}"#);
        refused(&text, -32600, Value::Null);
    }
    refused(r#"{"jsonrpc":"2.0","method":"a","method":"b","id":-1}"#, -32600, json!(-1));
    refused(
        &format!(r#"{{"id":"{}","method":"m"}}"#, "x".repeat(2_000)),
        -32600,
        json!("x".repeat(2_000)),
    );
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
fn what_is_no_utf_8_is_no_json() {
    let (_server, rpc) = start();
    let text = b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"audit/verify\",\"x\":\"\xff\"}";
    let answer = super::json_of(&rpc.post(&[JSON], text));
    assert_eq!((&answer["error"]["code"], &answer["id"]), (&json!(-32700), &Value::Null));
    let mut socket = rpc.socket();
    socket.write(&frame(0x81, text));
    assert_eq!(socket.frame(), Frame::Close(Some(1007)));
    assert_eq!(socket.frame(), Frame::End);
}

#[test]
fn blanks_around_a_message_are_nothing() {
    let (_server, rpc) = start();
    let mut socket = rpc.socket();
    let blanks = " \r\n\t".repeat(1_000);
    assert_eq!(both(&rpc, &mut socket, &format!("{blanks}{INFO}{blanks}"))["id"], 3);
}

#[test]
fn deviation_parameters_that_are_null_are_none() {
    let (_server, rpc) = start();
    let mut socket = rpc.socket();
    let text = r#"{"jsonrpc":"2.0","method":"audit/verify","params":null,"id":1}"#;
    assert_eq!(both(&rpc, &mut socket, text)["result"]["valid"], true);
}
