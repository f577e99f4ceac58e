//! What differs from a lock is found before a turn runs, with its key and origin.

use super::*;

fn write_sandbox(network: NetworkAccess) -> Asked {
    Asked { sandbox: FilesystemSandbox::WorkspaceWrite, network, ..Asked::default() }
}

#[test]
fn nothing_differs_as_long_as_nothing_changes() {
    let bench = Bench::new();
    bench.write("AGENTS.md", "Be brief.");
    for asked in [
        Asked::default(),
        write_sandbox(NetworkAccess::Enabled),
        Asked { sandbox: FilesystemSandbox::DangerFullAccess, ..Asked::default() },
        Asked {
            model: Some("gpt-5.4"),
            effort: Some(Effort::Low),
            options: CodexOptions {
                web_search: WebSearchMode::Live.into(),
                full_danger: true,
                ..told([("agents.max_threads", "2"), ("tools.update_plan.enabled", "false")])
            },
            ..Asked::default()
        },
    ] {
        let lock = bench.lock(&asked);
        bench.check(&asked, &lock, &[]);
        // The lock says all of it, so that nothing need be asked again.
        bench.check(&Asked::default(), &lock, &[]);
        let effective = asked.with(&bench, Some(&lock), |turn| {
            bench.agents.resolve(&Kind::Codex, &turn, CatalogueFields::Saved).unwrap().effective
        });
        assert_eq!(effective, lock.effective);
    }
}

#[test]
fn what_a_request_chooses_is_named_by_where_it_was_chosen() {
    let bench = Bench::new();
    let lock = bench.lock(&write_sandbox(NetworkAccess::Enabled));
    let check = |asked: Asked, expected: &[&str]| bench.check(&asked, &lock, expected);
    check(
        Asked { model: Some("gpt-5.4"), ..Asked::default() },
        &[r#"config.model: "gpt-5.5" -> "gpt-5.4", controls.model"#],
    );
    check(
        Asked { sandbox: FilesystemSandbox::DangerFullAccess, ..Asked::default() },
        &[
            r#"config.sandbox_mode: "workspace-write" -> "danger-full-access", controls.filesystem_sandbox"#,
        ],
    );
    check(
        Asked { network: NetworkAccess::Restricted, ..Asked::default() },
        &["config.sandbox_workspace_write.network_access: true -> false, controls.network_access"],
    );
    check(
        Asked { effort: Some(Effort::High), ..Asked::default() },
        &[r#"config.model_reasoning_effort: "medium" -> "high", prompt.effort"#],
    );
    let options = CodexOptions {
        web_search: WebSearchMode::Live.into(),
        add_directories: vec!["/usr".to_owned()],
        ..told([
            ("model_reasoning_effort", "'low'"),
            ("features.goals", "false"),
            ("developer_instructions", "'Be brief.'"),
        ])
    };
    check(
        Asked { options, ..Asked::default() },
        &[
            r#"config.developer_instructions:  -> "Be brief.", codex_options.config.developer_instructions"#,
            "config.features.goals: true -> false, codex_options.config.features.goals",
            r#"config.model_reasoning_effort: "medium" -> "low", codex_options.config.model_reasoning_effort"#,
            r#"config.sandbox_workspace_write.writable_roots: [] -> ["/usr"], codex_options.add_directories"#,
            r#"config.web_search:  -> "live", codex_options.web_search"#,
        ],
    );
    check(
        Asked { options: CodexOptions { full_danger: true, ..told([]) }, ..Asked::default() },
        &[
            r#"config.sandbox_mode: "workspace-write" -> "danger-full-access", codex_options.full_danger"#,
        ],
    );
}

#[test]
fn what_a_file_adds_is_named_by_the_file_and_what_it_changes_is_beaten() {
    let bench = Bench::configured("[features]\ngoals = false\n");
    let asked = Asked::default();
    let lock = bench.lock(&asked);
    let user = bench.home.path().join("config.toml");
    let text = fs::read_to_string(&user).unwrap().replace("goals = false", "goals = true");
    let text = text.replace("\"gpt-5.5\"", "\"gpt-5.4\"\nmodel_verbosity = \"high\"");
    fs::write(&user, format!("{text}\n[mcp_servers.more]\ncommand = \"true\"\n")).unwrap();
    let added = |key: &str, value: &str| format!("config.mcp_servers.more.{key}:  -> {value}");
    let file = user.display();
    bench.check(
        &asked,
        &lock,
        &[
            // What codex adds by itself has no file.
            &format!("{}, codex", added("args", "[]")),
            &format!("{}, {file}", added("command", "\"true\"")),
            &format!("{}, codex", added("enabled", "true")),
            &format!("{}, codex", added("environment_id", "\"local\"")),
        ],
    );
}

#[test]
fn a_configuration_that_comes_with_a_project_is_found() {
    let bench = Bench::new();
    let bench = Bench {
        home: bench
            .home
            .with_config(&trusted(&bench.folder.path().join("work").canonicalize().unwrap())),
        ..bench
    };
    let asked = write_sandbox(NetworkAccess::Restricted);
    let lock = bench.lock(&asked);
    let file = bench.write(
        ".codex/config.toml",
        "model = 'gpt-5.4'\ncompact_prompt = 'Short.'\n[tools.web_search]\ncontext_size = 'low'\n",
    );
    let file = file.display();
    bench.check(
        &asked,
        &lock,
        &[
            &format!("config.compact_prompt:  -> \"Short.\", {file}"),
            &format!("config.tools.web_search.context_size:  -> \"low\", {file}"),
        ],
    );
}

#[test]
fn instructions_are_told_by_what_is_in_them() {
    let bench = Bench::new();
    let file = bench.write("AGENTS.md", "Be brief.");
    let asked = Asked::default();
    let lock = bench.lock(&asked);
    fs::write(&file, "Be long.").unwrap();
    let own = bench.home.path().join("AGENTS.md");
    fs::write(&own, "Be kind.").unwrap();
    let drift = bench.compare(&asked, &lock).drift;
    let found: Vec<_> = drift
        .values
        .iter()
        .map(|it| (it.key.as_str(), it.locked.is_some(), it.actual.is_some(), it.origin.clone()))
        .collect();
    let shown = |path: &Path| path.canonicalize().unwrap().display().to_string();
    let expected = [
        ("instructions.\"$CODEX_HOME/AGENTS.md\"", false, true, shown(&own)),
        ("instructions.\"./AGENTS.md\"", true, true, shown(&file)),
    ];
    assert_eq!(found, expected);
    fs::remove_file(&own).unwrap();
    fs::remove_file(&file).unwrap();
    let drift = bench.compare(&asked, &lock).drift;
    assert_eq!(drift.values.len(), 1);
    assert_eq!((drift.values[0].locked.is_some(), &drift.values[0].actual), (true, &None));
    assert_eq!(drift.values[0].origin, shown(&bench.work()) + "/AGENTS.md");
}

#[test]
fn a_profile_is_between_user_and_project() {
    let bench = Bench::configured("[tools.web_search]\ncontext_size = \"low\"\n");
    let bench = Bench {
        home: bench
            .home
            .with_config(&trusted(&bench.folder.path().join("work").canonicalize().unwrap())),
        ..bench
    };
    bench.write(".codex/config.toml", "model_verbosity = 'high'\n");
    let profile = bench.home.path().join("deep.config.toml");
    fs::write(&profile, "model_verbosity = 'medium'\nmodel_reasoning_effort = 'high'\n[tools.web_search]\ncontext_size = 'high'\n").unwrap();
    let asked = Asked {
        options: CodexOptions { profile: "deep".to_owned(), ..told([]) },
        ..Asked::default()
    };
    let lock = bench.lock(&asked);
    let config = &lock.effective.config;
    assert_eq!(config["model_verbosity"].as_str(), Some("high"));
    assert_eq!(config["model_reasoning_effort"].as_str(), Some("high"));
    assert_eq!(config["tools"]["web_search"]["context_size"].as_str(), Some("high"));
    assert!(!config.contains_key("profile"));
    let ran = bench.run(&asked, None);
    assert_eq!(ran.context["effort"], "high");
    assert_eq!(ran.request["text"]["verbosity"], "high");
    // The project's beats the profile's, as it does in the lock.
    fs::write(&profile, "model_reasoning_effort = 'low'\nservice_tier = 'flex'\n").unwrap();
    let file = profile.display();
    bench.check(
        &asked,
        &lock,
        &[
            &format!("config.model_reasoning_effort: \"high\" -> \"low\", {file}"),
            &format!("config.service_tier:  -> \"flex\", {file}"),
        ],
    );
}

#[test]
fn the_agent_configuration_of_the_server_is_a_file_as_any_other() {
    let bench = Bench::new();
    let lock = bench.lock(&Asked::default());
    let file = bench.folder.path().join("codex.toml");
    fs::write(&file, "model = 'gpt-5.4'\ncompact_prompt = 'Short.'\n").unwrap();
    let expected = format!("config.compact_prompt:  -> \"Short.\", {}", file.display());
    bench.check(&Asked::default(), &lock, &[&expected]);
}

#[test]
fn another_directory_differs() {
    let bench = Bench::new();
    let mut lock = bench.lock(&Asked::default());
    lock.effective.working_directory = Some("/elsewhere".into());
    let actual = bench.work().display().to_string();
    let expected =
        format!("working_directory: \"/elsewhere\" -> \"{actual}\", session.working_directory");
    bench.check(&Asked::default(), &lock, &[&expected]);
}

#[test]
fn another_version_of_codex_is_refused_unless_it_is_allowed() {
    let bench = Bench::new();
    let lock = bench.lock(&Asked::default());
    let other = of_version(bench.folder.path(), "0.170.0");
    let agents = agents(&other, &bench.home, bench.folder.path());
    let bench = Bench { agents, ..bench };
    let compared = bench.compare(&Asked::default(), &lock);
    assert_eq!(compared.codex_version, "0.170.0");
    let found: Vec<_> = compared.drift.values.iter().map(|it| (&*it.key, &*it.origin)).collect();
    assert_eq!(found, [("codex_version", "codex")]);
    let refused = Asked::default()
        .with(&bench, Some(&lock), |turn| bench.agents.launch(&Kind::Codex, &turn).unwrap_err());
    let Error::CodexVersionMismatch { locked, actual } = refused else { panic!("{refused:?}") };
    assert_eq!((locked.as_str(), actual.as_str()), (VERSION, "0.170.0"));
    let allowed = Asked { any_version: true, ..Asked::default() };
    bench.check(&allowed, &lock, &[]);
    let notes = bench.compare(&allowed, &lock).notes;
    assert!(notes[0].contains(VERSION) && notes[0].contains("0.170.0"), "{notes:?}");
}

#[test]
fn an_old_name_of_a_feature_is_found_whoever_says_it() {
    let bench = Bench::new();
    let lock = bench.lock(&Asked::default());
    let user = bench.home.path().join("config.toml");
    let text = fs::read_to_string(&user).unwrap();
    let asked = Asked { options: told([("features.collab", "false")]), ..Asked::default() };
    // Both say it: the request's counts.
    for config in [text.clone(), format!("{text}\n[features]\ncollab = true\n")] {
        fs::write(&user, config).unwrap();
        let by_request =
            "config.features.multi_agent:  -> false, codex_options.config.features.collab";
        bench.check(&asked, &lock, &[by_request]);
    }
    fs::write(&user, format!("{text}\n[features]\ncollab = false\n")).unwrap();
    let by_file = format!("config.features.multi_agent:  -> false, {}", user.display());
    bench.check(&Asked::default(), &lock, &[&by_file]);
    // A lock that was made with it says it, and nothing differs.
    fs::write(&user, text).unwrap();
    let lock = bench.lock(&asked);
    assert_eq!(lock.effective.config["features"]["multi_agent"].as_bool(), Some(false));
    bench.check(&asked, &lock, &[]);
    bench.check(&Asked::default(), &lock, &[]);
    let other = Asked { options: told([("features.collab", "true")]), ..Asked::default() };
    let expected =
        "config.features.multi_agent: false -> true, codex_options.config.features.collab";
    bench.check(&other, &lock, &[expected]);
}

#[test]
fn a_key_that_codex_tells_by_another_name_is_found_with_who_says_it() {
    let bench = Bench::new();
    let lock = bench.lock(&Asked::default());
    let key = "config.agents.max_concurrent_threads_per_session";
    let asked = Asked { options: told([("agents.max_threads", "3")]), ..Asked::default() };
    let by_request = format!("{key}:  -> 3, codex_options.config.agents.max_threads");
    bench.check(&asked, &lock, &[&by_request]);
    let user = bench.home.path().join("config.toml");
    let text = fs::read_to_string(&user).unwrap();
    fs::write(&user, format!("{text}\n[agents]\nmax_threads = 4\n")).unwrap();
    let by_file = format!("{key}:  -> 4, {}", user.display());
    bench.check(&Asked::default(), &lock, &[&by_file]);
}

#[test]
fn another_catalogue_of_models_is_found_unless_the_lock_leaves_it_out() {
    let bench = Bench::new();
    let lock = bench.lock(&Asked::default());
    let hash = lock.effective.model_catalog_sha256.clone().unwrap();
    let output = Command::new(toolchain::codex())
        .args(["debug", "models"])
        .env("CODEX_HOME", bench.home.path())
        .output()
        .unwrap();
    let mut catalogue: Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut write = |change: &dyn Fn(&mut Value)| {
        let models = catalogue["models"].as_array_mut().unwrap();
        change(models.iter_mut().find(|model| model["slug"] == "gpt-5.5").unwrap());
        bench.write("models.json", &catalogue.to_string())
    };
    let file = write(&|_| {});
    let setting = format!("{:?}", file.to_str().unwrap());
    let asked = Asked { options: told([("model_catalog_json", &setting)]), ..Asked::default() };
    bench.check(&asked, &lock, &[]);
    write(&|model| {
        model["truncation_policy"]["limit"] = 77.into();
        model["base_instructions"] = "Others, which the lock has itself.".into();
        model["display_name"] = "Another name".into();
    });
    let drift = bench.compare(&asked, &lock).drift;
    let found: Vec<_> = drift.values.iter().map(|it| (&*it.key, &*it.origin)).collect();
    let expected = ("model_catalog_sha256", "codex_options.config.model_catalog_json");
    assert_eq!(found, [expected], "{}", drift.diff);
    assert_eq!(drift.values[0].locked, Some(format!("{hash:?}")));
    // As a file has it, that is the origin.
    let user = bench.home.path().join("config.toml");
    let text = fs::read_to_string(&user).unwrap();
    fs::write(&user, format!("model_catalog_json = {setting}\n{text}")).unwrap();
    let drift = bench.compare(&Asked::default(), &lock).drift;
    let found: Vec<_> = drift.values.iter().map(|it| (&*it.key, it.origin.clone())).collect();
    assert_eq!(found, [("model_catalog_sha256", user.display().to_string())]);
    let left_out = Asked::default().with(&bench, None, |turn| {
        bench.agents.resolve(&Kind::Codex, &turn, CatalogueFields::LeftOut).unwrap().effective
    });
    assert_eq!(left_out.model_catalog_sha256, None);
    let lock = Lock { effective: left_out, ..lock };
    bench.check(&asked, &lock, &[]);
    let notes = bench.compare(&asked, &lock).notes;
    assert!(notes[0].starts_with("The lock has no hash of what the catalogue says"), "{notes:?}");
}
