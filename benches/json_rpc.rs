//! Events over JSON-RPC beside the same events over gRPC.
//!
//! `cargo bench --bench json_rpc`; `SWITCHBOARD_BENCH_SCALE=0.1` for a quick look.
//! It writes below `target/` and removes what it wrote.
//!
//! One subscriber reads a session of the past from its first event to its last. CPU
//! is the server's alone.

mod measure;
mod rig;

use std::{cell::Cell, path::Path};

use measure::{Cost, Target, heading, interleaved, row};
use rig::{
    agent::{self, Script},
    server::Server,
    subscriber::{Audience, LARGE_FRAMES},
    websocket,
};
use switchboard::proto::WatchEventsRequest;
use tokio::runtime::Runtime;

const ROUNDS: usize = 5;

fn main() {
    if rig::role() {
        return;
    }
    let place = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let runtime = Runtime::new().expect("a runtime");
    let server = runtime.block_on(Server::start(place));
    let events = (400_000.0 * rig::scale()) as usize;
    let id = runtime.block_on(record(&server, events));
    let bytes = Cell::new(0);
    let [grpc, json_rpc] = interleaved(
        ROUNDS,
        [&mut || runtime.block_on(over_grpc(&server, &id, events)), &mut || {
            runtime.block_on(async {
                let begin = (server.process.cpu_time(), agent::now());
                bytes.set(websocket::watch(server.address, &id).await);
                since(&server, begin)
            })
        }],
    );
    let (one, other) = (grpc.cpu_micros_each(events), json_rpc.cpu_micros_each(events));
    heading("one subscriber reads what is in the log: CPU of the server for an event");
    row("over gRPC", one, "µs", Target::None);
    row("over a WebSocket at /rpc", other, "µs", Target::None);
    row("size over a WebSocket", bytes.get() as f64 / events as f64, "B", Target::None);
    row("JSON-RPC ÷ gRPC", other / one, "", Target::AtMost(1.4));
    heading("on the wall");
    row("over gRPC", grpc.per_second(events) / 1e6, "M events/s", Target::None);
    row("over a WebSocket at /rpc", json_rpc.per_second(events) / 1e6, "M events/s", Target::None);
}

/// A session that runs once, to be read.
async fn record(server: &Server, lines: usize) -> String {
    let (id, agent) = server.prepare(Script { lines, interval: None }).await;
    agent::begin(agent);
    server.rest(&id).await;
    id
}

async fn over_grpc(server: &Server, id: &str, events: usize) -> Cost {
    let request =
        WatchEventsRequest { session_ids: vec![id.to_owned()], start_seq: 1, ..Default::default() };
    let begin = (server.process.cpu_time(), agent::now());
    let mut audience = Audience::new(server.address, 1, &request, LARGE_FRAMES).await;
    audience.take(events).await;
    since(server, begin)
}

fn since(server: &Server, (cpu, wall): (std::time::Duration, std::time::Duration)) -> Cost {
    Cost { cpu: server.process.cpu_time() - cpu, wall: agent::now() - wall }
}
