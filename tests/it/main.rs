//! The integration tests: the real server, the real codex against a scripted
//! model, and real clients.
#![allow(
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a test that fails may panic, and says why on stderr"
)]

mod bare;
mod codex_home;
mod edge;
mod harness;
mod listing;
mod model;
mod model_selftest;
mod programs;
mod proxy;
mod raw_body;
mod slow;
mod subscriber;
mod supervisor;
mod toolchain;
mod watch;
