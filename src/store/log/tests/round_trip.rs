//! What is appended is what is read, by any reader at any time.

use std::{fs, sync::mpsc, thread};

use proptest::{collection::vec, prelude::*};

use super::*;
use crate::store::log::{Chunk, Epoch, Frame, Opened};

fn sizes() -> impl Strategy<Value = Vec<usize>> {
    vec(prop_oneof![8 => 0..600_usize, 2 => 0..20_000_usize, 1 => 60_000..150_000_usize], 1..80)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_appended_is_read_from_any_seq(
        sizes in sizes(),
        per_batch in 1..40_usize,
        segment_bytes in prop_oneof![1_000..100_000_u64, Just(16 << 20)],
        max_bytes in 1..300_000_usize,
        from in any::<prop::sample::Index>(),
    ) {
        let model = Model::new(sizes);
        let home = Home::new();
        let options = unsynced(segment_bytes);
        let log = model.write(&home.dir(), options.clone(), per_batch);
        model.assert_whole(&log.reader());
        let epoch = log.reader().epoch();
        drop(log);

        let (log, opened) =
            Log::open(&home.dir(), model.last(), &mut never, all_segments(options)).unwrap();
        let tail = Model::tail(model.last());
        prop_assert_eq!(opened, Opened { tail, cut: None, repairs: vec![], read_only: None });
        let reader = log.reader();
        prop_assert_eq!(reader.epoch(), epoch);
        model.assert_whole(&reader);
        model.assert_whole(&Reader::open_read_only(&home.dir()).unwrap());

        let from = Seq(from.index(model.sizes.len()) as u64 + 1);
        let chunk = reader.read(from, max_bytes).unwrap().unwrap();
        prop_assert_eq!(chunk.first(), from);
        prop_assert!(chunk.bytes().len() <= max_bytes || chunk.index().len() == 1);
        for entry in chunk.iter() {
            prop_assert_eq!(&entry, &model.entry(entry.seq));
        }
    }

    #[test]
    fn an_append_gives_its_events_back_in_chunks(sizes in sizes()) {
        let model = Model::new(sizes);
        let home = Home::new();
        let mut log = Log::create(&home.dir(), unsynced(1 << 20)).unwrap();
        let chunks = log.append(&model.batch(1..=model.last().0)).unwrap();
        let entries: Vec<_> = chunks.iter().flat_map(|chunk| chunk.iter()).collect();
        let expected: Vec<_> = (1..=model.last().0).map(|seq| model.entry(Seq(seq))).collect();
        prop_assert_eq!(entries, expected);
        for chunk in chunks {
            prop_assert!(chunk.bytes().len() <= 64 * 1024 || chunk.index().len() == 1);
            let largest = chunk.iter().map(|entry| entry.frame.len()).max();
            prop_assert_eq!(Some(chunk.largest_frame()), largest);
        }
    }
}

#[test]
fn readers_beside_the_writer_get_each_event_once() {
    let model = Model::new((0..600).map(|at| at * 7 % 900));
    let home = Home::new();
    let mut log = Log::create(&home.dir(), unsynced(20_000)).unwrap();
    thread::scope(|scope| {
        let mut published = vec![];
        for number in 0..4 {
            let (tx, rx) = mpsc::channel::<Seq>();
            published.push(tx);
            let (reader, model) = (log.reader(), &model);
            scope.spawn(move || {
                let mut next = Seq::FIRST;
                while next <= model.last() {
                    match reader.read(next, 1 << (8 + 3 * number)).unwrap() {
                        Some(chunk) => {
                            for entry in chunk.iter() {
                                assert_eq!(entry, model.entry(next));
                                next = next.next();
                            }
                        }
                        None => drop(rx.recv().unwrap()),
                    }
                }
            });
        }
        while log.tail().last < model.last() {
            let first = log.tail().last.next().0;
            log.append(&model.batch(first..=model.last().0.min(first + first % 9))).unwrap();
            for tx in &published {
                // A reader that has read all has gone.
                let _ = tx.send(log.tail().last);
            }
        }
    });
    assert!(home.segments().len() > 5);
}

#[test]
fn a_chunk_is_cut_at_a_seq() {
    let model = Model::new([3, 200, 50]);
    let home = Home::new();
    let mut log = Log::create(&home.dir(), unsynced(1 << 20)).unwrap();
    let chunk: Arc<Chunk> = log.append(&model.batch(1..=3)).unwrap().remove(0);
    assert_eq!((chunk.first(), chunk.last()), (Seq(1), Seq(3)));
    let all: Vec<Frame> = chunk.index().to_vec();

    assert_eq!(chunk.slice_from(Seq(0)), (chunk.bytes().clone(), &all[..]));
    let from_second = [model.entry(Seq(2)).frame, model.entry(Seq(3)).frame].concat();
    assert_eq!(chunk.slice_from(Seq(2)), (from_second.into(), &all[1..]));
    assert_eq!(chunk.slice_from(Seq(4)), (Default::default(), &all[3..]));
    assert_eq!(chunk.iter_from(Seq(3)).collect::<Vec<_>>(), vec![model.entry(Seq(3))]);
    assert_eq!(chunk.iter_from(Seq(4)).count(), 0);
}

#[test]
fn an_event_of_many_megabytes_is_read_by_itself() {
    let model = Model::new([10, 9 << 20, 10]);
    let home = Home::new();
    let log = model.write(&home.dir(), unsynced(1 << 20), 3);
    let reader = log.reader();
    let lengths: Vec<usize> = (1..=3)
        .map(|seq| reader.read(Seq(seq), 64 * 1024).unwrap().unwrap().index().len())
        .collect();
    assert_eq!(lengths, [1, 1, 1]);
    model.assert_whole(&reader);
}

#[test]
fn a_new_log_is_empty_and_opens_again() {
    let home = Home::new();
    let log = Log::create(&home.dir(), Options::default()).unwrap();
    let epoch: Epoch = log.reader().epoch();
    assert_eq!(epoch.to_string().len(), 16);
    drop(log);
    let (mut log, opened) =
        Log::open(&home.dir(), Seq::ZERO, &mut never, Options::default()).unwrap();
    assert_eq!(opened.tail, Tail::default());
    let reader = log.reader();
    assert_eq!((reader.oldest(), reader.latest()), (Seq::FIRST, Seq::ZERO));
    assert_eq!(reader.epoch(), epoch);
    assert!(reader.read(Seq::FIRST, 1000).unwrap().is_none());

    let model = Model::new([100; 10]);
    model.extend(&mut log, 3);
    model.assert_whole(&reader);
}

#[test]
fn a_directory_without_a_segment_opens_as_an_empty_log() {
    let home = Home::new();
    fs::create_dir(home.dir()).unwrap();
    let (mut log, _) = Log::open(&home.dir(), Seq::ZERO, &mut never, Options::default()).unwrap();
    let model = Model::new([100; 3]);
    model.extend(&mut log, 3);
    model.assert_whole(&log.reader());
}

#[test]
fn a_log_is_created_once() {
    let home = Home::new();
    let model = Model::new([100; 3]);
    drop(model.write(&home.dir(), Options::default(), 1));
    assert!(matches!(
        Log::create(&home.dir(), Options::default()).unwrap_err(),
        Error::Exists { dir } if dir == home.dir()
    ));
    model.assert_whole(&Reader::open_read_only(&home.dir()).unwrap());
}

#[test]
fn a_directory_that_is_not_there_is_an_error_of_its_own() {
    let home = Home::new();
    let opened = Log::open(&home.dir(), Seq::ZERO, &mut never, Options::default());
    assert!(matches!(opened.unwrap_err(), Error::Missing { dir } if dir == home.dir()));
}

#[test]
fn what_is_older_than_the_first_segment_has_expired() {
    let home = Home::new();
    let model = Model::new([100; 40]);
    drop(model.write(&home.dir(), unsynced(1000), 1));
    let firsts = segment::list(&home.dir()).unwrap();
    for path in &home.segments()[..2] {
        fs::remove_file(path).unwrap();
    }
    let options = all_segments(unsynced(1000));
    let (log, opened) = Log::open(&home.dir(), model.last(), &mut never, options).unwrap();
    assert_eq!(opened.read_only, None);
    let reader = log.reader();
    let oldest = firsts[2];
    assert_eq!(reader.oldest(), oldest);
    assert_eq!(reader.read(oldest, 1).unwrap().unwrap().first(), oldest);
    let expired = reader.read(Seq(2), 1).unwrap_err();
    assert!(matches!(
        crate::error::Error::from(expired),
        crate::error::Error::CursorExpired { requested: Seq(2), oldest: seen } if seen == oldest
    ));
}

#[test]
fn the_last_segment_alone_says_where_to_resume() {
    let home = Home::new();
    let model = Model::new([100; 9]);
    let disk = Arc::new(Faulty::default());
    let mut log = model.write(&home.dir(), disk.options(1 << 20), 9);
    // The tenth event fails in the first segment, and in a new one too.
    disk.fail(Act::Write, 0, rustix::io::Errno::IO);
    disk.fail(Act::Write, 1, rustix::io::Errno::IO);
    log.append(&Model::new([100; 10]).batch(10..=10)).unwrap_err();
    drop(log);
    fs::remove_file(&home.segments()[0]).unwrap();
    let (log, opened) = Log::open(&home.dir(), Seq(9), &mut never, unsynced(1 << 20)).unwrap();
    assert_eq!(opened.tail, Model::tail(Seq(9)));
    assert_eq!((log.reader().oldest(), log.reader().latest()), (Seq(10), Seq(9)));
}

#[test]
fn a_reader_reads_on_in_a_segment_that_was_moved_and_removed() {
    let home = Home::new();
    let model = Model::new([30_000; 20]);
    let log = model.write(&home.dir(), unsynced(16 << 20), 5);
    drop(log);
    let (log, _) = Log::open(&home.dir(), model.last(), &mut never, unsynced(16 << 20)).unwrap();
    let reader = log.reader();
    reader.read(Seq(1), 1).unwrap();
    let follower = reader.clone();
    let trash = home.home.path().join("trash");
    fs::rename(home.dir(), &trash).unwrap();
    model.assert_whole(&reader);
    fs::remove_dir_all(&trash).unwrap();
    model.assert_whole(&follower);
    // Both have read all and let go of the file.
    assert!(matches!(reader.read(Seq(1), 1).unwrap_err(), Error::Damaged { .. }));
}

#[test]
fn a_log_that_rests_writes_on() {
    let home = Home::new();
    let model = Model::new([100; 9]);
    let mut log = Log::create(&home.dir(), unsynced(1 << 20)).unwrap();
    log.append(&model.batch(1..=4)).unwrap();
    log.rest();
    log.append(&model.batch(5..=9)).unwrap();
    model.assert_whole(&log.reader());
    assert_eq!(home.segments().len(), 1);
}

#[test]
fn a_batch_follows_the_last_event() {
    let home = Home::new();
    let model = Model::new([100; 9]);
    let mut log = Log::create(&home.dir(), unsynced(1 << 20)).unwrap();
    let mut batch = model.batch(1..=4);
    assert_eq!((batch.first(), batch.len(), batch.next_seq()), (Seq(1), 4, Seq(5)));
    log.append(&batch).unwrap();
    assert!(matches!(
        log.append(&batch).unwrap_err(),
        Error::OutOfOrder { last: Seq(4), given: Seq(1) }
    ));
    batch.clear();
    assert_eq!((batch.first(), batch.len(), batch.bytes()), (Seq(5), 0, 0));
    assert_eq!(log.append(&batch).unwrap(), vec![]);
    batch.push(Model::meta(Seq(5)), &model.message(Seq(5))).unwrap();
    log.append(&batch).unwrap();
    assert_eq!(log.tail(), &Model::tail(Seq(5)));
}

#[test]
fn readers_go_between_threads() {
    fn check<T: Send + Sync + Clone>() {}
    check::<Reader>();
}
