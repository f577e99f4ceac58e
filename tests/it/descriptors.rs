//! Open files are few on many machines: what holds them, and what happens when
//! there are none left.

use std::fs;

use switchboard::proto::{CreateSessionRequest, Session, SessionState};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::{
    harness::{Clients, Server, Setup},
    ledger::{self, check, create, events, fake_agent, list, reason, rest, start_turn},
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
