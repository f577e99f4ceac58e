//! What members of bodies and parameters of queries may be. What is wrong is told
//! all at once, in the words of zod 4, which the contract's server checks with.
//!
//! Members that nobody asks for are ignored.

use super::error::Failure;
use crate::{
    json::Json,
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
mod tests {
    use super::*;

    fn json(text: &str) -> Json {
        Json::parse(text).unwrap()
    }

    /// What is wrong with a body that has a text, a word, a map and an object.
    fn issues(body: Option<&str>) -> Json {
        let body = body.map(json);
        let mut fields = Fields::of(body.as_ref());
        fields.word("scope", Presence::Required, &["session", "default"]);
        fields.trimmed("key", Presence::Optional, Length::between(1, 3));
        fields.map("settings", Presence::Optional);
        fields.object("controls", Presence::Optional, |controls| {
            controls.trimmed("model", Presence::Nullable, Length::from(1));
        });
        match fields.finish() {
            Ok(()) => Json::Array(Vec::new()),
            Err(Failure::Issues(issues)) => Json::Array(issues),
            Err(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_right_has_no_issues_and_other_members_are_ignored() {
        for body in [
            r#"{"scope":"session"}"#,
            r#"{"scope":"default","key":" 😀 ","settings":{"":1},"controls":{"model":null},"x":1}"#,
            r#"{"scope":"default","controls":{"model":" m "}}"#,
        ] {
            assert_eq!(issues(Some(body)), json("[]"), "{body}");
        }
    }

    #[test]
    fn all_that_is_wrong_is_told_in_the_words_of_zod() {
        let body = r#"{"scope":"Session","key":"😀😀","settings":[],"controls":{"model":" "}}"#;
        let expected = r#"[
            {"code":"invalid_value","values":["session","default"],"path":["scope"],
             "message":"Invalid option: expected one of \"session\"|\"default\""},
            {"origin":"string","code":"too_big","maximum":3,"inclusive":true,"path":["key"],
             "message":"Too big: expected string to have <=3 characters"},
            {"expected":"record","code":"invalid_type","path":["settings"],
             "message":"Invalid input: expected record, received array"},
            {"origin":"string","code":"too_small","minimum":1,"inclusive":true,
             "path":["controls","model"],
             "message":"Too small: expected string to have >=1 characters"}]"#;
        assert_eq!(issues(Some(body)), json(expected));
        let body = r#"{"scope":"session","key":null,"controls":{}}"#;
        let expected = r#"[
            {"expected":"string","code":"invalid_type","path":["key"],
             "message":"Invalid input: expected string, received null"},
            {"expected":"string","code":"invalid_type","path":["controls","model"],
             "message":"Invalid input: expected string, received undefined"}]"#;
        assert_eq!(issues(Some(body)), json(expected));
    }

    #[test]
    fn of_what_is_no_object_nothing_else_is_told() {
        for (body, received) in [(None, "undefined"), (Some("[1]"), "array"), (Some("1"), "number")]
        {
            let issue = format!(
                r#"[{{"expected":"object","code":"invalid_type","path":[],
                "message":"Invalid input: expected object, received {received}"}}]"#
            );
            assert_eq!(issues(body), json(&issue));
        }
    }
}
