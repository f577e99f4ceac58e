//! Where a value ends.

use std::ops::Range;

use super::Head;
use crate::bundle::redact::quotes::{Quote, Quotes};

/// What ends a word and is not of it.
const BEHIND_WORDS: &[u8] = b",;)]}\"'`\\";

/// What is secret, and where that ends with what is around it.
pub(super) struct Value {
    pub(super) secret: Vec<Range<usize>>,
    pub(super) end: usize,
}

impl Value {
    fn none(end: usize) -> Self {
        Self { secret: Vec::new(), end }
    }

    fn one(secret: Range<usize>) -> Self {
        Self { end: secret.end, secret: vec![secret] }
    }
}

/// Finds the values in a text, in its order.
pub(super) struct Finder<'t> {
    text: &'t [u8],
    quotes: Quotes<'t>,
    /// Of the line that was looked at last, a part to its end.
    line: Range<usize>,
}

impl<'t> Finder<'t> {
    pub(super) fn new(text: &'t [u8]) -> Self {
        Self { text, quotes: Quotes::new(text), line: 0..0 }
    }

    /// The value of a name that stands behind those that were asked for before.
    pub(super) fn value(&mut self, head: &Head) -> Value {
        self.quotes.read_to(head.sign.end);
        let Value { secret, end } = self.find(head);
        let end = end.max(head.sign.end);
        self.quotes.skip_to(end);
        Value { secret, end }
    }

    fn find(&mut self, head: &Head) -> Value {
        let begin = self.behind_blanks(head.sign.end);
        if let Some(around) = head.around {
            let line = self.line_end(begin);
            let end = self.quotes.end_of(around, begin).map_or(line, |end| end.begin.min(line));
            return self.trimmed(begin..end, b"");
        }
        let next = self.text[begin..].iter().position(|byte| !byte.is_ascii_whitespace());
        let Some(next) = next.map(|length| begin + length) else {
            return Value::none(begin);
        };
        if let Some(quote) = Quote::beginning(self.text, next) {
            return self.quoted(quote, head);
        }
        if next > begin {
            return if self.is_alone(next, head) { self.word(next) } else { Value::none(begin) };
        }
        if head.is_line && head.is_colon {
            let line = self.line_end(next);
            return self.trimmed(next..line, BEHIND_WORDS);
        }
        let is_of_strings = self.quote_behind(next + 1).is_some();
        if self.text[next] == b'[' && is_of_strings {
            return self.array(next + 1);
        }
        if head.is_colon && self.text[next] == b'{' && is_of_strings {
            // The names in it tell what is secret.
            return Value::none(next);
        }
        if head.is_line {
            let line = self.line_end(next);
            return self.trimmed(next..line, BEHIND_WORDS);
        }
        if head.rule == "authorization" {
            return self.credentials(next);
        }
        self.word(next)
    }

    /// Whether what begins on a line behind that of a name is its value: one word, that is
    /// none of a language.
    fn is_alone(&mut self, begin: usize, head: &Head) -> bool {
        let line = self.line_end(begin);
        let text = self.text[begin..line].trim_ascii_end();
        head.is_colon
            && !text.iter().any(u8::is_ascii_whitespace)
            && !text.ends_with(b":")
            && (head.is_line || text.iter().any(u8::is_ascii_digit))
    }

    /// From a quote to that which ends it.
    fn quoted(&mut self, quote: Quote, head: &Head) -> Value {
        if !self.quotes.begins(quote) {
            return Value::none(quote.begin);
        }
        let is_header = head.is_line && head.is_colon;
        if let Some(secret) = self.quotes.between_threes(quote).filter(|_| !is_header) {
            let end = secret.end + 3 * (quote.end - quote.begin);
            return Value { secret: vec![secret], end };
        }
        let Some(end) = self.quotes.end_of(quote, quote.end) else {
            let line = self.line_end(quote.begin);
            return self.trimmed(quote.end..line, b"");
        };
        let word = self.end_behind(quote, end.end);
        if is_header {
            // Its value may begin with a quote that has no meaning.
            let line = self.line_end(word);
            let is_end = |byte: &u8| byte.is_ascii_whitespace() || b",;)]}".contains(byte);
            if !self.text[word..line].iter().all(is_end) {
                return self.trimmed(quote.begin..line, b"");
            }
        }
        if word > end.end {
            return Value::one(quote.begin..word);
        }
        let secret = Some(quote.end..end.begin).filter(|secret| !secret.is_empty());
        Value { secret: secret.into_iter().collect(), end: end.end }
    }

    /// The strings of an array that begins before this place.
    fn array(&mut self, begin: usize) -> Value {
        let mut value = Value::none(begin);
        while let Some(quote) = self.quote_behind(value.end) {
            let Some(end) = self.quotes.end_of(quote, quote.end) else {
                value.end = self.line_end(quote.end);
                value.secret.push(quote.end..value.end);
                break;
            };
            value.secret.push(quote.end..end.begin);
            value.end = end.end;
            let next = self.behind_blanks(end.end);
            if self.text.get(next) != Some(&b',') {
                break;
            }
            value.end = next + 1;
        }
        value.secret.retain(|secret| !secret.is_empty());
        value
    }

    /// A scheme and what is behind it, which may be parameters in quotes.
    fn credentials(&mut self, begin: usize) -> Value {
        let line = self.line_end(begin);
        let mut at = begin;
        while let Some(quote) = self.next_quote(at, line) {
            let is_parameter = quote.begin > begin && self.text[quote.begin - 1] == b'=';
            if self.quotes.is_open(quote) || !is_parameter {
                return self.trimmed(begin..quote.begin, b"");
            }
            match self.quotes.end_of(quote, quote.end).filter(|end| end.end <= line) {
                Some(end) => at = end.end,
                None => at = quote.end,
            }
        }
        self.trimmed(begin..line, b"")
    }

    /// What is between white space, and what that is set to as well, as in
    /// `let password: &str = "value"`.
    fn word(&mut self, begin: usize) -> Value {
        let end = self.word_end(begin);
        let sign = self.behind_blanks(end);
        if sign > end
            && self.text.get(sign) == Some(&b'=')
            && let Some(quote) = Quote::beginning(self.text, self.behind_blanks(sign + 1))
            && self.quotes.begins(quote)
            && let Some(end) = self.quotes.end_of(quote, quote.end)
        {
            return Value::one(begin..end.end);
        }
        self.trimmed(begin..end, BEHIND_WORDS)
    }

    /// Where a word ends, with what is quoted in it.
    fn word_end(&mut self, begin: usize) -> usize {
        let line = self.line_end(begin);
        let mut at = begin;
        while at < line && !self.text[at].is_ascii_whitespace() {
            let quote = Quote::at(self.text, begin, at).filter(|quote| !quote.is_bare());
            at += 1;
            let Some(quote) = quote else { continue };
            if self.quotes.is_open(quote) {
                return quote.begin;
            }
            // One without an end is an apostrophe.
            if let Some(end) = self.quotes.end_of(quote, at).filter(|end| end.end <= line) {
                at = end.end;
            }
        }
        at
    }

    /// Where a word ends that goes on behind a quote, as a shell would have it.
    fn end_behind(&mut self, quote: Quote, begin: usize) -> usize {
        let line = self.line_end(begin);
        let (mut at, mut last) = (begin, quote);
        while let Some(quote) = Quote::beginning(self.text, at) {
            if last.is_around(quote) {
                // A shell takes it as it is.
                at = quote.end;
                continue;
            }
            if quote.is_around(last) || self.quotes.is_open(quote) {
                return at;
            }
            match self.quotes.end_of(quote, quote.end).filter(|end| end.end <= line) {
                Some(end) => (at, last) = (end.end, quote),
                None => return at,
            }
        }
        let goes_on = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'$' | b'_');
        if self.text.get(at).is_some_and(goes_on) { self.word_end(at) } else { at }
    }

    /// What of this has no white space around it, and nothing of those behind it.
    fn trimmed(&self, secret: Range<usize>, behind: &[u8]) -> Value {
        let mut text = &self.text[secret.clone()];
        let count = |text: &[u8], byte: u8| text.iter().filter(|it| **it == byte).count();
        let pairs = [(b'(', b')'), (b'[', b']'), (b'{', b'}')];
        let mut extra = pairs
            .map(|(open, close)| (close, count(text, close).saturating_sub(count(text, open))));
        while let Some((last, rest)) = text.split_last() {
            match extra.iter_mut().find(|(close, _)| close == last) {
                // It is the end of what began in the text.
                Some((_, 0)) => break,
                Some((_, extra)) if behind.contains(last) => *extra -= 1,
                Some(_) => break,
                None if last.is_ascii_whitespace() || behind.contains(last) => {}
                None => break,
            }
            text = rest;
        }
        match text.len() {
            0 => Value::none(secret.start),
            length => Value { end: secret.end, ..Value::one(secret.start..secret.start + length) },
        }
    }

    fn behind_blanks(&self, from: usize) -> usize {
        let blanks = self.text[from..].iter().take_while(|byte| matches!(byte, b' ' | b'\t'));
        from + blanks.count()
    }

    /// The quote that is first behind white space.
    fn quote_behind(&self, from: usize) -> Option<Quote> {
        let blanks = self.text[from..].iter().take_while(|byte| byte.is_ascii_whitespace());
        Quote::beginning(self.text, from + blanks.count())
    }

    fn next_quote(&self, from: usize, to: usize) -> Option<Quote> {
        (from..to).find_map(|at| Quote::at(self.text, from, at))
    }

    fn line_end(&mut self, from: usize) -> usize {
        // A line may be very long, and have many names.
        if !self.line.contains(&from) {
            let end = memchr::memchr2(b'\n', b'\r', &self.text[from..]);
            self.line = from..end.map_or(self.text.len(), |length| from + length);
        }
        self.line.end
    }
}
