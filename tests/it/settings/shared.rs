//! What the tests of settings have in common.

use switchboard::proto::{
    ApplyControlsRequest, ApplyControlsResponse, ApprovalPolicy, AuditEntry, AuditFilter, Controls,
    CreateSessionRequest, DeleteSessionRequest, DeleteSettingRequest, DeleteSettingResponse, Event,
    FilesystemSandbox, GetControlsRequest, GetControlsResponse, GetSettingsRequest,
    GetSettingsResponse, ListAuditEntriesRequest, NetworkAccess, Scope, Session, UpdateMode,
    UpdateSettingsRequest, UpdateSettingsResponse, VerifyAuditRequest, VerifyAuditResponse,
    event::Kind,
};
use tonic::Status;

use crate::{
    harness::{Clients, Server},
    ledger,
};

/// A session that nobody has.
pub(crate) const UNKNOWN: &str = "00000000-0000-4000-8000-000000000000";

/// A session without a turn.
pub(crate) async fn pending(clients: &Clients, server: &Server) -> String {
    created(clients, server, Session::default()).await.session_id
}

/// A session without a turn that a system owns.
pub(crate) async fn system_owned(clients: &Clients, server: &Server) -> String {
    created(clients, server, Session { system_owned: true, ..Session::default() }).await.session_id
}

/// A session without a turn.
pub(crate) async fn created(clients: &Clients, server: &Server, session: Session) -> Session {
    let working_directory = server.work().display().to_string();
    let session = Some(Session { working_directory, ..session });
    let request = CreateSessionRequest { session, ..Default::default() };
    let answer = clients.sessions.clone().create_session(request).await.unwrap();
    answer.into_inner().session.unwrap()
}

/// Deletes a session for ever.
pub(crate) async fn delete_session(clients: &Clients, id: &str) {
    let request = DeleteSessionRequest { session_id: id.to_owned(), ..Default::default() };
    clients.sessions.clone().delete_session(request).await.unwrap();
}

/// A write of one key of a session.
pub(crate) fn one(id: &str, key: &str, value: &str) -> UpdateSettingsRequest {
    UpdateSettingsRequest {
        session_id: id.to_owned(),
        scope: Scope::Session.into(),
        key: Some(key.to_owned()),
        value_json: Some(value.to_owned()),
        ..Default::default()
    }
}

/// A write of several keys of a session.
pub(crate) fn many(id: &str, settings: &str, mode: UpdateMode) -> UpdateSettingsRequest {
    UpdateSettingsRequest {
        session_id: id.to_owned(),
        scope: Scope::Session.into(),
        settings_json: Some(settings.to_owned()),
        mode: mode.into(),
        ..Default::default()
    }
}

/// The same write to what new sessions begin with.
pub(crate) fn to_default(request: UpdateSettingsRequest) -> UpdateSettingsRequest {
    UpdateSettingsRequest { scope: Scope::Default.into(), ..request }
}

/// A removal of one key of a session.
pub(crate) fn removal(id: &str, key: &str) -> DeleteSettingRequest {
    DeleteSettingRequest { session_id: id.to_owned(), key: key.to_owned(), ..Default::default() }
}

/// A write of all controls of a session.
pub(crate) fn application(id: &str, model: &str) -> ApplyControlsRequest {
    let controls = Controls {
        model: model.to_owned(),
        approval_policy: ApprovalPolicy::Never.into(),
        network_access: NetworkAccess::Enabled.into(),
        filesystem_sandbox: FilesystemSandbox::WorkspaceWrite.into(),
    };
    ApplyControlsRequest {
        session_id: id.to_owned(),
        scope: Scope::Session.into(),
        controls: Some(controls),
        ..Default::default()
    }
}

/// All settings of a session.
pub(crate) async fn get(clients: &Clients, id: &str) -> String {
    try_get(clients, id, Scope::Session).await.unwrap().settings_json.unwrap()
}

/// All settings that new sessions begin with.
pub(crate) async fn get_default(clients: &Clients) -> String {
    try_get(clients, "", Scope::Default).await.unwrap().settings_json.unwrap()
}

/// All settings of a scope.
pub(crate) async fn try_get(
    clients: &Clients,
    id: &str,
    scope: Scope,
) -> Result<GetSettingsResponse, Status> {
    let request = GetSettingsRequest { session_id: id.to_owned(), scope: scope.into(), key: None };
    Ok(clients.settings.clone().get_settings(request).await?.into_inner())
}

/// Sets one key of a session.
pub(crate) async fn set(
    clients: &Clients,
    id: &str,
    key: &str,
    value: &str,
) -> Result<UpdateSettingsResponse, Status> {
    update(clients, one(id, key, value)).await
}

/// Writes settings.
pub(crate) async fn update(
    clients: &Clients,
    request: UpdateSettingsRequest,
) -> Result<UpdateSettingsResponse, Status> {
    Ok(clients.settings.clone().update_settings(request).await?.into_inner())
}

/// Removes a setting.
pub(crate) async fn remove(
    clients: &Clients,
    request: DeleteSettingRequest,
) -> Result<DeleteSettingResponse, Status> {
    Ok(clients.settings.clone().delete_setting(request).await?.into_inner())
}

/// Writes controls.
pub(crate) async fn apply(
    clients: &Clients,
    request: ApplyControlsRequest,
) -> Result<ApplyControlsResponse, Status> {
    Ok(clients.controls.clone().apply_controls(request).await?.into_inner())
}

/// Reads controls.
pub(crate) async fn controls(clients: &Clients, id: &str) -> Result<GetControlsResponse, Status> {
    let request = GetControlsRequest { session_id: id.to_owned() };
    Ok(clients.controls.clone().get_controls(request).await?.into_inner())
}

/// All entries of the audit.
pub(crate) async fn entries(clients: &Clients) -> Vec<AuditEntry> {
    listed(clients, AuditFilter::default()).await
}

/// The entries of the audit that a filter selects, whatever the pages are.
pub(crate) async fn listed(clients: &Clients, filter: AuditFilter) -> Vec<AuditEntry> {
    let mut entries = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = ListAuditEntriesRequest {
            filter: Some(filter.clone()),
            page_size: 1_000,
            page_token,
            ..Default::default()
        };
        let page = clients.audit.clone().list_audit_entries(request).await.unwrap().into_inner();
        entries.extend(page.entries);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return entries;
        }
    }
}

/// Follows the chain of the audit.
pub(crate) async fn verify(clients: &Clients) -> VerifyAuditResponse {
    let request = VerifyAuditRequest::default();
    clients.audit.clone().verify_audit(request).await.unwrap().into_inner()
}

/// Checks that the audit holds, with its entries one after the other.
pub(crate) async fn check_audit(clients: &Clients) -> Vec<AuditEntry> {
    let verified = verify(clients).await;
    assert_eq!((verified.first_break, verified.valid), (None, true));
    let entries = entries(clients).await;
    let seqs: Vec<u64> = entries.iter().map(|entry| entry.seq).collect();
    assert_eq!(seqs, (1..=verified.last_seq).collect::<Vec<_>>());
    assert_eq!(entries.last().map_or("", |entry| &entry.hash), verified.last_hash);
    entries
}

/// The reason of a refusal.
pub(crate) fn refused<T: std::fmt::Debug>(answer: Result<T, Status>) -> String {
    ledger::reason(&answer.unwrap_err())
}

/// What an event says of an entry of the audit, where it is about one.
pub(crate) fn changed(event: &Event) -> Option<&AuditEntry> {
    match &event.kind {
        Some(Kind::SettingsChanged(changed)) => changed.entry.as_deref(),
        Some(Kind::ControlsChanged(changed)) => changed.entry.as_deref(),
        _ => None,
    }
}

/// The entries of the audit that events speak of, in the order of the events.
pub(crate) fn told(events: &[Event]) -> Vec<u64> {
    events.iter().filter_map(changed).map(|entry| entry.seq).collect()
}
