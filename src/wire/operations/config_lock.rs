//! `ConfigLockService`: what a session runs with, written down and compared.

use super::{
    Caller,
    fields::parse_id,
    session::{parse_lock, parse_session},
};
use crate::{
    Error, Result,
    agent::Compared,
    app::{App, Verdict, VerifiedLock, WrittenLock},
    lock::{CatalogueFields, DriftedValue},
    proto,
};

/// Writes down what a session runs with.
///
/// # Errors
///
/// As `ExportConfigLock` of the contract lists.
pub(crate) async fn export_config_lock(
    app: &App,
    _caller: &Caller,
    request: proto::ExportConfigLockRequest,
) -> Result<proto::ExportConfigLockResponse> {
    let proto::ExportConfigLockRequest { session_id, save_fields_resolved_from_model_catalog } =
        request;
    let id = parse_id("session_id", &session_id)?;
    let catalogue = save_fields_resolved_from_model_catalog
        .map(|save| if save { CatalogueFields::Saved } else { CatalogueFields::LeftOut });
    let WrittenLock { text, path, sha256, notes } = app.export_lock(id, catalogue).await?;
    Ok(proto::ExportConfigLockResponse {
        config_lock: text,
        path: path.to_string_lossy().into_owned(),
        sha256,
        notes,
    })
}

/// Compares a lock with what a session would run with.
///
/// # Errors
///
/// As `VerifyConfigLock` of the contract lists.
pub(crate) async fn verify_config_lock(
    app: &App,
    _caller: &Caller,
    request: proto::VerifyConfigLockRequest,
) -> Result<proto::VerifyConfigLockResponse> {
    let proto::VerifyConfigLockRequest {
        config_lock,
        session_id,
        session,
        allow_codex_version_mismatch,
    } = request;
    let what = match (session_id.as_str(), session) {
        ("", session) => {
            let new = parse_session(session.unwrap_or_default(), "session_id", "", None)?;
            VerifiedLock::New(Box::new(new))
        }
        (id, None) => VerifiedLock::Session(parse_id("session_id", id)?),
        (_, Some(_)) => {
            return Err(Error::invalid(
                "session",
                "it says what a new session would be; leave it or session_id out",
            ));
        }
    };
    let lock = parse_lock(config_lock, allow_codex_version_mismatch)?;
    let Verdict { compared, locked_codex_version, working_directory } =
        app.verify_lock(what, lock).await?;
    let Compared { drift, codex_version, notes } = compared;
    let values = drift.values.into_iter().map(|DriftedValue { key, locked, actual, origin }| {
        let (locked, actual) = (locked.unwrap_or_default(), actual.unwrap_or_default());
        proto::ConfigDrift { key, locked, actual, origin }
    });
    let drift_values: Vec<_> = values.collect();
    Ok(proto::VerifyConfigLockResponse {
        matches: drift_values.is_empty(),
        drift: drift_values,
        diff: drift.diff,
        locked_codex_version,
        codex_version,
        notes,
        working_directory: working_directory.to_string_lossy().into_owned(),
    })
}
