//! Which sessions there are: listings with their filters, and what changed since.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::{
    Archived, Change, Filter, ListPosition, Result, micros,
    rows::{CHANGED, LAST_TURN, SESSION_COLUMNS, id_of, prefix_range, session_of},
};
use crate::{
    id::SessionId,
    proto::SessionState,
    row::{Session, Tombstone},
    time::from_micros,
};

/// A place in a listing of those that changed last: the session after which to go
/// on, and when it had changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecentPosition {
    /// Microseconds since 1970.
    pub update_time: i64,
    /// The session's place in the order of creation.
    pub number: i64,
}

/// Lists sessions, newest first.
pub(super) fn list(
    db: &Connection,
    filter: &Filter,
    after: Option<ListPosition>,
    limit: u32,
) -> Result<Vec<(ListPosition, Session)>> {
    let Some(mut wanted) = conditions(filter) else { return Ok(Vec::new()) };
    wanted.add("s.number < ?", after.map_or(i64::MAX, |position| position.0));
    listed(db, wanted, "s.number DESC", limit)
}

/// Lists sessions, those that changed last first.
pub(super) fn list_recent(
    db: &Connection,
    filter: &Filter,
    after: Option<RecentPosition>,
    limit: u32,
) -> Result<Vec<(RecentPosition, Session)>> {
    let Some(mut wanted) = conditions(filter) else { return Ok(Vec::new()) };
    if let Some(RecentPosition { update_time, number }) = after {
        wanted.add("(s.update_time, s.number) < (?, ?)", update_time);
        wanted.values.push(number.into());
    }
    let sessions = listed(db, wanted, "s.update_time DESC, s.number DESC", limit)?;
    let sessions = sessions.into_iter().map(|(ListPosition(number), session)| {
        (RecentPosition { update_time: micros(session.update_time), number }, session)
    });
    Ok(sessions.collect())
}

/// What a filter asks for; none where no session can be wanted.
fn conditions(filter: &Filter) -> Option<Conditions> {
    let Filter {
        id_prefix,
        states,
        source,
        labels,
        archived,
        working_directory,
        created_after,
        created_before,
        include_system_owned,
    } = filter;
    let (low, high) = prefix_range(id_prefix)?;
    let mut wanted = Conditions::default();
    wanted.add("s.id >= ?", low.to_vec());
    wanted.add("s.id <= ?", high.to_vec());
    if !states.is_empty() {
        let states = states.iter().map(|state| (*state as i32).to_string());
        wanted.always(&format!("s.state IN ({})", states.collect::<Vec<_>>().join(",")));
    }
    if let Some(source) = source {
        wanted.add("s.source = ?", source.clone());
    }
    for (key, value) in labels {
        // Keys may hold what means something in a JSON path.
        let mut each = "EXISTS (SELECT 1 FROM json_each(s.labels) WHERE key = ?".to_owned();
        if !value.is_empty() {
            each += " AND value = ?";
        }
        each += ")";
        wanted.add(&each, key.clone());
        if !value.is_empty() {
            wanted.values.push(value.clone().into());
        }
    }
    match archived {
        Archived::No => wanted.always("NOT s.archived"),
        Archived::Only => wanted.always("s.archived"),
        Archived::All => {}
    }
    if let Some(directory) = working_directory {
        let directory = directory.trim_end_matches('/').to_owned();
        // The slash that the prefix ends with is the character before 0.
        wanted.add(
            "(s.working_directory = ? OR s.working_directory = ? || '/' \
             OR (s.working_directory > ? || '/' AND s.working_directory < ? || '0'))",
            directory.clone(),
        );
        wanted.values.extend(std::iter::repeat_n(directory.into(), 3));
    }
    if let Some(time) = created_after {
        wanted.add("s.create_time >= ?", micros(*time));
    }
    if let Some(time) = created_before {
        wanted.add("s.create_time < ?", micros(*time));
    }
    if !include_system_owned {
        wanted.always("NOT s.system_owned");
    }
    Some(wanted)
}

fn listed(
    db: &Connection,
    mut wanted: Conditions,
    order: &str,
    limit: u32,
) -> Result<Vec<(ListPosition, Session)>> {
    let sql = format!(
        "SELECT {SESSION_COLUMNS} FROM {LAST_TURN} WHERE {} ORDER BY {order} LIMIT ?",
        wanted.text
    );
    wanted.values.push(i64::from(limit).into());
    let mut statement = db.prepare_cached(&sql)?;
    let rows = statement.query_map(rusqlite::params_from_iter(wanted.values), session_of)?;
    let rows = rows.map(|row| row.map(|(position, stored)| (position, stored.session)));
    let mut sessions = rows.collect::<rusqlite::Result<Vec<_>>>()?;
    if sessions.iter().any(|(_, session)| session.state() == SessionState::Queued) {
        let places = places(db)?;
        for (_, session) in &mut sessions {
            session.queue_position = places.get(&session.id).copied();
        }
    }
    Ok(sessions)
}

/// The sessions that have a label of this name, and what it says.
pub(super) fn labelled(db: &Connection, name: &str) -> Result<HashMap<SessionId, String>> {
    let mut statement = db.prepare_cached(
        "SELECT s.id, label.value FROM sessions s, json_each(s.labels) label WHERE label.key = ?1",
    )?;
    let rows = statement.query_map([name], |row| Ok((id_of(row, 0)?, row.get(1)?)))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// The conditions of a query, with the values that they name in order.
#[derive(Debug, Default)]
struct Conditions {
    text: String,
    values: Vec<rusqlite::types::Value>,
}

impl Conditions {
    fn always(&mut self, condition: &str) {
        if !self.text.is_empty() {
            self.text += " AND ";
        }
        self.text += condition;
    }

    fn add(&mut self, condition: &str, value: impl Into<rusqlite::types::Value>) {
        self.always(condition);
        self.values.push(value.into());
    }
}

/// The sessions that changed after the clock stood at `after`, in the order of
/// their last changes, and those that were deleted. Places in the queue change
/// with others, and are not told.
pub(super) fn changes(db: &Connection, after: i64, limit: u32) -> Result<Vec<(i64, Change)>> {
    // Both look at the same moment: what one commit changed and deleted must not
    // be seen by halves, or the place would move past what was not seen.
    let moment = db.unchecked_transaction()?;
    let sql = format!(
        "SELECT {SESSION_COLUMNS} FROM {LAST_TURN} WHERE s.changed > ?1 ORDER BY s.changed LIMIT ?2"
    );
    let mut statement = db.prepare_cached(&sql)?;
    let rows = statement.query_map(params![after, limit], |row| {
        let changed: i64 = row.get(CHANGED)?;
        session_of(row).map(|(_, stored)| (changed, Change::Session(Box::new(stored.session))))
    })?;
    let mut changes = rows.collect::<rusqlite::Result<Vec<_>>>()?;
    let mut statement = db.prepare_cached(
        "SELECT id, title, system_owned, delete_time, changed FROM tombstones \
         WHERE changed > ?1 ORDER BY changed LIMIT ?2",
    )?;
    let rows = statement.query_map(params![after, limit], |row| {
        Ok((row.get(4)?, Change::Deleted(tombstone_of(row)?)))
    })?;
    changes.extend(rows.collect::<rusqlite::Result<Vec<_>>>()?);
    changes.sort_by_key(|(changed, _)| *changed);
    changes.truncate(limit as usize);
    moment.finish()?;
    Ok(changes)
}

pub(super) fn tombstone(db: &Connection, id: SessionId) -> Result<Option<Tombstone>> {
    let mut statement = db.prepare_cached(
        "SELECT id, title, system_owned, delete_time FROM tombstones WHERE id = ?1",
    )?;
    Ok(statement.query_row([id.as_bytes()], tombstone_of).optional()?)
}

fn tombstone_of(row: &Row<'_>) -> rusqlite::Result<Tombstone> {
    Ok(Tombstone {
        id: id_of(row, 0)?,
        title: row.get(1)?,
        system_owned: row.get(2)?,
        delete_time: from_micros(row.get(3)?),
    })
}

/// The places of those that wait.
fn places(db: &Connection) -> Result<HashMap<SessionId, u32>> {
    let mut statement =
        db.prepare_cached("SELECT id FROM sessions WHERE queued IS NOT NULL ORDER BY queued")?;
    let ids = statement.query_map([], |row| id_of(row, 0))?;
    (1..).zip(ids).map(|(place, id)| Ok((id?, place))).collect()
}
