//! `AuditService`.

use std::pin::Pin;

use futures_util::{Stream, TryStreamExt as _};
use tonic::{Request, Response, Status};

use super::CALLER;
use crate::{
    app::App,
    proto::{self, audit_service_server::AuditService},
    wire::operations,
};

/// The adapter.
#[derive(Debug, Clone)]
pub(super) struct Service {
    app: App,
}

impl Service {
    pub(super) fn new(app: App) -> Self {
        Self { app }
    }
}

type Entries = Pin<Box<dyn Stream<Item = Result<proto::WatchAuditEntriesResponse, Status>> + Send>>;

#[tonic::async_trait]
impl AuditService for Service {
    type WatchAuditEntriesStream = Entries;

    async fn watch_audit_entries(
        &self,
        request: Request<proto::WatchAuditEntriesRequest>,
    ) -> Result<Response<Entries>, Status> {
        let answers =
            operations::watch_audit_entries(&self.app, &CALLER, request.into_inner()).await?;
        Ok(Response::new(Box::pin(answers.map_err(Status::from))))
    }

    async fn list_audit_entries(
        &self,
        request: Request<proto::ListAuditEntriesRequest>,
    ) -> Result<Response<proto::ListAuditEntriesResponse>, Status> {
        let answer =
            operations::list_audit_entries(&self.app, &CALLER, request.into_inner()).await?;
        Ok(Response::new(answer))
    }

    async fn verify_audit(
        &self,
        request: Request<proto::VerifyAuditRequest>,
    ) -> Result<Response<proto::VerifyAuditResponse>, Status> {
        let answer = operations::verify_audit(&self.app, &CALLER, request.into_inner()).await?;
        Ok(Response::new(answer))
    }

    async fn get_audit_state(
        &self,
        request: Request<proto::GetAuditStateRequest>,
    ) -> Result<Response<proto::GetAuditStateResponse>, Status> {
        let answer = operations::get_audit_state(&self.app, &CALLER, request.into_inner()).await?;
        Ok(Response::new(answer))
    }
}
