//! `SettingsService`: the settings of sessions and of new ones.

use super::{
    Caller,
    fields::{parse_enum, parse_id},
    once,
};
use crate::{
    Error, Result,
    app::{App, NewWrite, Written},
    audit::Origin,
    controls::{Edit, Scope},
    id::SessionId,
    proto,
    settings::{self, Settings, Value},
};

/// Who writes where nobody is named.
const DEFAULT_ACTOR: &str = "user";
const MAX_ACTOR_UNITS: usize = 120;
const MAX_SOURCE_UNITS: usize = 64;

/// Reads settings.
///
/// # Errors
///
/// As `GetSettings` of the contract lists.
pub(crate) async fn get_settings(
    app: &App,
    _caller: &Caller,
    request: proto::GetSettingsRequest,
) -> Result<proto::GetSettingsResponse> {
    let proto::GetSettingsRequest { session_id, scope, key } = request;
    let (scope, session) = parse_scope(&session_id, scope, Unsaid::IsSession)?;
    let key = key.as_deref().map(settings::parse_key).transpose()?;
    let read = app.controls(session).await?;
    let state = read.of(scope);
    let value = key.and_then(|key| state.settings.get(key));
    Ok(proto::GetSettingsResponse {
        scope: proto::Scope::from(scope).into(),
        settings_json: key.is_none().then(|| state.settings.as_text().to_owned()),
        found: value.is_some(),
        value_json: value.map(|value| value.as_text().to_owned()),
        key: key.map(ToOwned::to_owned),
        etag: state.etag(),
    })
}

/// Writes settings.
///
/// # Errors
///
/// As `UpdateSettings` of the contract lists.
pub(crate) async fn update_settings(
    app: &App,
    caller: &Caller,
    mut request: proto::UpdateSettingsRequest,
) -> Result<proto::UpdateSettingsResponse> {
    let once = once(&mut request, |request| &mut request.request_id);
    let proto::UpdateSettingsRequest {
        session_id,
        scope,
        settings_json,
        mode,
        key,
        value_json,
        actor,
        source,
        etag,
        request_id: _,
    } = request;
    let (scope, session) = parse_scope(&session_id, scope, Unsaid::IsRefused)?;
    let mode = parse_enum("mode", mode)?;
    let edit = parse_edit(settings_json, mode, key, value_json)?;
    let key = match &edit {
        Edit::Set(key, _) => Some(key.clone()),
        Edit::Merge(_)
        | Edit::Replace(_)
        | Edit::Remove(_)
        | Edit::Apply(..)
        | Edit::Override(_) => None,
    };
    let origin = parse_origin(actor, source, caller)?;
    let write = NewWrite { scope, session, edit, etag, origin };
    let written = app.write_controls("UpdateSettings", write, once).await?;
    Ok(proto::UpdateSettingsResponse {
        outcome: outcome(&written).into(),
        scope: proto::Scope::from(scope).into(),
        key,
        settings_json: written.state.settings.as_text().to_owned(),
        etag: written.state.etag(),
        audit_seq: audit_seq(&written),
    })
}

/// Removes a setting.
///
/// # Errors
///
/// As `DeleteSetting` of the contract lists.
pub(crate) async fn delete_setting(
    app: &App,
    caller: &Caller,
    mut request: proto::DeleteSettingRequest,
) -> Result<proto::DeleteSettingResponse> {
    let once = once(&mut request, |request| &mut request.request_id);
    let proto::DeleteSettingRequest { session_id, scope, key, actor, source, etag, request_id: _ } =
        request;
    let (scope, session) = parse_scope(&session_id, scope, Unsaid::IsSession)?;
    let origin = parse_origin(actor, source, caller)?;
    let write = NewWrite { scope, session, edit: Edit::Remove(key.clone()), etag, origin };
    let written = app.write_controls("DeleteSetting", write, once).await?;
    Ok(proto::DeleteSettingResponse {
        outcome: outcome(&written).into(),
        scope: proto::Scope::from(scope).into(),
        key,
        removed: written.removed,
        settings_json: written.state.settings.as_text().to_owned(),
        etag: written.state.etag(),
        audit_seq: audit_seq(&written),
    })
}

/// What a request means that names no scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unsaid {
    /// The session's.
    IsSession,
    /// It is malformed.
    IsRefused,
}

/// The scope of a request, and the session that it names.
///
/// # Errors
///
/// INVALID_ARGUMENT.
pub(super) fn parse_scope(
    session_id: &str,
    scope: i32,
    unsaid: Unsaid,
) -> Result<(Scope, Option<SessionId>)> {
    let scope = match (parse_enum("scope", scope)?, unsaid) {
        (proto::Scope::Unspecified, Unsaid::IsRefused) => {
            return Err(Error::invalid("scope", "expected SCOPE_SESSION or SCOPE_DEFAULT"));
        }
        (scope, _) => scope,
    };
    let session = match session_id {
        "" => None,
        text => Some(parse_id("session_id", text)?),
    };
    match (scope, session) {
        (proto::Scope::Default, session) => Ok((Scope::Default, session)),
        (proto::Scope::Session | proto::Scope::Unspecified, Some(id)) => {
            Ok((Scope::Session(id), Some(id)))
        }
        (proto::Scope::Session | proto::Scope::Unspecified, None) => {
            Err(Error::invalid("session_id", "is empty; only the default scope needs no session"))
        }
    }
}

fn parse_edit(
    settings_json: Option<String>,
    mode: proto::UpdateMode,
    key: Option<String>,
    value_json: Option<String>,
) -> Result<Edit> {
    match (settings_json, key, value_json) {
        (Some(text), None, None) => {
            let settings = Settings::parse("settings_json", &text)?;
            Ok(match mode {
                proto::UpdateMode::Unspecified | proto::UpdateMode::Merge => Edit::Merge(settings),
                proto::UpdateMode::Replace => Edit::Replace(settings),
            })
        }
        (None, Some(key), Some(text)) => {
            let key = settings::parse_key(&key)?.to_owned();
            Ok(Edit::Set(key, Value::parse("value_json", &text)?))
        }
        (Some(_), _, _) => Err(Error::invalid(
            "settings_json",
            "stands beside key or value_json; expected either settings_json, or key and value_json",
        )),
        (None, None, None) => Err(Error::invalid(
            "settings_json",
            "nothing to write; expected either settings_json, or key and value_json",
        )),
        (None, Some(_), None) => {
            Err(Error::invalid("value_json", "is missing beside key; null is the text \"null\""))
        }
        (None, None, Some(_)) => Err(Error::invalid("key", "is missing beside value_json")),
    }
}

/// Who writes, and what with.
///
/// # Errors
///
/// INVALID_ARGUMENT.
pub(super) fn parse_origin(actor: String, source: String, caller: &Caller) -> Result<Origin> {
    let transport = caller.transport.as_str().to_owned();
    let word = |field, text: String, most, default: &str| match text.as_str() {
        "" => Ok(default.to_owned()),
        text => settings::parse_word(field, text, most).map(ToOwned::to_owned),
    };
    Ok(Origin {
        actor: word("actor", actor, MAX_ACTOR_UNITS, DEFAULT_ACTOR)?,
        source: word("source", source, MAX_SOURCE_UNITS, &transport)?,
        transport,
    })
}

/// Whether a write changed anything.
pub(super) fn outcome(written: &Written) -> proto::Outcome {
    match written.entry {
        Some(_) => proto::Outcome::Ok,
        None => proto::Outcome::Unchanged,
    }
}

/// The entry of the audit that a write made; 0 for none.
pub(super) fn audit_seq(written: &Written) -> u64 {
    written.entry.as_ref().map_or(0, |entry| entry.seq)
}
