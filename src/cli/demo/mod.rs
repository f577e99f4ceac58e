//! `switchboard demo`: a server, a session and two subscribers in one process,
//! to see what Switchboard does without an account and without codex.
//!
//! The agent is `replay:FILE` with a transcript that was composed for this in
//! codex's own format. All else is the real thing: the supervisor, the log, the
//! port, the generated client.

mod scene;

use std::{fs, io, path::PathBuf, time::Duration};

use tempfile::TempDir;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::oneshot,
    task::JoinError,
};

use super::{
    Context, Failure,
    args::DemoArgs,
    connect::{Connector, Target},
    serve,
};
use crate::{config::Config, home::Home, server};

const TRANSCRIPT: &str = include_str!("transcript.jsonl");
const TIMING: &str = include_str!("transcript.jsonl.timing");

/// The directory that the transcript speaks of.
const RECORDED_DIRECTORY: &str = "/home/dev/greeter";

/// How long a demo that does not come to its end waits for its agent to be gone.
const CLEAN_UP: Duration = Duration::from_secs(5);

pub(super) async fn demo(cx: &Context, args: DemoArgs) -> Result<(), Failure> {
    let cannot = |error: io::Error| Failure::Failed(format!("cannot set the demo up: {error}"));
    // Before there is anything that a signal could leave behind.
    let mut signals = Signals::handle().map_err(cannot)?;
    let stage = Stage::set_up(args.speed).map_err(cannot)?;
    let config = Config::ephemeral(&stage.home);
    serve::start_log(&config, io::stderr);
    let home = config.home.clone();
    let listeners = server::bind(&config).await.map_err(|error| serve::failed(&error))?;
    let addresses = listeners.addresses();
    let (stop, stopped) = oneshot::channel::<()>();
    let mut serving = tokio::spawn(server::run(config, listeners, async move {
        // Dropping the sender is how the server is stopped.
        let _ = stopped.await;
    }));
    let ended = |served: Result<Result<(), server::Error>, JoinError>| match served {
        Ok(served) => served.map_err(|error| serve::failed(&error)),
        Err(error) => Err(serve::failed(&error)),
    };
    let socket = Connector::to(Target::Unix(home.socket()), None);
    tokio::select! {
        served = &mut serving => return ended(served),
        () = socket.until_answering() => {}
    }

    let played = play(cx, &stage, &home, &addresses, &mut signals).await;

    drop(stop);
    ended(serving.await)?;
    // The temporary home goes away with the stage, now that nobody writes to it.
    drop(stage);
    played
}

async fn play(
    cx: &Context,
    stage: &Stage,
    home: &Home,
    addresses: &[String],
    signals: &mut Signals,
) -> Result<(), Failure> {
    let address = addresses.iter().find(|address| address.starts_with("http://"));
    let address = address.ok_or_else(|| Failure::Failed("the server has no TCP address".into()))?;
    let target: Target = address
        .parse()
        .map_err(|error| Failure::Failed(format!("the server's address {address}: {error}")))?;
    let connector = Connector::to(target, home.token()?);
    let mut scene = scene::Scene::open(cx, connector, address, stage).await?;
    let played = tokio::select! {
        played = scene.play() => played,
        () = signals.any() => {
            cx.output.note("\ninterrupted; cleaning up");
            Err(Failure::Interrupted)
        }
    };
    if played.is_err() {
        // Agents outlive their server, so this one is stopped before it: also
        // when nobody reads the output any more.
        let _ = tokio::time::timeout(CLEAN_UP, scene.abort()).await;
    }
    played
}

/// The signals that end a demo, and would leave its agent and its files behind.
struct Signals([Signal; 3]);

impl Signals {
    fn handle() -> io::Result<Self> {
        let [interrupt, terminate, hangup] =
            [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()].map(signal);
        Ok(Self([interrupt?, terminate?, hangup?]))
    }

    async fn any(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}

/// The files of one demo, removed when it is dropped.
struct Stage {
    _directory: TempDir,
    home: PathBuf,
    project: PathBuf,
    transcript: PathBuf,
}

impl Stage {
    fn set_up(speed: f64) -> io::Result<Self> {
        let directory = tempfile::Builder::new().prefix("switchboard-demo-").tempdir()?;
        let home = directory.path().join("home");
        let project = directory.path().join("greeter");
        let transcript = directory.path().join("transcript.jsonl");
        fs::create_dir(&project)?;
        let (text, timing) = script(&project.to_string_lossy(), speed);
        fs::write(&transcript, text)?;
        fs::write(directory.path().join("transcript.jsonl.timing"), timing)?;
        Ok(Self { _directory: directory, home, project, transcript })
    }
}

/// The transcript as if it had been recorded in this directory, and its timing.
fn script(project: &str, speed: f64) -> (String, String) {
    let mut text = String::new();
    let mut timing = String::new();
    for (line, pause) in TRANSCRIPT.lines().zip(TIMING.lines()) {
        let line = line.replace(RECORDED_DIRECTORY, project);
        let seconds = pause.split(' ').next().and_then(|seconds| seconds.parse::<f64>().ok());
        timing.push_str(&format!("{} {}\n", seconds.unwrap_or(0.0) / speed, line.len() + 1));
        text.push_str(&line);
        text.push('\n');
    }
    (text, timing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_transcript_and_its_timing_agree() {
        let bytes: Vec<usize> =
            TIMING.lines().map(|line| line.split_once(' ').unwrap().1.parse().unwrap()).collect();
        let lines: Vec<usize> = TRANSCRIPT.split_inclusive('\n').map(str::len).collect();
        assert_eq!(bytes, lines);
        assert_eq!(script(RECORDED_DIRECTORY, 1.0).0, TRANSCRIPT);
    }
}
