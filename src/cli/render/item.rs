//! Items of work in the live view.

use super::{
    View, elapsed, nanoseconds,
    text::{Paint, clean, one_line, tail},
};
use crate::proto::{
    CommandExecution, Event, FileChange, Item, McpToolCall, TodoList, WebSearch, item::Details,
};

/// How many lines of a command's output are shown.
const TAIL: usize = 8;

/// Where in its life an item is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Started,
    Updated,
    Completed,
}

impl View {
    pub(super) fn item(
        &mut self,
        event: &Event,
        item: &Item,
        stage: Stage,
        heading: Option<String>,
    ) -> String {
        let paint = self.paint;
        let done = stage == Stage::Completed;
        let Some(details) = &item.details else {
            return if done { self.raw_line(&item.r#type, event) } else { String::new() };
        };
        match details {
            Details::AgentMessage(message) => {
                format!("\n{}\n\n", clean(&message.text).trim_end())
            }
            Details::Reasoning(reasoning) => {
                format!("{}\n", paint.dim(clean(&reasoning.text).trim_end()))
            }
            Details::CommandExecution(command) => {
                self.command(event, item, command, stage, heading)
            }
            Details::FileChange(change) if done => self.patch(change),
            Details::McpToolCall(call) => self.tool(item, call, stage, heading),
            Details::CollabToolCall(call) if done => {
                let prompt = one_line(call.prompt.as_deref().unwrap_or_default(), 100);
                let status = one_line(&call.status, 40);
                let name = paint.cyan("agents");
                format!("{name} {} {status} {prompt}", one_line(&call.tool, 40))
                    .trim_end()
                    .to_owned()
                    + "\n"
            }
            Details::WebSearch(search) if done => self.search(search),
            Details::TodoList(list) => self.todo(list),
            Details::Error(error) => {
                format!("{} {}\n", paint.yellow("agent warns:"), clean(&error.message).trim_end())
            }
            // These say nothing before they are done.
            Details::FileChange(_) | Details::CollabToolCall(_) | Details::WebSearch(_) => {
                self.last_heading = heading;
                String::new()
            }
        }
    }

    fn command(
        &mut self,
        event: &Event,
        item: &Item,
        command: &CommandExecution,
        stage: Stage,
        heading: Option<String>,
    ) -> String {
        let paint = self.paint;
        let line = clean(unwrapped(&command.command));
        let title = format!("{} {}\n", paint.cyan("$"), paint.bold(line.trim_end()));
        if stage != Stage::Completed {
            self.last_heading = Some(item.id.clone());
            return if heading.as_ref() == Some(&item.id) { String::new() } else { title };
        }
        let mut shown = if heading.as_ref() == Some(&item.id) { String::new() } else { title };
        shown.push_str(&tail(&command.aggregated_output, TAIL, paint));
        let begun = self.begun.get(&item.id).copied().unwrap_or(0);
        let elapsed = elapsed(begun, nanoseconds(event));
        let outcome = match command.exit_code {
            Some(code) => format!("exit {code}"),
            None => one_line(&command.status, 40),
        };
        let outcome = format!("    {outcome}{elapsed}");
        let failed = command.exit_code.is_some_and(|code| code != 0)
            || matches!(command.status.as_str(), "failed" | "declined");
        shown.push_str(&if failed { paint.red(&outcome) } else { paint.dim(&outcome) });
        shown.push('\n');
        shown
    }

    fn patch(&self, change: &FileChange) -> String {
        let paint = self.paint;
        let mut shown = match change.status.as_str() {
            "completed" => format!("{}\n", paint.cyan("patch")),
            status => format!("{} {}\n", paint.cyan("patch"), paint.red(&one_line(status, 40))),
        };
        for file in &change.changes {
            let mark = mark(&file.kind, paint);
            shown.push_str(&format!("    {mark} {}\n", one_line(self.relative(&file.path), 300)));
        }
        shown
    }

    fn tool(
        &mut self,
        item: &Item,
        call: &McpToolCall,
        stage: Stage,
        heading: Option<String>,
    ) -> String {
        let paint = self.paint;
        let name = one_line(&format!("{}.{}", call.server, call.tool), 100);
        let arguments = one_line(&call.arguments_json, 160);
        let title = format!("{} {name} {arguments}\n", paint.cyan("tool"));
        let titled = heading.as_ref() == Some(&item.id);
        if stage != Stage::Completed {
            self.last_heading = Some(item.id.clone());
            return if titled { String::new() } else { title };
        }
        let mut shown = if titled { String::new() } else { title };
        let outcome = match (&call.error, &call.result) {
            (Some(error), _) => paint.red(&format!("failed: {}", one_line(error, 300))),
            (None, Some(result)) => one_line(&result.content_json.join(" "), 300),
            (None, None) => one_line(&call.status, 40),
        };
        shown.push_str(&format!("    {outcome}\n"));
        shown
    }

    fn search(&self, search: &WebSearch) -> String {
        let what = match search.action_type.as_str() {
            "open_page" => "opens",
            "find_in_page" => "finds",
            _ => "searches",
        };
        format!("{} {what} {}\n", self.paint.cyan("web"), one_line(&search.query, 300))
    }

    fn todo(&mut self, list: &TodoList) -> String {
        let paint = self.paint;
        let steps = list.items.iter().map(|step| {
            let text = one_line(&step.text, 300);
            let mark = if step.completed { paint.green("[x]") } else { "[ ]".to_owned() };
            format!("    {mark} {text}\n")
        });
        let plan = format!("{}\n{}", paint.cyan("plan"), steps.collect::<String>());
        // At the end of a turn codex gives the last plan again.
        if plan == self.plan {
            return String::new();
        }
        self.plan.clone_from(&plan);
        plan
    }

    fn relative<'a>(&self, path: &'a str) -> &'a str {
        path.strip_prefix(&self.directory)
            .and_then(|rest| rest.strip_prefix('/'))
            .filter(|_| !self.directory.is_empty())
            .unwrap_or(path)
    }
}

/// The letter for what became of a file.
pub(super) fn mark(kind: &str, paint: Paint) -> String {
    match kind {
        "add" => paint.green("A"),
        "delete" => paint.red("D"),
        "update" => paint.yellow("M"),
        other => one_line(other, 20),
    }
}

/// What codex's shell was told: `/bin/bash -lc 'ls'` is `ls` to people. A
/// command whose quoting is less simple stays as it is.
pub(super) fn unwrapped(command: &str) -> &str {
    let inner = ["/bin/bash -lc ", "/bin/bash -c ", "bash -lc ", "/bin/sh -c ", "/bin/zsh -lc "]
        .into_iter()
        .find_map(|shell| command.strip_prefix(shell));
    let Some(inner) = inner else { return command };
    match inner.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')) {
        Some(quoted) if !quoted.contains('\'') => quoted,
        Some(_) => command,
        None if inner.contains(['\'', '"', '\\', ' ']) => command,
        None => inner,
    }
}
