//! Where in a text that anybody may have written the secrets are whose form tells
//! them: tokens whose makers gave them one, private keys, and what a URL has of
//! its user.

use std::ops::Range;

use super::{
    shapes::{is_literal, is_signature},
    tells,
};

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

/// How the lines around a private key begin.
const KEY_MARKS: [&str; 2] = ["-----BEGIN ", "-----END "];

/// How the line before a private key ends; that of a public one ends otherwise.
const KEY_END: &str = "PRIVATE KEY-----";

/// The ranges of bytes of a text that are secrets, in their order; none overlap.
///
/// They say nothing of secrets that only a name tells, such as `password: hunter2`.
#[must_use]
pub fn spans(text: &str) -> Vec<Range<usize>> {
    let mut found = private_keys(text);
    for word in words(text) {
        let at = word.start;
        let word = &text[word];
        let inner = tokens(word).into_iter().chain(of_url(word));
        found.extend(inner.map(|span| at + span.start..at + span.end));
    }
    found.sort_by_key(|span| (span.start, span.end));
    let mut apart: Vec<Range<usize>> = Vec::with_capacity(found.len());
    for span in found {
        match apart.last_mut() {
            Some(last) if span.start < last.end => last.end = last.end.max(span.end),
            Some(_) | None => apart.push(span),
        }
    }
    apart
}

/// The words of a text: what is between white space and quotation marks.
fn words(text: &str) -> Vec<Range<usize>> {
    pieces(text, |c| c.is_whitespace() || matches!(c, '"' | '\'' | '`'))
}

/// What is between some characters.
fn pieces(text: &str, between: impl Fn(char) -> bool) -> Vec<Range<usize>> {
    let start = text.as_ptr() as usize;
    let pieces = text.split(between).filter(|piece| !piece.is_empty());
    let range = |piece: &str| {
        let at = piece.as_ptr() as usize - start;
        at..at + piece.len()
    };
    pieces.map(range).collect()
}

/// Private keys, from the line before to the line behind; to the end of the text
/// where it ends before that.
fn private_keys(text: &str) -> Vec<Range<usize>> {
    let [begin, end] = KEY_MARKS;
    let mut found: Vec<Range<usize>> = Vec::new();
    for (at, _) in text.match_indices(begin) {
        if found.last().is_some_and(|last| at < last.end) {
            continue;
        }
        let Some(head) = text[at..].find(KEY_END).map(|length| at + length + KEY_END.len()) else {
            break;
        };
        // The mark of a public key may stand before that of a private one.
        if text[at + begin.len()..head].contains("-----B") || text[at..head].contains(end) {
            continue;
        }
        let tail = text[head..].find(end).map(|length| head + length + end.len());
        let tail = tail.and_then(|tail| Some(tail + text[tail..].find("-----")? + 5));
        found.push(at..tail.unwrap_or(text.len()));
    }
    found
}

/// Tokens whose makers gave them a form.
fn tokens(word: &str) -> Vec<Range<usize>> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    let is_token = |span: &Range<usize>| {
        let piece = &word[span.clone()];
        let has_digit = piece.bytes().any(|byte| byte.is_ascii_digit());
        let is_known =
            TOKENS.iter().any(|(start, length)| piece.starts_with(start) && piece.len() >= *length);
        let is_jwt =
            piece.starts_with("eyJ") && piece.len() >= 40 && piece.matches('.').count() >= 2;
        has_digit && (is_known || is_jwt)
    };
    pieces(word, |c| !is_part(c)).into_iter().filter(is_token).collect()
}

/// The password of a URL, or a name in its place that is a token, and parameters
/// that let their holder in.
fn of_url(word: &str) -> Vec<Range<usize>> {
    let Some((scheme, rest)) = word.split_once("://") else {
        return Vec::new();
    };
    let start = scheme.len() + "://".len();
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let mut found = Vec::new();
    if let Some((user, _)) = rest[..end].rsplit_once('@') {
        let secret = match user.split_once(':') {
            // Some give a token as the name, and nothing as the password.
            Some((name, "")) => is_token_for_name(scheme, name).then_some(0..name.len()),
            Some((name, password)) => is_said(password).then(|| name.len() + 1..user.len()),
            None => is_token_for_name(scheme, user).then_some(0..user.len()),
        };
        found.extend(secret.map(|span| start + span.start..start + span.end));
    }
    let Some(query) = rest.find('?').map(|at| at + 1) else {
        return found;
    };
    let end = rest[query..].find('#').map_or(rest.len(), |length| query + length);
    let mut at = start + query;
    for pair in rest[query..end].split('&') {
        if let Some((name, value)) = pair.split_once('=')
            && (tells(name, value) || is_signature(name, value))
            && is_said(value)
        {
            found.push(at + name.len() + 1..at + pair.len());
        }
        at += pair.len() + 1;
    }
    found
}

/// Whether a text says something itself, and holds no place for it.
fn is_said(text: &str) -> bool {
    let is_placeholder = text.starts_with('<') || text.bytes().all(|byte| byte == b'*');
    is_literal(text) && !is_placeholder
}

/// Whether what a URL has before its `@` is a token, and no name of a person or of
/// an account.
fn is_token_for_name(scheme: &str, name: &str) -> bool {
    /// A name of an account is not longer than this.
    const LONGEST_NAME: usize = 16;
    let is_word = |word: &str| word.len() <= 8 && word.bytes().all(|b| b.is_ascii_lowercase());
    let is_name = name.len() <= LONGEST_NAME && name.split(['.', '-', '_']).all(is_word);
    // Elsewhere names have all forms, and tokens are not usual.
    let is_web = scheme.ends_with("http") || scheme.ends_with("https");
    is_said(name) && !is_name && (is_web || name.len() > LONGEST_NAME)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks what of a text is found; each secret stands between brackets.
    fn check(marked: &str) {
        let text = marked.replace(['[', ']'], "");
        let mut shown = text.clone();
        for span in spans(&text).into_iter().rev() {
            shown.insert(span.end, ']');
            shown.insert(span.start, '[');
        }
        assert_eq!(shown, marked);
    }

    #[test]
    fn secrets_are_found_where_they_stand() {
        for text in [
            "",
            "Nothing of that kind.",
            "use [ghp_0123456789abcdefghij] and `[AKIA0123456789ABCDEF]`, please",
            "é --key=[sk-proj-0123456789abcdefghij]",
            "postgres://u:[pw]@h/db and https://user:[pa:ss]@proxy.example/?a=b",
            "{\"url\":\"https://[0a1b2c3d4e]@host.example/x?sig=[abc]&a=b#sig=x\"}",
            "https://host.example/?k=[x1y2z3w4]&pat=[abc]&k=word&session=main&session=[Ab3]",
            "https://[0a1b2c3d4e]:@host.example https://[T0KEN]@host.example:1/",
            "https://[github_pat_0123456789abcdef]@github.com/x",
            "https://user@host.example ssh://git@host.example:22/x ssh://Jane2@host.example",
            "https://user:$PASSWORD@host.example/ https://user:<password>@host.example/",
            "https://host.example/x@y?to=me@host.example user@host.example",
            "-----BEGIN PUBLIC KEY-----\nA\n-----END PUBLIC KEY-----",
            "-----BEGIN PUBLIC KEY-----\nA\n-----END PUBLIC KEY-----\n\
             [-----BEGIN EC PRIVATE KEY-----\nB\n-----END EC PRIVATE KEY-----]\nand\n\
             [-----BEGIN PRIVATE KEY-----\nC]",
        ] {
            check(text);
        }
    }
}
