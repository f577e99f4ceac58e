//! The controls and settings of each scope: read, and written with an entry of
//! the audit in the same transaction.

use std::{sync::Arc, time::SystemTime};

use prost::Message as _;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::{
    Database, Receipt, Result, audit, catalogue, i64_of, micros, receipts, rows, states::States,
};
use crate::{
    Error,
    audit::{Origin, Standing, StandingRow, Write as Recorded},
    controls::{Controls, Edit, Policy, Scope, State, stored_key},
    id::SessionId,
    proto::{self, AuditEntry},
    settings::Settings,
};

impl Database {
    /// The controls and settings of a session, where one is named, and of new ones.
    ///
    /// # Errors
    ///
    /// SESSION_NOT_FOUND, SESSION_DELETED, SYSTEM_SESSION.
    pub async fn controls(&self, policy: Arc<Policy>, session: Option<SessionId>) -> Result<Read> {
        if let Some(read) = self.states.read(session) {
            return Ok(read);
        }
        let states = Arc::clone(&self.states);
        self.reader.call(move |db| read(db, &states, &policy, session)).await
    }

    /// What a scope has, whoever asks; `None` where there is no such. New sessions'
    /// that nobody ever wrote may be `None` or what is configured.
    pub async fn state(&self, scope: Scope) -> Result<Option<State>> {
        if let Some(state) = self.states.state(scope) {
            return Ok(Some(state));
        }
        let states = Arc::clone(&self.states);
        self.reader.call(move |db| state(db, &states, scope)).await
    }

    /// Writes the controls or settings of a scope, with the entry of the audit, the
    /// event for the session's log, and the receipt that `receipt` makes. Where
    /// nothing is changed, only the receipt is kept. `then` is called once that is
    /// committed, whoever still waits.
    ///
    /// # Errors
    ///
    /// SESSION_NOT_FOUND, SESSION_DELETED, SYSTEM_SESSION, ETAG_MISMATCH,
    /// PAYLOAD_TOO_LARGE.
    pub async fn write_controls(
        &self,
        policy: Arc<Policy>,
        write: Write,
        receipt: impl FnOnce(&Written) -> Option<Receipt> + Send + 'static,
        then: impl FnOnce(&Written) + Send + 'static,
    ) -> Result<Written> {
        let (states, shown) = (Arc::clone(&self.states), Arc::clone(&self.states));
        let scope = write.scope;
        let write = move |db: &Connection| {
            let written = self::write(db, &states, &policy, &write)?;
            receipts::insert(db, receipt(&written).as_ref())?;
            Ok(written)
        };
        let committed = move |written: &Written| {
            shown.committed(scope, &written.state);
            then(written);
        };
        self.writer.call_then(write, committed).await
    }
}

/// A write of one scope.
#[derive(Debug, Clone)]
pub struct Write {
    /// What is written.
    pub scope: Scope,
    /// The session that the call names; it must be there.
    pub session: Option<SessionId>,
    /// What is written to it.
    pub edit: Edit,
    /// The etag that the caller saw; empty for any.
    pub etag: String,
    /// By whom.
    pub origin: Origin,
    /// When.
    pub time: SystemTime,
}

/// What there is after a write.
#[derive(Debug, Clone)]
pub struct Written {
    /// The entry of the audit, where anything was changed.
    pub entry: Option<AuditEntry>,
    /// The scope that was written, as it is now.
    pub state: State,
    /// Whether a setting that was to be removed was there.
    pub removed: bool,
    /// The entry, or the latest of all that there was.
    pub at_seq: u64,
    /// All that a reader of the controls sees now.
    pub controls: Read,
}

/// What a reader of controls sees.
#[derive(Debug, Clone, PartialEq)]
pub struct Read {
    /// Those of the session; none where none was named.
    pub session: Option<State>,
    /// Those that new sessions begin with.
    pub defaults: State,
}

impl Read {
    /// The state of a scope.
    #[must_use]
    pub fn of(&self, scope: Scope) -> &State {
        match (scope, &self.session) {
            (Scope::Session(_), Some(state)) => state,
            (Scope::Session(_) | Scope::Default, _) => &self.defaults,
        }
    }
}

/// The key of a scope in the tables.
pub(super) fn key(scope: Scope) -> Vec<u8> {
    match scope {
        Scope::Session(id) => id.as_bytes().to_vec(),
        Scope::Default => Vec::new(),
    }
}

/// A scope as its row has it.
#[derive(Debug)]
struct Stored {
    state: State,
    /// The last entry of the audit about it.
    audit_seq: u64,
    /// Bytes of entries since the last snapshot.
    unsaved: u64,
}

/// The row of a session that is made.
pub(super) fn insert(
    db: &Connection,
    id: SessionId,
    controls: &Controls,
    settings: &Settings,
) -> Result<()> {
    let state = State { controls: controls.clone(), settings: settings.clone(), revision: 1 };
    put(db, Scope::Session(id), &Stored { state, audit_seq: 0, unsaved: 0 })
}

/// What a session and new ones have, which is kept in memory from then on. A
/// session that is named must be there, and be no system's.
pub(super) fn read(
    db: &Connection,
    states: &States,
    policy: &Policy,
    session: Option<SessionId>,
) -> Result<Read> {
    let load = session.map(|id| states.load(Scope::Session(id)));
    let load_defaults = states.load(Scope::Default);
    // A session that is deleted meanwhile is there with its controls, or is not.
    let moment = db.unchecked_transaction()?;
    let session = session.map(|id| of_session(db, states, id)).transpose()?;
    let defaults = defaults(db, states, policy)?.state;
    moment.finish()?;
    if let (Some(load), Some(state)) = (load, &session) {
        load.found(state);
    }
    load_defaults.found(&defaults);
    Ok(Read { session, defaults })
}

fn of_session(db: &Connection, states: &States, id: SessionId) -> Result<State> {
    check_session(db, id)?;
    let stored = stored(db, states, Scope::Session(id))?;
    Ok(stored.ok_or_else(|| Error::internal("a session without controls"))?.state)
}

/// What a scope has, whoever asks.
pub(super) fn state(db: &Connection, states: &States, scope: Scope) -> Result<Option<State>> {
    Ok(stored(db, states, scope)?.map(|stored| stored.state))
}

/// Whether clients may read and write a session's controls.
fn check_session(db: &Connection, id: SessionId) -> Result<()> {
    let system_owned: Option<bool> = db
        .prepare_cached("SELECT system_owned FROM sessions WHERE id = ?1")?
        .query_row([id.as_bytes()], |row| row.get(0))
        .optional()?;
    match system_owned {
        Some(false) => Ok(()),
        Some(true) => Err(Error::SystemSession { id }.into()),
        None => Err(match catalogue::tombstone(db, id)? {
            Some(tombstone) => super::Error::Deleted(tombstone),
            None => Error::SessionNotFound { id: id.to_string() }.into(),
        }),
    }
}

fn defaults(db: &Connection, states: &States, policy: &Policy) -> Result<Stored> {
    Ok(stored(db, states, Scope::Default)?.unwrap_or_else(|| Stored {
        state: State { controls: policy.defaults.clone(), ..State::default() },
        audit_seq: 0,
        unsaved: 0,
    }))
}

/// Writes a scope, where that changes anything, with the entry that says so and
/// the event for the session that the call named.
pub(super) fn write(
    db: &Connection,
    states: &States,
    policy: &Policy,
    write: &Write,
) -> Result<Written> {
    let Write { scope, session, edit, etag, origin, time } = write;
    if let Some(id) = session {
        check_session(db, *id)?;
    }
    let before = match scope {
        Scope::Session(id) => stored(db, states, Scope::Session(*id))?
            .ok_or_else(|| Error::SessionNotFound { id: id.to_string() })?,
        Scope::Default => defaults(db, states, policy)?,
    };
    let found = before.state.etag();
    if !etag.is_empty() && *etag != found {
        let id = match scope {
            Scope::Session(id) => Some(*id),
            Scope::Default => None,
        };
        let what = "the controls and settings";
        return Err(Error::EtagMismatch { what, id, etag: found, given: etag.clone() }.into());
    }
    let mut next = edit.apply(&before.state);
    next.settings.check()?;
    let shown = policy.shown();
    let removed = matches!(edit, Edit::Remove(key)
        if before.state.settings.get(stored_key(&before.state.settings, key)).is_some());
    let mut entry = None;
    // What was shown and is written as it was shown is chosen from then on, which
    // the agent's own configuration cannot change any more.
    let is_changed =
        next.settings != before.state.settings || next.controls != before.state.controls;
    if is_changed {
        next.revision = before.state.revision + 1;
        let recorded = Recorded {
            time: *time,
            origin,
            scope: *scope,
            session: *session,
            operation: edit.operation(),
            previous: &before.state,
            next: &next,
            shown: &shown,
        };
        let appended = audit::append(db, &recorded, before.audit_seq == 0, before.unsaved)?;
        put(
            db,
            *scope,
            &Stored {
                state: next.clone(),
                audit_seq: appended.entry.seq,
                unsaved: appended.unsaved,
            },
        )?;
        states.remember(*scope, &next.settings);
        if let Some(id) = session {
            let event = proto::Event {
                time: appended.entry.time,
                kind: Some(crate::audit::event(&appended.entry)),
                ..proto::Event::default()
            };
            rows::insert_event(db, *id, &event.encode_to_vec())?;
        }
        if let Scope::Session(id) = scope
            && next.controls != before.state.controls
        {
            rows::touch(db, *id, micros(*time))?;
        }
        entry = Some(appended.entry);
    }
    let controls = match scope {
        Scope::Session(_) => {
            Read { session: Some(next.clone()), defaults: defaults(db, states, policy)?.state }
        }
        Scope::Default => Read {
            session: session.map(|id| of_session(db, states, id)).transpose()?,
            defaults: next.clone(),
        },
    };
    let at_seq = match &entry {
        Some(entry) => entry.seq,
        None => audit::latest_seq(db)?,
    };
    Ok(Written { entry, state: next, removed, at_seq, controls })
}

fn put(db: &Connection, scope: Scope, stored: &Stored) -> Result<()> {
    let Stored { state: State { controls, settings, revision }, audit_seq, unsaved } = stored;
    db.prepare_cached(
        "INSERT INTO controls (scope, model, approval_policy, network, sandbox, revision, \
         audit_seq, unsaved, settings) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) \
         ON CONFLICT (scope) DO UPDATE SET model = ?2, approval_policy = ?3, network = ?4, \
         sandbox = ?5, revision = ?6, audit_seq = ?7, unsaved = ?8, settings = ?9",
    )?
    .execute(params![
        key(scope),
        controls.model,
        controls.approval_policy as i32,
        controls.network as i32,
        controls.sandbox as i32,
        i64_of(*revision),
        i64_of(*audit_seq),
        i64_of(*unsaved),
        settings.as_text(),
    ])?;
    Ok(())
}

fn stored(db: &Connection, states: &States, scope: Scope) -> Result<Option<Stored>> {
    let mut statement = db.prepare_cached(
        "SELECT model, approval_policy, network, sandbox, revision, audit_seq, unsaved, settings \
         FROM controls WHERE scope = ?1",
    )?;
    let parse = |text: &str| states.parse(scope, text);
    Ok(statement.query_row([key(scope)], |row| stored_of(row, parse)).optional()?)
}

fn stored_of(
    row: &Row<'_>,
    parse: impl FnOnce(&str) -> rusqlite::Result<Settings>,
) -> rusqlite::Result<Stored> {
    Ok(Stored {
        state: State {
            controls: controls_of(row)?,
            settings: parse(row.get_ref(7)?.as_str()?)?,
            revision: row.get::<_, i64>(4)?.unsigned_abs(),
        },
        audit_seq: row.get::<_, i64>(5)?.unsigned_abs(),
        unsaved: row.get::<_, i64>(6)?.unsigned_abs(),
    })
}

/// The controls in the first four columns of a row.
fn controls_of(row: &Row<'_>) -> rusqlite::Result<Controls> {
    Ok(Controls {
        model: row.get(0)?,
        approval_policy: rows::enum_of(row, 1)?,
        network: rows::enum_of(row, 2)?,
        sandbox: rows::enum_of(row, 3)?,
    })
}

/// What is there of a scope that entries of the audit are about, unread: reading
/// it is work.
pub(super) fn standing(db: &Connection, scope: &[u8]) -> Result<Standing> {
    let mut statement = db.prepare_cached(
        "SELECT model, approval_policy, network, sandbox, audit_seq, settings \
         FROM controls WHERE scope = ?1",
    )?;
    let row = statement.query_row([scope], |row| {
        Ok(StandingRow {
            audit_seq: row.get::<_, i64>(4)?.unsigned_abs(),
            controls: controls_of(row).ok(),
            settings: row.get(5)?,
        })
    });
    let is_deleted = db
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM tombstones WHERE id = ?1)")?
        .query_row([scope], |row| row.get(0))?;
    Ok(Standing { scope: scope.to_vec(), row: row.optional()?, is_deleted })
}
