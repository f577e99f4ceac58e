//! Events as the frames that `/api/stream` sends. Pure.
//!
//! Each line of an agent is two: `app_server.NAME` with what is known around it,
//! and `notification` with the method and its parameters alone.

use std::{borrow::Cow, collections::BTreeMap};

use serde_json::value::RawValue;

use super::{
    answer::Object,
    thread::{title, turn_id, turn_word},
};
use crate::{
    event,
    id::SessionId,
    json::Json,
    proto::{self, Event, Item, SessionState, StateReason, event::Kind, item::Details},
    time::system_time,
};

/// The most bytes of an event that was cut because a frame cannot hold its line.
pub(super) const MAX_EVENT_BYTES: usize = 512 << 10;
/// The most bytes of a frame.
pub(super) const MAX_FRAME_BYTES: usize = (1 << 20) - 1;
/// The longest name of a method that an agent's line is taken for.
const MAX_METHOD: usize = 100;

/// What frames say of a session.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Brief {
    /// Its title.
    pub title: String,
    /// Its project.
    pub project: Option<String>,
}

/// A frame.
pub(super) fn frame(kind: &str, thread: Option<SessionId>, payload: &str) -> String {
    Object::new()
        .with("type", kind)
        .with("threadId", thread.map(|id| id.to_string()))
        .with_text("payload", payload)
        .into_text()
}

/// The frames of an event that an agent printed, or that stands for one that it
/// had no time to print; none for others. What a frame cannot hold is cut, which
/// its parameters or its item say in `truncated`.
pub(super) fn of_agent(id: SessionId, brief: &Brief, event: Event) -> Vec<String> {
    // Frames of longer lines need not be made to be measured.
    if event.raw.len() <= MAX_FRAME_BYTES {
        let frames = whole(id, brief, &event);
        if frames.iter().all(|frame| frame.len() <= MAX_FRAME_BYTES) {
            return frames;
        }
    }
    whole(id, brief, &event::within(event, MAX_EVENT_BYTES))
}

fn whole(id: SessionId, brief: &Brief, event: &Event) -> Vec<String> {
    let Some((method, params)) = notification(id, event) else { return Vec::new() };
    let name = normal(&method);
    let turn = (event.turn > 0).then(|| turn_id(id, event.turn));
    let received = event.time.as_ref().and_then(system_time).map(humantime::format_rfc3339_millis);
    let context = Json::object([("threadId", Json::from(id.to_string())), ("turnId", turn.into())]);
    let session = Json::object([
        ("id", Json::from(id.to_string())),
        ("title", title(&brief.title).into()),
        ("projectId", brief.project.as_deref().into()),
    ]);
    let around = Object::new()
        .with("source", "app_server")
        .with("signalType", "notification")
        .with("eventType", name.as_str())
        .with("method", method.as_str())
        .with("receivedAt", received.map(|time| time.to_string()))
        .with("context", context)
        .with_text("params", &params)
        .with("session", session);
    let bare = Object::new().with("method", method).with_text("params", &params);
    vec![
        frame(&format!("app_server.{name}"), Some(id), &around.into_text()),
        frame("notification", Some(id), &bare.into_text()),
    ]
}

/// `item/agentMessage/delta` as `item.agent_message.delta`.
fn normal(method: &str) -> String {
    let mut name = String::with_capacity(method.len() + 4);
    for c in method.chars() {
        match c {
            '/' => name.push('.'),
            c if c.is_ascii_uppercase() => {
                name.push('_');
                name.push(c.to_ascii_lowercase());
            }
            c => name.push(c),
        }
    }
    name
}

/// The method of an event, and its parameters as JSON.
fn notification(id: SessionId, event: &Event) -> Option<(String, String)> {
    let params = Object::new()
        .with("threadId", id.to_string())
        .with("turnId", (event.turn > 0).then(|| turn_id(id, event.turn)));
    let turn = |state: SessionState| {
        Json::object([
            ("id", Json::from(turn_id(id, event.turn))),
            ("status", turn_word(state).into()),
            ("items", Json::Array(Vec::new())),
        ])
    };
    let (method, params) = match event.kind.as_ref()? {
        Kind::ThreadStarted(_) => {
            let thread = Json::object([("id", Json::from(id.to_string()))]);
            ("thread/started", params.with("thread", thread))
        }
        Kind::TurnStarted(_) => ("turn/started", params.with("turn", turn(SessionState::Running))),
        Kind::TurnCompleted(_) => {
            ("turn/completed", params.with("turn", turn(SessionState::Completed)))
        }
        Kind::TurnFailed(failed) => {
            let params = params.with("turn", turn(SessionState::Failed));
            let params = match line(event) {
                Some(_) => params,
                None => params.with("error", problem(&failed.message)),
            };
            ("turn/failed", params)
        }
        Kind::StateChanged(changed) => {
            let (method, error) = ending(changed)?;
            let params = params.with("turn", turn(changed.state()));
            (method, params.with("error", error.map(problem)))
        }
        Kind::ItemStarted(started) => ("item/started", item(params, event, started.item.as_ref())),
        Kind::ItemUpdated(updated) => ("item/updated", item(params, event, updated.item.as_ref())),
        Kind::ItemCompleted(done) => ("item/completed", item(params, event, done.item.as_ref())),
        Kind::Error(error) if line(event).is_none() => {
            ("error", params.with("message", error.message.as_str()))
        }
        Kind::Error(_) => ("error", params),
        Kind::Unknown(unknown) => {
            let method = method_of(&unknown.r#type)?;
            return Some((method, printed(params, event).into_text()));
        }
        Kind::InvalidLine(_)
        | Kind::SessionCreated(_)
        | Kind::TurnSpawned(_)
        | Kind::TurnExited(_)
        | Kind::Warning(_)
        | Kind::SessionUpdated(_)
        | Kind::SessionDeleted(_)
        | Kind::SettingsChanged(_)
        | Kind::ControlsChanged(_) => return None,
    };
    Some((method.to_owned(), printed(params, event).into_text()))
}

fn problem(message: &str) -> Json {
    Json::object([("message", Json::from(message))])
}

/// How a turn ended of which its agent did not say so.
fn ending(changed: &proto::StateChanged) -> Option<(&'static str, Option<&str>)> {
    match (changed.state(), changed.reason()) {
        (SessionState::Interrupted | SessionState::Killed, _) => Some(("turn/completed", None)),
        // It said it.
        (SessionState::Failed, StateReason::AgentError) => None,
        (SessionState::Failed, _) => Some(("turn/failed", Some(changed.error.as_str()))),
        (
            SessionState::Unspecified
            | SessionState::Pending
            | SessionState::Queued
            | SessionState::Running
            | SessionState::Stopping
            | SessionState::Completed,
            _,
        ) => None,
    }
}

/// The method that a line of a later agent stands for.
fn method_of(kind: &str) -> Option<String> {
    let is_name = !kind.is_empty()
        && kind.len() <= MAX_METHOD
        && kind
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'/' | b'_' | b'-'));
    is_name.then(|| kind.replace('.', "/"))
}

/// The item where its line is not there to be shown as it was printed.
fn item(params: Object, event: &Event, item: Option<&Item>) -> Object {
    match item {
        Some(item) if line(event).is_none() => {
            let text = match &item.details {
                Some(Details::AgentMessage(message)) => Some(message.text.as_str()),
                Some(Details::Reasoning(reasoning)) => Some(reasoning.text.as_str()),
                Some(_) | None => None,
            };
            let members = [
                ("id", Json::from(item.id.as_str())),
                ("type", item.r#type.as_str().into()),
                ("text", text.into()),
                ("truncated", true.into()),
            ];
            params.with("item", Json::object(members))
        }
        Some(_) | None => params,
    }
}

/// The members of the line as the agent printed them, but for those that are said
/// already.
fn printed(params: Object, event: &Event) -> Object {
    let Some(line) = line(event) else {
        // Items say it themselves.
        let is_item = matches!(
            event.kind,
            Some(Kind::ItemStarted(_) | Kind::ItemUpdated(_) | Kind::ItemCompleted(_))
        );
        let is_cut = event.elided.is_some() || !event.raw.is_empty();
        return if is_cut && !is_item { params.with("truncated", true) } else { params };
    };
    let Ok(members) = serde_json::from_str::<BTreeMap<Cow<'_, str>, &RawValue>>(&line) else {
        return params;
    };
    members
        .into_iter()
        .filter(|(name, _)| !matches!(&**name, "type" | "threadId" | "turnId" | "turn" | "thread"))
        .fold(params, |params, (name, value)| params.with_text(&name, value.get()))
}

/// The line as JSON that any client can read.
fn line(event: &Event) -> Option<Cow<'_, str>> {
    if let Some(json) = event::raw_json(&event.raw) {
        return Some(Cow::Borrowed(json.get()));
    }
    let json: &RawValue = serde_json::from_slice(&event.raw).ok()?;
    let repaired = event::repair_surrogates(json.get());
    event::raw_json(repaired.as_bytes())?;
    Some(Cow::Owned(repaired.into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id() -> SessionId {
        "2f1c6a3e-8d0b-4c55-9a77-0d5a4a3f9b21".parse().unwrap()
    }

    fn line_event(turn: u32, raw: &str) -> Event {
        Event {
            session_id: id().to_string(),
            turn,
            raw: raw.to_owned().into(),
            kind: Some(crate::agent::parse(&crate::agent::Kind::Codex, raw.as_bytes())),
            ..Event::default()
        }
    }

    fn frames(event: &Event) -> Vec<Json> {
        let brief = Brief { title: "T".to_owned(), project: None };
        let frames = of_agent(id(), &brief, event.clone());
        frames.iter().map(|frame| Json::parse_within(frame, 120).unwrap()).collect()
    }

    #[test]
    fn a_line_is_two_frames_with_its_members_as_they_were_printed() {
        let raw = r#"{"type":"item.completed","item":{"id":"item_0","type":"agent_message","text":"Hi","n":1.0,"s":"\ud800"}}"#;
        let [around, bare] = frames(&line_event(2, raw)).try_into().unwrap();
        let params = r#"{"threadId":"2f1c6a3e-8d0b-4c55-9a77-0d5a4a3f9b21","turnId":"2f1c6a3e-8d0b-4c55-9a77-0d5a4a3f9b21:2","item":{"id":"item_0","type":"agent_message","text":"Hi","n":1.0,"s":"\ufffd"}}"#;
        let expected = format!(
            r#"{{"type":"notification","threadId":"{}","payload":{{"method":"item/completed","params":{params}}}}}"#,
            id()
        );
        assert_eq!(bare, Json::parse(&expected).unwrap());
        let expected = format!(
            r#"{{"type":"app_server.item.completed","threadId":"{0}","payload":{{"source":"app_server","signalType":"notification","eventType":"item.completed","method":"item/completed","receivedAt":null,"context":{{"threadId":"{0}","turnId":"{0}:2"}},"params":{params},"session":{{"id":"{0}","title":"T","projectId":null}}}}}}"#,
            id()
        );
        assert_eq!(around, Json::parse(&expected).unwrap());
    }

    #[test]
    fn names_are_normal() {
        assert_eq!(normal("item/agentMessage/delta"), "item.agent_message.delta");
        assert_eq!(method_of("a.b_c").as_deref(), Some("a/b_c"));
        assert_eq!(method_of("a b"), None);
        assert_eq!(method_of(""), None);
    }

    #[test]
    fn an_end_that_the_agent_did_not_tell_is_told() {
        let ended = |state: SessionState, reason: StateReason| {
            let changed = proto::StateChanged {
                state: state.into(),
                reason: reason.into(),
                error: "gone".to_owned(),
                ..Default::default()
            };
            let event =
                Event { turn: 1, kind: Some(Kind::StateChanged(changed)), ..Event::default() };
            let [_, bare] = <[Json; 2]>::try_from(frames(&event)).ok()?;
            let payload = bare.get("payload")?;
            let status = payload.get("params")?.get("turn")?.get("status")?.as_str()?.to_owned();
            Some((payload.get("method")?.as_str()?.to_owned(), status))
        };
        let some = |method: &str, status: &str| Some((method.to_owned(), status.to_owned()));
        let none = StateReason::Unspecified;
        assert_eq!(ended(SessionState::Killed, none), some("turn/completed", "interrupted"));
        assert_eq!(ended(SessionState::Failed, StateReason::Lost), some("turn/failed", "failed"));
        assert_eq!(ended(SessionState::Failed, StateReason::AgentError), None);
        assert_eq!(ended(SessionState::Completed, none), None);
    }

    #[test]
    fn lines_are_whole_as_long_as_a_frame_holds_them_and_all_that_is_cut_says_so() {
        let item = |text: &str| {
            format!(
                r#"{{"type":"item.completed","item":{{"id":"i","type":"agent_message","text":"{text}"}}}}"#
            )
        };
        let failed =
            |text: &str| format!(r#"{{"type":"turn.failed","error":{{"message":"{text}"}}}}"#);
        let unknown = |text: &str| format!(r#"{{"type":"later.kind","text":"{text}"}}"#);
        let error = |text: &str| format!(r#"{{"type":"error","message":"{text}"}}"#);
        let fits = "x".repeat(MAX_FRAME_BYTES - 2_000);
        for line in [item(&fits), failed(&fits), unknown(&fits), error(&fits)] {
            for frame in frames(&line_event(1, &line)) {
                let frame = frame.to_string();
                assert!(frame.contains(&fits) && !frame.contains("truncated"));
            }
        }
        // The frame is too long where the line alone is not.
        for size in [MAX_FRAME_BYTES - 100, 2 * MAX_FRAME_BYTES] {
            let long = "x".repeat(size);
            for line in [item(&long), failed(&long), unknown(&long), error(&long)] {
                for frame in frames(&line_event(1, &line)) {
                    let frame = frame.to_string();
                    assert!(frame.len() < MAX_EVENT_BYTES && frame.contains(r#""truncated":true"#));
                }
            }
        }
    }

    #[test]
    fn what_was_cut_or_is_too_deep_still_has_its_item() {
        let deep = format!("{}{}", "[".repeat(110), "]".repeat(110));
        let raw = format!(
            r#"{{"type":"item.completed","item":{{"id":"item_0","type":"agent_message","text":"Hi","deep":{deep}}}}}"#
        );
        let cut = Event { raw: bytes::Bytes::new(), ..line_event(1, &raw) };
        for event in [cut, line_event(1, &raw)] {
            let [_, bare] = frames(&event).try_into().unwrap();
            let item = bare.get("payload").and_then(|payload| payload.get("params")?.get("item"));
            let expected = r#"{"id":"item_0","type":"agent_message","text":"Hi","truncated":true}"#;
            assert_eq!(item, Some(&Json::parse(expected).unwrap()));
        }
    }
}
