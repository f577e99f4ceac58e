//! The table of sessions as lines for a terminal. Pure: no clock, no terminal.

use std::{cmp::Reverse, collections::HashMap, time::SystemTime};

use crate::{
    cli::render::{
        short_id, state_word,
        text::{Paint, clean},
    },
    proto::{Session, SessionState, WatchSessionsResponse, watch_sessions_response::Message},
    time::{Timestamp, system_time},
};

/// How large a terminal is, in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size {
    pub columns: usize,
    pub rows: usize,
}

/// The sessions that are known.
#[derive(Debug)]
pub(super) struct Table {
    sessions: HashMap<String, Session>,
    /// Whether archived ones are shown.
    archived: bool,
    /// Whether all were told once; what is shown before would be a part only.
    synced: bool,
    paint: Paint,
}

/// Characters of the columns before directory and title, with the gaps.
const FIXED: usize = 50;
/// The widest that the directory gets.
const DIRECTORY: usize = 32;

impl Table {
    /// A table of nothing.
    #[must_use]
    pub(super) fn new(archived: bool, paint: Paint) -> Self {
        Self { sessions: HashMap::new(), archived, synced: false, paint }
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.sessions.clear();
        self.synced = false;
    }

    /// Takes a message of the watch in.
    pub(super) fn apply(&mut self, message: WatchSessionsResponse) {
        match message.message {
            Some(Message::Session(session)) if session.archived && !self.archived => {
                self.sessions.remove(&session.session_id);
            }
            Some(Message::Session(session)) => {
                self.sessions.insert(session.session_id.clone(), session);
            }
            Some(Message::Deleted(deleted)) => {
                self.sessions.remove(&deleted.session_id);
            }
            Some(Message::Synced(_)) => self.synced = true,
            Some(Message::Heartbeat(_)) | None => {}
        }
    }

    /// The lines to show now, no more and no longer than the terminal has room for.
    #[must_use]
    pub(super) fn frame(&self, now: SystemTime, size: Size, status: &str) -> Vec<String> {
        let mut sessions: Vec<&Session> = self.sessions.values().collect();
        sessions.sort_by_cached_key(|session| order(session));
        let mut lines = vec![self.summary(&sessions, size.columns, status)];
        if self.synced {
            let widths = Widths::new(size.columns, &sessions);
            let head = ["ID", "STATE", "TURN", "TIME", "TOKENS", "DIRECTORY", "TITLE"];
            let head = widths.line(&head.map(str::to_owned));
            lines.push(self.paint.dim(&head));
            // The last line is for those that do not fit.
            let room = size.rows.saturating_sub(lines.len());
            let shown = if sessions.len() > room { room.saturating_sub(1) } else { sessions.len() };
            lines.extend(sessions[..shown].iter().map(|session| self.row(session, now, &widths)));
            if shown < sessions.len() {
                let more = format!("… {} more", sessions.len() - shown);
                lines.push(self.paint.dim(&cut(&more, size.columns)));
            }
        }
        lines.truncate(size.rows);
        lines
    }

    fn summary(&self, sessions: &[&Session], columns: usize, status: &str) -> String {
        if !self.synced {
            let text = if status.is_empty() { "reading the sessions" } else { status };
            return cut(text, columns);
        }
        let count = |wanted: &[SessionState]| {
            sessions.iter().filter(|session| wanted.contains(&session.state())).count()
        };
        let running = count(&[SessionState::Running, SessionState::Stopping]);
        let queued = count(&[SessionState::Queued]);
        let plural = if sessions.len() == 1 { "" } else { "s" };
        let mut text = format!("{} session{plural} · {running} running", sessions.len());
        if queued > 0 {
            text.push_str(&format!(" · {queued} queued"));
        }
        text.push_str(" · q leaves");
        if status.is_empty() {
            return self.paint.bold(&cut(&text, columns));
        }
        self.paint.yellow(&cut(&format!("{text} · {status}"), columns))
    }

    fn row(&self, session: &Session, now: SystemTime, widths: &Widths) -> String {
        let state = state_word(session.state()).to_owned();
        let about = if session.title.is_empty() { &session.first_prompt } else { &session.title };
        let tokens =
            session.usage.map_or(0, |usage| usage.input_tokens.saturating_add(usage.output_tokens));
        let line = widths.line(&[
            short_id(&session.session_id).to_owned(),
            state.clone(),
            session.turn_count.to_string(),
            session.last_turn.as_ref().map(|turn| runtime(turn, now)).unwrap_or_default(),
            if tokens > 0 { short_count(tokens) } else { String::new() },
            session.working_directory.clone(),
            about.clone(),
        ]);
        let painted = match session.state() {
            SessionState::Running => self.paint.cyan(&state),
            SessionState::Stopping | SessionState::Queued | SessionState::Interrupted => {
                self.paint.yellow(&state)
            }
            SessionState::Completed => self.paint.green(&state),
            SessionState::Failed | SessionState::Killed => self.paint.red(&state),
            SessionState::Unspecified | SessionState::Pending => state.clone(),
        };
        // The id before it cannot look like a state. A state that was cut stays plain.
        line.replacen(&state, &painted, 1)
    }
}

/// Those with a turn first, the newest turn before others; then those at rest,
/// the latest change first. The id decides between equals.
fn order(session: &Session) -> (u8, Reverse<Option<SystemTime>>, String) {
    let begun = session.last_turn.as_ref().and_then(|turn| turn.start_time.as_ref());
    let (rank, time) = match session.state() {
        SessionState::Running | SessionState::Stopping => (0, begun),
        SessionState::Queued => (1, begun),
        SessionState::Unspecified
        | SessionState::Pending
        | SessionState::Completed
        | SessionState::Failed
        | SessionState::Interrupted
        | SessionState::Killed => (2, session.update_time.as_ref()),
    };
    (rank, Reverse(time.and_then(system_time)), session.session_id.clone())
}

/// How wide the columns are that depend on the terminal.
struct Widths {
    columns: usize,
    directory: usize,
}

impl Widths {
    fn new(columns: usize, sessions: &[&Session]) -> Self {
        let longest = sessions.iter().map(|session| session.working_directory.chars().count());
        // Where there is little room the title says more.
        let room = columns.saturating_sub(FIXED) / 2;
        let room = if room < 10 { 0 } else { room.min(DIRECTORY) };
        Self { columns, directory: longest.max().unwrap_or_default().max(9).min(room) }
    }

    fn line(&self, [id, state, turn, time, tokens, directory, title]: &[String; 7]) -> String {
        let mut line = format!("{id:<8}  {state:<11}  {turn:>4}  {time:>9}  {tokens:>6}  ");
        if self.directory > 0 {
            let directory = end(&plain(directory), self.directory);
            line.push_str(&format!("{directory:<width$}  ", width = self.directory));
        }
        line.push_str(&plain(title));
        cut(line.trim_end(), self.columns)
    }
}

/// One line without anything that moves the cursor.
fn plain(text: &str) -> String {
    clean(text).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The first `width` characters.
fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let mut cut: String = text.chars().take(width.saturating_sub(1)).collect();
    if width > 0 {
        cut.push('…');
    }
    cut
}

/// The last `width` characters, which say most about a path.
fn end(text: &str, width: usize) -> String {
    let length = text.chars().count();
    if length <= width {
        return text.to_owned();
    }
    let rest: String = text.chars().skip(length - width.saturating_sub(1)).collect();
    format!("…{rest}")
}

/// How long a turn has run, or ran.
fn runtime(turn: &crate::proto::Turn, now: SystemTime) -> String {
    let at = |time: &Option<Timestamp>| time.as_ref().and_then(system_time);
    let Some(begun) = at(&turn.start_time) else { return String::new() };
    // The clock here may be behind the server's.
    let seconds =
        at(&turn.end_time).unwrap_or(now).duration_since(begun).unwrap_or_default().as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    match (days, hours) {
        (0, 0) => format!("{minutes}:{:02}", seconds % 60),
        (0, _) => format!("{hours}:{:02}:{:02}", minutes % 60, seconds % 60),
        (_, _) => format!("{days}d {:02}:{:02}", hours % 24, minutes % 60),
    }
}

/// A count in at most six characters.
fn short_count(count: i64) -> String {
    match count {
        ..10_000 => count.to_string(),
        10_000..10_000_000 => format!("{}k", count / 1_000),
        _ => format!("{}M", count / 1_000_000),
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
