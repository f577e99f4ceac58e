//! Answers to requests that carried an id, kept for their twins.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::{Database, RECEIPT_LIFETIME, Receipt, Result, micros};
use crate::time;

impl Database {
    /// Keeps a receipt by itself, where the effect is not in the database.
    pub async fn insert_receipt(&self, receipt: Receipt) -> Result<()> {
        self.writer.call(move |db| insert(db, Some(&receipt))).await
    }

    /// The fingerprint and the answer of an earlier request, where it is kept.
    pub async fn receipt(
        &self,
        method: &'static str,
        request_id: String,
    ) -> Result<Option<([u8; 32], Vec<u8>)>> {
        self.reader.call(move |db| find(db, method, &request_id)).await
    }
}

/// Keeps a receipt, and lets those go that are too old. To be called in the
/// transaction that makes the effect.
pub(super) fn insert(db: &Connection, receipt: Option<&Receipt>) -> Result<()> {
    let Some(Receipt { method, request_id, fingerprint, response }) = receipt else {
        return Ok(());
    };
    let now = time::now();
    db.prepare_cached("DELETE FROM receipts WHERE time < ?1")?
        .execute([micros(now - RECEIPT_LIFETIME)])?;
    db.prepare_cached(
        "INSERT OR REPLACE INTO receipts (method, request_id, fingerprint, response, time) \
         VALUES (?1, ?2, ?3, ?4, ?5)",
    )?
    .execute(params![method, request_id, fingerprint, response, micros(now)])?;
    Ok(())
}

/// The fingerprint and the answer of an earlier request that is not too old.
pub(super) fn find(
    db: &Connection,
    method: &str,
    request_id: &str,
) -> Result<Option<([u8; 32], Vec<u8>)>> {
    let mut statement = db.prepare_cached(
        "SELECT fingerprint, response FROM receipts \
         WHERE method = ?1 AND request_id = ?2 AND time >= ?3",
    )?;
    let oldest = micros(time::now() - RECEIPT_LIFETIME);
    let found = statement
        .query_row(params![method, request_id, oldest], |row| Ok((row.get(0)?, row.get(1)?)));
    Ok(found.optional()?)
}
