//! The Python client, `clients/python`: its own tests, which start servers of
//! their own. What each file shows is the name of its test here.

use std::process::{Command, Stdio};

use crate::toolchain;

/// Runs a file of the client's tests, all of which must pass.
fn check(file: &str) {
    let client = toolchain::tests_dir().parent().unwrap().join("clients/python");
    let output = Command::new(toolchain::python())
        .args(["-m", "pytest"])
        .arg(client.join("tests").join(file))
        .env("PYTHONPATH", client.join("src"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("SWITCHBOARD_BINARY", env!("CARGO_BIN_EXE_switchboard"))
        .current_dir(&client)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{printed}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(printed.contains(" passed"), "{printed}");
}

#[test]
fn settings_are_written_and_merged_without_losing_what_others_write() {
    check("test_settings.py");
}

#[test]
fn sessions_are_created_followed_and_ended() {
    check("test_sessions.py");
}

#[test]
fn events_come_once_and_in_order_whatever_happens_to_connection_and_server() {
    check("test_events.py");
}

#[test]
fn every_reason_is_an_exception_of_its_own() {
    check("test_errors.py");
}

#[test]
fn a_server_is_found_by_profile_environment_and_default_and_reached_by_socket_tcp_and_tls() {
    check("test_connection.py");
}

#[test]
fn what_changes_something_is_done_once_however_often_it_is_sent() {
    check("test_retry.py");
}

#[test]
fn both_clients_have_one_surface_and_nothing_generated_or_typed_has_drifted() {
    check("test_surface.py");
}

#[test]
fn the_wheel_is_installed_and_runs_the_readme_and_the_example_as_they_stand() {
    check("test_package.py");
}
