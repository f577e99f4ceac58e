//! Secrets in what is written for people or models, such as instructions, that the name
//! before them tells: `export API_KEY=x1y2z3w4`, `X-Api-Key: x1y2z3w4`.
//!
//! Such texts speak of names and give examples, so that a value must look like a
//! secret by itself, too.

use super::{names_secret, urls::is_mixed};

/// A value that is shorter may be any word.
const SHORTEST: usize = 8;

/// The same where the name before a colon is one word, as people write it too, and no
/// scheme of HTTP follows.
const SHORTEST_BEHIND_WORDS: usize = 20;

/// How many characters behind a sign are looked at: a secret that is longer has begun by then.
const LONGEST: usize = 512;

/// Whether a text has a name of a secret somewhere, and a value of one behind it.
pub(super) fn names_secret_value(text: &str) -> bool {
    text.match_indices(['=', ':']).any(|(at, sign)| {
        let name = name_before(&text[..at]);
        let behind = &text[at + sign.len()..];
        names_secret(name) && !is_many(name) && {
            let end = behind.char_indices().nth(LONGEST).map_or(behind.len(), |(at, _)| at);
            let (value, has_scheme) = value_behind(&behind[..end]);
            let is_word = sign == ":" && !name.contains(['_', '-']) && !has_scheme;
            let shortest = if is_word { SHORTEST_BEHIND_WORDS } else { SHORTEST };
            !is_file(value) && is_mixed(value, shortest)
        }
    })
}

/// Whether a name is of several: `tokens: cl100k_base` counts or describes.
fn is_many(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["tokens", "secrets", "passwords"].iter().any(|many| name.ends_with(many))
}

/// Whether a value is the path of a file, which no secret has the form of.
fn is_file(value: &str) -> bool {
    let extension = value.rsplit_once('.').map(|(_, extension)| extension);
    value.contains('/')
        && extension.is_some_and(|it| {
            (1..=5).contains(&it.len()) && it.bytes().all(|byte| byte.is_ascii_alphanumeric())
        })
}

/// The name that a text ends with.
fn name_before(text: &str) -> &str {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    let text = text.trim_end_matches(['"', '\'', '`', ' ']);
    &text[text.trim_end_matches(is_part).len()..]
}

/// The value that a text begins with, without its quotes and the scheme of HTTP, and
/// whether it had one.
fn value_behind(text: &str) -> (&str, bool) {
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
    (text.split(is_end).next().unwrap_or_default().trim_end_matches('.'), scheme.is_some())
}
