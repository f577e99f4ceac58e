//! Switchboard: one server for every codex session on a machine.
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test that fails may panic"))]

pub mod agent;
pub mod app;
pub mod cli;
pub mod config;
pub mod error;
pub mod event;
pub mod home;
pub mod id;
pub mod proto;
pub mod server;
pub mod session;
pub mod store;
pub mod supervise;
pub mod time;
pub mod wire;

pub use error::{Error, Result};
