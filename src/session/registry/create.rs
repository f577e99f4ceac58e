//! How a session comes to be: its files, its row, and its owner with the first
//! turn.

use std::sync::Arc;

use prost::Message as _;

use super::{Sessions, report, storage_error};
use crate::{
    Error, Result,
    id::{Seq, TurnNumber},
    proto::{self, event::Kind},
    row::Session,
    session::{
        actor::{self, Actor, Handle, NewTurn},
        once::Ticket,
        request,
    },
    settings::Settings,
    store::sqlite::Stored,
    supervise::TurnFiles,
};

impl Sessions {
    /// Makes a session durable, with its settings, the text of its config lock where
    /// it has one, and its first turn where it is given one, and starts that.
    ///
    /// # Errors
    ///
    /// SESSION_EXISTS, STORAGE_FULL, SHUTTING_DOWN; nothing is left behind.
    pub(crate) async fn create(
        &self,
        session: Session,
        settings: Settings,
        lock: Option<String>,
        first: Option<NewTurn>,
        ticket: &Ticket,
    ) -> Result<proto::Session> {
        let id = session.id;
        let slot = self.slot(id)?;
        let mut created = None;
        // Whoever asks for the owner meanwhile waits until the turn is launched.
        let made = slot
            .get_or_try_init(|| async {
                self.make((session, settings, lock), first, ticket, &mut created).await
            })
            .await
            .map(drop);
        drop(slot);
        match (made, created) {
            (Ok(()), Some(session)) => {
                self.hub().publish(id);
                Ok(session)
            }
            (Ok(()), None) => Err(Error::SessionExists { id }),
            (Err(error), Some(session)) => {
                tracing::error!(session = %id, error = %report(&error), "a new session cannot be loaded; trying again");
                self.forget(id);
                self.orphans.add(id);
                Ok(session)
            }
            (Err(error), None) => {
                self.forget(id);
                Err(error)
            }
        }
    }

    async fn make(
        &self,
        (mut session, settings, lock): (Session, Settings, Option<String>),
        first: Option<NewTurn>,
        ticket: &Ticket,
        created: &mut Option<proto::Session>,
    ) -> Result<Handle> {
        let directory = self.directory(session.id);
        let (files, prompt) = (directory.clone(), first.as_ref().map(|turn| turn.prompt.clone()));
        actor::blocking(move || {
            files.create(lock.as_deref())?;
            let Some(prompt) = prompt else { return Ok(()) };
            let files = (TurnFiles::new(files.turns(), TurnNumber(1)), files);
            request::write(&files.0, &prompt).map_err(|error| {
                files.1.remove();
                storage_error(error, &files.0.prompt())
            })
        })
        .await??;
        let event = proto::Event {
            time: Some(crate::time::timestamp(session.create_time)),
            kind: Some(Kind::SessionCreated(proto::SessionCreated {
                session: Some(Box::new((&session).into())),
            })),
            ..proto::Event::default()
        };
        if let Some(turn) = &first {
            turn.begin(&mut session);
        }
        let (row, receipt) = (session.clone(), ticket.receipt_of(&session));
        let inserted =
            self.shared.database.insert_session(row, settings, event.encode_to_vec(), receipt);
        if let Err(error) = inserted.await {
            directory.remove();
            return Err(error.into());
        }
        // From here on the session exists, whatever happens.
        *created = Some((&session).into());
        let id = session.id;
        let stored = Stored { session, applied: Seq::ZERO };
        let (actor, handle) =
            Actor::load(Arc::clone(&self.shared), directory, stored, first).await?;
        *created = Some(actor.acknowledge(ticket).await?);
        self.spawn(id, actor);
        Ok(handle)
    }
}
