//! Settings: reading them beside a bare route, writing them alone and in
//! company, and what a hundred thousand writes leave behind.
//!
//! `cargo bench --bench settings`, or one part of it: `-- reads`, `-- writes`,
//! `-- growth`. `SWITCHBOARD_BENCH_SCALE=0.1` for a quick look.
//!
//! The server, what it is compared with and the clients are processes of their
//! own. Rates are of whole calls over loopback by clients that wait for each
//! answer; rounds alternate, and medians count. Every write changes something,
//! so that every answer waits for the disk, and each has its entry of the audit.

mod measure;
mod rig;

use std::{
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use measure::{Target, heading, median, row};
use rig::{
    bare::Bare,
    callers::{Grpc, Http, get},
    disk::{Wal, size, syncs},
    server::{Plain, Server},
    settings::{Speech, Writer, key, session},
};
use switchboard::proto::{
    GetSettingsRequest, GetSettingsResponse, ListAuditEntriesRequest, ListAuditEntriesResponse,
};
use tokio::runtime::Runtime;

const CONNECTIONS: usize = 32;
const ROUNDS: usize = 7;
const SLICE: Duration = Duration::from_secs(1);
/// How many writers there are in company.
const WRITERS: usize = 16;
/// How many writes one history is of.
const WRITES: f64 = 100_000.0;
/// So many writes are timed together.
const STRETCH: u64 = 1_000;

fn main() {
    if rig::role() {
        return;
    }
    Runtime::new().expect("a runtime").block_on(run());
}

async fn run() {
    let parts: Vec<_> = std::env::args().skip(1).filter(|part| !part.starts_with('-')).collect();
    let wanted = |part: &str| parts.is_empty() || parts.iter().any(|wanted| wanted == part);
    let place = Path::new(env!("CARGO_TARGET_TMPDIR"));
    if wanted("reads") {
        reads(place).await;
    }
    if wanted("writes") {
        writes(place).await;
    }
    if wanted("growth") {
        growth(place).await;
    }
}

/// One who is asked again and again.
enum Asked {
    /// This request, of HTTP/1.1.
    Http(std::net::SocketAddr, Vec<u8>),
    /// This request, of gRPC.
    Grpc(std::net::SocketAddr, GetSettingsRequest),
}

impl Asked {
    /// How many answers a second so many connections get.
    async fn rate(&self) -> f64 {
        let begin = Instant::now();
        let connections = (0..CONNECTIONS).map(|_| match self {
            Self::Http(address, request) => {
                let (address, request) = (*address, request.clone());
                tokio::spawn(async move {
                    let mut client = Http::connect(address).await;
                    let mut count = 0_u64;
                    while begin.elapsed() < SLICE {
                        let (status, _) = client.call(&request).await;
                        assert_eq!(status, 200);
                        count += 1;
                    }
                    count
                })
            }
            Self::Grpc(address, request) => {
                let (address, request) = (*address, request.clone());
                tokio::spawn(async move {
                    let mut client = Grpc::connect(address).await;
                    let mut count = 0_u64;
                    while begin.elapsed() < SLICE {
                        let _: GetSettingsResponse =
                            client.call("SettingsService/GetSettings", &request).await;
                        count += 1;
                    }
                    count
                })
            }
        });
        let counts = join_all(connections.collect::<Vec<_>>()).await;
        let count: u64 = counts.into_iter().map(|count| count.expect("no panic")).sum();
        count as f64 / begin.elapsed().as_secs_f64()
    }
}

async fn reads(place: &Path) {
    let server = Server::start(place).await;
    let id = session(&server).await;
    let plain = Plain::start();
    let whole = GetSettingsRequest { session_id: id.clone(), ..GetSettingsRequest::default() };
    let one = GetSettingsRequest { key: Some(key(7)), ..whole.clone() };
    let mut bare = Vec::new();
    // What is measured, with the one that it is compared with.
    let mut subjects = vec![
        ("the whole map, gRPC ÷ plain tonic", Asked::Grpc(server.address, whole.clone()), {
            Asked::Grpc(plain.address, whole)
        }),
        ("one key, gRPC ÷ plain tonic", Asked::Grpc(server.address, one.clone()), {
            Asked::Grpc(plain.address, one)
        }),
    ];
    let mut client = Http::connect(server.address).await;
    for (what, path) in [
        ("the whole map, /api ÷ a bare axum route", format!("/api/sessions/{id}/settings")),
        (
            "one key, /api ÷ a bare axum route",
            format!("/api/sessions/{id}/settings?key={}", key(7)),
        ),
        ("the whole map, /v1 ÷ a bare axum route", format!("/v1/sessions/{id}/settings")),
        ("one key, /v1 ÷ a bare axum route", format!("/v1/sessions/{id}/settings?key={}", key(7))),
    ] {
        let request = get(server.address, &path);
        let (status, body) = client.call(&request).await;
        if status != 200 {
            continue;
        }
        // It sends the same bytes.
        let beside = Bare::start(std::str::from_utf8(&body).expect("JSON"));
        let bare_request = get(beside.address, "/settings");
        let compared = Asked::Http(beside.address, bare_request);
        subjects.push((what, Asked::Http(server.address, request), compared));
        bare.push(beside);
    }
    let mut rates = vec![(Vec::new(), Vec::new()); subjects.len()];
    for _ in 0..ROUNDS {
        for ((_, asked, compared), (ours, theirs)) in subjects.iter().zip(&mut rates) {
            ours.push(asked.rate().await);
            theirs.push(compared.rate().await);
        }
    }
    heading(&format!("reading settings, {CONNECTIONS} connections"));
    for ((what, _, _), (ours, theirs)) in subjects.iter().zip(&rates) {
        row(what, ratio(ours, theirs), "", Target::AtLeast(0.6));
        row("  reads", middle(ours), "/s", Target::None);
        row("  those of the other", middle(theirs), "/s", Target::None);
    }
}

/// How many writes so many writers make in these sessions, and in how many seconds.
async fn write_all(
    server: &Server,
    writers: usize,
    sessions: &[String],
    speech: Speech,
) -> (f64, f64) {
    let mut ready = Vec::new();
    for number in 0..writers {
        ready.push(Writer::new(server, &sessions[number % sessions.len()], speech).await);
    }
    let begin = Instant::now();
    let tasks = ready.into_iter().map(|mut writer| {
        tokio::spawn(async move {
            let mut count = 0_u64;
            while begin.elapsed() < SLICE {
                writer.write().await;
                count += 1;
            }
            count
        })
    });
    let counts = join_all(tasks.collect::<Vec<_>>()).await;
    let count: u64 = counts.into_iter().map(|count| count.expect("no panic")).sum();
    (count as f64, begin.elapsed().as_secs_f64())
}

async fn writes(place: &Path) {
    let server = Server::start(place).await;
    let mut sessions = Vec::new();
    for _ in 0..WRITERS {
        sessions.push(session(&server).await);
    }
    let mut client = Http::connect(server.address).await;
    let path = format!("/api/sessions/{}/settings", sessions[0]);
    let (status, _) = client.call(&get(server.address, &path)).await;
    let mut speeches = vec![("gRPC", Speech::Grpc)];
    if status == 200 {
        speeches.push(("/api", Speech::Http));
    }
    let mut disk = Vec::new();
    let subjects = [
        (1, &sessions[..1]),
        (WRITERS, &sessions[..1]),
        (WRITERS, &sessions[..]),
        (4 * WRITERS, &sessions[..]),
    ];
    let mut rates = vec![[const { (Vec::new(), Vec::new()) }; 4]; speeches.len()];
    for _ in 0..ROUNDS {
        disk.push(syncs(place));
        for ((_, speech), rates) in speeches.iter().zip(&mut rates) {
            for ((writers, sessions), (rates, cpu)) in subjects.iter().zip(rates) {
                let before = server.process.cpu_time();
                let (count, time) = write_all(&server, *writers, sessions, *speech).await;
                rates.push(count / time);
                cpu.push((server.process.cpu_time() - before).as_secs_f64() * 1e6 / count);
            }
        }
    }
    heading("writing settings of 100 keys, each write an entry of the audit");
    row("appends of 4 KiB to a file, each with its fdatasync", middle(&disk), "/s", Target::None);
    for ((name, _), rates) in speeches.iter().zip(&rates) {
        let alone = &rates[0].0;
        let what = [
            "one writer",
            "16 writers of one session",
            "16 writers of 16 sessions",
            "64 writers of 16 sessions",
        ];
        for (number, (what, (rates, cpu))) in what.iter().zip(rates).enumerate() {
            row(&format!("{name}: {what}"), middle(rates), "/s", Target::None);
            row("  CPU of the server for a write", middle(cpu), "µs", Target::None);
            if number > 0 {
                let target = if number < 3 { Target::AtLeast(5.0) } else { Target::None };
                row("  ÷ one writer", ratio(rates, alone), "", target);
            }
        }
    }
}

async fn growth(place: &Path) {
    let writes = (WRITES * rig::scale()).max(10.0 * STRETCH as f64) as u64 / STRETCH * STRETCH;
    let old = Server::start(place).await;
    let id = session(&old).await;
    let wal = Wal::watch(old.home());
    let times = history(&old, &id, writes).await;
    let most = wal.most();
    let stretch = |times: &[f64]| median(times.iter().copied()).as_secs_f64();
    let tenth = (times.len() / 10).max(1);
    let (first, last) = (stretch(&times[..1]), stretch(&times[times.len() - 1..]));
    let (early, late) = (stretch(&times[..tenth]), stretch(&times[times.len() - tenth..]));
    let settled = settle(&old).await;

    // The same beside a server that has just begun, so that what else goes on in
    // the machine hits both.
    let new = Server::start(place).await;
    let other = session(&new).await;
    let (mut aged, mut fresh) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        aged.push(1.0 / history(&old, &id, STRETCH).await[0]);
        fresh.push(1.0 / history(&new, &other, STRETCH).await[0]);
    }
    // And with one who reads the database all the time.
    let busy = Wal::watch(old.home());
    let stop = Arc::new(AtomicBool::new(false));
    let reader = tokio::spawn(list(Grpc::connect(old.address).await, Arc::clone(&stop)));
    history(&old, &id, 5 * STRETCH).await;
    stop.store(true, Ordering::Relaxed);
    let lists = reader.await.expect("no panic");
    settle(&old).await;

    heading(&format!("{writes} writes to a map of 100 keys, by {WRITERS} writers"));
    let thousand = STRETCH as f64;
    row("the first thousand", thousand / first, "/s", Target::None);
    row("the last thousand", thousand / last, "/s", Target::None);
    row("  ÷ the first", first / last, "", Target::AtLeast(0.8));
    row("the last tenth ÷ the first tenth, medians of thousands", early / late, "", Target::None);
    row("from here on ÷ on a new server, alternating", ratio(&aged, &fresh), "", {
        Target::AtLeast(0.8)
    });
    let home = old.home();
    let total = (writes + (ROUNDS as u64 + 5) * STRETCH) as f64;
    let database = size(&home.join("state.db"));
    let events = size(&home.join("sessions").join(&id).join("events"));
    row("bytes of the database for a write", database / total, "B", Target::None);
    row("bytes of the session's event log for a write", events / total, "B", Target::None);
    row("both, of all writes", (database + events) / 1e6, "MB", Target::None);
    row("the WAL at its largest", most / 1e6, "MB", Target::None);
    row("  while one reads the database all the time", busy.most() / 1e6, "MB", Target::None);
    row("  pages of the audit that it read", lists, "", Target::None);
    row("the outbox was empty after the last answer", settled * 1e3, "ms", Target::None);
}

/// So many writes; the seconds that each stretch of them took.
async fn history(server: &Server, id: &str, writes: u64) -> Vec<f64> {
    let mut ready = Vec::new();
    for _ in 0..WRITERS {
        ready.push(Writer::new(server, id, Speech::Grpc).await);
    }
    let (begun, done) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let marks = Arc::new(Mutex::new(vec![Instant::now()]));
    let tasks = ready.into_iter().map(|mut writer| {
        let (begun, done, marks) = (Arc::clone(&begun), Arc::clone(&done), Arc::clone(&marks));
        tokio::spawn(async move {
            while begun.fetch_add(1, Ordering::Relaxed) < writes {
                writer.write().await;
                if (done.fetch_add(1, Ordering::Relaxed) + 1).is_multiple_of(STRETCH) {
                    marks.lock().expect("no panic").push(Instant::now());
                }
            }
        })
    });
    for task in join_all(tasks.collect::<Vec<_>>()).await {
        task.expect("no panic");
    }
    let marks = marks.lock().expect("no panic");
    marks.windows(2).map(|pair| (pair[1] - pair[0]).as_secs_f64()).collect()
}

/// Waits until the logs say all that was written; how long that took.
async fn settle(server: &Server) -> f64 {
    let begin = Instant::now();
    let database = server.home().join("state.db");
    loop {
        let left = rusqlite::Connection::open(&database)
            .and_then(|db| db.query_row("SELECT count(*) FROM outbox", [], |row| row.get(0)));
        if left == Ok(0_i64) {
            return begin.elapsed().as_secs_f64();
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Lists the newest entries of the audit until it is told to stop; how often.
async fn list(mut client: Grpc, stop: Arc<AtomicBool>) -> f64 {
    let request = ListAuditEntriesRequest { page_size: 100, ..ListAuditEntriesRequest::default() };
    let mut count = 0.0;
    while !stop.load(Ordering::Relaxed) {
        let _: ListAuditEntriesResponse =
            client.call("AuditService/ListAuditEntries", &request).await;
        count += 1.0;
    }
    count
}

/// The middle of ratios of what was measured side by side.
fn ratio(ours: &[f64], theirs: &[f64]) -> f64 {
    median(ours.iter().zip(theirs).map(|(ours, theirs)| ours / theirs)).as_secs_f64()
}

fn middle(figures: &[f64]) -> f64 {
    median(figures.iter().copied()).as_secs_f64()
}
