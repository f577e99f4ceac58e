//! What is secret, left out of texts: replaced by `[redacted]`.
//!
//! In JSON it is replaced inside of strings only, so that it stays JSON; numbers,
//! white space and the order of members stay as they are. A string that is the value
//! of a name such as `authorization` or `OPENAI_API_KEY` is replaced as a whole.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

use regex::bytes::Regex;
use serde::de::IgnoredAny;

use super::Error;

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
}

impl<'a> Redactor<'a> {
    /// A redactor by these rules.
    #[must_use]
    pub fn new(rules: &'a Rules) -> Self {
        Self { rules, counts: BTreeMap::new() }
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
        if is_json { self.json(text) } else { self.plain(text) }
    }

    fn plain<'t>(&mut self, text: &'t [u8]) -> Cow<'t, [u8]> {
        let mut text = Cow::Borrowed(text);
        for pattern in &self.rules.patterns {
            let mut count = 0;
            let replaced =
                pattern.regex.replace_all(&text, |found: &regex::bytes::Captures<'_>| {
                    let whole = found.get(0).map_or(&b""[..], |whole| whole.as_bytes());
                    let kept = found.get(1).filter(|_| pattern.keeps_first_group);
                    let kept = kept.map_or(&b""[..], |kept| kept.as_bytes());
                    // What was left out before is no secret, and nothing is none.
                    if whole[kept.len()..].starts_with(REDACTED.as_bytes()) || whole.is_empty() {
                        return whole.to_vec();
                    }
                    count += 1;
                    [kept, REDACTED.as_bytes()].concat()
                });
            if count > 0 {
                *self.counts.entry(pattern.name.clone()).or_default() += count;
                text = Cow::Owned(replaced.into_owned());
            }
        }
        text
    }

    /// Walks over the tokens of valid JSON.
    fn json<'t>(&mut self, text: &'t [u8]) -> Cow<'t, [u8]> {
        let mut new: Option<Vec<u8>> = None;
        let (mut at, mut copied) = (0, 0);
        // Whether the next string is the value of a secret name; after a name in an
        // array, as in a list of variables, too.
        let mut is_secret = false;
        while at < text.len() {
            let byte = text[at];
            if byte != b'"' {
                is_secret &= byte.is_ascii_whitespace() || byte == b':' || byte == b',';
                at += 1;
                continue;
            }
            let end = string_end(text, at);
            let next = text[end..].iter().find(|byte| !byte.is_ascii_whitespace());
            let token = &text[at..end];
            let content = serde_json::from_slice::<String>(token).ok();
            let is_name = next == Some(&b':');
            let replaced = match &content {
                Some(content) if is_secret && !is_name && !content.is_empty() => {
                    *self.counts.entry("value-of-a-name".to_owned()).or_default() += 1;
                    Some(quoted(REDACTED.as_bytes()))
                }
                Some(content) => match self.plain(content.as_bytes()) {
                    Cow::Owned(clean) => Some(quoted(&clean)),
                    Cow::Borrowed(_) => None,
                },
                // Half a surrogate pair: as it is written.
                None => match self.plain(&token[1..token.len() - 1]) {
                    Cow::Owned(_) => Some(quoted(REDACTED.as_bytes())),
                    Cow::Borrowed(_) => None,
                },
            };
            is_secret = content.is_some_and(|content| match next {
                Some(b':') => self.rules.is_secret_name(&content),
                Some(b',') => !is_secret && self.rules.environment.contains(&content),
                Some(_) | None => false,
            });
            if let Some(replaced) = replaced {
                let new = new.get_or_insert_with(|| Vec::with_capacity(text.len()));
                new.extend_from_slice(&text[copied..at]);
                new.extend(replaced);
                copied = end;
            }
            at = end;
        }
        match new {
            Some(mut new) => {
                new.extend_from_slice(&text[copied..]);
                Cow::Owned(new)
            }
            None => Cow::Borrowed(text),
        }
    }
}

/// The byte after the string that begins at `start`.
fn string_end(text: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    text.len()
}

/// A text as it stands between the quotes of a JSON string.
fn escaped(text: &str) -> String {
    let quoted = serde_json::to_string(text).unwrap_or_default();
    let inside = quoted.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    inside.unwrap_or(text).to_owned()
}

fn quoted(text: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(text);
    serde_json::to_vec(&text).unwrap_or_else(|_| format!("\"{REDACTED}\"").into_bytes())
}

#[cfg(test)]
mod tests;
