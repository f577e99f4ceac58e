//! The second command of a turn, for an agent that refuses its first.

use std::{
    fs,
    io::{self, Read as _},
    path::Path,
};

use serde::{Deserialize, Serialize};

use super::files::TurnFiles;
use crate::plain_file;

/// How much of the agent's stderr is searched at once.
const BLOCK_BYTES: u64 = 16 << 10;

/// What to start when the agent refuses what the spec asks of it: when it exits
/// by itself with a status other than 0, has printed nothing, and says why on its
/// stderr in the words that are expected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fallback {
    /// The words: texts of which its stderr contains one.
    pub stderr_contains: Vec<String>,
    /// The arguments of the second run, in place of the spec's.
    pub args: Vec<String>,
}

impl Fallback {
    /// Whether the agent's output is that of a refusal. Where it cannot be read,
    /// it is not.
    pub(super) fn is_for(&self, files: &TurnFiles) -> bool {
        let printed_nothing = fs::metadata(files.stdout()).is_ok_and(|found| found.len() == 0);
        let is_said = |text: &String| contains(&files.stderr(), text.as_bytes()).unwrap_or(false);
        printed_nothing && self.stderr_contains.iter().any(is_said)
    }
}

/// Whether the file has these bytes in it.
fn contains(path: &Path, text: &[u8]) -> io::Result<bool> {
    let mut file = plain_file::open(path)?;
    let mut window = Vec::new();
    loop {
        if window.starts_with(text) || window.windows(text.len().max(1)).any(|part| part == text) {
            return Ok(true);
        }
        // The text may begin in this block and end in the next.
        let searched = window.len() - window.len().min(text.len());
        window.drain(..searched);
        if file.by_ref().take(BLOCK_BYTES).read_to_end(&mut window)? == 0 {
            return Ok(false);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_found_wherever_it_stands() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("stderr");
        let block = usize::try_from(BLOCK_BYTES).unwrap();
        for before in [0, 1, block - 6, block - 5, block - 1, block, 3 * block + 7] {
            for after in [0, 1, 2 * block] {
                let text = format!("{}needle{}", "x".repeat(before), "y".repeat(after));
                fs::write(&path, text).unwrap();
                assert!(contains(&path, b"needle").unwrap(), "{before} {after}");
                assert!(contains(&path, b"").unwrap());
                assert!(!contains(&path, b"needlex").unwrap());
            }
        }
        fs::write(&path, "").unwrap();
        assert!(contains(&path, b"").unwrap());
        assert!(!contains(&path, b"needle").unwrap());
    }
}
