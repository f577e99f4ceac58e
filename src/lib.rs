//! Switchboard: one server for every codex session on a machine.
//!
//! It starts coding agents, keeps them alive and accounted for, and streams
//! their events live, lossless and resumable to any number of clients.
//!
//! # The map
//!
//! ```text
//!  main ─▶ cli ─▶ server ─▶ wire::{grpc, json_rpc, rest, contract} ─▶ wire::operations ─▶ app ─▶ session
//!                                                                                                │
//!                          store::{log, sqlite} ◀──┬─────────────────────────────────────────────┘
//!                          agent ◀─────────────────┤
//!                          supervise ◀─────────────┘
//!  leaves, named by anyone: audit, config, controls, debug_log, home, error, event, id, json,
//!                           lock, proto, row, settings, time, toml_text
//! ```
//!
//! Dependencies follow the arrows; nothing names what comes before it. Nothing
//! in `wire::operations` or after it names a transport. A test reads the
//! sources and holds them to it.
//!
//! | module | what it owns |
//! |---|---|
//! | [`cli`] | what a person types, and what they see; a client like any other |
//! | [`bundle`] | a session's directory packed for a report; called by the CLI alone |
//! | [`server`] | the order of a server's life: bind, open, adopt, serve, drain |
//! | [`wire`] | who may speak, the error table, the operations (parse, call, convert), gRPC, JSON-RPC, REST, the settings contract |
//! | [`app`] | the closed list of operations |
//! | [`session`] | the owner task of each session, its states, the watch |
//! | [`store`] | the event log and the database |
//! | [`agent`] | what to start for a turn, and what its lines mean |
//! | [`supervise`] | the process that is an agent's parent, and the files it shares |
//!
//! # The way of an event
//!
//! ```text
//!  agent ──▶ turn_<n>.jsonl ──▶ ingest ──▶ event log ──▶ row ──▶ feed ──▶ hub
//!  (writes by itself)          one step:   fdatasync    SQLite   ring      │ wakes
//!                              lines,                              ▲       ▼
//!                              parse,                              └─── watch ──▶ client
//!                              encode                             pulls by cursor
//! ```
//!
//! # What always holds
//!
//! - The server is never an agent's parent, so agents outlive it: a supervisor
//!   per turn holds the turn's lock, ends every descendant and writes down how
//!   the agent ended.
//! - Every line is one event with a seq without gaps. It is encoded and framed
//!   once, when it is written; live delivery and replay send the same bytes.
//! - An event is visible only when it is durable and when the session's row
//!   follows it.
//! - A subscriber is a cursor. It pulls, and costs no queue.
//! - What expires goes from the beginning of a log, never an event of the latest
//!   turn; whoever asks for it is told where the log begins.
//! - For what agents do the log is the truth and the row follows it; for what
//!   clients ask the database is the truth and the log follows it by the outbox.
//! - Only the owner task of a session changes the session.
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test that fails may panic"))]

pub mod agent;
pub mod app;
pub mod audit;
pub mod bundle;
pub mod cli;
pub mod config;
pub mod controls;
pub mod debug_log;
pub mod error;
pub mod event;
pub mod home;
pub mod id;
pub mod json;
pub mod lock;
mod plain_file;
pub mod proto;
pub mod row;
pub mod server;
pub mod session;
pub mod settings;
pub mod store;
pub mod supervise;
pub mod time;
pub mod toml_text;
pub mod wire;

pub use error::{Error, Result};
