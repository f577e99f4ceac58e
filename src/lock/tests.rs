use std::{
    fs,
    path::Path,
    time::{Duration, UNIX_EPOCH},
};

use toml::Value;

use super::*;

mod properties;

const TEXT: &str = r#"version = 1
codex_version = "0.169.0"
switchboard_version = "0.1.0"
session_id = "2f1c6a3e-8d0b-4c55-9a77-0d5a4a3f9b21"
thread_id = "01a21d94-85b3-7c13-abd8-571b65ad0d35"
create_time = 2026-11-18T11:06:40.000001Z
working_directory = "/home/dev/project"

[config]
developer_instructions = """
Answer in one sentence.
Run no "git push".
"""
model = "gpt-5.5"

[config.features]
goals = true

[config.projects."/home/dev/project"]
trust_level = "trusted"

[instructions]
"/home/dev/project/AGENTS.md" = "aa"
"#;

fn lock() -> Lock {
    let config = "model = 'gpt-5.5'\nfeatures.goals = true\n\
                  projects.'/home/dev/project'.trust_level = 'trusted'\n\
                  developer_instructions = \"Answer in one sentence.\\nRun no \\\"git push\\\".\\n\"\n";
    Lock {
        made_of: MadeOf {
            switchboard_version: Some("0.1.0".to_owned()),
            session_id: Some("2f1c6a3e-8d0b-4c55-9a77-0d5a4a3f9b21".to_owned()),
            thread_id: Some("01a21d94-85b3-7c13-abd8-571b65ad0d35".to_owned()),
            time: Some(UNIX_EPOCH + Duration::new(1_795_000_000, 1_000)),
        },
        effective: Effective {
            codex_version: "0.169.0".to_owned(),
            working_directory: Some("/home/dev/project".into()),
            config: toml::from_str(config).unwrap(),
            model_catalog_sha256: None,
            instructions: [("/home/dev/project/AGENTS.md".to_owned(), "aa".to_owned())].into(),
        },
    }
}

/// The rule, the key and the text of an error.
fn parts(error: Error) -> (&'static str, Option<String>, String) {
    let text = error.to_string();
    let Error::ConfigLockInvalid { rule, key, problem: _ } = error else {
        panic!("{error:?}");
    };
    (rule, key, text)
}

/// Checks that a text is refused, with rule, key and what it says after
/// `config lock: `.
fn check_refused(text: &str, rule: &str, key: Option<&str>, problem: &str) {
    let (found_rule, found_key, found) = parts(Lock::parse(text).unwrap_err());
    assert_eq!((found_rule, found_key.as_deref()), (rule, key), "{found}");
    assert_eq!(found, format!("config lock: {problem}"));
}

fn fixture() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    fs::read_to_string(root.join("tests/fixtures/config_locks/codex-0.147.toml")).unwrap()
}

#[test]
fn a_lock_is_written_for_people_and_read_as_it_was() {
    let text = lock().to_toml().unwrap();
    let (head, rest) = text.split_once("\n\n").unwrap();
    assert_eq!(rest, TEXT);
    assert!(head.lines().all(|line| line.starts_with('#')));
    for command in ["switchboard lock verify FILE", "switchboard run --config-lock FILE"] {
        assert!(head.contains(command), "{head}");
    }
    assert_eq!(Lock::parse(&text).unwrap(), lock());
    assert_eq!(Lock::parse(TEXT).unwrap(), lock());
}

#[test]
fn the_hash_is_of_the_text() {
    let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(Lock::sha256("abc"), expected);
}

#[test]
fn each_fault_of_a_file_has_its_own_rule_and_text() {
    let with = |old: &str, new: &str| {
        assert!(TEXT.contains(old), "{old}");
        TEXT.replacen(old, new, 1)
    };
    for (text, rule, key, problem) in [
        (
            with("model = \"gpt-5.5\"", "model = gpt-5.5"),
            "toml",
            None,
            "not valid TOML: line 14, column 9: string values must be quoted, expected literal string",
        ),
        (
            with("goals = true", "goals = true\ngoals = true"),
            "toml",
            None,
            "not valid TOML: line 18, column 1: duplicate key",
        ),
        (
            with("version = 1", "version = 2"),
            "version",
            Some("version"),
            "unsupported config lock version 2; expected 1",
        ),
        (
            with("version = 1", "version = \"1\""),
            "version",
            Some("version"),
            "unsupported config lock version \"1\"; expected 1",
        ),
        (
            with("version = 1\n", ""),
            "version",
            Some("version"),
            "version: expected version = 1, found no version",
        ),
        (
            with("version = 1", "version = 1\nmodel = \"gpt-5.5\""),
            "unknown_field",
            Some("model"),
            "unknown field model; expected one of version, codex_version, switchboard_version, \
             session_id, thread_id, create_time, working_directory, model_catalog_sha256, config, \
             instructions; is it of [config]?",
        ),
        (
            with("codex_version = \"0.169.0\"\n", ""),
            "missing_field",
            Some("codex_version"),
            "codex_version is missing",
        ),
        (
            with("working_directory = \"/home/dev/project\"\n", ""),
            "missing_field",
            Some("working_directory"),
            "working_directory is missing",
        ),
        (
            "version = 1\ncodex_version = \"0.147.0\"\n".to_owned(),
            "missing_field",
            Some("config"),
            "[config] is missing",
        ),
        (
            "version = 1\ncodex_version = \"0.147.0\"\nconfig = 1".to_owned(),
            "type",
            Some("config"),
            "config: expected a table, found an integer",
        ),
        (
            with("codex_version = \"0.169.0\"", "codex_version = 0.169"),
            "type",
            Some("codex_version"),
            "codex_version: expected a string, found a float",
        ),
        (
            with("\"0.169.0\"", "\"\""),
            "type",
            Some("codex_version"),
            "codex_version: expected a string that is not empty",
        ),
        (
            with("2026-11-18T11:06:40.000001Z", "2026-11-18"),
            "type",
            Some("create_time"),
            "create_time: expected a date and a time in UTC, found 2026-11-18",
        ),
        (
            with("2026-11-18T11:06:40.000001Z", "1795000000"),
            "type",
            Some("create_time"),
            "create_time: expected a date and a time in UTC, found an integer",
        ),
        (
            with("\"/home/dev/project\"\n", "\"project\"\n"),
            "type",
            Some("working_directory"),
            "working_directory: expected an absolute path, found \"project\"",
        ),
        (
            with("\"aa\"", "1"),
            "type",
            Some("instructions.\"/home/dev/project/AGENTS.md\""),
            "instructions.\"/home/dev/project/AGENTS.md\": expected a string, found an integer",
        ),
        (
            with("goals = true", "goals = true\n[config.model_providers.a]\napi_key = 'x'"),
            "secret",
            Some("config.model_providers.a.api_key"),
            "config.model_providers.a.api_key holds a secret, which a config lock never does; have \
             codex take it from the environment by env_key, bearer_token_env_var, \
             env_http_headers or env_vars",
        ),
        (
            format!("{TEXT}#{}", " ".repeat(MAX_BYTES)),
            "size",
            None,
            &format!("{} bytes long; at most 1048576 are possible", TEXT.len() + 1 + MAX_BYTES),
        ),
    ] {
        check_refused(&text, rule, key, problem);
    }
}

#[test]
fn what_cannot_be_written_is_named() {
    let check = |change: &dyn Fn(&mut Lock), rule: &str, key: &str| {
        let mut lock = lock();
        change(&mut lock);
        let (found_rule, found_key, text) = parts(lock.to_toml().unwrap_err());
        assert_eq!((found_rule, found_key.as_deref()), (rule, Some(key)), "{text}");
        assert!(text.contains(key), "{text}");
    };
    let set = |lock: &mut Lock, key: &str, value: Value| {
        lock.effective.config.insert(key.to_owned(), value);
    };
    check(&|lock| set(lock, "a.b", f64::NAN.into()), "round_trip", "config.\"a.b\"");
    check(&|lock| set(lock, "x", vec![1.0, f64::NAN].into()), "round_trip", "config.x");
    let day = |day| toml::value::Date { year: 2026, month: 2, day };
    check(&|lock| set(lock, "day", Value::Datetime(day(31).into())), "round_trip", "config.day");
    let none = toml::value::Datetime { date: None, time: None, offset: None };
    check(&|lock| set(lock, "none", Value::Datetime(none)), "round_trip", "config.none");
    let deep = || (0..500).fold(Value::from(1), |inner, _| vec![inner].into());
    check(&|lock| set(lock, "deep", deep()), "round_trip", "config.deep");
    let early = UNIX_EPOCH - Duration::from_secs(1);
    check(&|lock| lock.made_of.time = Some(early), "round_trip", "create_time");
    check(&|lock| set(lock, "token", "x".into()), "secret", "config.token");
    check(&|lock| set(lock, "long", "x".repeat(MAX_BYTES).into()), "size", "config.long");
    check(&|lock| lock.effective.codex_version.clear(), "type", "codex_version");
    check(&|lock| lock.effective.working_directory = None, "missing_field", "working_directory");
    let relative = |lock: &mut Lock| lock.effective.working_directory = Some("project".into());
    check(&relative, "type", "working_directory");
}

#[cfg(unix)]
#[test]
fn a_directory_that_is_no_text_cannot_be_written() {
    use std::os::unix::ffi::OsStringExt as _;

    let mut lock = lock();
    let path = std::ffi::OsString::from_vec(b"/home/dev/\xff".to_vec());
    lock.effective.working_directory = Some(path.into());
    let (rule, key, _) = parts(lock.to_toml().unwrap_err());
    assert_eq!((rule, key.as_deref()), ("round_trip", Some("working_directory")));
}

#[test]
fn a_lock_of_codex_itself_is_read_and_says_what_it_lacks() {
    let mut lock = Lock::parse(&fixture()).unwrap();
    assert_eq!(lock.made_of, MadeOf::default());
    assert_eq!(lock.effective.codex_version, "0.147.0");
    assert_eq!(lock.effective.config["model"], "gpt-5.5".into());
    assert_eq!(lock.effective.config["features"]["goals"], true.into());
    let lacks = [
        "config.sandbox_mode",
        "config.sandbox_workspace_write",
        "config.default_permissions",
        "config.permissions",
        "instructions",
        "working_directory",
    ];
    assert_eq!(lock.lacks(), lacks);
    assert_eq!(super::tests::lock().lacks(), Vec::<&str>::new());
    assert_eq!(Lock::parse(&lock.to_toml().unwrap()).unwrap(), lock);

    let mut session = lock.effective.clone();
    session.working_directory = Some("/home/dev/project".into());
    session.config.insert("sandbox_mode".to_owned(), "read-only".into());
    session.instructions.insert("/home/dev/project/AGENTS.md".to_owned(), "aa".to_owned());
    assert_eq!(drift(&lock.effective, &session, |_| String::new()), Drift::default());
    assert_eq!(lock.fill(&session), lacks);
    assert_eq!((lock.effective, Vec::new()), (session.clone(), session.lacks()));
}
