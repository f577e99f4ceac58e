//! `ControlsService`.

use tonic::{Request, Response, Status};

use super::CALLER;
use crate::{
    app::App,
    proto::{self, controls_service_server::ControlsService},
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
impl ControlsService for Service {
    async fn get_controls(
        &self,
        request: Request<proto::GetControlsRequest>,
    ) -> Result<Response<proto::GetControlsResponse>, Status> {
        let answer = operations::get_controls(&self.app, &CALLER, request.into_inner()).await?;
        Ok(Response::new(answer))
    }

    async fn apply_controls(
        &self,
        request: Request<proto::ApplyControlsRequest>,
    ) -> Result<Response<proto::ApplyControlsResponse>, Status> {
        let answer = operations::apply_controls(&self.app, &CALLER, request.into_inner()).await?;
        Ok(Response::new(answer))
    }
}
