//! `/v1`: our REST, as a client without any library of ours sees it.

mod bodies;
mod errors;
mod settings;
mod stream;
mod toward_others;

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use serde_json::{Value, json};

use crate::{
    harness::Server,
    raw::{self, Answer},
};

/// A client.
#[derive(Debug, Clone)]
pub(crate) struct Rest {
    address: SocketAddr,
    authorization: String,
}

impl Rest {
    pub(crate) fn new(server: &Server) -> Self {
        Self { address: server.tcp(), authorization: format!("Bearer {}", server.token()) }
    }

    /// Sends a request and reads all of its answer.
    pub(crate) fn send(&self, line: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let authorization = [("authorization", self.authorization.as_str())];
        raw::request(self.address, line, &[&authorization, headers].concat(), body)
    }

    /// Sends JSON, or nothing where it is null.
    pub(crate) fn call(&self, line: &str, body: &Value) -> (u16, Value) {
        let answer = match body {
            Value::Null => self.send(line, &[], b""),
            body => self.send(line, &[JSON], body.to_string().as_bytes()),
        };
        (answer.status, json_of(&answer))
    }

    /// What a request is answered with that must succeed.
    fn ok(&self, line: &str, body: &Value) -> Value {
        let (status, answer) = self.call(line, body);
        assert_eq!(status, 200, "{line}: {answer}");
        answer
    }

    /// A session whose agent follows `script`.
    fn create(&self, server: &Server, script: &str) -> String {
        let body = json!({
            "session": {"workingDirectory": server.work()},
            "prompt": format!("FAKE_AGENT={script}"),
        });
        let created = self.ok("POST /v1/sessions", &body);
        created["session"]["sessionId"].as_str().unwrap().to_owned()
    }

    /// Waits until a session is at rest.
    fn rest(&self, id: &str) -> Value {
        let answer = self.ok(&format!("GET /v1/sessions/{id}/wait?timeout=60s"), &Value::Null);
        assert_eq!(answer["reached"], true, "{answer}");
        answer["session"].clone()
    }

    /// Opens a stream, which must not be refused.
    fn stream(&self, path: &str, headers: &[(&str, &str)]) -> Stream {
        self.try_stream(path, headers).unwrap_or_else(|answer| panic!("{answer:?}"))
    }

    /// Opens a stream, or gives the answer that refuses it.
    pub(crate) fn try_stream(
        &self,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Result<Stream, Answer> {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        // In HTTP/1.0 a body has no framing of its own.
        let mut request = format!(
            "GET {path} HTTP/1.0\r\nhost: {}\r\nauthorization: {}\r\naccept: text/event-stream\r\n",
            self.address, self.authorization
        );
        for (name, value) in headers {
            request += &format!("{name}: {value}\r\n");
        }
        stream.write_all(format!("{request}\r\n").as_bytes()).unwrap();
        let mut reader = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(reader.read_line(&mut head).unwrap(), 0, "{head}");
        }
        if !head.to_ascii_lowercase().contains("content-type: text/event-stream") {
            let mut body = Vec::new();
            reader.read_to_end(&mut body).unwrap();
            let status = head.split(' ').nth(1).unwrap().parse().unwrap();
            return Err(Answer { status, headers: Vec::new(), body });
        }
        Ok(Stream { reader })
    }
}

const JSON: (&str, &str) = ("content-type", "application/json");

fn json_of(answer: &Answer) -> Value {
    assert_eq!(answer.header("content-type"), Some("application/json"), "{answer:?}");
    serde_json::from_slice(&answer.body).unwrap_or_else(|_| panic!("{answer:?}"))
}

/// Server-sent events as they come. It is closed when it is dropped.
#[derive(Debug)]
pub(crate) struct Stream {
    reader: BufReader<TcpStream>,
}

/// One of them.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Event {
    pub(crate) id: Option<String>,
    pub(crate) name: String,
    pub(crate) data: Value,
}

impl Iterator for Stream {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        let (mut id, mut name, mut data) = (None, None, None);
        loop {
            let mut line = String::new();
            if self.reader.read_line(&mut line).unwrap() == 0 {
                assert_eq!((&id, &name, &data), (&None, &None, &None), "half an event");
                return None;
            }
            match line.trim_end_matches('\n').split_once(": ") {
                Some(("id", value)) => id = Some(value.to_owned()),
                Some(("event", value)) => name = Some(value.to_owned()),
                Some(("data", value)) => data = Some(serde_json::from_str(value).unwrap()),
                _ => {
                    assert_eq!(line, "\n");
                    return Some(Event { id, name: name.unwrap(), data: data.unwrap() });
                }
            }
        }
    }
}

impl Stream {
    /// The events up to the first of this name, and that one.
    fn until(&mut self, name: &str) -> Vec<Event> {
        let mut events: Vec<Event> = Vec::new();
        while events.last().is_none_or(|event| event.name != name) {
            match self.next() {
                Some(event) => events.push(event),
                None => panic!("the stream ended before {name}: {events:#?}"),
            }
        }
        events
    }
}

fn names(events: &[Event]) -> Vec<&str> {
    events.iter().map(|event| event.name.as_str()).collect()
}
