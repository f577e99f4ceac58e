//! Secrets in what a program is told: `--token X`, `--token=X`, `TOKEN=X`, a header,
//! a name with its password, JSON.

use serde_json::Value as Json;

use super::{
    is_secret_header,
    shapes::{is_literal, is_one_word, is_plain},
    tells, words,
};

/// How deep a command may be in another.
const NESTED: usize = 2;

/// Whether the words of a command have a secret.
pub(super) fn is_secret_command(words: &[&str]) -> bool {
    has_secret(words, NESTED)
}

fn has_secret(words: &[&str], nested: usize) -> bool {
    let before = std::iter::once("").chain(words.iter().copied());
    before.zip(words.iter().copied()).any(|(before, word)| {
        let (flag, value) = flag_of(before, word);
        is_pair(word)
            || is_connection(word)
            || flag.is_some_and(|flag| is_secret_of(flag, value))
            || has_secret_json(value)
            || (nested > 0 && is_script(before) && {
                let words = split(word);
                has_secret(&words.iter().map(String::as_str).collect::<Vec<_>>(), nested - 1)
            })
    })
}

/// The flag that a word is the value of, or that it has in it, and the value.
fn flag_of<'a>(before: &'a str, word: &'a str) -> (Option<&'a str>, &'a str) {
    if let Some((flag, value)) = word.split_once('=').filter(|_| word.starts_with('-'))
        && is_one_word(flag)
    {
        return (Some(flag), value);
    }
    // As `-H` has it, with a space or without.
    if let Some(value) = word.strip_prefix("-H").filter(|value| !value.is_empty()) {
        return (Some("-H"), value.trim_start());
    }
    let is_flag = before.starts_with('-') && !before.contains('=') && !word.starts_with('-');
    (is_flag.then_some(before), word)
}

/// Whether what a flag is given is a secret.
fn is_secret_of(flag: &str, value: &str) -> bool {
    let names = words(flag);
    let last = names.last().map(String::as_str).unwrap_or_default();
    if flag == "-H" || matches!(last, "header" | "headers") {
        if value.trim_start().starts_with('{') {
            return json(value).is_some_and(|json| is_secret_json("", &json, &is_secret_header));
        }
        let end = value.find([':', '=']).unwrap_or(value.len());
        let (name, value) = value.split_at(end);
        let value = value.get(1..).unwrap_or_default().trim();
        return is_one_word(name.trim())
            && is_secret_header(name.trim(), value)
            && is_literal(value);
    }
    let is_login = flag == "-u" || matches!(last, "auth" | "login" | "user" | "userpwd");
    if let (true, Some((_, password))) = (is_login, value.split_once(':')) {
        // Those of users and groups are plain.
        return is_one_word(value) && is_literal(password) && !is_plain(password);
    }
    (tells(flag, value) && is_literal(value)) || is_pair(value)
}

/// Whether a word is a name and a value that is a secret by it. JSON has more than one
/// of each.
fn is_pair(word: &str) -> bool {
    if json(word).is_some() {
        return false;
    }
    let end = word.find(['=', ':']).unwrap_or(word.len());
    let (name, value) = word.split_at(end);
    let value = value.get(1..).unwrap_or_default().trim();
    // A name has no spaces and is no call, and what follows the colon of a URL is no
    // value.
    is_one_word(name)
        && !name.contains('(')
        && tells(name, value)
        && is_literal(value)
        && !value.starts_with("//")
}

/// Whether a word is `NAME=VALUE` more than once, with spaces between, as databases
/// are connected to, and has a secret in it.
fn is_connection(word: &str) -> bool {
    let pairs = || word.split_whitespace();
    pairs().count() > 1 && pairs().all(|pair| pair.contains('=')) && pairs().any(is_pair)
}

/// Whether a text is JSON with a secret that its name tells.
pub(super) fn has_secret_json(text: &str) -> bool {
    json(text).is_some_and(|json| is_secret_json("", &json, &tells))
}

/// A text as JSON, where it is some that may have names in it.
fn json(text: &str) -> Option<Json> {
    let text = text.trim();
    text.starts_with(['{', '[', '"']).then(|| serde_json::from_str(text).ok())?
}

fn is_secret_json(name: &str, json: &Json, tells: &impl Fn(&str, &str) -> bool) -> bool {
    match json {
        Json::String(text) => (tells(name, text) && is_literal(text)) || has_secret_json(text),
        Json::Array(values) => values.iter().any(|value| is_secret_json(name, value, tells)),
        Json::Object(members) => {
            members.iter().any(|(name, value)| is_secret_json(name, value, tells))
        }
        Json::Null | Json::Bool(_) | Json::Number(_) => false,
    }
}

/// Whether a flag has a shell run what follows it, as `-c` and `-lc` do.
fn is_script(flag: &str) -> bool {
    let letters = flag.strip_prefix('-').and_then(|letters| letters.strip_suffix('c'));
    letters.is_some_and(|letters| {
        letters.len() <= 3 && letters.bytes().all(|byte| byte.is_ascii_lowercase())
    })
}

/// The words of a shell's command, as far as quotes tell them.
fn split(script: &str) -> Vec<String> {
    let mut words = Vec::new();
    let (mut word, mut quote) = (String::new(), None);
    for character in script.chars() {
        match quote {
            Some(end) if character == end => quote = None,
            Some(_) => word.push(character),
            None if matches!(character, '"' | '\'') => quote = Some(character),
            None if character.is_whitespace() || matches!(character, ';' | '&' | '|') => {
                words.push(std::mem::take(&mut word));
            }
            None => word.push(character),
        }
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
    words
}
