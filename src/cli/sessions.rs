//! `switchboard sessions …`.

use std::time::Duration;

use serde::Serialize;

use super::{
    Context, Failure,
    args::{SessionsCommand, State},
    connect::{Connector, Server},
    follow::{End, Follower},
    keyboard::{Keyboard, OnInterrupt},
    list, manage,
    render::{state_word, text::one_line},
    top, wait,
};
use crate::proto::{OutputStream, ReadOutputRequest, Session, SessionState};

pub(super) async fn sessions(cx: &Context, command: SessionsCommand) -> Result<(), Failure> {
    let connector = Connector::new(cx)?;
    let server = connector.connect().await?;
    match command {
        SessionsCommand::List(args) => list::list(cx, &server, args).await,
        SessionsCommand::Top(args) => top::top(cx, connector, args).await,
        SessionsCommand::Show { id } => {
            let session = server.session(&id).await?;
            if cx.output.json { json(cx, &session) } else { cx.output.print(&shown(&session)) }
        }
        SessionsCommand::Watch { id, start, until_end } => {
            let id = server.session(&id).await?.session_id;
            let end = if until_end { End::CurrentTurn } else { End::Never };
            let mut keyboard = Keyboard::new(cx, OnInterrupt::Return)?;
            Follower::new(cx, connector, &id, start, end).follow(&mut keyboard).await.map(drop)
        }
        SessionsCommand::Output { id, turn, offset, length, stderr } => {
            let stream = if stderr { OutputStream::Stderr } else { OutputStream::Stdout };
            let session_id = server.session(&id).await?.session_id;
            let request =
                ReadOutputRequest { session_id, turn, offset, length, stream: stream.into() };
            output(cx, &server, request).await
        }
        SessionsCommand::Wait(args) => wait::wait(cx, &server, args).await,
        SessionsCommand::Manage(command) => manage::manage(cx, connector, &server, command).await,
    }
}

async fn output(cx: &Context, server: &Server, request: ReadOutputRequest) -> Result<(), Failure> {
    let answer = server.sessions().read_output(request).await.map_err(server.failure())?;
    let mut chunks = answer.into_inner();
    while let Some(chunk) = chunks.message().await.map_err(server.failure())? {
        cx.output.print_bytes(&chunk.data)?;
    }
    Ok(())
}

/// A session as lines of name and value.
fn shown(session: &Session) -> String {
    let mut lines: Vec<(&str, String)> = vec![("session", session.session_id.clone())];
    let state = match (session.state(), session.state_reason()) {
        (SessionState::Failed, reason) => {
            let reason = reason.as_str_name().trim_start_matches("STATE_REASON_");
            format!("failed ({reason})")
        }
        (state, _) => state_word(state).to_owned(),
    };
    lines.push(("state", state));
    lines.push(("agent", session.agent.clone()));
    lines.push(("codex", session.codex_version.clone()));
    lines.push(("model", session.model.clone()));
    lines.push(("directory", session.working_directory.clone()));
    lines.push(("thread", session.thread_id.clone()));
    lines.push(("title", session.title.clone()));
    lines.push(("source", session.source.clone()));
    for (key, value) in &session.labels {
        lines.push(("label", format!("{key}={value}")));
    }
    lines.push(("prompt", session.first_prompt.clone()));
    lines.push(("created", time(session.create_time.as_ref())));
    lines.push(("changed", time(session.update_time.as_ref())));
    lines.push(("turns", session.turn_count.to_string()));
    if let Some(turn) = &session.last_turn {
        let mut last = format!("{} · {}", turn.number, state_word(turn.state()));
        if turn.pid != 0 {
            last.push_str(&format!(" · pid {}", turn.pid));
        }
        if let Some(code) = turn.exit_code {
            last.push_str(&format!(" · exit {code}"));
        }
        if let Some(signal) = turn.signal {
            last.push_str(&format!(" · signal {signal}"));
        }
        lines.push(("last turn", last));
        lines.push(("error", turn.error.clone()));
    }
    if let Some(usage) = &session.usage {
        let (input, output) = (usage.input_tokens, usage.output_tokens);
        lines.push(("tokens", format!("{input} in, {output} out")));
    }
    let lines = lines.into_iter().filter(|(_, value)| !value.is_empty());
    lines.map(|(name, value)| format!("{name:<10} {}\n", one_line(&value, 400))).collect()
}

/// A time in UTC, to the second.
pub(super) fn time(time: Option<&crate::time::Timestamp>) -> String {
    let Some(seconds) = time.and_then(|time| u64::try_from(time.seconds).ok()) else {
        return String::new();
    };
    let time = std::time::UNIX_EPOCH + Duration::from_secs(seconds);
    humantime::format_rfc3339_seconds(time).to_string()
}

/// A message of the contract as one line of proto3 JSON.
pub(super) fn json(cx: &Context, message: &impl Serialize) -> Result<(), Failure> {
    let json = serde_json::to_string(message)
        .map_err(|error| Failure::Failed(format!("cannot print the answer: {error}")))?;
    cx.output.line(&json)
}

impl From<State> for SessionState {
    fn from(state: State) -> Self {
        match state {
            State::Pending => Self::Pending,
            State::Running => Self::Running,
            State::Stopping => Self::Stopping,
            State::Completed => Self::Completed,
            State::Failed => Self::Failed,
            State::Interrupted => Self::Interrupted,
            State::Queued => Self::Queued,
            State::Killed => Self::Killed,
        }
    }
}
