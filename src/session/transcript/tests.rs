use std::{env, fs, path::Path, time::UNIX_EPOCH};

use bytes::Bytes;
use prost::Message as _;

use super::{
    cut::{self, Entry},
    fold::{Fold, Found, Made, OpenItems, Place},
    step,
};
use crate::{
    agent,
    event::Envelope,
    id::{Seq, SessionId, TurnNumber},
    proto::{
        self, Event, MessageRole, SessionMessage, SessionState, StateReason, Step, TimeSource,
        event::Kind, step::Kind as StepKind,
    },
};

/// The most entries of a fixture; of a longer transcript the rest is counted.
const MAX_LINES: usize = 16;

/// A session's events, as they come.
struct Events(Vec<Event>);

impl Events {
    fn new() -> Self {
        Self(Vec::new())
    }

    fn line(&mut self, turn: u32, line: &str) {
        let kind = agent::parse(&agent::Kind::Codex, line.as_bytes());
        let envelope = Envelope::agent(
            SessionId::from_bytes([0; 16]),
            TurnNumber(turn),
            UNIX_EPOCH,
            TimeSource::Live,
        );
        let seq = Seq(self.0.len() as u64 + 1);
        self.0.push(envelope.seal(seq, kind, Bytes::from(line.to_owned()), 0));
    }

    fn server(&mut self, turn: u32, kind: Kind) {
        let turn = (turn != 0).then_some(TurnNumber(turn));
        let envelope = Envelope::server(SessionId::from_bytes([0; 16]), turn, UNIX_EPOCH);
        self.0.push(envelope.seal(Seq(self.0.len() as u64 + 1), kind, Bytes::new(), 0));
    }

    fn begin(&mut self, turn: u32) {
        self.server(turn, Kind::TurnSpawned(proto::TurnSpawned::default()));
    }

    fn end(&mut self, turn: u32, state: SessionState, reason: StateReason, error: &str) {
        self.server(
            turn,
            Kind::StateChanged(proto::StateChanged {
                state: state.into(),
                reason: reason.into(),
                error: error.to_owned(),
                ..proto::StateChanged::default()
            }),
        );
    }

    fn step(&self, found: &Found, event: &Event) -> Step {
        match found.made {
            Made::Prompt => step::prompt(event, found, format!("prompt {}", found.turn)),
            Made::Event => step::of_event(event, found),
            Made::Open(seq) => step::of_event(&self.0[usize::try_from(seq.0 - 1).unwrap()], found),
        }
    }

    /// Every step, with what is open at the end.
    fn steps(&self) -> Vec<Step> {
        let mut fold = Fold::at(Place::default());
        let mut steps = Vec::new();
        for event in &self.0 {
            steps.extend(fold.push(event).iter().map(|found| self.step(found, event)));
        }
        let last = self.0.last().unwrap();
        steps.extend(fold.open().unwrap().iter().map(|found| self.step(found, last)));
        steps
    }

    /// The same, one step at a time, each from a fold that knows a place alone.
    fn steps_one_by_one(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        let mut place = Place::default();
        'pages: loop {
            let mut fold = Fold::at(place);
            let mut on_page = 0;
            while let Some(event) = self.0.get(usize::try_from(fold.place().after.0).unwrap()) {
                if fold.must_know(event) {
                    fold.know(self.open_items(fold.place()));
                }
                let before = fold.place();
                for (nth, found) in (0..).zip(fold.push(event)).skip(before.skip as usize) {
                    if on_page == 1 {
                        place = Place { skip: nth, ..before };
                        continue 'pages;
                    }
                    steps.push(self.step(&found, event));
                    on_page += 1;
                }
            }
            if fold.open().is_none() {
                fold.know(self.open_items(fold.place()));
            }
            let last = self.0.last().unwrap();
            let before = fold.place();
            for (nth, found) in (0..).zip(fold.open().unwrap()).skip(before.open as usize) {
                if on_page == 1 {
                    place = Place { open: nth, ..before };
                    continue 'pages;
                }
                steps.push(self.step(&found, last));
                on_page += 1;
            }
            return steps;
        }
    }

    fn open_items(&self, place: Place) -> OpenItems {
        let mut open = OpenItems::default();
        let of_turn =
            self.0.iter().filter(|event| (place.first..=place.after).contains(&Seq(event.seq)));
        of_turn.for_each(|event| open.follow(event));
        open
    }
}

/// A turn that printed this transcript, as the server accounts for it.
fn turn_of(transcript: &str) -> Events {
    let mut events = Events::new();
    events.begin(1);
    transcript.lines().for_each(|line| events.line(1, line));
    let (state, reason) = match &events.0.last().unwrap().kind {
        Some(Kind::TurnCompleted(_)) => (SessionState::Completed, StateReason::Unspecified),
        Some(Kind::TurnFailed(_)) => (SessionState::Failed, StateReason::AgentError),
        _ => (SessionState::Interrupted, StateReason::Unspecified),
    };
    events.end(1, state, reason, "");
    events
}

fn rendered<E: Entry + serde::Serialize>(steps: &[Step]) -> String {
    let mut entries: Vec<E> = steps.iter().cloned().filter_map(E::of).collect();
    let left_out = entries.len().saturating_sub(MAX_LINES);
    entries.truncate(MAX_LINES);
    let mut text = String::new();
    for entry in &mut entries {
        cut::to_characters(entry, 200);
        text += &serde_json::to_string(entry).unwrap();
        text += "\n";
    }
    if left_out > 0 {
        text += &format!("and {left_out} more\n");
    }
    text
}

/// What `tests/fixtures/steps` and `tests/fixtures/messages` say, which
/// `UPDATE_FIXTURES=1` writes anew.
#[test]
fn every_transcript_gives_the_steps_and_messages_that_are_checked_in() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    #[expect(clippy::disallowed_methods, reason = "a switch of this test, not configuration")]
    let update = env::var_os("UPDATE_FIXTURES").is_some();
    let mut seen = 0;
    for file in fs::read_dir(fixtures.join("transcripts")).unwrap() {
        let file = file.unwrap().path();
        let events = turn_of(&fs::read_to_string(&file).unwrap());
        let steps = events.steps();
        for (folder, text) in
            [("steps", rendered::<Step>(&steps)), ("messages", rendered::<SessionMessage>(&steps))]
        {
            let known = fixtures.join(folder).join(file.file_name().unwrap());
            if update {
                fs::create_dir_all(known.parent().unwrap()).unwrap();
                fs::write(&known, &text).unwrap();
            }
            assert_eq!(text, fs::read_to_string(&known).unwrap(), "{known:?}");
        }
        seen += 1;
    }
    assert!(seen >= 20, "{seen}");
}

#[test]
fn pages_of_one_step_each_are_the_same_steps() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/transcripts");
    for name in ["plan", "cmd_parallel", "cmd_background", "sig_INT_cmd", "mcp", "subagent"] {
        let mut transcript = fs::read_to_string(fixtures.join(format!("{name}.jsonl"))).unwrap();
        let events = turn_of(&transcript);
        assert_eq!(events.steps_one_by_one(), events.steps(), "{name}");
        // The same in the middle of a turn that runs, wherever that is.
        while let Some(at) = transcript.trim_end().rfind('\n') {
            transcript.truncate(at + 1);
            let mut running = Events::new();
            running.begin(1);
            transcript.lines().for_each(|line| running.line(1, line));
            assert_eq!(running.steps_one_by_one(), running.steps(), "{name}: {transcript}");
        }
    }
}

fn started(id: &str) -> String {
    format!(
        r#"{{"type":"item.started","item":{{"id":"{id}","type":"command_execution","command":"c","aggregated_output":"","exit_code":null,"status":"in_progress"}}}}"#
    )
}

fn told(steps: &[Step]) -> Vec<(u32, u32, u64, &str)> {
    let kind = |step: &Step| match step.kind.as_ref().unwrap() {
        StepKind::Prompt(_) => "prompt",
        StepKind::Reasoning(_) => "reasoning",
        StepKind::Message(_) => "message",
        StepKind::Command(_) => "command",
        StepKind::FileChange(_) => "file_change",
        StepKind::ToolCall(_) => "tool_call",
        StepKind::AgentCall(_) => "agent_call",
        StepKind::WebSearch(_) => "web_search",
        StepKind::Plan(_) => "plan",
        StepKind::Warning(_) => "warning",
        StepKind::Error(_) => "error",
        StepKind::Other(_) => "other",
    };
    steps.iter().map(|step| (step.turn, step.step, step.seq, kind(step))).collect()
}

#[test]
fn steps_count_in_their_turn_and_ids_that_begin_again_are_others() {
    let mut events = Events::new();
    events.begin(1);
    events.line(1, &started("item_0"));
    events.end(1, SessionState::Killed, StateReason::Unspecified, "");
    events.server(0, Kind::SessionUpdated(proto::SessionUpdated::default()));
    events.begin(2);
    events.server(
        2,
        Kind::Warning(proto::Warning { code: "CODE".to_owned(), message: "mind".to_owned() }),
    );
    events.line(2, &started("item_0"));
    events.line(2, "not JSON");
    events.line(2, r#"{"type":"item.completed","item":{"id":"item_0","type":"new","x":1}}"#);
    events.end(2, SessionState::Failed, StateReason::ExitStatus, "it ended with status 3");
    let steps = events.steps();
    assert_eq!(
        told(&steps),
        [
            (1, 1, 1, "prompt"),
            (1, 2, 2, "command"),
            (2, 1, 5, "prompt"),
            (2, 2, 6, "warning"),
            (2, 3, 8, "other"),
            (2, 4, 9, "other"),
            (2, 5, 10, "error"),
        ]
    );
    assert_eq!(events.steps_one_by_one(), steps);
    let error = proto::NoticeStep {
        code: "EXIT_STATUS".to_owned(),
        message: Some(step::text("it ended with status 3")),
    };
    assert_eq!(steps[6].kind, Some(StepKind::Error(error)));
    let warning = SessionMessage::of(steps[3].clone()).unwrap();
    assert_eq!((warning.role(), warning.name.as_str()), (MessageRole::System, "CODE"));
    assert_eq!(warning.content, Some(step::text("mind")));
    assert_eq!(steps[4].kind, Some(StepKind::Other(step::text("not JSON"))));
}

#[test]
fn a_turn_that_never_started_has_its_prompt_and_its_error() {
    let mut events = Events::new();
    events.end(1, SessionState::Queued, StateReason::Unspecified, "");
    events.end(1, SessionState::Failed, StateReason::SpawnFailed, "no such file");
    assert_eq!(told(&events.steps()), [(1, 1, 1, "prompt"), (1, 2, 2, "error")]);
    assert_eq!(events.steps_one_by_one(), events.steps());
}

#[test]
fn a_text_is_cut_at_a_character_and_tells_its_whole_length() {
    let mut step =
        Step { kind: Some(StepKind::Message(step::text("größe🤔"))), ..Step::default() };
    cut::to_characters(&mut step, 6);
    assert_eq!(step.kind, Some(StepKind::Message(step::text("größe🤔"))));
    cut::to_characters(&mut step, 3);
    let text = proto::Text { text: "grö".to_owned(), truncated: true, total_characters: 6 };
    assert_eq!(step.kind, Some(StepKind::Message(text)));
}

#[test]
fn an_entry_that_is_too_large_is_cut_until_it_fits() {
    let long = || Some(step::text("ü".repeat(300_000)));
    let short = || Some(step::text("x".repeat(500)));
    let room = 60_000;
    let kinds = [
        StepKind::Prompt(long().unwrap()),
        StepKind::Command(proto::CommandStep { command: long(), output: long(), exit_code: None }),
        StepKind::FileChange(proto::FileChangeStep {
            files: vec![
                proto::ChangedFile { path: "p".repeat(500), kind: "add".to_owned() };
                1_000
            ],
            total_files: 1_000,
        }),
        StepKind::Plan(proto::PlanStep {
            items: vec![proto::PlanItem { text: short(), completed: true }; 1_000],
            total_items: 1_000,
        }),
        StepKind::AgentCall(proto::AgentCallStep {
            tool: "wait".to_owned(),
            prompt: long(),
            agents: vec![
                proto::CalledAgent { message: short(), ..proto::CalledAgent::default() };
                1_000
            ],
            total_agents: 1_000,
        }),
    ];
    for kind in kinds {
        let mut step = Step { kind: Some(kind), ..Step::default() };
        let mut message = SessionMessage::of(step.clone());
        cut::to_bytes(&mut step, room);
        assert!((room / 8..=room).contains(&step.encoded_len()), "{}", step.encoded_len());
        if let Some(message) = &mut message {
            cut::to_bytes(message, room);
            assert!((room / 8..=room).contains(&message.encoded_len()));
        }
    }
    let mut small = Step { kind: Some(StepKind::Prompt(step::text("x"))), ..Step::default() };
    let whole = small.clone();
    cut::to_bytes(&mut small, room);
    assert_eq!(small, whole);
}
