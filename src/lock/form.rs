//! The form of a lock's file: how it is read and written.

use std::{collections::BTreeMap, path::PathBuf, time::SystemTime};

use toml::{Table, Value, de};

use super::{
    Effective, Lock, MAX_BYTES, MadeOf, VERSION, invalid,
    round_trip::{culprit, unreadable},
    secrets,
};
use crate::{
    Error, Result, time,
    toml_text::{self, Entry, dotted},
};

/// What stands above every lock.
const HEAD: &str = "\
# A config lock: what a turn of a codex session of switchboard would run with at
# create_time, so that it can be run again. Compare it with what would be used now:
#     switchboard lock verify FILE
# Run with it and nothing else; any difference is an error before a turn starts:
#     switchboard run --config-lock FILE PROMPT
# It holds no secrets: env_key and the like name the variables that have them.

";

/// Everything that may stand outside of tables, and the tables.
const FIELDS: [&str; 10] = [
    "version",
    "codex_version",
    "switchboard_version",
    "session_id",
    "thread_id",
    "create_time",
    "working_directory",
    "model_catalog_sha256",
    "config",
    "instructions",
];

/// What may not be in a lock, and what to do.
const SECRET: &str = "holds a secret, which a config lock never does; have codex take it from the \
    environment by env_key, bearer_token_env_var, env_http_headers or env_vars";

pub(super) fn parse(text: &str) -> Result<Lock> {
    check_size(text)?;
    let mut top: Table = toml::from_str(text).map_err(|error| syntax(text, &error))?;
    match top.remove("version") {
        Some(Value::Integer(VERSION)) => {}
        Some(other) => {
            let other = toml_text::line(&other);
            let problem = format!("unsupported config lock version {other}; expected {VERSION}");
            return Err(invalid("version", Some("version"), problem));
        }
        None => {
            let problem = format!("version: expected version = {VERSION}, found no version");
            return Err(invalid("version", Some("version"), problem));
        }
    }
    if let Some(key) = top.keys().find(|key| !FIELDS.contains(&key.as_str())) {
        let key = dotted("", key);
        let problem = format!(
            "unknown field {key}; expected one of {}; is it of [config]?",
            FIELDS.join(", ")
        );
        return Err(invalid("unknown_field", Some(&key), problem));
    }
    let codex_version =
        take_text(&mut top, "codex_version")?.ok_or_else(|| missing("codex_version"))?;
    let made_of = MadeOf {
        switchboard_version: take_text(&mut top, "switchboard_version")?,
        session_id: take_text(&mut top, "session_id")?,
        thread_id: take_text(&mut top, "thread_id")?,
        time: take_time(&mut top)?,
    };
    let working_directory = take_text(&mut top, "working_directory")?.map(PathBuf::from);
    match &working_directory {
        Some(path) if !path.is_absolute() => {
            let problem = format!("working_directory: expected an absolute path, found {path:?}");
            return Err(invalid("type", Some("working_directory"), problem));
        }
        None if made_of.switchboard_version.is_some() => return Err(missing("working_directory")),
        Some(_) | None => {}
    }
    let model_catalog_sha256 = take_text(&mut top, "model_catalog_sha256")?;
    let config = take_table(&mut top, "config")?.ok_or_else(|| missing("config"))?;
    check_secrets(&config)?;
    let mut instructions = BTreeMap::new();
    for (path, hash) in take_table(&mut top, "instructions")?.unwrap_or_default() {
        let Value::String(hash) = hash else {
            return Err(mistyped(&dotted("instructions", &path), "a string", &hash));
        };
        instructions.insert(path, hash);
    }
    let effective =
        Effective { codex_version, working_directory, config, model_catalog_sha256, instructions };
    Ok(Lock { made_of, effective })
}

pub(super) fn write(lock: &Lock) -> Result<String> {
    check_secrets(&lock.effective.config)?;
    let mut document = vec![Entry::new("", "version", &VERSION.into())];
    let mut add = |key: &str, value: Option<Value>| {
        document.extend(value.map(|value| Entry::new("", key, &value)));
    };
    let Lock { made_of, effective } = lock;
    let MadeOf { switchboard_version, session_id, thread_id, time } = made_of;
    add("codex_version", Some(effective.codex_version.clone().into()));
    add("switchboard_version", switchboard_version.clone().map(Value::from));
    add("session_id", session_id.clone().map(Value::from));
    add("thread_id", thread_id.clone().map(Value::from));
    add("create_time", time.map(datetime).transpose()?);
    add("working_directory", path_text(effective)?.map(Value::from));
    add("model_catalog_sha256", effective.model_catalog_sha256.clone().map(Value::from));
    add_tables(&mut document, &effective.config, &effective.instructions);
    let mut text = HEAD.to_owned();
    text.extend(document.into_iter().map(|entry| entry.text));
    check_size(&text).map_err(|error| name_largest(error, lock))?;
    match parse(&text) {
        Ok(read) if read == *lock => Ok(text),
        Err(error @ Error::ConfigLockInvalid { rule, .. }) if rule != "toml" => Err(error),
        Ok(_) | Err(_) => Err(unreadable(culprit(lock).as_deref())),
    }
}

/// Adds the tables of a lock to a document.
pub(super) fn add_tables(
    document: &mut Vec<Entry>,
    config: &Table,
    instructions: &BTreeMap<String, String>,
) {
    toml_text::write_table(document, "config", config);
    if !instructions.is_empty() {
        let hashes = instructions.iter();
        let table = hashes.map(|(path, hash)| (path.clone(), hash.clone().into())).collect();
        toml_text::write_table(document, "instructions", &table);
    }
}

fn check_size(text: &str) -> Result<()> {
    if text.len() <= MAX_BYTES {
        return Ok(());
    }
    let problem = format!("{} bytes long; at most {MAX_BYTES} are possible", text.len());
    Err(invalid("size", None, problem))
}

/// Says which setting a lock that is too large is large by.
fn name_largest(error: Error, lock: &Lock) -> Error {
    let sizes =
        lock.effective.config.iter().map(|(key, value)| (toml_text::line(value).len(), key));
    match (error, sizes.max()) {
        (Error::ConfigLockInvalid { rule, key: _, problem }, Some((size, key))) => {
            let key = dotted("config", key);
            let problem = format!("{problem}; {key} alone has {size}");
            Error::ConfigLockInvalid { rule, key: Some(key), problem }
        }
        (error, _) => error,
    }
}

fn check_secrets(config: &Table) -> Result<()> {
    let Some(key) = secrets::find(config).into_iter().next() else {
        return Ok(());
    };
    let key = format!("config.{key}");
    Err(invalid("secret", Some(&key), format!("{key} {SECRET}")))
}

/// Where a text is no TOML, with the line and the column.
fn syntax(text: &str, error: &de::Error) -> Error {
    let at = error.span().map_or(0, |span| span.start);
    let before = text.get(..at).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    let problem = error.message().trim_end().replace('\n', ", ");
    invalid("toml", None, format!("not valid TOML: line {line}, column {column}: {problem}"))
}

fn missing(key: &str) -> Error {
    let problem = match key {
        "config" => "[config] is missing".to_owned(),
        _ => format!("{key} is missing"),
    };
    invalid("missing_field", Some(key), problem)
}

fn mistyped(key: &str, expected: &str, found: &Value) -> Error {
    let problem = format!("{key}: expected {expected}, found {}", type_of(found));
    invalid("type", Some(key), problem)
}

/// What a value is, in words.
fn type_of(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "a string",
        Value::Integer(_) => "an integer",
        Value::Float(_) => "a float",
        Value::Boolean(_) => "a boolean",
        Value::Datetime(_) => "a date or time",
        Value::Array(_) => "an array",
        Value::Table(_) => "a table",
    }
}

fn take_text(top: &mut Table, key: &str) -> Result<Option<String>> {
    match top.remove(key) {
        Some(Value::String(text)) if text.is_empty() => {
            Err(invalid("type", Some(key), format!("{key}: expected a string that is not empty")))
        }
        Some(Value::String(text)) => Ok(Some(text)),
        Some(other) => Err(mistyped(key, "a string", &other)),
        None => Ok(None),
    }
}

fn take_table(top: &mut Table, key: &str) -> Result<Option<Table>> {
    match top.remove(key) {
        Some(Value::Table(table)) => Ok(Some(table)),
        Some(other) => Err(mistyped(key, "a table", &other)),
        None => Ok(None),
    }
}

fn take_time(top: &mut Table) -> Result<Option<SystemTime>> {
    const KEY: &str = "create_time";
    match top.remove(KEY) {
        Some(Value::Datetime(datetime)) => {
            let time = time::parse(&datetime.to_string());
            let time = time.and_then(|time| time::system_time(&time));
            time.map(Some).ok_or_else(|| {
                let problem = format!("{KEY}: expected a date and a time in UTC, found {datetime}");
                invalid("type", Some(KEY), problem)
            })
        }
        Some(other) => Err(mistyped(KEY, "a date and a time in UTC", &other)),
        None => Ok(None),
    }
}

/// A point in time as TOML has it.
fn datetime(time: SystemTime) -> Result<Value> {
    let json = serde_json::to_value(time::timestamp(time)).map_err(Error::internal)?;
    let datetime = json.as_str().and_then(|text| text.parse().ok());
    datetime.map(Value::Datetime).ok_or_else(|| unreadable(Some("create_time")))
}

/// The working directory as text; a path that is no text is no value of TOML.
fn path_text(effective: &Effective) -> Result<Option<&str>> {
    let Some(path) = &effective.working_directory else {
        return Ok(None);
    };
    path.to_str().map(Some).ok_or_else(|| unreadable(Some("working_directory")))
}
