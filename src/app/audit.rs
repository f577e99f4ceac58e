//! The audit: who changed which controls and settings.

use crate::{
    Error, Result,
    app::App,
    audit::{Chain, Piece, Values, hex},
    controls::{Scope, State},
    proto::AuditBreak,
    session::{
        actor::blocking,
        auditing::{Request, Watch},
    },
    store::sqlite::{At, Entries, EntriesFrom, Rebuilt, Wanted},
};

/// What became of following the chain.
#[derive(Debug, Clone, PartialEq)]
pub struct Verified {
    /// The last entry that holds, and its hash.
    pub last: (u64, String),
    /// The first that does not.
    pub first_break: Option<AuditBreak>,
}

impl App {
    /// Reads entries of the audit.
    ///
    /// # Errors
    ///
    /// INTERNAL when the database cannot be read.
    pub async fn audit_entries(
        &self,
        wanted: Wanted,
        from: EntriesFrom,
        limit: u32,
    ) -> Result<Entries> {
        Ok(self.sessions.database().audit_entries(wanted, from, limit).await?)
    }

    /// The seq of the latest entry of the audit; 0 for none.
    ///
    /// # Errors
    ///
    /// INTERNAL when the database cannot be read.
    pub async fn latest_audit_seq(&self) -> Result<u64> {
        Ok(self.sessions.database().latest_audit_seq().await?)
    }

    /// Opens a watch of the audit.
    ///
    /// # Errors
    ///
    /// INVALID_ARGUMENT for an entry that there is not yet.
    pub async fn watch_audit(&self, request: Request) -> Result<Watch> {
        Watch::open(self.sessions.clone(), request).await
    }

    /// Follows the chain of the audit to its end. Entry `known.0` is expected to
    /// have the hash `known.1`, where it is not 0.
    ///
    /// # Errors
    ///
    /// INTERNAL when the database cannot be read.
    pub async fn verify_audit(&self, known: (u64, String)) -> Result<Verified> {
        let database = self.sessions.database();
        let mut chain = Chain::expecting(known.0, known.1);
        let broken = loop {
            let links = database.audit_links(chain.last().0).await?;
            if links.is_empty() {
                break chain.finish().err();
            }
            // Hashing is work; others come to theirs in between.
            let followed = blocking(move || {
                let held = links.iter().try_for_each(|link| chain.follow(link));
                (chain, held.err())
            });
            let (back, broken) = followed.await?;
            chain = back;
            if broken.is_some() {
                break broken;
            }
        };
        let mut last = chain.last();
        if last.0 == 0 && broken.is_some() {
            return Ok(Verified { last, first_break: broken });
        }
        // What is written meanwhile is read with the values that it left.
        let mut values = Values::new(&chain, broken);
        let mut place = None;
        loop {
            let read = database.audit_pieces(place).await?;
            values = follow(values, read.pieces).await?;
            place = read.next;
            if place.is_none() {
                break;
            }
        }
        let mut place = Some(i64::MIN);
        while let Some(after) = place {
            let read = database.audit_unwritten(after).await?;
            values = follow(values, read.pieces).await?;
            place = read.next;
        }
        if values.hold() < last.0 {
            let hash = database.audit_hash(values.hold()).await?;
            last = (values.hold(), hash.map(|hash| hex(&hash)).unwrap_or_default());
        }
        Ok(Verified { last, first_break: values.into_first_break() })
    }

    /// Rebuilds the controls and settings of a scope from the audit. Where it was
    /// never written they are those that are there.
    ///
    /// # Errors
    ///
    /// SESSION_NOT_FOUND where nothing is known of the session, SYSTEM_SESSION.
    pub async fn audit_state(&self, scope: Scope, at: At) -> Result<Rebuilt> {
        if let Scope::Session(id) = scope
            && self.sessions.session(id).await.is_ok_and(|session| session.system_owned)
        {
            return Err(Error::SystemSession { id });
        }
        if let Some(rebuilt) = self.sessions.database().rebuild(scope, at).await? {
            return Ok(rebuilt);
        }
        let state = match (scope, self.sessions.database().state(scope).await?) {
            (_, Some(state)) => state,
            (Scope::Default, None) => {
                State { controls: self.policy().defaults.clone(), ..State::default() }
            }
            (Scope::Session(id), None) => {
                return Err(Error::SessionNotFound { id: id.to_string() });
            }
        };
        Ok(Rebuilt { state, seq: 0 })
    }
}

async fn follow(mut values: Values, pieces: Vec<Piece>) -> Result<Values> {
    if pieces.is_empty() {
        return Ok(values);
    }
    let followed = blocking(move || {
        pieces.iter().for_each(|piece| values.follow(piece));
        values
    });
    followed.await
}
