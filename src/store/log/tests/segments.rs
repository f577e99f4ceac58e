//! Damage in several segments at once, whichever they are: what can be made
//! again is, the rest is said, and no event is ever a wrong one.

use std::{collections::BTreeSet, fs};

use proptest::{collection::vec, prelude::*};

use super::*;
use crate::store::log::{Repair, format::SEGMENT_HEADER};

const SEGMENT: u64 = 2_000;

/// Harm to one byte of a file, or to all from there on.
#[derive(Debug, Clone, Copy)]
enum Harm {
    Flip(u8),
    Truncate,
    Remove,
}

fn harms() -> impl Strategy<Value = Vec<(prop::sample::Index, prop::sample::Index, Harm)>> {
    let harm = prop_oneof![
        6 => (0..8_u8).prop_map(Harm::Flip),
        3 => Just(Harm::Truncate),
        1 => Just(Harm::Remove),
    ];
    vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), harm), 1..5)
}

/// A log in several segments, and harm done to some of them.
fn harmed(
    home: &Home,
    model: &Model,
    harms: &[(prop::sample::Index, prop::sample::Index, Harm)],
) -> usize {
    drop(model.write(&home.dir(), unsynced(SEGMENT), 2));
    let segments = home.segments();
    for (which, at, harm) in harms {
        let path = &segments[which.index(segments.len())];
        let Ok(mut bytes) = fs::read(path) else { continue };
        match harm {
            Harm::Flip(bit) => {
                let at = at.index(bytes.len().max(1));
                bytes.get_mut(at..=at).into_iter().for_each(|byte| byte[0] ^= 1 << bit);
            }
            Harm::Truncate => bytes.truncate(at.index(bytes.len() + 1)),
            // Without its first segments a log looks as one whose events expired.
            Harm::Remove if *path == segments[0] => {}
            Harm::Remove => {
                fs::remove_file(path).unwrap();
                continue;
            }
        }
        fs::write(path, bytes).unwrap();
    }
    segments.len()
}

/// The damaged events of a log as whoever reads on and on would find them.
fn holes(model: &Model, reader: &Reader) -> BTreeSet<Seq> {
    let mut holes = BTreeSet::new();
    let mut next = reader.oldest();
    while next <= reader.latest() {
        match reader.read(next, 1 << 20) {
            Ok(chunk) => {
                for entry in chunk.unwrap().iter() {
                    assert_eq!(entry, model.entry(next));
                    next = next.next();
                }
            }
            Err(Error::Damaged { seq, .. }) => {
                let readable = reader.next_readable(seq.max(next.next())).unwrap();
                let end = readable.unwrap_or(reader.latest().next());
                holes.extend((next.0..end.0).map(Seq));
                next = end;
            }
            Err(error) => panic!("{error:?}"),
        }
    }
    holes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    /// Where everything can be made again, everything is.
    #[test]
    fn harm_to_any_segments_is_made_good_where_all_can_be_made_again(
        sizes in vec(0..600_usize, 12..60),
        harms in harms(),
    ) {
        let (home, model) = (Home::new(), Model::new(sizes));
        harmed(&home, &model, &harms);
        let mut rebuild = |gap: &Gap| model.rebuild(gap);
        let options = all_segments(unsynced(SEGMENT));
        let opened = Log::open(&home.dir(), model.last(), &mut rebuild, options.clone());
        let (log, opened) = opened.unwrap();
        prop_assert_eq!(opened.read_only, None);
        model.assert_whole(&log.reader());
        for Repair { path, .. } in &opened.repairs {
            prop_assert!(path.exists());
        }
        drop(log);
        // And it stays so, without anything to be made again.
        let (log, opened) = Log::open(&home.dir(), model.last(), &mut never, options).unwrap();
        prop_assert_eq!((opened.cut, opened.repairs, opened.read_only), (None, vec![], None));
        model.assert_whole(&log.reader());
    }

    /// Where only some can be made again, the others are said: whoever reads on
    /// finds every other event, each exactly once.
    #[test]
    fn what_cannot_be_made_again_in_any_segment_is_said_and_all_else_can_be_read(
        sizes in vec(0..600_usize, 12..60),
        harms in harms(),
        refused in any::<u64>(),
    ) {
        let (home, model) = (Home::new(), Model::new(sizes));
        harmed(&home, &model, &harms);
        let mut refusals = BTreeSet::new();
        let mut rebuild = |gap: &Gap| {
            if refused >> (gap.first.0 % 64) & 1 == 1 {
                refusals.insert(gap.first);
                return None;
            }
            model.rebuild(gap)
        };
        let options = all_segments(unsynced(SEGMENT));
        let opened = Log::open(&home.dir(), model.last(), &mut rebuild, options.clone());
        let (log, opened) = opened.unwrap();
        let reader = log.reader();
        let lost: BTreeSet<Seq> = (reader.latest().0 + 1..=model.last().0).map(Seq).collect();
        let holes = holes(&model, &reader);
        prop_assert_eq!(opened.read_only.is_some(), !refusals.is_empty());
        prop_assert_eq!(opened.read_only.is_some(), !holes.is_empty() || !lost.is_empty());
        // Each read by itself says the same.
        prop_assert_eq!(model.damaged(&reader), holes.iter().copied().collect::<Vec<_>>());
        for refusal in refusals {
            prop_assert!(holes.contains(&refusal) || lost.contains(&refusal));
        }
        // What was lost can be made again later, by somebody who knows how.
        drop(log);
        let mut rebuild = |gap: &Gap| model.rebuild(gap);
        let (log, opened) = Log::open(&home.dir(), model.last(), &mut rebuild, options).unwrap();
        prop_assert_eq!(opened.read_only, None);
        model.assert_whole(&log.reader());
    }
}

#[test]
fn a_segment_that_is_removed_while_the_log_is_open_is_damage_with_an_end() {
    let home = Home::new();
    let model = Model::new([300; 40]);
    let log = model.write(&home.dir(), unsynced(SEGMENT), 1);
    let firsts = segment::list(&home.dir()).unwrap();
    let segments = home.segments();
    for at in [1, 2] {
        fs::remove_file(&segments[at]).unwrap();
    }
    let reader = log.reader();
    assert!(matches!(reader.read(firsts[1], 1).unwrap_err(), Error::Damaged { .. }));
    assert_eq!(reader.next_readable(firsts[1]).unwrap(), Some(firsts[3]));
    assert_eq!(
        holes(&model, &reader),
        (firsts[1].0..firsts[3].0).map(Seq).collect::<BTreeSet<_>>()
    );
    fs::remove_file(segments.last().unwrap()).unwrap();
    assert_eq!(reader.next_readable(*firsts.last().unwrap()).unwrap(), None);
}

#[test]
fn what_follows_a_damaged_header_and_a_damaged_record_before_it_is_not_guessed() {
    let home = Home::new();
    let model = Model::new([300; 40]);
    drop(model.write(&home.dir(), unsynced(SEGMENT), 1));
    let firsts = segment::list(&home.dir()).unwrap();
    let segments = home.segments();
    // The last record before the segment, its header, and its first record.
    flip(&segments[1], fs::metadata(&segments[1]).unwrap().len() - 10);
    flip(&segments[2], 30);
    flip(&segments[2], SEGMENT_HEADER as u64 + 60);
    let lost = [Seq(firsts[2].0 - 1), firsts[2]];
    let mut asked = vec![];
    let mut rebuild = |gap: &Gap| {
        asked.push(gap.first);
        None
    };
    let options = all_segments(unsynced(SEGMENT));
    let (log, opened) =
        Log::open(&home.dir(), model.last(), &mut rebuild, options.clone()).unwrap();
    assert_eq!(asked, lost[..1]);
    assert!(opened.read_only.is_some());
    assert_eq!(holes(&model, &log.reader()), BTreeSet::from(lost));
    // With the record before it the rest follows.
    let (log, opened) =
        Log::open(&home.dir(), model.last(), &mut |gap| model.rebuild(gap), options).unwrap();
    assert_eq!(opened.read_only, None);
    model.assert_whole(&log.reader());
}
