//! What reading a line costs, in CPU time, as ratios taken in one run:
//!
//! - the head of a line, one pass that keeps nothing but type, item id and item
//!   type: the least that any reading can cost ÷ `serde_json::Value`;
//! - the whole typed event, as it is stored ÷ `serde_json::Value`.
//!
//! The lines are those of the recorded transcripts, every type of event and
//! item in turn, mixed so that they average 356 bytes.

mod measure;

use std::{borrow::Cow, collections::BTreeMap, fmt, fs, hint::black_box, path::Path};

use bytes::Bytes;
use measure::{Target, heading, interleaved, measure, row};
use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, Visitor},
};
use switchboard::agent::{
    self, Kind,
    lines::{Line, Splitter},
};

/// The average line in bytes.
const AVERAGE: usize = 356;
/// Lines in one pass.
const LINES: usize = 20_000;
const ROUNDS: usize = 15;

fn main() {
    let lines = lines();
    let bytes: usize = lines.iter().map(Bytes::len).sum();
    let of_each = |work: fn(&Bytes)| measure(|| lines.iter().for_each(work));
    let costs = interleaved(
        ROUNDS,
        [
            &mut || {
                of_each(|line| {
                    black_box(serde_json::from_slice::<serde_json::Value>(line).ok());
                })
            },
            &mut || {
                of_each(|line| {
                    black_box(serde_json::from_slice::<Head<'_>>(line).ok());
                })
            },
            &mut || {
                of_each(|line| {
                    black_box(agent::parse(&Kind::Codex, line));
                })
            },
        ],
    );
    let [value, head, typed] = costs.map(|cost| cost.cpu_micros_each(lines.len()));
    heading(&format!("{} lines of {} bytes, CPU for a line", lines.len(), bytes / lines.len()));
    row("serde_json::Value", value, "µs", Target::None);
    row("head", head, "µs", Target::None);
    row("typed event", typed, "µs", Target::None);
    row("head ÷ Value", head / value, "", Target::AtMost(0.55));
    row("typed event ÷ Value", typed / value, "", Target::None);
}

/// What a line is about.
#[derive(Debug, Default)]
struct Head<'a> {
    r#type: Cow<'a, str>,
    id: Cow<'a, str>,
    item: Option<Box<Head<'a>>>,
}

impl<'de> Deserialize<'de> for Head<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = Head<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut head = Head::default();
                while let Some(key) = map.next_key::<&str>()? {
                    match key {
                        "type" => head.r#type = Cow::Borrowed(map.next_value()?),
                        "id" => head.id = Cow::Borrowed(map.next_value()?),
                        "item" => head.item = Some(Box::new(map.next_value()?)),
                        _ => {
                            map.next_value::<IgnoredAny>()?;
                        }
                    }
                }
                Ok(head)
            }
        }

        deserializer.deserialize_map(Members)
    }
}

/// Lines of the transcripts: a short one where the average is above
/// [`AVERAGE`], a long one where it is below, of each every type in turn.
fn lines() -> Vec<Bytes> {
    let mut files: Vec<_> =
        fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/transcripts"))
            .expect("the transcripts are in the repository")
            .map(|entry| entry.expect("a directory can be read").path())
            .collect();
    files.sort();
    let (mut short, mut long) = (Pool::default(), Pool::default());
    let mut splitter = Splitter::new(0);
    for file in files {
        splitter.push(Bytes::from(fs::read(file).expect("a transcript can be read")));
        while let Some(line) = splitter.next_line() {
            match line {
                Line::Whole { bytes, .. } if bytes.len() <= AVERAGE => short.add(bytes),
                Line::Whole { bytes, .. } if bytes.len() < 4096 => long.add(bytes),
                Line::Whole { .. } | Line::Oversized { .. } => {}
            }
        }
    }
    let (mut short, mut long) = (short.in_turn(), long.in_turn());
    let (mut lines, mut size) = (Vec::new(), 0);
    while lines.len() < LINES {
        let next = if size > lines.len() * AVERAGE { short.next() } else { long.next() };
        let line = next.expect("there are lines of both sizes");
        size += line.len();
        lines.push(line);
    }
    lines
}

/// Lines by their type and their item's.
#[derive(Debug, Default)]
struct Pool(BTreeMap<(String, String), Vec<Bytes>>);

impl Pool {
    fn add(&mut self, line: Bytes) {
        let head: Head<'_> = serde_json::from_slice(&line).expect("transcripts are JSON");
        let item = head.item.as_ref().map(|item| item.r#type.to_string()).unwrap_or_default();
        self.0.entry((head.r#type.to_string(), item)).or_default().push(line);
    }

    /// One line of each type, over and over.
    fn in_turn(self) -> impl Iterator<Item = Bytes> {
        let mut types: Vec<_> =
            self.0.into_values().map(|lines| lines.into_iter().cycle()).collect();
        let mut next = 0;
        std::iter::from_fn(move || {
            let count = types.len();
            let lines = types.get_mut(next % count)?;
            next += 1;
            // A copy of its own, as a line of a stream has its own place.
            lines.next().map(|line| Bytes::copy_from_slice(&line))
        })
    }
}
