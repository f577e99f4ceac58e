//! Standard output and standard error, written so that a reader who leaves is
//! no error and nothing is half a line.

use std::io::{self, IsTerminal as _, Write as _};

use super::Failure;
use crate::config::Environment;

/// Where a command prints to, and how.
#[derive(Debug, Clone, Copy)]
pub(super) struct Output {
    /// Whether standard output shows colours.
    pub colour: bool,
    /// Whether standard error shows colours.
    pub colour_notes: bool,
    /// Whether the output is for programs.
    pub json: bool,
}

impl Output {
    /// Colours only on a terminal that can show them and whose user wants them.
    #[must_use]
    pub(super) fn new(environment: &Environment, json: bool) -> Self {
        let dumb = environment.text("TERM").is_some_and(|term| term == "dumb");
        let wanted = environment.raw("NO_COLOR").is_none() && !dumb;
        Self {
            colour: wanted && !json && io::stdout().is_terminal(),
            colour_notes: wanted && io::stderr().is_terminal(),
            json,
        }
    }

    /// Prints text, at once.
    ///
    /// # Errors
    /// [`Failure::OutputClosed`] when nobody reads any more.
    pub(super) fn print(&self, text: &str) -> Result<(), Failure> {
        self.print_bytes(text.as_bytes())
    }

    /// Prints text and a line feed, at once.
    ///
    /// # Errors
    /// [`Failure::OutputClosed`] when nobody reads any more.
    pub(super) fn line(&self, text: &str) -> Result<(), Failure> {
        self.print(&format!("{text}\n"))
    }

    /// Prints bytes as they are, at once.
    ///
    /// # Errors
    /// [`Failure::OutputClosed`] when nobody reads any more.
    pub(super) fn print_bytes(&self, bytes: &[u8]) -> Result<(), Failure> {
        if bytes.is_empty() {
            return Ok(());
        }
        let mut stdout = io::stdout().lock();
        stdout.write_all(bytes)?;
        stdout.flush()?;
        Ok(())
    }

    /// Asks something beside the output, on the line that the answer is typed in.
    pub(super) fn ask(&self, question: &str) {
        let mut stderr = io::stderr().lock();
        // Nobody may be there to read it, and then nobody answers either.
        let _ = stderr.write_all(question.as_bytes()).and_then(|()| stderr.flush());
    }

    /// Says something about the work, beside its output.
    pub(super) fn note(&self, text: &str) {
        // Nobody may be there to read it, and the work goes on all the same.
        let _ = writeln!(io::stderr().lock(), "{text}");
    }
}
