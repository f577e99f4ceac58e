//! A stop that is under way: who asked for it, and the steps that it takes.

use std::time::{Duration, Instant};

use super::{
    agent::Agent,
    limits::Limit,
    records::{Grace, Stop, StopMode, StopStep, Stopped},
};

/// A stop that is under way.
#[derive(Debug)]
pub(super) struct Stopping {
    asked: Asked,
    step: StopStep,
    /// When the next step is due.
    next: Instant,
}

/// Who wants the stop.
#[derive(Debug)]
enum Asked {
    /// Somebody.
    Request(Stop),
    /// Nobody: a limit was passed. The steps are those of a kill.
    Limit(Limit),
}

impl Asked {
    fn mode(&self) -> StopMode {
        match self {
            Self::Request(request) => request.mode,
            Self::Limit(_) => StopMode::Kill,
        }
    }
}

impl Stopping {
    /// A stop that was asked for; nothing is done yet.
    pub(super) fn requested(request: Stop) -> Self {
        Self::new(Asked::Request(request))
    }

    /// A stop because a limit was passed; nothing is done yet.
    pub(super) fn limited(limit: Limit) -> Self {
        Self::new(Asked::Limit(limit))
    }

    fn new(asked: Asked) -> Self {
        Self { asked, step: StopStep::NotStarted, next: Instant::now() }
    }

    /// Takes a later request over if it is harder, and brings the next step
    /// nearer. A request of whatever mode takes the place of a limit, and changes
    /// no step.
    pub(super) fn harden(&mut self, request: Stop, grace: &Grace) {
        match &self.asked {
            Asked::Limit(_) => self.asked = Asked::Request(request),
            Asked::Request(earlier)
                if earlier.mode == StopMode::Interrupt && request.mode == StopMode::Kill =>
            {
                self.asked = Asked::Request(request);
                if self.step == StopStep::Interrupt {
                    self.next = self.next.min(Instant::now() + grace.kill);
                }
            }
            Asked::Request(_) => {}
        }
    }

    /// Takes the next step when it is due, and says which was the last. That of
    /// [`StopStep::Kill`] is the caller's to take.
    pub(super) fn advance(&mut self, agent: &Agent, grace: &Grace) -> StopStep {
        let now = Instant::now();
        if now < self.next {
            return self.step;
        }
        match self.step {
            StopStep::NotStarted => {
                agent.interrupt();
                self.step = StopStep::Interrupt;
                self.next = now
                    + match self.asked.mode() {
                        StopMode::Interrupt => grace.interrupt,
                        StopMode::Kill => grace.kill,
                    };
            }
            StopStep::Interrupt => {
                agent.terminate();
                self.step = StopStep::Terminate;
                self.next = now + grace.terminate;
            }
            StopStep::Terminate => self.step = StopStep::Kill,
            StopStep::Kill => {}
        }
        self.step
    }

    /// How long until the next step is due.
    pub(super) fn pause(&self) -> Duration {
        self.next.saturating_duration_since(Instant::now())
    }

    /// What the exit file says of the request, if there was one.
    pub(super) fn stopped(&self) -> Option<Stopped> {
        match &self.asked {
            Asked::Request(request) => Some(Stopped {
                mode: request.mode,
                actor: request.actor.clone(),
                request_time: request.time,
                step: self.step,
            }),
            Asked::Limit(_) => None,
        }
    }

    /// The limit that was passed, where nobody asked.
    pub(super) fn limit(&self) -> Option<Limit> {
        match &self.asked {
            Asked::Request(_) => None,
            Asked::Limit(limit) => Some(*limit),
        }
    }
}
