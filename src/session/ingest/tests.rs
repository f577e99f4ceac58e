//! Damage to the log of a real turn: what an open makes of it, from the turn's
//! output alone.

use std::io::Write as _;

use proptest::{collection::vec, prelude::*, sample::Index};

use super::*;
use crate::{
    proto::{self, Event, SessionState, StateReason, TimeSource},
    store::log::Options,
};

/// What happens in a turn, in order.
#[derive(Debug, Clone)]
enum Act {
    /// The agent prints a line.
    Line(String),
    /// The server says something between lines.
    Say(String),
    /// What was printed is read.
    Read,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let text = "[a-z ]{0,120}";
    let act = prop_oneof![
        4 => text.prop_map(|text| Act::Line(format!(
            r#"{{"type":"item.completed","item":{{"id":"item_0","type":"agent_message","text":"{text}"}}}}"#
        ))),
        2 => text.prop_map(Act::Line),
        1 => text.prop_map(Act::Say),
        3 => Just(Act::Read),
    ];
    vec(act, 10..60)
}

fn options(verify: Verify) -> Options {
    let mut options = Options::default();
    options.segment_bytes = 2_000;
    options.verify = verify;
    options
}

fn say(ingest: &mut Ingest, kind: Kind) {
    ingest.state(vec![Statement::now(TurnNumber(1), kind)]).unwrap();
}

/// Lets a turn happen.
fn perform(id: SessionId, directory: &SessionDirectory, acts: &[Act]) -> Vec<Event> {
    let opened = Ingest::open(id, directory, Seq::ZERO, None, options(Verify::LastSegment));
    let (mut ingest, _) = opened.unwrap();
    let files = TurnFiles::new(directory.turns(), TurnNumber(1));
    let mut output = File::options().append(true).create(true).open(files.stdout()).unwrap();
    say(&mut ingest, Kind::TurnSpawned(proto::TurnSpawned::default()));
    for act in acts {
        match act {
            Act::Line(line) => writeln!(output, "{line}").unwrap(),
            Act::Say(message) => {
                let (code, message) = ("TEST".to_owned(), message.clone());
                say(&mut ingest, Kind::Warning(proto::Warning { code, message }));
            }
            Act::Read => drop(ingest.step(&files, false, false).unwrap()),
        }
    }
    while !ingest.step(&files, false, true).unwrap().at_end {}
    let completed = (SessionState::Completed, StateReason::Unspecified, String::new());
    say(&mut ingest, state::state_changed(SessionState::Running, completed));
    let (events, holes) = read(&ingest);
    assert_eq!(holes, Vec::<u64>::new());
    events
}

/// The events that can be read, and the seqs of the others.
fn read(ingest: &Ingest) -> (Vec<Event>, Vec<u64>) {
    let reader = ingest.reader();
    let (mut events, mut holes, mut next) = (Vec::new(), Vec::new(), Seq::FIRST);
    while next <= reader.latest() {
        match reader.read(next, 1 << 20) {
            Ok(chunk) => {
                for entry in chunk.unwrap().iter() {
                    events.push(event::decode_frame(&entry.frame).unwrap());
                    next = next.next();
                }
            }
            Err(log::Error::Damaged { .. }) => {
                holes.push(next.0);
                next = next.next();
            }
            Err(error) => panic!("{error:?}"),
        }
    }
    (events, holes)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Every event is as it was, or was made again from the line that it was, or
    /// is said to be damaged; and nothing is said of a log that is whole.
    #[test]
    fn damage_anywhere_is_made_good_from_the_output_or_said(
        acts in acts(),
        harms in vec((any::<Index>(), any::<Index>(), any::<Option<u8>>()), 1..4),
    ) {
        let root = tempfile::tempdir().unwrap();
        let id = SessionId::random();
        let directory = SessionDirectory::of(id, root.path());
        directory.create(None).unwrap();
        let before = perform(id, &directory, &acts);
        let last = Seq(before.len() as u64);

        let mut segments: Vec<_> =
            fs::read_dir(directory.events()).unwrap().map(|entry| entry.unwrap().path()).collect();
        segments.sort();
        for (which, at, harm) in harms {
            let path = &segments[which.index(segments.len())];
            let mut bytes = fs::read(path).unwrap();
            let at = at.index(bytes.len().max(1));
            match harm {
                Some(bits) => bytes.get_mut(at..=at).into_iter().for_each(|byte| byte[0] ^= bits),
                None => bytes.truncate(at),
            }
            fs::write(path, bytes).unwrap();
        }

        let opened = Ingest::open(id, &directory, last, None, options(Verify::AllSegments));
        let (ingest, opened) = opened.unwrap();
        let (after, holes) = read(&ingest);
        let lost = last.0 - ingest.reader().latest().0;
        prop_assert_eq!(opened.read_only.is_none(), holes.is_empty() && lost == 0);
        prop_assert_eq!(after.len() + holes.len() + usize::try_from(lost).unwrap(), before.len());
        for mut event in after {
            let mut expected = before[usize::try_from(event.seq).unwrap() - 1].clone();
            if event.time_source() == TimeSource::Rebuilt {
                (event.time, expected.time) = (None, None);
                expected.set_time_source(TimeSource::Rebuilt);
            }
            prop_assert_eq!(event, expected);
        }
        // It is known at the next start, without a look at all of it.
        let is_whole = opened.read_only.is_none();
        drop(ingest);
        let opened = Ingest::open(id, &directory, last, None, options(Verify::LastSegment));
        prop_assert_eq!(opened.unwrap().1.read_only.is_none(), is_whole);
    }
}
