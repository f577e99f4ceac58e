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
    let parse = || -> Result<_> {
        let scope = parse_scope(&session_id, scope, Unsaid::IsSession)?;
        Ok((scope, key.as_deref().map(settings::parse_key).transpose()?))
    };
    let ((scope, session), key) = session_first(app, &session_id, parse()).await?;
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
    let parse = || -> Result<_> {
        let scope = parse_scope(&session_id, scope, Unsaid::IsRefused)?;
        let mode = parse_enum("mode", mode)?;
        let edit = parse_edit(settings_json, mode, key, value_json)?;
        Ok((scope, edit, parse_origin(actor, source, caller)?))
    };
    let ((scope, session), edit, origin) = session_first(app, &session_id, parse()).await?;
    let key = match &edit {
        Edit::Set(key, _) => Some(key.clone()),
        Edit::Merge(_)
        | Edit::Replace(_)
        | Edit::Remove(_)
        | Edit::Apply(..)
        | Edit::Override(_) => None,
    };
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
    let parse = || -> Result<_> {
        let scope = parse_scope(&session_id, scope, Unsaid::IsSession)?;
        Ok((scope, parse_origin(actor, source, caller)?))
    };
    let ((scope, session), origin) = session_first(app, &session_id, parse()).await?;
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

/// What a request says of controls or settings, unless something is wrong with
/// the session that it names, which comes before what is wrong with the request.
///
/// Of a request that is well-formed the session is looked for where it is read or
/// written: a write that was answered once is so again, whatever became of its
/// session.
///
/// # Errors
///
/// SESSION_NOT_FOUND, SESSION_DELETED, SYSTEM_SESSION; else the one that there is.
pub(super) async fn session_first<T>(app: &App, session_id: &str, parsed: Result<T>) -> Result<T> {
    if parsed.is_err()
        && let Ok(id) = session_id.parse()
    {
        app.controls(Some(id)).await?;
    }
    parsed
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
            let settings = Settings::parse_new("settings_json", &text)?;
            Ok(match mode {
                proto::UpdateMode::Unspecified | proto::UpdateMode::Merge => Edit::Merge(settings),
                proto::UpdateMode::Replace => Edit::Replace(settings),
            })
        }
        (None, Some(key), Some(text)) => {
            let key = settings::parse_key(&key)?.to_owned();
            Ok(Edit::Set(key, Value::parse_new("value_json", &text)?))
        }
        (Some(_), _, _) => Err(Error::invalid(
            "settings_json",
            "stands beside a key or its value; expected either settings, or a key and its value",
        )),
        (None, None, None) => Err(Error::invalid(
            "settings_json",
            "nothing to write; expected either settings, or a key and its value",
        )),
        (None, Some(_), None) => {
            Err(Error::invalid("value_json", "is missing beside key; null is a value as any other"))
        }
        (None, None, Some(_)) => Err(Error::invalid("key", "is missing beside a value")),
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
