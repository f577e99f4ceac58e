//! The controls of sessions and of new ones, and the approval policy by itself.

use axum::{
    Router,
    routing::{get, post},
};

use super::{
    CALLER,
    answer::{Answer, Object},
    at,
    call::Call,
    check::{Fields, Length, Presence},
    error::{Failure, locked},
    settings::{SCOPES, of_json, origin, outcome_word, parsed, refused, scope_of, scope_word},
};
use crate::{
    Error,
    app::App,
    controls::{
        APPROVAL_POLICIES, Controls, NETWORK_ACCESSES, SANDBOXES, approval_word, network_word,
        sandbox_word,
    },
    json::Json,
    proto::{self, ApprovalPolicy, FilesystemSandbox, NetworkAccess, Scope, ScopedControls},
    settings::trim,
    wire::operations,
};

/// What controls are written with where that is not said.
const DEFAULT_SOURCE: &str = "ui";

/// The routes.
pub(super) fn routes() -> Router<App> {
    at("/api/sessions/{id}/session-controls", get(read).post(write))
        .merge(at("/api/sessions/{id}/approval-policy", post(write_policy)))
}

/// An approval policy.
pub(super) fn approval_policy(
    fields: &mut Fields<'_>,
    presence: Presence,
) -> Option<ApprovalPolicy> {
    one_of(fields, "approvalPolicy", presence, &APPROVAL_POLICIES, approval_word)
}

/// A network access.
pub(super) fn network_access(fields: &mut Fields<'_>, presence: Presence) -> Option<NetworkAccess> {
    one_of(fields, "networkAccess", presence, &NETWORK_ACCESSES, network_word)
}

/// A sandbox.
pub(super) fn filesystem_sandbox(
    fields: &mut Fields<'_>,
    presence: Presence,
) -> Option<FilesystemSandbox> {
    one_of(fields, "filesystemSandbox", presence, &SANDBOXES, sandbox_word)
}

fn one_of<T: Copy>(
    fields: &mut Fields<'_>,
    name: &'static str,
    presence: Presence,
    all: &[T],
    word: impl Fn(T) -> &'static str,
) -> Option<T> {
    let words: Vec<_> = all.iter().map(|one| word(*one)).collect();
    let found = fields.word(name, presence, &words)?;
    all.iter().copied().find(|one| word(*one) == found)
}

/// The controls that a body chooses, which may be none.
pub(super) fn chosen(fields: &mut Fields<'_>) -> Controls {
    // A blank one is none.
    let model = fields.string("model", Presence::Optional, Length::from(1)).map(trim);
    Controls {
        model: model.filter(|model| !model.is_empty()).map(ToOwned::to_owned),
        approval_policy: approval_policy(fields, Presence::Optional).unwrap_or_default(),
        network: network_access(fields, Presence::Optional).unwrap_or_default(),
        sandbox: filesystem_sandbox(fields, Presence::Optional).unwrap_or_default(),
    }
}

/// Controls and settings as the contract writes them: always with all five
/// members.
pub(super) fn tuple(scoped: &ScopedControls) -> String {
    let controls = scoped.controls.as_ref().map(Controls::from).unwrap_or_default();
    let Controls { model, approval_policy, network, sandbox } = controls;
    Object::new()
        .with("model", model)
        .with("approvalPolicy", approval_word(approval_policy))
        .with("networkAccess", network_word(network))
        .with("filesystemSandbox", sandbox_word(sandbox))
        .with_text("settings", &scoped.settings_json)
        .into_text()
}

async fn read(call: Call) -> Result<Answer, Failure> {
    let answered = get_controls(&call).await?;
    let etag = answered.session.as_ref().map(|session| session.etag.clone()).unwrap_or_default();
    let body = Object::status("ok").with("sessionId", call.session());
    Ok(Answer::ok(with_controls(body, answered)).etag(etag))
}

async fn get_controls(call: &Call) -> Result<proto::GetControlsResponse, Error> {
    let request = proto::GetControlsRequest { session_id: call.session_id()?.to_string() };
    operations::get_controls(&call.app, &CALLER, request).await
}

/// What all bodies end with that show controls.
fn with_controls(body: Object, shown: proto::GetControlsResponse) -> Object {
    let proto::GetControlsResponse { session, defaults, defaults_editable, default_lock_reason } =
        shown;
    let reason = (!default_lock_reason.is_empty()).then_some(default_lock_reason);
    body.with_text("controls", &tuple(&session.unwrap_or_default()))
        .with_text("defaults", &tuple(&defaults.unwrap_or_default()))
        .with("defaultsEditable", defaults_editable)
        .with("defaultLockReason", reason)
}

async fn write(call: Call) -> Result<Answer, Failure> {
    let (request, scope) = match parse(&call) {
        Ok(parsed) => parsed,
        Err(failure) => return Err(refused(&call, failure).await),
    };
    // Defaults that nobody ever chose are chosen by the first write of them, also
    // where they are written as they are shown; to the contract those are equal.
    let shown_before = match scope {
        Scope::Default => get_controls(&call).await.ok().and_then(|shown| shown.defaults),
        Scope::Session | Scope::Unspecified => None,
    };
    let answered = match operations::apply_controls(&call.app, &CALLER, request).await {
        Ok(answered) => answered,
        Err(Error::DefaultsLocked { .. }) => {
            let body = locked().with("sessionId", call.session());
            return Err(Failure::Locked(with_controls(body, get_controls(&call).await?)));
        }
        Err(error) => return Err(of_json(error.into())),
    };
    let proto::ApplyControlsResponse {
        outcome,
        scope: _,
        applied,
        summary,
        session,
        defaults,
        defaults_editable,
        default_lock_reason,
        audit_seq: _,
    } = answered;
    let applied = applied.unwrap_or_default();
    let is_as_shown = shown_before.is_some_and(|before| tuple(&before) == tuple(&applied));
    let outcome = if is_as_shown { proto::Outcome::Unchanged } else { parsed(outcome) };
    let body = Object::status(outcome_word(outcome))
        .with("scope", scope_word(scope))
        .with_text("applied", &tuple(&applied))
        .with("summary", summary)
        .with("sessionId", call.session());
    let shown =
        proto::GetControlsResponse { session, defaults, defaults_editable, default_lock_reason };
    Ok(Answer::ok(with_controls(body, shown)).etag(applied.etag))
}

fn parse(call: &Call) -> Result<(proto::ApplyControlsRequest, Scope), Failure> {
    let mut fields = call.fields();
    let scope = scope_of(fields.word("scope", Presence::Required, SCOPES));
    let given = fields.object("controls", Presence::Required, |controls| {
        let model = controls.trimmed("model", Presence::Nullable, Length::from(1));
        let approval_policy = approval_policy(controls, Presence::Required);
        let network = network_access(controls, Presence::Required);
        let sandbox = filesystem_sandbox(controls, Presence::Required);
        let all = Controls {
            model: model.map(ToOwned::to_owned),
            approval_policy: approval_policy.unwrap_or_default(),
            network: network.unwrap_or_default(),
            sandbox: sandbox.unwrap_or_default(),
        };
        (all, controls.map("settings", Presence::Optional))
    });
    let (actor, source) = origin(&mut fields);
    fields.finish()?;
    let (controls, settings) = given.unwrap_or_default();
    let request = proto::ApplyControlsRequest {
        session_id: call.session_id()?.to_string(),
        scope: scope.into(),
        controls: Some((&controls).into()),
        settings_json: settings.map(|settings| settings.to_string()),
        actor,
        source: if source.is_empty() { DEFAULT_SOURCE.to_owned() } else { source },
        etag: call.if_match()?,
        request_id: String::new(),
    };
    Ok((request, scope))
}

async fn write_policy(call: Call) -> Result<Answer, Failure> {
    let (request, policy) = match parse_policy(&call) {
        Ok(parsed) => parsed,
        Err(failure) => return Err(refused(&call, failure).await),
    };
    let answered = operations::override_controls(&call.app, &CALLER, request).await?;
    let body = Object::status("ok")
        .with("sessionId", call.session())
        .with("approvalPolicy", Json::from(approval_word(policy)));
    Ok(Answer::ok(body).etag(answered.applied.unwrap_or_default().etag))
}

fn parse_policy(call: &Call) -> Result<(proto::ApplyControlsRequest, ApprovalPolicy), Failure> {
    let mut fields = call.fields();
    let policy = approval_policy(&mut fields, Presence::Required).unwrap_or_default();
    fields.finish()?;
    let chosen = Controls { approval_policy: policy, ..Controls::default() };
    let request = proto::ApplyControlsRequest {
        session_id: call.session_id()?.to_string(),
        scope: Scope::Session.into(),
        controls: Some((&chosen).into()),
        etag: call.if_match()?,
        ..proto::ApplyControlsRequest::default()
    };
    Ok((request, policy))
}
