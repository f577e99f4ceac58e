//! What was said, made of a step. Pure.

use super::step::text;
use crate::proto::{
    AgentCallStep, CommandStep, FileChangeStep, MessageRole, NoticeStep, SessionMessage, Step,
    Text, ToolCallStep, step::Kind,
};

/// The message that a step is; none for what is not said to anybody: reasoning,
/// plans, and what this version does not know.
pub(crate) fn of_step(step: Step) -> Option<SessionMessage> {
    let Step { turn, step, seq, time, item_id, item_type, status, kind } = step;
    let mut message =
        SessionMessage { turn, step, seq, time, item_id, item_type, status, ..Default::default() };
    let (role, content) = match kind? {
        Kind::Prompt(text) => (MessageRole::User, Some(text)),
        Kind::Message(text) => (MessageRole::Assistant, Some(text)),
        Kind::Warning(NoticeStep { code, message: text })
        | Kind::Error(NoticeStep { code, message: text }) => {
            message.name = code;
            (MessageRole::System, text)
        }
        Kind::Command(CommandStep { command, output, exit_code }) => {
            message.name = "command".to_owned();
            message.input = given(command);
            message.exit_code = exit_code;
            (MessageRole::Tool, output)
        }
        Kind::FileChange(FileChangeStep { files, total_files: _ }) => {
            message.name = "file_change".to_owned();
            let lines = files.iter().map(|file| format!("{} {}", file.kind, file.path));
            (MessageRole::Tool, Some(text(lines.collect::<Vec<_>>().join("\n"))))
        }
        Kind::ToolCall(ToolCallStep { server, tool, arguments, result, error }) => {
            message.name = format!("{server}.{tool}");
            message.input = given(arguments);
            (MessageRole::Tool, error.or(result))
        }
        Kind::AgentCall(AgentCallStep { tool, prompt, agents, total_agents: _ }) => {
            message.name = tool;
            message.input = prompt;
            let lines = agents.into_iter().map(|agent| {
                let words = agent.message.map(|message| message.text).unwrap_or_default();
                format!("{} {} {words}", agent.thread_id, agent.status).trim_end().to_owned()
            });
            (MessageRole::Tool, Some(text(lines.collect::<Vec<_>>().join("\n"))))
        }
        Kind::WebSearch(search) => {
            message.name = "web_search".to_owned();
            message.input = given(search.query);
            (MessageRole::Tool, None)
        }
        Kind::Reasoning(_) | Kind::Plan(_) | Kind::Other(_) => return None,
    };
    message.role = role.into();
    message.content = Some(content.unwrap_or_default());
    Some(message)
}

fn given(input: Option<Text>) -> Option<Text> {
    input.filter(|input| !input.text.is_empty())
}
