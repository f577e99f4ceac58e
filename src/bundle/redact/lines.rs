//! What spans lines of a text that is read line by line: private keys, and sections
//! of TOML.

use super::tables::{self, Place};

/// In what a line stands.
#[derive(Debug, Default)]
pub(super) struct Lines {
    in_key: bool,
    section: Place,
}

/// What of a line is secret.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Secret {
    /// Nothing that the lines before tell.
    Nothing,
    /// All of it.
    Line,
    /// What is behind its sign of equality.
    Value,
}

impl Lines {
    /// What of the next line is secret, by those before.
    pub(super) fn next(&mut self, line: &str) -> Secret {
        let text = line.trim();
        if self.in_key {
            self.in_key = is_of_key(text) && !text.starts_with("-----END");
            if is_of_key(text) {
                return Secret::Line;
            }
        }
        let begin = text.rfind("-----BEGIN ");
        self.in_key = begin.is_some_and(|at| {
            text[at..].contains("PRIVATE KEY-----") && !text[at..].contains("-----END ")
        });
        if let Some(section) = tables::section(text) {
            self.section = section;
            return Secret::Nothing;
        }
        let is_value = self.section.is_secret
            && text
                .split_once('=')
                .is_some_and(|(name, _)| self.section.inside(name.trim()).is_secret);
        if is_value { Secret::Value } else { Secret::Nothing }
    }
}

/// Whether a line may be one of a private key, behind its first.
fn is_of_key(line: &str) -> bool {
    let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
    line.starts_with("-----END ")
        || line.starts_with("Proc-Type:")
        || line.starts_with("DEK-Info:")
        || line.bytes().all(is_base64)
}
