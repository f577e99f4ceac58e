//! The frames of a WebSocket as they pass, of which only the messages are counted.

/// The longest head of a frame, without its mask.
const MAX_HEAD: usize = 10;
/// What a response ends with, before the frames.
const END_OF_HEAD: &[u8; 4] = b"\r\n\r\n";

/// Where one direction is.
#[derive(Debug)]
pub(super) enum Frames {
    /// In the response that comes before: so much of its end was seen.
    Response(usize),
    /// In the head of a frame: so much of it is there.
    Head([u8; MAX_HEAD], usize),
    /// So many bytes before the next head.
    Payload(u64),
}

impl Frames {
    /// What a client sends.
    pub(super) fn received() -> Self {
        Self::Head([0; MAX_HEAD], 0)
    }

    /// What a server sends, its response included.
    pub(super) fn sent() -> Self {
        Self::Response(0)
    }

    /// Passes bytes, and says how many messages end with a frame that begins there.
    pub(super) fn pass(&mut self, mut bytes: &[u8]) -> i64 {
        let mut messages = 0;
        while let Some((first, rest)) = bytes.split_first() {
            match self {
                Self::Response(seen) => {
                    bytes = rest;
                    *seen = match *seen {
                        seen if END_OF_HEAD[seen] == *first => seen + 1,
                        _ => usize::from(*first == b'\r'),
                    };
                    if *seen == END_OF_HEAD.len() {
                        *self = Self::received();
                    }
                }
                Self::Head(head, have) => {
                    bytes = rest;
                    head[*have] = *first;
                    *have += 1;
                    if let Some((is_last, length)) = read(&head[..*have]) {
                        messages += i64::from(is_last);
                        *self = Self::Payload(length);
                    }
                }
                Self::Payload(left) => {
                    let passed = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                    bytes = &bytes[passed..];
                    *left -= passed as u64;
                }
            }
            if let Self::Payload(0) = self {
                *self = Self::received();
            }
        }
        messages
    }
}

/// Whether a message ends with the frame of this head, and how much comes before the
/// next one; `None` where the head goes on.
fn read(head: &[u8]) -> Option<(bool, u64)> {
    let (&[kind, short], long) = head.split_first_chunk()?;
    let length = match short & 0x7F {
        126 => u16::from_be_bytes(*long.first_chunk()?).into(),
        127 => u64::from_be_bytes(*long.first_chunk()?),
        short => short.into(),
    };
    let mask = if short & 0x80 == 0 { 0 } else { 4 };
    // Those of control have the highest bit of their four.
    Some((kind & 0x88 == 0x80, length.saturating_add(mask)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_counted_however_their_bytes_come() {
        let large = [&[0x81, 0xFF][..], &70_000_u64.to_be_bytes(), &[7; 70_004]].concat();
        let frames: [&[u8]; 7] = [
            b"\x81\x82mask{}",
            b"\x89\x80mask",
            b"\x01\x81mask{\x00\x80mask\x80\x81mask}",
            &large,
            &[&[0x82, 0xFE, 0, 200][..], &[0x81; 204]].concat(),
            b"\x88\x82mask\x03\xE8",
            b"\x81\x80mask",
        ];
        let frames = frames.concat();
        for size in [1, 2, 3, 1_000, frames.len()] {
            let mut passing = Frames::received();
            let messages: i64 = frames.chunks(size).map(|bytes| passing.pass(bytes)).sum();
            assert_eq!(messages, 5, "in pieces of {size}");
        }
        let answer =
            [&b"HTTP/1.1 101 \r\na: \r\r\n\r\n"[..], b"\x81\x02{}\x89\x00\x81\x00"].concat();
        for size in [1, 7, answer.len()] {
            let mut passing = Frames::sent();
            let messages: i64 = answer.chunks(size).map(|bytes| passing.pass(bytes)).sum();
            assert_eq!(messages, 2, "in pieces of {size}");
        }
    }
}
