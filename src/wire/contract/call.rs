//! A request as its handler gets it: decoded, its body read. What HTTP itself
//! refuses has been refused then.

use axum::{
    extract::{FromRequest, FromRequestParts as _, RawPathParams, Request},
    http::Method,
};
use http::HeaderMap;

use super::{body, check::Fields, error::Failure, query};
use crate::{
    app::App,
    id::SessionId,
    json::Json,
    wire::web::{self, Malformed},
};

/// The most UTF-16 code units of a part of the path, but for the key of a
/// setting: with more there is nothing.
const MAX_PARAMETER_UNITS: usize = 100;
/// The part of a path that is the key of a setting.
pub(super) const KEY: &str = "key";

/// A request.
#[derive(Debug)]
pub(super) struct Call {
    /// What it is about.
    pub app: App,
    /// Its body; none where there is none, which is no JSON `null`.
    pub body: Option<Json>,
    query: Json,
    params: Vec<(String, String)>,
    headers: HeaderMap,
    path: String,
}

impl FromRequest<App> for Call {
    type Rejection = Failure;

    async fn from_request(request: Request, app: &App) -> Result<Self, Failure> {
        let (mut parts, body) = request.into_parts();
        let params = RawPathParams::from_request_parts(&mut parts, app).await;
        let params = params.map_err(|_| Failure::bad_path(&parts.uri))?;
        let params: Vec<(String, String)> =
            params.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let is_too_long = |text: &str| text.encode_utf16().count() > MAX_PARAMETER_UNITS;
        if params.iter().any(|(name, value)| name != KEY && is_too_long(value)) {
            return Err(Failure::unknown(&parts.method, &parts.uri));
        }
        let body = match parts.method {
            Method::GET | Method::HEAD => {
                body::drain(body).await;
                None
            }
            _ => body::read(&parts.headers, body).await?,
        };
        let path = parts.uri.path().to_owned();
        let query = query::parse(parts.uri.query().unwrap_or_default());
        Ok(Self { app: app.clone(), body, query, params, headers: parts.headers, path })
    }
}

impl Call {
    /// A part of the path, decoded; empty where the path has no such part.
    pub(super) fn param(&self, name: &str) -> &str {
        let found = self.params.iter().find(|(known, _)| known == name);
        found.map_or("", |(_, value)| value)
    }

    /// The id of the session, as it was given.
    pub(super) fn session(&self) -> &str {
        self.param("id")
    }

    /// The id of the session.
    ///
    /// # Errors
    ///
    /// SESSION_NOT_FOUND for what is no id.
    pub(super) fn session_id(&self) -> Result<SessionId, crate::Error> {
        let text = self.session();
        text.parse().map_err(|_| crate::Error::SessionNotFound { id: text.to_owned() })
    }

    /// What may be refused of the session before anything else is: whether it is
    /// there, and no system's.
    ///
    /// # Errors
    ///
    /// SESSION_NOT_FOUND, SESSION_DELETED, SYSTEM_SESSION.
    pub(super) async fn check_session(&self) -> Result<(), crate::Error> {
        self.app.controls(Some(self.session_id()?)).await.map(drop)
    }

    /// The path, as it was given.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// The members of a body that may be absent.
    pub(super) fn optional_fields(&self) -> Fields<'_> {
        static NOTHING: Json = Json::Object(Vec::new());
        Fields::of(Some(self.body.as_ref().unwrap_or(&NOTHING)))
    }

    /// The members of the body.
    pub(super) fn fields(&self) -> Fields<'_> {
        Fields::of(self.body.as_ref())
    }

    /// The parameters of the query.
    pub(super) fn parameters(&self) -> Fields<'_> {
        Fields::of(Some(&self.query))
    }

    /// The etag that the caller saw; empty for any.
    ///
    /// # Errors
    ///
    /// 400 for what is not one etag, or `*`.
    pub(super) fn if_match(&self) -> Result<String, Failure> {
        let seen = web::if_match(&self.headers);
        let seen = seen.map_err(|_| Failure::invalid(format!("if-match: {}", Malformed::PROBLEM)));
        Ok(seen?.unwrap_or_default())
    }
}
