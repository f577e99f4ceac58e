//! Names and values as a query has them.

use crate::json::Json;

/// What a plus sign means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Plus {
    /// Itself, as in a path.
    IsPlus,
    /// A space, as in a query.
    IsSpace,
}

/// The parameters of a query as an object: one that is there several times is an
/// array. What cannot be decoded stays as it is.
pub(super) fn parse(query: &str) -> Json {
    let mut members: Vec<(String, Json)> = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let text = |text: &str| decoded(text, Plus::IsSpace).unwrap_or_else(|| text.to_owned());
        let (name, value) = (text(name), Json::from(text(value)));
        match members.iter_mut().find(|(known, _)| *known == name) {
            None => members.push((name, value)),
            Some((_, Json::Array(values))) => values.push(value),
            Some((_, first)) => *first = Json::Array(vec![first.clone(), value]),
        }
    }
    Json::Object(members)
}

/// A text without its percent escapes; none where one is malformed, or what they
/// stand for is not UTF-8.
pub(super) fn decoded(text: &str, plus: Plus) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        bytes.push(match (byte, plus) {
            (b'+', Plus::IsSpace) => b' ',
            (b'%', _) => {
                let (digits, after) = rest.split_first_chunk::<2>()?;
                rest = after;
                let digits = digits.map(|digit| char::from(digit).to_digit(16));
                let [Some(high), Some(low)] = digits else { return None };
                u8::try_from(high * 16 + low).ok()?
            }
            (byte, _) => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded_and_repeated_ones_are_arrays() {
        let json = |text: &str| Json::parse(text).unwrap();
        assert_eq!(parse(""), json("{}"));
        assert_eq!(parse("key=a+b%2Fc&scope"), json(r#"{"key":"a b/c","scope":""}"#));
        assert_eq!(parse("a=1&b=2&a=3&a=4"), json(r#"{"a":["1","3","4"],"b":"2"}"#));
        assert_eq!(parse("a=%zz&b=%ff+"), json(r#"{"a":"%zz","b":"%ff+"}"#));
    }

    #[test]
    fn malformed_escapes_are_not_decoded() {
        assert_eq!(decoded("a+b%20%C3%A9", Plus::IsPlus).as_deref(), Some("a+b é"));
        for text in ["%", "%4", "%zz", "100%", "%ff", "%+1"] {
            assert_eq!(decoded(text, Plus::IsPlus), None, "{text}");
        }
    }
}
