//! `SessionService`: turns start and stop, and sessions go.

use std::time::Duration;

use super::{
    Caller,
    fields::{parse_duration, parse_id, parse_paths, parse_states},
    once,
};
use crate::{
    Result, agent,
    app::{App, Cleanup},
    proto,
};

/// How old sessions are by default when they are cleaned up.
const DEFAULT_AGE: Duration = Duration::from_secs(7 * 24 * 3600);
const MAX_AGE: Duration = Duration::from_secs(100 * 366 * 24 * 3600);

/// Starts a session's next turn.
///
/// # Errors
///
/// As `StartTurn` of the contract lists.
pub(crate) async fn start_turn(
    app: &App,
    _caller: &Caller,
    mut request: proto::StartTurnRequest,
) -> Result<proto::StartTurnResponse> {
    let once = once(&mut request, |request| &mut request.request_id);
    let proto::StartTurnRequest { session_id, prompt, request_id: _, images } = request;
    let id = parse_id("session_id", &session_id)?;
    let prompt = agent::Prompt { text: prompt, images: parse_paths(images), effort: None };
    let session = app.start_turn(id, prompt, once).await?;
    Ok(proto::StartTurnResponse { session: Some(session) })
}

/// Asks the running turn to stop.
///
/// # Errors
///
/// As `InterruptTurn` of the contract lists.
pub(crate) async fn interrupt_turn(
    app: &App,
    caller: &Caller,
    mut request: proto::InterruptTurnRequest,
) -> Result<proto::InterruptTurnResponse> {
    let once = once(&mut request, |request| &mut request.request_id);
    let id = parse_id("session_id", &request.session_id)?;
    let session = app.interrupt_turn(id, caller.transport.as_str().to_owned(), once).await?;
    Ok(proto::InterruptTurnResponse { session: Some(session) })
}

/// Ends the running turn.
///
/// # Errors
///
/// As `KillSession` of the contract lists.
pub(crate) async fn kill_session(
    app: &App,
    caller: &Caller,
    mut request: proto::KillSessionRequest,
) -> Result<proto::KillSessionResponse> {
    let once = once(&mut request, |request| &mut request.request_id);
    let id = parse_id("session_id", &request.session_id)?;
    let session = app.kill_session(id, caller.transport.as_str().to_owned(), once).await?;
    Ok(proto::KillSessionResponse { session: Some(session) })
}

/// Deletes a session.
///
/// # Errors
///
/// As `DeleteSession` of the contract lists.
pub(crate) async fn delete_session(
    app: &App,
    caller: &Caller,
    mut request: proto::DeleteSessionRequest,
) -> Result<proto::DeleteSessionResponse> {
    let once = once(&mut request, |request| &mut request.request_id);
    let proto::DeleteSessionRequest { session_id, etag, request_id: _ } = request;
    let id = parse_id("session_id", &session_id)?;
    let session = app.delete_session(id, etag, caller.transport.as_str().to_owned(), once).await?;
    Ok(proto::DeleteSessionResponse { session: Some(session) })
}

/// Deletes sessions at rest.
///
/// # Errors
///
/// As `CleanupSessions` of the contract lists.
pub(crate) async fn cleanup_sessions(
    app: &App,
    _caller: &Caller,
    mut request: proto::CleanupSessionsRequest,
) -> Result<proto::CleanupSessionsResponse> {
    let once = once(&mut request, |request| &mut request.request_id);
    let proto::CleanupSessionsRequest {
        older_than,
        dry_run,
        states,
        request_id: _,
        include_system_owned,
    } = request;
    let older_than = parse_duration("older_than", older_than, Duration::ZERO, MAX_AGE)?;
    let cleanup = Cleanup {
        older_than: older_than.unwrap_or(DEFAULT_AGE),
        states: parse_states("states", &states)?,
        dry_run,
        include_system_owned,
    };
    app.cleanup_sessions(cleanup, once).await
}
