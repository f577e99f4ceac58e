use std::time::Duration;

use tonic::metadata::MetadataMap;

use super::*;
use crate::{
    id::{Seq, SessionId, TurnNumber},
    proto::SessionState,
};

/// One of each.
fn all() -> Vec<Error> {
    let id = SessionId::random();
    let problem = || "p".to_owned();
    let state = SessionState::Running;
    vec![
        Error::invalid("session.title", "p"),
        Error::WorkingDirectoryInvalid { path: "/x".into(), problem: problem() },
        Error::AgentNotFound { agent: "x".to_owned(), problem: problem() },
        Error::Unauthenticated { problem: problem() },
        Error::PermissionDenied { problem: problem() },
        Error::SessionNotFound { id: id.to_string() },
        Error::SessionDeleted {
            id,
            title: "t".to_owned(),
            delete_time: std::time::SystemTime::UNIX_EPOCH,
        },
        Error::TurnNotFound { session: id, turn: TurnNumber(3), turn_count: 2 },
        Error::SessionExists { id },
        Error::IdempotencyConflict { request_id: "r".to_owned() },
        Error::EtagMismatch {
            what: "w",
            id: Some(id),
            etag: "2".to_owned(),
            given: "1".to_owned(),
        },
        Error::SystemSession { id },
        Error::DefaultsLocked { current: Box::default() },
        Error::SessionRunning { id, state },
        Error::SessionReadOnly { id, problem: problem() },
        Error::NoActiveTurn { id, state: SessionState::Completed },
        Error::AmbiguousId { prefix: "abcd".to_owned(), matches: vec![id] },
        Error::PayloadTooLarge { what: "x", size: 2, limit: 1, unit: "bytes" },
        Error::UnsupportedMediaType { problem: problem() },
        Error::RouteNotFound { path: "/x".to_owned() },
        Error::MethodNotAllowed {
            path: "/x".to_owned(),
            method: "PUT".to_owned(),
            allowed: "GET".to_owned(),
        },
        Error::Misdirected { host: "x".to_owned() },
        Error::CursorExpired { requested: Seq(1), oldest: Seq(9) },
        Error::EventsDamaged { seq: Seq(5), next: Some(Seq(9)) },
        Error::Overloaded { problem: problem(), retry_after: Duration::from_secs(2) },
        Error::ConfigLockInvalid {
            rule: "version",
            key: Some("version".to_owned()),
            problem: problem(),
        },
        Error::ConfigLockDrift {
            drift: Box::new(Drift {
                values: vec![DriftedValue {
                    key: "config.model".to_owned(),
                    locked: Some("\"a\"".to_owned()),
                    actual: None,
                    origin: "codex".to_owned(),
                }],
                diff: "-model = \"a\"\n".to_owned(),
            }),
        },
        Error::CodexVersionMismatch { locked: "1.0.0".to_owned(), actual: "1.0.1".to_owned() },
        Error::internal("secret"),
        Error::Unimplemented { what: "x".to_owned() },
        Error::AgentUnavailable { problem: problem() },
        Error::ShuttingDown { last_seq: Some(Seq(7)) },
        Error::StorageFull { path: "/x".into() },
        Error::StorageLow { path: "/x".into(), free: 1, floor: 2 },
        Error::DeadlineExceeded,
    ]
}

#[test]
fn the_table_is_as_checked_in() {
    let mut table = String::new();
    for error in all() {
        let Row { reason, http, json_rpc, grpc, detail } = row(&error);
        let detail = match detail {
            Detail::None => "-",
            Detail::BadRequest(_) => "BadRequest",
            Detail::Resource(..) => "ResourceInfo",
            Detail::Precondition(_) => "PreconditionFailure",
            Detail::Retry(_) => "RetryInfo",
        };
        let keys = metadata(&error).into_iter().map(|(key, _)| key).collect::<Vec<_>>();
        table += &format!(
            "{reason} {} {json_rpc} {grpc:?} {detail} [{}]\n",
            http.as_u16(),
            keys.join(" ")
        );
    }
    assert_eq!(table, include_str!("../../../tests/fixtures/errors.txt"));
}

#[test]
fn every_status_has_its_reason_and_hides_what_is_internal() {
    for error in all() {
        let status = status(&error);
        let info = status.get_error_details();
        let info = info.error_info().unwrap();
        assert_eq!((info.reason.as_str(), info.domain.as_str()), (row(&error).reason, DOMAIN));
        assert!(!format!("{status:?}").contains("secret"));
    }
}

#[test]
fn a_status_stays_below_four_kilobytes_and_says_that_it_was_cut() {
    let huge = "ü".repeat(100_000);
    let status = status(&Error::SessionNotFound { id: huge });
    let mut headers = http::HeaderMap::new();
    status.add_header(&mut headers).unwrap();
    let size: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    assert!(size < 4_096, "{size}");
    let details = status.get_error_details();
    assert_eq!(details.error_info().unwrap().metadata["truncated"], "true");
}

#[test]
fn a_status_without_room_for_a_diff_says_where_the_first_values_come_from() {
    let value = |key: &str| DriftedValue {
        key: key.to_owned(),
        locked: None,
        actual: Some("1".to_owned()),
        origin: "/home/dev/.codex/config.toml".to_owned(),
    };
    let values = vec![value("config.a"), value("config.b")];
    let diff = "+a_line = true\n".repeat(1_000);
    let error = Error::ConfigLockDrift { drift: Box::new(Drift { values, diff }) };
    let status = status(&error);
    let from = |key: &str| format!("{key} comes from /home/dev/.codex/config.toml\n");
    let origins = format!("\n{}{}+a_line", from("config.a"), from("config.b"));
    assert!(status.message().contains(&origins), "{}", status.message());
    assert_eq!(status.message().len(), MAX_STATUS_TEXT);
    let details = status.get_error_details();
    assert_eq!(details.error_info().unwrap().metadata["truncated"], "true");
    // Where there is room, they are below the diff.
    assert!(error.to_string().ends_with(&from("config.b")));
}

#[test]
fn what_tonic_says_gets_details_too() {
    let status = completed(Status::with_metadata(Code::OutOfRange, "too big", MetadataMap::new()));
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert_eq!(status.get_error_details().error_info().unwrap().reason, "PAYLOAD_TOO_LARGE");
}

#[test]
fn a_message_that_tonic_does_not_read_is_told_with_its_length_in_our_words() {
    let words =
        "Error, decoded message length too large: found 7000 bytes, the limit is: 4096 bytes";
    let status = completed(Status::out_of_range(words));
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert_eq!(status.message(), "the request is 7000 bytes long; at most 4096 are allowed");
    let details = status.get_error_details();
    let info = details.error_info().unwrap();
    assert_eq!(
        (info.reason.as_str(), info.metadata["size"].as_str()),
        ("PAYLOAD_TOO_LARGE", "7000")
    );
}
