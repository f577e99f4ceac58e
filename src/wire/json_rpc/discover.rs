//! `rpc.discover`: the OpenRPC document of `/rpc`, made of the table of methods
//! and of the descriptors with their comments: there is nothing to keep up to
//! date.

mod errors;

use std::{collections::BTreeSet, sync::LazyLock};

use super::{
    DISCOVER,
    methods::{Call, Method, methods},
    output::MAX_CHUNK_BYTES,
};
use crate::{
    json::Json,
    wire::{
        schema::{Field, Kind, schema},
        schemas::{self, many, of_field, reference, typed},
    },
};

/// What a client needs to know that no method says.
const ABOUT: &str = "Sessions of coding agents. Parameters are given by their names, all of them optional as far as the form goes. Messages are those of proto/switchboard/v1 in proto3 JSON, except that a field NAME_json is JSON itself under NAME. Branch on data.reason of an error, never on its message or code.";

/// The document.
pub(super) fn document() -> &'static str {
    static DOCUMENT: LazyLock<String> = LazyLock::new(|| make().to_string());
    &DOCUMENT
}

fn make() -> Json {
    let mut all = Vec::new();
    for found in methods() {
        all.push(method(found));
        if let Call::Watch { unwatch, .. } = found.call {
            all.push(ending(unwatch, found.name));
        }
    }
    all.push(itself());
    Json::object([
        ("openrpc", "1.3.2".into()),
        (
            "info",
            Json::object([
                ("title", "Switchboard".into()),
                ("version", env!("CARGO_PKG_VERSION").into()),
                ("description", ABOUT.into()),
            ]),
        ),
        ("methods", Json::Array(all)),
        (
            "components",
            Json::object([
                ("schemas", schemas::all(errors::schemas(), &used(), &closed())),
                ("errors", errors::all()),
            ]),
        ),
    ])
}

fn method(method: &Method) -> Json {
    let input = schema().message(&method.rpc.input);
    let params = input.fields.iter().map(param).collect::<Vec<_>>();
    let (result, more) = match method.call {
        Call::Unary(_) if method.name == "session/readOutput" => {
            let more = format!(
                "\n\nHere the answer is one chunk: of at most {MAX_CHUNK_BYTES} bytes, from offset on. Read on at offset plus the bytes that came, until that is totalSize."
            );
            (("answer", reference(&method.rpc.output)), more)
        }
        Call::Unary(_) => (("answer", reference(&method.rpc.output)), String::new()),
        Call::Watch { unwatch, notification, .. } => {
            let more = format!(
                "\n\nOver a WebSocket only. The result is the id of the subscription; its messages come in notifications {notification:?}, as x-notification has them. {unwatch} ends it."
            );
            (("subscription", typed("string")), more)
        }
    };
    let comment = format!("{}{more}", schemas::told(&method.rpc.comment));
    let mut declared = declared(method.name, &comment, params, result);
    if let (Json::Object(members), Call::Watch { notification, .. }) = (&mut declared, &method.call)
    {
        let notification = self::notification(notification, &method.rpc.output);
        members.push(("x-notification".to_owned(), notification));
    }
    declared
}

/// What a subscription is told by.
fn notification(name: &str, message: &str) -> Json {
    let result = Json::object([
        ("type", "object".into()),
        ("required", vec![Json::from("messages")].into()),
        (
            "properties",
            Json::object([
                ("messages", many(reference(message))),
                ("closed", reference("SubscriptionClosed")),
            ]),
        ),
    ]);
    let params = Json::object([
        ("type", "object".into()),
        ("required", ["subscription", "result"].map(Json::from).to_vec().into()),
        ("properties", Json::object([("subscription", typed("string")), ("result", result)])),
    ]);
    Json::object([("method", name.into()), ("params", params)])
}

fn param(field: &Field) -> Json {
    Json::object([
        ("name", field.json.as_str().into()),
        ("description", schemas::comment_of(field).into()),
        ("required", false.into()),
        ("schema", of_field(field)),
    ])
}

fn ending(unwatch: &str, watch: &str) -> Json {
    let comment = format!(
        "Ends a subscription of {watch}. The result says whether there was one. Nothing more comes of it."
    );
    let subscription = Json::object([
        ("name", "subscription".into()),
        ("description", format!("The result of {watch}.").into()),
        ("required", true.into()),
        ("schema", typed("string")),
    ]);
    declared(unwatch, &comment, vec![subscription], ("ended", typed("boolean")))
}

fn itself() -> Json {
    let comment = "Tells what there is to call: this document.";
    declared(DISCOVER, comment, Vec::new(), ("document", typed("object")))
}

fn declared(name: &str, comment: &str, params: Vec<Json>, result: (&str, Json)) -> Json {
    let (called, schema) = result;
    let errors = errors::ERRORS
        .map(|(name, ..)| Json::object([("$ref", format!("#/components/errors/{name}").into())]));
    Json::object([
        ("name", name.into()),
        ("description", comment.into()),
        ("paramStructure", "by-name".into()),
        ("params", Json::Array(params)),
        ("result", Json::object([("name", called.into()), ("schema", schema)])),
        ("errors", errors.to_vec().into()),
    ])
}

/// The messages in requests, which take nothing unknown.
fn closed() -> BTreeSet<&'static str> {
    let whole: BTreeSet<&str> = methods().iter().map(|method| method.rpc.input.as_str()).collect();
    let inputs = schemas::reachable(whole.iter().copied()).into_iter();
    inputs.filter(|name| !whole.contains(name)).collect()
}

/// Every message that an answer, a notification or a parameter has in it.
fn used() -> BTreeSet<&'static str> {
    let mut used = schemas::reachable(methods().iter().map(|method| method.rpc.output.as_str()));
    used.extend(closed());
    // Parameters may be the only place of an enumeration, but not of a message.
    for method in methods() {
        for field in &schema().message(&method.rpc.input).fields {
            if let Kind::Message(name) = &field.kind {
                used.insert(name);
            }
        }
    }
    used
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_document_refers_to_is_in_it() {
        let text = document();
        let document = Json::parse_within(text, 100).unwrap();
        let schemas = document.get("components").and_then(|found| found.get("schemas")).unwrap();
        let referred = text.split("\"#/components/schemas/").skip(1);
        for name in referred.filter_map(|rest| rest.split('"').next()) {
            assert!(schemas.get(name).is_some(), "{name}");
        }
    }

    #[test]
    fn the_document_calls_what_is_json_as_parameters_do() {
        for name in ["settings_json", "value_json"] {
            assert!(!document().contains(name), "{name}");
        }
    }
}
