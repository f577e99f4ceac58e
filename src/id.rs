//! Ids and sequence numbers: the newtypes that everything below the wire uses.

use std::{fmt, str::FromStr};

use uuid::Uuid;

/// The id of a session: a UUID, random (version 4) when made here.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(Uuid);

impl SessionId {
    /// Makes a new random id.
    #[must_use]
    pub fn random() -> Self {
        Self(Uuid::new_v4())
    }

    /// The id whose UUID has these bytes, as a row of the database holds it.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }

    /// The sixteen bytes of the UUID, for tables keyed by it.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_hyphenated().fmt(f)
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is not a UUID of version 4 in its hyphenated, lower-case form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected a UUID (version 4) of 36 lower-case characters, such as 2f1c6a3e-8d0b-4c55-9a77-0d5a4a3f9b21"
)]
pub struct ParseSessionIdError;

impl FromStr for SessionId {
    type Err = ParseSessionIdError;

    /// Parses the canonical form only, so that one session has one spelling.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let id = Uuid::try_parse(text).map_err(|_| ParseSessionIdError)?;
        let canonical = text.len() == 36
            && text.bytes().all(|b| !b.is_ascii_uppercase())
            && id.get_version_num() == 4;
        if canonical { Ok(Self(id)) } else { Err(ParseSessionIdError) }
    }
}

/// The number of a turn in its session: 1 for the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TurnNumber(pub u32);

impl fmt::Display for TurnNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The place of an event in its session: 1 for the first, without gaps.
///
/// As a cursor it names an event that was seen, so `Seq::ZERO` is the cursor
/// before the first event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Seq(pub u64);

impl Seq {
    /// The cursor before the first event.
    pub const ZERO: Self = Self(0);
    /// The first event.
    pub const FIRST: Self = Self(1);

    /// The event after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
