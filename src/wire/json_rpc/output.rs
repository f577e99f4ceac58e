//! `session/readOutput`: a chunk of what a turn wrote, since an answer of
//! JSON-RPC is one message.

use std::pin::pin;

use bytes::BytesMut;
use futures_util::TryStreamExt as _;

use crate::{
    Error, Result,
    app::App,
    config::JsonRpcConfig,
    proto,
    wire::operations::{self, Caller},
};

/// The most bytes that one answer holds.
pub(super) const MAX_CHUNK_BYTES: u64 = JsonRpcConfig::MAX_CHUNK_BYTES as u64;

/// Reads at most [`MAX_CHUNK_BYTES`] from `offset` on.
///
/// # Errors
///
/// As `ReadOutput` of the contract lists.
pub(super) async fn read(
    app: &App,
    caller: &Caller,
    mut request: proto::ReadOutputRequest,
) -> Result<proto::ReadOutputResponse> {
    request.length = match request.length {
        0 => MAX_CHUNK_BYTES,
        length => length.min(MAX_CHUNK_BYTES),
    };
    let mut chunks = pin!(operations::read_output(app, caller, request).await?);
    let first = chunks.try_next().await?.ok_or_else(|| Error::internal("an output of nothing"))?;
    let mut data = BytesMut::from(first.data.as_ref());
    while let Some(chunk) = chunks.try_next().await? {
        data.extend_from_slice(&chunk.data);
    }
    Ok(proto::ReadOutputResponse { data: data.freeze(), ..first })
}
