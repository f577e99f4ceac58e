//! `SessionService`.

use std::{os::unix::fs::FileExt as _, path::PathBuf, pin::Pin, time::Duration};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use bytes::{Bytes, BytesMut};
use futures_util::{Stream, stream};
use tonic::{Request, Response, Status};

use super::event::parse_duration;
use crate::{
    Error, Result,
    app::{App, NewSession, Output, OutputStream, SessionPage},
    id::{SessionId, TurnNumber},
    proto::{self, SessionState, session_service_server::SessionService},
    session::Session,
    store::sqlite::{Filter, ListPosition},
};

const MAX_PAGE: u32 = 1_000;
const DEFAULT_PAGE: u32 = 100;
const MAX_WAIT: Duration = Duration::from_secs(24 * 3600);
/// How much of an output one message holds.
const CHUNK_BYTES: usize = 256 << 10;

/// The adapter.
#[derive(Debug, Clone)]
pub(super) struct Service {
    app: App,
}

impl Service {
    pub(super) fn new(app: App) -> Self {
        Self { app }
    }
}

type Chunks = Pin<Box<dyn Stream<Item = Result<proto::ReadOutputResponse, Status>> + Send>>;

#[tonic::async_trait]
impl SessionService for Service {
    type ReadOutputStream = Chunks;

    async fn create_session(
        &self,
        request: Request<proto::CreateSessionRequest>,
    ) -> Result<Response<proto::CreateSessionResponse>, Status> {
        let session = self.app.create_session(parse_new(request.into_inner())?).await?;
        Ok(Response::new(proto::CreateSessionResponse { session: some(&session) }))
    }

    async fn get_session(
        &self,
        request: Request<proto::GetSessionRequest>,
    ) -> Result<Response<proto::GetSessionResponse>, Status> {
        let proto::GetSessionRequest { session_id } = request.into_inner();
        let session = self.app.resolve(&session_id).await?;
        Ok(Response::new(proto::GetSessionResponse { session: some(&session) }))
    }

    async fn list_sessions(
        &self,
        request: Request<proto::ListSessionsRequest>,
    ) -> Result<Response<proto::ListSessionsResponse>, Status> {
        let proto::ListSessionsRequest { page_size, page_token, id_prefix, states } =
            request.into_inner();
        if page_size > MAX_PAGE {
            let problem = format!("{page_size} is above {MAX_PAGE}, the most sessions of a page");
            return Err(Error::invalid("page_size", problem).into());
        }
        let count = if page_size == 0 { DEFAULT_PAGE } else { page_size };
        let filter = Filter { id_prefix, states: parse_states("states", &states)? };
        let after = parse_token(&page_token, &filter)?;
        let SessionPage { sessions, next } =
            self.app.list_sessions(filter.clone(), after, count).await?;
        Ok(Response::new(proto::ListSessionsResponse {
            sessions: sessions.iter().map(Into::into).collect(),
            next_page_token: next.map(|next| token(next, &filter)).unwrap_or_default(),
        }))
    }

    async fn start_turn(
        &self,
        request: Request<proto::StartTurnRequest>,
    ) -> Result<Response<proto::StartTurnResponse>, Status> {
        let proto::StartTurnRequest { session_id, prompt } = request.into_inner();
        let id = parse_id("session_id", &session_id)?;
        let session = self.app.start_turn(id, prompt).await?;
        Ok(Response::new(proto::StartTurnResponse { session: some(&session) }))
    }

    async fn interrupt_turn(
        &self,
        request: Request<proto::InterruptTurnRequest>,
    ) -> Result<Response<proto::InterruptTurnResponse>, Status> {
        let proto::InterruptTurnRequest { session_id } = request.into_inner();
        let id = parse_id("session_id", &session_id)?;
        let session = self.app.interrupt_turn(id, "grpc".to_owned()).await?;
        Ok(Response::new(proto::InterruptTurnResponse { session: some(&session) }))
    }

    async fn wait_session(
        &self,
        request: Request<proto::WaitSessionRequest>,
    ) -> Result<Response<proto::WaitSessionResponse>, Status> {
        let proto::WaitSessionRequest { session_id, states, timeout } = request.into_inner();
        let id = parse_id("session_id", &session_id)?;
        let states = parse_states("states", &states)?;
        let timeout = parse_duration("timeout", timeout, Duration::ZERO, MAX_WAIT)?;
        let (session, reached) =
            self.app.wait_session(id, &states, timeout.unwrap_or(MAX_WAIT)).await?;
        Ok(Response::new(proto::WaitSessionResponse { session: some(&session), reached }))
    }

    async fn read_output(
        &self,
        request: Request<proto::ReadOutputRequest>,
    ) -> Result<Response<Chunks>, Status> {
        let request = request.into_inner();
        let stream = match request.stream() {
            proto::OutputStream::Unspecified | proto::OutputStream::Stdout => OutputStream::Stdout,
            proto::OutputStream::Stderr => OutputStream::Stderr,
        };
        let proto::ReadOutputRequest { session_id, turn, offset, length, stream: _ } = request;
        let id = parse_id("session_id", &session_id)?;
        let turn = (turn != 0).then_some(TurnNumber(turn));
        let length = (length != 0).then_some(length);
        let output = self.app.output(id, turn, stream, offset, length).await?;
        Ok(Response::new(Box::pin(chunks(output))))
    }
}

fn some(session: &Session) -> Option<proto::Session> {
    Some(session.into())
}

/// Reads an output chunk by chunk, as fast as its reader takes them. One that is
/// empty gives one empty chunk, so that its size is told.
fn chunks(output: Output) -> impl Stream<Item = Result<proto::ReadOutputResponse, Status>> {
    stream::unfold(Some((output, true)), |state| async move {
        let (output, first) = state?;
        if output.offset >= output.end && !first {
            return None;
        }
        let read = tokio::task::spawn_blocking(move || chunk(output)).await;
        match read.map_err(Error::internal).and_then(|read| read.map_err(Error::internal)) {
            Ok((response, output)) => {
                // A file that was cut short meanwhile has no more.
                let more = !response.data.is_empty();
                Some((Ok(response), more.then_some((output, false))))
            }
            Err(error) => Some((Err(error.into()), None)),
        }
    })
}

fn chunk(mut output: Output) -> std::io::Result<(proto::ReadOutputResponse, Output)> {
    let wanted = usize::try_from(output.end - output.offset).unwrap_or(CHUNK_BYTES);
    let mut data = BytesMut::zeroed(wanted.min(CHUNK_BYTES));
    let read = match &output.file {
        Some(file) => file.read_at(&mut data, output.offset)?,
        None => 0,
    };
    data.truncate(read);
    let response = proto::ReadOutputResponse {
        turn: output.turn.0,
        offset: output.offset,
        data: Bytes::from(data),
        total_size: output.total_size,
    };
    output.offset += read as u64;
    Ok((response, output))
}

fn parse_new(request: proto::CreateSessionRequest) -> Result<NewSession> {
    let proto::CreateSessionRequest { session, session_id, prompt } = request;
    let session = session.unwrap_or_default();
    let sandbox = parse_enum("session.filesystem_sandbox", session.filesystem_sandbox)?;
    let given = proto::Session {
        agent: String::new(),
        source: String::new(),
        title: String::new(),
        labels: Default::default(),
        working_directory: String::new(),
        model: String::new(),
        filesystem_sandbox: 0,
        ..session.clone()
    };
    if given != proto::Session::default() {
        return Err(Error::invalid(
            "session",
            "a field is set that only the server sets; set agent, source, title, labels, working_directory, model and filesystem_sandbox, and session_id beside it",
        ));
    }
    if session.working_directory.is_empty() {
        return Err(Error::invalid(
            "session.working_directory",
            "is empty; give the absolute path of the directory to work in",
        ));
    }
    Ok(NewSession {
        id: if session_id.is_empty() { None } else { Some(parse_id("session_id", &session_id)?) },
        agent: session.agent,
        source: session.source,
        title: session.title,
        labels: session.labels.into_iter().collect(),
        working_directory: PathBuf::from(session.working_directory),
        model: (!session.model.is_empty()).then_some(session.model),
        sandbox,
        prompt: (!prompt.is_empty()).then_some(prompt),
    })
}

/// A whole session id.
///
/// # Errors
///
/// INVALID_ARGUMENT.
pub(super) fn parse_id(field: &'static str, text: &str) -> Result<SessionId> {
    text.parse().map_err(|error| Error::invalid(field, format!("{text:?}: {error}")))
}

fn parse_enum<E: TryFrom<i32>>(field: &'static str, number: i32) -> Result<E> {
    E::try_from(number).map_err(|_| Error::invalid(field, format!("{number} is no value of it")))
}

fn parse_states(field: &'static str, numbers: &[i32]) -> Result<Vec<SessionState>> {
    numbers
        .iter()
        .map(|number| {
            let state = parse_enum(field, *number)?;
            if state == SessionState::Unspecified {
                return Err(Error::invalid(field, "UNSPECIFIED is no state"));
            }
            Ok(state)
        })
        .collect()
}

/// The next page of a listing: the place, and a check that it is of this one.
fn token(next: ListPosition, filter: &Filter) -> String {
    let mut bytes = next.0.to_be_bytes().to_vec();
    bytes.extend(check(next, filter).to_be_bytes());
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

fn parse_token(text: &str, filter: &Filter) -> Result<Option<ListPosition>> {
    if text.is_empty() {
        return Ok(None);
    }
    let parse = || {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?;
        let (place, sum) = bytes.split_first_chunk::<8>()?;
        let next = ListPosition(i64::from_be_bytes(*place));
        (sum == check(next, filter).to_be_bytes()).then_some(next)
    };
    parse().map(Some).ok_or_else(|| {
        Error::invalid(
            "page_token",
            "expected the next_page_token of a listing with the same filter",
        )
    })
}

fn check(next: ListPosition, filter: &Filter) -> u32 {
    crc32c::crc32c(format!("{}/{}/{:?}", next.0, filter.id_prefix, filter.states).as_bytes())
}
