//! New sessions, of nothing or of another's history.

use std::{collections::BTreeMap, path::PathBuf};

use crate::{
    Error, Result, agent,
    app::{
        App,
        locks::{self, NewLock},
    },
    controls::{self, Controls, State},
    id::{SessionId, TurnNumber},
    lock::Lock,
    proto,
    row::{Fork, Session},
    session::{
        actor::{NewTurn, blocking},
        locking,
        once::{Once, Ticket},
        turn,
    },
    settings::Settings,
};

const MAX_TITLE_CHARACTERS: usize = 200;
const MAX_SOURCE_CHARACTERS: usize = 64;
const MAX_LABELS: usize = 64;
const MAX_LABEL_KEY_CHARACTERS: usize = 63;
const MAX_LABEL_VALUE_CHARACTERS: usize = 255;
const MAX_MODEL_CHARACTERS: usize = 200;

/// What a new session shall be.
#[derive(Debug, Clone)]
pub struct NewSession {
    /// Its id; a new random one when not given.
    pub id: Option<SessionId>,
    /// The kind of agent; empty for codex.
    pub agent: String,
    /// Who starts it; empty for `user`.
    pub source: String,
    /// A title for people.
    pub title: String,
    /// Free labels.
    pub labels: BTreeMap<String, String>,
    /// The absolute directory that the agent works in.
    pub working_directory: PathBuf,
    /// What its agent may do; what is not chosen is taken from its lock, or from the
    /// defaults where it has none.
    pub controls: Controls,
    /// What codex is told beside all this.
    pub options: proto::CodexOptions,
    /// Whether a system owns it.
    pub system_owned: bool,
    /// The config lock that it shall be held to.
    pub lock: Option<NewLock>,
    /// Whether what one needs to understand it later is kept.
    pub persist: bool,
    /// Whether what the defaults leave open is chosen at once, as it is shown; but not
    /// beside a lock.
    pub concrete: bool,
    /// The first prompt; none leaves the session PENDING.
    pub prompt: Option<agent::Prompt>,
}

/// What a fork of a session shall be.
#[derive(Debug, Clone)]
pub struct NewFork {
    /// The session whose history it begins with.
    pub of: SessionId,
    /// The new session. Its agent is that of the other session, and so is what
    /// is empty of directory, model, sandbox, network and options. It is persisted
    /// where the other is.
    pub new: NewSession,
}

impl App {
    /// Makes a session durable and, with a prompt, starts its first turn.
    ///
    /// # Errors
    ///
    /// As `SessionService.CreateSession` lists; no session is left behind then.
    ///
    /// # Cancel safety
    ///
    /// Goes on when the caller does not wait any more.
    pub async fn create_session(&self, new: NewSession, once: Once) -> Result<proto::Session> {
        let app = self.clone();
        self.once("CreateSession", once, move |ticket| async move {
            app.create(new, None, &ticket).await
        })
        .await
    }

    /// Makes a session that begins with the history of another.
    ///
    /// # Errors
    ///
    /// As `SessionService.ForkSession` lists; no session is left behind then.
    ///
    /// # Cancel safety
    ///
    /// Goes on when the caller does not wait any more.
    pub async fn fork_session(&self, fork: NewFork, once: Once) -> Result<proto::Session> {
        let app = self.clone();
        self.once("ForkSession", once, move |ticket| async move { app.fork(fork, &ticket).await })
            .await
    }

    async fn fork(&self, fork: NewFork, ticket: &Ticket) -> Result<proto::Session> {
        let NewFork { of, mut new } = fork;
        let source = self.sessions.session(of).await?;
        let thread_id = source.thread_id.or(source.forked_from.map(|fork| fork.thread_id));
        let Some(thread_id) = thread_id else {
            return Err(Error::invalid(
                "session_id",
                format!("session {of} has no thread yet, and so no history to begin with"),
            ));
        };
        new.agent = source.agent;
        new.persist |= source.persist;
        if new.working_directory.as_os_str().is_empty() {
            new.working_directory = source.working_directory;
        }
        // Controls and settings of one moment.
        let State { controls, settings, .. } = self.state(of).await?;
        new.controls = new.controls.over(&controls);
        if new.options == proto::CodexOptions::default() {
            new.options = source.options;
        }
        // The same run, on another way.
        let (held, directory) = (source.lock.clone(), self.sessions.directory(of));
        if let (Some(held), None) = (held, &new.lock) {
            let any_version = held.any_version;
            let text = blocking(move || locking::text_of(&held, &directory)).await??;
            new.lock = Some(NewLock { text, any_version });
        }
        let fork = Fork { session: of, thread_id };
        let history = History { fork, usage: source.usage, settings };
        self.create(new, Some(history), ticket).await
    }

    async fn create(
        &self,
        mut new: NewSession,
        history: Option<History>,
        ticket: &Ticket,
    ) -> Result<proto::Session> {
        let prompt = new.prompt.take();
        let Planned { kind, session, lock, settings, chosen } = self.plan(new, history).await?;
        let (lock_text, lock) = lock.unzip();
        // What can be known before anything is made.
        let (agents, planned) = (self.agents().clone(), session.clone());
        let planned = blocking(move || {
            if let Some(controls) = chosen {
                agent::check_working_directory(&planned.working_directory)?;
                let asked = Session { controls, ..planned.clone() };
                let prompt = prompt.clone().unwrap_or_default();
                let turn = turn::request(&asked, lock.as_ref(), TurnNumber(1), &prompt);
                agents.check(&kind, &turn)?;
            }
            let Some(prompt) = prompt else {
                agent::check_working_directory(&planned.working_directory)?;
                if lock.is_some() {
                    let prompt = agent::Prompt::default();
                    let turn = turn::request(&planned, lock.as_ref(), TurnNumber(1), &prompt);
                    agents.check(&kind, &turn)?;
                }
                return Ok(None);
            };
            kind.check_prompt(&prompt)?;
            let launch = turn::plan(&agents, &planned, lock.as_ref(), TurnNumber(1), &prompt)?;
            Ok::<_, Error>(Some((prompt, launch)))
        })
        .await??;
        match self.sessions.session(session.id).await {
            Err(Error::SessionNotFound { .. }) => {}
            Ok(_) => return Err(Error::SessionExists { id: session.id }),
            Err(error) => return Err(error),
        }
        let first = match planned {
            Some((prompt, launch)) => {
                Some(NewTurn { prompt, launch, place: self.sessions.admit()? })
            }
            None => None,
        };
        self.sessions.create(session, settings, lock_text, first, ticket).await
    }

    /// What a new session would be: for those that are made, and for those that are
    /// only compared with a lock.
    pub(super) async fn plan(&self, new: NewSession, history: Option<History>) -> Result<Planned> {
        let (kind, mut session) = admit(&new)?;
        let lock = self.lock_for(&kind, new.lock).await?;
        let mut chosen = None;
        if let Some((given, lock)) = &lock {
            let before = session.controls.clone();
            locks::adopt(&mut session.working_directory, &mut session.controls, lock);
            let has_options = session.options != proto::CodexOptions::default();
            chosen = Some(before).filter(|before| has_options && *before != session.controls);
            session.lock = Some(locks::of(&given.text, lock, given.any_version));
        }
        session.persist |= self.sessions.persists_all();
        // Nobody chose the defaults for a session that is held to a lock, from which
        // they would differ.
        let takes_defaults = lock.is_none();
        let settings = match history {
            Some(History { fork, usage, settings }) => {
                session.forked_from = Some(fork);
                // Codex goes on counting from there.
                session.usage = usage;
                settings
            }
            None => {
                let State { controls, settings, .. } = self.controls(None).await?.defaults;
                if takes_defaults {
                    session.controls = session.controls.over(&controls);
                }
                settings
            }
        };
        if new.concrete && takes_defaults {
            session.controls = session.controls.over(&self.policy().shown());
        }
        let lock = lock.map(|(given, lock)| (given.text, lock));
        Ok(Planned { kind, session, lock, settings, chosen })
    }
}

/// What a new session would be.
#[derive(Debug)]
pub(super) struct Planned {
    /// The kind of its agent.
    pub(super) kind: agent::Kind,
    /// The session.
    pub(super) session: Session,
    /// The lock that it would be held to, with its text.
    pub(super) lock: Option<(String, Lock)>,
    /// Its settings.
    settings: Settings,
    /// The controls that were chosen for it, where it took others of its lock and has
    /// options beside, which those would hide.
    pub(super) chosen: Option<Controls>,
}

/// What a fork begins with.
#[derive(Debug)]
pub(super) struct History {
    fork: Fork,
    usage: Option<proto::Usage>,
    settings: Settings,
}

/// Whether a new session may be, and what it is at first.
fn admit(new: &NewSession) -> Result<(agent::Kind, Session)> {
    let agent = if new.agent.is_empty() { "codex" } else { &new.agent };
    let kind = agent::Kind::parse(agent)?;
    let source = if new.source.is_empty() { "user" } else { &new.source };
    if source.chars().any(char::is_whitespace) {
        return Err(Error::invalid("session.source", "expected one word without white space"));
    }
    check_length("session.source", source, MAX_SOURCE_CHARACTERS)?;
    check_title(&new.title)?;
    check_model("session.model", new.controls.model.as_deref())?;
    check_labels(&new.labels)?;
    kind.check_options(&new.options)?;
    let now = crate::time::now();
    let session = Session {
        id: new.id.unwrap_or_else(SessionId::random),
        agent: kind.to_string(),
        source: source.to_owned(),
        title: new.title.clone(),
        labels: new.labels.clone(),
        working_directory: new.working_directory.clone(),
        controls: new.controls.clone(),
        options: new.options.clone(),
        archived: false,
        system_owned: new.system_owned,
        persist: new.persist,
        lock: None,
        forked_from: None,
        revision: 1,
        queue_position: None,
        thread_id: None,
        codex_version: String::new(),
        first_prompt: String::new(),
        last_turn: None,
        usage: None,
        create_time: now,
        update_time: now,
    };
    Ok((kind, session))
}

/// What a model may be called, where one is chosen.
pub(crate) fn check_model(field: &'static str, model: Option<&str>) -> Result<()> {
    let Some(model) = model else { return Ok(()) };
    check_length(field, model, MAX_MODEL_CHARACTERS)?;
    controls::check_model(model).map_err(|problem| Error::invalid(field, problem))
}

/// What a title may be.
pub(super) fn check_title(title: &str) -> Result<()> {
    check_length("session.title", title, MAX_TITLE_CHARACTERS)
}

/// What labels may be.
pub(super) fn check_labels(labels: &BTreeMap<String, String>) -> Result<()> {
    if labels.len() > MAX_LABELS {
        let problem = format!("{} labels; at most {MAX_LABELS} are allowed", labels.len());
        return Err(Error::invalid("session.labels", problem));
    }
    for (key, value) in labels {
        if key.is_empty() {
            return Err(Error::invalid("session.labels", "a key is empty"));
        }
        check_length("session.labels", key, MAX_LABEL_KEY_CHARACTERS)?;
        check_length("session.labels", value, MAX_LABEL_VALUE_CHARACTERS)?;
    }
    Ok(())
}

fn check_length(field: &'static str, text: &str, limit: usize) -> Result<()> {
    let characters = text.chars().count();
    if characters > limit {
        let problem = format!("{characters} characters long; at most {limit} are allowed");
        return Err(Error::invalid(field, problem));
    }
    if text.chars().any(char::is_control) {
        return Err(Error::invalid(field, "control characters are not allowed"));
    }
    Ok(())
}
