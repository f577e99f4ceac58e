//! Waiting for states, also across restarts of the server: `switchboard sessions
//! wait`, and what follows a kill and an interrupt.

use std::time::Duration;

use tokio::time::Instant;

use super::{
    Context, Failure,
    args::WaitArgs,
    connect::{Server, present},
    follow::outcome,
    keyboard::{Keyboard, OnInterrupt},
    output::Output,
    render::state_word,
    retry,
    sessions::json,
};
use crate::proto::{Session, SessionState, WaitSessionRequest};

/// The longest wait that one call may ask for.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

pub(super) async fn wait(cx: &Context, server: &Server, args: WaitArgs) -> Result<(), Failure> {
    let WaitArgs { id, state, timeout } = args;
    if timeout.is_some_and(|timeout| timeout > LONGEST_WAIT) {
        return Err(Failure::Usage("--timeout: expected at most 24h".into()));
    }
    let deadline = timeout.map(|timeout| Instant::now() + timeout);
    let session_id = retry::session(server, cx.output, &id).await?.session_id;
    let states: Vec<SessionState> = state.into_iter().map(Into::into).collect();
    let mut keyboard = Keyboard::new(cx, OnInterrupt::Return)?;
    let waiting = until(server, cx.output, &session_id, &states, deadline);
    let (session, reached) = keyboard.unless_left(waiting).await??;
    if cx.output.json {
        json(cx, &session)?;
    } else {
        cx.output.line(state_word(session.state()))?;
    }
    match (reached, states.as_slice()) {
        // That the time was up is a failure, and the state that was printed says so.
        (false, _) => Err(Failure::BadOutcome),
        (true, []) => outcome(session.state()),
        (true, _) => Ok(()),
    }
}

/// Waits until the session is at rest.
///
/// # Errors
/// The server's answer, and [`Failure::Unreachable`] when it stays away.
pub(super) async fn at_rest(
    server: &Server,
    output: Output,
    session_id: &str,
) -> Result<Session, Failure> {
    until(server, output, session_id, &[], None).await.map(|(session, _)| session)
}

/// Waits until the session is in one of the states, at rest when none is given,
/// or the time is up; says whether it is.
async fn until(
    server: &Server,
    output: Output,
    session_id: &str,
    states: &[SessionState],
    deadline: Option<Instant>,
) -> Result<(Session, bool), Failure> {
    loop {
        let attempt = |server: Server| {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            let request = WaitSessionRequest {
                session_id: session_id.to_owned(),
                states: states.iter().map(|state| (*state).into()).collect(),
                timeout: Some(left.unwrap_or(LONGEST_WAIT).into()),
            };
            async move { server.sessions().wait_session(request).await }
        };
        let answer = retry::call(server, output, attempt).await?;
        if answer.reached || deadline.is_some_and(|deadline| deadline <= Instant::now()) {
            return Ok((present(answer.session)?, answer.reached));
        }
    }
}
