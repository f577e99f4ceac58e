//! The command line as a person or a script uses it: real processes, real
//! signals, real exit codes.

mod options;

use std::{
    ffi::OsStr,
    fs,
    io::{BufRead as _, BufReader, Read as _},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Output, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::harness::{Server, Setup, assert_nothing_runs_in};

mod views;

/// The program on a home, with nothing else in its environment.
pub(crate) fn switchboard(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_switchboard"));
    command.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", "/nonexistent");
    command.env("SWITCHBOARD_HOME", home).stdin(Stdio::null());
    command
}

/// Runs the program to its end.
pub(crate) fn done<S: AsRef<OsStr>>(home: &Path, arguments: impl IntoIterator<Item = S>) -> Output {
    switchboard(home).args(arguments).output().unwrap()
}

/// Its exit code.
pub(crate) fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

/// Its output as text.
pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn transcript(name: &str) -> String {
    format!("{}/tests/fixtures/transcripts/{name}.jsonl", env!("CARGO_MANIFEST_DIR"))
}

fn replay(name: &str) -> String {
    format!("--agent=replay:{}", transcript(name))
}

/// A transcript that prints its first three lines and then waits for a minute.
fn waiting_transcript(directory: &Path) -> PathBuf {
    let lines = fs::read_to_string(transcript("plan")).unwrap();
    let first: usize = lines.split_inclusive('\n').take(3).map(str::len).sum();
    let file = directory.join("waiting.jsonl");
    fs::write(&file, &lines).unwrap();
    let timing = format!("0 {first}\n60 {}\n", lines.len() - first);
    fs::write(directory.join("waiting.jsonl.timing"), timing).unwrap();
    file
}

/// A command that was started, and its standard output.
pub(crate) struct Started {
    child: Child,
    stdout: BufReader<ChildStdout>,
}

impl Started {
    /// Starts a command.
    pub(crate) fn new(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Self { child, stdout }
    }

    /// Reads lines up to one that contains this, and returns them all.
    pub(crate) fn until(&mut self, wanted: &str) -> String {
        let mut seen = String::new();
        while !seen.contains(wanted) {
            assert_ne!(self.stdout.read_line(&mut seen).unwrap(), 0, "{wanted:?} not in {seen}");
        }
        seen
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// What is left of its output, all of its errors, and its exit code.
    pub(crate) fn end(mut self) -> (String, String, i32) {
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).unwrap();
        let mut errors = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
        (rest, errors, self.child.wait().unwrap().code().unwrap())
    }
}

/// Stops the server that was started in the background, also when a test fails.
struct Background<'a>(&'a Path);

impl Drop for Background<'_> {
    fn drop(&mut self) {
        done(self.0, ["server", "stop"]);
    }
}

/// What `sessions list` says.
pub(crate) fn sessions(home: &Path) -> Vec<Value> {
    let listed = done(home, ["sessions", "list", "--json"]);
    assert_eq!(code(&listed), 0, "{listed:?}");
    text(&listed.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn the_demo_proves_itself_and_leaves_nothing_behind() {
    let directory = tempfile::tempdir().unwrap();
    let shown = switchboard(Path::new("/nonexistent"))
        .args(["demo", "--speed", "40"])
        .env("TMPDIR", directory.path())
        .output()
        .unwrap();
    let text = text(&shown.stdout);
    assert_eq!(code(&shown), 0, "{shown:?}");
    for part in ["leaves after event 8", "back at event 9", "exactly once, in order", "run \""] {
        assert!(text.contains(part), "{part:?} not in {text}");
    }
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn a_demo_that_is_ended_leaves_nothing_behind() {
    for signal in [None, Some(Signal::TERM), Some(Signal::HUP), Some(Signal::INT)] {
        let directory = tempfile::tempdir().unwrap();
        let mut command = switchboard(Path::new("/nonexistent"));
        command.args(["demo", "--speed", "1"]).env("TMPDIR", directory.path());
        let mut demo = Started::new(&mut command);
        demo.until("turn 1");
        let status = match signal {
            Some(signal) => {
                demo.signal(signal);
                demo.end().2
            }
            // As `demo | head` does it.
            None => {
                drop(demo.stdout);
                demo.child.wait().unwrap().code().unwrap()
            }
        };
        assert_eq!(status, if signal.is_some() { 130 } else { 0 }, "{signal:?}");
        assert_nothing_runs_in(directory.path());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0, "{signal:?}");
    }
}

#[test]
fn those_who_start_a_server_at_once_share_one() {
    let directory = tempfile::Builder::new().prefix("sb-").tempdir().unwrap();
    let home = directory.path().join("home");
    let _background = Background(&home);
    let runs: Vec<Started> = (0..3)
        .map(|_| {
            let mut command = switchboard(&home);
            command.args(["run", "hello", &replay("basic")]);
            Started::new(command.env("SWITCHBOARD_LISTEN", "127.0.0.1:0"))
        })
        .collect();
    let mut started = 0;
    for run in runs {
        let (shown, errors, code) = run.end();
        assert_eq!(code, 0, "{errors}");
        assert!(shown.contains("Hello from the mock."), "{shown}");
        started += errors.matches("started a server").count();
    }
    assert_eq!(started, 1);
    assert_eq!(sessions(&home).len(), 3);
    assert_eq!(fs::metadata(&home).unwrap().permissions().mode() & 0o777, 0o700);
    assert_eq!(code(&done(&home, ["server", "stop"])), 0);
    assert_eq!(code(&done(&home, ["server", "status"])), 3);
    assert_eq!(code(&done(&home, ["server", "stop"])), 3);
}

#[test]
fn the_exit_code_and_the_json_error_say_what_went_wrong() {
    let server = Server::new();
    let home = server.home();
    let unknown = done(&home, ["--json", "sessions", "show", "00000000"]);
    assert_eq!(code(&unknown), 1);
    let error: Value = serde_json::from_slice(&unknown.stderr).unwrap();
    assert_eq!(error["code"], "NOT_FOUND");
    assert_eq!(error["reason"], "SESSION_NOT_FOUND");

    assert_eq!(code(&done(&home, ["run", "x", &replay("http429")])), 1);
    assert_eq!(code(&done(&home, ["run", ""])), 2);
    assert_eq!(code(&done(&home, ["run", "--no-such-flag", "x"])), 2);
    assert_eq!(code(&done(&home, ["--url", "https://x:1", "sessions", "list"])), 2);
    let nowhere = Path::new("/nonexistent");
    let unreachable = done(nowhere, ["--json", "sessions", "list"]);
    assert_eq!(code(&unreachable), 3);
    let error: Value = serde_json::from_slice(&unreachable.stderr).unwrap();
    assert_eq!(error["reason"], "SERVER_UNREACHABLE");
}

#[test]
fn a_second_server_is_refused_with_the_pid_of_the_first() {
    let server = Server::new();
    let refused = done(&server.home(), ["serve", "--listen", "127.0.0.1:0"]);
    assert_eq!(code(&refused), 1);
    let error = text(&refused.stderr);
    assert!(error.contains(&format!("(pid {})", server.pid())), "{error}");
}

#[test]
fn the_token_of_the_home_opens_its_tcp_address_and_no_other_does() {
    let server = Server::new();
    let url = format!("http://{}", server.tcp());
    assert_eq!(code(&done(&server.home(), ["--url", &url, "sessions", "list"])), 0);
    let refused = switchboard(&server.home())
        .args(["--json", "--url", &url, "sessions", "list"])
        .env("SWITCHBOARD_TOKEN", "another")
        .output()
        .unwrap();
    assert_eq!(code(&refused), 1);
    let error: Value = serde_json::from_slice(&refused.stderr).unwrap();
    assert_eq!(error["reason"], "UNAUTHENTICATED");
}

#[test]
fn a_session_is_found_by_a_prefix_and_its_output_is_the_agents_to_the_byte() {
    let server = Server::new();
    let home = server.home();
    assert_eq!(code(&done(&home, ["run", "first", &replay("unicode")])), 0);
    let id = sessions(&home)[0]["sessionId"].as_str().unwrap()[..8].to_owned();
    let recorded = fs::read(transcript("unicode")).unwrap();
    assert_eq!(done(&home, ["sessions", "output", &id]).stdout, recorded);
    let part = done(&home, ["sessions", "output", &id, "--offset=5", "--length=7"]);
    assert_eq!(part.stdout, recorded[5..12]);

    // The next turn's view begins with the next turn.
    let sent = text(&done(&home, ["send", &id, "second"]).stdout);
    assert!(sent.starts_with("turn 2 · second\n"), "{sent}");
    let waited = done(&home, ["sessions", "wait", &id]);
    assert_eq!((text(&waited.stdout).as_str(), code(&waited)), ("completed\n", 0));
    let watched = done(&home, ["--json", "sessions", "watch", "--until-end", &id]);
    let seqs: Vec<u64> = text(&watched.stdout)
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .map(|event| event["seq"].as_str().unwrap().parse().unwrap())
        .collect();
    assert!(!seqs.is_empty());
    assert_eq!(seqs, (1..=seqs.len() as u64).collect::<Vec<_>>());
}

#[test]
fn the_view_goes_on_when_the_server_is_restarted_under_it() {
    let mut server = Server::new();
    let home = server.home();
    let agent = format!("--agent=replay:{}", waiting_transcript(&server.work()).display());
    let mut run = Started::new(switchboard(&home).args(["--json", "run", "x", &agent]));
    let mut seen = run.until("item_0");
    server.kill_and_start();
    let id = sessions(&home)[0]["sessionId"].as_str().unwrap().to_owned();
    run.signal(Signal::INT);
    let (rest, errors, code) = run.end();
    assert_eq!(code, 130, "{errors}");
    seen.push_str(&rest);
    let log = done(&home, ["--json", "sessions", "watch", "--until-end", &id]);
    assert_eq!(seen, text(&log.stdout), "{errors}");
    assert!(seen.contains("SESSION_STATE_INTERRUPTED"), "{seen}");
}

#[test]
fn ctrl_c_interrupts_and_a_second_one_leaves_the_turn_to_itself() {
    // From the sources: a program that a test has just written can be busy
    // while another test is starting one.
    let codex = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/agents/stubborn_codex");
    let server = Setup::new().codex(Path::new(codex)).start();
    let home = server.home();
    let mut command = switchboard(&home);
    let mut run = Started::new(command.arg("run").arg("-C").arg(server.work()).arg("x"));
    run.until("holding.on");
    run.signal(Signal::INT);
    // The server was asked, so the first one has been understood.
    run.until("stopping");
    run.signal(Signal::INT);
    let (_, errors, code) = run.end();
    assert_eq!(code, 130);
    assert!(errors.contains("interrupting the turn"), "{errors}");
    assert!(errors.contains("goes on without you"), "{errors}");
    let session = &sessions(&home)[0];
    assert_eq!(session["state"], "SESSION_STATE_STOPPING", "{session}");
}

#[test]
fn a_replay_is_verbatim_and_stops_at_an_interrupt() {
    let nowhere = Path::new("/nonexistent");
    for (name, expected) in [("basic", 0), ("http429", 1), ("sig_INT_cmd", 1), ("big_output", 0)] {
        let printed = done(nowhere, ["replay", &transcript(name)]);
        assert_eq!(printed.stdout, fs::read(transcript(name)).unwrap(), "{name}");
        assert_eq!(code(&printed), expected, "{name}");
    }
    let directory = tempfile::tempdir().unwrap();
    let file = waiting_transcript(directory.path());
    let mut replay = Started::new(switchboard(nowhere).arg("replay").arg(file));
    replay.until("item.started");
    replay.signal(Signal::INT);
    let (rest, _, code) = replay.end();
    assert_eq!((rest.as_str(), code), ("", 1));
}

#[test]
fn a_bad_configuration_file_is_refused_with_its_line() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config.toml");
    fs::write(&file, "\n[log]\nlevel = 'info'\n").unwrap();
    let file = file.to_str().unwrap();
    for command in [vec!["serve"], vec!["config", "check"], vec!["config", "show"]] {
        let arguments = command.iter().copied().chain(["--config", file]);
        let refused = done(directory.path(), arguments);
        assert_eq!(code(&refused), 2, "{command:?}");
        let error = text(&refused.stderr);
        assert!(error.contains("line 3") && error.contains("level"), "{error}");
    }
}
