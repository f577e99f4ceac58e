//! Sessions as people read them, over gRPC: turns, messages, trajectories.

use std::{fs, path::Path};

use prost::Message as _;
use serde_json::{Value, json};
use switchboard::proto::{
    CreateSessionRequest, DeleteSessionRequest, GetTrajectoryRequest, GetTrajectoryResponse,
    ListMessagesRequest, ListMessagesResponse, ListTurnsRequest, MessageRole, Session,
    SessionMessage, SessionState, Step, Text, Turn, Usage, step::Kind,
};
use tonic::{Code, Status};

use crate::{
    harness::{Clients, Server},
    ledger::{self, Watcher, create, events, reason, rest, start_turn},
    subscriber::problem,
    toolchain,
};

mod pages;
mod whole;

fn text(text: &str) -> Text {
    let total_characters = text.chars().count() as u64;
    Text { text: text.to_owned(), truncated: false, total_characters }
}

/// A request for the steps of a session, with texts whole.
fn steps_of(id: &str) -> GetTrajectoryRequest {
    GetTrajectoryRequest { session_id: id.to_owned(), full: true, ..Default::default() }
}

fn messages_of(id: &str) -> ListMessagesRequest {
    ListMessagesRequest { session_id: id.to_owned(), ..Default::default() }
}

async fn steps_page(
    clients: &Clients,
    request: &GetTrajectoryRequest,
) -> Result<GetTrajectoryResponse, Status> {
    Ok(clients.sessions.clone().get_trajectory(request.clone()).await?.into_inner())
}

async fn messages_page(
    clients: &Clients,
    request: &ListMessagesRequest,
) -> Result<ListMessagesResponse, Status> {
    Ok(clients.sessions.clone().list_messages(request.clone()).await?.into_inner())
}

/// The steps of every page, one page after the other.
async fn all_steps(clients: &Clients, mut request: GetTrajectoryRequest) -> Vec<Vec<Step>> {
    let mut pages = Vec::new();
    loop {
        let page = steps_page(clients, &request).await.unwrap();
        pages.push(page.steps);
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            return pages;
        }
    }
}

async fn all_messages(
    clients: &Clients,
    mut request: ListMessagesRequest,
) -> Vec<Vec<SessionMessage>> {
    let mut pages = Vec::new();
    loop {
        let page = messages_page(clients, &request).await.unwrap();
        pages.push(page.messages);
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            return pages;
        }
    }
}

/// Who says what in which turn.
fn said(messages: &[SessionMessage]) -> Vec<(u32, MessageRole, &str)> {
    let content = |message: &SessionMessage| message.content.is_some();
    assert!(messages.iter().all(content), "{messages:#?}");
    messages
        .iter()
        .map(|message| {
            (message.turn, message.role(), message.content.as_ref().unwrap().text.as_str())
        })
        .collect()
}

/// Writes what an agent shall print into a file, for a step `cat`.
fn lines_file(server: &Server, name: &str, lines: &[Value]) -> String {
    let file = server.work().join(name);
    let text = lines.iter().map(|line| format!("{line}\n")).collect::<String>();
    fs::write(&file, text).unwrap();
    file.display().to_string()
}

fn command(event: &str, id: &str, output: &str, exit_code: Option<i32>, status: &str) -> Value {
    json!({"type": event, "item": {
        "id": id, "type": "command_execution", "command": "make",
        "aggregated_output": output, "exit_code": exit_code, "status": status,
    }})
}

fn completed(input_tokens: i64, output_tokens: i64) -> Value {
    json!({"type": "turn.completed", "usage": {
        "input_tokens": input_tokens, "cached_input_tokens": 0,
        "cache_write_input_tokens": 0, "output_tokens": output_tokens,
        "reasoning_output_tokens": 0,
    }})
}

#[tokio::test(flavor = "multi_thread")]
async fn turns_are_listed_in_order_with_what_each_used() {
    let server = ledger::setup().start();
    let clients = server.connect().await;
    let first = lines_file(&server, "first", &[completed(100, 20)]);
    let second = lines_file(&server, "second", &[completed(250, 30)]);
    let script = format!("thread,turn,cat:{first}");
    let id = create(&clients, &server.work(), &script).await.unwrap().session_id;
    let mut expected = vec![rest(&clients, &id).await.last_turn.unwrap()];
    for script in [format!("thread,turn,cat:{second}"), "thread,turn,exit:3".to_owned()] {
        start_turn(&clients, &id, &script).await.unwrap();
        expected.push(rest(&clients, &id).await.last_turn.unwrap());
    }

    let turns = async |page_size: u32| {
        let mut request =
            ListTurnsRequest { session_id: id.clone(), page_size, ..Default::default() };
        let mut pages: Vec<Vec<Turn>> = Vec::new();
        loop {
            let page = clients.sessions.clone().list_turns(request.clone()).await.unwrap();
            let page = page.into_inner();
            pages.push(page.turns);
            request.page_token = page.next_page_token;
            if request.page_token.is_empty() {
                return pages;
            }
        }
    };
    assert_eq!(turns(0).await, [expected.clone()]);
    let one_by_one: Vec<_> = expected.iter().map(|turn| vec![turn.clone()]).collect();
    assert_eq!(turns(1).await, one_by_one);
    assert_eq!(turns(2).await, [&expected[..2], &expected[2..]]);
    let used = |input_tokens, output_tokens| {
        Some(Usage { input_tokens, output_tokens, ..Usage::default() })
    };
    let told: Vec<_> = expected
        .iter()
        .map(|turn| (turn.number, turn.state(), turn.exit_code, turn.usage))
        .collect();
    use SessionState::{Completed, Failed};
    assert_eq!(
        told,
        [
            (1, Completed, Some(0), used(100, 20)),
            (2, Completed, Some(0), used(150, 10)),
            (3, Failed, Some(3), None),
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_are_those_of_all_turns_with_the_prompts_whole() {
    let server = ledger::setup().start();
    let clients = server.connect().await;
    let tail = "größer ".repeat(1_000);
    let script = format!(
        "thread,turn,reasoning:hm,message:one,command:ls,error:again,completed\n{}",
        tail.trim_end()
    );
    let id = create(&clients, &server.work(), &script).await.unwrap().session_id;
    rest(&clients, &id).await;
    start_turn(&clients, &id, "thread,turn,message:two,stderr:Error: out of luck,exit:2")
        .await
        .unwrap();
    rest(&clients, &id).await;

    let page = messages_page(&clients, &messages_of(&id)).await.unwrap();

    use MessageRole::{Assistant, System, Tool, User};
    let prompt = format!("FAKE_AGENT={script}");
    let found = said(&page.messages);
    assert_eq!(
        found,
        [
            (1, User, prompt.as_str()),
            (1, Assistant, "one"),
            (1, Tool, "done\n"),
            (1, System, "again"),
            (2, User, "FAKE_AGENT=thread,turn,message:two,stderr:Error: out of luck,exit:2"),
            (2, Assistant, "two"),
            // In the agent's own words.
            (2, System, "out of luck"),
        ]
    );
    assert_eq!(page.messages[6].name, "EXIT_STATUS");
    let tool = &page.messages[2];
    let expected = SessionMessage {
        input: Some(text("/bin/bash -lc 'ls'")),
        name: "command".to_owned(),
        item_type: "command_execution".to_owned(),
        status: "completed".to_owned(),
        exit_code: Some(0),
        ..tool.clone()
    };
    assert_eq!(*tool, expected);
    let events = events(&clients, &id).await;
    assert_eq!((page.oldest_seq, page.latest_seq), (1, events.len() as u64));
    assert_eq!(page.next_page_token, "");
    for message in &page.messages {
        let event = &events[usize::try_from(message.seq).unwrap() - 1];
        assert_eq!((message.turn, message.time), (event.turn, event.time), "{message:?}");
    }
    // One turn alone is the same messages.
    for turn in [1, 2] {
        let request = ListMessagesRequest { turn, ..messages_of(&id) };
        let of_turn = all_messages(&clients, request).await.concat();
        let expected: Vec<_> =
            page.messages.iter().filter(|message| message.turn == turn).cloned().collect();
        assert_eq!(of_turn, expected);
    }
}

/// What `tests/fixtures/steps` says of a transcript, without what only the
/// server knows.
fn checked_in(name: &str) -> (Vec<Step>, usize) {
    let file = toolchain::tests_dir().join(format!("fixtures/steps/{name}.jsonl"));
    let fixture = fs::read_to_string(file).unwrap();
    let (more, lines): (Vec<&str>, Vec<&str>) =
        fixture.lines().partition(|line| line.starts_with("and "));
    let more = more.first().map_or(0, |line| line.split(' ').nth(1).unwrap().parse().unwrap());
    let steps = lines.iter().map(|line| without_seq(serde_json::from_str(line).unwrap()));
    (steps.collect(), more)
}

fn without_seq(mut step: Step) -> Step {
    (step.seq, step.time) = (0, None);
    step
}

async fn replay(clients: &Clients, work: &Path, name: &str) -> Session {
    let file = toolchain::tests_dir().join(format!("fixtures/transcripts/{name}.jsonl"));
    let request = CreateSessionRequest {
        session: Some(Session {
            agent: format!("replay:{}", file.display()),
            working_directory: work.display().to_string(),
            ..Session::default()
        }),
        prompt: "prompt 1".to_owned(),
        ..CreateSessionRequest::default()
    };
    let answer = clients.sessions.clone().create_session(request).await.unwrap();
    rest(clients, &answer.into_inner().session.unwrap().session_id).await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_replayed_transcript_gives_the_steps_that_are_checked_in() {
    let server = Server::new();
    let clients = server.connect().await;
    for entry in fs::read_dir(toolchain::tests_dir().join("fixtures/transcripts")).unwrap() {
        let file = entry.unwrap().path();
        let name = file.file_stem().unwrap().to_str().unwrap();
        let id = replay(&clients, &server.work(), name).await.session_id;
        let request = GetTrajectoryRequest { full: false, ..steps_of(&id) };
        let steps = all_steps(&clients, request.clone()).await.concat();
        let small = all_steps(&clients, GetTrajectoryRequest { page_size: 3, ..request }).await;
        assert_eq!(small.concat(), steps, "{name}");
        assert!(small.iter().all(|page| page.len() <= 3), "{name}");
        let mut steps: Vec<_> = steps.into_iter().map(without_seq).collect();
        if name == "sig_INT_cmd" {
            // Its replay ends by itself, which the recorded turn did not.
            let last = steps.pop().unwrap().kind;
            assert!(matches!(last, Some(Kind::Error(_))), "{last:?}");
        }
        let (expected, more) = checked_in(name);
        assert_eq!(steps[..expected.len()], expected, "{name}");
        assert_eq!(steps.len(), expected.len() + more, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_runs_is_told_as_it_is_and_again_when_it_is_complete() {
    let server = ledger::setup().start();
    let clients = server.connect().await;
    let go = server.work().join("go");
    let begun = [
        command("item.started", "item_7", "", None, "in_progress"),
        command("item.started", "item_8", "", None, "in_progress"),
    ];
    let begun = lines_file(&server, "begun", &begun);
    let done = [command("item.completed", "item_7", "built\n", Some(0), "completed")];
    let done = lines_file(&server, "done", &done);
    let script =
        format!("thread,turn,cat:{begun},message:both,wait:{},cat:{done},completed", go.display());
    let id = create(&clients, &server.work(), &script).await.unwrap().session_id;
    let mut watcher = Watcher::start(&clients, &id);
    watcher.message("both").await;

    let told = |pages: Vec<Vec<Step>>| -> Vec<(u32, String, String)> {
        let steps = pages.concat();
        let told = steps.into_iter().map(|step| (step.step, step.item_id, step.status));
        told.collect()
    };
    let step = |number: u32, id: &str, status: &str| (number, id.to_owned(), status.to_owned());
    let running = [
        step(1, "", ""),
        step(2, "item_0", ""),
        step(3, "item_7", "in_progress"),
        step(4, "item_8", "in_progress"),
    ];
    for page_size in [0, 1, 2, 3] {
        let request = GetTrajectoryRequest { page_size, ..steps_of(&id) };
        assert_eq!(told(all_steps(&clients, request).await), running, "{page_size}");
    }
    let page = messages_page(&clients, &messages_of(&id)).await.unwrap();
    assert_eq!(page.messages.iter().map(|message| message.step).collect::<Vec<_>>(), [1, 2, 3, 4]);
    // A page of a turn that runs is good after it too.
    let request = GetTrajectoryRequest { page_size: 3, ..steps_of(&id) };
    let first = steps_page(&clients, &request).await.unwrap();

    fs::write(go, "").unwrap();
    watcher.rest(1).await;

    let over = [
        step(1, "", ""),
        step(2, "item_0", ""),
        step(3, "item_7", "completed"),
        step(4, "item_8", "in_progress"),
    ];
    for page_size in [0, 1, 2, 3] {
        let request = GetTrajectoryRequest { page_size, ..steps_of(&id) };
        assert_eq!(told(all_steps(&clients, request).await), over, "{page_size}");
    }
    let request = GetTrajectoryRequest { page_token: first.next_page_token, ..request };
    assert_eq!(told(all_steps(&clients, request).await), over[2..]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_without_turns_has_nothing_to_read() {
    let server = ledger::setup().start();
    let clients = server.connect().await;
    let request = CreateSessionRequest {
        session: Some(Session {
            working_directory: server.work().display().to_string(),
            ..Session::default()
        }),
        ..CreateSessionRequest::default()
    };
    let answer = clients.sessions.clone().create_session(request).await.unwrap();
    let id = answer.into_inner().session.unwrap().session_id;
    let page = messages_page(&clients, &messages_of(&id)).await.unwrap();
    assert_eq!(page, ListMessagesResponse { oldest_seq: 1, latest_seq: 1, ..Default::default() });
    let steps = steps_page(&clients, &steps_of(&id)).await.unwrap();
    assert_eq!(steps.steps, []);
    let request = ListTurnsRequest { session_id: id.clone(), ..Default::default() };
    let turns = clients.sessions.clone().list_turns(request).await.unwrap().into_inner();
    assert_eq!((turns.turns, turns.next_page_token), (vec![], String::new()));
    let request = ListMessagesRequest { turn: 1, ..messages_of(&id) };
    let refused = messages_page(&clients, &request).await.unwrap_err();
    assert_eq!((reason(&refused).as_str(), refused.code()), ("TURN_NOT_FOUND", Code::NotFound));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_is_refused_with_its_reason() {
    let server = ledger::setup().start();
    let clients = server.connect().await;
    let script = "thread,turn,print:5,completed";
    let id = create(&clients, &server.work(), script).await.unwrap().session_id;
    rest(&clients, &id).await;
    let request = GetTrajectoryRequest { page_size: 1, ..steps_of(&id) };
    let page_token = steps_page(&clients, &request).await.unwrap().next_page_token;

    let one = || steps_of(&id);
    for (field, request) in [
        ("session_id", GetTrajectoryRequest { session_id: id[..8].to_owned(), ..one() }),
        ("page_size", GetTrajectoryRequest { page_size: 1_001, ..one() }),
        ("max_bytes", GetTrajectoryRequest { max_bytes: 65_535, ..one() }),
        ("max_characters", GetTrajectoryRequest { max_characters: 1_000_001, ..one() }),
        ("page_token", GetTrajectoryRequest { page_token: "x".to_owned(), ..one() }),
        // Of the listing of all turns.
        ("page_token", GetTrajectoryRequest { page_token: page_token.clone(), turn: 1, ..one() }),
    ] {
        let (code, reason, metadata) = problem(steps_page(&clients, &request).await);
        let found = (code, reason.as_str(), metadata.get("field").map(String::as_str));
        assert_eq!(found, (Code::InvalidArgument, "INVALID_ARGUMENT", Some(field)), "{request:?}");
    }
    let request = ListMessagesRequest { page_token: page_token.clone(), ..messages_of(&id) };
    let (_, reason, metadata) = problem(messages_page(&clients, &request).await);
    assert_eq!((reason.as_str(), metadata["field"].as_str()), ("INVALID_ARGUMENT", "page_token"));
    let request = ListTurnsRequest { session_id: id.clone(), page_token, ..Default::default() };
    let (_, reason, metadata) = problem(clients.sessions.clone().list_turns(request).await);
    assert_eq!((reason.as_str(), metadata["field"].as_str()), ("INVALID_ARGUMENT", "page_token"));

    let request = GetTrajectoryRequest { turn: 2, ..one() };
    let (_, reason, metadata) = problem(steps_page(&clients, &request).await);
    assert_eq!((reason.as_str(), metadata["turn_count"].as_str()), ("TURN_NOT_FOUND", "1"));
    let delete = DeleteSessionRequest { session_id: id.clone(), ..Default::default() };
    clients.sessions.clone().delete_session(delete).await.unwrap();
    for (id, expected) in [
        (id.as_str(), "SESSION_DELETED"),
        ("00000000-0000-4000-8000-000000000000", "SESSION_NOT_FOUND"),
    ] {
        let (_, reason, _) = problem(steps_page(&clients, &steps_of(id)).await);
        assert_eq!(reason, expected);
        let (_, reason, _) = problem(messages_page(&clients, &messages_of(id)).await);
        assert_eq!(reason, expected);
        let request = ListTurnsRequest { session_id: id.to_owned(), ..Default::default() };
        let (_, reason, _) = problem(clients.sessions.clone().list_turns(request).await);
        assert_eq!(reason, expected);
    }
}
