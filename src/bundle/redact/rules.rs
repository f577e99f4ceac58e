//! What is left out: what is built in, and what the caller adds.

use std::collections::BTreeSet;

use regex::bytes::Regex;

use super::{named, tables};
use crate::bundle::Error;

/// The shortest value that is looked for everywhere: shorter ones are in many words.
const MIN_LITERAL: usize = 6;

/// How deep JSON may stand in the strings of JSON that is no whole one.
const NESTED: usize = 3;

/// What is left out wherever it stands. What the first group matches stays. The end of
/// an escaped line may be written right before it.
const BUILT_IN: [(&str, &str); 2] = [
    ("bearer", r"(?i)((?:\b|\\[nrt])bearer\s+)[a-z0-9._~+/=-]{8,}"),
    ("sk", r"(\b|\\[nrt])sk-[A-Za-z0-9_-]{8,}"),
];

/// What is left out.
#[derive(Debug)]
pub struct Rules {
    /// Texts that are left out as they are.
    pub(super) literals: Vec<Pattern>,
    pub(super) built_in: Vec<Pattern>,
    pub(super) further: Vec<Pattern>,
    /// Names in a text that tell of a secret.
    pub(super) heads: Regex,
    /// Those of tables whose values are secret.
    pub(super) tables: Vec<tables::Conditional>,
    secret_names: Regex,
    /// The variables of a session's environment, whose values are left out.
    pub(super) environment: BTreeSet<String>,
}

/// A regular expression, by its name.
#[derive(Debug)]
pub(super) struct Pattern {
    pub(super) name: String,
    pub(super) regex: Regex,
    pub(super) keeps: Keeps,
}

/// What of a text that a pattern matches stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keeps {
    FirstGroup,
    Nothing,
}

impl Pattern {
    fn new(name: &str, text: &str, keeps: Keeps) -> Result<Self, Error> {
        Ok(Self { name: name.to_owned(), regex: compile(text)?, keeps })
    }
}

impl Rules {
    /// What is built in, and what else matches one of these regular expressions.
    ///
    /// # Errors
    ///
    /// Where one is none.
    pub fn new<'a>(further: impl IntoIterator<Item = &'a str>) -> Result<Self, Error> {
        let mut rules = Self {
            literals: Vec::new(),
            built_in: Vec::new(),
            further: Vec::new(),
            heads: named::heads()?,
            tables: tables::patterns()?,
            secret_names: named::names()?,
            environment: BTreeSet::new(),
        };
        for (name, text) in BUILT_IN {
            rules.built_in.push(Pattern::new(name, text, Keeps::FirstGroup)?);
        }
        for (number, text) in further.into_iter().enumerate() {
            // The expression itself may be what nobody shall see.
            let name = format!("custom-{}", number + 1);
            rules.further.push(Pattern::new(&name, text, Keeps::Nothing)?);
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
                // What is most exact comes first.
                let literal = Pattern::new(name, &regex::escape(&form), Keeps::Nothing)?;
                self.literals.insert(0, literal);
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
}

/// Makes a regular expression.
pub(super) fn compile(text: &str) -> Result<Regex, Error> {
    Regex::new(text)
        .map_err(|error| Error::Pattern { text: text.to_owned(), problem: error.to_string() })
}

/// A text as it stands between the quotes of a JSON string.
fn escaped(text: &str) -> String {
    let quoted = serde_json::to_string(text).unwrap_or_default();
    let inside = quoted.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    inside.unwrap_or(text).to_owned()
}
