//! The disk is full, or may not be written to.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
};

use switchboard::proto::{Event, SessionState, StateReason, UpdateSettingsRequest};

use crate::{
    harness::{NotReady, Server},
    ledger::{
        self, Watcher, check, create, end, events, get, list, printed, reason, rest, turn_files,
    },
    settings,
};

/// A small file system over a server's home.
struct SmallDisk {
    path: PathBuf,
}

impl SmallDisk {
    fn over_home(server: &Server, kibibytes: usize) -> Self {
        let path = server.home();
        fs::create_dir_all(&path).unwrap();
        mount(&["-t", "tmpfs", "-o", &format!("size={kibibytes}k,mode=700"), "tmpfs"], &path);
        Self { path }
    }

    fn make_read_only(&self) {
        // This place alone, which is what an ordinary user may do in a name space.
        mount(&["-o", "remount,bind,ro"], &self.path);
    }

    /// Takes all room but for so many pages of 4 KiB.
    fn fill(&self, pages_left: usize) {
        let mut ballast = File::create(self.ballast()).unwrap();
        let page = [0; 4096];
        let mut pages = 0;
        while ballast.write_all(&page).is_ok() {
            pages += 1;
        }
        ballast.set_len(4096 * (pages - pages_left as u64)).unwrap();
    }

    /// Takes so much room.
    fn take(&self, kibibytes: usize) {
        fs::write(self.ballast(), vec![0; kibibytes * 1024]).unwrap();
    }

    fn empty(&self) {
        fs::remove_file(self.ballast()).unwrap();
    }

    fn ballast(&self) -> PathBuf {
        self.path.join("ballast")
    }
}

/// A server that starts turns on whatever disk.
const WITHOUT_FLOOR: &str = "[turns]\nmin_free_disk = '0B'\n";

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily, because the server is still at home.
        let _ = Command::new("umount").arg("--lazy").arg(&self.path).status();
    }
}

fn mount(arguments: &[&str], path: &Path) {
    let status = Command::new("mount").args(arguments).arg(path).status().unwrap();
    assert!(
        status.success(),
        "a small file system could not be mounted: run the tests by tests/run, or as root"
    );
}

fn directories(server: &Server) -> BTreeSet<String> {
    let entries = fs::read_dir(server.home().join("sessions")).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_a_full_disk_refuses_leaves_nothing_behind() {
    let mut server = ledger::setup().config(WITHOUT_FLOOR).prepare();
    let disk = SmallDisk::over_home(&server, 8 * 1024);
    server.start();
    let clients = server.connect_to_socket().await;
    let script = "thread,turn,print:5,completed";
    let first = create(&clients, &server.work(), script).await.unwrap().session_id;
    let first = rest(&clients, &first).await;
    let of_first = events(&clients, &first.session_id).await;
    let mut known = BTreeSet::from([first.session_id.clone()]);

    let mut refusals = 0;
    // With more room each time, it gets one write further.
    for pages_left in 0.. {
        disk.fill(pages_left);
        let created = create(&clients, &server.work(), script).await;
        if let Err(refusal) = &created {
            assert_eq!(reason(refusal), "STORAGE_FULL", "{pages_left} pages: {refusal:?}");
            let listed: BTreeSet<_> =
                list(&clients).await.into_iter().map(|session| session.session_id).collect();
            assert_eq!(listed, known, "{pages_left} pages");
            assert_eq!(directories(&server), known, "{pages_left} pages");
            assert_eq!(events(&clients, &first.session_id).await, of_first);
            refusals += 1;
        }
        disk.empty();
        let Ok(created) = created else { continue };
        // What was begun comes to its end when there is room again.
        let session = rest(&clients, &created.session_id).await;
        check(&server, &session, &events(&clients, &created.session_id).await);
        known.insert(created.session_id);
        if session.state() == SessionState::Completed {
            break;
        }
        assert_eq!(session.state_reason(), StateReason::StorageFull, "{session:#?}");
    }
    assert!(refusals > 3, "{refusals} refusals");
    assert_eq!(directories(&server), known);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_fills_the_disk_fails_for_that_and_all_goes_on_when_there_is_room() {
    let mut server = ledger::setup().config(WITHOUT_FLOOR).prepare();
    let disk = SmallDisk::over_home(&server, 24 * 1024);
    server.start();
    let clients = server.connect_to_socket().await;
    let quiet = "thread,turn,message:quiet,completed";
    let other = create(&clients, &server.work(), quiet).await.unwrap().session_id;
    let other = rest(&clients, &other).await;
    let of_other = events(&clients, &other.session_id).await;
    disk.take(20 * 1024);

    let script = "thread,turn,print:10000000,completed";
    let id = create(&clients, &server.work(), script).await.unwrap().session_id;
    let begin = std::time::Instant::now();
    let agent = || ledger::agent_of(&server, &id, 1);
    while agent().is_none_or(|pid| Path::new(&format!("/proc/{pid}")).exists()) {
        assert!(begin.elapsed() < ledger::GIVE_UP, "the agent does not end");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }

    assert_eq!(get(&clients, &other.session_id).await, other, "the server answers");
    assert_eq!(events(&clients, &other.session_id).await, of_other);
    disk.empty();

    let session = rest(&clients, &id).await;
    assert_eq!(
        (session.state(), session.state_reason()),
        (SessionState::Failed, StateReason::StorageFull),
        "{session:#?}"
    );
    let flood = events(&clients, &id).await;
    assert!(printed(&turn_files(&server, &id, 1)).len() > 1_000);
    check(&server, &session, &flood);
    assert!(flood.last().and_then(end).is_some());
    let next = create(&clients, &server.work(), quiet).await.unwrap().session_id;
    assert_eq!(rest(&clients, &next).await.state(), SessionState::Completed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_settings_that_a_full_disk_refuses_leaves_nothing_behind() {
    let mut server = ledger::setup().config(WITHOUT_FLOOR).prepare();
    let disk = SmallDisk::over_home(&server, 8 * 1024);
    server.start();
    let clients = server.connect_to_socket().await;
    let id = settings::pending(&clients, &server).await;
    settings::set(&clients, &id, "k", "0").await.unwrap();
    let value = |number: usize| format!("\"{number}{}\"", "x".repeat(50_000));
    let (mut refusals, mut acknowledged) = (0, 1);
    for pages_left in (0..60).step_by(3) {
        let before = settings::get(&clients, &id).await;
        disk.fill(pages_left);
        let request = UpdateSettingsRequest {
            request_id: format!("at-{pages_left}"),
            ..settings::one(&id, "k", &value(pages_left))
        };
        let answer = settings::update(&clients, request.clone()).await;
        if let Err(refusal) = &answer {
            assert_eq!(reason(refusal), "STORAGE_FULL", "{pages_left} pages: {refusal:?}");
            assert_eq!(settings::get(&clients, &id).await, before, "{pages_left} pages");
            assert_eq!(settings::check_audit(&clients).await.len(), acknowledged);
            refusals += 1;
        }
        disk.empty();
        // The same request is carried out when there is room.
        let again = settings::update(&clients, request).await.unwrap();
        assert!(answer.is_err() || answer.unwrap() == again);
        acknowledged += 1;
        assert_eq!(again.audit_seq, acknowledged as u64);
    }
    assert!(refusals > 3, "{refusals} refusals");
    let entries = settings::check_audit(&clients).await;
    assert_eq!(entries.len(), acknowledged);
    // What the log had no room for is told when it has, each once.
    let enough = |events: &[Event]| settings::told(events).len() >= entries.len();
    let seen = Watcher::start(&clients, &id).until("all changes", enough).await;
    assert_eq!(settings::told(&seen), (1..=entries.len() as u64).collect::<Vec<_>>());
    server.kill_and_start();
    assert_eq!(events(&clients, &id).await, seen);
    assert_eq!(settings::check_audit(&clients).await, entries);
}

#[test]
fn a_home_that_cannot_be_written_to_is_refused_at_the_start() {
    let mut server = ledger::setup().config(WITHOUT_FLOOR).prepare();
    let disk = SmallDisk::over_home(&server, 1024);
    disk.make_read_only();

    let NotReady { status, .. } = server.try_start().unwrap_err();

    assert_eq!(status.code(), Some(1));
    let log = server.log();
    let lock = server.home().join("lock");
    assert!(log.contains(&format!("cannot open {lock:?}: Read-only file system")), "{log}");
    assert_eq!(log.lines().count(), 1, "{log}");
}
