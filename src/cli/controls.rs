//! `switchboard controls …`: what agents may do.

use super::{
    Context, Failure,
    args::{ApplyControlsArgs, ControlsChange, ControlsCommand, GetControlsArgs},
    connect::{Connector, Server},
    embedded::print,
    render::text::one_line,
    retry,
    scope::{Attempts, Scoped, named, positionals},
    settings::value,
};
use crate::{
    controls::{approval_word, network_word, sandbox_word},
    json::Json,
    proto::{
        ApplyControlsRequest, ApplyControlsResponse, Controls, GetControlsRequest,
        GetControlsResponse, Outcome, Scope, ScopedControls,
    },
    settings::Settings,
};

/// What is shown for no model.
const AGENTS_OWN: &str = "the agent's own default";

pub(super) async fn controls(cx: &Context, command: ControlsCommand) -> Result<(), Failure> {
    match command {
        ControlsCommand::Get(args) => get(cx, args).await,
        ControlsCommand::Apply(args) => apply(cx, args).await,
    }
}

async fn get(cx: &Context, args: GetControlsArgs) -> Result<(), Failure> {
    let GetControlsArgs { session, scope } = args;
    let (session, []) = positionals(scope.scope, session, [])?;
    let server = Connector::new(cx)?.connect().await?;
    let scoped = Scoped::resolve(cx, &server, scope.scope, session.as_deref()).await?;
    let answer = read(cx, &server, &scoped.session_id).await?;
    if cx.output.json {
        let editable = answer.defaults_editable;
        return print(cx, &answer, [("defaultsEditable", editable.into())]);
    }
    let mut lines = lines(of(&answer, &scoped)?);
    if scoped.scope == Scope::Default {
        lines.push(("writable", writable(&answer)));
    }
    cx.output.print(&shown(lines))
}

/// Reads the controls of a session and of new ones.
///
/// # Errors
/// The server's answer, and [`Failure::Unreachable`] when it stays away.
async fn read(
    cx: &Context,
    server: &Server,
    session_id: &str,
) -> Result<GetControlsResponse, Failure> {
    let attempt = |server: Server| {
        let request = GetControlsRequest { session_id: session_id.to_owned() };
        async move { server.controls().get_controls(request).await }
    };
    retry::call(server, cx.output, attempt).await
}

fn of<'a>(answer: &'a GetControlsResponse, scoped: &Scoped) -> Result<&'a ScopedControls, Failure> {
    let wanted = match scoped.scope {
        Scope::Default => answer.defaults.as_ref(),
        Scope::Session | Scope::Unspecified => answer.session.as_ref(),
    };
    wanted.ok_or_else(|| Failure::Failed("the server's answer holds no controls".into()))
}

async fn apply(cx: &Context, args: ApplyControlsArgs) -> Result<(), Failure> {
    let ApplyControlsArgs { session, change, scope, writer } = args;
    let (session, []) = positionals(scope.scope, session, [])?;
    let named = named(session.as_deref(), &writer)?;
    let settings = change.settings.as_deref().map(value::map).transpose()?;
    let server = Connector::new(cx)?.connect().await?;
    let scoped = Scoped::resolve(cx, &server, scope.scope, named).await?;
    let mut attempts = Attempts::new(&writer);
    let answer = loop {
        let read = read(cx, &server, &scoped.session_id).await?;
        let ScopedControls { controls, settings_json: _, etag } = of(&read, &scoped)?.clone();
        let request = ApplyControlsRequest {
            session_id: scoped.session_id.clone(),
            scope: scoped.scope.into(),
            controls: Some(changed(controls.unwrap_or_default(), &change)),
            settings_json: settings.as_ref().map(Json::to_string),
            actor: writer.actor.clone().unwrap_or_default(),
            source: writer.source.clone(),
            etag: attempts.etag(etag),
            ..ApplyControlsRequest::default()
        };
        let outcome = retry::change(&server, cx.output, request).await;
        if let Some(answer) = attempts.made(outcome).await? {
            break answer;
        }
    };
    if cx.output.json {
        let editable = answer.defaults_editable;
        return print(cx, &answer, [("defaultsEditable", editable.into())]);
    }
    cx.output.line(&format!("{}  {}", scoped.whose(), said(&answer)))
}

/// The controls with what was given in the place of what there was.
fn changed(controls: Controls, change: &ControlsChange) -> Controls {
    let ControlsChange {
        model,
        no_model,
        approval_policy,
        network_access,
        filesystem_sandbox,
        settings: _,
    } = change;
    let mut controls = controls;
    if *no_model {
        controls.model.clear();
    }
    if let Some(model) = model {
        controls.model.clone_from(model);
    }
    if let Some(policy) = approval_policy {
        controls.set_approval_policy((*policy).into());
    }
    if let Some(access) = network_access {
        controls.set_network_access((*access).into());
    }
    if let Some(sandbox) = filesystem_sandbox {
        controls.set_filesystem_sandbox((*sandbox).into());
    }
    controls
}

fn said(answer: &ApplyControlsResponse) -> String {
    let summary = one_line(&answer.summary, 400);
    match answer.outcome() {
        Outcome::Unchanged => format!("{summary}, as before"),
        Outcome::Ok | Outcome::Unspecified => {
            format!("{summary}  (audit entry {})", answer.audit_seq)
        }
    }
}

/// Controls and the number of settings on one line, as entries of the audit have
/// them.
pub(super) fn summary(scoped: &ScopedControls) -> String {
    let words = lines(scoped).into_iter().filter(|(name, _)| *name != "etag");
    let words = words.map(|(name, value)| match name {
        "model" if value == AGENTS_OWN => "default".to_owned(),
        "settings" => format!("settings:{value}"),
        _ => value,
    });
    words.collect::<Vec<_>>().join(" | ")
}

/// Controls as lines of name and value.
pub(super) fn lines(scoped: &ScopedControls) -> Vec<(&'static str, String)> {
    let controls = scoped.controls.clone().unwrap_or_default();
    let count = Settings::parse("settings", &scoped.settings_json).map_or(0, |map| map.len());
    let model = match controls.model.as_str() {
        "" => AGENTS_OWN,
        model => model,
    };
    vec![
        ("model", model.to_owned()),
        ("approval policy", approval_word(controls.approval_policy()).to_owned()),
        ("network access", network_word(controls.network_access()).to_owned()),
        ("filesystem sandbox", sandbox_word(controls.filesystem_sandbox()).to_owned()),
        ("settings", count.to_string()),
        ("etag", scoped.etag.clone()),
    ]
}

fn writable(answer: &GetControlsResponse) -> String {
    if answer.defaults_editable {
        "yes".to_owned()
    } else {
        format!("no: {}", answer.default_lock_reason)
    }
}

/// Lines of name and value; empty values are left out.
pub(super) fn shown(lines: Vec<(&'static str, String)>) -> String {
    let lines = lines.into_iter().filter(|(_, value)| !value.is_empty());
    lines.map(|(name, value)| format!("{name:<19} {}\n", one_line(&value, 400))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        cli::options::Network,
        proto::{ApprovalPolicy, FilesystemSandbox, NetworkAccess},
    };

    fn controls() -> Controls {
        Controls {
            model: "m".to_owned(),
            approval_policy: ApprovalPolicy::Untrusted.into(),
            network_access: NetworkAccess::Restricted.into(),
            filesystem_sandbox: FilesystemSandbox::ReadOnly.into(),
        }
    }

    fn nothing() -> ControlsChange {
        ControlsChange {
            model: None,
            no_model: false,
            approval_policy: None,
            network_access: None,
            filesystem_sandbox: None,
            settings: None,
        }
    }

    #[test]
    fn what_is_not_given_stays() {
        assert_eq!(changed(controls(), &nothing()), controls());
        let change =
            ControlsChange { no_model: true, network_access: Some(Network::Enabled), ..nothing() };
        let expected = Controls {
            model: String::new(),
            network_access: NetworkAccess::Enabled.into(),
            ..controls()
        };
        assert_eq!(changed(controls(), &change), expected);
    }

    #[test]
    fn controls_are_shown_as_words() {
        let scoped = ScopedControls {
            controls: Some(Controls { model: String::new(), ..controls() }),
            settings_json: "{\"a\":1}".to_owned(),
            etag: String::new(),
        };
        assert_eq!(
            shown(lines(&scoped)),
            "model               the agent's own default\n\
             approval policy     untrusted\n\
             network access      restricted\n\
             filesystem sandbox  read-only\n\
             settings            1\n"
        );
        assert_eq!(summary(&scoped), "default | untrusted | restricted | read-only | settings:1");
    }
}
