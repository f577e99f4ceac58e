//! `SettingsService`.

use tonic::{Request, Response, Status};

use super::CALLER;
use crate::{
    app::App,
    proto::{self, settings_service_server::SettingsService},
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
impl SettingsService for Service {
    async fn get_settings(
        &self,
        request: Request<proto::GetSettingsRequest>,
    ) -> Result<Response<proto::GetSettingsResponse>, Status> {
        let answer = operations::get_settings(&self.app, &CALLER, request.into_inner()).await?;
        Ok(Response::new(answer))
    }

    async fn update_settings(
        &self,
        request: Request<proto::UpdateSettingsRequest>,
    ) -> Result<Response<proto::UpdateSettingsResponse>, Status> {
        let answer = operations::update_settings(&self.app, &CALLER, request.into_inner()).await?;
        Ok(Response::new(answer))
    }

    async fn delete_setting(
        &self,
        request: Request<proto::DeleteSettingRequest>,
    ) -> Result<Response<proto::DeleteSettingResponse>, Status> {
        let answer = operations::delete_setting(&self.app, &CALLER, request.into_inner()).await?;
        Ok(Response::new(answer))
    }
}
