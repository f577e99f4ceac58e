//! Config locks on the real codex: what a session runs with is written down, and
//! a session that is held to it runs with that or not at all.

mod command_line;
mod configured;
mod defaults;
mod drift;
mod keeping;
mod replay;
mod resolving;

use std::{collections::BTreeMap, fs, path::PathBuf};

use serde_json::Value;
use switchboard::proto::{
    CodexOptions, ConfigDrift, CreateSessionRequest, ExportConfigLockRequest,
    ExportConfigLockResponse, Session, VerifyConfigLockRequest, VerifyConfigLockResponse,
};
use tonic::Status;

use super::Stage;
use crate::{
    json_rpc::Rpc,
    ledger::{list, reason},
    model::Reply,
    rest::Rest,
};

impl Stage {
    /// A session that ran a turn, and the lock of what it ran with.
    async fn locked(&self) -> (Session, String) {
        self.locked_as(self.session()).await
    }

    async fn locked_as(&self, session: Session) -> (Session, String) {
        self.model.script([Reply::new().message("done")]);
        let session = self.create_as(session, "Go.").await;
        let (session, _) = self.rest(&session).await;
        let lock = self.export(&session).await.config_lock;
        (session, lock)
    }

    async fn try_export(&self, session: &Session) -> Result<ExportConfigLockResponse, Status> {
        let request = ExportConfigLockRequest {
            session_id: session.session_id.clone(),
            ..ExportConfigLockRequest::default()
        };
        Ok(self.clients.locks.clone().export_config_lock(request).await?.into_inner())
    }

    async fn export(&self, session: &Session) -> ExportConfigLockResponse {
        self.try_export(session).await.unwrap()
    }

    async fn try_verify(
        &self,
        request: VerifyConfigLockRequest,
    ) -> Result<VerifyConfigLockResponse, Status> {
        Ok(self.clients.locks.clone().verify_config_lock(request).await?.into_inner())
    }

    /// What would differ for a new session that chooses this.
    async fn drift(&self, lock: &str, session: Session) -> Vec<ConfigDrift> {
        let request = VerifyConfigLockRequest {
            config_lock: lock.to_owned(),
            session: Some(session),
            ..VerifyConfigLockRequest::default()
        };
        let answer = self.try_verify(request).await.unwrap();
        assert_eq!(answer.matches, answer.drift.is_empty());
        assert_eq!(answer.matches, answer.diff.is_empty());
        answer.drift
    }

    /// Creates a session that is held to a lock, and starts its first turn.
    async fn try_replay(&self, lock: &str, session: Session) -> Result<Session, Status> {
        let request = CreateSessionRequest {
            session: Some(session),
            prompt: "Go.".to_owned(),
            config_lock: lock.to_owned(),
            ..CreateSessionRequest::default()
        };
        let answer = self.clients.sessions.clone().create_session(request).await?;
        Ok(answer.into_inner().session.unwrap())
    }

    /// A session that is refused for what differs leaves nothing, and costs nothing.
    async fn assert_refused(&self, refused: Result<Session, Status>) -> Status {
        let refused = refused.unwrap_err();
        assert_eq!(list(&self.clients).await.len(), 1, "{refused:?}");
        assert_eq!(self.model.requests().len(), 1, "{refused:?}");
        refused
    }
}

/// What codex recorded of a turn, without what differs in each.
fn context(mut recorded: Value) -> Value {
    let context = recorded.as_object_mut().unwrap();
    for key in ["turn_id", "current_date", "root_turn_id", "trace_id"] {
        context.remove(key);
    }
    recorded
}

/// A lock with one value changed.
fn with(lock: &str, from: &str, to: &str) -> String {
    assert!(lock.contains(from), "{from} is not in {lock}");
    lock.replacen(from, to, 1)
}

/// The metadata of an error.
fn metadata(status: &Status) -> BTreeMap<String, String> {
    use tonic_types::StatusExt as _;
    status.get_details_error_info().unwrap().metadata.into_iter().collect()
}

/// The lock that was exported of a session, as a file.
fn file_of(answer: &ExportConfigLockResponse) -> PathBuf {
    use std::os::unix::fs::PermissionsExt as _;
    let path = PathBuf::from(&answer.path);
    assert_eq!(fs::read_to_string(&path).unwrap(), answer.config_lock);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    path
}

fn options(key: &str, value: &str) -> Option<CodexOptions> {
    Some(super::options::config([(key, value)]))
}
