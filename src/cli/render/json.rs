//! JSON for people: indented, numbers as they were written. Pure.

use crate::json::Json;

/// The value on as many lines as it has members and elements.
#[must_use]
pub(in crate::cli) fn indented(json: &Json) -> String {
    let mut text = String::new();
    write(json, 0, &mut text);
    text
}

fn write(json: &Json, depth: usize, to: &mut String) {
    match json {
        Json::Array(elements) if !elements.is_empty() => {
            to.push('[');
            for (at, element) in elements.iter().enumerate() {
                begin(at, depth + 1, to);
                write(element, depth + 1, to);
            }
            end(depth, ']', to);
        }
        Json::Object(members) if !members.is_empty() => {
            to.push('{');
            for (at, (name, value)) in members.iter().enumerate() {
                begin(at, depth + 1, to);
                Json::from(name.as_str()).write(to);
                to.push_str(": ");
                write(value, depth + 1, to);
            }
            end(depth, '}', to);
        }
        Json::Null
        | Json::Bool(_)
        | Json::Number(_)
        | Json::String(_)
        | Json::Array(_)
        | Json::Object(_) => json.write(to),
    }
}

fn begin(at: usize, depth: usize, to: &mut String) {
    to.push_str(if at == 0 { "\n" } else { ",\n" });
    to.push_str(&"  ".repeat(depth));
}

fn end(depth: usize, bracket: char, to: &mut String) {
    to.push('\n');
    to.push_str(&"  ".repeat(depth));
    to.push(bracket);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_something_is_indented() {
        let json = Json::parse(r#"{"a":[1.0,{}],"b":{"c":"x\n"},"d":[]}"#).unwrap();
        assert_eq!(
            indented(&json),
            "{\n  \"a\": [\n    1.0,\n    {}\n  ],\n  \"b\": {\n    \"c\": \"x\\n\"\n  },\n  \"d\": []\n}"
        );
    }
}
