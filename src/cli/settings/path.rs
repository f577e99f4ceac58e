//! Dotted paths: how a person names a value inside of a setting. Pure.
//!
//! The server knows keys alone, and dots mean nothing in them. A path is a key
//! and what lies below it; whoever writes to one writes the value of the whole
//! key back.

use std::fmt;

use crate::{json::Json, settings::MAX_DEPTH};

/// A key, and the members and elements that lead from its value to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) struct Path {
    key: String,
    below: Vec<String>,
}

/// A value that is in the way: it has nothing below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Blocked {
    /// How many steps below the key it is.
    depth: usize,
    /// What it is.
    kind: &'static str,
}

impl Path {
    /// Reads a dotted path. A part in double quotes is a JSON string, so that it
    /// may hold dots.
    ///
    /// # Errors
    /// The text says what is wrong.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        loop {
            let length = match rest.strip_prefix('"') {
                Some(quoted) => 2 + closing_quote(quoted).ok_or("a quoted part has no end")?,
                None => rest.find('.').unwrap_or(rest.len()),
            };
            let (part, after) = rest.split_at(length);
            parts.push(self::part(part)?);
            match after.strip_prefix('.') {
                Some(next) => rest = next,
                None if after.is_empty() => break,
                None => return Err(format!("expected a dot after {part}")),
            }
        }
        if parts.len() > MAX_DEPTH + 1 {
            return Err(format!(
                "has {} parts; at most {} are allowed",
                parts.len(),
                MAX_DEPTH + 1
            ));
        }
        let key = parts.remove(0);
        Ok(Self { key, below: parts })
    }

    /// A key as it is, whatever is in it.
    pub(super) fn of_key(key: String) -> Self {
        Self { key, below: Vec::new() }
    }

    /// The same below another key: the server leaves out white space around one.
    pub(super) fn under(&self, key: &str) -> Self {
        Self { key: key.to_owned(), below: self.below.clone() }
    }

    /// The key.
    pub(super) fn key(&self) -> &str {
        &self.key
    }

    /// What lies below the key; empty where the path is a key.
    pub(super) fn below(&self) -> &[String] {
        &self.below
    }

    /// Says which value is in the way.
    pub(super) fn explain(&self, blocked: Blocked) -> String {
        let at = Self { below: self.below[..blocked.depth].to_vec(), ..self.clone() };
        let wanted = quoted(&self.below[blocked.depth]);
        let kind = blocked.kind;
        if kind == "an array" {
            return format!(
                "{at} is an array, and {wanted} is not the number of one of its elements, from 0 on; to replace the array, set {at}"
            );
        }
        format!(
            "{at} is {kind} and has nothing below it, such as {wanted}; to replace it, set {at}"
        )
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&quoted(&self.key))?;
        self.below.iter().try_for_each(|part| write!(f, ".{}", quoted(part)))
    }
}

/// Where a JSON string ends whose first quote was left out.
fn closing_quote(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.bytes().position(|byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    })
}

fn part(text: &str) -> Result<String, String> {
    if text.is_empty() {
        return Err("a part is empty; one that shall be so is written \"\"".to_owned());
    }
    if !text.starts_with('"') {
        return Ok(text.to_owned());
    }
    match Json::parse(text) {
        Ok(Json::String(part)) => Ok(part),
        Ok(Json::Null | Json::Bool(_) | Json::Number(_) | Json::Array(_) | Json::Object(_)) => {
            Err(format!("{text} is no JSON string"))
        }
        Err(error) => Err(format!("{text}: {error}")),
    }
}

/// A part as it is written in a path.
pub(in crate::cli) fn quoted(part: &str) -> String {
    if part.is_empty() || part.starts_with('"') || part.contains('.') {
        Json::from(part).to_string()
    } else {
        part.to_owned()
    }
}

/// The element of an array that a part names.
fn index(part: &str, length: usize) -> Option<usize> {
    let index: usize = part.parse().ok()?;
    (index < length && index.to_string() == part).then_some(index)
}

/// The value that lies there.
pub(super) fn find<'a>(value: &'a Json, below: &[String]) -> Option<&'a Json> {
    below.iter().try_fold(value, |value, part| match value {
        Json::Object(_) => value.get(part),
        Json::Array(elements) => elements.get(index(part, elements.len())?),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => None,
    })
}

/// The value with another put there. Objects that are missing on the way are
/// made.
///
/// # Errors
/// Where a value is in the way.
pub(super) fn with(value: Option<Json>, below: &[String], leaf: Json) -> Result<Json, Blocked> {
    put(value, below, leaf, 0)
}

fn put(value: Option<Json>, below: &[String], leaf: Json, depth: usize) -> Result<Json, Blocked> {
    let Some((part, rest)) = below.split_first() else { return Ok(leaf) };
    match value {
        None => Ok(Json::object([(part.as_str(), put(None, rest, leaf, depth + 1)?)])),
        Some(Json::Object(mut members)) => {
            match members.iter().position(|(name, _)| name == part) {
                Some(at) => {
                    let there = std::mem::replace(&mut members[at].1, Json::Null);
                    members[at].1 = put(Some(there), rest, leaf, depth + 1)?;
                }
                None => members.push((part.clone(), put(None, rest, leaf, depth + 1)?)),
            }
            Ok(Json::Object(members))
        }
        Some(Json::Array(mut elements)) => {
            let blocked = Blocked { depth, kind: "an array" };
            let at = index(part, elements.len()).ok_or(blocked)?;
            let there = std::mem::replace(&mut elements[at], Json::Null);
            elements[at] = put(Some(there), rest, leaf, depth + 1)?;
            Ok(Json::Array(elements))
        }
        Some(scalar @ (Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_))) => {
            Err(Blocked { depth, kind: scalar.kind() })
        }
    }
}

/// Takes out what lies there, and says whether there was anything. What is around
/// it stays, also where it is empty then.
pub(super) fn remove(value: &mut Json, below: &[String]) -> bool {
    let Some((part, rest)) = below.split_first() else { return false };
    match value {
        Json::Object(members) => {
            let Some(at) = members.iter().position(|(name, _)| name == part) else { return false };
            if rest.is_empty() {
                members.remove(at);
                return true;
            }
            remove(&mut members[at].1, rest)
        }
        Json::Array(elements) => {
            let Some(at) = index(part, elements.len()) else { return false };
            if rest.is_empty() {
                elements.remove(at);
                return true;
            }
            remove(&mut elements[at], rest)
        }
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> Vec<String> {
        let path = Path::parse(text).unwrap();
        std::iter::once(path.key).chain(path.below).collect()
    }

    fn json(text: &str) -> Json {
        Json::parse(text).unwrap()
    }

    #[test]
    fn dots_part_a_path_and_quotes_keep_them() {
        assert_eq!(parts("team"), ["team"]);
        assert_eq!(parts("team.review.autoApprove"), ["team", "review", "autoApprove"]);
        assert_eq!(parts(r#""a.b".c."""#), ["a.b", "c", ""]);
        assert_eq!(parts(r#"a."\"\\".b"#), ["a", r#""\"#, "b"]);
        assert_eq!(parts("a b.ü"), ["a b", "ü"]);
        assert_eq!(parts(r#"a"b"#), [r#"a"b"#]);
        for text in ["", ".", "a.", ".a", "a..b", "\"a", "\"a\"b", "\"\\x\"", "a.\"b\\\""] {
            assert!(Path::parse(text).is_err(), "{text:?}");
        }
        assert!(Path::parse(&["a"; 65].join(".")).is_ok());
        assert!(Path::parse(&["a"; 66].join(".")).is_err());
    }

    #[test]
    fn a_path_is_shown_as_it_can_be_typed() {
        for text in ["team.review", r#""a.b".c"#, r#""".x"#, r#""\"q""#] {
            assert_eq!(Path::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Path::of_key("a.b".to_owned()).to_string(), r#""a.b""#);
    }

    #[test]
    fn values_are_found_in_objects_and_arrays() {
        let value = json(r#"{"a":{"b":[1,{"c":9007199254740993}]},"n":null}"#);
        let found =
            |text: &str| find(&value, Path::parse(text).unwrap().below()).map(Json::to_string);
        assert_eq!(found("x.a.b.1.c").as_deref(), Some("9007199254740993"));
        assert_eq!(found("x.n").as_deref(), Some("null"));
        assert_eq!(found("x.a.b.0").as_deref(), Some("1"));
        for text in ["x.b", "x.n.a", "x.a.b.2", "x.a.b.01", "x.a.b.-1", "x.a.b.0.c", "x.a.b.length"]
        {
            assert_eq!(found(text), None, "{text}");
        }
    }

    /// Checks what setting a path makes of a value.
    fn check_with(before: Option<&str>, path: &str, after: &str) {
        let path = Path::parse(path).unwrap();
        let set = with(before.map(json), path.below(), json("7.0")).unwrap();
        assert_eq!(set.to_string(), after);
    }

    #[test]
    fn a_leaf_is_set_and_all_around_it_stays_to_the_digit() {
        check_with(None, "x", "7.0");
        check_with(None, "x.a.b", r#"{"a":{"b":7.0}}"#);
        check_with(Some(r#"{"b":1.00,"a":[]}"#), "x.c.d", r#"{"b":1.00,"a":[],"c":{"d":7.0}}"#);
        check_with(Some(r#"{"a":{"b":1e2,"c":2}}"#), "x.a.c", r#"{"a":{"b":1e2,"c":7.0}}"#);
        check_with(Some(r#"[1,{"a":2}]"#), "x.1.a", r#"[1,{"a":7.0}]"#);
        check_with(Some("null"), "x", "7.0");
    }

    #[test]
    fn a_value_that_is_in_the_way_is_named() {
        let explained = |before: &str, text: &str| {
            let path = Path::parse(text).unwrap();
            path.explain(with(Some(json(before)), path.below(), Json::Null).unwrap_err())
        };
        assert_eq!(
            explained(r#"{"a.b":"yes"}"#, r#"x."a.b".c"#),
            r#"x."a.b" is a string and has nothing below it, such as c; to replace it, set x."a.b""#
        );
        assert!(explained("null", "x.a").starts_with("x is null and has nothing"));
        assert!(explained("[1]", "x.1").starts_with("x is an array, and 1 is not the number"));
    }

    #[test]
    fn a_leaf_is_removed_and_what_is_around_it_stays() {
        let removed = |before: &str, text: &str| {
            let mut value = json(before);
            let was_there = remove(&mut value, Path::parse(text).unwrap().below());
            (value.to_string(), was_there)
        };
        assert_eq!(removed(r#"{"a":{"b":1}}"#, "x.a.b"), (r#"{"a":{}}"#.to_owned(), true));
        assert_eq!(removed("[1,2,3]", "x.1"), ("[1,3]".to_owned(), true));
        for path in ["x.b", "x.a.c", "x.a.b.c", "x.a.b.0"] {
            assert_eq!(removed(r#"{"a":{"b":1}}"#, path), (r#"{"a":{"b":1}}"#.to_owned(), false));
        }
    }
}
