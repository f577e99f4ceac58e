//! The terminal while a table is shown on it: taken over, drawn on without
//! flicker, and given back as it was, however the command ends.

use std::{
    io::{self, IsTerminal as _, Read as _, Write as _},
    thread,
};

use rustix::termios::{
    LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcgetwinsize, tcsetattr,
};
use tokio::sync::oneshot;

use super::table::Size;
use crate::cli::Failure;

/// Onto the other screen, without a cursor, and long lines are cut.
const ENTER: &str = "\x1b[?1049h\x1b[?25l\x1b[?7l";
const LEAVE: &str = "\x1b[?7h\x1b[?25h\x1b[?1049l";
/// What is between these is shown at once, on terminals that know them.
const BEGIN: &str = "\x1b[?2026h\x1b[H";
const END: &str = "\x1b[J\x1b[?2026l";
/// Clears what is left of a line that was longer before.
const REST_OF_LINE: &str = "\x1b[K";

/// What a terminal has that does not say its size.
const USUAL: Size = Size { columns: 80, rows: 24 };

/// The terminal.
#[derive(Debug)]
pub(super) struct Screen {
    /// How its keyboard was; none where standard input is something else.
    keyboard: Option<Termios>,
    drawn: String,
}

impl Screen {
    /// Takes the terminal over.
    ///
    /// # Errors
    /// [`Failure::OutputClosed`] when it is gone.
    pub(super) fn enter() -> Result<Self, Failure> {
        let keyboard = if io::stdin().is_terminal() { tcgetattr(io::stdin()).ok() } else { None };
        if let Some(keyboard) = &keyboard {
            let mut keys = keyboard.clone();
            // Each key at once and unseen. Ctrl-C stays a signal. Ctrl-Z does not, which would
            // leave the shell on a screen that is not its own.
            keys.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO);
            keys.special_codes[SpecialCodeIndex::VSUSP] = 0;
            keys.special_codes[SpecialCodeIndex::VMIN] = 1;
            keys.special_codes[SpecialCodeIndex::VTIME] = 0;
            // Without it the keys wait for Enter and are seen, which is no reason to end.
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, &keys);
        }
        let screen = Self { keyboard, drawn: String::new() };
        write(ENTER)?;
        Ok(screen)
    }

    /// How large it is now.
    #[must_use]
    pub(super) fn size(&self) -> Size {
        match tcgetwinsize(io::stdout()) {
            Ok(size) if size.ws_col > 0 && size.ws_row > 0 => {
                Size { columns: size.ws_col.into(), rows: size.ws_row.into() }
            }
            Ok(_) | Err(_) => USUAL,
        }
    }

    /// Shows these lines and nothing else.
    ///
    /// # Errors
    /// [`Failure::OutputClosed`] when the terminal is gone.
    pub(super) fn draw(&mut self, lines: &[String]) -> Result<(), Failure> {
        let lines: Vec<String> = lines.iter().map(|line| format!("{line}{REST_OF_LINE}")).collect();
        let frame = format!("{BEGIN}{}{END}", lines.join("\r\n"));
        if frame != self.drawn {
            write(&frame)?;
            self.drawn = frame;
        }
        Ok(())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // A terminal that is gone needs nothing back.
        let _ = write(LEAVE);
        if let Some(keyboard) = &self.keyboard {
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, keyboard);
        }
    }
}

fn write(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()?;
    Ok(())
}

/// Waits until `q` is pressed; for ever where there are no keys.
pub(super) async fn quit_key() {
    let (quit, pressed) = oneshot::channel();
    if io::stdin().is_terminal() {
        // Nothing can end a read of a terminal; the thread ends with the process.
        thread::spawn(move || {
            let mut keys = [0; 64];
            while let Ok(count @ 1..) = io::stdin().lock().read(&mut keys) {
                if keys[..count].iter().any(|key| matches!(key, b'q' | b'Q')) {
                    // The command may have ended otherwise.
                    let _ = quit.send(());
                    return;
                }
            }
        });
    }
    if pressed.await.is_err() {
        std::future::pending::<()>().await;
    }
}
