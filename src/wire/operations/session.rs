//! `SessionService`: sessions begin, are read and changed, and are waited for.

use std::{path::PathBuf, time::Duration};

use super::{
    Caller,
    fields::{parse_duration, parse_enum, parse_id, parse_paths, parse_states, trimmed_model},
    once,
};
use crate::{
    Error, Result, agent,
    app::{App, NewFork, NewLock, NewSession},
    controls::Controls,
    proto,
    session::actor::Update,
};

const MAX_WAIT: Duration = Duration::from_secs(24 * 3600);

/// Makes a session and, with a prompt, starts its first turn.
///
/// # Errors
///
/// As `CreateSession` of the contract lists.
pub(crate) async fn create_session(
    app: &App,
    _caller: &Caller,
    mut request: proto::CreateSessionRequest,
) -> Result<proto::CreateSessionResponse> {
    let once = once(&mut request, |request| &mut request.request_id);
    let session = app.create_session(parse_new(request)?, once).await?;
    Ok(proto::CreateSessionResponse { session: Some(session) })
}

/// Makes a session that begins with the history of another.
///
/// # Errors
///
/// As `ForkSession` of the contract lists.
pub(crate) async fn fork_session(
    app: &App,
    _caller: &Caller,
    mut request: proto::ForkSessionRequest,
) -> Result<proto::ForkSessionResponse> {
    let once = once(&mut request, |request| &mut request.request_id);
    let session = app.fork_session(parse_fork(request)?, once).await?;
    Ok(proto::ForkSessionResponse { session: Some(session) })
}

/// Reads one session, found by the first characters of its id.
///
/// # Errors
///
/// As `GetSession` of the contract lists.
pub(crate) async fn get_session(
    app: &App,
    _caller: &Caller,
    request: proto::GetSessionRequest,
) -> Result<proto::GetSessionResponse> {
    let proto::GetSessionRequest { session_id } = request;
    let session = app.resolve(&session_id).await?;
    let disk_bytes = app.disk_bytes(session.id).await?;
    Ok(proto::GetSessionResponse { session: Some((&session).into()), disk_bytes })
}

/// Changes what a client may change of a session.
///
/// # Errors
///
/// As `UpdateSession` of the contract lists.
pub(crate) async fn update_session(
    app: &App,
    _caller: &Caller,
    mut request: proto::UpdateSessionRequest,
) -> Result<proto::UpdateSessionResponse> {
    let once = once(&mut request, |request| &mut request.request_id);
    let proto::UpdateSessionRequest { session_id, session, update_mask, etag, request_id: _ } =
        request;
    let id = parse_id("session_id", &session_id)?;
    let change = parse_update(session.unwrap_or_default(), update_mask.unwrap_or_default())?;
    let session = app.update_session(id, change, etag, once).await?;
    Ok(proto::UpdateSessionResponse { session: Some(session) })
}

/// Waits until a session is in one of some states.
///
/// # Errors
///
/// As `WaitSession` of the contract lists.
pub(crate) async fn wait_session(
    app: &App,
    _caller: &Caller,
    request: proto::WaitSessionRequest,
) -> Result<proto::WaitSessionResponse> {
    let proto::WaitSessionRequest { session_id, states, timeout } = request;
    let id = parse_id("session_id", &session_id)?;
    let states = parse_states("states", &states)?;
    let timeout = parse_duration("timeout", timeout, Duration::ZERO, MAX_WAIT)?;
    let (session, reached) = app.wait_session(id, &states, timeout.unwrap_or(MAX_WAIT)).await?;
    Ok(proto::WaitSessionResponse { session: Some((&session).into()), reached })
}

fn parse_new(request: proto::CreateSessionRequest) -> Result<NewSession> {
    let proto::CreateSessionRequest {
        session,
        session_id,
        prompt,
        request_id: _,
        images,
        config_lock,
        allow_codex_version_mismatch: any_version,
    } = request;
    let lock = parse_lock(config_lock, any_version)?;
    let session = session.unwrap_or_default();
    if session.working_directory.is_empty() && lock.is_none() {
        return Err(Error::invalid(
            "session.working_directory",
            "is empty; give the absolute path of the directory to work in",
        ));
    }
    let prompt = parse_prompt(prompt, images)?;
    Ok(NewSession { lock, ..parse_session(session, "session_id", &session_id, prompt)? })
}

fn parse_fork(request: proto::ForkSessionRequest) -> Result<NewFork> {
    let proto::ForkSessionRequest {
        session_id,
        session,
        new_session_id,
        prompt,
        request_id: _,
        images,
    } = request;
    let session = session.unwrap_or_default();
    if !session.agent.is_empty() {
        return Err(Error::invalid("session.agent", "a fork has the agent of its session"));
    }
    let of = parse_id("session_id", &session_id)?;
    let prompt = parse_prompt(prompt, images)?;
    Ok(NewFork { of, new: parse_session(session, "new_session_id", &new_session_id, prompt)? })
}

/// The config lock that a client gives; none where there is no text.
pub(super) fn parse_lock(text: String, any_version: bool) -> Result<Option<NewLock>> {
    match (text.is_empty(), any_version) {
        (true, true) => Err(Error::invalid(
            "allow_codex_version_mismatch",
            "it belongs to a config lock; give one",
        )),
        (true, false) => Ok(None),
        (false, any_version) => Ok(Some(NewLock { text, any_version })),
    }
}

/// The first prompt of a session; none leaves it PENDING.
fn parse_prompt(text: String, images: Vec<String>) -> Result<Option<agent::Prompt>> {
    match (text.is_empty(), images.is_empty()) {
        (true, true) => Ok(None),
        (true, false) => Err(Error::invalid("images", "they belong to a prompt; give one")),
        (false, _) => Ok(Some(agent::Prompt { text, images: parse_paths(images), effort: None })),
    }
}

/// What a client says about a session that shall be.
pub(super) fn parse_session(
    session: proto::Session,
    id_field: &'static str,
    id: &str,
    prompt: Option<agent::Prompt>,
) -> Result<NewSession> {
    let sandbox = parse_enum("session.filesystem_sandbox", session.filesystem_sandbox)?;
    let network = parse_enum("session.network_access", session.network_access)?;
    let approval_policy = parse_enum("session.approval_policy", session.approval_policy)?;
    let given = proto::Session {
        agent: String::new(),
        source: String::new(),
        title: String::new(),
        labels: Default::default(),
        working_directory: String::new(),
        model: String::new(),
        filesystem_sandbox: 0,
        network_access: 0,
        approval_policy: 0,
        codex_options: None,
        system_owned: false,
        persist_session: false,
        ..session.clone()
    };
    if given != proto::Session::default() {
        return Err(Error::invalid(
            "session",
            "a field is set that only the server sets; set agent, source, title, labels, working_directory, model, filesystem_sandbox, network_access, approval_policy, codex_options, system_owned and persist_session, and the session's id beside it",
        ));
    }
    Ok(NewSession {
        id: if id.is_empty() { None } else { Some(parse_id(id_field, id)?) },
        agent: session.agent,
        source: session.source,
        title: session.title,
        labels: session.labels,
        working_directory: PathBuf::from(session.working_directory),
        controls: Controls {
            model: trimmed_model(&session.model),
            approval_policy,
            network,
            sandbox,
        },
        options: session.codex_options.unwrap_or_default(),
        system_owned: session.system_owned,
        lock: None,
        persist: session.persist_session,
        concrete: false,
        prompt,
    })
}

fn parse_update(session: proto::Session, mask: pbjson_types::FieldMask) -> Result<Update> {
    if mask.paths.is_empty() {
        return Err(Error::invalid(
            "update_mask",
            "is empty; name the fields to change: title, labels, archived",
        ));
    }
    let mut change = Update::default();
    for path in mask.paths {
        match path.as_str() {
            "title" => change.title = Some(session.title.clone()),
            "labels" => change.labels = Some(session.labels.clone()),
            "archived" => change.archived = Some(session.archived),
            other => {
                return Err(Error::invalid(
                    "update_mask",
                    format!("{other:?} cannot be changed; expected title, labels or archived"),
                ));
            }
        }
    }
    Ok(change)
}
