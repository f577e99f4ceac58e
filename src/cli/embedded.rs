//! Messages of the contract as JSON in which settings and their values are JSON
//! too, and not text that holds it: a field `NAMEJson` is the member `NAME`.

use serde::Serialize;

use super::{Context, Failure};
use crate::json::{DEEPEST, Json};

/// How the names of fields end whose text is JSON.
const SUFFIX: &str = "Json";

/// A message as JSON, with further members.
///
/// # Errors
/// When the message has no form in JSON.
pub(super) fn embedded(
    message: &impl Serialize,
    further: impl IntoIterator<Item = (&'static str, Json)>,
) -> Result<Json, Failure> {
    let unprintable = |error: String| Failure::Failed(format!("cannot print the answer: {error}"));
    let text = serde_json::to_string(message).map_err(|error| unprintable(error.to_string()))?;
    let json =
        Json::parse_within(&text, DEEPEST).map_err(|error| unprintable(error.to_string()))?;
    let Json::Object(mut members) = embed(json) else {
        return Err(unprintable("it is no object".to_owned()));
    };
    for (name, value) in further {
        members.retain(|(member, _)| member != name);
        members.push((name.to_owned(), value));
    }
    Ok(Json::Object(members))
}

/// Prints a message as one line of JSON, with further members.
///
/// # Errors
/// When it cannot be printed.
pub(super) fn print(
    cx: &Context,
    message: &impl Serialize,
    further: impl IntoIterator<Item = (&'static str, Json)>,
) -> Result<(), Failure> {
    cx.output.line(&embedded(message, further)?.to_string())
}

fn embed(json: Json) -> Json {
    match json {
        Json::Object(members) => Json::Object(members.into_iter().map(member).collect()),
        Json::Array(elements) => Json::Array(elements.into_iter().map(embed).collect()),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => json,
    }
}

/// What was text is not looked into: whatever names there are in it, are its own.
fn member((name, value): (String, Json)) -> (String, Json) {
    let parsed = match (name.strip_suffix(SUFFIX), value.as_str()) {
        (Some(short), Some(text)) => {
            Json::parse_within(text, DEEPEST).ok().map(|json| (short.to_owned(), json))
        }
        (Some(_), None) | (None, _) => None,
    };
    parsed.unwrap_or_else(|| (name, embed(value)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::{AuditEntry, SettingChange};

    #[test]
    fn values_are_json_and_keep_their_numbers_and_names() {
        let entry = AuditEntry {
            seq: 7,
            settings: vec![SettingChange {
                key: "aJson".to_owned(),
                previous_json: None,
                value_json: Some(r#"{"bJson":"1","n":1.50}"#.to_owned()),
            }],
            ..AuditEntry::default()
        };
        let json = embedded(&entry, [("valid", Json::Bool(false))]).unwrap();
        assert_eq!(
            json.to_string(),
            r#"{"seq":"7","settings":[{"key":"aJson","value":{"bJson":"1","n":1.50}}],"valid":false}"#
        );
    }
}
