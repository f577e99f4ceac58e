//! Sessions over gRPC: making, finding, listing and waiting for them, and every
//! reason for which a request is refused.

use std::{collections::HashMap, fs, path::Path, time::Duration};

use switchboard::proto::{
    CreateSessionRequest, FilesystemSandbox, GetSessionRequest, InterruptTurnRequest,
    ListSessionsRequest, ListSessionsResponse, Session, SessionState, StartTurnRequest, Turn,
    Usage, WaitSessionRequest, WaitSessionResponse,
};
use tonic::{Code, Request, Status};
use tonic_types::StatusExt as _;

use crate::{
    harness::{Clients, Server},
    ledger::{self, Watcher, check, create, events, get, reason, rest, start_turn},
};

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

async fn find(clients: &Clients, prefix: &str) -> Result<String, Status> {
    let request = GetSessionRequest { session_id: prefix.to_owned() };
    let answer = clients.sessions.clone().get_session(request).await?;
    Ok(answer.into_inner().session.expect("the answer holds the session").session_id)
}

async fn page(
    clients: &Clients,
    request: ListSessionsRequest,
) -> Result<ListSessionsResponse, Status> {
    Ok(clients.sessions.clone().list_sessions(request).await?.into_inner())
}

fn ids(sessions: &[Session]) -> Vec<&str> {
    sessions.iter().map(|session| session.session_id.as_str()).collect()
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

/// Nothing of a session is there, neither in the listing nor on the disk.
async fn assert_nothing_is_left(server: &Server, clients: &Clients) {
    assert_eq!(ledger::list(clients).await, []);
    let left: Vec<_> = fs::read_dir(server.home().join("sessions")).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_what_its_request_says() {
    let server = ledger::setup().start();
    let clients = server.connect().await;
    let asked = Session {
        agent: "codex".to_owned(),
        source: "orchestrator:night-shift".to_owned(),
        title: "Tidy up".to_owned(),
        labels: HashMap::from([("team".to_owned(), "größe".to_owned())]),
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
    };
    let session = make(&clients, request).await.unwrap();
    let expected = Session {
        session_id: id.clone(),
        state: SessionState::Pending.into(),
        create_time: session.create_time,
        update_time: session.create_time,
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
async fn a_session_is_found_by_a_prefix_that_no_other_shares() {
    let server = ledger::setup().start();
    let clients = server.connect().await;
    let [first, second, third] = [
        "abcd0000-0000-4000-8000-000000000001",
        "abcd0000-0000-4000-8000-000000000002",
        "abce0000-0000-4000-8000-000000000003",
    ];
    for id in [first, second, third] {
        make_with_id(&clients, &server.work(), id).await.unwrap();
    }
    assert_eq!(find(&clients, "abce").await.unwrap(), third);
    assert_eq!(find(&clients, &second[..35]).await.unwrap_err().code(), Code::FailedPrecondition);
    assert_eq!(find(&clients, second).await.unwrap(), second);

    let ambiguous = find(&clients, "abcd").await.unwrap_err();
    assert_eq!(reason(&ambiguous), "AMBIGUOUS_ID");
    let told = metadata(&ambiguous);
    assert_eq!(told["prefix"], "abcd");
    let mut matches: Vec<_> = told["matches"].split(',').collect();
    matches.sort_unstable();
    assert_eq!(matches, [first, second]);

    let missing = find(&clients, "dddd").await.unwrap_err();
    assert_eq!((reason(&missing).as_str(), missing.code()), ("SESSION_NOT_FOUND", Code::NotFound));
    assert_eq!(metadata(&missing), HashMap::from([("session_id".to_owned(), "dddd".to_owned())]));
    for malformed in ["", "abc", "ABCE", "abce%", "abc_", "abce0000-0000-4000-8000-0000000000034"] {
        let refused = find(&clients, malformed).await.unwrap_err();
        assert_eq!(reason(&refused), "INVALID_ARGUMENT", "{malformed}");
    }
    // Everything else takes whole ids only.
    let refused = start_turn(&clients, "abce", "completed").await.unwrap_err();
    assert_eq!(reason(&refused), "INVALID_ARGUMENT");

    let listed = |id_prefix: &str| ListSessionsRequest {
        id_prefix: id_prefix.to_owned(),
        ..ListSessionsRequest::default()
    };
    let found = page(&clients, listed("abcd")).await.unwrap();
    assert_eq!(ids(&found.sessions), [second, first]);
    assert_eq!(ids(&page(&clients, listed("a")).await.unwrap().sessions), [third, second, first]);
    assert_eq!(page(&clients, listed("b")).await.unwrap(), ListSessionsResponse::default());
    assert_eq!(reason(&page(&clients, listed("%")).await.unwrap_err()), "INVALID_ARGUMENT");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_goes_page_by_page_from_the_newest_to_the_oldest() {
    let server = ledger::setup().start();
    let clients = server.connect().await;
    let mut made = Vec::new();
    for _ in 0..7 {
        made.insert(0, make(&clients, request(&server.work())).await.unwrap());
    }
    for page_size in [0, 1, 2, 3, 6, 7, 8, 1_000] {
        let mut pages = Vec::new();
        let mut page_token = String::new();
        loop {
            let request =
                ListSessionsRequest { page_size, page_token, ..ListSessionsRequest::default() };
            let page = page(&clients, request).await.unwrap();
            pages.push(page.sessions);
            page_token = page.next_page_token;
            if page_token.is_empty() {
                break;
            }
        }
        let size = if page_size == 0 { 100 } else { page_size as usize };
        let expected: Vec<_> = made.chunks(size).map(<[Session]>::to_vec).collect();
        assert_eq!(pages, expected, "{page_size}");
    }
    let too_many = ListSessionsRequest { page_size: 1_001, ..ListSessionsRequest::default() };
    assert_eq!(reason(&page(&clients, too_many).await.unwrap_err()), "INVALID_ARGUMENT");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_is_made_while_a_listing_goes_on_does_not_disturb_it() {
    let server = ledger::setup().start();
    let clients = server.connect().await;
    let first = make(&clients, request(&server.work())).await.unwrap();
    let second = make(&clients, request(&server.work())).await.unwrap();
    let one = ListSessionsRequest { page_size: 1, ..ListSessionsRequest::default() };
    let newest = page(&clients, one.clone()).await.unwrap();
    assert_eq!(newest.sessions, [second]);
    make(&clients, request(&server.work())).await.unwrap();
    let next = ListSessionsRequest { page_token: newest.next_page_token, ..one };
    let oldest = page(&clients, next).await.unwrap();
    assert_eq!(oldest, ListSessionsResponse { sessions: vec![first], ..oldest.clone() });
    assert_eq!(oldest.next_page_token, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_token_is_of_one_listing() {
    let server = ledger::setup().start();
    let clients = server.connect().await;
    for _ in 0..3 {
        make(&clients, request(&server.work())).await.unwrap();
    }
    let one = ListSessionsRequest { page_size: 1, ..ListSessionsRequest::default() };
    let page_token = page(&clients, one.clone()).await.unwrap().next_page_token;
    let mut altered = page_token.clone().into_bytes();
    altered[2] = if altered[2] == b'A' { b'B' } else { b'A' };
    let altered = String::from_utf8(altered).unwrap();
    for request in [
        ListSessionsRequest { page_token: "?".to_owned(), ..one.clone() },
        ListSessionsRequest { page_token: "AAAA".to_owned(), ..one.clone() },
        ListSessionsRequest { page_token: altered, ..one.clone() },
        ListSessionsRequest { page_token: format!("{page_token}AA"), ..one.clone() },
        ListSessionsRequest {
            page_token: page_token.clone(),
            id_prefix: "a".to_owned(),
            ..one.clone()
        },
        ListSessionsRequest {
            page_token: page_token.clone(),
            states: vec![SessionState::Pending.into()],
            ..one.clone()
        },
    ] {
        let refused = page(&clients, request.clone()).await.unwrap_err();
        assert_eq!(reason(&refused), "INVALID_ARGUMENT", "{request:?}");
        assert_eq!(metadata(&refused)["field"], "page_token", "{request:?}");
    }
    // The size of a page may change on the way.
    let rest = ListSessionsRequest { page_token, page_size: 9, ..one };
    assert_eq!(page(&clients, rest).await.unwrap().sessions.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_listed_by_state() {
    let server = ledger::setup().start();
    let clients = server.connect().await;
    let work = server.work();
    let pending = make(&clients, request(&work)).await.unwrap().session_id;
    let script = |script| create(&clients, &work, script);
    let completed = script("thread,turn,completed").await.unwrap().session_id;
    let failed = script("thread,turn,failed:no").await.unwrap().session_id;
    let running = script("thread,turn,sleep").await.unwrap().session_id;
    rest(&clients, &completed).await;
    rest(&clients, &failed).await;
    let listed = async |states: &[SessionState]| {
        let states = states.iter().map(|state| (*state).into()).collect();
        let request = ListSessionsRequest { states, ..ListSessionsRequest::default() };
        let page = page(&clients, request).await.unwrap();
        page.sessions.into_iter().map(|session| session.session_id).collect::<Vec<_>>()
    };
    use SessionState::{Completed, Failed, Killed, Pending, Running};
    assert_eq!(listed(&[Pending]).await, [pending.as_str()]);
    assert_eq!(listed(&[Completed]).await, [completed.as_str()]);
    assert_eq!(listed(&[Failed, Running]).await, [running.as_str(), failed.as_str()]);
    assert_eq!(listed(&[Killed]).await, Vec::<String>::new());
    let all = [running.as_str(), failed.as_str(), completed.as_str(), pending.as_str()];
    assert_eq!(listed(&[]).await, all);
    for state in [0, 2, 99] {
        let request = ListSessionsRequest { states: vec![state], ..ListSessionsRequest::default() };
        let refused = page(&clients, request).await.unwrap_err();
        assert_eq!(reason(&refused), "INVALID_ARGUMENT", "{state}");
    }
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
        let request = InterruptTurnRequest { session_id: id.to_owned() };
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
async fn an_unknown_session_is_not_found_by_any_operation() {
    let server = ledger::setup().start();
    let clients = server.connect().await;
    let id = "00000000-0000-4000-8000-000000000000";
    let read =
        switchboard::proto::ReadOutputRequest { session_id: id.to_owned(), ..Default::default() };
    let watch = switchboard::proto::WatchEventsRequest {
        session_ids: vec![id.to_owned()],
        ..Default::default()
    };
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
async fn a_session_without_turns_has_no_output() {
    let server = ledger::setup().start();
    let clients = server.connect().await;
    let id = make(&clients, request(&server.work())).await.unwrap().session_id;
    for turn in [0, 1] {
        let request = switchboard::proto::ReadOutputRequest {
            session_id: id.clone(),
            turn,
            ..Default::default()
        };
        let refused = clients.sessions.clone().read_output(request).await.unwrap_err();
        assert_eq!(reason(&refused), "TURN_NOT_FOUND", "{turn}");
        assert_eq!(metadata(&refused)["turn_count"], "0", "{turn}");
    }
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
    let labels = |labels: &[(&str, &str)]| -> HashMap<String, String> {
        labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    };
    let many = |count: usize| -> HashMap<String, String> {
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
        let request = StartTurnRequest { session_id: id.clone(), prompt: prompt.to_owned() };
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
