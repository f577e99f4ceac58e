//! Ctrl-C while a session is followed: once asks the server to interrupt the
//! turn, twice leaves the turn to itself.

use std::{future::Future, pin::pin};

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{Context, Failure, connect::Connector, output::Output, render::short_id, retry};
use crate::proto::InterruptTurnRequest;

/// What Ctrl-C means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OnInterrupt {
    /// The first interrupts the turn, the second leaves it alone and returns.
    StopTurn,
    /// The first returns.
    Return,
}

/// The keyboard of whoever follows a session.
#[derive(Debug)]
pub(super) struct Keyboard {
    interrupts: Signal,
    presses: u32,
    meaning: OnInterrupt,
    /// Set once there is a session to interrupt.
    session: Option<(Connector, String)>,
    output: Output,
}

impl Keyboard {
    /// Takes Ctrl-C over from here on; until a session is given, it just ends
    /// the command.
    pub(super) fn new(cx: &Context, meaning: OnInterrupt) -> Result<Self, Failure> {
        let interrupts = signal(SignalKind::interrupt())
            .map_err(|error| Failure::Failed(format!("cannot handle signals: {error}")))?;
        Ok(Self { interrupts, presses: 0, meaning, session: None, output: cx.output })
    }

    /// From here on, Ctrl-C is about this session.
    pub(super) fn follows(&mut self, connector: &Connector, session_id: &str) {
        self.session = Some((connector.clone(), session_id.to_owned()));
    }

    /// Waits for the work, and for Ctrl-C beside it.
    ///
    /// # Errors
    /// [`Failure::Interrupted`] when Ctrl-C means to return.
    pub(super) async fn unless_left<T>(
        &mut self,
        work: impl Future<Output = T>,
    ) -> Result<T, Failure> {
        let mut work = pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return Ok(done),
                _ = self.interrupts.recv() => self.pressed()?,
            }
        }
    }

    fn pressed(&mut self) -> Result<(), Failure> {
        self.presses += 1;
        let Some((connector, id)) = &self.session else { return Err(Failure::Interrupted) };
        let short = short_id(id);
        match (self.meaning, self.presses) {
            (OnInterrupt::Return, _) => Err(Failure::Interrupted),
            (OnInterrupt::StopTurn, 1) => {
                self.output.note("\ninterrupting the turn (Ctrl-C again leaves it to itself)");
                tokio::spawn(interrupt(connector.clone(), id.clone(), self.output));
                Ok(())
            }
            (OnInterrupt::StopTurn, _) => {
                self.output.note(&format!(
                    "\nleft; session {short} goes on without you\n  follow it again: switchboard sessions watch {short}"
                ));
                Err(Failure::Interrupted)
            }
        }
    }
}

/// Asks the server to interrupt the turn, also when it is just being restarted.
async fn interrupt(connector: Connector, session_id: String, output: Output) {
    let request = InterruptTurnRequest { session_id, ..Default::default() };
    let answer = match connector.connect_later() {
        Ok(server) => retry::change(&server, output, request).await.map(drop),
        Err(failure) => Err(failure),
    };
    match answer {
        Ok(()) => {}
        // The turn ended by itself meanwhile.
        Err(Failure::Refused(problem)) if problem.reason == "NO_ACTIVE_TURN" => {}
        Err(failure) => output.note(&failure.report(false).unwrap_or_default()),
    }
}
