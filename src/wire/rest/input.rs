//! What a request says, all together as the JSON of its message: the body, and
//! over it the path, the query and the headers. What is said twice must agree.

use axum::{body::Body, extract::RawPathParams};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, Method,
    header::{CONTENT_ENCODING, CONTENT_TYPE},
    request::Parts,
};

use super::{
    query,
    routes::{At, Resume, Route},
};
use crate::{
    Error, Result,
    json::Json,
    wire::{
        body::{self, Read},
        schema::{Kind, Message, Shape, schema},
        transcode,
        web::{self, Malformed},
    },
};

/// What a repeated request is known by.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Where a stream goes on.
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

type Members = Vec<(String, Json)>;

/// The message of a request.
///
/// # Errors
///
/// INVALID_ARGUMENT, PAYLOAD_TOO_LARGE, UNSUPPORTED_MEDIA_TYPE.
pub(super) async fn message(
    route: &Route,
    parts: &Parts,
    params: &RawPathParams,
    body: Body,
) -> Result<Json> {
    let message = schema().message(&route.rpc.input);
    let bytes = read(route, message, &parts.headers, body).await?;
    let mut members = if bytes.is_empty() { Vec::new() } else { parse(route, parts, &bytes)? };
    if let Some(mask) = mask(message, &members) {
        members.push(("updateMask".to_owned(), mask.into()));
    }
    let mut said = Vec::new();
    for (name, value) in params.iter() {
        query::put(message, &mut said, &field_of(message, name), value.to_owned())?;
    }
    for (name, value) in &route.says {
        query::put(message, &mut said, name, (*value).to_owned())?;
    }
    for (name, value) in query::parameters(parts.uri.query().unwrap_or_default())? {
        query::put(message, &mut said, &name, value)?;
    }
    put_headers(route, message, &parts.headers, &mut said)?;
    query::join(message, &mut members, said)?;
    Ok(Json::Object(members))
}

/// The field that a parameter of a path is.
pub(super) fn field_of(message: &Message, parameter: &str) -> String {
    match message.field(parameter) {
        Some(_) => parameter.to_owned(),
        None => format!("{parameter}s"),
    }
}

async fn read(route: &Route, message: &Message, headers: &HeaderMap, body: Body) -> Result<Bytes> {
    let limit = if route.takes_body() { transcode::most_bytes(message) } else { 0 };
    let Read { bytes, size } = body::read(headers, body, limit).await?;
    match (size > limit, route.takes_body()) {
        (false, _) => Ok(bytes),
        (true, false) => {
            let problem = format!("{} takes none: use the query", route.method);
            Err(Error::invalid("body", problem))
        }
        (true, true) => Err(Error::PayloadTooLarge {
            what: "the body",
            size: size as u64,
            limit: limit as u64,
            unit: "bytes",
        }),
    }
}

fn parse(route: &Route, parts: &Parts, bytes: &[u8]) -> Result<Members> {
    let given = header(&parts.headers, CONTENT_TYPE)?.unwrap_or("none");
    let media = given.split(';').next().unwrap_or_default().trim();
    if !media.eq_ignore_ascii_case("application/json") {
        let problem = format!(
            "the content-type is {given:?}; a body must be JSON and say so: content-type: application/json"
        );
        return Err(Error::UnsupportedMediaType { problem });
    }
    if let Some(encoding) = header(&parts.headers, CONTENT_ENCODING)?
        && !encoding.eq_ignore_ascii_case("identity")
    {
        let problem = format!("the content-encoding is {encoding:?}; send the body as it is");
        return Err(Error::UnsupportedMediaType { problem });
    }
    let invalid = |problem: String| Error::invalid("body", problem);
    let text = std::str::from_utf8(bytes).map_err(|error| invalid(error.to_string()))?;
    match Json::parse_within(text, transcode::MAX_DEPTH)
        .map_err(|error| invalid(error.to_string()))?
    {
        Json::Object(members) => Ok(members),
        other @ (Json::Null
        | Json::Bool(_)
        | Json::Number(_)
        | Json::String(_)
        | Json::Array(_)) => Err(invalid(format!(
            "expected an object of {}, found {}",
            route.rpc.input,
            other.kind()
        ))),
    }
}

/// The mask of an update that has none: what its body says is what changes.
fn mask(message: &Message, members: &Members) -> Option<String> {
    let mask = message.proto_field("update_mask")?;
    if members.iter().any(|(name, _)| *name == mask.name || *name == mask.json) {
        return None;
    }
    let resource = message.fields.iter().find_map(|field| match (&field.kind, field.shape) {
        (Kind::Message(inner), Shape::One) => Some((field, schema().message(inner))),
        _ => None,
    });
    let (field, inner) = resource?;
    let (_, Json::Object(changed)) =
        members.iter().find(|(name, _)| *name == field.name || *name == field.json)?
    else {
        return None;
    };
    let names = changed
        .iter()
        .map(|(name, _)| inner.field(name).map_or(name.as_str(), |field| field.name.as_str()));
    Some(names.collect::<Vec<_>>().join(","))
}

fn put_headers(
    route: &Route,
    message: &Message,
    headers: &HeaderMap,
    said: &mut Members,
) -> Result<()> {
    if let Some(Resume { field, at }) = route.resume
        && let Some(id) = header(headers, LAST_EVENT_ID)?.filter(|id| !id.is_empty())
    {
        let id = match at {
            At::Id => id.to_owned(),
            At::BehindId => {
                let last: u64 = id.parse().map_err(|_| {
                    Error::invalid("last-event-id", format!("{id:?}: expected the seq of an event"))
                })?;
                last.saturating_add(1).to_string()
            }
        };
        // A client that comes back asks where it began, and says where it is.
        if let Some(field) = message.proto_field(field) {
            let many = format!("{}s", field.json);
            said.retain(|(name, _)| *name != field.json && *name != many);
        }
        query::put(message, said, field, id)?;
    }
    if !route.takes_body() && route.method != Method::DELETE {
        return Ok(());
    }
    if let Some(key) = header(headers, IDEMPOTENCY_KEY)? {
        put_header(message, said, "idempotency-key", "request_id", web::unquoted(key))?;
    }
    let seen = web::if_match(headers);
    match seen.map_err(|_| Error::invalid("if-match", Malformed::PROBLEM))? {
        None => Ok(()),
        Some(etag) => put_header(message, said, "if-match", "etag", &etag),
    }
}

fn put_header(
    message: &Message,
    said: &mut Members,
    header: &'static str,
    field: &str,
    value: &str,
) -> Result<()> {
    if message.proto_field(field).is_none() {
        return Err(Error::invalid(header, format!("{} has no {field}", message.name)));
    }
    query::put(message, said, field, value.to_owned())
}

/// The only header of this name.
fn header(headers: &HeaderMap, name: HeaderName) -> Result<Option<&str>> {
    let mut values = headers.get_all(&name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => match value.to_str() {
            Ok(text) => Ok(Some(text)),
            Err(_) => Err(Error::invalid(name.to_string(), "expected ASCII")),
        },
        (Some(_), Some(_)) => Err(Error::invalid(name.to_string(), "is there twice")),
    }
}
