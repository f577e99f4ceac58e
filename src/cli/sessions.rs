//! `switchboard sessions …`.

use std::time::Duration;

use serde::Serialize;

use super::{
    Context, Failure,
    args::{SessionsCommand, State},
    connect::{Connector, Server},
    follow::{End, Follower},
    keyboard::{Keyboard, OnInterrupt},
    list, manage, show, top,
    views::{self, Texts},
    wait,
};
use crate::proto::{OutputStream, ReadOutputRequest, SessionState};

pub(super) async fn sessions(cx: &Context, command: SessionsCommand) -> Result<(), Failure> {
    let connector = Connector::new(cx)?;
    let server = connector.connect().await?;
    match command {
        SessionsCommand::List(args) => list::list(cx, &server, args).await,
        SessionsCommand::Top(args) => top::top(cx, connector, args).await,
        SessionsCommand::Show { id } => show::show(cx, &server, id).await,
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
        SessionsCommand::Messages { id, turn } => views::messages(cx, &server, &id, turn).await,
        SessionsCommand::Trajectory { id, turn, max_characters, full } => {
            let texts = if full { Texts::Whole } else { Texts::Characters(max_characters) };
            views::trajectory(cx, &server, &id, turn, texts).await
        }
        SessionsCommand::Turns { id } => views::turns(cx, &server, &id).await,
        SessionsCommand::Stderr { id, turn } => views::stderr(cx, &server, &id, turn).await,
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
