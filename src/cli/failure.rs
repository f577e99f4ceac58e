//! How a command can end other than well, as exit code and as text.

mod needed;

use std::{collections::BTreeMap, io};

use serde::Serialize;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use self::needed::needed;
use super::render::text;
use crate::proto::LeftOut;

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
    /// What a program needs to act. `truncated` says that a status of gRPC could
    /// not hold all of it.
    pub metadata: BTreeMap<String, String>,
    /// When the same may succeed, such as `1s`.
    #[serde(rename = "retryAfter", skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<String>,
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
        let message = status.message().to_owned();
        let retry = status.get_details_retry_info().and_then(|retry| retry.retry_delay);
        let retry_after = retry.map(|after| format!("{}s", after.as_secs_f64()));
        Self::Refused(Problem { code, reason, message, metadata, retry_after })
    }

    /// That nothing more comes of a session that is watched.
    pub(super) fn left_out(left_out: LeftOut) -> Self {
        let LeftOut { session_id, next_seq, reason, message, next_readable_seq } = left_out;
        let seqs = [("next_seq", next_seq), ("next_readable_seq", next_readable_seq)];
        let seqs = seqs.into_iter().filter(|(_, seq)| *seq > 0);
        let mut metadata: BTreeMap<String, String> =
            seqs.map(|(name, seq)| (name.to_owned(), seq.to_string())).collect();
        metadata.insert("session_id".to_owned(), session_id);
        // It is no status, and has no code of one.
        let code = code_name(Code::Unknown);
        Self::Refused(Problem { code, reason, message, metadata, retry_after: None })
    }

    /// Why the same may succeed after a while, where it may.
    pub(super) fn passes(&self) -> Option<&str> {
        match self {
            Self::Unreachable(why) => Some(why),
            Self::Refused(problem) => passes(&problem.reason),
            Self::Usage(_)
            | Self::Failed(_)
            | Self::Interrupted
            | Self::BadOutcome
            | Self::Differs
            | Self::OutputClosed => None,
        }
    }

    /// 1 it failed, 2 bad usage, 3 server unreachable, 4 something differs, 130 interrupted.
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
                    format!("error: {}{}", text::clean(&problem.message), needed(problem))
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
            let problem = Problem { code, reason, message, metadata, retry_after: None };
            serde_json::to_string(&problem).unwrap_or_default()
        } else {
            format!("error: {}", text::clean(message))
        })
    }
}

/// Why a server that refuses with this reason may do otherwise after a while.
pub(super) fn passes(reason: &str) -> Option<&'static str> {
    match reason {
        "SHUTTING_DOWN" => Some("it is shutting down"),
        "OVERLOADED" => Some("it is overloaded"),
        _ => None,
    }
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
    fn what_one_needs_to_act_is_shown_and_what_is_cut_short_says_so() {
        let refused = |reason: &str, metadata: &[(&str, &str)]| {
            let metadata =
                metadata.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
            let mut details = ErrorDetails::with_error_info(
                reason,
                "switchboard",
                metadata.collect::<std::collections::HashMap<_, _>>(),
            );
            details.set_retry_info(Some(std::time::Duration::from_millis(1_500)));
            Failure::from_status(&Status::with_error_details(Code::Aborted, "no", details), "here")
        };
        let ambiguous = refused("AMBIGUOUS_ID", &[("matches", "a1,a2")]);
        assert_eq!(ambiguous.report(false).unwrap(), "error: no\n  a1\n  a2");
        let cut = refused("SESSION_NOT_FOUND", &[("truncated", "true")]);
        assert!(cut.report(false).unwrap().contains("cut short"));
        let json = cut.report(true).unwrap();
        assert!(
            json.ends_with(r#""metadata":{"truncated":"true"},"retryAfter":"1.5s"}"#),
            "{json}"
        );
    }

    #[test]
    fn only_what_passes_is_tried_again() {
        let refused = |reason: &str| {
            let details = ErrorDetails::with_error_info(reason, "switchboard", []);
            Failure::from_status(&Status::with_error_details(Code::Unavailable, "", details), "")
        };
        assert_eq!(refused("OVERLOADED").passes(), Some("it is overloaded"));
        assert_eq!(refused("STORAGE_FULL").passes(), None);
        assert_eq!(Failure::Unreachable("gone".to_owned()).passes(), Some("gone"));
        assert_eq!(Failure::Interrupted.passes(), None);
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
            Failure::Differs,
            Failure::Interrupted,
            Failure::OutputClosed,
        ]
        .map(|failure| failure.exit_code());
        assert_eq!(codes, [1, 1, 2, 3, 4, 130, 0]);
    }
}
