//! `switchboard run` with the real codex: what its user sees, and when.

use std::{
    io::{BufRead as _, BufReader},
    process::Stdio,
};

use serde_json::Value;

use super::{Stage, everything, items_of_everything};
use crate::{cli::switchboard, model::Gate};

/// What the agent printed of an item, out of an event as `--json` shows it.
fn item(event: &Value) -> Option<Value> {
    event["raw"].get("item").is_some().then(|| event["raw"].clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turn_is_shown_live_and_whole_and_its_outcome_is_the_exit_code() {
    let stage = Stage::new().await;
    let gate = Gate::closed();
    stage.model.script(everything(&gate));
    let mut run = switchboard(&stage.server.home())
        .args(["--json", "run", "Do as you are told.", "-s", "danger-full-access", "-C"])
        .arg(stage.server.work())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(run.stdout.take().unwrap()).lines();
    let mut shown = lines.map(|line| serde_json::from_str::<Value>(&line.unwrap()).unwrap());

    // The model has not said all of its first reply.
    let mut events: Vec<Value> = Vec::new();
    while events.last().and_then(item).is_none() {
        events.push(shown.next().expect("the turn goes on"));
    }
    let expected = items_of_everything(&stage.server.work());
    assert_eq!(events.last().and_then(item).as_ref(), Some(&expected[0]));
    gate.open_once();
    events.extend(shown);

    assert_eq!(run.wait().unwrap().code(), Some(0));
    assert_eq!(events.iter().filter_map(item).collect::<Vec<_>>(), expected);
    let seqs: Vec<u64> =
        events.iter().map(|event| event["seq"].as_str().unwrap().parse().unwrap()).collect();
    assert_eq!(seqs, (1..=events.len() as u64).collect::<Vec<_>>());
    let last = &events.last().unwrap()["stateChanged"];
    assert_eq!(last["state"], "SESSION_STATE_COMPLETED");
    stage.server.assert_no_survivors();
}
