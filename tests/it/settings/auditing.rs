//! The audit as it is read: by filters and pages, live, and as the states of the
//! past that it holds.

use std::{collections::BTreeSet, time::Duration};

use switchboard::{
    proto::{
        AuditEntry, AuditFilter, GetAuditStateRequest, GetAuditStateResponse,
        ListAuditEntriesRequest, ListAuditEntriesResponse, Scope, UpdateSettingsRequest,
        VerifyAuditRequest, WatchAuditEntriesRequest, WatchAuditEntriesResponse,
        watch_audit_entries_response::Message,
    },
    time::Timestamp,
};
use tonic::{Code, Status, Streaming};

use super::shared::{
    UNKNOWN, application, apply, check_audit, delete_session, entries, listed, one, pending,
    refused, removal, remove, set, to_default, update, verify,
};
use crate::{
    harness::Clients,
    ledger::{self, GIVE_UP},
};

async fn page(
    clients: &Clients,
    request: ListAuditEntriesRequest,
) -> Result<ListAuditEntriesResponse, Status> {
    Ok(clients.audit.clone().list_audit_entries(request).await?.into_inner())
}

fn seqs(entries: &[AuditEntry]) -> Vec<u64> {
    entries.iter().map(|entry| entry.seq).collect()
}

/// Writes of two sessions and of the default, by two people, one with a script.
async fn history(clients: &Clients, ids: &[String; 2]) {
    for number in 0..30 {
        let id = &ids[number % 2];
        let request = UpdateSettingsRequest {
            actor: if number % 3 == 0 { "ann" } else { "bob" }.to_owned(),
            source: if number % 5 == 0 { "script" } else { "" }.to_owned(),
            ..one(id, &format!("k{}", number % 4), &number.to_string())
        };
        let request = if number % 7 == 0 { to_default(request) } else { request };
        update(clients, request).await.unwrap();
    }
    update(clients, to_default(one("", "k9", "1"))).await.unwrap();
    apply(clients, application(&ids[0], "m")).await.unwrap();
}

/// Whether an entry is one that a filter selects.
type Wanted<'a> = Box<dyn Fn(&AuditEntry) -> bool + 'a>;

#[tokio::test(flavor = "multi_thread")]
async fn entries_are_selected_by_all_that_a_filter_sets() {
    let server = ledger::setup().start();
    let clients = server.connect_to_socket().await;
    let ids = [pending(&clients, &server).await, pending(&clients, &server).await];
    history(&clients, &ids).await;
    let all = check_audit(&clients).await;
    assert_eq!(all.len(), 32);
    let (ids, middle) = (&ids, all[14].time);
    let at = |time: Option<Timestamp>| time.map(|time| (time.seconds, time.nanos));
    let text = |text: &str| text.to_owned();
    let filters: Vec<(AuditFilter, Wanted<'_>)> = vec![
        (
            AuditFilter { session_id: ids[0].clone(), ..Default::default() },
            Box::new(|entry| entry.session_id == ids[0]),
        ),
        (
            AuditFilter { scope: Scope::Default.into(), ..Default::default() },
            Box::new(|entry| entry.scope() == Scope::Default),
        ),
        (
            AuditFilter { actor: text("ann"), ..Default::default() },
            Box::new(|entry| entry.actor == "ann"),
        ),
        (
            AuditFilter { source: text("script"), ..Default::default() },
            Box::new(|entry| entry.source == "script"),
        ),
        (
            AuditFilter { key: text("k2"), ..Default::default() },
            Box::new(|entry| entry.settings.iter().any(|change| change.key == "k2")),
        ),
        (
            AuditFilter { written_after: middle, ..Default::default() },
            Box::new(move |entry| at(entry.time) >= at(middle)),
        ),
        (
            AuditFilter { written_before: middle, ..Default::default() },
            Box::new(move |entry| at(entry.time) < at(middle)),
        ),
        (
            AuditFilter {
                session_id: ids[1].clone(),
                scope: Scope::Session.into(),
                actor: text("bob"),
                key: text("k1"),
                written_before: middle,
                ..Default::default()
            },
            Box::new(move |entry| {
                entry.session_id == ids[1]
                    && entry.scope() == Scope::Session
                    && entry.actor == "bob"
                    && entry.settings[0].key == "k1"
                    && at(entry.time) < at(middle)
            }),
        ),
        (AuditFilter { actor: text("nobody"), ..Default::default() }, Box::new(|_| false)),
        (AuditFilter { session_id: UNKNOWN.to_owned(), ..Default::default() }, Box::new(|_| false)),
    ];
    for (filter, wanted) in &filters {
        let expected: Vec<_> = all.iter().filter(|entry| wanted(entry)).cloned().collect();
        assert_eq!(&listed(&clients, filter.clone()).await, &expected, "{filter:?}");
        // Page by page, from both ends.
        for newest_first in [false, true] {
            let mut request = ListAuditEntriesRequest {
                filter: Some(filter.clone()),
                page_size: 3,
                newest_first,
                ..Default::default()
            };
            let mut found = Vec::new();
            loop {
                let page = page(&clients, request.clone()).await.unwrap();
                assert_eq!(page.latest_seq, 32);
                assert!(page.entries.len() <= 3);
                found.extend(page.entries);
                if page.next_page_token.is_empty() {
                    break;
                }
                request.page_token = page.next_page_token;
            }
            if newest_first {
                found.reverse();
            }
            assert_eq!(found, expected, "{filter:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_go_on_where_they_ended_and_their_tokens_are_good_for_nothing_else() {
    let server = ledger::setup().start();
    let clients = server.connect_to_socket().await;
    let ids = [pending(&clients, &server).await, pending(&clients, &server).await];
    history(&clients, &ids).await;
    let of_five = ListAuditEntriesRequest { page_size: 5, ..Default::default() };
    let first = page(&clients, of_five.clone()).await.unwrap();
    assert_eq!(seqs(&first.entries), [1, 2, 3, 4, 5]);
    let token = first.next_page_token;
    let next =
        ListAuditEntriesRequest { page_token: token.clone(), page_size: 2, ..of_five.clone() };
    // What is written meanwhile comes at the end, or not at all to those who go back.
    set(&clients, &ids[0], "late", "1").await.unwrap();
    let second = page(&clients, next.clone()).await.unwrap();
    assert_eq!((seqs(&second.entries), second.latest_seq), (vec![6, 7], 33));
    let after = ListAuditEntriesRequest { after_seq: 31, ..Default::default() };
    let last = page(&clients, after).await.unwrap();
    assert_eq!((seqs(&last.entries), &*last.next_page_token), (vec![32, 33], ""));
    // Also where the last page is full, of all entries and of those of a filter.
    let full = ListAuditEntriesRequest { after_seq: 31, page_size: 2, ..Default::default() };
    let last = page(&clients, full).await.unwrap();
    assert_eq!((seqs(&last.entries), &*last.next_page_token), (vec![32, 33], ""));
    let of_late = AuditFilter { key: "late".to_owned(), ..Default::default() };
    let full = ListAuditEntriesRequest {
        filter: Some(of_late),
        page_size: 1,
        newest_first: true,
        ..Default::default()
    };
    let last = page(&clients, full).await.unwrap();
    assert_eq!((seqs(&last.entries), &*last.next_page_token), (vec![33], ""));
    let beyond = ListAuditEntriesRequest { after_seq: u64::MAX, ..Default::default() };
    assert_eq!(page(&clients, beyond).await.unwrap().entries, []);

    let filter = |filter: AuditFilter| ListAuditEntriesRequest {
        filter: Some(filter),
        ..Default::default()
    };
    let other_filter = AuditFilter { actor: "ann".to_owned(), ..Default::default() };
    for refusal in [
        ListAuditEntriesRequest { page_size: 1_001, ..Default::default() },
        ListAuditEntriesRequest { page_token: "x".to_owned(), ..Default::default() },
        ListAuditEntriesRequest { page_token: token[1..].to_owned(), ..Default::default() },
        ListAuditEntriesRequest { newest_first: true, ..next.clone() },
        ListAuditEntriesRequest { after_seq: 1, ..next.clone() },
        ListAuditEntriesRequest { filter: Some(other_filter), ..next },
        ListAuditEntriesRequest { newest_first: true, after_seq: 1, ..Default::default() },
        filter(AuditFilter { session_id: "x".to_owned(), ..Default::default() }),
        filter(AuditFilter { scope: 9, ..Default::default() }),
        filter(AuditFilter {
            written_after: Some(Timestamp { seconds: -1, nanos: 0 }),
            ..Default::default()
        }),
    ] {
        let answer = page(&clients, refusal.clone()).await;
        assert_eq!(refused(answer), "INVALID_ARGUMENT", "{refusal:?}");
    }
}

/// A watch that comes back at its cursor whenever its stream breaks.
async fn follow(clients: Clients, filter: AuditFilter, count: usize) -> Vec<AuditEntry> {
    let mut found: Vec<AuditEntry> = Vec::new();
    while found.len() < count {
        let request = WatchAuditEntriesRequest {
            filter: Some(filter.clone()),
            after_seq: Some(found.last().map_or(0, |entry| entry.seq)),
            heartbeat: None,
        };
        let Ok(stream) = clients.audit.clone().watch_audit_entries(request).await else {
            tokio::time::sleep(Duration::from_millis(5)).await;
            continue;
        };
        let mut stream = stream.into_inner();
        while found.len() < count {
            match stream.message().await {
                Ok(Some(WatchAuditEntriesResponse { message: Some(Message::Entry(entry)) })) => {
                    found.push(entry);
                }
                Ok(Some(_)) => {}
                Ok(None) => panic!("a watch without an end ended"),
                Err(_) => break,
            }
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn watches_tell_each_entry_once_while_others_write_and_the_server_restarts() {
    const WRITES: usize = 150;
    let mut server = ledger::setup().start();
    let clients = server.connect_to_socket().await;
    let ids = [pending(&clients, &server).await, pending(&clients, &server).await];
    let all = tokio::spawn(follow(clients.clone(), AuditFilter::default(), 2 * WRITES));
    let of_one = AuditFilter { session_id: ids[0].clone(), ..Default::default() };
    let of_one = tokio::spawn(follow(clients.clone(), of_one, WRITES));
    let writers = ids.clone().map(|id| {
        let clients = clients.clone();
        tokio::spawn(async move {
            for number in 0..WRITES {
                // Asked again until it is answered, and carried out once.
                let request = UpdateSettingsRequest {
                    request_id: format!("{id}-{number}"),
                    ..one(&id, "n", &number.to_string())
                };
                while update(&clients, request.clone()).await.is_err() {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            }
        })
    });
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(150)).await;
        server.kill_and_start();
    }
    for writer in writers {
        writer.await.unwrap();
    }

    let expected = check_audit(&clients).await;
    assert_eq!(expected.len(), 2 * WRITES);
    let found = tokio::time::timeout(GIVE_UP, all).await.unwrap().unwrap();
    assert_eq!(found, expected);
    let found = tokio::time::timeout(GIVE_UP, of_one).await.unwrap().unwrap();
    let expected: Vec<_> =
        expected.into_iter().filter(|entry| entry.session_id == ids[0]).collect();
    assert_eq!(found, expected);
}

async fn next(stream: &mut Streaming<WatchAuditEntriesResponse>) -> Message {
    let message = tokio::time::timeout(GIVE_UP, stream.message()).await;
    message.unwrap().unwrap().unwrap().message.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_says_when_it_has_told_what_was_there_and_when_the_server_goes() {
    let mut server = ledger::setup().start();
    let clients = server.connect_to_socket().await;
    let id = pending(&clients, &server).await;
    let watch = async |after_seq: Option<u64>, actor: &str| {
        let filter = Some(AuditFilter { actor: actor.to_owned(), ..Default::default() });
        let heartbeat = Some(Duration::from_secs(1).into());
        let request = WatchAuditEntriesRequest { filter, after_seq, heartbeat };
        clients.audit.clone().watch_audit_entries(request).await.map(tonic::Response::into_inner)
    };
    let mut empty = watch(Some(0), "").await.unwrap();
    assert!(matches!(next(&mut empty).await, Message::Synced(synced) if synced.seq == 0));
    for number in 0..3 {
        set(&clients, &id, "n", &number.to_string()).await.unwrap();
    }
    let mut from_one = watch(Some(1), "").await.unwrap();
    for expected in [2, 3] {
        assert!(
            matches!(next(&mut from_one).await, Message::Entry(entry) if entry.seq == expected)
        );
    }
    assert!(matches!(next(&mut from_one).await, Message::Synced(synced) if synced.seq == 3));
    let mut live = watch(None, "").await.unwrap();
    assert!(matches!(next(&mut live).await, Message::Synced(synced) if synced.seq == 3));
    // A heartbeat has how far was looked, so that nothing is looked at twice.
    let mut nobodys = watch(Some(0), "nobody").await.unwrap();
    assert!(matches!(next(&mut nobodys).await, Message::Synced(synced) if synced.seq == 3));
    set(&clients, &id, "n", "3").await.unwrap();
    assert!(matches!(next(&mut live).await, Message::Entry(entry) if entry.seq == 4));
    loop {
        match next(&mut nobodys).await {
            Message::Heartbeat(heartbeat) if heartbeat.seq == 4 => break,
            Message::Heartbeat(_) => {}
            Message::Entry(_) | Message::Synced(_) => panic!("nothing is to be told"),
        }
    }
    assert_eq!(refused(watch(Some(5), "").await), "INVALID_ARGUMENT");

    server.ask_to_stop();
    let end = loop {
        match live.message().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("the end was not told"),
            Err(end) => break end,
        }
    };
    assert_eq!((end.code(), &*ledger::reason(&end)), (Code::Unavailable, "SHUTTING_DOWN"));
    assert_eq!(server.stopped().code(), Some(0));
}

async fn state(
    clients: &Clients,
    request: GetAuditStateRequest,
) -> Result<GetAuditStateResponse, Status> {
    Ok(clients.audit.clone().get_audit_state(request).await?.into_inner())
}

#[tokio::test(flavor = "multi_thread")]
async fn any_state_of_the_past_can_be_had_by_seq_and_by_time_and_of_a_deleted_session_too() {
    let mut server = ledger::setup().start();
    let clients = server.connect_to_socket().await;
    update(&clients, to_default(one("", "begin", "0"))).await.unwrap();
    let id = pending(&clients, &server).await;
    let mut settings = vec![(0, r#"{"begin":0}"#.to_owned())];
    for number in 0..5 {
        let written = set(&clients, &id, "n", &number.to_string()).await.unwrap();
        settings.push((written.audit_seq, written.settings_json));
        // An entry of another scope in between.
        update(&clients, to_default(one(&id, "n", &number.to_string()))).await.unwrap();
    }
    let applied = apply(&clients, application(&id, "m")).await.unwrap();
    settings.push((applied.audit_seq, applied.applied.unwrap().settings_json));
    let removed = remove(&clients, removal(&id, "n")).await.unwrap();
    settings.push((removed.audit_seq, removed.settings_json.clone()));
    let untouched = pending(&clients, &server).await;
    let audited = check_audit(&clients).await;
    let latest_seq = audited.len() as u64;

    for is_deleted in [false, true] {
        let of = |at_seq: u64| GetAuditStateRequest {
            session_id: id.clone(),
            at_seq,
            ..Default::default()
        };
        for at in 1..=latest_seq {
            let found = state(&clients, of(at)).await.unwrap();
            let (seq, text) = settings.iter().rfind(|(seq, _)| *seq <= at).unwrap();
            assert_eq!((found.seq, found.latest_seq), (*seq, latest_seq), "at {at}");
            let found = found.state.unwrap();
            assert_eq!((&found.settings_json, &*found.etag), (text, ""), "at {at}");
            let model = if at >= applied.audit_seq { "m" } else { "" };
            assert_eq!(found.controls.unwrap().model, model, "at {at}");
            let at_time = audited[usize::try_from(at).unwrap() - 1].time;
            let by_time = state(&clients, GetAuditStateRequest { at_time, ..of(0) }).await.unwrap();
            assert_eq!(by_time.state.unwrap().settings_json, *text, "at {at_time:?}");
        }
        let latest = state(&clients, of(0)).await.unwrap();
        assert_eq!(latest.state.unwrap().settings_json, removed.settings_json);
        let long_ago = Some(Timestamp { seconds: 1, nanos: 0 });
        let before = state(&clients, GetAuditStateRequest { at_time: long_ago, ..of(0) }).await;
        assert_eq!(before.unwrap().seq, 0);
        assert_eq!(refused(state(&clients, of(latest_seq + 1)).await), "INVALID_ARGUMENT");
        let both = GetAuditStateRequest { at_time: long_ago, ..of(1) };
        assert_eq!(refused(state(&clients, both).await), "INVALID_ARGUMENT");
        if !is_deleted {
            // Never written: what is there.
            let request = GetAuditStateRequest { session_id: untouched.clone(), ..of(0) };
            let found = state(&clients, request).await.unwrap();
            assert_eq!(
                (found.seq, &*found.state.unwrap().settings_json),
                (0, r#"{"begin":0,"n":4}"#)
            );
            delete_session(&clients, &id).await;
            delete_session(&clients, &untouched).await;
            server.kill_and_start();
        }
    }
    for nothing in [UNKNOWN, &untouched] {
        let request = GetAuditStateRequest { session_id: nothing.to_owned(), ..Default::default() };
        assert_eq!(refused(state(&clients, request).await), "SESSION_NOT_FOUND");
    }
    assert_eq!(check_audit(&clients).await, audited);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_kept_a_seq_with_its_hash_has_it_verified() {
    let server = ledger::setup().start();
    let clients = server.connect_to_socket().await;
    let empty = verify(&clients).await;
    assert_eq!((empty.valid, empty.last_seq, &*empty.last_hash), (true, 0, ""));
    let id = pending(&clients, &server).await;
    for number in 0..3 {
        set(&clients, &id, "n", &number.to_string()).await.unwrap();
    }
    let known = entries(&clients).await;
    let with = async |known_seq: u64, known_hash: &str| {
        let known_hash = known_hash.to_owned();
        let request = VerifyAuditRequest { known_seq, known_hash };
        clients.audit.clone().verify_audit(request).await.map(tonic::Response::into_inner)
    };
    for entry in &known {
        assert!(with(entry.seq, &entry.hash).await.unwrap().valid);
        assert!(with(entry.seq, &entry.hash.to_uppercase()).await.unwrap().valid);
    }
    for (seq, at) in [(2, 2), (3, 3), (4, 4), (9, 4)] {
        let broken = with(seq, &known[0].hash).await.unwrap();
        assert_eq!((broken.valid, broken.first_break.unwrap().seq), (false, at));
    }
    for (seq, hash) in [(0, &*known[0].hash), (1, ""), (1, "00"), (1, &"g".repeat(64))] {
        assert_eq!(refused(with(seq, hash).await), "INVALID_ARGUMENT");
    }
    let kept: BTreeSet<_> = known.iter().map(|entry| &entry.hash).collect();
    assert_eq!(kept.len(), 3);
}
