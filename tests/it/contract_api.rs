//! The settings contract at `/api`, followed row by row by a client in Python
//! (`tests/clients/python/contract`): every status, every body to the byte, every
//! order of checks.

use std::{fs, process::Command};

use crate::{
    harness::{Server, Setup},
    ledger, toolchain,
};

/// Runs a part of the client to its end, which must be a success.
fn follow(server: &Server, part: &str) {
    let output = Command::new(toolchain::python())
        .arg(toolchain::tests_dir().join("clients/python/contract"))
        .env("PYTHONPATH", toolchain::python_stubs())
        .args(["--target", &server.tcp().to_string(), "--token", &server.token()])
        .arg("--work")
        .arg(server.work())
        .arg("--state")
        .arg(server.work().join("known.json"))
        .arg(part)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Checks that a server which was set up like this follows a part.
fn check(setup: Setup, part: &str) {
    follow(&setup.start(), part);
}

#[test]
fn what_http_itself_refuses_comes_first() {
    check(ledger::setup(), "failures");
}

#[test]
fn settings_are_read_written_and_removed_by_the_contract() {
    check(ledger::setup(), "settings");
}

#[test]
fn controls_are_read_and_written_by_the_contract() {
    check(ledger::setup(), "controls");
}

#[test]
fn writes_are_audited_in_the_names_that_the_contract_has() {
    check(ledger::setup(), "audited");
}

#[test]
fn defaults_that_are_locked_are_told_and_not_written() {
    let setup = ledger::setup()
        .env("SESSION_DEFAULTS_LOCKED", "true")
        .env("DEFAULT_APPROVAL_POLICY", "on-request")
        .env("DEFAULT_NETWORK_ACCESS", "enabled")
        .env("DEFAULT_SANDBOX_MODE", "workspace-write");
    check(setup, "locked");
}

#[test]
fn settings_controls_and_tombstones_survive_a_kill() {
    let mut server = ledger::setup().config("").start();
    follow(&server, "before");

    server.kill();
    fs::write(server.config_file(), "[controls]\nlock_defaults = true\n").unwrap();
    server.start();

    follow(&server, "after");
}
