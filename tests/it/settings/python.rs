//! The same semantics for a program in Python, over gRPC and over `/v1`.

use std::{fs, process::Command};

use serde_json::{Value, json};

use crate::{harness::Server, ledger, toolchain};

/// Runs the program to its end, which must be a success.
fn run(server: &Server, transport: &str, arguments: &[&str]) -> Value {
    let output = Command::new(toolchain::python())
        .arg(toolchain::tests_dir().join("clients/python/settings"))
        .args(["--transport", transport, "--target", &server.tcp().to_string()])
        .args(["--token", &server.token(), "--cwd"])
        .arg(server.work())
        .args(arguments)
        .env("PYTHONPATH", toolchain::python_stubs())
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Runs it before and after the defaults are locked, whatever they were written over.
fn check(transport: &str) {
    let mut server = ledger::setup().config("").start();
    assert_eq!(run(&server, transport, &[]), json!({"entries": 14}));
    server.kill();
    fs::write(server.config_file(), "[controls]\nlock_defaults = true\n").unwrap();
    server.start();
    for transport in ["grpc", "rest"] {
        assert_eq!(run(&server, transport, &["--locked"]), json!({"entries": 14}));
    }
}

#[test]
fn a_program_in_python_finds_all_that_the_services_promise_over_grpc() {
    check("grpc");
}

#[test]
fn a_program_in_python_finds_all_that_the_services_promise_over_rest() {
    check("rest");
}
