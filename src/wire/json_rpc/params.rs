//! Parameters, as far as they are the same for all methods.

use super::methods::Method;
use crate::{
    Error, Result,
    json::Json,
    wire::{schema::schema, transcode},
};

/// The message of a call, of its parameters.
pub(super) fn message(method: &Method, params: Option<String>, size: usize) -> Result<Json> {
    let limit = transcode::most_bytes(schema().message(&method.rpc.input));
    if size > limit {
        let (size, limit) = (size as u64, limit as u64);
        return Err(Error::PayloadTooLarge { what: "the call", size, limit, unit: "bytes" });
    }
    let invalid = |problem: String| Error::invalid("params", problem);
    match Json::parse_within(params.as_deref().unwrap_or("{}"), transcode::MAX_DEPTH) {
        Ok(message @ Json::Object(_)) => Ok(message),
        Ok(other) => Err(invalid(format!(
            "expected an object, since parameters are given by their names; found {}",
            other.kind()
        ))),
        Err(error) => Err(invalid(error.to_string())),
    }
}

/// The one parameter of a method that ends a subscription, by its name or, as some
/// clients have it, by its place.
pub(super) fn subscription(params: Option<&str>) -> Result<String> {
    let params = Json::parse(params.unwrap_or("{}"));
    let id = match &params {
        Ok(Json::Object(members)) => match members.as_slice() {
            [(name, id)] if name == "subscription" => id.as_str(),
            _ => None,
        },
        Ok(Json::Array(elements)) => match elements.as_slice() {
            [id] => id.as_str(),
            _ => None,
        },
        Ok(_) | Err(_) => None,
    };
    id.map(str::to_owned).ok_or_else(|| {
        let problem = "expected {\"subscription\": ID}, with the result of the call that began it";
        Error::invalid("subscription", problem)
    })
}
