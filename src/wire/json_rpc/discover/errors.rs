//! Errors and ends of subscriptions, as the document describes them.

use crate::{
    json::Json,
    wire::schemas::{described, many, reference, typed},
};

/// What no message of the contract is.
pub(super) fn schemas() -> Vec<(String, Json)> {
    let property =
        |name: &'static str, schema: Json, comment: &str| (name, described(schema, comment));
    let data = Json::object([
        ("type", "object".into()),
        ("required", ["reason", "metadata"].map(Json::from).to_vec().into()),
        (
            "properties",
            Json::object([
                property("reason", typed("string"), "What to branch on."),
                property(
                    "metadata",
                    Json::object([
                        ("type", "object".into()),
                        ("additionalProperties", typed("string")),
                    ]),
                    "What it is about, as every transport tells it.",
                ),
                property("retryAfter", typed("string"), "When to try again, such as \"1s\"."),
                property("field", typed("string"), "The parameter that is wrong."),
                property("state", typed("string"), "The state of the session."),
                property("current", reference("ScopedControls"), "What cannot be changed."),
                property("matches", many(typed("string")), "The ids that a prefix begins."),
                property("oldestSeq", typed("string"), "The oldest event that is there."),
                property("nextSeq", typed("string"), "The next event that can be read."),
                property("lastSeq", typed("string"), "The last event that was told."),
                property("etag", typed("string"), "The etag that there is."),
                property("turnCount", typed("integer"), "How many turns there are."),
                property("limit", typed("string"), "How large it may be."),
            ]),
        ),
    ]);
    let closed = Json::object([
        ("type", "object".into()),
        ("required", vec![Json::from("reason")].into()),
        (
            "properties",
            Json::object([
                property("reason", typed("string"), "END, or that of the error."),
                property(
                    "lastSeqs",
                    Json::object([
                        ("type", "object".into()),
                        ("additionalProperties", typed("string")),
                    ]),
                    "By session the last seq that it was told, where they are not over 1,000.",
                ),
                property("cursor", typed("string"), "Where to go on."),
                property("lastSeq", typed("string"), "After which to go on."),
                property(
                    "error",
                    Json::object([
                        ("type", "object".into()),
                        ("required", ["code", "message", "data"].map(Json::from).to_vec().into()),
                        (
                            "properties",
                            Json::object([
                                ("code", typed("integer")),
                                ("message", typed("string")),
                                ("data", reference("ErrorData")),
                            ]),
                        ),
                    ]),
                    "Why, where that is an error.",
                ),
            ]),
        ),
    ]);
    vec![("ErrorData".to_owned(), data), ("SubscriptionClosed".to_owned(), closed)]
}

/// Each of them.
pub(super) fn all() -> Json {
    Json::object(ERRORS.map(|(name, code, message)| (name, error(code, message))))
}

fn error(code: i32, message: &str) -> Json {
    Json::object([
        ("code", Json::from(i64::from(code))),
        ("message", message.into()),
        ("data", reference("ErrorData")),
    ])
}

/// Each code that an error has: that of HTTP, except where JSON-RPC has its own.
pub(super) const ERRORS: [(&str, i32, &str); 20] = [
    ("ParseError", -32700, "It is no JSON."),
    ("InvalidRequest", -32600, "It is no request of JSON-RPC 2.0."),
    ("MethodNotFound", -32601, "There is no such method, or not here."),
    ("InvalidParams", -32602, "A parameter is wrong."),
    ("InternalError", -32603, "Something is wrong with the server, or with what it has."),
    ("Unauthenticated", 401, "The token is missing or wrong."),
    ("PermissionDenied", 403, "It may not be done."),
    ("NotFound", 404, "What is named is not there."),
    ("MethodNotAllowed", 405, "It is no POST, and no WebSocket."),
    ("Conflict", 409, "It does not go with what there is."),
    ("Gone", 410, "The session was deleted."),
    ("EtagMismatch", 412, "What was to be changed is not what it was."),
    ("PayloadTooLarge", 413, "Something in it is larger than it may be."),
    ("UnsupportedMediaType", 415, "The body does not say that it is JSON."),
    ("CursorExpired", 416, "What was to be read is there no more."),
    ("Misdirected", 421, "It was meant for another server."),
    ("DefaultsLocked", 423, "The defaults are the operator's."),
    ("Overloaded", 429, "There is too much of something: try again."),
    ("Unavailable", 503, "It cannot be done now: try again."),
    ("DeadlineExceeded", 504, "It took too long."),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_of_the_table_is_an_error_of_the_document() {
        let rows = include_str!("../../../../tests/fixtures/errors.txt").lines();
        for row in rows {
            let code = row.split(' ').nth(2).unwrap();
            let is_it = |(_, known, _): &(&str, i32, &str)| known.to_string() == code;
            assert!(ERRORS.iter().any(is_it), "{row}");
        }
    }
}
