//! What listing costs among ten thousand sessions, beside reading a single one.
//!
//! `cargo bench --bench listing`. It makes the sessions first, which takes a
//! minute. Times are of whole calls over loopback, medians of interleaved rounds.

mod measure;
mod rig;

use std::{path::Path, sync::Arc, time::Instant};

use measure::{Target, heading, median, row};
use rig::server::Server;
use switchboard::proto::{
    CreateSessionRequest, GetSessionRequest, ListSessionsRequest, Session, SessionState,
};
use tokio::task::JoinSet;

const SESSIONS: usize = 10_000;
/// How many are made at a time.
const MAKERS: usize = 64;
const ROUNDS: usize = 51;

#[tokio::main]
async fn main() {
    if rig::role() {
        return;
    }
    let server = Arc::new(Server::start(Path::new(env!("CARGO_TARGET_TMPDIR"))).await);
    let ids = make(&server).await;
    let all = ListSessionsRequest::default;
    let queries = [
        ("the newest 100", all()),
        ("the newest 1,000", ListSessionsRequest { page_size: 1_000, ..all() }),
        (
            "100 of a label that one in a hundred has",
            ListSessionsRequest { labels: [label(7)].into(), ..all() },
        ),
        (
            "100 of a state that none has",
            ListSessionsRequest { states: vec![SessionState::Failed.into()], ..all() },
        ),
        (
            "one by a prefix of its id",
            ListSessionsRequest { id_prefix: ids[7][..8].into(), ..all() },
        ),
    ];
    let mut single = Vec::new();
    let mut listed = vec![Vec::new(); queries.len()];
    for round in 0..ROUNDS {
        let request = GetSessionRequest { session_id: ids[round * 7].clone() };
        let begin = Instant::now();
        server.sessions.clone().get_session(request).await.expect("a session");
        single.push(begin.elapsed().as_secs_f64());
        for ((_, request), times) in queries.iter().zip(&mut listed) {
            let begin = Instant::now();
            server.sessions.clone().list_sessions(request.clone()).await.expect("a page");
            times.push(begin.elapsed().as_secs_f64());
        }
    }
    let single = median(single.into_iter()).as_secs_f64();
    heading(&format!("{SESSIONS} sessions"));
    row("one, by its id", single * 1e3, "ms", Target::None);
    for ((what, _), times) in queries.iter().zip(listed) {
        let time = median(times.into_iter()).as_secs_f64();
        row(what, time * 1e3, "ms", Target::None);
        row("  ÷ one by its id", time / single, "", Target::None);
    }
}

/// A label that one in a hundred sessions has.
fn label(number: usize) -> (String, String) {
    ("number".to_owned(), (number % 100).to_string())
}

async fn make(server: &Arc<Server>) -> Vec<String> {
    let mut makers = JoinSet::new();
    for maker in 0..MAKERS {
        let server = Arc::clone(server);
        makers.spawn(async move {
            let mut ids = Vec::new();
            for number in (maker..SESSIONS).step_by(MAKERS) {
                let request = CreateSessionRequest {
                    session: Some(Session {
                        working_directory: "/".to_owned(),
                        title: format!("session {number}"),
                        labels: [label(number)].into(),
                        ..Session::default()
                    }),
                    ..CreateSessionRequest::default()
                };
                let created = server.sessions.clone().create_session(request).await;
                ids.push(created.expect("a session").into_inner().session.expect("one").session_id);
            }
            ids
        });
    }
    makers.join_all().await.concat()
}
