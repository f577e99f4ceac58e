//! Fields that several requests have, each read in one way.

use std::{
    path::PathBuf,
    time::{Duration, SystemTime},
};

use crate::{Error, Result, id::SessionId, proto::SessionState, settings::trim};

const DEFAULT_HEARTBEAT: Duration = Duration::from_secs(15);

/// A whole session id.
///
/// # Errors
///
/// INVALID_ARGUMENT.
pub(crate) fn parse_id(field: &'static str, text: &str) -> Result<SessionId> {
    text.parse().map_err(|error| Error::invalid(field, format!("{text:?}: {error}")))
}

/// The name of a model without the white space around it; `None` where none was
/// given. A blank one stays, and is refused as such.
pub(crate) fn trimmed_model(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| trim(text).to_owned())
}

/// A value of an enumeration.
///
/// # Errors
///
/// INVALID_ARGUMENT for a number that is none.
pub(crate) fn parse_enum<E: TryFrom<i32>>(field: &'static str, number: i32) -> Result<E> {
    E::try_from(number).map_err(|_| Error::invalid(field, format!("{number} is no value of it")))
}

/// States of sessions, as they were given.
///
/// # Errors
///
/// INVALID_ARGUMENT for a number that is none.
pub(crate) fn parse_states(field: &'static str, numbers: &[i32]) -> Result<Vec<SessionState>> {
    numbers
        .iter()
        .map(|number| {
            let state = parse_enum(field, *number)?;
            if state == SessionState::Unspecified {
                return Err(Error::invalid(field, "UNSPECIFIED is no state"));
            }
            Ok(state)
        })
        .collect()
}

/// How long a watch may be silent.
///
/// # Errors
///
/// INVALID_ARGUMENT.
pub(crate) fn parse_heartbeat(given: Option<pbjson_types::Duration>) -> Result<Duration> {
    let (least, most) = (Duration::from_secs(1), Duration::from_secs(600));
    Ok(parse_duration("heartbeat", given, least, most)?.unwrap_or(DEFAULT_HEARTBEAT))
}

/// A duration within its bounds, where one was given.
///
/// # Errors
///
/// INVALID_ARGUMENT outside of them.
pub(crate) fn parse_duration(
    field: &'static str,
    given: Option<pbjson_types::Duration>,
    least: Duration,
    most: Duration,
) -> Result<Option<Duration>> {
    let Some(given) = given else { return Ok(None) };
    let bounds = || {
        Error::invalid(
            field,
            format!("expected a duration from {} s to {} s", least.as_secs(), most.as_secs()),
        )
    };
    let duration = Duration::try_from(given).map_err(|_| bounds())?;
    if duration < least || duration > most { Err(bounds()) } else { Ok(Some(duration)) }
}

/// Paths of files.
pub(crate) fn parse_paths(paths: Vec<String>) -> Vec<PathBuf> {
    paths.into_iter().map(PathBuf::from).collect()
}

/// A time from 1970 on, where one was given.
///
/// # Errors
///
/// INVALID_ARGUMENT for any other.
pub(crate) fn parse_time(
    field: &'static str,
    time: Option<crate::time::Timestamp>,
) -> Result<Option<SystemTime>> {
    let Some(time) = time else { return Ok(None) };
    // Beyond that, arithmetic in microseconds would go wrong later.
    let most = SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 36);
    let time = crate::time::system_time(&time).filter(|time| *time < most);
    time.map(Some).ok_or_else(|| Error::invalid(field, "expected a time from 1970 on"))
}
