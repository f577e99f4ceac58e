//! A subscriber as a user of the generated client would write it, and the
//! sessions that the tests of watching and listing make for it.

use std::{
    collections::{BTreeMap, HashMap},
    fmt::Debug,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use pbjson_types::Duration as ProtoDuration;
use switchboard::proto::{
    self, CreateSessionRequest, Event, EventKind, GetServerInfoRequest, Session, SessionState,
    WaitSessionRequest, WatchEventsRequest, WatchEventsResponse, WatchHeader, event::Kind,
    item::Details, watch_events_response::Message,
};
use tokio::time::timeout;
use tonic::{Code, Status, Streaming};
use tonic_types::StatusExt as _;

use crate::harness::{Clients, Server, Setup};

/// When a test gives up: no measure of anything, only so that it ends.
pub(crate) const GIVE_UP: Duration = Duration::from_secs(120);

/// A server whose codex is the scripted agent.
pub(crate) fn server() -> Server {
    Setup::new().codex(&fake_agent()).start()
}

/// The scripted agent.
pub(crate) fn fake_agent() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/agents/fake_agent.py")
}

/// Creates a session whose first turn follows this script of the scripted agent.
pub(crate) async fn create(server: &Server, clients: &Clients, script: &str) -> String {
    let request = CreateSessionRequest {
        session: Some(Session {
            working_directory: server.work().to_str().unwrap().to_owned(),
            ..Session::default()
        }),
        prompt: format!("FAKE_AGENT={script}"),
        ..CreateSessionRequest::default()
    };
    let created = clients.sessions.clone().create_session(request).await.unwrap();
    created.into_inner().session.unwrap().session_id
}

/// Waits until the session is at rest.
pub(crate) async fn rest(clients: &Clients, id: &str) -> Session {
    let request = WaitSessionRequest { session_id: id.to_owned(), ..WaitSessionRequest::default() };
    let mut sessions = clients.sessions.clone();
    let waited = timeout(GIVE_UP, sessions.wait_session(request)).await;
    let waited = waited.expect("the session does not come to rest").unwrap().into_inner();
    assert!(waited.reached);
    waited.session.unwrap()
}

/// Creates a session, waits until it is at rest, and says its id.
pub(crate) async fn finished(server: &Server, clients: &Clients, script: &str) -> String {
    let id = create(server, clients, script).await;
    let session = rest(clients, &id).await;
    assert_eq!(session.state(), SessionState::Completed, "{session:?}");
    id
}

/// What the agent printed in a turn.
pub(crate) fn output(server: &Server, id: &str, turn: u32) -> Vec<u8> {
    fs::read(server.home().join(format!("sessions/{id}/turns/turn_{turn}.jsonl"))).unwrap()
}

/// The lines that the agent printed in a turn.
pub(crate) fn lines(server: &Server, id: &str, turn: u32) -> Vec<Vec<u8>> {
    let output = output(server, id, turn);
    let mut lines: Vec<_> = output.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    // After the last line feed is nothing, or a line without one.
    lines.pop_if(|rest| rest.is_empty());
    lines
}

/// One session from this seq on.
pub(crate) fn from(id: &str, start_seq: u64) -> WatchEventsRequest {
    WatchEventsRequest {
        session_ids: vec![id.to_owned()],
        start_seq,
        ..WatchEventsRequest::default()
    }
}

/// One session from this seq on, to the end of the turn that runs.
pub(crate) fn to_end(id: &str, start_seq: u64) -> WatchEventsRequest {
    WatchEventsRequest { stop_at_end: true, ..from(id, start_seq) }
}

/// A stream of a watch.
#[derive(Debug)]
pub(crate) struct Subscriber(Streaming<WatchEventsResponse>);

impl Subscriber {
    /// Opens a watch that must be accepted.
    pub(crate) async fn open(clients: &Clients, request: WatchEventsRequest) -> Self {
        Self::try_open(clients, request).await.unwrap()
    }

    /// Opens a watch.
    pub(crate) async fn try_open(
        clients: &Clients,
        request: WatchEventsRequest,
    ) -> Result<Self, Status> {
        let mut events = clients.events.clone();
        let answer = timeout(GIVE_UP, events.watch_events(request)).await;
        Ok(Self(answer.expect("the watch is not answered")?.into_inner()))
    }

    /// The next message, how the stream failed, or none at its end.
    pub(crate) async fn try_next(&mut self) -> Result<Option<Message>, Status> {
        let next = timeout(GIVE_UP, self.0.message()).await.expect("the watch says nothing");
        Ok(next?.map(|response| response.message.expect("every message says what it is")))
    }

    /// The next message, or none at the end of the stream.
    pub(crate) async fn next(&mut self) -> Option<Message> {
        self.try_next().await.unwrap()
    }

    /// The next message, which must be a header.
    pub(crate) async fn header(&mut self) -> WatchHeader {
        match self.next().await {
            Some(Message::Header(header)) => header,
            other => panic!("no header: {other:?}"),
        }
    }

    /// The next message, which must be an event.
    pub(crate) async fn event(&mut self) -> Event {
        match self.next().await {
            Some(Message::Event(event)) => event,
            other => panic!("no event: {other:?}"),
        }
    }

    /// The next message, which must be a synced; says of which session.
    pub(crate) async fn synced(&mut self) -> String {
        match self.next().await {
            Some(Message::Synced(synced)) => synced.session_id,
            other => panic!("no synced: {other:?}"),
        }
    }

    /// The next message, which must be a heartbeat.
    pub(crate) async fn heartbeat(&mut self) -> BTreeMap<String, u64> {
        match self.next().await {
            Some(Message::Heartbeat(heartbeat)) => heartbeat.latest_seqs,
            other => panic!("no heartbeat: {other:?}"),
        }
    }

    /// Reads on until the whole watch is synced; gives the messages before that.
    pub(crate) async fn until_synced(&mut self) -> Vec<Message> {
        let mut messages = Vec::new();
        loop {
            match self.next().await.expect("the watch ended before it was synced") {
                Message::Synced(synced) if synced.session_id.is_empty() => return messages,
                message @ (Message::Header(_)
                | Message::Event(_)
                | Message::Synced(_)
                | Message::Heartbeat(_)
                | Message::LeftOut(_)) => messages.push(message),
            }
        }
    }

    /// Reads events until one fits; gives them all, that one included.
    pub(crate) async fn until(&mut self, fits: impl Fn(&Event) -> bool) -> Vec<Event> {
        let mut events = Vec::new();
        loop {
            let message = self.next().await;
            let Message::Event(event) = message.expect("the watch ended too early") else {
                continue;
            };
            let found = fits(&event);
            events.push(event);
            if found {
                return events;
            }
        }
    }

    /// Reads to the end of the stream, which must come without an error.
    pub(crate) async fn rest(mut self) -> Vec<Message> {
        let mut messages = Vec::new();
        while let Some(message) = self.next().await {
            messages.push(message);
        }
        messages
    }
}

/// The events among messages.
pub(crate) fn events(messages: Vec<Message>) -> Vec<Event> {
    let event = |message| match message {
        Message::Event(event) => Some(event),
        Message::Header(_) | Message::Synced(_) | Message::Heartbeat(_) | Message::LeftOut(_) => {
            None
        }
    };
    messages.into_iter().filter_map(event).collect()
}

/// All events of one session that is at rest, or comes to rest.
pub(crate) async fn read_all(clients: &Clients, id: &str) -> Vec<Event> {
    events(Subscriber::open(clients, to_end(id, 1)).await.rest().await)
}

/// The seqs of events.
pub(crate) fn seqs(events: &[Event]) -> Vec<u64> {
    events.iter().map(|event| event.seq).collect()
}

/// The lines that the agent's events among these hold.
pub(crate) fn raws(events: &[Event]) -> Vec<Vec<u8>> {
    let of_agent = events.iter().filter(|event| event.origin() == proto::Origin::Agent);
    of_agent.map(|event| event.raw.to_vec()).collect()
}

/// Whether the event says that the session came to rest.
pub(crate) fn is_rest(event: &Event) -> bool {
    let Some(Kind::StateChanged(changed)) = &event.kind else { return false };
    !matches!(
        changed.state(),
        SessionState::Pending | SessionState::Running | SessionState::Stopping
    )
}

/// Whether the event is an agent message of this text.
pub(crate) fn says(event: &Event, text: &str) -> bool {
    message_text(event) == Some(text)
}

/// The text of an agent message.
pub(crate) fn message_text(event: &Event) -> Option<&str> {
    let Some(Kind::ItemCompleted(completed)) = &event.kind else { return None };
    match &completed.item.as_ref()?.details {
        Some(Details::AgentMessage(message)) => Some(&message.text),
        _ => None,
    }
}

/// Waits until the server has no watch open any more.
pub(crate) async fn no_watches(clients: &Clients) {
    let gone = async {
        loop {
            let info = clients.system.clone().get_server_info(GetServerInfoRequest {}).await;
            if info.unwrap().into_inner().open_watches == 0 {
                return;
            }
            // Nothing tells of this; the pause only spares the server.
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(GIVE_UP, gone).await.expect("the server keeps watches open");
}

/// A filter.
pub(crate) fn kinds(kinds: &[EventKind]) -> Vec<i32> {
    kinds.iter().map(|kind| i32::from(*kind)).collect()
}

/// A heartbeat or a wait.
pub(crate) fn millis(millis: i64) -> Option<ProtoDuration> {
    let nanos = i32::try_from(millis % 1_000 * 1_000_000).unwrap();
    Some(ProtoDuration { seconds: millis / 1_000, nanos })
}

/// What a program sees of an error: the code, and reason and metadata of its
/// `ErrorInfo`, which every error has.
#[track_caller]
pub(crate) fn problem<T: Debug>(
    result: Result<T, Status>,
) -> (Code, String, HashMap<String, String>) {
    let status = result.expect_err("no error");
    let details = status.get_error_details();
    let Some(info) = details.error_info() else { panic!("no ErrorInfo: {status:?}") };
    assert_eq!(info.domain, "switchboard");
    (status.code(), info.reason.clone(), info.metadata.clone())
}
