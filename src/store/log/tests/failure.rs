//! Disks that fail or are full.

use std::fs;

use rustix::io::Errno;

use super::*;

/// A log of five events on a disk that is about to fail.
fn five(home: &Home) -> (Arc<Faulty>, Model, Log) {
    let disk = Arc::new(Faulty::default());
    let model = Model::new([100; 10]);
    let mut log = Log::create(&home.dir(), disk.options(1 << 20)).unwrap();
    log.append(&model.batch(1..=5)).unwrap();
    (disk, model, log)
}

fn reopen(home: &Home, model: &Model) {
    let options = all_segments(unsynced(1 << 20));
    let (log, opened) = Log::open(&home.dir(), model.last(), &mut never, options).unwrap();
    assert_eq!((opened.cut, opened.repairs, opened.read_only), (None, vec![], None));
    model.assert_whole(&log.reader());
}

#[test]
fn a_failed_sync_ends_its_segment_and_the_batch_goes_to_a_new_one() {
    let home = Home::new();
    let (disk, model, mut log) = five(&home);
    let reader = log.reader();
    let kept = fs::metadata(&home.segments()[0]).unwrap().len();
    disk.fail(Act::Sync, 0, Errno::IO);
    let chunks = log.append(&model.batch(6..=10)).unwrap();
    assert_eq!((chunks[0].first(), chunks[0].last()), (Seq(6), Seq(10)));
    assert_eq!(segment::list(&home.dir()).unwrap(), [Seq(1), Seq(6)]);
    assert_eq!(fs::metadata(&home.segments()[0]).unwrap().len(), kept);
    model.assert_whole(&reader);
    drop(log);
    reopen(&home, &model);
}

#[test]
fn what_a_failed_write_left_behind_is_never_read() {
    let home = Home::new();
    let (disk, model, mut log) = five(&home);
    // The batch stays in the old segment, whole, though it was not acknowledged;
    // and it cannot be written to a new one.
    disk.fail(Act::Sync, 0, Errno::IO);
    disk.fail(Act::SetLen, 0, Errno::IO);
    disk.fail(Act::Create, 0, Errno::IO);
    let other = Model::new([100, 100, 100, 100, 100, 77, 77, 77]);
    assert!(matches!(log.append(&other.batch(6..=8)).unwrap_err(), Error::Io { .. }));
    let reader = log.reader();
    assert_eq!(reader.latest(), Seq(5));
    assert!(reader.read(Seq(6), 1).unwrap().is_none());

    log.append(&model.batch(6..=10)).unwrap();
    assert_eq!(segment::list(&home.dir()).unwrap(), [Seq(1), Seq(6)]);
    model.assert_whole(&reader);
    drop(log);
    reopen(&home, &model);
    let (log, _) = Log::open(&home.dir(), Seq(10), &mut never, unsynced(1 << 20)).unwrap();
    model.assert_whole(&log.reader());
}

#[test]
fn a_full_disk_is_said_and_the_batch_can_be_tried_later() {
    let home = Home::new();
    let (disk, model, mut log) = five(&home);
    let reader = log.reader();
    let batch = model.batch(6..=10);
    for acts in [
        vec![(Act::Write, 0), (Act::Create, 0)],
        vec![(Act::Write, 0)],
        vec![(Act::Write, 0), (Act::Rename, 0)],
    ] {
        for (act, after) in acts {
            disk.fail(act, after, Errno::NOSPC);
        }
        // The new segment is made and then its first record does not fit.
        disk.fail(Act::Write, 1, Errno::DQUOT);
        let error = log.append(&batch).unwrap_err();
        let Error::NoSpace { path, .. } = &error else { panic!("{error:?}") };
        let path = path.clone();
        assert!(matches!(
            crate::error::Error::from(error),
            crate::error::Error::StorageFull { path: said } if said == path
        ));
        assert_eq!(log.tail(), &Model::tail(Seq(5)));
        assert_eq!(reader.latest(), Seq(5));
        assert!(reader.read(Seq(6), 1).unwrap().is_none());
        disk.faults.lock().unwrap().clear();
    }
    log.append(&batch).unwrap();
    model.assert_whole(&reader);
    let unfinished = fs::read_dir(home.dir())
        .unwrap()
        .filter(|entry| entry.as_ref().unwrap().path().extension().unwrap() != "seg");
    assert_eq!(unfinished.count(), 0);
    drop(log);
    reopen(&home, &model);
}

#[test]
fn a_log_whose_very_first_write_fails_begins_anew() {
    let home = Home::new();
    let disk = Arc::new(Faulty::default());
    let model = Model::new([100; 10]);
    let mut log = Log::create(&home.dir(), disk.options(1 << 20)).unwrap();
    let reader = log.reader();
    disk.fail(Act::Write, 0, Errno::IO);
    log.append(&model.batch(1..=10)).unwrap();
    assert_eq!(segment::list(&home.dir()).unwrap(), [Seq(1)]);
    model.assert_whole(&reader);
    drop(log);
    reopen(&home, &model);
}

#[test]
fn a_segment_whose_directory_is_not_synced_is_not_written_to() {
    let home = Home::new();
    let disk = Arc::new(Faulty::default());
    let model = Model::new([100; 10]);
    let mut log = Log::create(&home.dir(), disk.options(500)).unwrap();
    log.append(&model.batch(1..=5)).unwrap();
    disk.fail(Act::SyncDirectory, 0, Errno::IO);
    log.append(&model.batch(6..=10)).unwrap_err();
    assert_eq!(log.reader().latest(), Seq(5));
    log.append(&model.batch(6..=10)).unwrap();
    model.assert_whole(&log.reader());
    drop(log);
    reopen(&home, &model);
}

#[test]
fn a_torn_tail_that_cannot_be_cut_is_left_behind() {
    let home = Home::new();
    let (disk, model, log) = five(&home);
    drop(log);
    let path = home.segments().remove(0);
    let whole = fs::metadata(&path).unwrap().len();
    flip(&path, whole - 1);
    disk.fail(Act::SetLen, 0, Errno::IO);
    let (mut log, opened) =
        Log::open(&home.dir(), Seq(4), &mut never, disk.options(1 << 20)).unwrap();
    assert!(opened.cut.is_some());
    log.append(&model.batch(5..=10)).unwrap();
    assert_eq!(segment::list(&home.dir()).unwrap(), [Seq(1), Seq(5)]);
    model.assert_whole(&log.reader());
    drop(log);
    reopen(&home, &model);
}

#[test]
fn a_repair_that_does_not_fit_on_the_disk_leaves_the_log_read_only_as_it_was() {
    let home = Home::new();
    let (disk, model, mut log) = five(&home);
    model.extend(&mut log, 5);
    drop(log);
    let path = home.segments().remove(0);
    flip(&path, 300);
    let damaged = home.contents();
    disk.fail(Act::Write, 1, Errno::NOSPC);
    let mut rebuild = |gap: &Gap| model.rebuild(gap);
    let (log, opened) =
        Log::open(&home.dir(), Seq(10), &mut rebuild, disk.options(1 << 20)).unwrap();
    let problem = opened.read_only.unwrap();
    assert!(problem.contains("no space left"), "{problem}");
    assert_eq!(log.reader().latest(), Seq(10));
    assert_eq!(home.contents(), damaged);
    assert_eq!(fs::read_dir(home.dir()).unwrap().count(), 1);
    drop(log);
    let (log, _) = Log::open(&home.dir(), Seq(10), &mut rebuild, disk.options(1 << 20)).unwrap();
    model.assert_whole(&log.reader());
}
