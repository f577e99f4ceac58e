//! Bodies of answers: members in the order of the contract, with JSON that is
//! text already put in as it is, so that numbers stay what they are.

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use http::{
    HeaderValue, StatusCode,
    header::{CONTENT_TYPE, ETAG},
};

use crate::json::Json;

/// A JSON object that is being written.
#[derive(Debug, Clone)]
pub(super) struct Object(String);

impl Object {
    /// An object without members.
    pub(super) fn new() -> Self {
        Self("{".to_owned())
    }

    /// An object with the member `status`, which most bodies begin with.
    pub(super) fn status(status: &str) -> Self {
        Self::new().with("status", status)
    }

    /// This, and one more member.
    pub(super) fn with(mut self, name: &str, value: impl Into<Json>) -> Self {
        self.name(name);
        value.into().write(&mut self.0);
        self
    }

    /// This, and one more member, whose value is JSON text.
    pub(super) fn with_text(mut self, name: &str, json: &str) -> Self {
        self.name(name);
        self.0.push_str(json);
        self
    }

    /// The text of the object.
    pub(super) fn into_text(mut self) -> String {
        self.0.push('}');
        self.0
    }

    fn name(&mut self, name: &str) {
        if self.0.len() > 1 {
            self.0.push(',');
        }
        Json::from(name).write(&mut self.0);
        self.0.push(':');
    }
}

/// An answer.
#[derive(Debug)]
pub(super) struct Answer {
    status: StatusCode,
    body: Object,
    etag: Option<String>,
}

impl Answer {
    /// That something was done.
    pub(super) fn ok(body: Object) -> Self {
        Self::of(StatusCode::OK, body)
    }

    /// An answer of any status.
    pub(super) fn of(status: StatusCode, body: Object) -> Self {
        Self { status, body, etag: None }
    }

    /// This, with the etag of what it shows.
    pub(super) fn etag(self, etag: String) -> Self {
        Self { etag: Some(etag), ..self }
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let Self { status, body, etag } = self;
        let mut response = Response::new(Body::from(body.into_text()));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
        let etag = etag.and_then(|etag| HeaderValue::from_str(&format!("\"{etag}\"")).ok());
        if let Some(etag) = etag {
            headers.insert(ETAG, etag);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_that_is_text_already_stays_as_it_is() {
        let object = Object::status("ok").with("n", 1_u32).with_text("value", "[1.0,1e400]");
        let object = object.with("none", Json::Null).with("a\"b", "c\n");
        let text = r#"{"status":"ok","n":1,"value":[1.0,1e400],"none":null,"a\"b":"c\n"}"#;
        assert_eq!(object.into_text(), text);
        assert_eq!(Object::new().into_text(), "{}");
    }
}
