//! The layers merged: which value holds, and where it comes from.

use std::{path::PathBuf, time::Duration};

use serde::Serialize;

mod validate;

use super::{
    CodexConfig, Config, ConfigFile, DEFAULT_LISTEN, DEFAULT_OUTPUT_LIMIT, DEFAULT_SEGMENT,
    Environment, Error, EventsConfig, JsonRpcConfig, LocksConfig, LogConfig, LogFormat,
    PersistConfig, Size, Source, Span, TurnsConfig, Value, WatchBody,
};
use crate::{
    controls::{Controls, Policy},
    debug_log::SessionLogs,
    home::Home,
    lock::CatalogueFields,
    supervise::{self, Grace, Limits},
};

/// How many turns run at once by default: of codex, some 10 GB of memory.
const DEFAULT_MAX_RUNNING: u32 = 64;

/// How much of the disk is left free by default.
const DEFAULT_MIN_FREE: Size = Size(100 << 20);

/// The three layers, and what was picked from them so far.
pub(super) struct Merge {
    flags: ConfigFile,
    environment: ConfigFile,
    file: ConfigFile,
    path: PathBuf,
    values: Vec<Value>,
}

impl Merge {
    /// Prepares to merge layers, the highest first; `path` is that of the file.
    pub(super) fn new(
        flags: ConfigFile,
        environment: ConfigFile,
        file: ConfigFile,
        path: PathBuf,
    ) -> Self {
        Self { flags, environment, file, path, values: Vec::new() }
    }

    /// Each key's value and source, in the order of the schema.
    pub(super) fn into_values(self) -> Vec<Value> {
        self.values
    }

    /// Merges and validates.
    pub(super) fn config(
        &mut self,
        home: Home,
        environment: &Environment,
    ) -> Result<Config, Error> {
        let default_listen = || DEFAULT_LISTEN.parse().expect("the default is an address");
        let listen =
            self.pick("listen", |layer| layer.listen.clone()).unwrap_or(vec![default_listen()]);
        let require_token = self.pick("require_token", |layer| layer.require_token);
        let insecure_public = self.pick("insecure_public", |layer| layer.insecure_public);
        let allowed_origins = self.pick("allowed_origins", |layer| layer.allowed_origins.clone());
        let allowed_hosts = self.pick("allowed_hosts", |layer| layer.allowed_hosts.clone());
        let drain = self.pick("drain_deadline", |layer| layer.drain_deadline);
        let persist_session = self.pick("persist_session", |layer| layer.persist_session);
        let debug_log = self.pick("debug_log", |layer| layer.debug_log.clone());
        let max_running = self.pick("turns.max_running", |layer| layer.turns.max_running);
        let min_free = self.pick("turns.min_free_disk", |layer| layer.turns.min_free_disk);
        let interrupt = self.pick("turns.interrupt_grace", |layer| layer.turns.interrupt_grace);
        let kill = self.pick("turns.kill_grace", |layer| layer.turns.kill_grace);
        let terminate = self.pick("turns.terminate_grace", |layer| layer.turns.terminate_grace);
        let inactivity = self.pick("turns.inactivity_limit", |layer| layer.turns.inactivity_limit);
        let wall_clock = self.pick("turns.wall_clock_limit", |layer| layer.turns.wall_clock_limit);
        let output = self.pick("turns.output_limit", |layer| layer.turns.output_limit);
        let retain_bytes = self.pick("events.retain_bytes", |layer| layer.events.retain_bytes);
        let retain_age = self.pick("events.retain_age", |layer| layer.events.retain_age);
        let segment = self.pick("events.segment_bytes", |layer| layer.events.segment_bytes);
        let lock_defaults =
            self.pick("controls.lock_defaults", |layer| layer.controls.lock_defaults);
        let approval =
            self.pick("controls.approval_policy", |layer| layer.controls.approval_policy);
        let network = self.pick("controls.network_access", |layer| layer.controls.network_access);
        let sandbox =
            self.pick("controls.filesystem_sandbox", |layer| layer.controls.filesystem_sandbox);
        let rpc = JsonRpcConfig::default();
        let max_connections =
            self.pick("json_rpc.max_connections", |layer| layer.json_rpc.max_connections);
        let max_batch = self.pick("json_rpc.max_batch", |layer| layer.json_rpc.max_batch);
        let max_message =
            self.pick("json_rpc.max_message_size", |layer| layer.json_rpc.max_message_size);
        let max_subscriptions =
            self.pick("json_rpc.max_subscriptions", |layer| layer.json_rpc.max_subscriptions);
        let ping = self.pick("json_rpc.ping_interval", |layer| layer.json_rpc.ping_interval);
        let export_dir = self.pick("debug.config_lockfile.export_dir", |layer| {
            layer.debug.config_lockfile.export_dir.clone()
        });
        let load_path = self.pick("debug.config_lockfile.load_path", |layer| {
            layer.debug.config_lockfile.load_path.clone()
        });
        let any_version = self
            .pick(ANY_VERSION, |layer| layer.debug.config_lockfile.allow_codex_version_mismatch);
        let save_catalogue = self.pick(SAVE_CATALOGUE, |layer| {
            layer.debug.config_lockfile.save_fields_resolved_from_model_catalog
        });
        let codex_path = self.pick("codex.path", |layer| layer.codex.path.clone());
        let agent_config =
            self.pick("codex.agent_config", |layer| layer.codex.agent_config.clone());
        let retries = self.pick("codex.unbounded_connection_retries", |layer| {
            layer.codex.unbounded_connection_retries
        });
        let filter = self.pick("log.filter", |layer| layer.log.filter.clone());
        let format = self.pick("log.format", |layer| layer.log.format);

        let grace = Grace::default();
        let mut config = Config {
            listen,
            require_token: require_token.unwrap_or(true),
            allowed_origins: allowed_origins.unwrap_or_default(),
            allowed_hosts: allowed_hosts.unwrap_or_default(),
            drain_deadline: drain.map_or(Duration::from_secs(10), |span| span.0),
            turns: TurnsConfig {
                max_running: match max_running.unwrap_or(DEFAULT_MAX_RUNNING) {
                    0 => None,
                    limit => Some(limit as usize),
                },
                min_free_bytes: min_free.unwrap_or(DEFAULT_MIN_FREE).0,
            },
            grace: Grace {
                interrupt: interrupt.map_or(grace.interrupt, |span| span.0),
                kill: kill.map_or(grace.kill, |span| span.0),
                terminate: terminate.map_or(grace.terminate, |span| span.0),
                ..grace
            },
            limits: Limits {
                inactivity: inactivity.map(|span| span.0),
                wall_clock: wall_clock.map(|span| span.0),
                output_bytes: Some(output.unwrap_or(DEFAULT_OUTPUT_LIMIT).0),
            },
            events: EventsConfig {
                retain_bytes: retain_bytes.map(|size| size.0),
                retain_age: retain_age.map(|span| span.0),
                segment_bytes: segment.unwrap_or(DEFAULT_SEGMENT).0,
            },
            locks: LocksConfig {
                export_dir,
                load_path,
                any_version: any_version.unwrap_or(false),
                catalogue: match save_catalogue {
                    None | Some(true) => CatalogueFields::Saved,
                    Some(false) => CatalogueFields::LeftOut,
                },
            },
            controls: Policy {
                defaults: Controls {
                    model: None,
                    approval_policy: approval.map(|word| word.0).unwrap_or_default(),
                    network: network.map(|word| word.0).unwrap_or_default(),
                    sandbox: sandbox.map(|word| word.0).unwrap_or_default(),
                },
                lock_defaults: lock_defaults.unwrap_or(false),
            },
            json_rpc: JsonRpcConfig {
                max_connections: max_connections.unwrap_or(rpc.max_connections),
                max_batch: max_batch.unwrap_or(rpc.max_batch),
                max_message_bytes: max_message.map_or(rpc.max_message_bytes, |size| {
                    u32::try_from(size.0).unwrap_or(u32::MAX)
                }),
                max_subscriptions: max_subscriptions.unwrap_or(rpc.max_subscriptions),
                ping_interval: ping.map_or(rpc.ping_interval, |span| span.0),
            },
            codex: CodexConfig {
                path: codex_path,
                search_path: environment.raw("PATH"),
                codex_home: environment.raw("CODEX_HOME").map(PathBuf::from),
                default_codex_home: environment
                    .directory("HOME")
                    .map(|directory| directory.join(".codex")),
                agent_config,
                unbounded_connection_retries: retries.unwrap_or(false),
            },
            log: LogConfig {
                filter: filter.unwrap_or_else(|| "info".into()),
                format: format.unwrap_or(LogFormat::Text),
            },
            persist: PersistConfig {
                all: persist_session.unwrap_or(false),
                debug_log: debug_log.unwrap_or_else(|| PersistConfig::default().debug_log),
            },
            session_logs: SessionLogs::default(),
            program: supervise::THIS_PROGRAM.into(),
            watch_body: WatchBody::default(),
            home,
        };
        self.show_defaults(&config);
        self.validate(&mut config, insecure_public.unwrap_or(false))?;
        Ok(config)
    }

    /// Takes the highest layer's value and notes it.
    fn pick<T: Serialize>(
        &mut self,
        key: &'static str,
        get: impl Fn(&ConfigFile) -> Option<T>,
    ) -> Option<T> {
        let layers = [
            (&self.flags, Source::Flag),
            (&self.environment, Source::Environment),
            (&self.file, Source::File(self.path.clone())),
        ];
        let (value, source) = layers
            .into_iter()
            .find_map(|(layer, source)| Some((get(layer)?, source)))
            .map_or((None, Source::Default), |(value, source)| (Some(value), source));
        let shown = serde_json::to_value(&value).unwrap_or_default();
        self.values.push(Value { key, value: shown, source });
        value
    }

    /// Puts the defaults in where nobody set a value.
    fn show_defaults(&mut self, config: &Config) {
        let default = |key: &str| -> serde_json::Value {
            match key {
                "listen" => serde_json::json!(config.listen),
                "require_token" => config.require_token.into(),
                "allowed_origins" | "allowed_hosts" => serde_json::json!([]),
                "drain_deadline" => serde_json::json!(Span(config.drain_deadline)),
                "turns.max_running" => DEFAULT_MAX_RUNNING.into(),
                "turns.min_free_disk" => serde_json::json!(DEFAULT_MIN_FREE),
                "turns.interrupt_grace" => serde_json::json!(Span(config.grace.interrupt)),
                "turns.kill_grace" => serde_json::json!(Span(config.grace.kill)),
                "turns.terminate_grace" => serde_json::json!(Span(config.grace.terminate)),
                "turns.output_limit" => serde_json::json!(config.limits.output_bytes.map(Size)),
                "events.segment_bytes" => serde_json::json!(Size(config.events.segment_bytes)),
                "json_rpc.max_connections" => config.json_rpc.max_connections.into(),
                "json_rpc.max_batch" => config.json_rpc.max_batch.into(),
                "json_rpc.max_message_size" => {
                    serde_json::json!(Size(config.json_rpc.max_message_bytes.into()))
                }
                "json_rpc.max_subscriptions" => config.json_rpc.max_subscriptions.into(),
                "json_rpc.ping_interval" => serde_json::json!(Span(config.json_rpc.ping_interval)),
                "debug_log" => serde_json::json!(config.persist.debug_log),
                SAVE_CATALOGUE => true.into(),
                ANY_VERSION
                | "insecure_public"
                | "persist_session"
                | "controls.lock_defaults"
                | "codex.unbounded_connection_retries" => false.into(),
                "log.filter" => config.log.filter.clone().into(),
                "log.format" => serde_json::json!(config.log.format),
                _ => serde_json::Value::Null,
            }
        };
        for value in &mut self.values {
            if value.source == Source::Default {
                value.value = default(value.key);
            }
        }
    }
}

/// Keys that stand in two places.
const ANY_VERSION: &str = "debug.config_lockfile.allow_codex_version_mismatch";
const SAVE_CATALOGUE: &str = "debug.config_lockfile.save_fields_resolved_from_model_catalog";
