//! Messages and enumerations as schemas of JSON Schema, for the documents in
//! which the JSON transports describe themselves.

use std::collections::BTreeSet;

use crate::{
    json::Json,
    wire::schema::{Field, Kind, Message, Shape, schema},
};

/// Whether a message takes what it does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Closed {
    /// It is refused.
    Yes,
    /// A later server may answer with it.
    No,
}

/// The schemas of these messages and of the enumerations in them, besides others.
pub(crate) fn all(
    others: Vec<(String, Json)>,
    messages: &BTreeSet<&str>,
    closed: &BTreeSet<&str>,
) -> Json {
    let mut schemas = others;
    let mut enums = BTreeSet::new();
    for name in messages {
        let found = schema().message(name);
        let closed = if closed.contains(name) { Closed::Yes } else { Closed::No };
        schemas.push(((*name).to_owned(), message(found, closed)));
    }
    // Requests may name one that no answer has.
    let inputs = schema().methods.iter().map(|method| method.input.as_str());
    for name in messages.iter().copied().chain(inputs) {
        for field in &schema().message(name).fields {
            if let Kind::Enum(name) = &field.kind {
                enums.insert(name.as_str());
            } else if let Kind::Message(inner) = &field.kind {
                enums.extend(schema().message(inner).fields.iter().filter_map(|field| {
                    if let Kind::Enum(name) = &field.kind { Some(name.as_str()) } else { None }
                }));
            }
        }
    }
    schemas.extend(enums.into_iter().map(|name| (name.to_owned(), enumeration(name))));
    Json::Object(schemas)
}

/// These messages and all that are in them.
pub(crate) fn reachable<'a>(names: impl Iterator<Item = &'a str>) -> BTreeSet<&'a str>
where
    'static: 'a,
{
    let (mut seen, mut open) = (BTreeSet::new(), names.collect::<Vec<_>>());
    while let Some(name) = open.pop() {
        if seen.insert(name) {
            open.extend(schema().message(name).fields.iter().filter_map(Field::message));
        }
    }
    seen
}

/// A comment of the contract with the names that fields have here.
pub(crate) fn told(comment: &str) -> String {
    let fields = schema().messages.values().flat_map(|message| &message.fields);
    let embedded = fields.filter(|field| field.kind == Kind::Json);
    embedded.fold(comment.to_owned(), |told, field| told.replace(&field.name, field.called()))
}

/// The comment of a field as it holds here, where JSON is itself in a message and
/// not the text of it.
pub(crate) fn comment_of(field: &Field) -> String {
    if field.kind != Kind::Json {
        return told(&field.comment);
    }
    let comment = field.comment.replace('\n', " ").replace(", verbatim", "");
    let comment = comment.replace("the text of a JSON object", "a JSON object");
    comment.replace("The text of a JSON object", "A JSON object").replace("JSON text", "JSON")
}

/// Whether a field that is JSON is always an object, as its comment says.
fn is_object(field: &Field) -> bool {
    field.kind == Kind::Json && field.comment.contains("text of a JSON object")
}

/// A reference to a schema of the document.
pub(crate) fn reference(name: &str) -> Json {
    Json::object([("$ref", format!("#/components/schemas/{name}").into())])
}

/// The properties that fields are.
pub(crate) fn properties(fields: &[&Field], closed: Closed) -> Json {
    let mut properties = Vec::new();
    for field in fields {
        properties.push((field.json.clone(), described(of_field(field), &comment_of(field))));
        let other = if field.kind == Kind::Line {
            Some(("rawBase64".to_owned(), "Where the line is no JSON that all can read."))
        } else if field.kind == Kind::Json && closed == Closed::No {
            Some((field.proto_json.clone(), "Where the text is no JSON that all can read."))
        } else {
            None
        };
        if let Some((name, comment)) = other {
            let text = typed("string");
            let text = if field.shape == Shape::Many { many(text) } else { text };
            properties.push((name, described(text, comment)));
        }
    }
    Json::Object(properties)
}

/// What a parameter of a query is.
pub(crate) fn in_query(field: &Field) -> Json {
    let whole = |least: Json, most: Json| {
        Json::object([("type", "integer".into()), ("minimum", least), ("maximum", most)])
    };
    let one = if field.kind == Kind::Uint64 {
        whole(0_u64.into(), u64::MAX.into())
    } else if field.kind == Kind::Int64 {
        whole(i64::MIN.into(), i64::MAX.into())
    } else {
        of_kind(&field.kind)
    };
    shaped(one, field.shape)
}

fn message(message: &Message, closed: Closed) -> Json {
    let fields: Vec<&Field> = message.fields.iter().collect();
    let mut comment = told(&message.comment);
    let oneofs: BTreeSet<&str> = fields.iter().filter_map(|field| field.oneof.as_deref()).collect();
    for oneof in oneofs {
        let of = fields.iter().filter(|field| field.oneof.as_deref() == Some(oneof));
        let names: Vec<&str> = of.map(|field| field.json.as_str()).collect();
        comment += &format!("\n\nAt most one is there of {}.", names.join(", "));
    }
    let mut schema = vec![
        ("description", comment.into()),
        ("type", "object".into()),
        ("properties", properties(&fields, closed)),
    ];
    if closed == Closed::Yes {
        schema.push(("additionalProperties", false.into()));
    }
    Json::object(schema)
}

fn enumeration(name: &str) -> Json {
    let found = schema().enumeration(name);
    let mut comment = format!("{}\n", told(&found.comment));
    for value in &found.values {
        comment += &format!("\n- `{}`: {}", value.name, told(&value.comment).replace('\n', " "));
    }
    let names = found.values.iter().map(|value| Json::from(value.name.as_str()));
    Json::object([
        ("description", comment.into()),
        ("type", "string".into()),
        ("enum", Json::Array(names.collect())),
    ])
}

/// What a field is.
pub(crate) fn of_field(field: &Field) -> Json {
    let one = if is_object(field) { typed("object") } else { of_kind(&field.kind) };
    shaped(one, field.shape)
}

fn shaped(one: Json, shape: Shape) -> Json {
    match shape {
        Shape::One => one,
        Shape::Many => many(one),
        Shape::Map => Json::object([("type", "object".into()), ("additionalProperties", one)]),
    }
}

/// An array of it.
pub(crate) fn many(one: Json) -> Json {
    Json::object([("type", "array".into()), ("items", one)])
}

fn of_kind(kind: &Kind) -> Json {
    let with = |more: &[(&str, Json)]| {
        let mut schema = vec![("type", Json::from("string"))];
        schema.extend(more.iter().cloned());
        Json::object(schema)
    };
    let whole = |format: &str, least: i64, most: i64| {
        Json::object([
            ("type", "integer".into()),
            ("format", format.into()),
            ("minimum", least.into()),
            ("maximum", most.into()),
        ])
    };
    match kind {
        Kind::Bool => typed("boolean"),
        Kind::Int32 => whole("int32", i32::MIN.into(), i32::MAX.into()),
        Kind::Uint32 => whole("uint32", 0, u32::MAX.into()),
        Kind::Int64 => with(&[("format", "int64".into()), ("pattern", "^-?[0-9]{1,19}$".into())]),
        Kind::Uint64 => with(&[("format", "uint64".into()), ("pattern", "^[0-9]{1,20}$".into())]),
        Kind::Double => typed("number"),
        Kind::String => typed("string"),
        Kind::Bytes => with(&[("contentEncoding", "base64".into())]),
        Kind::Timestamp => with(&[("format", "date-time".into())]),
        Kind::Duration => with(&[("pattern", r"^-?[0-9]{1,12}(\.[0-9]{1,9})?s$".into())]),
        Kind::FieldMask => typed("string"),
        Kind::Json | Kind::Line => Json::object::<&str>([]),
        Kind::Enum(name) | Kind::Message(name) => reference(name),
    }
}

/// Of this type.
pub(crate) fn typed(name: &str) -> Json {
    Json::object([("type", name.into())])
}

/// With what it is for.
pub(crate) fn described(mut schema: Json, comment: &str) -> Json {
    if let Json::Object(members) = &mut schema {
        members.insert(0, ("description".to_owned(), comment.into()));
    }
    schema
}
