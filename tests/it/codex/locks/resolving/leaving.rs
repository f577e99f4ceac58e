//! To resolve leaves nothing behind, starts nothing and asks nobody.

use std::{
    net::TcpListener,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use serde_json::json;

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

/// A server that answers nobody, and who came to it.
struct Door {
    url: String,
    came: Arc<AtomicUsize>,
}

impl Door {
    fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let came = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&came);
        thread::spawn(move || {
            for _visitor in listener.incoming() {
                counted.fetch_add(1, Ordering::SeqCst);
            }
        });
        Self { url, came }
    }

    fn came(&self) -> usize {
        self.came.load(Ordering::SeqCst)
    }

    /// A provider that is reached here, with further settings.
    fn provider(&self, more: &str) -> String {
        format!(
            "name = 'x'\nbase_url = '{}/v1'\nwire_api = 'responses'\nsupports_websockets = false\n\
             supports_standalone_web_search = false\n{more}",
            self.url
        )
    }
}

/// Logs codex in, in this home.
fn log_in(home: &Path) {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    let part = |json: Value| URL_SAFE_NO_PAD.encode(json.to_string());
    let claims = json!({
        "email": "dev@example.com", "exp": 4_000_000_000_u64,
        "https://api.openai.com/auth": {
            "chatgpt_plan_type": "plus", "chatgpt_account_id": "a", "chatgpt_user_id": "u",
        },
    });
    let token = format!("{}.{}.x", part(json!({"alg": "none"})), part(claims));
    let login = json!({
        "auth_mode": "chatgpt", "OPENAI_API_KEY": null, "last_refresh": "2999-01-01T00:00:00Z",
        "tokens": {
            "id_token": token, "access_token": token, "refresh_token": "r", "account_id": "a",
        },
    });
    fs::write(home.join("auth.json"), login.to_string()).unwrap();
}

/// A command that leaves a mark, as a provider names it for its token.
fn marking(bench: &Bench) -> (PathBuf, String) {
    let mark = bench.folder.path().join("command-ran");
    let program = bench.folder.path().join("token");
    fs::write(&program, format!("#!/bin/sh\ntouch '{}'\necho token\n", mark.display())).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let more = format!(
        "requires_openai_auth = false\n[auth]\ncommand = '{}'\nargs = []\ncwd = '{}'\n\
         timeout_ms = 5000\nrefresh_interval_ms = 300000\n",
        program.display(),
        bench.work().display()
    );
    (mark, more)
}

#[test]
fn a_lock_of_anybody_runs_no_command_and_sends_no_login() {
    let (bench, door) = (Bench::new(), Door::open());
    log_in(bench.home.path());
    let (mark, by_command) = marking(&bench);
    let asked = Asked::default();
    let own = bench.lock(&asked);
    for more in ["requires_openai_auth = true\n", &by_command] {
        let mut lock = own.clone();
        let config = &mut lock.effective.config;
        config.insert("chatgpt_base_url".to_owned(), format!("{}/api/", door.url).into());
        config.insert("model_provider".to_owned(), "evil".into());
        let provider: toml::Table = door.provider(more).parse().unwrap();
        config["model_providers"]
            .as_table_mut()
            .unwrap()
            .insert("evil".to_owned(), provider.into());
        // It holds: a lock is what a turn is told. To ask had no effect.
        bench.check(&asked, &lock, &[]);
        let exported = asked.with(&bench, Some(&lock), |turn| {
            bench.agents.resolve(&Kind::Codex, &turn, CatalogueFields::Saved).unwrap().effective
        });
        assert_eq!(exported.config["model_provider"].as_str(), Some("evil"));
        assert_eq!((door.came(), mark.exists()), (0, false), "{more}");
    }
}

#[test]
fn what_no_lock_of_ours_has_is_refused_before_codex_is_asked() {
    let (bench, door) = (Bench::new(), Door::open());
    let lock = bench.lock(&Asked::default());
    let otel = format!("exporter.otlp-http = {{endpoint = '{}', protocol = 'json'}}", door.url);
    let records = bench.folder.path().join("records").display().to_string();
    for (key, value) in [
        ("otel", toml::Value::Table(otel.parse().unwrap())),
        ("log_dir", records.clone().into()),
        ("sqlite_home", records.clone().into()),
        ("notify", vec!["touch", &records].into()),
    ] {
        let mut lock = lock.clone();
        lock.effective.config.insert(key.to_owned(), value);
        let refused = Asked::default().with(&bench, Some(&lock), |turn| {
            let compared = bench.agents.compare(&Kind::Codex, &turn).unwrap_err();
            let launched = bench.agents.launch(&Kind::Codex, &turn).unwrap_err();
            assert_eq!(compared.to_string(), launched.to_string());
            compared
        });
        let Error::ConfigLockInvalid { rule, key: found, .. } = refused else {
            panic!("{refused:?}")
        };
        assert_eq!((rule, found), ("left_out", Some(format!("config.{key}"))));
    }
    assert_eq!((door.came(), Path::new(&records).exists()), (0, false));
}

#[test]
fn to_export_runs_no_command_of_the_user_and_calls_nobody() {
    let (bench, door) = (Bench::new(), Door::open());
    log_in(bench.home.path());
    let (mark, by_command) = marking(&bench);
    let more = by_command.replace("[auth]", "[model_providers.mine.auth]");
    let exporter = format!("{{otlp-http = {{endpoint = '{}', protocol = 'json'}}}}", door.url);
    let home = bench.home.with_config(&format!(
        "[otel]\nexporter = {exporter}\nmetrics_exporter = {exporter}\ntrace_exporter = {exporter}\n\
         [model_providers.mine]\n{}",
        door.provider(&more)
    ));
    let bench = Bench { home, ..bench };
    let provider = told([("model_provider", "'mine'")]);
    let asked = Asked { options: provider, ..Asked::default() };
    let lock = bench.lock(&asked);
    assert_eq!(lock.effective.config["model_provider"].as_str(), Some("mine"));
    bench.check(&asked, &lock, &[]);
    assert_eq!((door.came(), mark.exists()), (0, false));
}

#[test]
fn a_provider_that_there_is_not_is_refused() {
    let bench = Bench::new();
    let mut lock = bench.lock(&Asked::default());
    lock.effective.config.insert("model_provider".to_owned(), "nowhere".into());
    let refused = Asked::default().with(&bench, Some(&lock), |turn| {
        bench.agents.compare(&Kind::Codex, &turn).unwrap_err().to_string()
    });
    assert!(refused.contains("nowhere"), "{refused}");
}
