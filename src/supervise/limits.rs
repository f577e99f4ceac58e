//! The limits of a turn, and how its supervisor finds that one was passed.
//!
//! Time is that of the monotonic clock: a jump of the wall clock changes
//! nothing, and while the machine sleeps no time passes.

use std::time::{Duration, Instant};

use serde::{Deserialize, Deserializer, Serialize};

/// How fast an agent is taken to print at most, in bytes a second. The nearer its
/// output is to the limit, the sooner it is looked at again.
const FASTEST_OUTPUT: u64 = 1 << 30;

/// The shortest pause between two looks at the size of the output.
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);

/// How far a turn may go before its supervisor ends it. None of them by default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// How long neither the agent's stdout nor its stderr may grow.
    #[serde(rename = "inactivity_ms", with = "optional_milliseconds")]
    pub inactivity: Option<Duration>,
    /// How long the turn may take, from the agent's first start.
    #[serde(rename = "wall_clock_ms", with = "optional_milliseconds")]
    pub wall_clock: Option<Duration>,
    /// How large the agent's stdout may grow, and its stderr, in bytes each.
    pub output_bytes: Option<u64>,
}

/// A limit that was passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// [`Limits::inactivity`].
    Inactivity,
    /// [`Limits::wall_clock`].
    WallClock,
    /// [`Limits::output_bytes`].
    Output,
    /// One that a later version of the supervisor knows.
    Other,
}

impl<'de> Deserialize<'de> for Limit {
    /// Reads whatever a later version wrote, because the rest of its exit file counts.
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let value = serde_json::Value::deserialize(from)?;
        Ok(match value.as_str() {
            Some("inactivity") => Self::Inactivity,
            Some("wall_clock") => Self::WallClock,
            Some("output") => Self::Output,
            Some(_) | None => Self::Other,
        })
    }
}

/// What a supervisor has seen of its agent, against the limits of the turn.
#[derive(Debug)]
pub(super) struct Watch {
    limits: Limits,
    begin: Instant,
    /// The bytes of stdout and stderr at the last look.
    sizes: [u64; 2],
    /// When one of them was last seen to have grown.
    growth: Instant,
}

impl Watch {
    /// Begins with a turn that begins now.
    pub(super) fn new(limits: Limits, now: Instant) -> Self {
        Self { limits, begin: now, sizes: [0; 2], growth: now }
    }

    /// Takes the start of an agent for activity.
    pub(super) fn start(&mut self, now: Instant) {
        self.growth = now;
    }

    /// Looks at the output as it is now; says which limit was passed.
    pub(super) fn look(&mut self, now: Instant, sizes: [u64; 2]) -> Option<Limit> {
        if sizes[0] > self.sizes[0] || sizes[1] > self.sizes[1] {
            self.growth = now;
        }
        self.sizes = sizes;
        let passed =
            |limit: Option<Duration>, since| limit.is_some_and(|limit| now - since >= limit);
        if self.limits.output_bytes.is_some_and(|limit| self.largest() > limit) {
            Some(Limit::Output)
        } else if passed(self.limits.wall_clock, self.begin) {
            Some(Limit::WallClock)
        } else if passed(self.limits.inactivity, self.growth) {
            Some(Limit::Inactivity)
        } else {
            None
        }
    }

    /// When to look again at the latest.
    pub(super) fn pause(&self, now: Instant) -> Duration {
        let left = |limit: Duration, since| limit.saturating_sub(now - since);
        // What grew between two looks counts from the second, so that an agent is
        // never ended early, and late by an eighth at most.
        let inactivity = self.limits.inactivity.map(|limit| {
            let often = (limit / 8).max(Duration::from_millis(10));
            left(limit, self.growth).min(often)
        });
        let wall_clock = self.limits.wall_clock.map(|limit| left(limit, self.begin));
        let output = self.limits.output_bytes.map(|limit| {
            let milliseconds =
                limit.saturating_sub(self.largest()).saturating_mul(1000) / FASTEST_OUTPUT;
            Duration::from_millis(milliseconds).max(SHORTEST_PAUSE)
        });
        [inactivity, wall_clock, output].into_iter().flatten().min().unwrap_or(Duration::MAX)
    }

    fn largest(&self) -> u64 {
        self.sizes[0].max(self.sizes[1])
    }
}

mod optional_milliseconds {
    use std::time::Duration;

    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    pub(super) fn serialize<S: Serializer>(
        time: &Option<Duration>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        time.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX)).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Duration>, D::Error> {
        Ok(Option::deserialize(from)?.map(Duration::from_millis))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_limit_of_a_later_version_is_read_as_another() {
        for (json, limit) in [
            (r#""inactivity""#, Limit::Inactivity),
            (r#""wall_clock""#, Limit::WallClock),
            (r#""output""#, Limit::Output),
            (r#""memory""#, Limit::Other),
            (r#"{"memory":{"bytes":7}}"#, Limit::Other),
        ] {
            assert_eq!(serde_json::from_str::<Limit>(json).unwrap(), limit, "{json}");
        }
        for limit in [Limit::Inactivity, Limit::WallClock, Limit::Output, Limit::Other] {
            let json = serde_json::to_string(&limit).unwrap();
            assert_eq!(serde_json::from_str::<Limit>(&json).unwrap(), limit, "{json}");
        }
    }

    #[test]
    fn growth_of_either_output_puts_inactivity_off() {
        let begin = Instant::now();
        let limits = Limits { inactivity: Some(8 * SECOND), ..Limits::default() };
        let mut watch = Watch::new(limits, begin);
        assert_eq!(watch.pause(begin), SECOND);
        assert_eq!(watch.look(begin + 5 * SECOND, [1, 0]), None);
        assert_eq!(watch.look(begin + 10 * SECOND, [1, 1]), None);
        let almost = begin + 18 * SECOND - SECOND / 4;
        assert_eq!(watch.look(almost, [1, 1]), None);
        assert_eq!(watch.pause(almost), SECOND / 4);
        // A file that somebody cut did not grow.
        assert_eq!(watch.look(begin + 18 * SECOND, [0, 1]), Some(Limit::Inactivity));
    }

    #[test]
    fn the_start_of_a_second_agent_is_activity_in_the_same_turn() {
        let begin = Instant::now();
        let limits = Limits {
            inactivity: Some(3 * SECOND),
            wall_clock: Some(5 * SECOND),
            ..Limits::default()
        };
        let mut watch = Watch::new(limits, begin);
        watch.start(begin + 2 * SECOND);
        assert_eq!(watch.look(begin + 4 * SECOND, [0, 0]), None);
        assert_eq!(watch.look(begin + 5 * SECOND, [0, 0]), Some(Limit::WallClock));
    }

    #[test]
    fn nothing_puts_the_wall_clock_off() {
        let begin = Instant::now();
        let limits = Limits { wall_clock: Some(3 * SECOND), ..Limits::default() };
        let mut watch = Watch::new(limits, begin);
        assert_eq!(watch.look(begin + 2 * SECOND, [1, 1]), None);
        assert_eq!(watch.pause(begin + 2 * SECOND), SECOND);
        assert_eq!(watch.look(begin + 3 * SECOND, [2, 2]), Some(Limit::WallClock));
    }

    #[test]
    fn output_up_to_its_limit_is_let_through_and_looked_at_more_often() {
        let now = Instant::now();
        let limits = Limits { output_bytes: Some(2 << 30), ..Limits::default() };
        let mut watch = Watch::new(limits, now);
        assert_eq!(watch.pause(now), 2 * SECOND);
        assert_eq!(watch.look(now, [1 << 30, 0]), None);
        assert_eq!(watch.pause(now), SECOND);
        assert_eq!(watch.look(now, [2 << 30, 0]), None);
        assert_eq!(watch.pause(now), SHORTEST_PAUSE);
        assert_eq!(watch.look(now, [0, (2 << 30) + 1]), Some(Limit::Output));
    }

    #[test]
    fn a_turn_without_limits_goes_on_for_ever() {
        let begin = Instant::now();
        let mut watch = Watch::new(Limits::default(), begin);
        assert_eq!(watch.look(begin + 1_000_000 * SECOND, [u64::MAX, 0]), None);
        assert_eq!(watch.pause(begin), Duration::MAX);
    }
}
