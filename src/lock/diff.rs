//! The unified diff of two documents of TOML.

use std::{fmt::Write as _, time::Duration};

use sha2::{Digest as _, Sha256};
use similar::{Change, ChangeTag, TextDiff};

use crate::{audit::hex, toml_text::Entry};

/// How many lines stand around each difference.
const CONTEXT: usize = 3;

/// The most bytes of a line that are shown as they are.
const MAX_LINE_BYTES: usize = 2_000;

/// How many are shown of a longer one.
const SHOWN_BYTES: usize = 200;

/// The most bytes of a diff; it goes into messages that people read.
const MAX_BYTES: usize = 64 << 10;

/// How long the shortest diff is looked for; then a longer one does.
const PATIENCE: Duration = Duration::from_secs(1);

/// The lines of a document, each with the table that it is in, and its key where
/// its value has several.
#[derive(Default)]
struct Lines {
    texts: Vec<String>,
    places: Vec<String>,
}

impl Lines {
    fn new(document: &[Entry]) -> Self {
        let mut lines = Self::default();
        for Entry { table, key, text } in document {
            let table = if table.is_empty() { String::new() } else { format!(" [{table}]") };
            let is_long = !key.is_empty() && text.matches('\n').nth(1).is_some();
            let place = if is_long { format!("{table} {key}") } else { table };
            for line in text.lines() {
                lines.texts.push(shorten(line));
                lines.places.push(place.clone());
            }
        }
        lines
    }

    fn texts(&self) -> Vec<&str> {
        self.texts.iter().map(String::as_str).collect()
    }
}

/// The diff, lock first, with a line feed at its end; empty for equal documents.
///
/// What is long is changed line by line; a line that is too long to read is told
/// from another by its hash.
pub(super) fn unified(locked: &[Entry], actual: &[Entry]) -> String {
    let (locked, actual) = (Lines::new(locked), Lines::new(actual));
    let diff =
        TextDiff::configure().timeout(PATIENCE).diff_slices(&locked.texts(), &actual.texts());
    let mut lines = Vec::new();
    for hunk in diff.unified_diff().context_radius(CONTEXT).iter_hunks() {
        let changed = hunk.iter_changes().find(|change| change.tag() != ChangeTag::Equal);
        let place = changed.and_then(|change| place(&change, &locked, &actual)).unwrap_or_default();
        lines.push(format!("{}{place}", hunk.header()));
        lines.extend(hunk.iter_changes().map(|change| {
            let sign = match change.tag() {
                ChangeTag::Equal => ' ',
                ChangeTag::Delete => '-',
                ChangeTag::Insert => '+',
            };
            format!("{sign}{}", change.value())
        }));
    }
    if lines.is_empty() {
        return String::new();
    }
    let mut text = "--- config lock\n+++ effective\n".to_owned();
    let total = lines.len();
    for (index, line) in lines.into_iter().enumerate() {
        if text.len() + line.len() >= MAX_BYTES {
            let _ = writeln!(text, "... and {} more lines", total - index);
            break;
        }
        text.push_str(&line);
        text.push('\n');
    }
    text
}

fn place<'a>(change: &Change<&str>, locked: &'a Lines, actual: &'a Lines) -> Option<&'a str> {
    let place = match (change.old_index(), change.new_index()) {
        (Some(index), _) => locked.places.get(index),
        (None, Some(index)) => actual.places.get(index),
        (None, None) => None,
    };
    place.map(String::as_str)
}

fn shorten(line: &str) -> String {
    if line.len() <= MAX_LINE_BYTES {
        return line.to_owned();
    }
    let ends = (0..=SHOWN_BYTES).rev().find(|at| line.is_char_boundary(*at));
    let shown = &line[..ends.unwrap_or(0)];
    let hash = hex(&Sha256::digest(line).into());
    format!("{shown}... ({} bytes, SHA-256 {hash})", line.len())
}

#[cfg(test)]
mod tests {
    use toml::Table;

    use super::*;
    use crate::toml_text::write_table;

    fn document(toml: &str) -> Vec<Entry> {
        let table: Table = toml::from_str(toml).unwrap();
        let mut document = vec![Entry::new("", "codex_version", &"0.169.0".into())];
        write_table(&mut document, "config", &table);
        document
    }

    #[test]
    fn each_difference_stands_between_its_lines_and_under_its_table() {
        let features = "[features]\na = 1\nb = 1\nc = 1\nd = 1\ne = 1\nf = 1\n";
        let found = unified(
            &document(&format!("model = 'a'\n{features}g = 1\n")),
            &document(&format!("model = 'b'\n{features}")),
        );
        assert_eq!(
            found,
            "--- config lock\n+++ effective\n\
             @@ -1,7 +1,7 @@ [config]\n codex_version = \"0.169.0\"\n \n [config]\n\
             -model = \"a\"\n+model = \"b\"\n \n [config.features]\n a = 1\n\
             @@ -10,4 +10,3 @@ [config.features]\n d = 1\n e = 1\n f = 1\n-g = 1\n"
        );
        assert_eq!(unified(&document("a = 1"), &document("a = 1")), "");
    }

    #[test]
    fn of_a_long_prompt_only_the_lines_that_differ_are_shown() {
        let prompt = |word: &str| {
            let line = "All the lines of this prompt are the same but for one.\n";
            let text = format!("{}{word}\n{}", line.repeat(300), line.repeat(300));
            document(&format!("developer_instructions = '''{text}'''"))
        };
        let found = unified(&prompt("one"), &prompt("two"));
        assert!(found.contains("@@ [config] developer_instructions\n"), "{found}");
        assert!(found.contains("-one\n+two\n") && found.lines().count() == 11, "{found}");
    }

    #[test]
    fn a_line_that_is_too_long_is_told_by_its_hash() {
        let long = |end: &str| document(&format!("x = '{}{end}'", "é".repeat(20_000)));
        let found = unified(&long("a"), &long("b"));
        let lines: Vec<_> = found.lines().filter(|line| line.contains("SHA-256")).collect();
        assert_eq!(lines.len(), 2);
        assert!(lines[0].starts_with("-x = \"é") && lines[0].contains("... (40007 bytes"));
        assert!(found.len() < 1_000, "{found}");
        assert_eq!(unified(&long("a"), &long("a")), "");
    }

    #[test]
    fn a_diff_is_bounded_and_says_what_it_leaves_out() {
        let long =
            |word: &str| document(&format!("x = '''{}'''", format!("{word}\n").repeat(50_000)));
        let found = unified(&long("a"), &long("b"));
        assert!(found.len() < MAX_BYTES + 100);
        assert!(found.ends_with(" more lines\n"), "{}", &found[found.len() - 100..]);
    }
}
