//! What happens on the demo's stage: one session, one subscriber that stays and
//! one that leaves and comes back, and the proof that both saw the same.

use tokio::sync::watch;

use super::{
    super::{
        Context, Failure,
        connect::{Connector, Server, present},
        render::{View, short_id, text::Paint},
    },
    Stage,
};
use crate::proto::{
    CreateSessionRequest, Event, InterruptTurnRequest, ListEventsRequest, Session,
    WaitSessionRequest, WatchEventsRequest, event::Kind, watch_events_response::Message,
};

/// After how many events the second subscriber leaves, and how many more there
/// are when it comes back.
const LEAVES_AFTER: usize = 8;
const AWAY_FOR: usize = 6;

const PROMPT: &str = "One of the tests fails. Find out why and fix it.";

pub(super) struct Scene<'a> {
    cx: &'a Context,
    connector: Connector,
    server: Server,
    session: Session,
    paint: Paint,
}

impl<'a> Scene<'a> {
    /// Introduces the server and starts the session.
    pub(super) async fn open(
        cx: &'a Context,
        connector: Connector,
        address: &str,
        stage: &Stage,
    ) -> Result<Self, Failure> {
        let paint = Paint { colour: cx.output.colour };
        let server = connector.connect().await?;
        cx.output.print(&format!(
            "{}\n{}\n\n",
            paint.bold(&format!("A Switchboard server runs on {address}.")),
            paint.dim(
                "Its agent replays a prepared session; supervisor, log and streams are the real ones."
            )
        ))?;
        let session = Session {
            agent: format!("replay:{}", stage.transcript.display()),
            title: "The demo".into(),
            working_directory: stage.project.to_string_lossy().into_owned(),
            ..Session::default()
        };
        let request = CreateSessionRequest {
            session: Some(session),
            prompt: PROMPT.into(),
            ..CreateSessionRequest::default()
        };
        let answer = server.sessions().create_session(request).await.map_err(server.failure())?;
        let session = present(answer.into_inner().session)?;
        Ok(Self { cx, connector, server, session, paint })
    }

    /// Shows the session to its end, and what the two subscribers saw of it.
    pub(super) async fn play(&mut self) -> Result<(), Failure> {
        let (seen, progress) = watch::channel(0);
        let (stays, comes_back) = tokio::try_join!(self.stays(seen), self.comes_back(progress))?;
        self.prove(&stays, &comes_back).await?;
        self.cx.output.print(&self.next_steps())
    }

    /// Stops the agent and waits until it is gone.
    pub(super) async fn abort(&mut self) -> Result<(), Failure> {
        let session_id = self.session.session_id.clone();
        let request = InterruptTurnRequest { session_id: session_id.clone(), ..Default::default() };
        let mut sessions = self.server.sessions();
        // There may be nothing to interrupt any more.
        let _ = sessions.interrupt_turn(request).await;
        let request = WaitSessionRequest { session_id, ..WaitSessionRequest::default() };
        sessions.wait_session(request).await.map_err(self.server.failure())?;
        Ok(())
    }

    /// The first subscriber: prints the live view and tells how far it is.
    async fn stays(&self, seen: watch::Sender<usize>) -> Result<Vec<Event>, Failure> {
        let mut view = View::new(self.cx.output.colour);
        let mut events = Vec::new();
        let print = |event: &Event| self.cx.output.print(&view.event(event));
        self.subscribe(1, &mut events, print, |events| {
            seen.send_replace(events.len());
            false
        })
        .await?;
        Ok(events)
    }

    /// The second: leaves in the middle and comes back at its cursor.
    async fn comes_back(&self, mut seen: watch::Receiver<usize>) -> Result<Vec<Event>, Failure> {
        let mut events = Vec::new();
        self.subscribe(1, &mut events, |_| Ok(()), |events| events.len() == LEAVES_AFTER).await?;
        let last = events.last().map_or(0, |event| event.seq);
        self.aside(&format!("the second subscriber leaves after event {last}"))?;
        // Ends early, with the sender gone, when there is nothing more to miss.
        let _ = seen.wait_for(|count| *count >= LEAVES_AFTER + AWAY_FOR).await;
        let missed = seen.borrow().saturating_sub(events.len());
        self.aside(&format!(
            "the second subscriber is back at event {}; it has {missed} events to catch up with",
            last + 1
        ))?;
        self.subscribe(last + 1, &mut events, |_| Ok(()), |_| false).await?;
        Ok(events)
    }

    /// Collects events from a seq on, to the end of the turn or until `enough`.
    async fn subscribe(
        &self,
        start_seq: u64,
        events: &mut Vec<Event>,
        mut print: impl FnMut(&Event) -> Result<(), Failure>,
        mut enough: impl FnMut(&[Event]) -> bool,
    ) -> Result<(), Failure> {
        // A connection of its own, as subscribers have.
        let server = self.connector.connect().await?;
        let request = WatchEventsRequest {
            session_ids: vec![self.session.session_id.clone()],
            start_seq,
            ..WatchEventsRequest::default()
        };
        let answer = server.events().watch_events(request).await.map_err(server.failure())?;
        let mut stream = answer.into_inner();
        while let Some(message) = stream.message().await.map_err(server.failure())? {
            let Some(Message::Event(event)) = message.message else { continue };
            print(&event)?;
            let ended = match &event.kind {
                Some(Kind::StateChanged(changed)) => crate::row::is_at_rest(changed.state()),
                Some(_) | None => false,
            };
            events.push(event);
            if enough(events) || ended {
                return Ok(());
            }
        }
        Err(Failure::Failed("the server ended the stream before the session".into()))
    }

    fn aside(&self, text: &str) -> Result<(), Failure> {
        self.cx.output.line(&self.paint.yellow(&format!("  ┆ {text}")))
    }

    /// Compares both with the log, event by event.
    async fn prove(&self, stays: &[Event], comes_back: &[Event]) -> Result<(), Failure> {
        let request = ListEventsRequest {
            session_id: self.session.session_id.clone(),
            ..ListEventsRequest::default()
        };
        let answer = self.server.events().list_events(request).await;
        let log = answer.map_err(self.server.failure())?.into_inner().events;
        let gap_free = log.iter().map(|event| event.seq).eq(1..=log.len() as u64);
        if !gap_free || log != stays || log != comes_back {
            return Err(Failure::Failed(format!(
                "the log has {} events, the subscribers saw {} and {}: they differ",
                log.len(),
                stays.len(),
                comes_back.len()
            )));
        }
        let count = log.len();
        let agent = log.iter().filter(|event| !event.raw.is_empty()).count();
        self.cx.output.print(&format!(
            "\n{} The log has events 1 to {count}: {agent} lines of the agent, verbatim, and {} of the server.\n  Both subscribers saw every one of them exactly once, in order.\n",
            self.paint.green("✓"),
            count - agent
        ))
    }

    fn next_steps(&self) -> String {
        let id = short_id(&self.session.session_id);
        format!(
            "\n{}\n  switchboard run \"explain this project\"   a real session, with the codex you have\n  switchboard sessions list                all of them; this one was {id} and is gone now\n  switchboard sessions watch ID            follow one, from anywhere, as often as you like\n  switchboard --help                       the rest; README.md has Python in ten lines\n",
            self.paint.bold("Where to go next")
        )
    }
}
