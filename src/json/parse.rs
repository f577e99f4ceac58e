//! The parser: one pass over the text, and never deeper than it may go.

use std::{collections::HashSet, fmt};

use super::{
    Json,
    number::{self, MAX_NUMBER_CHARACTERS, Number},
};

/// How many arrays and objects may be in each other, where nobody says otherwise.
pub const MAX_DEPTH: usize = 64;

/// How many arrays and objects may be in each other, whoever says otherwise: the
/// parser, and all that walk through a value, call themselves for each.
pub const DEEPEST: usize = 128;

/// How many values one text may hold: each takes far more memory than text, so
/// that a large text of nothing but small values would be a burden.
const MAX_VALUES: usize = 1 << 20;

/// How many members an object has before its keys are looked up in a set.
const FEW_MEMBERS: usize = 8;

/// How much of a client's key a message repeats, in characters.
const SHOWN_KEY: usize = 64;

/// A place in the text, for people: both numbers begin at 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The column, in characters.
    pub column: usize,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// Why a text was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It is not one JSON value.
    #[error("not valid JSON: {at}: {problem}")]
    Syntax {
        /// Where.
        at: Position,
        /// What was found and what was expected.
        problem: String,
    },
    /// Too many arrays and objects are in each other.
    #[error("nested too deep: {at}: at most {limit} arrays and objects may be in each other")]
    TooDeep {
        /// Where the first stands that is too many.
        at: Position,
        /// How many may be.
        limit: usize,
    },
    /// It has too many values in it.
    #[error("too many values: {at}: at most {limit} may be in one text", limit = MAX_VALUES)]
    TooMany {
        /// Where the first stands that is too many.
        at: Position,
    },
    /// An object has a key twice, so that programs would disagree on its value.
    #[error("the key {key:?} is twice in {}: each may be there once", object_at(.path))]
    DuplicateKey {
        /// The key, cut where it is long.
        key: String,
        /// Where the object is, as a JSON pointer (RFC 6901), its keys cut where long.
        path: String,
    },
    /// A number is one that not every program can read; [`Json::check_numbers`] says so,
    /// and no parser does.
    #[error(
        "{} is a number that not every program can read: it may have up to {MAX_NUMBER_CHARACTERS} characters, and be up to 1.7976931348623157e308",
        value_at(.path)
    )]
    UnreadableNumber {
        /// Where the number is, as a JSON pointer (RFC 6901), its keys cut where long.
        path: String,
    },
    /// An escape is half of a surrogate pair, which is no character.
    #[error(
        "half of a surrogate pair: {at}: a character beyond U+FFFF takes two \\u escapes, the first of D800 to DBFF and the second of DC00 to DFFF"
    )]
    LoneSurrogate {
        /// Where the escape begins.
        at: Position,
    },
}

fn object_at(path: &str) -> String {
    if path.is_empty() {
        "the outermost object".to_owned()
    } else {
        format!("the object at {path}")
    }
}

fn value_at(path: &str) -> String {
    if path.is_empty() { "the value".to_owned() } else { format!("the value at {path}") }
}

impl Error {
    /// The same error, seen from the value around the one in which it is.
    pub(super) fn under(mut self, step: &str) -> Self {
        match &mut self {
            Self::DuplicateKey { path, .. } | Self::UnreadableNumber { path } => {
                let step = shown(step).replace('~', "~0").replace('/', "~1");
                path.insert_str(0, &format!("/{step}"));
            }
            Self::Syntax { .. }
            | Self::TooDeep { .. }
            | Self::TooMany { .. }
            | Self::LoneSurrogate { .. } => {}
        }
        self
    }
}

/// A key as a message repeats it.
fn shown(key: &str) -> String {
    match key.char_indices().nth(SHOWN_KEY) {
        Some((end, _)) => format!("{}…", &key[..end]),
        None => key.to_owned(),
    }
}

/// Parses one value with nothing but white space around it.
pub(super) fn parse(text: &str, limit: usize) -> Result<Json, Error> {
    let mut parser = Parser { text, at: 0, limit, values: 0 };
    let value = parser.value(0)?;
    match parser.next_token() {
        None => Ok(value),
        Some(_) => Err(parser.expected("the end, because the value is complete")),
    }
}

/// Where the parser is.
struct Parser<'a> {
    text: &'a str,
    /// The byte that comes next; always at the beginning of a character when an
    /// error is made.
    at: usize,
    limit: usize,
    /// How many values began.
    values: usize,
}

impl Parser<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// The first byte that is not white space.
    fn next_token(&mut self) -> Option<u8> {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
        self.peek()
    }

    fn value(&mut self, depth: usize) -> Result<Json, Error> {
        self.values += 1;
        if self.values > MAX_VALUES {
            return Err(Error::TooMany { at: self.position() });
        }
        match self.next_token() {
            Some(b'n') => self.word("null", Json::Null),
            Some(b't') => self.word("true", Json::Bool(true)),
            Some(b'f') => self.word("false", Json::Bool(false)),
            Some(b'"') => self.string().map(Json::String),
            Some(b'[') => self.array(depth),
            Some(b'{') => self.object(depth),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(_) | None => Err(self.expected("a value")),
        }
    }

    fn word(&mut self, word: &str, value: Json) -> Result<Json, Error> {
        if !self.text[self.at..].starts_with(word) {
            return Err(self.expected("a value"));
        }
        self.at += word.len();
        Ok(value)
    }

    fn number(&mut self) -> Result<Json, Error> {
        match number::length(&self.text.as_bytes()[self.at..]) {
            Ok(length) => {
                let text = &self.text[self.at..self.at + length];
                self.at += length;
                Ok(Json::Number(Number::of_valid(text)))
            }
            Err((length, expected)) => {
                self.at += length;
                Err(self.expected(expected))
            }
        }
    }

    fn array(&mut self, depth: usize) -> Result<Json, Error> {
        self.descend(depth)?;
        let mut elements = Vec::new();
        if self.next_token() == Some(b']') {
            self.at += 1;
            return Ok(Json::Array(elements));
        }
        loop {
            let element = self.value(depth + 1);
            elements.push(element.map_err(|error| error.under(&elements.len().to_string()))?);
            match self.next_token() {
                Some(b',') => self.at += 1,
                Some(b']') => break,
                Some(_) | None => return Err(self.expected("',' or ']'")),
            }
        }
        self.at += 1;
        Ok(Json::Array(elements))
    }

    fn object(&mut self, depth: usize) -> Result<Json, Error> {
        self.descend(depth)?;
        let mut members = Vec::new();
        if self.next_token() == Some(b'}') {
            self.at += 1;
            return Ok(Json::Object(members));
        }
        loop {
            if self.next_token() != Some(b'"') {
                return Err(self.expected("a key in quotes"));
            }
            let key = self.string()?;
            if self.next_token() != Some(b':') {
                return Err(self.expected("':'"));
            }
            self.at += 1;
            let value = self.value(depth + 1).map_err(|error| error.under(&key))?;
            members.push((key, value));
            match self.next_token() {
                Some(b',') => self.at += 1,
                Some(b'}') => break,
                Some(_) | None => return Err(self.expected("',' or '}'")),
            }
        }
        self.at += 1;
        match repeated_key(&members) {
            Some(key) => Err(Error::DuplicateKey { key: shown(key), path: String::new() }),
            None => Ok(Json::Object(members)),
        }
    }

    /// Passes the bracket that opens an array or object, if it may be there.
    fn descend(&mut self, depth: usize) -> Result<(), Error> {
        if depth == self.limit {
            return Err(Error::TooDeep { at: self.position(), limit: self.limit });
        }
        self.at += 1;
        Ok(())
    }

    /// The string whose opening quote comes next.
    fn string(&mut self) -> Result<String, Error> {
        self.at += 1;
        let mut string = String::new();
        loop {
            let rest = &self.text[self.at..];
            let plain = rest.bytes().position(|b| b < b' ' || b == b'"' || b == b'\\');
            let plain = plain.unwrap_or(rest.len());
            string.push_str(&rest[..plain]);
            self.at += plain;
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => string.push(self.escape()?),
                Some(_) => {
                    return Err(self.expected("an escape (such as \\n), not the character itself"));
                }
                None => return Err(self.expected("'\"' at the end of the string")),
            }
        }
        self.at += 1;
        Ok(string)
    }

    /// The character of the escape whose backslash comes next.
    fn escape(&mut self) -> Result<char, Error> {
        let start = self.at;
        self.at += 1;
        let character = match self.peek() {
            Some(byte @ (b'"' | b'\\' | b'/')) => char::from(byte),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{C}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.code_point(start),
            Some(_) | None => return Err(self.expected("one of \"\\/bfnrtu after the backslash")),
        };
        self.at += 1;
        Ok(character)
    }

    /// The character of one `\uXXXX`, or of two that are a surrogate pair.
    fn code_point(&mut self, start: usize) -> Result<char, Error> {
        let first = self.code_unit()?;
        let mut code = u32::from(first);
        if (0xD800..=0xDBFF).contains(&first) && self.text[self.at..].starts_with("\\u") {
            self.at += 1;
            let second = self.code_unit()?;
            if (0xDC00..=0xDFFF).contains(&second) {
                code = 0x1_0000 + ((code - 0xD800) << 10) + (u32::from(second) - 0xDC00);
            }
        }
        // Half of a pair, and nothing else, is not a character.
        char::from_u32(code).ok_or_else(|| Error::LoneSurrogate { at: position(self.text, start) })
    }

    /// The number of the `uXXXX` that comes next.
    fn code_unit(&mut self) -> Result<u16, Error> {
        self.at += 1;
        let mut code = 0;
        for _ in 0..4 {
            let digit = self.peek().and_then(|byte| char::from(byte).to_digit(16));
            let digit = digit.ok_or_else(|| self.expected("four hexadecimal digits after \\u"))?;
            code = code * 16 + digit;
            self.at += 1;
        }
        Ok(u16::try_from(code).unwrap_or_default())
    }

    /// That something else stands here.
    fn expected(&self, expected: &str) -> Error {
        let found = match self.text[self.at..].chars().next() {
            Some(c) if c.is_control() => format!("the character U+{:04X}", u32::from(c)),
            Some(c) => format!("'{c}'"),
            None => "the end".to_owned(),
        };
        Error::Syntax {
            at: self.position(),
            problem: format!("expected {expected}, found {found}"),
        }
    }

    fn position(&self) -> Position {
        position(self.text, self.at)
    }
}

fn position(text: &str, at: usize) -> Position {
    let before = &text[..at];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    Position {
        line: 1 + before.bytes().filter(|byte| *byte == b'\n').count(),
        column: 1 + before[line_start..].chars().count(),
    }
}

/// The first key that was there before.
fn repeated_key(members: &[(String, Json)]) -> Option<&str> {
    let mut keys = members.iter().map(|(key, _)| key.as_str()).enumerate();
    if members.len() <= FEW_MEMBERS {
        return keys.find_map(|(index, key)| {
            members[..index].iter().any(|(earlier, _)| earlier == key).then_some(key)
        });
    }
    let mut seen = HashSet::with_capacity(members.len());
    keys.find_map(|(_, key)| (!seen.insert(key)).then_some(key))
}
