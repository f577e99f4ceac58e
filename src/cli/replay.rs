//! `switchboard replay`: prints a recorded transcript as the agent did that
//! printed it, byte for byte, with its pauses.
//!
//! It is the agent kind `replay:FILE`, so it behaves as codex does towards
//! whoever started it: its exit status says how the turn ended, and SIGINT ends
//! it at once with status 1. It uses no server and no async runtime.

use std::{
    fs, io,
    io::{IsTerminal as _, Read as _},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::ExitCode,
    thread,
    time::Duration,
};

use serde::Deserialize;

use super::{Context, Failure, args::ReplayArgs};

/// A pause, and then so many bytes.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Chunk {
    pause: Duration,
    bytes: usize,
}

pub(super) fn replay(cx: &Context, args: &ReplayArgs) -> Result<ExitCode, Failure> {
    exit_on_interrupt()
        .map_err(|error| Failure::Failed(format!("cannot handle signals: {error}")))?;
    let stdin = io::stdin();
    if !stdin.is_terminal() {
        // Whoever pipes a prompt in must not be blocked or broken.
        thread::spawn(move || io::copy(&mut stdin.lock(), &mut io::sink()));
    }
    let file = &args.file;
    let cannot =
        |error: io::Error| Failure::Failed(format!("cannot read {}: {error}", file.display()));
    let transcript = fs::read(file).map_err(cannot)?;
    let timing = timing_file(file);
    let chunks = match fs::read_to_string(&timing) {
        Ok(text) => parse_timing(&text)
            .map_err(|problem| Failure::Failed(format!("{}: {problem}", timing.display())))?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            args.pace.map(|pace| lines(&transcript, pace)).unwrap_or_default()
        }
        Err(error) => {
            return Err(Failure::Failed(format!("cannot read {}: {error}", timing.display())));
        }
    };
    let mut rest = transcript.as_slice();
    for chunk in chunks {
        thread::sleep(chunk.pause.div_f64(args.speed));
        let (now, later) = rest.split_at(chunk.bytes.min(rest.len()));
        cx.output.print_bytes(now)?;
        rest = later;
    }
    // What the timing does not cover comes at once.
    cx.output.print_bytes(rest)?;
    Ok(if ends_completed(&transcript) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Ends the process with status 1 at SIGINT, whatever it is doing.
fn exit_on_interrupt() -> io::Result<()> {
    let (mut woken, signal) = UnixStream::pair()?;
    signal_hook::low_level::pipe::register(signal_hook::consts::SIGINT, signal)?;
    thread::spawn(move || {
        let _ = woken.read(&mut [0]);
        std::process::exit(1);
    });
    Ok(())
}

fn timing_file(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".timing");
    name.into()
}

/// Reads the timing format of script(1): a line is `<seconds> <bytes>`.
fn parse_timing(text: &str) -> Result<Vec<Chunk>, String> {
    let chunk = |line: &str| {
        let (seconds, bytes) = line.split_once(' ')?;
        let pause = Duration::try_from_secs_f64(seconds.parse().ok()?).ok()?;
        Some(Chunk { pause, bytes: bytes.trim().parse().ok()? })
    };
    let numbered = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    numbered
        .map(|(index, line)| {
            chunk(line).ok_or_else(|| {
                format!("line {}: expected \"<seconds> <bytes>\", found {line:?}", index + 1)
            })
        })
        .collect()
}

/// A chunk for each line, with the same pause before each.
fn lines(transcript: &[u8], pace: Duration) -> Vec<Chunk> {
    let lines = transcript.split_inclusive(|byte| *byte == b'\n');
    lines.map(|line| Chunk { pause: pace, bytes: line.len() }).collect()
}

/// Whether the last line that tells how a turn ended says that it completed.
fn ends_completed(transcript: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Head<'a> {
        #[serde(borrow, rename = "type")]
        kind: Option<std::borrow::Cow<'a, str>>,
    }
    let mut lines = transcript.rsplit(|byte| *byte == b'\n');
    lines.find_map(|line| match serde_json::from_slice::<Head<'_>>(line).ok()?.kind?.as_ref() {
        "turn.completed" => Some(true),
        "turn.failed" => Some(false),
        _ => None,
    }) == Some(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pauses_are_those_of_a_script_timing_file() {
        let chunks = parse_timing("0.5 10\n\n1.25 3\n").unwrap();
        let chunk = |millis, bytes| Chunk { pause: Duration::from_millis(millis), bytes };
        assert_eq!(chunks, [chunk(500, 10), chunk(1250, 3)]);
        for text in ["1", "x 1", "-1 1", "1 -1", "inf 1", "O 0.1 5"] {
            let problem = parse_timing(&format!("0 1\n{text}")).unwrap_err();
            assert!(problem.starts_with("line 2: "), "{text}: {problem}");
        }
    }

    #[test]
    fn a_pace_is_before_each_line() {
        let pace = Duration::from_millis(7);
        let bytes: Vec<_> = lines(b"a\nbc\nd", pace).into_iter().map(|chunk| chunk.bytes).collect();
        assert_eq!(bytes, [2, 3, 1]);
    }

    #[test]
    fn the_last_word_about_the_turn_decides_the_exit_status() {
        let completed = "{\"type\":\"turn.completed\"}\n";
        let failed = "{\"type\":\"turn.failed\"}\n";
        for (transcript, expected) in [
            (completed.to_owned(), true),
            (failed.to_owned(), false),
            (format!("{failed}{completed}"), true),
            (format!("{completed}{failed}"), false),
            (format!("{completed}not JSON\n[1]\n{{\"type\":\"other\"}}\n"), true),
            (String::new(), false),
            ("{\"item\":{\"type\":\"turn.completed\"}}".into(), false),
        ] {
            assert_eq!(ends_completed(transcript.as_bytes()), expected, "{transcript}");
        }
    }
}
