//! The settings of sessions and of new ones.

use axum::routing::{delete, get};
use http::StatusCode;

use super::{
    CALLER,
    answer::{Answer, Object},
    at,
    call::{Call, KEY},
    check::{Fields, Length, Presence, trimmed},
    error::{Failure, locked},
};
use crate::{
    Error,
    app::App,
    json::Json,
    proto::{self, Outcome, Scope, UpdateMode},
    settings::Settings,
    wire::operations,
};

/// How long a key may be that is written or read by itself.
const KEY_LENGTH: Length = Length::between(1, 240);

/// The routes.
pub(super) fn routes() -> axum::Router<App> {
    at("/api/sessions/{id}/settings", get(read).post(write))
        // The key that is empty is one, and not a place of its own.
        .merge(at("/api/sessions/{id}/settings/", delete(remove)))
        .merge(at("/api/sessions/{id}/settings/{key}", delete(remove)))
}

/// The words for scopes.
pub(super) const SCOPES: &[&str] = &["session", "default"];

/// The scope that a word names; the session's for none.
pub(super) fn scope_of(word: Option<&str>) -> Scope {
    if word == Some("default") { Scope::Default } else { Scope::Session }
}

/// The word for a scope.
pub(super) fn scope_word(scope: Scope) -> &'static str {
    match scope {
        Scope::Default => "default",
        Scope::Session | Scope::Unspecified => "session",
    }
}

/// The word for what became of a write.
pub(super) fn outcome_word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Ok | Outcome::Unspecified => "ok",
        Outcome::Unchanged => "unchanged",
    }
}

/// Who writes, and what with; empty where that is not said.
pub(super) fn origin(fields: &mut Fields<'_>) -> (String, String) {
    let actor = fields.trimmed("actor", Presence::Optional, Length::between(1, 120));
    let source = fields.trimmed("source", Presence::Optional, Length::between(1, 64));
    (actor.unwrap_or_default().to_owned(), source.unwrap_or_default().to_owned())
}

async fn read(call: Call) -> Result<Answer, Failure> {
    let mut parameters = call.parameters();
    let scope = scope_of(parameters.word("scope", Presence::Optional, SCOPES));
    let key = parameters.trimmed("key", Presence::Optional, KEY_LENGTH);
    parameters.finish()?;
    let request = proto::GetSettingsRequest {
        session_id: call.session_id()?.to_string(),
        scope: scope.into(),
        key: key.map(ToOwned::to_owned),
    };
    let proto::GetSettingsResponse { scope: _, settings_json, key, found, value_json, etag } =
        operations::get_settings(&call.app, &CALLER, request).await?;
    let body = about(&call, "ok", scope);
    let body = match key {
        None => body.with_text("settings", settings_json.as_deref().unwrap_or("{}")),
        Some(key) => body
            .with("key", key)
            .with("found", found)
            .with_text("value", value_json.as_deref().unwrap_or("null")),
    };
    Ok(Answer::ok(body).etag(etag))
}

async fn write(call: Call) -> Result<Answer, Failure> {
    let (request, scope) = match parse(&call) {
        Ok(parsed) => parsed,
        Err(failure) => return Err(refused(&call, failure).await),
    };
    let answered = operations::update_settings(&call.app, &CALLER, request).await;
    let proto::UpdateSettingsResponse { outcome, scope: _, key, settings_json, etag, audit_seq: _ } =
        answered.map_err(|error| of_json(of_session(&call, error)))?;
    let body = about(&call, outcome_word(parsed(outcome)), scope);
    let body = match key {
        Some(key) => body.with("key", key),
        None => body,
    };
    Ok(Answer::ok(body.with_text("settings", &settings_json)).etag(etag))
}

fn parse(call: &Call) -> Result<(proto::UpdateSettingsRequest, Scope), Failure> {
    let mut fields = call.fields();
    let scope = scope_of(fields.word("scope", Presence::Required, SCOPES));
    let key = fields.trimmed("key", Presence::Optional, KEY_LENGTH);
    let value = fields.any("value");
    let settings = fields.map("settings", Presence::Optional);
    let mode = fields.word("mode", Presence::Optional, &["merge", "replace"]);
    let (actor, source) = origin(&mut fields);
    fields.finish()?;
    check_combination(key, value, settings.as_ref())?;
    let mode = if mode == Some("replace") { UpdateMode::Replace } else { UpdateMode::Merge };
    let request = proto::UpdateSettingsRequest {
        session_id: call.session_id()?.to_string(),
        scope: scope.into(),
        settings_json: settings.map(|settings| settings.to_string()),
        mode: mode.into(),
        key: key.map(ToOwned::to_owned),
        value_json: value.map(ToString::to_string),
        actor,
        source,
        etag: call.if_match()?,
        request_id: String::new(),
    };
    Ok((request, scope))
}

fn check_combination(
    key: Option<&str>,
    value: Option<&Json>,
    settings: Option<&Settings>,
) -> Result<(), Failure> {
    let problem = match (settings, key, value) {
        (Some(_), None, None) | (None, Some(_), Some(_)) => return Ok(()),
        (Some(_), _, _) => "settings payload must use either {settings} or {key,value}, not both",
        (None, None, None) => "settings payload must include {settings} or {key,value}",
        (None, Some(_), None) | (None, None, Some(_)) => {
            "key and value are required when updating a single settings entry"
        }
    };
    Err(Failure::invalid(problem))
}

async fn remove(call: Call) -> Result<Answer, Failure> {
    let key = trimmed(KEY, call.param(KEY), KEY_LENGTH)?;
    let mut parameters = call.parameters();
    let scope = scope_of(parameters.word("scope", Presence::Optional, SCOPES));
    let (actor, source) = origin(&mut parameters);
    parameters.finish()?;
    let request = proto::DeleteSettingRequest {
        session_id: call.session_id()?.to_string(),
        scope: scope.into(),
        key: key.to_owned(),
        actor,
        source,
        etag: call.if_match()?,
        request_id: String::new(),
    };
    let answered = operations::delete_setting(&call.app, &CALLER, request).await;
    let proto::DeleteSettingResponse {
        outcome,
        scope: _,
        key,
        removed,
        settings_json,
        etag,
        audit_seq: _,
    } = answered.map_err(|error| of_session(&call, error))?;
    let body = about(&call, outcome_word(parsed(outcome)), scope)
        .with("key", key)
        .with("removed", removed)
        .with_text("settings", &settings_json);
    Ok(Answer::ok(body).etag(etag))
}

/// A refusal of a body, unless there is something wrong with the session, which
/// comes first, as it does in the operations.
pub(super) async fn refused(call: &Call, failure: Failure) -> Failure {
    let is_of_body = match &failure {
        Failure::Issues(_) | Failure::Invalid(_) => true,
        Failure::Error(_)
        | Failure::State(_)
        | Failure::Locked(_)
        | Failure::Request(..)
        | Failure::Unknown(_)
        | Failure::BadPath(_) => false,
    };
    if !is_of_body {
        return failure;
    }
    match call.check_session().await {
        Err(error) => error.into(),
        Ok(()) => failure,
    }
}

fn about(call: &Call, status: &str, scope: Scope) -> Object {
    Object::status(status).with("sessionId", call.session()).with("scope", scope_word(scope))
}

/// What became of a write, as an operation answers it.
pub(super) fn parsed(outcome: i32) -> Outcome {
    Outcome::try_from(outcome).unwrap_or_default()
}

/// What an operation found wrong with JSON that stood in a body, and that goes to
/// it as these fields, is wrong with the body.
pub(super) fn of_json(failure: Failure) -> Failure {
    match failure {
        Failure::Error(Error::InvalidArgument { field, problem })
            if matches!(field.as_ref(), "settings_json" | "value_json") =>
        {
            Failure::request(StatusCode::BAD_REQUEST, problem)
        }
        failure @ (Failure::Error(_)
        | Failure::Issues(_)
        | Failure::Invalid(_)
        | Failure::Locked(_)
        | Failure::State(_)
        | Failure::Request(..)
        | Failure::Unknown(_)
        | Failure::BadPath(_)) => failure,
    }
}

/// An error, with what the contract tells of the session where the defaults are
/// locked.
fn of_session(call: &Call, error: Error) -> Failure {
    let Error::DefaultsLocked { current } = error else { return error.into() };
    let body = locked().with("sessionId", call.session());
    Failure::Locked(body.with_text("settings", &current.settings.to_string()))
}
