//! Starts the real server on a home of its own, and ends it with everything
//! that it started.
//!
//! ```text
//! <base>/            short, because a socket's path has at most 107 bytes
//!   home/            the server's home
//!   work/            a folder for agents to work in
//!   config.toml      where the test configures the server
//!   ready.json       --ready-file
//!   stdout, stderr   of the server, over all its starts
//! ```

use std::{
    ffi::{OsStr, OsString},
    fs::{self, File},
    io::ErrorKind,
    mem::MaybeUninit,
    net::SocketAddr,
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fd::{AsFd, OwnedFd},
    fs::inotify,
    io::Errno,
    process::{Pid, PidfdFlags, Signal},
};
use serde_json::Value;
use switchboard::proto::{
    audit_service_client::AuditServiceClient, config_lock_service_client::ConfigLockServiceClient,
    controls_service_client::ControlsServiceClient, event_service_client::EventServiceClient,
    session_service_client::SessionServiceClient, settings_service_client::SettingsServiceClient,
    system_service_client::SystemServiceClient,
};
use tempfile::TempDir;
use tonic::{
    Request, Status,
    metadata::AsciiMetadataValue,
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Channel, Endpoint},
};

use crate::codex_home::CodexHome;

/// How long a server may take to start or to stop before the test fails.
const PATIENCE: Duration = Duration::from_secs(30);

/// Marks every process of a test by an environment variable, which agents
/// inherit; its value is the base folder.
const MARK: &str = "SWITCHBOARD_TEST_BASE";

/// How a server shall be started.
#[derive(Debug)]
pub(crate) struct Setup {
    binary: PathBuf,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    config: Option<&'static str>,
    /// Soft and hard limit of open files; the test's own where there are none.
    open_files: Option<(u64, u64)>,
}

/// A server under test. It ends, with its agents and its home, when it is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    setup: Setup,
    base: TempDir,
    /// Absent while the server is down.
    running: Option<Running>,
}

/// What a server did instead of being ready.
#[derive(Debug)]
pub(crate) struct NotReady {
    pub(crate) problem: String,
    pub(crate) status: ExitStatus,
}

#[derive(Debug)]
struct Running {
    child: Child,
    addresses: Vec<String>,
}

impl Setup {
    /// The binary under test, on a free port of loopback.
    pub(crate) fn new() -> Self {
        Self {
            binary: env!("CARGO_BIN_EXE_switchboard").into(),
            arguments: Vec::new(),
            environment: Vec::new(),
            config: None,
            open_files: None,
        }
    }

    /// What the configuration file says.
    pub(crate) fn config(self, text: &'static str) -> Self {
        Self { config: Some(text), ..self }
    }

    /// Another program in place of the binary under test.
    pub(crate) fn binary(self, binary: impl Into<PathBuf>) -> Self {
        Self { binary: binary.into(), ..self }
    }

    /// One more argument of `serve`.
    pub(crate) fn arg(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// One more environment variable, for the server and its agents.
    pub(crate) fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// How many files the server may open: as long as it says nothing, and at most.
    pub(crate) fn open_files(self, soft: u64, hard: u64) -> Self {
        Self { open_files: Some((soft, hard)), ..self }
    }

    /// The program that is started as codex: the real one or a fake.
    pub(crate) fn codex(self, program: &Path) -> Self {
        self.arg("--codex").arg(program)
    }

    /// Where codex finds its configuration.
    pub(crate) fn codex_home(self, home: &CodexHome) -> Self {
        self.env("CODEX_HOME", home.path())
    }

    /// Makes the home and starts the server on it; returns when it is ready.
    pub(crate) fn start(self) -> Server {
        let mut server = self.prepare();
        server.start();
        server
    }

    /// Makes the place for a server that is to be started later.
    pub(crate) fn prepare(self) -> Server {
        let base = tempfile::Builder::new().prefix("sb-").tempdir().unwrap();
        fs::create_dir(base.path().join("work")).unwrap();
        if let Some(config) = self.config {
            fs::write(base.path().join("config.toml"), config).unwrap();
        }
        Server { setup: self, base, running: None }
    }
}

impl Server {
    /// Starts a server as it is by default.
    pub(crate) fn new() -> Self {
        Setup::new().start()
    }

    /// The home of the server.
    pub(crate) fn home(&self) -> PathBuf {
        self.base.path().join("home")
    }

    /// A folder for agents to work in.
    pub(crate) fn work(&self) -> PathBuf {
        self.base.path().join("work")
    }

    /// The configuration file of a server that was set up with one.
    pub(crate) fn config_file(&self) -> PathBuf {
        self.base.path().join("config.toml")
    }

    /// The process id of the server.
    pub(crate) fn pid(&self) -> u32 {
        self.running().child.id()
    }

    /// The addresses of the ready file.
    pub(crate) fn addresses(&self) -> &[String] {
        &self.running().addresses
    }

    /// Where it listens on TCP.
    pub(crate) fn tcp(&self) -> SocketAddr {
        self.address("http://").parse().unwrap()
    }

    /// Where it listens on a Unix socket.
    pub(crate) fn socket(&self) -> &Path {
        Path::new(self.address("unix:"))
    }

    /// The token of the home.
    pub(crate) fn token(&self) -> String {
        fs::read_to_string(self.home().join("token")).unwrap().trim_end().to_owned()
    }

    /// What the server has written to stderr, its log, over all its starts.
    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.log_file()).unwrap_or_default()).into_owned()
    }

    /// Where its log is.
    pub(crate) fn log_file(&self) -> PathBuf {
        self.base.path().join("stderr")
    }

    /// What the server has written to stdout, over all its starts.
    pub(crate) fn printed(&self) -> String {
        fs::read_to_string(self.base.path().join("stdout")).unwrap_or_default()
    }

    /// Clients over TCP, with the token.
    pub(crate) async fn connect(&self) -> Clients {
        self.connect_through(self.tcp()).await
    }

    /// Clients over TCP, with the token, to another address: that of a proxy.
    pub(crate) async fn connect_through(&self, address: SocketAddr) -> Clients {
        let uri = format!("http://{address}");
        Clients::connect(uri, Bearer(Some(format!("Bearer {}", self.token())))).await
    }

    /// Clients over TCP, without a token.
    pub(crate) async fn connect_without_token(&self) -> Clients {
        Clients::connect(format!("http://{}", self.tcp()), Bearer(None)).await
    }

    /// Clients over the Unix socket, which needs no token.
    pub(crate) async fn connect_to_socket(&self) -> Clients {
        Clients::connect(format!("unix://{}", self.socket().display()), Bearer(None)).await
    }

    /// Starts the server again on the same home.
    pub(crate) fn start(&mut self) {
        if let Err(NotReady { problem, status }) = self.try_start() {
            panic!("the server {problem} ({status}); its log:\n{}", self.log());
        }
    }

    /// Starts the server, which perhaps ends before it is ready.
    pub(crate) fn try_start(&mut self) -> Result<(), NotReady> {
        assert!(self.running.is_none(), "the server runs already");
        let ready_file = self.base.path().join("ready.json");
        remove_if_there(&ready_file);
        let watch = inotify::init(inotify::CreateFlags::NONBLOCK | inotify::CreateFlags::CLOEXEC);
        let watch = watch.unwrap();
        let written = inotify::WatchFlags::CLOSE_WRITE | inotify::WatchFlags::MOVED_TO;
        inotify::add_watch(&watch, self.base.path(), written).unwrap();

        let mut child = self.command(&ready_file).spawn().unwrap();
        match wait_until_ready(&child, &watch, &ready_file) {
            Ok(addresses) => {
                self.running = Some(Running { child, addresses });
                Ok(())
            }
            Err(problem) => {
                // It may have ended by itself.
                let _ = child.kill();
                Err(NotReady { problem, status: child.wait().unwrap() })
            }
        }
    }

    /// Ends the server by SIGKILL. Agents go on.
    pub(crate) fn kill(&mut self) {
        let mut running = self.running.take().expect("the server runs");
        running.child.kill().unwrap();
        let status = running.child.wait().unwrap();
        assert_eq!(status.signal(), Some(Signal::KILL.as_raw()), "it ended before: {}", self.log());
    }

    /// Asks the server by SIGTERM to stop, and returns how it ended. Agents go on.
    pub(crate) fn stop(&mut self) -> ExitStatus {
        self.ask_to_stop();
        self.stopped()
    }

    /// Sends SIGTERM and returns at once.
    pub(crate) fn ask_to_stop(&self) {
        rustix::process::kill_process(self.raw_pid(), Signal::TERM).unwrap();
    }

    /// Waits until the server has ended, and returns how.
    pub(crate) fn stopped(&mut self) -> ExitStatus {
        let mut running = self.running.take().expect("the server runs");
        if !ends_within(&running.child, PATIENCE) {
            running.child.kill().unwrap();
            running.child.wait().unwrap();
            panic!("the server did not end within {PATIENCE:?}; its log:\n{}", self.log());
        }
        running.child.wait().unwrap()
    }

    /// Ends the server by SIGKILL and starts it again on the same home.
    pub(crate) fn kill_and_start(&mut self) {
        self.kill();
        self.start();
    }

    /// The processes that belong to this server without being it: supervisors,
    /// agents and what those started.
    pub(crate) fn descendants(&self) -> Vec<u32> {
        let server = self.running.as_ref().map(|running| running.child.id());
        marked(self.base.path()).filter(|pid| Some(*pid) != server).collect()
    }

    /// Ends all of [`Server::descendants`].
    pub(crate) fn end_descendants(&self) {
        // One may start another while they are looked for.
        while self.descendants().into_iter().map(end).count() > 0 {}
    }

    /// Waits until nothing is left of what this server started: a supervisor
    /// writes the exit down first and goes then.
    pub(crate) fn assert_no_survivors(&self) {
        assert_none_left(|| self.descendants());
    }

    fn command(&self, ready_file: &Path) -> Command {
        let mut command = match self.setup.open_files {
            // It becomes the server, with the same process id.
            Some((soft, hard)) => {
                let mut command = Command::new("prlimit");
                command.arg(format!("--nofile={soft}:{hard}")).arg(&self.setup.binary);
                command
            }
            None => Command::new(&self.setup.binary),
        };
        for (name, _) in std::env::vars_os() {
            if is_foreign(&name) {
                command.env_remove(name);
            }
        }
        command
            .args(["serve", "--listen", "127.0.0.1:0", "--home"])
            .arg(self.home())
            .arg("--ready-file")
            .arg(ready_file)
            .args(self.setup.config.map(|_| "--config"))
            .args(self.setup.config.map(|_| self.base.path().join("config.toml")))
            .args(&self.setup.arguments)
            // So that no agent reads or changes what is the user's own.
            .env("HOME", self.base.path())
            .env(MARK, self.base.path())
            .envs(self.setup.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(self.append("stdout"))
            .stderr(self.append("stderr"));
        command
    }

    fn append(&self, name: &str) -> File {
        File::options().create(true).append(true).open(self.base.path().join(name)).unwrap()
    }

    fn running(&self) -> &Running {
        self.running.as_ref().expect("the server runs")
    }

    fn raw_pid(&self) -> Pid {
        Pid::from_child(&self.running().child)
    }

    fn address(&self, scheme: &str) -> &str {
        let addresses = self.addresses();
        let address = addresses.iter().find_map(|address| address.strip_prefix(scheme));
        address.unwrap_or_else(|| panic!("the server has no {scheme} among {addresses:?}"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut running) = self.running.take() {
            // It may have ended by itself; the test has judged that.
            let _ = running.child.kill();
            let _ = running.child.wait();
        }
        self.end_descendants();
        if std::thread::panicking() {
            eprintln!("the log of the server:\n{}", self.log());
        }
    }
}

/// Clients of the services over one connection.
#[derive(Debug, Clone)]
pub(crate) struct Clients {
    pub(crate) sessions: SessionServiceClient<InterceptedService<Channel, Bearer>>,
    pub(crate) events: EventServiceClient<InterceptedService<Channel, Bearer>>,
    pub(crate) settings: SettingsServiceClient<InterceptedService<Channel, Bearer>>,
    pub(crate) controls: ControlsServiceClient<InterceptedService<Channel, Bearer>>,
    pub(crate) audit: AuditServiceClient<InterceptedService<Channel, Bearer>>,
    pub(crate) locks: ConfigLockServiceClient<InterceptedService<Channel, Bearer>>,
    pub(crate) system: SystemServiceClient<InterceptedService<Channel, Bearer>>,
}

/// Adds the `authorization` of every request, where there is one.
#[derive(Debug, Clone)]
pub(crate) struct Bearer(Option<String>);

impl Clients {
    async fn connect(uri: String, bearer: Bearer) -> Self {
        let endpoint = Endpoint::from_shared(uri.clone()).unwrap();
        let channel = endpoint.connect().await.unwrap_or_else(|error| panic!("{uri}: {error:?}"));
        Self {
            sessions: SessionServiceClient::with_interceptor(channel.clone(), bearer.clone()),
            events: EventServiceClient::with_interceptor(channel.clone(), bearer.clone()),
            settings: SettingsServiceClient::with_interceptor(channel.clone(), bearer.clone()),
            controls: ControlsServiceClient::with_interceptor(channel.clone(), bearer.clone()),
            audit: AuditServiceClient::with_interceptor(channel.clone(), bearer.clone()),
            locks: ConfigLockServiceClient::with_interceptor(channel.clone(), bearer.clone()),
            system: SystemServiceClient::with_interceptor(channel, bearer),
        }
    }
}

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(authorization) = &self.0 {
            let value = AsciiMetadataValue::try_from(authorization.as_str());
            request.metadata_mut().insert("authorization", value.expect("a token is ASCII"));
        }
        Ok(request)
    }
}

/// Waits for the ready file; returns its addresses, or what the server did instead.
fn wait_until_ready(
    child: &Child,
    watch: &OwnedFd,
    ready_file: &Path,
) -> Result<Vec<String>, String> {
    let pidfd = pidfd(child);
    let deadline = Instant::now() + PATIENCE;
    loop {
        let mut fds = [PollFd::new(watch, PollFlags::IN), PollFd::new(&pidfd, PollFlags::IN)];
        if !poll_until(&mut fds, deadline) {
            return Err(format!("was not ready within {PATIENCE:?}"));
        }
        let ended = !fds[1].revents().is_empty();
        drain(watch);
        // The folder holds other files that are written too, so that an event
        // only says to look.
        match fs::read(ready_file) {
            Ok(text) => return Ok(addresses(&text)),
            Err(error) if error.kind() == ErrorKind::NotFound && !ended => {}
            Err(error) => return Err(format!("left no ready file: {error}")),
        }
    }
}

fn addresses(ready_file: &[u8]) -> Vec<String> {
    let ready: Value = serde_json::from_slice(ready_file).unwrap();
    assert_eq!(ready["version"], 1, "{ready}");
    serde_json::from_value(ready["addresses"].clone()).unwrap()
}

fn drain(watch: &OwnedFd) {
    let mut buffer = [MaybeUninit::uninit(); 4096];
    let mut events = inotify::Reader::new(watch, &mut buffer);
    while events.next().is_ok() {}
}

fn pidfd(child: &Child) -> OwnedFd {
    rustix::process::pidfd_open(Pid::from_child(child), PidfdFlags::empty()).unwrap()
}

fn ends_within(child: &Child, patience: Duration) -> bool {
    let pidfd = pidfd(child);
    poll_until(&mut [PollFd::new(&pidfd, PollFlags::IN)], Instant::now() + patience)
}

/// Waits until one of the files is ready; false when the time was up.
fn poll_until(fds: &mut [PollFd<'_>], deadline: Instant) -> bool {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        match poll(fds, Some(&Timespec::try_from(left).unwrap())) {
            Ok(ready) => return ready > 0,
            Err(Errno::INTR) => {}
            Err(error) => panic!("poll: {error}"),
        }
    }
}

/// Whether a variable of the test's own environment would change what the
/// server or its agents do.
fn is_foreign(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    let prefixes = ["SWITCHBOARD_", "CODEX_", "OPENAI_", "XDG_", "RUST_LOG"];
    prefixes.iter().any(|prefix| name.starts_with(prefix))
}

/// The processes that bear the mark of this base folder in their environment,
/// or name the folder on their command line.
fn marked(base: &Path) -> impl Iterator<Item = u32> {
    let base = base.to_str().unwrap().to_owned();
    let mark = format!("{MARK}={base}");
    let pids = fs::read_dir("/proc").unwrap().filter_map(|entry| {
        entry.unwrap().file_name().to_str().and_then(|name| name.parse::<u32>().ok())
    });
    pids.filter(move |pid| {
        // A process that has ended, or is another user's, reads as empty.
        let words = |name: &str| fs::read(format!("/proc/{pid}/{name}")).unwrap_or_default();
        words("environ").split(|byte| *byte == 0).any(|word| word == mark.as_bytes())
            || String::from_utf8_lossy(&words("cmdline")).contains(&base)
    })
}

/// Waits until no process names this folder on its command line.
pub(crate) fn assert_nothing_runs_in(folder: &Path) {
    assert_none_left(|| marked(folder).collect());
}

fn assert_none_left(processes: impl Fn() -> Vec<u32>) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let left = processes();
        if left.is_empty() {
            return;
        }
        assert!(Instant::now() < deadline, "{left:?} survived");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Ends a process and waits until it is gone.
fn end(pid: u32) {
    let pid = Pid::from_raw(pid.try_into().unwrap()).expect("no process has the id 0");
    let Ok(pidfd) = rustix::process::pidfd_open(pid, PidfdFlags::empty()) else { return };
    if rustix::process::pidfd_send_signal(pidfd.as_fd(), Signal::KILL).is_ok() {
        let ended = PollFd::new(&pidfd, PollFlags::IN);
        assert!(poll_until(&mut [ended], Instant::now() + PATIENCE), "{pid:?} survived SIGKILL");
    }
}

fn remove_if_there(path: &Path) {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => panic!("{path:?}: {error}"),
        _ => {}
    }
}
