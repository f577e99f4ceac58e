//! `switchboard serve`: the server in this process, until a signal.

use std::{
    io,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use signal_hook::{
    consts::{SIGINT, SIGTERM},
    flag::register_conditional_shutdown,
};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::{
    EnvFilter, Layer as _, fmt::MakeWriter, layer::SubscriberExt as _, util::SubscriberInitExt as _,
};

use super::{
    Context, Failure,
    args::ServeArgs,
    config,
    connect::{Connector, Target},
    notify::{self, Stage},
};
use crate::{
    config::{Config, LogFormat},
    home, server,
};

/// How long what still runs on blocking threads may take when the server has
/// stopped. It is safe to be cut off as a kill would: a disk that hangs must not
/// keep the process.
const LAST_GRACE: Duration = Duration::from_secs(1);

pub(super) fn serve(cx: &Context, args: ServeArgs) -> Result<(), Failure> {
    if args.own_session {
        // Fails only for a leader of a process group, which `run` does not make.
        let _ = rustix::process::setsid();
    }
    let config = config::load(cx, args.config)?.config;
    start_log(&config, io::stderr);
    let session_logs = config.session_logs.clone();
    if !config.require_token {
        tracing::warn!(
            "no token is asked for on TCP: every user of this machine can run code as you"
        );
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::Failed(format!("cannot start: {error}")))?;
    let ended = runtime.block_on(until_signal(cx, config, args.ready_file.as_deref()));
    runtime.shutdown_timeout(LAST_GRACE);
    session_logs.flush(LAST_GRACE);
    ended
}

async fn until_signal(
    cx: &Context,
    config: Config,
    ready_file: Option<&Path>,
) -> Result<(), Failure> {
    let cannot = |error: io::Error| Failure::Failed(format!("cannot handle signals: {error}"));
    let handle = |kind| signal(kind).map_err(cannot);
    // In the handler itself, which works whatever the runtime does.
    let asked_before = Arc::new(AtomicBool::new(false));
    for kind in [SIGTERM, SIGINT] {
        register_conditional_shutdown(kind, 1, Arc::clone(&asked_before)).map_err(cannot)?;
    }
    let mut terminate = handle(SignalKind::terminate())?;
    let mut interrupt = handle(SignalKind::interrupt())?;
    let environment = cx.environment.clone();
    let asked = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping; running turns go on, a second signal stops at once");
        asked_before.store(true, Ordering::SeqCst);
        notify::notify(&environment, Stage::Stopping);
    };
    let listeners = server::bind(&config).await.map_err(|error| failed(&error))?;
    let addresses = listeners.addresses();
    let socket = Target::Unix(config.home.socket());
    let serving = server::run(config, listeners, asked);
    let ready = ready(cx, socket, &addresses, ready_file);
    let mut serving = std::pin::pin!(serving);
    tokio::select! {
        ended = &mut serving => return ended.map_err(|error| failed(&error)),
        ready = ready => ready?,
    }
    serving.await.map_err(|error| failed(&error))
}

/// Waits until a client is answered, and tells everyone who waits for that.
async fn ready(
    cx: &Context,
    socket: Target,
    addresses: &[String],
    ready_file: Option<&Path>,
) -> Result<(), Failure> {
    Connector::to(socket, None).until_answering().await;
    if let Some(path) = ready_file {
        home::Server::here(addresses.to_vec()).write_to(path)?;
    }
    notify::notify(&cx.environment, Stage::Ready);
    let line =
        format!("switchboard {} ready on {}", env!("CARGO_PKG_VERSION"), addresses.join(" and "));
    match cx.output.line(&line) {
        // A server goes on when nobody reads what it says.
        Ok(()) | Err(Failure::OutputClosed) => Ok(()),
        Err(failure) => Err(failure),
    }
}

/// Sends the log to a place. A second call in one process changes nothing.
pub(super) fn start_log<W>(config: &Config, to: W)
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let filter = EnvFilter::new(&config.log.filter);
    let lines = tracing_subscriber::fmt::layer().with_writer(to);
    let lines = match config.log.format {
        LogFormat::Text => lines.with_ansi(false).boxed(),
        LogFormat::Json => lines.json().boxed(),
    };
    let _ = tracing_subscriber::registry()
        .with(lines.with_filter(filter))
        .with(config.session_logs.layer())
        .try_init();
}

/// The whole chain of causes: at the start of a server, whoever reads it can act on it.
pub(super) fn failed(error: &(dyn std::error::Error + 'static)) -> Failure {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        cause = error.source();
    }
    Failure::Failed(text)
}
