//! Files of the home that are damaged or gone: what can be made again is, the
//! rest is said, and no other session notices.

use std::{
    fs::{self, File},
    path::PathBuf,
};

use switchboard::proto::{
    Event, GetSessionRequest, ListEventsRequest, SessionState, StateReason, TimeSource, event::Kind,
};
use tonic::Status;

use super::segments::{find, flip, hole};
use crate::{
    harness::{Clients, NotReady, Server},
    ledger::{
        self, Watcher, check, create, events, events_after, lines, message, reason, rest,
        session_directory, start_turn, turn_files,
    },
    restart::Random,
    settings,
};

/// A server with two sessions at rest: one that will be damaged, and another.
struct Damaged {
    server: Server,
    clients: Clients,
    id: String,
    before: Vec<Event>,
    other: String,
}

impl Damaged {
    async fn prepare(script: &str) -> Self {
        let mut server = ledger::setup().start();
        let clients = server.connect_to_socket().await;
        let other = create(&clients, &server.work(), "thread,turn,message:other,completed").await;
        let other = other.unwrap().session_id;
        let id = create(&clients, &server.work(), script).await.unwrap().session_id;
        rest(&clients, &other).await;
        rest(&clients, &id).await;
        let before = events(&clients, &id).await;
        server.kill();
        Self { server, clients, id, before, other }
    }

    fn path(&self) -> PathBuf {
        session_directory(&self.server, &self.id)
    }

    /// The other session is as it was, and the server starts new ones.
    async fn the_rest_is_fine(&self) {
        for id in [
            self.other.clone(),
            create(&self.clients, &self.server.work(), "thread,turn,completed")
                .await
                .unwrap()
                .session_id,
        ] {
            let session = rest(&self.clients, &id).await;
            assert_eq!(session.state(), SessionState::Completed);
            check(&self.server, &session, &events(&self.clients, &id).await);
        }
    }

    async fn start_turn(&self) -> Result<switchboard::proto::Session, Status> {
        start_turn(&self.clients, &self.id, "thread,turn,message:again,completed").await
    }
}

/// The one segment of a session's log.
fn segment(server: &Server, id: &str) -> PathBuf {
    session_directory(server, id).join("events/00000000000000000001.seg")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lines_of_a_torn_log_come_back_from_the_agents_output() {
    let mut random = Random::from_environment();
    let mut server = ledger::setup().start();
    let clients = server.connect_to_socket().await;
    let go = server.work().join("go");
    let script = format!("thread,turn,print:50,wait:{},message:end,completed", go.display());
    let id = create(&clients, &server.work(), &script).await.unwrap().session_id;
    Watcher::start(&clients, &id).message("50").await;
    for _ in 0..6 {
        server.kill();
        let segment = segment(&server, &id);
        let length = fs::metadata(&segment).unwrap().len();
        // Far behind what the row knows of, so that all of it is a torn tail.
        let tail = length - 1 - random.below(4_000);
        if random.below(2) == 0 {
            File::options().write(true).open(&segment).unwrap().set_len(tail).unwrap();
        } else {
            for at in tail..length {
                flip(&segment, at);
            }
        }
        server.start();
        let last = events(&clients, &id).await.pop().unwrap();
        if message(&last) != Some("50") {
            Watcher::start(&clients, &id).message("50").await;
        }
    }

    fs::write(&go, "").unwrap();

    let session = rest(&clients, &id).await;
    assert_eq!(session.state(), SessionState::Completed);
    check(&server, &session, &events(&clients, &id).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_line_is_made_again_from_the_agents_output() {
    let mut damaged =
        Damaged::prepare("thread,turn,print:30,message:the one,print:30,completed").await;
    let segment = segment(&damaged.server, &damaged.id);
    flip(&segment, find(&segment, br#""text":"the one""#));
    damaged.server.start();

    let after = events(&damaged.clients, &damaged.id).await;

    let session = rest(&damaged.clients, &damaged.id).await;
    check(&damaged.server, &session, &after);
    let at = damaged.before.iter().position(|event| message(event) == Some("the one")).unwrap();
    let mut expected = damaged.before.clone();
    expected[at].time = expected[at - 1].time;
    expected[at].set_time_source(TimeSource::Rebuilt);
    assert_eq!(after, expected);
    damaged.start_turn().await.unwrap();
    let session = rest(&damaged.clients, &damaged.id).await;
    check(&damaged.server, &session, &events(&damaged.clients, &damaged.id).await);
    damaged.the_rest_is_fine().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_line_is_made_again_from_an_output_larger_than_the_memory() {
    let mut damaged =
        Damaged::prepare("thread,turn,print:30,message:the one,print:30,completed").await;
    let segment = segment(&damaged.server, &damaged.id);
    flip(&segment, find(&segment, br#""text":"the one""#));
    let output = turn_files(&damaged.server, &damaged.id, 1).stdout();
    // Behind all lines, and most of it takes no room on the disk.
    File::options().write(true).open(output).unwrap().set_len(1 << 40).unwrap();
    damaged.server.start();

    let after = events(&damaged.clients, &damaged.id).await;

    assert_eq!(lines(&after, 1), lines(&damaged.before, 1));
    assert!(after.iter().any(|event| event.time_source() == TimeSource::Rebuilt));
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_that_cannot_be_undone_leaves_a_session_that_can_be_read() {
    let mut damaged = Damaged::prepare("thread,turn,print:30,completed").await;
    let spawned = |event: &&Event| matches!(event.kind, Some(Kind::TurnSpawned(_)));
    let seq = damaged.before.iter().find(spawned).unwrap().seq;
    let segment = segment(&damaged.server, &damaged.id);
    // Nobody can make again what the server itself said: here, how the turn began.
    let prompt = b"FAKE_AGENT=thread,turn,print:30,completed";
    let prompts = fs::read(&segment).unwrap();
    assert_eq!(prompts.windows(prompt.len()).filter(|part| part == prompt).count(), 1);
    flip(&segment, find(&segment, prompt));
    let bytes = fs::read(&segment).unwrap();
    damaged.server.start();

    let (clients, id) = (&damaged.clients, &damaged.id);
    let request = GetSessionRequest { session_id: id.clone() };
    let read = clients.sessions.clone().get_session(request).await.unwrap().into_inner();
    assert_eq!(read.session.unwrap().state(), SessionState::Completed);
    let behind = events_after(clients, id, seq).await.unwrap();
    assert_eq!(behind, damaged.before[usize::try_from(seq).unwrap()..]);
    let before = ListEventsRequest {
        session_id: id.clone(),
        page_size: u32::try_from(seq - 1).unwrap(),
        ..ListEventsRequest::default()
    };
    let before = clients.events.clone().list_events(before).await.unwrap().into_inner();
    assert_eq!(before.events, damaged.before[..usize::try_from(seq - 1).unwrap()]);
    assert_eq!(hole(&events_after(clients, id, 0).await.unwrap_err()), (seq, Some(seq + 1)));
    assert_eq!(reason(&damaged.start_turn().await.unwrap_err()), "SESSION_READ_ONLY");
    assert_eq!(fs::read(&segment).unwrap(), bytes, "the evidence is left alone");
    damaged.the_rest_is_fine().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_are_written_whatever_became_of_the_log_and_the_audit_has_what_that_lost() {
    let mut damaged = Damaged::prepare("thread,turn,completed").await;
    damaged.server.start();
    let (clients, id) = (damaged.clients.clone(), damaged.id.clone());
    settings::set(&clients, &id, "k", "\"a text to be found\"").await.unwrap();
    let told = |events: &[Event]| settings::told(events) == [1];
    let before = Watcher::start(&clients, &id).until("the change", told).await;
    let seq = before.last().unwrap().seq;
    damaged.server.kill();
    let segment = segment(&damaged.server, &id);
    flip(&segment, find(&segment, b"a text to be found"));
    damaged.server.start();

    // Kept for a log that never takes them, they hold up no start.
    for number in 0..3 {
        settings::set(&clients, &id, "n", &number.to_string()).await.unwrap();
        settings::apply(&clients, settings::application(&id, &number.to_string())).await.unwrap();
        assert_eq!(hole(&events_after(&clients, &id, 0).await.unwrap_err()), (seq, None));
        assert_eq!(reason(&damaged.start_turn().await.unwrap_err()), "SESSION_READ_ONLY");
        assert_eq!(ledger::get(&clients, &id).await.model, number.to_string());
        damaged.server.kill_and_start();
    }
    assert_eq!(settings::get(&clients, &id).await, r#"{"k":"a text to be found","n":2}"#);
    let entries = settings::check_audit(&clients).await;
    assert_eq!(entries.len(), 7);
    assert_eq!(entries[0].settings[0].value_json.as_deref(), Some("\"a text to be found\""));
    damaged.the_rest_is_fine().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_without_its_log_can_be_read_but_not_continued() {
    let mut damaged = Damaged::prepare("thread,turn,print:3,completed").await;
    fs::remove_dir_all(damaged.path().join("events")).unwrap();
    damaged.server.start();

    let session = rest(&damaged.clients, &damaged.id).await;
    assert_eq!(session.state(), SessionState::Completed);
    let refusal = damaged.start_turn().await.unwrap_err();
    assert_eq!(reason(&refusal), "SESSION_READ_ONLY", "{refusal:?}");
    damaged.the_rest_is_fine().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_without_the_files_of_its_turns_goes_on() {
    let mut damaged = Damaged::prepare("thread,turn,print:3,completed").await;
    fs::remove_dir_all(damaged.path().join("turns")).unwrap();
    damaged.server.start();

    assert_eq!(events(&damaged.clients, &damaged.id).await, damaged.before);
    damaged.start_turn().await.unwrap();
    let session = rest(&damaged.clients, &damaged.id).await;
    assert_eq!(session.state(), SessionState::Completed);
    assert!(events(&damaged.clients, &damaged.id).await.len() > damaged.before.len());
    damaged.the_rest_is_fine().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_turn_whose_files_vanish_while_the_server_is_down_is_lost() {
    let mut server = ledger::setup().start();
    let clients = server.connect_to_socket().await;
    let script = "thread,turn,message:ready,sleep";
    let id = create(&clients, &server.work(), script).await.unwrap().session_id;
    let seen = Watcher::start(&clients, &id).message("ready").await;

    server.kill();
    fs::remove_dir_all(session_directory(&server, &id).join("turns")).unwrap();
    server.start();

    let session = rest(&clients, &id).await;
    assert_eq!(
        (session.state(), session.state_reason()),
        (SessionState::Failed, StateReason::Lost),
        "{session:#?}"
    );
    let after = events(&clients, &id).await;
    assert_eq!(after[..seen.len()], seen);
    // The agent was found by its marks, and without it the supervisor ends.
    server.assert_no_survivors();
}

#[test]
fn a_server_that_cannot_say_where_it_is_is_never_ready() {
    let mut server = ledger::setup().start();
    assert!(server.stop().success());
    fs::create_dir_all(server.home().join("server.json/in the way")).unwrap();

    let NotReady { problem, status } = server.try_start().unwrap_err();

    assert!(problem.starts_with("left no ready file"), "{problem}");
    assert_eq!(status.code(), Some(1));
    assert!(server.log().contains("server.json"), "{}", server.log());
    assert_eq!(server.printed().lines().count(), 1, "only the first was ready");
}
