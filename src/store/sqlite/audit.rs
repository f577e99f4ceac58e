//! The audit: entries that are chained by their hashes, with a whole state beside
//! one now and then.

#[cfg(test)]
mod tests;

use prost::Message as _;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::{Database, Result, controls, i64_of, micros, rows};
use crate::{
    audit::{self, Hash, Link, Piece, Write},
    controls::{Scope, State},
    id::SessionId,
    proto::{AuditEntry, ScopedControls},
};

impl Database {
    /// The seq of the latest entry of the audit; 0 for none.
    pub async fn latest_audit_seq(&self) -> Result<u64> {
        self.reader.call(latest_seq).await
    }

    /// Reads entries of the audit.
    pub async fn audit_entries(&self, wanted: Wanted, from: From, limit: u32) -> Result<Entries> {
        self.reader.call(move |db| entries(db, &wanted, from, limit)).await
    }

    /// Reads the chain of the audit on, after entry `seq`; empty at its end.
    pub async fn audit_links(&self, seq: u64) -> Result<Vec<Link>> {
        self.reader.call(move |db| links(db, seq)).await
    }

    /// The hash of an entry of the audit.
    pub async fn audit_hash(&self, seq: u64) -> Result<Option<Hash>> {
        self.reader.call(move |db| hash(db, seq)).await
    }

    /// Reads the audit on scope by scope, after a place.
    pub async fn audit_pieces(&self, after: Option<ScopePlace>) -> Result<Pieces> {
        self.reader.call(move |db| pieces(db, after)).await
    }

    /// Looks on for scopes that say they were written and that no entry is about.
    pub async fn audit_unwritten(&self, after: i64) -> Result<Unwritten> {
        self.reader.call(move |db| unwritten(db, after)).await
    }

    /// Rebuilds a state from the audit; `None` where the scope has no entry.
    pub async fn rebuild(&self, scope: Scope, at: At) -> Result<Option<Rebuilt>> {
        self.reader.call(move |db| rebuild(db, scope, at)).await
    }
}

/// Entries of a scope take at least so many bytes before a state is kept again.
/// Beyond that they may take four times what the state does, so that keeping
/// states costs a fourth of the entries at most, and rebuilding one is bounded.
const MIN_UNSAVED: u64 = 64 << 10;
/// How many entries are looked at in one go.
const SCAN: u32 = 1_000;
/// How many bytes of entries are read in one go.
const PAGE_BYTES: usize = 1 << 20;

/// An entry that was appended.
#[derive(Debug)]
pub(super) struct Appended {
    pub entry: AuditEntry,
    /// Bytes of entries about the scope since its last snapshot.
    pub unsaved: u64,
}

/// Appends the entry of a write to the chain. The first of a scope has a
/// snapshot.
pub(super) fn append(
    db: &Connection,
    write: &Write<'_>,
    is_first: bool,
    unsaved: u64,
) -> Result<Appended> {
    let (last, previous_hash) = latest(db)?.unwrap_or((0, [0; 32]));
    let mut entry = audit::entry(last + 1, write);
    let body = audit::body(&entry);
    let hash = audit::chain(&previous_hash, &body);
    let unsaved = unsaved + body.len() as u64;
    let state_bytes = write.next.settings.as_text().len() as u64;
    let due = is_first || unsaved > MIN_UNSAVED.max(4 * state_bytes);
    let snapshot = due.then(|| audit::snapshot(write.next).encode_to_vec());
    db.prepare_cached(
        "INSERT INTO audit (seq, time, scope, session, hash, entry, snapshot) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?
    .execute(params![
        i64_of(entry.seq),
        micros(write.time),
        controls::key(write.scope),
        write.session.map(|id| id.as_bytes().to_vec()),
        hash,
        body,
        snapshot,
    ])?;
    name(&mut entry, previous_hash, hash);
    Ok(Appended { entry, unsaved: if due { 0 } else { unsaved } })
}

fn name(entry: &mut AuditEntry, previous: Hash, hash: Hash) {
    entry.previous_hash = if entry.seq > 1 { audit::hex(&previous) } else { String::new() };
    entry.hash = audit::hex(&hash);
}

/// The seq of the last entry; 0 for none.
pub(super) fn latest_seq(db: &Connection) -> Result<u64> {
    let found: Option<i64> =
        db.prepare_cached("SELECT max(seq) FROM audit")?.query_row([], |row| row.get(0))?;
    Ok(found.map_or(0, i64::unsigned_abs))
}

/// The seq and hash of the last entry. Where that hash is none, nothing can be
/// chained to it: it fails, and no write that would be recorded is made.
fn latest(db: &Connection) -> Result<Option<(u64, Hash)>> {
    let mut statement =
        db.prepare_cached("SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1")?;
    let found =
        statement.query_row([], |row| Ok((row.get::<_, i64>(0)?.unsigned_abs(), row.get(1)?)));
    Ok(found.optional()?)
}

/// Which entries to read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Only those of calls that named this session.
    pub session: Option<SessionId>,
    /// Only this kind of scope.
    pub scope: Option<crate::proto::Scope>,
    /// Only this actor.
    pub actor: Option<String>,
    /// Only this source.
    pub source: Option<String>,
    /// Only those that changed this setting.
    pub key: Option<String>,
    /// Only those written then or later, in microseconds since 1970.
    pub written_after: Option<i64>,
    /// Only those written before then.
    pub written_before: Option<i64>,
}

impl Wanted {
    /// Whether an entry of this time is wanted, in microseconds since 1970.
    fn is_of(&self, time: i64) -> bool {
        self.written_after.is_none_or(|after| time >= after)
            && self.written_before.is_none_or(|before| time < before)
    }

    fn has(&self, entry: &AuditEntry) -> bool {
        let Self { session: _, scope, actor, source, key, written_after: _, written_before: _ } =
            self;
        scope.is_none_or(|scope| entry.scope() == scope)
            && actor.as_ref().is_none_or(|actor| entry.actor == *actor)
            && source.as_ref().is_none_or(|source| entry.source == *source)
            && key.as_ref().is_none_or(|key| entry.settings.iter().any(|it| it.key == *key))
    }
}

/// In which order entries are read, and after which.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    /// The oldest first, after this one.
    After(u64),
    /// The newest first, before this one.
    Before(u64),
}

/// Entries that were read.
#[derive(Debug, Clone, PartialEq)]
pub struct Entries {
    /// Those that are wanted, in the order asked for.
    pub entries: Vec<AuditEntry>,
    /// The last that was looked at; where to go on. None where there are no more.
    pub next: Option<u64>,
    /// The latest of all.
    pub latest: u64,
}

/// Reads entries, at most `limit`, about 1 MiB of them, and of a bounded stretch.
pub(super) fn entries(db: &Connection, wanted: &Wanted, from: From, limit: u32) -> Result<Entries> {
    // All that is read is of one moment.
    let moment = db.unchecked_transaction()?;
    let latest = latest_seq(db)?;
    let (place, order, bound) = match from {
        From::After(seq) => ("seq > ?1", "seq", seq),
        From::Before(seq) => ("seq < ?1", "seq DESC", seq),
    };
    // Without a session the index of sessions is of no use.
    let of_session = if wanted.session.is_some() { "session = ?2" } else { "?2 IS NULL" };
    let sql = format!(
        "SELECT seq, hash, entry, (SELECT b.hash FROM audit b WHERE b.seq = a.seq - 1), time \
         FROM audit a WHERE {place} AND {of_session} ORDER BY {order} LIMIT ?3"
    );
    let mut statement = db.prepare_cached(&sql)?;
    let session = wanted.session.map(|id| id.as_bytes().to_vec());
    // One more than is looked at says whether there are more.
    let mut rows = statement.query(params![i64_of(bound), session, SCAN + 1])?;
    let (mut entries, mut bytes, mut looked_at) = (Vec::new(), 0, 0);
    let (mut last, mut has_more) = (None, false);
    while let Some(row) = rows.next()? {
        if looked_at == SCAN {
            has_more = true;
            break;
        }
        looked_at += 1;
        let seq = row.get::<_, i64>(0)?.unsigned_abs();
        // No index has the times: what is of another is looked at as well, so that
        // it counts, and goes unread.
        if wanted.is_of(row.get(4)?) {
            let found = entry_of(row, seq)?;
            if wanted.has(&found.entry) {
                if entries.len() >= limit as usize || bytes >= PAGE_BYTES {
                    has_more = true;
                    break;
                }
                bytes += found.bytes;
                entries.push(found.entry);
            }
        }
        last = Some(seq);
    }
    drop(rows);
    drop(statement);
    moment.finish()?;
    Ok(Entries { entries, next: last.filter(|_| has_more), latest })
}

struct Found {
    entry: AuditEntry,
    bytes: usize,
}

/// The entry of a row. Of one that cannot be read there is its seq and nothing
/// else, so that it hides no others; verifying says what is wrong with it.
fn entry_of(row: &Row<'_>, seq: u64) -> rusqlite::Result<Found> {
    let body: Vec<u8> = row.get(2)?;
    let hash: rusqlite::Result<Hash> = row.get(1);
    let entry = match (AuditEntry::decode(body.as_slice()), hash) {
        (Ok(mut entry), Ok(hash)) => {
            // Where it stands is what counts, whatever it says of itself.
            entry.seq = seq;
            // What is wrong with the one before is said there.
            let previous: Option<Hash> = row.get(3).unwrap_or_default();
            name(&mut entry, previous.unwrap_or_default(), hash);
            entry
        }
        (Err(_), _) | (_, Err(_)) => AuditEntry { seq, ..AuditEntry::default() },
    };
    Ok(Found { entry, bytes: body.len() })
}

/// The next entries of the chain after `seq`; empty at its end. They are read as
/// they stand: to make sense of them is work for another thread.
pub(super) fn links(db: &Connection, seq: u64) -> Result<Vec<Link>> {
    let mut statement = db.prepare_cached(
        "SELECT seq, scope, hash, entry, session, time FROM audit WHERE seq > ?1 ORDER BY seq",
    )?;
    // There is nothing before the first, unless somebody put it there.
    let after = if seq == 0 { i64::MIN } else { i64_of(seq) };
    let mut rows = statement.query([after])?;
    let (mut links, mut bytes) = (Vec::new(), 0);
    while links.len() < SCAN as usize
        && bytes < PAGE_BYTES
        && let Some(row) = rows.next()?
    {
        let link = Link {
            seq: u64::try_from(row.get::<_, i64>(0)?).unwrap_or(0),
            scope: row.get(1)?,
            session: row.get(4)?,
            time: row.get(5)?,
            hash: row.get(2)?,
            body: row.get(3)?,
        };
        bytes += link.body.len();
        links.push(link);
    }
    Ok(links)
}

/// The hash of an entry.
pub(super) fn hash(db: &Connection, seq: u64) -> Result<Option<Hash>> {
    let mut statement = db.prepare_cached("SELECT hash FROM audit WHERE seq = ?1")?;
    Ok(statement.query_row([i64_of(seq)], |row| row.get(0)).optional()?)
}

/// A place among the entries as they stand scope by scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScopePlace {
    scope: Vec<u8>,
    seq: i64,
}

/// Some of what is stored about scopes.
#[derive(Debug, Default)]
pub struct Pieces {
    /// In order, scope by scope.
    pub pieces: Vec<Piece>,
    /// Where to go on; none where there are no more.
    pub next: Option<ScopePlace>,
}

/// The entries after a place, scope by scope, each scope's with what is there of
/// it at their end. Read as they stand, about 1 MiB at a time, all of one moment.
pub(super) fn pieces(db: &Connection, after: Option<ScopePlace>) -> Result<Pieces> {
    let moment = db.unchecked_transaction()?;
    let mut statement = db.prepare_cached(
        "SELECT scope, seq, entry, snapshot FROM audit WHERE (scope, seq) > (?1, ?2) \
         ORDER BY scope, seq",
    )?;
    let mut place = after;
    let from = place.clone().unwrap_or(ScopePlace { scope: Vec::new(), seq: i64::MIN });
    let mut rows = statement.query(params![from.scope, from.seq])?;
    let (mut pieces, mut bytes, mut at_end) = (Vec::new(), 0, false);
    while pieces.len() < SCAN as usize && bytes < PAGE_BYTES {
        let row = rows.next()?;
        let scope: Option<Vec<u8>> = row.map(|row| row.get(0)).transpose()?;
        if let Some(ended) = &place
            && scope.as_ref() != Some(&ended.scope)
        {
            let standing = controls::standing(db, &ended.scope)?;
            bytes += standing.row.as_ref().map_or(0, |row| row.settings.len());
            pieces.push(Piece::End(standing));
        }
        let (Some(row), Some(scope)) = (row, scope) else {
            at_end = true;
            break;
        };
        let seq: i64 = row.get(1)?;
        let (body, snapshot): (Vec<u8>, Option<Vec<u8>>) = (row.get(2)?, row.get(3)?);
        bytes += body.len() + snapshot.as_ref().map_or(0, Vec::len);
        pieces.push(Piece::Entry { seq: u64::try_from(seq).unwrap_or(0), body, snapshot });
        place = Some(ScopePlace { scope, seq });
    }
    drop(rows);
    drop(statement);
    moment.finish()?;
    Ok(Pieces { pieces, next: place.filter(|_| !at_end) })
}

/// Scopes that say they were written and that no entry is about.
#[derive(Debug, Default)]
pub struct Unwritten {
    /// Each by its end.
    pub pieces: Vec<Piece>,
    /// Where to go on; none where there are no more.
    pub next: Option<i64>,
}

/// Looks for them among the next scopes after a place.
pub(super) fn unwritten(db: &Connection, after: i64) -> Result<Unwritten> {
    let mut statement = db.prepare_cached(
        "SELECT rowid, scope, audit_seq > 0 \
         AND NOT EXISTS (SELECT 1 FROM audit a WHERE a.scope = c.scope) \
         FROM controls c WHERE rowid > ?1 ORDER BY rowid LIMIT ?2",
    )?;
    let mut rows = statement.query(params![after, SCAN])?;
    let mut found = Unwritten::default();
    while let Some(row) = rows.next()? {
        found.next = Some(row.get(0)?);
        if row.get(2)? {
            let scope: Vec<u8> = row.get(1)?;
            found.pieces.push(Piece::End(controls::standing(db, &scope)?));
        }
    }
    Ok(found)
}

/// A state of a scope that was rebuilt.
#[derive(Debug, Clone, PartialEq)]
pub struct Rebuilt {
    /// The state.
    pub state: State,
    /// The last entry that is in it; 0 for what the first one found.
    pub seq: u64,
}

/// Until when a state is rebuilt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    /// The latest entry.
    Latest,
    /// This entry.
    Seq(u64),
    /// This time, in microseconds since 1970.
    Time(i64),
}

/// Rebuilds a state from the entries of its scope; `None` where it has none.
pub(super) fn rebuild(db: &Connection, scope: Scope, at: At) -> Result<Option<Rebuilt>> {
    let moment = db.unchecked_transaction()?;
    let key = controls::key(scope);
    let seq = |sql: &str, parameter: i64| -> Result<Option<i64>> {
        Ok(db.prepare_cached(sql)?.query_row(params![key, parameter], |row| row.get(0))?)
    };
    let upto = match at {
        At::Latest => i64::MAX,
        At::Seq(seq) => i64_of(seq),
        At::Time(time) => {
            seq("SELECT max(seq) FROM audit WHERE scope = ?1 AND time <= ?2", time)?.unwrap_or(0)
        }
    };
    let from = seq(
        "SELECT max(seq) FROM audit WHERE scope = ?1 AND seq <= ?2 AND snapshot IS NOT NULL",
        upto,
    )?;
    let rebuilt = match from {
        Some(from) => Some(replay(db, &key, from, upto)?),
        None => {
            let first = seq("SELECT min(seq) FROM audit WHERE scope = ?1 AND seq > ?2", 0)?;
            first.map(|first| found_by(db, &key, first)).transpose()?
        }
    };
    moment.finish()?;
    Ok(rebuilt)
}

/// The state of a snapshot, led on to the last entry up to `upto`.
fn replay(db: &Connection, key: &[u8], from: i64, upto: i64) -> Result<Rebuilt> {
    let mut statement = db.prepare_cached(
        "SELECT seq, entry, snapshot FROM audit WHERE scope = ?1 AND seq BETWEEN ?2 AND ?3 \
         ORDER BY seq",
    )?;
    let mut rows = statement.query(params![key, from, upto])?;
    let mut rebuilt = Rebuilt { state: State::default(), seq: 0 };
    while let Some(row) = rows.next()? {
        let seq: i64 = row.get(0)?;
        rebuilt.seq = seq.unsigned_abs();
        if seq == from {
            rebuilt.state = snapshot_of(row, 2)?;
        } else {
            audit::forward(&mut rebuilt.state, &body_of(row, 1)?);
        }
    }
    Ok(rebuilt)
}

/// The state that the first entry of a scope found.
fn found_by(db: &Connection, key: &[u8], first: i64) -> Result<Rebuilt> {
    let mut statement =
        db.prepare_cached("SELECT entry, snapshot FROM audit WHERE scope = ?1 AND seq = ?2")?;
    let state = statement.query_row(params![key, first], |row| {
        let mut state = snapshot_of(row, 1)?;
        audit::backward(&mut state, &body_of(row, 0)?);
        Ok(state)
    })?;
    Ok(Rebuilt { state, seq: 0 })
}

fn body_of(row: &Row<'_>, column: usize) -> rusqlite::Result<AuditEntry> {
    Ok(rows::message_of(row, column)?.unwrap_or_default())
}

fn snapshot_of(row: &Row<'_>, column: usize) -> rusqlite::Result<State> {
    let snapshot: ScopedControls = rows::message_of(row, column)?.unwrap_or_default();
    audit::state_of(&snapshot).ok_or_else(|| {
        let problem = std::io::Error::other("a state beside an entry of the audit is no state");
        rows::damaged(column, problem)
    })
}
