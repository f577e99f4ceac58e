//! Secrets that are told by their own form, wherever they are.

use super::{is_variable, names_secret, spans::spans, variable};

/// Whether a text says something itself, and not where to find it.
pub(super) fn is_literal(text: &str) -> bool {
    let value = without_scheme(text);
    !value.is_empty() && variable(value).is_none() && !is_of_shell(value)
}

/// Whether a text is or has a secret by its form.
pub(super) fn is_secret(text: &str) -> bool {
    let value = without_scheme(text);
    let is_credential = value.len() != text.len() && is_literal(value) && is_one_word(value);
    is_credential || !spans(text).is_empty()
}

/// Whether the words of a command have a secret: `--token X`, `--token=X`,
/// `TOKEN=X` or a header `Authorization: X`.
pub(super) fn is_secret_command(words: &[&str]) -> bool {
    let is_flag = |word: &str| word.starts_with('-') && names_secret(word);
    let follows = words.windows(2).any(|pair| {
        is_flag(pair[0])
            && !pair[0].contains('=')
            && !pair[1].starts_with('-')
            && is_literal(pair[1])
    });
    let is_pair = |word: &&str| {
        let end = word.find(['=', ':']).unwrap_or(word.len());
        let (name, value) = word.split_at(end);
        let value = value.get(1..).unwrap_or_default().trim();
        // A name has no spaces, and what follows the colon of a URL is no value.
        is_one_word(name) && names_secret(name) && is_literal(value) && !value.starts_with("//")
    };
    follows || words.iter().any(is_pair)
}

/// Whether a text is the path of a file.
pub(super) fn is_path(text: &str) -> bool {
    ["/", "~/", "./", "../"].iter().any(|start| text.starts_with(start))
}

/// Whether a text is so plain that it lets nobody in, whatever its name is: a
/// number, a word as people have them, a path, a URL.
pub(super) fn is_plain(text: &str) -> bool {
    const LONGEST_WORD: usize = 16;
    let is_word = |text: &str| {
        let letters = text.trim_start_matches(|c: char| c.is_ascii_uppercase());
        let is_lower = letters.bytes().all(|byte| byte.is_ascii_lowercase());
        text.len() <= LONGEST_WORD && is_lower
    };
    text.parse::<f64>().is_ok_and(|_| text.len() <= LONGEST_WORD)
        || text.split(['-', '_', ',', ' ', ':', '.']).all(is_word)
        || is_path(text)
        || text.contains("://")
}

/// Whether a parameter of a URL with this name signs it.
pub(super) fn is_signature(name: &str) -> bool {
    matches!(name.to_ascii_lowercase().as_str(), "key" | "sig" | "signature" | "code")
}

/// What follows the scheme of a credential, as HTTP writes it.
fn without_scheme(text: &str) -> &str {
    let rest = text.split_once(' ').filter(|(scheme, _)| {
        ["bearer", "basic", "token"].contains(&scheme.to_ascii_lowercase().as_str())
    });
    rest.map_or(text, |(_, rest)| rest.trim())
}

/// Whether a shell or a template would put a variable here.
fn is_of_shell(text: &str) -> bool {
    let Some(rest) = text.strip_prefix('$') else {
        return false;
    };
    match rest.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
        Some(name) => is_variable(name.strip_prefix("env:").unwrap_or(name)),
        None => is_variable(rest) && !rest.bytes().any(|byte| byte.is_ascii_lowercase()),
    }
}

fn is_one_word(text: &str) -> bool {
    !text.is_empty() && !text.contains(char::is_whitespace)
}
