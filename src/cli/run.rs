//! `switchboard run` and `switchboard send`: a prompt in, its turn followed to
//! the end.

use std::path::Path;

use super::{
    Context, Failure,
    args::{RunArgs, SendArgs},
    connect::{Connector, present},
    follow::{End, Follower, outcome},
    keyboard::{Keyboard, OnInterrupt},
    launch,
    options::{self, absolute},
    prompt,
};
use crate::proto::{
    CreateSessionRequest, FilesystemSandbox, ListEventsRequest, NetworkAccess, Session,
    StartTurnRequest,
};

pub(super) async fn run(cx: &Context, args: RunArgs) -> Result<(), Failure> {
    let prompt = prompt::read(args.prompt)?;
    let session = Session {
        agent: absolute_agent(&args.agent)?,
        source: "user".into(),
        title: args.title.unwrap_or_default(),
        working_directory: absolute(&args.directory)?,
        model: args.model.unwrap_or_default(),
        filesystem_sandbox: args.sandbox.map_or(FilesystemSandbox::Unspecified, Into::into).into(),
        network_access: args.network.map_or(NetworkAccess::Unspecified, Into::into).into(),
        codex_options: options::codex(args.codex)?,
        ..Session::default()
    };
    let images = options::paths(&args.images)?;
    let mut keyboard = Keyboard::new(cx, OnInterrupt::StopTurn)?;
    let (connector, server) = keyboard.unless_left(launch::connect_or_start(cx)).await??;
    let request =
        CreateSessionRequest { session: Some(session), prompt, images, ..Default::default() };
    let mut sessions = server.sessions();
    let answer = keyboard.unless_left(sessions.create_session(request)).await?;
    let session = present(answer.map_err(server.failure())?.into_inner().session)?;
    if args.detach {
        return announce(cx, &session);
    }
    let follower = Follower::new(cx, connector, &session.session_id, 1, End::Turn(1));
    outcome(follower.follow(&mut keyboard).await?)
}

pub(super) async fn send(cx: &Context, args: SendArgs) -> Result<(), Failure> {
    let prompt = prompt::read(args.prompt)?;
    let images = options::paths(&args.images)?;
    let mut keyboard = Keyboard::new(cx, OnInterrupt::StopTurn)?;
    let connector = Connector::new(cx)?;
    let server = keyboard.unless_left(connector.connect()).await??;
    let session_id = server.session(&args.id).await?.session_id;

    // Where the log ends before the turn begins is where its events begin.
    let page = ListEventsRequest {
        session_id: session_id.clone(),
        page_size: 1,
        ..ListEventsRequest::default()
    };
    let page = server.events().list_events(page).await.map_err(server.failure())?.into_inner();
    let request = StartTurnRequest { session_id, prompt, images, ..Default::default() };
    let answer = server.sessions().start_turn(request).await.map_err(server.failure())?;
    let session = present(answer.into_inner().session)?;
    if args.detach {
        return announce(cx, &session);
    }
    let turn = session.last_turn.as_ref().map_or(session.turn_count, |turn| turn.number);
    let start = page.latest_seq + 1;
    let follower = Follower::new(cx, connector, &session.session_id, start, End::Turn(turn));
    outcome(follower.follow(&mut keyboard).await?)
}

fn announce(cx: &Context, session: &Session) -> Result<(), Failure> {
    if cx.output.json {
        let json = serde_json::to_string(session)
            .map_err(|error| Failure::Failed(format!("cannot print the session: {error}")))?;
        return cx.output.line(&json);
    }
    cx.output.line(&session.session_id)
}

fn absolute_agent(agent: &str) -> Result<String, Failure> {
    match agent.strip_prefix("replay:") {
        Some(file) if !file.is_empty() => Ok(format!("replay:{}", absolute(Path::new(file))?)),
        _ => Ok(agent.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transcripts_path_is_made_absolute_here() {
        let here = std::env::current_dir().unwrap().into_os_string().into_string().unwrap();
        assert_eq!(absolute_agent("replay:x.jsonl").unwrap(), format!("replay:{here}/x.jsonl"));
        assert_eq!(absolute_agent("codex").unwrap(), "codex");
    }
}
