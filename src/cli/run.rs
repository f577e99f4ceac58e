//! `switchboard run` and `switchboard send`: a prompt in, its turn followed to
//! the end.

use std::path::Path;

use super::{
    Context, Failure,
    args::{RunArgs, SendArgs},
    connect::{Connector, present},
    follow::{End, Follower, outcome},
    keyboard::{Keyboard, OnInterrupt},
    launch, lock, options, prompt, retry,
};
use crate::proto::{CreateSessionRequest, ListEventsRequest, Session, StartTurnRequest};

pub(super) async fn run(cx: &Context, args: RunArgs) -> Result<(), Failure> {
    let asks_for_prompt = args.prompt.as_deref().is_none_or(|prompt| prompt == "-");
    if asks_for_prompt && args.config_lock.as_deref() == Some(Path::new("-")) {
        return Err(Failure::Usage(
            "standard input cannot be both the prompt and the config lock: give the prompt as an \
             argument, or the lock as a file"
                .into(),
        ));
    }
    let prompt = prompt::read(args.prompt)?;
    let config_lock = args.config_lock.as_deref().map(lock::read).transpose()?.unwrap_or_default();
    let session = Session {
        agent: absolute_agent(&args.agent)?,
        source: "user".into(),
        title: args.title.unwrap_or_default(),
        persist_session: args.persist_session,
        ..lock::chosen(args.choices, &config_lock)?
    };
    let images = options::paths(&args.images)?;
    let mut keyboard = Keyboard::new(cx, OnInterrupt::StopTurn)?;
    let (connector, server) = keyboard.unless_left(launch::connect_or_start(cx)).await??;
    let request = CreateSessionRequest {
        session: Some(session),
        prompt,
        images,
        config_lock,
        allow_codex_version_mismatch: args.allow_codex_version_mismatch,
        ..Default::default()
    };
    let created = retry::change(&server, cx.output, request.clone());
    let created = match keyboard.unless_left(created).await? {
        Ok(created) => created,
        Err(refused) => return Err(lock::whole(cx, &server, refused, request).await),
    };
    let session = present(created.session)?;
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
    let session = retry::session(&server, cx.output, &args.id);
    let session_id = keyboard.unless_left(session).await??.session_id;

    // Where the log ends before the turn begins is where its events begin.
    let page = ListEventsRequest {
        session_id: session_id.clone(),
        page_size: 1,
        ..ListEventsRequest::default()
    };
    let page = retry::call(&server, cx.output, |_| {
        let (mut events, page) = (server.events(), page.clone());
        async move { events.list_events(page).await }
    });
    let page = keyboard.unless_left(page).await??;
    let request = StartTurnRequest { session_id, prompt, images, ..Default::default() };
    let started = retry::change(&server, cx.output, request);
    let session = present(keyboard.unless_left(started).await??.session)?;
    if args.detach {
        return announce(cx, &session);
    }
    let turn = session.last_turn.as_ref().map_or(session.turn_count, |turn| turn.number);
    let start = page.latest_seq + 1;
    let follower = Follower::new(cx, connector, &session.session_id, start, End::Turn(turn));
    outcome(follower.follow(&mut keyboard).await?)
}

/// Says which session it is, to people by its id.
pub(super) fn announce(cx: &Context, session: &Session) -> Result<(), Failure> {
    if cx.output.json {
        let json = serde_json::to_string(session)
            .map_err(|error| Failure::Failed(format!("cannot print the session: {error}")))?;
        return cx.output.line(&json);
    }
    cx.output.line(&session.session_id)
}

/// Paths are absolute on the wire: only this side knows what they are relative to.
pub(super) fn absolute(path: &Path) -> Result<String, Failure> {
    let path = std::path::absolute(path)
        .map_err(|error| Failure::Usage(format!("{}: {error}", path.display())))?;
    // `absolute` keeps a trailing dot component out, but not a trailing slash.
    let path: std::path::PathBuf = path.components().collect();
    path.into_os_string()
        .into_string()
        .map_err(|path| Failure::Usage(format!("the path {path:?} is not UTF-8")))
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
    fn paths_are_made_absolute_here() {
        let here = std::env::current_dir().unwrap().into_os_string().into_string().unwrap();
        assert_eq!(absolute(Path::new(".")).unwrap(), here);
        assert_eq!(absolute(Path::new("/a/")).unwrap(), "/a");
        assert_eq!(absolute_agent("replay:x.jsonl").unwrap(), format!("replay:{here}/x.jsonl"));
        assert_eq!(absolute_agent("codex").unwrap(), "codex");
    }
}
