//! `switchboard sessions messages`, `trajectory`, `turns` and `stderr`.

use std::{
    io::{self, IsTerminal as _},
    time::SystemTime,
};

use super::{
    Context, Failure,
    connect::Server,
    render::{
        table,
        text::{Paint, clean, one_line},
        transcript::Transcript,
    },
    sessions::{json, time},
    show::{process, runtime, span, state_of},
};
use crate::proto::{
    GetTrajectoryRequest, ListMessagesRequest, ListTurnsRequest, OutputStream, ReadOutputRequest,
    Turn,
};

/// The largest page that is asked for: what fits is whole.
const PAGE_BYTES: u32 = 64 << 20;

/// How much of each text is printed.
#[derive(Debug, Clone, Copy)]
pub(super) enum Texts {
    /// All.
    Whole,
    /// At most so many characters.
    Characters(u32),
}

pub(super) async fn messages(
    cx: &Context,
    server: &Server,
    id: &str,
    turn: Option<u32>,
) -> Result<(), Failure> {
    let session = server.session(id).await?;
    let mut transcript = Transcript::new(paint(cx), &session.working_directory);
    let mut request = ListMessagesRequest {
        session_id: session.session_id,
        turn: turn.unwrap_or(0),
        max_bytes: PAGE_BYTES,
        ..ListMessagesRequest::default()
    };
    loop {
        let page = server.sessions().list_messages(request.clone()).await;
        let page = page.map_err(server.failure())?.into_inner();
        if request.page_token.is_empty() {
            note_expired(cx, page.oldest_seq);
        }
        for message in &page.messages {
            if cx.output.json {
                json(cx, message)?;
            } else {
                cx.output.print(&transcript.message(message))?;
            }
        }
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            return Ok(());
        }
    }
}

pub(super) async fn trajectory(
    cx: &Context,
    server: &Server,
    id: &str,
    turn: Option<u32>,
    texts: Texts,
) -> Result<(), Failure> {
    let session = server.session(id).await?;
    let mut transcript = Transcript::new(paint(cx), &session.working_directory);
    let (max_characters, full) = match texts {
        Texts::Whole => (0, true),
        Texts::Characters(characters) => (characters, false),
    };
    let mut request = GetTrajectoryRequest {
        session_id: session.session_id,
        turn: turn.unwrap_or(0),
        max_bytes: PAGE_BYTES,
        max_characters,
        full,
        ..GetTrajectoryRequest::default()
    };
    loop {
        let page = server.sessions().get_trajectory(request.clone()).await;
        let page = page.map_err(server.failure())?.into_inner();
        if request.page_token.is_empty() {
            note_expired(cx, page.oldest_seq);
        }
        for step in &page.steps {
            if cx.output.json {
                json(cx, step)?;
            } else {
                cx.output.print(&transcript.step(step))?;
            }
        }
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            return Ok(());
        }
    }
}

pub(super) async fn turns(cx: &Context, server: &Server, id: &str) -> Result<(), Failure> {
    let session_id = server.session(id).await?.session_id;
    let mut request = ListTurnsRequest { session_id, ..ListTurnsRequest::default() };
    let mut turns = Vec::new();
    loop {
        let page = server.sessions().list_turns(request.clone()).await;
        let page = page.map_err(server.failure())?.into_inner();
        turns.extend(page.turns);
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            break;
        }
    }
    if cx.output.json {
        return turns.iter().try_for_each(|turn| json(cx, turn));
    }
    if turns.is_empty() {
        cx.output.note("no turns yet; start one with `switchboard send ID PROMPT`");
        return Ok(());
    }
    cx.output.print(&turn_table(&turns, SystemTime::now()))
}

fn turn_table(turns: &[Turn], now: SystemTime) -> String {
    let rows = turns.iter().map(|turn| {
        let usage = turn.usage.as_ref();
        [
            turn.number.to_string(),
            state_of(turn.state(), turn.state_reason()),
            time(turn.start_time.as_ref()),
            runtime(turn, now).map(span).unwrap_or_default(),
            process(turn),
            usage.map(|usage| usage.input_tokens.to_string()).unwrap_or_default(),
            usage.map(|usage| usage.output_tokens.to_string()).unwrap_or_default(),
            one_line(&turn.error, 80),
        ]
    });
    table(["TURN", "STATE", "STARTED", "RUNTIME", "PROCESS", "IN", "OUT", "ERROR"], rows)
}

pub(super) async fn stderr(
    cx: &Context,
    server: &Server,
    id: &str,
    turn: Option<u32>,
) -> Result<(), Failure> {
    let request = ReadOutputRequest {
        session_id: server.session(id).await?.session_id,
        turn: turn.unwrap_or(0),
        stream: OutputStream::Stderr.into(),
        ..ReadOutputRequest::default()
    };
    let answer = server.sessions().read_output(request).await.map_err(server.failure())?;
    let mut chunks = answer.into_inner();
    let is_for_people = !cx.output.json && io::stdout().is_terminal();
    let mut unfinished = Vec::new();
    while let Some(chunk) = chunks.message().await.map_err(server.failure())? {
        if cx.output.json {
            json(cx, &chunk)?;
        } else if is_for_people {
            // Line by line: a sequence or a character may lie in two chunks.
            unfinished.extend_from_slice(&chunk.data);
            let end = unfinished.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
            let lines: Vec<u8> = unfinished.drain(..end).collect();
            cx.output.print(&clean(&String::from_utf8_lossy(&lines)))?;
        } else {
            cx.output.print_bytes(&chunk.data)?;
        }
    }
    cx.output.print(&clean(&String::from_utf8_lossy(&unfinished)))
}

fn paint(cx: &Context) -> Paint {
    Paint { colour: cx.output.colour }
}

/// Says that a session's beginning is gone.
fn note_expired(cx: &Context, oldest_seq: u64) {
    if oldest_seq > 1 && !cx.output.json {
        cx.output.note(&format!("the events before {oldest_seq} have expired; this is the rest"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::{SessionState, StateReason, Usage};

    #[test]
    fn turns_are_a_table() {
        let turns = [
            Turn {
                number: 1,
                state: SessionState::Completed.into(),
                exit_code: Some(0),
                usage: Some(Usage { input_tokens: 100, output_tokens: 20, ..Usage::default() }),
                ..Turn::default()
            },
            Turn {
                number: 2,
                state: SessionState::Failed.into(),
                state_reason: StateReason::Lost.into(),
                error: "gone\nand away".to_owned(),
                ..Turn::default()
            },
        ];
        assert_eq!(
            turn_table(&turns, SystemTime::UNIX_EPOCH),
            "TURN  STATE          STARTED  RUNTIME  PROCESS  IN   OUT  ERROR\n\
             1     completed                        exit 0   100  20\n\
             2     failed (LOST)                                       gone…\n"
        );
    }
}
