//! The settings of a session: a map of JSON values that clients share, and what
//! may be in it.
//!
//! A leaf. The rules are those of the settings contract, for every transport:
//! keys have no structure, null is a value, and maps are equal when they mean
//! the same. Numbers keep their text.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, OnceLock},
};

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
        let json = Json::parse_within(text, MAX_DEPTH)
            .map_err(|error| Error::invalid(field, error.to_string()))?;
        check_given(text, &json)?;
        Ok(Self::from(&json))
    }

    /// Reads a value that is to be written: as [`Value::parse`], which also takes what is
    /// kept already, and every client can read its numbers.
    ///
    /// # Errors
    ///
    /// As [`Value::parse`].
    pub fn parse_new(field: &'static str, text: &str) -> Result<Self> {
        let value = Self::parse(field, text)?;
        check_numbers(field, &value.to_json())?;
        Ok(value)
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
        Arc::ptr_eq(&self.0, &other.0) || self.0 == other.0 || self.to_json() == other.to_json()
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A map of settings. Equal when it means the same. Cheap to clone, and its text
/// is made once, however many clones ask for it.
#[derive(Clone, Default)]
pub struct Settings(Arc<Members>);

#[derive(Default)]
struct Members {
    /// The keys are shared by the maps that one came to be after the other.
    map: BTreeMap<Arc<str>, Value>,
    /// Made when it is asked for; whatever changes the map takes it away.
    text: OnceLock<Box<str>>,
}

impl Settings {
    /// Reads the text of a JSON object, the field `field` of a request.
    ///
    /// # Errors
    ///
    /// INVALID_ARGUMENT says what is wrong with the text, PAYLOAD_TOO_LARGE.
    pub fn parse(field: &'static str, text: &str) -> Result<Self> {
        let json = Json::parse_within(text, MAX_DEPTH + 1)
            .map_err(|error| Error::invalid(field, error.to_string()))?;
        check_given(text, &json)?;
        match &json {
            Json::Object(members) => Ok(Self::from_members(members)),
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) | Json::Array(_) => {
                Err(Error::invalid(field, "expected a JSON object"))
            }
        }
    }

    /// Reads a map that is to be written, as [`Value::parse_new`] reads a value.
    ///
    /// # Errors
    ///
    /// As [`Settings::parse`].
    pub fn parse_new(field: &'static str, text: &str) -> Result<Self> {
        let settings = Self::parse(field, text)?;
        let pairs = settings.iter().map(|(key, value)| (key, value.to_json()));
        check_numbers(field, &Json::object(pairs))?;
        Ok(settings)
    }

    /// The members of a JSON object.
    #[must_use]
    pub fn from_members(members: &[(String, Json)]) -> Self {
        let map = members.iter().map(|(key, json)| (key.as_str().into(), json.into())).collect();
        Self(Arc::new(Members { map, text: OnceLock::new() }))
    }

    /// How many keys there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.map.len()
    }

    /// Whether there is no key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.map.is_empty()
    }

    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0.map.get(key)
    }

    /// All keys in order, with their values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.map.iter().map(|(key, value)| (&**key, value))
    }

    /// Sets one key. A value that means the same as the one that is there changes
    /// nothing, not even its text.
    pub fn set(&mut self, key: String, value: Value) {
        self.put(key.into(), value);
    }

    /// Removes one key, and says whether it was there.
    pub fn remove(&mut self, key: &str) -> bool {
        self.get(key).is_some() && self.change().remove(key).is_some()
    }

    /// Sets all keys of another map.
    pub fn merge(&mut self, over: Self) {
        for (key, value) in &over.0.map {
            self.put(Arc::clone(key), value.clone());
        }
    }

    /// Sets all keys of another map, and removes all others.
    pub fn replace(&mut self, by: Self) {
        if self.0.map.keys().any(|key| by.get(key).is_none()) {
            self.change().retain(|key, _| by.0.map.contains_key(key));
        }
        self.merge(by);
    }

    fn put(&mut self, key: Arc<str>, value: Value) {
        if self.get(&key) != Some(&value) {
            self.change().insert(key, value);
        }
    }

    /// The map, to be changed: without the text that was made of it.
    fn change(&mut self) -> &mut BTreeMap<Arc<str>, Value> {
        let members = Arc::make_mut(&mut self.0);
        members.text = OnceLock::new();
        &mut members.map
    }

    /// The text of a JSON object, compact, its keys in order.
    #[must_use]
    pub fn as_text(&self) -> &str {
        self.0.text.get_or_init(|| self.0.render())
    }

    /// Whether the map is small enough.
    ///
    /// # Errors
    ///
    /// PAYLOAD_TOO_LARGE.
    pub fn check(&self) -> Result<()> {
        check_size(self.as_text().len())
    }
}

impl Members {
    fn render(&self) -> Box<str> {
        // Quotes, a colon and a comma for each; escapes take more.
        let size = self.map.iter().map(|(key, value)| key.len() + value.0.len() + 4).sum::<usize>();
        let mut text = String::with_capacity(size + 2);
        text.push('{');
        for (index, (key, value)) in self.map.iter().enumerate() {
            if index > 0 {
                text.push(',');
            }
            json::write_string(key, &mut text);
            text.push(':');
            text.push_str(&value.0);
        }
        text.push('}');
        text.into()
    }
}

impl Clone for Members {
    /// Without the text: who clones the members changes them.
    fn clone(&self) -> Self {
        Self { map: self.map.clone(), text: OnceLock::new() }
    }
}

impl PartialEq for Settings {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0.map == other.0.map
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_text())
    }
}

impl fmt::Display for Settings {
    /// The text of a JSON object, compact, its keys in order.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_text())
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

/// Whether what was given takes no more than a map may: as it is kept, since white
/// space between its tokens does not come here on every transport.
fn check_given(text: &str, json: &Json) -> Result<()> {
    if text.len() <= MAX_SETTINGS_BYTES {
        return Ok(());
    }
    check_size(json.to_string().len())
}

/// Whether every client can read the numbers in what is to be written: one that cannot
/// could read neither the map nor its events nor its audit any more.
fn check_numbers(field: &'static str, json: &Json) -> Result<()> {
    json.check_numbers().map_err(|error| Error::invalid(field, error.to_string()))
}

fn check_size(size: usize) -> Result<()> {
    if size <= MAX_SETTINGS_BYTES {
        return Ok(());
    }
    Err(Error::PayloadTooLarge {
        what: "the map of settings",
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
    fn a_number_that_not_every_client_can_read_is_kept_and_not_written_anew() {
        let long = "9".repeat(5_000);
        for number in [long.as_str(), "1e999"] {
            assert_eq!(Value::parse("value", number).unwrap().as_text(), number);
            let refused = |map: &str| Settings::parse_new("settings", map).unwrap_err().to_string();
            let told = refused(&format!(r#"{{"a":1,"b":[0,{number}]}}"#));
            assert!(told.starts_with("settings: the value at /b/1 is a number"), "{told}");
            let told = Value::parse_new("value", number).unwrap_err().to_string();
            assert!(told.starts_with("value: the value is a number"), "{told}");
        }
        let usual = r#"{"a":123456789012345678901234567890,"b":0.10}"#;
        assert_eq!(Settings::parse_new("settings", usual).unwrap().to_string(), usual);
        assert_eq!(Value::parse_new("value", "1E+2").unwrap().as_text(), "1E+2");
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
        // White space is not kept.
        let blanks = " ".repeat(MAX_SETTINGS_BYTES);
        assert_eq!(Value::parse("value", &format!("[{blanks}1]")).unwrap().as_text(), "[1]");
        Settings::parse("settings", &format!("{{{blanks}}}")).unwrap();
        let large = format!("\"{}\"", "x".repeat(MAX_SETTINGS_BYTES));
        assert!(matches!(Value::parse("value", &large), Err(Error::PayloadTooLarge { .. })));
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
