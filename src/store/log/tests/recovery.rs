//! What an open makes of a log that was torn or damaged.

use std::{fs, ops::Range};

use proptest::{collection::vec, prelude::*};

use super::*;
use crate::store::log::{Cut, Opened, Repair, format::SEGMENT_HEADER};

/// Harm to a file's bytes in a range.
#[derive(Debug, Clone, Copy)]
enum Harm {
    Truncate,
    Flip(u8),
    Zero,
    Garbage(u64),
}

impl Harm {
    fn any() -> impl Strategy<Value = Self> {
        prop_oneof![
            Just(Self::Truncate),
            (0..8_u8).prop_map(Self::Flip),
            Just(Self::Zero),
            any::<u64>().prop_map(Self::Garbage),
        ]
    }

    /// Does the harm; what is flipped or cut is at the beginning of the range.
    fn apply(self, path: &Path, range: Range<usize>) {
        let mut bytes = fs::read(path).unwrap();
        match self {
            Self::Truncate => bytes.truncate(range.start),
            Self::Flip(bit) => bytes[range.start] ^= 1 << bit,
            Self::Zero => bytes[range].fill(0),
            Self::Garbage(seed) => {
                let mut state = seed | 1;
                for byte in &mut bytes[range] {
                    // xorshift: any bytes will do, as long as the seed says which.
                    state ^= state << 13;
                    state ^= state >> 7;
                    state ^= state << 17;
                    *byte = state.to_le_bytes()[3];
                }
            }
        }
        fs::write(path, bytes).unwrap();
    }
}

fn range(
    within: Range<usize>,
    start: prop::sample::Index,
    end: prop::sample::Index,
) -> Range<usize> {
    let start = within.start + start.index(within.len());
    start..start + 1 + end.index(within.end - start)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// A machine that lost its power behind the last fdatasync: the log opens,
    /// has all that was acknowledged, and no event is a wrong one.
    #[test]
    fn harm_behind_the_last_sync_loses_only_what_was_not_acknowledged(
        sizes in vec(0..800_usize, 2..40),
        acknowledged in any::<prop::sample::Index>(),
        segment_bytes in prop_oneof![Just(4_000_u64), Just(16 << 20)],
        harm in Harm::any(),
        (start, end) in any::<(prop::sample::Index, prop::sample::Index)>(),
        rebuilds in any::<bool>(),
    ) {
        let model = Model::new(sizes);
        let home = Home::new();
        let options = unsynced(segment_bytes);
        let durable = acknowledged.index(model.sizes.len() - 1);
        let before = Model::new(model.sizes[..durable].to_vec());
        drop(before.write(&home.dir(), options.clone(), 7));
        // The write that is torn goes to the segment that is there, so that it
        // has a file behind which nothing was acknowledged.
        let path = home.segments().pop().unwrap();
        let synced = usize::try_from(fs::metadata(&path).unwrap().len()).unwrap();
        let (mut log, _) =
            Log::open(&home.dir(), before.last(), &mut never, unsynced(u64::MAX)).unwrap();
        model.extend(&mut log, model.sizes.len());
        drop(log);
        let written = fs::read(&path).unwrap();
        harm.apply(&path, range(synced..written.len(), start, end));

        let durable = Seq(durable as u64);
        let mut rebuild = |gap: &Gap| if rebuilds { model.rebuild(gap) } else { None };
        let (mut log, opened) =
            Log::open(&home.dir(), durable, &mut rebuild, options.clone()).unwrap();
        prop_assert!(log.tail().last >= durable);
        let readable = Model::new(model.sizes[..usize::try_from(log.tail().last.0).unwrap()].to_vec());
        let damaged = readable.damaged(&log.reader());
        prop_assert!(damaged.iter().all(|&seq| seq > durable));
        prop_assert_eq!(damaged.is_empty(), opened.read_only.is_none());
        prop_assert!(!rebuilds || opened.read_only.is_none());
        if opened.read_only.is_some() {
            let next = log.tail().last.next();
            let refused = log.append(&Batch::new(next)).unwrap_err();
            assert!(matches!(refused, Error::ReadOnly { .. }));
        } else {
            model.extend(&mut log, 5);
            model.assert_whole(&log.reader());
            drop(log);
            let (log, opened) =
                Log::open(&home.dir(), model.last(), &mut never, all_segments(options)).unwrap();
            prop_assert_eq!(opened.read_only, None);
            model.assert_whole(&log.reader());
        }
    }

    /// Damage to what was acknowledged, anywhere: it is made again to the byte,
    /// or it is said and everything else can be read.
    #[test]
    fn harm_to_what_was_acknowledged_is_rebuilt_or_said(
        sizes in vec(0..800_usize, 2..40),
        segment_bytes in prop_oneof![Just(4_000_u64), Just(16 << 20)],
        harm in Harm::any(),
        which in any::<prop::sample::Index>(),
        (start, end) in any::<(prop::sample::Index, prop::sample::Index)>(),
    ) {
        let model = Model::new(sizes);
        let home = Home::new();
        let options = unsynced(segment_bytes);
        drop(model.write(&home.dir(), options.clone(), 3));
        let intact = home.contents();
        let path = home.segments().swap_remove(which.index(intact.len()));
        let len = usize::try_from(fs::metadata(&path).unwrap().len()).unwrap();
        harm.apply(&path, range(0..len, start, end));
        let harmed = home.contents();
        let changed = harmed != intact;

        // Whoever looks at the last segment only says it when the events are read.
        let (log, _) =
            Log::open(&home.dir(), Seq::ZERO, &mut |_| None, unsynced(u64::MAX)).unwrap();
        let found = model.damaged(&log.reader());
        drop(log);
        for (path, content) in home.segments().iter().zip(&harmed) {
            fs::write(path, content).unwrap();
        }

        let opened = Log::open(&home.dir(), model.last(), &mut |_| None, all_segments(options.clone()));
        let (log, opened) = opened.unwrap();
        let damaged = model.damaged(&log.reader());
        let lost = Seq(model.last().0 - log.tail().last.0);
        prop_assert!(found.iter().all(|seq| damaged.contains(seq)));
        prop_assert_eq!(opened.read_only.is_some(), !damaged.is_empty() || lost > Seq::ZERO);
        prop_assert!(!changed || opened.read_only.is_some() || !opened.repairs.is_empty());
        if opened.read_only.is_some() {
            prop_assert!(home.contents() == harmed);
        }
        drop(log);

        let mut rebuild = |gap: &Gap| model.rebuild(gap);
        let opened = Log::open(&home.dir(), model.last(), &mut rebuild, all_segments(options.clone()));
        let (log, opened) = opened.unwrap();
        prop_assert_eq!(opened.read_only, None);
        model.assert_whole(&log.reader());
        // The epoch is in the headers only; it is lost when there was but one.
        for (mended, intact) in home.contents().iter().zip(&intact) {
            let from = if harmed.len() == 1 { SEGMENT_HEADER } else { 0 };
            prop_assert_eq!(&mended[from..], &intact[from..]);
        }
        for repair in opened.repairs {
            prop_assert_eq!(repair.damaged.map(|kept| fs::read(kept).unwrap()).is_some(), true);
        }
    }
}

/// A log of ten events in one segment, and where each record begins.
fn ten(home: &Home) -> (Model, Vec<u64>) {
    let model = Model::new([100; 10]);
    drop(model.write(&home.dir(), unsynced(1 << 20), 10));
    let record = (fs::metadata(&home.segments()[0]).unwrap().len() - SEGMENT_HEADER as u64) / 10;
    (model, (0..=10).map(|at| SEGMENT_HEADER as u64 + at * record).collect())
}

#[test]
fn a_torn_tail_is_cut() {
    let home = Home::new();
    let (model, starts) = ten(&home);
    let path = home.segments().remove(0);
    flip(&path, starts[9] + 60);
    let (log, opened) = Log::open(&home.dir(), Seq(9), &mut never, unsynced(1 << 20)).unwrap();
    let cut = Cut { path: path.clone(), bytes: starts[10] - starts[9] };
    let tail = Model::tail(Seq(9));
    assert_eq!(opened, Opened { tail, cut: Some(cut), repairs: vec![], read_only: None });
    assert_eq!(fs::metadata(&path).unwrap().len(), starts[9]);
    Model::new(model.sizes[..9].to_vec()).assert_whole(&log.reader());
}

#[test]
fn a_bad_record_with_valid_ones_behind_it_is_rebuilt_though_it_was_not_known_to_be_durable() {
    let home = Home::new();
    let (model, starts) = ten(&home);
    let intact = home.contents();
    let path = home.segments().remove(0);
    flip(&path, starts[4] + 60);
    flip(&path, starts[5] + 2);
    let damaged = fs::read(&path).unwrap();

    let mut gaps = vec![];
    let mut rebuild = |gap: &Gap| {
        gaps.push(*gap);
        model.rebuild(gap)
    };
    let (log, opened) = Log::open(&home.dir(), Seq::ZERO, &mut rebuild, unsynced(1 << 20)).unwrap();
    let gap = Gap {
        first: Seq(5),
        missing: Missing::Exactly(2),
        after: Model::tail(Seq(4)),
        before: Some(Model::behind(Seq(7))),
    };
    assert_eq!(gaps, vec![gap]);
    let kept = path.with_extension("seg.damaged");
    let repair = Repair { path, damaged: Some(kept.clone()), rebuilt: vec![(Seq(5), 2)] };
    assert_eq!(opened.repairs, vec![repair]);
    assert_eq!(opened.read_only, None);
    assert_eq!(fs::read(kept).unwrap(), damaged);
    assert_eq!(home.contents(), intact);
    model.assert_whole(&log.reader());
}

#[test]
fn a_second_repair_keeps_the_first_damaged_file() {
    let home = Home::new();
    let (model, starts) = ten(&home);
    let path = home.segments().remove(0);
    for number in [3, 6] {
        flip(&path, starts[number] + 60);
        let mut rebuild = |gap: &Gap| model.rebuild(gap);
        let (log, _) = Log::open(&home.dir(), Seq(10), &mut rebuild, unsynced(1 << 20)).unwrap();
        model.assert_whole(&log.reader());
    }
    assert!(path.with_extension("seg.damaged").exists());
    assert!(path.with_extension("seg.damaged.2").exists());
}

#[test]
fn what_cannot_be_rebuilt_makes_the_log_read_only_and_is_said() {
    let home = Home::new();
    let (model, starts) = ten(&home);
    let path = home.segments().remove(0);
    flip(&path, starts[4] + 60);
    let damaged = home.contents();
    let wrong =
        [None, Some(model.batch(5..=6)), Some(model.batch(4..=4)), Some(Batch::new(Seq(5)))];
    for mut wrong in wrong {
        let (mut log, opened) =
            Log::open(&home.dir(), Seq(10), &mut |_| wrong.take(), unsynced(1 << 20)).unwrap();
        let problem =
            format!("the events 5 to 5 in {path:?} are damaged and could not be made again");
        assert_eq!(opened.read_only.as_ref(), Some(&problem));
        assert!(matches!(
            log.append(&model.batch(1..=1)).unwrap_err(),
            Error::ReadOnly { problem: said } if said == problem
        ));
        let reader = log.reader();
        assert_eq!(reader.latest(), Seq(10));
        assert_eq!(model.damaged(&reader), [Seq(5)]);
        assert_eq!(reader.read(Seq(1), 1 << 20).unwrap().unwrap().last(), Seq(4));
        assert_eq!(reader.read(Seq(6), 1 << 20).unwrap().unwrap().last(), Seq(10));
    }
    assert_eq!(home.contents(), damaged);
    let reader = Reader::open_read_only(&home.dir()).unwrap();
    assert_eq!(model.damaged(&reader), [Seq(5)]);
}

#[test]
fn a_log_that_is_shorter_than_what_was_durable_is_rebuilt_from_its_end() {
    let home = Home::new();
    let (model, starts) = ten(&home);
    let intact = home.contents();
    File::options().write(true).open(&home.segments()[0]).unwrap().set_len(starts[7]).unwrap();
    let mut gaps = vec![];
    let mut rebuild = |gap: &Gap| {
        gaps.push(*gap);
        // More was durable than the caller knew.
        Some(model.batch(8..=10))
    };
    let (log, opened) = Log::open(&home.dir(), Seq(9), &mut rebuild, unsynced(1 << 20)).unwrap();
    let gap = Gap {
        first: Seq(8),
        missing: Missing::AtLeast(2),
        after: Model::tail(Seq(7)),
        before: None,
    };
    assert_eq!(gaps, vec![gap]);
    assert_eq!(opened.tail, Model::tail(Seq(10)));
    assert_eq!(home.contents(), intact);
    model.assert_whole(&log.reader());
}

#[test]
fn a_log_that_is_gone_but_for_its_directory_is_rebuilt_or_said() {
    let home = Home::new();
    let (model, _) = ten(&home);
    fs::remove_file(&home.segments()[0]).unwrap();
    let (log, opened) = Log::open(&home.dir(), Seq(10), &mut |_| None, unsynced(1 << 20)).unwrap();
    assert!(opened.read_only.is_some());
    assert!(log.reader().read(Seq(1), 100).unwrap().is_none());

    let mut rebuild = |gap: &Gap| model.rebuild(gap);
    let (log, opened) = Log::open(&home.dir(), Seq(10), &mut rebuild, unsynced(1 << 20)).unwrap();
    assert_eq!(opened.read_only, None);
    model.assert_whole(&log.reader());
}

#[test]
fn a_segment_that_is_gone_from_the_middle_is_rebuilt() {
    let home = Home::new();
    let model = Model::new([200; 40]);
    drop(model.write(&home.dir(), unsynced(2_000), 3));
    let intact = home.contents();
    fs::remove_file(&home.segments()[2]).unwrap();
    let mut rebuild = |gap: &Gap| model.rebuild(gap);
    let options = all_segments(unsynced(2_000));
    let (log, opened) = Log::open(&home.dir(), model.last(), &mut rebuild, options).unwrap();
    assert_eq!(opened.read_only, None);
    model.assert_whole(&log.reader());
    // Its events are in the segment before it now.
    assert_eq!(home.segments().len(), intact.len() - 1);
}

#[test]
fn a_segment_of_another_log_is_not_read() {
    let (home, other) = (Home::new(), Home::new());
    let model = Model::new([200; 40]);
    drop(model.write(&home.dir(), unsynced(2_000), 3));
    let foreign = Model::new([201; 40]);
    drop(foreign.write(&other.dir(), unsynced(2_000), 3));
    let intact = home.contents();
    fs::copy(&other.segments()[1], &home.segments()[1]).unwrap();
    let mut rebuild = |gap: &Gap| model.rebuild(gap);
    let options = all_segments(unsynced(2_000));
    let (log, opened) = Log::open(&home.dir(), model.last(), &mut rebuild, options).unwrap();
    assert_eq!(opened.read_only, None);
    assert_eq!(home.contents(), intact);
    model.assert_whole(&log.reader());
}

#[test]
fn a_newer_format_is_refused_and_nothing_is_touched() {
    let home = Home::new();
    let (_, starts) = ten(&home);
    let path = home.segments().remove(0);
    let mut bytes = fs::read(&path).unwrap();
    bytes.truncate(usize::try_from(starts[9]).unwrap() + 20);
    bytes[8] = 2;
    let crc = crc32c::crc32c(&bytes[..60]);
    bytes[60..64].copy_from_slice(&crc.to_le_bytes());
    fs::write(&path, &bytes).unwrap();
    let unfinished = home.dir().join("unfinished.new");
    fs::write(&unfinished, "").unwrap();

    let error = Log::open(&home.dir(), Seq(9), &mut never, Options::default()).unwrap_err();
    let text = error.to_string();
    assert!(text.contains(path.to_str().unwrap()), "{text}");
    assert!(matches!(
        error,
        Error::NewerFormat { path: said, version: 2, supported: 1 } if said == path
    ));
    assert_eq!(fs::read(&path).unwrap(), bytes);
    assert!(unfinished.exists());
}

#[test]
fn an_unfinished_file_and_foreign_names_are_no_part_of_the_log() {
    let home = Home::new();
    let (model, _) = ten(&home);
    for name in ["00000000000000000011.new", "11.seg", "notes.txt", "0000000000000000000x.seg"] {
        fs::write(home.dir().join(name), "anything").unwrap();
    }
    let (log, opened) = Log::open(&home.dir(), Seq(10), &mut never, unsynced(1 << 20)).unwrap();
    assert_eq!((opened.cut, opened.repairs, opened.read_only), (None, vec![], None));
    model.assert_whole(&log.reader());
    assert!(!home.dir().join("00000000000000000011.new").exists());
    assert!(home.dir().join("notes.txt").exists());
}

#[test]
fn damage_that_comes_while_reading_is_an_error_and_never_an_event() {
    let home = Home::new();
    let (model, starts) = ten(&home);
    let (log, _) = Log::open(&home.dir(), Seq(10), &mut never, unsynced(1 << 20)).unwrap();
    let reader = log.reader();
    flip(&home.segments()[0], starts[6] + 70);
    assert_eq!(reader.read(Seq(1), 1 << 20).unwrap().unwrap().last(), Seq(6));
    assert!(matches!(
        reader.read(Seq(7), 1 << 20).unwrap_err(),
        Error::Damaged { seq: Seq(7), path } if path == home.segments()[0]
    ));
    assert_eq!(model.damaged(&reader), [Seq(7)]);
    File::options().write(true).open(&home.segments()[0]).unwrap().set_len(starts[8]).unwrap();
    assert!(matches!(reader.read(Seq(9), 1).unwrap_err(), Error::Damaged { seq: Seq(9), .. }));
}
