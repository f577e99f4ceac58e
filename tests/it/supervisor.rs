//! The supervisor of a turn, as the server uses it: the real program, real
//! processes, and the scripted agent of `tests/fixtures/agents/fake_agent.py`.
//! This file is what the tests beside it share.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::Read as _,
    os::fd::AsFd,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::inotify,
    process::Pid,
};
use switchboard::{
    id::{SessionId, TurnNumber},
    supervise::{
        Exit, Grace, Launched, Limits, PidFile, Spec, Stop, StopMode, TurnFiles, VERSION, launch,
        read_exit, read_pid, request_stop,
    },
};
use tempfile::TempDir;

mod ending;
mod fallback;
mod judging;
mod limits;
mod starting;
mod stopping;

/// The program under test.
const SWITCHBOARD: &str = env!("CARGO_BIN_EXE_switchboard");

/// When a test gives up: no measure of anything, only so that it ends.
const GIVE_UP: Duration = Duration::from_secs(120);

/// Longer than any test.
const FOR_EVER: Duration = Duration::from_secs(3600);

/// One turn of a session of its own, in a directory of its own.
struct Turn {
    home: TempDir,
    session: String,
    files: TurnFiles,
    spec: Spec,
    launched: Option<Launched>,
}

impl Turn {
    /// A turn whose agent follows `script`; not launched yet.
    fn new(script: &str) -> Self {
        let home = tempfile::tempdir().unwrap();
        let turns = home.path().join("turns");
        fs::create_dir(&turns).unwrap();
        let session = SessionId::random().to_string();
        let spec = Spec {
            version: VERSION,
            session_id: session.clone(),
            turn: 3,
            program: fake_agent(),
            args: vec!["exec".to_owned(), "--json".to_owned(), "-".to_owned()],
            env: vec![("FAKE_AGENT".to_owned(), script.to_owned())],
            env_remove: Vec::new(),
            working_directory: home.path().canonicalize().unwrap(),
            open_files: None,
            grace: Grace {
                interrupt: Duration::from_millis(60),
                kill: Duration::from_millis(30),
                terminate: Duration::from_millis(30),
                storage: Duration::ZERO,
            },
            limits: Limits::default(),
            fallback: None,
        };
        let files = TurnFiles::new(turns, TurnNumber(3));
        files.write_prompt(b"the prompt").unwrap();
        Self { home, session, files, spec, launched: None }
    }

    fn launch(mut self) -> Self {
        self.launched = Some(launch(Path::new(SWITCHBOARD), &self.files, &self.spec).unwrap());
        self
    }

    /// A path in the turn's directory, for `wait:` and `touch:`.
    fn path(&self, name: &str) -> PathBuf {
        self.files.directory().join(name)
    }

    fn stdout(&self) -> String {
        fs::read_to_string(self.files.stdout()).unwrap_or_default()
    }

    /// The texts of the agent messages so far.
    fn messages(&self) -> Vec<String> {
        let text = |line: &str| {
            let event: serde_json::Value = serde_json::from_str(line).ok()?;
            Some(event["item"]["text"].as_str()?.to_owned())
        };
        self.stdout().lines().filter_map(text).collect()
    }

    /// Waits until the condition holds, woken by every change in the turn's directory
    /// and now and then, for what shows elsewhere.
    fn wait_until(&self, what: &str, mut condition: impl FnMut() -> bool) {
        let watch = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK);
        let mut watch = File::from(watch.unwrap());
        let changes = inotify::WatchFlags::MODIFY
            | inotify::WatchFlags::CREATE
            | inotify::WatchFlags::MOVED_TO
            | inotify::WatchFlags::DELETE;
        inotify::add_watch(&watch, self.files.directory(), changes).unwrap();
        let begin = Instant::now();
        while !condition() {
            assert!(begin.elapsed() < GIVE_UP, "waited in vain until {what}");
            wait_readable(&watch, Duration::from_millis(100));
            let _ = watch.read(&mut [0; 4096]);
        }
    }

    /// Waits until the agent has printed the message `text`.
    fn wait_for_message(&self, text: &str) {
        self.wait_until(&format!("the agent says {text:?}"), || {
            self.messages().iter().any(|message| message == text)
        });
    }

    /// Waits until the pid file names the agent.
    fn wait_for_agent(&self) -> PidFile {
        let mut found = None;
        self.wait_until("the pid file names the agent", || {
            found = read_pid(&self.files).unwrap().filter(|pid_file| pid_file.agent_pid.is_some());
            found.is_some()
        });
        found.unwrap()
    }

    fn stop(&self, mode: StopMode, actor: &str) {
        request_stop(&self.files, &Stop::now(mode, actor)).unwrap();
    }

    /// Waits for the supervisor's end and reaps it.
    fn wait_for_supervisor(&mut self) {
        let launched = self.launched.as_mut().unwrap();
        let pidfd = launched.pidfd().unwrap();
        assert!(wait_readable(&pidfd, GIVE_UP), "the supervisor did not end");
        assert!(launched.try_reap().unwrap().is_some());
    }

    /// Waits for the supervisor's end and reads the exit file.
    fn end(&mut self) -> Exit {
        self.wait_for_supervisor();
        read_exit(&self.files).unwrap().expect("the supervisor left an exit file")
    }

    /// The processes that carry the session's id in their environment or command line.
    fn survivors(&self) -> BTreeSet<String> {
        let carries = |path: PathBuf| {
            fs::read(path).is_ok_and(|bytes| {
                bytes.windows(self.session.len()).any(|part| part == self.session.as_bytes())
            })
        };
        fs::read_dir("/proc")
            .unwrap()
            .flatten()
            .filter(|entry| {
                entry.file_name().to_string_lossy().starts_with(|c: char| c.is_ascii_digit())
            })
            .filter(|entry| {
                carries(entry.path().join("environ")) || carries(entry.path().join("cmdline"))
            })
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect()
    }

    /// The names of the files in the turn's directory.
    fn names(&self) -> BTreeSet<String> {
        fs::read_dir(self.files.directory())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    }
}

fn fake_agent() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/agents/fake_agent.py")
}

fn pid(raw: u32) -> Pid {
    Pid::from_raw(i32::try_from(raw).unwrap()).unwrap()
}

/// Whether the descriptor became readable in time.
fn wait_readable(descriptor: &impl AsFd, time: Duration) -> bool {
    let time = Timespec::try_from(time).unwrap();
    matches!(poll(&mut [PollFd::new(descriptor, PollFlags::IN)], Some(&time)), Ok(1))
}
