//! The catalogue as a stream: what is there, what changes, and where to resume.

use std::{collections::BTreeMap, time::Duration};

use switchboard::proto::{
    CreateSessionRequest, Session, SessionState, WatchSessionsRequest, WatchSessionsResponse,
    watch_sessions_response::Message,
};
use tokio::time::timeout;
use tonic::{Code, Status, Streaming};

use super::{delete, rename};
use crate::{
    harness::{Clients, Server},
    ledger::{self, GIVE_UP, create, get, reason, rest},
};

/// A subscriber of the catalogue and what it knows.
pub(crate) struct Catalogue {
    stream: Streaming<WatchSessionsResponse>,
    pub(crate) cursor: String,
    pub(crate) sessions: BTreeMap<String, Session>,
    deleted: Vec<String>,
}

impl Catalogue {
    pub(crate) async fn open(clients: &Clients, cursor: &str) -> Result<Self, Status> {
        let request = WatchSessionsRequest { cursor: cursor.to_owned(), ..Default::default() };
        let stream = clients.sessions.clone().watch_sessions(request).await?.into_inner();
        let (cursor, sessions) = (cursor.to_owned(), BTreeMap::new());
        Ok(Self { stream, cursor, sessions, deleted: Vec::new() })
    }

    async fn next(&mut self) -> Result<Message, Status> {
        let next = timeout(GIVE_UP, self.stream.message()).await.expect("the watch says nothing");
        let WatchSessionsResponse { cursor, message } = next?.expect("the watch ended");
        assert!(!cursor.is_empty());
        self.cursor = cursor;
        let message = message.unwrap();
        match &message {
            Message::Session(session) => {
                self.sessions.insert(session.session_id.clone(), session.clone());
            }
            Message::Deleted(deleted) => {
                self.sessions.remove(&deleted.session_id);
                self.deleted.push(deleted.session_id.clone());
            }
            Message::Synced(_) | Message::Heartbeat(_) => {}
        }
        Ok(message)
    }

    pub(crate) async fn synced(&mut self) {
        while !matches!(self.next().await.unwrap(), Message::Synced(_)) {}
    }

    /// Reads on until what it knows fits.
    async fn until(&mut self, fits: impl Fn(&Self) -> bool) {
        while !fits(self) {
            self.next().await.unwrap();
        }
    }
}

async fn completed(clients: &Clients, server: &Server) -> Session {
    let id = create(clients, &server.work(), "thread,turn,completed").await.unwrap().session_id;
    rest(clients, &id).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_tells_what_is_there_and_then_what_changes() {
    let server = ledger::setup().start();
    let clients = server.connect().await;
    let there = completed(&clients, &server).await;
    let gone = completed(&clients, &server).await;
    delete(&clients, &gone.session_id).await.unwrap();

    let mut catalogue = Catalogue::open(&clients, "").await.unwrap();
    catalogue.synced().await;
    assert_eq!(catalogue.sessions, BTreeMap::from([(there.session_id.clone(), there.clone())]));
    assert_eq!(catalogue.deleted, Vec::<String>::new(), "of before it began");

    let new = create(&clients, &server.work(), "thread,turn,completed").await.unwrap();
    let renamed = rename(&clients, &there.session_id, "changed").await.unwrap();
    let new = rest(&clients, &new.session_id).await;
    catalogue
        .until(|known| {
            known.sessions.get(&new.session_id) == Some(&new)
                && known.sessions[&there.session_id] == renamed
        })
        .await;
    delete(&clients, &there.session_id).await.unwrap();
    catalogue.until(|known| !known.deleted.is_empty()).await;
    assert_eq!(catalogue.deleted, [there.session_id]);
    assert_eq!(catalogue.sessions.keys().collect::<Vec<_>>(), [&new.session_id]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_is_good_after_a_restart_and_brings_what_was_missed() {
    let mut server = ledger::setup().start();
    let clients = server.connect_to_socket().await;
    let mut sessions = Vec::new();
    for _ in 0..3 {
        sessions.push(completed(&clients, &server).await);
    }
    let mut catalogue = Catalogue::open(&clients, "").await.unwrap();
    catalogue.synced().await;
    let cursor = catalogue.cursor.clone();
    drop(catalogue);
    let changed = rename(&clients, &sessions[1].session_id, "missed").await.unwrap();
    delete(&clients, &sessions[2].session_id).await.unwrap();
    let new = completed(&clients, &server).await;

    server.kill_and_start();

    let mut resumed = Catalogue::open(&clients, &cursor).await.unwrap();
    resumed.synced().await;
    let missed = [changed, new].map(|session| (session.session_id.clone(), session));
    assert_eq!(resumed.sessions, BTreeMap::from(missed), "what did not change is not told");
    assert_eq!(resumed.deleted, [sessions[2].session_id.clone()]);
    // And nothing more at the last cursor.
    let mut nothing = Catalogue::open(&clients, &resumed.cursor).await.unwrap();
    nothing.synced().await;
    assert_eq!((nothing.sessions, nothing.deleted), (BTreeMap::new(), Vec::new()));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_session_is_told_in_its_last_state_however_many_there_are() {
    let server = ledger::setup().start();
    let clients = server.connect().await;
    let mut catalogue = Catalogue::open(&clients, "").await.unwrap();
    let mut ids = Vec::new();
    for _ in 0..30 {
        let id = create(&clients, &server.work(), "thread,turn,print:50,completed").await.unwrap();
        ids.push(id.session_id);
    }
    let mut expected = BTreeMap::new();
    for id in &ids {
        expected.insert(id.clone(), rest(&clients, id).await);
    }
    catalogue.until(|known| known.sessions == expected).await;
    let mut afresh = Catalogue::open(&clients, "").await.unwrap();
    afresh.synced().await;
    assert_eq!(afresh.sessions, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_of_systems_are_told_to_those_who_ask() {
    let server = ledger::setup().start();
    let clients = server.connect().await;
    let request = CreateSessionRequest {
        session: Some(Session {
            working_directory: server.work().display().to_string(),
            source: "orchestrator:abcd".to_owned(),
            system_owned: true,
            ..Session::default()
        }),
        ..Default::default()
    };
    let owned = clients.sessions.clone().create_session(request).await.unwrap();
    let id = owned.into_inner().session.unwrap().session_id;
    assert!(get(&clients, &id).await.system_owned);
    assert_eq!(ledger::list(&clients).await, []);

    let mut plain = Catalogue::open(&clients, "").await.unwrap();
    plain.synced().await;
    assert_eq!(plain.sessions.len(), 0);
    let all = WatchSessionsRequest { include_system_owned: true, ..Default::default() };
    let stream = clients.sessions.clone().watch_sessions(all).await.unwrap().into_inner();
    let mut all =
        Catalogue { stream, cursor: String::new(), sessions: BTreeMap::new(), deleted: Vec::new() };
    all.synced().await;
    assert_eq!(all.sessions.keys().collect::<Vec<_>>(), [&id]);
    delete(&clients, &id).await.unwrap();
    all.until(|known| known.deleted == [id.clone()]).await;
    // The other one was told nothing of it.
    let last = completed(&clients, &server).await;
    plain.until(|known| known.sessions.get(&last.session_id) == Some(&last)).await;
    assert_eq!(plain.deleted, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_watch_is_heard_of_and_ends_with_the_server() {
    let server = ledger::setup().start();
    let clients = server.connect().await;
    let request = WatchSessionsRequest {
        heartbeat: Some(Duration::from_secs(1).into()),
        ..Default::default()
    };
    let stream = clients.sessions.clone().watch_sessions(request).await.unwrap().into_inner();
    let mut catalogue =
        Catalogue { stream, cursor: String::new(), sessions: BTreeMap::new(), deleted: Vec::new() };
    catalogue.synced().await;
    assert!(matches!(catalogue.next().await.unwrap(), Message::Heartbeat(_)));

    server.ask_to_stop();

    let ended = loop {
        match catalogue.next().await {
            Ok(message) => assert!(matches!(message, Message::Heartbeat(_))),
            Err(ended) => break ended,
        }
    };
    assert_eq!((ended.code(), reason(&ended).as_str()), (Code::Unavailable, "SHUTTING_DOWN"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_that_was_not_issued_here_is_refused() {
    let server = ledger::setup().start();
    let clients = server.connect().await;
    let session = completed(&clients, &server).await;
    assert_eq!(session.state(), SessionState::Completed);
    let mut other = Catalogue::open(&clients, "").await.unwrap();
    other.synced().await;
    let later = other.cursor.clone();
    let young = ledger::setup().start();
    let young_clients = young.connect().await;
    for _ in 0..3 {
        // Its clock comes as far.
        completed(&young_clients, &young).await;
    }
    let young = young_clients;
    for cursor in ["x", "AAAAAAAAAAAAAAAA", later.as_str()] {
        let Err(refused) = Catalogue::open(&young, cursor).await else {
            panic!("{cursor} is taken")
        };
        assert_eq!(reason(&refused), "INVALID_ARGUMENT", "{cursor}");
    }
}
