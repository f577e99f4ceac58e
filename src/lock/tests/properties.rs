//! What holds for any configuration.

use std::time::{Duration, UNIX_EPOCH};

use proptest::prelude::*;

use super::{super::*, parts};
use crate::toml_text::{
    dotted,
    tests::{string, table, value},
};

/// The path of everything in a table that is no table with values.
fn leaves(table: &Table) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for (key, value) in table {
        let inner = value.as_table().filter(|table| !table.is_empty());
        let paths = inner.map_or_else(|| vec![Vec::new()], leaves);
        found.extend(paths.into_iter().map(|path| [vec![key.clone()], path].concat()));
    }
    found
}

fn any_effective() -> impl Strategy<Value = Effective> {
    let instructions = prop::collection::btree_map(string(), string(), 0..3);
    let hash = prop::option::of("[0-9a-f]{1,9}");
    ("[0-9.]{1,9}", string(), table(), hash, instructions).prop_map(
        |(codex_version, directory, config, model_catalog_sha256, instructions)| Effective {
            codex_version,
            working_directory: Some(format!("/{directory}").into()),
            config,
            model_catalog_sha256,
            instructions,
        },
    )
}

fn any_lock() -> impl Strategy<Value = Lock> {
    let text = || prop::option::of(string().prop_filter("empty", |text| !text.is_empty()));
    let time = prop::option::of((0..4_000_000_000_u64, 0..1_000_000_000_u32));
    (text(), text(), text(), time, any_effective()).prop_map(
        |(switchboard_version, session_id, thread_id, time, effective)| {
            let time = time.map(|(seconds, nanos)| UNIX_EPOCH + Duration::new(seconds, nanos));
            let made_of = MadeOf { switchboard_version, session_id, thread_id, time };
            Lock { made_of, effective }
        },
    )
}

proptest! {
    #[test]
    fn any_lock_is_read_as_it_was_written(lock in any_lock()) {
        match lock.to_toml() {
            Ok(text) => {
                let read = Lock::parse(&text).unwrap();
                let drift = drift(&read.effective, &lock.effective, |_| String::new());
                prop_assert_eq!(&drift, &Drift::default());
                prop_assert_eq!(&read, &lock);
                prop_assert_eq!(read.to_toml().unwrap(), text);
            }
            Err(error) => {
                let (rule, key, text) = parts(error);
                prop_assert_eq!(rule, "secret", "{}", text);
                let secrets = secrets::find(&lock.effective.config);
                prop_assert_eq!(key, Some(format!("config.{}", secrets[0])));
            }
        }
    }

    #[test]
    fn any_value_that_is_changed_is_named_and_nothing_else(
        locked in any_effective(),
        index in any::<prop::sample::Index>(),
        new in value(),
    ) {
        let leaves = leaves(&locked.config);
        prop_assume!(!leaves.is_empty());
        let path = index.get(&leaves);
        let mut actual = locked.clone();
        let (last, tables) = path.split_last().unwrap();
        let table = tables.iter().fold(&mut actual.config, |table, part| {
            table.get_mut(part).unwrap().as_table_mut().unwrap()
        });
        // A table in its place would be compared value by value.
        let new = if new.is_table() { vec![new].into() } else { new };
        let old = table.insert(last.clone(), new.clone());
        prop_assume!(old != Some(new));
        let drift = drift(&locked, &actual, |key| key.to_owned());
        let key = path.iter().fold("config".to_owned(), |key, part| dotted(&key, part));
        let keys: Vec<_> = drift.values.iter().map(|value| value.key.clone()).collect();
        prop_assert_eq!(keys, [key]);
        prop_assert_eq!(&drift.values[0].origin, &drift.values[0].key);
        prop_assert!(drift.diff.starts_with("--- config lock\n+++ effective\n@@ "));
    }
}
