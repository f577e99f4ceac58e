//! Many sessions at once, processes that die under them, and a clock that jumps.

use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use switchboard::proto::{
    CleanupSessionsRequest, CreateSessionRequest, Session, SessionState, StateReason,
};
use tokio::task::JoinSet;

use crate::{
    harness::{Clients, Server},
    ledger::{self, Watcher, agent_of, check, create, events, rest, start_turn},
    life::catalogue::Catalogue,
};

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_sessions_at_once_are_whole_across_a_kill_of_the_server() {
    const SESSIONS: usize = 200;
    let mut server = ledger::setup().config("[turns]\nmax_running = 24\n").start();
    let clients = server.connect_to_socket().await;
    let mut creations = JoinSet::new();
    for number in 0..SESSIONS {
        let (clients, work) = (clients.clone(), server.work());
        creations.spawn(async move {
            let script = format!("thread,turn,print:20,message:{number},completed");
            create(&clients, &work, &script).await.unwrap().session_id
        });
    }
    let ids = creations.join_all().await;
    server.kill_and_start();

    let mut looks = JoinSet::new();
    for id in ids {
        let clients = clients.clone();
        looks.spawn(async move { (rest(&clients, &id).await, events(&clients, &id).await) });
    }
    let mut seen = 0;
    while let Some(look) = looks.join_next().await {
        let (session, events) = look.unwrap();
        assert_eq!(session.state(), SessionState::Completed, "{session:#?}");
        check(&server, &session, &events);
        seen += 1;
    }
    assert_eq!(seen, SESSIONS);
    server.assert_no_survivors();
}

async fn running(clients: &Clients, server: &Server) -> (String, Pid) {
    let script = "child,daemonize,thread,turn,message:ready,sleep";
    let id = create(clients, &server.work(), script).await.unwrap().session_id;
    Watcher::start(clients, &id).message("ready").await;
    let agent = agent_of(server, &id, 1).unwrap();
    (id, Pid::from_raw(agent.try_into().unwrap()).unwrap())
}

/// How a turn ended whose agent was ended from outside.
async fn outcome(clients: &Clients, server: &Server, id: &str) -> (StateReason, Option<u32>) {
    let session: Session = rest(clients, id).await;
    assert_eq!(session.state(), SessionState::Failed);
    check(server, &session, &events(clients, id).await);
    (session.state_reason(), session.last_turn.unwrap().signal)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_is_killed_from_outside_fails_and_leaves_nothing() {
    let server = ledger::setup().start();
    let clients = server.connect().await;
    let killed = (StateReason::ExitStatus, Some(Signal::KILL.as_raw().unsigned_abs()));

    let (id, agent) = running(&clients, &server).await;
    kill_process(agent, Signal::KILL).unwrap();
    assert_eq!(outcome(&clients, &server, &id).await, killed);

    let (id, agent) = running(&clients, &server).await;
    kill_process_group(agent, Signal::KILL).unwrap();
    assert_eq!(outcome(&clients, &server, &id).await, killed);
    server.assert_no_survivors();
    start_turn(&clients, &id, "thread,turn,completed").await.unwrap();
    assert_eq!(rest(&clients, &id).await.state(), SessionState::Completed);
}

/// Moves every time in the database, as if the clock had been wrong until now.
fn shift_times(server: &Server, by: i64) {
    let database = rusqlite::Connection::open(server.home().join("state.db")).unwrap();
    for (table, columns) in [
        ("sessions", &["create_time", "update_time"][..]),
        ("turns", &["start_time", "end_time"]),
        ("receipts", &["time"]),
    ] {
        for column in columns {
            let sql = format!("UPDATE {table} SET {column} = {column} + ?1");
            database.execute(&sql, [by]).unwrap();
        }
    }
}

const YEAR: Duration = Duration::from_secs(366 * 24 * 3600);

/// Lets the clock jump while the server is down: what was is a year ago, or will
/// be in a year.
fn jump(server: &mut Server, forward: bool) {
    let micros = i64::try_from(YEAR.as_micros()).unwrap();
    server.kill();
    shift_times(server, if forward { -micros } else { micros });
    server.start();
}

async fn completed(clients: &Clients, server: &Server) -> String {
    let id = create(clients, &server.work(), "thread,turn,completed").await.unwrap().session_id;
    rest(clients, &id).await;
    id
}

async fn cleanup(clients: &Clients, request: CleanupSessionsRequest) -> Vec<String> {
    let mut sessions = clients.sessions.clone();
    sessions.cleanup_sessions(request).await.unwrap().into_inner().session_ids
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_jumps_changes_no_order_and_no_outcome() {
    let mut server = ledger::setup().start();
    let clients = server.connect_to_socket().await;
    let mut ids = vec![completed(&clients, &server).await];
    let mut catalogue = Catalogue::open(&clients, "").await.unwrap();
    catalogue.synced().await;
    // What was there is older, then younger than what comes.
    for forward in [true, false, false] {
        jump(&mut server, forward);
        let id = completed(&clients, &server).await;
        // A cursor of before brings what came since, and nothing else.
        catalogue = Catalogue::open(&clients, &catalogue.cursor).await.unwrap();
        catalogue.synced().await;
        assert_eq!(catalogue.sessions.keys().collect::<Vec<_>>(), [&id]);
        ids.insert(0, id);
    }

    let listed: Vec<_> = ledger::list(&clients).await.into_iter().map(|s| s.session_id).collect();
    assert_eq!(listed, ids, "in the order of their creation");
    for id in &ids {
        start_turn(&clients, id, "thread,turn,message:on,completed").await.unwrap();
        let session = rest(&clients, id).await;
        assert_eq!((session.state(), session.turn_count), (SessionState::Completed, 2));
        check(&server, &session, &events(&clients, id).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_kept_by_age_goes_by_the_clock() {
    let mut server = ledger::setup().start();
    let clients = server.connect_to_socket().await;
    let creation = CreateSessionRequest {
        session: Some(Session {
            working_directory: server.work().display().to_string(),
            ..Session::default()
        }),
        request_id: "once".to_owned(),
        ..CreateSessionRequest::default()
    };
    let create = async || {
        let answer = clients.sessions.clone().create_session(creation.clone()).await.unwrap();
        answer.into_inner().session.unwrap().session_id
    };
    let id = create().await;
    let ended = completed(&clients, &server).await;
    let at_once =
        CleanupSessionsRequest { older_than: Some(Duration::ZERO.into()), ..Default::default() };

    // Backward: what will be in a year is not old, however little age is asked for.
    jump(&mut server, false);
    assert_eq!(cleanup(&clients, at_once).await, Vec::<String>::new());
    assert_eq!(create().await, id, "the answer to a request is kept as well");
    // Others are answered meanwhile, which lets go of what is too old.
    let other = CreateSessionRequest { request_id: "other".to_owned(), ..creation.clone() };
    clients.sessions.clone().create_session(other).await.unwrap();
    assert_eq!(create().await, id);
    assert_eq!(ledger::list(&clients).await.len(), 3);

    // Forward: by the clock a year has passed.
    jump(&mut server, true);
    jump(&mut server, true);
    assert_ne!(create().await, id, "the answer was kept for a day");
    assert_eq!(cleanup(&clients, CleanupSessionsRequest::default()).await, [ended]);
}
