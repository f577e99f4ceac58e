//! `ConfigLockService`: what a session runs with, written down and compared.

use super::Caller;
use crate::{Error, Result, app::App, proto};

/// Writes down what a session runs with.
///
/// # Errors
///
/// As `ExportConfigLock` of the contract lists.
pub(crate) async fn export_config_lock(
    _app: &App,
    _caller: &Caller,
    _request: proto::ExportConfigLockRequest,
) -> Result<proto::ExportConfigLockResponse> {
    Err(Error::Unimplemented { what: "ExportConfigLock".to_owned() })
}

/// Compares a lock with what a session would run with.
///
/// # Errors
///
/// As `VerifyConfigLock` of the contract lists.
pub(crate) async fn verify_config_lock(
    _app: &App,
    _caller: &Caller,
    _request: proto::VerifyConfigLockRequest,
) -> Result<proto::VerifyConfigLockResponse> {
    Err(Error::Unimplemented { what: "VerifyConfigLock".to_owned() })
}
