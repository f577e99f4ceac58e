//! Plays a scenario over one transport, and says what each of its steps gave.

use std::{collections::BTreeMap, thread, time::Instant};

use serde_json::{Value, json};

use super::{
    Outcome, TABLE,
    compare::plain,
    stage::Stage,
    step::{NAMES, Step, steps},
    transport::{self, Refusal, Request, Transport, Watch, named, told},
};
use crate::ledger::{GIVE_UP, RETRY};

struct Player<'a, T> {
    stage: &'a mut Stage,
    places: Vec<(&'static str, String)>,
    /// The latest of each method; before the transport, whose runtime they need.
    watches: BTreeMap<String, Watch>,
    transport: T,
    /// What was kept of results, by its name.
    kept: BTreeMap<String, String>,
    /// When each session was deleted, as it was told first.
    deleted: BTreeMap<String, String>,
}

/// What each step of a scenario gave; none for those that the transport cannot say.
pub(super) fn play<T: Transport>(stage: &mut Stage, scenario: &str) -> Vec<Option<Outcome>> {
    let mut player = Player {
        places: stage.places(),
        watches: BTreeMap::new(),
        transport: T::new(&stage.server),
        stage,
        kept: BTreeMap::new(),
        deleted: BTreeMap::new(),
    };
    steps(scenario).iter().map(|step| player.play(step)).collect()
}

impl<T: Transport> Player<'_, T> {
    fn play(&mut self, step: &Step<'_>) -> Option<Outcome> {
        if !self.transport.says(step.mark) {
            return None;
        }
        let request = self.filled(step.request);
        let begun = Instant::now();
        let answer = loop {
            let answer = self.carry_out(step, &request);
            let is_awaited = step.mark == "soon" && answer.is_ok();
            if !is_awaited || begun.elapsed() > GIVE_UP {
                break answer;
            }
            thread::sleep(RETRY);
        };
        if let (Some((name, place)), Ok(result)) = (step.kept, &answer) {
            let text = result.pointer(place).and_then(Value::as_str);
            let text = text.unwrap_or_else(|| panic!("{}: {result:#}", step.line));
            self.kept.insert(name.to_owned(), text.to_owned());
        }
        Some(self.judged(step, answer))
    }

    /// A request with what its names stand for.
    fn filled(&self, request: &str) -> String {
        let places = self.places.iter().map(|(name, place)| (*name, place.as_str()));
        // The longer name first, where one begins another.
        let kept = self.kept.iter().rev().map(|(name, text)| (name.as_str(), text.as_str()));
        places.chain(NAMES).chain(kept).fold(request.to_owned(), |request, (name, text)| {
            let quoted = Value::from(text).to_string();
            request.replace(name, &quoted[1..quoted.len() - 1])
        })
    }

    fn carry_out(&mut self, step: &Step<'_>, text: &str) -> Result<Value, Refusal> {
        let request = transport::request(text);
        let of =
            |request: &Request| -> String { serde_json::from_str(request["of"].get()).unwrap() };
        match step.method {
            "Next" => {
                let like: Value = serde_json::from_str(request["like"].get()).unwrap();
                let begun = Instant::now();
                let is_like = |message: &Result<Value, Refusal>| {
                    assert!(begun.elapsed() < GIVE_UP, "waited in vain: {}", step.line);
                    message.as_ref().map_or(true, |message| holds(message, &like))
                };
                let watch = self.watches.get_mut(&of(&request)).expect("an open watch");
                watch.find(is_like).expect("one more message")
            }
            "Rest" => {
                let watch = self.watches.remove(&of(&request)).expect("an open watch");
                let (messages, end) =
                    transport::split(watch.filter(|message| !is_heartbeat(message)));
                let reason = end.as_ref().map_or("END", |end| end.reason.as_str());
                assert_eq!(json!(reason).to_string(), request["end"].get(), "{}", step.line);
                if let Some(end) = &end {
                    self.note_deletion(end);
                }
                let messages = (!request.contains_key("repeats")).then_some(messages);
                Ok(json!({"messages": messages, "end": end.map(told)}))
            }
            "Knock" => {
                self.transport.knock(&self.stage.server, &serde_json::from_str(text).unwrap())
            }
            method if method.starts_with("Watch") => self.open(method, &request),
            method => {
                let request_of_stage = serde_json::from_str::<Value>(text).ok();
                let done = request_of_stage
                    .and_then(|asked| self.stage.carry_out(method, &asked, T::CONNECTIONS));
                if method == "StartServer" {
                    self.watches.clear();
                    self.transport = T::new(&self.stage.server);
                }
                done.map_or_else(|| self.transport.call(method, &request), Ok)
            }
        }
    }

    /// Opens a watch; gives what it says of what is there already.
    fn open(&mut self, method: &str, request: &Request) -> Result<Value, Refusal> {
        let mut watch = self.transport.open(method, request)?;
        let mut messages = Vec::new();
        while let Some(message) = watch.next().transpose()? {
            let is_whole = message
                .get("synced")
                .is_some_and(|synced| synced.get("sessionId").is_none_or(|session| session == ""));
            messages.push(message);
            if is_whole {
                break;
            }
        }
        self.watches.insert(method.to_owned(), watch);
        Ok(messages.into())
    }

    /// What a step gave, which must be what is expected, with the code and the
    /// metadata that the table has for it.
    fn judged(&mut self, step: &Step<'_>, answer: Result<Value, Refusal>) -> Outcome {
        let line = step.line;
        let refusal = match (step.expected, answer) {
            ("ok", Ok(mut result)) => {
                if let (Value::Array(messages), "any") = (&mut result, step.mark) {
                    messages.sort_by_key(session_of);
                }
                return Ok(plain(result, &self.places));
            }
            ("~", Ok(_)) => return Ok(Value::Null),
            (expected, Ok(result)) => panic!("{expected} {line}: {result:#}"),
            (_, Err(refusal)) => refusal,
        };
        let rows = TABLE.lines().filter(|row| row.split(' ').next() == Some(step.expected));
        let has_code = |row: &&str| {
            let mut codes = T::COLUMNS.iter().map(|column| row.split(' ').nth(*column));
            // What ends a stream of server-sent events has none.
            refusal.code.is_none() || codes.any(|code| code == refusal.code.as_deref())
        };
        let rows: Vec<_> = rows.filter(has_code).collect();
        assert!(!rows.is_empty(), "{line}: {refusal:?}");
        if refusal.reason.is_empty() {
            return Err(Value::Null);
        }
        assert_eq!(refusal.reason, step.expected, "{line}: {refusal:?}");
        let has_keys = |row: &&str| {
            let (_, keys) = row.trim_end_matches(']').split_once('[').unwrap();
            let is_key = |key: &String| keys.split(' ').any(|known| known == key);
            refusal.metadata.as_object().is_some_and(|metadata| metadata.keys().all(is_key))
        };
        assert!(rows.iter().any(has_keys), "{line}: {refusal:?}");
        self.note_deletion(&refusal);
        if matches!(step.mark, "soon" | "rpc" | "reason") {
            return Err(Value::Null);
        }
        Err(named(plain(told(refusal), &self.places)))
    }

    /// A session that was deleted was deleted at one time, whoever is told it.
    fn note_deletion(&mut self, refusal: &Refusal) {
        if refusal.reason == "SESSION_DELETED" {
            let text = |name: &str| refusal.metadata[name].as_str().expect(name).to_owned();
            let time = text("delete_time");
            let known = self.deleted.entry(text("session_id")).or_insert_with(|| time.clone());
            assert_eq!(*known, time, "{refusal:?}");
        }
    }
}

/// The session that a message of a watch is about; empty for none.
fn session_of(message: &Value) -> String {
    let places = ["/header/session", "/event", "/synced", "/leftOut"];
    let id = places.iter().find_map(|place| message.pointer(place)?.get("sessionId")?.as_str());
    id.unwrap_or_default().to_owned()
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
