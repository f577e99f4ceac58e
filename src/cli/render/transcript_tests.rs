use super::*;

const PLAIN: Paint = Paint { colour: false };

fn fixture(folder: &str, name: &str) -> String {
    let file = format!("{}/tests/fixtures/{folder}/{name}.jsonl", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(file).unwrap()
}

fn messages(name: &str) -> String {
    let mut transcript = Transcript::new(PLAIN, "/home/dev/project");
    let text = fixture("messages", name);
    text.lines().map(|line| transcript.message(&serde_json::from_str(line).unwrap())).collect()
}

fn steps(name: &str) -> String {
    let mut transcript = Transcript::new(PLAIN, "/home/dev/project");
    let text = fixture("steps", name);
    text.lines().map(|line| transcript.step(&serde_json::from_str(line).unwrap())).collect()
}
#[test]
fn messages_are_a_conversation_with_what_tools_did_in_between() {
    assert_eq!(
        messages("cmd_fail"),
        "turn 1\n\
         you\n    prompt 1\n\n\
         note: Model metadata for `gpt-5.1-codex-mini` not found. Defaulting to fallback metadata; this can degrade performance and cause issues.\n\
         $ echo out; echo err >&2; exit 3\n    \
             pyenv: cannot rehash: /home/dev/.pyenv/shims isn't writable\n    out\n    err\n    exit 3\n\
         $ nonexistent_cmd_xyz --foo\n    \
             pyenv: cannot rehash: /home/dev/.pyenv/shims isn't writable\n    \
             /bin/bash: line 1: nonexistent_cmd_xyz: command not found\n    exit 127\n\
         agent\n    Commands failed.\n\n"
    );
    assert_eq!(
        messages("patch_ok").lines().skip(4).take(5).collect::<Vec<_>>(),
        [
            "file_change",
            "    add /home/dev/project/src/new.txt",
            "file_change",
            "    add /home/dev/project/b.txt",
            "    update /home/dev/project/src/new.txt",
        ]
    );
    assert!(messages("sig_INT_cmd").ends_with("sleep 73.5; echo end\n    in_progress\n"));
}

#[test]
fn steps_have_their_number_and_their_kind() {
    assert_eq!(
        steps("plan"),
        "turn 1\n   1 you        prompt 1\n   \
            2 plan       [ ] First step\n                [ ] Second\n   \
            3 plan       [x] First step\n                [ ] Second\n   \
            4 agent      Midway\n   \
            5 plan       [x] First step\n                [x] Second\n   \
            6 agent      Plan done.\n"
    );
    let shown = steps("mcp");
    for part in [
        "   2 tool       echo.echo {\"text\":\"hi\"}\n                echo: {'text': 'hi'}\n",
        "   3 tool       echo.boom {} failed\n                tool call error:",
        "… (466 characters)\n",
    ] {
        assert!(shown.contains(part), "{part:?} not in {shown}");
    }
    let shown = steps("patch_ok");
    assert!(shown.contains("   3 patch      A b.txt\n                M src/new.txt\n"), "{shown}");
    let shown = steps("cmd_fail");
    let command = "   3 command    echo out; echo err >&2; exit 3\n                exit 3\n";
    assert!(shown.contains(command), "{shown}");
}

#[test]
fn no_message_and_no_step_can_drive_the_terminal() {
    let text =
        |text: &str| Some(Text { text: text.to_owned(), truncated: true, total_characters: 9_000 });
    let nasty = "\u{1b}]0;title\u{7}\u{9b}2J\u{202e}x\u{0}";
    let message = SessionMessage {
        turn: 1,
        role: MessageRole::Tool.into(),
        name: nasty.to_owned(),
        status: nasty.to_owned(),
        input: text(nasty),
        content: text(nasty),
        ..SessionMessage::default()
    };
    let mut shown = String::new();
    for role in [MessageRole::User, MessageRole::Assistant, MessageRole::System, MessageRole::Tool]
    {
        let message = SessionMessage { role: role.into(), ..message.clone() };
        shown += &Transcript::new(PLAIN, "/").message(&message);
    }
    for kind in [
        Kind::Prompt(text(nasty).unwrap()),
        Kind::Other(text(nasty).unwrap()),
        Kind::Error(NoticeStep { code: nasty.to_owned(), message: text(nasty) }),
        Kind::ToolCall(crate::proto::ToolCallStep {
            server: nasty.to_owned(),
            tool: nasty.to_owned(),
            arguments: text(nasty),
            result: text(nasty),
            error: None,
        }),
        Kind::AgentCall(crate::proto::AgentCallStep {
            tool: nasty.to_owned(),
            prompt: text(nasty),
            agents: vec![crate::proto::CalledAgent {
                thread_id: nasty.to_owned(),
                status: nasty.to_owned(),
                message: text(nasty),
            }],
            total_agents: 2,
        }),
    ] {
        let step = Step { status: nasty.to_owned(), kind: Some(kind), ..Step::default() };
        shown += &Transcript::new(PLAIN, "/").step(&step);
    }
    assert!(!shown.chars().any(|c| c.is_control() && c != '\n'), "{shown:?}");
    assert!(!shown.contains('\u{202e}'), "{shown:?}");
    assert!(shown.contains("… (9000 characters)"), "{shown}");
}
