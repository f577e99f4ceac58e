//! One answer: scenarios that are written once, in `tests/fixtures/parity`, are
//! played over gRPC, JSON-RPC, `/v1` and `/api`, each on a server of its own, and
//! give the same results, the same streams, and the same reasons with the same
//! metadata and the same words.
//!
//! A line of a scenario is what is expected, the method, and its request:
//!
//! | expected | what must be the same |
//! |---|---|
//! | `ok` | the result |
//! | `~` | that there is one |
//! | a reason | all that the refusal tells |
//! | `reason:` and a reason | the reason; it is found elsewhere, so that the words are others |
//! | `soon:` and a reason | the reason, however often one must ask until it is given |
//!
//! `json:` before it leaves gRPC out, and `rpc:` leaves `/v1` out, and compares the
//! reason: they cannot say what the line says. Lines with `%` are the configuration, those with `#` say
//! something to the reader.
//!
//! Methods that are none: `Next` is the next message like that of a watch which an
//! earlier line opened, `Rest` all of them up to its end (but for one that may
//! repeat some, only the end), and `StopServer` has the server go down.

mod compare;
mod contract;
mod grpc;
mod json_rpc;
mod rest;
mod transport;

use std::{collections::BTreeMap, fs, thread, time::Instant};

use serde_json::{Value, json};

use self::{
    compare::{differing, plain},
    transport::{Refusal, Transport, Watch, named, told},
};
use crate::{
    harness::Server,
    ledger::{self, GIVE_UP},
};

const TABLE: &str = include_str!("../fixtures/errors.txt");

const NAMES: [(&str, &str); 4] = [
    ("$A", "11111111-1111-4111-8111-111111111111"),
    ("$B", "22222222-2222-4222-8222-222222222222"),
    ("$C", "11112222-2222-4222-8222-222222222222"),
    ("$NONE", "33333333-3333-4333-8333-333333333333"),
];

/// What a step gave; null for what is not compared.
type Outcome = Result<Value, Value>;

/// A step of a scenario.
struct Step<'a> {
    line: &'a str,
    /// What comes before the colon.
    mark: &'a str,
    expected: &'a str,
    method: &'a str,
    request: String,
}

fn steps<'a>(scenario: &'a str, work: &str) -> Vec<Step<'a>> {
    let lines = scenario.lines().filter(|line| !line.is_empty() && !line.starts_with(['%', '#']));
    let step = |line: &'a str| {
        let (expected, step) = line.split_once(' ').expect(line);
        let (method, request) = step.split_once(' ').expect(line);
        let (mark, expected) = expected.split_once(':').unwrap_or(("", expected));
        let filled = request.replace("$WORK", work);
        let request = NAMES.iter().fold(filled, |text, (name, id)| text.replace(name, id));
        Step { line, mark, expected, method, request }
    };
    lines.map(step).collect()
}

/// Plays a scenario: what each of its steps gave, none for those left out.
fn play<T: Transport>(mut transport: T, server: &Server, scenario: &str) -> Vec<Option<Outcome>> {
    let work = server.work().display().to_string();
    // An agent's message whose JSON has more escapes than letters.
    let quotes = json!({"id": "q", "type": "agent_message", "text": "\"\n".repeat(14_000)});
    let quotes = json!({"type": "item.completed", "item": quotes});
    fs::write(server.work().join("quotes"), format!("{quotes}\n")).unwrap();
    let mut watches = BTreeMap::new();
    let mut gave = Vec::new();
    for step in steps(scenario, &work) {
        if !transport.says(step.mark) {
            gave.push(None);
            continue;
        }
        let begun = Instant::now();
        let answer = loop {
            let answer = carry_out(&mut transport, server, &mut watches, &step);
            let is_awaited = step.mark == "soon" && answer.is_ok();
            if !is_awaited || begun.elapsed() > GIVE_UP {
                break answer;
            }
            thread::sleep(ledger::RETRY);
        };
        gave.push(Some(judged::<T>(&step, answer, &work)));
    }
    gave
}

fn carry_out<T: Transport>(
    transport: &mut T,
    server: &Server,
    watches: &mut BTreeMap<String, Watch>,
    step: &Step<'_>,
) -> Result<Value, Refusal> {
    let request = transport::request(&step.request);
    let mut of = || {
        let name: String = serde_json::from_str(request["of"].get()).unwrap();
        watches.remove_entry(&name).expect("an open watch")
    };
    match step.method {
        "StopServer" => {
            server.ask_to_stop();
            Ok(Value::Null)
        }
        "Next" => {
            let (name, mut watch) = of();
            let like: Value = serde_json::from_str(request["like"].get()).unwrap();
            let is_like = |message: &Result<Value, Refusal>| {
                message.as_ref().map_or(true, |message| holds(message, &like))
            };
            let next = watch.find(is_like).expect("one more message");
            watches.insert(name, watch);
            next
        }
        "Rest" => {
            let (_, watch) = of();
            let (messages, end) = transport::split(watch.filter(|message| !is_heartbeat(message)));
            let reason = end.as_ref().map_or("END", |end| end.reason.as_str());
            assert_eq!(json!(reason).to_string(), request["end"].get(), "{}", step.line);
            let messages = (!request.contains_key("repeats")).then_some(messages);
            Ok(json!({"messages": messages, "end": end.map(told)}))
        }
        method if method.starts_with("Watch") => {
            let mut watch = transport.open(method, &request)?;
            let mut messages = Vec::new();
            while let Some(message) = watch.next().transpose()? {
                let is_whole = message.get("synced").is_some_and(|synced| {
                    synced.get("sessionId").is_none_or(|session| session == "")
                });
                messages.push(message);
                if is_whole {
                    break;
                }
            }
            watches.insert(method.to_owned(), watch);
            Ok(messages.into())
        }
        method => transport.call(method, &request),
    }
}

fn is_heartbeat(message: &Result<Value, Refusal>) -> bool {
    message.as_ref().is_ok_and(|message| message.get("heartbeat").is_some())
}

/// Whether a message has all that is asked for.
fn holds(message: &Value, asked: &Value) -> bool {
    match asked {
        Value::Object(members) => members
            .iter()
            .all(|(name, asked)| message.get(name).is_some_and(|found| holds(found, asked))),
        asked => message == asked,
    }
}

/// What a step gave, which must be what is expected, with the code that the table
/// has for this transport.
fn judged<T: Transport>(step: &Step<'_>, answer: Result<Value, Refusal>, work: &str) -> Outcome {
    let line = step.line;
    match (step.expected, answer) {
        ("ok", Ok(result)) => Ok(plain(result, work)),
        ("~", Ok(_)) => Ok(Value::Null),
        (expected, Ok(result)) => panic!("{expected} {line}: {result:#}"),
        (expected, Err(refusal)) => {
            let rows = TABLE.lines().filter(|row| row.split(' ').next() == Some(expected));
            let is_in = |row: &str, code: &String| {
                T::COLUMNS.iter().any(|column| row.split(' ').nth(*column) == Some(code))
            };
            let has_code = |row: &str| refusal.code.as_ref().is_some_and(|code| is_in(row, code));
            assert!(rows.into_iter().any(has_code), "{line}: {refusal:?}");
            if refusal.reason.is_empty() {
                return Err(Value::Null);
            }
            assert_eq!(refusal.reason, expected, "{line}: {refusal:?}");
            if matches!(step.mark, "soon" | "rpc" | "reason") {
                return Err(Value::Null);
            }
            Err(named(plain(told(refusal), work)))
        }
    }
}

/// Plays a scenario over each transport, and compares what that gave.
fn check(scenario: &'static str) {
    let config: String = scenario
        .lines()
        .filter_map(|line| line.strip_prefix('%'))
        .map(|line| format!("{}\n", line.trim()))
        .collect();
    let config: &'static str = config.leak();
    let servers: [Server; 4] = std::array::from_fn(|_| ledger::setup().config(config).start());
    let [one, two, three, four] = &servers;
    let [grpc, others @ ..] = thread::scope(|scope| {
        let grpc = scope.spawn(|| play(grpc::transport(one), one, scenario));
        let json_rpc = scope.spawn(|| play(json_rpc::transport(two), two, scenario));
        let rest = scope.spawn(|| play(rest::transport(three), three, scenario));
        let contract = scope.spawn(|| play(contract::transport(four), four, scenario));
        [grpc, json_rpc, rest, contract].map(|played| played.join().expect("it was played"))
    });
    let steps = steps(scenario, "");
    let mut differences = Vec::new();
    let [json_rpc, rest, contract] = others;
    let mut compare = |name: &str, first: &[Option<Outcome>], other: &[Option<Outcome>]| {
        for (step, (expected, given)) in steps.iter().zip(first.iter().zip(other)) {
            let (Some(expected), Some(given)) = (expected, given) else { continue };
            let differs = match (expected, given) {
                (Ok(one), Ok(other)) | (Err(one), Err(other)) => differing("", one, other),
                (expected, given) => Some(format!("{expected:?} and {given:?}")),
            };
            differences.extend(differs.map(|differs| format!("{name}: {}{differs}", step.line)));
        }
    };
    compare("JSON-RPC", &grpc, &json_rpc);
    compare("/v1", &grpc, &rest);
    compare("/v1 and JSON-RPC", &json_rpc, &rest);
    compare("/api", &json_rpc, &contract);
    assert!(differences.is_empty(), "{differences:#?}");
    assert!(!steps.is_empty());
}

macro_rules! scenarios {
    ($($name:ident: $file:literal;)*) => {$(
        #[test]
        fn $name() {
            check(include_str!(concat!("../fixtures/parity/", $file)));
        }
    )*};
}

scenarios! {
    sessions_are_the_same_everywhere: "sessions.txt";
    turns_and_what_they_say_are_the_same_everywhere: "turns.txt";
    settings_controls_and_their_audit_are_the_same_everywhere: "settings.txt";
    locked_defaults_are_the_same_everywhere: "locked.txt";
    expired_events_are_the_same_everywhere: "expired.txt";
    a_full_disk_is_the_same_everywhere: "full.txt";
    streams_are_the_same_everywhere: "watches.txt";
}
