//! Secrets in what is written for people or models, such as instructions, that the name
//! before them tells: `export API_KEY=x1y2z3w4`, `X-Api-Key: x1y2z3w4`.
//!
//! Such texts speak of names and give examples, so that a value must look like a
//! secret by itself, too.

use super::{names_secret, urls::is_mixed};

/// A value that is shorter may be any word.
const SHORTEST: usize = 8;

/// Whether a text has a name of a secret somewhere, and a value of one behind it.
pub(super) fn names_secret_value(text: &str) -> bool {
    text.match_indices(['=', ':']).any(|(at, sign)| {
        let name = name_before(&text[..at]);
        names_secret(name) && is_mixed(value_behind(&text[at + sign.len()..]), SHORTEST)
    })
}

/// The name that a text ends with.
fn name_before(text: &str) -> &str {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    let text = text.trim_end_matches(['"', '\'', '`', ' ']);
    &text[text.trim_end_matches(is_part).len()..]
}

/// The value that a text begins with, without its quotes and the scheme of HTTP.
fn value_behind(text: &str) -> &str {
    let is_around = |c: char| matches!(c, ' ' | '"' | '\'' | '`');
    let text = text.trim_start_matches(is_around);
    let scheme = ["bearer ", "basic ", "token "].into_iter().find(|scheme| {
        text.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    });
    let text = text[scheme.map_or(0, str::len)..].trim_start_matches(is_around);
    let is_end = |c: char| {
        c.is_whitespace() || matches!(c, '"' | '\'' | '`' | ';' | ',' | '&' | '|' | ')' | '}' | ']')
    };
    // A sentence may end behind it.
    text.split(is_end).next().unwrap_or_default().trim_end_matches('.')
}
