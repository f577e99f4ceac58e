//! What the server costs when little or nothing happens: memory of the
//! supervisor, of the server, of a session and of a subscriber, and the time
//! until it is ready.
//!
//! `cargo bench --bench footprint`. Memory is the proportional set size (Pss) of
//! the process, in which pages that processes share count by their part.

mod measure;
mod rig;

use std::{fs, path::Path, time::Duration};

use measure::{Target, heading, median, row};
use rig::{
    agent::{self, Script},
    server::{Memory, Server},
    subscriber::{Audience, LARGE_FRAMES},
};
use serde::Deserialize;
use switchboard::proto::WatchEventsRequest;

const STARTS: usize = 9;
const SESSIONS: usize = 500;
const SUBSCRIBERS: usize = 1_000;
const STUCK: usize = 200;
const LINES: usize = 40_000;
/// Header, synced of the session and synced of the whole.
const BEFORE_LIVE: usize = 3;

#[tokio::main]
async fn main() {
    if rig::role() {
        return;
    }
    let place = Path::new(env!("CARGO_TARGET_TMPDIR"));
    start(place).await;
    supervisor(place).await;
    sessions(place).await;
    subscribers(place).await;
}

async fn start(place: &Path) {
    let mut times = Vec::new();
    for _ in 0..STARTS {
        times.push(Server::start(place).await.time_to_ready.as_secs_f64());
    }
    heading("the start");
    row(
        "serve on a new home to ready",
        milliseconds(median(times.into_iter())),
        "ms",
        Target::None,
    );
}

async fn supervisor(place: &Path) {
    #[derive(Deserialize)]
    struct PidFile {
        supervisor_pid: u32,
    }
    let server = Server::start(place).await;
    let (id, agent) = server.prepare(Script { lines: 10, interval: None }).await;
    let file = server.home().join("sessions").join(&id).join("turns/turn_1.pid.json");
    let file: PidFile = serde_json::from_slice(&fs::read(file).expect("a pid file")).expect("JSON");
    let memory = Memory::of(file.supervisor_pid);
    agent::begin(agent);
    server.rest(&id).await;
    heading("a turn's supervisor");
    row("Pss", memory.pss / MIB, "MiB", Target::AtMost(3.0));
    row("private", memory.private / MIB, "MiB", Target::None);
}

async fn sessions(place: &Path) {
    let server = Server::start(place).await;
    let idle = server.process.memory();
    for _ in 0..SESSIONS {
        server.create(String::new()).await;
    }
    let used = server.process.memory();
    let server = server.restart().await;
    let restarted = server.process.memory();
    heading("the server when nothing happens");
    row("Pss on a new home", idle.pss / MIB, "MiB", Target::AtMost(30.0));
    row("private on a new home", idle.private / MIB, "MiB", Target::None);
    let each = |memory: Memory| (memory.pss - idle.pss) / KIB / SESSIONS as f64;
    row("Pss for a session that was used in the last minute", each(used), "KiB", Target::None);
    row("Pss for a session at rest, after a restart", each(restarted), "KiB", Target::None);
    row(
        &format!("restart on a home with {SESSIONS} sessions to ready"),
        milliseconds(server.time_to_ready),
        "ms",
        Target::None,
    );
}

async fn subscribers(place: &Path) {
    let server = Server::start(place).await;
    // What the first run and the first subscribers of a server take stays.
    run(&server, 0).await;
    run(&server, 0).await;
    let id = server.create(String::new()).await;
    let before = server.process.memory();
    let mut idle = Audience::new(server.address, SUBSCRIBERS, &watch(&id), LARGE_FRAMES).await;
    idle.take(BEFORE_LIVE).await;
    let with_idle = server.process.memory();
    drop(idle);
    heading("subscribers, 10 and 2 on a connection");
    row(
        "Pss for one to which nothing is sent",
        (with_idle.pss - before.pss) / KIB / SUBSCRIBERS as f64,
        "KiB",
        Target::None,
    );
    let alone = run(&server, 0).await;
    let with_stuck = run(&server, STUCK).await;
    row("Pss for a session that printed 40,000 events", alone / MIB, "MiB", Target::None);
    row(
        "Pss for one that reads nothing of them",
        (with_stuck - alone) / KIB / STUCK as f64,
        "KiB",
        Target::None,
    );
}

/// By how much the server grows over a turn with so many subscribers that take
/// nothing of what it prints.
async fn run(server: &Server, stuck: usize) -> f64 {
    let before = server.process.memory();
    let (id, agent) = server.prepare(Script { lines: LINES, interval: None }).await;
    let audience = Audience::of_readers_that_stop(server.address, stuck, &watch(&id)).await;
    agent::begin(agent);
    server.rest(&id).await;
    let grown = server.process.memory().pss - before.pss;
    drop(audience);
    grown
}

fn watch(id: &str) -> WatchEventsRequest {
    WatchEventsRequest { session_ids: vec![id.to_owned()], ..Default::default() }
}

const KIB: f64 = 1024.0;
const MIB: f64 = 1024.0 * 1024.0;

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
