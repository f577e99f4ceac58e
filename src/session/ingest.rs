//! From an agent's output to durable events: the blocking half of a session's
//! owner, which holds the log's only writer.
//!
//! One step takes what the agent printed since the last, splits it into lines,
//! parses and encodes each, appends all of them and waits for the disk. What a
//! step returns may be shown. A step that fails has changed nothing: the next
//! one begins again where the log ends.
//!
//! Runs on blocking threads, one step at a time.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::Path,
    sync::Arc,
    time::SystemTime,
};

use bytes::Bytes;

mod lines;
mod rebuild;

use self::{
    lines::{Lines, read_block},
    rebuild::rebuild,
};
use crate::{
    Result,
    agent::lines::Splitter,
    event::{self, Envelope},
    id::{Seq, SessionId, TurnNumber},
    plain_file,
    proto::event::Kind,
    session::{directory::SessionDirectory, registry::report, state},
    store::log::{self, Batch, Chunk, Expired, Gap, Log, Meta, Opened, Retention, Tail, Verify},
    supervise::TurnFiles,
    time,
};

/// How much one step makes durable at most, give or take a block.
const STEP_BYTES: usize = 1 << 20;

/// The file beside the segments that says that they are damaged beyond repair,
/// so that it is known at the next start without a look at all of them.
const DAMAGED: &str = "damaged.txt";

/// The writer of a session's log, and the output that is being followed.
///
/// Where the log is read-only nothing is appended: what concerns the session's
/// row is found and given all the same, so that a turn that runs comes to its end.
#[derive(Debug)]
pub(crate) struct Ingest {
    id: SessionId,
    log: Log,
    batch: Batch,
    source: Option<Source>,
    read_only: Option<String>,
    /// The log is a stand-in for one that could not be opened.
    is_unopened: bool,
}

/// A turn's output.
#[derive(Debug)]
struct Source {
    turn: TurnNumber,
    file: File,
    /// Where to read on.
    position: u64,
    splitter: Splitter,
    /// What lies before this was printed while no server looked.
    adopted_until: u64,
}

/// What a step made durable.
#[derive(Debug, Default)]
pub(crate) struct Step {
    /// The events, to publish.
    pub chunks: Vec<Arc<Chunk>>,
    /// Those that change the session's row.
    pub facts: Vec<Fact>,
    /// Whether everything that was there was read.
    pub at_end: bool,
}

/// An event that changes the session's row.
#[derive(Debug)]
pub(crate) struct Fact {
    /// The turn that it belongs to.
    pub turn: TurnNumber,
    /// What happened.
    pub kind: Kind,
    /// When.
    pub time: SystemTime,
}

/// What the server itself says.
#[derive(Debug, Clone)]
pub(crate) struct Statement {
    /// The turn that it belongs to.
    pub turn: Option<TurnNumber>,
    /// What it says.
    pub kind: Kind,
    /// When.
    pub time: SystemTime,
    /// The outbox row that it comes from.
    pub outbox_id: Option<u64>,
}

impl Statement {
    /// Something said now.
    pub(crate) fn now(turn: TurnNumber, kind: Kind) -> Self {
        Self { turn: Some(turn), kind, time: crate::time::now(), outbox_id: None }
    }
}

impl Ingest {
    /// Opens a session's log, recovering it. `durable` is the last event that
    /// the database knows of, and `printing` the turn that ran at it. A log that
    /// was found to be damaged before is verified as a whole, whatever is asked.
    ///
    /// # Errors
    ///
    /// Where the log is of a later version, or unreadable.
    pub(crate) fn open(
        id: SessionId,
        directory: &SessionDirectory,
        durable: Seq,
        printing: Option<TurnNumber>,
        mut options: log::Options,
    ) -> Result<(Self, Opened), log::Error> {
        let turns = directory.turns();
        let mut rebuild = |gap: &Gap| rebuild(id, &turns, gap, printing);
        let events = directory.events();
        let marker = events.join(DAMAGED);
        let is_marked = marker.exists();
        if is_marked {
            options.verify = Verify::AllSegments;
        }
        let verify = options.verify;
        let mut open = || Log::open(&events, durable, &mut rebuild, options.clone());
        let (log, opened) = match open() {
            // Whoever took the log away took its events; what is left can be read.
            Err(log::Error::Missing { .. }) if directory.restore().is_ok() => open()?,
            opened => opened?,
        };
        let (mut log, mut opened) = (log, opened);
        // What was made again may say what comes before it.
        let mut is_progress = verify == Verify::AllSegments && !opened.repairs.is_empty();
        while is_progress && opened.read_only.is_some() {
            drop(log);
            let (again, found) = open()?;
            is_progress = !found.repairs.is_empty();
            log = again;
            opened.repairs.extend(found.repairs);
            opened = Opened { repairs: opened.repairs, ..found };
        }
        if verify == Verify::AllSegments {
            mark(&marker, is_marked, opened.read_only.as_deref());
        }
        let batch = Batch::new(log.tail().last.next());
        let read_only = opened.read_only.clone();
        Ok((Self { id, log, batch, source: None, read_only, is_unopened: false }, opened))
    }

    /// As [`open`](Self::open). Where the log cannot be opened for a reason that
    /// lasts, a stand-in takes its place that is read-only and shows nothing, so
    /// that a turn comes to its end; the log's files stay as they are.
    ///
    /// # Errors
    ///
    /// Where the same may be tried again soon, or the log is not there.
    pub(crate) fn open_or_stand_in(
        id: SessionId,
        directory: &SessionDirectory,
        durable: Seq,
        printing: Option<TurnNumber>,
        options: log::Options,
    ) -> Result<(Self, Opened), log::Error> {
        match Self::open(id, directory, durable, printing, options.clone()) {
            Err(error) if error.is_lasting() => {
                let problem = format!("it cannot be opened: {}", report(&error));
                let log = Log::stand_in(&directory.events(), options, problem.clone());
                let tail = *log.tail();
                let batch = Batch::new(tail.last.next());
                let read_only = Some(problem);
                let opened =
                    Opened { tail, cut: None, repairs: Vec::new(), read_only: read_only.clone() };
                Ok((Self { id, log, batch, source: None, read_only, is_unopened: true }, opened))
            }
            opened => opened,
        }
    }

    /// The end of the log.
    pub(crate) fn tail(&self) -> &Tail {
        self.log.tail()
    }

    /// For the feed.
    pub(crate) fn reader(&self) -> log::Reader {
        self.log.reader()
    }

    /// Why nothing can be appended, where that is so.
    pub(crate) fn read_only(&self) -> Option<&str> {
        self.read_only.as_deref()
    }

    /// Whether the log could not be opened.
    pub(crate) fn is_unopened(&self) -> bool {
        self.is_unopened
    }

    /// Removes the oldest events, as far as they are not to be kept.
    ///
    /// # Errors
    ///
    /// Where the log's files cannot be removed; some may have been.
    pub(crate) fn expire(&mut self, retention: &Retention) -> Result<Expired, log::Error> {
        self.log.expire(retention)
    }

    /// Takes over what another one followed, whose log this one opened again.
    pub(crate) fn go_on_from(&mut self, before: Self) {
        self.source = before.source;
        self.begin_again();
    }

    /// Stops following.
    pub(crate) fn unfollow(&mut self) {
        self.source = None;
        self.log.rest();
    }

    /// Reads on in a turn's output, from where the log has it, and makes durable
    /// what was there. With `adopted`, what is there at the first step was
    /// printed while no server looked. With `ended`, known before this call, the
    /// output is complete, and a last line without a line feed is a line too.
    ///
    /// # Errors
    ///
    /// Where the output cannot be read or the log not be written; nothing has
    /// changed then.
    pub(crate) fn step(&mut self, files: &TurnFiles, adopted: bool, ended: bool) -> Result<Step> {
        let result = self.follow(files, adopted, ended).and_then(|()| self.read_on(ended));
        if result.is_err() {
            self.begin_again();
        }
        result
    }

    /// Appends what the server says.
    ///
    /// # Errors
    ///
    /// Where the log cannot be written; nothing has changed then.
    pub(crate) fn state(&mut self, statements: Vec<Statement>) -> Result<Step> {
        let result = self.append_statements(statements);
        if result.is_err() {
            self.begin_again();
        }
        if self.source.is_none() {
            // Thousands of sessions may be loaded that have no turn.
            self.log.rest();
        }
        result
    }

    fn follow(&mut self, files: &TurnFiles, adopted: bool, ended: bool) -> Result<()> {
        if self.source.as_ref().is_some_and(|source| source.turn == files.turn()) {
            return Ok(());
        }
        let file = match plain_file::open(&files.stdout()) {
            Ok(file) => file,
            // It never had any, or somebody took it away or put something else there:
            // there is nothing to read.
            Err(error)
                if (ended || self.read_only.is_some())
                    && matches!(
                        error.kind(),
                        io::ErrorKind::NotFound | io::ErrorKind::InvalidData
                    ) =>
            {
                return Ok(());
            }
            Err(error) => return Err(crate::Error::system(error)),
        };
        let adopted_until =
            if adopted { file.metadata().map_err(crate::Error::internal)?.len() } else { 0 };
        let position = self.resume_offset(files.turn());
        let splitter = Splitter::new(position);
        self.source = Some(Source { turn: files.turn(), file, position, splitter, adopted_until });
        Ok(())
    }

    fn read_on(&mut self, ended: bool) -> Result<Step> {
        let Some(source) = &mut self.source else {
            return Ok(Step { at_end: true, ..Step::default() });
        };
        let mut lines = Lines {
            id: self.id,
            turn: source.turn,
            time: crate::time::now(),
            adopted_until: source.adopted_until,
            outbox_id: self.log.tail().outbox_id,
            facts: Vec::new(),
        };
        let mut at_end = false;
        while !at_end && self.batch.bytes() < STEP_BYTES {
            let block =
                read_block(&source.file, source.position).map_err(crate::Error::internal)?;
            at_end = block.is_empty();
            source.position += block.len() as u64;
            source.splitter.push(block);
            let mut start = source.splitter.line_start();
            while let Some(line) = source.splitter.next_line() {
                let end = line.end();
                lines.push(&mut self.batch, start, line)?;
                start = end;
            }
            if at_end && ended {
                let start = source.splitter.line_start();
                if let Some(line) = source.splitter.finish() {
                    lines.push(&mut self.batch, start, line)?;
                }
            }
        }
        let facts = lines.facts;
        Ok(Step { chunks: self.append()?, facts, at_end })
    }

    fn append_statements(&mut self, statements: Vec<Statement>) -> Result<Step> {
        let mut tail = *self.log.tail();
        let mut facts = Vec::new();
        for Statement { turn, kind, time, outbox_id } in statements {
            if let Some(turn) = turn.filter(|turn| turn.0 > tail.turn) {
                (tail.turn, tail.source_end_offset) = (turn.0, 0);
            }
            tail.outbox_id = outbox_id.unwrap_or(tail.outbox_id);
            let meta = Meta {
                time_unix_nanos: time::nanos(time),
                turn: tail.turn,
                kind: event::kind_number(&kind),
                source_end_offset: tail.source_end_offset,
                outbox_id: tail.outbox_id,
            };
            if let Some(turn) = turn.filter(|_| state::concerns_row(&kind)) {
                facts.push(Fact { turn, kind: kind.clone(), time });
            }
            let envelope = Envelope::server(self.id, turn, time);
            let event = envelope.seal(self.batch.next_seq(), kind, Bytes::new(), 0);
            self.batch.push(meta, &event::message(event))?;
        }
        Ok(Step { chunks: self.append()?, facts, at_end: false })
    }

    fn append(&mut self) -> Result<Vec<Arc<Chunk>>> {
        if self.read_only.is_some() {
            self.batch.clear();
            return Ok(Vec::new());
        }
        let chunks = self.log.append(&self.batch)?;
        self.batch.clear();
        Ok(chunks)
    }

    /// Forgets what is not in the log.
    fn begin_again(&mut self) {
        self.batch = Batch::new(self.log.tail().last.next());
        let Some(turn) = self.source.as_ref().map(|source| source.turn) else { return };
        let position = self.resume_offset(turn);
        if let Some(source) = &mut self.source {
            source.position = position;
            source.splitter = Splitter::new(position);
        }
    }

    fn resume_offset(&self, turn: TurnNumber) -> u64 {
        let tail = self.log.tail();
        // What the log lost may hold how the turn ended, so all is read again.
        if tail.turn == turn.0 && self.read_only.is_none() { tail.source_end_offset } else { 0 }
    }
}

/// Leaves a word about damage beside the segments, or takes it away.
fn mark(marker: &Path, is_marked: bool, problem: Option<&str>) {
    let done = match problem {
        Some(problem) if !is_marked => {
            plain_file::create_anew(marker).and_then(|mut file| writeln!(file, "{problem}"))
        }
        None if is_marked => fs::remove_file(marker),
        Some(_) | None => Ok(()),
    };
    if let Err(error) = done {
        tracing::warn!(path = %marker.display(), %error, "cannot note whether the event log is damaged");
    }
}

#[cfg(test)]
mod tests;
