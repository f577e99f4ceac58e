//! Codex's last words, for turns that ended without saying how.

use anstream::adapter::strip_str;

/// The most characters that are kept.
const MAX_CHARACTERS: usize = 4096;

/// The last error that codex reports on its standard error, with the lines that
/// belong to it and without backtrace and colour.
///
/// Codex writes `Error: WHAT`, `Error loading config.toml:` and the like, its
/// parser of arguments `error: WHAT`; log lines begin with a time. Without any
/// of these there is none.
#[must_use]
pub(crate) fn last_error(stderr_tail: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(stderr_tail);
    let text = strip_str(&text).to_string();
    let lines: Vec<&str> = text.lines().collect();
    let first = lines.iter().rposition(|line| begins_error(line))?;
    let (&head, rest) = lines[first..].split_first()?;
    let head = head.strip_prefix("Error: ").or(head.strip_prefix("error: ")).unwrap_or(head);
    let rest = rest.iter().copied().take_while(|line| !ends_error(line));
    let error: Vec<&str> = [head].into_iter().chain(rest).collect();
    let error: String = error.join("\n").trim().chars().take(MAX_CHARACTERS).collect();
    (!error.is_empty()).then_some(error)
}

fn begins_error(line: &str) -> bool {
    ["Error: ", "Error ", "error: "].iter().any(|prefix| line.starts_with(prefix))
}

/// Whether a line is no longer about the error: a backtrace, the parser's
/// advice, or a log line, which begins with a year.
fn ends_error(line: &str) -> bool {
    let is_log = line.len() > 10
        && line.as_bytes()[..4].iter().all(u8::is_ascii_digit)
        && line.as_bytes()[4] == b'-';
    is_log
        || ["Stack backtrace:", "stack backtrace:", "Usage:", "For more information"]
            .iter()
            .any(|prefix| line.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks what the last error is.
    fn check(stderr: &str, expected: Option<&str>) {
        assert_eq!(last_error(stderr.as_bytes()).as_deref(), expected);
    }

    #[test]
    fn the_last_error_is_found_between_logs_and_backtrace() {
        check(
            "Reading prompt from stdin...\n\
             2026-03-01T10:00:00.000000Z ERROR codex_core::exec: exec error\n\
             Error: an earlier one\n\
             Error: thread/resume: thread/resume failed: no rollout found (code -32600), data: {\"a\":1}\n\
             \n\
             Stack backtrace:\n   0: <unknown>\n   1: <unknown>\n",
            Some(
                "thread/resume: thread/resume failed: no rollout found (code -32600), data: {\"a\":1}",
            ),
        );
    }

    #[test]
    fn an_error_of_several_lines_is_whole() {
        check(
            "Error loading config.toml:\n/home/dev/.codex/config.toml:1:8: unclosed array\n  |\n1 | bad = [\n  |        ^\n",
            Some(
                "Error loading config.toml:\n/home/dev/.codex/config.toml:1:8: unclosed array\n  |\n1 | bad = [\n  |        ^",
            ),
        );
        check(
            "Error: failed to resolve CODEX_HOME\n\nCaused by:\n    no such path\n\nStack backtrace:\n   0: x\n",
            Some("failed to resolve CODEX_HOME\n\nCaused by:\n    no such path"),
        );
        check("Error: one\n2026-03-01T10:00:00.000000Z  WARN codex_core: late\n", Some("one"));
    }

    #[test]
    fn the_parser_of_arguments_is_heard_without_its_colours_and_advice() {
        check(
            "\x1b[1m\x1b[31merror:\x1b[0m unexpected argument '\x1b[33m--foo\x1b[0m' found\n\nUsage: codex exec [OPTIONS]\n\nFor more information, try '--help'.\n",
            Some("unexpected argument '--foo' found"),
        );
    }

    #[test]
    fn without_an_error_there_is_none() {
        check("", None);
        check("Reading additional input from stdin...\n", None);
        check("Errors were made\nan Error: in a line\n", None);
        check("Error: \n", None);
    }

    #[test]
    fn a_long_error_is_cut_between_characters() {
        let long = format!("\u{fffd}é\nError: {}", "🦀".repeat(5_000));
        check(&long, Some(&"🦀".repeat(4_096)));
        assert_eq!(last_error(b"\xff\xfe\nError: a \xff b"), Some("a \u{fffd} b".to_owned()));
    }
}
