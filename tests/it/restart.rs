//! The server dies and comes back, and so does the supervisor or everything:
//! what runs is not disturbed, and nobody misses anything or gets it twice.

use std::{
    collections::BTreeSet,
    fs,
    os::fd::OwnedFd,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open},
};
use switchboard::{
    proto::{SessionState, StateReason, TimeSource},
    supervise::{self, PidFile},
};
use tokio::task::JoinSet;

use crate::ledger::{
    self, Watcher, check, create, events, lines, message, pid_file, rest, start_turn,
};

/// Ends a process as nothing else does, and waits until it is gone.
fn kill(pid: u32) {
    let pid = Pid::from_raw(pid.try_into().unwrap()).unwrap();
    let pidfd = pidfd_open(pid, PidfdFlags::empty()).unwrap();
    kill_process(pid, Signal::KILL).unwrap();
    ends(&pidfd);
}

/// Waits until the supervisor has ended.
fn supervisor_ends(pid_file: &PidFile) {
    // Gone already where there is nothing to open.
    if let Ok(pidfd) = supervise::pidfd(pid_file) {
        ends(&pidfd);
    }
}

fn ends(pidfd: &OwnedFd) {
    let time = Timespec::try_from(ledger::GIVE_UP).unwrap();
    let ended = poll(&mut [PollFd::new(pidfd, PollFlags::IN)], Some(&time));
    assert_eq!(ended, Ok(1), "a process did not end");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_turn_goes_on_while_the_server_is_killed_and_started_again() {
    let mut server = ledger::setup().start();
    let clients = server.connect_to_socket().await;
    let go = server.work().join("go");
    let script = format!("thread,turn,print:100,wait:{},message:on,completed", go.display());
    let session = create(&clients, &server.work(), &script).await.unwrap();
    let id = session.session_id;
    let mut watcher = Watcher::start(&clients, &id);
    watcher.message("100").await;
    let running = pid_file(&server, &id, 1);

    server.kill_and_start();
    let adopted = ledger::get(&clients, &id).await;
    fs::write(&go, "").unwrap();

    assert_eq!(adopted.state(), SessionState::Running);
    assert_eq!(adopted.last_turn.unwrap().pid, running.agent_pid.unwrap());
    let watched = watcher.rest(1).await;
    let session = rest(&clients, &id).await;
    assert_eq!(pid_file(&server, &id, 1), running, "the turn was not disturbed");
    assert_eq!(session.state(), SessionState::Completed);
    assert_eq!(session.last_turn.as_ref().unwrap().exit_code, Some(0));
    assert_eq!(watched, events(&clients, &id).await);
    let after = watched.iter().find(|event| message(event) == Some("on")).unwrap();
    assert_eq!(after.time_source(), TimeSource::Live);
    check(&server, &session, &watched);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turn_that_ended_while_the_server_was_down_is_complete_after_the_next_start() {
    let mut server = ledger::setup().start();
    let clients = server.connect_to_socket().await;
    let go = server.work().join("go");
    let script = format!(
        "thread,turn,message:before,wait:{},print:50,completed,partial:no line feed",
        go.display()
    );
    let id = create(&clients, &server.work(), &script).await.unwrap().session_id;
    Watcher::start(&clients, &id).message("before").await;
    let running = pid_file(&server, &id, 1);

    server.kill();
    fs::write(&go, "").unwrap();
    supervisor_ends(&running);
    server.start();

    let session = rest(&clients, &id).await;
    let events = events(&clients, &id).await;
    assert_eq!(session.state(), SessionState::Completed);
    assert_eq!(session.last_turn.as_ref().unwrap().exit_code, Some(0));
    check(&server, &session, &events);
    let before = events.iter().position(|event| message(event) == Some("before")).unwrap();
    let (earlier, later) = events.split_at(before + 1);
    let sources = |events: &[switchboard::proto::Event]| -> BTreeSet<TimeSource> {
        events.iter().filter(|event| !event.raw.is_empty()).map(|e| e.time_source()).collect()
    };
    assert_eq!(sources(earlier), BTreeSet::from([TimeSource::Live]));
    assert_eq!(sources(later), BTreeSet::from([TimeSource::Adopted]));
    assert_eq!(lines(later, 1).len(), 52);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turn_whose_end_nobody_saw_is_lost_and_leaves_nothing_running() {
    let mut server = ledger::setup().start();
    let clients = server.connect_to_socket().await;
    let script = "setsid-child,daemonize,thread,turn,message:ready,sleep";
    let id = create(&clients, &server.work(), script).await.unwrap().session_id;
    Watcher::start(&clients, &id).message("ready").await;
    let running = pid_file(&server, &id, 1);

    server.kill();
    kill(running.supervisor_pid);
    kill(running.agent_pid.unwrap());
    assert_eq!(server.descendants().len(), 2, "both strays live");
    server.start();

    let session = rest(&clients, &id).await;
    assert_eq!(
        (session.state(), session.state_reason()),
        (SessionState::Failed, StateReason::Lost)
    );
    assert_eq!(
        session.last_turn.as_ref().unwrap().error,
        "the supervisor was killed or crashed; 2 processes that were left of it were ended"
    );
    assert_eq!(server.descendants(), Vec::<u32>::new());
    check(&server, &session, &events(&clients, &id).await);

    // It is a session like any other.
    start_turn(&clients, &id, "thread,turn,message:again,completed").await.unwrap();
    let session = rest(&clients, &id).await;
    assert_eq!(session.state(), SessionState::Completed);
    check(&server, &session, &events(&clients, &id).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turn_whose_supervisor_alone_was_killed_is_lost_at_once() {
    let server = ledger::setup().start();
    let clients = server.connect_to_socket().await;
    let script = "thread,turn,print:10,message:ready,partial:half a line,touch:done,sleep";
    let id = create(&clients, &server.work(), script).await.unwrap().session_id;
    let mut watcher = Watcher::start(&clients, &id);
    watcher.message("ready").await;
    ledger::there(&server.work().join("done")).await;

    kill(pid_file(&server, &id, 1).supervisor_pid);

    let events = watcher.rest(1).await;
    let session = rest(&clients, &id).await;
    assert_eq!(
        (session.state(), session.state_reason()),
        (SessionState::Failed, StateReason::Lost)
    );
    assert_eq!(server.descendants(), Vec::<u32>::new());
    check(&server, &session, &events);
    assert_eq!(lines(&events, 1).last().unwrap(), b"half a line");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_or_doubled_however_often_the_server_is_killed() {
    const SESSIONS: usize = 3;
    let rounds = setting("SWITCHBOARD_TEST_ROUNDS").unwrap_or(20);
    let mut random = Random::from_environment();
    let mut server = ledger::setup().start();
    let clients = server.connect_to_socket().await;
    let script = |random: &mut Random| {
        let mut script = "thread,turn".to_owned();
        for _ in 0..random.below(20) {
            let pause = random.below(10);
            script += &format!(",print:{},sleep:0.00{pause}", random.below(200));
        }
        script + ",completed"
    };
    let mut ids = Vec::new();
    for _ in 0..SESSIONS {
        let created = create(&clients, &server.work(), &script(&mut random)).await.unwrap();
        ids.push(created.session_id);
    }
    let mut watchers: Vec<Watcher> = ids.iter().map(|id| Watcher::start(&clients, id)).collect();

    let mut acknowledged = [1; SESSIONS];
    for _ in 0..rounds {
        // Each session that rests gets a turn, perhaps while the server is killed.
        let mut starts = JoinSet::new();
        for (at, id) in ids.iter().enumerate() {
            let (clients, id, script) = (clients.clone(), id.clone(), script(&mut random));
            starts.spawn(async move { (at, start_turn(&clients, &id, &script).await) });
        }
        tokio::time::sleep(Duration::from_millis(random.below(120))).await;
        server.kill_and_start();
        while let Some(started) = starts.join_next().await {
            if let (at, Ok(session)) = started.unwrap() {
                acknowledged[at] = session.turn_count;
            }
        }
    }

    for (at, id) in ids.iter().enumerate() {
        let session = rest(&clients, id).await;
        let listed = events(&clients, id).await;
        check(&server, &session, &listed);
        assert!(session.turn_count >= acknowledged[at], "an acknowledged turn is gone");
        let count = listed.len();
        let watched = watchers[at].until("all events", |events| events.len() >= count).await;
        assert_eq!(watched, listed, "each event came once, and as it is listed");
    }
}

/// A number from the environment, where it is set.
#[expect(clippy::disallowed_methods, reason = "it is the test that is set up, not the server")]
pub(crate) fn setting(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{name}={value}: expected a number")))
}

/// SplitMix64: small, and the same numbers for the same seed everywhere.
#[derive(Debug)]
pub(crate) struct Random(u64);

impl Random {
    /// Seeded by SWITCHBOARD_TEST_SEED, or else by the clock; prints the seed.
    pub(crate) fn from_environment() -> Self {
        let seed = setting("SWITCHBOARD_TEST_SEED").unwrap_or_else(|| {
            SystemTime::now().duration_since(UNIX_EPOCH).unwrap().subsec_nanos().into()
        });
        eprintln!("SWITCHBOARD_TEST_SEED={seed}");
        Self(seed)
    }

    /// Another one, for a task of its own.
    pub(crate) fn split(&mut self) -> Self {
        Self(self.below(u64::MAX))
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}
