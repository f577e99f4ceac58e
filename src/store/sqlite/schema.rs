//! The schema of `state.db` and its numbered migrations.

use rusqlite::{Connection, TransactionBehavior};

use super::{Error, Result};

/// Migration n (from 1) brings the schema from version n - 1 to n. One that was
/// released is never edited.
const MIGRATIONS: &[&str] = &[
    "
CREATE TABLE sessions (
    number INTEGER PRIMARY KEY,          -- in order of creation
    id BLOB NOT NULL UNIQUE,             -- the sixteen bytes of the UUID
    state INTEGER NOT NULL,              -- of the last turn, for the index
    agent TEXT NOT NULL,
    source TEXT NOT NULL,
    title TEXT NOT NULL,
    labels TEXT NOT NULL,                -- a JSON object
    working_directory TEXT NOT NULL,
    model TEXT,
    sandbox INTEGER NOT NULL,
    thread_id TEXT,
    codex_version TEXT NOT NULL,
    first_prompt TEXT NOT NULL,
    turn_count INTEGER NOT NULL,
    usage BLOB,                          -- an encoded switchboard.v1.Usage
    create_time INTEGER NOT NULL,        -- microseconds since 1970, as all times
    update_time INTEGER NOT NULL,
    applied_seq INTEGER NOT NULL
) STRICT;
CREATE INDEX sessions_active ON sessions (state) WHERE state IN (3, 4);

CREATE TABLE turns (
    session BLOB NOT NULL REFERENCES sessions (id),
    number INTEGER NOT NULL,
    state INTEGER NOT NULL,
    reason INTEGER NOT NULL,
    verdict INTEGER,                     -- 1 completed, 2 failed
    verdict_message TEXT,
    pid INTEGER,
    exit_code INTEGER,
    signal INTEGER,
    start_time INTEGER NOT NULL,
    end_time INTEGER,
    error TEXT NOT NULL,
    PRIMARY KEY (session, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE outbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    session BLOB NOT NULL REFERENCES sessions (id),
    turn INTEGER,
    event BLOB NOT NULL                  -- an encoded switchboard.v1.Event
) STRICT;
CREATE INDEX outbox_session ON outbox (session, id);
",
    "
ALTER TABLE sessions ADD COLUMN archived INTEGER NOT NULL DEFAULT 0;
ALTER TABLE sessions ADD COLUMN system_owned INTEGER NOT NULL DEFAULT 0;
ALTER TABLE sessions ADD COLUMN forked_session BLOB;
ALTER TABLE sessions ADD COLUMN forked_thread TEXT;
ALTER TABLE sessions ADD COLUMN options BLOB; -- encoded; NULL for none
ALTER TABLE sessions ADD COLUMN revision INTEGER NOT NULL DEFAULT 1;
ALTER TABLE sessions ADD COLUMN queued INTEGER;              -- the ticket of a turn that waits
ALTER TABLE sessions ADD COLUMN changed INTEGER NOT NULL DEFAULT 0; -- the clock at the last change
UPDATE sessions SET changed = number;
CREATE UNIQUE INDEX sessions_changed ON sessions (changed);
CREATE INDEX sessions_queued ON sessions (queued) WHERE queued IS NOT NULL;
CREATE INDEX sessions_update_time ON sessions (update_time);
DROP INDEX sessions_active;
CREATE INDEX sessions_active ON sessions (state) WHERE state IN (2, 3, 4);

ALTER TABLE turns ADD COLUMN usage_before BLOB;  -- encoded switchboard.v1.Usage, as usage_after
ALTER TABLE turns ADD COLUMN usage_after BLOB;

CREATE TABLE clock (                     -- one row; rises with every change of the catalogue
    id INTEGER PRIMARY KEY CHECK (id = 1),
    value INTEGER NOT NULL,
    catalogue BLOB NOT NULL              -- eight random bytes, for as long as the clock is the same
) STRICT;
INSERT INTO clock SELECT 1, coalesce(max(number), 0), randomblob(8) FROM sessions;

CREATE TABLE tombstones (
    id BLOB PRIMARY KEY,
    title TEXT NOT NULL,
    system_owned INTEGER NOT NULL,
    delete_time INTEGER NOT NULL,
    changed INTEGER NOT NULL UNIQUE
) STRICT, WITHOUT ROWID;

CREATE TABLE receipts (                  -- answers to requests that carried an id
    method TEXT NOT NULL,
    request_id TEXT NOT NULL,
    fingerprint BLOB NOT NULL,           -- SHA-256 of the request without its id
    response BLOB NOT NULL,              -- encoded
    time INTEGER NOT NULL,
    PRIMARY KEY (method, request_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX receipts_time ON receipts (time);

CREATE TABLE forgotten_threads (         -- of deleted sessions, which their agents still keep
    agent TEXT NOT NULL,
    thread TEXT NOT NULL,
    forked_thread TEXT,                  -- that it is a fork of
    refusals INTEGER NOT NULL,           -- how often the agent kept it although it was asked
    time INTEGER NOT NULL,
    PRIMARY KEY (agent, thread)
) STRICT, WITHOUT ROWID;
CREATE INDEX forgotten_threads_forked ON forgotten_threads (forked_thread)
    WHERE forked_thread IS NOT NULL;
CREATE INDEX sessions_forked_thread ON sessions (forked_thread) WHERE forked_thread IS NOT NULL;

CREATE TABLE controls (                  -- what each session's agent may do, with its settings
    scope BLOB NOT NULL UNIQUE,          -- the session's id; empty for what new ones begin with
    model TEXT,
    approval_policy INTEGER NOT NULL,
    network INTEGER NOT NULL,
    sandbox INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    audit_seq INTEGER NOT NULL,          -- the last entry of the audit about it; 0 for none
    unsaved INTEGER NOT NULL,            -- bytes of entries since the last snapshot
    settings TEXT NOT NULL               -- a JSON object
) STRICT;
INSERT INTO controls
    SELECT id, model, 0, 0, sandbox, 1, 0, 0, '{}' FROM sessions ORDER BY number;
ALTER TABLE sessions DROP COLUMN model;
ALTER TABLE sessions DROP COLUMN sandbox;

CREATE TABLE audit (
    seq INTEGER PRIMARY KEY,             -- 1 for the first, without gaps
    time INTEGER NOT NULL,
    scope BLOB NOT NULL,                 -- as in controls
    session BLOB,                        -- that the call named
    hash BLOB NOT NULL,
    entry BLOB NOT NULL,                 -- an encoded switchboard.v1.AuditEntry without hashes
    snapshot BLOB                        -- an encoded switchboard.v1.ScopedControls
) STRICT;
CREATE INDEX audit_scope ON audit (scope, seq);
CREATE INDEX audit_session ON audit (session, seq) WHERE session IS NOT NULL;

CREATE TABLE notes (                     -- what clients add to the transcripts of sessions
    number INTEGER PRIMARY KEY,
    session BLOB NOT NULL REFERENCES sessions (id),
    name TEXT NOT NULL,                  -- the client's
    text TEXT NOT NULL,
    changed INTEGER NOT NULL UNIQUE,     -- the clock at the last change
    UNIQUE (session, name)
) STRICT;
CREATE INDEX notes_session ON notes (session, number);

ALTER TABLE sessions ADD COLUMN persist INTEGER NOT NULL DEFAULT 0;
ALTER TABLE sessions ADD COLUMN lock_sha256 TEXT;            -- of its config lock; NULL for none
ALTER TABLE sessions ADD COLUMN lock_codex_version TEXT;
ALTER TABLE sessions ADD COLUMN lock_any_version INTEGER NOT NULL DEFAULT 0;
",
];

/// The version that this program writes.
pub const SCHEMA_VERSION: i64 = MIGRATIONS.len() as i64;

/// Sets what holds for every connection.
pub(super) fn configure(connection: &Connection) -> Result<()> {
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    // All there are. With rusqlite's sixteen a statement may be gone when it comes again.
    connection.set_prepared_statement_cache_capacity(128);
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    Ok(())
}

/// Says which version the file has: 0 for a new one. Changes nothing.
///
/// # Errors
///
/// [`Error::Newer`].
pub(super) fn check(connection: &Connection) -> Result<i64> {
    let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if found > SCHEMA_VERSION {
        return Err(Error::Newer { found, known: SCHEMA_VERSION });
    }
    Ok(found)
}

/// Brings the file to [`SCHEMA_VERSION`], one transaction a step.
pub(super) fn migrate(connection: &mut Connection) -> Result<()> {
    let found = check(connection)?;
    for version in found..SCHEMA_VERSION {
        let step = usize::try_from(version).expect("user_version is not below 0 here");
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(MIGRATIONS[step])?;
        transaction.pragma_update(None, "user_version", version + 1)?;
        transaction.commit()?;
    }
    Ok(())
}
