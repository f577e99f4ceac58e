//! Every operation that a client can ask for: one method each. The only thing
//! that the wire calls.
//!
//! | operation | legal when | changes |
//! |---|---|---|
//! | [`App::create_session`] | the id is free | a new session, and its first turn |
//! | [`App::fork_session`] | the source has a thread | a new session, and its first turn |
//! | [`App::session`], [`App::resolve`], [`App::list_sessions`], [`App::recent_sessions`] | always | – |
//! | [`App::watch_sessions`] | the cursor is of this catalogue | – |
//! | [`App::notes`], [`App::watch_notes`] | always | – |
//! | [`App::put_note`] | the session exists | a note in its transcript |
//! | [`App::update_session`] | the etag fits | title, labels, archived |
//! | [`App::start_turn`] | no turn runs | a new turn |
//! | [`App::interrupt_turn`], [`App::kill_session`] | a turn runs | the turn is asked to stop |
//! | [`App::delete_session`] | the etag fits | the turn is killed, the session goes |
//! | [`App::cleanup_sessions`] | always | sessions at rest go |
//! | [`App::wait_session`] | always | – |
//! | [`App::output`], [`App::messages`], [`App::trajectory`] | the turn exists | – |
//! | [`App::turns`] | always | – |
//! | [`App::watch`], [`App::list_events`] | the cursor is in the log | – |
//! | [`App::controls`] | the session is no system's | – |
//! | [`App::write_controls`] | the etag fits, the default is not locked | controls, settings, the audit |
//! | [`App::audit_entries`], [`App::watch_audit`], [`App::verify_audit`], [`App::audit_state`] | always | – |
//! | [`App::export_lock`] | the agent is codex | a file |
//! | [`App::verify_lock`] | the agent is codex | – |
//! | [`App::server_info`] | always | – |
//!
//! Those that change something take a [`Once`](crate::session::once::Once):
//! repeated, they change nothing and give the earlier answer.
//!
//! Names no transport.

mod audit;
mod controls;
mod create;
mod events;
mod life;
mod locks;
mod notes;
mod recent;
mod views;

pub use self::{
    audit::Verified,
    controls::NewWrite,
    create::{NewFork, NewSession},
    events::{EventPage, EventQuery},
    life::Cleanup,
    locks::{NewLock, Verdict, Verified as VerifiedLock, WrittenLock},
    recent::RecentPage,
    views::TurnPage,
};
pub(crate) use self::{create::check_model, events::OpenWatch};
/// What the database takes and gives, as it is: the operations say what it means.
pub use crate::store::sqlite::{
    Archived, At, Entries, EntriesFrom, Filter, ListPosition, Note, Place, Read, RecentPosition,
    Wanted, Written,
};

use std::{
    fs::File,
    io,
    ops::Deref,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};

use prost::Message as _;
use tokio::time::{Instant, timeout_at};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    Error, Result,
    agent::{self, Agents, CodexStatus},
    config::JsonRpcConfig,
    error::MOST_MATCHES,
    id::{SessionId, TurnNumber},
    proto::{self, SessionState},
    row::{self, Session},
    session::{actor::blocking, catalogue, hub::Scope, registry::Sessions},
    store::sqlite::Stored,
    supervise::TurnFiles,
};

/// The most bytes of a prompt.
pub const MAX_PROMPT_BYTES: usize = agent::MAX_PROMPT_BYTES;
/// The most bytes of any other request.
pub const MAX_REQUEST_BYTES: usize = 1 << 20;
/// The fewest characters that resolve a session.
pub const MIN_PREFIX: usize = 4;
/// How long an event may take to be shown after a session's row knows of it. It
/// is not shown at all where the log lost it.
const SHOWING: Duration = Duration::from_millis(200);
/// Bytes of a page of sessions at which it ends.
const SESSION_PAGE_BYTES: usize = 1 << 20;

/// One page of sessions.
#[derive(Debug, Clone)]
pub struct SessionPage {
    /// Newest first.
    pub sessions: Vec<Session>,
    /// Where the next page begins.
    pub next: Option<ListPosition>,
}

/// Bytes of a turn's output that can be read.
#[derive(Debug)]
pub struct Output {
    /// The turn.
    pub turn: TurnNumber,
    /// Its output; none where the turn never had any.
    pub file: Option<File>,
    /// The first byte to read.
    pub offset: u64,
    /// The byte after the last to read.
    pub end: u64,
    /// The size of the whole output.
    pub total_size: u64,
}

/// Which of an agent's two streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputStream {
    /// Its event lines.
    Stdout,
    /// Its diagnostics.
    Stderr,
}

/// What the server is and does.
#[derive(Debug, Clone)]
pub struct ServerInfo {
    /// When it was started.
    pub start_time: SystemTime,
    /// Where its state is.
    pub home: PathBuf,
    /// Where it listens.
    pub addresses: Vec<String>,
    /// The codex that it starts.
    pub codex: CodexStatus,
    /// How many turns run.
    pub running_turns: u32,
    /// How many watches are open.
    pub open_watches: u32,
    /// What JSON-RPC is bounded by.
    pub json_rpc: JsonRpcConfig,
}

/// The operations. Cheap to clone: one count, as each request clones it several
/// times on all cores.
#[derive(Debug, Clone)]
pub struct App(Arc<Parts>);

/// What the operations are made of.
#[derive(Debug)]
pub struct Parts {
    sessions: Sessions,
    identity: Identity,
    open_watches: Arc<AtomicUsize>,
}

impl Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

#[derive(Debug)]
struct Identity {
    start_time: SystemTime,
    start_directory: PathBuf,
    home: PathBuf,
    addresses: Vec<String>,
    json_rpc: JsonRpcConfig,
}

impl App {
    /// The operations on `sessions`, by a server that lives in `home`, listens at
    /// `addresses` and tells its clients what it allows.
    pub(crate) fn new(
        sessions: Sessions,
        home: PathBuf,
        addresses: Vec<String>,
        json_rpc: JsonRpcConfig,
    ) -> Self {
        // Where it is gone, a session that names no directory cannot work anywhere.
        let start_directory = std::env::current_dir().unwrap_or_default();
        let start_time = crate::time::now();
        let identity = Identity { start_time, start_directory, home, addresses, json_rpc };
        Self(Arc::new(Parts { sessions, identity, open_watches: Arc::default() }))
    }

    /// Reads a session.
    ///
    /// # Errors
    ///
    /// SESSION_NOT_FOUND, SESSION_DELETED.
    pub async fn session(&self, id: SessionId) -> Result<Session> {
        self.sessions.session(id).await
    }

    /// How many bytes a session's files take on the disk.
    ///
    /// # Errors
    ///
    /// INTERNAL when that cannot be found out.
    pub async fn disk_bytes(&self, id: SessionId) -> Result<u64> {
        let directory = self.sessions.directory(id);
        blocking(move || directory.disk_bytes()).await
    }

    /// Opens a watch of the catalogue.
    ///
    /// # Errors
    ///
    /// INVALID_ARGUMENT for a place that is not of this catalogue.
    pub async fn watch_sessions(&self, request: catalogue::Request) -> Result<catalogue::Watch> {
        catalogue::Watch::open(self.sessions.clone(), request).await
    }

    /// Finds the one session whose id begins with `prefix`, or is it.
    ///
    /// # Errors
    ///
    /// INVALID_ARGUMENT, SESSION_NOT_FOUND, SESSION_DELETED, AMBIGUOUS_ID.
    pub async fn resolve(&self, prefix: &str) -> Result<Session> {
        check_prefix(prefix, "session_id")?;
        if prefix.len() < MIN_PREFIX {
            return Err(Error::invalid(
                "session_id",
                format!("{prefix:?} is too short: give at least {MIN_PREFIX} characters of the id"),
            ));
        }
        let database = self.sessions.database();
        let matches = database.ids_with_prefix(prefix.to_owned(), MOST_MATCHES).await?;
        match matches.as_slice() {
            // A whole id may be that of a session that was deleted.
            [] => match prefix.parse() {
                Ok(id) => self.sessions.session(id).await,
                Err(_) => Err(Error::SessionNotFound { id: prefix.to_owned() }),
            },
            [id] => self.sessions.session(*id).await,
            [..] => Err(Error::AmbiguousId { prefix: prefix.to_owned(), matches }),
        }
    }

    /// Lists sessions, newest first, at most `count`.
    ///
    /// # Errors
    ///
    /// INVALID_ARGUMENT for a malformed prefix.
    pub async fn list_sessions(
        &self,
        filter: Filter,
        after: Option<ListPosition>,
        count: u32,
    ) -> Result<SessionPage> {
        check_prefix(&filter.id_prefix, "id_prefix")?;
        // One more than asked for says whether there is a next page.
        let rows = self.sessions.database().list(filter, after, count + 1).await?;
        let mut sessions = Vec::new();
        let (mut bytes, mut last) = (0, None);
        let found = rows.len();
        for (position, session) in rows.into_iter().take(count as usize) {
            bytes += proto::Session::from(&session).encoded_len();
            if bytes > SESSION_PAGE_BYTES && last.is_some() {
                break;
            }
            last = Some(position);
            sessions.push(session);
        }
        let next = last.filter(|_| sessions.len() < found);
        Ok(SessionPage { sessions, next })
    }

    /// The directory in which the server was started.
    #[must_use]
    pub fn start_directory(&self) -> &Path {
        &self.identity.start_directory
    }

    /// Cancelled when the server goes down: what is open ends.
    pub(crate) fn closing(&self) -> &CancellationToken {
        self.sessions.closing()
    }

    /// Where whatever is open is tracked, so that the server waits for its end.
    pub(crate) fn tasks(&self) -> &TaskTracker {
        self.sessions.tasks()
    }

    /// Waits until a session is in one of `states`, or at rest when there are
    /// none; says whether it is.
    ///
    /// # Errors
    ///
    /// SESSION_NOT_FOUND, SHUTTING_DOWN.
    pub async fn wait_session(
        &self,
        id: SessionId,
        states: &[SessionState],
        timeout: Duration,
    ) -> Result<(Session, bool)> {
        let deadline = Instant::now() + timeout;
        let registration = self.sessions.hub().register(Scope::Sessions(vec![id]));
        let mut shown_by = None;
        loop {
            let Stored { session, applied } = self.sessions.stored(id).await?;
            let reached = match states {
                [] => row::is_at_rest(session.state()),
                states => states.contains(&session.state()),
            };
            if reached {
                // The row knows of an event a moment before it is shown; whoever
                // was told of a state finds the events that led to it.
                let is_behind = self.sessions.shown(id).is_some_and(|shown| shown < applied);
                let until = *shown_by.get_or_insert_with(|| Instant::now() + SHOWING);
                if is_behind && timeout_at(until, registration.wake().marked()).await.is_ok() {
                    continue;
                }
                return Ok((session, true));
            }
            tokio::select! {
                _ = registration.wake().marked() => {}
                () = tokio::time::sleep_until(deadline) => return Ok((session, false)),
                () = self.sessions.closing().cancelled() => {
                    return Err(Error::ShuttingDown { last_seq: None });
                }
            }
        }
    }

    /// Opens a turn's output, the latest turn's when none is given.
    ///
    /// # Errors
    ///
    /// SESSION_NOT_FOUND, TURN_NOT_FOUND, INVALID_ARGUMENT for an offset beyond
    /// the end.
    pub async fn output(
        &self,
        id: SessionId,
        number: Option<TurnNumber>,
        stream: OutputStream,
        offset: u64,
        length: Option<u64>,
    ) -> Result<Output> {
        let session = self.sessions.session(id).await?;
        let turn_count = session.turn_count();
        let number = number.unwrap_or(TurnNumber(turn_count.max(1)));
        if number.0 > turn_count {
            return Err(Error::TurnNotFound { session: id, turn: number, turn_count });
        }
        let files = TurnFiles::new(self.sessions.directory(id).turns(), number);
        let (file, total_size) = blocking(move || {
            let path = match stream {
                OutputStream::Stdout => files.stdout(),
                OutputStream::Stderr => files.stderr(),
            };
            match File::open(path) {
                Ok(file) => file.metadata().map(|found| (Some(file), found.len())),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok((None, 0)),
                Err(error) => Err(error),
            }
        })
        .await?
        .map_err(Error::system)?;
        if offset > total_size {
            return Err(Error::invalid(
                "offset",
                format!(
                    "{offset} is beyond the end of the output, which is {total_size} bytes long"
                ),
            ));
        }
        let end = length.map_or(total_size, |length| offset.saturating_add(length).min(total_size));
        Ok(Output { turn: number, file, offset, end, total_size })
    }

    /// Tells about the server.
    ///
    /// # Errors
    ///
    /// INTERNAL when the database cannot be read.
    pub async fn server_info(&self) -> Result<ServerInfo> {
        let agents = self.agents().clone();
        let codex = blocking(move || agents.codex()).await?;
        let open_watches = self.open_watches.load(Ordering::Relaxed);
        Ok(ServerInfo {
            start_time: self.identity.start_time,
            home: self.identity.home.clone(),
            addresses: self.identity.addresses.clone(),
            codex,
            running_turns: self.sessions.database().running_turns().await?,
            open_watches: u32::try_from(open_watches).unwrap_or(u32::MAX),
            json_rpc: self.0.identity.json_rpc,
        })
    }

    fn agents(&self) -> &Agents {
        self.sessions.agents()
    }
}

fn check_prefix(prefix: &str, field: &'static str) -> Result<()> {
    let fits =
        prefix.len() <= 36 && prefix.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f' | b'-'));
    if fits {
        return Ok(());
    }
    Err(Error::invalid(
        field,
        format!(
            "{prefix:?} does not begin an id: expected the first characters of a UUID in lower case"
        ),
    ))
}
