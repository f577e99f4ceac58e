//! Requests that carry an id are carried out once.
//!
//! ```text
//!  request ──▶ begin ──┬─▶ Begun::Answered: an earlier twin's answer
//!                      └─▶ Begun::First(Ticket) ──▶ effect and receipt, in one commit
//! ```
//!
//! A twin that comes while the first is at work waits for it. What is refused
//! leaves no receipt, so that it may be tried again.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use prost::Message;
use sha2::{Digest as _, Sha256};
use tokio::sync::OwnedMutexGuard;

use crate::{
    Error, Result, proto,
    row::Session,
    store::sqlite::{Database, Receipt},
};

/// The longest request id.
const MAX_REQUEST_ID_CHARACTERS: usize = 128;

/// The key of a request: its method, and the id that it carries.
type Key = (&'static str, String);

/// The requests that are at work. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Requests {
    /// Held for a look only; the locks in it are held by those at work.
    at_work: Arc<Mutex<HashMap<Key, Arc<tokio::sync::Mutex<()>>>>>,
}

/// Where a request stands.
#[derive(Debug)]
pub(crate) enum Begun<R> {
    /// It is to be carried out.
    First(Ticket),
    /// It was, with this answer.
    Answered(R),
}

/// The right to carry a request out; to be kept until it is. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ticket(Option<Arc<Carried>>);

/// What tells a request that changes something from others.
#[derive(Debug, Clone, Default)]
pub struct Once {
    request_id: String,
    /// SHA-256 of its fields; without an id nobody asks.
    fingerprint: [u8; 32],
}

impl Once {
    /// A request with this id, at its caller's choice; empty for none. Its other
    /// fields are `fields`.
    pub fn new(request_id: String, fields: &impl Message) -> Self {
        let fingerprint = match request_id.as_str() {
            "" => [0; 32],
            _ => Sha256::digest(fields.encode_to_vec()).into(),
        };
        Self { request_id, fingerprint }
    }
}

impl Once {
    /// Whether the request carries an id.
    pub(crate) fn is_asked_for(&self) -> bool {
        !self.request_id.is_empty()
    }
}

#[derive(Debug)]
struct Carried {
    requests: Requests,
    key: Key,
    fingerprint: [u8; 32],
    at_work: Option<OwnedMutexGuard<()>>,
}

impl Requests {
    /// Begins a request of `method`. One without an id is always the first.
    ///
    /// # Errors
    ///
    /// INVALID_ARGUMENT for a malformed id, IDEMPOTENCY_CONFLICT where it was
    /// used for other fields.
    pub(crate) async fn begin<R: Message + Default>(
        &self,
        database: &Database,
        method: &'static str,
        once: Once,
    ) -> Result<Begun<R>> {
        let Once { request_id, fingerprint } = once;
        if request_id.is_empty() {
            return Ok(Begun::First(Ticket(None)));
        }
        check_id(&request_id)?;
        let key = (method, request_id.clone());
        let lock = {
            let mut at_work = self.at_work.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(at_work.entry(key.clone()).or_default())
        };
        let at_work = Some(lock.lock_owned().await);
        let carried = Carried { requests: self.clone(), key, fingerprint, at_work };
        match database.receipt(method, request_id.clone()).await? {
            None => Ok(Begun::First(Ticket(Some(Arc::new(carried))))),
            Some((earlier, response)) if earlier == fingerprint => {
                let response = R::decode(response.as_slice()).map_err(Error::internal)?;
                Ok(Begun::Answered(response))
            }
            Some(_) => Err(Error::IdempotencyConflict { request_id }),
        }
    }
}

impl Ticket {
    /// The receipt that is to be committed with the effect.
    pub(crate) fn receipt(&self, answer: &impl Message) -> Option<Receipt> {
        self.0.as_ref().map(|carried| Receipt {
            method: carried.key.0,
            request_id: carried.key.1.clone(),
            fingerprint: carried.fingerprint,
            response: answer.encode_to_vec(),
        })
    }

    /// The receipt for an answer that is a session.
    pub(crate) fn receipt_of(&self, session: &Session) -> Option<Receipt> {
        self.0.is_some().then(|| self.receipt(&proto::Session::from(session))).flatten()
    }
}

impl Drop for Carried {
    fn drop(&mut self) {
        let mut at_work = self.requests.at_work.lock().unwrap_or_else(PoisonError::into_inner);
        self.at_work = None;
        // Twins clone it under the same lock.
        if at_work.get(&self.key).is_some_and(|lock| Arc::strong_count(lock) == 1) {
            at_work.remove(&self.key);
        }
    }
}

fn check_id(request_id: &str) -> Result<()> {
    if request_id.len() <= MAX_REQUEST_ID_CHARACTERS
        && request_id.bytes().all(|byte| byte.is_ascii_graphic())
    {
        return Ok(());
    }
    Err(Error::invalid(
        "request_id",
        format!(
            "expected 1 to {MAX_REQUEST_ID_CHARACTERS} visible ASCII characters, such as a random UUID"
        ),
    ))
}
