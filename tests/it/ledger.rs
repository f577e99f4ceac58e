//! A session as its clients see it, and what must hold for it whatever
//! happened to the server: the checks that the tests of restarts and of faults
//! share.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use switchboard::{
    id::TurnNumber,
    proto::{
        CreateSessionRequest, Event, GetSessionRequest, ListEventsRequest, ListSessionsRequest,
        Origin, Session, SessionState, StartTurnRequest, StateReason, WaitSessionRequest,
        WatchEventsRequest, event::Kind, watch_events_response::Message,
    },
    supervise::{PidFile, TurnFiles, read_pid},
};
use tokio::{sync::watch, task::JoinHandle};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::harness::{Clients, Server, Setup};

/// When a test gives up: no measure of anything, only so that it ends.
pub(crate) const GIVE_UP: Duration = Duration::from_secs(60);

/// How long a client pauses before it tries a server again that is down.
pub(crate) const RETRY: Duration = Duration::from_millis(5);

/// The scripted agent.
pub(crate) fn fake_agent() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/agents/fake_agent.py")
}

/// A server whose codex is the scripted agent.
pub(crate) fn setup() -> Setup {
    Setup::new().codex(&fake_agent())
}

/// Creates a session whose agent follows `script`.
pub(crate) async fn create(
    clients: &Clients,
    work: &Path,
    script: &str,
) -> Result<Session, Status> {
    let request = CreateSessionRequest {
        session: Some(Session {
            working_directory: work.display().to_string(),
            ..Session::default()
        }),
        prompt: format!("FAKE_AGENT={script}"),
        ..CreateSessionRequest::default()
    };
    let answer = clients.sessions.clone().create_session(request).await?;
    Ok(answer.into_inner().session.expect("the answer holds the session"))
}

/// Starts a turn whose agent follows `script`.
pub(crate) async fn start_turn(
    clients: &Clients,
    id: &str,
    script: &str,
) -> Result<Session, Status> {
    let request = StartTurnRequest {
        session_id: id.to_owned(),
        prompt: format!("FAKE_AGENT={script}"),
        ..Default::default()
    };
    let answer = clients.sessions.clone().start_turn(request).await?;
    Ok(answer.into_inner().session.expect("the answer holds the session"))
}

/// Reads a session.
pub(crate) async fn get(clients: &Clients, id: &str) -> Session {
    try_get(clients, id).await.unwrap()
}

/// Reads a session that is perhaps not there.
pub(crate) async fn try_get(clients: &Clients, id: &str) -> Result<Session, Status> {
    let request = GetSessionRequest { session_id: id.to_owned() };
    let answer = clients.sessions.clone().get_session(request).await?;
    Ok(answer.into_inner().session.unwrap())
}

/// Lists every session.
pub(crate) async fn list(clients: &Clients) -> Vec<Session> {
    let mut sessions = Vec::new();
    let mut page_token = String::new();
    loop {
        let request =
            ListSessionsRequest { page_size: 1_000, page_token, ..ListSessionsRequest::default() };
        let page = clients.sessions.clone().list_sessions(request).await.unwrap().into_inner();
        sessions.extend(page.sessions);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return sessions;
        }
    }
}

/// Waits until a session is at rest.
pub(crate) async fn rest(clients: &Clients, id: &str) -> Session {
    try_rest(clients, id).await.unwrap()
}

/// Waits until a session is at rest, as long as the server lives.
pub(crate) async fn try_rest(clients: &Clients, id: &str) -> Result<Session, Status> {
    let request = WaitSessionRequest {
        session_id: id.to_owned(),
        states: Vec::new(),
        timeout: Some(GIVE_UP.into()),
    };
    let answer = clients.sessions.clone().wait_session(request).await?.into_inner();
    assert!(answer.reached, "the session did not come to rest: {answer:#?}");
    Ok(answer.session.unwrap())
}

/// Reads every event that a session has.
pub(crate) async fn events(clients: &Clients, id: &str) -> Vec<Event> {
    events_after(clients, id, 0).await.unwrap()
}

/// Reads every event after `after_seq`.
pub(crate) async fn events_after(
    clients: &Clients,
    id: &str,
    mut after_seq: u64,
) -> Result<Vec<Event>, Status> {
    let mut events = Vec::new();
    loop {
        let request = ListEventsRequest {
            session_id: id.to_owned(),
            after_seq,
            page_size: 10_000,
            ..ListEventsRequest::default()
        };
        let page = clients.events.clone().list_events(request).await?.into_inner();
        events.extend(page.events);
        after_seq = page.next_after_seq;
        if after_seq >= page.latest_seq {
            return Ok(events);
        }
    }
}

/// The reason of an error, which is what programs branch on.
pub(crate) fn reason(status: &Status) -> String {
    let told = status.get_details_error_info();
    told.unwrap_or_else(|| panic!("a status without a reason: {status:?}")).reason
}

/// A subscriber that comes back at its cursor whenever its stream breaks.
#[derive(Debug)]
pub(crate) struct Watcher {
    events: watch::Receiver<Vec<Event>>,
    task: JoinHandle<()>,
}

impl Watcher {
    /// Watches a session from its first event.
    pub(crate) fn start(clients: &Clients, id: &str) -> Self {
        let (tx, events) = watch::channel(Vec::new());
        let task = tokio::spawn(follow(clients.clone(), id.to_owned(), tx));
        Self { events, task }
    }

    /// Waits until the events so far are enough, and returns them.
    pub(crate) async fn until(
        &mut self,
        what: &str,
        mut enough: impl FnMut(&[Event]) -> bool,
    ) -> Vec<Event> {
        let found = self.events.wait_for(|events| enough(events));
        let found = tokio::time::timeout(GIVE_UP, found).await;
        match found.map(|found| found.map(|events| events.clone())) {
            Ok(Ok(events)) => events,
            Ok(Err(_)) => panic!("the watcher ended while it waited for {what}"),
            Err(_) => panic!("waited in vain for {what}: {:#?}", self.events.borrow().last()),
        }
    }

    /// Waits for the agent message `text`.
    pub(crate) async fn message(&mut self, text: &str) -> Vec<Event> {
        self.until(text, |events| events.iter().any(|event| message(event) == Some(text))).await
    }

    /// Waits until turn `turn` is at rest, and returns all events up to then.
    pub(crate) async fn rest(&mut self, turn: u32) -> Vec<Event> {
        self.until("the turn's end", |events| {
            events.iter().any(|event| event.turn == turn && end(event).is_some())
        })
        .await
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn follow(clients: Clients, session_id: String, events: watch::Sender<Vec<Event>>) {
    loop {
        let start_seq = events.borrow().last().map_or(1, |event| event.seq + 1);
        let request = WatchEventsRequest {
            session_ids: vec![session_id.clone()],
            start_seq,
            ..WatchEventsRequest::default()
        };
        let broken = match clients.events.clone().watch_events(request).await {
            Ok(stream) => {
                let mut stream = stream.into_inner();
                loop {
                    match stream.message().await {
                        Ok(Some(message)) => {
                            if let Some(Message::Event(event)) = message.message {
                                events.send_modify(|events| events.push(event));
                            }
                        }
                        Ok(None) => panic!("a watch without an end ended"),
                        Err(status) => break status,
                    }
                }
            }
            Err(status) => status,
        };
        // Whatever a server that dies leaves of a stream; never a cursor that it
        // does not know any more.
        let expected = [Code::Unavailable, Code::Unknown, Code::Internal, Code::Cancelled];
        assert!(expected.contains(&broken.code()), "at {start_seq}: {broken:?}");
        tokio::time::sleep(RETRY).await;
    }
}

/// The text of an agent message.
pub(crate) fn message(event: &Event) -> Option<&str> {
    use switchboard::proto::item::Details;
    match &event.kind {
        Some(Kind::ItemCompleted(completed)) => match &completed.item.as_ref()?.details {
            Some(Details::AgentMessage(message)) => Some(&message.text),
            _ => None,
        },
        _ => None,
    }
}

/// The state in which this event says that its turn came to rest.
pub(crate) fn end(event: &Event) -> Option<(SessionState, StateReason)> {
    match &event.kind {
        Some(Kind::StateChanged(changed)) => match changed.state() {
            SessionState::Unspecified
            | SessionState::Pending
            | SessionState::Queued
            | SessionState::Running
            | SessionState::Stopping => None,
            SessionState::Completed
            | SessionState::Failed
            | SessionState::Interrupted
            | SessionState::Killed => Some((changed.state(), changed.reason())),
        },
        _ => None,
    }
}

/// The states that the events of a turn say, in order.
pub(crate) fn states(events: &[Event], turn: u32) -> Vec<SessionState> {
    let of_turn = events.iter().filter(|event| event.turn == turn);
    of_turn
        .filter_map(|event| match &event.kind {
            Some(Kind::StateChanged(changed)) => Some(changed.state()),
            _ => None,
        })
        .collect()
}

/// The files of a turn.
pub(crate) fn turn_files(server: &Server, id: &str, turn: u32) -> TurnFiles {
    TurnFiles::new(session_directory(server, id).join("turns"), TurnNumber(turn))
}

/// The directory of a session.
pub(crate) fn session_directory(server: &Server, id: &str) -> PathBuf {
    server.home().join("sessions").join(id)
}

/// Who supervises a turn; its agent has started.
pub(crate) fn pid_file(server: &Server, id: &str, turn: u32) -> PidFile {
    let pid_file = read_pid(&turn_files(server, id, turn)).unwrap().expect("a pid file");
    assert!(pid_file.agent_pid.is_some(), "the agent has printed, so it has started");
    pid_file
}

/// The lines of a turn's output as the agent wrote them.
pub(crate) fn printed(files: &TurnFiles) -> Vec<Vec<u8>> {
    let output = fs::read(files.stdout()).unwrap_or_default();
    let mut lines: Vec<_> = output.split(|&byte| byte == b'\n').map(<[u8]>::to_vec).collect();
    if lines.last().is_some_and(Vec::is_empty) {
        lines.pop();
    }
    lines
}

/// The lines of a turn as its events give them back.
pub(crate) fn lines(events: &[Event], turn: u32) -> Vec<Vec<u8>> {
    let agent = i32::from(Origin::Agent);
    let of_agent = events.iter().filter(|event| event.turn == turn && event.origin == agent);
    of_agent.map(|event| event.raw.to_vec()).collect()
}

/// Checks everything that must hold for a session at rest: the log has each
/// fact once and in order, the lines are those that the agent printed, and the
/// row says what the log says.
pub(crate) fn check(server: &Server, session: &Session, events: &[Event]) {
    let id = &session.session_id;
    let seqs: Vec<u64> = events.iter().map(|event| event.seq).collect();
    assert_eq!(seqs, (1..=events.len() as u64).collect::<Vec<_>>(), "{id}: gaps or repetitions");
    let created = |event: &&Event| matches!(event.kind, Some(Kind::SessionCreated(_)));
    let created: Vec<u64> = events.iter().filter(created).map(|event| event.seq).collect();
    assert_eq!(created, [1], "{id}: session_created");
    let turns: BTreeSet<u32> = events.iter().map(|event| event.turn).collect();
    assert_eq!(turns, (0..=session.turn_count).collect(), "{id}: turns");
    // What happens to the session itself belongs to no turn, whenever it happens.
    let numbers = events.iter().map(|event| event.turn).filter(|turn| *turn > 0);
    let numbers: Vec<u32> = numbers.collect();
    assert!(numbers.is_sorted(), "{id}: the turns follow each other: {numbers:?}");
    for turn in 1..=session.turn_count {
        check_turn(server, id, turn, events);
    }
    let Some(last) = &session.last_turn else { return };
    assert_eq!(last.number, session.turn_count);
    let of_turn = || events.iter().filter(|event| event.turn == last.number);
    assert_eq!(
        of_turn().find_map(end),
        Some((session.state(), session.state_reason())),
        "{id}: row and log"
    );
    let exit = of_turn().find_map(|event| match &event.kind {
        Some(Kind::TurnExited(exited)) => Some((exited.exit_code, exited.signal)),
        _ => None,
    });
    assert_eq!(exit.unwrap_or_default(), (last.exit_code, last.signal), "{id}: row and log");
    let thread = events.iter().rev().find_map(|event| match &event.kind {
        Some(Kind::ThreadStarted(started)) => Some(started.thread_id.clone()),
        _ => None,
    });
    assert_eq!(session.thread_id, thread.unwrap_or_default(), "{id}: row and log");
}

fn check_turn(server: &Server, id: &str, turn: u32, events: &[Event]) {
    let of_turn: Vec<&Event> = events.iter().filter(|event| event.turn == turn).collect();
    let at = |wanted: &dyn Fn(&Event) -> bool| -> Vec<usize> {
        (0..of_turn.len()).filter(|&at| wanted(of_turn[at])).collect()
    };
    let spawned = at(&|event| matches!(event.kind, Some(Kind::TurnSpawned(_))));
    let exited = at(&|event| matches!(event.kind, Some(Kind::TurnExited(_))));
    let ends = at(&|event| end(event).is_some());
    let printing = at(&|event| event.origin == i32::from(Origin::Agent));
    assert_eq!(ends, [of_turn.len() - 1], "{id}: turn {turn} comes to rest once, as the last");
    let files = turn_files(server, id, turn);
    assert_eq!(lines(events, turn), printed(&files), "{id}: the lines of turn {turn}");
    let (_, reason) = end(of_turn[ends[0]]).expect("it is the turn's end");
    if spawned.is_empty() {
        assert_eq!((&exited, &printing), (&vec![], &vec![]), "{id}: turn {turn} had no agent");
        assert!(
            matches!(reason, StateReason::SpawnFailed | StateReason::StorageFull),
            "{id}: turn {turn}: {reason:?}"
        );
        return;
    }
    let states = states(events, turn);
    // A turn that had to wait says so before it begins.
    let waited = usize::from(states[0] == SessionState::Queued);
    assert_eq!(spawned, [waited], "{id}: turn {turn} begins once, as the first");
    assert_eq!(states[waited], SessionState::Running, "{id}: turn {turn}: {states:?}");
    // On a full disk the agent itself may not have started.
    let had_no_agent = reason == StateReason::StorageFull && exited.is_empty();
    if had_no_agent {
        assert_eq!(printing, Vec::<usize>::new(), "{id}: turn {turn} had no agent");
    }
    let had_no_exit =
        had_no_agent || matches!(reason, StateReason::Lost | StateReason::SpawnFailed);
    let expected = if had_no_exit { vec![] } else { vec![of_turn.len() - 2] };
    assert_eq!(exited, expected, "{id}: turn {turn} exits once, behind its lines");
}

/// Waits until a file is there.
pub(crate) async fn there(path: &Path) {
    let begin = Instant::now();
    while !path.exists() {
        assert!(begin.elapsed() < GIVE_UP, "waited in vain for {path:?}");
        tokio::time::sleep(RETRY).await;
    }
}

/// The process id of a turn's agent, once it is written down.
pub(crate) fn agent_of(server: &Server, id: &str, turn: u32) -> Option<u32> {
    read_pid(&turn_files(server, id, turn)).ok()??.agent_pid
}

/// Waits until the server counts so many watches.
pub(crate) async fn open_watches(clients: &Clients, count: u32) {
    let begin = Instant::now();
    loop {
        let request = switchboard::proto::GetServerInfoRequest {};
        let info = clients.system.clone().get_server_info(request).await.unwrap().into_inner();
        if info.open_watches == count {
            return;
        }
        assert!(begin.elapsed() < GIVE_UP, "waited in vain for {count} watches");
        tokio::time::sleep(RETRY).await;
    }
}
