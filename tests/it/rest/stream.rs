//! Server-sent events.

use serde_json::{Value, json};

use super::{Event, Rest, names};
use crate::{harness::Server, ledger};

fn seqs(events: &[Event]) -> Vec<u64> {
    let ids = events.iter().filter_map(|event| event.id.as_deref());
    ids.map(|id| id.parse().unwrap()).collect()
}

/// A turn that goes on when there is a file.
fn held(server: &Server) -> (String, std::path::PathBuf) {
    let gate = server.work().join("gate");
    (format!("thread,turn,message:one,wait:{},message:two,completed", gate.display()), gate)
}

#[test]
fn a_session_is_created_followed_cut_off_and_resumed() {
    let server = ledger::setup().start();
    let rest = Rest::new(&server);
    let (script, gate) = held(&server);
    let id = rest.create(&server, &script);
    let path = format!("/v1/sessions/{id}/events?startSeq=1&stopAtEnd=true");

    let mut stream = rest.stream(&path, &[]);
    let before = stream.until("item_completed");
    assert_eq!(before[0].name, "header");
    assert_eq!((&before[0].id, &before[0].data["epoch"].is_string()), (&None, &true));
    assert_eq!(before[0].data["session"]["sessionId"], json!(id));
    let first = before.iter().find(|event| event.id.is_some()).unwrap();
    assert_eq!((first.name.as_str(), first.data["seq"].as_str()), ("session_created", Some("1")));
    let said = &before.last().unwrap().data;
    assert_eq!(said["itemCompleted"]["item"]["agentMessage"]["text"], "one");
    assert_eq!(said["raw"]["item"]["text"], "one", "the line is embedded");
    drop(stream);

    std::fs::write(&gate, "").unwrap();
    rest.rest(&id);
    let last = before.last().unwrap().id.clone().unwrap();
    // As a browser does it: the same place again, and the id of the last event.
    let after: Vec<Event> = rest.stream(&path, &[("last-event-id", &last)]).collect();
    assert_eq!(names(&after[after.len() - 1..]), ["end"]);
    let latest: Vec<u64> = seqs(&before).into_iter().chain(seqs(&after)).collect();
    let whole: Vec<Event> = rest.stream(&path, &[]).collect();
    assert_eq!(latest, seqs(&whole), "none is missing and none comes twice");
    assert_eq!(latest, (1..=latest.len() as u64).collect::<Vec<_>>());

    let page = rest.ok(&format!("GET /v1/sessions/{id}/events"), &Value::Null);
    let listed = page["events"].as_array().unwrap();
    let streamed: Vec<&Value> =
        whole.iter().filter(|event| event.id.is_some()).map(|event| &event.data).collect();
    assert_eq!(listed.iter().collect::<Vec<_>>(), streamed, "listed and streamed are the same");
}

#[test]
fn what_is_json_in_an_event_is_embedded() {
    let server = ledger::setup().start();
    let rest = Rest::new(&server);
    let lines = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/transcripts/mcp.jsonl");
    let id = rest.create(&server, &format!("cat:{lines}"));
    rest.rest(&id);
    let page = rest.ok(&format!("GET /v1/sessions/{id}/events"), &Value::Null);
    let events = page["events"].as_array().unwrap();
    let call = events.iter().find_map(|event| event["itemCompleted"]["item"].get("mcpToolCall"));
    let call = call.unwrap_or_else(|| panic!("{page:#}"));
    assert!(call["arguments"].is_object() && call.get("argumentsJson").is_none(), "{call:#}");
    assert!(call["result"]["content"][0].is_object(), "{call:#}");
    let streamed: Vec<Event> =
        rest.stream(&format!("/v1/sessions/{id}/events?startSeq=1&stopAtEnd=true"), &[]).collect();
    assert!(
        streamed.iter().any(|event| event.data["itemCompleted"]["item"]["mcpToolCall"] == *call)
    );
}

#[test]
fn the_agents_notice_of_an_error_is_not_that_the_stream_failed() {
    let server = ledger::setup().start();
    let rest = Rest::new(&server);
    let id = rest.create(&server, "thread,turn,error:again,completed");
    rest.rest(&id);
    let path = format!("/v1/sessions/{id}/events?startSeq=1&stopAtEnd=true&kinds=EVENT_KIND_ERROR");
    let events: Vec<Event> = rest.stream(&path, &[]).collect();
    assert_eq!(names(&events), ["header", "agent_error", "synced", "synced", "end"]);
    assert_eq!(events[1].data["error"]["message"], "again");
}

#[test]
fn a_stream_that_cannot_go_on_ends_with_the_error() {
    let mut server = ledger::setup().start();
    let rest = Rest::new(&server);
    let (script, _) = held(&server);
    let id = rest.create(&server, &script);
    let mut stream = rest.stream(&format!("/v1/sessions/{id}/events?startSeq=1"), &[]);
    stream.until("synced");
    server.ask_to_stop();
    let end = stream.until("error");
    let error = &end.last().unwrap().data["error"];
    assert_eq!((&error["code"], &error["reason"]), (&json!(503), &json!("SHUTTING_DOWN")));
    assert!(error["metadata"]["last_seq"].is_string(), "{error}");
    assert_eq!(stream.next(), None);
    server.stopped();
}

#[test]
fn what_is_wrong_with_a_stream_is_said_before_it_begins() {
    let server = ledger::setup().start();
    let rest = Rest::new(&server);
    let id = rest.create(&server, "thread,turn,completed");
    let refused = |path: &str, headers: &[(&str, &str)]| {
        let headers = [&[("accept", "text/event-stream")], headers].concat();
        let answer = rest.send(&format!("GET {path}"), &headers, b"");
        let error = super::json_of(&answer)["error"].clone();
        (answer.status, error["reason"].as_str().unwrap().to_owned(), error["message"].to_string())
    };
    let events = format!("/v1/sessions/{id}/events");
    let (status, reason, _) = refused(&format!("{events}?startSeq=1000"), &[]);
    assert_eq!((status, reason.as_str()), (400, "INVALID_ARGUMENT"));
    let (status, _, message) = refused(&events, &[("last-event-id", "x")]);
    assert!(status == 400 && message.contains("expected the seq of an event"), "{message}");
    let (status, _, message) = refused(&format!("{events}?pageSize=1"), &[]);
    assert!(status == 400 && message.contains("WatchEventsRequest has no such field"), "{message}");
    let unknown = "/v1/sessions/00000000-0000-4000-8000-000000000000/events";
    let (status, reason, _) = refused(unknown, &[]);
    assert_eq!((status, reason.as_str()), (404, "SESSION_NOT_FOUND"));
}

#[test]
fn the_catalogue_is_watched_and_resumed_at_its_cursor() {
    let server = ledger::setup().start();
    let rest = Rest::new(&server);
    let first = rest.create(&server, "thread,turn,completed");
    rest.rest(&first);
    let mut stream = rest.stream("/v1/sessions", &[]);
    let known = stream.until("synced");
    assert_eq!(known[0].name, "session");
    assert_eq!(known[0].data["sessionId"], json!(first));
    drop(stream);
    let cursor = known.last().unwrap().id.clone().expect("every message has its cursor");

    rest.ok(&format!("DELETE /v1/sessions/{first}"), &Value::Null);
    let second = rest.create(&server, "thread,turn,completed");
    let mut stream = rest.stream("/v1/sessions", &[("last-event-id", &cursor)]);
    let news = stream.until("synced");
    let about = |name: &str| {
        let found = news.iter().filter(|event| event.name == name);
        found.map(|event| event.data["sessionId"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(about("deleted"), [first]);
    assert!(about("session").iter().all(|id| *id == second), "{news:?}");
}

#[test]
fn a_client_that_goes_leaves_no_watch_behind() {
    let server = ledger::setup().start();
    let rest = Rest::new(&server);
    let id = rest.create(&server, "thread,turn,completed");
    let open = || {
        let open = rest.ok("GET /v1/server", &Value::Null)["openWatches"].as_u64();
        open.unwrap_or_default()
    };
    let mut stream = rest.stream(&format!("/v1/sessions/{id}/events?heartbeat=1s"), &[]);
    stream.until("heartbeat");
    assert_eq!(open(), 1);
    drop(stream);
    let begin = std::time::Instant::now();
    while open() != 0 {
        assert!(begin.elapsed() < ledger::GIVE_UP, "the watch is still open");
        std::thread::yield_now();
    }
}

#[test]
fn all_sessions_are_watched_at_one_place() {
    let server = ledger::setup().start();
    let rest = Rest::new(&server);
    let mut stream = rest.stream("/v1/events", &[]);
    stream.until("synced");
    let ids = [
        rest.create(&server, "thread,turn,completed"),
        rest.create(&server, "thread,turn,completed"),
    ];
    let mut at_rest = 0;
    while at_rest < 2 {
        let events = stream.until("turn_exited");
        assert!(events.iter().all(|event| event.id.is_none()), "a seq alone says nothing here");
        let id = events.last().unwrap().data["sessionId"].as_str().unwrap().to_owned();
        assert!(ids.contains(&id));
        at_rest += 1;
    }
}

#[test]
fn a_stream_of_one_session_resumes_wherever_it_is_asked_for() {
    let server = ledger::setup().start();
    let rest = Rest::new(&server);
    let id = rest.create(&server, "thread,turn,message:one,completed");
    rest.rest(&id);
    let told = |query: &str, headers: &[(&str, &str)]| {
        let path = format!("/v1/events?sessionIds={id}&stopAtEnd=true{query}");
        seqs(&rest.stream(&path, headers).collect::<Vec<_>>())
    };
    let all = told("&startSeq=1", &[]);
    assert!(all.len() > 4, "{all:?}");
    for query in ["&startSeq=1", &format!("&startSeqs[{id}]=1"), ""] {
        assert_eq!(told(query, &[("last-event-id", "2")]), all[2..], "{query}");
    }
}

#[test]
fn events_of_several_sessions_have_no_id_by_which_to_resume() {
    let server = ledger::setup().start();
    let rest = Rest::new(&server);
    let mut path = "/v1/events?stopAtEnd=true".to_owned();
    for _ in 0..2 {
        let id = rest.create(&server, "thread,turn,completed");
        rest.rest(&id);
        path += &format!("&sessionIds={id}&startSeqs[{id}]=1");
    }
    let events: Vec<Event> = rest.stream(&path, &[]).collect();
    assert!(names(&events).contains(&"session_created"), "{events:?}");
    assert!(seqs(&events).is_empty());
    let headers = [("accept", "text/event-stream"), ("last-event-id", "2")];
    let refused = rest.send(&format!("GET {path}"), &headers, b"");
    let message = super::json_of(&refused)["error"]["message"].to_string();
    assert!(refused.status == 400 && message.contains("only with exactly one"), "{message}");
}

#[test]
fn who_does_not_accept_a_stream_gets_none() {
    let server = ledger::setup().start();
    let rest = Rest::new(&server);
    let id = rest.create(&server, "thread,turn,completed");
    rest.rest(&id);
    let kind = |accept: &str| {
        let query = if accept.contains("json") { "" } else { "stopAtEnd=true" };
        let path = format!("GET /v1/sessions/{id}/events?{query}");
        let answer = rest.send(&path, &[("accept", accept)], b"");
        answer.header("content-type").unwrap().to_owned()
    };
    for accept in [
        "application/json, text/event-stream;q=0",
        "application/json, text/event-stream ; Q = 0.000",
    ] {
        assert_eq!(kind(accept), "application/json", "{accept}");
    }
    for accept in
        ["text/event-stream", "text/event-stream;q=0.001", "text/event-stream; charset=utf-8"]
    {
        assert_eq!(kind(accept), "text/event-stream", "{accept}");
    }
}
