//! The event log beside a plain file: what durability and checksums cost, and
//! how fast the log is read again.
//!
//! `cargo bench --bench log`. It writes about 100 MB at a time below `target/`, and removes them.

mod measure;

use std::{
    fs::{self, File},
    hint::black_box,
    io::{BufWriter, Write as _},
    path::Path,
};

use measure::{Cost, Target, heading, interleaved, measure, row};
use prost::{
    DecodeError, Message,
    bytes::{Buf, BufMut},
    encoding::{DecodeContext, WireType},
};
use switchboard::{
    id::Seq,
    proto::{
        Event, Item, ItemCompleted, Origin, WatchEventsResponse, event, watch_events_response,
    },
    store::log::{Batch, Log, Meta, Options, Reader, Verify},
};

const EVENTS: usize = 200_000;
/// What one session at full speed brings together during one fdatasync.
const GROUP: usize = 256;
/// What a flood brings together.
const LARGE_GROUP: usize = 4096;
const ROUNDS: usize = 7;

fn main() {
    let home = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a place to write");
    let messages: Vec<_> = (1..=EVENTS).map(message).collect();
    let encoded: Vec<_> = messages.iter().map(|message| Encoded(message.encode_to_vec())).collect();
    let bytes: usize = encoded.iter().map(|message| 5 + message.0.len()).sum();

    let [plain, synced, log, synced_large, log_large, plain_encoding, log_encoding] = interleaved(
        ROUNDS,
        [
            &mut || write_plain(home.path(), &encoded),
            &mut || write_synced(home.path(), &encoded, GROUP),
            &mut || append(home.path(), &encoded, GROUP),
            &mut || write_synced(home.path(), &encoded, LARGE_GROUP),
            &mut || append(home.path(), &encoded, LARGE_GROUP),
            &mut || write_plain(home.path(), &messages),
            &mut || append(home.path(), &messages, LARGE_GROUP),
        ],
    );
    heading(&format!("append: {EVENTS} events of {} B framed, CPU for each", bytes / EVENTS));
    let cpu = |what: &str, cost: Cost| row(what, cost.cpu_micros_each(EVENTS), "µs", Target::None);
    cpu("plain buffered write", plain);
    cpu("the same, fdatasync for each 256", synced);
    cpu("the same, fdatasync for each 4096", synced_large);
    cpu("log, groups of 256", log);
    cpu("log, groups of 4096", log_large);
    row("log ÷ plain, groups of 256", ratio(log, plain), "", Target::AtMost(2.0));
    row("log ÷ plain, groups of 4096", ratio(log_large, plain), "", Target::AtMost(2.0));
    row("log ÷ plain with the same fdatasyncs, 256", ratio(log, synced), "", Target::None);
    row(
        "log ÷ plain with the same fdatasyncs, 4096",
        ratio(log_large, synced_large),
        "",
        Target::None,
    );
    row("log ÷ plain, 4096, both encode", ratio(log_encoding, plain_encoding), "", Target::None);
    row("log on the wall, groups of 256", log.per_second(EVENTS) / 1e6, "M/s", Target::None);
    row("log on the wall, groups of 4096", log_large.per_second(EVENTS) / 1e6, "M/s", Target::None);

    let dir = home.path().join("events");
    let reader = Reader::open_read_only(&dir).expect("the log that was written last");
    let [small, large, opened] = interleaved(
        ROUNDS,
        [
            &mut || measure(|| replay(&reader, 64 * 1024)),
            &mut || measure(|| replay(&reader, 1024 * 1024)),
            &mut || measure(|| open(&dir)),
        ],
    );
    heading("replay from the file, one thread");
    row("64 KiB a read", small.per_second(EVENTS) / 1e6, "M/s", Target::None);
    row("64 KiB a read, CPU", small.cpu_micros_each(EVENTS), "µs", Target::None);
    row("1 MiB a read", large.per_second(EVENTS) / 1e6, "M/s", Target::None);
    row(
        "verification of all segments at open",
        opened.per_second(EVENTS) / 1e6,
        "M/s",
        Target::None,
    );
}

fn ratio(one: Cost, other: Cost) -> f64 {
    one.cpu.as_secs_f64() / other.cpu.as_secs_f64()
}

/// The events without their encoding: the plain write of the same frames.
fn write_plain(home: &Path, messages: &[impl Message]) -> Cost {
    let path = home.join("plain");
    let cost = measure(|| {
        let file = File::create(&path).expect("a file");
        let mut file = BufWriter::with_capacity(64 * 1024, file);
        let mut frame = Vec::new();
        for message in messages {
            frame.clear();
            frame.push(0);
            frame.extend_from_slice(&(message.encoded_len() as u32).to_be_bytes());
            message.encode(&mut frame).expect("a Vec grows");
            file.write_all(&frame).expect("room on the disk");
        }
        file.flush().expect("room on the disk");
    });
    fs::remove_file(path).expect("the file is there");
    cost
}

/// The floor of what a durable log can cost on this disk: nothing but the
/// writes and their fdatasyncs.
fn write_synced(home: &Path, messages: &[Encoded], group: usize) -> Cost {
    let path = home.join("plain");
    let mut file = File::create(&path).expect("a file");
    let cost = measure(|| {
        let mut bytes = Vec::new();
        for group in messages.chunks(group) {
            bytes.clear();
            for message in group {
                bytes.extend_from_slice(&[0; 5]);
                bytes.extend_from_slice(&message.0);
            }
            file.write_all(&bytes).expect("room on the disk");
            file.sync_data().expect("a disk that works");
        }
    });
    fs::remove_file(path).expect("the file is there");
    cost
}

fn append(home: &Path, messages: &[impl Message], group: usize) -> Cost {
    let dir = home.join("events");
    // The log of the last round stays, to be read.
    let _ = fs::remove_dir_all(&dir);
    let mut log = Log::create(&dir, Options::default()).expect("a log");
    measure(|| {
        let mut batch = Batch::new(Seq::FIRST);
        let mut offset = 0;
        for group in messages.chunks(group) {
            for message in group {
                offset += 300;
                let meta = Meta {
                    time_unix_nanos: 1_700_000_000_000_000_000,
                    turn: 1,
                    kind: 7,
                    source_end_offset: offset,
                    outbox_id: 1,
                };
                batch.push(meta, message).expect("a small event");
            }
            black_box(log.append(&batch).expect("room on the disk"));
            batch.clear();
        }
    })
}

fn replay(reader: &Reader, bytes: usize) {
    let mut next = Seq::FIRST;
    while let Some(chunk) = reader.read(next, bytes).expect("an intact log") {
        next = chunk.last().next();
        black_box(chunk);
    }
    assert_eq!(next, Seq(EVENTS as u64 + 1));
}

fn open(dir: &Path) {
    let mut options = Options::default();
    options.verify = Verify::AllSegments;
    let last = Seq(EVENTS as u64);
    let (log, opened) = Log::open(dir, last, &mut |_| None, options).expect("an intact log");
    assert_eq!(opened.read_only, None);
    black_box(log);
}

fn message(number: usize) -> WatchEventsResponse {
    let text = "The tests pass now; the cursor was off by one. ".repeat(1 + number % 4);
    let raw = format!(
        r#"{{"type":"item.completed","item":{{"id":"item_{number}","type":"agent_message","text":"{text}"}}}}"#
    );
    let event = Event {
        session_id: "2f1c6a3e-8d0b-4c55-9a77-0d5a4a3f9b21".to_owned(),
        seq: number as u64,
        turn: 1,
        origin: Origin::Agent.into(),
        raw: raw.into(),
        kind: Some(event::Kind::ItemCompleted(ItemCompleted {
            item: Some(Item { id: format!("item_{number}"), ..Item::default() }),
        })),
        ..Event::default()
    };
    WatchEventsResponse { message: Some(watch_events_response::Message::Event(event)) }
}

/// A message that was encoded before, so that a round measures no encoding.
#[derive(Debug, Default)]
struct Encoded(Vec<u8>);

impl Message for Encoded {
    fn encode_raw(&self, out: &mut impl BufMut) {
        out.put_slice(&self.0);
    }

    fn merge_field(
        &mut self,
        _: u32,
        _: WireType,
        _: &mut impl Buf,
        _: DecodeContext,
    ) -> Result<(), DecodeError> {
        unreachable!("the benches decode nothing")
    }

    fn encoded_len(&self) -> usize {
        self.0.len()
    }

    fn clear(&mut self) {
        self.0.clear();
    }
}
