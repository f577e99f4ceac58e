//! Where in a text that anybody may have written the secrets are whose form tells
//! them: tokens whose makers gave them one, private keys, what a URL lets somebody in
//! by, and what stands behind `Bearer`.

use std::ops::Range;

use super::{
    tells,
    tokens::tokens,
    urls::{is_opaque, is_said, of_url},
};

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
    let words = words(text);
    found.extend(credentials(text, &words));
    for word in words {
        let at = word.start;
        let word = &text[word];
        let inner = tokens(word).into_iter().chain(of_url(word)).chain(of_connection(word));
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
pub(super) fn pieces(text: &str, between: impl Fn(char) -> bool) -> Vec<Range<usize>> {
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
        // The label ends with the next hyphens: whatever it is of, not further.
        let label = at + begin.len();
        let Some(rest) = text[label..].find("-----") else { break };
        let head = label + rest + "-----".len();
        if !text[..head].ends_with(KEY_END) {
            continue;
        }
        let tail = text[head..].find(end).map(|length| head + length + end.len());
        let tail = tail.and_then(|tail| Some(tail + text[tail..].find("-----")? + 5));
        found.push(at..tail.unwrap_or(text.len()));
    }
    found
}

/// What follows the scheme of a credential inside of a text: the word behind
/// `Bearer`, and behind `Basic` where it is the name and the password that it stands
/// for.
fn credentials(text: &str, words: &[Range<usize>]) -> Vec<Range<usize>> {
    let follows = words.windows(2).filter_map(|pair| {
        let scheme = text[pair[0].clone()].rsplit([':', '=']).next().unwrap_or_default();
        // A sentence may go on behind it.
        let value = text[pair[1].clone()].trim_end_matches([',', ';', '.', ')', ']', '}']);
        let is_secret = match scheme.to_ascii_lowercase().as_str() {
            "bearer" => is_opaque(value),
            "basic" => is_basic(value),
            _ => false,
        };
        is_secret.then(|| pair[1].start..pair[1].start + value.len())
    });
    follows.collect()
}

/// Whether a word is a name, a colon and a password in base64.
fn is_basic(word: &str) -> bool {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let decoded = STANDARD.decode(word).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    decoded.is_some_and(|text| text.contains(':') && !text.contains(char::is_control))
}

/// Values of a text such as `AccountName=x;AccountKey=y` that are secrets by their
/// names.
fn of_connection(word: &str) -> Vec<Range<usize>> {
    if !word.contains(';') {
        return Vec::new();
    }
    let pairs = pieces(word, |c| c == ';').into_iter().filter_map(|span| {
        let (name, value) = word[span.clone()].split_once('=')?;
        let is_secret = tells(name, value) && is_said(value);
        is_secret.then(|| span.start + name.len() + 1..span.end)
    });
    pairs.collect()
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
            "https://hooks.slack.com/services/[T01/B02/abc] https://hooks.slack.com/docs",
            "https://discord.com/api/webhooks/123/[aB-c] https://discord.com/api/v10/webhooks/1/[x]",
            "https://discord.com/api/webhooks/123 https://discord.com/channels/1/2",
            "https://x.webhook.office.com/webhookb2/[a@b/IncomingWebhook/c/d]",
            "https://mcp.zapier.com/api/mcp/s/[abc=/mcp] https://notdiscord.com/api/webhooks/1/x",
            "https://hooks.slack.com/services/<id> https://hooks.slack.com/services/$HOOK",
            "https://user:{password}@host.example/ https://user:[{4z]@host.example/",
            "https://host.example/v1/token/[a1b2c3d4e5f6a7b8]/x https://host.example/token/refresh",
            "https://host.example/#access_token=[abc]&x=y",
            "https://api.telegram.org/bot123456789:[AAH0123456789abcdefghijklmnopqrstuv]/x",
            "curl -H 'Authorization: Bearer [a1b2c3d4e5f6a7b8]' and --header=X:Bearer [a1b2c3d4e5f6a7b8]",
            "Authorization: Basic [dXNlcjpwYXNz], Basic authentication, Bearer tokens-of-2026",
            "AccountName=x;AccountKey=[abc==];EndpointSuffix=core Server=x;Password=[y]",
            "charset=utf-8;token_limit=5 [glrt-0123456789abcdefghij] [xoxe-0123456789]",
            "[sk_test_0123456789abcdef] [whsec_0123456789abcdef] [gsk_0123456789abcdefghij]",
            "[pypi-AgEIcHlwaS5vcmcCJDAxMjM0NTY3ODkwMTIzNDU2Nzg5MDEyMzQ1Njc4OTA] pypi-server-2",
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
