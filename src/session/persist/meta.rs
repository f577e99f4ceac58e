//! `session_meta.log`: what was asked of a session, and what became of it, one JSON
//! object a line.

use std::{
    io::{self, Write as _},
    path::Path,
    time::SystemTime,
};

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::{
    id::TurnNumber,
    plain_file,
    proto::{self, SessionState, StateReason, event::Kind},
    session::ingest::Statement,
    supervise::StopMode,
    time::{Timestamp, now, timestamp},
};

/// The file's name.
pub(super) const NAME: &str = "session_meta.log";

/// One line.
#[derive(Debug, Serialize)]
pub(crate) struct Note {
    time: Timestamp,
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    turn: Option<u32>,
    #[serde(flatten)]
    details: Map<String, Value>,
}

impl Note {
    /// The session has an owner in this server.
    pub(crate) fn loaded() -> Self {
        let server = json!({ "switchboard_version": env!("CARGO_PKG_VERSION"),
                             "server_pid": std::process::id() });
        Self::new("loaded", now(), None, server)
    }

    /// A turn was asked to stop, or one that waits was cancelled by that.
    pub(crate) fn stop(turn: TurnNumber, mode: StopMode, by: &str, waits: bool) -> Self {
        let asked = match mode {
            StopMode::Interrupt => "interrupt",
            StopMode::Kill => "kill",
        };
        let kind = if waits { "queued_turn_cancelled" } else { asked };
        Self::new(kind, now(), Some(turn), json!({ "asked": asked, "transport": by }))
    }

    /// The session is to be deleted.
    pub(crate) fn deletion(by: &str) -> Self {
        Self::new("deletion", now(), None, json!({ "transport": by }))
    }

    /// Codex traced no request to the model in a turn: it sent none, or it is one
    /// that knows of no traces.
    pub(crate) fn no_trace(turn: TurnNumber) -> Self {
        Self::new("no_trace", now(), Some(turn), json!({}))
    }

    /// What the server says, where it belongs here.
    pub(crate) fn of(statement: &Statement) -> Option<Self> {
        let (kind, details) = match &statement.kind {
            Kind::TurnSpawned(spawned) => (
                "turn_started",
                json!({
                    "codex_version": spawned.codex_version,
                    "resumed_thread_id": spawned.resumed_thread_id,
                    "forked_thread_id": spawned.forked_thread_id,
                }),
            ),
            Kind::StateChanged(changed) => state_changed(changed)?,
            Kind::TurnExited(exited) => {
                ("agent_exited", json!({ "exit_code": exited.exit_code, "signal": exited.signal }))
            }
            Kind::Warning(warning) => {
                ("warning", json!({ "code": warning.code, "message": warning.message }))
            }
            Kind::SessionUpdated(updated) => {
                ("session_updated", json!({ "fields": updated.fields }))
            }
            Kind::SettingsChanged(changed) => {
                ("settings_changed", audited(changed.entry.as_deref()))
            }
            Kind::ControlsChanged(changed) => {
                ("controls_changed", audited(changed.entry.as_deref()))
            }
            Kind::SessionDeleted(proto::SessionDeleted {}) => ("session_deleted", json!({})),
            // What an agent prints is in its output, and that the session was made in
            // its events.
            Kind::SessionCreated(_)
            | Kind::ThreadStarted(_)
            | Kind::TurnStarted(_)
            | Kind::TurnCompleted(_)
            | Kind::TurnFailed(_)
            | Kind::ItemStarted(_)
            | Kind::ItemUpdated(_)
            | Kind::ItemCompleted(_)
            | Kind::Error(_)
            | Kind::Unknown(_)
            | Kind::InvalidLine(_) => return None,
        };
        Some(Self::new(kind, statement.time, statement.turn, details))
    }

    fn new(kind: &'static str, time: SystemTime, turn: Option<TurnNumber>, details: Value) -> Self {
        let details = match details {
            Value::Object(mut details) => {
                details.retain(|_, value| !value.is_null() && value.as_str() != Some(""));
                details
            }
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_) => Map::new(),
        };
        Self { time: timestamp(time), kind, turn: turn.map(|turn| turn.0), details }
    }
}

fn state_changed(changed: &proto::StateChanged) -> Option<(&'static str, Value)> {
    let word = |state: SessionState| state.as_str_name().trim_start_matches("SESSION_STATE_");
    let state = changed.state();
    let reason = match changed.reason() == StateReason::Unspecified {
        true => "",
        false => changed.reason().as_str_name().trim_start_matches("STATE_REASON_"),
    };
    let details = json!({ "state": word(state), "reason": reason, "error": changed.error });
    match state {
        SessionState::Completed
        | SessionState::Failed
        | SessionState::Interrupted
        | SessionState::Killed => Some(("turn_ended", details)),
        SessionState::Queued => Some(("turn_queued", details)),
        SessionState::Stopping => Some(("turn_stopping", details)),
        // That it began is a line of its own.
        SessionState::Unspecified | SessionState::Pending | SessionState::Running => None,
    }
}

/// What the audit has of a change: who, by what, and the values.
fn audited(entry: Option<&proto::AuditEntry>) -> Value {
    let Some(entry) = entry else { return json!({}) };
    json!({
        "actor": entry.actor,
        "source": entry.source,
        "transport": entry.transport,
        "audit_seq": entry.seq,
        "before": entry.previous_summary,
        "now": entry.summary,
        "controls": serde_json::to_value(entry.controls.as_ref()).unwrap_or_default(),
        "settings": entry.settings.iter().map(|change| json!({
            "key": change.key, "before": change.previous_json, "now": change.value_json,
        })).collect::<Vec<_>>(),
    })
}

/// Appends the lines, each as a whole.
pub(super) fn append(path: &Path, notes: &[Note]) -> io::Result<()> {
    let mut text = Vec::new();
    for note in notes {
        serde_json::to_writer(&mut text, note)?;
        text.push(b'\n');
    }
    let mut file = plain_file::append(path)?;
    let size = file.metadata()?.len();
    file.write_all(&text).inspect_err(|_| {
        // Half a line would spoil the next.
        let _ = file.set_len(size);
    })
}
