//! `SessionService`.

use std::{os::unix::fs::FileExt as _, path::PathBuf, pin::Pin, time::Duration};

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, stream};
use tonic::{Request, Response, Status};

use super::{event::parse_duration, listing, views};
use crate::{
    Error, Result, agent,
    app::{App, Cleanup, NewFork, NewSession, Output, OutputStream, SessionPage},
    id::{SessionId, TurnNumber},
    proto::{self, SessionState, session_service_server::SessionService},
    session::{actor::Update, once::Once},
};

/// Who asks, in the files of turns.
const ACTOR: &str = "grpc";
/// How old sessions are by default when they are cleaned up.
const DEFAULT_AGE: Duration = Duration::from_secs(7 * 24 * 3600);
const MAX_AGE: Duration = Duration::from_secs(100 * 366 * 24 * 3600);
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

type SessionChanges =
    Pin<Box<dyn Stream<Item = Result<proto::WatchSessionsResponse, Status>> + Send>>;
type Chunks = Pin<Box<dyn Stream<Item = Result<proto::ReadOutputResponse, Status>> + Send>>;

#[tonic::async_trait]
impl SessionService for Service {
    type WatchSessionsStream = SessionChanges;
    type ReadOutputStream = Chunks;

    async fn create_session(
        &self,
        request: Request<proto::CreateSessionRequest>,
    ) -> Result<Response<proto::CreateSessionResponse>, Status> {
        let mut request = request.into_inner();
        let once = once(&mut request, |request| &mut request.request_id);
        let session = self.app.create_session(parse_new(request)?, once).await?;
        Ok(Response::new(proto::CreateSessionResponse { session: Some(session) }))
    }

    async fn get_session(
        &self,
        request: Request<proto::GetSessionRequest>,
    ) -> Result<Response<proto::GetSessionResponse>, Status> {
        let proto::GetSessionRequest { session_id } = request.into_inner();
        let session = self.app.resolve(&session_id).await?;
        let disk_bytes = self.app.disk_bytes(session.id).await?;
        Ok(Response::new(proto::GetSessionResponse {
            session: Some((&session).into()),
            disk_bytes,
        }))
    }

    async fn list_sessions(
        &self,
        request: Request<proto::ListSessionsRequest>,
    ) -> Result<Response<proto::ListSessionsResponse>, Status> {
        let listing = listing::parse(request.into_inner())?;
        let SessionPage { sessions, next } =
            self.app.list_sessions(listing.filter.clone(), listing.after, listing.count).await?;
        Ok(Response::new(proto::ListSessionsResponse {
            sessions: sessions.iter().map(Into::into).collect(),
            next_page_token: next.map(|next| listing.token(next)).unwrap_or_default(),
        }))
    }

    async fn watch_sessions(
        &self,
        request: Request<proto::WatchSessionsRequest>,
    ) -> Result<Response<SessionChanges>, Status> {
        let watch = self.app.watch_sessions(listing::parse_watch(request.into_inner())?).await?;
        Ok(Response::new(Box::pin(listing::changes(watch))))
    }

    async fn update_session(
        &self,
        request: Request<proto::UpdateSessionRequest>,
    ) -> Result<Response<proto::UpdateSessionResponse>, Status> {
        let mut request = request.into_inner();
        let once = once(&mut request, |request| &mut request.request_id);
        let proto::UpdateSessionRequest { session_id, session, update_mask, etag, request_id: _ } =
            request;
        let id = parse_id("session_id", &session_id)?;
        let change = parse_update(session.unwrap_or_default(), update_mask.unwrap_or_default())?;
        let session = self.app.update_session(id, change, etag, once).await?;
        Ok(Response::new(proto::UpdateSessionResponse { session: Some(session) }))
    }

    async fn start_turn(
        &self,
        request: Request<proto::StartTurnRequest>,
    ) -> Result<Response<proto::StartTurnResponse>, Status> {
        let mut request = request.into_inner();
        let once = once(&mut request, |request| &mut request.request_id);
        let proto::StartTurnRequest { session_id, prompt, request_id: _, images } = request;
        let id = parse_id("session_id", &session_id)?;
        let prompt = agent::Prompt { text: prompt, images: parse_paths(images) };
        let session = self.app.start_turn(id, prompt, once).await?;
        Ok(Response::new(proto::StartTurnResponse { session: Some(session) }))
    }

    async fn interrupt_turn(
        &self,
        request: Request<proto::InterruptTurnRequest>,
    ) -> Result<Response<proto::InterruptTurnResponse>, Status> {
        let mut request = request.into_inner();
        let once = once(&mut request, |request| &mut request.request_id);
        let id = parse_id("session_id", &request.session_id)?;
        let session = self.app.interrupt_turn(id, ACTOR.to_owned(), once).await?;
        Ok(Response::new(proto::InterruptTurnResponse { session: Some(session) }))
    }

    async fn kill_session(
        &self,
        request: Request<proto::KillSessionRequest>,
    ) -> Result<Response<proto::KillSessionResponse>, Status> {
        let mut request = request.into_inner();
        let once = once(&mut request, |request| &mut request.request_id);
        let id = parse_id("session_id", &request.session_id)?;
        let session = self.app.kill_session(id, ACTOR.to_owned(), once).await?;
        Ok(Response::new(proto::KillSessionResponse { session: Some(session) }))
    }

    async fn fork_session(
        &self,
        request: Request<proto::ForkSessionRequest>,
    ) -> Result<Response<proto::ForkSessionResponse>, Status> {
        let mut request = request.into_inner();
        let once = once(&mut request, |request| &mut request.request_id);
        let session = self.app.fork_session(parse_fork(request)?, once).await?;
        Ok(Response::new(proto::ForkSessionResponse { session: Some(session) }))
    }

    async fn delete_session(
        &self,
        request: Request<proto::DeleteSessionRequest>,
    ) -> Result<Response<proto::DeleteSessionResponse>, Status> {
        let mut request = request.into_inner();
        let once = once(&mut request, |request| &mut request.request_id);
        let proto::DeleteSessionRequest { session_id, etag, request_id: _ } = request;
        let id = parse_id("session_id", &session_id)?;
        let session = self.app.delete_session(id, etag, ACTOR.to_owned(), once).await?;
        Ok(Response::new(proto::DeleteSessionResponse { session: Some(session) }))
    }

    async fn cleanup_sessions(
        &self,
        request: Request<proto::CleanupSessionsRequest>,
    ) -> Result<Response<proto::CleanupSessionsResponse>, Status> {
        let mut request = request.into_inner();
        let once = once(&mut request, |request| &mut request.request_id);
        let proto::CleanupSessionsRequest {
            older_than,
            dry_run,
            states,
            request_id: _,
            include_system_owned,
        } = request;
        let older_than = parse_duration("older_than", older_than, Duration::ZERO, MAX_AGE)?;
        let cleanup = Cleanup {
            older_than: older_than.unwrap_or(DEFAULT_AGE),
            states: parse_states("states", &states)?,
            dry_run,
            include_system_owned,
        };
        Ok(Response::new(self.app.cleanup_sessions(cleanup, once).await?))
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
        Ok(Response::new(proto::WaitSessionResponse { session: Some((&session).into()), reached }))
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

    async fn list_turns(
        &self,
        request: Request<proto::ListTurnsRequest>,
    ) -> Result<Response<proto::ListTurnsResponse>, Status> {
        let listing = views::TurnListing::parse(request.get_ref())?;
        let page = self.app.turns(listing.session, listing.after, listing.count).await?;
        Ok(Response::new(listing.answer(page)))
    }

    async fn list_messages(
        &self,
        request: Request<proto::ListMessagesRequest>,
    ) -> Result<Response<proto::ListMessagesResponse>, Status> {
        let query = views::parse_messages(request.get_ref())?;
        let page = self.app.messages(&query).await?;
        Ok(Response::new(views::messages(&query, page)))
    }

    async fn get_trajectory(
        &self,
        request: Request<proto::GetTrajectoryRequest>,
    ) -> Result<Response<proto::GetTrajectoryResponse>, Status> {
        let query = views::parse_trajectory(request.get_ref())?;
        let page = self.app.trajectory(&query).await?;
        Ok(Response::new(views::trajectory(&query, page)))
    }
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

/// Takes the id out of a request that changes something, with what tells the
/// request from others.
fn once<R: prost::Message>(request: &mut R, id: impl FnOnce(&mut R) -> &mut String) -> Once {
    let request_id = std::mem::take(id(request));
    Once::new(request_id, request)
}

fn parse_new(request: proto::CreateSessionRequest) -> Result<NewSession> {
    let proto::CreateSessionRequest { session, session_id, prompt, request_id: _, images } =
        request;
    let session = session.unwrap_or_default();
    if session.working_directory.is_empty() {
        return Err(Error::invalid(
            "session.working_directory",
            "is empty; give the absolute path of the directory to work in",
        ));
    }
    parse_session(session, "session_id", &session_id, parse_prompt(prompt, images)?)
}

fn parse_fork(request: proto::ForkSessionRequest) -> Result<NewFork> {
    let proto::ForkSessionRequest {
        session_id,
        session,
        new_session_id,
        prompt,
        request_id: _,
        images,
    } = request;
    let session = session.unwrap_or_default();
    if !session.agent.is_empty() {
        return Err(Error::invalid("session.agent", "a fork has the agent of its session"));
    }
    let of = parse_id("session_id", &session_id)?;
    let prompt = parse_prompt(prompt, images)?;
    Ok(NewFork { of, new: parse_session(session, "new_session_id", &new_session_id, prompt)? })
}

/// The first prompt of a session; none leaves it PENDING.
fn parse_prompt(text: String, images: Vec<String>) -> Result<Option<agent::Prompt>> {
    match (text.is_empty(), images.is_empty()) {
        (true, true) => Ok(None),
        (true, false) => Err(Error::invalid("images", "they belong to a prompt; give one")),
        (false, _) => Ok(Some(agent::Prompt { text, images: parse_paths(images) })),
    }
}

fn parse_paths(paths: Vec<String>) -> Vec<PathBuf> {
    paths.into_iter().map(PathBuf::from).collect()
}

/// What a client says about a session that shall be.
fn parse_session(
    session: proto::Session,
    id_field: &'static str,
    id: &str,
    prompt: Option<agent::Prompt>,
) -> Result<NewSession> {
    let sandbox = parse_enum("session.filesystem_sandbox", session.filesystem_sandbox)?;
    let network = parse_enum("session.network_access", session.network_access)?;
    let given = proto::Session {
        agent: String::new(),
        source: String::new(),
        title: String::new(),
        labels: Default::default(),
        working_directory: String::new(),
        model: String::new(),
        filesystem_sandbox: 0,
        network_access: 0,
        codex_options: None,
        system_owned: false,
        ..session.clone()
    };
    if given != proto::Session::default() {
        return Err(Error::invalid(
            "session",
            "a field is set that only the server sets; set agent, source, title, labels, working_directory, model, filesystem_sandbox, network_access, codex_options and system_owned, and the session's id beside it",
        ));
    }
    Ok(NewSession {
        id: if id.is_empty() { None } else { Some(parse_id(id_field, id)?) },
        agent: session.agent,
        source: session.source,
        title: session.title,
        labels: session.labels,
        working_directory: PathBuf::from(session.working_directory),
        model: (!session.model.is_empty()).then_some(session.model),
        sandbox,
        network,
        options: session.codex_options.unwrap_or_default(),
        system_owned: session.system_owned,
        prompt,
    })
}

fn parse_update(session: proto::Session, mask: pbjson_types::FieldMask) -> Result<Update> {
    if mask.paths.is_empty() {
        return Err(Error::invalid(
            "update_mask",
            "is empty; name the fields to change: title, labels, archived",
        ));
    }
    let mut change = Update::default();
    for path in mask.paths {
        match path.as_str() {
            "title" => change.title = Some(session.title.clone()),
            "labels" => change.labels = Some(session.labels.clone()),
            "archived" => change.archived = Some(session.archived),
            other => {
                return Err(Error::invalid(
                    "update_mask",
                    format!("{other:?} cannot be changed; expected title, labels or archived"),
                ));
            }
        }
    }
    Ok(change)
}

/// A whole session id.
///
/// # Errors
///
/// INVALID_ARGUMENT.
pub(super) fn parse_id(field: &'static str, text: &str) -> Result<SessionId> {
    text.parse().map_err(|error| Error::invalid(field, format!("{text:?}: {error}")))
}

pub(super) fn parse_enum<E: TryFrom<i32>>(field: &'static str, number: i32) -> Result<E> {
    E::try_from(number).map_err(|_| Error::invalid(field, format!("{number} is no value of it")))
}

pub(super) fn parse_states(field: &'static str, numbers: &[i32]) -> Result<Vec<SessionState>> {
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
