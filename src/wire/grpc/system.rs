//! `SystemService`.

use tonic::{Request, Response, Status};

use super::CALLER;
use crate::{
    app::App,
    proto::{self, system_service_server::SystemService},
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
impl SystemService for Service {
    async fn get_server_info(
        &self,
        request: Request<proto::GetServerInfoRequest>,
    ) -> Result<Response<proto::GetServerInfoResponse>, Status> {
        let answer = operations::get_server_info(&self.app, &CALLER, request.into_inner()).await?;
        Ok(Response::new(answer))
    }
}
