//! `SessionService.ReadOutput`: what a turn wrote, chunk by chunk.

use std::os::unix::fs::FileExt as _;

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, stream};

use super::{Caller, fields::parse_id};
use crate::{
    Error, Result,
    app::{App, Output, OutputStream},
    id::TurnNumber,
    proto,
};

/// How much of an output one message holds.
const CHUNK_BYTES: usize = 256 << 10;

/// Reads what a turn's agent wrote.
///
/// # Errors
///
/// As `ReadOutput` of the contract lists.
pub(crate) async fn read_output(
    app: &App,
    _caller: &Caller,
    request: proto::ReadOutputRequest,
) -> Result<impl Stream<Item = Result<proto::ReadOutputResponse>> + Send + use<>> {
    let stream = match request.stream() {
        proto::OutputStream::Unspecified | proto::OutputStream::Stdout => OutputStream::Stdout,
        proto::OutputStream::Stderr => OutputStream::Stderr,
    };
    let proto::ReadOutputRequest { session_id, turn, offset, length, stream: _ } = request;
    let id = parse_id("session_id", &session_id)?;
    let turn = (turn != 0).then_some(TurnNumber(turn));
    let length = (length != 0).then_some(length);
    let output = app.output(id, turn, stream, offset, length).await?;
    Ok(chunks(output))
}

/// Reads an output chunk by chunk, as fast as its reader takes them. One that is
/// empty gives one empty chunk, so that its size is told.
fn chunks(output: Output) -> impl Stream<Item = Result<proto::ReadOutputResponse>> {
    stream::unfold(Some((output, true)), |state| async move {
        let (output, first) = state?;
        if output.offset >= output.end && !first {
            return None;
        }
        let read = tokio::task::spawn_blocking(move || chunk(output)).await;
        match read.map_err(Error::internal).and_then(|read| read.map_err(Error::internal)) {
            Ok((response, output)) => {
                // A file that was cut short meanwhile has no more.
                let more = !response.data.is_empty();
                Some((Ok(response), more.then_some((output, false))))
            }
            Err(error) => Some((Err(error), None)),
        }
    })
}

fn chunk(mut output: Output) -> std::io::Result<(proto::ReadOutputResponse, Output)> {
    let wanted = usize::try_from(output.end - output.offset).unwrap_or(CHUNK_BYTES);
    let mut data = BytesMut::zeroed(wanted.min(CHUNK_BYTES));
    let read = match &output.file {
        Some(file) => file.read_at(&mut data, output.offset)?,
        None => 0,
    };
    data.truncate(read);
    let response = proto::ReadOutputResponse {
        turn: output.turn.0,
        offset: output.offset,
        data: Bytes::from(data),
        total_size: output.total_size,
    };
    output.offset += read as u64;
    Ok((response, output))
}
