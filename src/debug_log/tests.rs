use std::fs;

use tracing_subscriber::{Registry, layer::SubscriberExt as _};

use super::*;

fn read(path: &std::path::Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

#[test]
fn records_go_to_the_log_of_their_session_while_it_is_open() {
    let directory = tempfile::tempdir().unwrap();
    let logs = SessionLogs::default();
    let (one, two) = (SessionId::random(), SessionId::random());
    let paths = [directory.path().join("one"), directory.path().join("two")];
    let subscriber = Registry::default().with(logs.layer());
    tracing::subscriber::with_default(subscriber, || {
        tracing::info!(target: "switchboard::x", session = %one, "before");
        let open = logs.open(one, paths[0].clone(), Place::Session);
        let _other = logs.open(two, paths[1].clone(), Place::Named);
        tracing::info!(target: "switchboard::x", session = %one, turn = 1, name = "a\nb", "first");
        tracing::trace!(target: "switchboard::x", session = %one, "too fine");
        tracing::info!(target: "hyper", session = %one, "of others");
        tracing::info!(target: "switchboardish", session = %one, "of others");
        tracing::warn!(target: "switchboard::x", "of no session");
        let span = tracing::debug_span!(target: "switchboard", "session", session = %two);
        span.in_scope(|| {
            tracing::debug!(target: "switchboard", "within");
            tracing::debug!(target: "switchboard", session = %one, "within another");
        });
        logs.flush(Duration::from_secs(60));
        assert_eq!(open.problem(), None);
        drop(open);
        tracing::info!(target: "switchboard::x", session = %one, "after");
        logs.flush(Duration::from_secs(60));
    });
    let lines: Vec<_> = read(&paths[0]).lines().map(|line| line[27..].to_owned()).collect();
    let expected = [
        format!(" INFO switchboard::x: first session={one} turn=1 name=\"a\\nb\""),
        format!("DEBUG switchboard: within another session={one}"),
    ];
    assert_eq!(lines.len(), 2, "{lines:?}");
    for (line, expected) in lines.iter().zip(expected) {
        assert!(line.ends_with(&expected), "{line:?} is not {expected:?}");
    }
    assert_eq!(read(&paths[1]).lines().count(), 1);
    assert!(read(&paths[1]).contains(": within session="), "{}", read(&paths[1]));
}

#[test]
fn a_file_that_cannot_be_written_is_told_once_and_one_without_directory_never() {
    let directory = tempfile::tempdir().unwrap();
    let logs = SessionLogs::default();
    let (one, two) = (SessionId::random(), SessionId::random());
    let in_the_way = logs.open(one, directory.path().to_owned(), Place::Session);
    let gone = logs.open(two, directory.path().join("gone/session.log"), Place::Session);
    let subscriber = Registry::default().with(logs.layer());
    tracing::subscriber::with_default(subscriber, || {
        for session in [one, two] {
            tracing::info!(target: "switchboard", session = %session, "said");
        }
    });
    logs.flush(Duration::from_secs(60));
    let problem = in_the_way.problem().unwrap();
    assert!(problem.contains("Is a directory"), "{problem}");
    assert_eq!(in_the_way.problem(), None);
    assert_eq!(gone.problem(), None);
}

#[test]
fn a_log_that_grows_large_is_put_aside_and_only_so_many_are_kept() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("session.log");
    let rotation = Rotation { max_bytes: 10, old_files: 2 };
    for number in 0..8 {
        rotation.append(&path, Place::Session, format!("line {number}\n").as_bytes()).unwrap();
    }
    let mut names: Vec<_> = fs::read_dir(directory.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["session.log", "session.log.1", "session.log.2"]);
    assert_eq!(read(&path), "line 7\n");
    assert_eq!(read(&directory.path().join("session.log.1")), "line 6\n");
    assert_eq!(read(&directory.path().join("session.log.2")), "line 5\n");
    for name in names {
        let mode = fs::metadata(directory.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}

#[test]
fn a_log_of_a_session_leads_nowhere_else_and_one_that_was_named_does() {
    let directory = tempfile::tempdir().unwrap();
    let [victim, link] = ["victim", "session.log"].map(|name| directory.path().join(name));
    fs::write(&victim, "precious\n").unwrap();
    std::os::unix::fs::symlink(&victim, &link).unwrap();
    let refused = Rotation::default().append(&link, Place::Session, b"said\n").unwrap_err();
    assert_eq!(refused.to_string(), "it is a link");
    assert_eq!(read(&victim), "precious\n");
    Rotation::default().append(&link, Place::Named, b"said\n").unwrap();
    assert_eq!(read(&victim), "precious\nsaid\n");
}
