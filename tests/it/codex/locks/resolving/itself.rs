//! A lock holds for whoever it was made of, whatever was said twice or in vain; and
//! what they choose otherwise differs from it all the same.

use super::*;

/// What codex's configuration has for a test, beside what is asked.
#[derive(Default)]
struct Files {
    user: &'static str,
    project: &'static str,
    /// The profile `deep`.
    profile: &'static str,
}

impl Files {
    fn bench(&self) -> Bench {
        let bench = Bench::new();
        let work = bench.folder.path().join("work").canonicalize().unwrap();
        let home = bench.home.with_config(self.user).with_config(&trusted(&work));
        let bench = Bench { home, ..bench };
        bench.write(".codex/config.toml", self.project);
        fs::write(bench.home.path().join("deep.config.toml"), self.profile).unwrap();
        bench
    }
}

/// Checks that the lock of what is asked holds for that; gives the lock.
fn check(bench: &Bench, asked: &Asked) -> Lock {
    let lock = bench.lock(asked);
    bench.check(asked, &lock, &[]);
    lock
}

fn options<const N: usize>(profile: &str, settings: [(&str, &str); N]) -> Asked {
    let options = CodexOptions { profile: profile.to_owned(), ..told(settings) };
    Asked { options, ..Asked::default() }
}

#[test]
fn a_profile_may_say_what_a_project_or_the_request_says_too() {
    let bench = Files {
        project: "model_verbosity = 'high'\n[agents]\nmax_threads = 2\n",
        profile: "model_verbosity = 'low'\nmodel_reasoning_effort = 'low'\nmodel = 'gpt-5.4'\n\
                  [agents]\nmax_concurrent_threads_per_session = 3\n\
                  [features]\ncollab = true\n",
        ..Files::default()
    }
    .bench();
    let asked = Asked {
        model: Some("gpt-5.5"),
        effort: Some(Effort::High),
        ..options(
            "deep",
            [("model_reasoning_effort", "'medium'"), ("features.multi_agent", "false")],
        )
    };
    let lock = check(&bench, &asked);
    let config = &lock.effective.config;
    assert_eq!(config["agents"]["max_concurrent_threads_per_session"].as_integer(), Some(2));
    assert_eq!(config["features"]["multi_agent"].as_bool(), Some(false));
    let other = Asked { effort: Some(Effort::Low), ..asked.clone() };
    let effort = r#"config.model_reasoning_effort: "high" -> "low", prompt.effort"#;
    bench.check(&other, &lock, &[effort]);
    // What no layer beats any more is chosen by the profile.
    bench.write(".codex/config.toml", "[agents]\nmax_threads = 2\n");
    let file = bench.home.path().join("deep.config.toml");
    let expected = format!("config.model_verbosity: \"high\" -> \"low\", {}", file.display());
    bench.check(&asked, &lock, &[&expected]);
}

#[test]
fn a_feature_and_a_setting_may_be_said_by_both_of_their_names() {
    let files = Files {
        user: "[features]\nconnectors = true\n[agents]\nmax_concurrent_threads_per_session = 3\n",
        ..Files::default()
    };
    let bench = files.bench();
    let asked = options(
        "",
        [
            ("agents.max_threads", "2"),
            // Codex goes by the name that comes later in the alphabet.
            ("features.apps", "false"),
            ("features.collab", "true"),
            ("features.multi_agent", "false"),
        ],
    );
    let lock = check(&bench, &asked);
    let config = &lock.effective.config;
    assert_eq!(config["agents"]["max_concurrent_threads_per_session"].as_integer(), Some(2));
    assert_eq!(config["features"]["apps"].as_bool(), Some(true));
    assert_eq!(config["features"]["multi_agent"].as_bool(), Some(false));
    // One name is told, of which codex does not warn.
    let launch =
        asked.with(&bench, Some(&lock), |turn| bench.agents.launch(&Kind::Codex, &turn).unwrap());
    let is_old = |arg: &std::ffi::OsString| arg.to_string_lossy().starts_with("agents.max_threads");
    assert!(!launch.args.iter().any(is_old));
    let other = options("", [("agents.max_threads", "4"), ("features.multi_agent", "true")]);
    bench.check(
        &other,
        &lock,
        &[
            "config.agents.max_concurrent_threads_per_session: 2 -> 4, \
             codex_options.config.agents.max_threads",
            "config.features.multi_agent: false -> true, \
             codex_options.config.features.multi_agent",
        ],
    );
}

#[test]
fn what_a_sandbox_takes_no_notice_of_may_be_chosen_again() {
    let bench = Bench::new();
    let directories = |directory: &str, more: CodexOptions| CodexOptions {
        add_directories: vec![directory.to_owned()],
        ..more
    };
    for (sandbox, network, options) in [
        (FilesystemSandbox::ReadOnly, NetworkAccess::Enabled, told([])),
        (
            FilesystemSandbox::ReadOnly,
            NetworkAccess::Restricted,
            told([("sandbox_workspace_write.exclude_slash_tmp", "true")]),
        ),
        (FilesystemSandbox::DangerFullAccess, NetworkAccess::Restricted, told([])),
        (
            FilesystemSandbox::ReadOnly,
            NetworkAccess::Unspecified,
            told([("default_permissions", "':workspace'")]),
        ),
        (
            FilesystemSandbox::Unspecified,
            NetworkAccess::Enabled,
            told([
                ("default_permissions", "':workspace'"),
                ("sandbox_workspace_write.writable_roots", "['/usr']"),
            ]),
        ),
        (
            FilesystemSandbox::WorkspaceWrite,
            NetworkAccess::Enabled,
            told([("sandbox_workspace_write.writable_roots", "['/usr']")]),
        ),
        (
            FilesystemSandbox::WorkspaceWrite,
            NetworkAccess::Enabled,
            CodexOptions { full_danger: true, ..told([]) },
        ),
    ] {
        for options in [options.clone(), directories("/opt", options)] {
            let asked = Asked { sandbox, network, options, ..Asked::default() };
            check(&bench, &asked);
        }
    }
    let read_only = Asked {
        sandbox: FilesystemSandbox::ReadOnly,
        options: directories("/opt", told([])),
        ..Asked::default()
    };
    let lock = check(&bench, &read_only);
    let other = Asked { options: directories("/srv", told([])), ..read_only.clone() };
    let expected = "config.sandbox_workspace_write.writable_roots: [\"/opt\"] -> \
                    [\"/opt\",\"/srv\"], codex_options.add_directories";
    bench.check(&other, &lock, &[expected]);
    // A lock that was made without it does not have it.
    let plain = bench.lock(&Asked { sandbox: FilesystemSandbox::ReadOnly, ..Asked::default() });
    let expected = "config.sandbox_workspace_write.writable_roots:  -> [\"/opt\"], \
                    codex_options.add_directories";
    bench.check(&read_only, &plain, &[expected]);
}

#[test]
fn directories_that_were_added_to_a_profile_of_permissions_are_added_again() {
    let bench = Bench::new();
    let options = CodexOptions {
        add_directories: vec!["/opt".to_owned()],
        ..told([("default_permissions", "':workspace'")])
    };
    let asked = Asked { options, ..Asked::default() };
    let lock = check(&bench, &asked);
    let ran = bench.run(&asked, None);
    assert_eq!(ran.context["sandbox_policy"]["writable_roots"], serde_json::json!(["/opt"]));
    let again = bench.run(&Asked::default(), Some(&lock));
    for key in ["sandbox_policy", "file_system_sandbox_policy", "permission_profile"] {
        assert_eq!(again.context[key], ran.context[key]);
    }
    let differs = bench.agents.check_after(&Kind::Codex, &again.thread, &lock.effective).unwrap();
    assert_eq!(differs, []);
}

#[test]
fn what_codex_takes_no_notice_of_is_told() {
    let bench = Bench::new();
    let asked = options("", [("nobody_has_this", "1"), ("features.nor_this", "true")]);
    let lock = check(&bench, &asked);
    let notes = bench.compare(&asked, &lock).notes;
    let expected =
        "Without effect, with the lock as without it: features.nor_this, nobody_has_this.";
    assert_eq!(notes, [expected]);
}

#[test]
fn a_directory_may_be_said_in_many_ways() {
    let bench = Bench::new();
    let (work, other) = (bench.work(), bench.work().with_file_name("other"));
    fs::create_dir(&other).unwrap();
    let said = |path: &Path, more: &str| format!("{}{more}", path.display());
    let add_directories =
        vec![said(&work, "/../other"), said(&other, "/"), said(&work, ""), "/opt/./".to_owned()];
    let plain = [said(&other, ""), said(&work, ""), "/opt".to_owned()];
    let roots = |lock: &Lock| {
        let roots = lock.effective.config["sandbox_workspace_write"]["writable_roots"].as_array();
        roots.unwrap().iter().map(|root| root.as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    for (sandbox, settings) in [
        (FilesystemSandbox::WorkspaceWrite, told([])),
        (FilesystemSandbox::ReadOnly, told([])),
        (FilesystemSandbox::Unspecified, told([("default_permissions", "':workspace'")])),
    ] {
        let options = |directories: &[String]| CodexOptions {
            add_directories: directories.to_vec(),
            ..settings.clone()
        };
        let asked = Asked { sandbox, options: options(&add_directories), ..Asked::default() };
        let lock = check(&bench, &asked);
        assert_eq!(roots(&lock), plain);
        bench.check(&Asked { options: options(&plain), ..asked.clone() }, &lock, &[]);
        let ran = bench.run(&asked, Some(&lock));
        let differs = bench.agents.check_after(&Kind::Codex, &ran.thread, &lock.effective).unwrap();
        assert_eq!(differs, []);
    }
    // Somebody may have written it otherwise.
    let asked = Asked { sandbox: FilesystemSandbox::WorkspaceWrite, ..Asked::default() };
    let mut lock = bench.lock(&asked);
    let roots = Vec::from_iter(add_directories.iter().map(|root| toml::Value::from(root.as_str())));
    let table = lock.effective.config["sandbox_workspace_write"].as_table_mut().unwrap();
    table.insert("writable_roots".to_owned(), roots.into());
    bench.check(&asked, &lock, &[]);
}

#[test]
fn what_a_profile_says_of_a_sandbox_that_the_turn_would_have_is_not_lost() {
    let bench =
        Files { profile: "[sandbox_workspace_write]\nnetwork_access = true\n", ..Files::default() }
            .bench();
    let read_only = Asked { sandbox: FilesystemSandbox::ReadOnly, ..options("deep", []) };
    let lock = check(&bench, &read_only);
    // Whoever trusts the directory has a sandbox that writes by default.
    let file = bench.home.path().join("deep.config.toml");
    let expected =
        format!("config.sandbox_workspace_write.network_access:  -> true, {}", file.display());
    bench.check(&options("deep", []), &lock, &[&expected]);
    assert!(bench.resolve(&options("deep", [])).config.contains_key("sandbox_workspace_write"));
}
