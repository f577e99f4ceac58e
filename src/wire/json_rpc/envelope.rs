//! What one text of a client is: a call, a notification or a batch of them, each
//! with the id that it has; and the texts that answer them.
//!
//! A text that is no JSON is -32700, JSON that is no request -32600. An id is
//! kept as the text that it was, so that a client gets back what it sent.

mod members;

use std::fmt;

use serde::{
    Deserializer as _,
    de::{IgnoredAny, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

use self::members::Members;
use super::error::{self, Failure};
use crate::{Error, json::Json};

/// One text of a client.
#[derive(Debug)]
pub(super) enum Message {
    /// One call or notification.
    Single(Entry),
    /// Several, of which there is at least one.
    Batch(Vec<Entry>),
    /// More of them than a batch may have: so many.
    TooMany(usize),
}

/// What may be a call.
pub(super) type Entry = Result<Incoming, Malformed>;

/// A call, or a notification.
#[derive(Debug)]
pub(super) struct Incoming {
    /// None of a notification.
    pub id: Option<Id>,
    /// What is called.
    pub method: String,
    /// The text of its parameters; none where they are left out, or null.
    pub params: Option<String>,
    /// The bytes of the whole of it.
    pub size: usize,
}

/// What is no call, and is answered all the same.
#[derive(Debug)]
pub(super) struct Malformed {
    /// The id that it had, where that could be told.
    pub id: Id,
    /// Why it is none.
    pub failure: Failure,
}

/// The id of a call: the text of a string, of a number, or null.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Id(String);

impl Id {
    /// That of what has none which could be told.
    pub(super) fn null() -> Self {
        Self("null".to_owned())
    }
}

/// Whether a text that broke off has all of a call or of a batch: both say where they
/// end.
pub(super) fn is_whole(text: &[u8]) -> bool {
    matches!(text.trim_ascii_start().first(), Some(b'{' | b'['))
        && serde_json::from_slice::<IgnoredAny>(text).is_ok()
}

/// Reads one text. Of a batch with more than `most` entries only their number.
pub(super) fn read(text: &[u8], most: usize) -> Message {
    let no_json = |problem: String| {
        let problem = format!("it is no JSON: {problem}");
        let failure = Failure { code: error::NO_JSON, error: Error::invalid("request", problem) };
        Message::Single(Err(Malformed { id: Id::null(), failure }))
    };
    let text = match std::str::from_utf8(text) {
        Ok(text) => text,
        Err(problem) => return no_json(problem.to_string()),
    };
    let whole = match serde_json::from_str::<&RawValue>(text) {
        Ok(whole) => whole,
        Err(problem) => return no_json(problem.to_string()),
    };
    if !whole.get().starts_with('[') {
        return Message::Single(entry(whole));
    }
    match serde_json::Deserializer::from_str(whole.get()).deserialize_seq(Entries { most }) {
        Ok((entries, count)) if count == entries.len() => {
            if entries.is_empty() {
                let problem = "it is a batch of nothing: expected at least one call in it";
                return Message::Single(Err(malformed(Id::null(), problem)));
            }
            Message::Batch(entries)
        }
        Ok((_, count)) => Message::TooMany(count),
        Err(problem) => no_json(problem.to_string()),
    }
}

/// Reads the entries of a batch, and counts them.
struct Entries {
    most: usize,
}

impl<'a> Visitor<'a> for Entries {
    type Value = (Vec<Entry>, usize);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut all: A) -> Result<Self::Value, A::Error> {
        let mut entries = Vec::new();
        while entries.len() < self.most {
            let Some(raw) = all.next_element::<&RawValue>()? else {
                let count = entries.len();
                return Ok((entries, count));
            };
            entries.push(entry(raw));
        }
        let mut count = entries.len();
        while all.next_element::<IgnoredAny>()?.is_some() {
            count += 1;
        }
        Ok((entries, count))
    }
}

fn entry(raw: &RawValue) -> Entry {
    let text = raw.get();
    if !text.starts_with('{') {
        return Err(malformed(Id::null(), "it is no object"));
    }
    let Ok(members) = serde_json::from_str::<Members<'_>>(text) else {
        return Err(malformed(Id::null(), "a name in it is no text"));
    };
    let Members { version, id, method, params, twice } = members;
    let id = match id.map(RawValue::get) {
        None => None,
        Some(id) if id == "null" || id.starts_with(['"', '-']) || starts_with_digit(id) => {
            Some(Id(id.to_owned()))
        }
        Some(_) => {
            return Err(malformed(Id::null(), "its id is neither a text, a number nor null"));
        }
    };
    if let Some(name) = twice {
        // Which of two ids would be meant?
        let id = id.filter(|_| name != "id").unwrap_or_else(Id::null);
        return Err(malformed(id, &format!("{name} is there twice")));
    }
    let text_of = |raw: &RawValue| match Json::parse(raw.get()) {
        Ok(Json::String(text)) => Some(text),
        Ok(_) | Err(_) => None,
    };
    if version.and_then(text_of).as_deref() != Some("2.0") {
        let id = id.unwrap_or_else(Id::null);
        return Err(malformed(id, "jsonrpc is not \"2.0\""));
    }
    let Some(method) = method.and_then(text_of) else {
        return Err(malformed(id.unwrap_or_else(Id::null), "method is not there, or no text"));
    };
    let params = params.map(RawValue::get).filter(|params| *params != "null");
    Ok(Incoming { id, method, params: params.map(str::to_owned), size: text.len() })
}

fn starts_with_digit(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_digit())
}

fn malformed(id: Id, problem: &str) -> Malformed {
    let problem = format!(
        "it is no request of JSON-RPC 2.0: {problem}; expected {{\"jsonrpc\": \"2.0\", \"id\": 1, \"method\": \"server/info\", \"params\": {{}}}}"
    );
    let failure = Failure { code: error::NO_REQUEST, error: Error::invalid("request", problem) };
    Malformed { id, failure }
}

/// The text of an error that answers what was not read.
pub(super) fn refused(error: &Error) -> String {
    format!("{{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{}}}", error::told(error))
}

/// The text of an answer, or of an error.
pub(super) fn answer(id: &Id, result: Result<String, Failure>) -> String {
    let (name, value) = match result {
        Ok(result) => ("result", result),
        Err(failure) => ("error", failure.to_string()),
    };
    let mut text = String::with_capacity(value.len() + id.0.len() + 40);
    for part in ["{\"jsonrpc\":\"2.0\",\"id\":", &id.0, ",\"", name, "\":", &value, "}"] {
        text.push_str(part);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn single(text: &str) -> Entry {
        let Message::Single(entry) = read(text.as_bytes(), 3) else { panic!("{text}") };
        entry
    }

    #[test]
    fn an_id_is_kept_as_it_was_written() {
        for id in ["1", "-7", "1.0", "1e3", "18446744073709551616", "\"\\ud800\"", "null", "\"\""] {
            let text = format!(r#" {{"id": {id} ,"method":"m","jsonrpc":"2.0"}}"#);
            assert_eq!(single(&text).unwrap().id, Some(Id(id.to_owned())));
        }
        assert_eq!(single(r#"{"method":"m","jsonrpc":"2.0"}"#).unwrap().id, None);
    }

    #[test]
    fn what_is_no_json_is_told_from_what_is_no_request() {
        for (text, code, id) in [
            ("", error::NO_JSON, "null"),
            ("{", error::NO_JSON, "null"),
            ("{} {}", error::NO_JSON, "null"),
            ("1", error::NO_REQUEST, "null"),
            ("null", error::NO_REQUEST, "null"),
            ("{}", error::NO_REQUEST, "null"),
            ("[]", error::NO_REQUEST, "null"),
            (r#"{"id":1}"#, error::NO_REQUEST, "1"),
            (r#"{"jsonrpc":"2.0","method":1,"id":"a"}"#, error::NO_REQUEST, "\"a\""),
            (r#"{"jsonrpc":"2.0","method":"m","id":{}}"#, error::NO_REQUEST, "null"),
            (r#"{"jsonrpc":"2.0","method":"m","id":true}"#, error::NO_REQUEST, "null"),
            (r#"{"jsonrpc":"2.0","method":"m","id":1,"id":2}"#, error::NO_REQUEST, "null"),
            (r#"{"jsonrpc":"2.0","method":"m","id":1,"method":"n"}"#, error::NO_REQUEST, "1"),
        ] {
            let malformed = single(text).unwrap_err();
            assert_eq!((malformed.failure.code, malformed.id.0.as_str()), (code, id), "{text}");
        }
        assert!(matches!(read(b"\"\xff\"", 3), Message::Single(Err(_))));
    }

    #[test]
    fn what_says_where_it_ends_is_whole_when_it_is_there() {
        for text in ["{}", " [{}] ", r#"{"jsonrpc":"2.0"}"#] {
            assert!(is_whole(text.as_bytes()), "{text}");
            for end in 0..text.trim_ascii_end().len() {
                assert!(!is_whole(&text.as_bytes()[..end]), "{text} up to {end}");
            }
        }
        assert!(!is_whole(b"12"), "there may have been more of it");
    }

    #[test]
    fn a_batch_is_read_as_far_as_it_may_be_and_counted_beyond() {
        assert!(matches!(read(b"[1,2,3]", 3), Message::Batch(all) if all.len() == 3));
        assert!(matches!(read(b"[1,2,3,4,5]", 3), Message::TooMany(5)));
    }
}
