//! The tables of a configuration whose values are secret, whatever the names in them
//! are: headers of requests and variables of commands.
//!
//! They stand in JSON as objects or under dotted names, in the arguments of an agent
//! as `-c a.b.http_headers.X="…"`, and in TOML as sections.

use regex::bytes::Regex;

use super::rules::compile;
use crate::{
    bundle::Error,
    supervise::{SESSION_VARIABLE, TURN_VARIABLE},
};

/// The ways to write the tables in a text, and what must be in it as well.
const TABLES: [(&str, &str); 4] = [
    (r"\bhttp_headers", ""),
    (r"\bshell_environment_policy\.set", ""),
    (r#"\bmcp_servers\.(?:"[^"]*"|'[^']*'|[A-Za-z0-9_-]+)\.env"#, ""),
    (r#"\botel\.[A-Za-z0-9_."'-]*\bheaders"#, ""),
];

/// The same, where they are in tables that are written within others.
const INNER: [(&str, &str); 3] =
    [(r"\bset", "shell_environment_policy"), (r"\benv", "mcp_servers"), (r"\bheaders", "otel")];

/// A pattern, and a word without which it does not apply.
pub(super) type Conditional = (Regex, &'static str);

/// The patterns of their values in a text. What the first group matches stays.
pub(super) fn patterns() -> Result<Vec<Conditional>, Error> {
    let mut patterns = Vec::new();
    let values =
        [r#"\s*=\s*\\*")(?:[^"\\]|\\.)+"#, r"\s*=\s*')[^']+", r#"\s*=\s*)[^\s"'\\{\[][^\r\n]*"#];
    for (table, word) in TABLES {
        for value in values {
            let name = r#"(?:\\*"[^"\\]*\\*"|'[^']*'|[A-Za-z0-9_-]+)"#;
            patterns.push((compile(&format!(r"({table}\.{name}{value}"))?, word));
        }
    }
    for (table, word) in TABLES.into_iter().chain(INNER) {
        let inline = r#"\\*["']?\s*[=:]\s*\{)(?:[^}"']|"(?:[^"\\]|\\.)*"|'[^']*')+"#;
        patterns.push((compile(&format!("({table}{inline}"))?, word));
    }
    Ok(patterns)
}

/// Whether a text that is found by such a pattern is what the server itself adds.
pub(super) fn is_own(found: &[u8]) -> bool {
    let text = String::from_utf8_lossy(found);
    [SESSION_VARIABLE, TURN_VARIABLE].iter().any(|name| text.contains(&format!(".{name}")))
}

/// Where in a tree of names something stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Place {
    /// Whether it is in such a table.
    pub(super) is_secret: bool,
    in_policy: bool,
    in_mcp_servers: bool,
    in_otel: bool,
    in_options: bool,
}

impl Place {
    /// The place of a name in this one; it may be dotted.
    pub(super) fn inside(self, name: &str) -> Self {
        let mut parts = name.split('.').map(|part| part.trim_matches(['"', '\'']));
        let place = parts.clone().fold(self, Self::below);
        let is_own =
            parts.next_back().is_some_and(|it| it == SESSION_VARIABLE || it == TURN_VARIABLE);
        Self { is_secret: place.is_secret && !is_own, ..place }
    }

    /// The other place, where this one is none that matters.
    pub(super) fn or(self, other: Self) -> Self {
        if self == Self::default() { other } else { self }
    }

    /// Whether what stands here is in a table of this name; in none always.
    pub(super) fn is_in(self, word: &str) -> bool {
        match word {
            "" => true,
            "shell_environment_policy" => self.in_policy,
            "mcp_servers" => self.in_mcp_servers,
            "otel" => self.in_otel,
            _ => false,
        }
    }

    fn below(self, name: &str) -> Self {
        let Self { is_secret, in_policy, in_mcp_servers, in_otel, in_options } = self;
        let is_table = name == "http_headers"
            || (in_policy && name == "set")
            || (in_mcp_servers && name == "env")
            || (in_otel && name == "headers")
            // What a session has, before an agent was started with it.
            || (in_options && name == "environment");
        Self {
            is_secret: is_secret || is_table,
            in_policy: name == "shell_environment_policy",
            in_mcp_servers: in_mcp_servers || name == "mcp_servers",
            in_otel: in_otel || name == "otel",
            in_options: name == "codexOptions",
        }
    }
}

/// The place of a section of TOML, where a line begins one.
pub(super) fn section(line: &str) -> Option<Place> {
    let name = line.trim().strip_prefix('[')?.strip_suffix(']')?;
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '"' | '\'');
    (!name.is_empty() && name.chars().all(is_name)).then(|| Place::default().inside(name))
}
