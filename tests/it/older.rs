//! What older versions left: turns of a supervisor, what is read of their files
//! and how a server takes them up; and a database.

use std::{
    fs::{self, File},
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

use rusqlite::Connection;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use switchboard::{
    id::TurnNumber,
    proto::{
        ApprovalPolicy, Controls, FilesystemSandbox, NetworkAccess,
        SessionState::{self, Completed, Failed, Interrupted, Killed},
        StateReason,
    },
    supervise::{
        Exit, Grace, Limits, Outcome, PidFile, SpawnProblem, Spec, Stop, StopMode, StopStep,
        TurnFiles, Verdict, judge,
    },
};
use tempfile::TempDir;

use crate::{
    ledger::{self, agent_of, create, rest, turn_files},
    settings,
};

/// The session whose turns they are.
const SESSION: &str = "6f9619ff-8b86-4d01-b42d-00c04fc964ff";

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/supervise-v1")
}

/// The files of version 1, with the end of their name behind the turn's number.
fn files_of(turn: u32) -> Vec<(String, PathBuf)> {
    let prefix = format!("turn_{turn}.");
    let entries = fs::read_dir(fixtures()).unwrap().map(|entry| entry.unwrap());
    entries
        .filter_map(|entry| {
            let name = entry.file_name().into_string().unwrap();
            Some((name.strip_prefix(&prefix)?.to_owned(), entry.path()))
        })
        .collect()
}

/// A copy of the files, with the lock that every turn has.
fn copied(turn: u32) -> (TempDir, TurnFiles) {
    let home = tempfile::tempdir().unwrap();
    for (_, path) in files_of(turn) {
        fs::copy(&path, home.path().join(path.file_name().unwrap())).unwrap();
    }
    let files = TurnFiles::new(home.path(), TurnNumber(turn));
    File::create(files.lock()).unwrap();
    (home, files)
}

fn exit_of(turn: u32) -> Exit {
    let (_home, files) = copied(turn);
    match judge(&files, SESSION, None).unwrap() {
        Verdict::Exited(exit) => exit,
        other => panic!("turn {turn}: {other:?}"),
    }
}

#[test]
fn turns_of_version_1_are_judged_as_they_ended() {
    let exited = |code| Outcome::Exited { code };
    let signalled = |signal| Outcome::Signalled { signal, core_dumped: false };
    let by = |mode, actor: &str, step| Some((mode, actor.to_owned(), step));
    let not_found = Outcome::SpawnFailed {
        problem: SpawnProblem::NotFound,
        errno: Some(2),
        message: "/nonexistent/agent could not be started: there is none".to_owned(),
    };
    let client = "a client";
    for (turn, outcome, stopped, descendants_ended) in [
        (1, exited(0), None, 0),
        (2, exited(3), None, 1),
        (3, signalled(11), None, 0),
        (4, not_found, None, 0),
        (5, exited(1), by(StopMode::Interrupt, client, StopStep::Interrupt), 0),
        (6, signalled(9), by(StopMode::Kill, client, StopStep::Kill), 1),
        (7, Outcome::NotStarted, by(StopMode::Kill, client, StopStep::NotStarted), 0),
        (9, exited(1), by(StopMode::Interrupt, "SIGTERM", StopStep::Interrupt), 0),
        (10, exited(0), None, 0),
    ] {
        let exit = exit_of(turn);
        let stop = exit.stopped.map(|stop| (stop.mode, stop.actor, stop.step));
        assert_eq!(
            (exit.outcome, stop, exit.descendants_ended, exit.storage_full),
            (outcome, stopped, descendants_ended, false),
            "turn {turn}"
        );
        assert_eq!((exit.limit, exit.fell_back), (None, false), "turn {turn}");
    }
}

#[test]
fn a_turn_that_version_1_called_lost_stays_lost() {
    let (_home, files) = copied(8);
    let cause = "the supervisor was killed or crashed".to_owned();
    let expected = Verdict::Lost { cause, strays_ended: 2 };
    assert_eq!(judge(&files, SESSION, None).unwrap(), expected);
    // Found as its supervisor left it, it is judged anew; the cause says whether
    // the machine was up since then.
    fs::remove_file(files.lost()).unwrap();
    let verdict = judge(&files, SESSION, None).unwrap();
    assert!(matches!(verdict, Verdict::Lost { strays_ended: 0, .. }), "{verdict:?}");
}

#[test]
fn what_a_spec_of_version_1_leaves_out_has_its_default() {
    let (_home, files) = copied(2);
    let spec = switchboard::supervise::read_spec(&files).unwrap().unwrap();
    assert_eq!((spec.version, spec.turn, &*spec.session_id), (1, 2, SESSION));
    assert_eq!(spec.program, Path::new("/bin/sh"));
    let grace = |ms| std::time::Duration::from_millis(ms);
    let expected =
        Grace { interrupt: grace(200), kill: grace(100), terminate: grace(100), ..spec.grace };
    assert_eq!((spec.grace, spec.limits), (expected, Limits::default()));
    assert_eq!(spec.fallback, None);
}

/// Reads a record, and again with fields in every object that no version has.
fn assert_more_changes_nothing<T>(path: &Path)
where
    T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug,
{
    let bytes = fs::read(path).unwrap();
    let record: T = serde_json::from_slice(&bytes).unwrap();
    let mut more: Value = serde_json::from_slice(&bytes).unwrap();
    add_fields(&mut more);
    let read: T = serde_json::from_value(more).unwrap_or_else(|error| panic!("{path:?}: {error}"));
    assert_eq!(read, record, "{path:?}");
    // Nothing that was read is lost when it is written again.
    let again: T = serde_json::from_slice(&serde_json::to_vec(&record).unwrap()).unwrap();
    assert_eq!(again, record, "{path:?}");
}

fn add_fields(value: &mut Value) {
    if let Value::Object(fields) = value {
        fields.values_mut().for_each(add_fields);
        fields.insert("added_later".to_owned(), serde_json::json!({ "some": [1, null] }));
    }
}

#[test]
fn fields_that_a_later_version_adds_to_a_record_are_ignored() {
    let mut read = 0;
    for turn in 1..=10 {
        for (kind, path) in files_of(turn) {
            match &*kind {
                "spec.json" => assert_more_changes_nothing::<Spec>(&path),
                "pid.json" => assert_more_changes_nothing::<PidFile>(&path),
                "stop.json" => assert_more_changes_nothing::<Stop>(&path),
                "exit.json" => assert_more_changes_nothing::<Exit>(&path),
                _ => continue,
            }
            read += 1;
        }
    }
    assert_eq!(read, 32, "the fixtures are there");

    let (_home, files) = copied(8);
    let mut lost: Value = serde_json::from_slice(&fs::read(files.lost()).unwrap()).unwrap();
    add_fields(&mut lost);
    fs::write(files.lost(), lost.to_string()).unwrap();
    let verdict = judge(&files, SESSION, None).unwrap();
    assert!(matches!(verdict, Verdict::Lost { strays_ended: 2, .. }), "{verdict:?}");
}

/// State, reason, exit code, signal and error of a turn.
type End<'a> = (SessionState, StateReason, Option<u32>, Option<u32>, &'a str);

#[tokio::test(flavor = "multi_thread")]
async fn a_server_takes_up_turns_of_version_1_with_their_true_outcome() {
    let mut server = ledger::setup().start();
    let clients = server.connect_to_socket().await;
    let mut ids = Vec::new();
    for _ in 1..=10 {
        let id = create(&clients, &server.work(), "sleep").await.unwrap().session_id;
        ids.push(id);
    }
    for id in &ids {
        while agent_of(&server, id, 1).is_none() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    }
    server.kill();
    server.end_descendants();
    for (turn, id) in (1..).zip(&ids) {
        let directory = turn_files(&server, id, 1).directory().to_owned();
        for (kind, path) in files_of(turn) {
            fs::copy(path, directory.join(format!("turn_1.{kind}"))).unwrap();
        }
    }
    server.start();

    let lost = "the supervisor was killed or crashed; 2 processes that were left of it were ended";
    let none = StateReason::Unspecified;
    let expected: [End<'_>; 10] = [
        (Completed, none, Some(0), None, ""),
        (Failed, StateReason::ExitStatus, Some(3), None, "no"),
        (Failed, StateReason::ExitStatus, None, Some(11), "the agent was ended by signal 11"),
        (
            Failed,
            StateReason::SpawnFailed,
            None,
            None,
            "/nonexistent/agent could not be started: there is none",
        ),
        (Interrupted, none, Some(1), None, ""),
        (Killed, none, None, Some(9), ""),
        (Killed, none, None, None, ""),
        (Failed, StateReason::Lost, None, None, lost),
        (Interrupted, none, Some(1), None, ""),
        (
            Failed,
            StateReason::Incomplete,
            Some(0),
            None,
            "the agent exited with status 0 and did not say how the turn ended",
        ),
    ];
    for (id, expected) in ids.iter().zip(expected) {
        let session = rest(&clients, id).await;
        let turn = session.last_turn.unwrap();
        let seen = (turn.state(), turn.state_reason(), turn.exit_code, turn.signal, &*turn.error);
        assert_eq!(seen, expected);
    }
}

/// The session of the old database that begins with this number.
fn of_database(number: u32) -> String {
    format!("{number:08}-0000-4000-8000-{number:012}")
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_of_a_database_of_version_1_keep_their_model_and_sandbox_as_controls() {
    let mut server = ledger::setup().prepare();
    let home = server.home();
    fs::DirBuilder::new().mode(0o700).create(&home).unwrap();
    let sql = fs::read_to_string(fixtures().with_file_name("state-v1.sql")).unwrap();
    Connection::open(home.join("state.db")).unwrap().execute_batch(&sql).unwrap();
    server.start();
    let clients = server.connect_to_socket().await;

    let (read_only, write, all) = (
        FilesystemSandbox::ReadOnly,
        FilesystemSandbox::WorkspaceWrite,
        FilesystemSandbox::DangerFullAccess,
    );
    // Where nobody chose one, it is left to codex and shown as the default.
    for (number, model, sandbox) in
        [(1, "gpt-5", write), (2, "", read_only), (3, "", read_only), (4, "", all)]
    {
        let found = settings::controls(&clients, &of_database(number)).await.unwrap();
        let found = found.session.unwrap();
        assert_eq!(found.settings_json, "{}");
        let expected = Controls {
            model: model.to_owned(),
            approval_policy: ApprovalPolicy::Untrusted.into(),
            network_access: NetworkAccess::Restricted.into(),
            filesystem_sandbox: sandbox.into(),
        };
        assert_eq!(found.controls, Some(expected), "session {number}");
    }
    let first = of_database(1);
    assert_eq!(ledger::get(&clients, &first).await.model, "gpt-5");
    assert_eq!(settings::get_default(&clients).await, "{}");
    settings::set(&clients, &first, "k", "1").await.unwrap();
    settings::apply(&clients, settings::application(&first, "m")).await.unwrap();
    let entries = settings::check_audit(&clients).await;
    assert_eq!(entries[1].previous_controls.as_ref().unwrap().model, "gpt-5");

    server.kill_and_start();

    assert_eq!(ledger::get(&clients, &first).await.model, "m");
    assert_eq!(settings::get(&clients, &first).await, r#"{"k":1}"#);
    assert_eq!(settings::check_audit(&clients).await, entries);
}
