//! Makes steps and messages as small as their reader wants them. Pure.

use crate::proto::{
    AgentCallStep, CommandStep, FileChangeStep, NoticeStep, PlanStep, SessionMessage, Step, Text,
    ToolCallStep, WebSearchStep, step::Kind,
};

/// What a list may be pruned to before texts get shorter than this, in bytes.
const LEAST_BESIDE_LISTS: usize = 1024;

/// Something of a page: a step or a message.
pub(crate) trait Entry: prost::Message + Default {
    /// It as a step gives it; none where the step gives none.
    fn of(step: Step) -> Option<Self>;

    /// Its texts.
    fn texts(&mut self) -> Vec<&mut Text>;

    /// Drops elements of its lists from their end, so that they take up to `room`
    /// bytes.
    fn shorten_lists(&mut self, room: usize);
}

impl Entry for Step {
    fn of(step: Step) -> Option<Self> {
        Some(step)
    }

    fn texts(&mut self) -> Vec<&mut Text> {
        let Some(kind) = &mut self.kind else { return Vec::new() };
        match kind {
            Kind::Prompt(text)
            | Kind::Reasoning(text)
            | Kind::Message(text)
            | Kind::Other(text) => vec![text],
            Kind::Command(CommandStep { command, output, exit_code: _ }) => {
                command.iter_mut().chain(output).collect()
            }
            Kind::FileChange(_) => Vec::new(),
            Kind::ToolCall(ToolCallStep { server: _, tool: _, arguments, result, error }) => {
                arguments.iter_mut().chain(result).chain(error).collect()
            }
            Kind::AgentCall(AgentCallStep { tool: _, prompt, agents, total_agents: _ }) => {
                let words = agents.iter_mut().filter_map(|agent| agent.message.as_mut());
                prompt.iter_mut().chain(words).collect()
            }
            Kind::WebSearch(WebSearchStep { query, action_type: _ }) => query.iter_mut().collect(),
            Kind::Plan(PlanStep { items, total_items: _ }) => {
                items.iter_mut().filter_map(|item| item.text.as_mut()).collect()
            }
            Kind::Warning(NoticeStep { code: _, message })
            | Kind::Error(NoticeStep { code: _, message }) => message.iter_mut().collect(),
        }
    }

    fn shorten_lists(&mut self, room: usize) {
        let Some(kind) = &mut self.kind else { return };
        match kind {
            Kind::FileChange(FileChangeStep { files, total_files: _ }) => shorten(files, room),
            Kind::AgentCall(AgentCallStep { tool: _, prompt: _, agents, total_agents: _ }) => {
                shorten(agents, room);
            }
            Kind::Plan(PlanStep { items, total_items: _ }) => shorten(items, room),
            Kind::Prompt(_)
            | Kind::Reasoning(_)
            | Kind::Message(_)
            | Kind::Command(_)
            | Kind::ToolCall(_)
            | Kind::WebSearch(_)
            | Kind::Warning(_)
            | Kind::Error(_)
            | Kind::Other(_) => {}
        }
    }
}

impl Entry for SessionMessage {
    fn of(step: Step) -> Option<Self> {
        super::message::of_step(step)
    }

    fn texts(&mut self) -> Vec<&mut Text> {
        self.content.iter_mut().chain(&mut self.input).collect()
    }

    fn shorten_lists(&mut self, _room: usize) {}
}

/// Cuts each text to so many characters.
pub(crate) fn to_characters<E: Entry>(entry: &mut E, characters: usize) {
    for text in entry.texts() {
        if let Some((end, _)) = text.text.char_indices().nth(characters) {
            cut(text, end);
        }
    }
}

/// Cuts an entry until it takes at most `room` bytes, its texts evenly and its
/// lists after them.
pub(crate) fn to_bytes<E: Entry>(entry: &mut E, room: usize) {
    let mut most = room / 2;
    while entry.encoded_len() > room && most > 0 {
        if most < LEAST_BESIDE_LISTS {
            entry.shorten_lists(room / 2);
        }
        for text in entry.texts().into_iter().filter(|text| text.text.len() > most) {
            let end = (0..=most).rev().find(|end| text.text.is_char_boundary(*end));
            cut(text, end.unwrap_or(0));
        }
        most /= 2;
    }
}

fn cut(text: &mut Text, end: usize) {
    text.text.truncate(end);
    // A head of a large text would hold on to all of its memory.
    text.text.shrink_to_fit();
    text.truncated = true;
}

fn shorten<M: prost::Message>(list: &mut Vec<M>, room: usize) {
    /// The tag and the length of an element, at most.
    const FRAME: usize = 12;
    let mut taken = 0;
    let kept = list.iter().take_while(|element| {
        taken += element.encoded_len() + FRAME;
        taken <= room
    });
    let kept = kept.count();
    list.truncate(kept);
}
