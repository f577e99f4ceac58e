//! `SessionService`.

use std::pin::Pin;

use futures_util::{Stream, TryStreamExt as _};
use tonic::{Request, Response, Status};

use super::CALLER;
use crate::{
    app::App,
    proto::{self, session_service_server::SessionService},
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

type SessionChanges =
    Pin<Box<dyn Stream<Item = Result<proto::WatchSessionsResponse, Status>> + Send>>;
type Chunks = Pin<Box<dyn Stream<Item = Result<proto::ReadOutputResponse, Status>> + Send>>;

#[tonic::async_trait]
impl SessionService for Service {
    type WatchSessionsStream = SessionChanges;
    type ReadOutputStream = Chunks;

    async fn create_session(
        &self,
        request: Request<proto::CreateSessionRequest>,
    ) -> Result<Response<proto::CreateSessionResponse>, Status> {
        let answer = operations::create_session(&self.app, &CALLER, request.into_inner()).await?;
        Ok(Response::new(answer))
    }

    async fn get_session(
        &self,
        request: Request<proto::GetSessionRequest>,
    ) -> Result<Response<proto::GetSessionResponse>, Status> {
        let answer = operations::get_session(&self.app, &CALLER, request.into_inner()).await?;
        Ok(Response::new(answer))
    }

    async fn list_sessions(
        &self,
        request: Request<proto::ListSessionsRequest>,
    ) -> Result<Response<proto::ListSessionsResponse>, Status> {
        let answer = operations::list_sessions(&self.app, &CALLER, request.into_inner()).await?;
        Ok(Response::new(answer))
    }

    async fn watch_sessions(
        &self,
        request: Request<proto::WatchSessionsRequest>,
    ) -> Result<Response<SessionChanges>, Status> {
        let answers = operations::watch_sessions(&self.app, &CALLER, request.into_inner()).await?;
        Ok(Response::new(Box::pin(answers.map_err(Status::from))))
    }

    async fn update_session(
        &self,
        request: Request<proto::UpdateSessionRequest>,
    ) -> Result<Response<proto::UpdateSessionResponse>, Status> {
        let answer = operations::update_session(&self.app, &CALLER, request.into_inner()).await?;
        Ok(Response::new(answer))
    }

    async fn start_turn(
        &self,
        request: Request<proto::StartTurnRequest>,
    ) -> Result<Response<proto::StartTurnResponse>, Status> {
        let answer = operations::start_turn(&self.app, &CALLER, request.into_inner()).await?;
        Ok(Response::new(answer))
    }

    async fn interrupt_turn(
        &self,
        request: Request<proto::InterruptTurnRequest>,
    ) -> Result<Response<proto::InterruptTurnResponse>, Status> {
        let answer = operations::interrupt_turn(&self.app, &CALLER, request.into_inner()).await?;
        Ok(Response::new(answer))
    }

    async fn kill_session(
        &self,
        request: Request<proto::KillSessionRequest>,
    ) -> Result<Response<proto::KillSessionResponse>, Status> {
        let answer = operations::kill_session(&self.app, &CALLER, request.into_inner()).await?;
        Ok(Response::new(answer))
    }

    async fn fork_session(
        &self,
        request: Request<proto::ForkSessionRequest>,
    ) -> Result<Response<proto::ForkSessionResponse>, Status> {
        let answer = operations::fork_session(&self.app, &CALLER, request.into_inner()).await?;
        Ok(Response::new(answer))
    }

    async fn delete_session(
        &self,
        request: Request<proto::DeleteSessionRequest>,
    ) -> Result<Response<proto::DeleteSessionResponse>, Status> {
        let answer = operations::delete_session(&self.app, &CALLER, request.into_inner()).await?;
        Ok(Response::new(answer))
    }

    async fn cleanup_sessions(
        &self,
        request: Request<proto::CleanupSessionsRequest>,
    ) -> Result<Response<proto::CleanupSessionsResponse>, Status> {
        let answer = operations::cleanup_sessions(&self.app, &CALLER, request.into_inner()).await?;
        Ok(Response::new(answer))
    }

    async fn wait_session(
        &self,
        request: Request<proto::WaitSessionRequest>,
    ) -> Result<Response<proto::WaitSessionResponse>, Status> {
        let answer = operations::wait_session(&self.app, &CALLER, request.into_inner()).await?;
        Ok(Response::new(answer))
    }

    async fn read_output(
        &self,
        request: Request<proto::ReadOutputRequest>,
    ) -> Result<Response<Chunks>, Status> {
        let answers = operations::read_output(&self.app, &CALLER, request.into_inner()).await?;
        Ok(Response::new(Box::pin(answers.map_err(Status::from))))
    }

    async fn list_turns(
        &self,
        request: Request<proto::ListTurnsRequest>,
    ) -> Result<Response<proto::ListTurnsResponse>, Status> {
        let answer = operations::list_turns(&self.app, &CALLER, request.into_inner()).await?;
        Ok(Response::new(answer))
    }

    async fn list_messages(
        &self,
        request: Request<proto::ListMessagesRequest>,
    ) -> Result<Response<proto::ListMessagesResponse>, Status> {
        let answer = operations::list_messages(&self.app, &CALLER, request.into_inner()).await?;
        Ok(Response::new(answer))
    }

    async fn get_trajectory(
        &self,
        request: Request<proto::GetTrajectoryRequest>,
    ) -> Result<Response<proto::GetTrajectoryResponse>, Status> {
        let answer = operations::get_trajectory(&self.app, &CALLER, request.into_inner()).await?;
        Ok(Response::new(answer))
    }
}
