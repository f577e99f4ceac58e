//! Directories that commands may write to, by the names that codex has for them.
//!
//! A request may say one of them in many ways, and a lock has each as codex tells it.

use std::path::{Component, Path, PathBuf};

use toml::Value;

/// A directory without dots, and without slashes that say nothing. Links on the way
/// are not followed, as codex does not.
pub(super) fn named(directory: &str) -> String {
    let mut named = PathBuf::new();
    for component in Path::new(directory).components() {
        match component {
            Component::CurDir => {}
            // Nothing is above the root.
            Component::ParentDir if named.has_root() => drop(named.pop()),
            Component::ParentDir
            | Component::Prefix(_)
            | Component::RootDir
            | Component::Normal(_) => named.push(component),
        }
    }
    named.to_str().unwrap_or(directory).to_owned()
}

/// Directories by these names, each once; what is none is left as it is.
pub(super) fn all_named(directories: &Value) -> Value {
    let Some(directories) = directories.as_array() else { return directories.clone() };
    let mut all: Vec<Value> = Vec::with_capacity(directories.len());
    for directory in directories {
        let named = directory.as_str().map(|it| Value::from(named(it)));
        let directory = named.unwrap_or_else(|| directory.clone());
        if !all.contains(&directory) {
            all.push(directory);
        }
    }
    all.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_has_one_name_however_it_is_said() {
        for (said, expected) in [
            ("/a/b", "/a/b"),
            ("/a//b/", "/a/b"),
            ("/a/./b/../c", "/a/c"),
            ("/../a", "/a"),
            ("/a/..", "/"),
            ("a/../b", "a/../b"),
            ("", ""),
        ] {
            assert_eq!(named(said), expected);
        }
        let said: Vec<Value> = vec!["/a/".into(), 1.into(), "/b/../a".into()];
        let expected: Vec<Value> = vec!["/a".into(), 1.into()];
        assert_eq!(all_named(&said.into()), expected.into());
        assert_eq!(all_named(&"/a/".into()), "/a/".into());
    }
}
