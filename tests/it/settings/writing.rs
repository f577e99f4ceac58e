//! What a write may say, what it changes, and what it answers; who may write,
//! under which name, and what happens to the writes of two at once.

use switchboard::proto::{
    DeleteSettingRequest, GetAuditStateRequest, GetSettingsRequest, GetSettingsResponse, Outcome,
    Scope, UpdateMode, UpdateSettingsRequest,
};
use tonic_types::StatusExt as _;

use super::shared::{
    UNKNOWN, application, apply, check_audit, controls, delete_session, entries, get, get_default,
    many, one, pending, refused, removal, remove, set, system_owned, to_default, try_get, update,
};
use crate::{harness::Clients, ledger, restart::Random};

#[tokio::test(flavor = "multi_thread")]
async fn a_write_names_either_a_map_or_a_key_with_its_value() {
    let server = ledger::setup().start();
    let clients = server.connect_to_socket().await;
    let id = pending(&clients, &server).await;
    let nothing = UpdateSettingsRequest { settings_json: None, ..many(&id, "", UpdateMode::Merge) };
    let settings_json = Some("{}".to_owned());
    for request in [
        nothing.clone(),
        UpdateSettingsRequest { settings_json: settings_json.clone(), ..one(&id, "a", "1") },
        UpdateSettingsRequest {
            settings_json: settings_json.clone(),
            value_json: None,
            ..one(&id, "a", "1")
        },
        UpdateSettingsRequest { settings_json, key: None, ..one(&id, "a", "1") },
        UpdateSettingsRequest { value_json: None, ..one(&id, "a", "1") },
        UpdateSettingsRequest { key: None, ..one(&id, "a", "1") },
        UpdateSettingsRequest { scope: 0, ..one(&id, "a", "1") },
        UpdateSettingsRequest { scope: 9, ..one(&id, "a", "1") },
        UpdateSettingsRequest { mode: 9, ..many(&id, "{}", UpdateMode::Merge) },
        UpdateSettingsRequest { session_id: String::new(), ..one(&id, "a", "1") },
        UpdateSettingsRequest { session_id: "x".repeat(1 << 20), ..one(&id, "a", "1") },
        one(&id, "", "1"),
        one(&id, " \u{feff}", "1"),
        one(&id, &"x".repeat(241), "1"),
        one(&id, &"😀".repeat(121), "1"),
        UpdateSettingsRequest { actor: " ".to_owned(), ..one(&id, "a", "1") },
        UpdateSettingsRequest { actor: "x".repeat(121), ..one(&id, "a", "1") },
        UpdateSettingsRequest { source: "x".repeat(65), ..one(&id, "a", "1") },
    ] {
        let answer = update(&clients, request.clone()).await;
        assert_eq!(refused(answer), "INVALID_ARGUMENT", "{:.200}", format!("{request:?}"));
    }
    assert_eq!((get(&clients, &id).await.as_str(), entries(&clients).await), ("{}", vec![]));
}

/// Reads one key of a session.
async fn read(clients: &Clients, id: &str, key: &str) -> GetSettingsResponse {
    let request = GetSettingsRequest {
        session_id: id.to_owned(),
        key: Some(key.to_owned()),
        ..Default::default()
    };
    clients.settings.clone().get_settings(request).await.unwrap().into_inner()
}

#[tokio::test(flavor = "multi_thread")]
async fn maps_are_merged_or_replaced_and_single_keys_are_set_read_and_removed() {
    let server = ledger::setup().start();
    let clients = server.connect_to_socket().await;
    let id = pending(&clients, &server).await;
    let merge = |text: &str| update(&clients, many(&id, text, UpdateMode::Unspecified));
    let replace = |text: &str| update(&clients, many(&id, text, UpdateMode::Replace));

    let first = merge(r#"{"b":{"x":1,"y":2},"a":[1,2]}"#).await.unwrap();
    assert_eq!((first.outcome(), first.audit_seq), (Outcome::Ok, 1));
    assert_eq!(first.settings_json, r#"{"a":[1,2],"b":{"x":1,"y":2}}"#);
    // What is the same by its meaning is unchanged, down to its text.
    let same = merge(r#"{"b":{"y":2e0,"x":1.0}}"#).await.unwrap();
    assert_eq!((same.outcome(), same.audit_seq), (Outcome::Unchanged, 0));
    assert_eq!((&same.settings_json, &same.etag), (&first.settings_json, &first.etag));
    // Values are merged at the top alone.
    let merged = merge(r#"{"b":{"z":3},"c":null}"#).await.unwrap();
    assert_eq!(merged.settings_json, r#"{"a":[1,2],"b":{"z":3},"c":null}"#);
    assert_eq!(merge("{}").await.unwrap().outcome(), Outcome::Unchanged);
    let replaced = replace(r#"{"c":null,"d.e":false}"#).await.unwrap();
    assert_eq!(replaced.settings_json, r#"{"c":null,"d.e":false}"#);

    // A mode means nothing beside a key, and dots mean nothing in one.
    let beside = UpdateSettingsRequest {
        mode: UpdateMode::Replace.into(),
        ..one(&id, "\u{a0} d \n", "null")
    };
    let set = update(&clients, beside).await.unwrap();
    assert_eq!(set.key.as_deref(), Some("d"));
    assert_eq!(set.settings_json, r#"{"c":null,"d":null,"d.e":false}"#);
    let found = read(&clients, &id, " d.e ").await;
    let expected = GetSettingsResponse {
        scope: Scope::Session.into(),
        settings_json: None,
        key: Some("d.e".to_owned()),
        found: true,
        value_json: Some("false".to_owned()),
        etag: set.etag,
    };
    assert_eq!(found, expected);
    let null = read(&clients, &id, "c").await;
    assert_eq!((null.found, null.value_json.as_deref()), (true, Some("null")));
    for missing in ["e", "toString", "__proto__", "d.e.f"] {
        let missing = read(&clients, &id, missing).await;
        assert_eq!((missing.found, missing.value_json), (false, None));
    }

    let removed = remove(&clients, removal(&id, " d ")).await.unwrap();
    assert_eq!((removed.removed, removed.outcome()), (true, Outcome::Ok));
    assert_eq!(removed.settings_json, r#"{"c":null,"d.e":false}"#);
    let again = remove(&clients, removal(&id, "d")).await.unwrap();
    assert_eq!((again.removed, again.outcome(), again.audit_seq), (false, Outcome::Unchanged, 0));
    let cleared = replace("{}").await.unwrap();
    assert_eq!((cleared.outcome(), &*cleared.settings_json), (Outcome::Ok, "{}"));
    assert_eq!(check_audit(&clients).await.len(), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_key_a_map_holds_can_be_removed() {
    let server = ledger::setup().start();
    let clients = server.connect_to_socket().await;
    let id = pending(&clients, &server).await;
    let long = "x".repeat(300);
    let longest = "😀".repeat(120);
    set(&clients, &id, &longest, "1").await.unwrap();
    assert!(read(&clients, &id, &longest).await.found);
    let keys = ["", " ", " team ", "team", "a/b%", "__proto__", "\u{0}", &long];
    let members: Vec<String> =
        keys.iter().map(|key| format!("{}:1", serde_json::to_string(key).unwrap())).collect();
    let map = format!("{{{}}}", members.join(","));
    update(&clients, many(&id, &map, UpdateMode::Replace)).await.unwrap();

    // What is there as it stands goes before what is there without white space.
    for key in keys {
        let removed = remove(&clients, removal(&id, key)).await.unwrap();
        assert!(removed.removed, "{key:?}");
    }

    assert_eq!(get(&clients, &id).await, "{}");
    let entries = check_audit(&clients).await;
    let removed: Vec<&str> =
        entries[2..].iter().map(|entry| entry.settings[0].key.as_str()).collect();
    assert_eq!(removed, keys);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_writes_and_what_with_is_kept_and_bounded_in_utf16() {
    let server = ledger::setup().start();
    let clients = server.connect_to_socket().await;
    let id = pending(&clients, &server).await;
    let long = ("😀".repeat(60), "é".repeat(64));
    for (number, (actor, source)) in
        [("", ""), (" ann\u{2003}", "\tscript "), (&*long.0, &*long.1)].into_iter().enumerate()
    {
        let request = UpdateSettingsRequest {
            actor: actor.to_owned(),
            source: source.to_owned(),
            ..one(&id, "n", &number.to_string())
        };
        update(&clients, request).await.unwrap();
    }
    let entries = check_audit(&clients).await;
    let origins: Vec<_> = entries
        .iter()
        .map(|entry| (entry.actor.as_str(), entry.source.as_str(), entry.transport.as_str()))
        .collect();
    let expected =
        [("user", "grpc", "grpc"), ("ann", "script", "grpc"), (&long.0, &long.1, "grpc")];
    assert_eq!(origins, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_that_are_not_there_or_a_systems_refuse_reads_and_writes_alike() {
    let server = ledger::setup().config("[controls]\nlock_defaults = true\n").start();
    let clients = server.connect_to_socket().await;
    let owned = system_owned(&clients, &server).await;
    let deleted = pending(&clients, &server).await;
    set(&clients, &deleted, "a", "1").await.unwrap();
    delete_session(&clients, &deleted).await;
    let audited = check_audit(&clients).await;
    // The audit does not tell of it either; of one that was deleted it does.
    let mut audit = clients.audit.clone();
    let of = |id: &str| GetAuditStateRequest { session_id: id.to_owned(), ..Default::default() };
    let told = audit.get_audit_state(of(&owned)).await.unwrap_err();
    assert_eq!(ledger::reason(&told), "SYSTEM_SESSION");
    audit.get_audit_state(of(&deleted)).await.unwrap();
    for (id, reason) in [
        (UNKNOWN, "SESSION_NOT_FOUND"),
        (&*deleted, "SESSION_DELETED"),
        (&*owned, "SYSTEM_SESSION"),
    ] {
        // The default scope is locked, and that is not told of such a session.
        for scope in [Scope::Session, Scope::Default] {
            assert_eq!(refused(try_get(&clients, id, scope).await), reason);
            let write = UpdateSettingsRequest { scope: scope.into(), ..one(id, "a", "1") };
            assert_eq!(refused(update(&clients, write).await), reason, "{scope:?}");
            let removal = DeleteSettingRequest { scope: scope.into(), ..removal(id, "a") };
            assert_eq!(refused(remove(&clients, removal).await), reason, "{scope:?}");
            let mut application = application(id, "m");
            application.scope = scope.into();
            assert_eq!(refused(apply(&clients, application).await), reason, "{scope:?}");
        }
        assert_eq!(refused(controls(&clients, id).await), reason);
    }
    assert_eq!(entries(&clients).await, audited, "the audit of a deleted session stays");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_session_is_looked_for_before_what_is_wrong_with_a_write() {
    let server = ledger::setup().start();
    let clients = server.connect_to_socket().await;
    let without_value = UpdateSettingsRequest { value_json: None, ..one(UNKNOWN, "a", "1") };
    let of_default = to_default(without_value.clone());
    let no_scope = UpdateSettingsRequest { scope: 0, ..one(UNKNOWN, "a", "1") };
    for request in [without_value, of_default, no_scope] {
        let answer = update(&clients, request.clone()).await;
        assert_eq!(refused(answer), "SESSION_NOT_FOUND", "{request:?}");
    }
    let no_id = UpdateSettingsRequest { value_json: None, ..one("x", "a", "1") };
    assert_eq!(refused(update(&clients, no_id).await), "INVALID_ARGUMENT");

    let id = pending(&clients, &server).await;
    let written = UpdateSettingsRequest { request_id: "r".to_owned(), ..one(&id, "a", "1") };
    let first = update(&clients, written.clone()).await.unwrap();
    delete_session(&clients, &id).await;
    let again = update(&clients, written).await.unwrap();
    assert_eq!(again, first, "what was answered once is so for ever");
    let malformed = UpdateSettingsRequest { value_json: None, ..one(&id, "a", "1") };
    assert_eq!(refused(update(&clients, malformed).await), "SESSION_DELETED");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_etag_is_of_its_scope_and_keeps_later_writes_from_being_undone() {
    let server = ledger::setup().start();
    let clients = server.connect_to_socket().await;
    let id = pending(&clients, &server).await;
    let with = |etag: &str, request: UpdateSettingsRequest| UpdateSettingsRequest {
        etag: etag.to_owned(),
        ..request
    };
    for to_scope in [|request| request, to_default] {
        let scope = Scope::try_from(to_scope(one(&id, "a", "0")).scope).unwrap();
        let seen = try_get(&clients, &id, scope).await.unwrap().etag;
        let write =
            |etag: &str, value: &str| update(&clients, with(etag, to_scope(one(&id, "a", value))));
        let first = write(&seen, "1").await.unwrap();
        assert_ne!(first.etag, seen);
        let late = write(&seen, "2").await.unwrap_err();
        assert_eq!(ledger::reason(&late), "ETAG_MISMATCH");
        let told = late.get_details_error_info().unwrap().metadata;
        assert_eq!(told.get("etag"), Some(&first.etag), "{told:?}");
        // Also a write that would change nothing, or that says what is no etag.
        for etag in [&seen, "x", &"x".repeat(100_000)] {
            assert_eq!(refused(write(etag, "1").await), "ETAG_MISMATCH");
        }
        let removal =
            DeleteSettingRequest { etag: seen.clone(), scope: scope.into(), ..removal(&id, "a") };
        assert_eq!(refused(remove(&clients, removal).await), "ETAG_MISMATCH");
        let same = write(&first.etag, "1").await.unwrap();
        assert_eq!((same.outcome(), &same.etag), (Outcome::Unchanged, &first.etag));
        assert_eq!(try_get(&clients, &id, scope).await.unwrap().etag, first.etag);
    }
    // Controls and settings of a scope have one etag.
    let mut application = application(&id, "m");
    application.etag = try_get(&clients, &id, Scope::Session).await.unwrap().etag;
    let applied = apply(&clients, application.clone()).await.unwrap().applied.unwrap();
    assert_eq!(applied.etag, try_get(&clients, &id, Scope::Session).await.unwrap().etag);
    application.controls.as_mut().unwrap().model = "n".to_owned();
    assert_eq!(refused(apply(&clients, application).await), "ETAG_MISMATCH");
    assert_eq!(check_audit(&clients).await.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_writers_without_an_etag_the_last_wins_and_both_are_audited() {
    const WRITES: u64 = 40;
    let server = ledger::setup().start();
    let clients = server.connect_to_socket().await;
    let id = pending(&clients, &server).await;
    let writer = async |actor: &'static str| {
        for number in 0..WRITES {
            let request = UpdateSettingsRequest {
                actor: actor.to_owned(),
                ..one(&id, "a", &format!("\"{actor}{number}\""))
            };
            update(&clients, request).await.unwrap();
        }
    };
    tokio::join!(writer("ann"), writer("bob"));

    let entries = check_audit(&clients).await;
    for actor in ["ann", "bob"] {
        let own = entries.iter().filter(|entry| entry.actor == actor).count() as u64;
        assert_eq!(own, WRITES);
    }
    for pair in entries.windows(2) {
        assert_eq!(pair[0].settings[0].value_json, pair[1].settings[0].previous_json);
    }
    let last = entries.last().unwrap().settings[0].value_json.clone().unwrap();
    assert_eq!(get(&clients, &id).await, format!("{{\"a\":{last}}}"));
    // With the etag one of them is told, each time.
    let etag = try_get(&clients, &id, Scope::Session).await.unwrap().etag;
    let request = |value| UpdateSettingsRequest { etag: etag.clone(), ..one(&id, "a", value) };
    let (one, other) = tokio::join!(update(&clients, request("1")), update(&clients, request("2")));
    assert_eq!(usize::from(one.is_ok()) + usize::from(other.is_ok()), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_request_has_one_effect_and_the_earlier_answer() {
    let mut server = ledger::setup().start();
    let clients = server.connect_to_socket().await;
    let id = pending(&clients, &server).await;
    let write = UpdateSettingsRequest { request_id: "w".to_owned(), ..one(&id, "a", "1") };
    let removal = DeleteSettingRequest { request_id: "w".to_owned(), ..removal(&id, "a") };
    let mut application = application(&id, "m");
    application.request_id = "w".to_owned();
    let unchanged = UpdateSettingsRequest { request_id: "u".to_owned(), ..one(&id, "a", "1") };

    let (one_answer, twin) =
        tokio::join!(update(&clients, write.clone()), update(&clients, write.clone()));
    let written = one_answer.unwrap();
    assert_eq!(twin.unwrap(), written);
    let not_changed = update(&clients, unchanged.clone()).await.unwrap();
    assert_eq!(not_changed.outcome(), Outcome::Unchanged);
    // Ids are of a method.
    let removed = remove(&clients, removal.clone()).await.unwrap();
    assert!(removed.removed);
    let applied = apply(&clients, application.clone()).await.unwrap();
    let large = format!("{{\"large\":\"{}\"}}", "x".repeat(10_000));
    let large = UpdateSettingsRequest {
        request_id: "l".to_owned(),
        ..many(&id, &large, UpdateMode::Merge)
    };
    let grown = update(&clients, large.clone()).await.unwrap();
    remove(&clients, self::removal(&id, "large")).await.unwrap();

    for restart in [false, true] {
        if restart {
            server.kill_and_start();
        }
        assert_eq!(update(&clients, write.clone()).await.unwrap(), written);
        assert_eq!(update(&clients, unchanged.clone()).await.unwrap(), not_changed);
        assert_eq!(remove(&clients, removal.clone()).await.unwrap(), removed);
        assert_eq!(apply(&clients, application.clone()).await.unwrap(), applied);
        assert_eq!(update(&clients, large.clone()).await.unwrap(), grown);
        let other = UpdateSettingsRequest { value_json: Some("2".to_owned()), ..write.clone() };
        assert_eq!(refused(update(&clients, other).await), "IDEMPOTENCY_CONFLICT");
        assert_eq!(get(&clients, &id).await, "{}");
        assert_eq!(check_audit(&clients).await.len(), 5);
    }
    // A receipt does not keep the map, which may be large.
    let path = server.home().join("state.db");
    let longest: i64 = rusqlite::Connection::open(path)
        .unwrap()
        .query_row("SELECT max(length(response)) FROM receipts", [], |row| row.get(0))
        .unwrap();
    assert!(longest < 64, "{longest} bytes");
    // Of a session that was deleted only what the audit has is known.
    let gone = pending(&clients, &server).await;
    let nothing = UpdateSettingsRequest {
        request_id: "n".to_owned(),
        ..many(&gone, "{}", UpdateMode::Merge)
    };
    assert_eq!(update(&clients, nothing.clone()).await.unwrap().outcome(), Outcome::Unchanged);
    for deleted in [&gone, &id] {
        delete_session(&clients, deleted).await;
    }
    assert_eq!(refused(update(&clients, nothing).await), "SESSION_DELETED");
    assert_eq!(update(&clients, large.clone()).await.unwrap(), grown);
    let id = pending(&clients, &server).await;
    // What was refused may be tried again.
    let refusal = UpdateSettingsRequest {
        request_id: "r".to_owned(),
        etag: "x".to_owned(),
        ..one(&id, "a", "1")
    };
    assert_eq!(refused(update(&clients, refusal.clone()).await), "ETAG_MISMATCH");
    let again = UpdateSettingsRequest { etag: String::new(), ..refusal };
    assert_eq!(update(&clients, again).await.unwrap().outcome(), Outcome::Ok);
}

#[tokio::test(flavor = "multi_thread")]
async fn scopes_do_not_touch_each_other_whatever_order_they_are_written_in() {
    let server = ledger::setup().start();
    let clients = server.connect_to_socket().await;
    let ids = [pending(&clients, &server).await, pending(&clients, &server).await];
    let mut random = Random::from_environment();
    let mut expected = ["{}".to_owned(), "{}".to_owned(), "{}".to_owned()];
    for number in 0..60 {
        let at = usize::try_from(random.below(3)).unwrap();
        let text = format!("{{\"n\":{number}}}");
        let request = match at {
            2 => to_default(many("", &text, UpdateMode::Replace)),
            at => many(&ids[at], &text, UpdateMode::Replace),
        };
        update(&clients, request).await.unwrap();
        expected[at] = text;
    }
    let found =
        [get(&clients, &ids[0]).await, get(&clients, &ids[1]).await, get_default(&clients).await];
    assert_eq!(found, expected);
    check_audit(&clients).await;
}
