//! What a client asks for and does not read.

use serde_json::{Value, json};

use super::{Rpc, Socket, websocket::Frame};
use crate::{
    harness::{Server, Setup},
    ledger,
    slow::resident,
};

/// The bytes of the settings that all have here.
const SIZE: usize = 900_000;

/// Nothing comes in between, however long nobody reads.
fn setup() -> Setup {
    ledger::setup().config("[json_rpc]\nping_interval = \"10m\"\n")
}

fn start() -> (Server, Rpc) {
    let server = setup().start();
    let rpc = Rpc::new(&server);
    let settings = json!({"large": "x".repeat(SIZE)});
    rpc.ok("settings/update", &json!({"scope": "SCOPE_DEFAULT", "settings": settings}));
    (server, rpc)
}

/// How many settings were written.
fn written(rpc: &Rpc) -> usize {
    let newest = rpc.ok("audit/list", &json!({"newestFirst": true, "pageSize": 1}));
    newest["entries"][0]["seq"].as_str().map_or(0, |seq| seq.parse().unwrap())
}

/// Waits until nothing more happens: others are answered again and again, and
/// `count` stays what it is.
fn settled(rpc: &Rpc, count: impl Fn() -> usize) -> usize {
    let (mut last, mut idle) = (count(), 0);
    while idle < 40 {
        rpc.ok("server/info", &json!({}));
        let now = count();
        idle = if now == last { idle + 1 } else { 0 };
        last = now;
    }
    last
}

/// Reads until all of these are answered, each with what is no error.
fn all_are_answered(socket: &mut Socket, mut ids: Vec<u64>) {
    while !ids.is_empty() {
        // They are large, and begin with what is looked for.
        let Frame::Text(text) = socket.frame() else { continue };
        let (id, rest) = text.strip_prefix(BEFORE_ID).unwrap().split_once(',').unwrap();
        assert!(rest.starts_with("\"result\""), "{rest:.1000}");
        let id: u64 = id.parse().unwrap();
        ids.retain(|asked| *asked != id);
    }
}

const BEFORE_ID: &str = "{\"jsonrpc\":\"2.0\",\"id\":";

#[test]
fn a_call_whose_answer_has_no_room_is_not_begun() {
    let (server, rpc) = start();
    let mut socket = rpc.socket();
    socket.ok("audit/verify", &json!({}));
    let before = resident(&server);
    let write = |n: usize| json!({"scope": "SCOPE_DEFAULT", "key": format!("k{n}"), "value": n});
    let ids: Vec<u64> = (0..80).map(|n| socket.begin("settings/update", &write(n))).collect();
    // Each is answered with all settings: what the connection itself holds is some
    // of them, and what is held beside is 4 MiB.
    let begun = settled(&rpc, || written(&rpc)) - 1;
    assert!((1..40).contains(&begun), "{begun} of {} were carried out", ids.len());
    let grown = resident(&server).saturating_sub(before);
    assert!(grown < 40 * SIZE as u64, "{grown} bytes for {begun} answers");
    all_are_answered(&mut socket, ids);
    assert_eq!(written(&rpc), 81);
}

#[test]
fn answers_that_are_only_read_from_hold_no_more_than_their_room() {
    let (server, rpc) = start();
    let mut sockets: Vec<Socket> = (0..2).map(|_| rpc.socket()).collect();
    for socket in &mut sockets {
        socket.ok("audit/verify", &json!({}));
    }
    let before = resident(&server);
    let [settings, controls] = ["settings/get", "controls/get"];
    let mut asked = Vec::new();
    for (socket, method) in sockets.iter_mut().zip([settings, controls]) {
        let params = if method == settings { json!({"scope": "SCOPE_DEFAULT"}) } else { json!({}) };
        asked.push((0..120).map(|_| socket.begin(method, &params)).collect::<Vec<_>>());
    }
    let mut grown = 0;
    for _ in 0..100 {
        rpc.ok("server/info", &json!({}));
        grown = grown.max(resident(&server).saturating_sub(before));
    }
    assert!(grown < 80 * SIZE as u64, "{grown} bytes for 240 answers of {SIZE}");
    for (mut socket, ids) in sockets.into_iter().zip(asked) {
        all_are_answered(&mut socket, ids);
    }
}

#[test]
fn what_is_watched_and_not_read_keeps_no_call_from_being_carried_out() {
    let server = setup().start();
    let rpc = Rpc::new(&server);
    let id = rpc.create(&server, &format!("thread,turn,{}completed", "big:900000,".repeat(30)));
    rpc.rest(&id);
    let mut socket = rpc.socket();
    let watch = json!({"sessionIds": [id], "startSeq": "1", "maxEventBytes": 64 << 20});
    let list = json!({"sessionId": id, "maxBytes": 64 << 20});
    socket.begin("events/watch", &watch);
    socket.begin("events/list", &list);
    socket.begin("events/list", &list);
    let title = json!({"sessionId": id, "session": {"title": "t"}, "updateMask": "title"});
    let titled = socket.begin("session/update", &title);
    while rpc.ok("session/get", &json!({"sessionId": id}))["session"]["title"] != "t" {}
    assert_eq!(socket.answer_among(titled).unwrap()["session"]["title"], "t");
}

#[test]
fn nobody_waits_for_each_other_whatever_is_asked_for_and_not_read() {
    let (server, rpc) = start();
    let gate = server.work().join("gate");
    let script =
        format!("thread,turn,{}wait:{},completed", "big:300000,".repeat(20), gate.display());
    let id = rpc.create(&server, &script);
    let mut socket = rpc.socket();
    let session = json!({"sessionId": id});
    let settings = json!({"scope": "SCOPE_DEFAULT"});
    let watch = json!({"sessionIds": [id], "startSeq": "1", "stopAtEnd": true});
    let mut ids = Vec::new();
    for n in 0..8 {
        ids.push(socket.begin("events/watch", &watch));
        ids.push(socket.begin("session/wait", &session));
        for _ in 0..4 {
            ids.push(socket.begin("settings/get", &settings));
            ids.push(socket.begin("controls/get", &json!({})));
            ids.push(socket.begin("events/list", &session));
            ids.push(socket.begin("session/get", &session));
            ids.push(socket.begin("rpc.discover", &json!({})));
        }
        let call = |id: Option<u64>, method: &str, params: &Value| {
            let mut call = json!({"jsonrpc": "2.0", "method": method, "params": params});
            if let Some(id) = id {
                call["id"] = json!(id);
            }
            call
        };
        let write = json!({"scope": "SCOPE_DEFAULT", "key": format!("k{n}"), "value": n});
        socket.send(&call(None, "settings/update", &write).to_string());
        let batch = [
            call(Some(1_000 + n), "settings/get", &settings),
            call(None, "settings/update", &write),
            call(Some(2_000 + n), "events/list", &session),
        ];
        socket.send(&json!(batch).to_string());
    }
    settled(&rpc, || written(&rpc));
    std::fs::write(&gate, "").unwrap();
    let mut batches = 8;
    while batches > 0 || !ids.is_empty() {
        let message = socket.message();
        assert!(message.get("error").is_none(), "{message}");
        if let Some(answers) = message.as_array() {
            assert_eq!(answers.len(), 2);
            batches -= 1;
        }
        let id = message["id"].as_u64();
        ids.retain(|asked| Some(*asked) != id);
    }
    assert_eq!(written(&rpc), 9, "each notification was carried out, and then changed nothing");
}
