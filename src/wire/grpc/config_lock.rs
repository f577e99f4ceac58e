//! `ConfigLockService`.

use tonic::{Request, Response, Status};

use super::CALLER;
use crate::{
    app::App,
    proto::{self, config_lock_service_server::ConfigLockService},
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

#[tonic::async_trait]
impl ConfigLockService for Service {
    async fn export_config_lock(
        &self,
        request: Request<proto::ExportConfigLockRequest>,
    ) -> Result<Response<proto::ExportConfigLockResponse>, Status> {
        let answer =
            operations::export_config_lock(&self.app, &CALLER, request.into_inner()).await?;
        Ok(Response::new(answer))
    }

    async fn verify_config_lock(
        &self,
        request: Request<proto::VerifyConfigLockRequest>,
    ) -> Result<Response<proto::VerifyConfigLockResponse>, Status> {
        let answer =
            operations::verify_config_lock(&self.app, &CALLER, request.into_inner()).await?;
        Ok(Response::new(answer))
    }
}
