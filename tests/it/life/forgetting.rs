//! What agents keep of threads whose sessions were deleted: they are asked to
//! forget it, whatever happened to the server, and not for ever.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use super::delete;
use crate::{
    harness::{Clients, Server, Setup},
    ledger::{GIVE_UP, create, fake_agent, rest},
    subscriber::{Subscriber, from},
};

/// A server whose agent writes down which threads it forgets.
struct Stage {
    server: Server,
    clients: Clients,
    folder: tempfile::TempDir,
}

impl Stage {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let agent = folder.path().join("agent.py");
        fs::copy(fake_agent(), &agent).unwrap();
        let setup = Setup::new().codex(&agent);
        let server = setup.env("FAKE_AGENT_DELETED", folder.path().join("deleted")).start();
        let clients = server.connect_to_socket().await;
        Self { server, clients, folder }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A session at rest; its id and its thread.
    async fn session(&self, script: &str) -> (String, String) {
        let created = create(&self.clients, &self.server.work(), script).await.unwrap();
        let session = rest(&self.clients, &created.session_id).await;
        (session.session_id, session.thread_id)
    }

    async fn delete(&self, id: &str) {
        delete(&self.clients, id).await.unwrap();
    }

    /// The threads that the agent was asked to forget, in order.
    fn asked(&self) -> Vec<String> {
        let asked = fs::read_to_string(self.file("deleted")).unwrap_or_default();
        asked.lines().map(str::to_owned).collect()
    }

    async fn until_asked(&self, threads: &[&String]) {
        until("the agent is asked", || self.asked().iter().collect::<Vec<_>>() == threads).await;
    }

    /// How often the log says this.
    fn said(&self, what: &str) -> usize {
        self.server.log().matches(what).count()
    }
}

async fn until(what: &str, happened: impl Fn() -> bool) {
    let begin = Instant::now();
    while !happened() {
        assert!(begin.elapsed() < GIVE_UP, "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_server_has_the_thread_forgotten_where_the_first_died_too_early() {
    let mut stage = Stage::new().await;
    let (id, thread) = stage.session("thread,turn,print:2000:1000,completed").await;
    // The session stays for one that reads nothing.
    let mut reader = Subscriber::open(&stage.clients, from(&id, 1)).await;
    reader.header().await;
    stage.delete(&id).await;
    stage.server.kill();
    assert_eq!(stage.asked(), [""; 0]);

    stage.server.start();

    stage.until_asked(&[&thread]).await;
    let (id, other) = stage.session("thread,turn,completed").await;
    stage.delete(&id).await;
    stage.until_asked(&[&thread, &other]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_is_missing_is_asked_after_the_next_deletion() {
    let stage = Stage::new().await;
    let (first, first_thread) = stage.session("thread,turn,completed").await;
    let (second, second_thread) = stage.session("thread,turn,completed").await;
    let (agent, away) = (stage.file("agent.py"), stage.file("away"));
    fs::rename(&agent, &away).unwrap();
    stage.delete(&first).await;
    until("that is said", || stage.said("cannot be asked to forget") == 1).await;
    fs::rename(&away, &agent).unwrap();

    stage.delete(&second).await;

    stage.until_asked(&[&first_thread, &second_thread]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_refuses_is_asked_by_three_servers_and_no_more() {
    let mut stage = Stage::new().await;
    let (id, refused) = stage.session("thread,turn,completed").await;
    refuse(&stage.file("deleted.refused"), &refused);
    stage.delete(&id).await;
    until("it refuses", || stage.said("trying again at the next start") == 1).await;
    let (id, other) = stage.session("thread,turn,completed").await;
    stage.delete(&id).await;
    // A server that dies at once may have it asked for a second time.
    until("the other is forgotten", || stage.asked().contains(&other)).await;

    stage.server.kill_and_start();
    until("it refuses", || stage.said("trying again at the next start") == 2).await;
    stage.server.kill_and_start();
    until("that is the end", || stage.said("not trying again") == 1).await;
    stage.server.kill_and_start();

    let (id, last) = stage.session("thread,turn,completed").await;
    stage.delete(&id).await;
    until("the last is forgotten", || stage.asked().contains(&last)).await;
    assert_eq!(stage.asked().iter().filter(|thread| **thread == refused).count(), 3);
    assert_eq!(stage.said("not trying again"), 1);
}

fn refuse(file: &Path, thread: &str) {
    fs::write(file, format!("{thread}\n")).unwrap();
}
