//! What every transport does with a request, once it has it as a message of the
//! contract: parse, call [`crate::app::App`], convert.
//!
//! One function for each method of `proto/`: it takes the request's message and
//! who asks, and gives the response's message or the [`crate::Error`] that the
//! adapter renders. The adapters call these and repeat none of it; of them,
//! nothing is named here.
//!
//! | file | methods |
//! |---|---|
//! | [`session`] | sessions begin, are read and changed, are waited for |
//! | [`life`] | turns start and stop, sessions go |
//! | [`output`] | what a turn wrote |
//! | [`listing`] | the catalogue: listed and watched |
//! | [`views`] | turns, messages, trajectories |
//! | [`event`] | events: watched and listed |
//! | [`settings`], [`controls`] | the controls and settings of sessions and of new ones |
//! | [`audit`] | who changed them |
//! | [`config_lock`] | what a session runs with, written down and compared |
//! | [`mod@changes`] | the same of one session, with all values before and after |
//! | [`system`] | the server |
//!
//! They share how fields are read ([`fields`]) and tokens sealed ([`token`]).

mod audit;
mod changes;
mod config_lock;
mod controls;
pub(crate) mod event;
pub(crate) mod fields;
mod life;
mod listing;
mod output;
mod session;
mod settings;
mod system;
pub(crate) mod token;
mod views;

pub(crate) use self::{
    audit::{get_audit_state, list_audit_entries, verify_audit, watch_audit_entries},
    changes::{Change, States, change, changes},
    config_lock::{export_config_lock, verify_config_lock},
    controls::{apply_controls, get_controls, override_controls, scoped},
    event::{list_events, watch_events},
    life::{cleanup_sessions, delete_session, interrupt_turn, kill_session, start_turn},
    listing::{list_sessions, watch_sessions},
    output::read_output,
    session::{create_session, fork_session, get_session, update_session, wait_session},
    settings::{delete_setting, get_settings, update_settings},
    system::get_server_info,
    views::{get_trajectory, list_messages, list_turns},
};

use crate::session::once::Once;

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Caller {
    /// How they came.
    pub transport: Transport,
}

/// The adapter that a request came through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    /// gRPC and gRPC-Web.
    Grpc,
    /// `/v1`.
    Rest,
    /// JSON-RPC.
    JsonRpc,
    /// `/api`.
    Contract,
}

impl Transport {
    /// Its name, in the files of turns and wherever else it is told who asked.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Grpc => "grpc",
            Self::Rest => "rest",
            Self::JsonRpc => "json-rpc",
            Self::Contract => "api",
        }
    }
}

/// Takes the id out of a request that changes something, with what tells the
/// request from others.
pub(crate) fn once<R: prost::Message>(
    request: &mut R,
    id: impl FnOnce(&mut R) -> &mut String,
) -> Once {
    let request_id = std::mem::take(id(request));
    Once::new(request_id, request)
}
