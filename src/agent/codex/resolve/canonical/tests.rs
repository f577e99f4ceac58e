use std::path::Path;

use serde_json::json;

use super::*;
use crate::agent::codex::{binary::Binary, resolve::layers::Layers, settings::Settings};

/// What codex answers where nothing is configured but a model.
struct Said {
    layers: Json,
    config: Json,
    thread: Json,
    requirements: Json,
}

impl Said {
    fn new(config: Json) -> Self {
        let user = json!({"type": "user", "file": "/home/dev/.codex/config.toml"});
        Self {
            layers: json!([{"name": user, "config": config.clone()}]),
            config,
            thread: json!({
                "model": "gpt-5.5", "modelProvider": "openai", "serviceTier": null,
                "approvalPolicy": "never", "sandbox": {"type": "readOnly"},
                "instructionSources": [],
            }),
            requirements: json!({"requirements": null}),
        }
    }

    fn picture(self, asked: impl FnOnce(&mut Question<'_>)) -> Picture {
        let binary = Binary { program: "/usr/bin/codex".into(), env: Vec::new() };
        let mut question = Question {
            binary: &binary,
            version: "0.169.0",
            home: None,
            directory: Path::new("/home/dev/project"),
            settings: Settings::default(),
            model: None,
            sandbox: None,
            add_directories: &[],
            said_of_sandbox: Table::new(),
            asks_catalogue: false,
            profile: None,
        };
        asked(&mut question);
        let Some(Value::Table(config)) = super::super::toml_of(&self.config) else { panic!() };
        let answers = Answers {
            config,
            layers: Layers::read(&json!({"layers": self.layers})),
            ignored: vec!["tools.gone".to_owned()],
            thread: self.thread,
            requirements: self.requirements,
            features: features::parse("goals stable true\n"),
            aliases: features::Aliases::new(),
            model: None,
            catalogue: CatalogueFields::Saved,
        };
        picture(&question, answers).unwrap()
    }
}

/// Checks the configuration beside what is in all of them.
fn check(picture: &Picture, expected: &str) {
    let always = "approval_policy = 'never'\nmodel_provider = 'openai'\n";
    let mut expected: Table = format!("{always}{expected}").parse().unwrap();
    expected.entry("features").or_insert_with(|| toml::toml!(goals = true).into());
    assert_eq!(picture.effective.config, expected);
}

#[test]
fn what_nobody_says_is_not_there_and_what_codex_does_not_tell_is() {
    let mut said = Said::new(json!({
        "model": "gpt-5.5", "tools": {"gone": true, "update_plan": {"enabled": true}},
        "agents": {"max_threads": 3}, "tui": {"theme": "dark"},
    }));
    said.config = json!({
        "model": "gpt-5.5", "model_verbosity": null, "tools": {"web_search": null},
        "agents": {"max_concurrent_threads_per_session": 3}, "tui": {"theme": "dark"},
        "mcp_servers": {}, "include_environment_context": true,
    });
    check(
        &said.picture(|_| {}),
        "model = 'gpt-5.5'\nsandbox_mode = 'read-only'\ninclude_environment_context = true\n\
         [agents]\nmax_concurrent_threads_per_session = 3\n[tools.update_plan]\nenabled = true\n",
    );
}

#[test]
fn a_model_that_only_the_catalogue_names_is_left_to_it() {
    check(&Said::new(json!({})).picture(|_| {}), "sandbox_mode = 'read-only'\n");
    let asked = Said::new(json!({})).picture(|question| question.model = Some("gpt-5.5"));
    check(&asked, "sandbox_mode = 'read-only'\nmodel = 'gpt-5.5'\n");
}

#[test]
fn a_sandbox_to_write_in_is_said_whole() {
    let mut said = Said::new(json!({"sandbox_workspace_write": {"writable_roots": ["/a"]}}));
    said.thread["sandbox"] =
        json!({"type": "workspaceWrite", "networkAccess": true, "excludeSlashTmp": true});
    let directories: &[String] = Box::leak(Box::new(["/a".to_owned(), "/b".to_owned()]));
    let picture = said.picture(|question| question.add_directories = directories);
    check(
        &picture,
        "sandbox_mode = 'workspace-write'\n[sandbox_workspace_write]\nnetwork_access = true\n\
         exclude_slash_tmp = true\nexclude_tmpdir_env_var = false\nwritable_roots = ['/a', '/b']\n",
    );
}

#[test]
fn a_profile_of_permissions_stands_for_a_sandbox_unless_one_is_asked_for() {
    let said = || {
        let mut said = Said::new(json!({"default_permissions": "dev"}));
        said.thread["activePermissionProfile"] = json!({"id": "dev"});
        said.thread["sandbox"] = json!({"type": "workspaceWrite"});
        said
    };
    check(&said().picture(|_| {}), "default_permissions = 'dev'\n");
    let mut asked = said();
    asked.thread["sandbox"] = json!({"type": "dangerFullAccess"});
    let picture = asked.picture(|question| question.sandbox = Some("danger-full-access"));
    check(&picture, "sandbox_mode = 'danger-full-access'\n");
}

#[test]
fn what_an_administrator_requires_is_told_from_what_a_layer_says() {
    let mut said = Said::new(json!({"sandbox_mode": "danger-full-access"}));
    said.requirements = json!({"requirements": {"allowedSandboxModes": ["read-only"]}});
    said.thread["approvalPolicy"] = json!("on-request");
    let picture = said.picture(|_| {});
    assert_eq!(picture.effective.config["sandbox_mode"].as_str(), Some("read-only"));
    assert_eq!(picture.effective.config["approval_policy"].as_str(), Some("on-request"));
    let origin = |key: &str| picture.origins.of(key);
    assert_eq!(origin("sandbox_mode").as_deref(), Some("requirements.toml"));
    assert_eq!(origin("approval_policy").as_deref(), Some("requirements.toml"));
    assert_eq!(picture.above, "requirements.toml");

    let mut said = Said::new(json!({"sandbox_mode": "read-only"}));
    let managed = json!({"type": "legacyManagedConfigTomlFromFile", "file": "/etc/codex/managed_config.toml"});
    said.layers[0]["name"] = managed;
    let picture = said.picture(|question| question.sandbox = Some("danger-full-access"));
    let origin = picture.origins.of("sandbox_mode");
    assert_eq!(origin.as_deref(), Some("/etc/codex/managed_config.toml"));
}

#[test]
fn hooks_are_not_covered_and_that_is_said() {
    let hooks = json!({"hooks": {"Stop": [{"hooks": [{"type": "command", "command": "true"}]}]}});
    let picture = Said::new(hooks).picture(|_| {});
    assert!(!picture.effective.config.contains_key("hooks"));
    assert_eq!(picture.notes.len(), 1);
    let picture = Said::new(json!({"hooks": {"Stop": []}})).picture(|_| {});
    assert_eq!(picture.notes, [""; 0]);
}
