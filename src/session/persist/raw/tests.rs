use std::os::unix::fs::symlink;

use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::Value;

use super::*;

/// What codex 0.169 writes of two requests, the second of which it did not finish.
fn trace(directory: &Path, turn: u32) -> PathBuf {
    let path = prepare(directory, TurnNumber(turn)).unwrap();
    let trace = path.join("trace-1-2");
    fs::create_dir_all(trace.join("payloads")).unwrap();
    let line = |seq: u64, payload: &str| {
        format!(
            r#"{{"schema_version":2,"seq":{seq},"wall_time_unix_ms":{},"thread_id":"t","payload":{payload}}}"#,
            1_795_792_438_500 + seq
        )
    };
    let started = |id: &str, path: &str| {
        format!(
            r#"{{"type":"inference_started","inference_call_id":"{id}","thread_id":"t","codex_turn_id":"c","model":"m","provider_name":"p","request_payload":{{"kind":{{"type":"inference_request"}},"path":"{path}"}}}}"#
        )
    };
    let lines = [
        line(1, r#"{"type":"rollout_started"}"#),
        line(2, &started("a", "payloads/1.json")),
        line(
            3,
            r#"{"type":"inference_completed","inference_call_id":"a","upstream_request_id":null,"response_payload":{"kind":{"type":"inference_response"},"path":"payloads/2.json"}}"#,
        ),
        line(4, &started("b", "payloads/3.json")),
        line(5, r#"{"type":"inference_cancelled","inference_call_id":"b","reason":"interrupted"}"#),
        r#"{"schema_version":2,"seq":6,"pay"#.to_owned(),
    ];
    fs::write(trace.join("trace.jsonl"), lines.join("\n")).unwrap();
    fs::write(
        trace.join("payloads/1.json"),
        "{\n  \"input\": [1.50, \"a  \\\" b\"],\n  \"z\": 1, \"a\": 123456789012345678901\n}",
    )
    .unwrap();
    fs::write(trace.join("payloads/2.json"), "{ \"output_items\": [] }").unwrap();
    fs::write(trace.join("payloads/3.json"), "{ torn").unwrap();
    path
}

/// Takes all traces but that of `running` into the log.
fn convert_all(directory: &Path, running: Option<TurnNumber>) -> io::Result<()> {
    for turn in waiting(directory, running)? {
        convert(directory, turn)?;
    }
    tidy(directory);
    Ok(())
}

fn log(directory: &Path) -> String {
    fs::read_to_string(directory.join(NAME)).unwrap()
}

#[test]
fn each_request_and_response_is_a_line_with_what_was_sent() {
    let directory = tempfile::tempdir().unwrap();
    trace(directory.path(), 3);
    convert_all(directory.path(), None).unwrap();
    let head = r#""source":"rollout_trace","kind":"inference""#;
    let about = r#""thread_id":"t","model":"m","provider":"p""#;
    let expected = [
        format!(
            r#"{{"time":"2026-11-27T15:13:58.502Z","turn":3,"request":1,"direction":"request",{head},{about},"body":{{"input":[1.50,"a  \" b"],"z":1,"a":123456789012345678901}}}}"#
        ),
        format!(
            r#"{{"time":"2026-11-27T15:13:58.503Z","turn":3,"request":1,"direction":"response",{head},"status":"completed","thread_id":"t","body":{{"output_items":[]}}}}"#
        ),
        format!(
            r#"{{"time":"2026-11-27T15:13:58.504Z","turn":3,"request":2,"direction":"request",{head},{about},"body_text":"{{ torn"}}"#
        ),
        format!(
            r#"{{"time":"2026-11-27T15:13:58.505Z","turn":3,"request":2,"direction":"response",{head},"status":"cancelled","thread_id":"t","error":"interrupted"}}"#
        ),
    ];
    assert_eq!(log(directory.path()).lines().collect::<Vec<_>>(), expected);
    assert!(!directory.path().join(TRACES).exists(), "the trace is of no more use");
}

#[test]
fn the_trace_of_a_turn_that_runs_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let (done, running) = (trace(directory.path(), 1), trace(directory.path(), 2));
    convert_all(directory.path(), Some(TurnNumber(2))).unwrap();
    assert!(running.exists() && !done.exists());
    assert_eq!(log(directory.path()).lines().count(), 4);
    convert_all(directory.path(), None).unwrap();
    assert_eq!(log(directory.path()).lines().count(), 8);
}

#[test]
fn a_crash_at_any_place_leaves_nothing_out_and_nothing_twice() {
    let directory = tempfile::tempdir().unwrap();
    let path = trace(directory.path(), 1);
    convert_all(directory.path(), None).unwrap();
    let first = log(directory.path());

    // Before anything, in the middle of the lines, behind them.
    let second = first.replace("\"turn\":1", "\"turn\":2");
    for written in ["", "{\"time\":\"20", &second[..second.len() - 9], &second] {
        trace(directory.path(), 2);
        fs::write(directory.path().join(NAME), format!("{first}{written}")).unwrap();
        convert_all(directory.path(), None).unwrap();
        let whole = log(directory.path());
        let (head, tail) = whole.split_at(first.len());
        assert_eq!(head, first);
        assert_eq!(tail, second, "{written:?}");
        fs::write(directory.path().join(NAME), &first).unwrap();
    }

    // While the trace is removed.
    let half_gone = path.with_file_name("turn_2.done");
    fs::create_dir_all(half_gone.join("trace-1-2")).unwrap();
    convert_all(directory.path(), None).unwrap();
    assert_eq!(log(directory.path()), first);
    assert!(!half_gone.exists());
}

#[test]
fn what_is_put_beside_a_trace_cuts_nothing_off() {
    let directory = tempfile::tempdir().unwrap();
    trace(directory.path(), 1);
    convert_all(directory.path(), None).unwrap();
    let first = log(directory.path());
    let path = trace(directory.path(), 2);
    fs::write(path.join("log_size"), "0\n").unwrap();
    convert_all(directory.path(), None).unwrap();
    // Nor does a trace of a turn that is in the log.
    trace(directory.path(), 1);
    convert_all(directory.path(), None).unwrap();
    let second = first.replace("\"turn\":1", "\"turn\":2");
    assert_eq!(log(directory.path()), format!("{first}{second}{first}"));
}

#[test]
fn a_log_that_cannot_be_written_keeps_the_trace_for_another_time() {
    let directory = tempfile::tempdir().unwrap();
    let path = trace(directory.path(), 1);
    fs::create_dir(directory.path().join(NAME)).unwrap();
    convert_all(directory.path(), None).unwrap_err();
    assert!(path.join("trace-1-2/trace.jsonl").exists());
    fs::remove_dir(directory.path().join(NAME)).unwrap();
    convert_all(directory.path(), None).unwrap();
    assert_eq!(log(directory.path()).lines().count(), 4);
}

#[test]
fn a_turn_that_sent_nothing_leaves_no_log() {
    let directory = tempfile::tempdir().unwrap();
    prepare(directory.path(), TurnNumber(1)).unwrap();
    convert_all(directory.path(), None).unwrap();
    convert_all(directory.path(), None).unwrap();
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
}

/// A directory beside the session's, with a file that nobody may touch.
fn elsewhere(home: &Path) -> PathBuf {
    let elsewhere = home.join("elsewhere");
    fs::create_dir_all(elsewhere.join("turn_9.done")).unwrap();
    fs::write(elsewhere.join("turn_9.done/precious"), "").unwrap();
    elsewhere
}

#[test]
fn nothing_is_made_or_removed_through_a_link() {
    let home = tempfile::tempdir().unwrap();
    let directory = home.path().join("session");
    fs::create_dir(&directory).unwrap();
    let elsewhere = elsewhere(home.path());
    let root = directory.join(TRACES);
    symlink(&elsewhere, &root).unwrap();
    prepare(&directory, TurnNumber(1)).unwrap_err();
    convert_all(&directory, None).unwrap_err();
    assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 1);
    assert!(elsewhere.join("turn_9.done/precious").exists());

    // Within it a link is removed as a link, or is none of ours.
    fs::remove_file(&root).unwrap();
    fs::create_dir(&root).unwrap();
    symlink(elsewhere.join("turn_9.done"), root.join("turn_9.done")).unwrap();
    symlink(&elsewhere, root.join("turn_1")).unwrap();
    convert_all(&directory, None).unwrap_err();
    assert_eq!(waiting(&directory, None).unwrap(), [1]);
    assert!(elsewhere.join("turn_9.done/precious").exists());
    assert!(fs::symlink_metadata(root.join("turn_9.done")).is_err());
}

#[test]
fn what_is_no_file_of_codex_is_neither_read_nor_waited_for() {
    let home = tempfile::tempdir().unwrap();
    let directory = home.path();
    let secret = directory.join("secret");
    fs::write(&secret, r#""what nobody shall see""#).unwrap();
    let fifo = |path: &Path| mknodat(CWD, path, FileType::Fifo, Mode::RUSR, 0).unwrap();

    // A body that is named by another path than codex's.
    let path = trace(directory, 1);
    let list = path.join("trace-1-2/trace.jsonl");
    let text = fs::read_to_string(&list).unwrap();
    let named = [secret.to_str().unwrap(), "payloads/../../../../secret"];
    let text = text.replace("payloads/1.json", named[0]).replace("payloads/2.json", named[1]);
    fs::write(&list, text).unwrap();
    // One that is a link, and what is no trace at all.
    let third = path.join("trace-1-2/payloads/3.json");
    fs::remove_file(&third).unwrap();
    symlink(&secret, &third).unwrap();
    fs::create_dir_all(path.join("trace-3-4")).unwrap();
    fifo(&path.join("trace-3-4/trace.jsonl"));
    symlink("trace-1-2", path.join("trace-5-6")).unwrap();
    convert_all(directory, None).unwrap();
    let log = log(directory);
    assert!(!log.contains("nobody shall see"), "{log}");
    let problems: Vec<_> = log
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["problem"].clone())
        .collect();
    let elsewhere = "its body is not where codex writes bodies";
    let expected = [elsewhere, elsewhere, "its body cannot be taken: it is a link"];
    assert_eq!(problems[..3], expected);
    assert_eq!(problems.len(), 4);
}

#[test]
fn a_log_that_leads_elsewhere_gets_nothing() {
    let home = tempfile::tempdir().unwrap();
    let directory = home.path().join("session");
    fs::create_dir(&directory).unwrap();
    let victim = home.path().join("victim");
    fs::write(&victim, "precious").unwrap();
    symlink(&victim, directory.join(NAME)).unwrap();
    let path = trace(&directory, 1);
    convert_all(&directory, None).unwrap_err();
    assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
    assert!(path.exists(), "nothing is lost");
}
