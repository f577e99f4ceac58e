//! The same semantics for a program in Python on stock grpcio.

use std::{fs, process::Command};

use serde_json::{Value, json};

use crate::{harness::Server, ledger, toolchain};

/// Runs the program to its end, which must be a success.
fn run(server: &Server, arguments: &[&str]) -> Value {
    let output = Command::new(toolchain::python())
        .arg(toolchain::tests_dir().join("clients/python/settings.py"))
        .args(["--target", &server.tcp().to_string(), "--token", &server.token(), "--cwd"])
        .arg(server.work())
        .args(arguments)
        .env("PYTHONPATH", toolchain::python_stubs())
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn a_program_in_python_finds_all_that_the_services_promise() {
    let mut server = ledger::setup().config("").start();
    assert_eq!(run(&server, &[]), json!({"entries": 11}));
    server.kill();
    fs::write(server.config_file(), "[controls]\nlock_defaults = true\n").unwrap();
    server.start();
    assert_eq!(run(&server, &["--locked"]), json!({"entries": 11}));
}
