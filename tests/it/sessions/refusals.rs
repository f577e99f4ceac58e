//! Requests that are refused, each with its reason, and what they leave behind:
//! nothing.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
};

use switchboard::proto::{
    CreateSessionRequest, ReadOutputRequest, Session, SessionState, StartTurnRequest, Turn, Usage,
    WatchEventsRequest,
};
use tonic::Code;

use super::{find, ids, make, make_with_id, metadata, request};
use crate::{
    harness::{Clients, Server},
    ledger::{self, get, reason, start_turn},
};

/// Nothing of a session is there, neither in the listing nor on the disk.
async fn assert_nothing_is_left(server: &Server, clients: &Clients) {
    assert_eq!(ledger::list(clients).await, []);
    let left: Vec<_> = fs::read_dir(server.home().join("sessions")).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

/// Checks that a session is refused, with a prompt and without one, and that
/// nothing of it is left.
async fn check_refused(
    server: &Server,
    clients: &Clients,
    asked: Session,
    expected: (&str, &str, &str),
) {
    for prompt in ["", "go"] {
        let request = CreateSessionRequest {
            session: Some(asked.clone()),
            prompt: prompt.to_owned(),
            ..CreateSessionRequest::default()
        };
        let refused = make(clients, request).await.unwrap_err();
        let told = metadata(&refused);
        let (expected_reason, key, value) = expected;
        assert_eq!(reason(&refused), expected_reason, "{refused:?}");
        assert_eq!(refused.code(), Code::InvalidArgument, "{refused:?}");
        assert_eq!(told.get(key).map(String::as_str), Some(value), "{refused:?}");
    }
    assert_nothing_is_left(server, clients).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_is_a_random_uuid_in_its_one_spelling() {
    let server = ledger::setup().start();
    let clients = server.connect().await;
    for id in [
        "x",
        "0a1b2c3d",
        "0A1B2C3D-0000-4000-8000-000000000001",
        "0a1b2c3d000040008000000000000001",
        "{0a1b2c3d-0000-4000-8000-000000000001}",
        "0a1b2c3d-0000-1000-8000-000000000001",
        "../../../../../../../../etc/passwd-ab",
    ] {
        let refused = make_with_id(&clients, &server.work(), id).await.unwrap_err();
        assert_eq!(reason(&refused), "INVALID_ARGUMENT", "{id}");
        assert_eq!(metadata(&refused)["field"], "session_id", "{id}");
    }
    assert_nothing_is_left(&server, &clients).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_session_is_not_found_by_any_operation() {
    let server = ledger::setup().start();
    let clients = server.connect().await;
    let id = "00000000-0000-4000-8000-000000000000";
    let read = ReadOutputRequest { session_id: id.to_owned(), ..Default::default() };
    let watch = WatchEventsRequest { session_ids: vec![id.to_owned()], ..Default::default() };
    let refused = [
        find(&clients, id).await.unwrap_err(),
        start_turn(&clients, id, "completed").await.unwrap_err(),
        clients.sessions.clone().read_output(read).await.unwrap_err(),
        ledger::events_after(&clients, id, 0).await.unwrap_err(),
        clients.events.clone().watch_events(watch).await.unwrap_err(),
    ];
    for status in refused {
        assert_eq!(reason(&status), "SESSION_NOT_FOUND", "{status:?}");
        assert_eq!(metadata(&status), HashMap::from([("session_id".to_owned(), id.to_owned())]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_working_directory_is_an_absolute_one_that_is_there() {
    let server = ledger::setup().start();
    let clients = server.connect().await;
    let file = server.work().join("file");
    fs::write(&file, "").unwrap();
    let missing = server.work().join("missing");
    for path in ["relative", ".", file.to_str().unwrap(), missing.to_str().unwrap()] {
        let asked = Session { working_directory: path.to_owned(), ..Session::default() };
        let expected = ("WORKING_DIRECTORY_INVALID", "working_directory", path);
        check_refused(&server, &clients, asked, expected).await;
    }
    let expected = ("INVALID_ARGUMENT", "field", "session.working_directory");
    check_refused(&server, &clients, Session::default(), expected).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_is_of_a_kind_that_there_is() {
    let server = ledger::setup().start();
    let clients = server.connect().await;
    let asked = |agent: &str| Session {
        agent: agent.to_owned(),
        working_directory: server.work().display().to_string(),
        ..Session::default()
    };
    for agent in ["claude", "Codex", "codex "] {
        check_refused(&server, &clients, asked(agent), ("AGENT_NOT_FOUND", "agent", agent)).await;
    }
    for agent in ["replay:", "replay:a.jsonl"] {
        let expected = ("INVALID_ARGUMENT", "field", "session.agent");
        check_refused(&server, &clients, asked(agent), expected).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn words_of_a_session_are_bounded() {
    let server = ledger::setup().start();
    let clients = server.connect().await;
    let asked =
        Session { working_directory: server.work().display().to_string(), ..Session::default() };
    let labels = |labels: &[(&str, &str)]| -> BTreeMap<String, String> {
        labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    };
    let many = |count: usize| -> BTreeMap<String, String> {
        (0..count).map(|number| (number.to_string(), String::new())).collect()
    };
    let long = |characters: usize| "ä".repeat(characters);
    let refused = [
        ("session.title", Session { title: long(201), ..asked.clone() }),
        ("session.title", Session { title: "two\nlines".to_owned(), ..asked.clone() }),
        ("session.source", Session { source: long(65), ..asked.clone() }),
        ("session.source", Session { source: "two words".to_owned(), ..asked.clone() }),
        ("session.model", Session { model: long(201), ..asked.clone() }),
        ("session.labels", Session { labels: many(65), ..asked.clone() }),
        ("session.labels", Session { labels: labels(&[("", "x")]), ..asked.clone() }),
        ("session.labels", Session { labels: labels(&[(&long(64), "x")]), ..asked.clone() }),
        ("session.labels", Session { labels: labels(&[("x", &long(256))]), ..asked.clone() }),
        ("session.filesystem_sandbox", Session { filesystem_sandbox: 7, ..asked.clone() }),
    ];
    for (field, asked) in refused {
        check_refused(&server, &clients, asked, ("INVALID_ARGUMENT", "field", field)).await;
    }
    let longest = Session {
        title: long(200),
        source: long(64),
        model: long(200),
        labels: many(63).into_iter().chain(labels(&[(&long(63), &long(255))])).collect(),
        ..asked
    };
    let request =
        CreateSessionRequest { session: Some(longest.clone()), ..CreateSessionRequest::default() };
    let made = make(&clients, request).await.unwrap();
    assert_eq!(
        (made.title, made.source, made.model, made.labels),
        (longest.title, longest.source, longest.model, longest.labels)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_the_server_sets_is_refused_in_a_request() {
    let server = ledger::setup().start();
    let clients = server.connect().await;
    let asked =
        Session { working_directory: server.work().display().to_string(), ..Session::default() };
    let time = Some(switchboard::time::Timestamp { seconds: 1, nanos: 0 });
    let set = [
        Session { session_id: "x".to_owned(), ..asked.clone() },
        Session { state: SessionState::Completed.into(), ..asked.clone() },
        Session { state_reason: 1, ..asked.clone() },
        Session { thread_id: "x".to_owned(), ..asked.clone() },
        Session { codex_version: "1".to_owned(), ..asked.clone() },
        Session { first_prompt: "x".to_owned(), ..asked.clone() },
        Session { turn_count: 1, ..asked.clone() },
        Session { last_turn: Some(Turn::default()), ..asked.clone() },
        Session { usage: Some(Usage::default()), ..asked.clone() },
        Session { create_time: time, ..asked.clone() },
        Session { update_time: time, ..asked },
    ];
    for asked in set {
        let expected = ("INVALID_ARGUMENT", "field", "session");
        check_refused(&server, &clients, asked, expected).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turn_has_a_prompt() {
    let server = ledger::setup().start();
    let clients = server.connect().await;
    let id = make(&clients, request(&server.work())).await.unwrap().session_id;
    let before = get(&clients, &id).await;
    for prompt in ["", " \n\t"] {
        let request = StartTurnRequest {
            session_id: id.clone(),
            prompt: prompt.to_owned(),
            ..Default::default()
        };
        let refused = clients.sessions.clone().start_turn(request).await.unwrap_err();
        assert_eq!(reason(&refused), "INVALID_ARGUMENT", "{prompt:?}");
        assert_eq!(metadata(&refused)["field"], "prompt", "{prompt:?}");
    }
    assert_eq!(get(&clients, &id).await, before);
    // White space is all that codex would get.
    let blank = CreateSessionRequest { prompt: " ".to_owned(), ..request(&server.work()) };
    assert_eq!(reason(&make(&clients, blank).await.unwrap_err()), "INVALID_ARGUMENT");
    assert_eq!(ids(&ledger::list(&clients).await), [id]);
}
