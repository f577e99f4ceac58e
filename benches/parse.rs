//! What reading a line costs, in CPU time, as ratios taken in one run:
//!
//! - the head of a line (type, item id, item type) ÷ `serde_json::Value`;
//! - the whole typed event, as it is stored ÷ `serde_json::Value`.
//!
//! The lines are those of the recorded transcripts, mixed so that they average
//! 356 bytes, split from blocks by the splitter beforehand.

#![expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]

use std::{fs, hint::black_box, path::Path};

use bytes::Bytes;
use switchboard::agent::{
    self, Kind,
    lines::{Line, Splitter},
};

/// The average line in bytes.
const AVERAGE: usize = 356;
/// Lines in one pass.
const LINES: usize = 50_000;
/// Rounds, of which the median counts.
const ROUNDS: usize = 9;

/// A name and what is done with each line.
type Measure = (&'static str, fn(&Bytes));

fn main() {
    let lines = lines();
    let bytes: usize = lines.iter().map(Bytes::len).sum();
    println!("{} lines, {} bytes a line", lines.len(), bytes / lines.len());

    let measures: [Measure; 3] = [
        ("serde_json::Value", |line| {
            black_box(serde_json::from_slice::<serde_json::Value>(line).ok());
        }),
        ("head", |line| {
            black_box(agent::head(line));
        }),
        ("typed event", |line| {
            black_box(agent::parse(&Kind::Codex, line));
        }),
    ];
    let mut nanoseconds = measures.map(|_| Vec::new());
    // Interleaved, so that what else the machine does meets all of them.
    for _ in 0..ROUNDS {
        for ((_, measure), taken) in measures.iter().zip(&mut nanoseconds) {
            let start = cpu_time();
            lines.iter().for_each(measure);
            taken.push(cpu_time() - start);
        }
    }
    let medians = nanoseconds.map(|mut taken| {
        taken.sort_unstable();
        taken[ROUNDS / 2] as f64 / lines.len() as f64
    });
    for ((name, _), median) in measures.iter().zip(medians) {
        println!("{name:<18} {median:7.0} ns a line   {:.2} of Value", median / medians[0]);
    }
}

/// Lines of the transcripts in turn, short ones where the average is above
/// [`AVERAGE`] and any other where it is below.
fn lines() -> Vec<Bytes> {
    let mut files: Vec<_> =
        fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/transcripts"))
            .expect("the transcripts are in the repository")
            .map(|entry| entry.expect("a directory can be read").path())
            .collect();
    files.sort();
    let mut all = Vec::new();
    let mut splitter = Splitter::new(0);
    for file in files {
        splitter.push(Bytes::from(fs::read(file).expect("a transcript can be read")));
        while let Some(line) = splitter.next_line() {
            match line {
                Line::Whole { bytes, .. } if bytes.len() < 4096 => all.push(bytes),
                Line::Whole { .. } | Line::Oversized { .. } => {}
            }
        }
    }
    let (short, long): (Vec<Bytes>, Vec<Bytes>) =
        all.into_iter().partition(|line| line.len() <= AVERAGE);
    let (mut short, mut long) = (short.iter().cycle(), long.iter().cycle());
    let (mut lines, mut size) = (Vec::new(), 0);
    while lines.len() < LINES {
        let next = if size > lines.len() * AVERAGE { short.next() } else { long.next() };
        let line = next.expect("there are lines of both kinds");
        size += line.len();
        // A copy of its own, as a line of a stream has its own place.
        lines.push(Bytes::copy_from_slice(line));
    }
    lines
}

/// The CPU time of this thread in nanoseconds.
fn cpu_time() -> u64 {
    let stat = fs::read_to_string("/proc/thread-self/schedstat").expect("Linux has it");
    let on_cpu = stat.split(' ').next().expect("it has three numbers");
    on_cpu.parse().expect("they are numbers")
}
