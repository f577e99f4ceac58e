//! Following one session: its events in order, each once, across lost
//! connections and restarts of the server.

use std::time::Duration;

use tokio::time::Instant;
use tonic::Streaming;

use super::{
    Context, Failure,
    connect::{Connector, Server},
    keyboard::Keyboard,
    output::Output,
    render::{View, state_word},
    retry::{lost, not_opened},
};
use crate::{
    proto::{
        Event, SessionState, WatchEventsRequest, WatchEventsResponse, WatchHeader, event::Kind,
        watch_events_response::Message,
    },
    row::is_at_rest,
};

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// How long a server may be gone before a follower gives up.
const PATIENCE: Duration = Duration::from_secs(300);

/// When the following is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// When this turn is at rest.
    Turn(u32),
    /// After the turn that runs now.
    CurrentTurn,
    /// Never.
    Never,
}

/// One follower of one session.
#[derive(Debug)]
pub(super) struct Follower {
    connector: Connector,
    session_id: String,
    /// The seq to receive next; 0 until the server said which, for "only new".
    next: u64,
    epoch: String,
    end: End,
    output: Output,
    view: View,
    /// The state of the session as far as was told.
    state: SessionState,
}

/// How a connection ended.
enum Ended {
    /// The following is over, in this state.
    Over(SessionState),
    /// The connection is lost.
    Lost(String),
}

impl Follower {
    /// Prepares to follow a session, of which a server has just told, from a seq
    /// on: 1 for all, 0 for only new ones.
    pub(super) fn new(
        cx: &Context,
        connector: Connector,
        session_id: &str,
        start_seq: u64,
        end: End,
    ) -> Self {
        Self {
            connector,
            session_id: session_id.to_owned(),
            next: start_seq,
            epoch: String::new(),
            end,
            output: cx.output,
            view: View::new(cx.output.colour),
            state: SessionState::Unspecified,
        }
    }

    /// Prints events until the end, and returns the state that the session was
    /// in then.
    ///
    /// # Errors
    /// What the server refused, [`Failure::Unreachable`] when it stays away,
    /// and [`Failure::Interrupted`] by Ctrl-C.
    pub(super) async fn follow(mut self, keyboard: &mut Keyboard) -> Result<SessionState, Failure> {
        keyboard.follows(&self.connector, &self.session_id);
        let mut pause = FIRST_PAUSE;
        let mut give_up = Instant::now() + PATIENCE;
        let mut lost = false;
        loop {
            let why = match keyboard.unless_left(self.open()).await? {
                Ok(stream) => {
                    if lost {
                        self.output.note("connected again");
                    }
                    (lost, pause, give_up) = (false, FIRST_PAUSE, Instant::now() + PATIENCE);
                    match self.read(stream, keyboard).await? {
                        Ended::Over(state) => return Ok(state),
                        Ended::Lost(why) => why,
                    }
                }
                Err(failure) => match failure.passes() {
                    Some(why) if Instant::now() < give_up => why.to_owned(),
                    Some(_) | None => return Err(failure),
                },
            };
            if !lost {
                lost = true;
                self.output.note(&format!(
                    "lost the server ({why}); the agent goes on; trying again from event {} on",
                    self.next.max(1)
                ));
            }
            keyboard.unless_left(tokio::time::sleep(pause)).await?;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn open(&self) -> Result<Streaming<WatchEventsResponse>, Failure> {
        let server: Server = self.connector.connect().await?;
        let request = WatchEventsRequest {
            session_ids: vec![self.session_id.clone()],
            start_seq: self.next,
            epoch: self.epoch.clone(),
            stop_at_end: self.end == End::CurrentTurn,
            ..WatchEventsRequest::default()
        };
        match server.events().watch_events(request).await {
            Ok(answer) => Ok(answer.into_inner()),
            Err(status) => Err(not_opened(&server, status)),
        }
    }

    async fn read(
        &mut self,
        mut stream: Streaming<WatchEventsResponse>,
        keyboard: &mut Keyboard,
    ) -> Result<Ended, Failure> {
        loop {
            let message = match keyboard.unless_left(stream.message()).await? {
                Ok(Some(message)) => message.message,
                Ok(None) if self.end == End::CurrentTurn => {
                    return Ok(Ended::Over(self.state));
                }
                Ok(None) => return Ok(Ended::Lost("it ended the stream".into())),
                Err(status) => {
                    return match lost(&status) {
                        Some(why) => Ok(Ended::Lost(why)),
                        None => Err(Failure::from_status(&status, self.connector.target())),
                    };
                }
            };
            match message {
                Some(Message::Header(header)) => self.header(header)?,
                Some(Message::Event(event)) => {
                    if let Some(state) = self.event(&event)? {
                        return Ok(Ended::Over(state));
                    }
                }
                // Of one session alone an error tells this, but it is no less true here.
                Some(Message::LeftOut(left_out)) => return Err(Failure::left_out(left_out)),
                // Not even after synced is a turn over that the header has at rest: the header
                // may know more than the events that were there at the time of the call.
                Some(Message::Synced(_) | Message::Heartbeat(_)) | None => {}
            }
        }
    }

    fn header(&mut self, header: WatchHeader) -> Result<(), Failure> {
        if !self.epoch.is_empty() && header.epoch != self.epoch {
            return Err(Failure::Failed("the session's event log was replaced".into()));
        }
        self.epoch = header.epoch;
        self.next = header.start_seq;
        let Some(session) = header.session else { return Ok(()) };
        self.view.set_directory(&session.working_directory);
        self.state = session.state();
        Ok(())
    }

    /// Prints one event; says the state when the following is over with it.
    fn event(&mut self, event: &Event) -> Result<Option<SessionState>, Failure> {
        if event.seq != self.next {
            return Err(Failure::Failed(format!(
                "the server sent event {} where {} was due",
                event.seq, self.next
            )));
        }
        if self.output.json {
            self.output.line(&crate::event::to_json(event))?;
        } else {
            self.output.print(&self.view.event(event))?;
        }
        self.next += 1;
        let Some(Kind::StateChanged(changed)) = &event.kind else { return Ok(None) };
        self.state = changed.state();
        let over = is_at_rest(self.state) && self.end == End::Turn(event.turn);
        Ok(over.then_some(self.state))
    }
}

/// How a command that followed a turn ends.
pub(super) fn outcome(state: SessionState) -> Result<(), Failure> {
    match state {
        SessionState::Completed => Ok(()),
        SessionState::Interrupted => Err(Failure::Interrupted),
        SessionState::Failed | SessionState::Killed => Err(Failure::BadOutcome),
        SessionState::Unspecified
        | SessionState::Pending
        | SessionState::Queued
        | SessionState::Running
        | SessionState::Stopping => {
            Err(Failure::Failed(format!("the session is {}, not at rest", state_word(state))))
        }
    }
}
