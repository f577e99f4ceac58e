//! The vocabulary of events, on top of the generated messages: putting an event
//! together, its kind as a number and a filter of kinds, its smaller twin for
//! receivers that cannot take it whole, and its JSON form.
//!
//! A leaf: the log, the sessions, the wire adapters and the CLI name it, and it
//! names no transport and no agent's dialect.

use std::time::SystemTime;

use bytes::Bytes;
use prost::Message as _;

pub use crate::proto::EventKind;
use crate::{
    error::{Error, Result},
    id::{Seq, SessionId, TurnNumber},
    proto::{self, Origin, TimeSource, event::Kind, watch_events_response::Message},
    time::timestamp,
};

mod elide;
mod json;

pub use elide::{MIN_MAX_EVENT_BYTES, elide};
pub(crate) use json::repair_surrogates;
pub use json::{page_to_json, raw_json, response_to_json, to_json};

/// The largest message that a receiver gets when it does not say what it can
/// take, in bytes: below the 4 MiB that gRPC clients take by default.
pub const DEFAULT_MAX_EVENT_BYTES: usize = 3 << 20;
/// The largest that a receiver may ask for, in bytes.
pub const MAX_MAX_EVENT_BYTES: usize = 64 << 20;

/// What several events of a session have in common.
///
/// One envelope serves a whole block of an agent's lines: what differs is what
/// [`Envelope::seal`] takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// The session that the events belong to.
    pub session_id: SessionId,
    /// The turn that they belong to, where there is one.
    pub turn: Option<TurnNumber>,
    /// When the server read or made them.
    pub time: SystemTime,
    /// What `time` means.
    pub time_source: TimeSource,
    /// Who made them.
    pub origin: Origin,
}

impl Envelope {
    /// For lines that an agent printed in a turn.
    #[must_use]
    pub fn agent(
        session_id: SessionId,
        turn: TurnNumber,
        time: SystemTime,
        time_source: TimeSource,
    ) -> Self {
        Self { session_id, turn: Some(turn), time, time_source, origin: Origin::Agent }
    }

    /// For what the server itself says now.
    #[must_use]
    pub fn server(session_id: SessionId, turn: Option<TurnNumber>, time: SystemTime) -> Self {
        Self { session_id, turn, time, time_source: TimeSource::Live, origin: Origin::Server }
    }

    /// Makes an event of what happened.
    ///
    /// `raw` is the agent's line without its line feed, and empty for what the
    /// server says. It is kept as it is, not copied.
    #[must_use]
    pub fn seal(&self, seq: Seq, kind: Kind, raw: Bytes, byte_offset: u64) -> proto::Event {
        proto::Event {
            session_id: self.session_id.to_string(),
            seq: seq.0,
            time: Some(timestamp(self.time)),
            time_source: self.time_source.into(),
            turn: self.turn.map_or(0, |turn| turn.0),
            origin: self.origin.into(),
            raw,
            elided: None,
            byte_offset,
            kind: Some(kind),
        }
    }
}

/// The message by which a watch sends an event, which is also what the log
/// holds.
#[must_use]
pub fn message(event: proto::Event) -> proto::WatchEventsResponse {
    proto::WatchEventsResponse { message: Some(Message::Event(event)) }
}

/// The encoded size of an event's [`message`], which is also what the event takes
/// in a `ListEventsResponse`: in both it is a field with a number below 16.
#[must_use]
pub fn message_len(event: &proto::Event) -> usize {
    let bytes = event.encoded_len();
    1 + prost::length_delimiter_len(bytes) + bytes
}

/// Reads an event back from the frame that the log holds and watches send: the
/// five bytes of gRPC's prefix and the encoded [`message`]. Its `raw` is a slice
/// of the frame, not a copy.
///
/// # Errors
///
/// [`Error::Internal`] where the frame holds no event, which the log's checksum
/// rules out.
pub fn decode_frame(frame: &Bytes) -> Result<proto::Event> {
    if frame.len() < FRAME_PREFIX_BYTES {
        return Err(Error::internal("a frame of the log has no prefix"));
    }
    let response = proto::WatchEventsResponse::decode(frame.slice(FRAME_PREFIX_BYTES..))
        .map_err(Error::internal)?;
    match response.message {
        Some(Message::Event(event)) => Ok(event),
        Some(
            Message::Header(_) | Message::Synced(_) | Message::Heartbeat(_) | Message::LeftOut(_),
        )
        | None => Err(Error::internal("a frame of the log holds no event")),
    }
}

/// A flag and the length of the message, before each message of gRPC.
const FRAME_PREFIX_BYTES: usize = 5;

/// Reads an event back as [`decode_frame`] does, cut down where it is larger than
/// `max_event_bytes`; see [`elide()`].
///
/// # Errors
///
/// As [`decode_frame`].
pub fn decode_frame_within(frame: &Bytes, max_event_bytes: usize) -> Result<proto::Event> {
    let event = decode_frame(frame)?;
    if frame.len() - FRAME_PREFIX_BYTES <= max_event_bytes {
        return Ok(event);
    }
    Ok(within(event, max_event_bytes))
}

/// Cuts an event down, saying where the whole of it is.
#[must_use]
pub fn within(event: proto::Event, max_event_bytes: usize) -> proto::Event {
    let whole = event.elided.unwrap_or(proto::Elided {
        size: event.raw.len() as u64,
        turn: event.turn,
        byte_offset: event.byte_offset,
    });
    elide(event, whole, max_event_bytes)
}

/// Cuts an event down where no receiver could take it, who can ask for 64 MiB
/// at most.
///
/// Its line stays whole where that leaves 64 KiB for the rest: what it says of
/// the line is in there too, so that is cut. `elided` says that something was.
#[must_use]
pub fn deliverable(mut event: proto::Event) -> proto::Event {
    const LARGEST: usize = MAX_MAX_EVENT_BYTES - PAGE_BYTES;
    // What is said of a line is never three times as long, so that almost no
    // event has to be measured.
    if event.raw.len() <= LARGEST / 4 || message_len(&event) <= LARGEST {
        return event;
    }
    if event.raw.len() > MAX_MAX_EVENT_BYTES - MIN_MAX_EVENT_BYTES {
        return within(event, LARGEST);
    }
    let raw = event.raw.clone();
    event.elided = Some(proto::Elided {
        size: raw.len() as u64,
        turn: event.turn,
        byte_offset: event.byte_offset,
    });
    let rest = LARGEST - raw.len();
    proto::Event { raw, ..within(event, rest) }
}

/// What a page of events may say beside them.
const PAGE_BYTES: usize = 1 << 10;

/// Reads a field that says how large a message its receiver can take; 0 is the
/// default.
///
/// # Errors
///
/// [`Error::InvalidArgument`] below 64 KiB and above 64 MiB.
pub fn parse_max_event_bytes(field: &'static str, bytes: u32) -> Result<usize> {
    parse_bytes(field, bytes, DEFAULT_MAX_EVENT_BYTES)
}

/// The same where another bound is meant by 0.
///
/// # Errors
///
/// As [`parse_max_event_bytes`].
pub fn parse_bytes(field: &'static str, bytes: u32, default: usize) -> Result<usize> {
    match bytes as usize {
        0 => Ok(default),
        bytes if (MIN_MAX_EVENT_BYTES..=MAX_MAX_EVENT_BYTES).contains(&bytes) => Ok(bytes),
        bytes => Err(Error::invalid(
            field,
            format!(
                "{bytes} is out of bounds: expected {MIN_MAX_EVENT_BYTES} to {MAX_MAX_EVENT_BYTES}, or 0 for {default}"
            ),
        )),
    }
}

/// The name of an event's kind in filters.
#[must_use]
pub fn kind_of(kind: &Kind) -> EventKind {
    match kind {
        Kind::ThreadStarted(_) => EventKind::ThreadStarted,
        Kind::TurnStarted(_) => EventKind::TurnStarted,
        Kind::TurnCompleted(_) => EventKind::TurnCompleted,
        Kind::TurnFailed(_) => EventKind::TurnFailed,
        Kind::ItemStarted(_) => EventKind::ItemStarted,
        Kind::ItemUpdated(_) => EventKind::ItemUpdated,
        Kind::ItemCompleted(_) => EventKind::ItemCompleted,
        Kind::Error(_) => EventKind::Error,
        Kind::Unknown(_) => EventKind::Unknown,
        Kind::InvalidLine(_) => EventKind::InvalidLine,
        Kind::SessionCreated(_) => EventKind::SessionCreated,
        Kind::TurnSpawned(_) => EventKind::TurnSpawned,
        Kind::StateChanged(_) => EventKind::StateChanged,
        Kind::TurnExited(_) => EventKind::TurnExited,
        Kind::Warning(_) => EventKind::Warning,
        Kind::SessionUpdated(_) => EventKind::SessionUpdated,
        Kind::SessionDeleted(_) => EventKind::SessionDeleted,
        Kind::SettingsChanged(_) => EventKind::SettingsChanged,
        Kind::ControlsChanged(_) => EventKind::ControlsChanged,
    }
}

/// The number of an event's kind, as log records hold it: that of [`EventKind`].
#[must_use]
pub fn kind_number(kind: &Kind) -> u8 {
    u8::try_from(i32::from(kind_of(kind))).expect("the numbers of EventKind are below 64")
}

/// Whether events of the kind that a log record holds are lines of the agent.
#[must_use]
pub fn is_agents(kind: u8) -> bool {
    // The numbers of the server's kinds begin behind those of the agent's.
    i32::from(kind) < EventKind::SessionCreated as i32
}

/// A filter: the kinds of events that a subscriber wants.
///
/// It works on the numbers that log records hold, so that a filtered reader
/// need not decode what it leaves out. An empty list of kinds wants all of
/// them, those of later versions too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kinds(
    /// One bit for each number of [`EventKind`]; all bits mean all kinds.
    u64,
);

impl Kinds {
    /// Wants every event.
    pub const ALL: Self = Self(u64::MAX);

    /// Reads the field `kinds` of a request.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] where a number is not one of [`EventKind`], or
    /// is `EVENT_KIND_UNSPECIFIED`: a filter that silently lets nothing through
    /// would look like a session in which nothing happens.
    pub fn parse(numbers: &[i32]) -> Result<Self> {
        let mut bits = 0;
        for &number in numbers {
            match EventKind::try_from(number) {
                Err(_) | Ok(EventKind::Unspecified) => {
                    return Err(Error::invalid(
                        "kinds",
                        format!("{number} is not the number of an event kind"),
                    ));
                }
                Ok(kind) => bits |= bit(kind),
            }
        }
        Ok(if bits == 0 { Self::ALL } else { Self(bits) })
    }

    /// Whether events whose kind has this number are wanted.
    #[must_use]
    pub fn contains(self, number: u8) -> bool {
        self.is_all() || (number < 64 && self.0 & (1 << number) != 0)
    }

    /// Whether nothing is left out.
    #[must_use]
    pub fn is_all(self) -> bool {
        self == Self::ALL
    }
}

impl FromIterator<EventKind> for Kinds {
    /// Wants exactly these kinds; none at all means every kind.
    fn from_iter<I: IntoIterator<Item = EventKind>>(kinds: I) -> Self {
        let bits = kinds.into_iter().fold(0, |bits, kind| bits | bit(kind));
        if bits == 0 { Self::ALL } else { Self(bits) }
    }
}

/// The bit of a kind, whose number is below 64.
fn bit(kind: EventKind) -> u64 {
    1 << i32::from(kind)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use crate::time::Timestamp;

    use super::*;

    #[test]
    fn an_agents_line_is_sealed_with_all_that_its_envelope_says() {
        let session_id = SessionId::random();
        let time = UNIX_EPOCH + Duration::new(1_700_000_000, 5);
        let envelope = Envelope::agent(session_id, TurnNumber(3), time, TimeSource::Adopted);
        let raw = Bytes::from_static(br#"{"type":"turn.started"}"#);
        let kind = Kind::TurnStarted(proto::TurnStarted {});

        let sealed = envelope.seal(Seq(7), kind.clone(), raw.clone(), 42);

        let event = proto::Event {
            session_id: session_id.to_string(),
            seq: 7,
            time: Some(Timestamp { seconds: 1_700_000_000, nanos: 5 }),
            time_source: TimeSource::Adopted.into(),
            turn: 3,
            origin: Origin::Agent.into(),
            raw,
            elided: None,
            byte_offset: 42,
            kind: Some(kind),
        };
        assert_eq!(sealed, event);
    }

    #[test]
    fn a_frame_gives_its_event_back_without_copying_the_line() {
        let envelope = Envelope::server(SessionId::random(), None, UNIX_EPOCH);
        let kind = Kind::Warning(proto::Warning::default());
        let event = envelope.seal(Seq(1), kind, Bytes::from_static(b"a line"), 0);
        let message = message(event.clone()).encode_to_vec();
        let frame = Bytes::from([&[0, 0, 0, 0, 9][..], &message].concat());

        let decoded = decode_frame(&frame).unwrap();

        assert_eq!(decoded, event);
        assert!(frame.as_ptr_range().contains(&decoded.raw.as_ptr()));
    }

    #[test]
    fn an_event_takes_the_same_room_in_a_message_and_in_a_page() {
        let envelope = Envelope::server(SessionId::random(), None, UNIX_EPOCH);
        for bytes in [0, 100, 20_000] {
            let kind = Kind::Warning(proto::Warning::default());
            let event = envelope.seal(Seq(1), kind, vec![b'x'; bytes].into(), 0);
            let events = vec![event.clone()];
            let page = proto::ListEventsResponse { events, ..Default::default() };
            assert_eq!(message_len(&event), message(event.clone()).encoded_len());
            assert_eq!(message_len(&event), page.encoded_len());
        }
    }

    #[test]
    fn a_frame_without_an_event_is_an_error() {
        let synced = Message::Synced(proto::Synced::default());
        let synced = proto::WatchEventsResponse { message: Some(synced) }.encode_to_vec();
        for message in [synced, vec![], vec![0xff]] {
            let frame = Bytes::from([&[0; 5][..], &message].concat());
            assert!(matches!(decode_frame(&frame), Err(Error::Internal(_))));
        }
        assert!(matches!(decode_frame(&Bytes::from_static(b"1234")), Err(Error::Internal(_))));
    }

    #[test]
    fn every_kind_has_a_bit_of_its_own() {
        let numbers: Vec<i32> =
            (0..i32::from(u8::MAX)).filter(|&n| EventKind::try_from(n).is_ok()).collect();
        assert!(numbers.iter().all(|&number| number < 64), "{numbers:?}");
    }

    #[test]
    fn a_filter_wants_what_it_names_and_an_empty_one_wants_all() {
        let kinds = Kinds::parse(&[9, 36]).unwrap();
        let wanted: Vec<u8> = (0..=u8::MAX).filter(|&number| kinds.contains(number)).collect();
        assert_eq!(wanted, [9, 36]);
        assert_eq!([EventKind::Unknown, EventKind::Warning].into_iter().collect::<Kinds>(), kinds);
        assert_eq!(Kinds::parse(&[]).unwrap(), Kinds::ALL);
        assert!((0..=u8::MAX).all(|number| Kinds::ALL.contains(number)));
    }

    #[test]
    fn a_filter_refuses_what_is_not_a_kind() {
        for number in [0, 11, -1, 99] {
            let error = Kinds::parse(&[1, number]).unwrap_err();
            assert_eq!(
                error.to_string(),
                format!("kinds: {number} is not the number of an event kind")
            );
        }
    }
}
