//! Points in time as the wire, the database and the log write them.
//!
//! Times before 1970 do not occur here: a clock that is set before it reads as
//! 1970, and no conversion panics.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use pbjson_types::Timestamp;

fn since_epoch(time: SystemTime) -> Duration {
    time.duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// As the wire writes it.
#[must_use]
pub fn timestamp(time: SystemTime) -> Timestamp {
    let since = since_epoch(time);
    Timestamp {
        seconds: i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(since.subsec_nanos()).unwrap_or(0),
    }
}

/// As the wire wrote it; `None` for a time before 1970 or beyond the clock.
#[must_use]
pub fn system_time(timestamp: &Timestamp) -> Option<SystemTime> {
    let seconds = u64::try_from(timestamp.seconds).ok()?;
    let nanos = u32::try_from(timestamp.nanos).ok().filter(|nanos| *nanos < 1_000_000_000)?;
    UNIX_EPOCH.checked_add(Duration::new(seconds, nanos))
}

/// Microseconds since 1970, as the database writes it.
#[must_use]
pub fn micros(time: SystemTime) -> i64 {
    i64::try_from(since_epoch(time).as_micros()).unwrap_or(i64::MAX)
}

/// As the database wrote it.
#[must_use]
pub fn from_micros(micros: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_micros(u64::try_from(micros).unwrap_or(0))
}

/// Nanoseconds since 1970, as the log writes it.
#[must_use]
pub fn nanos(time: SystemTime) -> i64 {
    i64::try_from(since_epoch(time).as_nanos()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_survive_the_wire_and_the_database() {
        let time = UNIX_EPOCH + Duration::new(1_795_000_000, 123_456_000);
        assert_eq!(system_time(&timestamp(time)), Some(time));
        assert_eq!(from_micros(micros(time)), time);
        assert_eq!(nanos(time), 1_795_000_000_123_456_000);
    }

    #[test]
    fn impossible_times_are_refused_or_clamped() {
        assert_eq!(system_time(&Timestamp { seconds: -1, nanos: 0 }), None);
        assert_eq!(system_time(&Timestamp { seconds: 1, nanos: 2_000_000_000 }), None);
        assert_eq!(micros(UNIX_EPOCH - Duration::from_secs(1)), 0);
    }
}
