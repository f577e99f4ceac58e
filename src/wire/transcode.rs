//! Messages of the contract as our JSON, and back, by their descriptors.
//!
//! It is the JSON of proto3, except that JSON is itself in it and not a text
//! that holds it: a field `NAME_json` is the value `NAME`, and the `raw` of an
//! event is the agent's line as [`crate::event::to_json`] embeds it. A text that
//! is no JSON which any client could read stays under its own name.
//!
//! [`read()`] takes what the proto3 mapping says that a parser takes, names of
//! proto files included, and refuses what it does not know by its path.

mod read;
mod write;

use super::schema::Message;
use crate::{
    app::{MAX_PROMPT_BYTES, MAX_REQUEST_BYTES},
    json, lock,
};

/// How many bytes JSON may take for one of a string.
const LONGEST_ESCAPE: usize = 6;

/// How deep a request may be: the JSON in it, and the messages around that.
pub(crate) const MAX_DEPTH: usize = json::MAX_DEPTH + 8;

/// The most bytes of a request's message in JSON.
pub(crate) fn most_bytes(message: &Message) -> usize {
    if message.proto_field("prompt").is_some() {
        // A prompt that is allowed is so however it is escaped.
        LONGEST_ESCAPE * MAX_PROMPT_BYTES + MAX_REQUEST_BYTES
    } else if message.proto_field("config_lock").is_some() {
        // The same of a lock, which every end of a line in it makes longer.
        LONGEST_ESCAPE * lock::MAX_BYTES + MAX_REQUEST_BYTES
    } else if message.embeds {
        // As much again for what is beside the JSON, which may have the whole.
        2 * MAX_REQUEST_BYTES
    } else {
        MAX_REQUEST_BYTES
    }
}

pub(crate) use self::{
    read::{UNKNOWN, of_text, read, renamed},
    write::{event_within, members, page, write},
};

#[cfg(test)]
mod tests;
