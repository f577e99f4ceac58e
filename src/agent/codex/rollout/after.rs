//! What the latest turn of a thread ran with, by codex's own record, compared with
//! what was resolved before it.

use std::{
    fs::{self, File},
    io::{self, Read as _, Seek as _, SeekFrom},
    path::Path,
};

use serde_json::Value as Json;
use toml::Value;

use crate::{
    agent::{codex::directories, file::open_regular},
    lock::{DriftedValue, Effective},
    toml_text::line,
};

/// How much of the end of a rollout is read at first.
const FIRST_BYTES: u64 = 64 << 10;

/// The most bytes of the end that are read: one turn writes all that its commands
/// print, behind the line that is looked for.
const MOST_BYTES: u64 = 64 << 20;

/// What differs: `locked` is what was resolved, `actual` what the turn ran with.
/// Nothing does where the rollout has no turn near its end.
pub(in crate::agent::codex) fn differs(
    rollout: &Path,
    resolved: &Effective,
) -> io::Result<Vec<DriftedValue>> {
    let Some(ran) = last_context(open_regular(rollout)?, FIRST_BYTES)? else {
        return Ok(Vec::new());
    };
    let origin = rollout.display().to_string();
    let value = |(key, locked, actual): (&str, Value, Option<Value>)| {
        let origin = origin.clone();
        let (locked, actual) = (Some(line(&locked)), actual.as_ref().map(line));
        (locked != actual).then(|| DriftedValue { key: key.to_owned(), locked, actual, origin })
    };
    Ok(compared(resolved, &ran).into_iter().filter_map(value).collect())
}

/// What a turn was recorded with, beside what was resolved: each as it is in a
/// lock. Only what a lock has is compared.
fn compared(resolved: &Effective, ran: &Json) -> Vec<(&'static str, Value, Option<Value>)> {
    let config = |key: &str| resolved.config.get(key).cloned();
    let text = |value: &Json| value.as_str().map(Value::from);
    let sandbox = &ran["sandbox_policy"];
    let mut found = vec![
        ("config.model", config("model"), text(&ran["model"])),
        ("config.model_reasoning_effort", config("model_reasoning_effort"), text(&ran["effort"])),
        ("config.approval_policy", config("approval_policy"), text(&ran["approval_policy"])),
        ("config.sandbox_mode", config("sandbox_mode"), text(&sandbox["type"])),
        (
            "config.default_permissions",
            // The mode beats it, where a lock has both.
            config("default_permissions").filter(|_| config("sandbox_mode").is_none()),
            text(&ran["active_permission_profile"]["id"]),
        ),
        (
            "working_directory",
            resolved.working_directory.as_deref().map(real),
            ran["cwd"].as_str().map(|path| real(Path::new(path))),
        ),
    ];
    if sandbox["type"] == "workspace-write"
        && let Some(Value::Table(locked)) = config("sandbox_workspace_write")
    {
        found.push((
            "config.sandbox_workspace_write.network_access",
            locked.get("network_access").cloned(),
            Some(sandbox["network_access"].as_bool().unwrap_or_default().into()),
        ));
        let directory = resolved.working_directory.as_deref();
        let roots = sandbox["writable_roots"].as_array().into_iter().flatten();
        found.push((
            "config.sandbox_workspace_write.writable_roots",
            locked.get("writable_roots").map(|locked| beside(directory, locked)),
            Some(beside(directory, &roots.filter_map(text).collect::<Vec<_>>().into())),
        ));
    }
    found.into_iter().filter_map(|(key, locked, ran)| Some((key, locked?, ran))).collect()
}

/// A directory as it is whatever links lead to it, as codex names it.
fn real(path: &Path) -> Value {
    let real = fs::canonicalize(path);
    real.as_deref().unwrap_or(path).display().to_string().into()
}

/// The directories of a turn that it may write to beside the one that it works in,
/// which it always may, in an order that does not depend on who said them first.
fn beside(directory: Option<&Path>, roots: &Value) -> Value {
    let named = directories::all_named(roots);
    let directory = directory.and_then(Path::to_str).map(directories::named);
    let roots = named.as_array().into_iter().flatten();
    let mut roots: Vec<_> = roots.filter(|root| root.as_str() != directory.as_deref()).collect();
    roots.sort_by_key(|root| line(root));
    roots.into_iter().cloned().collect::<Vec<_>>().into()
}

/// The last `turn_context` of a rollout; more of its end is read as long as there
/// is none in what was.
fn last_context(mut rollout: File, first: u64) -> io::Result<Option<Json>> {
    let size = rollout.metadata()?.len();
    let mut length = first;
    loop {
        length = length.min(size).min(MOST_BYTES);
        rollout.seek(SeekFrom::Start(size - length))?;
        let mut end = Vec::new();
        (&mut rollout).take(length).read_to_end(&mut end)?;
        // A line that begins before is no JSON, and passed over.
        if let Some(context) = end.rsplit(|&byte| byte == b'\n').find_map(context) {
            return Ok(Some(context));
        }
        if length == size || length == MOST_BYTES {
            return Ok(None);
        }
        length *= 8;
    }
}

fn context(line: &[u8]) -> Option<Json> {
    const MARK: &[u8] = b"turn_context";
    memchr::memmem::find(line, MARK)?;
    let mut line: Json = serde_json::from_slice(line).ok()?;
    (line["type"] == "turn_context").then(|| line["payload"].take())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn rollout(lines: &[String]) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        for line in lines {
            writeln!(file, "{line}").unwrap();
        }
        file
    }

    fn context_line(model: &str, sandbox: &str) -> String {
        format!(
            r#"{{"type":"turn_context","payload":{{"cwd":"/","model":"{model}","effort":"high","approval_policy":"never","sandbox_policy":{sandbox}}}}}"#
        )
    }

    const WRITE: &str =
        r#"{"type":"workspace-write","network_access":true,"writable_roots":["/b","/a"]}"#;

    fn resolved(config: &str) -> Effective {
        Effective {
            working_directory: Some("/".into()),
            config: config.parse().unwrap(),
            ..Effective::default()
        }
    }

    /// Checks what differs, as lines `KEY: RESOLVED -> RAN`.
    fn check(lines: &[String], resolved: &Effective, expected: &[&str]) {
        let file = rollout(lines);
        let found = differs(file.path(), resolved).unwrap();
        let show = |value: Option<String>| value.unwrap_or_default();
        let found: Vec<_> = found
            .into_iter()
            .map(|value| format!("{}: {} -> {}", value.key, show(value.locked), show(value.actual)))
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn the_latest_turn_is_compared_with_what_a_lock_has() {
        let lines = [context_line("old", WRITE), context_line("m", WRITE)];
        let same = "model = 'm'\nmodel_reasoning_effort = 'high'\napproval_policy = 'never'\n\
            sandbox_mode = 'workspace-write'\n[sandbox_workspace_write]\nnetwork_access = true\n\
            writable_roots = ['/a', '/b']\n";
        check(&lines, &resolved(same), &[]);
        check(&lines, &resolved("other = 1"), &[]);
        check(
            &lines,
            &resolved(
                "model = 'x'\nmodel_reasoning_effort = 'low'\nsandbox_mode = 'workspace-write'\n\
                 [sandbox_workspace_write]\nnetwork_access = false\nwritable_roots = []\n",
            ),
            &[
                r#"config.model: "x" -> "m""#,
                r#"config.model_reasoning_effort: "low" -> "high""#,
                "config.sandbox_workspace_write.network_access: false -> true",
                r#"config.sandbox_workspace_write.writable_roots: [] -> ["/a","/b"]"#,
            ],
        );
        // However they are said, and where codex leaves one out that is there anyhow.
        let twice = same.replace("'/b'", "'/b/', '/c/../b', '/', '/a'");
        check(&lines, &resolved(&twice), &[]);
        let elsewhere = Effective { working_directory: Some("/nowhere".into()), ..resolved("") };
        check(&lines, &elsewhere, &[r#"working_directory: "/nowhere" -> "/""#]);
        check(
            &[context_line("m", r#"{"type":"read-only"}"#)],
            &resolved(same),
            &[r#"config.sandbox_mode: "workspace-write" -> "read-only""#],
        );
    }

    #[test]
    fn a_context_is_found_however_much_is_behind_it() {
        let behind = format!(r#"{{"type":"x","payload":"{}"}}"#, "y".repeat(1000));
        let mut lines = vec![context_line("m", WRITE)];
        lines.resize(50, behind);
        let file = rollout(&lines);
        let found = last_context(file.reopen().unwrap(), 16).unwrap();
        assert_eq!(found.unwrap()["model"], "m");
        let none = rollout(&lines[1..]);
        assert_eq!(last_context(none.reopen().unwrap(), 16).unwrap(), None);
        assert_eq!(last_context(rollout(&[]).reopen().unwrap(), 16).unwrap(), None);
    }
}
