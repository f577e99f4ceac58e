//! Finding sessions by a prefix of their ids, and listing them.

use std::collections::HashMap;

use switchboard::proto::{ListSessionsRequest, ListSessionsResponse, Session, SessionState};
use tonic::{Code, Status};

use super::{find, ids, make, make_with_id, metadata, request};
use crate::{
    harness::Clients,
    ledger::{self, create, reason, rest, start_turn},
};

async fn page(
    clients: &Clients,
    request: ListSessionsRequest,
) -> Result<ListSessionsResponse, Status> {
    Ok(clients.sessions.clone().list_sessions(request).await?.into_inner())
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
    for state in [0, 9, 99] {
        let request = ListSessionsRequest { states: vec![state], ..ListSessionsRequest::default() };
        let refused = page(&clients, request).await.unwrap_err();
        assert_eq!(reason(&refused), "INVALID_ARGUMENT", "{state}");
    }
}
