//! Turns: begun by messages, interrupted; and what this server's agents cannot do.

use axum::{
    Router,
    routing::{get, post},
};

use super::{
    CALLER,
    answer::{Answer, Object},
    at,
    call::Call,
    check::{Length, Presence},
    controls::chosen,
    error::Failure,
    sessions::{Missing, accepted, checked, nothing, nothing_twice, tools},
    thread::turn_id,
};
use crate::{
    Error,
    agent::{Effort, Prompt},
    app::App,
    controls::Controls,
    proto,
    wire::operations::{self, Transport},
};

/// The routes.
pub(super) fn routes() -> Router<App> {
    let of = |tail: &str| format!("/api/sessions/{{id}}{tail}");
    let router = at(&of("/messages"), post(send)).merge(at(&of("/interrupt"), post(interrupt)));
    let lists = ["/approvals", "/tool-input", "/tool-calls"];
    let router =
        lists.iter().fold(router, |router, list| router.merge(at(&of(list), get(list_nothing))));
    let router = UNSUPPORTED
        .iter()
        .fold(router, |router, what| router.merge(at(&of(what), post(unsupported))));
    [
        "/api/approvals/{id}/decision",
        "/api/tool-input/{id}/decision",
        "/api/tool-calls/{id}/response",
    ]
    .iter()
    .fold(router, |router, path| router.merge(at(path, post(undecided))))
}

/// What an agent that runs one turn at a time, and asks nobody, has no part in.
const UNSUPPORTED: &[&str] = &[
    "/compact",
    "/rollback",
    "/review",
    "/turns/{turn}/steer",
    "/background-terminals/clean",
    "/suggested-request",
    "/suggested-request/jobs",
    "/suggested-request/upsert",
];

/// What a message asks for.
struct Message {
    prompt: Prompt,
    controls: Controls,
}

async fn send(call: Call) -> Result<Answer, Failure> {
    let (id, Message { prompt, controls }) = checked(&call, Missing::First, parse(&call)).await?;
    // Before its controls are changed for a turn that cannot be.
    call.app.check_turn(id, &prompt).await?;
    if controls != Controls::default() {
        let request = proto::ApplyControlsRequest {
            session_id: id.to_string(),
            scope: proto::Scope::Session.into(),
            controls: Some((&controls).into()),
            ..proto::ApplyControlsRequest::default()
        };
        operations::override_controls(&call.app, &CALLER, request).await?;
    }
    let session = call.app.start_turn(id, prompt, nothing_twice()).await?;
    let body = Object::status("accepted")
        .with("sessionId", call.session())
        .with("turnId", turn_id(id, session.turn_count));
    Ok(accepted(body))
}

fn parse(call: &Call) -> Result<Message, Failure> {
    let mut fields = call.fields();
    let text = fields.trimmed("text", Presence::Required, Length::from(1));
    let efforts = Effort::ALL.map(Effort::as_str);
    let effort = fields.word("effort", Presence::Optional, &efforts);
    let controls = chosen(&mut fields);
    tools(&mut fields);
    fields.finish()?;
    let effort = effort.and_then(|word| Effort::ALL.into_iter().find(|it| it.as_str() == word));
    let prompt = Prompt { effort, ..Prompt::from(text.unwrap_or_default()) };
    Ok(Message { prompt, controls })
}

async fn interrupt(call: Call) -> Result<Answer, Failure> {
    let mut fields = call.optional_fields();
    let turn = fields.trimmed("turnId", Presence::Optional, Length::from(1));
    let parsed = fields.finish().map(|()| turn);
    let (id, turn) = checked(&call, Missing::AfterBody, parsed).await?;
    let session = call.app.session(id).await?;
    let active = turn_id(id, session.turn_count());
    if !session.is_active() || turn.is_some_and(|turn| turn != active) {
        return Err(Error::NoActiveTurn { id, state: session.state() }.into());
    }
    let actor = Transport::Contract.as_str().to_owned();
    call.app.interrupt_turn(id, actor, nothing_twice()).await?;
    let body = Object::status("ok").with("sessionId", call.session()).with("turnId", active);
    Ok(Answer::ok(body))
}

/// Agents of this server ask nobody, and call no tools of clients.
async fn list_nothing(call: Call) -> Result<Answer, Failure> {
    checked(&call, Missing::First, Ok(())).await?;
    Ok(Answer::ok(nothing()))
}

async fn unsupported(call: Call) -> Result<Answer, Failure> {
    checked(&call, Missing::First, Ok(())).await?;
    Err(unimplemented(&call))
}

async fn undecided(call: Call) -> Result<Answer, Failure> {
    Err(unimplemented(&call))
}

fn unimplemented(call: &Call) -> Failure {
    Error::Unimplemented { what: call.path().to_owned() }.into()
}
