//! Calls that meet.

use std::collections::BTreeMap;

use switchboard::{
    id::SessionId,
    proto::{CreateSessionRequest, Session, SessionState},
};
use tokio::task::JoinSet;

use crate::ledger::{self, check, events, reason, rest};

#[tokio::test(flavor = "multi_thread")]
async fn of_creations_with_one_id_one_wins_and_is_not_harmed_by_the_others() {
    let server = ledger::setup().start();
    let clients = server.connect().await;
    for _ in 0..5 {
        let id = SessionId::random().to_string();
        let mut creations = JoinSet::new();
        for _ in 0..8 {
            let mut sessions = clients.sessions.clone();
            let request = CreateSessionRequest {
                session: Some(Session {
                    working_directory: server.work().display().to_string(),
                    ..Session::default()
                }),
                session_id: id.clone(),
                prompt: "FAKE_AGENT=thread,turn,message,completed".to_owned(),
                ..CreateSessionRequest::default()
            };
            creations.spawn(async move { sessions.create_session(request).await });
        }

        let mut answers: BTreeMap<String, u32> = BTreeMap::new();
        while let Some(answer) = creations.join_next().await {
            let answer = match answer.unwrap() {
                Ok(_) => "created".to_owned(),
                Err(refused) => reason(&refused),
            };
            *answers.entry(answer).or_default() += 1;
        }

        let expected = [("SESSION_EXISTS".to_owned(), 7), ("created".to_owned(), 1)];
        assert_eq!(answers, BTreeMap::from(expected));
        let session = rest(&clients, &id).await;
        assert_eq!(session.state(), SessionState::Completed);
        check(&server, &session, &events(&clients, &id).await);
    }
}
