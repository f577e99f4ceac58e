//! Many sessions at once, processes that die under them, and a clock that jumps.

use std::{collections::BTreeMap, time::Duration};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use switchboard::proto::{CleanupSessionsRequest, Session, SessionState, StateReason};
use tokio::task::JoinSet;

use crate::{
    harness::{Clients, Server},
    ledger::{self, Watcher, agent_of, check, create, events, rest, start_turn},
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

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_jumps_changes_no_order_and_deletes_nothing() {
    const YEAR: Duration = Duration::from_secs(366 * 24 * 3600);
    let micros = i64::try_from(YEAR.as_micros()).unwrap();
    let mut server = ledger::setup().start();
    let clients = server.connect_to_socket().await;
    let mut ids = Vec::new();
    // Backwards in the end: what was is in the future.
    for by in [-micros, 2 * micros] {
        let id = create(&clients, &server.work(), "thread,turn,completed").await;
        let id = id.unwrap().session_id;
        rest(&clients, &id).await;
        ids.push(id);
        server.kill();
        shift_times(&server, by);
        server.start();
    }
    let last = create(&clients, &server.work(), "thread,turn,completed").await.unwrap();
    rest(&clients, &last.session_id).await;
    ids.push(last.session_id);

    let listed: Vec<_> = ledger::list(&clients).await.into_iter().map(|s| s.session_id).collect();
    ids.reverse();
    assert_eq!(listed, ids, "in the order of their creation");
    for id in &ids {
        start_turn(&clients, id, "thread,turn,message:on,completed").await.unwrap();
        let session = rest(&clients, id).await;
        assert_eq!(session.state(), SessionState::Completed);
        check(&server, &session, &events(&clients, id).await);
    }
    let request = CleanupSessionsRequest::default();
    let cleaned = clients.sessions.clone().cleanup_sessions(request).await.unwrap().into_inner();
    assert_eq!(cleaned.session_ids, Vec::<String>::new());
    let turns: BTreeMap<_, _> = ledger::list(&clients)
        .await
        .into_iter()
        .map(|session| (session.session_id, session.turn_count))
        .collect();
    assert!(turns.values().all(|count| *count == 2), "{turns:?}");
}
