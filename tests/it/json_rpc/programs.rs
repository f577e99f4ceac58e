//! Clients that know nothing of us, and the page in `docs/` as it is written.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _},
    path::Path,
    process::{Command, Stdio},
};

use serde_json::{Value, json};

use super::Rpc;
use crate::{harness::Server, ledger, toolchain};

/// What a program says that must succeed.
fn said(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    String::from_utf8(output.stdout).unwrap()
}

/// A block of the page.
fn block(language: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/json-rpc.md");
    let page = fs::read_to_string(path).unwrap();
    let block = page.split(&format!("```{language}\n")).nth(1).unwrap();
    block.split("```").next().unwrap().to_owned()
}

fn after_a_turn() -> (Server, Rpc, String, Vec<u64>) {
    let server = ledger::setup().start();
    let rpc = Rpc::new(&server);
    // Texts of nothing but escapes take six times as much in JSON.
    let escapes = server.work().join("escapes");
    let text = "\\u001b".repeat(10_000);
    let line = format!(
        r#"{{"type":"item.completed","item":{{"id":"c","type":"agent_message","text":"{text}"}}}}"#
    );
    fs::write(&escapes, format!("{line}\n").repeat(60)).unwrap();
    let script = format!(
        "thread,turn,big:2000000,print:40:60000,cat:{},message,completed",
        escapes.display()
    );
    let id = rpc.create(&server, &script);
    rpc.rest(&id);
    let one = json!({"sessionId": id, "pageSize": 1});
    let latest = rpc.ok("events/list", &one)["latestSeq"].clone();
    let latest: u64 = latest.as_str().unwrap().parse().unwrap();
    (server, rpc, id, (1..=latest).collect())
}

#[test]
fn a_program_in_python_calls_by_post_and_reads_all_over_websockets_with_their_defaults() {
    let (server, _, id, seqs) = after_a_turn();
    let url = format!("http://{}/rpc", server.tcp());
    let script = toolchain::tests_dir().join("clients/python/json_rpc.py");
    let said = said(Command::new(toolchain::python()).arg(script).args([
        "--url",
        &url,
        "--token",
        &server.token(),
        "--session",
        &id,
    ]));
    let expected = json!({
        "ids": [1, 2],
        "reasons": ["UNIMPLEMENTED", "SESSION_NOT_FOUND"],
        "seqs": seqs,
        "closed": "END",
        "listed": seqs,
        // The prompt, and what the agent said: big, 40, 60 and one.
        "messages": 103,
        "steps": 103,
        // Beside those the lines of the thread and of the turn's beginning and end.
        "lines": 105,
    });
    assert_eq!(serde_json::from_str::<Value>(&said).unwrap(), expected);
}

#[test]
fn a_program_in_typescript_watches_over_ws() {
    let (server, _, id, seqs) = after_a_turn();
    let url = format!("http://{}/rpc", server.tcp());
    let said = said(
        Command::new("node")
            .arg(toolchain::typescript_client().with_file_name("json_rpc.js"))
            .args(["--url", &url, "--token", &server.token(), "--session", &id]),
    );
    let expected =
        json!({"seqs": seqs, "closed": "END", "refused": "INVALID_ARGUMENT", "found": id});
    assert_eq!(serde_json::from_str::<Value>(&said).unwrap(), expected);
}

#[test]
fn the_page_shows_calls_that_work() {
    let server = ledger::setup().start();
    let said = said(
        Command::new("bash")
            .args(["-e", "-o", "pipefail", "-c", &block("sh")])
            .env("SWITCHBOARD_HOME", server.home()),
    );
    let answers: Vec<Value> =
        serde_json::Deserializer::from_str(&said).into_iter().map(Result::unwrap).collect();
    assert_eq!(answers[0]["result"]["pid"], server.pid());
    assert_eq!(answers[1]["result"]["info"]["title"], "Switchboard");
    assert!(answers[2]["result"].is_object() && answers.len() == 3, "{answers:#?}");
}

#[test]
fn the_program_of_the_page_sees_all_of_a_session_though_the_server_is_killed() {
    let mut server = ledger::setup().config("[controls]\nlock_defaults = true\n").start();
    let gate = server.work().join("gate");
    let script =
        format!("FAKE_AGENT=thread,turn,message:one,wait:{},message:two,completed", gate.display());
    let mut program = Command::new(toolchain::python())
        .args(["-u", "-c", &block("python")])
        .arg(server.work())
        .arg(&script)
        .env("SWITCHBOARD_HOME", server.home())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(program.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut said: Vec<String> = Vec::new();
    while said.last().is_none_or(|line| !line.contains("'text': 'one'")) {
        said.push(lines.next().unwrap_or_else(|| {
            let mut stderr = String::new();
            program.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
            panic!("{said:#?} {stderr}")
        }));
    }
    server.kill();
    server.start();
    fs::write(&gate, "").unwrap();
    said.extend(lines);
    assert!(program.wait().unwrap().success(), "{said:#?}");
    assert!(said[0].starts_with("switchboard "), "{said:#?}");
    assert!(said[1].starts_with("the defaults are the operator's: {'"), "{said:#?}");
    assert_eq!(said.last().unwrap(), "closed: END");
    let events = &said[2..said.len() - 1];
    let seqs: Vec<usize> =
        events.iter().map(|line| line.split(' ').next().unwrap().parse().unwrap()).collect();
    assert_eq!(seqs, (1..=events.len()).collect::<Vec<_>>(), "none is missing, none twice");
    assert!(events.iter().any(|line| line.contains("'text': 'two'")));
}

#[test]
fn the_program_of_the_page_leaves_the_defaults_as_they_were() {
    let server = ledger::setup().start();
    let rpc = Rpc::new(&server);
    let kept = json!({"scope": "SCOPE_DEFAULT", "settings": {"team": "own"}});
    rpc.ok("settings/update", &kept);
    let said = said(
        Command::new(toolchain::python())
            .args(["-c", &block("python")])
            .arg(server.work())
            .arg("FAKE_AGENT=thread,turn,completed")
            .env("SWITCHBOARD_HOME", server.home()),
    );
    assert!(said.ends_with("closed: END\n") && !said.contains("operator"), "{said}");
    let defaults = rpc.ok("settings/get", &json!({"scope": "SCOPE_DEFAULT"}));
    assert_eq!(defaults["settings"], json!({"team": "own"}));
    let of_defaults = json!({"filter": {"scope": "SCOPE_DEFAULT"}});
    let entries = rpc.ok("audit/list", &of_defaults)["entries"].as_array().unwrap().len();
    assert_eq!(entries, 3, "one before, and it wrote one and took it away");
}
