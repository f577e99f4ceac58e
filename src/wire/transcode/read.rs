//! Our JSON to messages.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::de::DeserializeOwned;

use crate::{
    Error, Result,
    json::{Json, Number},
    wire::schema::{Field, Kind, Message, Shape, schema},
};

/// Reads a message of the contract, whose descriptor is given.
///
/// # Errors
///
/// INVALID_ARGUMENT names the field by its path.
pub(crate) fn read<M: DeserializeOwned>(message: &Message, json: Json) -> Result<M> {
    let proto_json = object(message, json, "")?;
    serde_json::from_str(&proto_json.to_string())
        .map_err(|error| Error::invalid("request", error.to_string()))
}

/// The value that a text outside of JSON stands for, such as one in a query: a
/// JSON string, except for what proto3 JSON has no string for.
///
/// # Errors
///
/// INVALID_ARGUMENT for a message, which has no such text.
pub(crate) fn of_text(field: &Field, path: &str, text: String) -> Result<Json> {
    match (&field.kind, text.as_str()) {
        (Kind::Bool, "true") => Ok(Json::Bool(true)),
        (Kind::Bool, "false") => Ok(Json::Bool(false)),
        (Kind::Bool, _) => Err(unexpected(path, "true or false", &text.as_str().into())),
        (Kind::Json, text) => Json::parse(text).map_err(|error| invalid(path, error.to_string())),
        (Kind::Message(_), _) => {
            Err(invalid(path, format!("give its fields one by one, such as {path}.FIELD=VALUE")))
        }
        (
            Kind::Int32
            | Kind::Uint32
            | Kind::Int64
            | Kind::Uint64
            | Kind::Double
            | Kind::String
            | Kind::Bytes
            | Kind::Timestamp
            | Kind::Duration
            | Kind::FieldMask
            | Kind::Line
            | Kind::Enum(_),
            _,
        ) => Ok(Json::String(text)),
    }
}

/// What is said of a member that its message does not have.
pub(crate) const UNKNOWN: &str = "has no such field";

/// An error of an operation that took this message, with the name of the field
/// that our JSON has for it: of JSON that is itself in it, not that of a text. A
/// member that the message does not have keeps the name by which it was sent.
pub(crate) fn renamed(message: &Message, mut error: Error) -> Error {
    if let Error::InvalidArgument { field, problem } = &mut error
        && !problem.ends_with(UNKNOWN)
        && let Some(known) = message.proto_field(field)
    {
        *field = known.called().to_owned().into();
    }
    error
}

/// A message in proto3 JSON.
fn object(message: &Message, json: Json, path: &str) -> Result<Json> {
    let Json::Object(members) = json else {
        return Err(unexpected(path, "an object", &json));
    };
    let mut read: Vec<(String, Json)> = Vec::with_capacity(members.len());
    let mut oneofs: Vec<(&str, &str)> = Vec::new();
    for (name, value) in members {
        let Some(field) = message.field(&name) else {
            let path = join(path, &shown(&name));
            return Err(invalid(&path, format!("{} {UNKNOWN}", message.name)));
        };
        let path = join(path, field.called());
        // Null is how proto3 JSON says that a field is not set; but it is JSON.
        if value.is_null() && (field.kind != Kind::Json || field.shape != Shape::One) {
            continue;
        }
        if read.iter().any(|(known, _)| *known == field.proto_json) {
            return Err(invalid(&path, "is given twice, by two names"));
        }
        if let Some(oneof) = &field.oneof {
            if let Some((_, other)) = oneofs.iter().find(|(known, _)| known == oneof) {
                return Err(invalid(&path, format!("not beside {other}: only one may be set")));
            }
            oneofs.push((oneof, field.called()));
        }
        read.push((field.proto_json.clone(), all(field, value, &path)?));
    }
    Ok(Json::Object(read))
}

/// All values of a field.
fn all(field: &Field, json: Json, path: &str) -> Result<Json> {
    match (field.shape, json) {
        (Shape::One, json) => one(&field.kind, json, path),
        (Shape::Many, Json::Array(elements)) => {
            let elements = elements.into_iter().enumerate();
            let elements = elements
                .map(|(index, element)| one(&field.kind, element, &format!("{path}[{index}]")));
            elements.collect::<Result<_>>().map(Json::Array)
        }
        (Shape::Map, Json::Object(members)) => {
            let members = members.into_iter().map(|(key, value)| {
                let value = one(&field.kind, value, &format!("{path}[{}]", shown(&key)))?;
                Ok((key, value))
            });
            members.collect::<Result<_>>().map(Json::Object)
        }
        (Shape::Many, json) => Err(unexpected(path, "an array", &json)),
        (Shape::Map, json) => Err(unexpected(path, "an object", &json)),
    }
}

/// One value of a field.
fn one(kind: &Kind, json: Json, path: &str) -> Result<Json> {
    let refused = |expected: &str, json: &Json| Err(unexpected(path, expected, json));
    match (kind, json) {
        (Kind::Json, json) => Ok(Json::String(json.to_string())),
        (Kind::Message(name), json) => object(schema().message(name), json, path),
        (Kind::Bool, json @ Json::Bool(_)) | (Kind::String, json @ Json::String(_)) => Ok(json),
        (Kind::Bool, json) => refused("a boolean", &json),
        (Kind::String, json) => refused("a string", &json),
        (Kind::Int32, json) => {
            integer(&json).and_then(|number| i32::try_from(number.as_i64()?).ok()).map_or_else(
                || refused("a whole number of 32 bits", &json),
                |n| Ok(i64::from(n).into()),
            )
        }
        (Kind::Uint32, json) => {
            integer(&json).and_then(|number| u32::try_from(number.as_u64()?).ok()).map_or_else(
                || refused("a whole number from 0 to 4294967295", &json),
                |n| Ok(n.into()),
            )
        }
        (Kind::Int64, json) => integer(&json)
            .and_then(|number| number.as_i64())
            .map_or_else(|| refused("a whole number of 64 bits", &json), |n| Ok(n.into())),
        (Kind::Uint64, json) => integer(&json)
            .and_then(|number| number.as_u64())
            .map_or_else(|| refused("a whole number from 0 to 2^64-1", &json), |n| Ok(n.into())),
        (Kind::Double, json @ Json::Number(_)) => Ok(json),
        (Kind::Double, json) => match json.as_str().map(str::parse::<f64>) {
            Some(Ok(_)) => Ok(json),
            Some(Err(_)) | None => refused("a number", &json),
        },
        (Kind::Enum(name), json) => enumeration(name, json, path),
        (Kind::Bytes | Kind::Line, json) => match json.as_str().map(|text| STANDARD.decode(text)) {
            Some(Ok(_)) => Ok(json),
            Some(Err(_)) | None => refused("a string of base64", &json),
        },
        (Kind::Timestamp, json) => match json.as_str().and_then(crate::time::parse) {
            Some(time) => serde_json::to_string(&time)
                .map(|text| Json::from(text.trim_matches('"')))
                .map_err(Error::internal),
            None => refused("a time from 1970 on, such as \"2026-01-31T12:00:00Z\"", &json),
        },
        (Kind::Duration, json) => match json.as_str().filter(|text| is_duration(text)) {
            Some(_) => Ok(json),
            None => refused("seconds with an s, such as \"1.5s\"", &json),
        },
        (Kind::FieldMask, json) => match json.as_str() {
            // Generated for the message as any other, and not as the mapping has it.
            Some("") => Ok(Json::object::<&str>([])),
            Some(text) => {
                let paths = text.split(',').map(|path| Json::String(snake(path)));
                Ok(Json::object([("paths", Json::Array(paths.collect()))]))
            }
            None => refused("the names of fields, such as \"title,labels\"", &json),
        },
    }
}

/// A number, or the text of one.
fn integer(json: &Json) -> Option<Number> {
    match json {
        Json::Number(number) => Some(number.clone()),
        Json::String(text) => Number::parse(text),
        Json::Null | Json::Bool(_) | Json::Array(_) | Json::Object(_) => None,
    }
}

fn enumeration(name: &str, json: Json, path: &str) -> Result<Json> {
    let values = &schema().enumeration(name).values;
    let known = match &json {
        Json::String(text) => values.iter().any(|value| value.name == *text),
        Json::Number(number) => {
            values.iter().any(|value| number.as_i64() == Some(value.number.into()))
        }
        Json::Null | Json::Bool(_) | Json::Array(_) | Json::Object(_) => false,
    };
    if known {
        return Ok(json);
    }
    let names: Vec<&str> = values.iter().map(|value| value.name.as_str()).collect();
    Err(unexpected(path, &format!("one of {}", names.join(", ")), &json))
}

/// Whether a text is a duration of the proto3 mapping, of at most 10,000 years.
fn is_duration(text: &str) -> bool {
    let Some(number) = text.strip_suffix('s') else { return false };
    let number = number.strip_prefix('-').unwrap_or(number);
    let (seconds, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let are_digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    are_digits(seconds)
        && are_digits(fraction)
        && fraction.len() <= 9
        && seconds.parse::<u64>().is_ok_and(|seconds| seconds <= 315_576_000_000)
}

/// `workingDirectory` as `working_directory`.
fn snake(name: &str) -> String {
    let mut snake = String::with_capacity(name.len());
    for c in name.chars() {
        if c.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(c.to_ascii_lowercase());
    }
    snake
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// A name or text of a client as a message repeats it.
fn shown(text: &str) -> String {
    match text.char_indices().nth(64) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn unexpected(path: &str, expected: &str, found: &Json) -> Error {
    let found = match found {
        Json::Number(number) => shown(number.as_str()),
        Json::String(text) => format!("{:?}", shown(text)),
        Json::Null | Json::Bool(_) | Json::Array(_) | Json::Object(_) => found.kind().to_owned(),
    };
    invalid(path, format!("expected {expected}, found {found}"))
}

fn invalid(path: &str, problem: impl Into<String>) -> Error {
    let path = if path.is_empty() { "request" } else { path };
    Error::invalid(path.to_owned(), problem)
}
