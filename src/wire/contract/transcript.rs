//! A session's `transcript`: what was said in its turns, then what clients added,
//! then what became of its controls and settings.
//!
//! Of a long session the latest is shown: an answer has a bound, and what is read
//! for it too.

use std::collections::VecDeque;

use super::{
    answer::Object,
    audit,
    thread::{ShownTurn, is_over, turn_id},
};
use crate::{
    Error,
    app::App,
    id::SessionId,
    json::Json,
    proto::{MessageRole, SessionMessage, SessionState, StateReason, Text},
    row::Session,
    session::transcript::Query,
};

/// The most bytes of what was said, and of what clients added.
const MAX_BYTES: usize = 16 << 20;
/// Bytes that are read at once.
const PAGE_BYTES: usize = 3 << 20;
/// The most messages that are read at once.
const PAGE: usize = 1_000;
/// Puts the items of turns into them, and says what is in the transcript.
///
/// # Errors
///
/// SESSION_NOT_FOUND, SESSION_DELETED, SHUTTING_DOWN.
pub(super) async fn read(
    app: &App,
    session: &Session,
    turns: &mut [ShownTurn],
) -> Result<Vec<String>, Error> {
    let mut entries = said(app, session.id, turns).await?;
    for note in app.notes(session.id, MAX_BYTES).await? {
        let id = Json::parse(&note.text).ok();
        let id = id.as_ref().and_then(|note| note.get("messageId")?.as_str());
        let replaced = id.and_then(|id| entries.iter_mut().find(|entry| entry.id == id));
        match replaced {
            Some(entry) => entry.text = note.text,
            None => entries.push_back(Entry { id: String::new(), text: note.text }),
        }
    }
    let mut entries: Vec<String> = entries.into_iter().map(|entry| entry.text).collect();
    entries.extend(audit::transcript(app, session.id).await?);
    Ok(entries)
}

/// An entry, as it is shown.
#[derive(Debug)]
struct Entry {
    id: String,
    text: String,
}

/// What was said: from the latest turn back, as far as there is room.
async fn said(app: &App, id: SessionId, turns: &mut [ShownTurn]) -> Result<VecDeque<Entry>, Error> {
    let mut all = VecDeque::new();
    let mut room = MAX_BYTES;
    for turn in turns.iter_mut().rev() {
        let messages = match messages(app, id, turn, room).await {
            Ok(messages) => messages,
            // What is damaged must not keep the rest from being read.
            Err(Error::EventsDamaged { .. } | Error::SessionReadOnly { .. }) => continue,
            Err(error) => return Err(error),
        };
        let mut entries = Vec::with_capacity(messages.len());
        for message in messages {
            let item = item_of(&message);
            entries.push(entry(id, turn, &item, message));
            turn.items.push((item.id, item.kind));
        }
        let size = entries.iter().map(|entry| entry.text.len()).sum::<usize>();
        entries.into_iter().rev().for_each(|entry| all.push_front(entry));
        let Some(left) = room.checked_sub(size) else { break };
        room = left;
    }
    Ok(all)
}

/// What was said in one turn, as far as there is room.
async fn messages(
    app: &App,
    id: SessionId,
    turn: &ShownTurn,
    mut room: usize,
) -> Result<Vec<SessionMessage>, Error> {
    let mut query = Query {
        session: id,
        turn: Some(turn.number),
        count: PAGE,
        bytes: PAGE_BYTES,
        place: None,
        characters: None,
    };
    let mut messages: VecDeque<SessionMessage> = VecDeque::new();
    let mut sizes: VecDeque<usize> = VecDeque::new();
    loop {
        let page = match app.messages(&query).await {
            // A turn that waits has said nothing.
            Err(Error::TurnNotFound { .. }) => return Ok(messages.into()),
            page => page?,
        };
        for message in page.entries {
            let size = prost::Message::encoded_len(&message);
            sizes.push_back(size);
            messages.push_back(message);
            // The end of a turn is what is waited for.
            while room < size && messages.len() > 1 {
                room += sizes.pop_front().unwrap_or_default();
                messages.pop_front();
            }
            room = room.saturating_sub(size);
        }
        match page.next {
            Some(next) => query.place = Some(next),
            None => return Ok(messages.into()),
        }
    }
}

/// What a message is called.
struct Item {
    id: String,
    kind: String,
}

fn item_of(message: &SessionMessage) -> Item {
    let id = if message.item_id.is_empty() {
        format!("step_{}", message.step)
    } else {
        message.item_id.clone()
    };
    let kind = match message.role() {
        MessageRole::User => "userMessage".to_owned(),
        MessageRole::Assistant
        | MessageRole::System
        | MessageRole::Tool
        | MessageRole::Unspecified
            if !message.item_type.is_empty() =>
        {
            camel_case(&message.item_type)
        }
        MessageRole::Assistant => "agentMessage".to_owned(),
        MessageRole::Tool => "toolCall".to_owned(),
        MessageRole::System if is_error(message) => "error".to_owned(),
        MessageRole::System | MessageRole::Unspecified => "notice".to_owned(),
    };
    Item { id, kind }
}

/// Whether it says what went wrong: in the agent's words, which have no code, or in
/// the server's, whose code is why a turn failed. Warnings have other codes.
fn is_error(message: &SessionMessage) -> bool {
    let SessionMessage { name, item_type, .. } = message;
    let reason = format!("STATE_REASON_{name}");
    message.role() == MessageRole::System
        && item_type.is_empty()
        && (name.is_empty() || StateReason::from_str_name(&reason).is_some())
}

/// `agent_message` as `agentMessage`.
fn camel_case(snake: &str) -> String {
    let mut text = String::with_capacity(snake.len());
    let mut is_first = false;
    for c in snake.chars() {
        match c {
            '_' => is_first = true,
            c if is_first => {
                text.push(c.to_ascii_uppercase());
                is_first = false;
            }
            c => text.push(c),
        }
    }
    text
}

fn entry(session: SessionId, turn: &ShownTurn, item: &Item, message: SessionMessage) -> Entry {
    let role = message.role();
    let words = |text: &Option<Text>| text.as_ref().map(|text| text.text.clone());
    let (word, content, details) = match role {
        MessageRole::User => ("user", words(&message.content), None),
        MessageRole::Assistant => ("assistant", words(&message.content), None),
        // What an agent did is no reply to anybody: what it was done with, and what
        // came of it.
        MessageRole::Tool => {
            let asked = words(&message.input).filter(|input| !input.is_empty());
            (
                "system",
                asked.or_else(|| Some(message.name.clone())),
                words(&message.content).filter(|content| !content.is_empty()),
            )
        }
        MessageRole::System | MessageRole::Unspecified => {
            let code = Some(message.name.clone()).filter(|name| !name.is_empty());
            ("system", words(&message.content), code)
        }
    };
    let turn_id = turn_id(session, turn.number.0);
    let id = format!("{turn_id}:{}", item.id);
    let at =
        message.time.map_or(0, |time| time.seconds * 1_000 + i64::from(time.nanos / 1_000_000));
    let text = Object::new()
        .with("messageId", id.as_str())
        .with("turnId", turn_id)
        .with("role", word)
        .with("type", item.kind.as_str())
        .with("content", content.unwrap_or_default())
        .with("details", details)
        .with("startedAt", at)
        .with("completedAt", at)
        .with("status", status(turn, &message))
        .into_text();
    Entry { id, text }
}

fn status(turn: &ShownTurn, message: &SessionMessage) -> &'static str {
    match (message.status.as_str(), is_over(turn), turn.state) {
        ("in_progress", false, _) => "streaming",
        ("in_progress", true, SessionState::Failed) => "error",
        ("in_progress", true, _) => "canceled",
        ("failed" | "declined", _, _) => "error",
        (_, _, _) if is_error(message) => "error",
        (_, _, _) => "complete",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::TurnNumber;

    fn turn(state: SessionState) -> ShownTurn {
        ShownTurn { number: TurnNumber(2), state, items: Vec::new() }
    }

    #[test]
    fn what_a_turn_left_open_is_told_by_how_the_turn_is() {
        let message =
            |status: &str| SessionMessage { status: status.to_owned(), ..Default::default() };
        for (state, given, expected) in [
            (SessionState::Running, "in_progress", "streaming"),
            (SessionState::Interrupted, "in_progress", "canceled"),
            (SessionState::Failed, "in_progress", "error"),
            (SessionState::Completed, "completed", "complete"),
            (SessionState::Completed, "failed", "error"),
            (SessionState::Running, "", "complete"),
        ] {
            assert_eq!(status(&turn(state), &message(given)), expected, "{state:?} {given}");
        }
    }

    #[test]
    fn what_went_wrong_is_told_from_what_is_to_be_known() {
        let notice = |name: &str, item_type: &str| SessionMessage {
            role: MessageRole::System.into(),
            name: name.to_owned(),
            item_type: item_type.to_owned(),
            ..Default::default()
        };
        for (name, item_type, kind, expected) in [
            ("", "", "error", "error"),
            ("LOST", "", "error", "error"),
            ("THREAD_RESTARTED", "", "notice", "complete"),
            ("", "error", "error", "complete"),
        ] {
            let message = notice(name, item_type);
            assert_eq!(item_of(&message).kind, kind, "{name} {item_type}");
            assert_eq!(status(&turn(SessionState::Failed), &message), expected, "{name}");
        }
    }

    #[test]
    fn what_an_agent_did_is_no_reply() {
        let text = |text: &str| Some(Text { text: text.to_owned(), ..Default::default() });
        let message = SessionMessage {
            role: MessageRole::Tool.into(),
            item_id: "item_3".to_owned(),
            item_type: "command_execution".to_owned(),
            status: "completed".to_owned(),
            input: text("ls"),
            content: text("a\n"),
            ..Default::default()
        };
        let id = SessionId::random();
        let item = item_of(&message);
        let entry = entry(id, &turn(SessionState::Running), &item, message);
        let expected = format!(
            r#"{{"messageId":"{id}:2:item_3","turnId":"{id}:2","role":"system","type":"commandExecution","content":"ls","details":"a\n","startedAt":0,"completedAt":0,"status":"complete"}}"#
        );
        assert_eq!(entry.text, expected);
    }
}
