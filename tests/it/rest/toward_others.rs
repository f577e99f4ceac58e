//! What programs of others make of `/v1`: validators and fuzzers of OpenAPI.

use std::process::Command;

use serde_json::{Value, json};

use super::Rest;
use crate::{harness::Server, ledger, toolchain};

fn document(server: &Server) -> Value {
    Rest::new(server).ok("GET /v1/openapi.json", &Value::Null)
}

#[test]
fn the_document_is_valid_openapi_and_tells_the_contract() {
    let server = ledger::setup().start();
    let document = document(&server);
    let file = server.work().join("openapi.json");
    std::fs::write(&file, document.to_string()).unwrap();
    let validator = ["-m", "openapi_spec_validator", "--schema", "3.1"];
    let run = Command::new(toolchain::python()).args(validator).arg(&file).output().unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stdout));

    let get = &document["paths"]["/v1/sessions/{session_id}"]["get"];
    assert!(get["description"].as_str().unwrap().starts_with("GetSession reads one session"));
    let content = &document["paths"]["/v1/sessions/{session_id}/events"]["get"]["responses"]["200"];
    assert!(content["content"]["text/event-stream"].is_object(), "{content}");
    let schemas = &document["components"]["schemas"];
    assert_eq!(schemas["Usage"]["properties"]["inputTokens"]["type"], "string");
    assert_eq!(schemas["Session"]["properties"]["createTime"]["format"], "date-time");
    assert_eq!(schemas["SessionState"]["enum"][1], "SESSION_STATE_PENDING");
    assert!(
        schemas["Event"]["properties"]["raw"].get("type").is_none(),
        "an agent's line is any JSON"
    );
    assert!(schemas["McpToolCall"]["properties"]["arguments"].is_object());
    assert_eq!(document["security"], json!([{"bearer": []}]));
    for message in ["GetSettingsResponse", "ScopedControls", "DeleteSettingResponse"] {
        assert_eq!(schemas[message]["properties"]["settings"]["type"], "object", "{message}");
    }
    let value = &schemas["SettingChange"]["properties"]["value"];
    assert!(value.get("type").is_none(), "a value is any JSON");
    let path = "/v1/sessions/{session_id}/settings";
    let body = &document["paths"][path]["patch"]["requestBody"]["content"]["application/json"];
    assert_eq!(body["schema"]["properties"]["settings"]["type"], "object", "{body}");
    let described = &body["schema"]["properties"]["settings"]["description"];
    assert_eq!(described, "A JSON object. Its keys may have any length.");
    assert_eq!(
        value["description"],
        "Its value now, as JSON; absent where it is not there any more."
    );
    for told in [schemas.to_string(), document["paths"].to_string()] {
        assert!(!told.contains("settings_json") && !told.contains("value_json"));
    }
}

#[test]
fn a_fuzzer_finds_nothing_that_the_document_does_not_say() {
    let server = ledger::setup().config("[turns]\nmax_running = 2\n").start();
    let rest = Rest::new(&server);
    let id = rest.create(&server, "thread,turn,message,completed");
    rest.rest(&id);
    let hooks = toolchain::tests_dir().join("clients/python/fuzz_hooks.py");
    let run = Command::new(toolchain::python())
        .args(["-m", "schemathesis.cli", "run"])
        .arg(format!("http://{}/v1/openapi.json", server.tcp()))
        .args(["--header", &format!("authorization: {}", rest.authorization)])
        .args(["--checks", CHECKS, "--max-examples", "5", "--seed", "1", "--no-color"])
        .args(["--phases", "coverage,fuzzing", "--request-timeout", "60"])
        .args(["--generation-database", "none"])
        // It never ends.
        .args(["--exclude-path", "/v1/events"])
        .current_dir(server.work())
        .env("SCHEMATHESIS_HOOKS", hooks)
        .env("FUZZ_SESSION", &id)
        .env("FUZZ_DIRECTORY", server.work())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success(), "{said}{}", String::from_utf8_lossy(&run.stderr));
    assert!(said.contains("Test cases:"), "{said}");
    // It came through to where sessions are, and the server stands.
    let listed = rest.ok("GET /v1/sessions", &Value::Null);
    assert!(listed["sessions"].as_array().is_some_and(|sessions| sessions.len() > 1), "{listed}");
}

const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,negative_data_rejection";
