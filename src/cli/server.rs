//! `switchboard server …`.

use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tokio::time::Instant;

use super::{
    Context, Failure,
    args::ServerCommand,
    connect::Connector,
    render::text::one_line,
    sessions::{json, time},
};
use crate::{
    home::{Holder, Home},
    proto::{GetServerInfoRequest, GetServerInfoResponse},
};

const PAUSE: Duration = Duration::from_millis(50);

pub(super) async fn server(cx: &Context, command: ServerCommand) -> Result<(), Failure> {
    match command {
        ServerCommand::Status => {
            let server = Connector::new(cx)?.connect().await?;
            let answer = server.system().get_server_info(GetServerInfoRequest {}).await;
            let status = answer.map_err(server.failure())?.into_inner();
            if cx.output.json { json(cx, &status) } else { cx.output.print(&shown(&status)) }
        }
        ServerCommand::Stop { timeout } => stop(cx, timeout).await,
    }
}

fn shown(server: &GetServerInfoResponse) -> String {
    let mut lines = vec![
        ("switchboard", server.version.clone()),
        ("pid", server.pid.to_string()),
        ("since", time(server.start_time.as_ref())),
        ("home", server.home.clone()),
    ];
    lines.extend(server.addresses.iter().map(|address| ("listens on", address.clone())));
    if let Some(codex) = &server.codex {
        let path = &codex.path;
        lines.push(match (codex.problem.as_str(), codex.version.as_str()) {
            ("", "") => ("codex", path.clone()),
            ("", version) => ("codex", format!("{version} at {path}")),
            (problem, _) => ("codex", format!("not usable: {problem}")),
        });
    }
    lines.push(("running", format!("{} turns", server.running_turns)));
    lines.push(("watched by", format!("{} streams", server.open_watches)));
    lines
        .into_iter()
        .map(|(name, value)| format!("{name:<12} {}\n", one_line(&value, 400)))
        .collect()
}

async fn stop(cx: &Context, timeout: Duration) -> Result<(), Failure> {
    if cx.named()?.is_some() {
        return Err(Failure::Usage(
            "server stop works on a home of this machine: give --home, no URL and no profile"
                .into(),
        ));
    }
    let home = cx.home()?;
    let holder = home.holder()?;
    let Holder::Server { pid } = holder else {
        return Err(Failure::Unreachable(format!("no server runs on {}", home.path().display())));
    };
    let server = pid.and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
    let (Some(pid), Some(server)) = (pid, server) else {
        return Err(Failure::Failed("a server is just starting; try again".into()));
    };
    signal(&home, holder, server)?;
    cx.output.note(&format!("stopping the server (pid {pid}); running turns go on without it"));
    let deadline = Instant::now() + timeout;
    // On its way out it takes its pid back before it lets go of the lock.
    while matches!(home.holder()?, Holder::Server { pid: now } if now.is_none_or(|now| now == pid))
    {
        if Instant::now() > deadline {
            return Err(Failure::Failed(format!(
                "the server (pid {pid}) did not end within {}",
                humantime::format_duration(timeout)
            )));
        }
        tokio::time::sleep(PAUSE).await;
    }
    cx.output.note("stopped");
    Ok(())
}

/// Sends SIGTERM to the process that holds the lock and to no other.
fn signal(home: &Home, holder: Holder, server: Pid) -> Result<(), Failure> {
    let failed = |error: rustix::io::Errno| {
        Failure::Failed(format!("cannot signal the server (pid {server:?}): {error}"))
    };
    let process = pidfd_open(server, PidfdFlags::empty()).map_err(failed)?;
    // Now that the pid cannot be reused behind our back: does it still hold the home?
    if home.holder()? != holder {
        return Err(Failure::Failed("the server just ended or was replaced; try again".into()));
    }
    pidfd_send_signal(&process, Signal::TERM).map_err(failed)
}
