//! An agent that refuses the session's thread, and then does not come far without
//! it either.

use switchboard::proto::{Event, SessionState, event::Kind};

use crate::ledger::{self, check, create, events, rest, start_turn};

/// The steps of an agent that refuses to resume.
const REFUSAL: &str = "refuse-resume:Error: no rollout found for thread id x";

/// The warnings of a turn that its thread was not resumed.
fn restarted(events: &[Event], turn: u32) -> Vec<&str> {
    let of_turn = events.iter().filter(|event| event.turn == turn);
    of_turn
        .filter_map(|event| match &event.kind {
            Some(Kind::Warning(warning)) if warning.code == "THREAD_RESTARTED" => {
                Some(warning.message.as_str())
            }
            _ => None,
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn that_the_thread_was_refused_is_said_once_wherever_the_second_run_ends() {
    let mut server = ledger::setup().start();
    let clients = server.connect_to_socket().await;
    let id = create(&clients, &server.work(), "thread,turn,completed").await.unwrap().session_id;
    let thread = rest(&clients, &id).await.thread_id;

    // It ends before it begins a thread, with nothing to say of itself.
    start_turn(&clients, &id, &format!("{REFUSAL},exit:3")).await.unwrap();
    let session = rest(&clients, &id).await;
    assert_eq!((session.state(), &session.thread_id), (SessionState::Failed, &thread));
    let turn = session.last_turn.unwrap();
    assert_eq!(turn.exit_code, Some(3));
    assert!(!turn.error.contains("rollout"), "{}", turn.error);

    // The same, with a reason of its own; the server dies meanwhile.
    let go = server.work().join("go");
    let script = format!("{REFUSAL},wait:{},stderr:Error: out of luck,exit:1", go.display());
    start_turn(&clients, &id, &script).await.unwrap();
    server.kill();
    std::fs::write(&go, "").unwrap();
    server.start();
    let turn = rest(&clients, &id).await.last_turn.unwrap();
    assert_eq!(turn.error, "out of luck");

    // It begins a thread, and ends then.
    start_turn(&clients, &id, &format!("{REFUSAL},thread,exit:1")).await.unwrap();
    let session = rest(&clients, &id).await;
    assert_ne!(session.thread_id, thread);
    assert!(!session.last_turn.as_ref().unwrap().error.contains("rollout"), "{session:?}");

    let events = events(&clients, &id).await;
    check(&server, &session, &events);
    let refused = format!("the thread {thread} could not be resumed: the agent ");
    for turn in 2..=4 {
        let said = restarted(&events, turn);
        assert!(said.len() == 1 && said[0].starts_with(&refused), "turn {turn}: {said:?}");
    }
    assert_eq!(restarted(&events, 1), Vec::<&str>::new());
}
