//! Turns that go well, and turns that are interrupted.

use switchboard::proto::{
    FilesystemSandbox, InterruptTurnRequest, Session, SessionState, Usage as Tokens, event::Kind,
};

use super::{
    Stage, VERSION, everything, items, items_of_everything, kinds, message, printed, warnings,
};
use crate::{
    ledger::{get, pid_file, rest, states},
    model::{Gate, Reply},
    toolchain,
};

async fn interrupt(stage: &Stage, session: &Session) {
    let request =
        InterruptTurnRequest { session_id: session.session_id.clone(), ..Default::default() };
    let answer = stage.clients.sessions.clone().interrupt_turn(request).await.unwrap();
    assert_eq!(answer.into_inner().session.unwrap().state(), SessionState::Stopping);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turn_comes_out_live_and_whole() {
    let stage = Stage::new().await;
    let gate = Gate::closed();
    stage.model.script(everything(&gate));

    let session = stage.create("Do as you are told.").await;

    assert_eq!(session.state(), SessionState::Running);
    let mut watcher = stage.watch(&session);
    // The model has not said all of its first reply.
    let seen = watcher.until("the first item", |events| !items(events, 1).is_empty()).await;
    let expected = items_of_everything(&stage.server.work());
    assert_eq!(items(&seen, 1), expected[..1]);
    let running = get(&stage.clients, &session.session_id).await;
    let pid = running.last_turn.as_ref().unwrap().pid;
    let supervised = pid_file(&stage.server, &session.session_id, 1);
    assert_eq!(Some(pid), supervised.agent_pid);
    let program = std::fs::read_link(format!("/proc/{pid}/exe")).unwrap();
    assert_eq!(program, toolchain::codex().canonicalize().unwrap());
    gate.open_once();

    let live = watcher.rest(1).await;
    let (session, events) = stage.rest(&session).await;
    assert_eq!(live, events);
    assert_eq!(items(&events, 1), expected);
    let items = ["ItemCompleted", "ItemStarted", "ItemCompleted", "ItemStarted"]
        .into_iter()
        .chain(["ItemCompleted", "ItemStarted", "ItemCompleted", "ItemCompleted"]);
    let expected: Vec<_> =
        ["SessionCreated", "TurnSpawned", "StateChanged", "ThreadStarted", "TurnStarted"]
            .into_iter()
            .chain(items)
            .chain(["TurnCompleted", "TurnExited", "StateChanged"])
            .collect();
    assert_eq!(kinds(&events), expected);
    assert_eq!(states(&events, 1), [SessionState::Running, SessionState::Completed]);
    assert_eq!(std::fs::read_to_string(stage.server.work().join("a.txt")).unwrap(), "hello\n");

    let turn = session.last_turn.as_ref().unwrap();
    assert_eq!((turn.pid, turn.exit_code, turn.signal), (pid, Some(0), None));
    assert_eq!((turn.state(), turn.error.as_str()), (SessionState::Completed, ""));
    assert_eq!(session.codex_version, VERSION);
    assert_eq!(session.first_prompt, "Do as you are told.");
    assert_eq!(printed(&events, 1)[0]["thread_id"], session.thread_id);
    // Three replies with the default, and the last.
    let tokens = Tokens {
        input_tokens: 307,
        cached_input_tokens: 33,
        cache_write_input_tokens: 0,
        output_tokens: 65,
        reasoning_output_tokens: 17,
    };
    assert_eq!(session.usage, Some(tokens));
    stage.server.assert_no_survivors();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_turn_goes_on_with_the_thread_and_all_its_settings() {
    let stage = Stage::new().await;
    stage.model.script([
        Reply::new().message("first answer"),
        Reply::new().message("second answer"),
        Reply::new().message("third answer"),
    ]);
    let directory = stage.server.work().join("a project");
    std::fs::create_dir(&directory).unwrap();
    let asked = Session {
        model: "gpt-5.4".to_owned(),
        filesystem_sandbox: FilesystemSandbox::WorkspaceWrite.into(),
        working_directory: directory.display().to_string(),
        ..stage.session()
    };
    let session = stage.create_as(asked, "first question").await;
    let (first, _) = stage.rest(&session).await;

    stage.start_turn(&session.session_id, "second question").await;
    let (second, _) = stage.rest(&session).await;
    stage.start_turn(&session.session_id, "third question").await;
    let (third, events) = stage.rest(&session).await;

    assert_eq!([second.turn_count, third.turn_count], [2, 3]);
    assert_eq!(third.state(), SessionState::Completed);
    assert_eq!(third.thread_id, first.thread_id);
    assert_eq!(third.first_prompt, "first question");
    let used = |session: &Session| session.usage.unwrap().input_tokens;
    assert_eq!([&first, &second, &third].map(used), [100, 200, 300]);
    let resumed: Vec<_> = events
        .iter()
        .filter_map(|event| match &event.kind {
            Some(Kind::TurnSpawned(spawned)) => {
                Some((spawned.resumed_thread_id.as_str(), spawned.prompt.as_str()))
            }
            _ => None,
        })
        .collect();
    let thread = first.thread_id.as_str();
    assert_eq!(
        resumed,
        [("", "first question"), (thread, "second question"), (thread, "third question")]
    );

    let requests = stage.model.requests();
    assert_eq!(requests.len(), 3);
    assert_eq!(requests[2].texts("assistant"), ["first answer", "second answer"]);
    let questions: Vec<_> =
        requests[2].texts("user").into_iter().filter(|text| text.contains("question")).collect();
    assert_eq!(questions, ["first question", "second question", "third question"]);
    assert!(requests.iter().all(|request| request.body["model"] == "gpt-5.4"));
    let contexts = stage.turn_contexts(thread);
    assert_eq!(contexts.len(), 3);
    for context in contexts {
        assert_eq!(context["model"], "gpt-5.4");
        assert_eq!(context["cwd"], directory.to_str().unwrap());
        assert_eq!(context["sandbox_policy"]["type"], "workspace-write");
        assert_eq!(context["approval_policy"], "never");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_knows_its_session_and_turn_whatever_else_it_may_know() {
    let stage = Stage::configured("[shell_environment_policy]\ninherit = \"core\"\n").await;
    let command = "printf '%s/%s' \"$SWITCHBOARD_SESSION\" \"$SWITCHBOARD_TURN\"";
    let turn = || [Reply::new().command(command), Reply::new().message("done")];
    stage.model.script(turn().into_iter().chain(turn()));
    let session = stage.create("Tell.").await;
    stage.rest(&session).await;
    stage.start_turn(&session.session_id, "Tell again.").await;
    let (_, events) = stage.rest(&session).await;
    for turn in [1, 2] {
        let said = &items(&events, turn)[1]["item"]["aggregated_output"];
        assert_eq!(*said, format!("{}/{turn}", session.session_id));
    }
    assert_eq!(warnings(&events), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupt_ends_the_turn_with_its_commands_and_the_thread_goes_on() {
    let stage = Stage::new().await;
    stage.model.script([
        Reply::new().message("wait for it").command("(setsid sleep 300 &); sleep 300"),
        Reply::new().message("here I am"),
    ]);
    let session = stage.create("Take your time.").await;
    let mut watcher = stage.watch(&session);
    watcher.until("the command", |events| items(events, 1).len() == 2).await;

    interrupt(&stage, &session).await;

    let (interrupted, events) = stage.rest(&session).await;
    use SessionState::{Interrupted, Running, Stopping};
    assert_eq!(states(&events, 1), [Running, Stopping, Interrupted]);
    let turn = interrupted.last_turn.as_ref().unwrap();
    assert_eq!((turn.exit_code, turn.signal), (Some(1), None));
    stage.server.assert_no_survivors();

    stage.start_turn(&session.session_id, "Are you there?").await;
    let (session, events) = stage.rest(&session).await;
    assert_eq!(session.state(), SessionState::Completed);
    assert_eq!(session.thread_id, interrupted.thread_id);
    assert_eq!(items(&events, 2), [message("item_0", "here I am")]);
    let requests = stage.model.requests();
    let said = requests[1].texts("user");
    assert!(said.contains(&"Take your time.") && said.contains(&"Are you there?"), "{said:?}");
    assert!(requests[1].texts("assistant").contains(&"wait for it"));
    stage.server.assert_no_survivors();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupt_ends_a_turn_that_waits_for_the_model() {
    let stage = Stage::new().await;
    let gate = Gate::closed();
    stage.model.script([Reply::new().wait(&gate).message("too late")]);
    let session = stage.create("Go.").await;
    gate.reached(1).await;
    interrupt(&stage, &session).await;
    let (session, events) = stage.rest(&session).await;
    assert_eq!(session.state(), SessionState::Interrupted);
    assert_eq!(items(&events, 1), Vec::<serde_json::Value>::new());
    stage.server.assert_no_survivors();
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_side_by_side_have_each_their_own() {
    let stage = Stage::new().await;
    let gate = Gate::closed();
    let markers = ["alpha", "beta", "gamma", "delta"];
    for marker in markers {
        let reply = Reply::new().wait(&gate).message(&format!("for {marker}"));
        stage.model.script_for(marker, [reply]);
    }
    let mut sessions = Vec::new();
    for marker in markers {
        sessions.push((marker, stage.create(&format!("I am {marker}.")).await));
    }
    // All are at work at the same time.
    gate.reached(markers.len()).await;
    for (_, session) in &sessions {
        assert_eq!(get(&stage.clients, &session.session_id).await.state(), SessionState::Running);
    }
    for _ in markers {
        gate.open_once();
    }
    let mut threads = std::collections::BTreeSet::new();
    for (marker, session) in sessions {
        rest(&stage.clients, &session.session_id).await;
        let (session, events) = stage.rest(&session).await;
        assert_eq!(session.state(), SessionState::Completed, "{marker}");
        assert_eq!(items(&events, 1), [message("item_0", &format!("for {marker}"))]);
        threads.insert(session.thread_id);
    }
    assert_eq!(threads.len(), markers.len());
    stage.server.assert_no_survivors();
}
