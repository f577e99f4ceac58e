//! How connections end, and what becomes of what was asked before.

use std::{io::Write as _, net::TcpStream};

use serde_json::{Value, json};

use super::{
    Rpc, Socket,
    websocket::{self, Frame},
};
use crate::{harness::Server, ledger};

fn start() -> (Server, Rpc) {
    let server = ledger::setup().start();
    let rpc = Rpc::new(&server);
    (server, rpc)
}

fn write(key: &str) -> String {
    let params = json!({"scope": "SCOPE_DEFAULT", "key": key, "value": 1});
    json!({"jsonrpc": "2.0", "method": "settings/update", "params": params}).to_string()
}

/// What is written from here on.
struct Written(Socket, String);

impl Written {
    fn watch(rpc: &Rpc) -> Self {
        let mut socket = rpc.socket();
        let audit = socket.subscribe("audit/watch", &json!({}));
        socket.until(&audit, "synced");
        Self(socket, audit)
    }

    /// Waits until so many settings are.
    fn are(mut self, rpc: &Rpc, count: usize) {
        let mut entries = 0;
        while entries < count {
            let told = self.0.told(&self.1);
            let messages = told["messages"].as_array().unwrap().iter();
            entries += messages.filter(|message| message.get("entry").is_some()).count();
        }
        let settings = rpc.ok("settings/get", &json!({"scope": "SCOPE_DEFAULT"}));
        assert_eq!(settings["settings"].as_object().unwrap().len(), count);
    }
}

#[test]
fn notifications_are_carried_out_however_the_websocket_ends() {
    let (_server, rpc) = start();
    let written = Written::watch(&rpc);
    let ends: [fn(Socket); 3] = [
        drop,
        |mut socket| socket.write(&websocket::frame(0x88, &1000_u16.to_be_bytes())),
        // What it did not read makes a reset of its end.
        |mut socket| {
            socket.begin("audit/verify", &json!({}));
            socket.arrives();
        },
    ];
    for round in 0..10 {
        for (nth, end) in ends.iter().enumerate() {
            let mut socket = rpc.socket();
            for key in 0..5 {
                socket.send(&write(&format!("{round}.{nth}.{key}")));
            }
            end(socket);
        }
    }
    written.are(&rpc, 10 * 3 * 5);
}

#[test]
fn a_notification_by_post_is_carried_out_whoever_waits_for_its_end() {
    let (server, rpc) = start();
    let written = Written::watch(&rpc);
    for key in 0..40 {
        let body = write(&key.to_string());
        let (one, other) = body.split_at(30);
        let (length, other_length) = (one.len(), other.len());
        let chunks = format!("{length:x}\r\n{one}\r\n{other_length:x}\r\n{other}\r\n");
        let chunked = "transfer-encoding: chunked\r\n\r\n";
        let framed = match key % 3 {
            0 => format!("content-length: {}\r\n\r\n{body}", body.len()),
            1 => format!("{chunked}{chunks}0\r\n\r\n"),
            // All of it came, but for the word that there is no more.
            _ => format!("{chunked}{chunks}"),
        };
        let mut stream = TcpStream::connect(server.tcp()).unwrap();
        let request = format!(
            "POST /rpc HTTP/1.1\r\nhost: {}\r\nauthorization: {}\r\n\
             content-type: application/json\r\n{framed}",
            server.tcp(),
            rpc.authorization,
        );
        stream.write_all(request.as_bytes()).unwrap();
    }
    written.are(&rpc, 40);
}

#[test]
fn of_a_batch_whose_client_goes_what_has_no_answer_is_carried_out_and_nothing_else() {
    let (server, rpc) = start();
    let written = Written::watch(&rpc);
    let gate = server.work().join("gate");
    let id = rpc.create(&server, &format!("thread,turn,wait:{},completed", gate.display()));
    let wait =
        json!({"jsonrpc": "2.0", "id": 1, "method": "session/wait", "params": {"sessionId": id}});
    let batch = |told: &str| {
        let called = write("called").replacen('{', r#"{"id":2,"#, 1);
        format!("[{wait},{called},{},{called}]", write(told))
    };
    let body = batch("by POST");
    let mut stream = TcpStream::connect(server.tcp()).unwrap();
    let request = format!(
        "POST /rpc HTTP/1.1\r\nhost: {}\r\nauthorization: {}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        server.tcp(),
        rpc.authorization,
        body.len()
    );
    stream.write_all(request.as_bytes()).unwrap();
    drop(stream);
    rpc.socket().send(&batch("by WebSocket"));
    written.are(&rpc, 2);
    let settings = rpc.ok("settings/get", &json!({"scope": "SCOPE_DEFAULT"}));
    assert_eq!(settings["settings"], json!({"by POST": 1, "by WebSocket": 1}));
    std::fs::write(&gate, "").unwrap();
}

#[test]
fn calls_before_a_close_are_answered_before_it() {
    let (_server, rpc) = start();
    let mut socket = rpc.socket();
    socket.subscribe("sessions/watch", &json!({}));
    let ids: Vec<u64> = (0..20).map(|_| socket.begin("audit/verify", &json!({}))).collect();
    socket.write(&websocket::frame(0x88, &[&1001_u16.to_be_bytes()[..], b"bye"].concat()));
    let mut answered = Vec::new();
    let end = loop {
        match socket.frame() {
            Frame::Text(text) => {
                let message: Value = serde_json::from_str(&text).unwrap();
                answered.extend(message["id"].as_u64());
            }
            end => break end,
        }
    };
    answered.sort_unstable();
    assert_eq!((answered, end), (ids, Frame::Close(Some(1001))));
    assert_eq!(socket.frame(), Frame::End);
}

#[test]
fn what_is_no_websocket_is_told_so_by_its_code() {
    let (server, rpc) = start();
    let unmasked = b"\x81\x02{}".to_vec();
    for (frames, code) in [
        (unmasked, 1002),
        (websocket::frame(0xC1, b"{}"), 1002),
        (websocket::frame(0x83, b"{}"), 1002),
        (websocket::frame(0x80, b"{}"), 1002),
        (websocket::frame(0x09, b""), 1002),
        (websocket::frame(0x89, &[0; 126]), 1002),
        (websocket::frame(0x88, b"\x03"), 1002),
        (websocket::frame(0x88, &1005_u16.to_be_bytes()), 1002),
        (websocket::frame(0x82, b"{}"), 1003),
        (websocket::frame(0x81, b"\"\xC0\""), 1007),
        ([websocket::frame(0x01, b"\"\xC3"), websocket::frame(0x80, b"\"")].concat(), 1007),
    ] {
        let mut socket = rpc.socket();
        socket.write(&frames);
        assert_eq!(socket.frame(), Frame::Close(Some(code)), "{frames:?}");
        assert_eq!(socket.frame(), Frame::End);
    }
    let mut socket = rpc.socket();
    socket.write(&websocket::frame(0x88, b""));
    assert_eq!(socket.frame(), Frame::Close(None));
    // A character in two frames is one.
    let mut socket = rpc.socket();
    socket.write(&websocket::frame(0x01, b"\"\xC3"));
    socket.write(&websocket::frame(0x89, b"between"));
    socket.write(&websocket::frame(0x80, b"\xBC\""));
    assert_eq!(socket.frame(), Frame::Pong);
    assert_eq!(socket.message()["error"]["code"], -32600);

    let line = "GET /rpc";
    let headers = [
        ("authorization", rpc.authorization.as_str()),
        ("connection", "keep-alive, Upgrade"),
        ("upgrade", "WebSocket"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("sec-websocket-version", "12"),
    ];
    let answer = crate::raw::request(server.tcp(), line, &headers, b"");
    assert_eq!((answer.status, answer.header("sec-websocket-version")), (400, Some("13")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_that_is_asked_for_as_the_websocket_closes_does_not_outlive_it() {
    let (server, rpc) = start();
    let clients = server.connect().await;
    let id = rpc.create(&server, "thread,turn,completed");
    rpc.rest(&id);
    let watch = json!({
        "jsonrpc": "2.0", "id": 1, "method": "events/watch",
        "params": {"sessionIds": [id], "heartbeat": "600s"},
    });
    let close = websocket::frame(0x88, &1000_u16.to_be_bytes());
    let both = [websocket::frame(0x81, watch.to_string().as_bytes()), close].concat();
    for _ in 0..20 {
        let mut socket = rpc.socket();
        socket.write(&both);
        while socket.frame() != Frame::End {}
    }
    ledger::open_watches(&clients, 0).await;
}
