//! Turns that wait for a place: in order, with their place, across restarts.

use switchboard::proto::{
    CreateSessionRequest, InterruptTurnRequest, Session, SessionState, StateReason, event::Kind,
};

use super::{delete, kill};
use crate::{
    harness::{Clients, Server},
    ledger::{
        self, Watcher, check, create, events, get, reason, rest, start_turn, states, turn_files,
    },
};

/// A server that runs one turn at a time.
fn one_at_a_time() -> Server {
    ledger::setup().config("[turns]\nmax_running = 1\nkill_grace = '50ms'\n").start()
}

/// Creates sessions of which the first runs until there is a file `go`, and the
/// others wait.
async fn line(clients: &Clients, server: &Server, count: usize) -> Vec<Session> {
    let mut line = Vec::new();
    for number in 1..=count {
        let go = server.work().join("go");
        let script = format!("thread,turn,message:{number},wait:{},completed", go.display());
        line.push(create(clients, &server.work(), &script).await.unwrap());
    }
    line
}

fn go(server: &Server) {
    std::fs::write(server.work().join("go"), "").unwrap();
}

async fn places(clients: &Clients, line: &[Session]) -> Vec<(SessionState, u32)> {
    let mut places = Vec::new();
    for session in line {
        let session = get(clients, &session.session_id).await;
        places.push((session.state(), session.queue_position));
    }
    places
}

#[tokio::test(flavor = "multi_thread")]
async fn turns_beyond_the_limit_wait_in_their_order() {
    let server = one_at_a_time();
    let clients = server.connect().await;
    let line = line(&clients, &server, 4).await;
    use SessionState::{Queued, Running};
    let told: Vec<_> = line.iter().map(|s| (s.state(), s.queue_position)).collect();
    let expected = [(Running, 0), (Queued, 1), (Queued, 2), (Queued, 3)];
    assert_eq!(told, expected);
    assert_eq!(places(&clients, &line).await, expected);
    let busy = start_turn(&clients, &line[2].session_id, "completed").await.unwrap_err();
    assert_eq!(reason(&busy), "SESSION_RUNNING");

    go(&server);

    let mut spawned = Vec::new();
    for session in &line {
        let id = &session.session_id;
        let session = rest(&clients, id).await;
        assert_eq!(session.state(), SessionState::Completed, "{session:#?}");
        let events = events(&clients, id).await;
        check(&server, &session, &events);
        let begun = events.iter().find(|event| matches!(event.kind, Some(Kind::TurnSpawned(_))));
        spawned.push(begun.unwrap().time.unwrap());
    }
    let times: Vec<_> = spawned.iter().map(|time| (time.seconds, time.nanos)).collect();
    assert!(times.is_sorted(), "{times:?}");
    let of_last = events(&clients, &line[3].session_id).await;
    assert_eq!(states(&of_last, 1), [Queued, Running, SessionState::Completed]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turn_that_waits_can_be_stopped_and_never_starts() {
    let server = one_at_a_time();
    let clients = server.connect().await;
    let line = line(&clients, &server, 4).await;
    let id = |at: usize| line[at].session_id.as_str();

    let request = InterruptTurnRequest { session_id: id(1).to_owned(), ..Default::default() };
    let interrupted = clients.sessions.clone().interrupt_turn(request).await.unwrap();
    let killed = kill(&clients, id(2)).await.unwrap();

    use SessionState::{Interrupted, Killed, Queued, Running};
    assert_eq!(interrupted.into_inner().session.unwrap().state(), Interrupted);
    assert_eq!(killed.state(), Killed);
    let expected = [(Running, 0), (Interrupted, 0), (Killed, 0), (Queued, 1)];
    assert_eq!(places(&clients, &line).await, expected);
    go(&server);
    assert_eq!(rest(&clients, id(3)).await.state(), SessionState::Completed);
    for (at, state) in [(1, Interrupted), (2, Killed)] {
        let events = events(&clients, id(at)).await;
        assert_eq!(states(&events, 1), [Queued, state]);
        assert!(!events.iter().any(|event| matches!(event.kind, Some(Kind::TurnSpawned(_)))));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn those_who_wait_keep_their_places_when_the_server_is_killed() {
    let mut server = one_at_a_time();
    let clients = server.connect_to_socket().await;
    let line = line(&clients, &server, 4).await;
    Watcher::start(&clients, &line[0].session_id).message("1").await;
    let before = places(&clients, &line).await;

    server.kill_and_start();
    assert_eq!(places(&clients, &line).await, before);
    // Also where nobody runs at the start.
    server.kill();
    go(&server);
    server.assert_no_survivors();
    server.start();

    let mut ends = Vec::new();
    for session in &line {
        let session = rest(&clients, &session.session_id).await;
        assert_eq!(session.state(), SessionState::Completed, "{session:#?}");
        check(&server, &session, &events(&clients, &session.session_id).await);
        let end = session.last_turn.unwrap().end_time.unwrap();
        ends.push((end.seconds, end.nanos));
    }
    assert!(ends.is_sorted(), "{ends:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_waits_can_be_deleted() {
    let server = one_at_a_time();
    let clients = server.connect().await;
    let line = line(&clients, &server, 3).await;

    delete(&clients, &line[1].session_id).await.unwrap();

    let left = [line[0].clone(), line[2].clone()];
    use SessionState::{Queued, Running};
    assert_eq!(places(&clients, &left).await, [(Running, 0), (Queued, 1)]);
    go(&server);
    assert_eq!(rest(&clients, &left[1].session_id).await.state(), SessionState::Completed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turn_that_cannot_be_started_when_its_time_has_come_fails() {
    let server = one_at_a_time();
    let clients = server.connect().await;
    let first = line(&clients, &server, 1).await.remove(0);
    let work = server.work().join("for a while");
    std::fs::create_dir(&work).unwrap();
    let waiting = create(&clients, &work, "thread,turn,completed").await.unwrap().session_id;
    let last = create(&clients, &server.work(), "thread,turn,completed").await.unwrap();

    std::fs::remove_dir(&work).unwrap();
    go(&server);

    let failed = rest(&clients, &waiting).await;
    let outcome = (failed.state(), failed.state_reason());
    assert_eq!(outcome, (SessionState::Failed, StateReason::SpawnFailed));
    let error = failed.last_turn.unwrap().error;
    assert!(error.contains("for a while"), "{error}");
    for id in [&first.session_id, &last.session_id] {
        assert_eq!(rest(&clients, id).await.state(), SessionState::Completed);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn below_the_floor_of_free_disk_no_turn_starts_and_none_is_lost() {
    // No disk has so much.
    let mut server = ledger::setup().config("[turns]\nmin_free_disk = '1048576TiB'\n").start();
    let clients = server.connect_to_socket().await;
    let refused = create(&clients, &server.work(), "thread,turn,completed").await.unwrap_err();
    assert_eq!(reason(&refused), "STORAGE_FULL");
    assert!(refused.message().contains("turns.min_free_disk"), "{refused:?}");
    assert_eq!(ledger::list(&clients).await, []);

    // Those that wait when the floor is reached wait on.
    std::fs::write(server.config_file(), "[turns]\nmax_running = 1\n").unwrap();
    server.stop();
    server.start();
    let line = line(&clients, &server, 2).await;
    server.kill();
    go(&server);
    server.assert_no_survivors();
    std::fs::write(server.config_file(), "[turns]\nmin_free_disk = '1048576TiB'\n").unwrap();
    server.start();
    assert_eq!(rest(&clients, &line[0].session_id).await.state(), SessionState::Completed);
    assert_eq!(get(&clients, &line[1].session_id).await.state(), SessionState::Queued);

    std::fs::write(server.config_file(), "").unwrap();
    server.kill_and_start();
    assert_eq!(rest(&clients, &line[1].session_id).await.state(), SessionState::Completed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turn_whose_launch_the_servers_death_cut_short_goes_back_in_line() {
    let mut server = one_at_a_time();
    let clients = server.connect_to_socket().await;
    let line = line(&clients, &server, 3).await;
    server.kill();
    // As a server leaves them that dies between the lock and the supervisor.
    let files = ledger::turn_files(&server, &line[1].session_id, 1);
    for path in [files.lock(), files.stdout(), files.spec()] {
        std::fs::write(path, "").unwrap();
    }
    server.start();
    use SessionState::{Queued, Running};
    let expected = [(Running, 0), (Queued, 1), (Queued, 2)];
    assert_eq!(places(&clients, &line).await, expected);
    go(&server);
    for session in &line {
        let session = rest(&clients, &session.session_id).await;
        assert_eq!(session.state(), SessionState::Completed, "{session:#?}");
        check(&server, &session, &events(&clients, &session.session_id).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turn_that_waited_across_a_restart_is_started_with_its_images() {
    let mut server = one_at_a_time();
    let clients = server.connect().await;
    let image = server.work().join("a.png").display().to_string();
    std::fs::write(&image, "a picture").unwrap();
    let line = line(&clients, &server, 1).await;
    let session =
        Session { working_directory: server.work().display().to_string(), ..Session::default() };
    let request = |images: &[&str]| CreateSessionRequest {
        session: Some(session.clone()),
        prompt: "FAKE_AGENT=thread,turn,argv,completed".to_owned(),
        images: images.iter().map(|&image| image.to_owned()).collect(),
        ..CreateSessionRequest::default()
    };
    let mut waiting = Vec::new();
    let lost = server.work().join("lost.png").display().to_string();
    std::fs::write(&lost, "another").unwrap();
    for images in [&[image.as_str()][..], &[], &[image.as_str(), lost.as_str()]] {
        let created = clients.sessions.clone().create_session(request(images)).await.unwrap();
        let created = created.into_inner().session.unwrap();
        assert_eq!(created.state(), SessionState::Queued);
        waiting.push(created.session_id);
    }

    server.kill_and_start();
    std::fs::remove_file(&lost).unwrap();
    go(&server);

    let clients = server.connect().await;
    rest(&clients, &line[0].session_id).await;
    let mut told: Vec<Vec<String>> = Vec::new();
    for id in &waiting[..2] {
        assert_eq!(rest(&clients, id).await.state(), SessionState::Completed);
        let spec = switchboard::supervise::read_spec(&turn_files(&server, id, 1)).unwrap().unwrap();
        told.push(spec.args.into_iter().filter(|arg| arg.starts_with("--image")).collect());
    }
    assert_eq!(told, [vec![format!("--image={image}")], vec![]]);
    // One whose images went meanwhile does not start without them.
    let failed = rest(&clients, &waiting[2]).await;
    assert_eq!(
        (failed.state(), failed.state_reason()),
        (SessionState::Failed, StateReason::SpawnFailed)
    );
    let error = &failed.last_turn.as_ref().unwrap().error;
    assert!(error.contains(&format!("{lost}: there is no such file")), "{error}");
}
