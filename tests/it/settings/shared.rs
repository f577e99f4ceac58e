//! What the tests of settings have in common.

use switchboard::proto::{
    Event, GetSettingsRequest, Scope, UpdateSettingsRequest, UpdateSettingsResponse, event::Kind,
};
use tonic::Status;

use crate::harness::Clients;

/// All settings of a session.
pub(crate) async fn get(clients: &Clients, id: &str) -> String {
    let request = GetSettingsRequest { session_id: id.to_owned(), ..Default::default() };
    let answer = clients.settings.clone().get_settings(request).await.unwrap().into_inner();
    answer.settings_json.unwrap()
}

/// Sets one key of a session.
pub(crate) async fn set(
    clients: &Clients,
    id: &str,
    key: &str,
    value: &str,
) -> Result<UpdateSettingsResponse, Status> {
    let request = UpdateSettingsRequest {
        session_id: id.to_owned(),
        scope: Scope::Session.into(),
        key: Some(key.to_owned()),
        value_json: Some(value.to_owned()),
        ..Default::default()
    };
    update(clients, request).await
}

/// Writes settings.
pub(crate) async fn update(
    clients: &Clients,
    request: UpdateSettingsRequest,
) -> Result<UpdateSettingsResponse, Status> {
    Ok(clients.settings.clone().update_settings(request).await?.into_inner())
}

/// What an event says of an entry of the audit, where it is about one.
pub(crate) fn changed(event: &Event) -> Option<&switchboard::proto::AuditEntry> {
    match &event.kind {
        Some(Kind::SettingsChanged(changed)) => changed.entry.as_deref(),
        Some(Kind::ControlsChanged(changed)) => changed.entry.as_deref(),
        _ => None,
    }
}
