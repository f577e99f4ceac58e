//! Event logs that are there and cannot be opened: what runs comes to its end
//! all the same, keeps its place until then, and nothing is written to the log.

use std::{
    fs::{self, File},
    os::unix::fs::FileExt as _,
    path::Path,
};

use switchboard::proto::{KillSessionRequest, SessionState, StateReason};

use super::segments::{READ_ONLY, delete, said, segments};
use crate::{
    harness::{Clients, Server},
    ledger::{
        self, Watcher, check, create, events, events_after, get, reason, rest, session_directory,
        start_turn,
    },
};

const ENDED: &str = "thread,turn,print:3,completed";

/// Has a log say that a later version of the server wrote it.
fn renumber(segment: &Path) {
    let file = File::options().read(true).write(true).open(segment).unwrap();
    let mut header = [0; 64];
    file.read_exact_at(&mut header, 0).unwrap();
    header[8..12].copy_from_slice(&99_u32.to_le_bytes());
    let crc = crc32c::crc32c(&header[..60]);
    header[60..].copy_from_slice(&crc.to_le_bytes());
    file.write_all_at(&header, 0).unwrap();
}

/// Puts a file in the place of a log.
fn replace(server: &Server, id: &str) {
    let log = session_directory(server, id).join("events");
    fs::rename(&log, server.work().join(id)).unwrap();
    fs::write(&log, "").unwrap();
}

async fn running(server: &Server, clients: &Clients, script: &str) -> String {
    let id = create(clients, &server.work(), script).await.unwrap().session_id;
    Watcher::start(clients, &id).message("ready").await;
    id
}

async fn is_read_only(clients: &Clients, id: &str) {
    let refused = start_turn(clients, id, ENDED).await.unwrap_err();
    assert_eq!(reason(&refused), "SESSION_READ_ONLY", "{refused:?}");
    let refused = events_after(clients, id, 0).await.unwrap_err();
    assert_eq!(reason(&refused), "SESSION_READ_ONLY", "{refused:?}");
    assert!(refused.message().contains("it cannot be opened"), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn turns_whose_logs_cannot_be_opened_hold_their_places_and_come_to_their_ends() {
    let config = "[turns]\nmax_running = 3\nkill_grace = '50ms'\n";
    let mut server = ledger::setup().config(config).start();
    let clients = server.connect_to_socket().await;
    let go = server.work().join("go");
    let waits = format!("thread,turn,message:ready,wait:{},completed", go.display());
    let sleeps = "thread,turn,message:ready,ignore-int,ignore-term,daemonize,sleep";
    let completes = running(&server, &clients, &waits).await;
    let killed = running(&server, &clients, sleeps).await;
    let deleted = running(&server, &clients, sleeps).await;
    let next = create(&clients, &server.work(), ENDED).await.unwrap().session_id;
    let last = create(&clients, &server.work(), ENDED).await.unwrap().session_id;
    server.kill();
    replace(&server, &completes);
    replace(&server, &killed);
    let segment = segments(&server, &deleted).remove(0);
    renumber(&segment);
    let before = fs::read(&segment).unwrap();
    server.start();

    for id in [&completes, &killed, &deleted] {
        assert_eq!(get(&clients, id).await.state(), SessionState::Running);
        is_read_only(&clients, id).await;
    }
    for id in [&next, &last] {
        assert_eq!(get(&clients, id).await.state(), SessionState::Queued);
    }
    assert_eq!(said(&server, READ_ONLY), 3);
    assert_eq!(fs::read(&segment).unwrap(), before);
    assert_eq!(segments(&server, &deleted), [segment]);

    delete(&server, &clients, &deleted).await;
    let session = rest(&clients, &next).await;
    check(&server, &session, &events(&clients, &next).await);
    let request = KillSessionRequest { session_id: killed.clone(), ..Default::default() };
    clients.sessions.clone().kill_session(request).await.unwrap();
    assert_eq!(rest(&clients, &killed).await.state(), SessionState::Killed);
    fs::write(&go, "").unwrap();
    let session = rest(&clients, &completes).await;
    assert_eq!(session.state(), SessionState::Completed, "{session:#?}");
    assert_eq!(session.last_turn.unwrap().exit_code, Some(0));
    assert_eq!(rest(&clients, &last).await.state(), SessionState::Completed);
    server.assert_no_survivors();

    // The rows have it. One session is deleted as it is; the other gets its log again.
    server.kill_and_start();
    assert_eq!(get(&clients, &completes).await.state(), SessionState::Completed);
    delete(&server, &clients, &killed).await;
    is_read_only(&clients, &completes).await;
    let log = session_directory(&server, &completes).join("events");
    fs::remove_file(&log).unwrap();
    fs::rename(server.work().join(&completes), &log).unwrap();
    // Whoever asks has it tried, for the one who asks next.
    let begin = std::time::Instant::now();
    while let Err(refused) = start_turn(&clients, &completes, ENDED).await {
        assert!(begin.elapsed() < ledger::GIVE_UP, "{refused:?}");
    }
    assert_eq!(rest(&clients, &completes).await.state(), SessionState::Completed);
    assert!(!events(&clients, &completes).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turn_that_waits_is_not_started_where_its_log_cannot_be_opened() {
    let config = "[turns]\nmax_running = 1\nkill_grace = '50ms'\n";
    let mut server = ledger::setup().config(config).start();
    let clients = server.connect_to_socket().await;
    let sleeps = running(&server, &clients, "thread,turn,message:ready,sleep").await;
    let waits = create(&clients, &server.work(), ENDED).await.unwrap().session_id;
    server.kill();
    replace(&server, &waits);
    server.start();

    let session = rest(&clients, &waits).await;

    let ended = (session.state(), session.state_reason());
    assert_eq!(ended, (SessionState::Failed, StateReason::SpawnFailed), "{session:#?}");
    for id in [&waits, &sleeps] {
        delete(&server, &clients, id).await;
    }
}
