//! A turn that is held to a lock runs as the one that the lock was made of.

use super::*;

const RICH: &str = r#"
model_reasoning_effort = "high"
model_reasoning_summary = "detailed"
model_verbosity = "high"
service_tier = "flex"
web_search = "cached"
personality = "pragmatic"
tool_output_token_limit = 5000
compact_prompt = "Say it briefly."
developer_instructions = """
Zwei Zeilen, "quoted" \\ and
	a tab. \u0007 日本語"""
"#;

const TABLES: &str = r#"
[sandbox_workspace_write]
network_access = true
writable_roots = ["/usr/local"]
exclude_slash_tmp = true
[model_providers."other.one"]
name = "Anders & Co."
base_url = "https://example.com/v1"
env_key = "OTHER_KEY"
query_params = {"api-version" = "1.0"}
[features]
goals = false
multi_agent_v2 = {enabled = false, max_concurrent_threads_per_session = 3}
[agents]
max_threads = 3
max_depth = 2
[agents.helper]
description = "Hilft überall."
[memories]
generate_memories = false
[[skills.config]]
path = "/nowhere/SKILL.md"
enabled = false
[mcp_servers."e.cho"]
command = "true"
args = ["a b", "ü"]
enabled = false
[mcp_servers.far]
url = "http://127.0.0.1:9/mcp"
bearer_token_env_var = "FAR_TOKEN"
enabled = false
startup_timeout_sec = 5
[tools.web_search]
context_size = "low"
[shell_environment_policy]
inherit = "core"
exclude = ["AWS_*"]
set = {"a.b" = "c", D = "e"}
[tui]
notifications = true
"#;

/// A bench where much is configured, some of it for the machine alone.
fn rich(instructions: &str) -> Bench {
    let bench = Bench::configured(TABLES);
    let config = bench.home.path().join("config.toml");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(config, format!("{instructions}{RICH}{text}")).unwrap();
    bench.write("AGENTS.md", "Be brief.");
    bench
}

/// Checks that a turn runs with a lock as it does without.
fn check(bench: &Bench, asked: &Asked, held: &Asked) -> (Ran, Ran, Lock) {
    let lock = bench.lock(asked);
    let ran = bench.run(asked, None);
    bench.check(held, &lock, &[]);
    let again = bench.run(held, Some(&lock));
    assert_eq!(again.request, ran.request);
    assert_eq!(again.warnings, ran.warnings);
    let differs = bench.agents.check_after(&Kind::Codex, &again.thread, &lock.effective).unwrap();
    assert_eq!(differs, []);
    (ran, again, lock)
}

#[test]
fn a_rich_configuration_is_run_again_with_nothing_but_its_lock() {
    let long = "Sätze mit \"Zeichen\".\n".repeat(1000);
    let bench = rich(&format!("instructions = '''{long}'''\n"));
    let asked = Asked { sandbox: FilesystemSandbox::WorkspaceWrite, ..Asked::default() };
    let (ran, again, lock) = check(&bench, &asked, &Asked::default());
    assert_eq!(again.context, ran.context);
    // The file is not needed beside the lock.
    let config = bench.home.path().join("config.toml");
    fs::write(config, "check_for_update_on_startup = false\n[analytics]\nenabled = false\n")
        .unwrap();
    bench.check(&Asked::default(), &lock, &[]);
    let bare = bench.run(&Asked::default(), Some(&lock));
    assert_eq!((bare.context, bare.request), (ran.context, ran.request));
    assert_eq!(bare.warnings, [""; 0]);
}

#[test]
fn what_the_catalogue_says_is_saved_and_asked_of_the_model_as_it_was() {
    let bench = Bench::new();
    let asked = Asked::default();
    let (_, _, lock) = check(&bench, &asked, &asked);
    let config = &lock.effective.config;
    assert_eq!(config["model_reasoning_effort"].as_str(), Some("medium"));
    assert!(config["instructions"].as_str().unwrap().starts_with("You are Codex"));

    let left_out = asked.with(&bench, None, |turn| {
        bench.agents.resolve(&Kind::Codex, &turn, CatalogueFields::LeftOut).unwrap().effective
    });
    for key in
        ["model_reasoning_effort", "model_reasoning_summary", "model_verbosity", "instructions"]
    {
        assert!(config.contains_key(key) && !left_out.config.contains_key(key), "{key}");
    }
    let lock = Lock { effective: left_out, ..lock };
    bench.check(&asked, &lock, &[]);
}

#[test]
fn instructions_in_a_file_are_in_the_lock() {
    let bench = Bench::new();
    let file = bench.folder.path().join("instructions.md");
    fs::write(&file, "\nYou are brief.\n\n").unwrap();
    let config = bench.home.path().join("config.toml");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, format!("model_instructions_file = {:?}\n{text}", file.to_str().unwrap()))
        .unwrap();
    let asked = Asked::default();
    let (ran, _, lock) = check(&bench, &asked, &asked);
    assert!(ran.request.to_string().contains("You are brief."));
    assert_eq!(lock.effective.config["instructions"].as_str(), Some("You are brief."));
    // Codex goes by the file, whatever it is told beside it.
    fs::write(&file, "You are long.").unwrap();
    let expected =
        format!("config.instructions: \"You are brief.\" -> \"You are long.\", {}", file.display());
    bench.check(&asked, &lock, &[&expected]);
    // Without it, by the lock.
    fs::write(&config, text).unwrap();
    bench.check(&asked, &lock, &[]);
    assert_eq!(bench.run(&asked, Some(&lock)).request, ran.request);
}

#[test]
fn what_a_turn_did_run_with_is_found_in_its_record() {
    let bench = Bench::new();
    let lock = bench.lock(&Asked::default());
    let other = Asked {
        model: Some("gpt-5.4"),
        sandbox: FilesystemSandbox::DangerFullAccess,
        effort: Some(Effort::Low),
        ..Asked::default()
    };
    let ran = bench.run(&other, None);
    let found = bench.agents.check_after(&Kind::Codex, &ran.thread, &lock.effective).unwrap();
    let rollout = bench.agents.rollout(&Kind::Codex, &ran.thread).unwrap();
    assert!(found.iter().all(|value| value.origin == rollout.display().to_string()));
    let found: Vec<_> = found.iter().map(|value| value.key.as_str()).collect();
    assert_eq!(found, ["config.model", "config.model_reasoning_effort", "config.sandbox_mode"]);
    assert_eq!(bench.agents.rollout(&Kind::Codex, &SessionId::random().to_string()), None);
}

#[test]
fn a_lock_of_codex_itself_is_filled_and_what_is_not_taken_is_told() {
    let bench = Bench::new();
    let lock = of_codex();
    let refused = Asked::default()
        .with(&bench, Some(&lock), |turn| bench.agents.launch(&Kind::Codex, &turn).unwrap_err());
    assert!(matches!(refused, Error::CodexVersionMismatch { .. }), "{refused:?}");
    let asked = Asked {
        any_version: true,
        sandbox: FilesystemSandbox::DangerFullAccess,
        ..Asked::default()
    };
    bench.check(&asked, &lock, &[]);
    let notes = bench.compare(&asked, &lock).notes.join("\n");
    for told in ["The lock was made with codex 0.147.0", "sandbox_mode", "projects", "multi_agent"]
    {
        assert!(notes.contains(told), "{told}: {notes}");
    }
    // Each turn says so, and may write where it asks to.
    let options = CodexOptions { add_directories: vec!["/usr".to_owned()], ..told([]) };
    let writing = Asked {
        sandbox: FilesystemSandbox::WorkspaceWrite,
        options,
        any_version: true,
        ..Asked::default()
    };
    let launch =
        writing.with(&bench, Some(&lock), |turn| bench.agents.launch(&Kind::Codex, &turn).unwrap());
    let warnings = launch.warnings.iter().filter(|it| it.code == "CONFIG_LOCK_NOT_WHOLE");
    let warnings: Vec<_> = warnings.map(|it| it.message.as_str()).collect();
    let notes = bench.compare(&writing, &lock).notes;
    assert_eq!(warnings.len(), notes.len());
    for (warning, note) in warnings.into_iter().zip(&notes) {
        // Of many keys it has the first, and how many there are.
        let short = warning.strip_suffix(", and more; `lock verify` names all.");
        assert!(short.map_or(warning == note, |short| note.starts_with(short)), "{warning}");
        assert!(warning.len() < 400, "{warning}");
    }
    assert!(launch.args.windows(2).any(|pair| pair[0] == "--add-dir" && pair[1] == "/usr"));
    let other = Asked { model: Some("gpt-5.4"), ..asked };
    bench.check(&other, &lock, &[r#"config.model: "gpt-5.5" -> "gpt-5.4", controls.model"#]);
}
