//! What is watched over a WebSocket.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::{
    Rpc, Socket,
    websocket::{Frame, seqs},
};
use crate::{harness::Server, ledger};

/// A turn that goes on when there is a file.
fn held(server: &Server) -> (String, PathBuf) {
    let gate = server.work().join("gate");
    (format!("thread,turn,message:one,wait:{},message:two,completed", gate.display()), gate)
}

fn watch(id: &str) -> Value {
    json!({"sessionIds": [id], "startSeq": "1", "stopAtEnd": true})
}

#[test]
fn a_session_is_created_followed_cut_off_and_resumed() {
    let server = ledger::setup().start();
    let rpc = Rpc::new(&server);
    let (script, gate) = held(&server);
    let mut socket = rpc.socket();
    let params = json!({
        "session": {"workingDirectory": server.work()},
        "prompt": format!("FAKE_AGENT={script}"),
    });
    let created = socket.ok("session/create", &params);
    let id = created["session"]["sessionId"].as_str().unwrap().to_owned();
    let events = socket.subscribe("events/watch", &watch(&id));
    let mut before = Vec::new();
    let says_one = |message: &Value| {
        message["event"]["itemCompleted"]["item"]["agentMessage"]["text"] == "one"
    };
    while !before.iter().any(says_one) {
        before.extend(socket.told(&events)["messages"].as_array().unwrap().iter().cloned());
    }
    assert_eq!(before[0]["header"]["session"]["sessionId"], json!(id));
    assert!(before[0]["header"]["epoch"].is_string());
    let said = before.iter().find(|message| says_one(message)).unwrap();
    assert_eq!(said["event"]["raw"]["item"]["text"], "one", "the line is embedded");
    drop(socket);

    std::fs::write(&gate, "").unwrap();
    rpc.rest(&id);
    let mut socket = rpc.socket();
    let last = *seqs(&before).last().unwrap();
    let resume = json!({
        "sessionIds": [id], "startSeq": (last + 1).to_string(), "stopAtEnd": true,
        "epoch": before[0]["header"]["epoch"],
    });
    let events = socket.subscribe("events/watch", &resume);
    let (after, closed) = socket.rest_of(&events);
    let both = [seqs(&before), seqs(&after)].concat();
    assert_eq!(both, (1..=both.len() as u64).collect::<Vec<_>>(), "none is missing, none twice");
    assert_eq!(closed["reason"], "END");
    assert_eq!(closed["lastSeqs"][&id], both.len().to_string());

    let events = socket.subscribe("events/watch", &watch(&id));
    let (whole, _) = socket.rest_of(&events);
    let told: Vec<&Value> = whole.iter().filter_map(|message| message.get("event")).collect();
    let page = rpc.ok("events/list", &json!({"sessionId": id}));
    let listed: Vec<&Value> = page["events"].as_array().unwrap().iter().collect();
    assert_eq!(told, listed, "listed and told are the same");
    let kinds: Vec<String> =
        whole.iter().map(|m| m.as_object().unwrap().keys().next().unwrap().clone()).collect();
    assert_eq!(kinds[kinds.len() - 2..], ["synced", "synced"]);
}

#[test]
fn events_come_many_in_a_notification_and_none_is_larger_than_was_asked_for() {
    let server = ledger::setup().start();
    let rpc = Rpc::new(&server);
    let lines = "message,".repeat(300);
    // Control characters are six times as long in JSON.
    let id = rpc.create(&server, &format!("thread,turn,{lines}big:300000,completed"));
    rpc.rest(&id);
    let mut socket = rpc.socket();
    let params =
        json!({"sessionIds": [id], "startSeq": "1", "stopAtEnd": true, "maxEventBytes": 65_536});
    let id_of = socket.begin("events/watch", &params);
    let subscription = socket.answer(id_of).unwrap();
    let (mut notifications, mut events, mut elided) = (0, 0, 0);
    loop {
        let Frame::Text(text) = socket.frame() else { continue };
        assert!(text.len() <= 65_536, "{}", text.len());
        let message: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(message["params"]["subscription"], subscription);
        let result = &message["params"]["result"];
        notifications += 1;
        for message in result["messages"].as_array().unwrap() {
            events += usize::from(message.get("event").is_some());
            elided += usize::from(message["event"].get("elided").is_some());
        }
        if result.get("closed").is_some() {
            break;
        }
    }
    assert!(events > 300 && notifications * 5 < events, "{notifications} for {events}");
    assert_eq!(elided, 1);
}

#[test]
fn the_catalogue_and_the_audit_are_watched_and_resumed() {
    let server = ledger::setup().start();
    let rpc = Rpc::new(&server);
    let id = rpc.create(&server, "thread,turn,completed");
    rpc.rest(&id);
    let mut socket = rpc.socket();
    let sessions = socket.subscribe("sessions/watch", &json!({}));
    let known = socket.until(&sessions, "synced");
    assert_eq!(known[0]["session"]["sessionId"], json!(id));
    let cursor = known.last().unwrap()["cursor"].clone();
    assert_eq!(socket.ok("sessions/unwatch", &json!({"subscription": sessions})), json!(true));
    assert_eq!(socket.ok("sessions/unwatch", &json!({"subscription": sessions})), json!(false));
    rpc.ok("session/delete", &json!({"sessionId": id}));
    let sessions = socket.subscribe("sessions/watch", &json!({"cursor": cursor}));
    let news = socket.until(&sessions, "synced");
    assert_eq!(news[0]["deleted"]["sessionId"], json!(id));

    let audit = socket.subscribe("audit/watch", &json!({}));
    socket.until(&audit, "synced");
    socket.ok("settings/update", &json!({"scope": "SCOPE_DEFAULT", "key": "k", "value": [1]}));
    let news = socket.until(&audit, "entry");
    let entry = &news.last().unwrap()["entry"];
    assert_eq!(entry["transport"], "json-rpc");
    let after = json!({"afterSeq": entry["seq"]});
    let again = socket.subscribe("audit/watch", &after);
    let news = socket.until(&again, "synced");
    assert!(news.iter().all(|message| message.get("entry").is_none()), "{news:#?}");
}

#[test]
fn what_is_wrong_with_a_subscription_is_the_answer_to_it() {
    let server = ledger::setup().start();
    let rpc = Rpc::new(&server);
    let id = rpc.create(&server, "thread,turn,completed");
    let mut socket = rpc.socket();
    let mut refused = |method: &str, params: Value, code: i64, reason: &str| {
        let error = socket.call(method, &params).expect_err(method);
        assert_eq!((&error["code"], &error["data"]["reason"]), (&json!(code), &json!(reason)));
    };
    let unknown = "00000000-0000-4000-8000-000000000000";
    refused("events/watch", json!({"sessionIds": [unknown]}), 404, "SESSION_NOT_FOUND");
    refused(
        "events/watch",
        json!({"sessionIds": [id], "startSeq": "1000"}),
        -32602,
        "INVALID_ARGUMENT",
    );
    refused("events/watch", json!({"sessionId": id}), -32602, "INVALID_ARGUMENT");
    refused("sessions/watch", json!({"cursor": "x"}), -32602, "INVALID_ARGUMENT");
    refused("events/unwatch", json!({}), -32602, "INVALID_ARGUMENT");
    for params in [json!({"subscription": 1}), json!([5]), json!([]), json!(["x", "y"])] {
        refused("events/unwatch", params, -32602, "INVALID_ARGUMENT");
    }
    for method in ["events/watch", "sessions/watch", "audit/watch", "events/unwatch"] {
        let error = rpc.refused(method, &json!({}), -32601, "UNIMPLEMENTED");
        assert!(error["message"].as_str().unwrap().contains("WebSocket"), "{error}");
    }
    socket.send(r#"[{"jsonrpc":"2.0","id":1,"method":"events/watch"}]"#);
    let answer = socket.message();
    assert_eq!(answer[0]["error"]["data"]["reason"], "INVALID_ARGUMENT", "{answer}");
}

#[test]
fn a_subscription_that_is_ended_says_nothing_more_and_another_goes_on() {
    let server = ledger::setup().start();
    let rpc = Rpc::new(&server);
    let (script, gate) = held(&server);
    let id = rpc.create(&server, &script);
    let mut socket = rpc.socket();
    let (one, other) = (
        socket.subscribe("events/watch", &watch(&id)),
        socket.subscribe("events/watch", &watch(&id)),
    );
    assert_ne!(one, other);
    socket.until(&one, "event");
    // As a notification too, which is carried out and not answered.
    let third = socket.subscribe("events/watch", &watch(&id));
    let unwatch = json!({
        "jsonrpc": "2.0", "method": "events/unwatch", "params": {"subscription": third},
    });
    socket.send(&unwatch.to_string());
    while socket.ok("server/info", &json!({}))["openWatches"] != 2 {}
    assert_eq!(socket.ok("events/unwatch", &json!({"subscription": one})), json!(true));
    let before = socket.waiting(&one);
    std::fs::write(&gate, "").unwrap();
    let (messages, closed) = socket.rest_of(&other);
    let seqs = seqs(&messages);
    assert_eq!(seqs, (1..=seqs.len() as u64).collect::<Vec<_>>());
    assert_eq!(closed["reason"], "END");
    socket.ok("audit/verify", &json!({}));
    assert_eq!(socket.waiting(&one), before, "nothing came of the one after the answer");
}

#[test]
fn a_deleted_session_closes_its_subscription_with_the_reason_and_the_last_seq() {
    let server = ledger::setup().start();
    let rpc = Rpc::new(&server);
    let id = rpc.create(&server, "thread,turn,completed");
    rpc.rest(&id);
    let mut socket = rpc.socket();
    let events = socket.subscribe("events/watch", &json!({"sessionIds": [id], "startSeq": "1"}));
    socket.until(&events, "synced");
    rpc.ok("session/delete", &json!({"sessionId": id}));
    let (messages, closed) = socket.rest_of(&events);
    let last = messages.iter().rev().find_map(|message| message.get("event")).unwrap();
    assert!(last["sessionDeleted"].is_object(), "{last}");
    assert_eq!(closed["reason"], "SESSION_DELETED", "{closed}");
    assert_eq!(closed["lastSeqs"][&id], last["seq"]);
    assert_eq!(closed["error"]["code"], 410);
}

#[test]
fn a_server_that_goes_down_says_so_and_closes_with_1001() {
    let mut server = ledger::setup().config("drain_deadline = \"10m\"\n").start();
    let rpc = Rpc::new(&server);
    let (script, _) = held(&server);
    let id = rpc.create(&server, &script);
    let mut socket = rpc.socket();
    let events = socket.subscribe("events/watch", &json!({"sessionIds": [id], "startSeq": "1"}));
    let sessions = socket.subscribe("sessions/watch", &json!({}));
    socket.until(&events, "synced");
    socket.until(&sessions, "synced");
    let mut idle = rpc.socket();
    idle.ok("audit/verify", &json!({}));
    server.ask_to_stop();
    let (_, closed) = socket.rest_of(&events);
    assert_eq!(closed["reason"], "SHUTTING_DOWN", "{closed}");
    assert!(closed["lastSeqs"][&id].is_string(), "{closed}");
    let (_, closed) = socket.rest_of(&sessions);
    assert_eq!(closed["reason"], "SHUTTING_DOWN", "{closed}");
    assert!(closed["cursor"].is_string(), "{closed}");
    for socket in [&mut socket, &mut idle] {
        let mut frame = socket.frame();
        while matches!(frame, Frame::Ping) {
            frame = socket.frame();
        }
        assert_eq!(frame, Frame::Close(Some(1001)));
        assert_eq!(socket.frame(), Frame::End);
    }
    // Long before its deadline, which the test would not wait for.
    assert!(server.stopped().success());
}

#[test]
fn an_end_says_where_to_go_on_although_no_event_was_told() {
    let mut server = ledger::setup().start();
    let rpc = Rpc::new(&server);
    let id = rpc.create(&server, "thread,turn,completed");
    rpc.rest(&id);
    let latest = rpc.ok("events/list", &json!({"sessionId": id}))["latestSeq"].clone();
    let mut socket = rpc.socket();
    let from_now = json!({"sessionIds": [id], "stopAtEnd": true});
    let events = socket.subscribe("events/watch", &from_now);
    let (messages, closed) = socket.rest_of(&events);
    assert_eq!(seqs(&messages), [] as [u64; 0]);
    assert_eq!((&closed["reason"], &closed["lastSeqs"]), (&json!("END"), &json!({&id: latest})));
    // Of what the filter leaves out as well.
    let some = json!({"sessionIds": [id], "startSeq": "1", "kinds": ["EVENT_KIND_ERROR"], "stopAtEnd": true});
    let events = socket.subscribe("events/watch", &some);
    let (messages, closed) = socket.rest_of(&events);
    assert_eq!(seqs(&messages), [] as [u64; 0]);
    assert_eq!(closed["lastSeqs"], json!({&id: latest}));

    let one = socket.subscribe("events/watch", &json!({"sessionIds": [id]}));
    let beats = socket.subscribe("events/watch", &json!({"heartbeat": "1s"}));
    socket.until(&one, "synced");
    let told = socket.until(&beats, "heartbeat");
    server.ask_to_stop();
    let (_, closed) = socket.rest_of(&one);
    assert_eq!(
        (&closed["reason"], &closed["lastSeqs"]),
        (&json!("SHUTTING_DOWN"), &json!({&id: latest}))
    );
    let (_, closed) = socket.rest_of(&beats);
    assert_eq!(closed["lastSeqs"], json!({&id: latest}), "{told:#?}");
    assert!(server.stopped().success());
}

#[test]
fn whoever_reads_slowly_gets_all_and_keeps_nobody_waiting() {
    let server = ledger::setup().start();
    let rpc = Rpc::new(&server);
    let lines = "big:200000,".repeat(150);
    let id = rpc.create(&server, &format!("thread,turn,{lines}completed"));
    rpc.rest(&id);
    let mut slow = rpc.socket();
    let events = slow.subscribe("events/watch", &watch(&id));
    // It does not read: far more is there than its connection holds.
    let asked = slow.begin("audit/verify", &json!({}));
    let other = rpc.socket();
    let mut other: Socket = other;
    let quick = other.subscribe("events/watch", &watch(&id));
    let (all, _) = other.rest_of(&quick);
    assert!(all.len() > 150);
    // The answer stands behind a few notifications, and not behind all of them.
    let mut before = 0;
    loop {
        let message = slow.message();
        if message.get("id") == Some(&json!(asked)) {
            break;
        }
        before += 1;
        assert!(message["params"]["result"].get("closed").is_none(), "{before}");
        slow.keep(message);
    }
    let (told, closed) = slow.rest_of(&events);
    assert_eq!(seqs(&told), seqs(&all));
    assert_eq!(closed["reason"], "END");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_goes_leaves_no_watch_behind() {
    let server = ledger::setup().start();
    let clients = server.connect().await;
    let rpc = Rpc::new(&server);
    let id = rpc.create(&server, &format!("thread,turn,{}completed", "big:200000,".repeat(100)));
    rpc.rest(&id);
    let mut sockets: Vec<Socket> = (0..3).map(|_| rpc.socket()).collect();
    for socket in &mut sockets {
        socket.subscribe("events/watch", &json!({"sessionIds": [id]}));
        // This one waits for a client that does not read.
        socket.subscribe("events/watch", &json!({"sessionIds": [id], "startSeq": "1"}));
    }
    ledger::open_watches(&clients, 6).await;
    drop(sockets);
    ledger::open_watches(&clients, 0).await;
}

#[test]
fn a_call_under_way_is_answered_before_the_server_goes() {
    let mut server = ledger::setup().start();
    let rpc = Rpc::new(&server);
    let (script, _) = held(&server);
    let id = rpc.create(&server, &script);
    let mut socket = rpc.socket();
    let waits = socket.begin("session/wait", &json!({"sessionId": id, "timeout": "60s"}));
    // Calls are carried out side by side; this one is answered when that one waits.
    socket.ok("audit/verify", &json!({}));
    server.ask_to_stop();
    let error = socket.answer(waits).unwrap_err();
    assert_eq!((&error["code"], &error["data"]["reason"]), (&json!(503), &json!("SHUTTING_DOWN")));
    assert_eq!(socket.frame(), Frame::Close(Some(1001)));
    assert!(server.stopped().success());
}
