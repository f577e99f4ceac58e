//! What writes do, and what readers and subscribers see of them.

use switchboard::proto::{
    ListAuditEntriesRequest, Outcome, Scope, UpdateMode, UpdateSettingsRequest, VerifyAuditRequest,
};

use super::{changed, get, set, update};
use crate::ledger::{self, Watcher, create, rest};

#[tokio::test(flavor = "multi_thread")]
async fn a_write_is_durable_audited_and_told_to_subscribers() {
    let mut server = ledger::setup().start();
    let clients = server.connect_to_socket().await;
    let id = create(&clients, &server.work(), "thread,turn,completed").await.unwrap().session_id;
    rest(&clients, &id).await;
    let mut watcher = Watcher::start(&clients, &id);

    let one = set(&clients, &id, " team ", r#"{"n":1.0,"big":9007199254740993}"#).await.unwrap();
    assert_eq!((one.outcome(), one.key.as_deref()), (Outcome::Ok, Some("team")));
    let again = set(&clients, &id, "team", r#"{"big":9007199254740993,"n":1}"#).await.unwrap();
    assert_eq!((again.outcome(), again.audit_seq), (Outcome::Unchanged, 0));
    let merge = UpdateSettingsRequest {
        session_id: id.clone(),
        scope: Scope::Session.into(),
        settings_json: Some(r#"{"a":null}"#.to_owned()),
        mode: UpdateMode::Merge.into(),
        actor: "ann".to_owned(),
        ..Default::default()
    };
    let merged = update(&clients, merge).await.unwrap();
    let expected = r#"{"a":null,"team":{"n":1.0,"big":9007199254740993}}"#;
    assert_eq!(merged.settings_json, expected);

    let seen = watcher
        .until("both changes", |events| events.iter().filter_map(changed).count() == 2)
        .await;
    let seen: Vec<_> = seen.iter().filter_map(changed).cloned().collect();
    let mut audit = clients.audit.clone();
    let listed = audit.list_audit_entries(ListAuditEntriesRequest::default());
    let listed = listed.await.unwrap().into_inner();
    assert_eq!(listed.entries.len(), 2);
    for (event, entry) in seen.iter().zip(&listed.entries) {
        assert_eq!(
            (event.seq, &event.actor, &event.settings),
            (entry.seq, &entry.actor, &entry.settings)
        );
    }

    server.kill_and_start();

    let clients = server.connect_to_socket().await;
    assert_eq!(get(&clients, &id).await, expected);
    let mut audit = clients.audit.clone();
    let verified = audit.verify_audit(VerifyAuditRequest::default()).await.unwrap();
    assert_eq!(verified.get_ref().first_break, None);
    assert_eq!(verified.get_ref().last_seq, 2);
    let events = ledger::events(&clients, &id).await;
    assert_eq!(events.iter().filter_map(changed).count(), 2, "each is said once");
}
