//! Which sessions a listing has.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use switchboard::{
    proto::{ArchivedFilter, CreateSessionRequest, ListSessionsRequest, Session},
    time::timestamp,
};

use super::{make, request};
use crate::{
    harness::{Clients, Server},
    ledger::{self, reason},
};

async fn listed(clients: &Clients, request: ListSessionsRequest) -> Vec<String> {
    let page = clients.sessions.clone().list_sessions(request).await.unwrap().into_inner();
    page.sessions.into_iter().map(|session| session.title).collect()
}

fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// Makes a session that waits, known by its title.
async fn add(
    clients: &Clients,
    server: &Server,
    title: &str,
    change: impl FnOnce(&mut Session),
) -> Session {
    let mut request: CreateSessionRequest = request(&server.work());
    let session = request.session.get_or_insert_default();
    session.title = title.to_owned();
    change(session);
    make(clients, request).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_found_by_source_label_directory_and_time() {
    let server = ledger::setup().start();
    let clients = server.connect().await;
    let work = server.work();
    let deep = work.join("deep");
    std::fs::create_dir(&deep).unwrap();
    let deeper = work.join("deep-er");
    std::fs::create_dir(&deeper).unwrap();
    let first = add(&clients, &server, "first", |session| {
        session.labels = labels(&[("team", "tools"), ("a.b\"c", "x")]);
    })
    .await;
    add(&clients, &server, "second", |session| {
        session.source = "orchestrator:abcd".to_owned();
        session.labels = labels(&[("team", "docs")]);
        session.working_directory = deep.display().to_string();
    })
    .await;
    add(&clients, &server, "third", |session| {
        session.working_directory = deeper.display().to_string();
    })
    .await;
    add(&clients, &server, "system", |session| session.system_owned = true).await;
    let all = ["third", "second", "first"];
    let query = ListSessionsRequest::default;

    assert_eq!(listed(&clients, query()).await, all);
    let with_systems = ListSessionsRequest { include_system_owned: true, ..query() };
    assert_eq!(listed(&clients, with_systems).await, ["system", "third", "second", "first"]);
    for (source, expected) in
        [("user", &["third", "first"][..]), ("orchestrator:abcd", &["second"]), ("nobody", &[])]
    {
        let request = ListSessionsRequest { source: source.to_owned(), ..query() };
        assert_eq!(listed(&clients, request).await, expected, "{source}");
    }
    for (wanted, expected) in [
        (labels(&[("team", "tools")]), &["first"][..]),
        (labels(&[("team", "")]), &["second", "first"]),
        (labels(&[("team", "tools"), ("a.b\"c", "x")]), &["first"]),
        (labels(&[("team", "docs"), ("a.b\"c", "x")]), &[]),
        (labels(&[("$.team", "")]), &[]),
    ] {
        let request = ListSessionsRequest { labels: wanted.clone(), ..query() };
        assert_eq!(listed(&clients, request).await, expected, "{wanted:?}");
    }
    for (directory, expected) in [
        (work.display().to_string(), &all[..]),
        (format!("{}/", work.display()), &all),
        (deep.display().to_string(), &["second"]),
        ("/".to_owned(), &all),
        (format!("{}/de", work.display()), &[]),
    ] {
        let request = ListSessionsRequest { working_directory: directory.clone(), ..query() };
        assert_eq!(listed(&clients, request).await, expected, "{directory}");
    }
    let created = first.create_time;
    let after = Some(timestamp(SystemTime::now() + Duration::from_secs(60)));
    for (created_after, created_before, expected) in [
        (created, None, &all[..]),
        (None, created, &[]),
        (after, None, &[]),
        (created, after, &all),
    ] {
        let request = ListSessionsRequest { created_after, created_before, ..query() };
        let found = listed(&clients, request).await;
        assert_eq!(found, expected, "{created_after:?} {created_before:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn archived_sessions_are_listed_when_that_is_asked_for() {
    let server = ledger::setup().start();
    let clients = server.connect().await;
    let kept = add(&clients, &server, "kept", |_| {}).await;
    add(&clients, &server, "plain", |_| {}).await;
    let archive = |archived: bool| {
        let request = switchboard::proto::UpdateSessionRequest {
            session_id: kept.session_id.clone(),
            session: Some(Session { archived, ..Session::default() }),
            update_mask: Some(pbjson_types::FieldMask { paths: vec!["archived".to_owned()] }),
            ..Default::default()
        };
        let mut sessions = clients.sessions.clone();
        async move { sessions.update_session(request).await.unwrap() }
    };
    let by = async |archived: ArchivedFilter| {
        let archived = archived.into();
        listed(&clients, ListSessionsRequest { archived, ..Default::default() }).await
    };
    archive(true).await;
    assert_eq!(by(ArchivedFilter::Unspecified).await, ["plain"]);
    assert_eq!(by(ArchivedFilter::Only).await, ["kept"]);
    assert_eq!(by(ArchivedFilter::All).await, ["plain", "kept"]);
    archive(false).await;
    assert_eq!(by(ArchivedFilter::Unspecified).await, ["plain", "kept"]);
    assert_eq!(by(ArchivedFilter::Only).await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_belongs_to_its_filter_and_a_malformed_filter_is_refused() {
    let server = ledger::setup().start();
    let clients = server.connect().await;
    for title in ["one", "two", "three"] {
        add(&clients, &server, title, |_| {}).await;
    }
    let first = ListSessionsRequest { page_size: 1, ..Default::default() };
    let page = clients.sessions.clone().list_sessions(first.clone()).await.unwrap().into_inner();
    let next = ListSessionsRequest { page_token: page.next_page_token, ..first };
    assert_eq!(listed(&clients, next.clone()).await, ["two"]);
    let other = ListSessionsRequest { source: "user".to_owned(), ..next };
    let relative =
        ListSessionsRequest { working_directory: "relative".to_owned(), ..Default::default() };
    let unknown = ListSessionsRequest { archived: 9, ..Default::default() };
    let time = Some(switchboard::time::Timestamp { seconds: -1, nanos: 0 });
    let early = ListSessionsRequest { created_after: time, ..Default::default() };
    let time = Some(switchboard::time::Timestamp { seconds: i64::MAX, nanos: 0 });
    let late = ListSessionsRequest { created_before: time, ..Default::default() };
    for request in [other, relative, unknown, early, late] {
        let refused = clients.sessions.clone().list_sessions(request.clone()).await.unwrap_err();
        assert_eq!(reason(&refused), "INVALID_ARGUMENT", "{request:?}");
    }
}
