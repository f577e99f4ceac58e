//! The smaller twin of an event that its receiver cannot take whole.

use std::collections::BTreeMap;

use bytes::Bytes;
use prost::Message as _;

use crate::proto::{self, event::Kind, item::Details};

/// The smallest `max_event_bytes` that a receiver may ask for.
pub const MIN_MAX_EVENT_BYTES: usize = 64 * 1024;

/// The smallest size that an event is cut to: what is delivered may hold a page,
/// or a line, beside it.
const SMALLEST_BYTES: usize = MIN_MAX_EVENT_BYTES - 2048;

/// The most bytes of a text that a cut event keeps.
const HEAD_BYTES: usize = 1024;

/// The most that a cut event needs beside its lists: no message has more than
/// fifteen texts of [`HEAD_BYTES`] each.
const FRAME_BYTES: usize = 16 * 1024;

/// The most that an element of a list adds to its own encoded size: tags and
/// lengths, those of a map's entry included.
const ELEMENT_FRAME_BYTES: usize = 24;

/// Cuts an event down to what a receiver can take.
///
/// The result says in `elided` where the whole is, and keeps its seq, time,
/// turn, kind, and the id and type of an item. Texts keep a head of at most
/// 1,024 bytes, lists lose elements from their end, and JSON texts above that
/// size are left out, because a head of JSON is not JSON. For an event of the
/// server, which has no line, `at` has size 0 and offset 0.
///
/// The encoded `WatchEventsResponse` around the result is never larger than
/// `max_event_bytes`, which counts as 62 KiB when smaller.
#[must_use]
pub fn elide(mut event: proto::Event, at: proto::Elided, max_event_bytes: usize) -> proto::Event {
    event.raw = Bytes::new();
    event.elided = Some(at);
    cut(&mut event.session_id);
    let mut room = Room(max_event_bytes.max(SMALLEST_BYTES) - FRAME_BYTES);
    if let Some(kind) = &mut event.kind {
        cut_kind(kind, &mut room);
    }
    event
}

/// The bytes that lists may still fill.
struct Room(usize);

impl Room {
    /// Whether an element of this encoded size fits, and if so takes its place.
    fn take(&mut self, size: usize) -> bool {
        match self.0.checked_sub(size + ELEMENT_FRAME_BYTES) {
            Some(left) => {
                self.0 = left;
                true
            }
            // What comes after the first that did not fit is dropped as well:
            // a list is cut at its end, it gets no holes.
            None => {
                self.0 = 0;
                false
            }
        }
    }
}

/// Cuts what an event says. Every field stands here by name, so that a new one
/// is not forgotten.
fn cut_kind(kind: &mut Kind, room: &mut Room) {
    match kind {
        Kind::ThreadStarted(proto::ThreadStarted { thread_id }) => cut(thread_id),
        Kind::TurnStarted(proto::TurnStarted {}) => {}
        Kind::TurnCompleted(proto::TurnCompleted { usage: _ }) => {}
        Kind::TurnFailed(proto::TurnFailed { message }) => cut(message),
        Kind::ItemStarted(proto::ItemStarted { item })
        | Kind::ItemUpdated(proto::ItemUpdated { item })
        | Kind::ItemCompleted(proto::ItemCompleted { item }) => {
            if let Some(item) = item {
                cut_item(item, room);
            }
        }
        Kind::Error(proto::AgentError { message }) => cut(message),
        Kind::Unknown(proto::Unknown { r#type }) => cut(r#type),
        Kind::InvalidLine(proto::InvalidLine { problem }) => cut(problem),
        Kind::SessionCreated(proto::SessionCreated { session }) => {
            if let Some(session) = session {
                cut_session(session, room);
            }
        }
        Kind::TurnSpawned(proto::TurnSpawned {
            codex_version,
            resumed_thread_id,
            prompt,
            forked_thread_id,
        }) => {
            [codex_version, resumed_thread_id, prompt, forked_thread_id].into_iter().for_each(cut);
        }
        Kind::SessionUpdated(proto::SessionUpdated { session, fields }) => {
            if let Some(session) = session {
                cut_session(session, room);
            }
            cut_list(fields, room, cut);
        }
        Kind::SessionDeleted(proto::SessionDeleted {})
        // They are bounded when they are made.
        | Kind::SettingsChanged(_)
        | Kind::ControlsChanged(_) => {}
        Kind::StateChanged(proto::StateChanged {
            previous_state: _,
            state: _,
            reason: _,
            error,
        }) => {
            cut(error);
        }
        Kind::TurnExited(proto::TurnExited {
            exit_code: _,
            signal: _,
            start_time: _,
            end_time: _,
            cpu_time: _,
            peak_memory_bytes: _,
        }) => {}
        Kind::Warning(proto::Warning { code, message }) => {
            [code, message].into_iter().for_each(cut);
        }
    }
}

fn cut_item(item: &mut proto::Item, room: &mut Room) {
    let proto::Item { id, r#type, details } = item;
    [id, r#type].into_iter().for_each(cut);
    let Some(details) = details else { return };
    match details {
        Details::AgentMessage(proto::AgentMessage { text })
        | Details::Reasoning(proto::Reasoning { text }) => cut(text),
        Details::CommandExecution(proto::CommandExecution {
            command,
            aggregated_output,
            exit_code: _,
            status,
        }) => [command, aggregated_output, status].into_iter().for_each(cut),
        Details::FileChange(proto::FileChange { changes, status }) => {
            cut(status);
            cut_list(changes, room, |proto::FileUpdate { path, kind }| {
                [path, kind].into_iter().for_each(cut);
            });
        }
        Details::McpToolCall(proto::McpToolCall {
            server,
            tool,
            arguments_json,
            result,
            error,
            status,
        }) => {
            [server, tool, status].into_iter().for_each(cut);
            cut_json(arguments_json);
            error.iter_mut().for_each(cut);
            if let Some(proto::McpToolCallResult { content_json, structured_content_json }) = result
            {
                structured_content_json.take_if(|json| json.len() > HEAD_BYTES);
                let whole = content_json
                    .iter()
                    .take_while(|json| json.len() <= HEAD_BYTES && room.take(json.len()));
                let kept = whole.count();
                content_json.truncate(kept);
            }
        }
        Details::CollabToolCall(proto::CollabToolCall {
            tool,
            sender_thread_id,
            receiver_thread_ids,
            prompt,
            agents_states,
            status,
        }) => {
            [tool, sender_thread_id, status].into_iter().for_each(cut);
            prompt.iter_mut().for_each(cut);
            receiver_thread_ids.iter_mut().for_each(cut);
            let kept = receiver_thread_ids.iter().take_while(|id| room.take(id.len())).count();
            receiver_thread_ids.truncate(kept);
            cut_map(agents_states, room, |proto::CollabAgentState { status, message }| {
                cut(status);
                message.iter_mut().for_each(cut);
            });
        }
        Details::WebSearch(proto::WebSearch { search_id, query, action_type, action_json }) => {
            [search_id, query, action_type].into_iter().for_each(cut);
            cut_json(action_json);
        }
        Details::TodoList(proto::TodoList { items }) => {
            cut_list(items, room, |proto::TodoItem { text, completed: _ }| cut(text));
        }
        Details::Error(proto::ErrorItem { message }) => cut(message),
    }
}

fn cut_session(session: &mut proto::Session, room: &mut Room) {
    let proto::Session {
        session_id,
        state: _,
        state_reason: _,
        agent,
        source,
        title,
        labels,
        working_directory,
        model,
        filesystem_sandbox: _,
        thread_id,
        codex_version,
        first_prompt,
        turn_count: _,
        last_turn,
        usage: _,
        create_time: _,
        update_time: _,
        network_access: _,
        archived: _,
        system_owned: _,
        forked_from,
        etag,
        queue_position: _,
        codex_options,
        approval_policy: _,
        persist_session: _,
        config_lock: _,
    } = session;
    [
        session_id,
        agent,
        source,
        title,
        working_directory,
        model,
        thread_id,
        codex_version,
        first_prompt,
        forked_from,
        etag,
    ]
    .into_iter()
    .for_each(cut);
    if let Some(proto::Turn {
        number: _,
        state: _,
        state_reason: _,
        pid: _,
        exit_code: _,
        signal: _,
        start_time: _,
        end_time: _,
        error,
        usage: _,
    }) = last_turn
    {
        cut(error);
    }
    cut_map(labels, room, cut);
    if let Some(proto::CodexOptions {
        config,
        output_schema,
        add_directories,
        profile,
        web_search: _,
        environment,
        full_danger: _,
        strict_config: _,
    }) = codex_options
    {
        [output_schema, profile].into_iter().for_each(cut);
        cut_map(config, room, cut);
        cut_list(add_directories, room, cut);
        cut_map(environment, room, cut);
    }
}

/// Cuts the texts of each element, and drops from the end what does not fit.
fn cut_list<T: Cut>(list: &mut Vec<T>, room: &mut Room, cut_element: impl Fn(&mut T)) {
    let whole = list.iter_mut().map_while(|element| {
        cut_element(element);
        room.take(element.encoded_size()).then_some(())
    });
    let kept = whole.count();
    list.truncate(kept);
}

/// The same for a map, which has its end where its keys do. A key
/// too long to keep whole goes with its value: cut keys could become the same.
fn cut_map<T: Cut>(map: &mut BTreeMap<String, T>, room: &mut Room, cut_value: impl Fn(&mut T)) {
    let entries = std::mem::take(map).into_iter().filter(|(key, _)| key.len() <= HEAD_BYTES);
    map.extend(entries.map_while(|(key, mut value)| {
        cut_value(&mut value);
        room.take(key.len() + value.encoded_size()).then_some((key, value))
    }));
}

/// What a list or a map can hold: something with an encoded size.
trait Cut {
    fn encoded_size(&self) -> usize;
}

impl Cut for String {
    fn encoded_size(&self) -> usize {
        self.len()
    }
}

/// Messages are as large as they are encoded.
macro_rules! cut_messages {
    ($($message:ident),*) => {$(
        impl Cut for proto::$message {
            fn encoded_size(&self) -> usize {
                self.encoded_len()
            }
        }
    )*};
}

cut_messages!(CollabAgentState, FileUpdate, TodoItem);

/// Leaves a head of at most [`HEAD_BYTES`], ending between two characters.
fn cut(text: &mut String) {
    if text.len() > HEAD_BYTES {
        let end = (0..=HEAD_BYTES).rev().find(|&at| text.is_char_boundary(at));
        text.truncate(end.expect("0 is a boundary"));
    }
}

/// Leaves JSON out that is too long to keep whole.
fn cut_json(json: &mut String) {
    if json.len() > HEAD_BYTES {
        json.clear();
    }
}

#[cfg(test)]
mod tests;
