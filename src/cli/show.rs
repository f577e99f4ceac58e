//! `switchboard sessions show`.

use std::time::{Duration, SystemTime};

use super::{
    Context, Failure,
    connect::{Server, present},
    controls::summary,
    render::{state_word, text::one_line},
    sessions::time,
};
use crate::{
    proto::{GetControlsRequest, GetSessionRequest, Session, SessionState, StateReason, Turn},
    time::system_time,
};

pub(super) async fn show(cx: &Context, server: &Server, id: String) -> Result<(), Failure> {
    let request = GetSessionRequest { session_id: id };
    let answer = server.sessions().get_session(request).await.map_err(server.failure())?;
    let answer = answer.into_inner();
    let session = present(answer.session)?;
    if !cx.output.json {
        let controls = controls(server, &session.session_id).await;
        let text = shown(&session, controls, answer.disk_bytes, SystemTime::now());
        return cx.output.print(&text);
    }
    // The session with one member more, rather than one level more.
    let unprintable = |error| Failure::Failed(format!("cannot print the answer: {error}"));
    let mut value = serde_json::to_value(&session).map_err(unprintable)?;
    if let Some(members) = value.as_object_mut() {
        members.insert("diskBytes".to_owned(), answer.disk_bytes.to_string().into());
    }
    cx.output.line(&value.to_string())
}

/// The controls of a session on one line; empty where they are not for clients.
async fn controls(server: &Server, session_id: &str) -> String {
    let request = GetControlsRequest { session_id: session_id.to_owned() };
    let answer = server.controls().get_controls(request).await;
    let scoped = answer.ok().and_then(|answer| answer.into_inner().session);
    scoped.map(|scoped| summary(&scoped)).unwrap_or_default()
}

/// A session as lines of name and value.
fn shown(session: &Session, controls: String, disk_bytes: u64, now: SystemTime) -> String {
    let mut lines: Vec<(&str, String)> = vec![("session", session.session_id.clone())];
    let mut state = state_of(session.state(), session.state_reason());
    if session.queue_position > 0 {
        state.push_str(&format!(", number {} of those that wait", session.queue_position));
    }
    if session.archived {
        state.push_str(", archived");
    }
    lines.push(("state", state));
    if let Some(turn) = &session.last_turn {
        lines.push(("runtime", runtime(turn, now).map(span).unwrap_or_default()));
        lines.push(("process", process(turn)));
        lines.push(("error", turn.error.clone()));
    }
    lines.push(("title", session.title.clone()));
    lines.push(("prompt", session.first_prompt.clone()));
    lines.push(("turns", session.turn_count.to_string()));
    if let Some(usage) = &session.usage {
        lines.push((
            "tokens",
            format!(
                "{} in ({} cached), {} out ({} reasoning)",
                usage.input_tokens,
                usage.cached_input_tokens,
                usage.output_tokens,
                usage.reasoning_output_tokens
            ),
        ));
    }
    lines.push(("source", source(&session.source)));
    if session.system_owned {
        lines.push(("owner", "a system".to_owned()));
    }
    for (key, value) in &session.labels {
        lines.push(("label", format!("{key}={value}")));
    }
    if session.persist_session {
        lines.push(("persisted", "yes".to_owned()));
    }
    lines.push(("directory", session.working_directory.clone()));
    lines.push(("agent", session.agent.clone()));
    lines.push(("codex", session.codex_version.clone()));
    lines.push(("model", session.model.clone()));
    lines.push(("controls", controls));
    lines.push(("thread", session.thread_id.clone()));
    lines.push(("fork of", session.forked_from.clone()));
    lines.push(("created", time(session.create_time.as_ref())));
    lines.push(("changed", time(session.update_time.as_ref())));
    lines.push(("disk", bytes(disk_bytes)));
    let lines = lines.into_iter().filter(|(_, value)| !value.is_empty());
    lines.map(|(name, value)| format!("{name:<10} {}\n", one_line(&value, 400))).collect()
}

/// A state in words, with the reason where it failed.
pub(super) fn state_of(state: SessionState, reason: StateReason) -> String {
    let word = state_word(state);
    if state != SessionState::Failed {
        return word.to_owned();
    }
    format!("{word} ({})", reason.as_str_name().trim_start_matches("STATE_REASON_"))
}

/// The process of a turn: which it is, or how it ended.
pub(super) fn process(turn: &Turn) -> String {
    match (turn.exit_code, turn.signal, turn.pid) {
        (_, Some(signal), _) => format!("signal {signal}"),
        (Some(code), None, _) => format!("exit {code}"),
        (None, None, 0) => String::new(),
        (None, None, pid) if turn.end_time.is_none() => format!("pid {pid}"),
        (None, None, _) => String::new(),
    }
}

/// How long a turn took, or takes so far; none for one that never began.
pub(super) fn runtime(turn: &Turn, now: SystemTime) -> Option<Duration> {
    if turn.state() == SessionState::Queued {
        return None;
    }
    let begin = system_time(turn.start_time.as_ref()?)?;
    let end = turn.end_time.as_ref().and_then(system_time).unwrap_or(now);
    // The clock may have been set back meanwhile.
    Some(end.duration_since(begin).unwrap_or_default())
}

/// A duration in its two largest units.
pub(super) fn span(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds}.{} s", duration.subsec_millis() / 100),
        (0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (hours, minutes, _) => format!("{hours} h {minutes} min"),
    }
}

/// Who started a session, as people say it.
pub(super) fn source(source: &str) -> String {
    match source.strip_prefix("orchestrator:") {
        Some(id) => {
            // Of an id that is random the head tells it from others; a name is a name.
            let is_random = id.len() > 8 && id.chars().all(|c| c.is_ascii_hexdigit() || c == '-');
            format!("orch:{}", if is_random { &id[..4] } else { id })
        }
        None if source == "user" => "you".to_owned(),
        None => source.to_owned(),
    }
}

/// A size in the largest unit of which there is one.
pub(super) fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1024 {
        return format!("{bytes} bytes");
    }
    let power = (bytes.ilog2() / 10).min(4);
    let unit = 1_u64 << (10 * power);
    let tenths = (bytes % unit) * 10 / unit;
    format!("{}.{tenths} {}", bytes / unit, UNITS[power as usize - 1])
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;
    use crate::{proto::Usage, time::timestamp};

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn running() -> Session {
        Session {
            session_id: "2f1c6a3e-8d0b-4c55-9a77-0d5a4a3f9b21".to_owned(),
            state: SessionState::Running.into(),
            agent: "codex".to_owned(),
            source: "user".to_owned(),
            first_prompt: "fix\u{1b}[31m it".to_owned(),
            turn_count: 2,
            labels: [("team".to_owned(), "a".to_owned())].into(),
            working_directory: "/work".to_owned(),
            forked_from: "0a1b2c3d-0000-4000-8000-000000000001".to_owned(),
            archived: true,
            create_time: Some(timestamp(at(1_795_000_000))),
            last_turn: Some(Turn {
                number: 2,
                state: SessionState::Running.into(),
                pid: 4711,
                start_time: Some(timestamp(at(1_795_000_000))),
                ..Turn::default()
            }),
            usage: Some(Usage { input_tokens: 100, output_tokens: 20, ..Usage::default() }),
            ..Session::default()
        }
    }

    #[test]
    fn a_running_session_shows_its_process_and_its_runtime_so_far() {
        let text = shown(&running(), "m | never".to_owned(), 123_456, at(1_795_000_083));
        assert_eq!(
            text,
            "session    2f1c6a3e-8d0b-4c55-9a77-0d5a4a3f9b21\n\
             state      running, archived\n\
             runtime    1 min 23 s\n\
             process    pid 4711\n\
             prompt     fix it\n\
             turns      2\n\
             tokens     100 in (0 cached), 20 out (0 reasoning)\n\
             source     you\n\
             label      team=a\n\
             directory  /work\n\
             agent      codex\n\
             controls   m | never\n\
             fork of    0a1b2c3d-0000-4000-8000-000000000001\n\
             created    2026-11-18T11:06:40Z\n\
             disk       120.5 KiB\n"
        );
    }

    #[test]
    fn a_session_that_failed_or_waits_says_how() {
        let mut session = running();
        session.archived = false;
        session.state = SessionState::Failed.into();
        session.state_reason = StateReason::ExitStatus.into();
        let turn = session.last_turn.as_mut().unwrap();
        turn.exit_code = Some(3);
        turn.end_time = Some(timestamp(at(1_795_000_002)));
        let text = shown(&session, String::new(), 0, at(0));
        assert!(
            text.contains("state      failed (EXIT_STATUS)\nruntime    2.0 s\nprocess    exit 3\n"),
            "{text}"
        );

        let turn = session.last_turn.as_mut().unwrap();
        (turn.exit_code, turn.end_time) = (None, None);
        turn.state = SessionState::Queued.into();
        session.state = SessionState::Queued.into();
        session.queue_position = 3;
        let text = shown(&session, String::new(), 0, at(0));
        assert!(text.contains("state      queued, number 3 of those that wait\nprocess"), "{text}");
    }

    #[test]
    fn durations_sizes_and_sources_are_as_people_say_them() {
        for (millis, expected) in [
            (0, "0.0 s"),
            (59_990, "59.9 s"),
            (60_000, "1 min 0 s"),
            (3_599_000, "59 min 59 s"),
            (90_000_000, "25 h 0 min"),
        ] {
            assert_eq!(span(Duration::from_millis(millis)), expected);
        }
        for (size, expected) in [
            (0, "0 bytes"),
            (1024, "1.0 KiB"),
            (1_600_000, "1.5 MiB"),
            (u64::MAX, "16777215.9 TiB"),
        ] {
            assert_eq!(bytes(size), expected);
        }
        for (word, expected) in [
            ("user", "you"),
            ("orchestrator:2f1c6a3e-8d0b-4c55-9a77-0d5a4a3f9b21", "orch:2f1c"),
            ("orchestrator:abcd", "orch:abcd"),
            ("orchestrator:night-shift", "orch:night-shift"),
            ("cron", "cron"),
        ] {
            assert_eq!(source(word), expected);
        }
    }
}
