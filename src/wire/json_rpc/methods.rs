//! What there is to call: one line for each method of the contract.

use std::sync::LazyLock;

use super::{CALLER, output, teller::Messages, watch};
pub(super) use crate::wire::answers::Answers;
use crate::wire::{
    answers::answers,
    operations,
    schema::{self, schema},
    transcode,
};

/// One method.
pub(super) struct Method {
    /// As clients call it.
    pub name: &'static str,
    /// As the contract has it.
    pub rpc: &'static schema::Method,
    /// What answers.
    pub call: Call,
}

/// What answers.
pub(super) enum Call {
    /// One message.
    Unary(Answers<String>),
    /// Many, in notifications.
    Watch {
        /// The method that ends it.
        unwatch: &'static str,
        /// The method that its notifications name.
        notification: &'static str,
        /// What there is to tell.
        open: Answers<Messages>,
    },
}

/// All of them.
pub(super) fn methods() -> &'static [Method] {
    static METHODS: LazyLock<Vec<Method>> = LazyLock::new(table);
    &METHODS
}

/// The one of this name.
pub(super) fn find(name: &str) -> Option<&'static Method> {
    methods().iter().find(|method| method.name == name)
}

/// The one that a method of this name ends.
pub(super) fn ended_by(name: &str) -> Option<&'static Method> {
    methods().iter().find(|method| match method.call {
        Call::Watch { unwatch, .. } => unwatch == name,
        Call::Unary(_) => false,
    })
}

/// The operation with its message read, and its answer written.
macro_rules! unary {
    ($operation:path $(, $write:expr)?) => {
        Call::Unary(answers!(CALLER, $operation $(, $write)?))
    };
}

/// The operation with its message read, and each of its answers written.
macro_rules! watch {
    ($resource:literal, $operation:path) => {
        watch!(
            $resource,
            of | app,
            rpc,
            message | {
                Box::pin(async move {
                    let request = transcode::read(schema().message(&rpc.input), message)?;
                    let answers = $operation(&app, &CALLER, request).await?;
                    Ok(watch::messages_of(schema().message(&rpc.output), answers))
                })
            }
        )
    };
    ($resource:literal, of $open:expr) => {
        Call::Watch {
            unwatch: concat!($resource, "/unwatch"),
            notification: concat!($resource, "/messages"),
            open: $open,
        }
    };
}

#[rustfmt::skip]
fn table() -> Vec<Method> {
    vec![
        method("session/create", "SessionService.CreateSession", unary!(operations::create_session)),
        method("session/get", "SessionService.GetSession", unary!(operations::get_session)),
        method("session/list", "SessionService.ListSessions", unary!(operations::list_sessions)),
        method("session/update", "SessionService.UpdateSession", unary!(operations::update_session)),
        method("session/startTurn", "SessionService.StartTurn", unary!(operations::start_turn)),
        method("session/interruptTurn", "SessionService.InterruptTurn", unary!(operations::interrupt_turn)),
        method("session/kill", "SessionService.KillSession", unary!(operations::kill_session)),
        method("session/wait", "SessionService.WaitSession", unary!(operations::wait_session)),
        method("session/fork", "SessionService.ForkSession", unary!(operations::fork_session)),
        method("session/delete", "SessionService.DeleteSession", unary!(operations::delete_session)),
        method("session/cleanup", "SessionService.CleanupSessions", unary!(operations::cleanup_sessions)),
        method("session/listTurns", "SessionService.ListTurns", unary!(operations::list_turns)),
        method("session/listMessages", "SessionService.ListMessages", unary!(operations::list_messages)),
        method("session/getTrajectory", "SessionService.GetTrajectory", unary!(operations::get_trajectory)),
        method("session/readOutput", "SessionService.ReadOutput", unary!(output::read)),
        method("sessions/watch", "SessionService.WatchSessions", watch!("sessions", operations::watch_sessions)),
        method("events/list", "EventService.ListEvents", unary!(operations::list_events, |_, page| transcode::page(page))),
        method("events/watch", "EventService.WatchEvents", watch!("events", of watch::EVENTS)),
        method("settings/get", "SettingsService.GetSettings", unary!(operations::get_settings)),
        method("settings/update", "SettingsService.UpdateSettings", unary!(operations::update_settings)),
        method("settings/delete", "SettingsService.DeleteSetting", unary!(operations::delete_setting)),
        method("controls/get", "ControlsService.GetControls", unary!(operations::get_controls)),
        method("controls/apply", "ControlsService.ApplyControls", unary!(operations::apply_controls)),
        method("audit/list", "AuditService.ListAuditEntries", unary!(operations::list_audit_entries)),
        method("audit/watch", "AuditService.WatchAuditEntries", watch!("audit", operations::watch_audit_entries)),
        method("audit/verify", "AuditService.VerifyAudit", unary!(operations::verify_audit)),
        method("audit/getState", "AuditService.GetAuditState", unary!(operations::get_audit_state)),
        method("configLock/export", "ConfigLockService.ExportConfigLock", unary!(operations::export_config_lock)),
        method("configLock/verify", "ConfigLockService.VerifyConfigLock", unary!(operations::verify_config_lock)),
        method("server/info", "SystemService.GetServerInfo", unary!(operations::get_server_info)),
    ]
}

fn method(name: &'static str, rpc: &str, call: Call) -> Method {
    let rpc = schema().method(rpc).expect("the table names methods of the contract");
    Method { name, rpc, call }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_of_the_contract_has_one_name() {
        for rpc in &schema().methods {
            let found = methods().iter().filter(|method| std::ptr::eq(method.rpc, rpc));
            assert_eq!(found.count(), 1, "{}.{}", rpc.service, rpc.name);
        }
    }

    #[test]
    fn what_streams_is_watched_but_for_output_which_comes_in_chunks() {
        for method in methods() {
            let is_watched = matches!(method.call, Call::Watch { .. });
            let is_chunked = method.name == "session/readOutput";
            assert_eq!(method.rpc.streams, is_watched || is_chunked, "{}", method.name);
        }
    }
}
