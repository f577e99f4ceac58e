//! A number of bytes, as people write it.

use std::{fmt, str::FromStr};

/// The units, the largest first: those of a thousand beside those of 1024.
const UNITS: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("TB", 1_000_000_000_000),
    ("GiB", 1 << 30),
    ("GB", 1_000_000_000),
    ("MiB", 1 << 20),
    ("MB", 1_000_000),
    ("KiB", 1 << 10),
    ("KB", 1_000),
    ("B", 1),
];

/// A number of bytes, written as a whole number and its unit: `8GiB`, `500MB`
/// or `4096B`. `KB`, `MB`, `GB` and `TB` count in thousands, `KiB`, `MiB`, `GiB`
/// and `TiB` in 1024s.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

/// The text is not a size.
#[derive(Debug, thiserror::Error)]
#[error(
    "{0:?} is no size: expected a whole number and its unit, such as 8GiB, 500MB or 4096B; the units are B, KB, MB, GB, TB and KiB, MiB, GiB, TiB"
)]
pub struct ParseSizeError(String);

impl FromStr for Size {
    type Err = ParseSizeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let unit = unit.trim_start_matches(' ');
        let bytes = UNITS
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(unit))
            .and_then(|(_, bytes)| number.parse::<u64>().ok()?.checked_mul(*bytes));
        bytes.map(Self).ok_or_else(|| ParseSizeError(text.to_owned()))
    }
}

impl fmt::Display for Size {
    /// Writes the shortest form that is exact.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exact = UNITS.iter().filter(|(_, bytes)| self.0.is_multiple_of(*bytes));
        match exact.min_by_key(|(_, bytes)| self.0 / bytes) {
            Some((name, bytes)) if self.0 > 0 => write!(f, "{}{name}", self.0 / bytes),
            Some(_) | None => write!(f, "{}B", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_a_number_and_its_unit() {
        for (text, bytes) in [
            ("8GiB", 8 << 30),
            ("500MB", 500_000_000),
            ("4096B", 4096),
            ("1 kb", 1000),
            ("2tib", 2 << 40),
            ("0B", 0),
        ] {
            assert_eq!(text.parse::<Size>().unwrap(), Size(bytes), "{text}");
        }
    }

    #[test]
    fn what_is_no_size_is_refused_with_what_would_be_one() {
        for text in
            ["", "8", "GiB", "-1B", "1.5GiB", "8 gigs", "99999999TB", "18446744073709551616B"]
        {
            let problem = text.parse::<Size>().unwrap_err().to_string();
            assert!(problem.contains("such as 8GiB"), "{text}: {problem}");
        }
    }

    #[test]
    fn a_size_is_shown_as_it_would_be_written() {
        for (bytes, text) in [
            (0, "0B"),
            (1, "1B"),
            (1000, "1KB"),
            (1024, "1KiB"),
            (8 << 30, "8GiB"),
            (100_000_000, "100MB"),
            (1_024_000, "1000KiB"),
            (u64::MAX, "18446744073709551615B"),
        ] {
            assert_eq!(Size(bytes).to_string(), text);
            assert_eq!(text.parse::<Size>().unwrap(), Size(bytes));
        }
    }
}
