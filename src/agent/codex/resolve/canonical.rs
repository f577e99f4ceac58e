//! A configuration made of codex's answers: values that codex takes by `-c`, in
//! the names that codex itself uses.

use std::{path::PathBuf, slice};

use serde_json::Value as Json;
use toml::{Table, Value};

use super::{
    Answers, Picture, Question, catalogue, features, instructions, left_out,
    origins::Origins,
    thread::{NEVER, REFUSED},
};
use crate::{
    agent::{
        codex::tree::{get, leaves, put, remove},
        file::read_at_most,
    },
    error::{Error, Result},
    lock::{CatalogueFields, Effective},
    toml_text::dotted,
};

mod sandbox;

/// The most bytes of a file whose content is a setting: what one argument holds.
const MAX_TEXT_BYTES: usize = 128 << 10;

/// Settings that name a file, and the ones that are given its content in a lock.
const FILES: [(&str, &str); 2] = [
    ("model_instructions_file", "instructions"),
    ("experimental_compact_prompt_file", "compact_prompt"),
];

/// Makes the picture.
pub(super) fn picture(question: &Question<'_>, answers: Answers) -> Result<Picture> {
    let unavailable = |problem| Error::AgentUnavailable { problem };
    let Answers {
        mut config,
        layers,
        ignored,
        thread,
        requirements,
        features,
        aliases,
        model,
        catalogue,
    } = answers;
    let saved = match catalogue {
        CatalogueFields::LeftOut => None,
        CatalogueFields::Saved => model.as_ref(),
    };
    let mut origins = Origins::new(layers.origins());
    let mut notes = Vec::new();
    let mut said = layers.merged();
    for key in &ignored {
        let path: Vec<String> = key.split('.').map(str::to_owned).collect();
        remove(&mut said, &path);
    }
    add_untold(&mut config, &said);
    let said_features = match said.get("features") {
        Some(Value::Table(table)) => features::renamed(table, &aliases),
        _ => Table::new(),
    };
    for (alias, name) in &aliases {
        let key = |name: &str| dotted("features", name);
        origins.rename(&key(alias), &key(name));
    }
    config.insert("features".to_owned(), features::table(&features, &said_features).into());
    if config.get("hooks").is_some_and(has_values) {
        notes.push("Hooks are not covered: they stay as the layers have them.".to_owned());
    }
    take_files(&mut config, &mut origins).map_err(unavailable)?;
    let roles = role_files(&config);
    left_out::take(&mut config);
    let policy = thread["approvalPolicy"].as_str().unwrap_or(NEVER);
    config.insert("approval_policy".to_owned(), policy.into());
    let above = if requirements["requirements"].is_null() { "codex" } else { REQUIREMENTS };
    if let Some(problem) = thread[REFUSED].as_str() {
        notes.push(format!("A turn would not start like this: {problem}"));
    }
    if policy != NEVER {
        origins.know("approval_policy", above);
    }
    if sandbox::is_forced(question, &config, &thread) {
        origins.know("sandbox_mode", above);
    }
    let comes_to = sandbox::comes_to(&thread);
    sandbox::put(question, &mut config, &thread, &comes_to);
    for (key, value) in
        [("model", "model"), ("model_provider", "modelProvider"), ("service_tier", "serviceTier")]
    {
        let value = thread[value].as_str();
        // What nobody says is the catalogue's.
        let is_flag = key == "model" && question.model.is_some();
        let counts = is_flag || origins.is_said(key) || key == "model_provider" || saved.is_some();
        if let (Some(value), true) = (value, counts) {
            config.insert(key.to_owned(), value.into());
        }
    }
    if let Some(model) = saved {
        catalogue::save(&mut config, model, &mut notes);
    }
    prune(&mut config);
    origins.rename("model_catalog_json", catalogue::HASH);
    let model_catalog_sha256 = model.as_ref().map(|model| catalogue::hash(model, &config));
    let sources = thread["instructionSources"].as_array().into_iter().flatten();
    let sources: Vec<PathBuf> =
        sources.filter_map(Json::as_str).map(PathBuf::from).chain(roles).collect();
    for file in &sources {
        let name = instructions::name(file, question.directory, question.home);
        origins.know(&instructions::key(&name), &file.display().to_string());
    }
    let instructions =
        instructions::hashes(sources, question.directory, question.home).map_err(unavailable)?;
    let effective = Effective {
        codex_version: question.version.to_owned(),
        working_directory: Some(question.directory.to_owned()),
        config,
        model_catalog_sha256,
        instructions,
    };
    Ok(Picture { effective, origins, aliases, sandbox: comes_to, above, notes })
}

/// Adds what the layers say and `config/read` leaves out, such as most of the
/// table `tools`.
fn add_untold(config: &mut Table, said: &Table) {
    for (path, value) in leaves(said) {
        let path = left_out::renamed(&path);
        let is_empty = value.as_table().is_some_and(Table::is_empty);
        if !is_empty && get(config, &path).is_none() {
            put(config, &path, value.clone());
        }
    }
}

fn has_values(value: &Value) -> bool {
    match value {
        Value::Table(table) => table.values().any(has_values),
        Value::Array(values) => !values.is_empty(),
        Value::String(_)
        | Value::Integer(_)
        | Value::Float(_)
        | Value::Boolean(_)
        | Value::Datetime(_) => true,
    }
}

/// Puts the content of files in the place of their names. Codex goes by a file
/// where both are said, and takes the white space around its text away.
fn take_files(config: &mut Table, origins: &mut Origins) -> Result<(), String> {
    for (file_key, key) in FILES {
        let Some(Value::String(file)) = config.remove(file_key) else { continue };
        let file = PathBuf::from(file);
        let problem = |problem: &str| format!("{file_key}: {}: {problem}", file.display());
        let content = match read_at_most(&file, MAX_TEXT_BYTES) {
            Ok(Some(content)) => content,
            Ok(None) => return Err(problem(&format!("larger than {MAX_TEXT_BYTES} bytes"))),
            Err(error) => return Err(problem(&error.to_string())),
        };
        let content = String::from_utf8(content).map_err(|_| problem("not UTF-8"))?;
        config.insert(key.to_owned(), content.trim().into());
        origins.know(key, &file.display().to_string());
    }
    Ok(())
}

/// The files of roles of agents. Their names stay settings, their content has a
/// hash.
fn role_files(config: &Table) -> Vec<PathBuf> {
    let agents = config.get("agents").and_then(Value::as_table);
    let roles = agents.into_iter().flat_map(Table::values);
    let files = roles.filter_map(|role| role.get("config_file").and_then(Value::as_str));
    files.map(PathBuf::from).collect()
}

/// Where what an administrator requires is told from.
const REQUIREMENTS: &str = "requirements.toml";

/// Takes out tables that are empty, which say nothing.
fn prune(table: &mut Table) {
    for (_, value) in table.iter_mut() {
        prune_in(slice::from_mut(value));
    }
    let is_empty = |value: &Value| value.as_table().is_some_and(Table::is_empty);
    let empty: Vec<String> =
        table.iter().filter(|(_, value)| is_empty(value)).map(|(key, _)| key.clone()).collect();
    for key in empty {
        table.remove(&key);
    }
}

fn prune_in(values: &mut [Value]) {
    for value in values {
        match value {
            Value::Table(table) => prune(table),
            Value::Array(values) => prune_in(values),
            Value::String(_)
            | Value::Integer(_)
            | Value::Float(_)
            | Value::Boolean(_)
            | Value::Datetime(_) => {}
        }
    }
}

#[cfg(test)]
mod tests;
