//! Names and texts as a query has them, put in their places in a message.
//!
//! `pageSize=10`, `states=A&states=B` for what is repeated, `labels[team]=x` for
//! a map, `filter.actor=x` for what is in a message.

use crate::{
    Error, Result,
    json::Json,
    wire::{
        schema::{self, Kind, Message, Shape, schema},
        transcode,
        web::{Plus, decoded},
    },
};

type Members = Vec<(String, Json)>;

/// The parameters of a query, decoded.
///
/// # Errors
///
/// INVALID_ARGUMENT for what is not UTF-8 when it is decoded.
pub(super) fn parameters(query: &str) -> Result<Vec<(String, String)>> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name =
                decoded(name, Plus::IsSpace).ok_or_else(|| Error::invalid("query", MALFORMED))?;
            match decoded(value, Plus::IsSpace) {
                Some(value) => Ok((name, value)),
                None => Err(Error::invalid(name, MALFORMED)),
            }
        })
        .collect()
}

/// What is wrong with a text that cannot be decoded.
pub(super) const MALFORMED: &str = "expected UTF-8, with % before two hexadecimal digits";

/// Puts a text in its place.
///
/// # Errors
///
/// INVALID_ARGUMENT where the message has no such field, or has another value
/// there already.
pub(super) fn put(
    message: &Message,
    members: &mut Members,
    name: &str,
    text: String,
) -> Result<()> {
    put_in(message, members, name, name, text)
}

fn put_in(
    message: &Message,
    members: &mut Members,
    whole: &str,
    name: &str,
    text: String,
) -> Result<()> {
    let invalid = |problem: String| Err(Error::invalid(whole.to_owned(), problem));
    let end = name.find(['.', '[']).unwrap_or(name.len());
    let (head, rest) = name.split_at(end);
    let Some(field) = message.field(head) else {
        return invalid(format!("{} {}", message.name, transcode::UNKNOWN));
    };
    let of_key = rest.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    match (field.shape, &field.kind, of_key, rest.strip_prefix('.')) {
        (Shape::One, Kind::Message(inner), None, Some(rest)) => {
            let inner = schema().message(inner);
            put_in(inner, object(members, &field.json), whole, rest, text)
        }
        (Shape::Map, _, Some(key), None) => {
            let value = transcode::of_text(field, whole, text)?;
            insert(object(members, &field.json), key, value, whole)
        }
        (Shape::Map, ..) => invalid(format!("give its values one by one: {head}[KEY]=VALUE")),
        (Shape::Many, _, None, None) => {
            let value = transcode::of_text(field, whole, text)?;
            match members.iter_mut().find(|(known, _)| *known == field.json) {
                Some((_, Json::Array(elements))) => elements.push(value),
                Some(_) | None => members.push((field.json.clone(), vec![value].into())),
            }
            Ok(())
        }
        (Shape::One, _, None, None) => {
            let value = transcode::of_text(field, whole, text)?;
            insert(members, &field.json, value, whole)
        }
        (Shape::One | Shape::Many, ..) => invalid(format!("{head} has nothing in it by name")),
    }
}

/// Adds what is given elsewhere; what is given twice must be the same.
///
/// # Errors
///
/// INVALID_ARGUMENT where it is not.
pub(super) fn join(message: &Message, members: &mut Members, other: Members) -> Result<()> {
    for (name, value) in other {
        let known = members.iter_mut().find(|(known, _)| {
            *known == name || message.field(known).is_some_and(|field| field.json == name)
        });
        let values = match message.field(&name).map(|field| &field.kind) {
            Some(Kind::Enum(name)) => schema().enumeration(name).values.as_slice(),
            Some(_) | None => &[],
        };
        match known {
            Some((_, found @ Json::Null)) => *found = value,
            Some((_, found)) if agree(&named(values, found), &value) => {}
            // What is none of its values is refused as that when it is read.
            Some((_, found)) if !values.is_empty() && !is_one_of(values, found) => {}
            Some(_) => {
                let name = message.field(&name).map_or(name.as_str(), |field| field.called());
                let problem = "the body says another value than the path, query or headers";
                return Err(Error::invalid(name.to_owned(), problem));
            }
            None => members.push((name, value)),
        }
    }
    Ok(())
}

/// A value of an enumeration by its name, where it is given as its number.
fn named(values: &[schema::Value], given: &Json) -> Json {
    let found = values.iter().find(|value| is_numbered(value, given));
    found.map_or_else(|| given.clone(), |value| value.name.as_str().into())
}

fn is_one_of(values: &[schema::Value], given: &Json) -> bool {
    values.iter().any(|value| given.as_str() == Some(&value.name) || is_numbered(value, given))
}

fn is_numbered(value: &schema::Value, given: &Json) -> bool {
    matches!(given, Json::Number(number) if number.as_i64() == Some(value.number.into()))
}

fn insert(members: &mut Members, name: &str, value: Json, whole: &str) -> Result<()> {
    match members.iter().find(|(known, _)| known == name) {
        Some((_, found)) if agree(found, &value) => Ok(()),
        Some(_) => Err(Error::invalid(whole.to_owned(), "is given twice, with different values")),
        None => {
            members.push((name.to_owned(), value));
            Ok(())
        }
    }
}

/// The object that is a member, made where it is not there.
fn object<'a>(members: &'a mut Members, name: &str) -> &'a mut Members {
    let at = members.iter().position(|(known, _)| known == name).unwrap_or_else(|| {
        members.push((name.to_owned(), Json::Object(Vec::new())));
        members.len() - 1
    });
    if !matches!(members[at].1, Json::Object(_)) {
        members[at].1 = Json::Object(Vec::new());
    }
    match &mut members[at].1 {
        Json::Object(inner) => inner,
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) | Json::Array(_) => {
            unreachable!("it was made an object")
        }
    }
}

/// Whether two values are the same, a number as its text.
fn agree(a: &Json, b: &Json) -> bool {
    let text = |json: &Json| match json {
        Json::Number(number) => Json::from(number.as_str()),
        Json::Null | Json::Bool(_) | Json::String(_) | Json::Array(_) | Json::Object(_) => {
            json.clone()
        }
    };
    a == b || text(a) == text(b)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a query is as the JSON of a message.
    fn check(message: &str, query: &str, expected: &str) {
        let mut members = Vec::new();
        let all = parameters(query).and_then(|parameters| {
            parameters.into_iter().try_for_each(|(name, value)| {
                put(schema().message(message), &mut members, &name, value)
            })
        });
        let found = match all {
            Ok(()) => Json::Object(members).to_string(),
            Err(error) => error.to_string(),
        };
        assert_eq!(found, expected, "{query}");
    }

    #[test]
    fn a_query_is_read_by_the_fields_of_its_message() {
        let list = "ListSessionsRequest";
        check(list, "", "{}");
        check(
            list,
            "pageSize=5&page_token=a%2Bb+c&states=A&states=B&includeSystemOwned=true",
            r#"{"pageSize":"5","pageToken":"a+b c","states":["A","B"],"includeSystemOwned":true}"#,
        );
        check(
            list,
            "labels[a.b]=1&labels%5B%C3%A9]=&labels[]=x&createdAfter=2026-01-01T00:00:00Z",
            r#"{"labels":{"a.b":"1","é":"","":"x"},"createdAfter":"2026-01-01T00:00:00Z"}"#,
        );
        check(list, "pageSize=5&page_size=5", r#"{"pageSize":"5"}"#);
        check(
            "CreateSessionRequest",
            "session.title=x&session.labels[k]=v",
            r#"{"session":{"title":"x","labels":{"k":"v"}}}"#,
        );
    }

    #[test]
    fn what_a_message_does_not_have_is_refused_by_its_name() {
        let list = "ListSessionsRequest";
        check(list, "nope=1", "nope: ListSessionsRequest has no such field");
        check(list, "=1", ": ListSessionsRequest has no such field");
        check(list, "pageSize=5&pageSize=6", "pageSize: is given twice, with different values");
        check(list, "labels[a]=1&labels[a]=2", "labels[a]: is given twice, with different values");
        check(list, "labels=1", "labels: give its values one by one: labels[KEY]=VALUE");
        check(list, "states.x=1", "states.x: states has nothing in it by name");
        check(list, "source[x]=1", "source[x]: source has nothing in it by name");
        check(
            list,
            "includeSystemOwned=1",
            "includeSystemOwned: expected true or false, found \"1\"",
        );
        check(list, "source=%", "source: expected UTF-8, with % before two hexadecimal digits");
        check(list, "source=%ff", "source: expected UTF-8, with % before two hexadecimal digits");
        check(list, "%+1=x", "query: expected UTF-8, with % before two hexadecimal digits");
        check(
            "CreateSessionRequest",
            "session=x",
            "session: give its fields one by one, such as session.FIELD=VALUE",
        );
    }
}
