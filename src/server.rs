//! The server as a whole: binds, opens the stores, takes up what runs, serves,
//! and drains.
//!
//! ```text
//!  bind ──▶ open ──▶ adopt ──▶ serve ──▶ drain ──▶ stop
//!                                │         │         └ owners end; agents go on
//!                                │         └ health off, watches end, no new
//!                                │           connection, calls finish (deadline)
//!                                └ server.json before, health on
//! ```
//!
//! `serve`, `demo` and every test come through [`bind`] and [`run`].

mod descriptors;
mod eager;
mod first_bytes;
mod listen;
mod patience;

use std::{fs, io, path::PathBuf, sync::Arc};

use tokio::time::timeout;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    agent::{self, Agents},
    app::App,
    config::Config,
    home,
    session::{
        follow::Follower,
        forgetting,
        hub::Hub,
        janitor,
        once::Requests,
        registry::{Sessions, Shared},
        replay::Replays,
        slots::Slots,
    },
    store::sqlite::{self, Database},
    wire::{self, auth::Access},
};

use self::descriptors::Descriptors;
pub use self::listen::Listeners;

/// How many streams one HTTP/2 connection may have open. hyper's 200 would let
/// the next call of a client with many watches hang without a word.
pub const MAX_STREAMS_PER_CONNECTION: u32 = 4_096;

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The home cannot be used.
    #[error(transparent)]
    Home(#[from] home::Error),
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Bind {
        /// The address, as it was given.
        address: String,
        /// Why.
        source: io::Error,
    },
    /// The database cannot be used.
    #[error("cannot use {}: {source}", .path.display())]
    Database {
        /// The file.
        path: PathBuf,
        /// Why.
        source: sqlite::Error,
    },
    /// Something that every server needs cannot be had.
    #[error("cannot {action}: {source}")]
    System {
        /// What was tried.
        action: &'static str,
        /// Why it failed.
        source: io::Error,
    },
    /// The sessions that ran cannot be taken up.
    #[error("cannot take up the running sessions: {0}")]
    Adopt(#[source] crate::Error),
}

/// Takes the home and binds every address, before any work.
///
/// # Errors
///
/// When another server runs on the home, or an address is taken.
pub async fn bind(config: &Config) -> Result<Listeners, Error> {
    config.home.prepare()?;
    let lock = config.home.lock()?;
    listen::bind(lock, &config.listen).await
}

/// Serves until `shutdown`, then drains. Running agents go on.
///
/// # Errors
///
/// When the stores cannot be opened. Once it serves, it does not fail.
pub async fn run(
    config: Config,
    listeners: Listeners,
    shutdown: impl Future<Output = ()>,
) -> Result<(), Error> {
    let token = config.home.ensure_token()?;
    let descriptors = Descriptors::raise();
    let stages = Stages::default();
    let sessions = open(&config, &stages, descriptors)?;
    let adopted = sessions.adopt().await.map_err(Error::Adopt)?;
    tracing::info!(adopted, "sessions taken up");

    stages.tasks.spawn(forgetting::run(sessions.clone()));
    if config.events.has_bounds() {
        stages.tasks.spawn(janitor::run(sessions.clone()));
    }
    let addresses = listeners.addresses();
    let home = config.home.path().to_owned();
    let app = App::new(sessions, home, addresses.clone(), config.json_rpc);
    let access = Access {
        token: config.require_token.then_some(token),
        hosts: config.allowed_hosts.clone(),
        origins: config.allowed_origins.clone(),
    };
    let connections = TaskTracker::new();
    let json_rpc = wire::json_rpc::Options {
        limits: config.json_rpc,
        connections: connections.clone(),
        draining: stages.draining.clone(),
    };
    let (router, mut health) = wire::router(app, access, config.watch_body, json_rpc);
    // Clients that come from here on wait in the sockets until they are served.
    listeners.announce(&home::Server::here(addresses.clone()))?;
    let most = descriptors.tcp_connections();
    let patience = config.json_rpc.patience();
    let lock = listeners.serve(&router, &connections, &stages.draining, most, patience);
    health.serving().await;
    tracing::info!(addresses = addresses.join(" "), "ready");

    shutdown.await;
    tracing::info!("draining; running turns go on");
    health.not_serving().await;
    stages.draining.cancel();
    connections.close();
    if timeout(config.drain_deadline, connections.wait()).await.is_err() {
        tracing::warn!(
            connections = connections.len(),
            "closing connections that did not finish in time"
        );
    }
    stages.stopped.cancel();
    stages.tasks.close();
    if timeout(config.drain_deadline, stages.tasks.wait()).await.is_err() {
        tracing::warn!(tasks = stages.tasks.len(), "some sessions did not come to a stop in time");
    }
    tracing::info!("stopped");
    drop(lock);
    Ok(())
}

/// The file that says what every turn of codex is told.
#[must_use]
pub fn agent_config(config: &Config) -> agent::ConfigFile {
    match &config.codex.agent_config {
        Some(path) => agent::ConfigFile { path: path.clone(), must_exist: true },
        None => agent::ConfigFile { path: config.home.agent_config(), must_exist: false },
    }
}

/// The two stages of going down, and what has to come to an end.
#[derive(Debug, Default)]
struct Stages {
    /// Watches end, nothing new begins.
    draining: CancellationToken,
    /// The owners of sessions end.
    stopped: CancellationToken,
    /// Their tasks, and operations that go on without their caller.
    tasks: TaskTracker,
}

fn open(config: &Config, stages: &Stages, descriptors: Descriptors) -> Result<Sessions, Error> {
    let directory = config.home.sessions();
    let system = |action| move |source| Error::System { action, source };
    fs::create_dir_all(&directory).map_err(system("create the directory of sessions"))?;
    let path = config.home.database();
    let database = Database::open(&path).map_err(|source| Error::Database { path, source })?;
    let follower = Follower::new().map_err(system("watch files with inotify"))?;
    let watching = follower.clone().run();
    let stopped = stages.stopped.clone();
    stages.tasks.spawn(async move {
        tokio::select! {
            ended = watching => tracing::error!(?ended, "inotify ended; turns are looked at twice a second"),
            () = stopped.cancelled() => {}
        }
    });
    let agents = Agents::new(agent::Options {
        codex: config.codex.path.clone(),
        path_var: config.codex.search_path.clone(),
        exe: config.program.clone(),
        codex_home: config.codex.codex_home.clone(),
        default_codex_home: config.codex.default_codex_home.clone(),
        codex_config: agent_config(config),
        unbounded_connection_retries: config.codex.unbounded_connection_retries,
    });
    let slots = Slots::new(config.turns.max_running, &directory, config.turns.min_free_bytes);
    Ok(Sessions::new(Shared {
        database,
        hub: Hub::default(),
        replays: Replays::new(stages.tasks.clone()),
        follower,
        agents,
        directory,
        supervisor: config.program.clone(),
        grace: config.grace,
        trash: config.home.trash(),
        slots,
        requests: Requests::default(),
        limits: config.limits,
        events: config.events,
        locks: Arc::new(config.locks.clone()),
        persist: config.persist.clone(),
        session_logs: config.session_logs.clone(),
        policy: Arc::new(config.controls.clone()),
        audited: tokio::sync::watch::Sender::new(0),
        noted: tokio::sync::watch::Sender::new(0),
        agent_open_files: descriptors.inherited,
        closing: stages.draining.clone(),
        stopped: stages.stopped.clone(),
        runtime: tokio::runtime::Handle::current(),
        tasks: stages.tasks.clone(),
    }))
}
