//! The question before sessions are deleted.

use std::io::{self, IsTerminal as _};

use super::{
    Context, Failure,
    render::{about, state_word},
};
use crate::proto::Session;

/// Whether the person at the terminal has to agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Consent {
    /// It was given on the command line.
    Given,
    /// It is to be asked for.
    Ask,
}

impl Consent {
    /// Consent by `--yes`, or by asking on a terminal.
    ///
    /// # Errors
    /// [`Failure::Usage`] where there is neither.
    pub(super) fn new(yes: bool) -> Result<Self, Failure> {
        if yes {
            return Ok(Self::Given);
        }
        if io::stdin().is_terminal() && io::stderr().is_terminal() {
            return Ok(Self::Ask);
        }
        Err(Failure::Usage(
            "this deletes sessions for ever, and there is no terminal to ask on: give --yes".into(),
        ))
    }

    /// Says which sessions are deleted and, unless there is consent, asks.
    ///
    /// # Errors
    /// [`Failure::BadOutcome`] when the answer is not yes.
    pub(super) fn to_delete(
        self,
        cx: &Context,
        sessions: &[Session],
        and_more: bool,
    ) -> Result<(), Failure> {
        // A program that gave its consent has the ids in its answer.
        if self == Self::Ask || !cx.output.json {
            cx.output.note("to be deleted for ever, with all events and files:");
            for session in sessions {
                cx.output.note(&format!(
                    "  {}  {:<11}  {}",
                    session.session_id,
                    state_word(session.state()),
                    about(session)
                ));
            }
            if and_more {
                cx.output.note("and more after these");
            }
        }
        if self == Self::Given {
            return Ok(());
        }
        let these = match sessions.len() {
            1 => "this session".to_owned(),
            count => format!("these {count} sessions"),
        };
        cx.output.ask(&format!("Delete {these}? [y/N] "));
        let mut answer = String::new();
        io::stdin()
            .read_line(&mut answer)
            .map_err(|error| Failure::Failed(format!("cannot read the answer: {error}")))?;
        if matches!(answer.trim().to_lowercase().as_str(), "y" | "yes") {
            return Ok(());
        }
        cx.output.note("nothing was deleted");
        Err(Failure::BadOutcome)
    }
}
