//! Where a prompt comes from.

use std::io::{self, IsTerminal as _, Read as _};

use super::Failure;

/// The prompt that was typed, or what standard input holds.
///
/// # Errors
/// When there is neither.
pub(super) fn read(typed: Option<String>) -> Result<String, Failure> {
    let prompt = match typed.as_deref() {
        Some("-") => from_stdin()?,
        Some(_) => typed.unwrap_or_default(),
        None if io::stdin().is_terminal() => {
            return Err(Failure::Usage(
                "no prompt: give one as an argument, or pipe it to standard input".into(),
            ));
        }
        None => from_stdin()?,
    };
    if prompt.trim().is_empty() {
        return Err(Failure::Usage("the prompt is empty".into()));
    }
    Ok(prompt)
}

fn from_stdin() -> Result<String, Failure> {
    let mut bytes = Vec::new();
    io::stdin()
        .lock()
        .read_to_end(&mut bytes)
        .map_err(|error| Failure::Failed(format!("cannot read standard input: {error}")))?;
    String::from_utf8(bytes).map_err(|_| Failure::Usage("the prompt is not UTF-8".into()))
}
