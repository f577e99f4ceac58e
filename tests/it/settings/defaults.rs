//! What new sessions begin with: copied when they are made, and locked where the
//! operator says so.

use std::fs;

use switchboard::proto::{
    ApplyControlsRequest, ApprovalPolicy, Controls, FilesystemSandbox, ForkSessionRequest,
    NetworkAccess, Outcome, Scope, Session, UpdateMode, UpdateSettingsRequest,
    WatchSessionsRequest, watch_sessions_response::Message,
};
use tonic_types::StatusExt as _;

use super::shared::{
    application, apply, check_audit, controls, created, get, get_default, many, one, pending,
    refused, removal, remove, set, to_default, try_get, update,
};
use crate::{
    harness::{Clients, Server},
    ledger::{self, create, rest},
};

const UNCHOSEN: Controls = Controls {
    model: String::new(),
    approval_policy: ApprovalPolicy::Untrusted as i32,
    network_access: NetworkAccess::Restricted as i32,
    filesystem_sandbox: FilesystemSandbox::ReadOnly as i32,
};

/// An application of controls to what new sessions begin with.
fn default_application(id: &str, controls: Controls) -> ApplyControlsRequest {
    let scope = Scope::Default.into();
    ApplyControlsRequest { scope, controls: Some(controls), ..application(id, "") }
}

/// Has the operator lock the defaults, and the server start again.
fn lock(server: &mut Server) {
    server.kill();
    fs::write(server.config_file(), "[controls]\nlock_defaults = true\n").unwrap();
    server.start();
}

/// The controls of a session, as they are shown.
async fn of(clients: &Clients, id: &str) -> Controls {
    controls(clients, id).await.unwrap().session.unwrap().controls.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_session_has_a_copy_of_the_defaults_and_a_fork_one_of_its_source() {
    let server = ledger::setup().start();
    let clients = server.connect_to_socket().await;
    let before = pending(&clients, &server).await;
    let chosen = application("", "gpt-d").controls.unwrap();
    update(&clients, to_default(many("", r#"{"a":1}"#, UpdateMode::Merge))).await.unwrap();
    apply(&clients, default_application("", chosen.clone())).await.unwrap();
    let after = create(&clients, &server.work(), "thread,turn,completed").await.unwrap().session_id;
    rest(&clients, &after).await;
    let own_model = Session { model: " own\n".to_owned(), ..Session::default() };
    let overridden = created(&clients, &server, own_model).await.session_id;
    update(&clients, to_default(many("", r#"{"b":2}"#, UpdateMode::Replace))).await.unwrap();
    apply(&clients, default_application("", UNCHOSEN)).await.unwrap();

    assert_eq!(
        (get(&clients, &before).await.as_str(), of(&clients, &before).await),
        ("{}", UNCHOSEN)
    );
    for (id, model) in [(&after, "gpt-d"), (&overridden, "own")] {
        assert_eq!(get(&clients, id).await, r#"{"a":1}"#);
        let expected = Controls { model: model.to_owned(), ..chosen.clone() };
        assert_eq!(of(&clients, id).await, expected);
    }
    set(&clients, &after, "c", "3").await.unwrap();
    let fork = ForkSessionRequest { session_id: after.clone(), ..Default::default() };
    let fork = clients.sessions.clone().fork_session(fork).await.unwrap().into_inner();
    let fork = fork.session.unwrap().session_id;
    set(&clients, &after, "a", "9").await.unwrap();
    assert_eq!(get(&clients, &fork).await, r#"{"a":1,"c":3}"#);
    assert_eq!(of(&clients, &fork).await, chosen);
    assert_eq!(get_default(&clients).await, r#"{"b":2}"#);
    check_audit(&clients).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn controls_keep_the_settings_of_their_scope_unless_they_bring_some() {
    let server = ledger::setup().start();
    let clients = server.connect_to_socket().await;
    let id = pending(&clients, &server).await;
    update(&clients, to_default(one(&id, "d", "1"))).await.unwrap();
    set(&clients, &id, "s", "1").await.unwrap();
    // White space around a model is no part of its name.
    let first = apply(&clients, application(&id, " m\u{a0}\n")).await.unwrap();
    let mut application = application(&id, "m");
    assert_eq!(first.summary, "m | never | enabled | workspace-write | settings:1");
    assert_eq!(first.applied, first.session);
    assert_eq!(first.applied.unwrap().settings_json, r#"{"s":1}"#);
    assert_eq!(first.defaults.unwrap().settings_json, r#"{"d":1}"#);
    assert_eq!(apply(&clients, application.clone()).await.unwrap().outcome(), Outcome::Unchanged);
    application.scope = Scope::Default.into();
    let kept = apply(&clients, application.clone()).await.unwrap();
    assert_eq!(kept.applied.unwrap().settings_json, r#"{"d":1}"#, "not the session's");
    application.settings_json = Some("{}".to_owned());
    let cleared = apply(&clients, application.clone()).await.unwrap();
    assert_eq!((cleared.outcome(), &*cleared.applied.unwrap().settings_json), (Outcome::Ok, "{}"));
    for unspecified in [
        Controls { approval_policy: 0, ..UNCHOSEN },
        Controls { network_access: 0, ..UNCHOSEN },
        Controls { filesystem_sandbox: 0, ..UNCHOSEN },
        Controls { filesystem_sandbox: 9, ..UNCHOSEN },
        Controls { model: "x".repeat(201), ..UNCHOSEN },
        Controls { model: "a\nb".to_owned(), ..UNCHOSEN },
        Controls { model: " \u{a0}".to_owned(), ..UNCHOSEN },
        Controls { model: " -m".to_owned(), ..UNCHOSEN },
    ] {
        let request = default_application("", unspecified);
        assert_eq!(refused(apply(&clients, request).await), "INVALID_ARGUMENT");
    }
    let entries = check_audit(&clients).await;
    let summaries: Vec<_> =
        entries.iter().map(|entry| (&*entry.previous_summary, &*entry.summary)).collect();
    let unchosen = "default | untrusted | restricted | read-only | settings";
    let chosen = "m | never | enabled | workspace-write | settings";
    let expected = [
        (format!("{unchosen}:0"), format!("{unchosen}:1")),
        (format!("{unchosen}:0"), format!("{unchosen}:1")),
        (format!("{unchosen}:1"), format!("{chosen}:1")),
        (format!("{unchosen}:1"), format!("{chosen}:1")),
        (format!("{chosen}:1"), format!("{chosen}:0")),
    ];
    let expected: Vec<_> = expected.iter().map(|(from, to)| (&**from, &**to)).collect();
    assert_eq!(summaries, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_chosen_as_it_was_shown_is_chosen_and_the_audit_holds() {
    let server = ledger::setup().start();
    let clients = server.connect_to_socket().await;
    // What new sessions run with does not depend on the agent's own files any more.
    let first = apply(&clients, default_application("", UNCHOSEN)).await.unwrap();
    assert_eq!((first.outcome(), first.audit_seq), (Outcome::Ok, 1));
    let session = created(&clients, &server, Session::default()).await;
    assert_eq!(session.filesystem_sandbox(), FilesystemSandbox::ReadOnly);
    assert_eq!(check_audit(&clients).await.len(), 1);

    let server = ledger::setup().start();
    let clients = server.connect_to_socket().await;
    // Also where the audit has an entry already.
    update(&clients, to_default(one("", "a", "1"))).await.unwrap();
    let chosen = apply(&clients, default_application("", UNCHOSEN)).await.unwrap();
    assert_eq!((chosen.outcome(), chosen.audit_seq), (Outcome::Ok, 2));
    let again = apply(&clients, default_application("", UNCHOSEN)).await.unwrap();
    assert_eq!(again.outcome(), Outcome::Unchanged);
    assert_eq!(check_audit(&clients).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn locked_defaults_are_told_and_everything_else_goes_on() {
    let mut server = ledger::setup().config("").start();
    let clients = server.connect_to_socket().await;
    let id = pending(&clients, &server).await;
    update(&clients, to_default(one("", "a", "1"))).await.unwrap();
    lock(&mut server);

    let mut application = application("", "m");
    application.scope = Scope::Default.into();
    let mut removal = removal("", "a");
    removal.scope = Scope::Default.into();
    let write = to_default(one(&id, "a", "2"));
    for locked in [
        update(&clients, write.clone()).await.unwrap_err(),
        // Also one that would change nothing.
        update(&clients, to_default(one("", "a", "1"))).await.unwrap_err(),
        remove(&clients, removal).await.unwrap_err(),
        apply(&clients, application).await.unwrap_err(),
    ] {
        assert_eq!(ledger::reason(&locked), "DEFAULTS_LOCKED");
        let told = locked.get_details_error_info().unwrap().metadata;
        let expected = [
            ("approval_policy", "untrusted"),
            ("filesystem_sandbox", "read-only"),
            ("model", ""),
            ("network_access", "restricted"),
            ("settings", r#"{"a":1}"#),
        ];
        let expected = expected.map(|(key, value)| (key.to_owned(), value.to_owned()));
        assert_eq!(told, expected.into());
    }
    let seen = controls(&clients, &id).await.unwrap();
    assert_eq!(
        (seen.defaults_editable, &*seen.default_lock_reason),
        (false, "Managed by harness configuration")
    );
    assert_eq!(get_default(&clients).await, r#"{"a":1}"#);
    set(&clients, &id, "b", "2").await.unwrap();
    let new = pending(&clients, &server).await;
    assert_eq!(get(&clients, &new).await, r#"{"a":1}"#);
    let malformed = UpdateSettingsRequest { value_json: Some("x".to_owned()), ..write };
    assert_eq!(refused(update(&clients, malformed).await), "INVALID_ARGUMENT");
    assert_eq!(check_audit(&clients).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn locked_defaults_that_are_large_are_told_as_far_as_a_status_has_room() {
    let mut server = ledger::setup().config("").start();
    let clients = server.connect_to_socket().await;
    let large = format!("\"{}\"", "x".repeat(1_000_000));
    update(&clients, to_default(one("", "a", &large))).await.unwrap();
    lock(&mut server);

    let locked = update(&clients, to_default(one("", "a", "2"))).await.unwrap_err();

    assert_eq!(ledger::reason(&locked), "DEFAULTS_LOCKED");
    let told = locked.get_details_error_info().unwrap().metadata;
    assert_eq!(told.get("truncated").map(String::as_str), Some("true"));
    assert!(told["settings"].len() < 10_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn changed_controls_are_shown_with_the_session_and_told_to_those_who_watch_the_catalogue() {
    let server = ledger::setup().start();
    let clients = server.connect_to_socket().await;
    let id = pending(&clients, &server).await;
    let mut events = clients.sessions.clone();
    let watch = events.watch_sessions(WatchSessionsRequest::default()).await.unwrap();
    let mut watch = watch.into_inner();
    let mut next = async || loop {
        let message = tokio::time::timeout(ledger::GIVE_UP, watch.message()).await;
        if let Some(Message::Session(session)) = message.unwrap().unwrap().unwrap().message {
            return session;
        }
    };
    let first = next().await;
    assert_eq!(first.session_id, id);

    // Settings are no part of what a session shows, and are not told here.
    set(&clients, &id, "a", "1").await.unwrap();
    apply(&clients, application(&id, "m")).await.unwrap();

    let mut told = next().await;
    while told.model.is_empty() {
        told = next().await;
    }
    let shown = ledger::get(&clients, &id).await;
    assert_eq!(told, shown);
    assert_eq!(shown.model, "m");
    assert_eq!(shown.approval_policy(), ApprovalPolicy::Never);
    assert_eq!(shown.network_access(), NetworkAccess::Enabled);
    assert_eq!(shown.filesystem_sandbox(), FilesystemSandbox::WorkspaceWrite);
    assert_ne!(shown.update_time, first.update_time);
    let listed = ledger::list(&clients).await;
    assert_eq!(listed, [shown]);
    assert!(try_get(&clients, &id, Scope::Session).await.unwrap().settings_json.is_some());
}
