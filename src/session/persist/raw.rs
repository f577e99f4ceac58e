//! `session_oai_raw.log`: what went to the model and what came from it, made of
//! the trace that codex writes of each turn. One JSON object a line.
//!
//! ```text
//!  trace/turn_<n>/                    codex writes it while the turn runs
//!    trace-<uuid>-<thread>/trace.jsonl, payloads/<n>.json
//!  trace/turn_<n>.done/               they are all there, and this may go
//! ```
//!
//! What is in the directory is codex's, or of whoever else may write there: no link
//! in it is followed, nothing is removed through one, and only `payloads/<n>.json`
//! is taken for a body.
//!
//! A crash at any place is made up for: the lines that the log has last, where they are
//! of the turn, are cut off and written again. Headers of requests, and with them keys and tokens, are
//! in no trace.

mod tail;
mod trace;

use std::{
    collections::HashMap,
    fs::{self, DirBuilder, File},
    io::{self, BufWriter, Write as _},
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    time::{Duration, UNIX_EPOCH},
};

use serde::Serialize;

use self::trace::{Call, Direction, Payload, calls};
use crate::{
    id::TurnNumber,
    plain_file::{self, Directory},
    time::{Timestamp, timestamp},
};

/// The file's name.
pub(super) const NAME: &str = "session_oai_raw.log";
/// The directory of the traces that are not in it yet.
pub(super) const TRACES: &str = "trace";
/// Where it came from.
const SOURCE: &str = "rollout_trace";
/// The largest body that is taken.
const MAX_BODY: u64 = 256 << 20;

/// Makes the place for the trace of a turn, for its owner alone.
pub(super) fn prepare(directory: &Path, turn: TurnNumber) -> io::Result<PathBuf> {
    let name = name(turn.0);
    // One by one: a session's directory that is gone is not made again here.
    let root = made(&Directory::open(directory)?, TRACES)?;
    made(&root, &name)?;
    Ok(directory.join(TRACES).join(name))
}

/// A directory in another, which is made where it is not there.
fn made(parent: &Directory, name: &str) -> io::Result<Directory> {
    match DirBuilder::new().mode(0o700).create(parent.path(name)) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        Ok(()) | Err(_) => parent.inside(name),
    }
}

/// The place of the traces.
fn root(directory: &Path) -> io::Result<Directory> {
    Directory::open(directory)?.inside(TRACES)
}

/// The turns but `running` whose traces are not in the raw log, in their order.
pub(super) fn waiting(directory: &Path, running: Option<TurnNumber>) -> io::Result<Vec<u32>> {
    let root = match root(directory) {
        Ok(root) => root,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut turns = Vec::new();
    for entry in fs::read_dir(root.path(""))? {
        let entry = entry?;
        let name = entry.file_name();
        let Some(rest) = name.to_str().and_then(|name| name.strip_prefix("turn_")) else {
            continue;
        };
        if rest.ends_with(".done") {
            fs::remove_dir_all(entry.path())?;
        } else if let Ok(number) = rest.parse()
            && running != Some(TurnNumber(number))
        {
            turns.push(number);
        }
    }
    turns.sort_unstable();
    Ok(turns)
}

/// Removes the place of the traces, where there is none.
pub(super) fn tidy(directory: &Path) {
    if let Ok(directory) = Directory::open(directory) {
        let _ = fs::remove_dir(directory.path(TRACES));
    }
}

/// Takes the trace of a turn into the raw log; gives the number of its lines.
pub(super) fn convert(directory: &Path, turn: u32) -> io::Result<usize> {
    let root = root(directory)?;
    let trace = root.inside(&name(turn))?;
    let calls = calls(&trace)?;
    if !calls.is_empty() {
        let mut log = plain_file::append_and_read(&directory.join(NAME))?;
        let begin = tail::begin(&log, turn)?;
        // Also where nothing is behind it, which costs nothing.
        log.set_len(begin)?;
        let written = write(&mut log, turn, &trace, &calls).and_then(|()| log.sync_data());
        if let Err(error) = written {
            // It is tried again, when there is room.
            let _ = log.set_len(begin);
            return Err(error);
        }
    }
    remove(&root, turn)?;
    Ok(calls.len())
}

/// Removes the trace of a turn, and takes nothing of it.
pub(super) fn discard(directory: &Path, turn: u32) -> io::Result<()> {
    remove(&root(directory)?, turn)
}

fn remove(root: &Directory, turn: u32) -> io::Result<()> {
    let name = name(turn);
    let done = root.path(&format!("{name}.done"));
    fs::rename(root.path(&name), &done)?;
    // Of a link that has come there by now, only the link goes.
    fs::remove_dir_all(done)
}

/// The name of the place of a turn's trace.
fn name(turn: u32) -> String {
    format!("turn_{turn}")
}

/// What a line says before its body.
#[derive(Debug, Serialize)]
struct Head<'a> {
    time: Timestamp,
    turn: u32,
    request: u32,
    direction: Direction,
    source: &'static str,
    kind: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    status: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    thread_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    provider: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
}

fn write(log: &mut File, turn: u32, trace: &Directory, calls: &[Call]) -> io::Result<()> {
    let mut log = BufWriter::new(log);
    let mut numbers: HashMap<&str, u32> = HashMap::new();
    for call in calls {
        let next = u32::try_from(numbers.len()).unwrap_or(u32::MAX).saturating_add(1);
        let head = Head {
            time: timestamp(UNIX_EPOCH + Duration::from_millis(call.time_unix_ms)),
            turn,
            request: *numbers.entry(&call.id).or_insert(next),
            direction: call.direction,
            source: SOURCE,
            kind: call.kind,
            status: &call.status,
            thread_id: call.thread_id.as_deref(),
            model: call.model.as_deref(),
            provider: call.provider.as_deref(),
            error: call.error.as_deref(),
        };
        let mut line = serde_json::to_vec(&head)?;
        line.pop();
        if let Some(payload) = &call.payload {
            line.extend(body(trace, payload)?);
        }
        line.extend(b"}\n");
        log.write_all(&line)?;
    }
    log.flush()
}

/// The member that has what was sent: the text that codex wrote, without the
/// white space between its parts, so that numbers and the order of members stay.
fn body(turn: &Directory, payload: &Payload) -> io::Result<Vec<u8>> {
    let problem = |text: &str| {
        let mut member = br#","problem":"#.to_vec();
        serde_json::to_writer(&mut member, text)?;
        Ok(member)
    };
    let Some(file) = &payload.file else {
        return problem("its body is not where codex writes bodies");
    };
    let read = turn
        .inside(&payload.trace)
        .and_then(|trace| trace.inside("payloads"))
        .and_then(|payloads| plain_file::read(&payloads.path(file), MAX_BODY));
    let text = match read {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return problem("codex wrote no body");
        }
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotADirectory | io::ErrorKind::InvalidData
            ) =>
        {
            return problem(&format!("its body cannot be taken: {error}"));
        }
        Err(error) => return Err(error),
    };
    let is_json = serde_json::from_slice::<serde::de::IgnoredAny>(&text).is_ok();
    let mut member = if is_json { br#","body":"#.to_vec() } else { br#","body_text":"#.to_vec() };
    if is_json {
        compact(&text, &mut member);
    } else {
        serde_json::to_writer(&mut member, &String::from_utf8_lossy(&text))?;
    }
    Ok(member)
}

fn compact(json: &[u8], to: &mut Vec<u8>) {
    let (mut in_string, mut escaped) = (false, false);
    for &byte in json {
        if in_string {
            in_string = escaped || byte != b'"';
            escaped = !escaped && byte == b'\\';
        } else if byte.is_ascii_whitespace() {
            continue;
        } else {
            in_string = byte == b'"';
        }
        to.push(byte);
    }
}

#[cfg(test)]
mod tests;
