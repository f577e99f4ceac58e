//! The server is killed before each of its writes in turn, by strace; whatever
//! it had acknowledged is there afterwards, and the rest is whole or absent.
//! Whoever repeats the request then has it carried out once in all.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::{fs::PermissionsExt as _, process::ExitStatusExt as _},
    path::PathBuf,
    process::Command,
};

use rustix::process::{Pid, Signal, kill_process};
use switchboard::{
    id::SessionId,
    proto::{CreateSessionRequest, Session, SessionState},
};
use tempfile::TempDir;
use tonic::Status;

use super::writers;
use crate::{
    harness::{Clients, NotReady, Server, Setup},
    ledger::{self, check, events},
    restart::Random,
    settings,
};

/// A server that can be started with an order to be killed at a certain call of
/// the system.
struct Rig {
    server: Server,
    /// Holds the program that is started in the server's place.
    place: TempDir,
}

impl Rig {
    fn new() -> Self {
        let strace = Command::new("strace").arg("--version").output();
        assert!(
            strace.is_ok_and(|answer| answer.status.success()),
            "strace is not installed (Debian: apt install strace)"
        );
        let place = tempfile::tempdir().unwrap();
        let program = place.path().join("server");
        // Supervisors and agents are let go by strace when they are executed.
        let script = format!(
            "#!/bin/sh\n\
             if [ -e \"$0.order\" ]; then\n\
             exec strace -f -qq -b execve -o /dev/null $(cat \"$0.order\") {0} \"$@\"\n\
             fi\n\
             exec {0} \"$@\"\n",
            env!("CARGO_BIN_EXE_switchboard")
        );
        fs::write(&program, script).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let server = Setup::new().binary(program).codex(&ledger::fake_agent()).prepare();
        Self { server, place }
    }

    /// Orders the next server to be killed when one of its threads calls one of
    /// these for the `number`th time, before the call does anything.
    fn order_death(&self, calls: &str, number: u64) {
        // strace injects into calls that it traces.
        let order = format!("--trace={calls} --inject={calls}:signal=SIGKILL:when={number}");
        fs::write(self.order(), order).unwrap();
    }

    fn order_nothing(&self) {
        fs::remove_file(self.order()).unwrap();
    }

    fn order(&self) -> PathBuf {
        self.place.path().join("server.order")
    }

    /// Stops the server that strace runs; says whether it was killed before.
    fn stop_traced(&mut self) -> bool {
        let pid = fs::read_to_string(self.server.home().join("lock")).unwrap();
        let pid = Pid::from_raw(pid.trim().parse().unwrap()).unwrap();
        // It may be dead already, and only strace is left.
        let _ = kill_process(pid, Signal::TERM);
        was_killed(self.server.stopped())
    }
}

fn was_killed(status: std::process::ExitStatus) -> bool {
    status.signal() == Some(Signal::KILL.as_raw())
}

/// Kills servers at these numbers of the calls while they create a session and
/// run its turn, until one lives through it all.
async fn kill_at_each(calls: &str, numbers: impl Iterator<Item = u64>) {
    let mut rig = Rig::new();
    rig.server.start();
    let clients = rig.server.connect_to_socket().await;
    rig.server.kill();
    let mut known = BTreeSet::new();
    let mut deaths = 0;
    for number in numbers {
        rig.order_death(calls, number);
        let (acknowledged, killed) = match rig.server.try_start() {
            Ok(()) => {
                let acknowledged = create_and_wait(&clients, &rig.server, number).await;
                (acknowledged, rig.stop_traced())
            }
            Err(NotReady { status, .. }) => (None, was_killed(status)),
        };
        rig.order_nothing();
        rig.server.start();
        let what = format!("killed before the {number}th {calls}");
        look(&clients, &rig.server, &mut known, acknowledged, &what).await;
        repeat(&clients, &rig.server, &mut known, number, &what).await;
        rig.server.kill();
        if !killed {
            break;
        }
        deaths += 1;
    }
    eprintln!("{deaths} servers were killed at {calls}");
    assert!(deaths > 1, "{calls}: no server was killed");
}

/// Kills servers at these numbers of the calls while a session's settings and
/// controls are written, until one lives through it all.
pub(super) async fn kill_writers_at_each(calls: &str, numbers: impl Iterator<Item = u64>) {
    let mut rig = Rig::new();
    rig.server.start();
    let clients = rig.server.connect_to_socket().await;
    let id = settings::pending(&clients, &rig.server).await;
    rig.server.kill();
    let mut deaths = 0;
    for (round, number) in (0..).zip(numbers) {
        rig.order_death(calls, number);
        let (is_acknowledged, killed) = match rig.server.try_start() {
            Ok(()) => {
                let is_acknowledged = writers::write_all(&clients, &id, round).await;
                (is_acknowledged, rig.stop_traced())
            }
            Err(NotReady { status, .. }) => (false, was_killed(status)),
        };
        rig.order_nothing();
        rig.server.start();
        let what = format!("killed before the {number}th {calls}");
        writers::look(&clients, &id, round, is_acknowledged, &what).await;
        rig.server.kill();
        if !killed {
            break;
        }
        deaths += 1;
    }
    eprintln!("{deaths} servers were killed at {calls}");
    assert!(deaths > 1, "{calls}: no server was killed");
}

/// The request of a round, which leaves a mark in the working directory for
/// each time that its agent runs.
fn request(server: &Server, round: u64) -> CreateSessionRequest {
    CreateSessionRequest {
        session: Some(Session {
            working_directory: server.work().display().to_string(),
            ..Session::default()
        }),
        prompt: format!("FAKE_AGENT=mark:ran-{round},thread,turn,print:20,completed"),
        request_id: format!("round-{round}"),
        ..Default::default()
    }
}

async fn create(clients: &Clients, server: &Server, round: u64) -> Result<String, Status> {
    let created = clients.sessions.clone().create_session(request(server, round)).await?;
    Ok(created.into_inner().session.unwrap().session_id)
}

/// Creates a session and follows it to its end, as far as the server lives.
async fn create_and_wait(clients: &Clients, server: &Server, round: u64) -> Option<String> {
    let id = create(clients, server, round).await.ok()?;
    let _ = ledger::try_rest(clients, &id).await;
    Some(id)
}

/// Repeats the request of a round, as a client does that got no answer.
async fn repeat(
    clients: &Clients,
    server: &Server,
    known: &mut BTreeSet<String>,
    round: u64,
    what: &str,
) {
    let before: BTreeSet<String> = known.clone();
    let id = create(clients, server, round).await.unwrap();
    ledger::rest(clients, &id).await;
    known.insert(id);
    let listed: BTreeSet<String> =
        ledger::list(clients).await.into_iter().map(|session| session.session_id).collect();
    assert_eq!(&listed, known, "{what}: twice the same session");
    assert!(known.len() <= before.len() + 1);
    let marks = fs::read(server.work().join(format!("ran-{round}"))).unwrap_or_default();
    assert!(marks.len() <= 1, "{what}: the turn ran {} times", marks.len());
}

/// Checks every session that is there and was not before.
async fn look(
    clients: &Clients,
    server: &Server,
    known: &mut BTreeSet<String>,
    acknowledged: Option<String>,
    what: &str,
) {
    let listed = ledger::list(clients).await;
    let ids: BTreeSet<String> = listed.iter().map(|s| s.session_id.clone()).collect();
    assert!(known.is_subset(&ids), "{what}: sessions are gone");
    assert!(acknowledged.iter().all(|id| ids.contains(id)), "{what}: it was acknowledged");
    let directories: BTreeSet<String> = fs::read_dir(server.home().join("sessions"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(directories, ids, "{what}: each session has its directory, and nothing else does");
    for id in ids.difference(known) {
        let session = ledger::get(clients, id).await;
        assert_eq!(session.turn_count, 1, "{what}: a half-made session: {session:#?}");
        let session = ledger::rest(clients, id).await;
        let events = events(clients, id).await;
        check(server, &session, &events);
        let expected = if acknowledged.as_ref() == Some(id) {
            SessionState::Completed
        } else {
            // Perhaps it never had an agent.
            session.state()
        };
        assert_eq!(session.state(), expected, "{what}: {session:#?}");
    }
    *known = ids;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_killed_before_any_sync_of_its_stores_keeps_its_word() {
    kill_at_each("fsync", 1..).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_killed_before_any_sync_of_its_logs_keeps_its_word() {
    kill_at_each("fdatasync", 1..).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_killed_before_any_change_of_its_directories_keeps_its_word() {
    kill_at_each("rename,mkdir,unlink", 1..).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_killed_before_any_write_keeps_its_word() {
    // There are too many to take each: steps of a random size.
    let mut random = Random::from_environment();
    let mut number = 0;
    let steps = std::iter::from_fn(|| {
        number += 1 + random.below(9);
        Some(number)
    });
    kill_at_each("write,pwrite64", steps).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_without_a_row_is_removed_unless_something_ran_in_it() {
    let mut server = ledger::setup().start();
    let clients = server.connect_to_socket().await;
    let id = create(&clients, &server, 1).await.unwrap();
    ledger::rest(&clients, &id).await;
    server.kill();
    let sessions = server.home().join("sessions");
    let make = |turn_files: &[&str]| {
        let id = SessionId::random().to_string();
        fs::create_dir_all(sessions.join(&id).join("turns")).unwrap();
        fs::create_dir(sessions.join(&id).join("events")).unwrap();
        for name in turn_files {
            fs::write(sessions.join(&id).join("turns").join(name), "").unwrap();
        }
        id
    };
    let empty = SessionId::random().to_string();
    fs::create_dir(sessions.join(&empty)).unwrap();
    let removed = [empty, make(&[]), make(&["turn_1.prompt"]), make(&["turn_1.prompt.new"])];
    let kept = [make(&["turn_1.prompt", "turn_1.lock"]), make(&["turn_1.jsonl"])];
    fs::create_dir(sessions.join("notes")).unwrap();
    fs::write(sessions.join("README"), "mine").unwrap();

    server.start();

    let found: BTreeSet<String> = fs::read_dir(&sessions)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let others = ["notes".to_owned(), "README".to_owned()];
    let expected = kept.iter().chain([&id]).chain(&others).cloned().collect::<BTreeSet<_>>();
    assert_eq!(found, expected);
    let log = server.log();
    for id in removed {
        assert!(log.lines().any(|line| line.contains("removing") && line.contains(&id)), "{log}");
    }
    for id in kept {
        assert!(log.lines().any(|line| line.contains("left alone") && line.contains(&id)), "{log}");
    }
    assert_eq!(ledger::list(&clients).await.len(), 1);
}

#[test]
fn a_server_killed_at_any_point_of_its_first_start_starts_the_next_time() {
    for calls in ["fsync,fdatasync", "rename,mkdir"] {
        for number in 1.. {
            let mut rig = Rig::new();
            rig.order_death(calls, number);
            let killed = match rig.server.try_start() {
                Ok(()) => rig.stop_traced(),
                Err(NotReady { status, .. }) => was_killed(status),
            };
            rig.order_nothing();
            rig.server.start();
            if !killed {
                assert!(number > 1, "{calls}: no server was killed");
                break;
            }
        }
    }
}
