//! What is secret, left out of texts: replaced by `[redacted]`.
//!
//! In JSON it is replaced inside of strings only, so that it stays JSON; numbers,
//! white space and the order of members stay as they are. A string that is the value
//! of a name such as `authorization` or `OPENAI_API_KEY`, or in a table of headers, is
//! replaced as a whole.

mod json;
mod lines;
mod tables;

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

use regex::bytes::Regex;
use serde::de::IgnoredAny;

use self::{
    lines::{Lines, Secret},
    tables::Place,
};
use super::Error;
use crate::lock::secrets;

/// What stands in the place of what was left out.
const REDACTED: &str = "[redacted]";
/// The shortest value that is looked for everywhere: shorter ones are in many words.
const MIN_LITERAL: usize = 6;

/// How deep JSON may stand in the strings of JSON.
const NESTED: usize = 2;

/// What is left out wherever it stands. What the first group matches stays.
const BUILT_IN: [(&str, &str); 5] = [
    ("authorization", r#"(?i)(\b(?:proxy-)?authorization["']?\s*[:=]\s*["']?)[^"'\r\n]+"#),
    ("bearer", r"(?i)(\bbearer\s+)[a-z0-9._~+/=-]{8,}"),
    (
        "api-key",
        r#"(?i)(\b[a-z0-9_-]*(?:api[-_]?key|bearer_token|(?:access|auth|id|refresh)_token|client_secret|password)["']?\s*[:=]\s*["']?)[^\s"',;]+"#,
    ),
    ("sk", r"()\bsk-[A-Za-z0-9_-]{8,}"),
    (
        "named-secret",
        r#"(\b[A-Z][A-Z0-9_]*_(?:KEY|TOKEN|SECRET|PASSWORD)["']?\s*[=:]\s*["']?)[^\s"',;]+"#,
    ),
];

/// The names whose values are left out as a whole.
const SECRET_NAMES: &str = r"^[A-Z][A-Z0-9_]*_(KEY|TOKEN|SECRET|PASSWORD)$|^(?i:(proxy-)?authorization|[a-z0-9_-]*(api[-_]?key|bearer_token|(access|auth|id|refresh)_token|client_secret|password))$";

/// What is left out.
#[derive(Debug)]
pub struct Rules {
    patterns: Vec<Pattern>,
    /// Those of tables whose values are secret.
    tables: Vec<tables::Conditional>,
    secret_names: Regex,
    /// The variables of a session's environment, whose values are left out.
    environment: BTreeSet<String>,
}

#[derive(Debug)]
struct Pattern {
    name: String,
    regex: Regex,
    keeps_first_group: bool,
}

impl Rules {
    /// What is built in, and what else matches one of these regular expressions.
    ///
    /// # Errors
    ///
    /// Where one is none.
    pub fn new<'a>(further: impl IntoIterator<Item = &'a str>) -> Result<Self, Error> {
        let mut rules = Self {
            patterns: Vec::new(),
            tables: tables::patterns()?,
            secret_names: compile(SECRET_NAMES)?,
            environment: BTreeSet::new(),
        };
        for (name, text) in BUILT_IN {
            rules.push(name.to_owned(), text, true)?;
        }
        for (number, text) in further.into_iter().enumerate() {
            // The expression itself may be what nobody shall see.
            rules.push(format!("custom-{}", number + 1), text, false)?;
        }
        Ok(rules)
    }

    /// Leaves out a text wherever it stands, where it is long enough to mean only
    /// that.
    ///
    /// # Errors
    ///
    /// Where it is too long to be looked for.
    pub fn literal(&mut self, name: &str, text: &str) -> Result<(), Error> {
        // Texts are read line by line.
        let lines = text.lines().filter(|line| *line != text);
        for part in std::iter::once(text).chain(lines).filter(|part| part.len() >= MIN_LITERAL) {
            // As it is, and as it stands in JSON that is the text of a string itself.
            let mut form = part.to_owned();
            for _ in 0..=NESTED {
                let regex = compile(&regex::escape(&form))?;
                // What is most exact comes first.
                let name = name.to_owned();
                self.patterns.insert(0, Pattern { name, regex, keeps_first_group: false });
                let escaped = escaped(&form);
                if escaped == form {
                    break;
                }
                form = escaped;
            }
        }
        Ok(())
    }

    /// Leaves out the value of a variable of a session's environment.
    ///
    /// # Errors
    ///
    /// As [`Rules::literal`].
    pub fn variable(&mut self, name: &str, value: &str) -> Result<(), Error> {
        self.environment.insert(name.to_owned());
        self.literal("environment", value)
    }

    /// Whether a variable of this name is one whose value is secret.
    #[must_use]
    pub fn is_secret_name(&self, name: &str) -> bool {
        self.environment.contains(name) || self.secret_names.is_match(name.as_bytes())
    }

    fn push(&mut self, name: String, text: &str, keeps_first_group: bool) -> Result<(), Error> {
        self.patterns.push(Pattern { name, regex: compile(text)?, keeps_first_group });
        Ok(())
    }
}

fn compile(text: &str) -> Result<Regex, Error> {
    Regex::new(text)
        .map_err(|error| Error::Pattern { text: text.to_owned(), problem: error.to_string() })
}

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
        let begin = text.iter().find(|byte| !byte.is_ascii_whitespace());
        let is_json = begin.is_some_and(|byte| matches!(byte, b'{' | b'[' | b'"'))
            && serde_json::from_slice::<IgnoredAny>(text).is_ok();
        if is_json { self.json(text) } else { self.line(text) }
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
        for pattern in &rules.patterns {
            let keeps = pattern.keeps_first_group;
            self.replace(&mut text, &pattern.regex, &pattern.name, keeps);
        }
        for (regex, word) in &rules.tables {
            if place.is_in(word) || memchr::memmem::find(&text, word.as_bytes()).is_some() {
                self.replace(&mut text, regex, "value-of-a-table", true);
            }
        }
        self.forms(&mut text);
        text
    }

    fn replace(
        &mut self,
        text: &mut Cow<'_, [u8]>,
        regex: &Regex,
        name: &str,
        keeps_first_group: bool,
    ) {
        let mut count = 0;
        let replaced = regex.replace_all(text, |found: &regex::bytes::Captures<'_>| {
            let whole = found.get(0).map_or(&b""[..], |whole| whole.as_bytes());
            let kept = found.get(1).filter(|_| keeps_first_group);
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

/// A text as it stands between the quotes of a JSON string.
fn escaped(text: &str) -> String {
    let quoted = serde_json::to_string(text).unwrap_or_default();
    let inside = quoted.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    inside.unwrap_or(text).to_owned()
}

#[cfg(test)]
mod tests;
