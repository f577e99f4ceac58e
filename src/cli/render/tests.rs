use std::fs;

use super::*;
use crate::{agent, proto};

/// The events of a recorded transcript, a tenth of a second apart, as a server
/// would make them around it.
fn events(transcript: &[u8], state: SessionState) -> Vec<Event> {
    let session = proto::Session {
        session_id: "3f9a1c22-0000-4000-8000-000000000000".into(),
        agent: "codex".into(),
        working_directory: "/home/dev/project".into(),
        ..Default::default()
    };
    let mut kinds = vec![
        (
            Kind::SessionCreated(proto::SessionCreated { session: Some(Box::new(session)) }),
            Vec::new(),
        ),
        (
            Kind::TurnSpawned(proto::TurnSpawned {
                codex_version: "0.169.0".into(),
                prompt: "do it\nplease".into(),
                ..Default::default()
            }),
            Vec::new(),
        ),
    ];
    for line in transcript.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        kinds.push((agent::parse(&agent::Kind::Codex, line), line.to_vec()));
    }
    let exited = proto::TurnExited { exit_code: Some(0), ..Default::default() };
    kinds.push((Kind::TurnExited(exited), Vec::new()));
    let changed = proto::StateChanged { state: state.into(), ..Default::default() };
    kinds.push((Kind::StateChanged(changed), Vec::new()));
    let numbered = kinds.into_iter().zip(1..);
    numbered
        .map(|((kind, raw), seq)| Event {
            session_id: "3f9a1c22-0000-4000-8000-000000000000".into(),
            seq,
            time: Some(crate::time::Timestamp {
                seconds: 1_800_000_000 + i64::try_from(seq).unwrap() / 10,
                nanos: i32::try_from(seq % 10).unwrap() * 100_000_000,
            }),
            turn: u32::from(seq > 1),
            raw: raw.into(),
            kind: Some(kind),
            ..Event::default()
        })
        .collect()
}

fn transcript(name: &str) -> Vec<u8> {
    let path = format!("{}/tests/fixtures/transcripts/{name}.jsonl", env!("CARGO_MANIFEST_DIR"));
    fs::read(path).unwrap()
}

fn shown(events: &[Event]) -> String {
    let mut view = View::new(false);
    events.iter().map(|event| view.event(event)).collect()
}

fn check(name: &str, expected: &str) {
    let text = shown(&events(&transcript(name), SessionState::Completed));
    assert_eq!(text, expected, "{name} is shown as:\n{text}");
}

#[test]
fn messages_reasoning_and_commands_are_shown() {
    check(
        "cmd_fail",
        "\
session 3f9a1c22 · codex · /home/dev/project
turn 1 · codex 0.169.0 · do it…
agent warns: Model metadata for `gpt-5.1-codex-mini` not found. Defaulting to fallback metadata; this can degrade performance and cause issues.
$ echo out; echo err >&2; exit 3
    pyenv: cannot rehash: /home/dev/.pyenv/shims isn't writable
    out
    err
    exit 3 in 0.1 s
$ nonexistent_cmd_xyz --foo
    pyenv: cannot rehash: /home/dev/.pyenv/shims isn't writable
    /bin/bash: line 1: nonexistent_cmd_xyz: command not found
    exit 127 in 0.1 s

Commands failed.

✓ completed in 1.1 s · tokens 300 in (30 cached), 60 out (15 reasoning)
",
    );
}

#[test]
fn commands_that_run_side_by_side_name_themselves_again() {
    check(
        "cmd_parallel",
        "\
session 3f9a1c22 · codex · /home/dev/project
turn 1 · codex 0.169.0 · do it…
$ echo B
$ sleep 0.5; echo A
$ sleep 0.2; echo C
$ echo B
    pyenv: cannot rehash: /home/dev/.pyenv/shims isn't writable
    B
    exit 0 in 0.3 s
$ sleep 0.2; echo C
    pyenv: cannot rehash: /home/dev/.pyenv/shims isn't writable
    C
    exit 0 in 0.2 s
$ sleep 0.5; echo A
    pyenv: cannot rehash: /home/dev/.pyenv/shims isn't writable
    A
    exit 0 in 0.4 s

par

✓ completed in 1.2 s · tokens 200 in (20 cached), 40 out (10 reasoning)
",
    );
}

#[test]
fn a_patch_is_a_list_of_files_below_the_directory() {
    check(
        "patch_ok",
        "\
session 3f9a1c22 · codex · /home/dev/project
turn 1 · codex 0.169.0 · do it…
patch
    A src/new.txt
patch
    A b.txt
    M src/new.txt
patch
    D b.txt
    M src/new.txt

Patched.

✓ completed in 1.2 s · tokens 400 in (40 cached), 80 out (20 reasoning)
",
    );
}

#[test]
fn a_plan_is_a_checklist_that_is_not_repeated() {
    check(
        "plan",
        "\
session 3f9a1c22 · codex · /home/dev/project
turn 1 · codex 0.169.0 · do it…
plan
    [ ] First step
    [ ] Second
plan
    [x] First step
    [ ] Second

Midway

plan
    [x] First step
    [x] Second

Plan done.

✓ completed in 1.1 s · tokens 400 in (40 cached), 80 out (20 reasoning)
",
    );
}

#[test]
fn searches_and_tools_are_shown() {
    check(
        "websearch",
        "\
session 3f9a1c22 · codex · /home/dev/project
turn 1 · codex 0.169.0 · do it…
agent warns: Model metadata for `gpt-5.1-codex-mini` not found. Defaulting to fallback metadata; this can degrade performance and cause issues.
web searches rust tonic streaming
web opens https://example.com/
web finds 'abc' in https://example.com/

Searched.

✓ completed in 1.3 s · tokens 100 in (10 cached), 20 out (5 reasoning)
",
    );
    check(
        "mcp",
        "\
session 3f9a1c22 · codex · /home/dev/project
turn 1 · codex 0.169.0 · do it…
tool echo.echo {\"text\":\"hi\"}
    {\"type\":\"text\",\"text\":\"echo: {'text': 'hi'}\"}
tool echo.boom {}
    failed: tool call error: tool call failed for `echo/boom`…

mcp done

✓ completed in 1.0 s · tokens 300 in (30 cached), 60 out (15 reasoning)
",
    );
}

#[test]
fn a_failure_says_why_and_notices_are_not_failures() {
    let mut events = events(&transcript("provider_down_bounded"), SessionState::Failed);
    let Some(Kind::StateChanged(changed)) = &mut events.last_mut().unwrap().kind else { panic!() };
    changed.reason = StateReason::AgentError.into();
    changed.error = "Connection failed".into();
    assert_eq!(
        shown(&events),
        "\
session 3f9a1c22 · codex · /home/dev/project
turn 1 · codex 0.169.0 · do it…
agent: Reconnecting... 1/1 (Connection failed: error sending request)
agent: Connection failed: error sending request
turn failed: Connection failed: error sending request
✗ failed in 0.7 s (AGENT_ERROR): Connection failed
"
    );
}

#[test]
fn no_transcript_can_drive_the_terminal() {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/transcripts");
    let mut count = 0;
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "jsonl") {
            continue;
        }
        let text = shown(&events(&fs::read(&path).unwrap(), SessionState::Completed));
        let bad = text.chars().find(|c| c.is_control() && !matches!(c, '\n' | '\t'));
        assert_eq!(bad, None, "{path:?}");
        assert!(text.len() < 200_000, "{path:?} is {} bytes to read", text.len());
        count += 1;
    }
    assert!(count > 0);
}

#[test]
fn lines_that_nobody_knows_are_shown_as_they_are() {
    let event = |raw: &str| Event {
        raw: raw.to_owned().into(),
        kind: Some(agent::parse(&agent::Kind::Codex, raw.as_bytes())),
        ..Event::default()
    };
    let events = [
        event(r#"{"type":"turn.paused","why":"\u001b[2J"}"#),
        event("thread 'main' panicked\u{1b}[0m"),
        event(r#"{"type":"item.completed","item":{"id":"item_0","type":"hologram","x":1}}"#),
    ];
    assert_eq!(
        shown(&events),
        "\
turn.paused {\"type\":\"turn.paused\",\"why\":\"\\u001b[2J\"}
output thread 'main' panicked
hologram {\"type\":\"item.completed\",\"item\":{\"id\":\"item_0\",\"type\":\"hologram\",\"x\":1}}
"
    );
}

#[test]
fn a_cut_event_says_where_the_whole_is() {
    let message = proto::AgentMessage { text: "long".into() };
    let item = proto::Item {
        details: Some(proto::item::Details::AgentMessage(message)),
        ..Default::default()
    };
    let event = Event {
        session_id: "3f9a1c22-0000-4000-8000-000000000000".into(),
        elided: Some(proto::Elided { size: 5_000_000, turn: 2, byte_offset: 77 }),
        kind: Some(Kind::ItemCompleted(proto::ItemCompleted { item: Some(item) })),
        ..Event::default()
    };
    assert_eq!(
        shown(&[event]),
        "\nlong\n\n    cut here; whole (5000000 bytes): switchboard sessions output 3f9a1c22 --turn 2 --offset 77 --length 5000000\n"
    );
}

#[test]
fn a_table_is_aligned_and_has_no_trailing_blanks() {
    let rows = [["a".to_owned(), String::new()], ["bcd".to_owned(), "e".to_owned()]];
    assert_eq!(table(["ID", "X"], rows), "ID   X\na\nbcd  e\n");
}
