//! The real codex behind `/api`: what a client of the contract does with it.

use super::Stage;
use crate::{contract_sessions::follow, model::Reply};

#[tokio::test(flavor = "multi_thread")]
async fn a_client_of_the_contract_creates_sends_polls_streams_and_deletes() {
    let stage = Stage::new().await;
    stage.model.script([Reply::new().message("Four.")]);
    let work = stage.server.work();
    let arguments = [work.to_str().unwrap(), "What is two and two?", "Four."];
    // The model answers in this process.
    tokio::task::block_in_place(|| follow(&stage.server, "life", &arguments));
}
