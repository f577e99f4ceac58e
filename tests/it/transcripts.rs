//! Recorded transcripts of the real codex, replayed through the server: what it
//! printed comes out of every way to read it, line for line and byte for byte.

use std::{
    fs,
    path::{Path, PathBuf},
};

use switchboard::proto::{
    CreateSessionRequest, Event, Item, OutputStream, ReadOutputRequest, ReadOutputResponse,
    Session, SessionState, StateReason, event::Kind,
};
use tonic::Status;

use crate::{
    harness::{Clients, Server},
    ledger::{self, Watcher, check, create, events, lines, reason, rest, start_turn},
    toolchain,
};

/// How much of an output one message holds.
const CHUNK_BYTES: usize = 256 << 10;

/// A transcript and how a turn ends that prints it.
struct Transcript {
    file: PathBuf,
    bytes: Vec<u8>,
}

impl Transcript {
    /// The recorded ones, by name.
    fn all() -> Vec<Self> {
        let folder = fs::read_dir(toolchain::tests_dir().join("fixtures/transcripts")).unwrap();
        let mut files: Vec<PathBuf> = folder.map(|entry| entry.unwrap().path()).collect();
        files.retain(|file| file.extension().is_some_and(|extension| extension == "jsonl"));
        files.sort();
        assert!(files.len() >= 20, "{files:?}");
        files.into_iter().map(Self::read).collect()
    }

    fn named(name: &str) -> Self {
        Self::read(toolchain::tests_dir().join(format!("fixtures/transcripts/{name}.jsonl")))
    }

    fn read(file: PathBuf) -> Self {
        let bytes = fs::read(&file).unwrap();
        assert_eq!(bytes.last(), Some(&b'\n'), "{file:?}");
        Self { file, bytes }
    }

    fn name(&self) -> String {
        self.file.file_stem().unwrap().to_str().unwrap().to_owned()
    }

    fn lines(&self) -> Vec<Vec<u8>> {
        let lines = self.bytes.split_inclusive(|&byte| byte == b'\n');
        lines.map(|line| line[..line.len() - 1].to_vec()).collect()
    }

    /// What its last line says.
    fn end(&self) -> (SessionState, StateReason, Option<u32>) {
        let last: serde_json::Value = serde_json::from_slice(self.lines().last().unwrap()).unwrap();
        match last["type"].as_str().unwrap() {
            "turn.completed" => (SessionState::Completed, StateReason::Unspecified, Some(0)),
            "turn.failed" => (SessionState::Failed, StateReason::AgentError, Some(1)),
            // It stopped in the middle: that of a turn that was interrupted.
            _ => (SessionState::Failed, StateReason::ExitStatus, Some(1)),
        }
    }

    async fn replay(&self, clients: &Clients, work: &Path) -> Session {
        let request = CreateSessionRequest {
            session: Some(Session {
                agent: format!("replay:{}", self.file.display()),
                working_directory: work.display().to_string(),
                ..Session::default()
            }),
            prompt: "replay".to_owned(),
            ..CreateSessionRequest::default()
        };
        let answer = clients.sessions.clone().create_session(request).await.unwrap();
        answer.into_inner().session.unwrap()
    }
}

/// Whether the typed event says what the line is.
fn is_typed(event: &Event) -> bool {
    let item = match &event.kind {
        Some(Kind::ItemStarted(event)) => &event.item,
        Some(Kind::ItemUpdated(event)) => &event.item,
        Some(Kind::ItemCompleted(event)) => &event.item,
        None | Some(Kind::Unknown(_) | Kind::InvalidLine(_)) => return false,
        Some(_) => return true,
    };
    matches!(item, Some(Item { details: Some(_), .. }))
}

async fn read(
    clients: &Clients,
    request: ReadOutputRequest,
) -> Result<Vec<ReadOutputResponse>, Status> {
    let mut stream = clients.sessions.clone().read_output(request).await?.into_inner();
    let mut chunks = Vec::new();
    while let Some(chunk) = stream.message().await? {
        chunks.push(chunk);
    }
    Ok(chunks)
}

/// The chunks that these bytes come in when they are read from `offset` on.
fn chunked(turn: u32, output: &[u8], offset: usize, length: usize) -> Vec<ReadOutputResponse> {
    let end = (offset + length).min(output.len());
    let starts = (offset..end.max(offset + 1)).step_by(CHUNK_BYTES);
    let chunk = |start: usize| ReadOutputResponse {
        turn,
        offset: start as u64,
        data: output[start..(start + CHUNK_BYTES).min(end)].to_vec().into(),
        total_size: output.len() as u64,
    };
    starts.map(chunk).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_line_comes_out_of_a_watch_and_of_a_listing_as_it_was_printed() {
    let server = Server::new();
    let clients = server.connect().await;
    let mut replayed = Vec::new();
    for transcript in Transcript::all() {
        let session = transcript.replay(&clients, &server.work()).await;
        let watcher = Watcher::start(&clients, &session.session_id);
        replayed.push((transcript, session, watcher));
    }
    for (transcript, session, mut watcher) in replayed {
        let name = transcript.name();
        let id = &session.session_id;
        let watched = watcher.rest(1).await;
        let listed = events(&clients, id).await;
        assert_eq!(watched, listed, "{name}");
        assert_eq!(lines(&watched, 1), transcript.lines(), "{name}");
        let untyped: Vec<_> = watched.iter().filter(|event| !is_typed(event)).collect();
        assert_eq!(untyped, Vec::<&Event>::new(), "{name}");
        let session = rest(&clients, id).await;
        let turn = session.last_turn.as_ref().unwrap();
        let end = (session.state(), session.state_reason(), turn.exit_code);
        assert_eq!(end, transcript.end(), "{name}");
        check(&server, &session, &watched);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_output_of_a_turn_is_read_byte_for_byte() {
    let server = Server::new();
    let clients = server.connect().await;
    for transcript in Transcript::all() {
        let session = transcript.replay(&clients, &server.work()).await;
        rest(&clients, &session.session_id).await;
        let request = ReadOutputRequest {
            session_id: session.session_id.clone(),
            ..ReadOutputRequest::default()
        };
        let chunks = read(&clients, request).await.unwrap();
        let expected = chunked(1, &transcript.bytes, 0, transcript.bytes.len());
        assert_eq!(chunks, expected, "{}", transcript.name());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_piece_of_the_output_is_read_from_any_byte_on() {
    let server = Server::new();
    let clients = server.connect().await;
    let transcript = Transcript::named("big_output");
    let session_id = transcript.replay(&clients, &server.work()).await.session_id;
    rest(&clients, &session_id).await;
    let output = &transcript.bytes;
    let piece = |offset: usize, length: usize| ReadOutputRequest {
        session_id: session_id.clone(),
        turn: 1,
        offset: offset as u64,
        length: length as u64,
        stream: OutputStream::Stdout.into(),
    };
    let all = output.len();
    for (offset, length) in [
        (0, 1),
        (3, CHUNK_BYTES),
        (CHUNK_BYTES - 1, CHUNK_BYTES + 1),
        (all - 1, 1),
        (all - 10, 20),
        (7, all),
        // 0 reads all that is there, which at the end is nothing.
        (all, 0),
        (all, 9),
    ] {
        let chunks = read(&clients, piece(offset, length)).await.unwrap();
        let expected = chunked(1, output, offset, if length == 0 { all } else { length });
        assert_eq!(chunks, expected, "{offset} {length}");
    }
    let refused = read(&clients, piece(all + 1, 1)).await.unwrap_err();
    assert_eq!(reason(&refused), "INVALID_ARGUMENT");
    assert_eq!(
        refused.message(),
        format!("offset: {} is beyond the end of the output, which is {all} bytes long", all + 1)
    );
    let refused = read(&clients, ReadOutputRequest { turn: 2, ..piece(0, 1) }).await.unwrap_err();
    assert_eq!(reason(&refused), "TURN_NOT_FOUND");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_turn_has_an_output_and_diagnostics_of_its_own() {
    let server = ledger::setup().start();
    let clients = server.connect().await;
    let id = create(&clients, &server.work(), "stderr:one,line:eins,completed").await;
    let id = id.unwrap().session_id;
    rest(&clients, &id).await;
    start_turn(&clients, &id, "stderr:two,completed,line:zwei").await.unwrap();
    rest(&clients, &id).await;
    let output = async |turn: u32, stream: OutputStream| {
        let request = ReadOutputRequest {
            session_id: id.clone(),
            turn,
            stream: stream.into(),
            ..ReadOutputRequest::default()
        };
        let chunks = read(&clients, request).await.unwrap();
        assert_eq!(chunks.len(), 1);
        (chunks[0].turn, String::from_utf8(chunks[0].data.to_vec()).unwrap())
    };
    let said = "{\"type\":\"turn.completed\",\"usage\":{\"input_tokens\":100,\"cached_input_tokens\":10,\"cache_write_input_tokens\":0,\"output_tokens\":20,\"reasoning_output_tokens\":5}}\n";
    use OutputStream::{Stderr, Stdout, Unspecified};
    assert_eq!(output(1, Stdout).await, (1, format!("eins\n{said}")));
    assert_eq!(output(1, Stderr).await, (1, "one\n".to_owned()));
    assert_eq!(output(2, Unspecified).await, (2, format!("{said}zwei\n")));
    assert_eq!(output(2, Stderr).await, (2, "two\n".to_owned()));
    assert_eq!(output(0, Stderr).await, (2, "two\n".to_owned()), "0 is the latest turn");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_output_of_a_running_turn_is_read_as_far_as_it_is() {
    let server = ledger::setup().start();
    let clients = server.connect().await;
    let go = server.work().join("go");
    let script = format!("line:half,thread,wait:{},completed", go.display());
    let id = create(&clients, &server.work(), &script).await.unwrap().session_id;
    let mut watcher = Watcher::start(&clients, &id);
    watcher.until("the thread", |events| lines(events, 1).len() == 2).await;
    let request =
        ReadOutputRequest { session_id: id.clone(), length: 5, ..ReadOutputRequest::default() };
    let chunks = read(&clients, request).await.unwrap();
    assert_eq!(chunks.len(), 1);
    assert_eq!(chunks[0].data, b"half\n".as_slice());
    fs::write(go, "").unwrap();
    watcher.rest(1).await;
}
