//! The Python client, `clients/python`: its own tests, which start servers of
//! their own. What each file shows is the name of its test here.

use std::process::{Command, Stdio};

use crate::{
    codex_home::CodexHome,
    harness::Setup,
    model::{Model, Reply},
    toolchain,
};

/// Runs a file of the client's tests, all of which must pass.
fn check(file: &str) {
    check_with(file, []);
}

/// The same with variables for the file.
fn check_with<const N: usize>(file: &str, variables: [(&str, String); N]) {
    let client = toolchain::tests_dir().parent().unwrap().join("clients/python");
    let output = Command::new(toolchain::python())
        .args(["-m", "pytest"])
        .arg(client.join("tests").join(file))
        .env("PYTHONPATH", client.join("src"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("SWITCHBOARD_BINARY", env!("CARGO_BIN_EXE_switchboard"))
        .envs(variables)
        .current_dir(&client)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{printed}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(printed.contains(" passed") && !printed.contains(" skipped"), "{printed}");
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
fn a_server_that_hangs_is_lost_and_costs_no_event() {
    check("test_silence.py");
}

#[test]
fn a_program_ends_when_it_wants_to_and_one_that_is_forked_has_a_connection_of_its_own() {
    check("test_processes.py");
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
fn a_run_of_the_real_codex_is_written_down_and_sessions_are_held_to_it() {
    let model = Model::start();
    let home = CodexHome::temporary(&model);
    let server = Setup::new().codex(&toolchain::codex()).codex_home(&home).start();
    // More turns than the file has.
    model.script((0..8).map(|_| Reply::new().message("done")));
    let variables = [
        ("SWITCHBOARD_TEST_SERVER", format!("unix:{}", server.socket().display())),
        ("SWITCHBOARD_TEST_WORK", server.work().display().to_string()),
    ];
    check_with("test_locks.py", variables);
}

#[test]
fn the_wheel_is_installed_and_runs_the_readme_and_the_example_as_they_stand() {
    check("test_package.py");
}
