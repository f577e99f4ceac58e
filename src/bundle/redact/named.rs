//! The values of names that tell of a secret, in a text: `NAME=value`, headers,
//! assignments of programs, and members of JSON that is no whole JSON.
//!
//! ```text
//!  headers["x-api-key"]  =  "a value"       at a quote: to that which ends it
//!  "x-api-key: a value"                     behind a quote: to that which ends it
//!  x-api-key: a value                       at the beginning of a line: all of it
//!  curl x?api_key=value -v                  else: to white space
//! ```

use std::ops::Range;

use regex::bytes::Regex;

use self::value::Finder;
use super::{quotes::Quote, rules::compile};
use crate::bundle::Error;

mod value;

/// The names of which the value may have white space in it. The end of an escaped line
/// may be written right before one.
const AUTHORIZATION: &str = r"(?-u:\b)(?:[a-z0-9_-]*[-_]|[nrt])?authorization";
/// The others, in any case.
const NAMES: &str = r"[a-z0-9_-]*(?:api[-_]?key|bearer[-_]?token|(?:access|auth|refresh)[-_]?token|client[-_]?secret|(?:private|secret|secret[-_]?access)[-_]?key|passw(?:or)?d|passphrase)|(?-u:\b)(?:[a-z0-9_-]*[-_])?id[-_]?token";
/// Names of variables, in capitals.
const VARIABLES: &str = r"[A-Z][A-Z0-9_]*_(?:KEY|TOKEN|SECRET|PASSWORD)";
/// What is between a name and its value.
const SIGN: &str = r#"\*{0,2}(?:\\*["'`])?[ \t]*\]?[ \t]*(?:[+?|:]{0,2}=[=>]?|\??:)\*{0,2}"#;

/// What stands before a name at the beginning of a line: quotations, lists, what
/// was added or sent.
const BEFORE_LINES: &[u8] = b" \t>*<+|#-";

/// The names whose values are left out as a whole.
pub(super) fn names() -> Result<Regex, Error> {
    compile(&format!(r"^(?:.*\.)?(?:{VARIABLES}|(?i:{AUTHORIZATION}|{NAMES}))$"))
}

/// A name and what is between it and its value.
pub(super) fn heads() -> Result<Regex, Error> {
    compile(&format!("(?:(?i:{AUTHORIZATION}|{NAMES})|{VARIABLES}){SIGN}"))
}

/// The values in a text, in its order, each with the name of its rule.
pub(super) fn values(heads: &Regex, text: &[u8]) -> Vec<(&'static str, Range<usize>)> {
    let mut found = Vec::new();
    let mut finder = Finder::new(text);
    let mut from = 0;
    while let Some(head) = heads.find_at(text, from) {
        let head = Head::of(text, head.range());
        let value = finder.value(&head);
        from = value.end;
        found.extend(value.secret.into_iter().map(|secret| (head.rule, secret)));
    }
    found
}

/// A name that tells of a secret, and what follows it.
struct Head {
    rule: &'static str,
    /// What is between it and its value.
    sign: Range<usize>,
    /// The quote before the name, where none ends it: it is around the value too.
    around: Option<Quote>,
    /// Whether the value may be all that is left of the line.
    is_line: bool,
    is_colon: bool,
}

impl Head {
    fn of(text: &[u8], found: Range<usize>) -> Self {
        let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        let length = text[found.clone()].iter().take_while(|byte| is_name(byte)).count();
        let sign = found.start + length..found.end;
        let name = text[found.start..sign.start].to_ascii_lowercase();
        let is_lower = text[found.start..sign.start].iter().any(u8::is_ascii_lowercase);
        let rule = if name.ends_with(b"authorization") {
            "authorization"
        } else if is_lower || name.contains(&b'-') {
            "api-key"
        } else {
            "named-secret"
        };
        let between = &text[sign.clone()];
        let is_quoted = between.iter().any(|byte| matches!(byte, b'"' | b'\'' | b'`'));
        let is_colon = between.iter().rev().find(|byte| **byte != b'*') == Some(&b':');
        let before = found.start.checked_sub(1);
        let around = before.filter(|_| !is_quoted).and_then(|at| Quote::at(text, 0, at));
        let is_spaced = between.first().is_some_and(u8::is_ascii_whitespace)
            && text.get(sign.end).is_some_and(u8::is_ascii_whitespace);
        let is_line = (is_colon || is_spaced) && begins_line(&text[..found.start]);
        Self { rule, sign, around, is_line, is_colon }
    }
}

/// Whether a name behind this begins a line.
fn begins_line(before: &[u8]) -> bool {
    // Names may be dotted.
    let is_path = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    let before = match before.last() {
        Some(b'.') => {
            let length = before.iter().rev().take_while(|byte| is_path(**byte)).count();
            &before[..before.len() - length]
        }
        Some(_) | None => before,
    };
    let first = before.iter().rev().find(|byte| !BEFORE_LINES.contains(byte));
    first.is_none_or(|byte| matches!(byte, b'\n' | b'\r'))
}
