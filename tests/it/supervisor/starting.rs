//! How a turn starts: the lock, what the agent finds, and agents that cannot be started.

use std::{
    collections::BTreeMap,
    fs::{self, File, TryLockError},
    io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use rustix::process::{Signal, getpgid, getpid, getsid, kill_process};
use switchboard::{
    id::TurnNumber,
    supervise::{
        Error, Launched, Outcome, SpawnProblem, TurnFiles, launch, pidfd, read_exit, read_pid,
    },
};

use super::{GIVE_UP, SWITCHBOARD, Turn, fake_agent, pid, wait_readable};

#[test]
fn the_lock_is_never_seen_free_before_the_exit_file() {
    for _ in 0..10 {
        let turn = Turn::new("message:hello");
        let (files, ended) = (turn.files.clone(), AtomicBool::new(false));
        thread::scope(|scope| {
            let probe = scope.spawn(|| {
                let mut held = 0_u32;
                loop {
                    match File::open(files.lock()).map(|lock| lock.try_lock_shared()) {
                        Err(error) => assert_eq!(error.kind(), io::ErrorKind::NotFound),
                        Ok(Err(TryLockError::WouldBlock)) => held += 1,
                        Ok(Err(TryLockError::Error(error))) => panic!("{error}"),
                        Ok(Ok(())) => {
                            assert!(files.exit().exists(), "free before the exit file");
                            return held;
                        }
                    }
                    assert!(!ended.load(Ordering::SeqCst) || files.exit().exists());
                }
            });
            let mut turn = turn.launch();
            turn.end();
            ended.store(true, Ordering::SeqCst);
            assert!(probe.join().unwrap() > 0);
        });
    }
}

#[test]
fn a_turn_is_launched_once_only() {
    let mut turn = Turn::new("message:once").launch();
    turn.end();
    let again = launch(Path::new(SWITCHBOARD), &turn.files, &turn.spec);
    assert!(matches!(again, Err(Error::AlreadyLaunched(TurnNumber(3)))));
    assert_eq!(turn.messages(), ["once"]);
}

#[test]
fn the_agent_finds_its_session_its_arguments_and_its_directory() {
    let mut turn = Turn::new(
        "env:SWITCHBOARD_SESSION,env:SWITCHBOARD_TURN,env:EXTRA,env:CARGO_MANIFEST_DIR,argv,cwd,message",
    );
    turn.spec.env.push(("EXTRA".to_owned(), "a=b c".to_owned()));
    turn.spec.env_remove.push("CARGO_MANIFEST_DIR".to_owned());
    let mut turn = turn.launch();
    turn.end();
    assert_eq!(
        turn.messages(),
        [
            format!("\"{}\"", turn.session),
            "\"3\"".to_owned(),
            "\"a=b c\"".to_owned(),
            "null".to_owned(),
            r#"["exec", "--json", "-"]"#.to_owned(),
            turn.spec.working_directory.display().to_string(),
            "the prompt".to_owned(),
        ]
    );
}

#[test]
fn the_agent_has_the_turns_files_and_not_its_lock() {
    let mut turn = Turn::new("fds").launch();
    turn.end();
    let files: BTreeMap<String, PathBuf> = serde_json::from_str(&turn.messages()[0]).unwrap();
    assert_eq!(files["0"], turn.files.prompt());
    assert_eq!(files["1"], turn.files.stdout());
    assert_eq!(files["2"], turn.files.stderr());
    // Whatever this test itself was started with may be there beside them.
    let ours = files.values().filter(|path| path.starts_with(turn.home.path())).count();
    assert_eq!(ours, 3);
}

#[test]
fn the_supervisor_has_the_lock_and_a_session_and_the_agent_a_group() {
    let mut turn = Turn::new("sleep").launch();
    let pid_file = turn.wait_for_agent();
    let (supervisor, agent) = (pid(pid_file.supervisor_pid), pid(pid_file.agent_pid.unwrap()));
    assert_eq!(pid_file.supervisor_pid, turn.launched.as_ref().unwrap().supervisor_pid());
    assert_eq!(getsid(Some(supervisor)).unwrap(), supervisor);
    assert_eq!(getsid(Some(agent)).unwrap(), supervisor);
    assert_eq!(getpgid(Some(agent)).unwrap(), agent);
    let descriptors = |of: &[u32]| {
        let of = of.iter().map(|n| format!("/proc/{}/fd/{n}", pid_file.supervisor_pid));
        of.map(|link| fs::read_link(link).unwrap()).collect::<Vec<_>>()
    };
    let null = Path::new("/dev/null");
    assert_eq!(descriptors(&[0, 1, 2]), [&*turn.files.lock(), null, null]);
    kill_process(agent, Signal::KILL).unwrap();
    turn.end();
}

/// The process that [`a_launched_turn_needs_its_server_no_more`] kills.
#[test]
#[ignore = "run by another test, in a process of its own"]
fn launches_and_is_killed() {
    #[expect(clippy::disallowed_methods, reason = "how the other test says where")]
    let directory = std::env::var_os("SWITCHBOARD_TEST_TURNS").unwrap();
    let files = TurnFiles::new(directory, TurnNumber(3));
    let spec = switchboard::supervise::read_spec(&files).unwrap().unwrap();
    let _launched: Launched = launch(Path::new(SWITCHBOARD), &files, &spec).unwrap();
    kill_process(getpid(), Signal::KILL).unwrap();
}

#[test]
fn a_launched_turn_needs_its_server_no_more() {
    let turn = Turn::new("");
    let gate = turn.path("gate");
    let script = format!("signals,message:here,wait:{},message:still here", gate.display());
    let spec = switchboard::supervise::Spec {
        env: vec![("FAKE_AGENT".to_owned(), script)],
        ..turn.spec.clone()
    };
    fs::write(turn.files.spec(), serde_json::to_vec(&spec).unwrap()).unwrap();

    // As a background job of a script is started: with SIGINT ignored.
    let server = Command::new("sh")
        .args(["-c", "trap '' INT HUP; exec \"$0\" \"$@\""])
        .arg(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "supervisor::starting::launches_and_is_killed"])
        .env("SWITCHBOARD_TEST_TURNS", turn.files.directory())
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(!server.success());
    turn.wait_for_message("here");
    let supervisor = pidfd(&read_pid(&turn.files).unwrap().unwrap()).unwrap();
    File::create(gate).unwrap();
    assert!(wait_readable(&supervisor, GIVE_UP));

    let exit = read_exit(&turn.files).unwrap().unwrap();
    assert_eq!(exit.outcome, Outcome::Exited { code: 0 });
    // Nothing is blocked or ignored for the agent, whatever the server was started with.
    let no_signals = r#"{"SigBlk": 0, "SigIgn": 0}"#;
    assert_eq!(turn.messages(), [no_signals, "here", "still here"]);
}

fn failure_to_start(prepare: impl FnOnce(&mut Turn)) -> (SpawnProblem, Option<i32>, String) {
    let mut turn = Turn::new("message:never");
    prepare(&mut turn);
    let mut turn = turn.launch();
    let exit = turn.end();
    assert_eq!(turn.stdout(), "");
    assert_eq!((exit.peak_memory_bytes, exit.stopped), (0, None));
    let Outcome::SpawnFailed { problem, errno, message } = exit.outcome else {
        panic!("{:?}", exit.outcome)
    };
    (problem, errno, message)
}

#[test]
fn a_program_that_is_missing_is_not_found() {
    let failure = failure_to_start(|turn| turn.spec.program = "/no/such/codex".into());
    let message = "/no/such/codex could not be started: there is none";
    assert_eq!(failure, (SpawnProblem::NotFound, Some(2), message.to_owned()));
}

#[test]
fn a_program_without_its_interpreter_is_not_found() {
    let (problem, errno, message) = failure_to_start(|turn| {
        turn.spec.program = turn.path("script");
        fs::write(&turn.spec.program, "#!/no/such/interpreter\n").unwrap();
        fs::set_permissions(&turn.spec.program, PermissionsExt::from_mode(0o755)).unwrap();
    });
    assert_eq!((problem, errno), (SpawnProblem::NotFound, Some(2)));
    assert!(message.ends_with("its interpreter or loader is missing"), "{message}");
}

#[test]
fn a_program_that_is_not_executable_is_denied() {
    let (problem, errno, _) = failure_to_start(|turn| {
        turn.spec.program = turn.path("plain");
        fs::copy(fake_agent(), &turn.spec.program).unwrap();
        fs::set_permissions(&turn.spec.program, PermissionsExt::from_mode(0o644)).unwrap();
    });
    assert_eq!((problem, errno), (SpawnProblem::PermissionDenied, Some(13)));
}

#[test]
fn a_working_directory_that_is_gone_is_not_taken_for_a_missing_program() {
    let (problem, errno, message) =
        failure_to_start(|turn| turn.spec.working_directory = "/no/such/directory".into());
    assert_eq!((problem, errno), (SpawnProblem::WorkingDirectory, Some(2)));
    assert!(message.contains("/no/such/directory"), "{message}");

    let (problem, errno, _) = failure_to_start(|turn| turn.spec.working_directory = fake_agent());
    assert_eq!((problem, errno), (SpawnProblem::WorkingDirectory, Some(20)));
}

#[test]
fn a_turn_without_its_prompt_says_so() {
    let (problem, errno, message) =
        failure_to_start(|turn| fs::remove_file(turn.files.prompt()).unwrap());
    assert_eq!((problem, errno), (SpawnProblem::Other, Some(2)));
    assert!(message.starts_with("the prompt could not be opened"), "{message}");
}

#[test]
fn a_supervisor_without_the_lock_refuses() {
    let turn = Turn::new("message:never");
    let lock = File::create(turn.files.lock()).unwrap();
    lock.lock().unwrap();
    let supervise = |stdin: Stdio| {
        Command::new(SWITCHBOARD)
            .arg("supervise")
            .arg(turn.files.directory())
            .arg("3")
            .stdin(stdin)
            .stderr(Stdio::null())
            .status()
            .unwrap()
            .code()
    };
    let not_the_lock = Stdio::null();
    let locked_by_another = File::open(turn.files.lock()).unwrap().into();
    assert_eq!((supervise(not_the_lock), supervise(locked_by_another)), (Some(1), Some(1)));
    let names = ["turn_3.lock", "turn_3.prompt"].map(str::to_owned);
    assert_eq!(turn.names(), names.into());
}
