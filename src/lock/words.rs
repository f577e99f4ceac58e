//! What differs from a lock, in words for people.

use std::fmt;

use super::{Drift, DriftedValue};

/// The most values of which a message says where they come from.
const MOST: usize = 200;

impl Drift {
    /// What a message of an error begins with that tells it.
    pub const HEADING: &str =
        "the configuration is not the one of the config lock; what differs, lock first:\n";

    /// The same where so many bytes are all that is read: where the first values
    /// come from stands before the diff then, in half of that room, or in all that
    /// the diff leaves of it.
    #[must_use]
    pub fn beginning(&self, bytes: usize) -> String {
        let room = (bytes / 2).max(bytes.saturating_sub(self.diff.len()));
        let total = self.values.len();
        let mut text = String::new();
        for (index, value) in self.values.iter().enumerate() {
            let line = origin(value);
            let left = total - index - 1;
            let more = if left > 0 { more(left).len() } else { 0 };
            // What differs first is said in any case.
            if index > 0 && text.len() + line.len() + more > room {
                text.push_str(&self::more(total - index));
                break;
            }
            text.push_str(&line);
        }
        text + &self.diff
    }
}

impl fmt::Display for Drift {
    /// Writes the diff, and where each value comes from.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.diff)?;
        for value in self.values.iter().take(MOST) {
            f.write_str(&origin(value))?;
        }
        match self.values.len().checked_sub(MOST) {
            None | Some(0) => Ok(()),
            Some(left) => f.write_str(&more(left)),
        }
    }
}

/// Where a value comes from.
fn origin(DriftedValue { key, origin, .. }: &DriftedValue) -> String {
    format!("{key} comes from {origin}\n")
}

/// That there are others.
fn more(left: usize) -> String {
    format!("... and {left} more\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drift(count: usize, diff: &str) -> Drift {
        let value = |number: usize| DriftedValue {
            key: format!("config.{number}"),
            locked: None,
            actual: Some("1".to_owned()),
            origin: "/etc/x".to_owned(),
        };
        Drift { values: (0..count).map(value).collect(), diff: diff.to_owned() }
    }

    #[test]
    fn the_diff_is_followed_by_where_each_value_comes_from() {
        let text = drift(2, "+x\n").to_string();
        assert_eq!(text, "+x\nconfig.0 comes from /etc/x\nconfig.1 comes from /etc/x\n");
        let text = drift(MOST + 3, "+x\n").to_string();
        assert!(text.ends_with("config.199 comes from /etc/x\n... and 3 more\n"), "{text}");
        assert!(!drift(MOST, "+x\n").to_string().contains("more"));
    }

    #[test]
    fn where_the_first_ones_come_from_stands_before_a_diff_that_is_cut() {
        let long = "+long\n".repeat(100);
        let text = drift(9, &long).beginning(160);
        let origins = "config.0 comes from /etc/x\nconfig.1 comes from /etc/x\n... and 7 more\n";
        assert_eq!(text, format!("{origins}{long}"));
        // What is left of the room is taken too.
        let text = drift(3, "+x\n").beginning(100);
        assert_eq!(text.lines().filter(|line| line.contains("comes from")).count(), 3, "{text}");
        let text = drift(2, &long).beginning(0);
        assert!(text.starts_with("config.0 comes from /etc/x\n... and 1 more\n+long"), "{text}");
        assert_eq!(drift(0, "+x\n").beginning(9), "+x\n");
    }
}
