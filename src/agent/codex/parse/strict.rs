//! The quick way through a line: one pass, straight into the message.
//!
//! It expects what codex 0.169 prints. Members that it does not know are
//! skipped, null is the same as absent, and of duplicate members the last one
//! counts, but for `id` (see [`Item`]). A known member with another type is an
//! error, and so is a `type` that comes after what it explains, unless it is
//! given: the caller has a slower way for both.

use std::{collections::HashMap, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, Visitor},
};
use serde_json::value::RawValue;

use super::{Key, type_of};
use crate::proto::{self, event::Kind, item::Details};

pub(super) const TURN_COMPLETED: &str = "turn.completed";
pub(super) const TURN_FAILED: &str = "turn.failed";

/// Reads a line; `r#type` is its type, where that is known already.
pub(super) fn event(text: &str, r#type: Option<&str>) -> serde_json::Result<Kind> {
    let mut json = serde_json::Deserializer::from_str(text);
    let mut kind = r#type.map(empty_kind);
    json.deserialize_map(Event { kind: &mut kind })?;
    json.end()?;
    kind.ok_or_else(|| serde_json::Error::missing_field("type"))
}

/// Reads an item whose type is known already.
pub(super) fn item(text: &str, r#type: &str) -> serde_json::Result<proto::Item> {
    let mut json = serde_json::Deserializer::from_str(text);
    let item = Item { r#type: Some(r#type) }.deserialize(&mut json)?;
    json.end()?;
    Ok(item)
}

/// The event of a type that says something about an item.
pub(super) fn item_event(r#type: &str, item: proto::Item) -> Option<Kind> {
    let item = Some(item);
    match r#type {
        "item.started" => Some(Kind::ItemStarted(proto::ItemStarted { item })),
        "item.updated" => Some(Kind::ItemUpdated(proto::ItemUpdated { item })),
        "item.completed" => Some(Kind::ItemCompleted(proto::ItemCompleted { item })),
        _ => None,
    }
}

/// The event of a type, with nothing in it yet.
fn empty_kind(r#type: &str) -> Kind {
    match r#type {
        "thread.started" => Kind::ThreadStarted(proto::ThreadStarted::default()),
        "turn.started" => Kind::TurnStarted(proto::TurnStarted {}),
        TURN_COMPLETED => Kind::TurnCompleted(proto::TurnCompleted::default()),
        TURN_FAILED => Kind::TurnFailed(proto::TurnFailed::default()),
        "item.started" => Kind::ItemStarted(proto::ItemStarted::default()),
        "item.updated" => Kind::ItemUpdated(proto::ItemUpdated::default()),
        "item.completed" => Kind::ItemCompleted(proto::ItemCompleted::default()),
        "error" => Kind::Error(proto::AgentError::default()),
        _ => Kind::Unknown(proto::Unknown { r#type: r#type.to_owned() }),
    }
}

/// The details of an item of a type, with nothing in them yet; none where the
/// type is not known.
fn empty_details(r#type: &str) -> Option<Details> {
    Some(match r#type {
        "agent_message" => Details::AgentMessage(proto::AgentMessage::default()),
        "reasoning" => Details::Reasoning(proto::Reasoning::default()),
        "command_execution" => Details::CommandExecution(proto::CommandExecution::default()),
        "file_change" => Details::FileChange(proto::FileChange::default()),
        "mcp_tool_call" => Details::McpToolCall(proto::McpToolCall::default()),
        "collab_tool_call" => Details::CollabToolCall(proto::CollabToolCall::default()),
        "web_search" => Details::WebSearch(proto::WebSearch::default()),
        "todo_list" => Details::TodoList(proto::TodoList::default()),
        "error" => Details::Error(proto::ErrorItem::default()),
        _ => return None,
    })
}

/// A value, or the empty one where it is null.
fn value<'de, A: MapAccess<'de>, T: Deserialize<'de> + Default>(
    map: &mut A,
) -> Result<T, A::Error> {
    Ok(map.next_value::<Option<T>>()?.unwrap_or_default())
}

/// Reads a line's object, in place: a kind of event is several hundred bytes,
/// which would be moved at every step.
struct Event<'a> {
    /// What is known of it already.
    kind: &'a mut Option<Kind>,
}

impl<'de> Visitor<'de> for Event<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an event")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let kind = self.kind;
        // Whether the member without which the event says nothing was there.
        let mut is_whole = false;
        while let Some(Key(key)) = map.next_key()? {
            match (&mut *kind, &*key) {
                (None, "type") => *kind = Some(empty_kind(&map.next_value::<Key<'_>>()?.0)),
                (None, "thread_id" | "usage" | "error" | "item" | "message") => {
                    return Err(A::Error::custom("the type comes late"));
                }
                (Some(Kind::ThreadStarted(thread)), "thread_id") => {
                    thread.thread_id = map.next_value()?;
                    is_whole = true;
                }
                (Some(Kind::TurnCompleted(turn)), "usage") => {
                    turn.usage = map.next_value::<Option<Usage>>()?.map(|Usage(usage)| usage);
                }
                (Some(Kind::TurnFailed(turn)), "error") => {
                    let error = map.next_value::<Option<Failure>>()?;
                    turn.message = error.map(|Failure(error)| error.message).unwrap_or_default();
                }
                (
                    Some(
                        Kind::ItemStarted(proto::ItemStarted { item })
                        | Kind::ItemUpdated(proto::ItemUpdated { item })
                        | Kind::ItemCompleted(proto::ItemCompleted { item }),
                    ),
                    "item",
                ) => {
                    *item = Some(map.next_value_seed(Item { r#type: None })?);
                    is_whole = true;
                }
                (Some(Kind::Error(error)), "message") => {
                    error.message = map.next_value()?;
                    is_whole = true;
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        let needs_member = kind.as_ref().is_some_and(|kind| match kind {
            Kind::ThreadStarted(_)
            | Kind::ItemStarted(_)
            | Kind::ItemUpdated(_)
            | Kind::ItemCompleted(_)
            | Kind::Error(_) => true,
            Kind::TurnStarted(_)
            | Kind::TurnCompleted(_)
            | Kind::TurnFailed(_)
            | Kind::Unknown(_)
            | Kind::InvalidLine(_)
            | Kind::SessionCreated(_)
            | Kind::TurnSpawned(_)
            | Kind::StateChanged(_)
            | Kind::TurnExited(_)
            | Kind::SessionUpdated(_)
            | Kind::SessionDeleted(_)
            | Kind::SettingsChanged(_)
            | Kind::ControlsChanged(_)
            | Kind::Warning(_) => false,
        });
        if needs_member && !is_whole {
            return Err(A::Error::custom("what the type is about is missing"));
        }
        Ok(())
    }
}

/// Reads an item.
///
/// A `web_search` has the member `id` twice: the first is the item's, the
/// second the search's.
struct Item<'a> {
    /// Its type, where that is known already.
    r#type: Option<&'a str>,
}

impl<'de> DeserializeSeed<'de> for Item<'_> {
    type Value = proto::Item;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<proto::Item, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Item<'_> {
    type Value = proto::Item;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an item")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<proto::Item, A::Error> {
        let mut id = None;
        let mut r#type = self.r#type.map(str::to_owned);
        let mut details = r#type.as_deref().and_then(empty_details);
        while let Some(Key(key)) = map.next_key()? {
            match (&mut details, &*key) {
                (_, "id") if id.is_none() => id = Some(map.next_value::<String>()?),
                (_, "type") if r#type.is_none() => {
                    let name: String = map.next_value()?;
                    details = empty_details(&name);
                    r#type = Some(name);
                }
                _ if r#type.is_none() => return Err(A::Error::custom("the type comes late")),
                (Some(details), key) => read_detail(details, key, &mut map)?,
                (None, _) => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        match r#type {
            Some(r#type) => Ok(proto::Item { id: id.unwrap_or_default(), r#type, details }),
            None => Err(A::Error::missing_field("type")),
        }
    }
}

/// Reads one member of an item.
fn read_detail<'de, A: MapAccess<'de>>(
    details: &mut Details,
    key: &str,
    map: &mut A,
) -> Result<(), A::Error> {
    match (details, key) {
        (Details::AgentMessage(message), "text") => message.text = value(map)?,
        (Details::Reasoning(reasoning), "text") => reasoning.text = value(map)?,

        (Details::CommandExecution(run), "command") => run.command = value(map)?,
        (Details::CommandExecution(run), "aggregated_output") => {
            run.aggregated_output = value(map)?;
        }
        (Details::CommandExecution(run), "exit_code") => run.exit_code = map.next_value()?,
        (Details::CommandExecution(run), "status") => run.status = value(map)?,

        (Details::FileChange(change), "changes") => {
            let changes: Vec<FileUpdate> = value(map)?;
            change.changes = changes.into_iter().map(|FileUpdate(update)| update).collect();
        }
        (Details::FileChange(change), "status") => change.status = value(map)?,

        (Details::McpToolCall(call), "server") => call.server = value(map)?,
        (Details::McpToolCall(call), "tool") => call.tool = value(map)?,
        (Details::McpToolCall(call), "arguments") => {
            call.arguments_json = map.next_value::<Verbatim>()?.into();
        }
        (Details::McpToolCall(call), "result") => {
            call.result = map.next_value::<Option<McpResult>>()?.map(|McpResult(result)| result);
        }
        (Details::McpToolCall(call), "error") => {
            call.error = map.next_value::<Option<Failure>>()?.map(|Failure(error)| error.message);
        }
        (Details::McpToolCall(call), "status") => call.status = value(map)?,

        (Details::CollabToolCall(call), "tool") => call.tool = value(map)?,
        (Details::CollabToolCall(call), "sender_thread_id") => {
            call.sender_thread_id = value(map)?;
        }
        (Details::CollabToolCall(call), "receiver_thread_ids") => {
            call.receiver_thread_ids = value(map)?;
        }
        (Details::CollabToolCall(call), "prompt") => call.prompt = map.next_value()?,
        (Details::CollabToolCall(call), "agents_states") => {
            let states: HashMap<String, AgentState> = value(map)?;
            call.agents_states =
                states.into_iter().map(|(thread, AgentState(state))| (thread, state)).collect();
        }
        (Details::CollabToolCall(call), "status") => call.status = value(map)?,

        (Details::WebSearch(search), "id") => search.search_id = value(map)?,
        (Details::WebSearch(search), "query") => search.query = value(map)?,
        (Details::WebSearch(search), "action") => {
            if let Some(action) = map.next_value::<Option<&RawValue>>()? {
                search.action_type = type_of(action);
                action.get().clone_into(&mut search.action_json);
            }
        }

        (Details::TodoList(list), "items") => {
            let items: Vec<TodoItem> = value(map)?;
            list.items = items.into_iter().map(|TodoItem(item)| item).collect();
        }

        (Details::Error(error), "message") => error.message = value(map)?,

        _ => {
            map.next_value::<IgnoredAny>()?;
        }
    }
    Ok(())
}

/// Any value as its JSON text.
struct Verbatim(String);

impl<'de> Deserialize<'de> for Verbatim {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <&RawValue>::deserialize(deserializer).map(|json| Self(json.get().to_owned()))
    }
}

impl From<Verbatim> for String {
    fn from(Verbatim(json): Verbatim) -> Self {
        json
    }
}

impl From<Verbatim> for Option<String> {
    fn from(Verbatim(json): Verbatim) -> Self {
        Some(json)
    }
}

/// Several values, each as its JSON text.
#[derive(Deserialize)]
struct Verbatims(Vec<Verbatim>);

impl From<Verbatims> for Vec<String> {
    fn from(Verbatims(values): Verbatims) -> Self {
        values.into_iter().map(String::from).collect()
    }
}

/// A newtype around a message that is read from an object, each member into
/// the field beside it. (A derive would call a member that comes twice an
/// error.)
macro_rules! objects {
    ($($name:ident($message:ty) { $($member:literal => $field:ident: $type:ty),+ })+) => {$(
        struct $name($message);

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Members;

                impl<'de> Visitor<'de> for Members {
                    type Value = $name;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str("an object")
                    }

                    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<$name, A::Error> {
                        let mut message = <$message>::default();
                        while let Some(Key(key)) = map.next_key()? {
                            match &*key {
                                $($member => if let Some(value) = map.next_value::<Option<$type>>()? {
                                    message.$field = value.into();
                                },)+
                                _ => {
                                    map.next_value::<IgnoredAny>()?;
                                }
                            }
                        }
                        Ok($name(message))
                    }
                }

                deserializer.deserialize_map(Members)
            }
        }
    )+};
}

objects! {
    Usage(proto::Usage) {
        "input_tokens" => input_tokens: i64,
        "cached_input_tokens" => cached_input_tokens: i64,
        "cache_write_input_tokens" => cache_write_input_tokens: i64,
        "output_tokens" => output_tokens: i64,
        "reasoning_output_tokens" => reasoning_output_tokens: i64
    }
    Failure(proto::TurnFailed) {
        "message" => message: String
    }
    FileUpdate(proto::FileUpdate) {
        "path" => path: String,
        "kind" => kind: String
    }
    McpResult(proto::McpToolCallResult) {
        "content" => content_json: Verbatims,
        "structured_content" => structured_content_json: Verbatim
    }
    AgentState(proto::CollabAgentState) {
        "status" => status: String,
        "message" => message: String
    }
    TodoItem(proto::TodoItem) {
        "text" => text: String,
        "completed" => completed: bool
    }
}
