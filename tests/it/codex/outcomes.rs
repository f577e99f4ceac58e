//! What becomes of a turn whose model or provider fails.

use switchboard::proto::{Session, SessionState, StateReason};

use super::{Stage, items, kinds, message, printed};
use crate::{harness::Setup, model::Reply, toolchain};

/// The session's end: state, reason, exit status and the turn's error.
fn end(session: &Session) -> (SessionState, StateReason, Option<u32>, &str) {
    let turn = session.last_turn.as_ref().unwrap();
    (session.state(), session.state_reason(), turn.exit_code, &turn.error)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_refuses_fails_the_turn_in_its_own_words() {
    let stage = Stage::new().await;
    stage.model.script(std::iter::repeat_n(Reply::status(429, "slow down"), 9));
    let session = stage.create("Go.").await;
    let (session, events) = stage.rest(&session).await;
    let error = "exceeded retry limit, last status: 429 Too Many Requests";
    assert_eq!(end(&session), (SessionState::Failed, StateReason::AgentError, Some(1), error));
    let expected = [
        "SessionCreated",
        "TurnSpawned",
        "StateChanged",
        "ThreadStarted",
        "TurnStarted",
        "Error",
        "TurnFailed",
        "TurnExited",
        "StateChanged",
    ];
    assert_eq!(kinds(&events), expected);
    assert!(!session.thread_id.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turn_that_failed_is_followed_by_one_that_does_not() {
    let stage = Stage::new().await;
    stage.model.script([Reply::status(400, "no such thing"), Reply::new().message("better")]);
    let session = stage.create("Go.").await;
    let (failed, _) = stage.rest(&session).await;
    let (state, reason, code, error) = end(&failed);
    assert_eq!((state, reason, code), (SessionState::Failed, StateReason::AgentError, Some(1)));
    assert!(error.contains("no such thing"), "{error}");
    stage.start_turn(&session.session_id, "Again.").await;
    let (session, events) = stage.rest(&session).await;
    assert_eq!(end(&session), (SessionState::Completed, StateReason::Unspecified, Some(0), ""));
    assert_eq!(items(&events, 2), [message("item_0", "better")]);
    assert_eq!(session.thread_id, failed.thread_id);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_recovers_completes_the_turn() {
    let stage = Stage::new().await;
    let broken = || Reply::status(500, "oops");
    stage.model.script([broken(), broken(), Reply::new().message("done")]);
    let session = stage.create("Go.").await;
    let (session, events) = stage.rest(&session).await;
    assert_eq!(end(&session), (SessionState::Completed, StateReason::Unspecified, Some(0), ""));
    assert_eq!(items(&events, 1), [message("item_0", "done")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_breaks_once_completes_the_turn() {
    let stage = Stage::new().await;
    stage.model.script([Reply::new().message("partial").cut(), Reply::new().message("whole")]);
    let session = stage.create("Go.").await;
    let (session, events) = stage.rest(&session).await;
    assert_eq!(end(&session), (SessionState::Completed, StateReason::Unspecified, Some(0), ""));
    assert_eq!(items(&events, 1), [message("item_0", "partial"), message("item_1", "whole")]);
    // The notice of the retry is an event and decides nothing.
    assert_eq!(kinds(&events).iter().filter(|kind| *kind == "Error").count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_breaks_again_and_again_fails_the_turn() {
    let stage = Stage::new().await;
    let broken = || Reply::new().message("partial").cut();
    stage.model.script([broken(), broken()]);
    let session = stage.create("Go.").await;
    let (session, events) = stage.rest(&session).await;
    let (state, reason, code, error) = end(&session);
    assert_eq!((state, reason, code), (SessionState::Failed, StateReason::AgentError, Some(1)));
    let said = printed(&events, 1);
    assert_eq!(said.last().unwrap()["error"]["message"], error);
    assert!(!error.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_is_down_fails_the_turn_after_a_bounded_time() {
    let Stage { model, home, server, clients } =
        Stage::with(Setup::new().codex(&toolchain::codex()), |home| home).await;
    let url = model.url();
    let nobody = crate::model::Model::start();
    drop(model);
    let stage = Stage { model: nobody, home, server, clients };
    assert_ne!(stage.model.url(), url);
    let session = stage.create("Go.").await;
    let (session, events) = stage.rest(&session).await;
    let (state, reason, code, error) = end(&session);
    assert_eq!((state, reason, code), (SessionState::Failed, StateReason::AgentError, Some(1)));
    assert!(!error.is_empty());
    assert_eq!(printed(&events, 1).last().unwrap()["type"], "turn.failed");
}
