//! An agent's output in blocks, and its lines as records of the log.

use std::{fs::File, io, time::SystemTime};

use bytes::Bytes;
use rustix::{
    buffer::spare_capacity,
    io::{Errno, pread},
};

use super::Fact;
use crate::{
    Result,
    agent::{self, lines::Line},
    event::{self, Envelope},
    id::{SessionId, TurnNumber},
    proto::{self, TimeSource, event::Kind},
    session::state,
    store::log::{self, Batch, Meta},
    time,
};

/// How much is read at once.
const BLOCK_BYTES: usize = 256 << 10;

/// Lines on their way into a batch.
pub(super) struct Lines {
    pub id: SessionId,
    pub turn: TurnNumber,
    pub time: SystemTime,
    pub adopted_until: u64,
    pub outbox_id: u64,
    pub facts: Vec<Fact>,
}

impl Lines {
    /// Puts one line into the batch, and keeps what the session's row must follow.
    pub(super) fn push(&mut self, batch: &mut Batch, start: u64, line: Line) -> Result<()> {
        let source =
            if start < self.adopted_until { TimeSource::Adopted } else { TimeSource::Live };
        let envelope = Envelope::agent(self.id, self.turn, self.time, source);
        let meta = Meta {
            time_unix_nanos: time::nanos(self.time),
            turn: self.turn.0,
            kind: 0,
            source_end_offset: line.end(),
            outbox_id: self.outbox_id,
        };
        if let Some(kind) = push_line(batch, &envelope, meta, start, line)? {
            self.facts.push(Fact { turn: self.turn, kind, time: self.time });
        }
        Ok(())
    }
}

/// Puts one line into the batch; gives what the session's row must follow.
pub(super) fn push_line(
    batch: &mut Batch,
    envelope: &Envelope,
    meta: Meta,
    start: u64,
    line: Line,
) -> Result<Option<Kind>, log::Error> {
    let (kind, raw, oversized) = match line {
        Line::Whole { bytes, end: _ } => (agent::parse(&agent::Kind::Codex, &bytes), bytes, None),
        Line::Oversized { size, .. } => (agent::oversized_line(size), Bytes::new(), Some(size)),
    };
    let meta = Meta { kind: event::kind_number(&kind), ..meta };
    let fact = state::concerns_row(&kind).then(|| kind.clone());
    let mut event = envelope.seal(batch.next_seq(), kind, raw, start);
    if let Some(size) = oversized {
        event.elided = Some(proto::Elided { size, turn: meta.turn, byte_offset: start });
    }
    batch.push(meta, &event::message(event::deliverable(event)))?;
    Ok(fact)
}

/// The bytes from a position on: as many as there are, up to a block.
pub(super) fn read_block(file: &File, position: u64) -> io::Result<Bytes> {
    let mut block = Vec::with_capacity(BLOCK_BYTES);
    while block.len() < BLOCK_BYTES {
        let at = position + block.len() as u64;
        match pread(file, spare_capacity(&mut block), at) {
            Ok(0) => break,
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(block.into())
}
