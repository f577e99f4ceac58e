//! The server that a scenario is played on over one transport, and what a line
//! can do to it behind the API's back.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::ErrorKind,
    os::unix::fs::FileExt as _,
    path::Path,
    thread,
    time::Duration,
};

use rusqlite::Connection;
use rustix::process::{Pid, Resource, Rlimit};
use serde_json::{Value, json};

use crate::{
    codex_home::CodexHome,
    harness::{Server, Setup},
    ledger,
    model::{Model, Reply},
    toolchain,
};

/// Who stands in for codex.
#[derive(Debug, Clone, Copy)]
pub(super) enum Agent {
    /// The scripted agent.
    Scripted,
    /// Codex itself, whose model says `done` whatever it is asked.
    Codex,
}

/// A server with its agent.
pub(super) struct Stage {
    pub server: Server,
    codex: Option<(CodexHome, Model)>,
    /// Whether it was asked to stop, and may have ended by itself.
    is_stopping: bool,
}

impl Stage {
    pub(super) fn new(agent: Agent, mut config: String) -> Self {
        let (setup, codex) = match agent {
            Agent::Scripted => {
                // So that a machine under load is not late in answering what codex can.
                let certain = "[codex]\nunbounded_connection_retries = true\n";
                config.push_str(certain);
                (ledger::setup(), None)
            }
            Agent::Codex => {
                let model = Model::start();
                model.script((0..20).map(|_| Reply::new().message("done")));
                let home = CodexHome::temporary(&model);
                let setup = Setup::new().codex(&toolchain::codex()).codex_home(&home);
                (setup, Some((home, model)))
            }
        };
        let server = setup.config(config.leak()).start();
        // An agent's message whose JSON has more escapes than letters.
        let quotes = json!({"id": "q", "type": "agent_message", "text": "\"\n".repeat(14_000)});
        let quotes = json!({"type": "item.completed", "item": quotes});
        fs::write(server.work().join("quotes"), format!("{quotes}\n")).unwrap();
        Self { server, codex, is_stopping: false }
    }

    /// The places that lines name, which are others for each server.
    pub(super) fn places(&self) -> Vec<(&'static str, String)> {
        let mut places = vec![
            ("$WORK", self.server.work().display().to_string()),
            ("$HOME", self.server.home().display().to_string()),
        ];
        let codex = self.codex.iter();
        places.extend(codex.map(|(home, _)| ("$CODEX", home.path().display().to_string())));
        places
    }

    /// Does what is no method of the API; none where it is one. Whoever talks to a
    /// server that was started again has to connect again. A call opens so many
    /// connections.
    pub(super) fn carry_out(
        &mut self,
        method: &str,
        request: &Value,
        connections: u64,
    ) -> Option<Value> {
        let text = |name: &str| request[name].as_str().unwrap_or_default();
        match method {
            "StopServer" => {
                self.server.ask_to_stop();
                self.is_stopping = true;
            }
            "KillServer" => self.server.kill(),
            "StartServer" => {
                if std::mem::take(&mut self.is_stopping) {
                    self.server.stopped();
                }
                self.server.start();
            }
            "Write" => {
                let path = Path::new(text("path"));
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, text("text")).unwrap();
            }
            "Remove" => remove(Path::new(text("path"))),
            "Flip" => flip(Path::new(text("path")), text("at")),
            "Sql" => {
                let database = Connection::open(self.server.home().join("state.db")).unwrap();
                database.execute_batch(text("statements")).unwrap();
            }
            "LimitFiles" => {
                self.limit_files(request["free"].as_u64().map(|free| free + connections));
            }
            "Edit" => {
                assert!(text("text").contains(text("from")), "{request}");
                return Some(text("text").replacen(text("from"), text("to"), 1).into());
            }
            _ => return None,
        }
        Some(Value::Null)
    }

    /// Has the server open at most so many files more; as many as most may without.
    fn limit_files(&self, free: Option<u64>) {
        let pid = self.server.pid();
        let most = free.map_or(MANY, |free| {
            let open = open_files(pid);
            let closed = (0..).filter(|number| !open.contains(number));
            closed.take(usize::try_from(free).unwrap() + 1).last().unwrap()
        });
        let limit = Rlimit { current: Some(most), maximum: Some(MANY) };
        let pid = Pid::from_raw(i32::try_from(pid).unwrap());
        rustix::process::prlimit(pid, Resource::Nofile, limit).unwrap();
    }
}

/// How many files a server may open that is not held to less.
const MANY: u64 = 4_096;

/// How long nothing is opened or closed where a server is at rest.
const STILL: Duration = Duration::from_millis(50);

/// The numbers of a process's open files, once they stay as they are: what was
/// closed a moment ago may be among them.
fn open_files(pid: u32) -> BTreeSet<u64> {
    let now = || -> BTreeSet<u64> {
        let entries = fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.map(|name| name.parse().unwrap()).collect()
    };
    let mut open = now();
    loop {
        thread::sleep(STILL);
        let later = now();
        if later == open {
            return open;
        }
        open = later;
    }
}

fn remove(path: &Path) {
    match fs::remove_file(path) {
        Err(error) if error.kind() == ErrorKind::IsADirectory => fs::remove_dir_all(path).unwrap(),
        removed => removed.unwrap(),
    }
}

/// Flips a bit where this text begins in a file.
fn flip(path: &Path, text: &str) {
    let content = fs::read(path).unwrap();
    let at = content.windows(text.len()).position(|part| part == text.as_bytes()).expect(text);
    let file = File::options().write(true).open(path).unwrap();
    file.write_all_at(&[content[at] ^ 1], at as u64).unwrap();
}
