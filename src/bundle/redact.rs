//! What is secret, left out of texts: replaced by `[redacted]`.
//!
//! In JSON it is replaced inside of strings only, so that it stays JSON; numbers,
//! white space and the order of members stay as they are. A string that is the value
//! of a name such as `authorization` or `OPENAI_API_KEY`, is in an array that is, or
//! in a table of headers, is replaced as a whole. A string that is JSON itself is read
//! as JSON. The time it takes grows as the text does.

mod json;
mod lines;
mod named;
mod quotes;
mod rules;
mod tables;

use std::{borrow::Cow, collections::BTreeMap};

use regex::bytes::Regex;
use serde::de::IgnoredAny;

pub use self::rules::Rules;
use self::{
    lines::{Lines, Secret},
    rules::{Keeps, Pattern},
    tables::Place,
};
use crate::lock::secrets;

/// What stands in the place of what was left out.
const REDACTED: &str = "[redacted]";
/// Leaves out what the rules say, and counts.
#[derive(Debug)]
pub struct Redactor<'a> {
    rules: &'a Rules,
    counts: BTreeMap<String, u64>,
    lines: Lines,
}

impl<'a> Redactor<'a> {
    /// A redactor by these rules.
    #[must_use]
    pub fn new(rules: &'a Rules) -> Self {
        Self { rules, counts: BTreeMap::new(), lines: Lines::default() }
    }

    /// How often each rule left something out.
    #[must_use]
    pub fn counts(&self) -> &BTreeMap<String, u64> {
        &self.counts
    }

    /// How often something was left out.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.values().sum()
    }

    /// A text without what is secret: inside of its strings, where it is JSON.
    pub fn redact<'t>(&mut self, text: &'t [u8]) -> Cow<'t, [u8]> {
        if is_json(text) { self.json(text, Place::default()) } else { self.line(text) }
    }

    /// A line of a text, which may be in what lines before it began.
    fn line<'t>(&mut self, text: &'t [u8]) -> Cow<'t, [u8]> {
        let line = String::from_utf8_lossy(text);
        let end = &text[text.trim_ascii_end().len()..];
        let kept = match self.lines.next(&line) {
            Secret::Nothing => return self.plain(text, Place::default()),
            Secret::Line => 0,
            Secret::Value => text.iter().position(|byte| *byte == b'=').map_or(0, |at| at + 1),
        };
        let secret = text[kept..].trim_ascii();
        let new = match kept {
            0 => REDACTED.to_owned(),
            _ => format!(" \"{REDACTED}\""),
        };
        if secret.is_empty() || secret == new.trim_start().as_bytes() {
            return Cow::Borrowed(text);
        }
        self.count_one("of-lines-before");
        Cow::Owned([&text[..kept], new.as_bytes(), end].concat())
    }

    fn plain<'t>(&mut self, text: &'t [u8], place: Place) -> Cow<'t, [u8]> {
        let rules = self.rules;
        let mut text = Cow::Borrowed(text);
        self.patterns(&mut text, &rules.literals);
        self.named(&mut text);
        self.patterns(&mut text, &rules.built_in);
        self.patterns(&mut text, &rules.further);
        for (regex, word) in &rules.tables {
            if place.is_in(word) || memchr::memmem::find(&text, word.as_bytes()).is_some() {
                self.replace(&mut text, regex, "value-of-a-table", Keeps::FirstGroup);
            }
        }
        self.forms(&mut text);
        text
    }

    /// A text that is JSON itself, in a string.
    fn nested<'t>(&mut self, text: &'t [u8], place: Place) -> Cow<'t, [u8]> {
        let rules = self.rules;
        let mut text = self.json(text, place);
        // These may match more than one of its strings.
        self.patterns(&mut text, &rules.literals);
        self.patterns(&mut text, &rules.further);
        text
    }

    fn patterns(&mut self, text: &mut Cow<'_, [u8]>, patterns: &[Pattern]) {
        for Pattern { name, regex, keeps } in patterns {
            self.replace(text, regex, name, *keeps);
        }
    }

    /// Leaves out what the names before it tell.
    fn named(&mut self, text: &mut Cow<'_, [u8]>) {
        let found = named::values(&self.rules.heads, text);
        let (mut new, mut copied) = (Vec::new(), 0);
        for (rule, secret) in found {
            // What was left out before is no secret.
            if text[secret.clone()] == *REDACTED.as_bytes() {
                continue;
            }
            self.count_one(rule);
            new.extend_from_slice(&text[copied..secret.start]);
            new.extend_from_slice(REDACTED.as_bytes());
            copied = secret.end;
        }
        if copied > 0 {
            new.extend_from_slice(&text[copied..]);
            *text = Cow::Owned(new);
        }
    }

    fn replace(&mut self, text: &mut Cow<'_, [u8]>, regex: &Regex, name: &str, keeps: Keeps) {
        let mut count = 0;
        let replaced = regex.replace_all(text, |found: &regex::bytes::Captures<'_>| {
            let whole = found.get(0).map_or(&b""[..], |whole| whole.as_bytes());
            let kept = found.get(1).filter(|_| keeps == Keeps::FirstGroup);
            let kept = kept.map_or(&b""[..], |kept| kept.as_bytes());
            // What was left out before is no secret, and nothing is none.
            let is_none = whole[kept.len()..].starts_with(REDACTED.as_bytes()) || whole.is_empty();
            if is_none || (!kept.is_empty() && tables::is_own(kept)) {
                return whole.to_vec();
            }
            count += 1;
            [kept, REDACTED.as_bytes()].concat()
        });
        if count > 0 {
            let replaced = replaced.into_owned();
            *self.counts.entry(name.to_owned()).or_default() += count;
            *text = Cow::Owned(replaced);
        }
    }

    /// Leaves out what its own form tells, as a config lock may not have it.
    fn forms(&mut self, text: &mut Cow<'_, [u8]>) {
        let mut new = Vec::new();
        let mut found = 0;
        for chunk in text.utf8_chunks() {
            let valid = chunk.valid();
            let mut copied = 0;
            for span in secrets::spans(valid) {
                // What was left out before is no secret.
                if valid[span.clone()].starts_with(REDACTED) {
                    continue;
                }
                new.extend_from_slice(&valid.as_bytes()[copied..span.start]);
                new.extend_from_slice(REDACTED.as_bytes());
                copied = span.end;
                found += 1;
            }
            new.extend_from_slice(&valid.as_bytes()[copied..]);
            new.extend_from_slice(chunk.invalid());
        }
        if found > 0 {
            *self.counts.entry("form".to_owned()).or_default() += found;
            *text = Cow::Owned(new);
        }
    }

    fn count_one(&mut self, name: &str) {
        *self.counts.entry(name.to_owned()).or_default() += 1;
    }
}

/// Whether a text is JSON that may have strings in it.
fn is_json(text: &[u8]) -> bool {
    let ends = text.trim_ascii();
    matches!(
        (ends.first(), ends.last()),
        (Some(b'{'), Some(b'}')) | (Some(b'['), Some(b']')) | (Some(b'"'), Some(b'"'))
    ) && serde_json::from_slice::<IgnoredAny>(text).is_ok()
}

#[cfg(test)]
mod tests;
