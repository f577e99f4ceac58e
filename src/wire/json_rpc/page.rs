//! Answers that may be large: pages of what there is, and chunks of output.

use super::{
    CALLER,
    methods::{Call, Method},
};
use crate::{
    Result,
    json::Json,
    proto,
    wire::{
        operations::event::{DEFAULT_MAX_EVENT_BYTES_IN_JSON, waits},
        schema::{Kind, Shape, schema},
        transcode,
    },
};

/// The bounds of what is only waited for: one event, however it is cut.
const LEAST: [(&str, u32); 2] = [("pageSize", 1), ("maxBytes", LEAST_BYTES)];

/// The least that `maxBytes` may be.
const LEAST_BYTES: u32 = 64 << 10;

/// The largest page for a client that does not say what it can take, as the text that
/// it is: below the 1 MiB of a message that many a client takes by default, with room
/// for what is around it.
pub(super) const MOST_TEXT_BYTES: usize = (1 << 20) - (16 << 10);

impl Method {
    /// Whether codex itself is asked first: that takes its time, for which no room is
    /// kept, and its answer may be large.
    pub(super) fn asks_codex(&self) -> bool {
        self.rpc.service == "ConfigLockService"
    }

    /// Whether its answer is a page or a chunk: it has many of something, or bytes.
    pub(super) fn is_page(&self) -> bool {
        let output = schema().message(&self.rpc.output);
        let may_be_large = output.fields.iter().any(|field| {
            let is_message = matches!(field.kind, Kind::Message(_));
            (field.shape == Shape::Many && is_message) || field.kind == Kind::Bytes
        });
        matches!(self.call, Call::Unary(_)) && may_be_large && !self.asks_codex()
    }
}

/// A page that is waited for: the call that waits, and the one that reads.
///
/// # Errors
///
/// As its operation has them: nobody waits for what is refused then.
pub(super) fn split(method: &Method, message: &Json) -> Result<Option<(Json, Json)>> {
    let Some(members) = message.as_object() else { return Ok(None) };
    if method.name != "events/list" || message.get("wait").is_none() {
        return Ok(None);
    }
    let input = schema().message(&method.rpc.input);
    let request: proto::ListEventsRequest = transcode::read(input, message.clone())?;
    if !waits(&CALLER, request)? {
        return Ok(None);
    }
    let without = |names: &[&str]| {
        let is_named = |name: &str| {
            input.field(name).is_some_and(|field| names.contains(&field.json.as_str()))
        };
        members.iter().filter(|(name, _)| !is_named(name)).cloned().collect::<Vec<_>>()
    };
    let mut wait = without(&LEAST.map(|(name, _)| name));
    wait.extend(LEAST.map(|(name, least)| (name.to_owned(), least.into())));
    Ok(Some((Json::Object(wait), Json::Object(without(&["wait"])))))
}

/// Whether a page may be as large as it is by default: its client does not say what it
/// can take.
pub(super) fn is_by_default(method: &Method, message: &Json) -> bool {
    let input = schema().message(&method.rpc.input);
    let is_none = |value: &Json| match (value.as_number(), value.as_str()) {
        (Some(number), _) => number.as_u64() == Some(0),
        (None, Some(text)) => text == "0",
        (None, None) => value.is_null(),
    };
    let is_bound = |name: &str| input.field(name).is_some_and(|field| field.json == "maxBytes");
    let members = message.as_object().unwrap_or_default();
    is_bound("maxBytes") && members.iter().all(|(name, value)| !is_bound(name) || is_none(value))
}

/// The call that reads a page again where its text is larger than [`MOST_TEXT_BYTES`],
/// since escapes and names take more in JSON: with fewer entries, and where there is one
/// with fewer bytes of it. None where it cannot be smaller.
pub(super) fn smaller(method: &Method, message: &Json, page: &str) -> Option<Json> {
    let entries = Json::parse(page).ok()?;
    let entries = entries.as_object()?.iter().find_map(|(_, value)| value.as_array())?.len();
    if entries > 1 {
        let fitting = entries * MOST_TEXT_BYTES / page.len();
        return Some(with(method, message, "pageSize", fitting.clamp(1, entries - 1) as u64));
    }
    let bytes = message.get("maxBytes").and_then(|bytes| bytes.as_number()?.as_u64());
    let bytes = bytes.filter(|bytes| *bytes > 0).unwrap_or(DEFAULT_MAX_EVENT_BYTES_IN_JSON.into());
    let half = bytes / 2;
    (half >= LEAST_BYTES.into()).then(|| with(method, message, "maxBytes", half))
}

/// A request with another value of a number, by whichever name it was given.
fn with(method: &Method, message: &Json, name: &str, value: u64) -> Json {
    let input = schema().message(&method.rpc.input);
    let is_it = |given: &str| input.field(given).is_some_and(|field| field.json == name);
    let members = message.as_object().unwrap_or_default();
    let others = members.iter().filter(|(given, _)| !is_it(given)).cloned();
    Json::Object(others.chain([(name.to_owned(), value.into())]).collect())
}

#[cfg(test)]
mod tests {
    use super::{super::methods::find, *};

    #[test]
    fn pages_and_chunks_are_those_that_may_be_large() {
        for (name, is_page) in [
            ("events/list", true),
            ("session/list", true),
            ("session/listMessages", true),
            ("session/getTrajectory", true),
            ("session/readOutput", true),
            ("audit/list", true),
            ("session/wait", false),
            ("session/get", false),
            ("server/info", false),
            ("configLock/verify", false),
            ("events/watch", false),
        ] {
            assert_eq!(find(name).unwrap().is_page(), is_page, "{name}");
        }
    }

    #[test]
    fn a_page_is_read_again_smaller_where_its_client_does_not_say_what_it_can_take() {
        let is_by_default = |name: &str, message: &str| {
            super::is_by_default(find(name).unwrap(), &Json::parse(message).unwrap())
        };
        for message in
            [r#"{"turn":1}"#, r#"{"maxBytes":0}"#, r#"{"max_bytes":null}"#, r#"{"maxBytes":"0"}"#]
        {
            for name in ["session/listMessages", "session/getTrajectory", "events/list"] {
                assert!(is_by_default(name, message), "{name} {message}");
            }
        }
        assert!(!is_by_default("events/list", r#"{"max_bytes":1000000}"#));
        assert!(!is_by_default("events/list", r#"{"maxBytes":"1000000"}"#));
        assert!(!is_by_default("session/list", "{}"));
    }

    #[test]
    fn fewer_entries_come_before_fewer_bytes_of_one() {
        let again = |message: &str, entries: usize, bytes: usize| {
            let page = format!(r#"{{"messages":[{}]}}"#, vec!["0"; entries].join(","));
            let page = page.clone() + &" ".repeat(bytes - page.len());
            let message = Json::parse(message).unwrap();
            let call = smaller(find("session/listMessages").unwrap(), &message, &page);
            call.map(|call| call.to_string())
        };
        let told = |text: &str| Some(text.to_owned());
        let large = 4 * MOST_TEXT_BYTES;
        let request = r#"{"turn":1,"page_size":500}"#;
        assert_eq!(again(request, 100, large), told(r#"{"turn":1,"pageSize":25}"#));
        assert_eq!(again(request, 100, MOST_TEXT_BYTES + 1), told(r#"{"turn":1,"pageSize":99}"#));
        assert_eq!(again(request, 2, large), told(r#"{"turn":1,"pageSize":1}"#));
        let one = r#"{"pageSize":1,"max_bytes":0}"#;
        assert_eq!(again(one, 1, large), told(r#"{"pageSize":1,"maxBytes":262144}"#));
        let less = r#"{"pageSize":1,"maxBytes":131072}"#;
        assert_eq!(again(less, 1, large), told(r#"{"pageSize":1,"maxBytes":65536}"#));
        assert_eq!(again(r#"{"pageSize":1,"maxBytes":65536}"#, 1, large), None);
    }

    #[test]
    fn a_long_poll_is_a_wait_and_a_page() {
        let method = find("events/list").unwrap();
        let id = "00000000-0000-4000-8000-000000000000";
        let text = format!(r#"{{"sessionId":"{id}","page_size":9,"wait":"5s"}}"#);
        let (wait, page) = split(method, &Json::parse(&text).unwrap()).unwrap().unwrap();
        let least = format!(r#"{{"sessionId":"{id}","wait":"5s","pageSize":1,"maxBytes":65536}}"#);
        assert_eq!(wait, Json::parse(&least).unwrap());
        let whole = format!(r#"{{"sessionId":"{id}","page_size":9}}"#);
        assert_eq!(page, Json::parse(&whole).unwrap());
        let text = text.replace("5s", "0s");
        assert!(split(method, &Json::parse(&text).unwrap()).unwrap().is_none());
        let text = text.replace("0s", "9000s");
        assert!(split(method, &Json::parse(&text).unwrap()).is_err());
    }
}
