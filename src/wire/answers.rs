//! What answers a method of the contract on the JSON transports: its operation,
//! between the request's message and the answer's in our JSON.

use futures_util::future::BoxFuture;

use super::schema;
use crate::{Result, app::App, json::Json};

/// The operation, from the request's message in our JSON on.
pub(crate) type Answers<T> =
    fn(App, &'static schema::Method, Json) -> BoxFuture<'static, Result<T>>;

/// The operation with its message read, and its answer written: by the
/// descriptors, or as it is said.
macro_rules! answers {
    ($caller:expr, $operation:path) => {
        $crate::wire::answers::answers!($caller, $operation, |rpc, answer| {
            let rpc: &$crate::wire::schema::Method = rpc;
            let message = $crate::wire::schema::schema().message(&rpc.output);
            $crate::wire::transcode::write(message, answer)
        })
    };
    ($caller:expr, $operation:path, $write:expr) => {
        |app, rpc, message| {
            Box::pin(async move {
                let input = $crate::wire::schema::schema().message(&rpc.input);
                let request = $crate::wire::transcode::read(input, message)?;
                let answer = $operation(&app, &$caller, request).await?;
                $write(rpc, &answer)
            })
        }
    };
}

pub(crate) use answers;
