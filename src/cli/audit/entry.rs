//! Entries of the audit as people read them. Pure.

use std::collections::HashMap;

use crate::{
    cli::{
        render::{short_id, text::one_line},
        sessions::time,
        settings::path::quoted,
    },
    controls::{approval_word, network_word, sandbox_word},
    json::{DEEPEST, Json},
    proto::{AuditEntry, Controls, Scope, SettingChange},
};

/// The columns of [`row`].
pub(super) const HEAD: [&str; 6] = ["SEQ", "TIME", "ACTOR", "SOURCE", "OF", "WHAT"];

/// How much of a value is shown.
const SHOWN_VALUE: usize = 40;

/// How much is shown of all that an entry changed.
const SHOWN_CHANGES: usize = 160;

/// An entry as a row of a table.
pub(super) fn row(entry: &AuditEntry) -> [String; 6] {
    [
        entry.seq.to_string(),
        time(entry.time.as_ref()),
        one_line(&entry.actor, 20),
        one_line(&entry.source, 20),
        whose(entry),
        changes(entry),
    ]
}

/// An entry as a line by itself.
pub(super) fn line(entry: &AuditEntry) -> String {
    let [seq, time, actor, source, whose, changes] = row(entry);
    format!("{seq}  {time}  {actor} via {source}  {whose}  {changes}")
}

fn whose(entry: &AuditEntry) -> String {
    match entry.scope() {
        Scope::Default => "default".to_owned(),
        Scope::Session | Scope::Unspecified => short_id(&entry.session_id).to_owned(),
    }
}

fn changes(entry: &AuditEntry) -> String {
    let mut all = match (&entry.previous_controls, &entry.controls) {
        (Some(before), Some(now)) => controls(before, now),
        (None, _) | (_, None) => Vec::new(),
    };
    all.extend(entry.settings.iter().flat_map(setting));
    one_line(&all.join(", "), SHOWN_CHANGES)
}

/// What became of a setting; of an object that is one still, what changed in it.
fn setting(change: &SettingChange) -> Vec<String> {
    let SettingChange { key, previous_json, value_json } = change;
    let parsed = |text: &Option<String>| {
        text.as_deref().and_then(|text| Json::parse_within(text, DEEPEST).ok())
    };
    let mut all = Vec::new();
    differences(
        &quoted(key),
        parsed(previous_json).as_ref(),
        parsed(value_json).as_ref(),
        &mut all,
    );
    all
}

fn differences(path: &str, before: Option<&Json>, now: Option<&Json>, to: &mut Vec<String>) {
    let short = |json: &Json| one_line(&json.to_string(), SHOWN_VALUE);
    match (before, now) {
        (Some(Json::Object(before)), Some(Json::Object(now))) => {
            let mut left: HashMap<&str, &Json> =
                now.iter().map(|(name, value)| (name.as_str(), value)).collect();
            for (name, value) in before {
                let next = left.remove(name.as_str());
                if next != Some(value) {
                    differences(&format!("{path}.{}", quoted(name)), Some(value), next, to);
                }
            }
            let mut added: Vec<_> = left.into_iter().collect();
            added.sort_by_key(|(name, _)| *name);
            for (name, value) in added {
                differences(&format!("{path}.{}", quoted(name)), None, Some(value), to);
            }
        }
        (_, None) => to.push(format!("{path} removed")),
        (None, Some(now)) => to.push(format!("{path} = {}", short(now))),
        (Some(before), Some(now)) => {
            to.push(format!("{path} = {} (was {})", short(now), short(before)));
        }
    }
}

fn controls(before: &Controls, now: &Controls) -> Vec<String> {
    let words = |controls: &Controls| {
        [
            ("model", controls.model.clone()),
            ("approval policy", approval_word(controls.approval_policy()).to_owned()),
            ("network", network_word(controls.network_access()).to_owned()),
            ("sandbox", sandbox_word(controls.filesystem_sandbox()).to_owned()),
        ]
    };
    // What nobody chose has no word.
    let word = |word: String| match word.as_str() {
        "" => "default".to_owned(),
        word => one_line(word, SHOWN_VALUE),
    };
    let both = words(before).into_iter().zip(words(now));
    both.filter(|(before, now)| before != now)
        .map(|((name, before), (_, now))| format!("{name} = {} (was {})", word(now), word(before)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::{FilesystemSandbox, NetworkAccess};

    fn change(key: &str, before: Option<&str>, now: Option<&str>) -> SettingChange {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        SettingChange { key: key.to_owned(), previous_json: owned(before), value_json: owned(now) }
    }

    #[test]
    fn of_objects_only_what_changed_in_them_is_said() {
        let before = r#"{"same":{"x":1},"old":1,"deep":{"n":1,"kind":{}}}"#;
        let now = r#"{"deep":{"kind":[],"n":1.0,"a.b":2},"same":{"x":1.0},"z":{},"new":null}"#;
        assert_eq!(
            setting(&change("t", Some(before), Some(now))),
            [
                "t.old removed",
                "t.deep.kind = [] (was {})",
                "t.deep.\"a.b\" = 2",
                "t.new = null",
                "t.z = {}"
            ]
        );
    }

    #[test]
    fn an_entry_says_who_changed_what() {
        let entry = AuditEntry {
            seq: 7,
            actor: "ann".to_owned(),
            source: "cli".to_owned(),
            scope: Scope::Session.into(),
            session_id: "2f1c6a3e-8d0b-4c55-9a77-0d5a4a3f9b21".to_owned(),
            previous_controls: Some(Controls::default()),
            controls: Some(Controls {
                model: "m".to_owned(),
                network_access: NetworkAccess::Enabled.into(),
                filesystem_sandbox: FilesystemSandbox::Unspecified.into(),
                ..Controls::default()
            }),
            settings: vec![
                change("a", None, Some("1.50")),
                change("b\u{1b}[31m", Some("1"), Some("null")),
                change("c", Some("{}"), None),
            ],
            ..AuditEntry::default()
        };
        assert_eq!(
            line(&entry),
            "7    ann via cli  2f1c6a3e  model = m (was default), network = enabled (was default), \
             a = 1.50, b = null (was 1), c removed"
        );
        let default = AuditEntry { scope: Scope::Default.into(), ..entry };
        assert_eq!(row(&default)[4], "default");
    }
}
