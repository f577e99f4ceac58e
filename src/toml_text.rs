//! Values of TOML as text: on one line, and as a document for people to read.
//!
//! A leaf: config locks are written by it, and what codex is given by `-c`. The
//! same value is the same text always: keys are in order, and nothing depends on
//! how the value was read.

use toml::{Table, Value};

/// How long an array may be before each of its values has a line of its own.
const MAX_ARRAY_CHARACTERS: usize = 100;

/// One value of a document, or the head of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The dotted key of the table; empty outside of tables.
    pub table: String,
    /// The key in the table, as TOML; empty for the head.
    pub key: String,
    /// Its lines, each with its line feed.
    pub text: String,
}

impl Entry {
    /// A value in a table.
    #[must_use]
    pub fn new(table: &str, key: &str, value: &Value) -> Self {
        let key = dotted("", key);
        let mut text = format!("{key} = ");
        match value {
            Value::String(string) if string.contains('\n') => write_lines(&mut text, string),
            Value::Array(values) => write_array(&mut text, values),
            Value::String(_)
            | Value::Integer(_)
            | Value::Float(_)
            | Value::Boolean(_)
            | Value::Datetime(_)
            | Value::Table(_) => write_value(&mut text, value),
        }
        text.push('\n');
        Self { table: table.to_owned(), key, text }
    }
}

/// Adds a table to a document, and after its values the tables in it; `name` is
/// its dotted key. A table that has nothing but tables needs no head.
pub fn write_table(document: &mut Vec<Entry>, name: &str, table: &Table) {
    if table.is_empty() || table.values().any(|value| !value.is_table()) {
        let text = format!("\n[{name}]\n");
        document.push(Entry { table: name.to_owned(), key: String::new(), text });
    }
    for (key, value) in table.iter().filter(|(_, value)| !value.is_table()) {
        document.push(Entry::new(name, key, value));
    }
    for (key, value) in table {
        if let Value::Table(table) = value {
            write_table(document, &dotted(name, key), table);
        }
    }
}

/// The dotted key of something in the table with the dotted key `table`, which
/// is empty for what is outside of tables.
#[must_use]
pub fn dotted(table: &str, key: &str) -> String {
    let mut text = table.to_owned();
    if !table.is_empty() {
        text.push('.');
    }
    write_key(&mut text, key);
    text
}

/// Whether a part of a key means the same to codex's `-c` and to TOML.
#[must_use]
pub fn is_plain(part: &str) -> bool {
    let is_bare = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    !part.is_empty() && !part.starts_with('-') && part.bytes().all(is_bare)
}

/// A value as TOML on one line.
#[must_use]
pub fn line(value: &Value) -> String {
    let mut text = String::new();
    write_value(&mut text, value);
    text
}

/// Writes a value as TOML on one line.
pub fn write_value(text: &mut String, value: &Value) {
    match value {
        Value::String(string) => write_string(text, string),
        Value::Integer(integer) => text.push_str(&integer.to_string()),
        Value::Float(float) if float.is_nan() => text.push_str("nan"),
        // With a point or an exponent always, so that it stays a float.
        Value::Float(float) => text.push_str(&format!("{float:?}")),
        Value::Boolean(boolean) => text.push_str(&boolean.to_string()),
        Value::Datetime(datetime) => text.push_str(&datetime.to_string()),
        Value::Array(values) => {
            text.push('[');
            for (index, value) in values.iter().enumerate() {
                text.push_str(if index == 0 { "" } else { "," });
                write_value(text, value);
            }
            text.push(']');
        }
        Value::Table(table) => {
            text.push('{');
            for (index, (key, value)) in table.iter().enumerate() {
                text.push_str(if index == 0 { "" } else { "," });
                write_key(text, key);
                text.push('=');
                write_value(text, value);
            }
            text.push('}');
        }
    }
}

fn write_key(text: &mut String, key: &str) {
    if is_plain(key) {
        text.push_str(key);
    } else {
        write_string(text, key);
    }
}

/// Writes an array on one line, or value by value where that would be long.
fn write_array(text: &mut String, values: &[Value]) {
    let lines: Vec<_> = values.iter().map(line).collect();
    let one_line = lines.join(", ");
    if values.len() < 2 || one_line.chars().count() <= MAX_ARRAY_CHARACTERS {
        text.push_str(&format!("[{one_line}]"));
        return;
    }
    text.push_str("[\n");
    for line in lines {
        text.push_str(&format!("    {line},\n"));
    }
    text.push(']');
}

fn write_string(text: &mut String, string: &str) {
    text.push('"');
    for character in string.chars() {
        match character {
            '"' => text.push_str("\\\""),
            '\n' => text.push_str("\\n"),
            '\t' => text.push_str("\\t"),
            other => write_character(text, other),
        }
    }
    text.push('"');
}

/// Writes a string with its own line breaks.
fn write_lines(text: &mut String, string: &str) {
    text.push_str("\"\"\"\n");
    let mut characters = string.chars().peekable();
    let mut after_quote = false;
    while let Some(character) = characters.next() {
        // No two quotes stand together, so that none can be taken for the end.
        let is_quote = character == '"' && !after_quote && characters.peek().is_some();
        match character {
            '"' if !is_quote => text.push_str("\\\""),
            '"' | '\n' | '\t' => text.push(character),
            other => write_character(text, other),
        }
        after_quote = is_quote;
    }
    text.push_str("\"\"\"");
}

fn write_character(text: &mut String, character: char) {
    match character {
        '\\' => text.push_str("\\\\"),
        '\r' => text.push_str("\\r"),
        control if control.is_control() => {
            text.push_str(&format!("\\u{:04X}", u32::from(control)));
        }
        other => text.push(other),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    fn document(table: &Table) -> String {
        let mut entries = Vec::new();
        write_table(&mut entries, "a", table);
        entries.into_iter().map(|entry| entry.text).collect()
    }

    #[test]
    fn a_document_has_values_before_tables_and_keys_in_order() {
        let table = toml::from_str(
            "z = 1\nprompt = \"\"\"Say \"\"hi\"\".\\\\\r\n\ttwo\"\"\"\none = [1]\n\
             long = ['0123456789012345678901234567890123456789012345678901234567890123456789', \
             {k = '0123456789012345678901234567890123456789'}]\n\
             [only.tables.'a.b']\nx = true\n[only.empty]\n",
        )
        .unwrap();
        assert_eq!(
            document(&table),
            "\n[a]\n\
             long = [\n    \
                 \"0123456789012345678901234567890123456789012345678901234567890123456789\",\n    \
                 {k=\"0123456789012345678901234567890123456789\"},\n\
             ]\n\
             one = [1]\n\
             prompt = \"\"\"\nSay \"\\\"hi\"\\\".\\\\\\r\n\ttwo\"\"\"\n\
             z = 1\n\
             \n[a.only.empty]\n\
             \n[a.only.tables.\"a.b\"]\n\
             x = true\n"
        );
    }

    #[test]
    fn an_entry_knows_its_table() {
        let mut entries = Vec::new();
        write_table(&mut entries, "a", &toml::toml!("b.c" = 1));
        let text = "\n[a]\n".to_owned();
        let head = Entry { table: "a".to_owned(), key: String::new(), text };
        assert_eq!(entries, [head, Entry::new("a", "b.c", &1.into())]);
        assert_eq!(entries[1].key, "\"b.c\"");
        assert_eq!(Entry::new("", "b", &1.into()).text, "b = 1\n");
    }

    #[test]
    fn parts_of_a_key_are_quoted_where_they_must_be() {
        for (part, expected) in [
            ("b", "a.b"),
            ("b.c", "a.\"b.c\""),
            ("", "a.\"\""),
            ("-b", "a.\"-b\""),
            ("\"\n\\", "a.\"\\\"\\n\\\\\""),
            ("ü", "a.\"ü\""),
        ] {
            assert_eq!(dotted("a", part), expected);
        }
        assert_eq!(dotted("", "b"), "b");
    }

    /// Strings among which those that are hard to quote are not rare.
    pub(crate) fn string() -> impl Strategy<Value = String> {
        prop_oneof![any::<String>(), "[a-z\"'\\\\\n\r\t\u{0}\u{1b}\u{7f}\u{85}\u{2028}#=. -]{0,12}",]
    }

    /// Any value but those that are no value of TOML, and NaN.
    pub(crate) fn value() -> impl Strategy<Value = Value> {
        let datetimes = [
            "1979-05-27T07:32:00Z",
            "1979-05-27T00:32:00.999999-07:00",
            "1979-05-27T07:32:00.5",
            "1979-05-27",
            "07:32:00",
        ];
        let leaf = prop_oneof![
            string().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_filter("NaN is not itself", |it| !it.is_nan()).prop_map(Value::from),
            any::<bool>().prop_map(Value::from),
            prop::sample::select(datetimes.to_vec())
                .prop_map(|text| Value::Datetime(text.parse().unwrap())),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(string(), inner, 0..4)
                    .prop_map(|map| Value::Table(map.into_iter().collect())),
            ]
        })
    }

    /// Any table of such values.
    pub(crate) fn table() -> impl Strategy<Value = Table> {
        prop::collection::btree_map(string(), value(), 0..5)
            .prop_map(|map| map.into_iter().collect())
    }

    proptest! {
        #[test]
        fn a_line_is_read_as_it_was(value in value()) {
            let text = line(&value);
            prop_assert!(!text.contains('\n'));
            prop_assert_eq!(text.parse::<Value>().unwrap(), value);
        }

        #[test]
        fn a_document_is_read_as_it_was(table in table()) {
            let read: Table = toml::from_str(&document(&table)).unwrap();
            prop_assert_eq!(read["a"].as_table(), Some(&table));
        }
    }
}
