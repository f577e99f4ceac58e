//! What there may be of anything.

use serde_json::{Value, json};

use super::{
    JSON, Rpc, Socket, json_of,
    websocket::{self, Frame},
};
use crate::{ledger, slow::resident};

fn batch(calls: usize) -> String {
    let call = json!({"jsonrpc": "2.0", "id": 1, "method": "audit/list"});
    Value::Array(vec![call; calls]).to_string()
}

#[test]
fn a_batch_has_so_many_calls_and_no_more() {
    let server = ledger::setup().config("[json_rpc]\nmax_batch = 3\n").start();
    let rpc = Rpc::new(&server);
    let mut socket = rpc.socket();
    assert_eq!(rpc.send(&batch(3)).as_array().unwrap().len(), 3);
    for calls in [4, 10_001] {
        let answer = rpc.send(&batch(calls));
        let error = &answer["error"];
        assert_eq!((&answer["id"], &error["code"]), (&Value::Null, &json!(413)), "{answer}");
        assert_eq!(error["data"]["reason"], "PAYLOAD_TOO_LARGE");
        let metadata = json!({"size": calls.to_string(), "limit": "3", "unit": "calls"});
        assert_eq!(error["data"]["metadata"], metadata);
    }
    socket.send(&batch(4));
    assert_eq!(socket.message()["error"]["data"]["reason"], "PAYLOAD_TOO_LARGE");
    assert_eq!(socket.ok("audit/verify", &json!({}))["valid"], true, "it goes on");
}

#[test]
fn deviation_a_websocket_says_of_some_messages_only_the_code() {
    let server = ledger::setup().config("[json_rpc]\nmax_message_size = \"1MiB\"\n").start();
    let mut socket = Rpc::new(&server).socket();
    let mut code = |text: &str| {
        socket.send(text);
        socket.message()["error"]["code"].as_i64().unwrap()
    };
    assert_eq!(code("nonsense"), -32700);
    assert_eq!(code(r#"{"jsonrpc":"2.0","id":1}"#), -32600);
    assert_eq!(code(&batch(10_001)), -32010);
    assert_eq!(code(&format!("\"{}\"", "x".repeat(1 << 20))), -32007);
    assert_eq!(socket.ok("audit/verify", &json!({}))["valid"], true, "it goes on");
}

#[test]
fn a_websocket_has_so_many_subscriptions_and_no_more() {
    let server = ledger::setup().config("[json_rpc]\nmax_subscriptions = 2\n").start();
    let rpc = Rpc::new(&server);
    let mut socket = rpc.socket();
    let first = socket.subscribe("sessions/watch", &json!({}));
    socket.subscribe("audit/watch", &json!({}));
    let error = socket.call("events/watch", &json!({})).unwrap_err();
    assert_eq!((&error["code"], &error["data"]["reason"]), (&json!(429), &json!("OVERLOADED")));
    assert!(error["message"].as_str().unwrap().contains("max_subscriptions"), "{error}");
    rpc.socket().subscribe("events/watch", &json!({}));
    socket.ok("sessions/unwatch", &json!({"subscription": first}));
    // The place is free when the subscription has noticed.
    while socket.call("events/watch", &json!({})).is_err() {}
}

#[test]
fn there_are_so_many_connections_and_no_more() {
    let server = ledger::setup().config("[json_rpc]\nmax_connections = 1\n").start();
    let rpc = Rpc::new(&server);
    let mut socket = rpc.socket();
    socket.ok("audit/verify", &json!({}));
    let answer = rpc.post(&[JSON], br#"{"jsonrpc":"2.0","id":1,"method":"audit/verify"}"#);
    assert_eq!((answer.status, answer.header("retry-after")), (429, Some("1")));
    assert_eq!(json_of(&answer)["error"]["data"]["reason"], "OVERLOADED");
    let authorization = [("authorization", rpc.authorization.as_str())];
    assert_eq!(Socket::request(server.tcp(), &authorization).0, 429);
    assert_eq!(socket.ok("audit/verify", &json!({}))["valid"], true);
}

#[test]
fn a_connection_has_so_many_calls_under_way_and_no_more() {
    let server = ledger::setup().start();
    let rpc = Rpc::new(&server);
    let id = rpc.create(&server, "thread,turn,completed");
    rpc.rest(&id);
    let last = rpc.ok("events/list", &json!({"sessionId": id}))["latestSeq"].clone();
    let mut socket = rpc.socket();
    let long = json!({"sessionId": id, "afterSeq": last, "wait": "60s"});
    let ids: Vec<u64> = (0..257).map(|_| socket.begin("events/list", &long)).collect();
    let answer = socket.message();
    assert_eq!(answer["error"]["data"]["reason"], "OVERLOADED", "{answer}");
    assert!(ids.iter().any(|id| answer["id"] == json!(id)));
    rpc.ok(
        "session/update",
        &json!({"sessionId": id, "session": {"title": "t"}, "updateMask": "title"}),
    );
    for _ in 0..256 {
        assert!(socket.message()["result"]["events"].is_array());
    }
}

#[test]
fn a_client_that_calls_and_does_not_read_is_not_read_from() {
    // Nothing comes in between.
    let server = ledger::setup().config("[json_rpc]\nping_interval = \"10m\"\n").start();
    let rpc = Rpc::new(&server);
    let mut other = rpc.socket();
    let mut socket = rpc.socket();
    socket.ok("server/info", &json!({}));
    let before = resident(&server);
    let (mut sent, mut idle) = (0, 0);
    // It takes no more when others are answered again and again and it is not.
    while idle < 100 {
        assert!(sent < 1_000_000, "the server reads whatever comes");
        let call = format!(r#"{{"jsonrpc":"2.0","id":{sent},"method":"server/info"}}"#);
        if socket.write_if_room(&websocket::frame(0x81, call.as_bytes())) {
            (sent, idle) = (sent + 1, 0);
        } else {
            idle += 1;
            other.ok("server/info", &json!({}));
        }
    }
    let grown = resident(&server).saturating_sub(before);
    assert!(grown < 64 << 20, "{grown} bytes for {sent} calls");
    // All are answered as soon as it reads; the last was perhaps not sent whole.
    socket.stop_writing();
    let mut ids: Vec<u64> = (1..sent).map(|_| socket.message()["id"].as_u64().unwrap()).collect();
    socket.write_rest();
    ids.push(socket.message()["id"].as_u64().unwrap());
    ids.sort_unstable();
    assert_eq!(ids, (0..sent).collect::<Vec<_>>());
    socket.ok("server/info", &json!({}));
}

#[test]
fn nothing_is_owed_for_what_has_no_answer() {
    let server = ledger::setup().start();
    let mut socket = Rpc::new(&server).socket();
    // More of each than there may be calls unanswered.
    for _ in 0..1_000 {
        socket.send(r#"{"jsonrpc":"2.0","method":"audit/verify"}"#);
        socket.send(r#"[{"jsonrpc":"2.0","method":"nonsense"}]"#);
        socket.write(&websocket::frame(0x8A, b"unasked"));
    }
    for _ in 0..1_000 {
        socket.send("nonsense");
        assert_eq!(socket.message()["error"]["code"], -32700);
    }
    assert_eq!(socket.ok("audit/verify", &json!({}))["valid"], true);
}

#[test]
fn a_client_is_asked_whether_it_is_there() {
    let server = ledger::setup().config("[json_rpc]\nping_interval = \"1s\"\n").start();
    let mut socket = Rpc::new(&server).socket();
    for _ in 0..3 {
        assert_eq!(socket.frame(), Frame::Ping);
    }
}

#[test]
fn a_client_that_does_not_answer_is_closed() {
    let server = ledger::setup().config("[json_rpc]\nping_interval = \"1s\"\n").start();
    let rpc = Rpc::new(&server);
    let mut socket = rpc.socket();
    let mut pings = 0;
    let end = loop {
        match socket.frame_unanswered() {
            Frame::Ping => pings += 1,
            other => break other,
        }
    };
    assert!(pings >= 2 && matches!(end, Frame::Close(_) | Frame::End), "{pings} {end:?}");
}

/// Numbers that look random and are the same each time: xorshift.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % bound as u64).unwrap()
    }
}

#[test]
fn no_frames_bring_the_server_down() {
    let server = ledger::setup().start();
    let rpc = Rpc::new(&server);
    let mut dice = Dice(0x9E37_79B9_7F4A_7C15);
    let texts = [
        r#"{"jsonrpc":"2.0","id":1,"method":"server/info","params":{}}"#,
        r#"[{"jsonrpc":"2.0","id":1,"method":"audit/list"},{"jsonrpc":"2.0","method":"x"}]"#,
        r#"{"jsonrpc":"2.0","id":2,"method":"events/watch","params":{"heartbeat":"1s"}}"#,
        r#"{"jsonrpc":"2.0","id":3,"method":"events/unwatch","params":{"subscription":"x"}}"#,
    ];
    for round in 0..200 {
        let mut socket = rpc.socket();
        for _ in 0..=dice.below(4) {
            let mut text = texts[dice.below(texts.len())].as_bytes().to_vec();
            for _ in 0..dice.below(3) {
                let at = dice.below(text.len());
                text[at] = u8::try_from(dice.below(256)).unwrap();
            }
            let opcodes = [0x81, 0x81, 0x81, 0x82, 0x01, 0x80, 0x88, 0x89, 0x8A, 0xF1, 0x83];
            let mut frame = websocket::frame(opcodes[dice.below(opcodes.len())], &text);
            for _ in 0..dice.below(3) {
                let at = dice.below(frame.len().min(16));
                frame[at] = u8::try_from(dice.below(256)).unwrap();
            }
            frame.truncate(frame.len() - dice.below(2) * dice.below(frame.len()));
            if socket.try_write(&frame).is_err() {
                break;
            }
        }
        drop(socket);
        if round % 50 == 0 {
            assert_eq!(rpc.ok("audit/verify", &json!({}))["valid"], true);
        }
    }
    assert_eq!(rpc.socket().ok("audit/verify", &json!({}))["valid"], true);
    assert!(!server.log().contains("panicked"), "{}", server.log());
}
