//! The settings of a session: a map of JSON values that clients share, and what
//! may be in it.
//!
//! A leaf. The rules are those of the settings contract, for every transport:
//! keys have no structure, null is a value, and maps are equal when they mean
//! the same. Numbers keep their text.

use std::{collections::BTreeMap, fmt, sync::Arc};

use crate::{
    Error, Result,
    json::{self, Json},
};

/// The most bytes of a map, as compact JSON text.
pub const MAX_SETTINGS_BYTES: usize = 1 << 20;
/// How deep a value may be nested; the map around it does not count.
pub const MAX_DEPTH: usize = json::MAX_DEPTH;
/// The most UTF-16 code units of a key that is written by itself.
const MAX_KEY_UNITS: usize = 240;

/// One value: valid JSON text without white space around its tokens. Cheap to
/// clone. Equal when it means the same.
#[derive(Clone)]
pub struct Value(Arc<str>);

impl Value {
    /// Reads a value, the field `field` of a request.
    ///
    /// # Errors
    ///
    /// INVALID_ARGUMENT says what is wrong with the text, PAYLOAD_TOO_LARGE.
    pub fn parse(field: &'static str, text: &str) -> Result<Self> {
        check_size(text.len())?;
        let json = Json::parse_within(text, MAX_DEPTH);
        Ok(Self::from(&json.map_err(|error| Error::invalid(field, error.to_string()))?))
    }

    /// The text.
    #[must_use]
    pub fn as_text(&self) -> &str {
        &self.0
    }

    /// The value as a tree.
    #[must_use]
    pub fn to_json(&self) -> Json {
        // As deep as a map of them may be nested.
        Json::parse_within(&self.0, MAX_DEPTH + 1).unwrap_or(Json::Null)
    }
}

impl From<&Json> for Value {
    fn from(json: &Json) -> Self {
        Self(json.to_string().into())
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0 || self.to_json() == other.to_json()
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A map of settings. Equal when it means the same.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Settings(BTreeMap<String, Value>);

impl Settings {
    /// Reads the text of a JSON object, the field `field` of a request.
    ///
    /// # Errors
    ///
    /// INVALID_ARGUMENT says what is wrong with the text, PAYLOAD_TOO_LARGE.
    pub fn parse(field: &'static str, text: &str) -> Result<Self> {
        check_size(text.len())?;
        let json = Json::parse_within(text, MAX_DEPTH + 1)
            .map_err(|error| Error::invalid(field, error.to_string()))?;
        match &json {
            Json::Object(members) => Ok(Self::from_members(members)),
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) | Json::Array(_) => {
                Err(Error::invalid(field, "expected a JSON object"))
            }
        }
    }

    /// The members of a JSON object.
    #[must_use]
    pub fn from_members(members: &[(String, Json)]) -> Self {
        Self(members.iter().map(|(key, json)| (key.clone(), json.into())).collect())
    }

    /// How many keys there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0.get(key)
    }

    /// All keys in order, with their values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value))
    }

    /// Sets one key. A value that means the same as the one that is there changes
    /// nothing, not even its text.
    pub fn set(&mut self, key: String, value: Value) {
        if self.0.get(&key) != Some(&value) {
            self.0.insert(key, value);
        }
    }

    /// Removes one key, and says whether it was there.
    pub fn remove(&mut self, key: &str) -> bool {
        self.0.remove(key).is_some()
    }

    /// Sets all keys of another map.
    pub fn merge(&mut self, over: Self) {
        for (key, value) in over.0 {
            self.set(key, value);
        }
    }

    /// Sets all keys of another map, and removes all others.
    pub fn replace(&mut self, by: Self) {
        self.0.retain(|key, _| by.0.contains_key(key));
        self.merge(by);
    }

    /// Whether the map is small enough.
    ///
    /// # Errors
    ///
    /// PAYLOAD_TOO_LARGE.
    pub fn check(&self) -> Result<()> {
        // Quotes, a colon and a comma for each; escapes are counted by the text.
        let least: usize =
            self.0.iter().map(|(key, value)| key.len() + value.0.len() + 4).sum::<usize>() + 1;
        check_size(if least > MAX_SETTINGS_BYTES / 8 { self.to_string().len() } else { least })
    }
}

impl fmt::Display for Settings {
    /// The text of a JSON object, compact, its keys in order.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (index, (key, value)) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{}:{}", Json::from(key.as_str()), value.0)?;
        }
        f.write_str("}")
    }
}

/// A key that is written by itself.
///
/// # Errors
///
/// INVALID_ARGUMENT for one that is empty or too long without the white space
/// around it.
pub fn parse_key(text: &str) -> Result<&str> {
    parse_word("key", text, MAX_KEY_UNITS)
}

/// Who writes, or what with: at most `most` UTF-16 code units, without the white
/// space around them.
///
/// # Errors
///
/// INVALID_ARGUMENT for a word that is empty or too long.
pub fn parse_word<'a>(field: &'static str, text: &'a str, most: usize) -> Result<&'a str> {
    let word = trim(text);
    match word.encode_utf16().count() {
        0 => Err(Error::invalid(field, format!("is empty; expected 1 to {most} characters"))),
        units if units > most => {
            let problem = format!("{units} UTF-16 code units long; at most {most} are allowed");
            Err(Error::invalid(field, problem))
        }
        _ => Ok(word),
    }
}

/// A text without the white space around it, as ECMAScript's `trim` has it
/// (ECMA-262, sections 12.2 and 12.3): the clients of the contract are of that
/// world.
#[must_use]
pub fn trim(text: &str) -> &str {
    text.trim_matches(|c: char| (c.is_whitespace() && c != '\u{85}') || c == '\u{feff}')
}

fn check_size(size: usize) -> Result<()> {
    if size <= MAX_SETTINGS_BYTES {
        return Ok(());
    }
    Err(Error::PayloadTooLarge {
        what: "the settings",
        size: size as u64,
        limit: MAX_SETTINGS_BYTES as u64,
        unit: "bytes",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(text: &str) -> Settings {
        Settings::parse("settings", text).unwrap()
    }

    #[test]
    fn numbers_keep_their_text_and_maps_are_equal_by_meaning() {
        let text = r#"{"a":1.0,"b":9007199254740993,"c":1e400,"d":[1,{"x":null}],"":-0}"#;
        assert_eq!(
            settings(text).to_string(),
            r#"{"":-0,"a":1.0,"b":9007199254740993,"c":1e400,"d":[1,{"x":null}]}"#
        );
        assert_eq!(
            settings(text),
            settings(r#"{"":0,"d":[1.0,{"x":null}],"a":1,"b":9007199254740993,"c":10e399}"#)
        );
        assert_ne!(settings(r#"{"b":9007199254740993}"#), settings(r#"{"b":9007199254740992}"#));
        assert_ne!(settings(r#"{"d":[1,2]}"#), settings(r#"{"d":[2,1]}"#));
    }

    #[test]
    fn hostile_texts_are_refused() {
        for text in [
            "",
            "[]",
            "null",
            "{",
            r#"{"a":1,"a":2}"#,
            r#"{"a":"\ud800"}"#,
            r#"{"a":{"b":1,"b":1}}"#,
        ] {
            let error = Settings::parse("settings", text).unwrap_err();
            assert!(
                matches!(&error, Error::InvalidArgument { field, .. } if field == "settings"),
                "{text}"
            );
        }
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        Value::parse("value", &nested(MAX_DEPTH)).unwrap();
        Value::parse("value", &nested(MAX_DEPTH + 1)).unwrap_err();
        Settings::parse("settings", &format!("{{\"a\":{}}}", nested(MAX_DEPTH))).unwrap();
        Settings::parse("settings", &format!("{{\"a\":{}}}", nested(MAX_DEPTH + 1))).unwrap_err();
    }

    #[test]
    fn a_map_is_bounded_as_a_whole() {
        let mut map = Settings::default();
        let half =
            Value::parse("value", &format!("\"{}\"", "x".repeat(MAX_SETTINGS_BYTES / 2))).unwrap();
        map.set("a".to_owned(), half.clone());
        map.check().unwrap();
        map.set("b".to_owned(), half);
        assert!(matches!(map.check(), Err(Error::PayloadTooLarge { .. })));
    }

    #[test]
    fn keys_are_trimmed_as_ecmascript_does_and_bounded_in_its_units() {
        assert_eq!(parse_key(" \u{feff}\u{a0}team\t\n").unwrap(), "team");
        assert_eq!(parse_key("\u{85}").unwrap(), "\u{85}");
        assert_eq!(parse_key(&"😀".repeat(120)).unwrap().chars().count(), 120);
        for text in ["", " ", &"😀".repeat(121), &"x".repeat(241)] {
            parse_key(text).unwrap_err();
        }
    }
}
