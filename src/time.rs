//! Points in time as the wire, the database and the log write them.
//!
//! Times before 1970 do not occur here: a clock that is set before it reads as
//! 1970, and no conversion panics.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// `google.protobuf.Timestamp`, whose JSON form ends in `Z` and has 0, 3, 6 or 9
/// digits of a second, as the proto3 JSON mapping says. pbjson-types 0.9 writes
/// `+00:00`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, prost::Message)]
pub struct Timestamp {
    /// Seconds since 1970.
    #[prost(int64, tag = "1")]
    pub seconds: i64,
    /// Nanoseconds after that: 0 to 999,999,999.
    #[prost(int32, tag = "2")]
    pub nanos: i32,
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let time = system_time(self).unwrap_or(UNIX_EPOCH);
        let text = match self.nanos {
            0 => humantime::format_rfc3339_seconds(time),
            nanos if nanos % 1_000_000 == 0 => humantime::format_rfc3339_millis(time),
            nanos if nanos % 1_000 == 0 => humantime::format_rfc3339_micros(time),
            _ => humantime::format_rfc3339_nanos(time),
        };
        serializer.collect_str(&text)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        parse(&text).ok_or_else(|| de::Error::custom("expected a time as RFC 3339 writes it"))
    }
}

/// A time as RFC 3339 writes it, with the offset from UTC that it has; `None` for
/// one before 1970, too.
#[must_use]
pub fn parse(text: &str) -> Option<Timestamp> {
    let (local, offset) = match text.len().checked_sub(6).map(|at| text.split_at_checked(at)) {
        Some(Some((local, offset))) if !text.ends_with(['Z', 'z']) => (local, offset),
        _ => (text.get(..text.len().checked_sub(1)?)?, "+00:00"),
    };
    let time = humantime::parse_rfc3339(&format!("{}Z", local.replacen('t', "T", 1))).ok()?;
    let (hours, minutes) = offset.get(1..)?.split_once(':')?;
    let part = |text: &str, most: u64| {
        let digits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<u64>().ok().filter(|number| digits && *number <= most)
    };
    let offset_from_utc = Duration::from_secs(part(hours, 23)? * 3600 + part(minutes, 59)? * 60);
    let time = match offset.as_bytes().first()? {
        b'+' => time.checked_sub(offset_from_utc)?,
        b'-' => time.checked_add(offset_from_utc)?,
        _ => return None,
    };
    (time >= UNIX_EPOCH).then(|| timestamp(time))
}

fn since_epoch(time: SystemTime) -> Duration {
    time.duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// The time, to the microsecond: what the database keeps, so that an answer and
/// a later read of the same thing agree.
#[must_use]
pub fn now() -> SystemTime {
    to_micros(SystemTime::now())
}

/// The time to the microsecond, as the database keeps it.
#[must_use]
pub fn to_micros(time: SystemTime) -> SystemTime {
    from_micros(micros(time))
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
    fn json_is_as_the_mapping_says() {
        let json = |seconds, nanos| serde_json::to_string(&Timestamp { seconds, nanos }).unwrap();
        assert_eq!(json(1_795_000_000, 0), "\"2026-11-18T11:06:40Z\"");
        assert_eq!(json(1_795_000_000, 500_000_000), "\"2026-11-18T11:06:40.500Z\"");
        assert_eq!(json(1_795_000_000, 1_000), "\"2026-11-18T11:06:40.000001Z\"");
        assert_eq!(json(1_795_000_000, 1), "\"2026-11-18T11:06:40.000000001Z\"");
        let time: Timestamp = serde_json::from_str(&json(1_795_000_000, 1)).unwrap();
        assert_eq!(time, Timestamp { seconds: 1_795_000_000, nanos: 1 });
    }

    #[test]
    fn times_are_read_with_their_offset() {
        let at = |text| parse(text).map(|time| (time.seconds, time.nanos));
        assert_eq!(at("2026-11-18T11:06:40Z"), Some((1_795_000_000, 0)));
        assert_eq!(at("2026-11-18t11:06:40.5z"), Some((1_795_000_000, 500_000_000)));
        assert_eq!(at("2026-11-18T13:36:40+02:30"), Some((1_795_000_000, 0)));
        assert_eq!(at("2026-11-18T10:06:40.000000001-01:00"), Some((1_795_000_000, 1)));
        for wrong in [
            "",
            "Z",
            "2026-11-18",
            "2026-11-18T11:06:40",
            "2026-11-18T11:06:40+24:00",
            "2026-11-18T11:06:40+1:00",
            "2026-11-18T11:06:40 02:00",
            "1969-12-31T23:59:59Z",
            "1970-01-01T00:00:00+00:01",
            "2026-13-18T11:06:40Z",
            "ééééééZ",
        ] {
            assert_eq!(at(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn impossible_times_are_refused_or_clamped() {
        assert_eq!(system_time(&Timestamp { seconds: -1, nanos: 0 }), None);
        assert_eq!(system_time(&Timestamp { seconds: 1, nanos: 2_000_000_000 }), None);
        assert_eq!(micros(UNIX_EPOCH - Duration::from_secs(1)), 0);
    }
}
