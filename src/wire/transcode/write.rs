//! Messages to our JSON.
//!
//! The generated code writes proto3 JSON; what is to be embedded is then put in
//! its place in the text, in one pass and without parsing what is between. Texts
//! of agents are megabytes.

use bytes::Bytes;
use serde::Serialize;

use crate::{
    Error, Result, event, proto,
    wire::schema::{Field, Kind, Message, Shape, schema},
};

/// Writes a message of the contract, whose descriptor is given, on one line.
///
/// # Errors
///
/// INTERNAL where it has no JSON form, which ours do.
pub(crate) fn write<M: Serialize>(message: &Message, answer: &M) -> Result<String> {
    let text = serde_json::to_string(answer).map_err(Error::internal)?;
    Ok(embedded(message, text))
}

/// Writes an event on one line.
pub(crate) fn event(event: &proto::Event) -> String {
    embedded(schema().message("Event"), event::to_json(event))
}

/// Below this bound an event is not cut down further; its head stays.
const LEAST_EVENT_BYTES: usize = 4 << 10;

/// Writes an event of the log on one line, cut down until its JSON is not larger
/// than its receiver can take: that has escapes, and says twice what is in a line.
///
/// # Errors
///
/// INTERNAL where it cannot be read.
pub(crate) fn event_within(frame: &Bytes, most_bytes: usize) -> Result<(proto::Event, String)> {
    let mut bound = most_bytes;
    loop {
        let found = event::decode_frame_within(frame, bound)?;
        let text = event(&found);
        if text.len() <= most_bytes || bound <= LEAST_EVENT_BYTES {
            return Ok((found, text));
        }
        bound /= 2;
    }
}

/// Writes a page of events on one line.
pub(crate) fn page(page: &proto::ListEventsResponse) -> Result<String> {
    Ok(embedded(schema().message("ListEventsResponse"), event::page_to_json(page)))
}

/// The members of an object in a text that is valid, on one line and without
/// white space: names without escapes, and the texts of values.
pub(crate) fn members(object: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut scanner = Scanner { text: object, at: 1 };
    std::iter::from_fn(move || {
        scanner.pass(b',');
        let name = scanner.string()?;
        scanner.pass(b':');
        Some((name, scanner.value()))
    })
}

/// Our JSON of a message, of its proto3 JSON but for the lines of agents, which
/// [`event::to_json`] has put in their place already.
fn embedded(message: &Message, text: String) -> String {
    if !message.embeds {
        return text;
    }
    let mut to = String::with_capacity(text.len());
    object(message, &text, &mut to);
    to
}

fn object(message: &Message, text: &str, to: &mut String) {
    if !message.embeds {
        to.push_str(text);
        return;
    }
    to.push('{');
    for (index, (name, value)) in members(text).enumerate() {
        if index > 0 {
            to.push(',');
        }
        let field = message.fields.iter().find(|field| field.proto_json == name);
        if let Some((field, json)) = field.and_then(|field| Some((field, json_of(field, value)?))) {
            member(&field.json, &json, to);
        } else if let Some(Field { kind: Kind::Message(inner), shape, .. }) = field {
            member(name, "", to);
            let inner = schema().message(inner);
            each(*shape, value, to, &mut |value, to| object(inner, value, to));
        } else {
            member(name, value, to);
        }
    }
    to.push('}');
}

/// Each value of a field, in its array or map where it is in one.
fn each(shape: Shape, text: &str, to: &mut String, one: &mut dyn FnMut(&str, &mut String)) {
    match shape {
        Shape::One => one(text, to),
        Shape::Many => {
            to.push('[');
            for (index, element) in elements(text).enumerate() {
                if index > 0 {
                    to.push(',');
                }
                one(element, to);
            }
            to.push(']');
        }
        Shape::Map => {
            to.push('{');
            for (index, (name, value)) in members(text).enumerate() {
                if index > 0 {
                    to.push(',');
                }
                member(name, "", to);
                one(value, to);
            }
            to.push('}');
        }
    }
}

/// The JSON that a field's text holds, or that each of its texts does; none
/// where the field holds no JSON, or one of its texts is none.
fn json_of(field: &Field, text: &str) -> Option<String> {
    if field.kind != Kind::Json {
        return None;
    }
    let (mut to, mut all) = (String::new(), true);
    each(field.shape, text, &mut to, &mut |text, to| {
        let held = serde_json::from_str::<String>(text).unwrap_or_default();
        match event::raw_json(held.as_bytes()) {
            // Between tokens only, where they would end a line.
            Some(json) => to.push_str(&json.get().replace(['\r', '\n'], " ")),
            None => all = false,
        }
    });
    all.then_some(to)
}

fn member(name: &str, value: &str, to: &mut String) {
    to.push('"');
    to.push_str(name);
    to.push_str("\":");
    to.push_str(value);
}

fn elements(array: &str) -> impl Iterator<Item = &str> {
    let mut scanner = Scanner { text: array, at: 1 };
    std::iter::from_fn(move || {
        scanner.pass(b',');
        (scanner.peek() != Some(b']')).then(|| scanner.value())
    })
}

/// Goes through a text of which it is known that it is valid JSON.
struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scanner<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Passes this byte, if it comes next.
    fn pass(&mut self, byte: u8) {
        self.at += usize::from(self.peek() == Some(byte));
    }

    /// What is between the quotes of the string that comes next.
    fn string(&mut self) -> Option<&'a str> {
        if self.peek() != Some(b'"') {
            return None;
        }
        let start = self.at + 1;
        self.pass_string();
        self.text.get(start..self.at - 1)
    }

    fn pass_string(&mut self) {
        self.at += 1;
        while let Some(found) =
            memchr::memchr2(b'"', b'\\', &self.text.as_bytes()[self.at.min(self.text.len())..])
        {
            self.at += found;
            if self.peek() == Some(b'"') {
                self.at += 1;
                return;
            }
            self.at += 2;
        }
        self.at = self.text.len();
    }

    /// The text of the value that comes next.
    fn value(&mut self) -> &'a str {
        let start = self.at;
        let mut depth = 0_usize;
        while let Some(byte) = self.peek() {
            match byte {
                b'"' => self.pass_string(),
                b'[' | b'{' => {
                    depth += 1;
                    self.at += 1;
                }
                b']' | b'}' if depth == 0 => break,
                b']' | b'}' => {
                    depth -= 1;
                    self.at += 1;
                }
                b',' if depth == 0 => break,
                _ => self.at += 1,
            }
        }
        &self.text[start..self.at]
    }
}
