//! What lets the holder of a URL in: a password, a token in the place of a name,
//! parameters, and paths that nobody but their holder knows.

use std::ops::Range;

use super::{
    shapes::{is_literal, is_plain, is_signature},
    tells,
};

/// Addresses whose paths are secret from some segment on: how the host ends, what
/// the path has before that, segment by segment, where `*` is any.
const WEBHOOKS: [(&str, &[&str]); 11] = [
    ("hooks.slack.com", &["services"]),
    ("hooks.slack.com", &["workflows"]),
    ("hooks.slack.com", &["triggers"]),
    ("discord.com", &["api", "webhooks", "*"]),
    ("discord.com", &["api", "*", "webhooks", "*"]),
    ("discordapp.com", &["api", "webhooks", "*"]),
    ("webhook.office.com", &["webhookb2"]),
    ("hooks.zapier.com", &["hooks", "catch"]),
    ("mcp.zapier.com", &["api", "mcp", "s"]),
    ("maker.ifttt.com", &["trigger", "*", "with", "key"]),
    ("maker.ifttt.com", &["trigger", "*", "json", "with", "key"]),
];

/// Segments of a path before one that is a secret.
const NAMES: [&str; 6] = ["token", "tokens", "key", "apikey", "api-key", "api_key"];

/// What of a word is secret where it is or has a URL.
pub(super) fn of_url(word: &str) -> Vec<Range<usize>> {
    let Some((scheme, rest)) = word.split_once("://") else {
        return Vec::new();
    };
    let start = scheme.len() + "://".len();
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let mut found: Vec<Range<usize>> = user(scheme, &rest[..end]).into_iter().collect();
    let query = rest.find(['?', '#']).unwrap_or(rest.len());
    found.extend(path(&rest[..end], &rest[end..query.max(end)]).into_iter().map(|span| {
        let at = end + span.start;
        at..at + span.len()
    }));
    if let Some(query) = rest.find('?').map(|at| at + 1) {
        let end = rest[query..].find('#').map_or(rest.len(), |length| query + length);
        let is_secret = |name: &str, value: &str| tells(name, value) || is_signature(name, value);
        found.extend(parameters(rest, query..end, is_secret));
    }
    if let Some(fragment) = rest.find('#').map(|at| at + 1) {
        found.extend(parameters(rest, fragment..rest.len(), tells));
    }
    found.into_iter().map(|span| start + span.start..start + span.end).collect()
}

/// The password before the `@`, or a name in its place that is a token.
fn user(scheme: &str, authority: &str) -> Option<Range<usize>> {
    let (user, _) = authority.rsplit_once('@')?;
    match user.split_once(':') {
        // Some give a token as the name, and nothing as the password.
        Some((name, "")) => is_token_for_name(scheme, name).then_some(0..name.len()),
        Some((name, password)) => is_said(password).then(|| name.len() + 1..user.len()),
        None => is_token_for_name(scheme, user).then_some(0..user.len()),
    }
}

/// The part of a path that is a secret.
fn path(authority: &str, path: &str) -> Option<Range<usize>> {
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let host = host.split(':').next().unwrap_or_default().to_ascii_lowercase();
    let mut segments = Vec::new();
    let mut at = 0;
    for segment in path.split('/') {
        segments.push((at, segment));
        at += segment.len() + 1;
    }
    // What is before the first slash is nothing.
    let segments = segments.get(1..).unwrap_or_default();
    let of_webhook = WEBHOOKS.iter().find_map(|(end, before)| {
        let is_host =
            host.strip_suffix(end).is_some_and(|sub| sub.is_empty() || sub.ends_with('.'));
        let leads = segments.len() > before.len()
            && before.iter().zip(segments).all(|(one, (_, other))| *one == "*" || one == other);
        let (at, first) = *segments.get(before.len())?;
        (is_host && leads && is_said(first)).then_some(at..path.len())
    });
    of_webhook.or_else(|| {
        segments.windows(2).find_map(|pair| {
            let ((_, name), (at, value)) = (pair[0], pair[1]);
            let is_secret = NAMES.contains(&name) && is_opaque(value);
            is_secret.then(|| at..at + value.len())
        })
    })
}

/// The values of parameters that are secrets.
fn parameters(
    rest: &str,
    of: Range<usize>,
    is_secret: impl Fn(&str, &str) -> bool,
) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut at = of.start;
    for pair in rest[of].split('&') {
        if let Some((name, value)) = pair.split_once('=')
            && is_secret(name, value)
            && is_said(value)
        {
            found.push(at + name.len() + 1..at + pair.len());
        }
        at += pair.len() + 1;
    }
    found
}

/// Whether a text says something itself, and holds no place for it.
pub(super) fn is_said(text: &str) -> bool {
    let is_template = text.starts_with('{') && text.ends_with('}');
    let is_placeholder =
        is_template || text.starts_with('<') || text.bytes().all(|byte| byte == b'*');
    is_literal(text) && !is_placeholder
}

/// Whether a text is so much without sense that it may be a key: long, of letters and
/// digits that are mixed.
pub(super) fn is_opaque(text: &str) -> bool {
    const SHORTEST: usize = 16;
    is_mixed(text, SHORTEST)
}

/// Whether a text is so long at least, of letters and digits, and no words or numbers
/// as people have them.
pub(super) fn is_mixed(text: &str, shortest: usize) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~+/=".contains(&byte);
    let has = |is: fn(&u8) -> bool| text.bytes().any(|byte| is(&byte));
    text.len() >= shortest
        && text.bytes().all(is_part)
        && has(u8::is_ascii_digit)
        && has(u8::is_ascii_alphabetic)
        && !is_plain(text)
        && is_said(text)
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
