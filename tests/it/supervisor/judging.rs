//! What the server finds of a turn, above all when its supervisor was killed.

use std::{
    fs::{self, File},
    io,
    os::unix::process::ExitStatusExt as _,
    process::{Child, Command, Stdio},
};

use rustix::process::{Signal, getpid, kill_process};
use switchboard::supervise::{PidFile, StopMode, Verdict, judge, pidfd, read_exit, read_pid};

use super::{Turn, pid};

const KILLED: &str = "the supervisor was killed or crashed";

fn lost(cause: &str, strays_ended: usize) -> Verdict {
    Verdict::Lost { cause: cause.to_owned(), strays_ended }
}

fn verdict(turn: &Turn) -> Verdict {
    judge(&turn.files, &turn.session, None).unwrap()
}

/// Kills the supervisor as nothing but SIGKILL can.
fn kill_supervisor(turn: &mut Turn) -> PidFile {
    let pid_file = turn.wait_for_agent();
    kill_process(pid(pid_file.supervisor_pid), Signal::KILL).unwrap();
    turn.wait_for_supervisor();
    pid_file
}

/// A turn as it is left behind: with a free lock and a pid file that names nobody.
fn abandoned(boot_id: &str) -> Turn {
    let turn = Turn::new("");
    File::create(turn.files.lock()).unwrap();
    let pid_file = PidFile {
        version: 1,
        supervisor_pid: getpid().as_raw_nonzero().get().unsigned_abs(),
        supervisor_start_time: 1,
        boot_id: boot_id.to_owned(),
        agent_pid: None,
        agent_start_time: None,
        time: std::time::SystemTime::now(),
    };
    fs::write(turn.files.pid(), serde_json::to_vec(&pid_file).unwrap()).unwrap();
    turn
}

fn this_boot() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap().trim_end().to_owned()
}

fn sleeper(environment: &[(&str, &str)]) -> Child {
    Command::new("sleep")
        .arg("1000")
        .env_clear()
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .spawn()
        .unwrap()
}

/// Ends a process of the test's own and says whether it was running until then.
fn was_running(mut child: Child) -> bool {
    let running = child.try_wait().unwrap().is_none();
    child.kill().unwrap();
    let status = child.wait().unwrap();
    assert_eq!(status.signal(), Some(9));
    running
}

#[test]
fn a_running_turn_is_alive_and_an_ended_one_exited() {
    let mut turn = Turn::new("message:here,sleep").launch();
    let pid_file = turn.wait_for_agent();
    turn.wait_for_message("here");
    assert_eq!(verdict(&turn), Verdict::Alive(Some(pid_file.clone())));
    assert!(pidfd(&pid_file).is_ok());

    turn.stop(StopMode::Kill, "someone");
    let exit = turn.end();
    assert_eq!(verdict(&turn), Verdict::Exited(exit.clone()));
    assert_eq!(verdict(&turn), Verdict::Exited(exit));
    assert_eq!(pidfd(&pid_file).unwrap_err().kind(), io::ErrorKind::NotFound);
}

#[test]
fn a_turn_whose_supervisor_was_killed_is_lost_and_its_strays_are_ended() {
    let script = "ignore-int,ignore-term,child,setsid-child,daemonize,writer,message:here,sleep";
    let mut turn = Turn::new(script).launch();
    turn.wait_for_message("here");
    kill_supervisor(&mut turn);
    // The lock went with the supervisor: nothing of the turn has inherited it.
    File::open(turn.files.lock()).unwrap().try_lock_shared().unwrap();
    assert_eq!(turn.survivors().len(), 5);

    assert_eq!(verdict(&turn), lost(KILLED, 5));
    assert_eq!(turn.survivors(), [].into());
    assert_eq!(read_exit(&turn.files).unwrap(), None);
    assert_eq!(verdict(&turn), lost(KILLED, 5));
}

#[test]
fn strays_that_fork_are_ended_too() {
    let mut turn = Turn::new("fork-loop,message:here,sleep").launch();
    turn.wait_for_message("here");
    kill_supervisor(&mut turn);
    let Verdict::Lost { cause, strays_ended } = verdict(&turn) else { panic!("not lost") };
    assert_eq!(cause, KILLED);
    assert!(strays_ended >= 2, "{strays_ended}");
    assert_eq!(turn.survivors(), [].into());
}

#[test]
fn a_stray_is_known_by_session_and_turn_or_by_codexs_thread() {
    let turn = abandoned(&this_boot());
    let session = ("SWITCHBOARD_SESSION", turn.session.as_str());
    let stray = sleeper(&[session, ("SWITCHBOARD_TURN", "3")]);
    let command_of_codex = sleeper(&[("CODEX_THREAD_ID", "thread-of-this-test")]);
    let other_turn = sleeper(&[session, ("SWITCHBOARD_TURN", "33")]);
    let other_session = sleeper(&[("SWITCHBOARD_SESSION", "another"), ("SWITCHBOARD_TURN", "3")]);
    let other_thread = sleeper(&[("CODEX_THREAD_ID", "thread-of-this-test-2")]);

    let verdict = judge(&turn.files, &turn.session, Some("thread-of-this-test")).unwrap();
    assert_eq!(verdict, lost(KILLED, 2));
    // `kill` on a zombie changes nothing: these two were ended by signal 9 before.
    was_running(stray);
    was_running(command_of_codex);
    assert!(was_running(other_turn));
    assert!(was_running(other_session));
    assert!(was_running(other_thread));
}

#[test]
fn a_turn_that_is_lost_once_stays_lost_and_later_processes_are_let_be() {
    let turn = abandoned(&this_boot());
    let judge = || judge(&turn.files, &turn.session, Some("thread-of-another-test")).unwrap();
    assert_eq!(judge(), lost(KILLED, 0));
    // The thread goes on in a later turn.
    let later = sleeper(&[("CODEX_THREAD_ID", "thread-of-another-test")]);
    assert_eq!(judge(), lost(KILLED, 0));
    assert!(was_running(later));
}

#[test]
fn a_hunt_that_was_cut_short_is_finished() {
    let turn = abandoned(&this_boot());
    let record = r#"{"version":1,"cause":"as it was","time":"2026-01-01T00:00:00Z","strays_ended":null,"later":1}"#;
    fs::write(turn.files.lost(), record).unwrap();
    let session = ("SWITCHBOARD_SESSION", turn.session.as_str());
    let stray = sleeper(&[session, ("SWITCHBOARD_TURN", "3")]);
    assert_eq!(verdict(&turn), lost("as it was", 1));
    was_running(stray);
    assert_eq!(verdict(&turn), lost("as it was", 1));
}

#[test]
fn a_turn_of_an_earlier_boot_is_lost_with_the_machine() {
    let turn = abandoned("00000000-0000-4000-8000-000000000000");
    assert_eq!(verdict(&turn), lost("the machine went down while the turn ran", 0));
}

#[test]
fn a_supervisor_on_a_full_disk_leaves_a_trace() {
    let turn = abandoned(&this_boot());
    // All that a full disk took: two names without content.
    File::create(turn.path("turn_3.exit.json.new")).unwrap();
    File::create(turn.files.supervisor_log()).unwrap();
    assert_eq!(verdict(&turn), lost("the supervisor could not write the exit file", 0));
}

#[test]
fn damaged_files_are_judged_not_refused() {
    let turn = abandoned(&this_boot());
    fs::write(turn.files.pid(), "").unwrap();
    assert_eq!(verdict(&turn), lost(KILLED, 0));

    let turn = abandoned(&this_boot());
    fs::write(turn.files.exit(), "{\"version\":1,").unwrap();
    assert_eq!(verdict(&turn), lost("the exit file cannot be read", 0));
    assert_eq!(verdict(&turn), lost("the exit file cannot be read", 0));
}

#[test]
fn a_turn_without_a_pid_file_never_started() {
    let turn = Turn::new("message:never");
    assert_eq!(verdict(&turn), Verdict::NeverStarted);
    File::create(turn.files.lock()).unwrap();
    assert_eq!(verdict(&turn), Verdict::NeverStarted);
    assert!(!turn.files.lost().exists());
}

#[test]
fn a_process_that_only_bears_the_id_is_not_taken_for_the_supervisor() {
    let turn = abandoned(&this_boot());
    // It names this test's own process, with another start time.
    let pid_file = read_pid(&turn.files).unwrap().unwrap();
    assert_eq!(pidfd(&pid_file).unwrap_err().kind(), io::ErrorKind::NotFound);
    let earlier_boot = PidFile { boot_id: "another".to_owned(), ..pid_file };
    assert_eq!(pidfd(&earlier_boot).unwrap_err().kind(), io::ErrorKind::NotFound);
    // The nudge goes nowhere: SIGUSR1 would end this test.
    let lock = File::open(turn.files.lock()).unwrap();
    lock.lock().unwrap();
    turn.stop(StopMode::Kill, "someone");
}
