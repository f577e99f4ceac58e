//! Errors in the names that parameters have here: an operation names fields as
//! the proto files do.
//!
//! What a client said itself is told as it was said. It stands in quotes, or before
//! the colon with which a problem begins.

use std::collections::BTreeMap;

use crate::{
    Error,
    wire::{
        schema::{Kind, Message, Shape, schema},
        schemas::reachable,
        transcode::UNKNOWN,
    },
};

/// The error of a call with this message.
pub(super) fn renamed(input: &Message, error: Error) -> Error {
    let Error::InvalidArgument { field, problem } = error else { return error };
    // The paths of a mask are quoted as they were read, in the names of proto files.
    let is_mask = input.proto_field(&field).is_some_and(|field| field.kind == Kind::FieldMask);
    let problem = if is_mask { words(input, &problem) } else { own_words(input, &problem) };
    let field = path(input, &field, problem.ends_with(UNKNOWN));
    Error::InvalidArgument { field: field.into(), problem }
}

/// A path of fields, as far as it is one. One that ends with what is unknown has that
/// as it was sent, which may be how the proto files call a field that is here under
/// another name, and before it what parameters are called.
fn path(input: &Message, path: &str, is_unknown: bool) -> String {
    let mut message = Some(input);
    let steps = path.split('.').map(|step| {
        let (name, index) = step.split_at(step.find('[').unwrap_or(step.len()));
        let field = message
            .and_then(|message| message.proto_field(name).or_else(|| message.field(name)))
            .filter(|field| !is_unknown || field.called() == name);
        let Some(field) = field else {
            message = None;
            return step.to_owned();
        };
        let inner = field.message().filter(|_| field.shape != Shape::Map);
        message = inner.map(|name| schema().message(name));
        format!("{}{index}", field.json)
    });
    steps.collect::<Vec<_>>().join(".")
}

/// A text with the names of fields in it, but where it is a client's.
fn own_words(input: &Message, text: &str) -> String {
    let begin = if text.starts_with('"') { 0 } else { text.find(": ").unwrap_or(0) };
    let (said, mut rest) = text.split_at(begin);
    let mut renamed = said.to_owned();
    while !rest.is_empty() {
        let (own, after) = rest.split_at(rest.find('"').unwrap_or(rest.len()));
        let (said, after) = after.split_at(quoted(after));
        renamed.push_str(&words(input, own));
        renamed.push_str(said);
        rest = after;
    }
    renamed
}

/// How long the quoted text is with which a text begins.
fn quoted(text: &str) -> usize {
    let mut is_escaped = false;
    let end = text.char_indices().skip(1).find(|(_, c)| {
        let is_end = *c == '"' && !is_escaped;
        is_escaped = *c == '\\' && !is_escaped;
        is_end
    });
    end.map_or(text.len(), |(at, _)| at + 1)
}

/// A text with the names of fields in it, those that no other word is.
fn words(input: &Message, text: &str) -> String {
    if !text.contains('_') {
        return text.to_owned();
    }
    let messages = reachable([input.name.as_str()].into_iter()).into_iter();
    let fields = messages.flat_map(|name| &schema().message(name).fields);
    let names: BTreeMap<&str, &str> = fields
        .flat_map(|field| {
            [field.name.as_str(), field.called()].map(|name| (name, field.json.as_str()))
        })
        .filter(|(name, _)| name.contains('_'))
        .collect();
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut renamed = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let (word, after) = rest.split_at(rest.find(|c| !is_word(c)).unwrap_or(rest.len()));
        renamed.push_str(names.get(word).copied().unwrap_or(word));
        let (between, after) = after.split_at(after.find(is_word).unwrap_or(after.len()));
        renamed.push_str(between);
        rest = after;
    }
    renamed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_have_the_names_of_parameters() {
        let names = |message: &str, field: &'static str, problem: &str| {
            renamed(schema().message(message), Error::invalid(field, problem)).to_string()
        };
        let told = names("ListSessionsRequest", "page_size", "2 is above 1");
        assert!(told.starts_with("pageSize: "), "{told}");
        let told = names("ApplyControlsRequest", "controls.approval_policy", "no");
        assert!(told.starts_with("controls.approvalPolicy: "), "{told}");
        let told = names("WatchEventsRequest", "start_seqs[0].x_y", "use start_seq, not x_y");
        assert_eq!(told, "startSeqs[0].x_y: use startSeq, not x_y");
        let told = names("UpdateSettingsRequest", "settings_json", "not beside value_json");
        assert_eq!(told, "settings: not beside value");
        for sent in ["settings_json", "settingsJson", "no_such"] {
            let told = names("UpdateSettingsRequest", sent, "X has no such field");
            assert_eq!(told, format!("{sent}: X has no such field"));
        }
        let told =
            names("CreateSessionRequest", "session.codex_options.a_b", "X has no such field");
        assert_eq!(told, "session.codexOptions.a_b: X has no such field");
        let told = names("UpdateSessionRequest", "update_mask", "\"turn_count\" cannot be changed");
        assert_eq!(told, "updateMask: \"turnCount\" cannot be changed");
    }

    #[test]
    fn what_a_client_said_itself_is_told_as_it_was_said() {
        let told = |problem: &str| {
            let message = schema().message("CreateSessionRequest");
            let error = Error::invalid("session.codex_options.config", problem);
            let told = renamed(message, error).to_string();
            told.split_once(": ").unwrap().1.to_owned()
        };
        for said in [
            "working_directory: not a value of TOML",
            "\"working_directory\": expected a key",
            "\"a\\\"b: working_directory\": expected a key",
            "\"working_directory",
        ] {
            assert_eq!(told(said), said);
        }
        assert_eq!(
            told("working_directory: use working_directory, not \"working_directory\""),
            "working_directory: use workingDirectory, not \"working_directory\""
        );
    }
}
