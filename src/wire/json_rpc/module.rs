//! The methods of the table as jsonrpsee calls them.

use jsonrpsee::{
    core::RegisterMethodError,
    server::RpcModule,
    types::{ErrorObjectOwned, Params},
};
use serde_json::value::RawValue;

use super::{
    DISCOVER, discover, error,
    methods::{Call, Method, methods},
    socket::Subscriptions,
    watch,
};
use crate::{
    Error, Result,
    app::App,
    json::Json,
    wire::{schema::schema, transcode},
};

/// Every method, on these operations.
pub(super) fn module(app: &App) -> RpcModule<App> {
    let mut module = RpcModule::new(app.clone());
    for method in methods() {
        register(&mut module, method).expect("the table names each method once");
    }
    module
        .register_method(DISCOVER, |_, _, _| {
            RawValue::from_string(discover::document().to_owned())
                .map_err(|error| error::object(&Error::internal(error)))
        })
        .expect("the table has no such method");
    module
}

fn register(
    module: &mut RpcModule<App>,
    method: &'static Method,
) -> std::result::Result<(), RegisterMethodError> {
    match &method.call {
        Call::Unary(call) => {
            module.register_async_method(method.name, move |params, app, _| async move {
                let answer = async {
                    let message = message(method, &params)?;
                    let text = call(App::clone(&app), method.rpc, message).await?;
                    RawValue::from_string(text).map_err(Error::internal)
                };
                answer.await.map_err(|error| refused(method, error))
            })?;
        }
        Call::Watch { unwatch, notification, open } => {
            let subscribe = move |params: Params<'static>,
                                  pending: jsonrpsee::server::PendingSubscriptionSink,
                                  app: std::sync::Arc<App>,
                                  extensions: http::Extensions| async move {
                // Whoever ends the connection waits for what is told to its end.
                let _token = extensions.get::<Subscriptions>().map(Subscriptions::token);
                let opened = match message(method, &params) {
                    Ok(message) => open(App::clone(&app), method.rpc, message).await,
                    Err(error) => Err(error),
                };
                match opened {
                    Ok(messages) => {
                        // Nobody is there any more where it is not accepted.
                        if let Ok(sink) = pending.accept().await {
                            let socket = extensions.get().cloned().unwrap_or_default();
                            watch::tell(sink, messages, &socket).await;
                        }
                    }
                    Err(error) => pending.reject(refused(method, error)).await,
                }
            };
            module.register_subscription(method.name, notification, unwatch, subscribe)?;
        }
    }
    Ok(())
}

/// The error of a call, in the names that its parameters have.
fn refused(method: &Method, error: Error) -> ErrorObjectOwned {
    error::object(&transcode::renamed(schema().message(&method.rpc.input), error))
}

/// The message of a call, of its parameters.
fn message(method: &Method, params: &Params<'_>) -> Result<Json> {
    let input = schema().message(&method.rpc.input);
    let text = params.as_str().unwrap_or("{}");
    let limit = transcode::most_bytes(input);
    if text.len() > limit {
        let (size, limit) = (text.len() as u64, limit as u64);
        return Err(Error::PayloadTooLarge { what: "params", size, limit, unit: "bytes" });
    }
    let invalid = |problem: String| Error::invalid("params", problem);
    match Json::parse_within(text, transcode::MAX_DEPTH) {
        Ok(message @ Json::Object(_)) => Ok(message),
        Ok(other) => Err(invalid(format!(
            "expected an object, since parameters are given by their names; found {}",
            other.kind()
        ))),
        Err(error) => Err(invalid(error.to_string())),
    }
}
