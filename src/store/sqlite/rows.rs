//! Rows to domain types and back.

use std::{collections::HashMap, path::PathBuf};

use prost::Message as _;
use rusqlite::{Connection, OptionalExtension as _, Params, Row, params};

use super::{Error, ListPosition, OutboxRow, Result, Stored, controls, i64_of, micros};
use crate::{
    controls::Controls,
    id::{Seq, SessionId, TurnNumber},
    proto::{CodexOptions, SessionState},
    row::{ExitStatus, Fork, Session, SessionLock, Tombstone, Turn, Verdict},
    settings::Settings,
    time::from_micros,
};

pub(super) const SESSION_COLUMNS: &str = "s.number, s.id, s.agent, s.source, s.title, s.labels, \
     s.working_directory, c.model, c.sandbox, s.thread_id, s.codex_version, s.first_prompt, \
     s.usage, s.create_time, s.update_time, s.applied_seq, \
     c.network, s.archived, s.system_owned, s.forked_session, s.forked_thread, s.options, \
     s.revision, s.changed, c.approval_policy, s.persist, s.lock_sha256, s.lock_codex_version, \
     s.lock_any_version, \
     t.number, t.state, t.reason, t.verdict, t.verdict_message, t.pid, t.exit_code, t.signal, \
     t.start_time, t.end_time, t.error, t.usage_before, t.usage_after";
pub(super) const LAST_TURN: &str = "sessions s JOIN controls c ON c.scope = s.id \
     LEFT JOIN turns t ON t.session = s.id AND t.number = s.turn_count";
/// Where the clock at the last change is in [`SESSION_COLUMNS`].
pub(super) const CHANGED: usize = 23;
/// Where the turn's columns begin in [`SESSION_COLUMNS`].
const TURN: usize = 29;
const TURN_COLUMNS: &str = "number, state, reason, verdict, verdict_message, pid, exit_code, \
     signal, start_time, end_time, error, usage_before, usage_after";

/// Lets the clock of the catalogue rise, for one change.
pub(super) fn tick(db: &Connection) -> Result<i64> {
    let mut statement = db.prepare_cached("UPDATE clock SET value = value + 1 RETURNING value")?;
    Ok(statement.query_row([], |row| row.get(0))?)
}

/// Makes the rows of a session, without a turn.
pub(super) fn insert_session(
    db: &Connection,
    session: &Session,
    settings: &Settings,
) -> Result<()> {
    let labels = labels_text(session);
    let changed = tick(db)?;
    let (fork, lock) = (session.forked_from.as_ref(), session.lock.as_ref());
    let inserted = db
        .prepare_cached(
            "INSERT INTO sessions (id, state, agent, source, title, labels, working_directory, \
             thread_id, codex_version, first_prompt, turn_count, usage, \
             create_time, update_time, archived, system_owned, forked_session, \
             forked_thread, options, revision, queued, changed, persist, lock_sha256, \
             lock_codex_version, lock_any_version, applied_seq) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, \
             ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26, 0) \
             ON CONFLICT (id) DO NOTHING",
        )?
        .execute(params![
            session.id.as_bytes(),
            session.state() as i32,
            session.agent,
            session.source,
            session.title,
            labels,
            session.working_directory.to_string_lossy(),
            session.thread_id,
            session.codex_version,
            session.first_prompt,
            session.turn_count(),
            session.usage.map(|usage| usage.encode_to_vec()),
            micros(session.create_time),
            micros(session.update_time),
            session.archived,
            session.system_owned,
            fork.map(|fork| fork.session.as_bytes()),
            fork.map(|fork| &fork.thread_id),
            (session.options != CodexOptions::default()).then(|| session.options.encode_to_vec()),
            i64_of(session.revision),
            (session.state() == SessionState::Queued).then_some(changed),
            changed,
            session.persist,
            lock.map(|lock| &lock.sha256),
            lock.map(|lock| &lock.codex_version),
            lock.is_some_and(|lock| lock.any_version),
        ])?;
    if inserted == 0 {
        return Err(Error::Exists(session.id));
    }
    controls::insert(db, session.id, &session.controls, settings)
}

/// Stores what can change of a session; with `applied`, also how far it follows
/// the log. A turn that waits keeps the place that it got first. The controls are
/// not written: whoever changes them does that by itself.
pub(super) fn update_session(
    db: &Connection,
    session: &Session,
    applied: Option<Seq>,
) -> Result<()> {
    db.prepare_cached(
        "UPDATE sessions SET state = ?2, title = ?3, labels = ?4, thread_id = ?5, \
         codex_version = ?6, first_prompt = ?7, turn_count = ?8, usage = ?9, \
         update_time = max(update_time, ?10), applied_seq = coalesce(?11, applied_seq), \
         archived = ?12, revision = ?13, queued = iif(?14, coalesce(queued, ?15), NULL), \
         changed = ?15 WHERE id = ?1",
    )?
    .execute(params![
        session.id.as_bytes(),
        session.state() as i32,
        session.title,
        labels_text(session),
        session.thread_id,
        session.codex_version,
        session.first_prompt,
        session.turn_count(),
        session.usage.map(|usage| usage.encode_to_vec()),
        micros(session.update_time),
        applied.map(|seq| i64_of(seq.0)),
        session.archived,
        i64_of(session.revision),
        session.state() == SessionState::Queued,
        tick(db)?,
    ])?;
    Ok(())
}

/// Says that a session was changed by a client, beside what its owner stores.
pub(super) fn touch(db: &Connection, id: SessionId, time: i64) -> Result<()> {
    db.prepare_cached(
        "UPDATE sessions SET update_time = max(update_time, ?2), changed = ?3 WHERE id = ?1",
    )?
    .execute(params![id.as_bytes(), time, tick(db)?])?;
    Ok(())
}

pub(super) fn upsert_turn(db: &Connection, id: SessionId, turn: &Turn) -> Result<()> {
    let (verdict, message) = match &turn.verdict {
        None => (None, None),
        Some(Verdict::Completed) => (Some(1), None),
        Some(Verdict::Failed(message)) => (Some(2), Some(message)),
    };
    let (code, signal) = match turn.exit {
        None => (None, None),
        Some(ExitStatus::Code(code)) => (Some(code), None),
        Some(ExitStatus::Signal(signal)) => (None, Some(signal)),
    };
    db.prepare_cached(
        "INSERT OR REPLACE INTO turns (session, number, state, reason, verdict, verdict_message, \
         pid, exit_code, signal, start_time, end_time, error, usage_before, usage_after) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
    )?
    .execute(params![
        id.as_bytes(),
        turn.number.0,
        turn.state as i32,
        turn.reason as i32,
        verdict,
        message,
        turn.pid,
        code,
        signal,
        micros(turn.start_time),
        turn.end_time.map(micros),
        turn.error,
        turn.usage_before.map(|usage| usage.encode_to_vec()),
        turn.usage_after.map(|usage| usage.encode_to_vec()),
    ])?;
    Ok(())
}

/// Puts an event of a session, made for no turn, into the outbox.
pub(super) fn insert_event(db: &Connection, id: SessionId, event: &[u8]) -> Result<()> {
    db.prepare_cached("INSERT INTO outbox (session, turn, event) VALUES (?1, NULL, ?2)")?
        .execute(params![id.as_bytes(), event])?;
    Ok(())
}

pub(super) fn session(db: &Connection, id: SessionId) -> Result<Option<Stored>> {
    let sql = format!("SELECT {SESSION_COLUMNS} FROM {LAST_TURN} WHERE s.id = ?1");
    let found = db.prepare_cached(&sql)?.query_row([id.as_bytes()], session_of).optional()?;
    let Some((_, mut stored)) = found else { return Ok(None) };
    if stored.session.state() == SessionState::Queued {
        let mut statement = db.prepare_cached(
            "SELECT count(*) FROM sessions WHERE queued <= (SELECT queued FROM sessions WHERE id = ?1)",
        )?;
        let place = statement.query_row([id.as_bytes()], |row| row.get(0))?;
        stored.session.queue_position = Some(place);
    }
    Ok(Some(stored))
}

pub(super) fn turn(db: &Connection, id: SessionId, number: TurnNumber) -> rusqlite::Result<Turn> {
    let sql = format!("SELECT {TURN_COLUMNS} FROM turns WHERE session = ?1 AND number = ?2");
    db.prepare_cached(&sql)?.query_row(params![id.as_bytes(), number.0], |row| turn_of(row, 0))
}

/// Exchanges a session's rows for a tombstone.
pub(super) fn delete_session(db: &Connection, tombstone: &Tombstone) -> Result<()> {
    let Tombstone { id, title, system_owned, delete_time } = tombstone;
    for sql in [
        "DELETE FROM outbox WHERE session = ?1",
        "DELETE FROM notes WHERE session = ?1",
        "DELETE FROM turns WHERE session = ?1",
        "DELETE FROM controls WHERE scope = ?1",
        "DELETE FROM sessions WHERE id = ?1",
    ] {
        db.prepare_cached(sql)?.execute([id.as_bytes()])?;
    }
    db.prepare_cached(
        "INSERT INTO tombstones (id, title, system_owned, delete_time, changed) \
         VALUES (?1, ?2, ?3, ?4, ?5)",
    )?
    .execute(params![id.as_bytes(), title, system_owned, micros(*delete_time), tick(db)?])?;
    Ok(())
}

/// The last event that each session's row follows.
pub(super) fn applied_seqs(db: &Connection) -> Result<HashMap<SessionId, Seq>> {
    let mut statement = db.prepare_cached("SELECT id, applied_seq FROM sessions")?;
    let rows = statement
        .query_map([], |row| Ok((id_of(row, 0)?, Seq(row.get::<_, i64>(1)?.unsigned_abs()))))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

pub(super) fn turns(
    db: &Connection,
    id: SessionId,
    after: TurnNumber,
    limit: u32,
) -> Result<Vec<Turn>> {
    let sql = format!(
        "SELECT {TURN_COLUMNS} FROM turns WHERE session = ?1 AND number > ?2 ORDER BY number LIMIT ?3"
    );
    let mut statement = db.prepare_cached(&sql)?;
    let rows =
        statement.query_map(params![id.as_bytes(), after.0, limit], |row| turn_of(row, 0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

pub(super) fn ids_with_prefix(db: &Connection, prefix: &str, limit: u32) -> Result<Vec<SessionId>> {
    let Some((low, high)) = prefix_range(prefix) else { return Ok(Vec::new()) };
    ids(
        db,
        "SELECT id FROM sessions WHERE id BETWEEN ?1 AND ?2 ORDER BY id LIMIT ?3",
        params![low, high, limit],
    )
}

pub(super) fn ids(db: &Connection, sql: &str, params: impl Params) -> Result<Vec<SessionId>> {
    let mut statement = db.prepare_cached(sql)?;
    let rows = statement.query_map(params, |row| id_of(row, 0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

pub(super) fn outbox(db: &Connection, id: SessionId, done: u64) -> Result<Vec<OutboxRow>> {
    let mut statement = db.prepare_cached(
        "SELECT id, turn, event FROM outbox WHERE session = ?1 AND id > ?2 ORDER BY id",
    )?;
    let rows = statement.query_map(params![id.as_bytes(), i64_of(done)], |row| {
        Ok(OutboxRow {
            id: row.get::<_, i64>(0)?.unsigned_abs(),
            turn: row.get::<_, Option<u32>>(1)?.map(TurnNumber),
            event: row.get(2)?,
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// The lowest and the highest id that begin with a prefix in the canonical
/// spelling; `None` when no id can.
pub(super) fn prefix_range(prefix: &str) -> Option<([u8; 16], [u8; 16])> {
    let mut low = [0_u8; 16];
    let mut high = [0xff_u8; 16];
    let mut digit = 0;
    for (at, byte) in prefix.bytes().enumerate() {
        if at >= 36 {
            return None;
        }
        if matches!(at, 8 | 13 | 18 | 23) {
            if byte != b'-' {
                return None;
            }
            continue;
        }
        let value = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            _ => return None,
        };
        let (shift, keep) = if digit % 2 == 0 { (4, 0x0f) } else { (0, 0xf0) };
        low[digit / 2] = (low[digit / 2] & keep) | (value << shift);
        high[digit / 2] = (high[digit / 2] & keep) | (value << shift);
        digit += 1;
    }
    Some((low, high))
}

fn labels_text(session: &Session) -> String {
    serde_json::to_string(&session.labels).expect("a map of strings is JSON")
}

pub(super) fn id_of(row: &Row<'_>, column: usize) -> rusqlite::Result<SessionId> {
    Ok(SessionId::from_bytes(row.get(column)?))
}

pub(super) fn session_of(row: &Row<'_>) -> rusqlite::Result<(ListPosition, Stored)> {
    let labels: String = row.get(5)?;
    let forked_thread: Option<String> = row.get(20)?;
    let forked_from = match forked_thread {
        Some(thread_id) => Some(Fork { session: id_of(row, 19)?, thread_id }),
        None => None,
    };
    let lock = match (row.get(26)?, row.get(27)?) {
        (Some(sha256), Some(codex_version)) => {
            Some(SessionLock { sha256, codex_version, any_version: row.get(28)? })
        }
        (None, _) | (_, None) => None,
    };
    let last_turn = row.get::<_, Option<u32>>(TURN)?.map(|_| turn_of(row, TURN)).transpose()?;
    let session = Session {
        id: id_of(row, 1)?,
        agent: row.get(2)?,
        source: row.get(3)?,
        title: row.get(4)?,
        labels: serde_json::from_str(&labels).map_err(|error| damaged(5, error))?,
        working_directory: PathBuf::from(row.get::<_, String>(6)?),
        controls: Controls {
            model: row.get(7)?,
            approval_policy: enum_of(row, 24)?,
            network: enum_of(row, 16)?,
            sandbox: enum_of(row, 8)?,
        },
        thread_id: row.get(9)?,
        codex_version: row.get(10)?,
        first_prompt: row.get(11)?,
        usage: message_of(row, 12)?,
        archived: row.get(17)?,
        system_owned: row.get(18)?,
        persist: row.get(25)?,
        lock,
        forked_from,
        options: message_of(row, 21)?.unwrap_or_default(),
        revision: row.get::<_, i64>(22)?.unsigned_abs(),
        queue_position: None,
        last_turn,
        create_time: from_micros(row.get(13)?),
        update_time: from_micros(row.get(14)?),
    };
    let applied = Seq(row.get::<_, i64>(15)?.unsigned_abs());
    Ok((ListPosition(row.get(0)?), Stored { session, applied }))
}

fn turn_of(row: &Row<'_>, from: usize) -> rusqlite::Result<Turn> {
    let verdict = match row.get::<_, Option<i64>>(from + 3)? {
        None => None,
        Some(1) => Some(Verdict::Completed),
        Some(_) => {
            Some(Verdict::Failed(row.get::<_, Option<String>>(from + 4)?.unwrap_or_default()))
        }
    };
    let exit = match (row.get(from + 6)?, row.get(from + 7)?) {
        (_, Some(signal)) => Some(ExitStatus::Signal(signal)),
        (Some(code), None) => Some(ExitStatus::Code(code)),
        (None, None) => None,
    };
    Ok(Turn {
        number: TurnNumber(row.get(from)?),
        state: enum_of(row, from + 1)?,
        reason: enum_of(row, from + 2)?,
        verdict,
        pid: row.get(from + 5)?,
        exit,
        start_time: from_micros(row.get(from + 8)?),
        end_time: row.get::<_, Option<i64>>(from + 9)?.map(from_micros),
        error: row.get(from + 10)?,
        usage_before: message_of(row, from + 11)?,
        usage_after: message_of(row, from + 12)?,
    })
}

/// A value of an enum of the contract.
pub(super) fn enum_of<E>(row: &Row<'_>, column: usize) -> rusqlite::Result<E>
where
    E: TryFrom<i32>,
    E::Error: std::error::Error + Send + Sync + 'static,
{
    E::try_from(row.get::<_, i32>(column)?).map_err(|error| damaged(column, error))
}

/// An encoded message; `None` where there is none.
pub(super) fn message_of<M: prost::Message + Default>(
    row: &Row<'_>,
    column: usize,
) -> rusqlite::Result<Option<M>> {
    let bytes: Option<Vec<u8>> = row.get(column)?;
    bytes
        .map(|bytes| M::decode(bytes.as_slice()))
        .transpose()
        .map_err(|error| damaged(column, error))
}

pub(super) fn damaged(
    column: usize,
    error: impl std::error::Error + Send + Sync + 'static,
) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Blob, Box::new(error))
}
