//! Sessions over gRPC: making, finding, listing and waiting for them, and every
//! reason for which a request is refused.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    path::Path,
    time::Duration,
};

use switchboard::proto::{
    CreateSessionRequest, FilesystemSandbox, GetSessionRequest, InterruptTurnRequest,
    ReadOutputRequest, Session, SessionState, WaitSessionRequest, WaitSessionResponse,
};
use tonic::{Code, Request, Status};
use tonic_types::StatusExt as _;

use crate::{
    harness::Clients,
    ledger::{self, Watcher, check, create, events, get, reason, rest, start_turn},
};

mod filters;
mod listing;
mod refusals;

/// A request for a session without a prompt.
fn request(work: &Path) -> CreateSessionRequest {
    CreateSessionRequest {
        session: Some(Session {
            working_directory: work.display().to_string(),
            ..Session::default()
        }),
        ..CreateSessionRequest::default()
    }
}

async fn make(clients: &Clients, request: CreateSessionRequest) -> Result<Session, Status> {
    let answer = clients.sessions.clone().create_session(request).await?;
    Ok(answer.into_inner().session.expect("the answer holds the session"))
}

async fn make_with_id(clients: &Clients, work: &Path, id: &str) -> Result<Session, Status> {
    make(clients, CreateSessionRequest { session_id: id.to_owned(), ..request(work) }).await
}

async fn wait(
    clients: &Clients,
    id: &str,
    states: &[SessionState],
    timeout: Duration,
) -> Result<WaitSessionResponse, Status> {
    let request = WaitSessionRequest {
        session_id: id.to_owned(),
        states: states.iter().map(|state| (*state).into()).collect(),
        timeout: Some(timeout.into()),
    };
    Ok(clients.sessions.clone().wait_session(request).await?.into_inner())
}

/// The metadata of an error.
fn metadata(status: &Status) -> HashMap<String, String> {
    status.get_details_error_info().expect("every status has a reason").metadata
}

async fn find(clients: &Clients, prefix: &str) -> Result<String, Status> {
    let request = GetSessionRequest { session_id: prefix.to_owned() };
    let answer = clients.sessions.clone().get_session(request).await?;
    Ok(answer.into_inner().session.expect("the answer holds the session").session_id)
}

fn ids(sessions: &[Session]) -> Vec<&str> {
    sessions.iter().map(|session| session.session_id.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_what_its_request_says() {
    let server = ledger::setup().start();
    let clients = server.connect().await;
    let asked = Session {
        agent: "codex".to_owned(),
        source: "orchestrator:night-shift".to_owned(),
        title: "Tidy up".to_owned(),
        labels: BTreeMap::from([("team".to_owned(), "größe".to_owned())]),
        working_directory: server.work().display().to_string(),
        model: "gpt-5.5".to_owned(),
        filesystem_sandbox: FilesystemSandbox::WorkspaceWrite.into(),
        ..Session::default()
    };
    let id = "2f1c6a3e-8d0b-4c55-9a77-0d5a4a3f9b21".to_owned();
    let request = CreateSessionRequest {
        session: Some(asked.clone()),
        session_id: id.clone(),
        prompt: String::new(),
        ..Default::default()
    };
    let session = make(&clients, request).await.unwrap();
    let expected = Session {
        session_id: id.clone(),
        state: SessionState::Pending.into(),
        create_time: session.create_time,
        update_time: session.create_time,
        etag: "1".to_owned(),
        ..asked
    };
    assert!(session.create_time.is_some());
    assert_eq!(session, expected);
    assert_eq!(get(&clients, &id).await, session);
    assert_eq!(ledger::list(&clients).await, [session]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_without_a_prompt_waits_for_its_first_turn() {
    let server = ledger::setup().start();
    let clients = server.connect().await;
    let pending = make(&clients, request(&server.work())).await.unwrap();
    let id = pending.session_id.clone();
    assert_eq!(
        (pending.state(), pending.turn_count, &pending.last_turn, pending.agent.as_str()),
        (SessionState::Pending, 0, &None, "codex")
    );
    assert_eq!((pending.source.as_str(), pending.first_prompt.as_str()), ("user", ""));
    let mut watcher = Watcher::start(&clients, &id);

    let running = start_turn(&clients, &id, "thread,turn,message:hello,completed").await.unwrap();

    assert_eq!((running.state(), running.turn_count), (SessionState::Running, 1));
    let events = watcher.rest(1).await;
    let session = rest(&clients, &id).await;
    assert_eq!(session.state(), SessionState::Completed);
    assert_eq!(session.first_prompt, "FAKE_AGENT=thread,turn,message:hello,completed");
    check(&server, &session, &events);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_is_given_once() {
    let server = ledger::setup().start();
    let clients = server.connect().await;
    let id = "0a1b2c3d-0000-4000-8000-000000000001";
    make_with_id(&clients, &server.work(), id).await.unwrap();
    let taken = make_with_id(&clients, &server.work(), id).await.unwrap_err();
    assert_eq!((reason(&taken).as_str(), taken.code()), ("SESSION_EXISTS", Code::AlreadyExists));
    assert_eq!(metadata(&taken), HashMap::from([("session_id".to_owned(), id.to_owned())]));
    // The one that has it is as it was.
    start_turn(&clients, id, "thread,turn,completed").await.unwrap();
    let session = rest(&clients, id).await;
    check(&server, &session, &events(&clients, id).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_ends_with_the_state_or_with_the_time() {
    let server = ledger::setup().start();
    let clients = server.connect().await;
    let go = server.work().join("go");
    let script = format!("thread,turn,wait:{},completed", go.display());
    let id = create(&clients, &server.work(), &script).await.unwrap().session_id;
    use SessionState::{Completed, Failed, Running};

    let looked = wait(&clients, &id, &[], Duration::ZERO).await.unwrap();
    assert_eq!((looked.reached, looked.session.unwrap().state()), (false, Running));
    let timed_out = wait(&clients, &id, &[Completed], Duration::from_millis(20)).await.unwrap();
    assert_eq!((timed_out.reached, timed_out.session.unwrap().state()), (false, Running));
    let there = wait(&clients, &id, &[Completed, Running], ledger::GIVE_UP).await.unwrap();
    assert_eq!((there.reached, there.session.unwrap().state()), (true, Running));

    let waiter = clients.clone();
    let waited_for = id.clone();
    let waiting = tokio::spawn(async move {
        wait(&waiter, &waited_for, &[Completed], ledger::GIVE_UP).await.unwrap()
    });
    fs::write(go, "").unwrap();
    let reached = waiting.await.unwrap();
    assert!(reached.reached);
    assert_eq!(reached.session.unwrap(), get(&clients, &id).await);
    let never = wait(&clients, &id, &[Failed], Duration::ZERO).await.unwrap();
    assert!(!never.reached);

    for timeout in [-1, 24 * 3600 + 1] {
        let request = WaitSessionRequest {
            session_id: id.clone(),
            states: Vec::new(),
            timeout: Some(pbjson_types::Duration { seconds: timeout, nanos: 0 }),
        };
        let refused = clients.sessions.clone().wait_session(request).await.unwrap_err();
        assert_eq!(reason(&refused), "INVALID_ARGUMENT", "{timeout}");
        assert_eq!(metadata(&refused)["field"], "timeout", "{timeout}");
    }
    let unknown = "00000000-0000-4000-8000-000000000000";
    let refused = wait(&clients, unknown, &[], Duration::ZERO).await.unwrap_err();
    assert_eq!(reason(&refused), "SESSION_NOT_FOUND");
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_ends_at_the_deadline_of_the_call() {
    let server = ledger::setup().start();
    let clients = server.connect().await;
    let id = make(&clients, request(&server.work())).await.unwrap().session_id;
    let mut request = Request::new(WaitSessionRequest { session_id: id, ..Default::default() });
    request.set_timeout(Duration::from_millis(50));
    let ended = clients.sessions.clone().wait_session(request).await.unwrap_err();
    // The server says the one, tonic's client by itself the other.
    assert!([Code::DeadlineExceeded, Code::Cancelled].contains(&ended.code()), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_has_one_turn_at_a_time() {
    let server = ledger::setup().start();
    let clients = server.connect().await;
    let go = server.work().join("go");
    let script = format!("thread,turn,wait:{},completed", go.display());
    let id = create(&clients, &server.work(), &script).await.unwrap().session_id;

    let refused = start_turn(&clients, &id, "completed").await.unwrap_err();

    assert_eq!(reason(&refused), "SESSION_RUNNING");
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert_eq!(
        metadata(&refused),
        HashMap::from([
            ("session_id".to_owned(), id.clone()),
            ("state".to_owned(), "SESSION_STATE_RUNNING".to_owned()),
        ])
    );
    fs::write(go, "").unwrap();
    let session = rest(&clients, &id).await;
    assert_eq!((session.state(), session.turn_count), (SessionState::Completed, 1));
    check(&server, &session, &events(&clients, &id).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_turns_that_are_started_together_one_is() {
    let server = ledger::setup().start();
    let clients = server.connect().await;
    let id = make(&clients, request(&server.work())).await.unwrap().session_id;
    let go = server.work().join("go");
    let script = format!("thread,turn,wait:{},completed", go.display());
    let starts = (0..8).map(|_| start_turn(&clients, &id, &script));
    let outcomes = futures_util::future::join_all(starts).await;
    let refused: Vec<_> =
        outcomes.iter().filter_map(|outcome| outcome.as_ref().err()).map(reason).collect();
    assert_eq!(refused, ["SESSION_RUNNING"; 7]);
    fs::write(go, "").unwrap();
    let session = rest(&clients, &id).await;
    assert_eq!((session.state(), session.turn_count), (SessionState::Completed, 1));
    check(&server, &session, &events(&clients, &id).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_interrupted_where_no_turn_runs() {
    let server = ledger::setup().start();
    let clients = server.connect().await;
    let interrupt = async |id: &str| {
        let request = InterruptTurnRequest { session_id: id.to_owned(), ..Default::default() };
        clients.sessions.clone().interrupt_turn(request).await.unwrap_err()
    };
    let pending = make(&clients, request(&server.work())).await.unwrap().session_id;
    let refused = interrupt(&pending).await;
    assert_eq!(reason(&refused), "NO_ACTIVE_TURN");
    assert_eq!(metadata(&refused)["state"], "SESSION_STATE_PENDING");
    let refused = interrupt("00000000-0000-4000-8000-000000000000").await;
    assert_eq!(reason(&refused), "SESSION_NOT_FOUND");
    assert_eq!(get(&clients, &pending).await.state(), SessionState::Pending);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_without_turns_has_no_output() {
    let server = ledger::setup().start();
    let clients = server.connect().await;
    let id = make(&clients, request(&server.work())).await.unwrap().session_id;
    for turn in [0, 1] {
        let request = ReadOutputRequest { session_id: id.clone(), turn, ..Default::default() };
        let refused = clients.sessions.clone().read_output(request).await.unwrap_err();
        assert_eq!(reason(&refused), "TURN_NOT_FOUND", "{turn}");
        assert_eq!(metadata(&refused)["turn_count"], "0", "{turn}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_working_directory_that_went_away_refuses_the_next_turn() {
    let server = ledger::setup().start();
    let clients = server.connect().await;
    let directory = server.work().join("project");
    fs::create_dir(&directory).unwrap();
    let id = create(&clients, &directory, "thread,turn,completed").await.unwrap().session_id;
    let before = rest(&clients, &id).await;
    fs::remove_dir(&directory).unwrap();
    let refused = start_turn(&clients, &id, "completed").await.unwrap_err();
    assert_eq!(reason(&refused), "WORKING_DIRECTORY_INVALID");
    assert_eq!(get(&clients, &id).await, before);
    fs::create_dir(&directory).unwrap();
    start_turn(&clients, &id, "thread,turn,completed").await.unwrap();
    let session = rest(&clients, &id).await;
    assert_eq!((session.state(), session.turn_count), (SessionState::Completed, 2));
    check(&server, &session, &events(&clients, &id).await);
}
