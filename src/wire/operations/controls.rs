//! `ControlsService`: what agents may do.

use super::{
    Caller,
    fields::{parse_enum, parse_id, trimmed_model},
    once,
    settings::{Unsaid, audit_seq, outcome, parse_origin, parse_scope, session_first},
};
use crate::{
    Error, Result,
    app::{App, NewWrite, Read, check_model},
    controls::{Controls, Edit, LOCK_REASON, Policy, State, chosen},
    proto,
    session::once::Once,
    settings::Settings,
};

/// Reads controls.
///
/// # Errors
///
/// As `GetControls` of the contract lists.
pub(crate) async fn get_controls(
    app: &App,
    _caller: &Caller,
    request: proto::GetControlsRequest,
) -> Result<proto::GetControlsResponse> {
    let session = match request.session_id.as_str() {
        "" => None,
        text => Some(parse_id("session_id", text)?),
    };
    let Read { session, defaults } = app.controls(session).await?;
    let policy = app.policy();
    Ok(proto::GetControlsResponse {
        session: session.as_ref().map(|state| scoped(state, policy)),
        defaults: Some(scoped(&defaults, policy)),
        defaults_editable: !policy.lock_defaults,
        default_lock_reason: lock_reason(policy),
    })
}

/// Writes controls.
///
/// # Errors
///
/// As `ApplyControls` of the contract lists.
pub(crate) async fn apply_controls(
    app: &App,
    caller: &Caller,
    mut request: proto::ApplyControlsRequest,
) -> Result<proto::ApplyControlsResponse> {
    let once = once(&mut request, |request| &mut request.request_id);
    let proto::ApplyControlsRequest {
        session_id,
        scope,
        controls,
        settings_json,
        actor,
        source,
        etag,
        request_id: _,
    } = request;
    let parse = || -> Result<_> {
        let scope = parse_scope(&session_id, scope, Unsaid::IsRefused)?;
        let controls = parse_controls(controls.unwrap_or_default())?;
        let settings = settings_json.map(|text| Settings::parse_new("settings_json", &text));
        let edit = Edit::Apply(controls, settings.transpose()?);
        Ok((scope, edit, parse_origin(actor, source, caller)?))
    };
    let ((scope, session), edit, origin) = session_first(app, &session_id, parse()).await?;
    let write = NewWrite { scope, session, edit, etag, origin };
    applied(app, "ApplyControls", write, once).await
}

/// Writes the controls that are chosen, and leaves the others: what comes with a
/// message, or the approval policy alone. No method of the contract in `proto/`
/// does so; the settings of such a request, and its id, are not looked at.
///
/// # Errors
///
/// As those of `ApplyControls`.
pub(crate) async fn override_controls(
    app: &App,
    caller: &Caller,
    request: proto::ApplyControlsRequest,
) -> Result<proto::ApplyControlsResponse> {
    let proto::ApplyControlsRequest {
        session_id,
        scope,
        controls,
        settings_json: _,
        actor,
        source,
        etag,
        request_id: _,
    } = request;
    let parse = || -> Result<_> {
        let scope = parse_scope(&session_id, scope, Unsaid::IsRefused)?;
        let edit = Edit::Override(parse_chosen(controls.unwrap_or_default())?);
        Ok((scope, edit, parse_origin(actor, source, caller)?))
    };
    let ((scope, session), edit, origin) = session_first(app, &session_id, parse()).await?;
    let write = NewWrite { scope, session, edit, etag, origin };
    applied(app, "OverrideControls", write, Once::default()).await
}

async fn applied(
    app: &App,
    method: &'static str,
    write: NewWrite,
    once: Once,
) -> Result<proto::ApplyControlsResponse> {
    let scope = write.scope;
    let policy = app.policy();
    let written = app.write_controls(method, write, once).await?;
    Ok(proto::ApplyControlsResponse {
        outcome: outcome(&written).into(),
        scope: proto::Scope::from(scope).into(),
        applied: Some(scoped(&written.state, policy)),
        summary: written.state.summary(&policy.shown()),
        session: written.controls.session.as_ref().map(|state| scoped(state, policy)),
        defaults: Some(scoped(&written.controls.defaults, policy)),
        defaults_editable: !policy.lock_defaults,
        default_lock_reason: lock_reason(policy),
        audit_seq: audit_seq(&written),
    })
}

/// Controls of which all must be chosen.
fn parse_controls(controls: proto::Controls) -> Result<Controls> {
    let proto::Controls { model, approval_policy, network_access, filesystem_sandbox } = controls;
    Ok(Controls {
        approval_policy: required("controls.approval_policy", approval_policy)?,
        network: required("controls.network_access", network_access)?,
        sandbox: required("controls.filesystem_sandbox", filesystem_sandbox)?,
        model: parse_model(model)?,
    })
}

/// Controls of which some may be chosen.
fn parse_chosen(controls: proto::Controls) -> Result<Controls> {
    let proto::Controls { model, approval_policy, network_access, filesystem_sandbox } = controls;
    Ok(Controls {
        approval_policy: parse_enum("controls.approval_policy", approval_policy)?,
        network: parse_enum("controls.network_access", network_access)?,
        sandbox: parse_enum("controls.filesystem_sandbox", filesystem_sandbox)?,
        model: parse_model(model)?,
    })
}

fn parse_model(model: String) -> Result<Option<String>> {
    let model = trimmed_model(&model);
    check_model("controls.model", model.as_deref())?;
    Ok(model)
}

fn required<E: TryFrom<i32> + Default + PartialEq>(field: &'static str, number: i32) -> Result<E> {
    let problem = "is required; all controls are written at once";
    chosen(parse_enum(field, number)?).ok_or_else(|| Error::invalid(field, problem))
}

/// A state as it is shown.
pub(crate) fn scoped(state: &State, policy: &Policy) -> proto::ScopedControls {
    proto::ScopedControls {
        controls: Some((&state.controls.over(&policy.shown())).into()),
        settings_json: state.settings.as_text().to_owned(),
        etag: state.etag(),
    }
}

fn lock_reason(policy: &Policy) -> String {
    if policy.lock_defaults { LOCK_REASON.to_owned() } else { String::new() }
}
