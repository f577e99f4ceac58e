//! What of two configurations differs, value by value.

use std::{collections::BTreeSet, fs};

use toml::{Table, Value};

use super::{Drift, DriftedValue, Effective, diff, form, secrets};
use crate::toml_text::{Entry, dotted, line};

/// What is shown in place of a secret.
const HIDDEN: &str = "(a secret)";

/// The same of the lock where that of the other side is another, so that two that
/// differ do not look the same.
const HIDDEN_OF_LOCK: &str = "(a secret, locked)";

/// What differs; `origin` says where an actual value comes from, by its key.
///
/// What a lock of codex itself [lacks](Effective::lacks) is not compared. Arrays
/// are compared as a whole, tables value by value. Directories are the same where
/// the links and dots of their names lead to one. No secret is shown.
#[must_use]
pub fn drift(locked: &Effective, actual: &Effective, origin: impl Fn(&str) -> String) -> Drift {
    let mut locked = locked.clone();
    locked.fill(actual);
    if is_same_directory(&locked, actual) {
        locked.working_directory.clone_from(&actual.working_directory);
    }
    let tables = [table(&locked), table(actual)];
    let mut found = Vec::new();
    compare(&mut found, "", [Some(&tables[0]), Some(&tables[1])]);
    if found.is_empty() {
        return Drift::default();
    }
    found.sort_by(|(one, _), (other, _)| one.cmp(other));
    let differs: BTreeSet<_> = found.iter().map(|(key, _)| key.clone()).collect();
    let of_lock = |key: &str| {
        let differs = differs.iter().any(|other| is_at_or_below(key, other));
        if differs { HIDDEN_OF_LOCK } else { HIDDEN }
    };
    let diff = diff::unified(&document(&locked, of_lock), &document(actual, |_| HIDDEN));
    let shown = [(&locked, HIDDEN_OF_LOCK), (actual, HIDDEN)].map(|(effective, hidden)| {
        let secrets = secrets::find(&effective.config);
        let secrets: Vec<_> = secrets.into_iter().map(|key| format!("config.{key}")).collect();
        move |key: &str, value: &Value| {
            let is_secret = secrets.iter().any(|secret| is_at_or_below(secret, key));
            if is_secret { line(&hidden.into()) } else { line(value) }
        }
    });
    let values = found.into_iter().map(|(key, [locked, actual])| DriftedValue {
        locked: locked.map(|value| shown[0](&key, value)),
        actual: actual.map(|value| shown[1](&key, value)),
        origin: origin(&key),
        key,
    });
    Drift { values: values.collect(), diff }
}

/// Whether both work in one directory, by whatever name.
fn is_same_directory(one: &Effective, other: &Effective) -> bool {
    let real = |effective: &Effective| fs::canonicalize(effective.working_directory.as_ref()?).ok();
    real(one).is_some_and(|directory| real(other) == Some(directory))
}

/// All that is compared, as one table.
fn table(effective: &Effective) -> Value {
    let mut table = Table::new();
    table.insert("codex_version".to_owned(), effective.codex_version.clone().into());
    if let Some(path) = &effective.working_directory {
        table.insert("working_directory".to_owned(), path.to_string_lossy().into_owned().into());
    }
    if let Some(hash) = &effective.model_catalog_sha256 {
        table.insert("model_catalog_sha256".to_owned(), hash.clone().into());
    }
    table.insert("config".to_owned(), effective.config.clone().into());
    let hashes = effective.instructions.iter();
    let hashes: Table = hashes.map(|(path, hash)| (path.clone(), hash.clone().into())).collect();
    table.insert("instructions".to_owned(), hashes.into());
    table.into()
}

/// All that is compared, as a document; `hidden` stands in place of a secret.
fn document(effective: &Effective, hidden: impl Fn(&str) -> &'static str) -> Vec<Entry> {
    let Effective { codex_version, working_directory, config, model_catalog_sha256, instructions } =
        effective;
    let mut document = vec![Entry::new("", "codex_version", &codex_version.clone().into())];
    if let Some(path) = working_directory {
        let path = path.to_string_lossy().into_owned().into();
        document.push(Entry::new("", "working_directory", &path));
    }
    if let Some(hash) = model_catalog_sha256 {
        document.push(Entry::new("", "model_catalog_sha256", &hash.clone().into()));
    }
    let config = secrets::hide(config, |key| hidden(&format!("config.{key}")));
    form::add_tables(&mut document, &config, instructions);
    document
}

/// A key, and what each side has there.
type Found<'a> = (String, [Option<&'a Value>; 2]);

fn compare<'a>(found: &mut Vec<Found<'a>>, name: &str, sides: [Option<&'a Value>; 2]) {
    match sides {
        [Some(Value::Table(one)), Some(Value::Table(other))] => {
            for key in one.keys().chain(other.keys()).collect::<BTreeSet<_>>() {
                compare(found, &dotted(name, key), [one.get(key), other.get(key)]);
            }
        }
        [Some(Value::Table(table)), None] if !table.is_empty() => {
            for (key, value) in table {
                compare(found, &dotted(name, key), [Some(value), None]);
            }
        }
        [None, Some(Value::Table(table))] if !table.is_empty() => {
            for (key, value) in table {
                compare(found, &dotted(name, key), [None, Some(value)]);
            }
        }
        // By their texts, so that NaN is itself.
        [one, other] if one.map(line) != other.map(line) => found.push((name.to_owned(), sides)),
        _ => {}
    }
}

/// Whether the value at `key` is, or has in it, the one at `inner`.
fn is_at_or_below(inner: &str, key: &str) -> bool {
    inner.strip_prefix(key).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn effective(config: &str) -> Effective {
        Effective {
            codex_version: "0.169.0".to_owned(),
            working_directory: Some("/home/dev/project".into()),
            config: toml::from_str(config).unwrap(),
            model_catalog_sha256: None,
            instructions: [("/home/dev/project/AGENTS.md".to_owned(), "aa".to_owned())].into(),
        }
    }

    /// Checks what differs, as lines `KEY: LOCKED -> ACTUAL`.
    fn check(locked: &Effective, actual: &Effective, expected: &[&str]) {
        let drift = drift(locked, actual, |key| format!("origin of {key}"));
        let show = |value: Option<String>| value.unwrap_or_default();
        let lines = drift.values.into_iter().map(|value| {
            assert_eq!(value.origin, format!("origin of {}", value.key));
            format!("{}: {} -> {}", value.key, show(value.locked), show(value.actual))
        });
        assert_eq!(lines.collect::<Vec<_>>(), expected);
        assert_eq!(drift.diff.is_empty(), expected.is_empty());
    }

    #[test]
    fn each_value_that_differs_is_named_with_both_sides() {
        let locked = effective(
            "model = 'a'\nonly_locked = 1\nnotify = ['a', 'b']\n[features]\ngoals = true\n\
             [projects.'/a.b']\ntrust_level = 'trusted'\n[gone.deep]\nx = 1\n[empty]\n",
        );
        let mut actual = effective(
            "model = 'b'\nonly_actual = {x = \"two\\nlines\"}\nnotify = ['a']\n[features]\ngoals = false\n\
             [projects.'/a.b']\ntrust_level = 'untrusted'\n[empty]\nnow = 1\n",
        );
        actual.codex_version = "0.170.0".to_owned();
        actual.model_catalog_sha256 = Some("cc".to_owned());
        actual.working_directory = Some("/home/dev/other".into());
        actual.instructions = [("/home/dev/other/AGENTS.md".to_owned(), "bb".to_owned())].into();
        check(
            &locked,
            &actual,
            &[
                "codex_version: \"0.169.0\" -> \"0.170.0\"",
                "config.empty.now:  -> 1",
                "config.features.goals: true -> false",
                "config.gone.deep.x: 1 -> ",
                "config.model: \"a\" -> \"b\"",
                "config.notify: [\"a\",\"b\"] -> [\"a\"]",
                "config.only_actual.x:  -> \"two\\nlines\"",
                "config.only_locked: 1 -> ",
                "config.projects.\"/a.b\".trust_level: \"trusted\" -> \"untrusted\"",
                "instructions.\"/home/dev/other/AGENTS.md\":  -> \"bb\"",
                "instructions.\"/home/dev/project/AGENTS.md\": \"aa\" -> ",
                "model_catalog_sha256:  -> \"cc\"",
                "working_directory: \"/home/dev/project\" -> \"/home/dev/other\"",
            ],
        );
        check(&locked, &locked, &[]);
    }

    #[test]
    fn a_directory_is_the_same_by_each_of_its_names() {
        let place = tempfile::tempdir().unwrap();
        let [project, link, other] =
            ["project", "link", "other"].map(|name| place.path().join(name));
        std::fs::create_dir(&project).unwrap();
        std::fs::create_dir(&other).unwrap();
        std::os::unix::fs::symlink(&project, &link).unwrap();
        let of = |path: &std::path::Path| Effective {
            working_directory: Some(path.to_owned()),
            ..effective("")
        };
        for name in [project.join(""), project.join("."), other.join("../project"), link] {
            check(&of(&project), &of(&name), &[]);
            check(&of(&name), &of(&project), &[]);
        }
        let differs = drift(&of(&project), &of(&other), |_| String::new());
        assert_eq!(differs.values[0].key, "working_directory");
        let gone =
            drift(&of(&place.path().join("a")), &of(&place.path().join("b")), |_| String::new());
        assert_eq!(gone.values.len(), 1);
    }

    #[test]
    fn a_value_of_another_type_differs() {
        check(&effective("x = 1"), &effective("x = 1.0"), &["config.x: 1 -> 1.0"]);
        check(&effective("x = 1"), &effective("x = '1'"), &["config.x: 1 -> \"1\""]);
        check(&effective("x = {y = 1}"), &effective("x = 2"), &["config.x: {y=1} -> 2"]);
        check(&effective("[x]"), &effective(""), &["config.x: {} -> "]);
        check(&effective("x = nan"), &effective("x = nan"), &[]);
    }

    #[test]
    fn what_locks_of_codex_lack_is_not_compared() {
        let actual = effective("model = 'a'\nsandbox_mode = 'read-only'\n[permissions.x]\ny = 1\n");
        let mut locked = effective("model = 'a'\n");
        locked.working_directory = None;
        locked.instructions.clear();
        check(&locked, &actual, &[]);
        locked.config.insert("sandbox_mode".to_owned(), "danger-full-access".into());
        check(&locked, &actual, &["config.sandbox_mode: \"danger-full-access\" -> \"read-only\""]);
    }

    #[test]
    fn no_secret_is_shown() {
        let locked = effective("[model_providers.a]\nexperimental_bearer_token = 'hunter2'\n");
        let actual = effective("[model_providers.a]\nexperimental_bearer_token = 'hunter3'\n");
        check(
            &locked,
            &actual,
            &["config.model_providers.a.experimental_bearer_token: \
               \"(a secret, locked)\" -> \"(a secret)\""],
        );
        check(
            &effective("model_providers = 1"),
            &actual,
            &["config.model_providers: 1 -> \"(a secret)\""],
        );
        let diff = drift(&locked, &actual, |_| String::new()).diff;
        assert!(diff.contains("-experimental") && !diff.contains("hunter"), "{diff}");
        let diff = drift(&locked, &effective("x = 1"), |_| String::new()).diff;
        assert!(diff.contains("-experimental") && !diff.contains("hunter"), "{diff}");
        let mut other = locked.clone();
        other.config.insert("x".to_owned(), 1.into());
        let diff = drift(&locked, &other, |_| String::new()).diff;
        assert!(diff.contains("+x = 1") && !diff.contains("-experimental"), "{diff}");
    }
}
