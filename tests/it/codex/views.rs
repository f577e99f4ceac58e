//! What was said and done in a session of the real codex.

use switchboard::proto::{
    GetTrajectoryRequest, ListMessagesRequest, ListTurnsRequest, MessageRole, Usage as Tokens,
    step::Kind as Step,
};

use super::Stage;
use crate::model::{Progress, Reply, Usage};

#[tokio::test(flavor = "multi_thread")]
async fn the_story_of_a_session_is_told_in_turns_messages_and_steps() {
    let stage = Stage::configured("tools.update_plan.enabled = true\n").await;
    let usage = Usage { input: 7, cached: 3, output: 5, reasoning: 2 };
    let patch = "*** Begin Patch\n*** Add File: a.txt\n+hello\n*** End Patch\n";
    stage.model.script([
        Reply::new().reasoning("**Thinking**").command("echo out; exit 3"),
        Reply::new().patch(patch),
        Reply::new().plan(&[("Read", Progress::Completed), ("Write", Progress::Begun)]),
        Reply::new().message("done").usage(usage),
        Reply::new().message("more").usage(usage),
    ]);
    let session = stage.create("Do as you are told.").await;
    stage.rest(&session).await;
    let id = session.session_id.clone();
    stage.start_turn(&id, "And on.").await;
    let (session, _) = stage.rest(&session).await;

    let mut sessions = stage.clients.sessions.clone();
    let request = ListMessagesRequest { session_id: id.clone(), ..Default::default() };
    let messages = sessions.list_messages(request).await.unwrap().into_inner().messages;
    let said: Vec<_> = messages
        .iter()
        .filter(|message| message.role() != MessageRole::System)
        .map(|message| {
            let content = message.content.as_ref().unwrap().text.as_str();
            (message.turn, message.role(), message.name.as_str(), content)
        })
        .collect();
    use MessageRole::{Assistant, Tool, User};
    let file = stage.server.work().canonicalize().unwrap().join("a.txt");
    assert_eq!(
        said,
        [
            (1, User, "", "Do as you are told."),
            (1, Tool, "command", "out\n"),
            (1, Tool, "file_change", format!("add {}", file.display()).as_str()),
            (1, Assistant, "", "done"),
            (2, User, "", "And on."),
            (2, Assistant, "", "more"),
        ]
    );
    let command = messages.iter().find(|message| message.name == "command").unwrap();
    assert_eq!((command.exit_code, command.status.as_str()), (Some(3), "failed"));

    let request = GetTrajectoryRequest { session_id: id.clone(), turn: 1, ..Default::default() };
    let steps = sessions.get_trajectory(request).await.unwrap().into_inner().steps;
    let numbers: Vec<u32> = steps.iter().map(|step| step.step).collect();
    assert_eq!(numbers, (1..=u32::try_from(steps.len()).unwrap()).collect::<Vec<_>>());
    let kinds: Vec<&str> = steps
        .iter()
        .map(|step| match step.kind.as_ref().unwrap() {
            Step::Prompt(_) => "prompt",
            Step::Reasoning(_) => "reasoning",
            Step::Command(_) => "command",
            Step::FileChange(_) => "file_change",
            Step::Plan(_) => "plan",
            Step::Message(_) => "message",
            Step::Warning(_) => "warning",
            other => panic!("{other:?}"),
        })
        .filter(|kind| *kind != "warning")
        .collect();
    assert_eq!(kinds, ["prompt", "reasoning", "command", "file_change", "plan", "message"]);

    let request = ListTurnsRequest { session_id: id, ..Default::default() };
    let turns = sessions.list_turns(request).await.unwrap().into_inner().turns;
    assert_eq!(turns.last(), session.last_turn.as_ref());
    // Codex counts for the whole thread.
    let used = |turn: usize| turns[turn].usage.unwrap();
    let all = session.usage.unwrap();
    assert_eq!(used(0).input_tokens + used(1).input_tokens, all.input_tokens);
    let second = Tokens {
        input_tokens: 7,
        cached_input_tokens: 3,
        output_tokens: 5,
        reasoning_output_tokens: 2,
        ..Tokens::default()
    };
    assert_eq!(used(1), second);
}
