//! Controls and settings, of one session and of new ones.

use std::sync::Arc;

use crate::{
    Error, Result,
    app::App,
    audit::Origin,
    controls::{Edit, Policy, Scope, State},
    id::SessionId,
    session::once::Once,
    store::sqlite::{Read, Write, Written},
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

    /// Writes the controls or settings of a scope, and answers with what `answer`
    /// makes of it. It is on disk then.
    ///
    /// # Errors
    ///
    /// SESSION_NOT_FOUND, SESSION_DELETED, SYSTEM_SESSION, DEFAULTS_LOCKED,
    /// ETAG_MISMATCH, PAYLOAD_TOO_LARGE, STORAGE_FULL: nothing was changed.
    ///
    /// # Cancel safety
    ///
    /// Goes on when the caller does not wait any more.
    pub async fn write_controls<R: prost::Message + Default + 'static>(
        &self,
        method: &'static str,
        write: NewWrite,
        once: Once,
        answer: impl FnOnce(&Written) -> R + Send + 'static,
    ) -> Result<R> {
        let app = self.clone();
        self.once(method, once, move |ticket| async move {
            let NewWrite { scope, session, edit, etag, origin } = write;
            let policy = app.policy();
            if scope == Scope::Default && policy.lock_defaults {
                // Of a session that is not there the lock is not told.
                let defaults = app.controls(session).await?.defaults;
                let controls = defaults.controls.over(&policy.shown());
                let current = Box::new(State { controls, ..defaults });
                return Err(Error::DefaultsLocked { current });
            }
            let time = crate::time::now();
            let write = Write { scope, session, edit, etag, origin, time };
            // Kept until the receipt is committed: a twin looks for it then.
            let carried = ticket.clone();
            let answered =
                app.sessions.database().write_controls(Arc::clone(policy), write, move |written| {
                    let answer = answer(written);
                    let receipt = carried.receipt(&answer);
                    (answer, receipt)
                });
            let answered = answered.await;
            drop(ticket);
            let (answer, written) = answered?;
            if let Some(entry) = &written.entry {
                app.sessions.recorded(entry.seq, session);
            }
            Ok(answer)
        })
        .await
    }
}
