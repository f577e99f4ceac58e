//! The features of codex: which of them are on, and which of them can be said
//! again.

use std::collections::BTreeMap;

use toml::{Table, Value};

use crate::toml_text::is_plain;

/// One feature, as `codex features list` has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::agent::codex) struct Feature {
    pub(in crate::agent::codex) stage: Stage,
    pub(in crate::agent::codex) is_on: bool,
}

/// How far a feature is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::agent::codex) enum Stage {
    /// It can be set, and nothing is said about it.
    Settled,
    /// Codex warns of it where it is on.
    UnderDevelopment,
    /// Codex warns of it where it is set at all, or takes no notice.
    Gone,
}

/// The features, by their canonical names.
pub(in crate::agent::codex) type Features = BTreeMap<String, Feature>;

/// Reads lines of a name, a stage of one or two words, and `true` or `false`.
pub(in crate::agent::codex) fn parse(list: &str) -> Features {
    let line = |line: &str| {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let (&name, rest) = words.split_first()?;
        let (&state, stage) = rest.split_last()?;
        let stage = match stage.join(" ").as_str() {
            "removed" | "deprecated" => Stage::Gone,
            "under development" => Stage::UnderDevelopment,
            _ => Stage::Settled,
        };
        let is_on = state.parse().ok()?;
        Some((name.to_owned(), Feature { stage, is_on }))
    };
    list.lines().filter_map(line).collect()
}

/// Old names of features, each with the canonical one.
pub(in crate::agent::codex) type Aliases = BTreeMap<String, String>;

/// The most names that are looked up; each asks codex twice.
const MAX_ALIASES: usize = 8;

/// Finds out which features codex takes names for that are none of a feature:
/// those that differ between what it `lists` with a name on and with it off.
///
/// # Errors
///
/// The text names what there is too much of.
pub(in crate::agent::codex) fn aliases(
    features: &Features,
    said: &Table,
    lists: impl Fn(&str, bool) -> Option<Features>,
) -> Result<Aliases, String> {
    let unknown: Vec<&String> = said.keys().filter(|name| !features.contains_key(*name)).collect();
    if unknown.len() > MAX_ALIASES {
        return Err(format!(
            "features: {} names that this codex does not list; at most {MAX_ALIASES} are \
             looked up, as each may be an old name of another",
            unknown.len()
        ));
    }
    let canonical = |name: &str| {
        let [on, off] = [lists(name, true)?, lists(name, false)?];
        let differs = |(name, feature): &(&String, &Feature)| {
            off.get(*name).is_some_and(|other| other.is_on != feature.is_on)
        };
        on.iter().find(differs).map(|(name, _)| name.clone())
    };
    let found = unknown.into_iter().filter(|name| is_plain(name));
    Ok(found.filter_map(|name| Some((name.clone(), canonical(name)?))).collect())
}

/// The same with canonical names. Where both are said, the canonical one counts.
pub(in crate::agent::codex) fn renamed(said: &Table, aliases: &Aliases) -> Table {
    let mut renamed = said.clone();
    for (alias, name) in aliases {
        if let Some(value) = renamed.remove(alias) {
            renamed.entry(name.clone()).or_insert(value);
        }
    }
    renamed
}

/// The table of the features in canonical names, with what can be set again
/// without a word from codex.
///
/// What is gone, and what is under development and on by itself, makes codex warn
/// where it is said. So it is left out unless a layer says it, which warns
/// already. `said` is what the layers say; a feature with settings of its own has
/// a table there, which stays.
pub(in crate::agent::codex) fn table(features: &Features, said: &Table) -> Table {
    let mut table = Table::new();
    for (name, feature) in features {
        let own = said.get(name);
        let is_quiet = match feature.stage {
            Stage::Settled => true,
            Stage::UnderDevelopment => !feature.is_on,
            Stage::Gone => false,
        };
        let value = match own {
            Some(Value::Table(settings)) => {
                let mut settings = settings.clone();
                settings.insert("enabled".to_owned(), feature.is_on.into());
                settings.into()
            }
            Some(_) => feature.is_on.into(),
            None if is_quiet => feature.is_on.into(),
            None => continue,
        };
        // A dot would be taken for the end of a table's name.
        if !name.contains('.') {
            table.insert(name.clone(), value);
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = "goals                stable             true\n\
                        instant_interrupt    under development  true\n\
                        code_mode            under development  false\n\
                        multi_agent          deprecated         true\n\
                        multi_agent_v2       stable             false\n\
                        guardianv2.context   removed            false\n\
                        undo                 removed            false\n\
                        no such line\n";

    /// Checks which features are set again, where the layers say `said`.
    fn check(said: &str, expected: &str) {
        let features = parse(LIST);
        assert_eq!(features.len(), 7);
        let said = said.parse().unwrap();
        assert_eq!(table(&features, &said), expected.parse::<Table>().unwrap());
    }

    #[test]
    fn what_codex_warns_of_is_set_only_where_somebody_did() {
        check("", "goals = true\ncode_mode = false\nmulti_agent_v2 = false\n");
        check(
            "multi_agent = true\ninstant_interrupt = true\nnonsense = true\n",
            "goals = true\ncode_mode = false\nmulti_agent_v2 = false\nmulti_agent = true\n\
             instant_interrupt = true\n",
        );
    }

    #[test]
    fn an_old_name_is_told_by_what_it_changes() {
        let features = parse(LIST);
        let said: Table = "collab = false\nnonsense = true\ngoals = true\n".parse().unwrap();
        let lists = |name: &str, is_on: bool| {
            let name = if name == "collab" { "multi_agent" } else { "nothing" };
            Some(parse(&LIST.replace(
                "multi_agent          deprecated         true",
                &format!("multi_agent deprecated {}", name == "nothing" || is_on),
            )))
        };
        let aliases = aliases(&features, &said, lists).unwrap();
        assert_eq!(aliases, [("collab".to_owned(), "multi_agent".to_owned())].into());
        let expected = "multi_agent = false\nnonsense = true\ngoals = true\n".parse().unwrap();
        assert_eq!(renamed(&said, &aliases), expected);
        let many = (0..=MAX_ALIASES).map(|number| (format!("n{number}"), true.into())).collect();
        let problem = super::aliases(&features, &many, lists).unwrap_err();
        assert!(problem.contains(" 9 names"), "{problem}");
    }

    #[test]
    fn a_feature_with_settings_keeps_them() {
        check(
            "multi_agent_v2 = {max = 3}\n",
            "goals = true\ncode_mode = false\nmulti_agent_v2 = {max = 3, enabled = false}\n",
        );
    }
}
