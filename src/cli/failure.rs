//! How a command can end other than well, as exit code and as text.

use std::{collections::BTreeMap, io};

use serde::Serialize;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::render::text;

/// How much of a value that is there is shown beside a refusal.
const SHOWN_VALUE: usize = 400;

/// Why a command did not do what was asked.
#[derive(Debug)]
pub enum Failure {
    /// The server answered with an error.
    Refused(Problem),
    /// The command line or the configuration is wrong.
    Usage(String),
    /// No server answers.
    Unreachable(String),
    /// Something failed on this side.
    Failed(String),
    /// It was interrupted, and that has been said.
    Interrupted,
    /// The work was done and its outcome was bad, and that has been said.
    BadOutcome,
    /// A comparison found differences, and they have been said.
    Differs,
    /// Whoever read the output has gone; there is nobody to tell.
    OutputClosed,
}

/// An error of the server, as it stands in its status.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The gRPC code in `UPPER_SNAKE_CASE`.
    pub code: &'static str,
    /// The reason, for programs.
    pub reason: String,
    /// For people.
    pub message: String,
    /// What a program needs to act.
    pub metadata: BTreeMap<String, String>,
}

impl Failure {
    /// Tells an answer of the server from the lack of one.
    pub fn from_status(status: &Status, at: impl std::fmt::Display) -> Self {
        let told = status.get_details_error_info();
        if told.is_none() && status.code() == Code::Unavailable {
            return Self::Unreachable(format!("no server answers at {at}: {}", status.message()));
        }
        let (reason, metadata) =
            told.map(|told| (told.reason, told.metadata.into_iter().collect())).unwrap_or_default();
        let code = code_name(status.code());
        let reason = if reason.is_empty() { code.to_owned() } else { reason };
        Self::Refused(Problem { code, reason, message: status.message().to_owned(), metadata })
    }

    /// 1 it failed, 2 bad usage, 3 server unreachable, 4 something differs, 130
    /// interrupted.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Refused(_) | Self::Failed(_) | Self::BadOutcome => 1,
            Self::Usage(_) => 2,
            Self::Unreachable(_) => 3,
            Self::Differs => 4,
            Self::Interrupted => 130,
            Self::OutputClosed => 0,
        }
    }

    /// What belongs on standard error; `None` when all was said.
    #[must_use]
    pub fn report(&self, json: bool) -> Option<String> {
        let (code, reason, message) = match self {
            Self::Refused(problem) => {
                let text = if json {
                    serde_json::to_string(problem).unwrap_or_default()
                } else {
                    format!("error: {}{}", text::clean(&problem.message), current(problem))
                };
                return Some(text);
            }
            Self::Usage(message) => ("INVALID_ARGUMENT", "USAGE", message),
            Self::Unreachable(message) => ("UNAVAILABLE", "SERVER_UNREACHABLE", message),
            Self::Failed(message) => ("UNKNOWN", "FAILED", message),
            Self::Interrupted | Self::BadOutcome | Self::Differs | Self::OutputClosed => {
                return None;
            }
        };
        Some(if json {
            let (reason, message) = (reason.to_owned(), message.clone());
            let metadata = BTreeMap::new();
            serde_json::to_string(&Problem { code, reason, message, metadata }).unwrap_or_default()
        } else {
            format!("error: {}", text::clean(message))
        })
    }
}

/// What is there in the place of what was refused, for people, where the answer
/// says it.
fn current(problem: &Problem) -> String {
    if problem.reason != "DEFAULTS_LOCKED" {
        return String::new();
    }
    let mut text = "\nthe defaults are:".to_owned();
    for name in ["model", "approval_policy", "network_access", "filesystem_sandbox", "settings"] {
        let Some(value) = problem.metadata.get(name).filter(|value| !value.is_empty()) else {
            continue;
        };
        let name = name.replace('_', " ");
        text.push_str(&format!("\n  {name:<19} {}", text::one_line(value, SHOWN_VALUE)));
    }
    text.push_str(
        "\n  all of them: switchboard controls get --scope default, settings get --scope default",
    );
    text
}

impl From<io::Error> for Failure {
    /// Of writing to standard output only: a reader that left is no failure.
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::OutputClosed;
        }
        Self::Failed(format!("cannot write the output: {error}"))
    }
}

impl From<crate::config::Error> for Failure {
    fn from(error: crate::config::Error) -> Self {
        Self::Usage(error.to_string())
    }
}

impl From<crate::home::Error> for Failure {
    fn from(error: crate::home::Error) -> Self {
        Self::Failed(error.to_string())
    }
}

fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

#[cfg(test)]
mod tests {
    use tonic_types::{ErrorDetails, StatusExt};

    use super::*;

    #[test]
    fn an_answer_keeps_its_reason_and_metadata() {
        let details = ErrorDetails::with_error_info(
            "SESSION_NOT_FOUND",
            "switchboard",
            [("id".to_owned(), "2f1c".to_owned())],
        );
        let status =
            Status::with_error_details(Code::NotFound, "no session has the id 2f1c", details);
        let failure = Failure::from_status(&status, "here");
        assert_eq!(failure.exit_code(), 1);
        assert_eq!(failure.report(false).unwrap(), "error: no session has the id 2f1c");
        assert_eq!(
            failure.report(true).unwrap(),
            r#"{"code":"NOT_FOUND","reason":"SESSION_NOT_FOUND","message":"no session has the id 2f1c","metadata":{"id":"2f1c"}}"#
        );
    }

    #[test]
    fn unavailable_without_a_reason_means_that_no_server_answers() {
        let failure = Failure::from_status(&Status::unavailable("tcp connect error"), "unix:/s");
        assert_eq!(failure.exit_code(), 3);
        let details = ErrorDetails::with_error_info("SHUTTING_DOWN", "switchboard", []);
        let status = Status::with_error_details(Code::Unavailable, "going down", details);
        assert_eq!(Failure::from_status(&status, "unix:/s").exit_code(), 1);
    }

    #[test]
    fn the_exit_codes_are_the_documented_ones() {
        let codes = [
            Failure::Failed(String::new()),
            Failure::BadOutcome,
            Failure::Usage(String::new()),
            Failure::Unreachable(String::new()),
            Failure::Interrupted,
            Failure::OutputClosed,
        ]
        .map(|failure| failure.exit_code());
        assert_eq!(codes, [1, 1, 2, 3, 130, 0]);
    }
}
