//! `EventService`.

use std::pin::Pin;

use futures_util::{Stream, TryStreamExt as _};
use tonic::{Request, Response, Status};

use super::CALLER;
use crate::{
    app::App,
    proto::{self, event_service_server::EventService},
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

type Messages = Pin<Box<dyn Stream<Item = Result<proto::WatchEventsResponse, Status>> + Send>>;

#[tonic::async_trait]
impl EventService for Service {
    type WatchEventsStream = Messages;

    /// The plain form of [`super::watch`], which stands before it: the same
    /// deliveries, encoded by tonic.
    async fn watch_events(
        &self,
        request: Request<proto::WatchEventsRequest>,
    ) -> Result<Response<Messages>, Status> {
        let answers = operations::watch_events(&self.app, &CALLER, request.into_inner()).await?;
        Ok(Response::new(Box::pin(answers.map_err(Status::from))))
    }

    async fn list_events(
        &self,
        request: Request<proto::ListEventsRequest>,
    ) -> Result<Response<proto::ListEventsResponse>, Status> {
        let answer = operations::list_events(&self.app, &CALLER, request.into_inner()).await?;
        Ok(Response::new(answer))
    }
}
