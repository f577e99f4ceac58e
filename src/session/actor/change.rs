//! What clients change of a session, and its end.

use std::time::Duration;

use prost::Message as _;
use tokio::time::{Instant, timeout_at};

use super::{Actor, handle::Command};
use crate::{
    Error, Result,
    controls::Scope,
    proto::{self, event::Kind},
    row::Tombstone,
    session::{actor::Update, ingest::Statement, once::Ticket, persist, registry::report},
    store::sqlite::ForgottenThread,
};

/// How long watches have to come to the end of a session that was deleted.
const DRAIN: Duration = Duration::from_secs(10);
/// How many times as long as a look at the database took is waited before the next:
/// the events of many writes are appended and synced at once, and the disk is
/// left to the writes. The first after a silence is looked at without waiting.
const REST: u32 = 8;
/// The longest of these waits.
const MAX_REST: Duration = Duration::from_millis(200);
/// How often is looked whether somebody still watches it.
const LOOK: Duration = Duration::from_millis(50);

impl Actor {
    /// Writes what a client wrote: the row first, then the event that says it.
    pub(super) async fn update(
        &mut self,
        change: Update,
        etag: &str,
        ticket: &Ticket,
    ) -> Result<proto::Session> {
        self.check_files().await?;
        self.check_writable()?;
        self.session.check_etag(etag)?;
        let Update { title, labels, archived } = change;
        let mut session = self.session.clone();
        let mut fields = Vec::new();
        let mut changed = |name: &str, differs: bool| {
            if differs {
                fields.push(name.to_owned());
            }
        };
        if let Some(title) = title {
            changed("title", title != session.title);
            session.title = title;
        }
        if let Some(labels) = labels {
            changed("labels", labels != session.labels);
            session.labels = labels;
        }
        if let Some(archived) = archived {
            changed("archived", archived != session.archived);
            session.archived = archived;
        }
        if fields.is_empty() {
            return self.acknowledge(ticket).await;
        }
        session.revision += 1;
        session.update_time = crate::time::now();
        let updated = proto::Event {
            time: Some(crate::time::timestamp(session.update_time)),
            kind: Some(Kind::SessionUpdated(proto::SessionUpdated {
                session: Some(Box::new((&session).into())),
                fields,
            })),
            ..proto::Event::default()
        };
        let receipt = ticket.receipt_of(&session);
        self.shared
            .database
            .update_session(session.clone(), updated.encode_to_vec(), receipt)
            .await?;
        self.session = session;
        if let Err(error) = self.empty_outbox().await {
            tracing::error!(session = %self.session.id, error = %report(&error), "cannot say that the session was changed; trying again at its next start");
        }
        self.describe().await;
        // Those who watch the catalogue look at rows.
        self.shared.hub.publish(self.session.id);
        self.acknowledge(ticket).await
    }

    /// Takes up what others wrote in the database: the session's controls, and what
    /// its log shall say. What cannot be said now is said at the next start.
    pub(super) async fn look_at_database(&mut self) {
        let id = self.session.id;
        let begin = Instant::now();
        if let Err(error) = self.try_look_at_database().await {
            tracing::error!(session = %id, error = %report(&error), "cannot take up what was written of the session; trying again at the next occasion");
        }
        let end = Instant::now();
        self.told_at = end + (REST * (end - begin)).min(MAX_REST);
    }

    async fn try_look_at_database(&mut self) -> Result<()> {
        self.learn_controls().await?;
        if self.writer()?.read_only().is_none() {
            self.empty_outbox().await?;
        }
        // Those who watch the catalogue look at rows.
        self.shared.hub.publish(self.session.id);
        Ok(())
    }

    /// Reads the controls, which others write.
    pub(super) async fn learn_controls(&mut self) -> Result<()> {
        let scope = Scope::Session(self.session.id);
        if let Some(state) = self.shared.database.state(scope).await? {
            self.session.controls = state.controls;
        }
        Ok(())
    }

    /// Deletes the session, which must be at rest: its tombstone first.
    pub(super) async fn delete(
        &mut self,
        etag: &str,
        actor: &str,
        ticket: &Ticket,
    ) -> Result<proto::Session> {
        let id = self.session.id;
        self.session.check_etag(etag)?;
        if self.running.is_some() || self.queued.is_some() || self.session.is_active() {
            return Err(Error::SessionRunning { id, state: self.session.state() });
        }
        self.note(persist::Note::deletion(actor));
        let tombstone = self.session.tombstone();
        let receipt = ticket.receipt_of(&self.session);
        let thread = ForgottenThread::of(&self.session);
        self.shared.database.delete_session(tombstone.clone(), thread, receipt).await?;
        // From here on it does not exist, whatever happens.
        self.feed.bury(tombstone.clone());
        self.deleted = Some(tombstone);
        let kind = Kind::SessionDeleted(proto::SessionDeleted {});
        let last = Statement { turn: None, kind, time: crate::time::now(), outbox_id: None };
        self.say(vec![last]).await;
        self.shared.hub.publish(id);
        Ok((&self.session).into())
    }

    /// Stays for those who are reading the events of a deleted session, and
    /// tells everybody else that it is gone.
    pub(super) async fn linger(&mut self, tombstone: &Tombstone) {
        let until = Instant::now() + DRAIN;
        let stopped = self.shared.stopped.clone();
        while self.shared.hub.readers(tombstone.id) > 0 && Instant::now() < until {
            let next = (Instant::now() + LOOK).min(until);
            tokio::select! {
                () = stopped.cancelled() => return,
                command = timeout_at(next, self.commands.recv()) => match command {
                    Ok(Some(command)) => refuse(command, tombstone),
                    Ok(None) => return,
                    Err(_) => {}
                }
            }
        }
        let readers = self.shared.hub.readers(tombstone.id);
        if readers > 0 {
            tracing::info!(session = %tombstone.id, readers, "the files of a deleted session go though they are still read");
        }
        self.commands.close();
        while let Ok(command) = self.commands.try_recv() {
            refuse(command, tombstone);
        }
    }

    /// The latest outbox row that is in the log, or waits to be.
    pub(super) fn outbox_done(&self) -> Result<u64> {
        let said = self.writer()?.tail().outbox_id;
        Ok(self.unsaid.iter().filter_map(|statement| statement.outbox_id).fold(said, u64::max))
    }
}

fn refuse(command: Command, tombstone: &Tombstone) {
    let reply = match command {
        Command::StartTurn { reply, .. }
        | Command::Stop { reply, .. }
        | Command::Update { reply, .. }
        | Command::Delete { reply, .. } => reply,
        // There is nothing to mend any more.
        Command::Mend { reply, .. } => {
            let _ = reply.send(Err(tombstone.into()));
            return;
        }
        // It has nobody to tell any more.
        Command::Warn(..) => return,
        // Its events go as a whole.
        Command::Expire { reply } => {
            drop(reply);
            return;
        }
    };
    // A caller that has gone does not want the answer.
    let _ = reply.send(Err(tombstone.into()));
}
