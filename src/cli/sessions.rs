//! `switchboard sessions …`.

use std::time::Duration;

use serde::Serialize;

use super::{
    Context, Failure,
    args::{SessionsCommand, State},
    connect::{Connector, Server, present},
    follow::{End, Follower, outcome},
    keyboard::{Keyboard, OnInterrupt},
    render::{short_id, state_word, table, text::one_line},
    show,
    views::{self, Texts},
};
use crate::proto::{
    ListSessionsRequest, OutputStream, ReadOutputRequest, SessionState, WaitSessionRequest,
};

/// The longest wait that one call may ask for.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

pub(super) async fn sessions(cx: &Context, command: SessionsCommand) -> Result<(), Failure> {
    let connector = Connector::new(cx)?;
    let server = connector.connect().await?;
    match command {
        SessionsCommand::List { state, limit } => list(cx, &server, &state, limit).await,
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
        SessionsCommand::Wait { id, timeout } => wait(cx, &server, &id, timeout).await,
    }
}

async fn list(
    cx: &Context,
    server: &Server,
    states: &[State],
    limit: usize,
) -> Result<(), Failure> {
    let states: Vec<i32> = states.iter().map(|state| SessionState::from(*state).into()).collect();
    let mut sessions = Vec::new();
    let mut page_token = String::new();
    loop {
        let wanted = u32::try_from((limit - sessions.len()).min(1000)).unwrap_or(1000);
        let request = ListSessionsRequest {
            page_size: wanted,
            page_token,
            states: states.clone(),
            ..ListSessionsRequest::default()
        };
        let page = server.sessions().list_sessions(request).await.map_err(server.failure())?;
        let page = page.into_inner();
        sessions.extend(page.sessions);
        page_token = page.next_page_token;
        if page_token.is_empty() || sessions.len() >= limit {
            break;
        }
    }
    sessions.truncate(limit);
    if cx.output.json {
        return sessions.iter().try_for_each(|session| json(cx, session));
    }
    if sessions.is_empty() {
        cx.output.note("no sessions yet; start one with `switchboard run PROMPT`");
        return Ok(());
    }
    let rows = sessions.iter().map(|session| {
        let about = if session.title.is_empty() { &session.first_prompt } else { &session.title };
        [
            short_id(&session.session_id).to_owned(),
            state_word(session.state()).to_owned(),
            time(session.create_time.as_ref()),
            session.turn_count.to_string(),
            one_line(session.agent.split(':').next().unwrap_or_default(), 12),
            one_line(about, 60),
        ]
    });
    let head = ["ID", "STATE", "CREATED", "TURNS", "AGENT", "ABOUT"];
    cx.output.print(&table(head, rows))
}

async fn output(cx: &Context, server: &Server, request: ReadOutputRequest) -> Result<(), Failure> {
    let answer = server.sessions().read_output(request).await.map_err(server.failure())?;
    let mut chunks = answer.into_inner();
    while let Some(chunk) = chunks.message().await.map_err(server.failure())? {
        cx.output.print_bytes(&chunk.data)?;
    }
    Ok(())
}

async fn wait(
    cx: &Context,
    server: &Server,
    id: &str,
    timeout: Option<Duration>,
) -> Result<(), Failure> {
    let session_id = server.session(id).await?.session_id;
    if timeout.is_some_and(|timeout| timeout > LONGEST_WAIT) {
        return Err(Failure::Usage("--timeout: expected at most 24h".into()));
    }
    let mut keyboard = Keyboard::new(cx, OnInterrupt::Return)?;
    let answer = loop {
        let request = WaitSessionRequest {
            session_id: session_id.clone(),
            states: Vec::new(),
            timeout: timeout.map(Into::into),
        };
        let mut sessions = server.sessions();
        let answer = keyboard.unless_left(sessions.wait_session(request)).await?;
        let answer = answer.map_err(server.failure())?.into_inner();
        if answer.reached || timeout.is_some() {
            break answer;
        }
    };
    let session = present(answer.session)?;
    if cx.output.json {
        json(cx, &session)?;
    } else {
        cx.output.line(state_word(session.state()))?;
    }
    // That the time was up is a failure, and the state that was printed says so.
    if answer.reached { outcome(session.state()) } else { Err(Failure::BadOutcome) }
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
