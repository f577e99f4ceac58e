use super::*;

#[test]
fn lines_that_were_read_ahead_come_once_and_in_order_whatever_comes_between() {
    let dir = tempfile::tempdir().unwrap();
    let log = Log::create(&dir.path().join("events"), log::Options::default()).unwrap();
    let reader = log.reader();
    let mut ingest = Ingest {
        id: SessionId::random(),
        batch: Batch::new(Seq::FIRST),
        log,
        source: None,
        ahead: None,
        read_only: None,
    };
    let files = TurnFiles::new(dir.path(), TurnNumber(1));
    let line = |n: usize| format!(r#"{{"type":"{n}","of":"{}"}}"#, "x".repeat(2_000));
    let lines: Vec<_> = (0..2_000).map(line).collect();
    // The last has no line feed.
    fs::write(files.stdout(), lines.join("\n")).unwrap();
    let warn = || Statement::now(TurnNumber(1), Kind::Warning(proto::Warning::default()));
    ingest.state(vec![warn()]).unwrap();

    let mut shown = 1;
    let mut steps = Vec::new();
    // The end of the turn is known at the fourth step.
    for ended in [false, false, false].into_iter().chain(std::iter::repeat(true)) {
        let step = ingest.step(&files, false, ended).unwrap();
        for chunk in &step.chunks {
            assert_eq!(chunk.first(), Seq(shown + 1));
            shown = chunk.last().0;
        }
        steps.push(step.at_end);
        if step.at_end && ended {
            break;
        }
        if steps.len() == 2 {
            assert!(ingest.ahead.is_some());
            shown += ingest.state(vec![warn()]).unwrap().chunks.len() as u64;
        }
    }

    let mut raws = Vec::new();
    while let Some(chunk) = reader.read(Seq(raws.len() as u64 + 1), 1 << 20).unwrap() {
        raws.extend(chunk.iter().map(|entry| event::decode_frame(&entry.frame).unwrap().raw));
    }
    assert_eq!(shown, raws.len() as u64);
    raws.retain(|raw| !raw.is_empty());
    assert_eq!(raws, lines);
    assert!(steps.len() > 3, "{steps:?}");
}
