//! The stream of events as a whole, from an agent's output to its subscribers,
//! beside a plain tonic server that sends the same messages from memory.
//!
//! `cargo bench --bench stream`; `SWITCHBOARD_BENCH_SCALE=0.1` for a quick look.
//! It writes below `target/` and removes what it wrote.
//!
//! CPU is the server's alone: it is a process of its own, and so are the agent
//! and the subscribers. What delivery costs is what a server with subscribers
//! takes more than one without, and the framing of each event, which is done
//! once, when it is written. Parsing and the log are not in it, as the plain
//! server has neither; they are in the row from end to end.

mod measure;
mod rig;

use std::{cell::RefCell, fs, hint::black_box, path::Path, time::Duration};

use measure::{Cost, Target, heading, interleaved, measure, median, row};
use prost::Message as _;
use rig::{
    agent::{self, FRAMING_LINES, Script},
    plain::Events,
    server::{Plain, Server},
    subscriber::{Audience, LARGE_FRAMES, SMALL_FRAMES},
};
use switchboard::{
    id::Seq,
    proto::{
        WatchEventsRequest, event_service_client::EventServiceClient,
        watch_events_response::Message,
    },
    store::log::Reader,
};
use tokio::runtime::Runtime;

const ROUNDS: usize = 3;
/// Header, synced of the session and synced of the whole: what a watch that
/// begins now gets before events.
const BEFORE_LIVE: usize = 3;
/// Below that, a run would be made of its beginning and its end.
const LEAST_EVENTS: f64 = 1_000.0;

/// What the server reads at once.
const READ_BYTES: usize = 256 << 10;
const RATE: Duration = Duration::from_micros(200);

fn main() {
    if rig::role() {
        return;
    }
    let place = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let runtime = Runtime::new().expect("a runtime");
    throughput(&runtime, place);
    latency(&runtime, place);
}

fn scaled(events: usize) -> usize {
    (events as f64 * rig::scale()).max(LEAST_EVENTS) as usize
}

fn throughput(runtime: &Runtime, place: &Path) {
    let server = runtime.block_on(Server::start(place));
    let plain = RefCell::new(Plain::start());
    let events = Events::new();

    let (many, some, few, fewest) =
        (scaled(400_000), scaled(200_000), scaled(40_000), scaled(8_000));
    let replayed = runtime.block_on(record(&server, many));
    let live =
        |count, subscribers| runtime.block_on(live(&server, count, subscribers, LARGE_FRAMES));
    let live_in_small_frames = |count, subscribers| {
        runtime.block_on(self::live(&server, count, subscribers, SMALL_FRAMES))
    };
    let log = server.home().join("sessions").join(&replayed).join("events");
    let log = Reader::open_read_only(&log).expect("the log of the recorded session");
    let bare =
        |count, subscribers| runtime.block_on(bare(&mut plain.borrow_mut(), count, subscribers));
    let [plain_1, plain_100, framing, x0, x1, x10, x100, x100_small, x1000, replay, log] =
        interleaved(
            ROUNDS,
            [
                &mut || bare(many, 1),
                &mut || bare(fewest, 100),
                &mut || measure(|| frame(&events, many)),
                &mut || live(many, 0),
                &mut || live(many, 1),
                &mut || live(some, 10),
                &mut || live(few, 100),
                &mut || live_in_small_frames(few, 100),
                &mut || live(fewest, 1000),
                &mut || runtime.block_on(replay(&server, &replayed, many)),
                &mut || measure(|| read(&log)),
            ],
        );

    let wire = (0..4).map(|seq| 5 + events.message(Seq(1_000_000 + seq)).encoded_len());
    let wire = wire.sum::<usize>() as f64 / 4.0;
    let plain_rate = plain_1.per_second(many);
    let plain_cpu = plain_1.cpu_micros_each(many);
    let framing = framing.cpu_micros_each(many);
    let ingest = x0.cpu_micros_each(many);
    let one = x1.cpu_micros_each(many);
    let fan_out = [
        (10, x10.cpu_micros_each(some), 3.5),
        (100, x100.cpu_micros_each(few), 30.0),
        (1000, x1000.cpu_micros_each(fewest), 320.0),
    ];
    // What the subscribers of an event cost together, and what is done for them once.
    let delivery = |whole: f64| whole - ingest + framing;

    heading(&format!("one subscriber: CPU of the server for an event, {wire} B on the wire"));
    row("plain tonic", plain_cpu, "µs", Target::None);
    row("ours, reading, parsing, framing and the log", ingest, "µs", Target::None);
    row("ours, the same and one subscriber", one, "µs", Target::None);
    row("ours, framing", framing, "µs", Target::None);
    row("delivery and framing ÷ plain tonic", delivery(one) / plain_cpu, "", Target::AtMost(0.75));

    heading("many subscribers: CPU of the server for an event and all of them");
    for (subscribers, whole, _) in fan_out {
        row(&format!("×{subscribers}"), whole, "µs", Target::None);
    }
    for (subscribers, whole, most) in fan_out {
        row(&format!("×{subscribers} ÷ ×1"), whole / one, "", Target::AtMost(most));
    }
    for (subscribers, whole, most) in fan_out {
        row(
            &format!("×{subscribers} ÷ ×1, delivery and framing alone"),
            delivery(whole) / delivery(one),
            "",
            Target::AtMost(most),
        );
    }
    let each = |(subscribers, whole, _): (u32, f64, f64)| (whole - ingest) / f64::from(subscribers);
    row("one delivery of ×100", each(fan_out[1]), "µs", Target::None);
    row("one delivery of ×1000", each(fan_out[2]), "µs", Target::None);
    let plain_each = plain_100.cpu_micros_each(fewest) / 100.0;
    row("one delivery of plain tonic ×100", plain_each, "µs", Target::None);

    heading("on the wall");
    row("plain tonic ×1", plain_rate / 1e6, "M events/s", Target::None);
    row("end to end ×1", x1.per_second(many) / 1e6, "M events/s", Target::None);
    row(
        "end to end ×1 ÷ plain tonic ×1",
        x1.per_second(many) / plain_rate,
        "",
        Target::AtLeast(0.45),
    );
    let replay_rate = replay.per_second(many);
    let fastest = replay_rate.max(plain_rate);
    row("replay over gRPC", replay_rate / 1e6, "M events/s", Target::None);
    row("replay over gRPC ÷ plain tonic ×1", replay_rate / plain_rate, "", Target::None);
    row("the log alone, read and verified", log.per_second(many) / 1e6, "M events/s", Target::None);
    row(
        "the log alone ÷ the faster of the two streams",
        log.per_second(many) / fastest,
        "",
        Target::AtLeast(2.5),
    );
    let (ours, theirs) = (100.0 * x100.per_second(few), 100.0 * plain_100.per_second(fewest));
    row("plain tonic ×100", theirs / 1e6, "M deliveries/s", Target::None);
    row("ours ×100", ours / 1e6, "M deliveries/s", Target::None);
    row(
        "ours ×100, frames of 16 KiB",
        100.0 * x100_small.per_second(few) / 1e6,
        "M deliveries/s",
        Target::None,
    );
    row("ours ×1000", 1000.0 * x1000.per_second(fewest) / 1e6, "M deliveries/s", Target::None);
    row("deliveries/s ×100 ÷ plain tonic", ours / theirs, "", Target::AtLeast(12.0));
}

/// A session that runs once, to be replayed.
async fn record(server: &Server, lines: usize) -> String {
    let (id, agent) = server.prepare(Script { lines, interval: None }).await;
    agent::begin(agent);
    server.rest(&id).await;
    id
}

/// An agent prints all lines at once while so many subscribers are there. The
/// wall clock ends when the last of them has all; the CPU time when the session
/// is at rest.
async fn live(server: &Server, lines: usize, subscribers: usize, max_frame: u32) -> Cost {
    let (id, agent) = server.prepare(Script { lines, interval: None }).await;
    let request = WatchEventsRequest { session_ids: vec![id.clone()], ..Default::default() };
    let mut audience = Audience::new(server.address, subscribers, &request, max_frame).await;
    audience.take(BEFORE_LIVE).await;
    let (cpu, wall) = (server.process.cpu_time(), agent::now());
    agent::begin(agent);
    audience.take(lines).await;
    let wall = agent::now() - wall;
    server.rest(&id).await;
    let cpu = server.process.cpu_time() - cpu;
    drop(audience);
    fs::remove_dir_all(server.home().join("sessions").join(id)).expect("the session's files");
    Cost { cpu, wall }
}

/// The same of the plain server, which has the events in memory.
async fn bare(plain: &mut Plain, events: usize, subscribers: usize) -> Cost {
    let request = WatchEventsRequest::default();
    let mut audience = Audience::new(plain.address, subscribers, &request, LARGE_FRAMES).await;
    let (cpu, wall) = (plain.process.cpu_time(), agent::now());
    plain.produce(events);
    audience.take(events).await;
    Cost { cpu: plain.process.cpu_time() - cpu, wall: agent::now() - wall }
}

/// One subscriber reads a session from its beginning.
async fn replay(server: &Server, id: &str, events: usize) -> Cost {
    let request =
        WatchEventsRequest { session_ids: vec![id.to_owned()], start_seq: 1, ..Default::default() };
    let (cpu, wall) = (server.process.cpu_time(), agent::now());
    let mut audience = Audience::new(server.address, 1, &request, LARGE_FRAMES).await;
    audience.take(events).await;
    Cost { cpu: server.process.cpu_time() - cpu, wall: agent::now() - wall }
}

/// Reads a log as the server does for a subscriber that lags.
fn read(log: &Reader) {
    let mut next = Seq::FIRST;
    while let Some(chunk) = log.read(next, READ_BYTES).expect("an intact log") {
        next = chunk.last().next();
        black_box(chunk);
    }
}

/// What is done once for an event that is delivered, however often: its message
/// is encoded behind a prefix.
fn frame(events: &Events, count: usize) {
    let messages: Vec<_> = (0..4).map(|seq| events.message(Seq(seq))).collect();
    let mut frames = Vec::with_capacity(1 << 20);
    for message in messages.iter().cycle().take(count) {
        frames.extend_from_slice(&[0; 5]);
        message.encode(&mut frames).expect("a Vec grows");
        if frames.len() > 1 << 19 {
            black_box(&frames);
            frames.clear();
        }
    }
}

/// From the agent's write of a line to a client that has decoded the event, on
/// a home that is on a disk and on one that is in memory, where a sync costs
/// nothing.
fn latency(runtime: &Runtime, place: &Path) {
    let memory = Path::new("/dev/shm");
    if !memory.is_dir() {
        return;
    }
    let lines = scaled(10_000);
    let durable = runtime.block_on(Server::start(place));
    let unsynced = runtime.block_on(Server::start(memory));
    let run = |server| runtime.block_on(delays(server, lines));
    let (mut on_disk, mut in_memory) = (Vec::new(), Vec::new());
    for round in 0..4 {
        let (one, other) = (run(&durable), run(&unsynced));
        if round > 0 {
            on_disk.push(one);
            in_memory.push(other);
        }
    }
    let at = |delays: &[Vec<Duration>], part: f64| {
        let at = |delays: &Vec<Duration>| delays[(delays.len() as f64 * part) as usize];
        median(delays.iter().map(|delays| at(delays).as_secs_f64())).as_secs_f64() * 1e3
    };
    let (slow, fast) = (at(&on_disk, 0.5), at(&in_memory, 0.5));
    heading("from the agent's write to the client, 5,000 events a second");
    row("durable, p50", slow, "ms", Target::None);
    row("durable, p99", at(&on_disk, 0.99), "ms", Target::None);
    row("unsynced, p50", fast, "ms", Target::None);
    row("unsynced, p99", at(&in_memory, 0.99), "ms", Target::None);
    row("durable ÷ unsynced, p50", slow / fast, "", Target::AtMost(8.0));
}

/// How long each line took, sorted.
async fn delays(server: &Server, lines: usize) -> Vec<Duration> {
    let (id, agent) = server.prepare(Script { lines, interval: Some(RATE) }).await;
    let request = WatchEventsRequest { session_ids: vec![id.clone()], ..Default::default() };
    let address = format!("http://{}", server.address);
    let mut client = EventServiceClient::connect(address).await.expect("a connection");
    let mut events = client.watch_events(request).await.expect("a watch").into_inner();
    for _ in 0..BEFORE_LIVE {
        events.message().await.expect("no error").expect("the beginning of the watch");
    }
    agent::begin(agent);
    let mut delays = Vec::with_capacity(lines);
    while delays.len() < lines - FRAMING_LINES {
        let message = events.message().await.expect("no error").expect("more events").message;
        if let Some(Message::Event(event)) = message
            && let Some(printed) = agent::printed_at(&event.raw)
        {
            delays.push(agent::now().saturating_sub(printed));
        }
    }
    server.rest(&id).await;
    delays.sort_unstable();
    delays
}
