//! What is where: one line for each method of the contract.
//!
//! A parameter of a path is the field of the request's message that has its
//! name, or the only element of the one that has its plural.

use std::sync::LazyLock;

use bytes::Bytes;
use futures_util::stream::BoxStream;
use http::Method;

use axum::response::Response;

use super::{CALLER, output, sse};
use crate::{
    Result,
    wire::{
        answers::{Answers, answers},
        operations,
        schema::{self, schema},
        transcode,
    },
};

/// One method of the contract at its place.
pub(super) struct Route {
    pub method: Method,
    pub path: &'static str,
    pub rpc: &'static schema::Method,
    pub call: Call,
    /// What the place says of the request: fields with their values.
    pub says: Vec<(&'static str, &'static str)>,
    /// For a stream: what `Last-Event-ID` is in the request.
    pub resume: Option<Resume>,
}

/// What answers.
pub(super) enum Call {
    /// One message.
    Unary(Answers<String>),
    /// Server-sent events.
    Stream(Answers<Events>),
    /// Bytes as they are.
    Bytes(Answers<Response>),
}

/// Server-sent events as bytes.
pub(super) type Events = BoxStream<'static, Result<Bytes>>;

/// The field by which a stream goes on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Resume {
    pub field: &'static str,
    pub at: At,
}

/// What the field is that goes on after an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum At {
    /// Its id.
    Id,
    /// The number that follows its id: the first to be sent.
    BehindId,
}

/// All of them.
pub(super) fn routes() -> &'static [Route] {
    static ROUTES: LazyLock<Vec<Route>> = LazyLock::new(table);
    &ROUTES
}

/// The operation with its message read, and its answer written.
macro_rules! unary {
    ($operation:path $(, $write:expr)?) => {
        Call::Unary(answers!(CALLER, $operation $(, $write)?))
    };
}

/// The operation with its message read, and each of its answers as an event.
macro_rules! stream {
    ($operation:path) => {
        Call::Stream(|app, rpc, message| {
            Box::pin(async move {
                let request = transcode::read(schema().message(&rpc.input), message)?;
                let answers = $operation(&app, &CALLER, request).await?;
                Ok(sse::events_of(schema().message(&rpc.output), answers))
            })
        })
    };
}

#[rustfmt::skip]
fn table() -> Vec<Route> {
    vec![
        post("/v1/sessions", "SessionService.CreateSession", unary!(operations::create_session)),
        get("/v1/sessions", "SessionService.ListSessions", unary!(operations::list_sessions)),
        get("/v1/sessions", "SessionService.WatchSessions", stream!(operations::watch_sessions))
            .resumes("cursor", At::Id),
        get("/v1/sessions/{session_id}", "SessionService.GetSession", unary!(operations::get_session)),
        patch("/v1/sessions/{session_id}", "SessionService.UpdateSession", unary!(operations::update_session)),
        delete("/v1/sessions/{session_id}", "SessionService.DeleteSession", unary!(operations::delete_session)),
        post("/v1/sessions/{session_id}/turns", "SessionService.StartTurn", unary!(operations::start_turn)),
        get("/v1/sessions/{session_id}/turns", "SessionService.ListTurns", unary!(operations::list_turns)),
        post("/v1/sessions/{session_id}/interrupt", "SessionService.InterruptTurn", unary!(operations::interrupt_turn)),
        post("/v1/sessions/{session_id}/kill", "SessionService.KillSession", unary!(operations::kill_session)),
        post("/v1/sessions/{session_id}/fork", "SessionService.ForkSession", unary!(operations::fork_session)),
        get("/v1/sessions/{session_id}/wait", "SessionService.WaitSession", unary!(operations::wait_session)),
        get("/v1/sessions/{session_id}/messages", "SessionService.ListMessages", unary!(operations::list_messages)),
        get("/v1/sessions/{session_id}/trajectory", "SessionService.GetTrajectory", unary!(operations::get_trajectory)),
        get("/v1/sessions/{session_id}/output", "SessionService.ReadOutput", output::CALL),
        // Not below /v1/sessions, where it would look like a session's id.
        post("/v1/cleanup", "SessionService.CleanupSessions", unary!(operations::cleanup_sessions)),
        get("/v1/sessions/{session_id}/events", "EventService.ListEvents", unary!(operations::list_events, |_, page| transcode::page(page))),
        get("/v1/sessions/{session_id}/events", "EventService.WatchEvents", sse::WATCH)
            .resumes("start_seq", At::BehindId),
        // With one session, whose events alone have ids; the operation refuses it else.
        get("/v1/events", "EventService.WatchEvents", sse::WATCH)
            .resumes("start_seq", At::BehindId),
        get("/v1/sessions/{session_id}/settings", "SettingsService.GetSettings", unary!(operations::get_settings))
            .says("scope", "SCOPE_SESSION"),
        patch("/v1/sessions/{session_id}/settings", "SettingsService.UpdateSettings", unary!(operations::update_settings))
            .says("scope", "SCOPE_SESSION"),
        get("/v1/sessions/{session_id}/settings/{key}", "SettingsService.GetSettings", unary!(operations::get_settings))
            .says("scope", "SCOPE_SESSION"),
        put("/v1/sessions/{session_id}/settings/{key}", "SettingsService.UpdateSettings", unary!(operations::update_settings))
            .says("scope", "SCOPE_SESSION"),
        delete("/v1/sessions/{session_id}/settings/{key}", "SettingsService.DeleteSetting", unary!(operations::delete_setting))
            .says("scope", "SCOPE_SESSION"),
        // The empty key, which a map may hold, makes no segment that {key} would take.
        delete("/v1/sessions/{session_id}/settings/", "SettingsService.DeleteSetting", unary!(operations::delete_setting))
            .says("scope", "SCOPE_SESSION")
            .says("key", ""),
        get("/v1/sessions/{session_id}/controls", "ControlsService.GetControls", unary!(operations::get_controls)),
        put("/v1/sessions/{session_id}/controls", "ControlsService.ApplyControls", unary!(operations::apply_controls))
            .says("scope", "SCOPE_SESSION"),
        get("/v1/defaults/settings", "SettingsService.GetSettings", unary!(operations::get_settings))
            .says("scope", "SCOPE_DEFAULT"),
        patch("/v1/defaults/settings", "SettingsService.UpdateSettings", unary!(operations::update_settings))
            .says("scope", "SCOPE_DEFAULT"),
        get("/v1/defaults/settings/{key}", "SettingsService.GetSettings", unary!(operations::get_settings))
            .says("scope", "SCOPE_DEFAULT"),
        put("/v1/defaults/settings/{key}", "SettingsService.UpdateSettings", unary!(operations::update_settings))
            .says("scope", "SCOPE_DEFAULT"),
        delete("/v1/defaults/settings/{key}", "SettingsService.DeleteSetting", unary!(operations::delete_setting))
            .says("scope", "SCOPE_DEFAULT"),
        delete("/v1/defaults/settings/", "SettingsService.DeleteSetting", unary!(operations::delete_setting))
            .says("scope", "SCOPE_DEFAULT")
            .says("key", ""),
        get("/v1/defaults/controls", "ControlsService.GetControls", unary!(operations::get_controls)),
        put("/v1/defaults/controls", "ControlsService.ApplyControls", unary!(operations::apply_controls))
            .says("scope", "SCOPE_DEFAULT"),
        get("/v1/audit", "AuditService.ListAuditEntries", unary!(operations::list_audit_entries)),
        get("/v1/audit", "AuditService.WatchAuditEntries", stream!(operations::watch_audit_entries))
            .resumes("after_seq", At::Id),
        get("/v1/audit/verify", "AuditService.VerifyAudit", unary!(operations::verify_audit)),
        get("/v1/audit/state", "AuditService.GetAuditState", unary!(operations::get_audit_state)),
        post("/v1/sessions/{session_id}/config-lock", "ConfigLockService.ExportConfigLock", unary!(operations::export_config_lock)),
        post("/v1/config-lock/verify", "ConfigLockService.VerifyConfigLock", unary!(operations::verify_config_lock)),
        get("/v1/server", "SystemService.GetServerInfo", unary!(operations::get_server_info)),
    ]
}

fn get(path: &'static str, rpc: &str, call: Call) -> Route {
    Route::new(Method::GET, path, rpc, call)
}

fn post(path: &'static str, rpc: &str, call: Call) -> Route {
    Route::new(Method::POST, path, rpc, call)
}

fn patch(path: &'static str, rpc: &str, call: Call) -> Route {
    Route::new(Method::PATCH, path, rpc, call)
}

fn put(path: &'static str, rpc: &str, call: Call) -> Route {
    Route::new(Method::PUT, path, rpc, call)
}

fn delete(path: &'static str, rpc: &str, call: Call) -> Route {
    Route::new(Method::DELETE, path, rpc, call)
}

impl Route {
    fn new(method: Method, path: &'static str, rpc: &str, call: Call) -> Self {
        let rpc = schema().method(rpc).expect("the table names methods of the contract");
        assert_eq!(
            rpc.streams,
            !matches!(call, Call::Unary(_)),
            "{path} streams what {} does",
            rpc.name
        );
        Self { method, path, rpc, call, says: Vec::new(), resume: None }
    }

    fn resumes(self, field: &'static str, at: At) -> Self {
        Self { resume: Some(Resume { field, at }), ..self }
    }

    fn says(mut self, field: &'static str, value: &'static str) -> Self {
        self.says.push((field, value));
        self
    }

    /// Whether requests have a body.
    pub(super) fn takes_body(&self) -> bool {
        matches!(self.method, Method::POST | Method::PUT | Method::PATCH)
    }

    /// The parameters of the path.
    pub(super) fn parameters(&self) -> impl Iterator<Item = &'static str> {
        let segments = self.path.split('/');
        segments.filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_of_the_contract_has_its_place() {
        for method in &schema().methods {
            let found: Vec<_> =
                routes().iter().filter(|route| std::ptr::eq(route.rpc, method)).collect();
            let name = format!("{}.{}", method.service, method.name);
            assert!(!found.is_empty(), "{name} has no route");
        }
    }

    #[test]
    fn a_place_and_a_method_are_one_operation_and_perhaps_one_stream() {
        for (index, route) in routes().iter().enumerate() {
            for other in &routes()[..index] {
                let same = route.path == other.path && route.method == other.method;
                let differ =
                    matches!(route.call, Call::Stream(_)) != matches!(other.call, Call::Stream(_));
                assert!(!same || differ, "{} {}", route.method, route.path);
            }
        }
    }
}
