//! JSON as it was written: numbers keep their text, and nothing is guessed.
//!
//! Whoever takes a client's JSON parses it here: the settings, and the bodies of
//! the JSON transports. What two programs could read differently is refused and
//! not resolved: a key that is twice in an object, half of a surrogate pair,
//! nesting that some parser gives up at. No crate does all of that and keeps the
//! numbers too, hence a parser of our own in [`parse`].
//!
//! Equality is by meaning: `1.0` is `1`, and an object has no order.

mod number;
mod parse;
mod write;

use std::collections::HashMap;

pub(crate) use number::is_readable;
pub use number::{MAX_NUMBER_CHARACTERS, Number};
pub use parse::{DEEPEST, Error, MAX_DEPTH, Position};
pub(crate) use write::write_string;

/// A JSON value.
///
/// What [`Json::parse`] returns has no key twice in an object; whoever builds a
/// value keeps to it.
#[derive(Clone, Debug)]
pub enum Json {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number, as it was written.
    Number(Number),
    /// A string, its escapes resolved.
    String(String),
    /// An array.
    Array(Vec<Json>),
    /// An object, in the order in which it was written.
    Object(Vec<(String, Json)>),
}

impl Json {
    /// Parses one JSON value, nested at most [`MAX_DEPTH`] deep, with nothing but
    /// white space around it.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub fn parse(text: &str) -> Result<Self, Error> {
        Self::parse_within(text, MAX_DEPTH)
    }

    /// As [`Json::parse`], with this many arrays and objects in each other, and
    /// never more than [`DEEPEST`]; a number or a string is 0 deep.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub fn parse_within(text: &str, depth: usize) -> Result<Self, Error> {
        parse::parse(text, depth.min(DEEPEST))
    }

    /// Whether every program can read the numbers in it: none is longer than
    /// [`MAX_NUMBER_CHARACTERS`], or beyond what a double can hold. Digits that a double
    /// would lose may be there.
    ///
    /// # Errors
    ///
    /// [`Error::UnreadableNumber`] says where one is that not every program can read.
    pub fn check_numbers(&self) -> Result<(), Error> {
        match self {
            Self::Null | Self::Bool(_) | Self::String(_) => Ok(()),
            Self::Number(number) if is_readable(number.as_str()) => Ok(()),
            Self::Number(_) => Err(Error::UnreadableNumber { path: String::new() }),
            Self::Array(elements) => elements.iter().enumerate().try_for_each(|(at, element)| {
                element.check_numbers().map_err(|error| error.under(&at.to_string()))
            }),
            Self::Object(members) => members.iter().try_for_each(|(key, value)| {
                value.check_numbers().map_err(|error| error.under(key))
            }),
        }
    }

    /// An object of these members.
    pub fn object<K: Into<String>>(members: impl IntoIterator<Item = (K, Json)>) -> Self {
        Self::Object(members.into_iter().map(|(key, value)| (key.into(), value)).collect())
    }

    /// The member of an object, if this is one and has it.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Json> {
        self.as_object()?.iter().find_map(|(name, value)| (name == key).then_some(value))
    }

    /// Whether this is `null`.
    #[must_use]
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// The boolean, if it is one.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        if let Self::Bool(value) = self { Some(*value) } else { None }
    }

    /// The number, if it is one.
    #[must_use]
    pub fn as_number(&self) -> Option<&Number> {
        if let Self::Number(number) = self { Some(number) } else { None }
    }

    /// The string, if it is one.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        if let Self::String(text) = self { Some(text) } else { None }
    }

    /// The elements, if it is an array.
    #[must_use]
    pub fn as_array(&self) -> Option<&[Json]> {
        if let Self::Array(elements) = self { Some(elements) } else { None }
    }

    /// The members, if it is an object.
    #[must_use]
    pub fn as_object(&self) -> Option<&[(String, Json)]> {
        if let Self::Object(members) = self { Some(members) } else { None }
    }

    /// What kind of value this is, for texts: `an object`, `null`, ….
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Number(_) => "a number",
            Self::String(_) => "a string",
            Self::Array(_) => "an array",
            Self::Object(_) => "an object",
        }
    }
}

/// By meaning: numbers by their decimal value, objects without regard to order.
impl PartialEq for Json {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::Number(a), Self::Number(b)) => a == b,
            (Self::String(a), Self::String(b)) => a == b,
            (Self::Array(a), Self::Array(b)) => a == b,
            (Self::Object(a), Self::Object(b)) => same_members(a, b),
            (
                Self::Null
                | Self::Bool(_)
                | Self::Number(_)
                | Self::String(_)
                | Self::Array(_)
                | Self::Object(_),
                _,
            ) => false,
        }
    }
}

impl Eq for Json {}

/// Whether two objects have the same members.
fn same_members(a: &[(String, Json)], b: &[(String, Json)]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    // Most of what is compared was written by the same program, in one order.
    if a.iter().zip(b).all(|((a, _), (b, _))| a == b) {
        return a.iter().zip(b).all(|((_, a), (_, b))| a == b);
    }
    let b: HashMap<&str, &Json> = b.iter().map(|(key, value)| (key.as_str(), value)).collect();
    a.iter().all(|(key, value)| b.get(key.as_str()).is_some_and(|other| *other == value))
}

impl From<bool> for Json {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<&str> for Json {
    fn from(value: &str) -> Self {
        Self::String(value.to_owned())
    }
}

impl From<String> for Json {
    fn from(value: String) -> Self {
        Self::String(value)
    }
}

impl From<Number> for Json {
    fn from(value: Number) -> Self {
        Self::Number(value)
    }
}

impl From<i64> for Json {
    fn from(value: i64) -> Self {
        Self::Number(value.into())
    }
}

impl From<u64> for Json {
    fn from(value: u64) -> Self {
        Self::Number(value.into())
    }
}

impl From<u32> for Json {
    fn from(value: u32) -> Self {
        Self::from(u64::from(value))
    }
}

impl From<Vec<Json>> for Json {
    fn from(value: Vec<Json>) -> Self {
        Self::Array(value)
    }
}

impl<T: Into<Json>> From<Option<T>> for Json {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

#[cfg(test)]
mod tests;
