//! What a config lock may not hold: values that let their holder in somewhere.
//!
//! Names tell most of them (`experimental_bearer_token`), the tables that they
//! are in some (the `env` of an MCP server, headers), and their form the rest (a
//! URL with a password). A value `env:NAME` stands for the variable NAME and is no secret,
//! and neither is the value of a key that holds a variable's name.

use toml::{Table, Value};

use crate::toml_text::dotted;

mod commands;
mod prose;
mod shapes;
mod spans;
#[cfg(test)]
mod tests;
mod tokens;
mod urls;

pub use spans::spans;

/// The keys of the values that may not be in a lock: dotted, relative to the
/// table, in the order of the table. An array that has one in it is named whole.
#[must_use]
pub fn find(config: &Table) -> Vec<String> {
    let mut found = Vec::new();
    visit(config, &mut Vec::new(), &mut |path| found.push(key_of(path)));
    found
}

/// The variable that a value `env:NAME` stands for.
#[must_use]
pub fn variable(value: &str) -> Option<&str> {
    value.strip_prefix("env:").filter(|name| is_variable(name))
}

/// The same table, with something else in place of each value that [`find`] names,
/// by its key.
pub(super) fn hide<'t>(config: &Table, with: impl Fn(&str) -> &'t str) -> Table {
    let mut hidden = config.clone();
    visit(config, &mut Vec::new(), &mut |path| {
        let mut parts = path.iter();
        let first = parts.next().and_then(|part| hidden.get_mut(*part));
        let place = parts.fold(first, |place, part| place?.as_table_mut()?.get_mut(*part));
        if let Some(place) = place {
            *place = with(&key_of(path)).into();
        }
    });
    hidden
}

fn key_of(path: &[&str]) -> String {
    path.iter().fold(String::new(), |key, part| dotted(&key, part))
}

/// Goes through all values of a table, and reports the path of each secret.
fn visit<'a>(table: &'a Table, path: &mut Vec<&'a str>, report: &mut impl FnMut(&[&str])) {
    for (key, value) in table {
        path.push(key);
        match value {
            Value::Table(table) => visit(table, path, report),
            Value::Array(_) | Value::String(_) if is_secret(path, value) => report(path),
            Value::Array(_)
            | Value::String(_)
            | Value::Integer(_)
            | Value::Float(_)
            | Value::Boolean(_)
            | Value::Datetime(_) => {}
        }
        path.pop();
    }
}

/// Whether a value at a path is a secret, or an array that has one in it.
fn is_secret<'a>(path: &mut Vec<&'a str>, value: &'a Value) -> bool {
    match value {
        Value::String(text) => {
            let is_file = shapes::is_path(text) && path.last().is_some_and(|name| names_key(name));
            let told_by_name =
                is_place_of_secrets(path, text) && shapes::is_literal(text) && !is_file;
            told_by_name || shapes::is_secret(text)
        }
        Value::Array(values) => {
            let texts: Vec<_> = values.iter().filter_map(Value::as_str).collect();
            commands::is_secret_command(&texts) || values.iter().any(|value| is_secret(path, value))
        }
        Value::Table(table) => table.iter().any(|(key, value)| {
            path.push(key);
            let found = is_secret(path, value);
            path.pop();
            found
        }),
        Value::Integer(_) | Value::Float(_) | Value::Boolean(_) | Value::Datetime(_) => false,
    }
}

/// Whether a text at this path is a secret, by the path more than by itself.
fn is_place_of_secrets(path: &[&str], text: &str) -> bool {
    let Some((name, tables)) = path.split_last() else {
        return false;
    };
    // Its values are the names of variables.
    if tables.contains(&"env_http_headers") {
        return false;
    }
    // What a program is told in its environment, and a server by a header, may be
    // anything.
    let may_be = || !names_open(name) && !shapes::is_plain(text);
    match tables.last() {
        Some(&"env") if tables.contains(&"mcp_servers") => tells(name, text) || may_be(),
        Some(&"set") if tables.contains(&"shell_environment_policy") => {
            tells(name, text) || may_be()
        }
        Some(&("http_headers" | "headers")) => is_secret_header(name, text),
        Some(&"query_params") => tells(name, text) || shapes::is_signature(name, text),
        Some(_) | None => tells(name, text),
    }
}

/// Whether a header has a secret, which may be anything that is not plain.
fn is_secret_header(name: &str, text: &str) -> bool {
    let is_auth = words(name).iter().any(|word| word == "auth");
    let may_be = !names_open(name) && !shapes::is_plain(text);
    is_auth || names_secret(name) || names_session(name) || may_be
}

/// Whether a text with this name is a secret, by the name, and where that may mean
/// something else, by the text too.
fn tells(name: &str, text: &str) -> bool {
    (names_secret(name) && !is_amount(name, text))
        || (names_session(name) && !shapes::is_choice(text))
}

/// Whether a text is a number of tokens, as models count them.
fn is_amount(name: &str, text: &str) -> bool {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number && words(name).last().is_some_and(|last| last == "tokens")
}

/// Whether the name is that of a secret or of something that is chosen, such as the
/// version that a package is pinned to.
fn names_session(name: &str) -> bool {
    words(name)
        .last()
        .is_some_and(|last| matches!(last.as_str(), "otp" | "pin" | "session" | "sid"))
}

/// Whether this is the name of something that everybody may know, whatever it is.
fn names_open(name: &str) -> bool {
    words(name).last().is_some_and(|last| OPEN.contains(&last.as_str()))
}

/// Words that tell of a secret wherever they are in a name.
const WORDS: [&str; 9] = [
    "authorization",
    "bearer",
    "cookie",
    "credential",
    "credentials",
    "pass",
    "passphrase",
    "pat",
    "jwt",
];

/// Last words of names of what everybody may know.
const OPEN: [&str; 17] = [
    "accept", "agent", "charset", "encoding", "host", "hostname", "lang", "language", "locale",
    "origin", "referer", "region", "timezone", "title", "type", "tz", "version",
];

/// Words that tell of one as part of a longer word, too, such as `PGPASSWORD`.
const PARTS: [&str; 5] = ["password", "passwd", "secret", "apikey", "accesskey"];

/// Words that make a secret of the word `key` behind them.
const KEYS: [&str; 14] = [
    "access",
    "account",
    "api",
    "app",
    "auth",
    "encryption",
    "license",
    "master",
    "private",
    "secret",
    "service",
    "shared",
    "signing",
    "subscription",
];

/// Last words of names of something about a secret, which is none itself.
const HARMLESS: [&str; 30] = [
    "budget",
    "count",
    "dir",
    "directory",
    "endpoint",
    "env",
    "file",
    "header",
    "id",
    "ids",
    "instructions",
    "kind",
    "limit",
    "limits",
    "method",
    "mode",
    "name",
    "names",
    "path",
    "policy",
    "sock",
    "storage",
    "store",
    "ttl",
    "type",
    "uri",
    "url",
    "var",
    "variable",
    "vars",
];

/// Whether the value of something with this name is a secret.
fn names_secret(name: &str) -> bool {
    let words = words(name);
    let Some(last) = words.last() else {
        return false;
    };
    if HARMLESS.contains(&last.as_str()) {
        return false;
    }
    let is_key = |word: &str| matches!(word, "key" | "keys");
    let is_token = |word: &str| word.ends_with("token") || word.ends_with("tokens");
    words.iter().any(|word| {
        WORDS.contains(&word.as_str())
            || is_token(word)
            || PARTS.iter().any(|part| word.contains(part))
    }) || words.windows(2).any(|pair| is_key(&pair[1]) && KEYS.contains(&pair[0].as_str()))
        // A variable PWD is a directory.
        || (words.len() > 1 && last == "pwd")
}

/// Whether this is the name of a private key, for which programs take a file, too.
fn names_key(name: &str) -> bool {
    words(name).ends_with(&["private".to_owned(), "key".to_owned()])
}

/// The words of a name in lower case: `apiKey`, `API_KEY` and `api-key` are two.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut after_lower = false;
    for character in name.chars() {
        if !character.is_alphanumeric() || (after_lower && character.is_uppercase()) {
            words.push(String::new());
        }
        if character.is_alphanumeric()
            && let Some(word) = words.last_mut()
        {
            word.extend(character.to_lowercase());
        }
        after_lower = character.is_lowercase();
    }
    words.retain(|word| !word.is_empty());
    words
}

/// Whether this may be the name of a variable of the environment.
fn is_variable(name: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    !name.is_empty() && name.bytes().all(is_part) && !name.as_bytes()[0].is_ascii_digit()
}
