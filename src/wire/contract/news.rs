//! What `/api/stream` tells, and whether a client that watches one thread, or
//! all, is told it.
//!
//! A socket is a watch of all sessions from now on, and one of the notes that
//! clients add to transcripts. Both are places that a reader comes back to at its
//! own pace; nothing is queued for it.

use std::{
    collections::{HashMap, HashSet},
    time::{Duration, SystemTime},
};

use futures_util::{Stream, stream};

use super::{
    answer::Object,
    audit::{self, Told},
    error::body,
    frames::{Brief, MAX_EVENT_BYTES, MAX_FRAME_BYTES, frame, of_agent},
    thread::PROJECT,
};
use crate::{
    Error, Result,
    app::{App, Note, OpenWatch},
    event::{self, EventKind, Kinds},
    id::{Seq, SessionId},
    json::Json,
    proto::{self, Event, event::Kind},
    session::{
        feed::Span,
        hub::Scope,
        noting,
        watch::{Delivery, Header, LeftOut, Request, Start, Until},
    },
    time::system_time,
};

/// How often a watch says that it is there, which nobody looks at.
const HEARTBEAT: Duration = Duration::from_secs(60);

/// Something to tell.
#[derive(Debug)]
pub(super) enum News {
    /// Of a session's events.
    Delivery(Box<Delivery>),
    /// Of its transcript.
    Note(Note),
}

/// What is told from now on, and what has to be known to tell it.
///
/// # Errors
///
/// SHUTTING_DOWN; INTERNAL when the database cannot be read.
pub(super) async fn open(
    app: &App,
) -> Result<(Teller, impl Stream<Item = Result<News>> + Send + use<>)> {
    // Before the watch: what is changed in between is told.
    let projects = app.labelled(PROJECT).await?;
    let request = Request {
        scope: Scope::All,
        starts: HashMap::new(),
        starts_field: "",
        default_start: Start::Now,
        lazily: true,
        epoch: None,
        kinds: Kinds::ALL,
        heartbeat: HEARTBEAT,
        until: Until::Forever,
    };
    let (watch, notes) = (app.watch(request).await?, app.watch_notes().await?);
    let teller =
        Teller { app: app.clone(), projects, titles: HashMap::new(), systems: HashSet::new() };
    Ok((teller, stream::select(deliveries(watch), noted(notes))))
}

fn deliveries(watch: OpenWatch) -> impl Stream<Item = Result<News>> + Send {
    stream::unfold(Some(watch), |watch| async move {
        let mut watch = watch?;
        match watch.watch.next().await {
            Ok(Some(delivery)) => Some((Ok(News::Delivery(Box::new(delivery))), Some(watch))),
            Ok(None) => None,
            Err(error) => Some((Err(error), None)),
        }
    })
}

fn noted(notes: noting::Watch) -> impl Stream<Item = Result<News>> + Send {
    stream::unfold(Some(notes), |notes| async move {
        let mut notes = notes?;
        match notes.next().await {
            Ok(note) => Some((Ok(News::Note(note)), Some(notes))),
            Err(error) => Some((Err(error), None)),
        }
    })
}

/// The thread that a client watches; none for all.
pub(super) type Filter = Option<String>;

/// How far something is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// To who watches the thread, or all.
    Thread,
    /// Also to who watches another.
    Everybody,
}

/// What is known of sessions.
#[derive(Debug)]
pub(super) struct Teller {
    app: App,
    /// The projects of those that have one.
    projects: HashMap<SessionId, String>,
    titles: HashMap<SessionId, String>,
    /// Those that systems own.
    systems: HashSet<SessionId>,
}

impl Teller {
    /// Whether a client that watches `filter` is told something about a session.
    fn is_told(&self, filter: &Filter, id: SessionId, reach: Reach) -> bool {
        match filter {
            Some(thread) if *thread == id.to_string() => true,
            Some(_) => reach == Reach::Everybody && !self.systems.contains(&id),
            None => !self.systems.contains(&id),
        }
    }

    /// Takes up what is known of a session before its events.
    pub(super) fn learn(&mut self, header: &Header) {
        let Header { session, .. } = header;
        self.titles.insert(session.id, session.title.clone());
        if session.system_owned {
            self.systems.insert(session.id);
        }
    }

    /// The frames of the events of a span after `after`, up to the first that has
    /// any: with where to go on, which is none at the end.
    ///
    /// # Errors
    ///
    /// INTERNAL for what cannot be read.
    pub(super) async fn frames(
        &mut self,
        span: &Span,
        after: Option<Seq>,
        filter: &Filter,
    ) -> Result<(Vec<String>, Option<Seq>)> {
        let next = after.map_or(span.from, Seq::next);
        if next > span.to {
            return Ok((Vec::new(), None));
        }
        let rest = Span { from: next, ..span.clone() };
        let mut id = None;
        for entry in rest.entries() {
            let is_news = entry.kind == EventKind::SessionDeleted as u8
                || entry.kind == EventKind::SessionUpdated as u8
                || entry.kind == EventKind::SessionCreated as u8;
            if let Some(id) = id
                && !is_news
                && !self.is_told(filter, id, Reach::Thread)
            {
                continue;
            }
            let event = event::decode_frame(&entry.frame)?;
            let session: SessionId = event.session_id.parse().map_err(Error::internal)?;
            id = Some(session);
            let frames = self.of_event(session, event, filter).await?;
            if !frames.is_empty() {
                return Ok((frames, Some(entry.seq)));
            }
        }
        Ok((Vec::new(), None))
    }

    async fn of_event(
        &mut self,
        id: SessionId,
        event: Event,
        filter: &Filter,
    ) -> Result<Vec<String>> {
        let frame = match &event.kind {
            Some(Kind::SessionCreated(created)) => {
                let project = created.session.as_ref().and_then(|it| it.labels.get(PROJECT));
                if let Some(project) = project {
                    self.projects.insert(id, project.clone());
                }
                None
            }
            Some(Kind::SessionUpdated(proto::SessionUpdated {
                session: Some(session), ..
            })) => self.updated(id, session, filter),
            Some(Kind::SessionDeleted(_)) => {
                let time = event.time.as_ref().and_then(system_time);
                let title = self.titles.remove(&id).unwrap_or_default();
                self.deleted(id, title, time.unwrap_or(SystemTime::UNIX_EPOCH), filter)
            }
            Some(
                Kind::SettingsChanged(proto::SettingsChanged { entry: Some(entry), .. })
                | Kind::ControlsChanged(proto::ControlsChanged { entry: Some(entry), .. }),
            ) if self.is_told(filter, id, Reach::Thread) => self.controls(id, entry.seq).await?,
            _ if self.is_told(filter, id, Reach::Thread) => {
                let brief = Brief {
                    title: self.titles.get(&id).cloned().unwrap_or_default(),
                    project: self.projects.get(&id).cloned(),
                };
                return Ok(of_agent(id, &brief, event));
            }
            _ => None,
        };
        Ok(frame.into_iter().collect())
    }

    fn updated(
        &mut self,
        id: SessionId,
        session: &proto::Session,
        filter: &Filter,
    ) -> Option<String> {
        self.titles.insert(id, session.title.clone());
        let project = session.labels.get(PROJECT).cloned();
        let previous = match &project {
            Some(project) => self.projects.insert(id, project.clone()),
            None => self.projects.remove(&id),
        };
        if previous == project || !self.is_told(filter, id, Reach::Everybody) {
            return None;
        }
        let payload = Object::new()
            .with("sessionId", id.to_string())
            .with("projectId", project)
            .with("previousProjectId", previous);
        Some(frame("session_project_updated", Some(id), &payload.into_text()))
    }

    fn deleted(
        &mut self,
        id: SessionId,
        title: String,
        delete_time: SystemTime,
        filter: &Filter,
    ) -> Option<String> {
        let is_told = self.is_told(filter, id, Reach::Everybody);
        self.projects.remove(&id);
        self.systems.remove(&id);
        let gone = body(&Error::SessionDeleted { id, title, delete_time });
        is_told.then(|| frame("session_deleted", Some(id), &gone.into_text()))
    }

    async fn controls(&self, id: SessionId, seq: u64) -> Result<Option<String>> {
        let kind = "session_controls_updated";
        Ok(audit::told(&self.app, id, seq).await?.map(|told| match told {
            Told::Entry(entry) => with(kind, id, ("entry", &entry), "details"),
            Told::Controls(controls) => with(kind, id, ("controls", &controls), "settings"),
        }))
    }

    /// The frame for a session that the watch goes on without; none where it is
    /// only damaged.
    ///
    /// # Errors
    ///
    /// INTERNAL when the database cannot be read.
    pub(super) async fn left_out(
        &mut self,
        left_out: LeftOut,
        filter: &Filter,
    ) -> Result<Option<String>> {
        let LeftOut { id, next: _, error } = left_out;
        let Error::SessionDeleted { title, delete_time, .. } = error else { return Ok(None) };
        if self.app.tombstone(id).await?.is_some_and(|gone| gone.system_owned) {
            self.systems.insert(id);
        }
        self.titles.remove(&id);
        Ok(self.deleted(id, title, delete_time, filter))
    }

    /// The frame for what a client added to a transcript.
    ///
    /// # Errors
    ///
    /// INTERNAL when the database cannot be read.
    pub(super) async fn note(&self, note: &Note, filter: &Filter) -> Result<Option<String>> {
        let id = note.session;
        match filter {
            Some(thread) if *thread == id.to_string() => {}
            Some(_) => return Ok(None),
            // The watch may not have come to the session.
            None => match self.app.session(id).await {
                Ok(session) if !session.system_owned => {}
                Ok(_) | Err(Error::SessionDeleted { .. } | Error::SessionNotFound { .. }) => {
                    return Ok(None);
                }
                Err(error) => return Err(error),
            },
        }
        Ok(Some(with("transcript_updated", id, ("entry", &note.text), "content")))
    }
}

/// A frame with an object under a name, such as an entry of a transcript; without
/// the member that is `long` where it would be too large.
fn with(kind: &str, id: SessionId, (name, object): (&str, &str), long: &str) -> String {
    let payload =
        |object: &str| Object::new().with("sessionId", id.to_string()).with_text(name, object);
    let whole = frame(kind, Some(id), &payload(object).into_text());
    if whole.len() <= MAX_FRAME_BYTES {
        return whole;
    }
    let members = match Json::parse(object) {
        Ok(Json::Object(members)) => members,
        Ok(_) | Err(_) => Vec::new(),
    };
    // Nothing else in it is long, but for what a client says beside its content.
    let members = members.into_iter().filter(|(name, value)| {
        name != long && value.as_str().is_none_or(|text| text.len() <= MAX_EVENT_BYTES / 16)
    });
    let short = Json::object(members.chain([("truncated".to_owned(), true.into())]));
    frame(kind, Some(id), &payload(&short.to_string()).into_text())
}
