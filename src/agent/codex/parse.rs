//! One line of `codex exec --json` → what happened.
//!
//! Pure and total: any bytes give a kind of event, nothing panics, nothing is
//! an error. The usual line is read once, strictly ([`strict`]). What that
//! cannot read goes a slower way that first asks whether the line is JSON at
//! all, and then keeps as much of it as can be understood:
//!
//! ```text
//! not UTF-8, not JSON, blank                 → InvalidLine
//! JSON, but no object of a type known here   → Unknown
//! an item whose details have another shape   → the item without details
//! the end of a turn with other details       → the end of the turn, all the same
//! any other known type with another shape    → Unknown
//! ```
//!
//! Half of a surrogate pair in a string becomes U+FFFD, as codex itself does
//! with bytes that are not UTF-8. `raw`, beside the kind, is the authority.

use std::borrow::Cow;

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, Visitor},
};
use serde_json::value::RawValue;

use crate::{
    event::repair_surrogates,
    proto::{self, event::Kind},
};

mod strict;

/// Reads one line, without its line feed.
#[must_use]
pub(crate) fn parse(line: &[u8]) -> Kind {
    let text = match std::str::from_utf8(line) {
        Ok(text) => text,
        Err(error) => {
            return invalid_line(format!("not UTF-8 from byte {}", error.valid_up_to() + 1));
        }
    };
    strict::event(text, None).unwrap_or_else(|_| parse_leniently(text))
}

/// What a line is that is longer than can be handed on.
#[must_use]
pub(crate) fn oversized_line(size: u64, limit: usize) -> Kind {
    invalid_line(format!("the line has {size} bytes; at most {limit} are read"))
}

/// Reads a line that is not as this version expects it.
fn parse_leniently(text: &str) -> Kind {
    if let Err(error) = serde_json::from_str::<IgnoredAny>(text) {
        return invalid_line(match text.trim_ascii() {
            "" => "the line is blank".to_owned(),
            _ => format!("not JSON: {error}"),
        });
    }
    let text = repair_surrogates(text);
    if let Cow::Owned(repaired) = &text
        && let Ok(kind) = strict::event(repaired, None)
    {
        return kind;
    }
    // Not an object, or one whose keys cannot be read: there is no type.
    let head: Head<'_> = serde_json::from_str(&text).unwrap_or_default();
    let r#type = head.type_name();
    // The type may stand behind what it explains.
    if let Ok(kind) = strict::event(&text, Some(&r#type)) {
        return kind;
    }
    if let Some(item) = head.item
        && let Some(item) = parse_item_leniently(item)
        && let Some(kind) = strict::item_event(&r#type, item)
    {
        return kind;
    }
    // What a turn came to must not hang on the shape of a detail.
    match &*r#type {
        strict::TURN_COMPLETED => Kind::TurnCompleted(proto::TurnCompleted { usage: None }),
        strict::TURN_FAILED => Kind::TurnFailed(proto::TurnFailed {
            message: head.error.map(|error| error.get().to_owned()).unwrap_or_default(),
        }),
        _ => Kind::Unknown(proto::Unknown { r#type: r#type.into_owned() }),
    }
}

/// Reads an item that is not as this version expects it; none where it is not
/// an object.
fn parse_item_leniently(item: &RawValue) -> Option<proto::Item> {
    let head: Head<'_> = serde_json::from_str(item.get()).ok()?;
    let r#type = head.type_name();
    Some(strict::item(item.get(), &r#type).unwrap_or_else(|_| proto::Item {
        id: head.id.and_then(string).map(Cow::into_owned).unwrap_or_default(),
        r#type: r#type.into_owned(),
        details: None,
    }))
}

fn invalid_line(problem: String) -> Kind {
    Kind::InvalidLine(proto::InvalidLine { problem })
}

/// The `type` of a JSON object; empty where it has none.
fn type_of(object: &RawValue) -> String {
    serde_json::from_str::<Head<'_>>(object.get()).unwrap_or_default().type_name().into_owned()
}

/// The members of an object that say what it is, unread. Of duplicate keys the
/// first counts.
#[derive(Debug, Default)]
struct Head<'a> {
    r#type: Option<&'a RawValue>,
    id: Option<&'a RawValue>,
    item: Option<&'a RawValue>,
    error: Option<&'a RawValue>,
}

impl<'a> Head<'a> {
    /// The type; empty where it is not a string.
    fn type_name(&self) -> Cow<'a, str> {
        self.r#type.and_then(string).unwrap_or_default()
    }
}

impl<'de> Deserialize<'de> for Head<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = Head<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut head = Head::default();
                while let Some(Key(key)) = map.next_key()? {
                    let place = match &*key {
                        "type" => &mut head.r#type,
                        "id" => &mut head.id,
                        "item" => &mut head.item,
                        "error" => &mut head.error,
                        _ => {
                            map.next_value::<IgnoredAny>()?;
                            continue;
                        }
                    };
                    let value = map.next_value()?;
                    place.get_or_insert(value);
                }
                Ok(head)
            }
        }

        deserializer.deserialize_map(Members)
    }
}

/// A string, borrowed where it has no escapes; none where it is another value.
fn string(json: &RawValue) -> Option<Cow<'_, str>> {
    serde_json::from_str(json.get()).ok().map(|Key(string)| string)
}

/// A key or another short string, borrowed where it has no escapes.
struct Key<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl<'de> Visitor<'de> for Text {
            type Value = Key<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Key(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Key(Cow::Owned(text.to_owned())))
            }
        }

        deserializer.deserialize_str(Text)
    }
}

#[cfg(test)]
mod tests;
