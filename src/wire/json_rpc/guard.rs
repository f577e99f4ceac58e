//! What every call passes before jsonrpsee looks for its method: what jsonrpsee
//! would do otherwise than JSON-RPC has it, and what it would say in words of its
//! own.
//!
//! - A notification is carried out, and not answered.
//! - A batch is bounded, and has no subscription in it: its answer would come
//!   twice.
//! - A subscription is ended by the name of its parameter.
//! - A connection has so many calls under way, and no more.

use std::{borrow::Cow, sync::Arc, time::Duration};

use jsonrpsee::{
    core::{
        middleware::{Batch, BatchEntry, Notification, RpcServiceT},
        server::{BatchResponseBuilder, MethodResponse},
    },
    types::{Id, Request, error as codes},
};
use serde_json::value::RawValue;
use tokio::sync::Semaphore;
use tower::Layer;

use super::{
    error,
    methods::{self, Call},
    socket::{Subscriptions, Upgraded},
};
use crate::{Error, config::JsonRpcConfig};

/// How many calls of one connection may be under way.
pub(super) const MAX_IN_FLIGHT: usize = 256;
/// The most bytes of all answers to a batch.
pub(super) const MAX_BATCH_ANSWER: usize = 128 << 20;

/// Puts a guard before each connection.
#[derive(Debug, Clone)]
pub(super) struct Guards {
    pub limits: JsonRpcConfig,
}

impl<S> Layer<S> for Guards {
    type Service = Guard<S>;

    fn layer(&self, inner: S) -> Guard<S> {
        let in_flight = Arc::new(Semaphore::new(MAX_IN_FLIGHT));
        Guard { inner, limits: self.limits, in_flight }
    }
}

/// The guard of one connection.
#[derive(Debug, Clone)]
pub(super) struct Guard<S> {
    inner: S,
    limits: JsonRpcConfig,
    in_flight: Arc<Semaphore>,
}

impl<S> RpcServiceT for Guard<S>
where
    S: RpcServiceT<
            MethodResponse = MethodResponse,
            NotificationResponse = MethodResponse,
            BatchResponse = MethodResponse,
        > + Clone
        + Send
        + Sync
        + 'static,
{
    type MethodResponse = MethodResponse;
    type NotificationResponse = MethodResponse;
    type BatchResponse = MethodResponse;

    fn call<'a>(&self, request: Request<'a>) -> impl Future<Output = MethodResponse> + Send + 'a {
        let guard = self.clone();
        async move { guard.answer(request).await }
    }

    fn batch<'a>(&self, batch: Batch<'a>) -> impl Future<Output = MethodResponse> + Send + 'a {
        let guard = self.clone();
        async move { guard.answer_batch(batch).await }
    }

    fn notification<'a>(
        &self,
        notification: Notification<'a>,
    ) -> impl Future<Output = MethodResponse> + Send + 'a {
        let guard = self.clone();
        async move {
            let Notification { jsonrpc, method, params, extensions } = notification;
            // A subscription that a notification begins would have no name.
            let begins = methods::find(&method)
                .is_some_and(|method| matches!(method.call, Call::Watch { .. }));
            if !begins {
                let id = Id::Null;
                let extensions = extensions.clone();
                // Nobody can be told that there are too many: it waits.
                let _permit = guard.in_flight.acquire().await;
                guard.carry_out(Request { jsonrpc, id, method, params, extensions }).await;
            }
            needs_none(&extensions);
            MethodResponse::notification().with_extensions(extensions)
        }
    }
}

impl<S> Guard<S>
where
    S: RpcServiceT<MethodResponse = MethodResponse> + Send + Sync,
{
    async fn answer(&self, request: Request<'_>) -> MethodResponse {
        let Ok(_permit) = self.in_flight.try_acquire() else {
            return MethodResponse::error(request.id, error::object(&too_many_under_way()));
        };
        self.carry_out(request).await
    }

    async fn carry_out(&self, mut request: Request<'_>) -> MethodResponse {
        let id = request.id.clone().into_owned();
        if let Err(error) = prepare(&mut request) {
            return MethodResponse::error(id, error::object(&error));
        }
        let response = self.inner.call(request).await;
        match response.as_error_code() {
            Some(code @ codes::TOO_MANY_SUBSCRIPTIONS_CODE) => {
                MethodResponse::error(id, error::own(code, &self.limits))
            }
            Some(_) | None => response,
        }
    }

    async fn answer_batch(&self, batch: Batch<'_>) -> MethodResponse {
        let size = batch.len();
        if size > self.limits.max_batch as usize {
            let error = too_many(size, &self.limits);
            return MethodResponse::error(Id::Null, error::object(&error));
        }
        if size == 0 {
            let error = error::own(codes::INVALID_REQUEST_CODE, &self.limits);
            return MethodResponse::error(Id::Null, error);
        }
        // One after the other, and so one of those under way.
        let has_answer =
            batch.iter().any(|entry| !matches!(entry, Ok(BatchEntry::Notification(_))));
        let _permit = if has_answer {
            let Ok(permit) = self.in_flight.try_acquire() else {
                return MethodResponse::error(Id::Null, error::object(&too_many_under_way()));
            };
            Some(permit)
        } else {
            self.in_flight.acquire().await.ok()
        };
        let mut extensions = None;
        let mut answers = BatchResponseBuilder::new_with_limit(MAX_BATCH_ANSWER);
        for entry in batch {
            let answer = match entry {
                Ok(BatchEntry::Call(request)) => self.answer_in_batch(request).await,
                Ok(BatchEntry::Notification(notification)) => {
                    let Notification { jsonrpc, method, params, extensions: given } = notification;
                    extensions = Some(given.clone());
                    let request =
                        Request { jsonrpc, id: Id::Null, method, params, extensions: given };
                    self.answer_in_batch(request).await;
                    continue;
                }
                Err(entry) => {
                    let (error, id) = entry.into_parts();
                    MethodResponse::error(id, error::own(error.code(), &self.limits))
                }
            };
            if answers.append(answer).is_err() {
                // Its first calls were carried out: nothing that is to be repeated.
                let error = Error::PayloadTooLarge {
                    what: "what answers the first calls of this batch, which were carried out,",
                    size: MAX_BATCH_ANSWER as u64 + 1,
                    limit: MAX_BATCH_ANSWER as u64,
                    unit: "bytes",
                };
                return MethodResponse::error(Id::Null, error::object(&error));
            }
        }
        if answers.is_empty() {
            extensions.iter().for_each(needs_none);
            return MethodResponse::notification();
        }
        MethodResponse::from_batch(answers.finish())
    }

    async fn answer_in_batch(&self, request: Request<'_>) -> MethodResponse {
        let watches = methods::find(&request.method)
            .is_some_and(|method| matches!(method.call, Call::Watch { .. }));
        if watches {
            let error = Error::invalid("method", "subscribe by a call of its own, not in a batch");
            return MethodResponse::error(request.id, error::object(&error));
        }
        self.carry_out(request).await
    }
}

/// That a connection has as many calls under way as there may be.
fn too_many_under_way() -> Error {
    let problem = format!(
        "this connection has {MAX_IN_FLIGHT} calls under way: wait for one of their answers, or open another connection"
    );
    Error::Overloaded { problem, retry_after: Duration::from_secs(1) }
}

/// Says that a message has no answer.
fn needs_none(extensions: &http::Extensions) {
    if let Some(upgraded) = extensions.get::<Upgraded>() {
        upgraded.settle(1);
    }
}

/// What a batch has that is too large.
pub(super) fn too_many(size: usize, limits: &JsonRpcConfig) -> Error {
    Error::PayloadTooLarge {
        what: "the batch",
        size: size as u64,
        limit: limits.max_batch.into(),
        unit: "calls",
    }
}

/// Looks for the method, and gives it its parameters as jsonrpsee wants them.
fn prepare(request: &mut Request<'_>) -> Result<(), Error> {
    let is_socket = request.extensions.get::<Subscriptions>().is_some();
    let subscribes = |name: &str| Error::Unimplemented {
        what: format!(
            "{name} by POST: subscribe over a WebSocket at /rpc, or read by {} again and again; it",
            match name.split_once('/') {
                Some(("sessions", _)) => "session/list",
                Some(("audit", _)) => "audit/list",
                Some(_) | None => "events/list with wait",
            }
        ),
    };
    if request.method == super::DISCOVER {
        return Ok(());
    }
    if let Some(method) = methods::find(&request.method) {
        return match method.call {
            Call::Watch { .. } if !is_socket => Err(subscribes(method.name)),
            Call::Watch { .. } | Call::Unary(_) => Ok(()),
        };
    }
    let Some(_) = methods::ended_by(&request.method) else {
        let what =
            format!("the method {:?}, which is not among those of rpc.discover,", request.method);
        return Err(Error::Unimplemented { what });
    };
    if !is_socket {
        return Err(subscribes(&request.method));
    }
    if let Some(id) = subscription(request.params.as_deref())? {
        request.params = Some(Cow::Owned(id));
    }
    Ok(())
}

/// The one parameter of a method that ends a subscription, by its place.
fn subscription(params: Option<&RawValue>) -> Result<Option<Box<RawValue>>, Error> {
    let text = params.map_or("{}", RawValue::get);
    let invalid = || {
        let problem = "expected {\"subscription\": ID}, with the result of the call that began it";
        Error::invalid("subscription", problem)
    };
    // As jsonrpsee's own client has it.
    if text.starts_with('[') {
        return Ok(None);
    }
    let params = crate::json::Json::parse(text).map_err(|_| invalid())?;
    let members = params.as_object().unwrap_or_default();
    let [(name, id)] = members else { return Err(invalid()) };
    if name != "subscription" || id.as_str().is_none() {
        return Err(invalid());
    }
    Ok(RawValue::from_string(format!("[{id}]")).ok())
}
