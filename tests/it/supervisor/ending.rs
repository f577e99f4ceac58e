//! How a turn ends by itself: the exit file, and that nothing is left behind it.

use std::{collections::BTreeSet, fs, path::Path};

use rustix::process::{Signal, kill_process};
use switchboard::supervise::{Outcome, Verdict, judge, read_exit, read_pid};

use super::{FOR_EVER, Turn, pid};

#[test]
fn the_exit_file_says_how_the_agent_ended() {
    let mut turn = Turn::new("thread:t1,print:2,stderr:oops,partial:half,exit:3").launch();
    let exit = turn.end();
    let expected = switchboard::supervise::Exit {
        version: 1,
        outcome: Outcome::Exited { code: 3 },
        stopped: None,
        limit: None,
        descendants_ended: 0,
        left_behind: Vec::new(),
        sync_error: None,
        storage_full: false,
        fell_back: false,
        ..exit.clone()
    };
    assert_eq!(exit, expected);
    assert!(exit.start_time <= exit.end_time);
    assert!(!exit.cpu_time.is_zero());
    assert!(exit.peak_memory_bytes > 1_000_000);

    let lines = concat!(
        r#"{"type":"thread.started","thread_id":"t1"}"#,
        "\n",
        r#"{"type":"item.completed","item":{"id":"item_0","type":"agent_message","text":"1"}}"#,
        "\n",
        r#"{"type":"item.completed","item":{"id":"item_1","type":"agent_message","text":"2"}}"#,
        "\n",
        "half",
    );
    assert_eq!(turn.stdout(), lines);
    assert_eq!(fs::read_to_string(turn.files.stderr()).unwrap(), "oops\n");
    let names = ["exit.json", "jsonl", "lock", "pid.json", "prompt", "spec.json", "stderr"];
    assert_eq!(turn.names(), names.map(|name| format!("turn_3.{name}")).into());
}

#[test]
fn the_exit_file_names_the_signal_that_ended_the_agent() {
    let mut turn = Turn::new("signal:9").launch();
    let outcome = Outcome::Signalled { signal: 9, core_dumped: false };
    assert_eq!(turn.end().outcome, outcome);
}

#[test]
fn what_the_agent_left_is_ended_before_the_exit_file() {
    let mut turn = Turn::new("writer,child,setsid-child,daemonize,daemonize-clean,exit:0").launch();
    turn.wait_until("the turn has ended", || turn.files.exit().exists());
    // From here on the output is complete.
    let (output, survivors) = (turn.stdout(), turn.survivors());
    let exit = turn.end();
    assert_eq!((exit.outcome, exit.descendants_ended), (Outcome::Exited { code: 0 }, 5));
    assert_eq!(survivors, [].into());
    assert_eq!(turn.stdout(), output);
    assert!(output.ends_with("}\n"));
}

#[test]
fn orphans_are_reaped_while_the_agent_runs() {
    let mut turn = Turn::new("");
    let gate = turn.path("gate");
    // The writer's lines wake this test often.
    turn.spec.env[0].1 = format!("writer,fork-loop,message:forking,wait:{}", gate.display());
    let mut turn = turn.launch();
    turn.wait_for_message("forking");
    let supervisor = turn.wait_for_agent().supervisor_pid;
    let children = format!("/proc/{supervisor}/task/{supervisor}/children");
    // The loop gives the supervisor a new orphan for every fork: were they not
    // reaped, the dead ones would stay in the list.
    let mut seen = BTreeSet::new();
    turn.wait_until("orphans have come and gone", || {
        let now = fs::read_to_string(&children).unwrap();
        let now: BTreeSet<String> = now.split_whitespace().map(str::to_owned).collect();
        seen.extend(now.iter().cloned());
        seen.difference(&now).count() > 20
    });
    fs::File::create(gate).unwrap();
    assert_eq!(turn.end().outcome, Outcome::Exited { code: 0 });
    assert_eq!(turn.survivors(), [].into());
}

#[test]
fn signals_for_a_terminals_end_do_not_end_the_supervisor() {
    let mut turn = Turn::new("");
    let gate = turn.path("gate");
    turn.spec.env[0].1 = format!("message:here,wait:{}", gate.display());
    let mut turn = turn.launch();
    turn.wait_for_message("here");
    let supervisor = pid(turn.wait_for_agent().supervisor_pid);
    for signal in [Signal::INT, Signal::HUP, Signal::QUIT, Signal::PIPE, Signal::USR1] {
        kill_process(supervisor, signal).unwrap();
    }
    fs::File::create(gate).unwrap();
    let exit = turn.end();
    assert_eq!((exit.outcome, exit.stopped), (Outcome::Exited { code: 0 }, None));
}

#[test]
fn a_supervisor_that_nobody_waits_for_leaves_no_zombie() {
    let mut turn = Turn::new("exit:0").launch();
    let supervisor = turn.launched.take().unwrap().supervisor_pid();
    turn.wait_until("the supervisor is reaped", || {
        !Path::new(&format!("/proc/{supervisor}")).exists()
    });
    assert_eq!(read_exit(&turn.files).unwrap().unwrap().outcome, Outcome::Exited { code: 0 });
}

#[test]
fn the_exit_file_is_tried_again_until_it_can_be_written() {
    let mut turn = Turn::new("exit:0");
    turn.spec.grace.storage = FOR_EVER;
    // A directory in its place stands for a full disk.
    fs::create_dir(turn.files.exit()).unwrap();
    let mut turn = turn.launch();
    let temporary = turn.path("turn_3.exit.json.new");
    turn.wait_until("it was tried", || temporary.exists());
    assert_eq!(judge(&turn.files, &turn.session, None).unwrap(), {
        Verdict::Alive(read_pid(&turn.files).unwrap())
    });
    fs::remove_dir(turn.files.exit()).unwrap();
    assert_eq!(turn.end().outcome, Outcome::Exited { code: 0 });
}

#[test]
fn a_supervisor_that_cannot_write_the_exit_file_gives_up_and_says_why() {
    let mut turn = Turn::new("exit:0");
    turn.spec.grace.storage = std::time::Duration::ZERO;
    fs::create_dir(turn.files.exit()).unwrap();
    let mut turn = turn.launch();
    turn.wait_for_supervisor();
    fs::remove_dir(turn.files.exit()).unwrap();
    let Verdict::Lost { cause, strays_ended } = judge(&turn.files, &turn.session, None).unwrap()
    else {
        panic!("not lost")
    };
    assert!(cause.starts_with("the supervisor gave up: "), "{cause}");
    assert!(cause.ends_with("no exit file was written: Is a directory (os error 21)"), "{cause}");
    assert_eq!(strays_ended, 0);
}
