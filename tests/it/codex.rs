//! The real codex through the server, against the scripted model: what it does
//! comes out live, is accounted for, goes on in the next turn and ends when it
//! is told to. Beside it: what becomes of a turn where codex is not as it
//! should be.

use std::{fs, path::Path};

use serde_json::{Value, json};
use switchboard::proto::{
    CreateSessionRequest, Event, FilesystemSandbox, Origin, Session, StartTurnRequest, event::Kind,
};
use tonic::Status;

use crate::{
    codex_home::CodexHome,
    harness::{Clients, Server, Setup},
    ledger::{Watcher, check, lines, rest},
    model::{Gate, Model, Progress, Reply, Usage},
    toolchain,
};

mod agent_config;
mod binary;
mod contract;
mod controls;
mod locks;
mod options;
mod outcomes;
mod persist;
mod prompts;
mod run;
mod threads;
mod turns;
mod views;

/// The version that `tests/package.json` pins.
const VERSION: &str = "0.169.0";

/// A server with the real codex, and the model that codex talks to.
struct Stage {
    model: Model,
    home: CodexHome,
    server: Server,
    clients: Clients,
}

impl Stage {
    async fn new() -> Self {
        Self::with(Setup::new().codex(&toolchain::codex()), |home| home).await
    }

    /// The same with a further configuration of codex.
    async fn configured(toml: &str) -> Self {
        Self::with(Setup::new().codex(&toolchain::codex()), |home| home.with_config(toml)).await
    }

    async fn with(setup: Setup, configure: impl FnOnce(CodexHome) -> CodexHome) -> Self {
        let model = Model::start();
        let home = configure(CodexHome::temporary(&model));
        let server = setup.codex_home(&home).start();
        let clients = server.connect().await;
        Self { model, home, server, clients }
    }

    /// A session whose commands may do everything, as codex's sandbox does not
    /// work inside of every container.
    fn session(&self) -> Session {
        Session {
            working_directory: self.server.work().display().to_string(),
            filesystem_sandbox: FilesystemSandbox::DangerFullAccess.into(),
            ..Session::default()
        }
    }

    async fn create(&self, prompt: &str) -> Session {
        self.create_as(self.session(), prompt).await
    }

    async fn create_as(&self, session: Session, prompt: &str) -> Session {
        self.try_create(session, prompt).await.unwrap()
    }

    async fn try_create(&self, session: Session, prompt: &str) -> Result<Session, Status> {
        let request = CreateSessionRequest {
            session: Some(session),
            prompt: prompt.to_owned(),
            ..CreateSessionRequest::default()
        };
        let answer = self.clients.sessions.clone().create_session(request).await?;
        Ok(answer.into_inner().session.unwrap())
    }

    async fn start_turn(&self, id: &str, prompt: &str) -> Session {
        let request = StartTurnRequest {
            session_id: id.to_owned(),
            prompt: prompt.to_owned(),
            ..Default::default()
        };
        let answer = self.clients.sessions.clone().start_turn(request).await.unwrap();
        answer.into_inner().session.unwrap()
    }

    fn watch(&self, session: &Session) -> Watcher {
        Watcher::start(&self.clients, &session.session_id)
    }

    /// Waits for the end of the latest turn; gives the session and all events,
    /// which were checked.
    async fn rest(&self, session: &Session) -> (Session, Vec<Event>) {
        let session = rest(&self.clients, &session.session_id).await;
        let events = self.watch(&session).rest(session.turn_count).await;
        check(&self.server, &session, &events);
        (session, events)
    }

    /// The `turn_context` of each turn of a thread, as codex recorded it.
    fn turn_contexts(&self, thread_id: &str) -> Vec<Value> {
        let file = find(&self.home.path().join("sessions"), thread_id).expect("a rollout");
        let rollout = fs::read_to_string(file).unwrap();
        let lines = rollout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let contexts = lines.filter(|line| line["type"] == "turn_context");
        contexts.map(|mut line| line["payload"].take()).collect()
    }
}

/// The file under a folder whose name contains the text.
fn find(folder: &Path, text: &str) -> Option<std::path::PathBuf> {
    fs::read_dir(folder).unwrap().find_map(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() {
            return find(&path, text);
        }
        path.file_name()?.to_str()?.contains(text).then_some(path)
    })
}

/// What the agent printed in a turn, as values.
fn printed(events: &[Event], turn: u32) -> Vec<Value> {
    lines(events, turn).iter().map(|line| serde_json::from_slice(line).unwrap()).collect()
}

/// What the agent printed of its items in a turn.
fn items(events: &[Event], turn: u32) -> Vec<Value> {
    let mut printed = printed(events, turn);
    printed.retain(|line| line["item"].is_object());
    printed
}

/// The names of the kinds of events, in order.
fn kinds(events: &[Event]) -> Vec<String> {
    let kind = |event: &Event| format!("{:?}", event.kind.as_ref().unwrap());
    events.iter().map(|event| kind(event).split('(').next().unwrap().to_owned()).collect()
}

fn started(item: &Value) -> Value {
    json!({"type": "item.started", "item": item})
}

fn completed(item: &Value) -> Value {
    json!({"type": "item.completed", "item": item})
}

fn message(id: &str, text: &str) -> Value {
    completed(&json!({"id": id, "type": "agent_message", "text": text}))
}

/// The model's part in a turn of everything: reasoning before the gate, and
/// behind it a command, a patch, a plan and a message.
fn everything(gate: &Gate) -> [Reply; 4] {
    let patch = "*** Begin Patch\n*** Add File: a.txt\n+hello\n*** End Patch\n";
    [
        Reply::new().reasoning("**Thinking**").wait(gate).command("echo out"),
        Reply::new().patch(patch),
        Reply::new().plan(&[("Read", Progress::Completed), ("Write", Progress::Begun)]),
        Reply::new().message("done").usage(Usage { input: 7, cached: 3, output: 5, reasoning: 2 }),
    ]
}

/// What codex prints of that turn's items.
fn items_of_everything(work: &Path) -> [Value; 8] {
    let command = |output: &str, exit_code: Option<i32>, status: &str| {
        json!({
            "id": "item_1", "type": "command_execution", "command": "/bin/bash -lc 'echo out'",
            "aggregated_output": output, "exit_code": exit_code, "status": status,
        })
    };
    let path = work.canonicalize().unwrap().join("a.txt");
    let change = |status: &str| {
        let changes = json!([{"path": path, "kind": "add"}]);
        json!({"id": "item_2", "type": "file_change", "changes": changes, "status": status})
    };
    let plan = json!({"id": "item_3", "type": "todo_list", "items": [
        {"text": "Read", "completed": true}, {"text": "Write", "completed": false},
    ]});
    [
        completed(&json!({"id": "item_0", "type": "reasoning", "text": "**Thinking**"})),
        started(&command("", None, "in_progress")),
        completed(&command("out\n", Some(0), "completed")),
        started(&change("in_progress")),
        completed(&change("completed")),
        started(&plan),
        message("item_4", "done"),
        completed(&plan),
    ]
}

/// The codes of the warnings among the events, with what they say.
fn warnings(events: &[Event]) -> Vec<(&str, &str)> {
    let of_server = events.iter().filter(|event| event.origin == i32::from(Origin::Server));
    of_server
        .filter_map(|event| match &event.kind {
            Some(Kind::Warning(warning)) => Some((warning.code.as_str(), warning.message.as_str())),
            _ => None,
        })
        .collect()
}
