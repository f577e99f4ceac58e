//! Sessions: made, listed, read, changed, put aside, deleted.

use std::{collections::BTreeMap, path::Path, time::Duration};

use axum::{
    Router,
    routing::{get, post},
};
use http::StatusCode;

use super::{
    answer::{Answer, Object},
    at,
    call::Call,
    check::{Fields, Length, Presence},
    controls::chosen,
    error::Failure,
    listing, notes, thread, transcript,
};
use crate::{
    Error,
    app::{App, NewFork, NewSession},
    controls::Controls,
    id::SessionId,
    json::Json,
    proto,
    row::Session,
    session::{actor::Update, once::Once},
    wire::operations::Transport,
};

/// The most tools that a client may offer.
const MAX_TOOLS: usize = 128;
/// How often another's change is made way for before that is an error.
const MAX_TRIES: usize = 16;

/// The routes.
pub(super) fn routes() -> Router<App> {
    let of = |tail: &str| format!("/api/sessions/{{id}}{tail}");
    at("/api/sessions", get(listing::list).post(create))
        .merge(at(&of(""), get(read).delete(delete)))
        .merge(at(&of("/rename"), post(rename)))
        .merge(at(&of("/archive"), post(archive)))
        .merge(at(&of("/unarchive"), post(unarchive)))
        .merge(at(&of("/resume"), post(resume)))
        .merge(at(&of("/fork"), post(fork)))
        .merge(at(&of("/project"), post(project)))
        .merge(at(&of("/transcript/upsert"), post(notes::upsert)))
}

/// When it is told that a session is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Missing {
    /// Before what is wrong with the body.
    First,
    /// After it.
    AfterBody,
}

/// What is refused of the session and of the body, in the order of the contract.
///
/// # Errors
///
/// SESSION_DELETED, SYSTEM_SESSION, SESSION_NOT_FOUND; what is wrong with the body.
pub(super) async fn checked<T>(
    call: &Call,
    missing: Missing,
    parsed: Result<T, Failure>,
) -> Result<(SessionId, T), Failure> {
    match call.check_session().await {
        Ok(()) => Ok((call.session_id()?, parsed?)),
        Err(error @ Error::SessionNotFound { .. }) if missing == Missing::AfterBody => {
            parsed?;
            Err(error.into())
        }
        Err(error) => Err(error.into()),
    }
}

/// Tools that a client offers: looked at, and of no use to agents that have their own.
pub(super) fn tools(fields: &mut Fields<'_>) {
    fields.objects("dynamicTools", MAX_TOOLS, |tool| {
        tool.string("name", Presence::Required, Length::from(1));
        tool.string("description", Presence::Required, Length::from(0));
        if tool.any("inputSchema").is_none() {
            tool.map("inputSchema", Presence::Required);
        }
    });
}

async fn create(call: Call) -> Result<Answer, Failure> {
    let mut fields = call.optional_fields();
    let directory = fields.string("cwd", Presence::Optional, Length::from(1));
    let controls = chosen(&mut fields);
    tools(&mut fields);
    fields.finish()?;
    let new = NewSession {
        working_directory: call.app.start_directory().join(directory.unwrap_or_default()),
        ..blank(controls)
    };
    // What is joined to it may be a dot.
    let new = NewSession { working_directory: new.working_directory.components().collect(), ..new };
    let made = call.app.create_session(new, nothing_twice()).await?;
    Ok(Answer::ok(both(&call.app, Object::new(), &made.session_id).await?))
}

/// A session about which nothing is said but its controls.
fn blank(controls: Controls) -> NewSession {
    NewSession {
        id: None,
        agent: String::new(),
        source: String::new(),
        title: String::new(),
        labels: BTreeMap::new(),
        working_directory: Path::new("").to_owned(),
        controls,
        options: proto::CodexOptions::default(),
        system_owned: false,
        lock: None,
        persist: false,
        concrete: true,
        prompt: None,
    }
}

/// These clients name no request, so that none is a twin of another.
pub(super) fn nothing_twice() -> Once {
    Once::new(String::new(), &proto::GetServerInfoRequest {})
}

/// The members `session` and `thread` of a session.
async fn both(app: &App, body: Object, id: &str) -> Result<Object, Failure> {
    let id: SessionId = id.parse().map_err(Error::internal)?;
    let session = app.session(id).await?;
    let turns = thread::turns(app, id).await?;
    Ok(body
        .with_text("session", &thread::session(app, &session).await?)
        .with_text("thread", &thread::thread(&session, &turns)))
}

async fn read(call: Call) -> Result<Answer, Failure> {
    let (app, id) = (&call.app, call.session_id()?);
    // In this order: a turn that is over was told to its end then, and what it said
    // can be read.
    let mut turns = thread::turns(app, id).await?;
    let (session, _) = app.wait_session(id, &[], Duration::ZERO).await?;
    let entries = transcript::read(app, &session, &mut turns).await?;
    let body = Object::new()
        .with_text("session", &thread::session(app, &session).await?)
        .with_text("thread", &thread::thread(&session, &turns))
        .with_text("transcript", &format!("[{}]", entries.join(",")));
    Ok(Answer::ok(body))
}

async fn delete(call: Call) -> Result<Answer, Failure> {
    let id = call.session_id()?;
    match call.check_session().await {
        Ok(()) => {}
        // Whose it was comes first here.
        Err(error @ Error::SessionDeleted { .. }) => {
            let was_systems = call.app.tombstone(id).await?.is_some_and(|gone| gone.system_owned);
            return Err(if was_systems { Error::SystemSession { id } } else { error }.into());
        }
        Err(error) => return Err(error.into()),
    }
    let files = call.app.file_count(id).await?;
    let actor = Transport::Contract.as_str().to_owned();
    let deleted = call.app.delete_session(id, String::new(), actor, nothing_twice()).await?;
    let title = Some(deleted.title).filter(|title| !title.is_empty());
    let body = Object::status("ok")
        .with("sessionId", call.session())
        .with("title", title)
        .with("deletedFileCount", files);
    Ok(Answer::ok(body))
}

async fn rename(call: Call) -> Result<Answer, Failure> {
    let mut fields = call.fields();
    let title = fields.trimmed("title", Presence::Required, Length::between(1, 200));
    let parsed = fields.finish().map(|()| title.unwrap_or_default().to_owned());
    let (id, title) = checked(&call, Missing::AfterBody, parsed).await?;
    update(&call.app, id, Update { title: Some(title), ..Update::default() }).await?;
    let session = call.app.session(id).await?;
    let text = thread::session(&call.app, &session).await?;
    Ok(Answer::ok(Object::status("ok").with_text("session", &text)))
}

async fn update(app: &App, id: SessionId, change: Update) -> Result<(), Error> {
    app.update_session(id, change, String::new(), nothing_twice()).await.map(drop)
}

async fn archive(call: Call) -> Result<Answer, Failure> {
    let (id, ()) = checked(&call, Missing::AfterBody, Ok(())).await?;
    update(&call.app, id, Update { archived: Some(true), ..Update::default() }).await?;
    Ok(Answer::ok(Object::status("ok").with("sessionId", call.session())))
}

async fn unarchive(call: Call) -> Result<Answer, Failure> {
    let (id, ()) = checked(&call, Missing::AfterBody, Ok(())).await?;
    update(&call.app, id, Update { archived: Some(false), ..Update::default() }).await?;
    Ok(Answer::ok(both(&call.app, Object::status("ok"), call.session()).await?))
}

async fn resume(call: Call) -> Result<Answer, Failure> {
    let mut fields = call.optional_fields();
    tools(&mut fields);
    // Here what is wrong with the body comes before all else.
    fields.finish()?;
    checked(&call, Missing::AfterBody, Ok(())).await?;
    Ok(Answer::ok(both(&call.app, Object::new(), call.session()).await?))
}

async fn fork(call: Call) -> Result<Answer, Failure> {
    let mut fields = call.optional_fields();
    tools(&mut fields);
    let (of, ()) = checked(&call, Missing::AfterBody, fields.finish()).await?;
    let source = call.app.session(of).await?;
    if source.thread_id.is_none() && source.forked_from.is_none() {
        let message = format!("session {of} has no thread yet, and so no history to begin with");
        return Err(Failure::State(message));
    }
    let new = NewSession { title: source.title, ..blank(Controls::default()) };
    let made = call.app.fork_session(NewFork { of, new }, nothing_twice()).await?;
    Ok(Answer::ok(both(&call.app, Object::status("ok"), &made.session_id).await?))
}

async fn project(call: Call) -> Result<Answer, Failure> {
    let mut fields = call.fields();
    let project = fields.trimmed("projectId", Presence::Nullable, Length::between(1, 255));
    let parsed = fields.finish().map(|()| project.map(ToOwned::to_owned));
    let (id, project) = checked(&call, Missing::AfterBody, parsed).await?;
    let previous = set_project(&call.app, id, project.as_deref()).await?;
    let body = Object::status("ok")
        .with("sessionId", call.session())
        .with("projectId", project)
        .with("previousProjectId", previous);
    Ok(Answer::ok(body))
}

/// Changes one label, whoever else changes others; gives what it was.
async fn set_project(
    app: &App,
    id: SessionId,
    project: Option<&str>,
) -> Result<Option<String>, Error> {
    let mut tries = 0;
    loop {
        let session: Session = app.session(id).await?;
        let mut labels = session.labels.clone();
        let previous = match project {
            Some(project) => labels.insert(thread::PROJECT.to_owned(), project.to_owned()),
            None => labels.remove(thread::PROJECT),
        };
        let change = Update { labels: Some(labels), ..Update::default() };
        tries += 1;
        match app.update_session(id, change, session.etag(), nothing_twice()).await {
            Ok(_) => return Ok(previous),
            Err(Error::EtagMismatch { .. }) if tries < MAX_TRIES => {}
            Err(error) => return Err(error),
        }
    }
}

/// An answer that was accepted, and is carried out later.
pub(super) fn accepted(body: Object) -> Answer {
    Answer::of(StatusCode::ACCEPTED, body)
}

/// The members of a list of which there are none.
pub(super) fn nothing() -> Object {
    Object::new().with("data", Json::Array(Vec::new()))
}
