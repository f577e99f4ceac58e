//! Names and values as a query has them.

use crate::{
    json::Json,
    wire::web::{Plus, decoded},
};

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
}
