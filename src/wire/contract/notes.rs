//! What clients add to transcripts.

use super::{
    answer::{Answer, Object},
    call::Call,
    check::{Length, Presence},
    error::Failure,
    thread::millis,
};
use crate::json::Json;

/// The most characters of what a client names.
const NAME: Length = Length::between(1, 500);

/// Adds an entry, or writes one of the same id anew.
pub(super) async fn upsert(call: Call) -> Result<Answer, Failure> {
    let parsed = parse(&call);
    // Also of those that systems own: it is systems that write there.
    let id = call.session_id()?;
    call.app.session(id).await?;
    let (name, entry) = parsed?;
    call.app.put_note(id, name, entry.clone()).await?;
    let body = Object::status("ok").with("sessionId", call.session());
    Ok(Answer::ok(body.with_text("entry", &entry)))
}

/// The words for roles.
const ROLES: &[&str] = &["user", "assistant", "system"];
/// The words for how entries are.
const STATUSES: &[&str] = &["streaming", "complete", "canceled", "error"];

fn parse(call: &Call) -> Result<(String, String), Failure> {
    let mut fields = call.fields();
    let id = fields.trimmed("messageId", Presence::Required, NAME);
    let turn = fields.trimmed("turnId", Presence::Required, NAME);
    let role = fields.word("role", Presence::Required, ROLES);
    let kind = fields.trimmed("type", Presence::Required, NAME);
    let content = fields.string("content", Presence::Required, Length::from(0));
    let status = fields.word("status", Presence::Required, STATUSES);
    let details = match fields.any("details") {
        Some(Json::Null) => None,
        _ => fields.string("details", Presence::Optional, Length::from(0)),
    };
    let started = fields.whole_number("startedAt");
    let completed = fields.whole_number("completedAt");
    fields.finish()?;
    let now = millis(crate::time::now());
    let started = started.unwrap_or(now);
    let id = id.unwrap_or_default();
    let entry = Object::new()
        .with("messageId", id)
        .with("turnId", turn)
        .with("role", role)
        .with("type", kind)
        .with("content", content)
        .with("details", details)
        .with("startedAt", started)
        .with("completedAt", completed.unwrap_or(now.max(started)))
        .with("status", status);
    Ok((id.to_owned(), entry.into_text()))
}
