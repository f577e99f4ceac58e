//! Events that are not kept for ever: what goes, what stays, and what whoever
//! asks for more is told.

use std::{
    collections::{BTreeSet, HashMap},
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use switchboard::proto::{
    DefaultStart, Event, InterruptTurnRequest, ListEventsRequest, SessionState, WatchEventsRequest,
    WatchHeader,
};
use tempfile::TempDir;
use tonic::Code;

use crate::{
    harness::{Clients, Server},
    ledger::{
        self, GIVE_UP, Watcher, create, events_after, lines, printed, rest, session_directory,
        start_turn, turn_files,
    },
    subscriber::{self, Subscriber, from, problem, to_end},
};

/// A server whose configuration file can be written anew.
struct Configured {
    server: Server,
    place: TempDir,
}

impl Configured {
    fn start(text: &str) -> Self {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("config.toml");
        fs::write(&path, text).unwrap();
        let server = ledger::setup().arg("--config").arg(path).start();
        Self { server, place }
    }

    fn restart(&mut self, text: &str) {
        self.server.stop();
        fs::write(self.place.path().join("config.toml"), text).unwrap();
        self.server.start();
    }
}

/// How often all sessions were looked at, over all starts of the server.
fn rounds(server: &Server) -> usize {
    server.log().matches("looked for events that have expired").count()
}

/// Waits until all sessions were looked at once more than so often.
async fn looked_again(server: &Server, before: usize) {
    let begin = Instant::now();
    while rounds(server) == before {
        assert!(begin.elapsed() < GIVE_UP, "nobody looks for what has expired");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The files of a session's log, the oldest first.
fn segments(server: &Server, id: &str) -> BTreeSet<PathBuf> {
    let entries = fs::read_dir(session_directory(server, id).join("events")).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.filter(|path| path.extension().is_some_and(|extension| extension == "seg")).collect()
}

fn bytes(segments: &BTreeSet<PathBuf>) -> u64 {
    segments.iter().map(|path| fs::metadata(path).unwrap().len()).sum()
}

/// Whether the segments are within the bound, or the first of them must stay: it
/// has events of the last turn.
fn keeps_to(most: u64, segments: &BTreeSet<PathBuf>, events: &[Event]) -> bool {
    let last_turn = events.last().unwrap().turn;
    let begin = events.iter().find(|event| event.turn == last_turn).unwrap().seq;
    let Some(second) = segments.iter().nth(1) else { return true };
    let second: u64 = second.file_stem().unwrap().to_str().unwrap().parse().unwrap();
    bytes(segments) <= most || second > begin
}

fn beginning(id: &str) -> WatchEventsRequest {
    WatchEventsRequest { default_start: DefaultStart::Beginning.into(), ..to_end(id, 0) }
}

async fn header(clients: &Clients, id: &str) -> WatchHeader {
    Subscriber::open(clients, beginning(id)).await.header().await
}

/// A turn that prints so many times 40 messages, with pauses, because what is
/// read at once goes to one segment.
fn turn(times: usize) -> String {
    format!("thread,turn,{}completed", "print:40,sleep:0.02,".repeat(times))
}

/// Runs such a turn to its end.
async fn run_turn(clients: &Clients, id: &str, times: usize) {
    start_turn(clients, id, &turn(times)).await.unwrap();
    assert_eq!(rest(clients, id).await.state(), SessionState::Completed);
}

/// A session with three turns of 200 messages.
async fn three_turns(server: &Server, clients: &Clients) -> String {
    let id = create(clients, &server.work(), &turn(5)).await.unwrap().session_id;
    rest(clients, &id).await;
    run_turn(clients, &id, 5).await;
    run_turn(clients, &id, 5).await;
    id
}

/// Waits until the session's owner has done all that it was at.
async fn settle(clients: &Clients, id: &str) {
    let request = InterruptTurnRequest { session_id: id.to_owned(), ..Default::default() };
    // It answers one after the other, this one with a refusal.
    let refused = clients.sessions.clone().interrupt_turn(request).await.unwrap_err();
    assert_eq!(ledger::reason(&refused), "NO_ACTIVE_TURN");
}

/// Waits until the oldest event of a session is another than its first, and
/// until no more expires.
async fn expires(clients: &Clients, id: &str) -> u64 {
    let begin = Instant::now();
    loop {
        if header(clients, id).await.oldest_seq > 1 {
            settle(clients, id).await;
            return header(clients, id).await.oldest_seq;
        }
        assert!(begin.elapsed() < GIVE_UP, "nothing expired");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Asserts that a session's log begins at `oldest` and that everybody is told;
/// gives what is left.
async fn check_begins_at(clients: &Clients, id: &str, oldest: u64) -> Vec<Event> {
    let starts = |seq| WatchEventsRequest {
        start_seqs: std::collections::BTreeMap::from([(id.to_owned(), seq)]),
        ..WatchEventsRequest::default()
    };
    for seq in [1, oldest - 1] {
        let metadata = HashMap::from([
            ("requested_seq".to_owned(), seq.to_string()),
            ("oldest_seq".to_owned(), oldest.to_string()),
        ]);
        let expired = (Code::OutOfRange, "CURSOR_EXPIRED".to_owned(), metadata);
        for request in [from(id, seq), starts(seq)] {
            assert_eq!(problem(Subscriber::try_open(clients, request).await), expired);
        }
        let page = ListEventsRequest {
            session_id: id.to_owned(),
            after_seq: seq - 1,
            ..ListEventsRequest::default()
        };
        assert_eq!(problem(clients.events.clone().list_events(page).await), expired);
    }
    let mut subscriber = Subscriber::open(clients, beginning(id)).await;
    let header = subscriber.header().await;
    assert_eq!((header.oldest_seq, header.start_seq), (oldest, oldest));
    let watched = subscriber::events(subscriber.rest().await);
    assert_eq!(watched, events_after(clients, id, oldest - 1).await.unwrap());
    let seqs: Vec<u64> = watched.iter().map(|event| event.seq).collect();
    assert_eq!(seqs, (oldest..oldest + watched.len() as u64).collect::<Vec<_>>());
    watched
}

/// Asserts that these events hold a turn from its first to its last.
fn check_whole(server: &Server, id: &str, turn: u32, events: &[Event]) {
    assert_eq!(lines(events, turn), printed(&turn_files(server, id, turn)));
    let states = ledger::states(events, turn);
    assert_eq!(states, [SessionState::Running, SessionState::Completed]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_exceeds_the_size_goes_when_a_turn_has_ended_and_the_last_turn_stays() {
    let config = "[events]\nretain_bytes = '40KB'\nsegment_bytes = '8KiB'\n";
    let Configured { mut server, place: _place } = Configured::start(config);
    let clients = server.connect_to_socket().await;
    let id = three_turns(&server, &clients).await;

    let oldest = expires(&clients, &id).await;
    let left = check_begins_at(&clients, &id, oldest).await;
    check_whole(&server, &id, 3, &left);
    let files = segments(&server, &id);
    assert!(keeps_to(40_000, &files, &left), "{files:?}");

    server.kill_and_start();
    let clients = server.connect_to_socket().await;
    assert_eq!(check_begins_at(&clients, &id, oldest).await, left);
    assert_eq!(segments(&server, &id), files);

    // The session goes on, and what was the last turn goes.
    run_turn(&clients, &id, 7).await;
    run_turn(&clients, &id, 1).await;
    settle(&clients, &id).await;
    let oldest_now = header(&clients, &id).await.oldest_seq;
    assert!(oldest_now > oldest);
    let left = check_begins_at(&clients, &id, oldest_now).await;
    check_whole(&server, &id, 5, &left);
    let files = segments(&server, &id);
    assert!(bytes(&files) <= 40_000 && keeps_to(40_000, &files, &left), "{files:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_turn_loses_nothing_however_much_it_prints() {
    let config = "[events]\nretain_bytes = '1B'\nretain_age = '1s'\nsegment_bytes = '4KiB'\n";
    let Configured { mut server, place: _place } = Configured::start(config);
    let clients = server.connect_to_socket().await;
    let go = server.work().join("go");
    let script = format!(
        "thread,turn,{}message:waiting,wait:{},message:on,completed",
        "print:40,sleep:0.02,".repeat(20),
        go.display()
    );
    let id = create(&clients, &server.work(), &script).await.unwrap().session_id;
    let mut watcher = Watcher::start(&clients, &id);
    watcher.message("waiting").await;
    // A start finds it running, and so does the look at what has grown old.
    server.kill();
    let before = rounds(&server);
    server.start();
    looked_again(&server, before).await;
    let clients = server.connect_to_socket().await;
    assert_eq!(header(&clients, &id).await.oldest_seq, 1);
    fs::write(&go, "").unwrap();
    assert_eq!(rest(&clients, &id).await.state(), SessionState::Completed);
    let watched = watcher.rest(1).await;
    check_whole(&server, &id, 1, &watched);
    // It is the last turn still.
    assert_eq!(events_after(&clients, &id, 0).await.unwrap(), watched);
    assert!(segments(&server, &id).len() > 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_grew_old_in_a_session_at_rest_goes_some_time_after_the_start() {
    let mut configured = Configured::start("[events]\nsegment_bytes = '8KiB'\n");
    let clients = configured.server.connect_to_socket().await;
    let id = three_turns(&configured.server, &clients).await;
    let all = ledger::events(&clients, &id).await;
    // Its events are as old, but they are of its last turn.
    let other = create(&clients, &configured.server.work(), &turn(5)).await.unwrap().session_id;
    rest(&clients, &other).await;

    configured.restart("[events]\nsegment_bytes = '8KiB'\nretain_age = '30d'\n");
    looked_again(&configured.server, 0).await;
    let clients = configured.server.connect_to_socket().await;
    assert_eq!(header(&clients, &id).await.oldest_seq, 1, "nothing is as old");

    configured.restart("[events]\nsegment_bytes = '8KiB'\nretain_age = '1s'\n");
    let clients = configured.server.connect_to_socket().await;
    let oldest = expires(&clients, &id).await;
    let left = check_begins_at(&clients, &id, oldest).await;
    assert_eq!(left, all[usize::try_from(oldest).unwrap() - 1..]);
    check_whole(&configured.server, &id, 3, &left);
    assert!(keeps_to(0, &segments(&configured.server, &id), &left));
    assert_eq!(header(&clients, &other).await.oldest_seq, 1);
}

fn shown(arguments: &[&str]) -> (Option<i32>, String, String) {
    let home = tempfile::tempdir().unwrap();
    let output = Command::new(Path::new(env!("CARGO_BIN_EXE_switchboard")))
        .args(["config", "show", "--home"])
        .arg(home.path())
        .args(arguments)
        .env_clear()
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn the_flag_takes_a_size_and_an_age() {
    let (code, shown_text, _) = shown(&["--retain-events", "100MB", "--retain-events", "30d"]);
    assert_eq!(code, Some(0));
    for line in [r#"retain_bytes = "100MB""#, r#"retain_age = "30days""#] {
        assert!(shown_text.contains(line), "{shown_text}");
    }
    for (arguments, expected) in [
        (&["--retain-events", "100M"][..], "write 100MB"),
        (&["--retain-events", "much"], "a size such as 100MB"),
        (&["--retain-events", "100"], "an age such as 30d"),
        (&["--retain-events", "1MB", "--retain-events", "2MB"], "more than one size"),
        (&["--retain-events", "1d", "--retain-events", "2d"], "more than one age"),
        (&["--retain-events", "10ms"], "events.retain_age (flag): expected at least 1s"),
    ] {
        let (code, _, problem) = shown(arguments);
        assert_eq!(code, Some(2), "{arguments:?}: {problem}");
        assert!(problem.contains(expected), "{arguments:?}: {problem}");
    }
}
