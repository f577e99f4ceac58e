//! A server for this user, started in the background when none answers.
//!
//! Two that start one at once are safe: the lock of the home lets one server
//! live, and both then connect to it.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Seek as _, SeekFrom},
    os::unix::fs::OpenOptionsExt as _,
    process::{Child, Command, Stdio},
    time::Duration,
};

use tokio::time::Instant;

use super::{
    Context, Failure,
    connect::{Connector, Server},
    render::text,
};
use crate::home::{Holder, Home};

/// How long a new server may take until it answers.
const START_LIMIT: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(25);

/// How much of a failed server's log is shown.
const LOG_TAIL: u64 = 4096;

/// Connects to the server; starts one first when none answers and none was named.
pub(super) async fn connect_or_start(cx: &Context) -> Result<(Connector, Server), Failure> {
    let connector = Connector::new(cx)?;
    let unreachable = match connector.connect().await {
        Ok(server) => return Ok((connector, server)),
        Err(failure) => failure,
    };
    if cx.named()?.is_some() {
        return Err(unreachable);
    }
    let home = cx.home()?;
    home.prepare()?;
    let server = start(cx, &home, &connector).await?;
    Ok((connector, server))
}

async fn start(cx: &Context, home: &Home, connector: &Connector) -> Result<Server, Failure> {
    let log = home.log_file();
    let cannot = |what: &str, error: io::Error| {
        Failure::Failed(format!("cannot start a server: {what}: {error}"))
    };
    let output = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(&log)
        .map_err(|error| cannot(&format!("{}", log.display()), error))?;
    let log_start = output.metadata().map_or(0, |metadata| metadata.len());
    let mut child = spawn(home, output).map_err(|error| cannot("switchboard serve", error))?;
    let deadline = Instant::now() + START_LIMIT;
    loop {
        if let Some(server) = connector.answering().await {
            // When two started one at once, the other one's may live.
            if home.holder()? == (Holder::Server { pid: Some(child.id()) }) {
                cx.output.note(&format!(
                    "started a server in the background (pid {}, log {}); stop it with `switchboard server stop`",
                    child.id(),
                    log.display()
                ));
            }
            return Ok(server);
        }
        let exited = matches!(child.try_wait(), Ok(Some(_)));
        // One that ended because another holds the home leaves that other to wait for.
        let alone = home.holder()? == Holder::Nobody;
        if exited && alone {
            let said = tail(home, log_start).unwrap_or_default();
            return Err(Failure::Failed(format!(
                "the server ended at once; its log {} says:\n{}",
                log.display(),
                text::clean(said.trim_end())
            )));
        }
        if Instant::now() > deadline {
            return Err(Failure::Unreachable(format!(
                "the server does not answer after {} s; see {}",
                START_LIMIT.as_secs(),
                log.display()
            )));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn spawn(home: &Home, log: File) -> io::Result<Child> {
    Command::new(std::env::current_exe()?)
        .arg("serve")
        .arg("--own-session")
        .arg("--home")
        .arg(home.path())
        // It must keep no directory of yours busy.
        .current_dir(home.path())
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
}

fn tail(home: &Home, log_start: u64) -> io::Result<String> {
    let mut log = File::open(home.log_file())?;
    let length = fs::metadata(home.log_file())?.len();
    log.seek(SeekFrom::Start(log_start.max(length.saturating_sub(LOG_TAIL))))?;
    let mut bytes = Vec::new();
    log.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
