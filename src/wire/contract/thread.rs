//! Sessions and their threads as the contract shows them: `session`, and `thread`
//! with its turns, made of what is known of a session and of what was said in it.

use std::time::SystemTime;

use super::{answer::Object, controls::tuple};
use crate::{
    Error,
    app::App,
    controls::approval_word,
    id::{SessionId, TurnNumber},
    json::Json,
    proto::{self, SessionState},
    row::{self, Session},
    wire::operations::scoped,
};

/// The label that holds a session's project.
pub(super) const PROJECT: &str = "project";
/// The title of a session without one.
const UNTITLED: &str = "New chat";
/// The provider of models where none is known.
const PROVIDER: &str = "openai";
/// How many turns are read at once.
const PAGE: u32 = 1_000;

/// A turn as it is shown.
#[derive(Debug)]
pub(super) struct ShownTurn {
    /// Its number.
    pub number: TurnNumber,
    /// What it does, or how it ended.
    pub state: SessionState,
    /// The ids and types of its items.
    pub items: Vec<(String, String)>,
}

/// The id of a turn.
pub(super) fn turn_id(session: SessionId, number: u32) -> String {
    format!("{session}:{number}")
}

/// A title as it is shown.
pub(super) fn title(title: &str) -> &str {
    if title.is_empty() { UNTITLED } else { title }
}

/// The word for a turn's state.
pub(super) fn turn_word(state: SessionState) -> &'static str {
    match state {
        SessionState::Unspecified
        | SessionState::Pending
        | SessionState::Queued
        | SessionState::Running
        | SessionState::Stopping => "inProgress",
        SessionState::Completed => "completed",
        SessionState::Failed => "failed",
        SessionState::Interrupted | SessionState::Killed => "interrupted",
    }
}

/// The member `session`.
///
/// # Errors
///
/// SESSION_NOT_FOUND, SESSION_DELETED.
pub(super) async fn session(app: &App, session: &Session) -> Result<String, Error> {
    let state = app.state(session.id).await?;
    let policy = approval_word(state.controls.over(&app.policy().shown()).approval_policy);
    let body = Object::new()
        .with("sessionId", session.id.to_string())
        .with("title", title(&session.title))
        .with("materialized", session.thread_id.is_some())
        .with("modelProvider", provider(session))
        .with("approvalPolicy", policy)
        .with_text("sessionControls", &tuple(&scoped(&state, app.policy())))
        .with("createdAt", seconds(session.create_time))
        .with("updatedAt", seconds(session.update_time))
        .with("cwd", session.working_directory.to_string_lossy().into_owned())
        .with("source", session.source.as_str())
        .with("projectId", session.labels.get(PROJECT).map(String::as_str));
    Ok(body.into_text())
}

/// The member `thread`.
pub(super) fn thread(session: &Session, turns: &[ShownTurn]) -> String {
    let turns = turns.iter().map(|turn| {
        let items = turn.items.iter().map(|(id, kind)| {
            Json::object([("type", Json::from(kind.as_str())), ("id", id.as_str().into())])
        });
        Json::object([
            ("id", Json::from(turn_id(session.id, turn.number.0))),
            ("status", turn_word(turn.state).into()),
            ("items", Json::Array(items.collect())),
        ])
    });
    Object::new()
        .with("id", session.id.to_string())
        .with("preview", session.first_prompt.as_str())
        .with("modelProvider", provider(session))
        .with("createdAt", seconds(session.create_time))
        .with("updatedAt", seconds(session.update_time))
        .with("cwd", session.working_directory.to_string_lossy().into_owned())
        .with("source", session.source.as_str())
        .with("turns", Json::Array(turns.collect()))
        .into_text()
}

/// All turns of a session, without their items.
///
/// # Errors
///
/// SESSION_NOT_FOUND, SESSION_DELETED.
pub(super) async fn turns(app: &App, id: SessionId) -> Result<Vec<ShownTurn>, Error> {
    let mut turns = Vec::new();
    let mut after = TurnNumber(0);
    loop {
        let page = app.turns(id, after, PAGE).await?;
        turns.extend(page.turns.iter().map(shown));
        match page.next_after {
            Some(next) => after = next,
            None => return Ok(turns),
        }
    }
}

fn shown(turn: &proto::Turn) -> ShownTurn {
    ShownTurn { number: TurnNumber(turn.number), state: turn.state(), items: Vec::new() }
}

/// Whether the turn is over.
pub(super) fn is_over(turn: &ShownTurn) -> bool {
    row::is_at_rest(turn.state)
}

/// What the session's own options say of the provider.
fn provider(session: &Session) -> &str {
    let named = session.options.config.get("model_provider").map(String::as_str);
    named.map(|name| name.trim().trim_matches(['"', '\''])).unwrap_or(PROVIDER)
}

fn seconds(time: SystemTime) -> i64 {
    crate::time::timestamp(time).seconds
}

/// Milliseconds since 1970.
pub(super) fn millis(time: SystemTime) -> i64 {
    crate::time::micros(time) / 1_000
}
