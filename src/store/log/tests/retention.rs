//! What is removed from the beginning of a log, and what is left of it.

use std::fs;

use proptest::{collection::vec, prelude::*};
use rustix::io::Errno;

use super::*;
use crate::store::log::{Expired, Extent, Retention, extent, format::SEGMENT_HEADER};

/// Keeps every turn.
const ALL: Retention = Retention { max_bytes: None, before_unix_nanos: None, keep_turn: 0 };
/// Removes all that may go.
const NOTHING: Retention =
    Retention { max_bytes: Some(0), before_unix_nanos: None, keep_turn: u32::MAX };

const SEGMENT: u64 = 4_000;

/// A log of so many events of 300 bytes in segments of about ten.
fn events(home: &Home, count: usize) -> (Model, Log) {
    let model = Model::new(vec![300; count]);
    let log = model.write(&home.dir(), unsynced(SEGMENT), 1);
    assert!(home.segments().len() > 3);
    (model, log)
}

fn firsts(home: &Home) -> Vec<Seq> {
    segment::list(&home.dir()).unwrap()
}

/// Reads the log from its oldest event on and asserts that all is as it should
/// be, and that what is older has expired.
fn assert_rest(model: &Model, reader: &Reader, oldest: Seq) {
    assert_eq!((reader.oldest(), reader.latest()), (oldest, model.last()));
    let mut next = oldest;
    while let Some(chunk) = reader.read(next, 4_096).unwrap() {
        for entry in chunk.iter() {
            assert_eq!(entry, model.entry(next));
            next = next.next();
        }
    }
    assert_eq!(next, model.last().next());
    for seq in (1..oldest.0).map(Seq) {
        assert_expired(reader, seq, oldest);
    }
}

fn assert_expired(reader: &Reader, seq: Seq, begin: Seq) {
    match reader.read(seq, 1) {
        Err(Error::Expired { requested, oldest }) => assert_eq!((requested, oldest), (seq, begin)),
        other => panic!("{seq}: {other:?}"),
    }
}

#[test]
fn the_oldest_segments_go_until_the_rest_is_small_enough() {
    let home = Home::new();
    let (model, mut log) = events(&home, 100);
    let sizes: Vec<u64> = home.contents().iter().map(|bytes| bytes.len() as u64).collect();
    let before = firsts(&home);
    let kept: u64 = sizes[3..].iter().sum();
    let retention = Retention { max_bytes: Some(kept), keep_turn: u32::MAX, ..ALL };
    let expected = Expired { segments: 3, bytes: sizes[..3].iter().sum() };
    assert_eq!(log.expire(&retention).unwrap(), expected);
    assert_eq!(firsts(&home), before[3..]);
    let expected = Extent { segments: before.len() - 3, bytes: kept };
    assert_eq!(extent(&home.dir()).unwrap(), expected);
    assert_rest(&model, &log.reader(), before[3]);
    assert_eq!(log.expire(&retention).unwrap(), Expired::default());
}

#[test]
fn a_segment_goes_when_its_last_event_is_too_old() {
    let home = Home::new();
    let (model, mut log) = events(&home, 100);
    let before = firsts(&home);
    let time_of = |seq: u64| Model::meta(Seq(seq)).time_unix_nanos;
    let expire = |log: &mut Log, time| {
        let retention = Retention { before_unix_nanos: Some(time), keep_turn: u32::MAX, ..ALL };
        log.expire(&retention).unwrap().segments
    };
    // The last event of the second segment is just young enough.
    assert_eq!(expire(&mut log, time_of(before[2].0 - 1)), 1);
    assert_rest(&model, &log.reader(), before[1]);
    assert_eq!(expire(&mut log, time_of(before[2].0)), 1);
    assert_rest(&model, &log.reader(), before[2]);
}

#[test]
fn the_last_segment_stays_whatever_is_asked() {
    let home = Home::new();
    let (model, mut log) = events(&home, 100);
    let last = *firsts(&home).last().unwrap();
    log.expire(&NOTHING).unwrap();
    assert_eq!(firsts(&home), [last]);
    assert_rest(&model, &log.reader(), last);
    assert_eq!(log.expire(&NOTHING).unwrap(), Expired::default());

    let mut more = model;
    more.sizes.extend([300; 30]);
    more.extend(&mut log, 1);
    assert_rest(&more, &log.reader(), last);
    drop(log);
    let (log, opened) =
        Log::open(&home.dir(), more.last(), &mut never, all_segments(unsynced(SEGMENT))).unwrap();
    assert_eq!((opened.cut, opened.repairs, opened.read_only), (None, vec![], None));
    assert_eq!(*log.tail(), Model::tail(more.last()));
    assert_rest(&more, &log.reader(), last);
}

#[test]
fn no_event_of_the_turn_that_stays_goes() {
    // A turn of the model has fifty events: turn 1 begins at seq 50.
    for keep_turn in [0, 1, 2, 3] {
        let home = Home::new();
        let (model, mut log) = events(&home, 120);
        let before = firsts(&home);
        log.expire(&Retention { keep_turn, ..NOTHING }).unwrap();
        let first = Seq(u64::from(keep_turn) * 50);
        let oldest = log.reader().oldest();
        assert!(oldest <= first.max(Seq::FIRST) || keep_turn == 3, "turn {keep_turn}: {oldest}");
        let holds_it = before.iter().rev().find(|&&begin| begin <= first).unwrap_or(&before[0]);
        assert_eq!(oldest, *holds_it, "turn {keep_turn}: and all before it went");
        assert_rest(&model, &log.reader(), oldest);
    }
}

#[test]
fn a_reader_reads_on_in_the_segment_that_it_has_open() {
    let home = Home::new();
    let (model, mut log) = events(&home, 100);
    let before = firsts(&home);
    let (reader, other) = (log.reader(), log.reader());
    assert_eq!(reader.read(Seq(2), 1).unwrap().unwrap().first(), Seq(2));
    log.expire(&Retention { max_bytes: Some(SEGMENT * 3), ..NOTHING }).unwrap();
    let oldest = reader.oldest();
    assert!(oldest > before[1]);
    for seq in (3..before[1].0).map(Seq) {
        let chunk = reader.read(seq, 1).unwrap().unwrap();
        assert_eq!(chunk.iter().collect::<Vec<_>>(), [model.entry(seq)]);
        assert_expired(&other, seq, oldest);
    }
    // The next segment it had not opened.
    assert_expired(&reader, before[1], oldest);
    assert_eq!(reader.read(oldest, 1).unwrap().unwrap().first(), oldest);
}

#[test]
fn a_segment_that_cannot_be_removed_stays_and_nothing_behind_it_goes() {
    let home = Home::new();
    let disk = Arc::new(Faulty::default());
    let model = Model::new([300; 60]);
    let mut log = model.write(&home.dir(), disk.options(SEGMENT), 1);
    let before = firsts(&home);
    disk.fail(Act::Remove, 1, Errno::ACCESS);
    assert!(matches!(log.expire(&NOTHING).unwrap_err(), Error::Io { action: "remove", .. }));
    assert_eq!(firsts(&home), before[1..]);
    assert_rest(&model, &log.reader(), before[1]);
    // The removal that could not be made durable was done; the next waits for another time.
    disk.fail(Act::SyncDirectory, 0, Errno::IO);
    assert!(log.expire(&NOTHING).is_err());
    assert_eq!(firsts(&home), before[2..]);
    assert_rest(&model, &log.reader(), before[2]);
    log.expire(&NOTHING).unwrap();
    assert_eq!(firsts(&home), before[before.len() - 1..]);
}

#[test]
fn a_log_that_is_read_only_stays_as_it_is() {
    let home = Home::new();
    let (model, log) = events(&home, 100);
    drop(log);
    let segments = home.segments();
    flip(segments.last().unwrap(), SEGMENT_HEADER as u64 + 60);
    let (mut log, opened) =
        Log::open(&home.dir(), model.last(), &mut |_| None, unsynced(SEGMENT)).unwrap();
    assert!(opened.read_only.is_some());
    assert_eq!(log.expire(&NOTHING).unwrap(), Expired::default());
    assert_eq!(home.segments(), segments);
}

#[test]
fn what_ends_before_a_damaged_header_stays() {
    let home = Home::new();
    let (model, log) = events(&home, 100);
    drop(log);
    let before = firsts(&home);
    flip(&home.segments()[2], 30);
    let (mut log, _) = Log::open(&home.dir(), model.last(), &mut never, unsynced(SEGMENT)).unwrap();
    log.expire(&NOTHING).unwrap();
    assert_eq!(firsts(&home), before[1..]);
    assert_rest(&model, &log.reader(), before[1]);
}

#[test]
fn an_expired_log_with_a_damaged_first_header_is_repaired_without_what_expired() {
    let home = Home::new();
    let (model, mut log) = events(&home, 100);
    log.expire(&Retention { max_bytes: Some(SEGMENT * 3), ..NOTHING }).unwrap();
    drop(log);
    let oldest = firsts(&home)[0];
    let intact = home.contents();
    flip(&home.segments()[0], 30);
    // Left as it is where only the last segment is looked at, and mended else.
    for options in [unsynced(SEGMENT), all_segments(unsynced(SEGMENT))] {
        let (log, opened) = Log::open(&home.dir(), model.last(), &mut never, options).unwrap();
        assert_eq!((opened.cut, opened.read_only), (None, None));
        assert_eq!(*log.tail(), Model::tail(model.last()));
        assert_rest(&model, &log.reader(), oldest);
    }
    // The values before its first record went with what expired.
    let records = |contents: Vec<Vec<u8>>| -> Vec<Vec<u8>> {
        contents.into_iter().map(|bytes| bytes[SEGMENT_HEADER..].to_vec()).collect()
    };
    assert_eq!(records(home.contents()), records(intact));
    assert!(Reader::open_read_only(&home.dir()).unwrap().oldest() == oldest);
}

#[test]
fn a_lone_segment_with_a_damaged_header_opens_at_its_first_seq() {
    let home = Home::new();
    let (model, mut log) = events(&home, 100);
    log.expire(&NOTHING).unwrap();
    drop(log);
    let oldest = firsts(&home)[0];
    flip(&home.segments()[0], 30);
    let (log, opened) =
        Log::open(&home.dir(), model.last(), &mut never, unsynced(SEGMENT)).unwrap();
    assert_eq!((opened.repairs.len(), opened.read_only), (1, None));
    assert_eq!(*log.tail(), Model::tail(model.last()));
    assert_rest(&model, &log.reader(), oldest);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Wherever a removal was cut short, the log opens with all that is left,
    /// nothing is asked to be made again, and it goes on.
    #[test]
    fn a_log_without_any_number_of_its_first_segments_opens(
        sizes in vec(0..800_usize, 20..60),
        per_batch in 1..6_usize,
        removed in any::<prop::sample::Index>(),
        verifies_all in any::<bool>(),
    ) {
        let model = Model::new(sizes);
        let home = Home::new();
        let options = unsynced(SEGMENT);
        drop(model.write(&home.dir(), options.clone(), per_batch));
        let segments = home.segments();
        let removed = removed.index(segments.len());
        let oldest = firsts(&home)[removed];
        for path in &segments[..removed] {
            fs::remove_file(path).unwrap();
        }
        let options = if verifies_all { all_segments(options) } else { options };
        let (mut log, opened) =
            Log::open(&home.dir(), model.last(), &mut never, options.clone()).unwrap();
        prop_assert_eq!((&opened.cut, &opened.read_only), (&None, &None));
        prop_assert!(opened.repairs.is_empty());
        prop_assert_eq!(*log.tail(), Model::tail(model.last()));
        assert_rest(&model, &log.reader(), oldest);

        let mut more = model;
        more.sizes.extend([100; 10]);
        more.extend(&mut log, per_batch);
        assert_rest(&more, &log.reader(), oldest);
        drop(log);
        let (log, opened) = Log::open(&home.dir(), more.last(), &mut never, options).unwrap();
        prop_assert_eq!(opened.read_only, None);
        assert_rest(&more, &log.reader(), oldest);
    }

    /// What goes is never more than was asked for, and the rest is as it was.
    #[test]
    fn an_expiry_leaves_a_suffix_that_keeps_to_its_bounds(
        sizes in vec(0..800_usize, 20..60),
        max_bytes in 0..40_000_u64,
        keep_turn in 0..3_u32,
    ) {
        let model = Model::new(sizes);
        let home = Home::new();
        let mut log = model.write(&home.dir(), unsynced(SEGMENT), 2);
        let before = firsts(&home);
        let total = |home: &Home| home.contents().iter().map(Vec::len).sum::<usize>() as u64;
        let all = total(&home);
        let retention = Retention { max_bytes: Some(max_bytes), keep_turn, ..ALL };
        let expired = log.expire(&retention).unwrap();
        let after = firsts(&home);
        prop_assert_eq!(&before[expired.segments..], &after[..]);
        prop_assert_eq!(all - expired.bytes, total(&home));
        let first_kept = Seq(u64::from(keep_turn) * 50);
        prop_assert!(after[0] <= first_kept.max(Seq::FIRST) || first_kept > model.last());
        // The one before it was needed to be over the bound.
        if expired.segments > 0 {
            prop_assert!(total(&home) + 5_000 > max_bytes);
        }
        assert_rest(&model, &log.reader(), after[0]);
    }
}
