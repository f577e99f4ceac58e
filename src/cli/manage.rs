//! Those of `switchboard sessions …` that change sessions.
//!
//! Ids are resolved before anything is done, so that a wrong one changes
//! nothing. One refusal does not keep the other sessions of a command from
//! theirs: it is said, and is the exit code at the end.

mod changing;
mod ending;

use super::{
    Context, Failure,
    args::ManageCommand,
    connect::{Connector, Server},
    retry,
    sessions::json,
};
use crate::proto::Session;

pub(super) async fn manage(
    cx: &Context,
    connector: Connector,
    server: &Server,
    command: ManageCommand,
) -> Result<(), Failure> {
    let commands = Commands { cx, server };
    match command {
        ManageCommand::Kill(args) => commands.kill(args).await,
        ManageCommand::Interrupt { id, no_wait } => commands.interrupt(&id, no_wait).await,
        ManageCommand::Fork(args) => commands.fork(connector, args).await,
        ManageCommand::Rename { id, title } => commands.rename(&id, title).await,
        ManageCommand::Label { id, changes } => commands.label(&id, &changes).await,
        ManageCommand::Archive { ids } => commands.set_archived(&ids, true).await,
        ManageCommand::Unarchive { ids } => commands.set_archived(&ids, false).await,
        ManageCommand::Delete { ids, yes } => commands.delete(&ids, yes).await,
        ManageCommand::Cleanup(args) => commands.clean_up(args).await,
    }
}

/// The commands, on one connection.
struct Commands<'a> {
    cx: &'a Context,
    server: &'a Server,
}

impl Commands<'_> {
    async fn change<C: retry::Change>(&self, request: C) -> Result<C::Answer, Failure> {
        retry::change(self.server, self.cx.output, request).await
    }

    async fn session(&self, id: &str) -> Result<Session, Failure> {
        retry::session(self.server, self.cx.output, id).await
    }

    /// The sessions of these ids and prefixes, each once.
    async fn resolve(&self, ids: &[String]) -> Result<Vec<Session>, Failure> {
        let mut sessions: Vec<Session> = Vec::with_capacity(ids.len());
        for id in ids {
            let session = self.session(id).await?;
            if sessions.iter().all(|other| other.session_id != session.session_id) {
                sessions.push(session);
            }
        }
        Ok(sessions)
    }

    /// Says what became of a session.
    fn tell(&self, session: &Session, what: &str) -> Result<(), Failure> {
        if self.cx.output.json {
            return json(self.cx, session);
        }
        self.cx.output.line(&format!("{}  {what}", session.session_id))
    }
}

/// What became of several sessions.
struct Outcomes<'a> {
    cx: &'a Context,
    /// The last that went wrong, which is not said yet.
    failure: Option<Failure>,
}

impl<'a> Outcomes<'a> {
    fn new(cx: &'a Context) -> Self {
        Self { cx, failure: None }
    }

    /// Takes what became of one; none where it was refused.
    ///
    /// # Errors
    /// What leaves no hope for the others either.
    fn add<T>(&mut self, outcome: Result<T, Failure>) -> Result<Option<T>, Failure> {
        match outcome {
            Ok(done) => Ok(Some(done)),
            Err(failure @ Failure::Refused(_)) => {
                self.say();
                self.failure = Some(failure);
                Ok(None)
            }
            Err(failure) => {
                self.say();
                Err(failure)
            }
        }
    }

    fn say(&mut self) {
        if let Some(report) = self.failure.take().and_then(|told| told.report(self.cx.output.json))
        {
            self.cx.output.note(&report);
        }
    }

    /// # Errors
    /// The last that went wrong.
    fn end(self) -> Result<(), Failure> {
        self.failure.map_or(Ok(()), Err)
    }
}
