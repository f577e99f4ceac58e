//! `switchboard config …`: the configuration checked and explained.

use super::{
    Context, Failure,
    args::{ConfigArgs, ConfigCommand, RetainEvents},
};
use crate::{
    config::{
        CodexFile, ConfigFile, ConfigLockFile, ControlsFile, DebugFile, EventsFile, Flags,
        JsonRpcFile, Loaded, LogFile, Source, TurnsFile,
    },
    server,
};

pub(super) fn config(cx: &Context, command: ConfigCommand) -> Result<(), Failure> {
    match command {
        ConfigCommand::Check(args) => {
            let loaded = load(cx, args)?;
            let agent_config = server::agent_config(&loaded.config);
            agent_config.check().map_err(Failure::Usage)?;
            let agent_config = Some(agent_config.path).filter(|path| path.exists());
            let file = loaded.file.as_ref();
            if cx.output.json {
                let said =
                    serde_json::json!({"valid": true, "file": file, "agent_config": agent_config});
                return cx.output.line(&said.to_string());
            }
            let read: Vec<_> = file
                .into_iter()
                .chain(agent_config.as_ref())
                .map(|path| path.display().to_string())
                .collect();
            let read = match read.as_slice() {
                [] => "no configuration file".to_owned(),
                files => files.join(" and "),
            };
            cx.output.line(&format!("valid ({read})"))
        }
        ConfigCommand::Show(args) => {
            let loaded = load(cx, args)?;
            if cx.output.json { show_json(cx, &loaded) } else { cx.output.print(&shown(&loaded)) }
        }
        ConfigCommand::Schema => {
            let schema = schemars::schema_for!(ConfigFile);
            let text = serde_json::to_string_pretty(&schema)
                .map_err(|error| Failure::Failed(format!("cannot print the schema: {error}")))?;
            cx.output.line(&text)
        }
    }
}

/// Loads the configuration that `serve` would run with.
pub(super) fn load(cx: &Context, args: ConfigArgs) -> Result<Loaded, Failure> {
    let keys = ConfigFile {
        listen: (!args.listen.is_empty()).then_some(args.listen),
        require_token: args.no_token.then_some(false),
        insecure_public: args.insecure_public.then_some(true),
        controls: ControlsFile {
            lock_defaults: args.lock_defaults.then_some(true),
            ..ControlsFile::default()
        },
        allowed_origins: None,
        allowed_hosts: None,
        drain_deadline: args.drain_deadline,
        persist_session: args.persist_session.then_some(true),
        debug_log: args.debug_log,
        turns: TurnsFile::default(),
        events: retained(&args.retain_events)?,
        json_rpc: JsonRpcFile::default(),
        debug: DebugFile {
            config_lockfile: ConfigLockFile {
                export_dir: args.export_config_locks,
                load_path: args.config_lock,
                allow_codex_version_mismatch: args.allow_codex_version_mismatch.then_some(true),
                save_fields_resolved_from_model_catalog: None,
            },
        },
        codex: CodexFile {
            path: args.codex,
            agent_config: args.agent_config,
            unbounded_connection_retries: None,
        },
        log: LogFile { filter: args.log_filter, format: args.log_format },
    };
    let flags = Flags { home: cx.global.home.clone(), file: args.file, keys };
    Ok(Loaded::load(flags, &cx.environment)?)
}

/// What `--retain-events` says, once as a size and once as an age at most.
fn retained(bounds: &[RetainEvents]) -> Result<EventsFile, Failure> {
    let mut events = EventsFile::default();
    for bound in bounds {
        let (earlier, what) = match *bound {
            RetainEvents::Size(size) => (events.retain_bytes.replace(size).is_some(), "size"),
            RetainEvents::Age(age) => (events.retain_age.replace(age).is_some(), "age"),
        };
        if earlier {
            return Err(Failure::Usage(format!(
                "--retain-events was given more than one {what}: expected one size and one age at most, such as --retain-events 100MB --retain-events 30d"
            )));
        }
    }
    Ok(events)
}

/// The effective configuration as a file that would have the same effect, each
/// line with its source.
fn shown(loaded: &Loaded) -> String {
    let home = loaded.config.home.path().display();
    let mut text = format!("# home: {home} ({})\n", loaded.home_source);
    let mut table = "";
    for value in &loaded.values {
        let (in_table, key) = value.key.rsplit_once('.').unwrap_or(("", value.key));
        if in_table != table {
            text.push_str(&format!("\n[{in_table}]\n"));
            table = in_table;
        }
        let source = &value.source;
        // JSON's strings, booleans and arrays of strings are TOML too.
        let line = if value.value.is_null() {
            format!("# {key} is not set")
        } else {
            format!("{key} = {}", value.value)
        };
        text.push_str(&format!("{line:<44} # {source}\n"));
    }
    text
}

fn show_json(cx: &Context, loaded: &Loaded) -> Result<(), Failure> {
    let from = |source: &Source| match source {
        Source::Flag => "flag".to_owned(),
        Source::Environment => "environment".to_owned(),
        Source::File(path) => path.display().to_string(),
        Source::Default => "default".to_owned(),
    };
    let mut values = serde_json::Map::new();
    let home = serde_json::json!({
        "value": loaded.config.home.path(), "source": from(&loaded.home_source),
    });
    values.insert("home".into(), home);
    for value in &loaded.values {
        let entry = serde_json::json!({"value": value.value, "source": from(&value.source)});
        values.insert(value.key.into(), entry);
    }
    cx.output.line(&serde_json::Value::from(values).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Environment;

    #[test]
    fn what_is_shown_is_a_file_with_the_same_effect() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config.toml");
        std::fs::write(
            &path,
            "listen = ['[::1]:1']\n[codex]\nunbounded_connection_retries = true\n",
        )
        .unwrap();
        let environment = Environment::of([("HOME", "/home/dev")]);
        let load = |path: &std::path::Path| {
            let flags = Flags { file: Some(path.to_owned()), ..Flags::default() };
            Loaded::load(flags, &environment).unwrap()
        };
        let first = load(&path);
        let text = shown(&first);
        assert!(
            text.starts_with("# home: /home/dev/.local/state/switchboard (default)\n"),
            "{text}"
        );
        assert!(text.contains("unbounded_connection_retries = true"), "{text}");
        std::fs::write(&path, &text).unwrap();
        let values = |loaded: Loaded| {
            loaded.values.into_iter().map(|value| (value.key, value.value)).collect::<Vec<_>>()
        };
        assert_eq!(values(first), values(load(&path)));
    }
}
