//! Servers as processes: the binary under test, and the plain one.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    net::SocketAddr,
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use switchboard::proto::{
    CreateSessionRequest, Session, WaitSessionRequest, session_service_client::SessionServiceClient,
};
use tempfile::TempDir;
use tonic::transport::Channel;

use super::{
    agent::{Script, Start},
    plain,
};

/// A process that ends with its owner.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

impl Process {
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().expect("a program that starts");
        let stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        let stdin = child.stdin.take();
        Self { child, stdin, stdout }
    }

    /// Writes a line to its stdin, which is a pipe.
    pub(crate) fn tell(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().expect("a pipe");
        writeln!(stdin, "{line}").expect("a process that reads");
    }

    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).expect("a line on stdout");
        assert!(!line.is_empty(), "the process ended early");
        line
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// The CPU time of its threads so far, of those that ended too. The kernel
    /// tells it in hundredths of a second.
    pub(crate) fn cpu_time(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.id())).expect("it runs");
        let (_, fields) = stat.rsplit_once(')').expect("the name is in parentheses");
        // The fields 14 and 15, of which the third follows the name.
        let ticks = fields.split_whitespace().skip(11).take(2);
        let ticks = ticks.map(|ticks| ticks.parse::<u64>().expect("a number of ticks"));
        Duration::from_millis(10 * ticks.sum::<u64>())
    }
}

impl Process {
    pub(crate) fn memory(&self) -> Memory {
        Memory::of(self.id())
    }
}

/// Memory of a process, in bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Memory {
    /// Its proportional set size.
    pub(crate) pss: f64,
    /// What would be free without it.
    pub(crate) private: f64,
}

impl Memory {
    pub(crate) fn of(pid: u32) -> Self {
        let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).expect("it runs");
        let sum = |names: &[&str]| {
            let lines = rollup.lines().filter_map(|line| line.split_once(':'));
            let lines = lines.filter(|(name, _)| names.contains(name));
            let kib = lines.map(|(_, size)| size.trim().trim_end_matches(" kB"));
            1024.0 * kib.map(|kib| kib.parse::<f64>().expect("a size in KiB")).sum::<f64>()
        };
        Self { pss: sum(&["Pss"]), private: sum(&["Private_Clean", "Private_Dirty"]) }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The server under test, on a home of its own.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) process: Process,
    pub(crate) address: SocketAddr,
    /// From the start of the process to its line on stdout.
    pub(crate) time_to_ready: Duration,
    pub(crate) sessions: SessionServiceClient<Channel>,
    home: TempDir,
}

impl Server {
    /// Starts one with its home below `place`.
    pub(crate) async fn start(place: &Path) -> Self {
        let home = tempfile::Builder::new().prefix("sb").tempdir_in(place).expect("a place");
        Self::on(home).await
    }

    /// Ends it without a word, and starts another one on the same home.
    pub(crate) async fn restart(self) -> Self {
        let Self { process, home, .. } = self;
        drop(process);
        Self::on(home).await
    }

    async fn on(home: TempDir) -> Self {
        let agent = std::env::current_exe().expect("this executable");
        let begin = Instant::now();
        let mut process = Process::start(
            Command::new(env!("CARGO_BIN_EXE_switchboard"))
                .args(["serve", "--listen", "127.0.0.1:0", "--no-token", "--log", "error"])
                .arg("--home")
                .arg(home.path().join("home"))
                .arg("--codex")
                .arg(agent)
                .stdin(Stdio::null()),
        );
        let line = process.line();
        let time_to_ready = begin.elapsed();
        let address = line.split("http://").nth(1).expect("a TCP address");
        let address = address.split_whitespace().next().expect("a TCP address");
        let sessions =
            SessionServiceClient::connect(format!("http://{address}")).await.expect("a connection");
        let address = address.parse().expect("an address");
        Self { process, address, time_to_ready, sessions, home }
    }

    pub(crate) fn home(&self) -> std::path::PathBuf {
        self.home.path().join("home")
    }

    /// Creates a session; with a prompt it runs.
    pub(crate) async fn create(&self, prompt: String) -> String {
        let session = Session {
            agent: "codex".to_owned(),
            working_directory: self.home.path().to_str().expect("a plain path").to_owned(),
            ..Session::default()
        };
        let request = CreateSessionRequest { session: Some(session), prompt, ..Default::default() };
        let created = self.sessions.clone().create_session(request).await.expect("a session");
        created.into_inner().session.expect("the session").session_id
    }

    /// Creates a session whose agent is ready to begin.
    pub(crate) async fn prepare(&self, script: Script) -> (String, std::net::TcpStream) {
        let start = Start::new();
        let id = self.create(start.prompt(script)).await;
        let agent = tokio::task::spawn_blocking(move || start.prepared());
        let agent = agent.await.expect("an agent");
        (id, agent)
    }

    /// Waits until the session is at rest.
    pub(crate) async fn rest(&self, id: &str) {
        let request = WaitSessionRequest { session_id: id.to_owned(), ..Default::default() };
        let waited = self.sessions.clone().wait_session(request).await.expect("an answer");
        assert!(waited.into_inner().reached, "the session came to rest");
    }
}

/// The plain server.
#[derive(Debug)]
pub(crate) struct Plain {
    pub(crate) process: Process,
    pub(crate) address: SocketAddr,
}

impl Plain {
    pub(crate) fn start() -> Self {
        let exe = std::env::current_exe().expect("this executable");
        let mut process = Process::start(Command::new(exe).arg(plain::ROLE).stdin(Stdio::piped()));
        let address = process.line().trim().parse().expect("an address");
        Self { process, address }
    }

    /// Lets it send so many events to all that are subscribed.
    pub(crate) fn produce(&mut self, events: usize) {
        self.process.tell(&events.to_string());
    }
}
