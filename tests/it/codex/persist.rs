//! What is kept of a session of the real codex, against what the scripted model
//! was sent and sent itself, and the example of the page in `docs/`.

use std::{collections::BTreeMap, fs, path::Path, process::Command};

use serde_json::{Value, json};
use switchboard::proto::{CodexOptions, Session, SessionState};

use super::Stage;
use crate::{
    bundle::{json_lines, mode, until},
    cli::{code, done, switchboard, text},
    json_rpc::Rpc,
    ledger::session_directory,
    model::{Gate, Reply},
};

/// The key that codex shows to its provider.
const KEY: &str = "sk-provider-0123456789abcdef";

/// Has codex show a key to the provider, from a variable of the session.
fn keyed() -> CodexOptions {
    let setting = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    CodexOptions {
        config: [setting("model_providers.scripted.env_key", "\"SCRIPTED_API_KEY\"")].into(),
        environment: [setting("SCRIPTED_API_KEY", KEY)].into(),
        ..CodexOptions::default()
    }
}

fn persisted(stage: &Stage) -> Session {
    Session { persist_session: true, codex_options: Some(keyed()), ..stage.session() }
}

/// Checks that the raw log has what the model was sent and sent, and nothing else.
fn check_raw(stage: &Stage, lines: &[Value]) {
    let of = |direction: &str| -> Vec<&Value> {
        lines.iter().filter(|line| line["direction"] == direction).collect()
    };
    let requests = stage.model.requests();
    let (asked, answered) = (of("request"), of("response"));
    let bodies: Vec<_> = asked.iter().map(|line| line["body"].clone()).collect();
    let sent: Vec<_> = requests.iter().map(|request| request.body.clone()).collect();
    assert_eq!(bodies, sent, "what was sent to the model");
    let items = answered.iter().map(|line| without_nulls(&line["body"]["output_items"]));
    let items: Vec<_> = items.collect();
    let said: Vec<_> = stage.model.said().into_iter().map(Value::from).collect();
    assert_eq!(items, said, "what the model sent");
    for (request, line) in requests.iter().zip(&asked) {
        assert_eq!(request.authorization.as_deref(), Some(format!("Bearer {KEY}").as_str()));
        assert_eq!(line["source"], "rollout_trace");
    }
}

/// A value without the members that codex fills in where the model said nothing.
fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Array(elements) => elements.iter().map(without_nulls).collect(),
        Value::Object(members) => members
            .iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(name, value)| (name.clone(), without_nulls(value)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        other => other.clone(),
    }
}

/// The text of every file below a directory, rollouts through their links.
fn all_files(directory: &Path, found: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all_files(&path, found);
        } else {
            let bytes = fs::read(&path).unwrap();
            found.insert(path.display().to_string(), String::from_utf8_lossy(&bytes).into_owned());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_that_went_to_the_model_and_came_from_it_is_kept_and_no_key() {
    let stage = Stage::new().await;
    let gate = Gate::closed();
    stage.model.script([
        Reply::new().reasoning("**Thinking**").command("echo out").message("I ran it."),
        Reply::new().wait(&gate).message("done"),
        Reply::new().message("again"),
    ]);
    let session = stage.create_as(persisted(&stage), "Do as you are told.").await;
    let id = session.session_id.clone();
    let directory = session_directory(&stage.server, &id);

    // While the turn runs: the rollout is there, and leads to codex's own.
    gate.reached(1).await;
    let thread = until(&directory.join("meta.json"), |meta| meta.contains("threadId")).await;
    let thread: Value = serde_json::from_str(&thread).unwrap();
    let thread = thread["threadId"].as_str().unwrap();
    let rollout = directory.join(format!("rollout-{thread}.jsonl"));
    until(&rollout, |text| text.contains("Do as you are told.")).await;
    let own = fs::read_link(&rollout).unwrap();
    assert!(own.starts_with(stage.home.path().join("sessions")), "{}", own.display());
    gate.open_once();
    stage.rest(&session).await;
    stage.start_turn(&id, "Once more.").await;
    let (session, _) = stage.rest(&session).await;
    assert_eq!(session.state(), SessionState::Completed);

    let raw = directory.join("session_oai_raw.log");
    let lines = json_lines(&until(&raw, |log| log.lines().count() == 6).await);
    check_raw(&stage, &lines);
    let numbers: Vec<_> = lines
        .iter()
        .map(|line| (line["turn"].as_u64().unwrap(), line["request"].as_u64().unwrap()))
        .collect();
    assert_eq!(numbers, [(1, 1), (1, 1), (1, 2), (1, 2), (2, 1), (2, 1)]);
    assert_eq!(fs::read(&rollout).unwrap(), fs::read(&own).unwrap());
    until(&directory.join("session.log"), |log| log.matches("is complete so far").count() > 2)
        .await;
    for name in ["session.log", "session_meta.log", "session_oai_raw.log"] {
        assert_eq!(mode(&directory.join(name)), 0o600, "{name}");
    }
    assert!(!directory.join("trace").exists());

    // The key is where the supervisor finds it for its agent, and nowhere else.
    let mut files = BTreeMap::new();
    all_files(&directory, &mut files);
    let with: Vec<_> = files
        .iter()
        .filter(|(_, text)| text.contains(KEY) || text.contains(&stage.server.token()))
        .map(|(path, _)| Path::new(path).file_name().unwrap().to_str().unwrap())
        .collect();
    assert_eq!(with, ["turn_1.spec.json", "turn_2.spec.json"]);

    // In the bundle not even there, and what the link leads to is in it.
    let to = stage.server.work().join("report.tar.zst");
    let packed = done(&stage.server.home(), ["--json", "bundle", &id, "-o", to.to_str().unwrap()]);
    assert_eq!(code(&packed), 0, "{packed:?}");
    let bundle = zstd::decode_all(fs::File::open(&to).unwrap()).unwrap();
    let bundle = String::from_utf8_lossy(&bundle).into_owned();
    assert!(!bundle.contains(KEY) && !bundle.contains(&stage.server.token()));
    let packed: Value = serde_json::from_slice(&packed.stdout).unwrap();
    let name = json!(format!("rollout-{thread}.jsonl"));
    let files = packed["manifest"]["files"].as_array().unwrap();
    let file = files.iter().find(|file| file["path"] == name).unwrap();
    assert_eq!(file["size"].as_u64().unwrap(), fs::metadata(&own).unwrap().len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_without_an_answer_is_kept_and_the_next_turn_goes_on() {
    let stage = Stage::new().await;
    let gate = Gate::closed();
    stage.model.script([Reply::new().wait(&gate).message("too late")]);
    let session = stage.create_as(persisted(&stage), "Go.").await;
    gate.reached(1).await;
    let rpc = Rpc::new(&stage.server);
    rpc.call("session/interruptTurn", &json!({"sessionId": session.session_id})).unwrap();
    let (session, _) = stage.rest(&session).await;
    assert_eq!(session.state(), SessionState::Interrupted);
    let directory = session_directory(&stage.server, &session.session_id);
    let log = until(&directory.join("session_oai_raw.log"), |log| !log.is_empty()).await;
    let lines = json_lines(&log);
    assert_eq!(lines[0]["body"], stage.model.requests()[0].body);
    assert!(lines[1..].iter().all(|line| line["status"] == "cancelled"), "{lines:?}");
    let meta = until(&directory.join("session_meta.log"), |log| log.contains("turn_ended")).await;
    let asked = json_lines(&meta).into_iter().find(|line| line["kind"] == "interrupt").unwrap();
    assert_eq!(asked["transport"], "json-rpc");
}

/// A small disk that is full, over the place of the traces.
struct FullDisk(std::path::PathBuf);

impl FullDisk {
    fn over(path: std::path::PathBuf) -> Self {
        fs::create_dir(&path).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=16k,mode=700", "tmpfs"])
            .arg(&path)
            .status();
        assert!(mounted.unwrap().success(), "run the tests by tests/run, or as root");
        Self(path)
    }
}

impl Drop for FullDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_fills_with_the_trace_of_codex_leaves_the_turn_alone() {
    let stage = Stage::new().await;
    stage.model.script([
        Reply::new().command("echo out"),
        Reply::new().message("done"),
        Reply::new().message("again"),
    ]);
    let session = stage.try_create(persisted(&stage), "").await.unwrap();
    let directory = session_directory(&stage.server, &session.session_id);
    let disk = FullDisk::over(directory.join("trace"));
    stage.start_turn(&session.session_id, "Do as you are told.").await;
    let (session, _) = stage.rest(&session).await;
    assert_eq!(session.state(), SessionState::Completed);
    until(&directory.join("session.log"), |log| log.contains("turn ended")).await;
    drop(disk);
    stage.start_turn(&session.session_id, "Once more.").await;
    let (session, _) = stage.rest(&session).await;
    assert_eq!(session.state(), SessionState::Completed);
    let of_second = |log: &str| json_lines(log).iter().any(|line| line["turn"] == 2);
    until(&directory.join("session_oai_raw.log"), of_second).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turn_of_a_session_that_is_not_persisted_leaves_no_trace() {
    let stage = Stage::new().await;
    stage.model.script([Reply::new().message("done")]);
    let session = stage.create("Go.").await;
    let (session, events) = stage.rest(&session).await;
    let directory = session_directory(&stage.server, &session.session_id);
    assert_eq!(crate::bundle::names(&directory), ["events", "meta.json", "turns"]);
    assert_eq!(super::warnings(&events), []);
}

/// What the page shows, as it is written: the commands that follow a `$`.
fn example() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/session-bundle.md");
    let page = fs::read_to_string(path).unwrap();
    let block = page.split("```sh\n").nth(1).unwrap().split("```").next().unwrap();
    block.to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_example_of_the_page_works() {
    let stage = Stage::new().await;
    stage.model.script([Reply::new().message("It greets the world.")]);
    let program = Path::new(env!("CARGO_BIN_EXE_switchboard"));
    let path = format!("{}:/usr/bin:/bin", program.parent().unwrap().display());
    let ran = Command::new("bash")
        .args(["-e", "-o", "pipefail", "-c", &example()])
        .current_dir(stage.server.work())
        .env("SWITCHBOARD_HOME", stage.server.home())
        .env("PATH", path)
        .output()
        .unwrap();
    let (said, errors) = (text(&ran.stdout), text(&ran.stderr));
    assert!(ran.status.success(), "{said}\n{errors}");
    assert!(said.contains("It greets the world."), "{said}");
    for name in ["session.log", "session_meta.log", "session_oai_raw.log", "rollout-"] {
        assert!(said.contains(name), "{name}: {said}");
    }
    assert!(said.contains("\"direction\":\"request\""), "{said}");
    assert!(said.lines().last().unwrap().starts_with("valid: "), "{said}");
    let listed = switchboard(&stage.server.home()).args(["sessions", "list"]).output().unwrap();
    assert_eq!(code(&listed), 0);
}
