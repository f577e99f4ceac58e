//! What members of bodies and parameters of queries may be. What is wrong is told
//! all at once, in the words of zod 4, which the contract's server checks with.
//!
//! Members that nobody asks for are ignored.

use super::error::Failure;
use crate::{
    json::{Json, Number},
    settings::{Settings, trim},
};

/// Whether a member may be absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Presence {
    /// It must be there.
    Required,
    /// It may be absent; null is not absent.
    Optional,
    /// It must be there, and may be null.
    Nullable,
}

/// How many UTF-16 code units a text may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Length {
    least: usize,
    most: Option<usize>,
}

impl Length {
    /// From `least` to `most`.
    pub(super) const fn between(least: usize, most: usize) -> Self {
        Self { least, most: Some(most) }
    }

    /// `least` or more.
    pub(super) const fn from(least: usize) -> Self {
        Self { least, most: None }
    }
}

/// An object whose members are read, and what was found wrong so far.
///
/// What a method returns means something only once [`Fields::finish`] found
/// nothing wrong.
#[derive(Debug)]
pub(super) struct Fields<'a> {
    /// None of what is no object, whose members nobody looks at.
    members: Option<&'a [(String, Json)]>,
    path: Vec<Json>,
    issues: Vec<Json>,
}

impl<'a> Fields<'a> {
    /// The members of a value, which must be an object.
    pub(super) fn of(value: Option<&'a Json>) -> Self {
        Self::under(Vec::new(), value)
    }

    fn under(path: Vec<Json>, value: Option<&'a Json>) -> Self {
        let members = value.and_then(Json::as_object);
        let issue = members.is_none().then(|| invalid_type("object", path.clone(), value));
        Self { members, path, issues: issue.into_iter().collect() }
    }

    /// A member as it is; a null that may be there is none.
    fn member(&self, name: &str, presence: Presence) -> Member<'a> {
        if self.members.is_none() {
            return Member::Left;
        }
        match (self.any(name), presence) {
            (None, Presence::Optional) | (Some(Json::Null), Presence::Nullable) => Member::Left,
            (found, _) => Member::Found(found),
        }
    }

    fn wrong_type(&mut self, expected: &str, name: &str, found: Option<&Json>) {
        let issue = invalid_type(expected, self.place(name), found);
        self.issues.push(issue);
    }

    fn place(&self, name: &str) -> Vec<Json> {
        self.path.iter().cloned().chain([name.into()]).collect()
    }

    /// A text.
    pub(super) fn string(
        &mut self,
        name: &'static str,
        presence: Presence,
        length: Length,
    ) -> Option<&'a str> {
        let Member::Found(found) = self.member(name, presence) else { return None };
        match found {
            Some(Json::String(text)) => self.measured(name, text, length),
            found => {
                self.wrong_type("string", name, found);
                None
            }
        }
    }

    /// A text, taken without the white space around it.
    pub(super) fn trimmed(
        &mut self,
        name: &'static str,
        presence: Presence,
        length: Length,
    ) -> Option<&'a str> {
        let text = self.string(name, presence, Length::from(0))?;
        self.measured(name, trim(text), length)
    }

    fn measured(&mut self, name: &str, text: &'a str, length: Length) -> Option<&'a str> {
        let path = self.place(name);
        match size_issue(text, length, path) {
            Some(issue) => self.issues.push(issue),
            None => return Some(text),
        }
        None
    }

    /// One of some words.
    pub(super) fn word(
        &mut self,
        name: &'static str,
        presence: Presence,
        words: &[&'static str],
    ) -> Option<&'static str> {
        let Member::Found(found) = self.member(name, presence) else { return None };
        let word = found.and_then(Json::as_str);
        let word = word.and_then(|word| words.iter().copied().find(|known| *known == word));
        if word.is_none() {
            let quoted: Vec<_> = words.iter().map(|word| format!("\"{word}\"")).collect();
            let message = format!("Invalid option: expected one of {}", quoted.join("|"));
            let values: Vec<Json> = words.iter().map(|word| (*word).into()).collect();
            self.issues.push(Json::object([
                ("code", "invalid_value".into()),
                ("values", values.into()),
                ("path", self.place(name).into()),
                ("message", message.into()),
            ]));
        }
        word
    }

    /// An object whose members have any names and values.
    pub(super) fn map(&mut self, name: &'static str, presence: Presence) -> Option<Settings> {
        let Member::Found(found) = self.member(name, presence) else { return None };
        match found {
            Some(Json::Object(members)) => Some(Settings::from_members(members)),
            found => {
                self.wrong_type("record", name, found);
                None
            }
        }
    }

    /// An object; `read` reads its members.
    pub(super) fn object<T>(
        &mut self,
        name: &'static str,
        presence: Presence,
        read: impl FnOnce(&mut Fields<'a>) -> T,
    ) -> Option<T> {
        let Member::Found(found) = self.member(name, presence) else { return None };
        let mut inner = Self::under(self.place(name), found);
        let value = inner.issues.is_empty().then(|| read(&mut inner));
        self.issues.append(&mut inner.issues);
        value
    }

    /// An array of objects, at most `most`; `read` reads the members of each.
    pub(super) fn objects(
        &mut self,
        name: &'static str,
        most: usize,
        read: impl Fn(&mut Fields<'a>),
    ) {
        let Member::Found(found) = self.member(name, Presence::Optional) else { return };
        let Some(elements) = found.and_then(Json::as_array) else {
            return self.wrong_type("array", name, found);
        };
        if elements.len() > most {
            self.issues.push(Json::object([
                ("origin", "array".into()),
                ("code", "too_big".into()),
                ("maximum", (most as u64).into()),
                ("inclusive", true.into()),
                ("path", self.place(name).into()),
                ("message", format!("Too big: expected array to have <={most} items").into()),
            ]));
        }
        for (index, element) in (0_u64..).zip(elements) {
            let path = self.place(name).into_iter().chain([index.into()]).collect();
            let mut inner = Self::under(path, Some(element));
            if inner.issues.is_empty() {
                read(&mut inner);
            }
            self.issues.append(&mut inner.issues);
        }
    }

    /// A whole number that is not negative.
    pub(super) fn whole_number(&mut self, name: &'static str) -> Option<i64> {
        let Member::Found(found) = self.member(name, Presence::Optional) else { return None };
        let number = found.and_then(Json::as_number).and_then(Number::as_i64);
        if number.is_none_or(|number| number < 0) {
            self.wrong_type("int", name, found);
            return None;
        }
        number
    }

    /// A number from 1 to `most`, as a query has it.
    pub(super) fn count(&mut self, name: &'static str, most: u32) -> Option<u32> {
        let Member::Found(found) = self.member(name, Presence::Optional) else { return None };
        let number = found.and_then(Json::as_str).and_then(|text| trim(text).parse::<u32>().ok());
        let (code, bound, limit, message) = match number {
            None => {
                self.wrong_type("number", name, found);
                return None;
            }
            Some(0) => ("too_small", "minimum", 1, "Too small: expected number to be >=1".into()),
            Some(number) if number > most => {
                ("too_big", "maximum", most, format!("Too big: expected number to be <={most}"))
            }
            Some(number) => return Some(number),
        };
        self.issues.push(Json::object([
            ("origin", "number".into()),
            ("code", code.into()),
            (bound, limit.into()),
            ("inclusive", true.into()),
            ("path", self.place(name).into()),
            ("message", Json::String(message)),
        ]));
        None
    }

    /// Any value, null among them.
    pub(super) fn any(&self, name: &str) -> Option<&'a Json> {
        self.members?.iter().find_map(|(key, value)| (key == name).then_some(value))
    }

    /// Tells what is wrong.
    ///
    /// # Errors
    ///
    /// 400 with all that is.
    pub(super) fn finish(self) -> Result<(), Failure> {
        if self.issues.is_empty() { Ok(()) } else { Err(Failure::Issues(self.issues)) }
    }
}

/// A member, where it is looked at.
enum Member<'a> {
    /// It is to be looked at, also where it is absent and must not be.
    Found(Option<&'a Json>),
    /// It may be absent or null, and is; or it cannot be there at all.
    Left,
}

/// A text that is no member, taken without the white space around it: a part of
/// the path.
///
/// # Errors
///
/// 400 where it has another length.
pub(super) fn trimmed<'a>(
    name: &'static str,
    text: &'a str,
    length: Length,
) -> Result<&'a str, Failure> {
    let text = trim(text);
    match size_issue(text, length, vec![name.into()]) {
        Some(issue) => Err(Failure::Issues(vec![issue])),
        None => Ok(text),
    }
}

fn size_issue(text: &str, length: Length, path: Vec<Json>) -> Option<Json> {
    let units = text.encode_utf16().count();
    let (code, bound, limit, message) = match (length.least, length.most) {
        (least, _) if units < least => {
            ("too_small", "minimum", least, "Too small: expected string to have >=")
        }
        (_, Some(most)) if units > most => {
            ("too_big", "maximum", most, "Too big: expected string to have <=")
        }
        _ => return None,
    };
    Some(Json::object([
        ("origin", "string".into()),
        ("code", code.into()),
        (bound, (limit as u64).into()),
        ("inclusive", true.into()),
        ("path", path.into()),
        ("message", format!("{message}{limit} characters").into()),
    ]))
}

fn invalid_type(expected: &str, path: Vec<Json>, found: Option<&Json>) -> Json {
    let received = match found {
        None => "undefined",
        Some(Json::Null) => "null",
        Some(Json::Bool(_)) => "boolean",
        Some(Json::Number(_)) => "number",
        Some(Json::String(_)) => "string",
        Some(Json::Array(_)) => "array",
        Some(Json::Object(_)) => "object",
    };
    Json::object([
        ("expected", expected.into()),
        ("code", "invalid_type".into()),
        ("path", path.into()),
        ("message", format!("Invalid input: expected {expected}, received {received}").into()),
    ])
}

#[cfg(test)]
mod tests;
