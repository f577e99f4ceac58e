//! The live view: events in, text for people out.
//!
//! Pure: no clock, no terminal. What it remembers from one event to the next is
//! in [`View`], so that the same events always give the same text.

mod item;
pub(super) mod json;
pub(super) mod text;
pub(super) mod transcript;

use std::collections::HashMap;

use self::text::{Paint, clean, one_line};
use crate::proto::{self, Event, Session, SessionState, StateReason, Usage, event::Kind};

/// What the view of one session remembers.
#[derive(Debug)]
pub(super) struct View {
    paint: Paint,
    /// The session's directory, to show paths below it without it.
    directory: String,
    /// When each open item of the turn began, in nanoseconds.
    begun: HashMap<String, i128>,
    /// When the turn began, in nanoseconds.
    turn_begun: i128,
    /// The item whose heading is the last line that was printed.
    last_heading: Option<String>,
    /// The plan as it was last shown.
    plan: String,
    usage: Option<Usage>,
}

impl View {
    /// An empty view.
    #[must_use]
    pub(super) fn new(colour: bool) -> Self {
        Self {
            paint: Paint { colour },
            directory: String::new(),
            begun: HashMap::new(),
            turn_begun: 0,
            last_heading: None,
            plan: String::new(),
            usage: None,
        }
    }

    /// Tells the view which directory paths are relative to.
    pub(super) fn set_directory(&mut self, directory: &str) {
        directory.clone_into(&mut self.directory);
    }

    /// Shows one event: whole lines, or nothing when it says nothing to people.
    pub(super) fn event(&mut self, event: &Event) -> String {
        let heading = self.last_heading.take();
        let mut shown = match &event.kind {
            Some(kind) => self.kind(event, kind, heading),
            // A later server's kind.
            None => self.raw_line("event", event),
        };
        if let (Some(elided), false) = (&event.elided, shown.is_empty()) {
            let id = short_id(&event.session_id);
            let (turn, size, offset) = (elided.turn, elided.size, elided.byte_offset);
            let note = format!(
                "    cut here; whole ({size} bytes): switchboard sessions output {id} --turn {turn} --offset {offset} --length {size}"
            );
            shown.push_str(&self.paint.dim(&note));
            shown.push('\n');
        }
        shown
    }

    fn kind(&mut self, event: &Event, kind: &Kind, heading: Option<String>) -> String {
        let paint = self.paint;
        match kind {
            Kind::SessionCreated(created) => {
                let Some(session) = &created.session else { return String::new() };
                self.directory = session.working_directory.clone();
                let id = paint.bold(short_id(&session.session_id));
                let agent = one_line(&session.agent, 80);
                let directory = one_line(&session.working_directory, 200);
                format!("session {id} · {agent} · {directory}\n")
            }
            Kind::TurnSpawned(spawned) => {
                self.begin_turn(event);
                let version = match spawned.codex_version.as_str() {
                    "" => String::new(),
                    version => format!(" · codex {}", one_line(version, 40)),
                };
                let prompt = match one_line(&spawned.prompt, 100) {
                    prompt if prompt.is_empty() => prompt,
                    prompt => format!(" · {prompt}"),
                };
                let line = format!("turn {}{version}{prompt}", event.turn);
                format!("{}\n", paint.dim(&line))
            }
            Kind::ThreadStarted(_) | Kind::TurnStarted(_) => {
                self.last_heading = heading;
                String::new()
            }
            Kind::TurnCompleted(completed) => {
                self.usage = completed.usage;
                String::new()
            }
            Kind::TurnFailed(failed) => {
                format!("{} {}\n", paint.red("turn failed:"), clean(&failed.message).trim_end())
            }
            Kind::ItemStarted(started) => {
                let Some(item) = &started.item else { return String::new() };
                self.begun.insert(item.id.clone(), nanoseconds(event));
                self.item(event, item, item::Stage::Started, heading)
            }
            Kind::ItemUpdated(updated) => {
                let Some(item) = &updated.item else { return String::new() };
                self.item(event, item, item::Stage::Updated, heading)
            }
            Kind::ItemCompleted(completed) => {
                let Some(item) = &completed.item else { return String::new() };
                let shown = self.item(event, item, item::Stage::Completed, heading);
                self.begun.remove(&item.id);
                shown
            }
            Kind::Error(error) => {
                format!("{} {}\n", paint.yellow("agent:"), clean(&error.message).trim_end())
            }
            Kind::Unknown(unknown) => {
                let name = if unknown.r#type.is_empty() { "event" } else { &unknown.r#type };
                self.raw_line(name, event)
            }
            Kind::InvalidLine(_) => self.raw_line("output", event),
            Kind::StateChanged(changed) => {
                self.state(event, changed.state(), changed.reason(), &changed.error)
            }
            Kind::TurnExited(exited) => match (exited.exit_code, exited.signal) {
                (_, Some(signal)) => paint.dim(&format!("agent ended by signal {signal}")) + "\n",
                (Some(code), None) if code != 0 => {
                    paint.dim(&format!("agent exited with status {code}")) + "\n"
                }
                _ => String::new(),
            },
            Kind::SessionUpdated(updated) => {
                let fields = one_line(&updated.fields.join(", "), 100);
                format!("{}\n", paint.dim(&format!("{fields} changed")))
            }
            Kind::SettingsChanged(proto::SettingsChanged { entry, .. })
            | Kind::ControlsChanged(proto::ControlsChanged { entry, .. }) => {
                let Some(entry) = entry else { return String::new() };
                let whose = match entry.scope() {
                    proto::Scope::Default => "defaults",
                    proto::Scope::Session | proto::Scope::Unspecified => "session",
                };
                let text = format!(
                    "{whose} changed by {} via {}: {} -> {}",
                    clean(&entry.actor),
                    clean(&entry.source),
                    clean(&entry.previous_summary),
                    clean(&entry.summary)
                );
                paint.dim(&text) + "\n"
            }
            Kind::SessionDeleted(_) => paint.red("session deleted") + "\n",
            Kind::Warning(warning) => {
                let code = one_line(&warning.code, 64);
                let message = clean(&warning.message);
                format!("{} {}\n", paint.yellow(&format!("warning {code}:")), message.trim_end())
            }
        }
    }

    fn begin_turn(&mut self, event: &Event) {
        self.turn_begun = nanoseconds(event);
        self.begun.clear();
        self.plan.clear();
        self.usage = None;
    }

    fn state(
        &self,
        event: &Event,
        state: SessionState,
        reason: StateReason,
        error: &str,
    ) -> String {
        let paint = self.paint;
        let elapsed = elapsed(self.turn_begun, nanoseconds(event));
        let tokens = self.usage.as_ref().map(tokens).unwrap_or_default();
        let error = clean(error);
        let error = match error.trim() {
            "" => String::new(),
            error => format!(": {error}"),
        };
        let (mark, rest) = match state {
            SessionState::Completed => (paint.green("✓ completed"), format!("{elapsed}{tokens}")),
            SessionState::Failed => {
                let reason = reason.as_str_name().trim_start_matches("STATE_REASON_");
                (paint.red("✗ failed"), format!("{elapsed} ({reason}){error}"))
            }
            SessionState::Interrupted => (paint.yellow("✗ interrupted"), elapsed),
            SessionState::Killed => (paint.red("✗ killed"), elapsed),
            SessionState::Stopping => return format!("{}\n", paint.dim("stopping")),
            SessionState::Queued => {
                return format!("{}\n", paint.dim("waiting for other turns to end"));
            }
            SessionState::Unspecified | SessionState::Pending | SessionState::Running => {
                return String::new();
            }
        };
        format!("{mark}{rest}\n")
    }

    fn raw_line(&self, name: &str, event: &Event) -> String {
        let raw = one_line(&String::from_utf8_lossy(&event.raw), 200);
        format!("{} {raw}\n", self.paint.dim(&one_line(name, 60)))
    }
}

/// The first eight characters, by which people name sessions.
#[must_use]
pub(super) fn short_id(session_id: &str) -> &str {
    session_id.get(..8).unwrap_or(session_id)
}

/// What the session is about: its title, else how its first prompt begins.
#[must_use]
pub(super) fn about(session: &Session) -> String {
    let about = if session.title.is_empty() { &session.first_prompt } else { &session.title };
    one_line(about, 60)
}

/// The state in a word for people.
#[must_use]
pub(super) fn state_word(state: SessionState) -> &'static str {
    match state {
        SessionState::Unspecified => "unknown",
        SessionState::Pending => "pending",
        SessionState::Queued => "queued",
        SessionState::Running => "running",
        SessionState::Stopping => "stopping",
        SessionState::Completed => "completed",
        SessionState::Failed => "failed",
        SessionState::Interrupted => "interrupted",
        SessionState::Killed => "killed",
    }
}

/// Rows in columns as wide as their widest cell; the last is as long as it is.
pub(super) fn table<const N: usize>(
    head: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> String {
    let rows: Vec<_> = std::iter::once(head.map(str::to_owned)).chain(rows).collect();
    let width = |column: usize| {
        rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default()
    };
    let widths: [usize; N] = std::array::from_fn(width);
    let line = |row: &[String; N]| {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
    };
    rows.iter().map(line).collect()
}

fn tokens(usage: &Usage) -> String {
    format!(
        " · tokens {} in ({} cached), {} out ({} reasoning)",
        usage.input_tokens,
        usage.cached_input_tokens,
        usage.output_tokens,
        usage.reasoning_output_tokens
    )
}

fn nanoseconds(event: &Event) -> i128 {
    event
        .time
        .as_ref()
        .map_or(0, |time| i128::from(time.seconds) * 1_000_000_000 + i128::from(time.nanos))
}

/// ` in 1.2 s`, or nothing when the beginning was not seen.
fn elapsed(begun: i128, ended: i128) -> String {
    if begun == 0 || ended < begun {
        return String::new();
    }
    let tenths = (ended - begun + 50_000_000) / 100_000_000;
    let (minutes, tenths) = (tenths / 600, tenths % 600);
    if minutes == 0 {
        format!(" in {}.{} s", tenths / 10, tenths % 10)
    } else {
        format!(" in {minutes} min {} s", tenths / 10)
    }
}

#[cfg(test)]
#[path = "render/tests.rs"]
mod tests;
