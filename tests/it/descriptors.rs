//! Open files are few on many machines: what holds them, and what happens when
//! there are none left.

use std::{
    fs,
    io::{ErrorKind, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    thread,
    time::{Duration, Instant},
};

use switchboard::proto::{CreateSessionRequest, Session, SessionState};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::{
    harness::{Clients, Server, Setup},
    ledger::{
        self, Watcher, agent_of, check, create, events, fake_agent, list, reason, rest, start_turn,
    },
};

/// A session that has no turn.
async fn pending(server: &Server, clients: &Clients) -> Result<Session, Status> {
    let working_directory = server.work().display().to_string();
    let session = Session { working_directory, ..Session::default() };
    let request =
        CreateSessionRequest { session: Some(session), ..CreateSessionRequest::default() };
    let answer = clients.sessions.clone().create_session(request).await?;
    Ok(answer.into_inner().session.unwrap())
}

/// What the server's descriptors lead to.
fn open_files(server: &Server) -> Vec<String> {
    let descriptors = fs::read_dir(format!("/proc/{}/fd", server.pid())).unwrap();
    let leads_to = |entry: fs::DirEntry| fs::read_link(entry.path()).ok();
    let targets = descriptors.filter_map(|entry| leads_to(entry.unwrap()));
    targets.map(|target| target.display().to_string()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_at_rest_holds_no_file_open() {
    let server = Setup::new().codex(&fake_agent()).open_files(256, 256).start();
    let clients = server.connect_to_socket().await;
    for _ in 0..600 {
        assert_eq!(pending(&server, &clients).await.unwrap().state(), SessionState::Pending);
    }
    let id = create(&clients, &server.work(), "thread,turn,completed").await.unwrap().session_id;
    rest(&clients, &id).await;
    assert_eq!(list(&clients).await.len(), 601);
    let sessions = server.home().join("sessions").display().to_string();
    let held = open_files(&server).into_iter().filter(|file| file.starts_with(&sessions));
    assert_eq!(held.collect::<Vec<_>>(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_finds_no_file_free_is_refused_and_leaves_nothing() {
    let server = ledger::setup().start();
    let clients = server.connect_to_socket().await;
    let before = pending(&server, &clients).await.unwrap();
    // Asks codex for its version, which is known from then on.
    let script = "thread,turn,completed";
    let other = create(&clients, &server.work(), script).await.unwrap().session_id;
    rest(&clients, &other).await;
    let pid = rustix::process::Pid::from_raw(i32::try_from(server.pid()).unwrap());
    let limit = |files: u64| {
        let limit = rustix::process::Rlimit { current: Some(files), maximum: Some(4_096) };
        rustix::process::prlimit(pid, rustix::process::Resource::Nofile, limit).unwrap();
    };
    // From none at all on, so that each step of a creation meets it.
    let open = open_files(&server).len() as u64;
    let mut refused = 0;
    for files in open - 8..open + 8 {
        for prompt in ["", "FAKE_AGENT=thread,turn,completed"] {
            limit(files);
            let session = Session {
                working_directory: server.work().display().to_string(),
                ..Session::default()
            };
            let request = CreateSessionRequest {
                session: Some(session),
                prompt: prompt.to_owned(),
                ..CreateSessionRequest::default()
            };
            let answer = clients.sessions.clone().create_session(request).await;
            limit(4_096);
            match answer {
                Ok(created) => {
                    let id = created.into_inner().session.unwrap().session_id;
                    if !prompt.is_empty() {
                        let session = rest(&clients, &id).await;
                        check(&server, &session, &events(&clients, &id).await);
                    }
                }
                Err(status) => {
                    refused += 1;
                    assert_eq!(reason(&status), "OVERLOADED", "{status:?}");
                    assert_eq!(status.code(), Code::ResourceExhausted);
                    assert!(status.get_details_retry_info().is_some());
                }
            }
        }
    }
    assert!(refused > 2, "{refused}");
    let known = list(&clients).await.len();
    let directories = fs::read_dir(server.home().join("sessions")).unwrap().count();
    assert_eq!((directories, known), (known, 2 + 32 - refused));

    start_turn(&clients, &before.session_id, "thread,turn,completed").await.unwrap();
    let session = rest(&clients, &before.session_id).await;
    check(&server, &session, &events(&clients, &before.session_id).await);
}

/// The soft and the hard limit of a process's open files.
fn limits(pid: u32) -> (String, String) {
    let limits = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap();
    let mut words = line.split_whitespace().map(str::to_owned);
    (words.next().unwrap(), words.next().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_takes_all_it_may_and_its_agents_get_what_it_was_started_with() {
    let server = ledger::setup().open_files(200, 900).start();
    let clients = server.connect_to_socket().await;
    let script = "thread,turn,message:ready,sleep";
    let id = create(&clients, &server.work(), script).await.unwrap().session_id;
    Watcher::start(&clients, &id).message("ready").await;
    let agent = agent_of(&server, &id, 1).unwrap();
    let limit = |soft: &str| (soft.to_owned(), "900".to_owned());
    assert_eq!((limits(server.pid()), limits(agent)), (limit("900"), limit("200")));
}

/// Connects, sends this, and waits until the server closes.
fn say_no_more(address: SocketAddr, bytes: &[u8]) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(bytes).unwrap();
    stream.set_read_timeout(Some(ledger::GIVE_UP)).unwrap();
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{bytes:?}"),
    }
}

#[test]
fn a_connection_that_does_not_come_to_a_request_is_closed() {
    let server = Server::new();
    let address = server.tcp();
    let beginnings: [&[u8]; 5] = [
        b"",
        b"P",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r",
        b"GET /healthz HT",
        b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nx-more",
    ];
    let waiting = beginnings.map(|bytes| thread::spawn(move || say_no_more(address, bytes)));
    for waiting in waiting {
        waiting.join().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn those_who_open_connections_without_end_take_no_file_that_the_server_needs() {
    let server = Setup::new().codex(&fake_agent()).open_files(128, 128).start();
    let crowd: Vec<_> = (0..300).map(|_| TcpStream::connect(server.tcp()).unwrap()).collect();
    // All are taken or closed before the first of them has had its time.
    let closed = |mut stream: &TcpStream| {
        stream.set_nonblocking(true).unwrap();
        match stream.read(&mut [0]) {
            Ok(count) => count == 0,
            Err(error) => error.kind() != ErrorKind::WouldBlock,
        }
    };
    let deadline = Instant::now() + ledger::GIVE_UP;
    while crowd.iter().filter(|stream| closed(stream)).count() < 300 - 64 {
        assert!(Instant::now() < deadline, "too many are open");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }

    let clients = server.connect_to_socket().await;
    let script = "thread,turn,print:10,completed";
    let id = create(&clients, &server.work(), script).await.unwrap().session_id;
    let session = rest(&clients, &id).await;
    assert_eq!(session.state(), SessionState::Completed);
    check(&server, &session, &events(&clients, &id).await);
    assert_eq!(server.log().matches("no more TCP connections").count(), 1);

    drop(crowd);
    // The server may not have seen yet that they are gone.
    while !healthy(server.tcp()) {
        assert!(Instant::now() < deadline, "nobody gets in");
    }
    assert_eq!(server.log().matches("accepted again").count(), 1);
}

/// Whether the server answers on a new connection.
fn healthy(address: SocketAddr) -> bool {
    let mut stream = TcpStream::connect(address).unwrap();
    let asked = stream.write_all(b"GET /healthz HTTP/1.0\r\nhost: localhost\r\n\r\n");
    let mut answer = String::new();
    asked.is_ok() && stream.read_to_string(&mut answer).is_ok() && answer.contains(" 200 ")
}
