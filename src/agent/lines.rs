//! Splits an agent's output into its lines.
//!
//! Used by whoever follows a turn file, which is any byte stream to this
//! module: it reads nothing and waits for nothing. Lines end at a line feed and
//! nowhere else, because agents print U+2028 and carriage returns inside of
//! lines. A blank line is a line.

use bytes::Bytes;

/// The longest line that is handed on, in bytes without its line feed.
pub const MAX_LINE_BYTES: usize = 64 * 1024 * 1024;

/// One line of output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// A line of at most [`MAX_LINE_BYTES`].
    Whole {
        /// The line without its line feed: a slice of the block that was read,
        /// where the line lies in one block.
        bytes: Bytes,
        /// The offset in the output of the byte after its line feed, or of the
        /// end of the output where it has none.
        end: u64,
    },
    /// A longer line, which was not kept.
    Oversized {
        /// The offset in the output of its first byte.
        start: u64,
        /// Its size in bytes, without its line feed.
        size: u64,
        /// As for a whole line.
        end: u64,
    },
}

impl Line {
    /// The offset in the output where the next line begins.
    #[must_use]
    pub fn end(&self) -> u64 {
        match self {
            Self::Whole { end, .. } | Self::Oversized { end, .. } => *end,
        }
    }
}

/// Turns blocks of output into lines.
///
/// Give it a block with [`push`](Self::push), take lines until
/// [`next_line`](Self::next_line) has none, and give it the next block. It
/// holds the block and the unfinished line, which is never above the limit.
#[derive(Debug)]
pub struct Splitter {
    /// What of the last block was not handed on yet.
    block: Bytes,
    /// The beginning of the unfinished line, from earlier blocks.
    pending: Vec<u8>,
    /// Whether the unfinished line is above the limit, so that it is only
    /// counted.
    oversized: bool,
    /// Where the unfinished line begins.
    line_start: u64,
    /// Where `block` begins.
    position: u64,
    limit: usize,
}

impl Splitter {
    /// Begins at a line's first byte, which has this offset in the output.
    #[must_use]
    pub fn new(offset: u64) -> Self {
        Self::with_limit(offset, MAX_LINE_BYTES)
    }

    /// The same with another limit.
    fn with_limit(offset: u64, limit: usize) -> Self {
        Self {
            block: Bytes::new(),
            pending: Vec::new(),
            oversized: false,
            line_start: offset,
            position: offset,
            limit,
        }
    }

    /// Takes the next block of output. The lines of the one before must have
    /// been taken.
    pub fn push(&mut self, block: Bytes) {
        debug_assert!(self.block.is_empty(), "lines of the last block were not taken");
        self.block = block;
    }

    /// The next line, or none until there is another block.
    pub fn next_line(&mut self) -> Option<Line> {
        let Some(length) = memchr::memchr(b'\n', &self.block) else {
            let rest = std::mem::take(&mut self.block);
            self.keep(&rest);
            return None;
        };
        let tail = self.block.split_to(length + 1).slice(..length);
        if self.pending.is_empty() && !self.oversized && tail.len() <= self.limit {
            self.position += length as u64 + 1;
            self.line_start = self.position;
            return Some(Line::Whole { bytes: tail, end: self.position });
        }
        self.keep(&tail);
        let size = self.position - self.line_start;
        self.position += 1;
        Some(self.take_line(size))
    }

    /// The last line, when the output ended without a line feed after it. Only
    /// for an output that is known to be at its end.
    pub fn finish(&mut self) -> Option<Line> {
        debug_assert!(self.block.is_empty(), "lines of the last block were not taken");
        let size = self.position - self.line_start;
        (size > 0).then(|| self.take_line(size))
    }

    /// Where the unfinished line begins: reading can begin again here, with a
    /// new splitter, as if nothing had happened.
    #[must_use]
    pub fn line_start(&self) -> u64 {
        self.line_start
    }

    /// Adds to the unfinished line, or only counts where it became too long.
    fn keep(&mut self, bytes: &[u8]) {
        self.position += bytes.len() as u64;
        let size = self.pending.len() + bytes.len();
        if self.oversized || size > self.limit {
            self.oversized = true;
            self.pending = Vec::new();
            return;
        }
        if size > self.pending.capacity() {
            // Doubling, but never beyond the limit.
            let capacity = (self.pending.capacity() * 2).clamp(size, self.limit);
            self.pending.reserve_exact(capacity - self.pending.len());
        }
        self.pending.extend_from_slice(bytes);
    }

    /// Ends the unfinished line, which has this size, at `position`.
    fn take_line(&mut self, size: u64) -> Line {
        let (start, end) = (self.line_start, self.position);
        self.line_start = end;
        if std::mem::take(&mut self.oversized) {
            return Line::Oversized { start, size, end };
        }
        Line::Whole { bytes: Bytes::from(std::mem::take(&mut self.pending)), end }
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection, prelude::*};

    use super::*;

    /// Splits a whole output that is given in these blocks.
    fn split(blocks: &[&[u8]], offset: u64, limit: usize) -> Vec<Line> {
        let mut splitter = Splitter::with_limit(offset, limit);
        let mut lines = Vec::new();
        for block in blocks {
            splitter.push(Bytes::copy_from_slice(block));
            while let Some(line) = splitter.next_line() {
                lines.push(line);
                assert!(splitter.pending.capacity() <= limit);
            }
            assert!(splitter.pending.capacity() <= limit);
        }
        lines.extend(splitter.finish());
        assert_eq!(splitter.finish(), None);
        lines
    }

    fn whole(bytes: &'static [u8], end: u64) -> Line {
        Line::Whole { bytes: Bytes::from_static(bytes), end }
    }

    #[test]
    fn lines_end_at_line_feeds_only() {
        assert_eq!(
            split(&[b"a\r\n\nb\xe2\x80\xa8\rc", b"d\n", b"e"], 100, 10),
            [
                whole(b"a\r", 103),
                whole(b"", 104),
                whole(b"b\xe2\x80\xa8\rcd", 112),
                whole(b"e", 113)
            ]
        );
        assert_eq!(split(&[b"a\n", b""], 0, 10), [whole(b"a", 2)]);
        assert_eq!(split(&[], 7, 10), []);
    }

    #[test]
    fn a_line_above_the_limit_is_counted_and_not_kept() {
        let oversized = |start, size, end| Line::Oversized { start, size, end };
        assert_eq!(
            split(&[b"12345\n123456\n12", b"34", b"56", b"7\n1\n", b"123456"], 50, 5),
            [
                whole(b"12345", 56),
                oversized(56, 6, 63),
                oversized(63, 7, 71),
                whole(b"1", 73),
                oversized(73, 6, 79)
            ]
        );
    }

    #[test]
    fn a_line_within_one_block_is_not_copied() {
        let block = Bytes::from_static(b"ab\ncd\n");
        let mut splitter = Splitter::new(0);
        splitter.push(block.clone());
        for offset in [0, 3] {
            let Some(Line::Whole { bytes, .. }) = splitter.next_line() else { panic!("no line") };
            assert_eq!(bytes.as_ptr(), block[offset..].as_ptr());
        }
    }

    proptest! {
        #[test]
        fn any_blocks_give_the_lines_of_a_plain_split(
            output in collection::vec(prop_oneof![2 => Just(b'\n'), 5 => any::<u8>()], 0..300),
            sizes in collection::vec(1..40_usize, 1..300),
            offset in 0..1_000_000_u64,
            limit in 1..12_usize,
        ) {
            let mut expected = Vec::new();
            let mut start = offset;
            for piece in output.split_inclusive(|&byte| byte == b'\n') {
                let line = piece.strip_suffix(b"\n").unwrap_or(piece);
                let (size, end) = (line.len() as u64, start + piece.len() as u64);
                expected.push(if line.len() > limit {
                    Line::Oversized { start, size, end }
                } else {
                    Line::Whole { bytes: Bytes::copy_from_slice(line), end }
                });
                start = end;
            }

            let mut blocks = Vec::new();
            let mut rest = output.as_slice();
            for size in sizes.into_iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (block, after) = rest.split_at(size.min(rest.len()));
                blocks.push(block);
                rest = after;
            }
            prop_assert_eq!(split(&blocks, offset, limit), expected.as_slice());

            // Reading may begin again after any line.
            if let Some(line) = expected.first() {
                let skip = usize::try_from(line.end() - offset).unwrap();
                let again = split(&[&output[skip..]], line.end(), limit);
                prop_assert_eq!(again, &expected[1..]);
            }
        }
    }
}
