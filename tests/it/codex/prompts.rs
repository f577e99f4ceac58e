//! Prompts reach the model as they were given, and those that codex would not
//! take are refused before anything is made.

use std::collections::HashMap;

use switchboard::proto::SessionState;
use tonic::Code;
use tonic_types::StatusExt as _;

use super::Stage;
use crate::{
    ledger::{list, reason},
    model::Reply,
};

/// The most characters that codex takes.
const MAX_CHARACTERS: usize = 1_048_576;
/// The most bytes that any agent gets.
const MAX_BYTES: usize = 4 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn every_prompt_reaches_the_model_as_it_was_given() {
    let stage = Stage::new().await;
    let prompts = [
        "--help".to_owned(),
        "-".to_owned(),
        "- one\n- two\n\n\ttabbed \\n \"quoted\" 'single' $HOME `id`".to_owned(),
        "Grüße 🦀 日本語 e\u{301} \u{202e}right\u{202c} line\u{2028}separator \u{1b}[31m"
            .to_owned(),
        "x".repeat(MAX_CHARACTERS),
        // The largest that fits both bounds: four bytes for each character.
        "🦀".repeat(MAX_CHARACTERS),
    ];
    stage.model.script(prompts.iter().map(|_| Reply::new().message("done")));
    let session = stage.create(&prompts[0]).await;
    stage.rest(&session).await;
    for prompt in &prompts[1..4] {
        stage.start_turn(&session.session_id, prompt).await;
        let (session, _) = stage.rest(&session).await;
        assert_eq!(session.state(), SessionState::Completed);
    }
    // Each in a thread of its own, for which the model's window need not hold both.
    for prompt in &prompts[4..] {
        let session = stage.create(prompt).await;
        let (session, _) = stage.rest(&session).await;
        assert_eq!(session.state(), SessionState::Completed);
        assert_eq!(session.first_prompt, prompt.chars().take(1_000).collect::<String>());
    }
    let requests = stage.model.requests();
    assert_eq!(requests.len(), prompts.len());
    for (request, prompt) in requests.iter().zip(&prompts) {
        let said = *request.texts("user").last().unwrap();
        // Not assert_eq, which would print megabytes.
        assert!(said == prompt, "{:?}…", prompt.chars().take(80).collect::<String>());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prompt_that_is_too_long_is_refused_and_leaves_nothing() {
    let stage = Stage::new().await;
    let characters = "x".repeat(MAX_CHARACTERS + 1);
    let bytes = "x".repeat(MAX_BYTES + 1);
    // Beyond what a message to this service may be at all.
    let far_beyond = "x".repeat(2 * MAX_BYTES);
    let metadata = |size: usize, limit: usize, unit: &str| {
        let pairs = [("size", size.to_string()), ("limit", limit.to_string())];
        let pairs = pairs.into_iter().chain([("unit", unit.to_owned())]);
        pairs.map(|(key, value)| (key.to_owned(), value)).collect::<HashMap<_, _>>()
    };
    for (prompt, expected) in [
        (&characters, metadata(MAX_CHARACTERS + 1, MAX_CHARACTERS, "characters")),
        (&bytes, metadata(MAX_BYTES + 1, MAX_BYTES, "bytes")),
    ] {
        let refused = stage.try_create(stage.session(), prompt).await.unwrap_err();
        assert_eq!(reason(&refused), "PAYLOAD_TOO_LARGE", "{refused:?}");
        assert_eq!(refused.code(), Code::ResourceExhausted);
        assert_eq!(refused.get_details_error_info().unwrap().metadata, expected);
    }
    let refused = stage.try_create(stage.session(), &far_beyond).await.unwrap_err();
    assert_eq!(reason(&refused), "PAYLOAD_TOO_LARGE", "{refused:?}");
    let told = refused.get_details_error_info().unwrap().metadata;
    // All of the request counts, which may have a mebibyte beside its prompt.
    assert!(told["size"].parse::<usize>().unwrap() > far_beyond.len(), "{told:?}");
    let limit = (MAX_BYTES + (1 << 20)).to_string();
    assert_eq!((told["limit"].as_str(), told["unit"].as_str()), (limit.as_str(), "bytes"));
    assert_eq!(list(&stage.clients).await, []);
    let left = std::fs::read_dir(stage.server.home().join("sessions")).unwrap().count();
    assert_eq!(left, 0);

    stage.model.script([Reply::new().message("done")]);
    let session = stage.create("short").await;
    let (before, _) = stage.rest(&session).await;
    let request = switchboard::proto::StartTurnRequest {
        session_id: session.session_id.clone(),
        prompt: characters,
        ..Default::default()
    };
    let refused = stage.clients.sessions.clone().start_turn(request).await.unwrap_err();
    assert_eq!(reason(&refused), "PAYLOAD_TOO_LARGE");
    assert_eq!(list(&stage.clients).await, [before]);
}
