//! Secrets that are told by their own form, wherever they are.

use super::{
    commands::has_secret_json, is_variable, prose::names_secret_value, spans::spans, variable,
};

/// Whether a text says something itself, and not where to find it.
pub(super) fn is_literal(text: &str) -> bool {
    let value = without_scheme(text);
    !value.is_empty() && variable(value).is_none() && !is_of_shell(value)
}

/// Whether a text is or has a secret by its form.
pub(super) fn is_secret(text: &str) -> bool {
    let value = without_scheme(text);
    let is_credential = value.len() != text.len() && is_literal(value) && is_one_word(value);
    is_credential || !spans(text).is_empty() || has_secret_json(text) || names_secret_value(text)
}

/// Whether a text is the path of a file.
pub(super) fn is_path(text: &str) -> bool {
    ["/", "~/", "./", "../"].iter().any(|start| text.starts_with(start))
}

/// Whether a text is so plain that it lets nobody in, whatever its name is: a
/// number, a date, words as people have them, a path, a URL.
pub(super) fn is_plain(text: &str) -> bool {
    const LONGEST_WORD: usize = 16;
    /// A date has as many.
    const MOST_DIGITS: usize = 8;
    let between = ['-', '_', ',', ' ', ':', '.', '=', '/', ';', '+', '@'];
    // As in `utf8` or `x86`, beside plain numbers.
    let is_numbered = |text: &str| {
        let letters = text.trim_end_matches(|c: char| c.is_ascii_digit());
        let digits = text.len() - letters.len();
        let is_lower = letters.bytes().all(|byte| byte.is_ascii_lowercase());
        (letters.is_empty() && digits <= 4) || (is_lower && letters.len() <= 4 && digits <= 2)
    };
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let is_word = |text: &str| {
        let letters = text.trim_start_matches(|c: char| c.is_ascii_uppercase());
        let is_lower = letters.bytes().all(|byte| byte.is_ascii_lowercase());
        text.len() <= LONGEST_WORD && is_lower
    };
    text.parse::<f64>().is_ok_and(|_| text.len() <= LONGEST_WORD)
        || text.split(between).all(is_word)
        || (digits <= MOST_DIGITS
            && text.split(between).all(|piece| is_word(piece) || is_numbered(piece)))
        || is_path(text)
        || text.contains("://")
}

/// Whether a parameter of a URL with this name and value signs it.
pub(super) fn is_signature(name: &str, value: &str) -> bool {
    match name.to_ascii_lowercase().as_str() {
        "key" | "sig" | "signature" | "code" => true,
        "k" => !is_plain(value),
        _ => false,
    }
}

/// Whether a text is one of several that somebody chose from: a short word, a
/// version, a file.
pub(super) fn is_choice(text: &str) -> bool {
    let is_word = text.len() <= 8 && text.bytes().all(|byte| byte.is_ascii_lowercase());
    let version = text.strip_prefix('v').unwrap_or(text);
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let is_version = version.contains('.') && version.split('.').all(is_number);
    is_word || is_version || is_path(text)
}

/// What follows the scheme of a credential, as HTTP writes it.
fn without_scheme(text: &str) -> &str {
    let rest = text.split_once(' ').filter(|(scheme, _)| {
        ["bearer", "basic", "token"].contains(&scheme.to_ascii_lowercase().as_str())
    });
    rest.map_or(text, |(_, rest)| rest.trim())
}

/// Whether a shell or a template would put a variable here, an argument, or what a
/// command prints.
fn is_of_shell(text: &str) -> bool {
    let Some(rest) = text.strip_prefix('$') else {
        return false;
    };
    let is_argument = !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit());
    if rest.starts_with('(') || is_argument {
        return true;
    }
    match rest.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
        Some(name) => {
            // `${NAME:?}` stops a shell that has none.
            let name = name.split_once(":?").map_or(name, |(name, _)| name);
            is_variable(name.strip_prefix("env:").unwrap_or(name))
        }
        None => is_variable(rest) && !rest.bytes().any(|byte| byte.is_ascii_lowercase()),
    }
}

pub(super) fn is_one_word(text: &str) -> bool {
    !text.is_empty() && !text.contains(char::is_whitespace)
}
