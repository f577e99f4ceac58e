//! Where the values of a configuration come from.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

/// Where each value comes from, by its dotted key.
#[derive(Debug, Clone, Default)]
pub(in crate::agent::codex) struct Origins {
    /// What is known otherwise than by the layers.
    known: BTreeMap<String, String>,
    /// By the layers; none for the flags.
    layers: BTreeMap<String, Option<String>>,
}

impl Origins {
    pub(super) fn new(layers: BTreeMap<String, Option<String>>) -> Self {
        Self { known: BTreeMap::new(), layers }
    }

    /// Says where a value comes from, whatever the layers say.
    pub(in crate::agent::codex) fn know(&mut self, key: &str, origin: &str) {
        self.known.insert(key.to_owned(), origin.to_owned());
    }

    /// The same where nothing is known yet.
    pub(in crate::agent::codex) fn know_unless(&mut self, key: &str, origin: &str) {
        self.known.entry(key.to_owned()).or_insert_with(|| origin.to_owned());
    }

    /// Has a value come from where another does, unless some layer says it itself.
    pub(super) fn rename(&mut self, from: &str, to: &str) {
        if let (None, Some(origin)) = (self.of_layers(to), self.of_layers(from)) {
            let origin = origin.clone();
            self.layers.insert(to.to_owned(), origin);
        }
    }

    /// Where the value at a key comes from; none for the flags.
    pub(in crate::agent::codex) fn of(&self, key: &str) -> Option<String> {
        if let Some(origin) = self.known.get(key) {
            return Some(origin.clone());
        }
        match self.of_layers(key) {
            Some(origin) => origin.clone(),
            None => Some(CODEX.to_owned()),
        }
    }

    /// The files that values come from.
    pub(in crate::agent::codex) fn files(&self) -> BTreeSet<PathBuf> {
        let all = self.known.values().chain(self.layers.values().flatten());
        all.map(PathBuf::from).filter(|file| file.is_absolute()).collect()
    }

    /// Whether some layer says the value, or a part of it.
    pub(super) fn is_said(&self, key: &str) -> bool {
        self.of_layers(key).is_some()
    }

    /// Whether nobody says it but codex.
    pub(in crate::agent::codex) fn is_of_codex(&self, key: &str) -> bool {
        !self.known.contains_key(key) && !self.is_said(key)
    }

    /// A value has the origin of the table that it is in, where that is said whole,
    /// and a table that of the first value in it.
    fn of_layers(&self, key: &str) -> Option<&Option<String>> {
        let mut at = key;
        loop {
            if let Some(origin) = self.layers.get(at) {
                return Some(origin);
            }
            let Some((above, _)) = at.rsplit_once('.') else { break };
            at = above;
        }
        let below = format!("{key}.");
        let (found, origin) = self.layers.range(below.clone()..).next()?;
        found.starts_with(&below).then_some(origin)
    }
}

#[cfg(test)]
impl FromIterator<(String, Option<String>)> for Origins {
    fn from_iter<T: IntoIterator<Item = (String, Option<String>)>>(layers: T) -> Self {
        Self::new(layers.into_iter().collect())
    }
}

/// The origin of what no layer says.
const CODEX: &str = "codex";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_comes_from_the_layer_that_says_it() {
        let layers = [("a.b", None), ("c.d", Some("/x/config.toml")), ("e", Some("/y"))];
        let layers = layers.map(|(key, file)| (key.to_owned(), file.map(str::to_owned)));
        let mut origins = Origins::new(layers.into());
        origins.know("f", "requirements.toml");
        let of = |key: &str| origins.of(key);
        assert_eq!(of("a.b"), None);
        assert_eq!(of("c"), Some("/x/config.toml".to_owned()));
        assert_eq!(of("e.inner"), Some("/y".to_owned()));
        assert_eq!(of("f"), Some("requirements.toml".to_owned()));
        for unknown in ["c.x", "cc", "g"] {
            assert_eq!(of(unknown), Some("codex".to_owned()), "{unknown}");
            assert!(origins.is_of_codex(unknown));
        }
        assert!(!origins.is_of_codex("f") && !origins.is_of_codex("a.b"));
        let files = ["/x/config.toml", "/y"].map(PathBuf::from);
        assert_eq!(origins.files(), files.into());
    }
}
