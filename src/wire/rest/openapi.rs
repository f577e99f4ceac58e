//! The OpenAPI 3.1 document of `/v1`, made of the table of routes and of the
//! descriptors with their comments: there is nothing to keep up to date.

use std::{collections::BTreeSet, sync::LazyLock};

use super::{
    input::field_of,
    routes::{Call, Route, routes},
};
use crate::{
    json::Json,
    wire::{
        schema::{Field, Kind, Message, Shape, schema},
        schemas::{self, Closed, described, properties, reference, told, typed},
    },
};

/// What a client needs to know that no field says.
const ABOUT: &str = "Sessions of coding agents. Messages are those of proto/switchboard/v1 in proto3 JSON, except that a field NAME_json is JSON itself under NAME. A request's message is its body, path and query together; what is said twice must agree, and what is unknown is refused. Branch on the reason of an error, never on its message.";

/// The document.
pub(super) fn document() -> &'static str {
    static DOCUMENT: LazyLock<String> = LazyLock::new(|| make().to_string());
    &DOCUMENT
}

fn make() -> Json {
    let mut paths: Vec<(String, Json)> = Vec::new();
    for route in routes() {
        if paths.iter().any(|(path, _)| path == route.path) {
            continue;
        }
        let mut operations: Vec<(String, Json)> = Vec::new();
        for first in routes().iter().filter(|other| other.path == route.path) {
            let method = first.method.as_str().to_ascii_lowercase();
            if operations.iter().all(|(known, _)| *known != method) {
                let all = routes().iter();
                let all =
                    all.filter(|other| other.path == first.path && other.method == first.method);
                operations.push((method, operation(&all.collect::<Vec<_>>())));
            }
        }
        paths.push((route.path.to_owned(), Json::Object(operations)));
    }
    Json::object([
        ("openapi", "3.1.0".into()),
        (
            "info",
            Json::object([
                ("title", "Switchboard".into()),
                ("version", env!("CARGO_PKG_VERSION").into()),
                ("description", ABOUT.into()),
            ]),
        ),
        ("servers", vec![Json::object([("url", "/".into())])].into()),
        ("security", vec![Json::object([("bearer", Json::Array(Vec::new()))])].into()),
        ("paths", Json::Object(paths)),
        (
            "components",
            Json::object([
                ("schemas", schemas::all(vec![("Error".to_owned(), error())], &used(), &closed())),
                ("responses", Json::object([("Error", error_response())])),
                (
                    "securitySchemes",
                    Json::object([(
                        "bearer",
                        Json::object([
                            ("type", "http".into()),
                            ("scheme", "bearer".into()),
                            (
                                "description",
                                "The content of the file token in the server's home. Its Unix socket needs none."
                                    .into(),
                            ),
                        ]),
                    )]),
                ),
            ]),
        ),
    ])
}

/// One operation: what is at one place with one method, told and streamed.
fn operation(routes: &[&Route]) -> Json {
    let comments: Vec<String> = routes.iter().map(|route| comment(routes, route)).collect();
    let first = routes[0];
    let mut operation = vec![
        ("operationId", id(routes).into()),
        ("tags", vec![first.rpc.service.as_str().into()].into()),
        ("description", comments.join("\n\n").into()),
    ];
    let parameters = parameters(routes);
    if !parameters.is_empty() {
        operation.push(("parameters", parameters.into()));
    }
    if first.takes_body() {
        operation.push(("requestBody", body(first)));
    }
    let content = routes.iter().map(|route| match route.call {
        Call::Unary(_) => ("application/json", reference(&route.rpc.output)),
        Call::Stream(_) => ("text/event-stream", Json::object([("type", "string".into())])),
        Call::Bytes(_) => ("application/octet-stream", Json::object::<&str>([])),
    });
    let content = content.map(|(media, schema)| (media, Json::object([("schema", schema)])));
    let error = Json::object([("$ref", "#/components/responses/Error".into())]);
    let answer =
        [("description", "What was asked for.".into()), ("content", Json::object(content))];
    operation.push((
        "responses",
        Json::object([("200", Json::object(answer)), ("4XX", error.clone()), ("5XX", error)]),
    ));
    Json::object(operation)
}

/// The name of the method, with where it is as long as it is at several places.
fn id(these: &[&Route]) -> String {
    let names: Vec<&str> = these.iter().map(|route| route.rpc.name.as_str()).collect();
    let mut id = names.join("Or");
    let first = these[0];
    let others = routes().iter().filter(|route| std::ptr::eq(route.rpc, first.rpc));
    if others.count() > 1 {
        let words = first.path.split('/').filter(|word| !word.is_empty() && *word != "v1");
        let words = words.map(|word| word.trim_matches(['{', '}']).replace('_', ""));
        id = format!("{id}_{}", words.collect::<Vec<_>>().join("_"));
    }
    id
}

fn comment(routes: &[&Route], route: &Route) -> String {
    let comment = told(&route.rpc.comment);
    match route.call {
        Call::Stream(_) if routes.len() > 1 => {
            format!("With `accept: text/event-stream`, and parameters of its own:\n\n{comment}")
        }
        Call::Unary(_) | Call::Stream(_) | Call::Bytes(_) => comment,
    }
}

fn parameters(routes: &[&Route]) -> Vec<Json> {
    let mut known = BTreeSet::new();
    let mut parameters = Vec::new();
    for route in routes {
        let message = schema().message(&route.rpc.input);
        for name in route.parameters() {
            let field = message.field(&field_of(message, name));
            let comment = field.map_or("", |field| field.comment.as_str());
            let text = Json::object([("type", "string".into())]);
            if known.insert(name.to_owned()) {
                parameters.push(parameter(
                    "path",
                    name,
                    comment,
                    text,
                    &[("required", true.into())],
                ));
            }
        }
        if !route.takes_body() {
            for (name, field) in left_to_say(route, message) {
                in_query(&name, field, &mut known, &mut parameters);
            }
        }
        for (name, comment) in headers(route, message) {
            let text = Json::object([("type", "string".into())]);
            if known.insert(name.to_owned()) {
                parameters.push(parameter("header", name, comment, text, &[]));
            }
        }
    }
    parameters
}

fn parameter(place: &str, name: &str, comment: &str, schema: Json, more: &[(&str, Json)]) -> Json {
    let mut parameter = vec![
        ("name", name.into()),
        ("in", place.into()),
        ("description", told(comment).into()),
        ("schema", schema),
    ];
    parameter.extend(more.iter().cloned());
    Json::object(parameter)
}

fn in_query(name: &str, field: &Field, known: &mut BTreeSet<String>, to: &mut Vec<Json>) {
    if let (Kind::Message(inner), Shape::One) = (&field.kind, field.shape) {
        for inner in &schema().message(inner).fields {
            in_query(&format!("{name}.{}", inner.json), inner, known, to);
        }
        return;
    }
    let style: &[(&str, Json)] = match field.shape {
        Shape::Map => &[("style", "deepObject".into()), ("explode", true.into())],
        Shape::One | Shape::Many => &[],
    };
    if known.insert(name.to_owned()) {
        to.push(parameter("query", name, &field.comment, schemas::in_query(field), style));
    }
}

fn headers(route: &Route, message: &Message) -> Vec<(&'static str, &'static str)> {
    let mut headers = Vec::new();
    if message.proto_field("request_id").is_some() {
        headers.push(("Idempotency-Key", "The same as requestId."));
    }
    if message.proto_field("etag").is_some() {
        headers.push(("If-Match", "The same as etag, in quotes; * for none."));
    }
    if route.resume.is_some() {
        headers
            .push(("Last-Event-ID", "For a stream: the id of the last event that was received. Events of several sessions have none."));
    }
    headers
}

/// The fields that neither the path nor the place says, as our JSON has them.
fn left_to_say<'a>(
    route: &Route,
    message: &'a Message,
) -> impl Iterator<Item = (String, &'a Field)> {
    let said: Vec<String> = route
        .parameters()
        .map(|name| field_of(message, name))
        .chain(route.says.iter().map(|(name, _)| (*name).to_owned()))
        .collect();
    let fields = message.fields.iter().filter(move |field| !said.contains(&field.name));
    fields.map(|field| (field.json.clone(), field))
}

fn body(route: &Route) -> Json {
    let message = schema().message(&route.rpc.input);
    let fields: Vec<&Field> = left_to_say(route, message).map(|(_, field)| field).collect();
    let schema = Json::object([
        ("description", told(&message.comment).into()),
        ("type", "object".into()),
        ("properties", properties(&fields, Closed::Yes)),
        ("additionalProperties", false.into()),
    ]);
    let content = Json::object([("application/json", Json::object([("schema", schema)]))]);
    Json::object([("content", content)])
}

/// The messages of requests, which take nothing unknown.
fn closed() -> BTreeSet<&'static str> {
    let bodies = routes().iter().filter(|route| route.takes_body());
    schemas::reachable(bodies.map(|route| route.rpc.input.as_str()))
}

/// Every message that an answer or a body has in it.
fn used() -> BTreeSet<&'static str> {
    let unary = routes().iter().filter(|route| matches!(route.call, Call::Unary(_)));
    let mut used = schemas::reachable(unary.map(|route| route.rpc.output.as_str()));
    let whole: BTreeSet<&str> = routes().iter().map(|route| route.rpc.input.as_str()).collect();
    used.extend(closed().into_iter().filter(|name| !whole.contains(name)));
    used
}

fn error_response() -> Json {
    let content = Json::object([(
        "application/json",
        Json::object([("schema", Json::object([("$ref", "#/components/schemas/Error".into())]))]),
    )]);
    Json::object([("description", "What went wrong.".into()), ("content", content)])
}

fn error() -> Json {
    let property =
        |name: &'static str, kind: &str, comment: &str| (name, described(typed(kind), comment));
    let metadata = Json::object([
        ("description", "What a program needs to act.".into()),
        ("type", "object".into()),
        ("additionalProperties", typed("string")),
    ]);
    let inner = Json::object([
        ("type", "object".into()),
        ("required", ["code", "message", "reason", "metadata"].map(Json::from).to_vec().into()),
        (
            "properties",
            Json::object([
                property("code", "integer", "The status of the answer."),
                property("message", "string", "What went wrong, for people."),
                property("reason", "string", "What to branch on."),
                ("metadata", metadata),
            ]),
        ),
    ]);
    Json::object([
        ("description", "An error.".into()),
        ("type", "object".into()),
        ("required", vec![Json::from("error")].into()),
        ("properties", Json::object([("error", inner)])),
    ])
}
