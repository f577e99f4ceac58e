//! The real codex understands what the scripted model says: what every test
//! with a real agent stands on.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Child, Command, Output, Stdio},
    thread::JoinHandle,
};

use serde_json::{Value, json};

use crate::{
    codex_home::CodexHome,
    model::{Gate, Model, Progress, Reply, Usage},
    toolchain,
};

/// One model and what codex needs to talk to it.
struct Stage {
    model: Model,
    home: CodexHome,
    work: tempfile::TempDir,
}

/// What codex printed in one turn.
struct Turn {
    /// The events after `thread.started`.
    events: Vec<Value>,
    exit_code: Option<i32>,
}

impl Stage {
    fn new(replies: impl IntoIterator<Item = Reply>) -> Self {
        let model = Model::start();
        model.script(replies);
        let home = CodexHome::temporary(&model);
        Self { model, home, work: tempfile::tempdir().unwrap() }
    }

    fn work(&self) -> &Path {
        self.work.path()
    }

    /// Starts a turn, its prompt by stdin.
    fn start(&self, prompt: &str) -> JoinHandle<Turn> {
        let child = self.spawn(prompt);
        std::thread::spawn(move || Turn::parse(&child.wait_with_output().unwrap()))
    }

    fn spawn(&self, prompt: &str) -> Child {
        let mut child = Command::new(toolchain::codex())
            .args(["exec", "--json", "--skip-git-repo-check", "-s", "danger-full-access"])
            .args(["--disable", "unbounded_connection_retries", "-C"])
            .args([self.work().as_os_str(), "-".as_ref()])
            .env("CODEX_HOME", self.home.path())
            .env("HOME", self.work())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(prompt.as_bytes()).unwrap();
        child
    }

    fn run(&self) -> Turn {
        self.start("Do as you are told.").join().unwrap()
    }
}

impl Turn {
    fn parse(output: &Output) -> Self {
        let lines = str::from_utf8(&output.stdout).unwrap().lines();
        let mut events: Vec<Value> =
            lines.map(|line| serde_json::from_str(line).unwrap()).collect();
        assert!(!events.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(events.remove(0)["type"], "thread.started");
        Self { events, exit_code: output.status.code() }
    }

    /// What a turn that completed said between its first and its last event.
    fn completed(mut self) -> Vec<Value> {
        assert_eq!(self.exit_code, Some(0), "{:#?}", self.events);
        assert_eq!(self.events.remove(0), json!({"type": "turn.started"}));
        assert_eq!(self.events.pop().unwrap()["type"], "turn.completed");
        self.events
    }

    /// What a turn that failed said between its first and its last event, and why it failed.
    fn failed(mut self) -> (Vec<Value>, String) {
        assert_eq!(self.exit_code, Some(1), "{:#?}", self.events);
        assert_eq!(self.events.remove(0), json!({"type": "turn.started"}));
        let last = self.events.pop().unwrap();
        assert_eq!(last["type"], "turn.failed");
        (self.events, last["error"]["message"].as_str().unwrap().to_owned())
    }
}

fn started(item: &Value) -> Value {
    json!({"type": "item.started", "item": item})
}

fn updated(item: &Value) -> Value {
    json!({"type": "item.updated", "item": item})
}

fn completed(item: &Value) -> Value {
    json!({"type": "item.completed", "item": item})
}

fn message(id: &str, text: &str) -> Value {
    completed(&json!({"id": id, "type": "agent_message", "text": text}))
}

fn done() -> Reply {
    Reply::new().message("done")
}

#[test]
fn a_message_and_its_usage_come_out() {
    let usage = Usage { input: 7, cached: 3, output: 5, reasoning: 2 };
    let stage = Stage::new([Reply::new().message("hello").usage(usage)]);
    let turn = stage.run();
    assert_eq!(
        turn.events,
        [
            json!({"type": "turn.started"}),
            message("item_0", "hello"),
            json!({"type": "turn.completed", "usage": {
                "input_tokens": 7, "cached_input_tokens": 3, "cache_write_input_tokens": 0,
                "output_tokens": 5, "reasoning_output_tokens": 2,
            }}),
        ]
    );
    let requests = stage.model.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].body["model"], "gpt-5.5");
    assert_eq!(requests[0].texts("user").last(), Some(&"Do as you are told."));
}

#[test]
fn reasoning_comes_out() {
    let stage = Stage::new([Reply::new().reasoning("**Thinking**").message("done")]);
    let reasoning = json!({"id": "item_0", "type": "reasoning", "text": "**Thinking**"});
    assert_eq!(stage.run().completed(), [completed(&reasoning), message("item_1", "done")]);
}

#[test]
fn a_command_is_run_and_its_output_goes_back() {
    let stage = Stage::new([Reply::new().command("echo out; exit 3"), done()]);
    let item = |output: &str, exit_code: Option<i32>, status: &str| {
        json!({
            "id": "item_0", "type": "command_execution",
            "command": "/bin/bash -lc 'echo out; exit 3'",
            "aggregated_output": output, "exit_code": exit_code, "status": status,
        })
    };
    assert_eq!(
        stage.run().completed(),
        [
            started(&item("", None, "in_progress")),
            completed(&item("out\n", Some(3), "failed")),
            message("item_1", "done"),
        ]
    );
    let requests = stage.model.requests();
    let output = requests[1].call_outputs()[0].as_str().unwrap();
    assert!(output.contains("Process exited with code 3"), "{output}");
}

#[test]
fn a_patch_is_applied() {
    let patch = "*** Begin Patch\n*** Add File: a.txt\n+hello\n*** End Patch\n";
    let stage = Stage::new([Reply::new().patch(patch), done()]);
    let path = stage.work().join("a.txt");
    let item = |status: &str| {
        let changes = json!([{"path": path, "kind": "add"}]);
        json!({"id": "item_0", "type": "file_change", "changes": changes, "status": status})
    };
    assert_eq!(
        stage.run().completed(),
        [started(&item("in_progress")), completed(&item("completed")), message("item_1", "done"),]
    );
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "hello\n");
}

#[test]
fn a_plan_is_shown_and_updated() {
    let stage = Stage::new([
        Reply::new().plan(&[("Read", Progress::Begun), ("Write", Progress::Pending)]),
        Reply::new().plan(&[("Read", Progress::Completed), ("Write", Progress::Begun)]),
        done(),
    ]);
    let item = |read: bool| {
        let items = json!([
            {"text": "Read", "completed": read}, {"text": "Write", "completed": false},
        ]);
        json!({"id": "item_0", "type": "todo_list", "items": items})
    };
    assert_eq!(
        stage.run().completed(),
        [
            started(&item(false)),
            updated(&item(true)),
            message("item_1", "done"),
            completed(&item(true)),
        ]
    );
}

#[test]
fn an_mcp_tool_is_called() {
    let arguments = json!({"text": "hi"});
    let mut stage = Stage::new([Reply::new().mcp_call("echo", "echo", &arguments), done()]);
    stage.home = stage.home.with_mcp_echo();
    let item = |result: Value, status: &str| {
        json!({
            "id": "item_0", "type": "mcp_tool_call", "server": "echo", "tool": "echo",
            "arguments": arguments, "result": result, "error": null, "status": status,
        })
    };
    let result = json!({
        "content": [{"type": "text", "text": "echo: hi"}], "structured_content": {"length": 2},
    });
    assert_eq!(
        stage.run().completed(),
        [
            started(&item(Value::Null, "in_progress")),
            completed(&item(result, "completed")),
            message("item_1", "done"),
        ]
    );
}

#[test]
fn a_web_search_comes_out() {
    let action = json!({"type": "search", "query": "rust"});
    let stage = Stage::new([Reply::new().web_search(&action).message("done")]);
    // The member `id` stands twice in these lines; serde_json keeps the last.
    let item = |query: &str, action: Value| json!({"id": "item_1_0", "type": "web_search", "query": query, "action": action});
    assert_eq!(
        stage.run().completed(),
        [
            started(&item("", json!({"type": "other"}))),
            completed(&item("rust", action)),
            message("item_1", "done"),
        ]
    );
}

#[test]
fn a_stream_that_is_cut_is_tried_again() {
    let stage = Stage::new([Reply::new().message("partial").cut(), done()]);
    let events = stage.run().completed();
    assert_eq!(events.len(), 3, "{events:#?}");
    assert_eq!(events[0], message("item_0", "partial"));
    assert_eq!(events[1]["type"], "error");
    let notice = events[1]["message"].as_str().unwrap();
    assert!(notice.starts_with("Reconnecting... 1/1"), "{notice}");
    assert_eq!(events[2], message("item_1", "done"));
}

#[test]
fn status_429_fails_the_turn_after_the_retries() {
    let stage = Stage::new(std::iter::repeat_n(Reply::status(429, "slow down"), 9));
    let (events, error) = stage.run().failed();
    assert_eq!(error, "exceeded retry limit, last status: 429 Too Many Requests");
    assert_eq!(events, [json!({"type": "error", "message": error})]);
}

#[test]
fn status_500_is_tried_again_without_a_word() {
    let stage = Stage::new([Reply::status(500, "oops"), Reply::status(500, "oops"), done()]);
    assert_eq!(stage.run().completed(), [message("item_0", "done")]);
    assert_eq!(stage.model.requests().len(), 3);
}

#[test]
fn status_400_fails_the_turn_at_once() {
    let stage = Stage::new([Reply::status(400, "no such thing")]);
    let (_, error) = stage.run().failed();
    assert!(error.contains("no such thing"), "{error}");
    assert_eq!(stage.model.requests().len(), 1);
}

#[test]
fn a_failed_response_fails_the_turn() {
    let stage = Stage::new([Reply::new().message("partial").failed("invalid_prompt", "refused")]);
    let (events, error) = stage.run().failed();
    assert_eq!(events[0], message("item_0", "partial"));
    assert!(error.contains("refused"), "{error}");
}

#[test]
fn a_request_beyond_the_script_fails_the_turn() {
    let (_, error) = Stage::new([]).run().failed();
    assert!(error.contains("the script has no reply for request 1"), "{error}");
}

#[test]
fn a_huge_message_comes_out_whole() {
    let text = "ä".repeat(2_600_000);
    let stage = Stage::new([Reply::new().message(&text)]);
    assert_eq!(stage.run().completed(), [message("item_0", &text)]);
}

#[tokio::test]
async fn a_slow_message_is_held_back_at_its_gate() {
    let gate = Gate::closed();
    let stage = Stage::new([Reply::new().slow_message(&["one ", "two"], &gate)]);
    let turn = stage.start("Speak slowly.");
    gate.reached(1).await;
    gate.open_once();
    gate.reached(2).await;
    assert!(!turn.is_finished());
    gate.open_once();
    assert_eq!(turn.join().unwrap().completed(), [message("item_0", "one two")]);
}

#[test]
fn an_item_comes_out_while_the_reply_goes_on() {
    let gate = Gate::closed();
    let stage = Stage::new([Reply::new().message("first").wait(&gate).message("second")]);
    let mut child = stage.spawn("Go on.");
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let first = message("item_0", "first");
    assert!(lines.by_ref().any(|line| serde_json::from_str::<Value>(&line).unwrap() == first));
    gate.open_once();
    let second: Value = serde_json::from_str(&lines.next().unwrap()).unwrap();
    assert_eq!(second, message("item_1", "second"));
    assert!(child.wait().unwrap().success());
}

#[tokio::test]
async fn agents_of_one_model_each_get_the_script_of_their_marker() {
    let stage = Stage::new([]);
    stage.model.script_for("alpha", [Reply::new().message("for alpha")]);
    stage.model.script_for("beta", [Reply::new().message("for beta")]);
    let (beta, alpha) = (stage.start("I am beta."), stage.start("I am alpha."));
    assert_eq!(alpha.join().unwrap().completed(), [message("item_0", "for alpha")]);
    assert_eq!(beta.join().unwrap().completed(), [message("item_0", "for beta")]);
    assert_eq!(stage.model.requested(2).await.len(), 2);
}
