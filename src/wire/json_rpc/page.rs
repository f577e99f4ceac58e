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

/// The calls that read a page again, each time a smaller one: for a page whose text is
/// larger than [`MOST_TEXT_BYTES`], since escapes and names take more in JSON. None
/// where the client says what it can take, or the page is bounded otherwise.
pub(super) fn smaller(method: &Method, message: &Json) -> impl Iterator<Item = Json> + use<> {
    let input = schema().message(&method.rpc.input);
    let is_bound = |name: &str| input.field(name).is_some_and(|field| field.name == "max_bytes");
    let is_none =
        |value: &Json| value.as_number().map_or(value.is_null(), |n| n.as_u64() == Some(0));
    let members = message.as_object().unwrap_or_default();
    let is_open = is_bound("maxBytes")
        && members.iter().all(|(name, value)| !is_bound(name) || is_none(value));
    let others: Vec<_> = members.iter().filter(|(name, _)| !is_bound(name)).cloned().collect();
    let halves = std::iter::successors(Some(DEFAULT_MAX_EVENT_BYTES_IN_JSON / 2), |n| Some(n / 2));
    halves.take_while(move |bytes| is_open && *bytes >= LEAST_BYTES).map(move |bytes| {
        let mut members = others.clone();
        members.push(("maxBytes".to_owned(), bytes.into()));
        Json::Object(members)
    })
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
        let again = |name: &str, message: &str| -> Vec<String> {
            let message = Json::parse(message).unwrap();
            let calls = smaller(find(name).unwrap(), &message);
            calls.map(|call| call.to_string()).collect()
        };
        let all = [
            r#"{"turn":1,"maxBytes":262144}"#,
            r#"{"turn":1,"maxBytes":131072}"#,
            r#"{"turn":1,"maxBytes":65536}"#,
        ];
        for name in ["session/listMessages", "session/getTrajectory"] {
            for message in [r#"{"turn":1}"#, r#"{"maxBytes":0,"turn":1}"#] {
                assert_eq!(again(name, message), all, "{name} {message}");
            }
        }
        assert_eq!(again("events/list", r#"{"max_bytes":null}"#).len(), 3);
        assert!(again("events/list", r#"{"max_bytes":1000000}"#).is_empty());
        assert!(again("session/list", "{}").is_empty());
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
