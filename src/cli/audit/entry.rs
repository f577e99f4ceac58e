//! Entries of the audit as people read them. Pure.

use crate::{
    cli::{
        render::{short_id, text::one_line},
        sessions::time,
    },
    controls::{approval_word, network_word, sandbox_word},
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
    all.extend(entry.settings.iter().map(setting));
    one_line(&all.join(", "), SHOWN_CHANGES)
}

fn setting(change: &SettingChange) -> String {
    let SettingChange { key, previous_json, value_json } = change;
    let key = one_line(key, SHOWN_VALUE);
    let short = |text: &str| one_line(text, SHOWN_VALUE);
    match (previous_json, value_json) {
        (_, None) => format!("{key} removed"),
        (None, Some(now)) => format!("{key} = {}", short(now)),
        (Some(before), Some(now)) => format!("{key} = {} (was {})", short(now), short(before)),
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
