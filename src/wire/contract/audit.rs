//! Entries of the audit, as entries of a session's transcript.
//!
//! What was written over a message, or of the approval policy alone, is in the
//! audit and not in transcripts.

use super::{answer::Object, controls::tuple, settings::scope_word};
use crate::{
    Result,
    app::App,
    id::SessionId,
    proto::{AuditEntry, AuditOperation, Scope},
    time::{micros, system_time},
    wire::operations::{self, Change, States},
};

/// The most entries of a transcript, the newest.
const MAX_ENTRIES: usize = 5_000;
/// The most bytes of controls and settings in them: what is older is told
/// without its details. Each has all settings twice.
const MAX_DETAILS: usize = 8 << 20;
/// What all have in common in place of a turn.
const TURN: &str = "session-controls";
/// How much of an entry's hash tells it from others of the same moment.
const HASH_CHARACTERS: usize = 8;

/// What the transcript of a session has after its turns, each the text of a JSON
/// object: the oldest first.
///
/// # Errors
///
/// INTERNAL when the database cannot be read.
pub(super) async fn transcript(app: &App, id: SessionId) -> Result<Vec<String>> {
    let changes = operations::changes(app, id, is_shown, MAX_ENTRIES, MAX_DETAILS).await?;
    Ok(changes.iter().map(entry).collect())
}

/// Whether transcripts have an entry of the audit.
fn is_shown(entry: &AuditEntry) -> bool {
    match entry.operation() {
        AuditOperation::OverrideControls => false,
        AuditOperation::Unspecified
        | AuditOperation::UpdateSettings
        | AuditOperation::DeleteSetting
        | AuditOperation::ApplyControls => true,
    }
}

/// What is told of an entry of the audit. Both are the text of a JSON object.
#[derive(Debug)]
pub(super) enum Told {
    /// The entry as the transcript has it.
    Entry(String),
    /// The controls after it, where transcripts have nothing of it.
    Controls(String),
}

/// One entry of the audit; none where it is not of a call that named the session.
///
/// # Errors
///
/// INTERNAL when the database cannot be read.
pub(super) async fn told(app: &App, id: SessionId, seq: u64) -> Result<Option<Told>> {
    let Some(change) = operations::change(app, id, seq).await? else { return Ok(None) };
    Ok(match &change.states {
        _ if is_shown(&change.entry) => Some(Told::Entry(entry(&change))),
        Some(States { previous: _, next }) => Some(Told::Controls(tuple(next))),
        None => None,
    })
}

fn entry(change: &Change) -> String {
    let Change { entry, states } = change;
    let time = entry.time.as_ref().and_then(system_time).unwrap_or(std::time::UNIX_EPOCH);
    let millis = micros(time) / 1_000;
    let hash = entry.hash.get(..HASH_CHARACTERS).unwrap_or_default();
    let whose = match entry.scope() {
        Scope::Default => "new chats default",
        Scope::Session | Scope::Unspecified => "this chat",
    };
    let AuditEntry { actor, source, previous_summary, summary, .. } = entry;
    let content = format!(
        "Session controls updated ({whose}) by {actor} via {source}: {previous_summary} -> {summary}"
    );
    let details = states.as_ref().map(|States { previous, next }| {
        Object::new()
            .with("occurredAt", humantime::format_rfc3339_millis(time).to_string())
            .with("actor", actor.as_str())
            .with("source", source.as_str())
            .with("scope", scope_word(entry.scope()))
            .with_text("previous", &tuple(previous))
            .with_text("next", &tuple(next))
            .into_text()
    });
    Object::new()
        .with("messageId", format!("{TURN}-{millis}-{hash}"))
        .with("turnId", TURN)
        .with("role", "system")
        .with("type", "session.controls.updated")
        .with("content", content)
        .with("details", details)
        .with("startedAt", millis)
        .with("completedAt", millis)
        .with("status", "complete")
        .into_text()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        json::Json,
        proto::{self, ScopedControls},
    };

    fn scoped(settings: &str) -> ScopedControls {
        let controls = (&crate::controls::Controls::contract_defaults()).into();
        ScopedControls {
            controls: Some(controls),
            settings_json: settings.to_owned(),
            etag: String::new(),
        }
    }

    #[test]
    fn an_entry_is_told_in_the_words_of_the_contract() {
        let audit = AuditEntry {
            time: Some(crate::time::Timestamp { seconds: 1_764_244_800, nanos: 123_456_000 }),
            actor: "ann".to_owned(),
            source: "ui".to_owned(),
            scope: Scope::Default.into(),
            operation: proto::AuditOperation::ApplyControls.into(),
            previous_summary: "before".to_owned(),
            summary: "after".to_owned(),
            hash: "0123456789abcdef".to_owned(),
            ..AuditEntry::default()
        };
        let states = States { previous: scoped("{}"), next: scoped(r#"{"a":1.0}"#) };
        let told = entry(&Change { entry: audit.clone(), states: Some(states) });
        let controls = r#"\"model\":null,\"approvalPolicy\":\"untrusted\",\"networkAccess\":\"restricted\",\"filesystemSandbox\":\"read-only\""#;
        let details = format!(
            r#"{{\"occurredAt\":\"2025-11-27T12:00:00.123Z\",\"actor\":\"ann\",\"source\":\"ui\",\"scope\":\"default\",\"previous\":{{{controls},\"settings\":{{}}}},\"next\":{{{controls},\"settings\":{{\"a\":1.0}}}}}}"#
        );
        let expected = format!(
            r#"{{"messageId":"session-controls-1764244800123-01234567","turnId":"session-controls","role":"system","type":"session.controls.updated","content":"Session controls updated (new chats default) by ann via ui: before -> after","details":"{details}","startedAt":1764244800123,"completedAt":1764244800123,"status":"complete"}}"#
        );
        assert_eq!(told, expected);
        let without = entry(&Change { entry: audit, states: None });
        assert_eq!(Json::parse(&without).unwrap().get("details"), Some(&Json::Null));
    }
}
