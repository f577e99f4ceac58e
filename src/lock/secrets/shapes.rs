//! Secrets that are told by their own form, wherever they are.

use super::{is_variable, names_secret, variable};

/// How tokens begin whose makers gave them a form, and how long they are at least.
const TOKENS: [(&str, usize); 18] = [
    ("sk-", 20),
    ("sk_live_", 20),
    ("rk_live_", 20),
    ("ghp_", 20),
    ("gho_", 20),
    ("ghs_", 20),
    ("ghu_", 20),
    ("ghr_", 20),
    ("github_pat_", 20),
    ("glpat-", 20),
    ("xoxa-", 15),
    ("xoxb-", 15),
    ("xoxp-", 15),
    ("AKIA", 20),
    ("ASIA", 20),
    ("AIza", 35),
    ("hf_", 30),
    ("npm_", 36),
];

/// Whether a text says something itself, and not where to find it.
pub(super) fn is_literal(text: &str) -> bool {
    let value = without_scheme(text);
    !value.is_empty() && variable(value).is_none() && !is_of_shell(value)
}

/// Whether a text is or has a secret by its form.
pub(super) fn is_secret(text: &str) -> bool {
    let is_private_key = text.contains("-----BEGIN") && text.contains("PRIVATE KEY-----");
    let value = without_scheme(text);
    let is_credential = value.len() != text.len() && is_literal(value) && is_one_word(value);
    let between = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '`');
    is_private_key
        || is_credential
        || text.split(between).any(|word| has_token(word) || is_url_with_secret(word))
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

fn has_token(word: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    word.split(|c| !is_part(c)).any(|piece| {
        let has_digit = piece.bytes().any(|byte| byte.is_ascii_digit());
        let is_known =
            TOKENS.iter().any(|(start, length)| piece.starts_with(start) && piece.len() >= *length);
        let is_jwt =
            piece.starts_with("eyJ") && piece.len() >= 40 && piece.matches('.').count() >= 2;
        has_digit && (is_known || is_jwt)
    })
}

/// Whether a URL has a password, or a parameter that lets its holder in.
fn is_url_with_secret(word: &str) -> bool {
    let Some((_, rest)) = word.split_once("://") else {
        return false;
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let user = rest[..end].rsplit_once('@').map(|(user, _)| user);
    let password = user.and_then(|user| user.split_once(':')).map(|(_, password)| password);
    let is_placeholder =
        |text: &str| text.starts_with('<') || text.bytes().all(|byte| byte == b'*');
    if password.is_some_and(|password| is_literal(password) && !is_placeholder(password)) {
        return true;
    }
    let query = rest.split_once('?').map_or("", |(_, query)| query);
    let query = query.split('#').next().unwrap_or_default();
    query.split('&').filter_map(|pair| pair.split_once('=')).any(|(name, value)| {
        (names_secret(name) || is_signature(name)) && is_literal(value) && !is_placeholder(value)
    })
}
