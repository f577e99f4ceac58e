//! Messages and steps for people. Pure.

use super::{
    item::{mark, unwrapped},
    text::{Paint, clean, one_line, tail},
};
use crate::proto::{MessageRole, NoticeStep, SessionMessage, Step, Text, step::Kind};

/// How many lines of what a tool gave are shown in a message.
const TAIL: usize = 8;
/// Where the text of a step begins, in columns.
const INDENT: usize = 16;

/// What a view of messages or steps remembers from one to the next.
#[derive(Debug)]
pub(in crate::cli) struct Transcript<'a> {
    paint: Paint,
    /// Paths below it are shown without it.
    directory: &'a str,
    /// The turn of the last one.
    turn: u32,
}

impl<'a> Transcript<'a> {
    /// The view of a session that works in `directory`.
    #[must_use]
    pub(in crate::cli) fn new(paint: Paint, directory: &'a str) -> Self {
        Self { paint, directory, turn: 0 }
    }

    /// A message: whole lines.
    pub(in crate::cli) fn message(&mut self, message: &SessionMessage) -> String {
        let paint = self.paint;
        let empty = Text::default();
        let content = message.content.as_ref().unwrap_or(&empty);
        let mut shown = self.turn_heading(message.turn);
        match message.role() {
            MessageRole::User => {
                shown += &format!("{}\n{}\n", paint.bold("you"), indented(content, 4));
            }
            MessageRole::Assistant => {
                shown += &format!("{}\n{}\n", paint.bold("agent"), indented(content, 4));
            }
            MessageRole::System | MessageRole::Unspecified => {
                let name = one_line(&format!("note {}", message.name), 80);
                shown += &format!("{} {}\n", paint.yellow(&format!("{name}:")), whole(content));
            }
            MessageRole::Tool => {
                let input = message.input.as_ref().map(|input| input.text.as_str());
                let input = input.unwrap_or_default();
                let title = match message.name.as_str() {
                    "command" => format!(
                        "{} {}",
                        paint.cyan("$"),
                        paint.bold(clean(unwrapped(input)).trim_end())
                    ),
                    name => {
                        format!("{} {}", paint.cyan(&one_line(name, 100)), one_line(input, 160))
                    }
                };
                shown += &format!("{}\n{}", title.trim_end(), tail(&content.text, TAIL, paint));
                shown += &self.outcome(message);
            }
        }
        shown
    }

    /// How what a tool did came out, where that is worth a line.
    fn outcome(&self, message: &SessionMessage) -> String {
        let outcome = match (message.exit_code, message.status.as_str()) {
            (Some(code), _) => format!("    exit {code}"),
            (None, "" | "completed") => return String::new(),
            (None, status) => format!("    {}", one_line(status, 40)),
        };
        let is_bad = message.exit_code.is_some_and(|code| code != 0)
            || matches!(message.status.as_str(), "failed" | "declined");
        let outcome = if is_bad { self.paint.red(&outcome) } else { self.paint.dim(&outcome) };
        outcome + "\n"
    }

    /// A step: its number, its kind and its texts.
    pub(in crate::cli) fn step(&mut self, step: &Step) -> String {
        let (word, lines) = self.described(step);
        let heading = self.turn_heading(step.turn);
        let number = self.paint.dim(&format!("{:>4}", step.step));
        let word = self.paint.cyan(&format!("{word:<10}"));
        let mut shown = format!("{heading}{number} {word}");
        for (nth, line) in lines.lines().enumerate() {
            let indent = if nth == 0 { 1 } else { INDENT };
            shown += format!("{:indent$}{line}", "").trim_end();
            shown.push('\n');
        }
        if lines.is_empty() {
            shown.push('\n');
        }
        shown
    }

    /// A word for the kind of a step, and lines that say what it is.
    fn described(&self, step: &Step) -> (&'static str, String) {
        let status = one_line(&step.status, 40);
        let unless_completed = if status == "completed" { "" } else { &status };
        let Some(kind) = &step.kind else { return ("unknown", String::new()) };
        match kind {
            Kind::Prompt(text) => ("you", whole(text)),
            Kind::Reasoning(text) => ("thinking", whole(text)),
            Kind::Message(text) => ("agent", whole(text)),
            Kind::Command(command) => {
                let title = command.command.as_ref().map(|text| match text.truncated {
                    true => whole(text),
                    false => clean(unwrapped(&text.text)).trim_end().to_owned(),
                });
                let outcome = match command.exit_code {
                    Some(code) => format!("exit {code}"),
                    None => status,
                };
                let outcome = if matches!(command.exit_code, Some(0)) {
                    self.paint.dim(&outcome)
                } else {
                    self.paint.red(&outcome)
                };
                let output = command.output.as_ref();
                ("command", joined([title, Some(outcome), output.map(whole)]))
            }
            Kind::FileChange(change) => {
                let left_out = (change.total_files as usize).saturating_sub(change.files.len());
                let files = change.files.iter().map(|file| {
                    let path = file.path.strip_prefix(self.directory);
                    let path = path.and_then(|path| path.strip_prefix('/')).unwrap_or(&file.path);
                    format!("{} {}", mark(&file.kind, self.paint), one_line(path, 300))
                });
                let files = files.chain(and_more(left_out)).collect::<Vec<_>>().join("\n");
                ("patch", joined([Some(self.paint.red(unless_completed)), Some(files)]))
            }
            Kind::ToolCall(call) => {
                let name = one_line(&format!("{}.{}", call.server, call.tool), 100);
                let arguments = call.arguments.as_ref().map(whole).unwrap_or_default();
                let error = call.error.as_ref().map(|text| self.paint.red(&whole(text)));
                let result = call.result.as_ref().map(whole);
                let title = format!("{name} {arguments} {unless_completed}");
                ("tool", joined([Some(title.trim_end().to_owned()), error.or(result)]))
            }
            Kind::AgentCall(call) => {
                let left_out = (call.total_agents as usize).saturating_sub(call.agents.len());
                let agents = call.agents.iter().map(|agent| {
                    let words = agent.message.as_ref().map(whole).unwrap_or_default();
                    let agent = format!("{} {} {words}", agent.thread_id, agent.status);
                    clean(&agent).trim_end().to_owned()
                });
                let agents = agents.chain(and_more(left_out)).collect::<Vec<_>>().join("\n");
                let title = format!("{} {unless_completed}", one_line(&call.tool, 40));
                let prompt = call.prompt.as_ref().map(whole);
                ("agents", joined([Some(title.trim_end().to_owned()), prompt, Some(agents)]))
            }
            Kind::WebSearch(search) => {
                let query = search.query.as_ref().map(whole).unwrap_or_default();
                let title = format!("{} {query}", one_line(&search.action_type, 40));
                ("web", title.trim_end().to_owned())
            }
            Kind::Plan(plan) => {
                let left_out = (plan.total_items as usize).saturating_sub(plan.items.len());
                let items = plan.items.iter().map(|item| {
                    let text = item.text.as_ref().map(whole).unwrap_or_default();
                    format!("{} {text}", if item.completed { "[x]" } else { "[ ]" })
                });
                ("plan", items.chain(and_more(left_out)).collect::<Vec<_>>().join("\n"))
            }
            Kind::Warning(notice) => ("warning", self.paint.yellow(&noticed(notice))),
            Kind::Error(notice) => ("error", self.paint.red(&noticed(notice))),
            Kind::Other(text) => {
                ("other", joined([Some(one_line(&step.item_type, 60)), Some(whole(text))]))
            }
        }
    }

    /// A line before the first of each turn.
    fn turn_heading(&mut self, turn: u32) -> String {
        if turn == self.turn || turn == 0 {
            return String::new();
        }
        self.turn = turn;
        format!("{}\n", self.paint.dim(&format!("turn {turn}")))
    }
}

/// A text without what could drive the terminal, and how long it is where there
/// is more of it.
fn whole(text: &Text) -> String {
    let shown = clean(&text.text).trim_end().to_owned();
    if !text.truncated {
        return shown;
    }
    format!("{shown}… ({} characters)", text.total_characters)
}

fn indented(text: &Text, indent: usize) -> String {
    let text = whole(text);
    let lines =
        text.lines().map(|line| format!("{:indent$}{line}", "").trim_end().to_owned() + "\n");
    lines.collect()
}

fn noticed(notice: &NoticeStep) -> String {
    let message = notice.message.as_ref().map(whole).unwrap_or_default();
    match notice.code.as_str() {
        "" => message,
        code => format!("{}: {message}", one_line(code, 64)),
    }
}

fn and_more(count: usize) -> Option<String> {
    (count > 0).then(|| format!("… and {count} more"))
}

fn joined<const N: usize>(parts: [Option<String>; N]) -> String {
    let parts = parts.into_iter().flatten().filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
#[path = "transcript_tests.rs"]
mod tests;
