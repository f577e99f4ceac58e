//! `switchboard bundle`: what is in a bundle, what is not, and how it is verified.

use std::{
    collections::BTreeMap,
    fs,
    io::Read as _,
    path::{Path, PathBuf},
    process::Output,
};

use serde_json::{Value, json};
use switchboard::proto::CodexOptions;

use super::{json_lines, mode, names, pending, start, until};
use crate::{
    cli::{code, done, switchboard, text},
    harness::Server,
    ledger::{self, Watcher, events, rest, session_directory},
};

/// The files of a bundle without the directory that holds them all.
fn unpacked(bundle: &Path) -> BTreeMap<String, Vec<u8>> {
    let file = zstd::Decoder::new(fs::File::open(bundle).unwrap()).unwrap();
    let mut archive = tar::Archive::new(file);
    let entries = archive.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        let path = entry.path().unwrap().to_str().unwrap().to_owned();
        assert_eq!(entry.header().mode().unwrap(), 0o600, "{path}");
        let (root, name) = path.split_once('/').unwrap();
        assert!(root.starts_with("switchboard-"), "{path}");
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        (name.to_owned(), bytes)
    });
    entries.collect()
}

fn manifest(files: &BTreeMap<String, Vec<u8>>) -> Value {
    serde_json::from_slice(&files["manifest.json"]).unwrap()
}

/// Packs a session that can be packed.
fn pack(home: &Path, id: &str, to: &Path, further: &[&str]) -> BTreeMap<String, Vec<u8>> {
    let packed = done(home, [&["bundle", id, "-o", to.to_str().unwrap()], further].concat());
    assert_eq!(code(&packed), 0, "{packed:?}");
    unpacked(to)
}

fn verified(home: &Path, path: &Path) -> (Value, i32) {
    let output = done(home, ["--json", "bundle", "verify", path.to_str().unwrap()]);
    (serde_json::from_slice(&output.stdout).unwrap_or_default(), code(&output))
}

/// The pairs of problem and path.
fn differences(verified: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let all = verified["differences"].as_array().unwrap();
    all.iter().map(|it| (text(&it["problem"]), text(&it["path"]))).collect()
}

const SECRETS: [&str; 5] = [
    "hunter2-of-the-session",
    "plain-value-of-it",
    "sk-abcdefgh12345678",
    "dXNlcjpwYXNz",
    "project-falcon",
];

/// A session at rest that said all of the secrets, and the server's token.
async fn indiscreet(server: &Server) -> String {
    let clients = server.connect().await;
    let variables = [("MY_TOKEN", SECRETS[0]), ("PLAIN", SECRETS[1])];
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let options = CodexOptions { environment: variables.into(), ..CodexOptions::default() };
    let id = pending(&clients, server, options).await.session_id;
    let script = [
        "thread,turn,env:MY_TOKEN,env:PLAIN",
        &format!("line:> Authorization: Basic {}", SECRETS[3]),
        &format!("stderr:the key is {}", SECRETS[2]),
        &format!("message:we build {}", SECRETS[4]),
        &format!("message:the server takes {}", server.token()),
        "completed",
    ];
    start(&clients, &id, &script.join(",")).await;
    let session = rest(&clients, &id).await;
    ledger::check(server, &session, &events(&clients, &id).await);
    let log = session_directory(server, &id).join("session.log");
    // Once when it was made, and once after the turn.
    until(&log, |log| log.matches("is complete so far").count() > 1).await;
    id
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_has_all_of_a_session_but_what_is_secret_and_needs_no_server() {
    let mut server = ledger::setup().start();
    let id = indiscreet(&server).await;
    let token = server.token();
    let seqs = events(&server.connect().await, &id).await.len();
    let directory = session_directory(&server, &id);
    let before = names(&directory);
    server.stop();

    let to = server.work().join("report.tar.zst");
    let redact = ["--redact", "project-[a-z]+"];
    let files = pack(&server.home(), &id[..8], &to, &redact);
    assert_eq!(mode(&to), 0o600);
    assert_eq!(names(&directory), before, "nothing was changed");
    let expected = [
        "events.jsonl",
        "manifest.json",
        "meta.json",
        "session.log",
        "session_meta.log",
        "turns/turn_1.exit.json",
        "turns/turn_1.jsonl",
        "turns/turn_1.lock",
        "turns/turn_1.pid.json",
        "turns/turn_1.prompt",
        "turns/turn_1.spec.json",
        "turns/turn_1.stderr",
    ];
    assert_eq!(files.keys().collect::<Vec<_>>(), expected);

    for (name, bytes) in &files {
        let text = String::from_utf8_lossy(bytes);
        for secret in SECRETS.iter().chain([&token.as_str()]) {
            assert!(!text.contains(secret), "{secret} is in {name}: {text}");
        }
        if name.ends_with(".json") {
            serde_json::from_str::<Value>(&text).unwrap();
        }
    }
    let of_events = json_lines(&text(&files["events.jsonl"]));
    assert_eq!(of_events.len(), seqs, "all events are there");
    assert!(of_events.iter().any(|event| event["rawText"] == "> Authorization: [redacted]"));
    let agent = text(&files["turns/turn_1.jsonl"]);
    assert!(agent.contains(r#""text":"we build [redacted]""#), "{agent}");
    assert_eq!(text(&files["turns/turn_1.stderr"]), "the key is [redacted]\n");
    let spec: Value = serde_json::from_slice(&files["turns/turn_1.spec.json"]).unwrap();
    let pairs = spec["env"].as_array().unwrap();
    assert!(pairs.contains(&json!(["MY_TOKEN", "[redacted]"])), "{pairs:?}");

    let manifest = manifest(&files);
    let meta: Value = serde_json::from_slice(&files["meta.json"]).unwrap();
    assert_eq!(
        [&manifest["format"], &manifest["version"], &manifest["session_id"]],
        [&json!("switchboard-bundle"), &json!(1), &json!(id)]
    );
    assert_eq!(manifest["switchboard_version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(manifest["codex_version"], meta["codexVersion"]);
    let listed: Vec<_> = manifest["files"]
        .as_array()
        .unwrap()
        .iter()
        .map(|file| (file["path"].as_str().unwrap(), file["size"].as_u64().unwrap()))
        .collect();
    let there: Vec<_> = files
        .iter()
        .filter(|(name, _)| *name != "manifest.json")
        .map(|(name, bytes)| (name.as_str(), bytes.len() as u64))
        .collect();
    assert_eq!(listed, there);
    for rule in ["authorization", "custom-1", "environment", "server-token", "sk"] {
        assert!(manifest["redactions"][rule].as_u64() > Some(0), "{rule}: {manifest:#}");
    }
    assert!(
        manifest["left_out"][0]["path"].as_str().unwrap().starts_with("events/"),
        "{manifest:#}"
    );

    let (said, exit) = verified(&server.home(), &to);
    assert_eq!((exit, &said["valid"], &said["sessionId"]), (0, &json!(true), &json!(id)));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_tells_itself_as_a_secret_and_what_is_in_a_header_goes_and_the_sessions_id_stays() {
    let server = ledger::setup().start();
    let clients = server.connect().await;
    let header = ("mcp_servers.x.http_headers.X-Auth".to_owned(), "\"plain words\"".to_owned());
    let url = ("mcp_servers.x.url".to_owned(), "\"http://localhost/\"".to_owned());
    let options = CodexOptions { config: [header, url].into(), ..CodexOptions::default() };
    let id = pending(&clients, &server, options).await.session_id;
    let told = ["ghp_9876543210zyxwvutsrq", "AKIA9876543210ZYXWVU", "postgres://u:hunter2@h/db"];
    let script = told.map(|secret| format!("message:use {secret} now")).join(",");
    start(&clients, &id, &format!("thread,turn,{script},completed")).await;
    rest(&clients, &id).await;
    let to = server.work().join("report.tar.zst");
    let files = pack(&server.home(), &id, &to, &[]);
    for (name, bytes) in &files {
        let text = String::from_utf8_lossy(bytes);
        for secret in [told[0], told[1], "hunter2", "plain words"] {
            assert!(!text.contains(secret), "{secret} is in {name}: {text}");
        }
    }
    let prompt = text(&files["turns/turn_1.prompt"]);
    assert!(prompt.contains("use postgres://u:[redacted]@h/db now"), "{prompt}");
    let meta: Value = serde_json::from_slice(&files["meta.json"]).unwrap();
    assert_eq!(meta["sessionId"], id);
    let events = json_lines(&text(&files["events.jsonl"]));
    assert!(events.iter().all(|event| event["sessionId"] == id), "{events:?}");
    let spec: Value = serde_json::from_slice(&files["turns/turn_1.spec.json"]).unwrap();
    let environment = spec["env"].as_array().unwrap();
    assert!(environment.contains(&json!(["SWITCHBOARD_SESSION", id])), "{environment:?}");
    let manifest = manifest(&files);
    assert_eq!(manifest["redactions"].get("environment"), None, "{manifest:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_without_a_turn_is_packed_and_what_an_agent_planted_in_one_is_not() {
    let server = ledger::setup().start();
    let clients = server.connect().await;
    let variable = ("PIN".to_owned(), "4711".to_owned());
    let options = CodexOptions { environment: [variable].into(), ..CodexOptions::default() };
    let id = pending(&clients, &server, options).await.session_id;
    let directory = session_directory(&server, &id);
    until(&directory.join("meta.json"), |meta| meta.contains(&id)).await;
    until(&directory.join("session_meta.log"), |log| log.contains("loaded")).await;
    until(&directory.join("session.log"), |log| log.contains("is complete so far")).await;
    let to = server.work().join("report.tar.zst");
    let expected =
        ["events.jsonl", "manifest.json", "meta.json", "session.log", "session_meta.log"];
    let files = pack(&server.home(), &id, &to, &[]);
    assert_eq!(files.keys().collect::<Vec<_>>(), expected);
    assert_eq!(verified(&server.home(), &to).1, 0);
    for name in ["events.jsonl", "meta.json"] {
        let text = text(&files[name]);
        assert!(!text.contains("4711") && text.contains("PIN"), "{name}: {text}");
    }

    let secret = server.work().join("secret");
    fs::write(&secret, "nobody shall see").unwrap();
    let links = ["rollout-x.jsonl", "rollout-01a1fbeb-e716-7023-89e2-0851ae85c769.jsonl"];
    for name in links {
        std::os::unix::fs::symlink(&secret, directory.join(name)).unwrap();
    }
    let own = ["manifest.json", "events.jsonl"];
    for name in own {
        fs::write(directory.join(name), "{}").unwrap();
    }
    let files = pack(&server.home(), &id, &to, &[]);
    assert_eq!(files.keys().collect::<Vec<_>>(), expected);
    assert_eq!(verified(&server.home(), &to).1, 0);
    assert!(text(&files["events.jsonl"]).contains("sessionCreated"));
    let manifest = manifest(&files);
    let left_out = manifest["left_out"].as_array().unwrap();
    for name in own {
        let why = "the bundle has one of its own";
        assert!(left_out.contains(&json!({"path": name, "why": why})), "{manifest:#}");
    }
    for name in links {
        assert!(left_out.contains(&json!({"path": name, "why": "it is a link"})), "{manifest:#}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_in_what_an_agent_calls_goes_however_deep_it_is_quoted() {
    let server = ledger::setup().start();
    let clients = server.connect().await;
    let id = pending(&clients, &server, CodexOptions::default()).await.session_id;
    // As codex prints and keeps the call of a function: JSON in a string, which has
    // JSON in a string itself.
    let secret = "it's \"SECRET07\", and more";
    let body = json!({"client_secret": secret, "scope": "kept-1"}).to_string();
    let command = format!("export DB_PASSWORD={}; curl -d {} kept-2", json!(secret), json!(body));
    let arguments = json!({"cmd": command, "headers": {"authorization": [secret]}}).to_string();
    let item = json!({"id": "item_0", "type": "agent_message", "text": arguments});
    let call = json!({"type": "item.completed", "item": item}).to_string();
    let called = server.work().join("called");
    fs::write(&called, format!("{call}\nnot JSON: {call}\n")).unwrap();
    start(&clients, &id, &format!("thread,turn,cat:{},completed", called.display())).await;
    rest(&clients, &id).await;
    let raw = session_directory(&server, &id).join("session_oai_raw.log");
    fs::write(raw, format!("{}\n", json!({"body": call}))).unwrap();

    let to = server.work().join("report.tar.zst");
    let files = pack(&server.home(), &id, &to, &[]);
    for (name, bytes) in &files {
        let text = String::from_utf8_lossy(bytes);
        assert!(!text.contains("SECRET07"), "it is in {name}: {text}");
        if name.ends_with(".json") {
            serde_json::from_str::<Value>(&text).unwrap();
        }
    }
    for name in ["events.jsonl", "turns/turn_1.jsonl", "session_oai_raw.log"] {
        let text = text(&files[name]);
        assert!(text.contains("kept-1") && text.contains("kept-2"), "{name}: {text}");
    }
    let raw = json_lines(&text(&files["session_oai_raw.log"]));
    let inside = |text: &Value| serde_json::from_str::<Value>(text.as_str().unwrap()).unwrap();
    let arguments = inside(&inside(&raw[0]["body"])["item"]["text"]);
    assert_eq!(arguments["headers"], json!({"authorization": ["[redacted]"]}));
    let command = arguments["cmd"].as_str().unwrap();
    assert!(command.starts_with("export DB_PASSWORD=\"[redacted]\"; curl"), "{command}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_changed_in_a_bundle_is_found_packed_and_unpacked() {
    let mut server = ledger::setup().start();
    let id = indiscreet(&server).await;
    server.stop();
    let home = server.home();
    let to = server.work().join("report.tar.zst");
    let files = pack(&home, &id, &to, &[]);

    // Torn, and turned into something else.
    let whole = fs::read(&to).unwrap();
    let torn = server.work().join("torn");
    fs::write(&torn, &whole[..whole.len() / 2]).unwrap();
    let (said, exit) = verified(&home, &torn);
    assert_eq!(exit, 4);
    assert!(differences(&said).iter().any(|(problem, _)| problem == "archive"), "{said:#}");
    fs::write(&torn, [whole.as_slice(), whole.as_slice()].concat()).unwrap();
    let (said, exit) = verified(&home, &torn);
    assert_eq!((differences(&said), exit), (vec![("archive".to_owned(), String::new())], 4));
    fs::write(&torn, "no archive").unwrap();
    assert_eq!(verified(&home, &torn).1, 4);
    assert_eq!(verified(&home, &server.work().join("nowhere")).1, 1);

    // What tar makes of it, beside the directory and in it.
    let unpack = |name: &str| -> PathBuf {
        let place = server.work().join(name);
        for (file, bytes) in &files {
            let path = place.join("switchboard-x").join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        place
    };
    let place = unpack("unpacked");
    let root = place.join("switchboard-x");
    assert_eq!(verified(&home, &place).1, 0);
    assert_eq!(verified(&home, &root).1, 0);
    let mut longer = files["meta.json"].clone();
    longer.push(b'\n');
    fs::write(root.join("meta.json"), longer).unwrap();
    let mut other = files["events.jsonl"].clone();
    other[0] ^= 1;
    fs::write(root.join("events.jsonl"), other).unwrap();
    fs::remove_file(root.join("turns/turn_1.stderr")).unwrap();
    fs::write(root.join("turns/note"), "").unwrap();
    let (said, exit) = verified(&home, &root);
    let pairs = [
        ("sha256", "events.jsonl"),
        ("size", "meta.json"),
        ("extra", "turns/note"),
        ("missing", "turns/turn_1.stderr"),
    ];
    let pairs = pairs.map(|(problem, path)| (problem.to_owned(), path.to_owned()));
    assert_eq!((differences(&said), exit), (pairs.to_vec(), 4));
    let shown = done(&home, ["bundle", "verify", root.to_str().unwrap()]);
    assert_eq!(code(&shown), 4);
    assert!(text(&shown.stdout).contains("missing  turns/turn_1.stderr: it is not there\n"));

    fs::remove_file(root.join("manifest.json")).unwrap();
    let (said, exit) = verified(&home, &root);
    assert_eq!((differences(&said)[0].0.as_str(), exit), ("manifest", 4));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_whose_turn_runs_is_packed_as_it_is() {
    let server = ledger::setup().start();
    let clients = server.connect().await;
    let id = pending(&clients, &server, CodexOptions::default()).await.session_id;
    let stop = server.work().join("stop");
    start(&clients, &id, &format!("thread,turn,until:{},completed", stop.display())).await;
    Watcher::start(&clients, &id).message("100").await;
    let to = server.work().join("report.tar.zst");
    let mut cut = Vec::new();
    for _ in 0..3 {
        let files = pack(&server.home(), &id, &to, &[]);
        let printed = text(&files["turns/turn_1.jsonl"]);
        assert!(printed.lines().count() > 100);
        let whole = json_lines(&text(&files["events.jsonl"]));
        assert!(whole.len() > 100);
        assert_eq!(verified(&server.home(), &to).1, 0);
        let manifest = manifest(&files);
        let listed = manifest["files"].as_array().unwrap();
        let output = listed.iter().find(|file| file["path"] == "turns/turn_1.jsonl").unwrap();
        if let Some(at) = output["cut_at"].as_u64() {
            // Nothing was left out of it.
            assert_eq!(output["size"], at);
            cut.push(at);
        }
    }
    assert!(!cut.is_empty(), "it grew while it was read");
    fs::write(&stop, "").unwrap();
    let session = rest(&clients, &id).await;
    ledger::check(&server, &session, &events(&clients, &id).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_found_by_the_beginning_of_its_id_and_rules_by_their_file() {
    let server = ledger::setup().start();
    let clients = server.connect().await;
    let (home, work) = (server.home(), server.work());
    let mut ids = Vec::new();
    for end in ["1", "2"] {
        let id = format!("aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaa{end}");
        let request = switchboard::proto::CreateSessionRequest {
            session: Some(switchboard::proto::Session {
                working_directory: work.display().to_string(),
                title: "the code word".to_owned(),
                ..Default::default()
            }),
            session_id: id.clone(),
            ..Default::default()
        };
        clients.sessions.clone().create_session(request).await.unwrap();
        ids.push(id);
    }
    let refused = |arguments: &[&str]| -> (i32, String) {
        let refused: Output = done(&home, arguments);
        (code(&refused), text(&refused.stderr))
    };
    let (exit, said) = refused(&["bundle", "aaaaaaaa"]);
    assert_eq!(exit, 1);
    assert!(ids.iter().all(|id| said.contains(id.as_str())), "{said}");
    assert_eq!(refused(&["bundle", "aaa"]).0, 2);
    assert_eq!(refused(&["bundle", "bbbbbbbb"]).0, 1);
    assert_eq!(refused(&["bundle", &ids[0], "--redact", "("]).0, 2);
    assert_eq!(refused(&["bundle", &ids[0], "--redact-file", "/nowhere"]).0, 2);
    assert_eq!(refused(&["bundle", &ids[0], "-o", "/nowhere/x"]).0, 1);
    assert_eq!(refused(&["bundle"]).0, 2);

    let rules = work.join("rules");
    fs::write(&rules, "# words\n\ncode w[a-z]+\nthe \n").unwrap();
    let packed = switchboard(&home)
        .args(["--json", "bundle", &ids[1], "--redact-file"])
        .arg(&rules)
        .current_dir(&work)
        .output()
        .unwrap();
    assert_eq!(code(&packed), 0, "{packed:?}");
    let packed: Value = serde_json::from_slice(&packed.stdout).unwrap();
    let name = format!("switchboard-{}.tar.zst", ids[1]);
    assert_eq!(packed["path"], name);
    let files = unpacked(&work.join(name));
    let told = json_lines(&text(&files["events.jsonl"]));
    assert_eq!(told[0]["sessionCreated"]["session"]["title"], "[redacted][redacted]");
    assert_eq!(packed["manifest"], manifest(&files));
}
