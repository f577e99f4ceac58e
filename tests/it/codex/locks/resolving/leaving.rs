//! To resolve leaves nothing behind, starts nothing and asks nobody.

use super::*;

#[test]
fn no_server_of_tools_starts_no_thread_stays_and_no_model_is_asked() {
    let bench = Bench::new();
    let mark = bench.folder.path().join("started");
    let touch =
        format!("command = \"touch\"\nargs = [{:?}]\nrequired = true\n", mark.to_str().unwrap());
    let home = bench
        .home
        .with_config(&format!("[mcp_servers.one]\n{touch}[mcp_servers.\"t.wo\"]\n{touch}"));
    let bench = Bench { home, ..bench };
    let config = fs::read_to_string(bench.home.path().join("config.toml")).unwrap();
    let asked = Asked { sandbox: FilesystemSandbox::WorkspaceWrite, ..Asked::default() };
    let lock = bench.lock(&asked);
    bench.check(&asked, &lock, &[]);
    assert!(lock.effective.config["mcp_servers"]["t.wo"]["enabled"].as_bool().unwrap());
    assert!(!mark.exists());
    assert!(!bench.home.path().join("sessions").exists());
    assert_eq!(bench.model.requests().len(), 0);
    // It trusts nothing that was not trusted before.
    assert_eq!(fs::read_to_string(bench.home.path().join("config.toml")).unwrap(), config);
}

#[test]
fn nothing_is_fetched_from_the_network() {
    // Codex asks for its plugins by git.
    let bench = Bench::new();
    let mark = bench.folder.path().join("git-was-started");
    let bin = bench.folder.path().join("bin");
    fs::create_dir(&bin).unwrap();
    let git = bin.join("git");
    fs::write(&git, format!("#!/bin/sh\ntouch '{}'\nexit 1\n", mark.display())).unwrap();
    fs::set_permissions(&git, fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:/usr/bin:/bin", bin.display());
    let environment = [("PATH".to_owned(), path)].into();
    let asked = Asked { options: CodexOptions { environment, ..told([]) }, ..Asked::default() };
    let lock = bench.lock(&asked);
    assert_eq!(lock.effective.config["features"]["plugins"].as_bool(), Some(true));
    assert!(!mark.exists());
}

#[test]
fn what_codex_cannot_read_is_said_in_its_words() {
    let bench = Bench::configured("[features]\ngoals = 'perhaps'\n");
    let refused = Asked::default().with(&bench, None, |turn| {
        bench.agents.resolve(&Kind::Codex, &turn, CatalogueFields::Saved).unwrap_err()
    });
    assert!(matches!(refused, Error::AgentUnavailable { .. }), "{refused:?}");
    assert!(refused.to_string().contains("in `features`"), "{refused}");
}

#[test]
fn a_codex_that_says_nothing_is_given_up_and_none_is_left() {
    let bench = Bench::new();
    let program = bench.folder.path().join("mute-codex");
    let text = "#!/bin/sh\ncase \"$*\" in\n*--version*) echo 'codex-cli 0.169.0';;\n\
        *app-server*) echo 'Error: no room' >&2; exit 1;;\nesac\n";
    fs::write(&program, text).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let agents = agents(&program, &bench.home, bench.folder.path());
    let bench = Bench { agents, ..bench };
    let refused = Asked::default().with(&bench, None, |turn| {
        bench.agents.resolve(&Kind::Codex, &turn, CatalogueFields::Saved).unwrap_err()
    });
    assert_eq!(refused.to_string(), "codex app-server: no room");
}

#[test]
fn a_secret_is_refused_with_its_key_and_never_shown() {
    let bench = Bench::configured(
        "[mcp_servers.far]\nurl = \"http://127.0.0.1:9/mcp\"\nhttp_headers = {Authorization = \"Bearer hunter2\"}\n",
    );
    let refused = Asked::default().with(&bench, None, |turn| {
        bench.agents.resolve(&Kind::Codex, &turn, CatalogueFields::Saved).unwrap_err()
    });
    assert!(!refused.to_string().contains("hunter2"), "{refused}");
    let Error::ConfigLockInvalid { rule, key, .. } = refused else { panic!("{refused:?}") };
    assert_eq!(rule, "secret");
    assert_eq!(key.as_deref(), Some("mcp_servers.far.http_headers.Authorization"));
}

#[test]
fn what_is_too_long_for_an_argument_is_refused_with_its_key() {
    let bench = Bench::new();
    let mut lock = bench.lock(&Asked::default());
    let long = "x".repeat(131_072);
    lock.effective.config.insert("developer_instructions".to_owned(), long.into());
    let refused = Asked::default()
        .with(&bench, Some(&lock), |turn| bench.agents.launch(&Kind::Codex, &turn).unwrap_err());
    let Error::ConfigLockInvalid { rule, key, problem } = refused else { panic!("{refused:?}") };
    assert_eq!((rule, key.as_deref()), ("size", Some("developer_instructions")));
    assert!(problem.contains("131071"), "{problem}");
}
