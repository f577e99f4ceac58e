//! Quotes in texts that may stand in the strings of other texts, and these again: a
//! quote in a string has a backslash before it, one in a string of that has three.

use std::ops::Range;

use memchr::{memchr_iter, memmem};

/// A quote, by how deep it is: of how many strings around it the marks of its kind
/// are escaped in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Quote {
    mark: u8,
    level: u32,
    /// Where its backslashes begin,
    pub(super) begin: usize,
    /// and where what is behind it does.
    pub(super) end: usize,
}

/// The deepest level that is told from those above it.
const DEEPEST: u32 = 63;

impl Quote {
    /// The quote whose mark is at this place; of the backslashes before it those from
    /// `from` on count.
    pub(super) fn at(text: &[u8], from: usize, at: usize) -> Option<Self> {
        let mark = text.get(at).copied().filter(|byte| is_mark(*byte))?;
        let before = &text[from.min(at)..at];
        let escapes = before.iter().rev().take_while(|byte| **byte == b'\\').count();
        // Others are escaped in strings of their own kind only, and how often the
        // strings around these are is not told by them.
        let level = match mark {
            b'"' => escapes.trailing_ones().min(DEEPEST),
            _ => u32::from(escapes > 0),
        };
        Some(Self { mark, level, begin: at - escapes, end: at + 1 })
    }

    /// The quote that begins at this place, maybe with backslashes.
    pub(super) fn beginning(text: &[u8], at: usize) -> Option<Self> {
        let escapes = text.get(at..)?.iter().take_while(|byte| **byte == b'\\').count();
        Self::at(text, at, at + escapes)
    }

    /// Whether this one ends what the other began.
    fn ends(self, other: Self) -> bool {
        self.mark == other.mark && self.level <= other.level
    }

    /// Whether a shell takes it as it is, also outside of a string.
    pub(super) fn is_bare(self) -> bool {
        self.mark != b'"' && self.level > 0
    }

    /// Whether the other is of the same kind, and this one of a string around its.
    pub(super) fn is_around(self, other: Self) -> bool {
        self.mark == other.mark && self.level < other.level
    }
}

fn is_mark(byte: u8) -> bool {
    matches!(byte, b'"' | b'\'' | b'`')
}

fn index(mark: u8) -> usize {
    match mark {
        b'"' => 0,
        b'\'' => 1,
        _ => 2,
    }
}

/// The quotes of a text that is read from its beginning to its end.
#[derive(Debug)]
pub(super) struct Quotes<'t> {
    text: &'t [u8],
    /// Up to where those that are open are known.
    at: usize,
    /// The levels of strings in double quotes that are open on the line, as bits.
    double: u64,
    /// Whether one in single quotes is, and one in backticks.
    others: [bool; 2],
    /// The deepest level of each kind that has no end, and from where on.
    endless: [Option<(u32, usize)>; 3],
}

impl<'t> Quotes<'t> {
    pub(super) fn new(text: &'t [u8]) -> Self {
        Self { text, at: 0, double: 0, others: [false; 2], endless: [None; 3] }
    }

    /// Reads on to this place.
    pub(super) fn read_to(&mut self, to: usize) {
        for at in self.at..to {
            let byte = self.text[at];
            if byte == b'\n' {
                (self.double, self.others) = (0, [false; 2]);
            }
            if let Some(quote) = Quote::at(self.text, 0, at) {
                self.meet(quote);
            }
        }
        self.at = self.at.max(to);
    }

    /// Goes on at this place, which is as deep as where it was before.
    pub(super) fn skip_to(&mut self, to: usize) {
        if self.text[self.at..to].contains(&b'\n') {
            (self.double, self.others) = (0, [false; 2]);
        }
        self.at = to;
    }

    fn meet(&mut self, quote: Quote) {
        if quote.mark == b'"' {
            let bit = 1 << quote.level;
            // An end is one for all strings that are in it.
            self.double =
                if self.is_open(quote) { self.double & (bit - 1) } else { self.double | bit };
            return;
        }
        // In a word it is an apostrophe.
        let before = self.text[..quote.begin].last();
        let is_in_word = before.is_some_and(u8::is_ascii_alphanumeric);
        let open = &mut self.others[index(quote.mark) - 1];
        *open = if *open { quote.level > 0 } else { !is_in_word };
    }

    /// Whether a quote ends something that is open where it was read to.
    pub(super) fn is_open(&self, quote: Quote) -> bool {
        match quote.mark {
            b'"' => self.double >> quote.level != 0,
            mark => self.others[index(mark) - 1] && quote.level == 0,
        }
    }

    /// Whether a quote in the place of a value begins one: else it ends what is around,
    /// as in `print("password: ")`.
    pub(super) fn begins(&self, quote: Quote) -> bool {
        // Apostrophes and inches may mislead; but what follows an end is seldom a letter.
        let next = self.text.get(quote.end);
        let is_behind_end = next.is_none_or(|byte| {
            byte.is_ascii_whitespace() || b",;:.)]}>+\\".contains(byte) || is_mark(*byte)
        });
        !(self.is_open(quote) && is_behind_end)
    }

    /// The quote from a place on that ends what another began, without the backslashes
    /// before it that are of what it ends.
    pub(super) fn end_of(&mut self, begin: Quote, from: usize) -> Option<Quote> {
        let kind = index(begin.mark);
        if self.endless[kind].is_some_and(|(level, at)| begin.level <= level && from >= at) {
            return None;
        }
        let found = memchr_iter(begin.mark, &self.text[from..])
            .filter_map(|at| Quote::at(self.text, from, from + at))
            .find(|quote| quote.ends(begin));
        let Some(end) = found else {
            self.endless[kind] = Some((begin.level, from));
            return None;
        };
        let escapes = (end.end - end.begin).min(begin.end - begin.begin) - 1;
        Some(Quote { begin: end.end - 1 - escapes, ..end })
    }

    /// What is between three quotes like this one and the next three, if it is the first of
    /// three.
    pub(super) fn between_threes(&self, begin: Quote) -> Option<Range<usize>> {
        let three = self.text[begin.begin..begin.end].repeat(3);
        let from = begin.begin + three.len();
        let rest = self.text[begin.begin..].strip_prefix(three.as_slice())?;
        let length = memmem::find(rest, &three)?;
        Some(from..from + length)
    }
}
