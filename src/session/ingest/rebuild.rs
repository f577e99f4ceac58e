//! Damaged records made again from a turn's output.

use std::{
    fs::File,
    io,
    path::Path,
    time::{Duration, UNIX_EPOCH},
};

use super::lines::{push_line, read_block};
use crate::{
    agent::lines::Splitter,
    event::{self, Envelope},
    id::{SessionId, TurnNumber},
    plain_file,
    proto::TimeSource,
    store::log::{Batch, Gap, Meta, Missing},
    supervise::TurnFiles,
};

/// Makes damaged records again from a turn's output, where all of them were
/// lines of it.
///
/// With nothing valid behind the damage they surely were only in the middle of
/// the output of the turn that was `printing`: what the server says stands
/// before the first line and behind the last.
pub(super) fn rebuild(
    id: SessionId,
    turns: &Path,
    gap: &Gap,
    printing: Option<TurnNumber>,
) -> Option<Batch> {
    let turn = TurnNumber(gap.after.turn);
    if gap.before.is_none() && (printing != Some(turn) || gap.after.source_end_offset == 0) {
        return None;
    }
    let end = match gap.before {
        Some(before) if before.tail.turn == turn.0 => before.tail.source_end_offset,
        Some(_) => return None,
        None => u64::MAX,
    };
    let (least, most) = match gap.missing {
        Missing::Exactly(count) => (count, count),
        Missing::AtLeast(count) => (count, u64::MAX),
    };
    let output = plain_file::open(&TurnFiles::new(turns, turn).stdout()).ok()?;
    let time = UNIX_EPOCH + Duration::from_nanos(u64::try_from(gap.after.time_unix_nanos).ok()?);
    let envelope = Envelope::agent(id, turn, time, TimeSource::Rebuilt);
    let mut position = gap.after.source_end_offset;
    let mut splitter = Splitter::new(position);
    let mut batch = Batch::new(gap.first);
    let mut start = splitter.line_start();
    while (batch.len() as u64) < most {
        let mut line = splitter.next_line();
        if line.is_none() {
            let mut block = read_block(&output, position).ok()?;
            block.truncate(usize::try_from(end.saturating_sub(position)).unwrap_or(usize::MAX));
            if !block.is_empty() {
                position += block.len() as u64;
                splitter.push(block);
                continue;
            }
            if gap.before.is_some() {
                // Without a line feed it is a line only where another record followed.
                line = splitter.finish();
            }
        }
        let Some(line) = line.filter(|line| line.end() <= end) else { break };
        let line_end = line.end();
        let meta = Meta {
            time_unix_nanos: gap.after.time_unix_nanos,
            turn: turn.0,
            kind: 0,
            source_end_offset: line_end,
            outbox_id: gap.after.outbox_id,
        };
        push_line(&mut batch, &envelope, meta, start, line).ok()?;
        start = line_end;
    }
    if let Some(before) = gap.before {
        // What the server said between lines is in no output: then there are more
        // lines than fit before the record behind the gap, or fewer than are missing.
        let left = lines_in(&output, start, end).ok()?;
        let of_the_record = u64::from(event::is_agents(before.kind));
        if left != of_the_record {
            return None;
        }
    }
    (batch.len() as u64 >= least).then_some(batch)
}

/// How many lines there are from `start` to `end`, which the last of them ends at.
fn lines_in(output: &File, start: u64, end: u64) -> io::Result<u64> {
    let (mut position, mut feeds, mut last) = (start, 0, b'\n');
    while position < end {
        let mut block = read_block(output, position)?;
        block.truncate(usize::try_from(end - position).unwrap_or(usize::MAX));
        let Some(&byte) = block.last() else { break };
        last = byte;
        feeds += block.iter().filter(|byte| **byte == b'\n').count() as u64;
        position += block.len() as u64;
    }
    Ok(feeds + u64::from(last != b'\n'))
}
