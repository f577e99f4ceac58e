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

pub(crate) use self::{
    read::{of_text, read, renamed},
    write::{event, members, page, write},
};

#[cfg(test)]
mod tests;
