//! Controls and settings, of one session and of new ones.

use std::sync::Arc;

use crate::{
    Error, Result,
    app::App,
    audit::Origin,
    controls::{Edit, Policy, Scope, State},
    id::SessionId,
    proto::AuditEntry,
    session::once::{Begun, Once, Ticket},
    store::sqlite::{At, Read, Write, Written},
};

/// What a client writes of a scope.
#[derive(Debug, Clone)]
pub struct NewWrite {
    /// What is written.
    pub scope: Scope,
    /// The session that the call names; it must be there, and be no system's.
    pub session: Option<SessionId>,
    /// What is written to it.
    pub edit: Edit,
    /// The etag that the caller saw; empty for any.
    pub etag: String,
    /// By whom.
    pub origin: Origin,
}

impl App {
    /// What the operator configured of controls.
    #[must_use]
    pub fn policy(&self) -> &Arc<Policy> {
        self.sessions.policy()
    }

    /// The controls and settings of a session, where one is named, and of new
    /// ones.
    ///
    /// # Errors
    ///
    /// SESSION_NOT_FOUND, SESSION_DELETED, SYSTEM_SESSION.
    pub async fn controls(&self, session: Option<SessionId>) -> Result<Read> {
        let policy = Arc::clone(self.policy());
        Ok(self.sessions.database().controls(policy, session).await?)
    }

    /// The controls and settings of a session, whoever owns it.
    ///
    /// # Errors
    ///
    /// SESSION_NOT_FOUND, SESSION_DELETED.
    pub async fn state(&self, id: SessionId) -> Result<State> {
        match self.sessions.database().state(Scope::Session(id)).await? {
            Some(state) => Ok(state),
            // It went in this moment.
            None => Err(match self.sessions.session(id).await {
                Ok(_) => Error::internal("a session without controls"),
                Err(error) => error,
            }),
        }
    }

    /// Writes the controls or settings of a scope. It is on disk then.
    ///
    /// # Errors
    ///
    /// SESSION_NOT_FOUND, SESSION_DELETED, SYSTEM_SESSION, DEFAULTS_LOCKED,
    /// ETAG_MISMATCH, PAYLOAD_TOO_LARGE, STORAGE_FULL: nothing was changed.
    ///
    /// # Cancel safety
    ///
    /// Goes on when the caller does not wait any more.
    pub async fn write_controls(
        &self,
        method: &'static str,
        write: NewWrite,
        once: Once,
    ) -> Result<Written> {
        if !once.is_asked_for() {
            // What is given to the database is carried out there, whoever waits.
            return self.write(write, Ticket::default()).await;
        }
        let app = self.clone();
        let carried_out = self.sessions.tasks().spawn(async move {
            let (scope, session) = (write.scope, write.session);
            match app.sessions.begin(method, once).await? {
                Begun::Answered(kept) => app.recall(scope, session, &kept).await,
                Begun::First(ticket) => app.write(write, ticket).await,
            }
        });
        carried_out.await.map_err(Error::internal)?
    }

    async fn write(&self, write: NewWrite, ticket: Ticket) -> Result<Written> {
        let NewWrite { scope, session, edit, etag, origin } = write;
        let policy = self.policy();
        if scope == Scope::Default && policy.lock_defaults {
            // Of a session that is not there the lock is not told.
            let defaults = self.controls(session).await?.defaults;
            let controls = defaults.controls.over(&policy.shown());
            let current = Box::new(State { controls, ..defaults });
            return Err(Error::DefaultsLocked { current });
        }
        let time = crate::time::now();
        let write = Write { scope, session, edit, etag, origin, time };
        // Kept until the receipt is committed: a twin looks for it then.
        let carried = ticket.clone();
        let receipt = move |written: &Written| carried.receipt(&Kept::from(written));
        let sessions = self.sessions.clone();
        let recorded = move |written: &Written| {
            if let Some(entry) = &written.entry {
                sessions.recorded(entry.seq, session);
            }
        };
        let database = self.sessions.database();
        let written = database.write_controls(Arc::clone(policy), write, receipt, recorded).await;
        drop(ticket);
        Ok(written?)
    }

    /// What an earlier write, of which this is kept, was answered with.
    async fn recall(
        &self,
        scope: Scope,
        session: Option<SessionId>,
        kept: &Kept,
    ) -> Result<Written> {
        let session = match session {
            Some(id) => {
                Some(self.recalled(Scope::Session(id), kept.at_seq, kept.session_revision).await?)
            }
            None => None,
        };
        let defaults = self.recalled(Scope::Default, kept.at_seq, kept.defaults_revision).await?;
        let controls = Read { session, defaults };
        Ok(Written {
            // What it was is in the audit; that it was is what answers say.
            entry: (kept.changed).then(|| AuditEntry { seq: kept.at_seq, ..Default::default() }),
            state: controls.of(scope).clone(),
            removed: kept.removed,
            at_seq: kept.at_seq,
            controls,
        })
    }

    /// The state of a scope as it was after entry `at` of the audit.
    async fn recalled(&self, scope: Scope, at: u64, revision: u64) -> Result<State> {
        let database = self.sessions.database();
        let state = match database.rebuild(scope, At::Seq(at)).await? {
            Some(rebuilt) => rebuilt.state,
            // It was never written, so that it is as it was.
            None => match (scope, database.state(scope).await?) {
                (_, Some(state)) => state,
                (Scope::Default, None) => {
                    State { controls: self.policy().defaults.clone(), ..State::default() }
                }
                // It was deleted since, and the audit has nothing of it.
                (Scope::Session(id), None) => self.state(id).await?,
            },
        };
        Ok(State { revision, ..state })
    }
}

/// What a receipt keeps of a write. The values are not in it: they may be large,
/// and the audit has them.
#[derive(Clone, PartialEq, prost::Message)]
struct Kept {
    /// Whether anything was changed.
    #[prost(bool, tag = "1")]
    changed: bool,
    /// The entry that it made, or the latest that there was.
    #[prost(uint64, tag = "2")]
    at_seq: u64,
    /// See [`Written::removed`].
    #[prost(bool, tag = "3")]
    removed: bool,
    /// The revision of the session's state, where one was named.
    #[prost(uint64, tag = "4")]
    session_revision: u64,
    /// The revision of the default's state.
    #[prost(uint64, tag = "5")]
    defaults_revision: u64,
}

impl From<&Written> for Kept {
    fn from(written: &Written) -> Self {
        let Written { entry, state: _, removed, at_seq, controls } = written;
        Self {
            changed: entry.is_some(),
            at_seq: *at_seq,
            removed: *removed,
            session_revision: controls.session.as_ref().map_or(0, |state| state.revision),
            defaults_revision: controls.defaults.revision,
        }
    }
}
