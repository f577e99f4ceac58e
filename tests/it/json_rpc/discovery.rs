//! `rpc.discover`: what the server says that there is.

use std::{fs, process::Command};

use serde_json::{Value, json};

use super::Rpc;
use crate::{harness::Server, ledger, toolchain};

fn document(server: &Server) -> Value {
    Rpc::new(server).ok("rpc.discover", &json!({}))
}

fn names(document: &Value) -> Vec<String> {
    let methods = document["methods"].as_array().unwrap().iter();
    methods.map(|method| method["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn the_document_is_valid_openrpc() {
    let server = ledger::setup().start();
    let document = document(&server);
    let (schemas, file) = (server.work().join("meta.json"), server.work().join("openrpc.json"));
    fs::write(&file, document.to_string()).unwrap();
    let print = "const names = ['@open-rpc/meta-schema', '@json-schema-tools/meta-schema'];\
                 const all = names.map((name) => [name, require(name).default]);\
                 console.log(JSON.stringify(Object.fromEntries(all)));";
    let mut node = Command::new("node");
    let meta = node.args(["-e", print]).current_dir(toolchain::tests_dir()).output().unwrap();
    assert!(meta.status.success(), "{}", String::from_utf8_lossy(&meta.stderr));
    fs::write(&schemas, meta.stdout).unwrap();
    let validator = toolchain::tests_dir().join("clients/python/open_rpc.py");
    let validate = || {
        let mut python = Command::new(toolchain::python());
        let run = python.arg(&validator).args([&schemas, &file]).output().unwrap();
        let said = [run.stdout, run.stderr].concat();
        (run.status.success(), String::from_utf8_lossy(&said).into_owned())
    };
    assert_eq!(validate(), (true, "\n".to_owned()));
    // A validator that finds nothing in this finds nothing at all.
    let mut broken = document;
    broken["methods"][0]["params"] = json!({});
    broken["components"]["schemas"]["Session"]["type"] = json!("nothing");
    fs::write(&file, broken.to_string()).unwrap();
    let (is_valid, said) = validate();
    assert!(!is_valid && said.contains("methods/0"), "{said}");
}

#[test]
fn every_method_in_it_answers_and_none_is_missing() {
    let server = ledger::setup().start();
    let document = document(&server);
    let rpc = Rpc::new(&server);
    let mut socket = rpc.socket();
    let names = names(&document);
    for name in &names {
        // Whatever it says of parameters that are none, it knows what it is asked for.
        if let Err(error) = socket.call(name, &json!({})) {
            assert_ne!(error["data"]["reason"], "UNIMPLEMENTED", "{name}: {error}");
            assert_ne!(error["data"]["reason"], "INTERNAL", "{name}: {error}");
        }
    }
    // Each method of the contract is there, and what only JSON-RPC has.
    let contract = include_str!("../../fixtures/contract.txt");
    let of_contract = contract.lines().filter(|line| line.trim_start().starts_with("rpc ")).count();
    assert!(of_contract > 20, "{contract}");
    assert_eq!(names.len(), of_contract + ["unwatch"; 3].len() + ["rpc.discover"].len());
    let mut once = names.clone();
    once.sort_unstable();
    once.dedup();
    assert_eq!(once.len(), names.len());
}

#[test]
fn it_tells_parameters_results_and_errors_of_the_contract() {
    let server = ledger::setup().start();
    let document = document(&server);
    let method = |name: &str| {
        let mut methods = document["methods"].as_array().unwrap().iter();
        methods.find(|method| method["name"] == name).unwrap().clone()
    };
    let get = method("session/get");
    assert!(get["description"].as_str().unwrap().starts_with("GetSession reads one session"));
    assert_eq!(get["params"][0]["name"], "sessionId");
    assert_eq!(get["result"]["schema"]["$ref"], "#/components/schemas/GetSessionResponse");
    let update = method("settings/update");
    let params = update["params"].as_array().unwrap();
    assert!(params.iter().any(|param| param["name"] == "settings"), "{params:#?}");
    let watch = method("events/watch");
    assert!(watch["description"].as_str().unwrap().contains("events/unwatch"));
    let told = &watch["x-notification"];
    assert_eq!(told["method"], "events/messages");
    let result = &told["params"]["properties"]["result"]["properties"];
    assert_eq!(result["messages"]["items"]["$ref"], "#/components/schemas/WatchEventsResponse");
    assert_eq!(result["closed"]["$ref"], "#/components/schemas/SubscriptionClosed");
    let errors = document["components"]["errors"].as_object().unwrap();
    for error in watch["errors"].as_array().unwrap() {
        let name = error["$ref"].as_str().unwrap().rsplit('/').next().unwrap();
        assert_eq!(errors[name]["data"]["$ref"], "#/components/schemas/ErrorData");
    }
    assert_eq!(errors["DefaultsLocked"]["code"], 423);
    assert!(document["components"]["schemas"]["Event"]["properties"]["raw"].get("type").is_none());
}
