//! A step of a trajectory, made of an event. Pure, and total: any event of an
//! agent makes some step.

use serde_json::Value;

use super::fold::Found;
use crate::{
    proto::{
        self, AgentCallStep, CalledAgent, ChangedFile, CommandStep, Event, FileChangeStep,
        NoticeStep, PlanItem, PlanStep, Step, Text, ToolCallStep, WebSearchStep, event::Kind,
        item::Details, step::Kind as StepKind,
    },
    row::head,
};

/// The most characters of a word that is an agent's own: of an id, a type, a
/// status. Real ones have a few.
const WORD_CHARACTERS: usize = 256;

/// A whole text.
pub(crate) fn text(text: impl Into<String>) -> Text {
    let text = text.into();
    let total_characters = text.chars().count() as u64;
    Text { text, truncated: false, total_characters }
}

/// The step that is the prompt of a turn, with the first event of the turn.
pub(crate) fn prompt(event: &Event, found: &Found, prompt: String) -> Step {
    Step { kind: Some(StepKind::Prompt(text(prompt))), ..bare(event, found) }
}

/// The step that an event makes, with its texts whole, or as far as the event
/// has them.
pub(crate) fn of_event(event: &Event, found: &Found) -> Step {
    let mut step = bare(event, found);
    let Some(kind) = &event.kind else {
        step.kind = Some(StepKind::Other(raw(event)));
        return step;
    };
    let made = match kind {
        Kind::ItemStarted(proto::ItemStarted { item })
        | Kind::ItemUpdated(proto::ItemUpdated { item })
        | Kind::ItemCompleted(proto::ItemCompleted { item }) => match item {
            Some(item) => {
                step.item_id = word(&item.id);
                step.item_type = word(&item.r#type);
                step.status = item.details.as_ref().map(status).map(word).unwrap_or_default();
                item.details.as_ref().map_or_else(|| StepKind::Other(raw(event)), of_details)
            }
            None => StepKind::Other(raw(event)),
        },
        Kind::Error(error) => StepKind::Error(notice("", &error.message)),
        Kind::TurnFailed(failed) => StepKind::Error(notice("", &failed.message)),
        Kind::Warning(warning) => StepKind::Warning(notice(&warning.code, &warning.message)),
        Kind::StateChanged(changed) => {
            let reason = changed.reason().as_str_name();
            let code = reason.strip_prefix("STATE_REASON_").unwrap_or(reason);
            StepKind::Error(notice(code, &changed.error))
        }
        Kind::InvalidLine(line) if event.raw.is_empty() => {
            StepKind::Other(text(line.problem.as_str()))
        }
        Kind::Unknown(_)
        | Kind::InvalidLine(_)
        | Kind::ThreadStarted(_)
        | Kind::TurnStarted(_)
        | Kind::TurnCompleted(_)
        | Kind::SessionCreated(_)
        | Kind::TurnSpawned(_)
        | Kind::TurnExited(_)
        | Kind::SessionUpdated(_)
        | Kind::SessionDeleted(_)
        | Kind::SettingsChanged(_)
        | Kind::ControlsChanged(_) => StepKind::Other(raw(event)),
    };
    step.kind = Some(made);
    step
}

fn bare(event: &Event, found: &Found) -> Step {
    Step { turn: found.turn, step: found.step, seq: event.seq, time: event.time, ..Step::default() }
}

fn of_details(details: &Details) -> StepKind {
    match details {
        Details::AgentMessage(message) => StepKind::Message(text(message.text.as_str())),
        Details::Reasoning(reasoning) => StepKind::Reasoning(text(reasoning.text.as_str())),
        Details::CommandExecution(command) => StepKind::Command(CommandStep {
            command: Some(text(command.command.as_str())),
            output: Some(text(command.aggregated_output.as_str())),
            exit_code: command.exit_code,
        }),
        Details::FileChange(change) => {
            let file = |file: &proto::FileUpdate| ChangedFile {
                path: file.path.clone(),
                kind: word(&file.kind),
            };
            StepKind::FileChange(FileChangeStep {
                files: change.changes.iter().map(file).collect(),
                total_files: count(change.changes.len()),
            })
        }
        Details::McpToolCall(call) => StepKind::ToolCall(ToolCallStep {
            server: word(&call.server),
            tool: word(&call.tool),
            arguments: Some(text(call.arguments_json.as_str())),
            result: call.result.as_ref().map(|result| text(answer(result))),
            error: call.error.as_deref().map(text),
        }),
        Details::CollabToolCall(call) => {
            let agents = called_agents(call);
            StepKind::AgentCall(AgentCallStep {
                tool: word(&call.tool),
                prompt: call.prompt.as_deref().map(text),
                total_agents: count(agents.len()),
                agents,
            })
        }
        Details::WebSearch(search) => StepKind::WebSearch(WebSearchStep {
            query: Some(text(search.query.as_str())),
            action_type: word(&search.action_type),
        }),
        Details::TodoList(list) => {
            let item = |item: &proto::TodoItem| PlanItem {
                text: Some(text(item.text.as_str())),
                completed: item.completed,
            };
            StepKind::Plan(PlanStep {
                items: list.items.iter().map(item).collect(),
                total_items: count(list.items.len()),
            })
        }
        Details::Error(error) => StepKind::Warning(notice("", &error.message)),
    }
}

fn status(details: &Details) -> &str {
    match details {
        Details::CommandExecution(command) => &command.status,
        Details::FileChange(change) => &change.status,
        Details::McpToolCall(call) => &call.status,
        Details::CollabToolCall(call) => &call.status,
        Details::AgentMessage(_)
        | Details::Reasoning(_)
        | Details::WebSearch(_)
        | Details::TodoList(_)
        | Details::Error(_) => "",
    }
}

/// What a tool answered, to be read: its texts, and anything else as it is.
fn answer(result: &proto::McpToolCallResult) -> String {
    let block = |json: &String| match serde_json::from_str(json) {
        Ok(Value::Object(block)) if block.get("type").is_some_and(|kind| kind == "text") => {
            match block.get("text") {
                Some(Value::String(text)) => text.clone(),
                Some(_) | None => json.clone(),
            }
        }
        Ok(_) | Err(_) => json.clone(),
    };
    let mut parts: Vec<String> = result.content_json.iter().map(block).collect();
    if parts.is_empty() {
        parts.extend(result.structured_content_json.clone());
    }
    parts.join("\n")
}

/// The agents that a call is about, those that it names first.
fn called_agents(call: &proto::CollabToolCall) -> Vec<CalledAgent> {
    let named = call.receiver_thread_ids.iter();
    let others = call.agents_states.keys().filter(|id| !call.receiver_thread_ids.contains(id));
    let agent = |id: &String| {
        let state = call.agents_states.get(id);
        CalledAgent {
            thread_id: word(id),
            status: state.map(|state| word(&state.status)).unwrap_or_default(),
            message: state.and_then(|state| state.message.as_deref()).map(text),
        }
    };
    named.chain(others).map(agent).collect()
}

fn notice(code: &str, message: &str) -> NoticeStep {
    NoticeStep { code: word(code), message: Some(text(message)) }
}

fn raw(event: &Event) -> Text {
    text(String::from_utf8_lossy(&event.raw))
}

fn word(text: &str) -> String {
    head(text, WORD_CHARACTERS)
}

fn count(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}
