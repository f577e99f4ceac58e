//! The end of the raw log: which lines there are of a turn whose trace was not taken
//! in to its end. The log itself says so, and no other file, which somebody may have
//! put there to have more cut off.

use std::{fs::File, io, os::unix::fs::FileExt as _};

/// How much is read at once.
const CHUNK: usize = 64 << 10;
/// In so many bytes a line says its turn.
const HEAD: usize = 128;

/// Where the lines of a turn begin: behind the last line of another. What is behind
/// that is what an earlier attempt wrote, be it half a line.
pub(super) fn begin(log: &File, turn: u32) -> io::Result<u64> {
    let mut end = log.metadata()?.len();
    while end > 0 {
        let mut last = [0];
        log.read_exact_at(&mut last, end - 1)?;
        let start = line_start(log, end - 1)?;
        if last == *b"\n" && turn_of(log, start)? != Some(turn) {
            break;
        }
        end = start;
    }
    Ok(end)
}

/// Where the line begins that goes on until `end`.
fn line_start(log: &File, end: u64) -> io::Result<u64> {
    let mut buffer = vec![0; CHUNK];
    let mut at = end;
    while at > 0 {
        let length = CHUNK.min(usize::try_from(at).unwrap_or(CHUNK));
        let from = at - length as u64;
        log.read_exact_at(&mut buffer[..length], from)?;
        if let Some(found) = memchr::memrchr(b'\n', &buffer[..length]) {
            return Ok(from + found as u64 + 1);
        }
        at = from;
    }
    Ok(0)
}

/// The turn of a whole line, by its first members: `{"time":"…","turn":3,…`.
fn turn_of(log: &File, start: u64) -> io::Result<Option<u32>> {
    let mut head = [0; HEAD];
    let length = log.read_at(&mut head, start)?;
    let head = head[..length].split(|byte| *byte == b'\n').next().unwrap_or_default();
    let head = String::from_utf8_lossy(head);
    let number = || {
        let (time, rest) = head.strip_prefix("{\"time\":\"")?.split_once("\",\"turn\":")?;
        let is_time = !time.contains('"');
        let (number, _) = rest.split_once(',')?;
        is_time.then(|| number.parse().ok())?
    };
    Ok(number())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    /// A line of a turn.
    fn line(turn: u32, length: usize) -> String {
        format!("{{\"time\":\"2026\",\"turn\":{turn},\"body\":\"{}\"}}\n", "x".repeat(length))
    }

    /// Checks that what is to be cut off is what stands last.
    fn check(turn: u32, kept: &[String], cut: &[String]) {
        let mut log = tempfile::tempfile().unwrap();
        log.write_all(kept.concat().as_bytes()).unwrap();
        let size = kept.concat().len() as u64;
        log.write_all(cut.concat().as_bytes()).unwrap();
        assert_eq!(begin(&log, turn).unwrap(), size, "{kept:?} {cut:?}");
    }

    #[test]
    fn only_lines_of_the_turn_and_half_a_line_are_cut_off() {
        let half = || "{\"time\":\"20".to_owned();
        check(1, &[], &[]);
        check(1, &[], &[half()]);
        check(1, &[], &[line(1, 0), line(1, CHUNK * 2), half()]);
        check(2, &[line(1, 0), line(1, CHUNK)], &[]);
        check(2, &[line(1, 0), line(1, CHUNK)], &[half()]);
        check(2, &[line(1, CHUNK - 40)], &[line(2, 0), line(2, 1)]);
        // A trace of an old turn that comes again takes nothing away.
        check(1, &[line(1, 0), line(2, 0)], &[]);
        check(1, &["no line of ours\n".to_owned()], &[line(1, 0)]);
        check(1, &["\n".to_owned()], &[]);
        check(2, &["{\"time\":\"\",\"x\":\"\",\"turn\":2,\n".to_owned()], &[line(2, 0)]);
    }
}
