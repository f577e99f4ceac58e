//! Text of agents, made safe and short for a terminal. Pure.

use anstyle::{AnsiColor, Style};

/// Makes text harmless: no escape sequence, no control character but tab and
/// line feed, no character that reorders what is around it.
///
/// What an agent prints can come from a web page or a repository, so it must
/// not be able to move the cursor, rename the window, or show one command and
/// mean another.
#[must_use]
pub(in crate::cli) fn clean(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(character) = rest.next() {
        match character {
            '\n' | '\t' => clean.push(character),
            '\r' => {
                rest.next_if_eq(&'\n');
                clean.push('\n');
            }
            '\u{1b}' | '\u{9b}' | '\u{9d}' | '\u{90}' => skip_sequence(character, &mut rest),
            '\u{2028}' | '\u{2029}' => clean.push('\n'),
            '\0'..='\u{1f}' => clean.push(picture(character)),
            '\u{7f}' => clean.push('\u{2421}'),
            // Other C1 controls, and the marks that turn the direction of text around.
            '\u{80}'..='\u{9f}'
            | '\u{200e}'
            | '\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}' => clean.push(char::REPLACEMENT_CHARACTER),
            _ => clean.push(character),
        }
    }
    clean
}

/// The visible picture of a C0 control character.
fn picture(control: char) -> char {
    char::from_u32(0x2400 + u32::from(control)).unwrap_or(char::REPLACEMENT_CHARACTER)
}

/// Leaves out the escape sequence that `introducer` began. A sequence that does
/// not end is left out up to the end of the line, and a line feed always stays.
fn skip_sequence(introducer: char, rest: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    let kind = match introducer {
        '\u{9b}' => '[',
        '\u{9d}' | '\u{90}' => ']',
        _ => match rest.next_if(|next| *next != '\n') {
            Some(kind) => kind,
            None => return,
        },
    };
    match kind {
        '[' => {
            while let Some(next) = rest.next_if(|next| *next != '\n') {
                if ('@'..='~').contains(&next) {
                    break;
                }
            }
        }
        ']' | 'P' | 'X' | '^' | '_' => {
            while let Some(next) = rest.next_if(|next| *next != '\n') {
                if next == '\u{7}' || next == '\u{9c}' {
                    break;
                }
                if next == '\u{1b}' {
                    rest.next_if_eq(&'\\');
                    break;
                }
            }
        }
        // Two-byte sequences with an intermediate, such as ESC ( B.
        ' '..='/' => {
            rest.next_if(|next| *next != '\n');
        }
        _ => {}
    }
}

/// The first line, at most `width` characters of it; `…` where it was cut.
#[must_use]
pub(in crate::cli) fn one_line(text: &str, width: usize) -> String {
    let text = clean(text);
    let text = text.trim();
    let line = text.lines().next().unwrap_or_default();
    let mut short: String = line.chars().take(width).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

/// The last `count` lines, each indented and cut, after a line that says how
/// many there were before them. Ends with a line feed unless it is empty.
#[must_use]
pub(in crate::cli) fn tail(text: &str, count: usize, paint: Paint) -> String {
    let text = clean(text);
    let lines: Vec<&str> = text.trim_end().lines().collect();
    let left_out = lines.len().saturating_sub(count);
    let mut tail = String::new();
    if left_out > 0 {
        let plural = if left_out == 1 { "" } else { "s" };
        let note = format!("    … {left_out} line{plural} before");
        tail.push_str(&paint.dim(&note));
        tail.push('\n');
    }
    for line in &lines[left_out..] {
        let line = one_line_raw(line);
        tail.push_str(format!("    {line}").trim_end());
        tail.push('\n');
    }
    tail
}

fn one_line_raw(line: &str) -> String {
    const WIDTH: usize = 300;
    let mut short: String = line.chars().take(WIDTH).collect();
    if short.len() < line.len() {
        short.push('…');
    }
    short
}

/// Colours, or none.
#[derive(Debug, Clone, Copy)]
pub(in crate::cli) struct Paint {
    /// Whether there are colours.
    pub colour: bool,
}

impl Paint {
    /// Less important.
    #[must_use]
    pub(in crate::cli) fn dim(self, text: &str) -> String {
        self.paint(text, Style::new().dimmed())
    }

    /// More important.
    #[must_use]
    pub(in crate::cli) fn bold(self, text: &str) -> String {
        self.paint(text, Style::new().bold())
    }

    /// Good.
    #[must_use]
    pub(in crate::cli) fn green(self, text: &str) -> String {
        self.paint(text, AnsiColor::Green.on_default())
    }

    /// Bad.
    #[must_use]
    pub(in crate::cli) fn red(self, text: &str) -> String {
        self.paint(text, AnsiColor::Red.on_default())
    }

    /// To be looked at.
    #[must_use]
    pub(in crate::cli) fn yellow(self, text: &str) -> String {
        self.paint(text, AnsiColor::Yellow.on_default())
    }

    /// What kind of thing follows.
    #[must_use]
    pub(in crate::cli) fn cyan(self, text: &str) -> String {
        self.paint(text, AnsiColor::Cyan.on_default())
    }

    fn paint(self, text: &str, style: Style) -> String {
        if !self.colour || text.is_empty() {
            return text.to_owned();
        }
        // Line by line, so that a line cut off by something else leaves no colour behind.
        let lines = text.split('\n').map(|line| match line {
            "" => String::new(),
            line => format!("{style}{line}{style:#}"),
        });
        lines.collect::<Vec<_>>().join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_an_agent_cannot_drive_the_terminal() {
        for (text, expected) in [
            ("\x1b[31mred\x1b[0m", "red"),
            ("\x1b]0;title\x07after", "after"),
            ("\x1b]8;;http://example.com\x1b\\link\x1b]8;;\x1b\\", "link"),
            ("\x1bP1$r\x1b\\x", "x"),
            ("a\x1b(Bb", "ab"),
            ("a\u{9b}2Jb", "ab"),
            ("bell\u{7} nul\0 del\u{7f}", "bell␇ nul␀ del␡"),
            ("50%\r100%\r\nend", "50%\n100%\nend"),
            ("rm \u{202e}txt.exe", "rm \u{fffd}txt.exe"),
            ("a\u{2028}b", "a\nb"),
            ("\x1b[999", ""),
            ("\x1b]0;unended\nnext", "\nnext"),
            ("\x1b", ""),
            ("tab\tstays", "tab\tstays"),
            ("思考 🤔", "思考 🤔"),
        ] {
            assert_eq!(clean(text), expected, "{text:?}");
        }
    }

    #[test]
    fn a_long_text_is_cut_to_a_line() {
        assert_eq!(one_line("one", 5), "one");
        assert_eq!(one_line("one two", 5), "one t…");
        assert_eq!(one_line("one\ntwo", 5), "one…");
        assert_eq!(one_line(" \n one ", 5), "one");
        assert_eq!(one_line("", 5), "");
    }

    #[test]
    fn of_a_long_output_the_end_is_shown() {
        let paint = Paint { colour: false };
        assert_eq!(tail("a\nb\n", 2, paint), "    a\n    b\n");
        assert_eq!(tail("a\nb\nc\n", 2, paint), "    … 1 line before\n    b\n    c\n");
        assert_eq!(tail("", 2, paint), "");
    }

    #[test]
    fn colours_end_with_their_line() {
        let paint = Paint { colour: true };
        assert_eq!(paint.red("a\nb"), "\x1b[31ma\x1b[0m\n\x1b[31mb\x1b[0m");
        assert_eq!(Paint { colour: false }.red("a"), "a");
    }
}
