//! The integration tests: the real server, the real codex against a scripted
//! model, and real clients.
#![allow(
    clippy::print_stderr,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test that fails may panic, and says why on stderr"
)]

mod access;
mod architecture;
mod bare;
mod bundle;
mod cli;
mod cli_sessions;
mod cli_settings;
mod clients;
mod codex;
mod codex_home;
mod contract;
mod contract_api;
mod contract_sessions;
mod descriptors;
mod drain;
mod edge;
mod faults;
mod harness;
mod json_rpc;
mod ledger;
mod life;
mod limits;
mod listing;
mod model;
mod model_selftest;
mod older;
mod parity;
mod programs;
mod proxy;
mod python_client;
mod raw;
mod raw_body;
mod readme;
mod rest;
mod restart;
mod retention;
mod service;
mod sessions;
mod settings;
mod slow;
mod stopping;
mod subscriber;
mod supervisor;
mod terminal;
mod toolchain;
mod transcripts;
mod views;
mod watch;
