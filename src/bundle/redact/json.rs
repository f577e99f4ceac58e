//! JSON without what is secret in its strings: by the rules for texts, and by where
//! they stand.

use std::{borrow::Cow, collections::BTreeMap};

use super::{REDACTED, Redactor, is_json, tables::Place};

impl Redactor<'_> {
    /// Walks over the tokens of valid JSON, which is the value in a place. What is JSON
    /// in a string of it is one level down; each has twice the backslashes of the one
    /// before, so that there are few.
    pub(super) fn json<'t>(&mut self, text: &'t [u8], place: Place) -> Cow<'t, [u8]> {
        let mut new: Option<Vec<u8>> = None;
        let (mut at, mut copied) = (0, 0);
        // Whether the next string is the value of a secret name; after a name in an
        // array, as in a list of variables, too.
        let mut is_secret = false;
        // Where the next value stands, and the objects and arrays around it.
        let mut place = place;
        let mut around: Vec<Around> = Vec::new();
        // The objects that say of a key what its value is.
        let changes = changes(text);
        while at < text.len() {
            let byte = text[at];
            if byte != b'"' {
                match byte {
                    b'{' | b'[' => {
                        let outer = around.last().and_then(|outer| outer.key);
                        // What a secret name is the name of may be several.
                        is_secret &= byte == b'[';
                        let key = changes.get(&at).copied().or(outer);
                        around.push(Around { place, key, is_secret });
                    }
                    b'}' | b']' => {
                        place = around.pop().unwrap_or_default().place;
                        is_secret = false;
                    }
                    b',' => {
                        let around = around.last().copied().unwrap_or_default();
                        place = around.place;
                        is_secret |= around.is_secret;
                    }
                    b':' => {}
                    _ => is_secret &= byte.is_ascii_whitespace(),
                }
                at += 1;
                continue;
            }
            let end = string_end(text, at);
            let next = text[end..].iter().find(|byte| !byte.is_ascii_whitespace());
            let token = &text[at..end];
            let content = serde_json::from_slice::<String>(token).ok();
            let is_name = next == Some(&b':');
            let key = around.last().and_then(|around| around.key);
            let set = key.filter(|(key, _)| *key != at).map(|(_, set)| set).unwrap_or_default();
            let stands = place.or(set);
            let is_of_table = place.is_secret || set.is_secret;
            let replaced = match &content {
                // What was left out before is no secret, and nothing is none.
                Some(content) if !is_name && (content.is_empty() || content == REDACTED) => None,
                Some(_) if is_secret && !is_name => {
                    self.count_one("value-of-a-name");
                    Some(quoted(REDACTED.as_bytes()))
                }
                Some(_) if !is_name && is_of_table => {
                    self.count_one("value-of-a-table");
                    Some(quoted(REDACTED.as_bytes()))
                }
                Some(content) => {
                    let content = content.as_bytes();
                    let clean = if is_json(content) {
                        self.nested(content, stands)
                    } else {
                        self.plain(content, stands)
                    };
                    match clean {
                        Cow::Owned(clean) => Some(quoted(&clean)),
                        Cow::Borrowed(_) => None,
                    }
                }
                // Half a surrogate pair: as it is written.
                None => match self.plain(&token[1..token.len() - 1], stands) {
                    Cow::Owned(_) => Some(quoted(REDACTED.as_bytes())),
                    Cow::Borrowed(_) => None,
                },
            };
            if is_name {
                let outer = around.last().copied().unwrap_or_default().place;
                place = outer.inside(content.as_deref().unwrap_or_default());
            }
            is_secret = content.is_some_and(|content| match next {
                Some(b':') => self.rules.is_secret_name(&content),
                Some(b',') => !is_secret && self.rules.environment.contains(&content),
                Some(_) | None => false,
            });
            if let Some(replaced) = replaced {
                let new = new.get_or_insert_with(|| Vec::with_capacity(text.len()));
                new.extend_from_slice(&text[copied..at]);
                new.extend(replaced);
                copied = end;
            }
            at = end;
        }
        match new {
            Some(mut new) => {
                new.extend_from_slice(&text[copied..]);
                Cow::Owned(new)
            }
            None => Cow::Borrowed(text),
        }
    }
}

/// An object or an array.
#[derive(Debug, Clone, Copy, Default)]
struct Around {
    place: Place,
    /// Where the key stands that it says the value of, and what it is the place of.
    key: Option<(usize, Place)>,
    /// Whether it is an array of secrets.
    is_secret: bool,
}

/// The objects in valid JSON that have what a `key` of a configuration is set to
/// beside it: where each begins, where the key stands, and what it is the place of.
fn changes(text: &[u8]) -> BTreeMap<usize, (usize, Place)> {
    let mut found = BTreeMap::new();
    if memchr::memmem::find(text, br#""key""#).is_none() {
        return found;
    }
    // Where each object begins, and where the key in it is.
    let mut around: Vec<(usize, Option<(usize, Place)>)> = Vec::new();
    let (mut at, mut is_key) = (0, false);
    while at < text.len() {
        match text[at] {
            b'{' | b'[' => around.push((at, None)),
            b'}' | b']' => {
                if let Some((begin, Some(key))) = around.pop() {
                    found.insert(begin, key);
                }
            }
            b'"' => {
                let end = string_end(text, at);
                let token = &text[at..end];
                if is_key && let Some((_, key)) = around.last_mut() {
                    let path = serde_json::from_slice::<String>(token).unwrap_or_default();
                    let place = Place::default().inside(&path);
                    *key = (place != Place::default()).then_some((at, place));
                }
                is_key = token == br#""key""#;
                at = end;
                continue;
            }
            byte => is_key &= byte == b':' || byte.is_ascii_whitespace(),
        }
        at += 1;
    }
    found
}

/// The byte after the string that begins at `start`.
fn string_end(text: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    text.len()
}

fn quoted(text: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(text);
    serde_json::to_vec(&text).unwrap_or_else(|_| format!("\"{REDACTED}\"").into_bytes())
}
