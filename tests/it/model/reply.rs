//! What the model answers to one request, in the words of a test, and how that
//! looks on the wire.

use hyper::body::Bytes;
use serde_json::{Value, json};

use super::{Gate, Request};

/// Texts are streamed in deltas of at most this many bytes.
const DELTA_BYTES: usize = 64 * 1024;

/// The answer to one request: an HTTP status, or a stream of items.
///
/// A stream ends with `response.completed` unless [`cut`](Self::cut) or
/// [`failed`](Self::failed) ended it.
#[derive(Debug, Clone)]
pub(crate) struct Reply(pub(super) Answer);

#[derive(Debug, Clone)]
pub(super) enum Answer {
    Status { status: u16, body: String },
    Stream { steps: Vec<Step>, usage: Usage },
}

/// The tokens that a reply reports for its request. Codex adds them up.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Usage {
    pub(crate) input: u64,
    pub(crate) cached: u64,
    pub(crate) output: u64,
    pub(crate) reasoning: u64,
}

impl Default for Usage {
    fn default() -> Self {
        Self { input: 100, cached: 10, output: 20, reasoning: 5 }
    }
}

#[derive(Debug, Clone)]
pub(super) enum Step {
    Message(Vec<String>, Option<Gate>),
    Item(Value),
    Command(String),
    Failed { code: String, message: String },
    Wait(Gate),
    Cut,
}

/// What the connection does, one after the other.
#[derive(Debug)]
pub(super) enum Output {
    Send(Bytes),
    Wait(Gate),
    Cut,
}

impl Output {
    /// The items that are complete with it.
    pub(super) fn items(&self) -> Vec<Value> {
        let Self::Send(bytes) = self else { return Vec::new() };
        let text = String::from_utf8_lossy(bytes);
        let events = text.lines().filter_map(|line| line.strip_prefix("data: "));
        events
            .filter_map(|event| serde_json::from_str::<Value>(event).ok())
            .filter(|event| event["type"] == "response.output_item.done")
            .map(|mut event| event["item"].take())
            .collect()
    }
}

/// How far a plan's step has come.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Progress {
    Pending,
    Begun,
    Completed,
}

impl Reply {
    /// A stream without items yet.
    pub(crate) fn new() -> Self {
        Self(Answer::Stream { steps: Vec::new(), usage: Usage::default() })
    }

    /// An HTTP status in place of a stream, with an error body as the real API has.
    pub(crate) fn status(status: u16, message: &str) -> Self {
        let body = json!({"error": {"message": message, "type": "scripted", "code": null}});
        Self(Answer::Status { status, body: body.to_string() })
    }

    /// Adds a message to the user, of any size.
    pub(crate) fn message(self, text: &str) -> Self {
        self.step(Step::Message(deltas(text), None))
    }

    /// Adds a message whose parts are each held back by the gate.
    pub(crate) fn slow_message(self, parts: &[&str], gate: &Gate) -> Self {
        let parts = parts.iter().map(|part| (*part).to_owned()).collect();
        self.step(Step::Message(parts, Some(gate.clone())))
    }

    /// Adds a summary of reasoning.
    pub(crate) fn reasoning(self, summary: &str) -> Self {
        let summary = json!([{"type": "summary_text", "text": summary}]);
        self.step(Step::Item(json!({"type": "reasoning", "summary": summary})))
    }

    /// Has codex run a shell command, by the tool that it offers for that.
    pub(crate) fn command(self, command: &str) -> Self {
        self.step(Step::Command(command.to_owned()))
    }

    /// Has codex apply a patch in its own format, `*** Begin Patch` and so on.
    pub(crate) fn patch(self, patch: &str) -> Self {
        let call = json!({"type": "custom_tool_call", "name": "apply_patch", "input": patch});
        self.step(Step::Item(call))
    }

    /// Has codex show a plan, or the next state of it.
    pub(crate) fn plan(self, steps: &[(&str, Progress)]) -> Self {
        let steps: Vec<Value> = steps
            .iter()
            .map(|(step, progress)| {
                let status = match progress {
                    Progress::Pending => "pending",
                    Progress::Begun => "in_progress",
                    Progress::Completed => "completed",
                };
                json!({"step": step, "status": status})
            })
            .collect();
        self.function("update_plan", None, &json!({"plan": steps}))
    }

    /// Has codex call a tool of an MCP server.
    pub(crate) fn mcp_call(self, server: &str, tool: &str, arguments: &Value) -> Self {
        self.function(tool, Some(format!("mcp__{server}")), arguments)
    }

    /// Tells of a web search that the model made by itself, with its action,
    /// such as `{"type": "search", "query": "…"}`.
    pub(crate) fn web_search(self, action: &Value) -> Self {
        self.step(Step::Item(
            json!({"type": "web_search_call", "status": "completed", "action": action}),
        ))
    }

    /// Waits until the test opens the gate.
    pub(crate) fn wait(self, gate: &Gate) -> Self {
        self.step(Step::Wait(gate.clone()))
    }

    /// Cuts the connection. What was sent before has left.
    pub(crate) fn cut(self) -> Self {
        self.step(Step::Cut)
    }

    /// Ends with `response.failed`.
    pub(crate) fn failed(self, code: &str, message: &str) -> Self {
        self.step(Step::Failed { code: code.to_owned(), message: message.to_owned() })
    }

    /// Reports these tokens in place of the default ones.
    pub(crate) fn usage(mut self, tokens: Usage) -> Self {
        match &mut self.0 {
            Answer::Stream { usage, .. } => *usage = tokens,
            Answer::Status { .. } => panic!("a status reports no usage"),
        }
        self
    }

    fn function(self, name: &str, namespace: Option<String>, arguments: &Value) -> Self {
        self.step(Step::Item(function_call(name, namespace, arguments)))
    }

    fn step(mut self, step: Step) -> Self {
        match &mut self.0 {
            Answer::Stream { steps, .. } => steps.push(step),
            Answer::Status { .. } => panic!("a status has no steps"),
        }
        self
    }
}

/// Lays out what the connection does. `number` makes the ids of this response
/// and of its items unique.
pub(super) fn outputs(
    steps: Vec<Step>,
    usage: Usage,
    request: &Request,
    number: usize,
) -> Vec<Output> {
    let response = format!("resp_{number}");
    let mut layout = Layout { outputs: Vec::new(), number, items: 0 };
    layout.event(&json!({"type": "response.created", "response": {"id": response}}));
    for step in steps {
        match step {
            Step::Message(parts, gate) => layout.message(&parts, gate.as_ref()),
            Step::Item(item) => layout.item(item),
            Step::Command(command) => layout.item(shell_call(&command, request)),
            Step::Wait(gate) => layout.outputs.push(Output::Wait(gate)),
            Step::Cut => {
                layout.outputs.push(Output::Cut);
                return layout.outputs;
            }
            Step::Failed { code, message } => {
                let error = json!({"code": code, "message": message});
                layout.event(&json!({
                    "type": "response.failed",
                    "response": {"id": response, "status": "failed", "error": error},
                }));
                return layout.outputs;
            }
        }
    }
    layout.event(&json!({"type": "response.completed", "response": {"id": response, "usage": {
        "input_tokens": usage.input,
        "input_tokens_details": {"cached_tokens": usage.cached},
        "output_tokens": usage.output,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning},
        "total_tokens": usage.input + usage.output,
    }}}));
    layout.outputs
}

struct Layout {
    outputs: Vec<Output>,
    number: usize,
    items: usize,
}

impl Layout {
    fn event(&mut self, event: &Value) {
        let kind = event["type"].as_str().expect("every event names its type");
        self.outputs.push(Output::Send(Bytes::from(format!("event: {kind}\ndata: {event}\n\n"))));
    }

    /// Gives the item its ids and sends it whole.
    fn item(&mut self, mut item: Value) {
        let (index, kind) = (self.items, item["type"].clone());
        self.items += 1;
        item["id"] = json!(format!("item_{}_{index}", self.number));
        if kind == "function_call" || kind == "custom_tool_call" {
            item["call_id"] = json!(format!("call_{}_{index}", self.number));
        }
        let mut begun = item.clone();
        if kind == "web_search_call" {
            begun["status"] = json!("in_progress");
            begun.as_object_mut().expect("items are objects").remove("action");
        }
        self.event(
            &json!({"type": "response.output_item.added", "output_index": index, "item": begun}),
        );
        self.event(
            &json!({"type": "response.output_item.done", "output_index": index, "item": item}),
        );
    }

    fn message(&mut self, parts: &[String], gate: Option<&Gate>) {
        let index = self.items;
        self.items += 1;
        let id = format!("item_{}_{index}", self.number);
        let item = |content: Value| json!({"type": "message", "role": "assistant", "id": id, "content": content});
        self.event(&json!({
            "type": "response.output_item.added", "output_index": index, "item": item(json!([])),
        }));
        for part in parts {
            self.outputs.extend(gate.cloned().map(Output::Wait));
            self.event(&json!({
                "type": "response.output_text.delta",
                "item_id": id, "output_index": index, "content_index": 0, "delta": part,
            }));
        }
        let content = json!([{"type": "output_text", "text": parts.concat()}]);
        self.event(&json!({
            "type": "response.output_item.done", "output_index": index, "item": item(content),
        }));
    }
}

/// The call of the shell tool among those that the request offers: codex
/// offers another one for other models and features.
fn shell_call(command: &str, request: &Request) -> Value {
    let offered = request.tools();
    let arguments = |tool: &str| match tool {
        "exec_command" => Some(json!({"cmd": command})),
        "shell_command" => Some(json!({"command": command})),
        "shell" => Some(json!({"command": ["bash", "-lc", command]})),
        _ => None,
    };
    offered
        .iter()
        .find_map(|tool| Some(function_call(tool, None, &arguments(tool)?)))
        .unwrap_or_else(|| panic!("codex offers no shell tool that the model knows: {offered:?}"))
}

fn function_call(name: &str, namespace: Option<String>, arguments: &Value) -> Value {
    let mut call =
        json!({"type": "function_call", "name": name, "arguments": arguments.to_string()});
    if let Some(namespace) = namespace {
        call["namespace"] = json!(namespace);
    }
    call
}

/// Cuts a text into pieces, on boundaries of characters.
fn deltas(text: &str) -> Vec<String> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while rest.len() > DELTA_BYTES {
        let boundary = (0..=DELTA_BYTES).rev().find(|&at| rest.is_char_boundary(at));
        let (piece, tail) = rest.split_at(boundary.expect("0 is a boundary"));
        pieces.push(piece.to_owned());
        rest = tail;
    }
    pieces.push(rest.to_owned());
    pieces
}
