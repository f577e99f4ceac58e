//! What there may be of anything.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
};

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
fn a_message_that_is_too_large_is_answered_and_ends_the_websocket() {
    let server = ledger::setup().config("[json_rpc]\nmax_message_size = \"1MiB\"\n").start();
    let rpc = Rpc::new(&server);
    let large = format!("\"{}\"", "x".repeat(1 << 20));
    let half = large.len() / 2;
    let whole = websocket::frame(0x81, large.as_bytes());
    let fragments = [
        websocket::frame(0x01, &large.as_bytes()[..half]),
        websocket::frame(0x80, &large.as_bytes()[half..]),
    ];
    for frames in [whole, fragments.concat()] {
        let mut socket = rpc.socket();
        let before = socket.begin("audit/verify", &json!({}));
        socket.write(&frames);
        let mut answers = [socket.message(), socket.message()];
        answers.sort_by_key(|answer| answer["id"].is_null());
        assert_eq!(answers[0]["id"], json!(before));
        let error = &answers[1]["error"];
        assert_eq!((&error["code"], &error["data"]["limit"]), (&json!(413), &json!("1048576")));
        assert_eq!(error["data"]["reason"], "PAYLOAD_TOO_LARGE");
        assert_eq!(socket.frame(), Frame::Close(Some(1009)));
        assert_eq!(socket.frame(), Frame::End);
    }
    // As large as it may be, in fragments.
    let mut socket = rpc.socket();
    let blanks = " ".repeat((1 << 20) - batch(1).len());
    socket.write(&websocket::frame(0x01, blanks.as_bytes()));
    socket.write(&websocket::frame(0x80, batch(1).as_bytes()));
    assert_eq!(socket.message()[0]["id"], 1);
}

#[test]
fn answers_to_a_batch_that_are_too_large_cost_none_that_was_carried_out() {
    let server = ledger::setup().start();
    let rpc = Rpc::new(&server);
    let id = rpc.create(&server, &format!("thread,turn,{}completed", "big:6000000,".repeat(3)));
    rpc.rest(&id);
    let page = |id: &str, n: usize| {
        let params = json!({"sessionId": id, "maxBytes": 64 << 20});
        json!({"jsonrpc": "2.0", "id": n, "method": "events/list", "params": params})
    };
    let one = rpc.send(&page(&id, 0).to_string()).to_string().len();
    let pages = (64 << 20) / one + 1;
    let write = |key: &str| {
        let params = json!({"scope": "SCOPE_DEFAULT", "key": key, "value": 1});
        json!({"jsonrpc": "2.0", "method": "settings/update", "params": params})
    };
    let mut last = write("called");
    last["id"] = json!("last");
    let mut calls: Vec<Value> = (0..pages).map(|n| page(&id, n)).collect();
    calls.extend([write("told"), last]);
    let batch = Value::Array(calls).to_string();
    let mut socket = rpc.socket();
    socket.send(&batch);
    for answers in [rpc.send(&batch), socket.message()] {
        let answers = answers.as_array().unwrap();
        assert_eq!(answers.len(), pages + 1);
        for (n, answer) in answers[..pages].iter().enumerate() {
            assert!(answer["id"] == json!(n) && answer["result"]["events"].is_array());
        }
        assert_eq!(answers[pages]["id"], "last");
        assert_eq!(answers[pages]["error"]["data"]["reason"], "PAYLOAD_TOO_LARGE");
    }
    let settings = rpc.ok("settings/get", &json!({"scope": "SCOPE_DEFAULT"}));
    assert_eq!(settings["settings"], json!({"told": 1}));
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
    socket.ok("events/watch", &json!({}));
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
fn a_request_is_one_of_them_before_its_body_is_there() {
    let server = ledger::setup().config("[json_rpc]\nmax_connections = 2\n").start();
    let rpc = Rpc::new(&server);
    let call = br#"{"jsonrpc":"2.0","id":1,"method":"audit/verify"}"#;
    let mut open: Vec<TcpStream> = Vec::new();
    for _ in 0..2 {
        let mut stream = TcpStream::connect(server.tcp()).unwrap();
        // It is asked for its body, and so has its place.
        let head = format!(
            "POST /rpc HTTP/1.1\r\nhost: {}\r\nauthorization: {}\r\ncontent-type: application/json\r\n\
             expect: 100-continue\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
            server.tcp(),
            rpc.authorization,
            call.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut line = [0; 12];
        stream.read_exact(&mut line).unwrap();
        assert_eq!(&line, b"HTTP/1.1 100");
        open.push(stream);
    }
    assert_eq!(rpc.post(&[JSON], call).status, 429);
    let authorization = [("authorization", rpc.authorization.as_str())];
    assert_eq!(Socket::request(server.tcp(), &authorization).0, 429);
    for mut stream in open {
        stream.write_all(call).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.contains("\"valid\":true"), "{answer}");
    }
    assert_eq!(rpc.post(&[JSON], call).status, 200);
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
fn what_is_not_read_is_held_by_its_bytes() {
    let server = ledger::setup().config("[json_rpc]\nping_interval = \"10m\"\n").start();
    let rpc = Rpc::new(&server);
    let id = rpc.create(&server, &format!("thread,turn,{}completed", "big:500000,".repeat(5)));
    rpc.rest(&id);
    let list = json!({"sessionId": id, "maxBytes": 64 << 20});
    let watch = json!({"sessionIds": [id], "startSeq": "1", "maxEventBytes": 64 << 20});
    let page = rpc.ok("events/list", &list).to_string().len() as u64;
    let (mut lists, mut watches) = (rpc.socket(), rpc.socket());
    for socket in [&mut lists, &mut watches] {
        socket.ok("audit/verify", &json!({}));
    }
    let before = resident(&server);
    let ids: Vec<u64> = (0..40).map(|_| lists.begin("events/list", &list)).collect();
    let watched: Vec<u64> = (0..40).map(|_| watches.begin("events/watch", &watch)).collect();
    // All of it was read when others were answered again and again after it.
    let mut grown = 0;
    for _ in 0..200 {
        rpc.ok("server/info", &json!({}));
        grown = grown.max(resident(&server).saturating_sub(before));
    }
    assert!(grown < 16 * page, "{grown} bytes for pages of {page}");
    let mut answered: Vec<u64> = Vec::new();
    while answered.len() < ids.len() {
        let answer = lists.message();
        assert!(answer["result"]["events"].is_array());
        answered.extend(answer["id"].as_u64());
    }
    answered.sort_unstable();
    assert_eq!(answered, ids);
    for _ in watched {
        while watches.message().get("id").is_none() {}
    }
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
fn pings_that_are_not_read_back_keep_no_call_from_being_carried_out() {
    let server = ledger::setup().config("[json_rpc]\nping_interval = \"10m\"\n").start();
    let rpc = Rpc::new(&server);
    let mut other = rpc.socket();
    let mut socket = rpc.socket();
    socket.ok("audit/verify", &json!({}));
    // Far more than the connection itself could hold the answers of.
    let ping = websocket::frame(0x89, &[b'x'; 125]);
    let pings: u32 = 200_000;
    for _ in 0..pings / 100 {
        let frames = ping.repeat(100);
        let mut idle = 0;
        while !socket.write_if_room(&frames) {
            other.ok("audit/verify", &json!({}));
            idle += 1;
            assert!(idle < 1_000, "the server reads no more");
        }
    }
    let params = json!({"scope": "SCOPE_DEFAULT", "key": "a", "value": 1});
    let call =
        json!({"jsonrpc": "2.0", "id": "last", "method": "settings/update", "params": params});
    while !socket.write_if_room(&websocket::frame(0x81, call.to_string().as_bytes())) {}
    socket.stop_writing();
    socket.write_rest();
    while rpc.ok("audit/verify", &json!({}))["entries"].is_null() {}
    let mut pongs = 0;
    loop {
        match socket.frame() {
            Frame::Pong => pongs += 1,
            Frame::Text(text) => break assert!(text.contains("\"last\""), "{text}"),
            other => panic!("{other:?}"),
        }
    }
    assert!((1..pings).contains(&pongs), "{pongs}");
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

#[test]
fn a_client_that_does_not_read_is_closed_although_much_waits_for_it() {
    let mut server = ledger::setup().config("[json_rpc]\nping_interval = \"1s\"\n").start();
    let rpc = Rpc::new(&server);
    let id = rpc.create(&server, &format!("thread,turn,{}completed", "big:200000,".repeat(150)));
    rpc.rest(&id);
    let mut sockets: Vec<Socket> = (0..3).map(|_| rpc.socket()).collect();
    for socket in &mut sockets {
        for _ in 0..10 {
            socket.begin("events/watch", &json!({"sessionIds": [id], "startSeq": "1"}));
        }
    }
    // They say that they are there, and read nothing.
    let mut seen = false;
    loop {
        for socket in &mut sockets {
            let _ = socket.try_write(&websocket::frame(0x8A, b""));
        }
        match rpc.ok("server/info", &json!({}))["openWatches"].as_u64() {
            None | Some(0) if seen => break,
            None => {}
            Some(_) => seen = true,
        }
    }
    // Nor do they hold up a server that goes down.
    for socket in &mut sockets {
        *socket = rpc.socket();
        for _ in 0..10 {
            socket.begin("events/watch", &json!({"sessionIds": [id], "startSeq": "1"}));
        }
    }
    while rpc.ok("server/info", &json!({}))["openWatches"] != 30 {}
    server.ask_to_stop();
    assert!(server.stopped().success());
}

#[test]
fn a_request_whose_answer_nobody_reads_does_not_keep_its_place() {
    let config = "[json_rpc]\nping_interval = \"1s\"\nmax_connections = 1\n";
    let server = ledger::setup().config(config).start();
    let rpc = Rpc::new(&server);
    // Larger than what a connection itself may hold.
    let id = rpc.create(&server, &format!("thread,turn,{}completed", "big:8000000,".repeat(3)));
    rpc.rest(&id);
    let list = json!({"sessionId": id, "maxBytes": 64 << 20});
    let call = json!({"jsonrpc": "2.0", "id": 1, "method": "events/list", "params": list});
    let call = call.to_string();
    let ask = |line: &str, body: &str| {
        let mut stream = TcpStream::connect(server.tcp()).unwrap();
        let request = format!(
            "{line} HTTP/1.1\r\nhost: {}\r\nauthorization: {}\r\n\
             accept: text/event-stream\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n{body}",
            server.tcp(),
            rpc.authorization,
            body.len()
        );
        stream.write_all(request.as_bytes()).unwrap();
        // It is being answered.
        assert_eq!(stream.peek(&mut [0]).unwrap(), 1);
        stream
    };
    // A stream may be read as late as one likes.
    let events = format!("GET /v1/sessions/{id}/events?startSeq=1&maxEventBytes=67108864");
    let mut stream = ask(&events, "");
    let mut unread = ask("POST /rpc", &call);
    while rpc.post(&[JSON], call.as_bytes()).status == 429 {}
    assert_eq!(rpc.ok("server/info", &json!({}))["openWatches"], 1);
    let mut answer = Vec::new();
    let end = unread.read_to_end(&mut answer);
    assert!(end.is_err() || answer.len() < 24_000_000, "{} bytes came", answer.len());
    let mut told = [0; 1 << 16];
    let mut count = 0;
    while count < 24_000_000 {
        count += stream.read(&mut told).unwrap();
    }
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
    let server = ledger::setup().config("[json_rpc]\nmax_message_size = \"1MiB\"\n").start();
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
        if round % 10 == 0 {
            // More than it may, in fragments of any size, with others in between.
            let mut sent = 0;
            while sent <= 1 << 20 {
                let size = dice.below(200_000);
                let first = if sent == 0 { 0x01 } else { 0x00 };
                let fragment = websocket::frame(first, &vec![b' '; size]);
                let ping = websocket::frame(0x89, &vec![b'x'; dice.below(126)]);
                if socket.try_write(&[fragment, ping].concat()).is_err() {
                    break;
                }
                sent += size;
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
