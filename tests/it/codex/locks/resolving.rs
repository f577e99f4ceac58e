//! What the real codex would run with, written down, and held to in the next turn:
//! nothing differs as long as nothing changes, and what changes is named with its
//! key and where it comes from.
//!
//! The library is asked itself, without a server.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::Value;
use switchboard::{
    Error,
    agent::{Agents, Compared, ConfigFile, Effort, History, Kind, Options, TurnRequest},
    id::{SessionId, TurnNumber},
    lock::{CatalogueFields, Effective, Lock, MadeOf},
    proto::{ApprovalPolicy, CodexOptions, FilesystemSandbox, NetworkAccess, WebSearchMode},
};

use crate::{
    codex::{VERSION, find},
    codex_home::CodexHome,
    model::{Model, Reply},
    toolchain,
};

mod choosing;
mod drifting;
mod itself;
mod leaving;
mod replaying;

/// Codex, as the server knows it, and a directory to work in.
struct Bench {
    model: Model,
    home: CodexHome,
    folder: tempfile::TempDir,
    agents: Agents,
}

impl Bench {
    fn new() -> Self {
        Self::configured("")
    }

    /// With a further configuration of codex.
    fn configured(toml: &str) -> Self {
        let model = Model::start();
        let home = CodexHome::temporary(&model).with_config(toml);
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("work")).unwrap();
        let agents = agents(&toolchain::codex(), &home, folder.path());
        Self { model, home, folder, agents }
    }

    fn work(&self) -> PathBuf {
        self.folder.path().join("work").canonicalize().unwrap()
    }

    /// Writes a file into the directory to work in.
    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.work().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    fn resolve(&self, asked: &Asked) -> Effective {
        asked.with(self, None, |turn| {
            self.agents.resolve(&Kind::Codex, &turn, CatalogueFields::Saved).unwrap().effective
        })
    }

    /// The lock of a turn, as it is read from the file that is written.
    fn lock(&self, asked: &Asked) -> Lock {
        let made_of = MadeOf { switchboard_version: Some("0.1.0".to_owned()), ..MadeOf::default() };
        let lock = Lock { made_of, effective: self.resolve(asked) };
        Lock::parse(&lock.to_toml().unwrap()).unwrap()
    }

    fn compare(&self, asked: &Asked, lock: &Lock) -> Compared {
        asked.with(self, Some(lock), |turn| self.agents.compare(&Kind::Codex, &turn).unwrap())
    }

    /// Checks what differs from a lock, as lines `KEY: LOCKED -> ACTUAL, ORIGIN`, and
    /// that a turn would not start with that.
    fn check(&self, asked: &Asked, lock: &Lock, expected: &[&str]) {
        let Compared { drift, .. } = self.compare(asked, lock);
        let show = |value: Option<String>| value.unwrap_or_default();
        let found: Vec<_> = drift
            .values
            .iter()
            .cloned()
            .map(|it| {
                format!("{}: {} -> {}, {}", it.key, show(it.locked), show(it.actual), it.origin)
            })
            .collect();
        assert_eq!(found, expected, "{}", drift.diff);
        let launched =
            asked.with(self, Some(lock), |turn| self.agents.launch(&Kind::Codex, &turn).map(drop));
        match launched {
            Ok(()) => assert!(expected.is_empty()),
            Err(Error::ConfigLockDrift { drift: refused }) => assert_eq!(*refused, drift),
            Err(other) => panic!("{other:?}"),
        }
    }

    /// Runs a turn, and gives its `turn_context`, the request to the model, and what
    /// codex warned of.
    fn run(&self, asked: &Asked, lock: Option<&Lock>) -> Ran {
        self.model.script([Reply::new().message("done")]);
        let launch =
            asked.with(self, lock, |turn| self.agents.launch(&Kind::Codex, &turn).unwrap());
        let prompt = self.folder.path().join("prompt");
        fs::write(&prompt, "Go.").unwrap();
        let output = Command::new(&launch.program)
            .args(&launch.args)
            .envs(launch.env)
            .current_dir(self.work())
            .stdin(fs::File::open(prompt).unwrap())
            .stderr(Stdio::piped())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let lines = String::from_utf8(output.stdout).unwrap();
        let lines: Vec<Value> =
            lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let thread = lines[0]["thread_id"].as_str().unwrap().to_owned();
        let warnings = lines.iter().filter(|line| line["item"]["type"] == "error");
        let warnings = warnings.map(|line| line["item"]["message"].as_str().unwrap().to_owned());
        let rollout = find(&self.home.path().join("sessions"), &thread).unwrap();
        let rollout = fs::read_to_string(rollout).unwrap();
        let mut lines = rollout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let mut context = lines.find(|line| line["type"] == "turn_context").unwrap();
        Ran {
            thread,
            context: without_ids(context["payload"].take()),
            request: without_ids(self.model.requests().pop().unwrap().body),
            warnings: warnings.collect(),
        }
    }
}

fn agents(codex: &Path, home: &CodexHome, folder: &Path) -> Agents {
    Agents::new(Options {
        codex: Some(codex.to_owned()),
        codex_home: Some(home.path().to_owned()),
        codex_config: ConfigFile { path: folder.join("codex.toml"), must_exist: false },
        ..Options::default()
    })
}

/// What a turn ran with.
struct Ran {
    thread: String,
    context: Value,
    request: Value,
    warnings: Vec<String>,
}

/// The same without what is new in each turn.
fn without_ids(mut value: Value) -> Value {
    match &mut value {
        Value::Object(members) => {
            for key in ["id", "turn_id", "root_turn_id", "prompt_cache_key", "client_metadata"] {
                members.remove(key);
            }
            members.values_mut().for_each(|member| *member = without_ids(member.take()));
        }
        Value::Array(values) => {
            values.iter_mut().for_each(|value| *value = without_ids(value.take()));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
    value
}

/// What is asked of a turn.
#[derive(Debug, Clone, Default)]
struct Asked {
    model: Option<&'static str>,
    sandbox: FilesystemSandbox,
    network: NetworkAccess,
    effort: Option<Effort>,
    options: CodexOptions,
    any_version: bool,
}

impl Asked {
    fn with<T>(
        &self,
        bench: &Bench,
        lock: Option<&Lock>,
        ask: impl FnOnce(TurnRequest<'_>) -> T,
    ) -> T {
        ask(TurnRequest {
            session: SessionId::random(),
            turn: TurnNumber(1),
            working_directory: &bench.work(),
            model: self.model,
            approval_policy: ApprovalPolicy::Unspecified,
            sandbox: self.sandbox,
            network: self.network,
            options: &self.options,
            images: &[],
            effort: self.effort,
            history: History::New,
            lock: lock.map(|lock| (lock, self.any_version)),
        })
    }
}

/// Options with these settings.
fn told<const N: usize>(settings: [(&str, &str); N]) -> CodexOptions {
    let config = settings.map(|(key, value)| (key.to_owned(), value.to_owned()));
    CodexOptions { config: config.into(), ..CodexOptions::default() }
}

/// A lock that codex 0.147 made, with what the tests have codex do beside.
fn of_codex() -> Lock {
    let file = toolchain::tests_dir().join("fixtures/config_locks/codex-0.147.toml");
    let text = fs::read_to_string(file).unwrap();
    let text = text.replace("\"mock\"", "\"scripted\"").replace(".mock]", ".scripted]");
    Lock::parse(&format!("{text}\n[config.tools.update_plan]\nenabled = true\n")).unwrap()
}

/// A program that is codex in all but its version.
fn of_version(folder: &Path, version: &str) -> PathBuf {
    let program = folder.join("other-codex");
    let codex = toolchain::codex();
    let text = format!(
        "#!/bin/sh\nif [ \"$1\" = --version ]; then echo 'codex-cli {version}'; exit; fi\nexec '{}' \"$@\"\n",
        codex.display()
    );
    fs::write(&program, text).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    program
}

/// A directory that codex takes the configuration of.
fn trusted(directory: &Path) -> String {
    format!("\n[projects.{:?}]\ntrust_level = \"trusted\"\n", directory.to_str().unwrap())
}
