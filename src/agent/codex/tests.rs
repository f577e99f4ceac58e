use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use super::*;
use crate::{
    agent::History,
    id::{SessionId, TurnNumber},
    proto::{FilesystemSandbox, NetworkAccess},
};

/// A codex that says it has this version, writes each question into a file
/// beside itself, and does this when asked for its features.
struct Fake {
    directory: TempDir,
    program: PathBuf,
}

impl Fake {
    fn new(version: &str, features: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let program = directory.path().join("codex");
        let fake = Self { directory, program };
        fake.replace(version, features);
        fake
    }

    fn replace(&self, version: &str, features: &str) {
        let asked = self.asked_file();
        let script = format!(
            "#!/bin/sh\necho \"$* $CODEX_HOME\" >> {}\n\
             case \"$1\" in --version) echo '{version}';; features) {features};; esac\n",
            asked.display()
        );
        // A new file, as an installer makes one.
        let new = self.directory.path().join("new");
        fs::write(&new, script).unwrap();
        fs::set_permissions(&new, fs::Permissions::from_mode(0o755)).unwrap();
        fs::rename(&new, &self.program).unwrap();
    }

    fn asked_file(&self) -> PathBuf {
        self.directory.path().join("asked")
    }

    /// What it was asked since the last call.
    fn asked(&self) -> String {
        let asked = fs::read_to_string(self.asked_file()).unwrap_or_default();
        let _ = fs::remove_file(self.asked_file());
        asked
    }

    fn codex(&self) -> Codex {
        self.codex_with(Options::default())
    }

    /// The same where nothing but the binary and its home is as it is.
    fn codex_with(&self, options: Options) -> Codex {
        Codex::new(Options {
            codex: Some(self.program.clone()),
            codex_home: Some("/home/dev/.codex".into()),
            ..options
        })
    }
}

const WITH_FEATURE: &str = "echo 'unbounded_connection_retries  stable  true'";

fn turn() -> TurnRequest<'static> {
    TurnRequest {
        session: SessionId::random(),
        turn: TurnNumber(1),
        working_directory: Path::new("/work"),
        model: None,
        approval_policy: crate::proto::ApprovalPolicy::Unspecified,
        sandbox: FilesystemSandbox::ReadOnly,
        network: NetworkAccess::Unspecified,
        options: Box::leak(Box::default()),
        images: &[],
        effort: None,
        history: History::New,
        lock: None,
    }
}

/// How a turn is started, when it needs no more than this.
fn launch(fake: &Fake, turn: &TurnRequest<'_>, version: &str, retries: Retries) -> Launch {
    Launch {
        program: fake.program.clone(),
        args: command::arguments(turn, retries, &AgentConfig::default(), None).unwrap(),
        env: vec![("CODEX_HOME".into(), "/home/dev/.codex".into())],
        version: version.to_owned(),
        warnings: Vec::new(),
        fallback: None,
    }
}

#[test]
fn a_codex_with_the_feature_is_told_to_bound_its_retries() {
    let fake = Fake::new("codex-cli 0.169.0", WITH_FEATURE);
    let turn = turn();
    let started = fake.codex().launch(&turn).unwrap();
    assert_eq!(started, launch(&fake, &turn, "0.169.0", Retries::Bounded));
}

#[test]
fn a_binary_is_asked_once_until_it_is_another() {
    let fake = Fake::new("codex-cli 0.169.0", WITH_FEATURE);
    let (codex, turn) = (fake.codex(), turn());
    let both = "--version /home/dev/.codex\nfeatures list /home/dev/.codex\n";

    assert_eq!(codex.status().version, "0.169.0");
    codex.launch(&turn).unwrap();
    codex.launch(&turn).unwrap();
    assert_eq!(fake.asked(), both);

    fake.replace("codex-cli 0.170.0", WITH_FEATURE);
    let started = codex.launch(&turn).unwrap();
    assert_eq!(started, launch(&fake, &turn, "0.170.0", Retries::Bounded));
    assert_eq!(fake.asked(), both);
}

#[test]
fn a_codex_without_the_feature_starts_all_the_same_with_a_warning() {
    let start = "cannot switch unbounded_connection_retries off, so this codex decides itself how \
                 long it tries to reach its provider: codex 0.147.0";
    for (features, problem) in [
        ("echo 'apps  stable  true'", "has no such feature"),
        ("exit 2", "does not say its features (exit status: 2): "),
    ] {
        let fake = Fake::new("codex-cli 0.147.0", features);
        let turn = turn();
        let message = format!("{start} {problem}");
        let warnings = vec![Warning { code: "FEATURE_UNSUPPORTED".to_owned(), message }];
        let expected =
            Launch { warnings, ..launch(&fake, &turn, "0.147.0", Retries::AsConfigured) };
        let codex = fake.codex();
        assert_eq!(codex.launch(&turn).unwrap(), expected);
        // Each turn says so, also when the answer is known.
        assert_eq!(codex.launch(&turn).unwrap(), expected);
    }
}

#[test]
fn who_wants_endless_retries_gets_them_unasked() {
    let fake = Fake::new("codex-cli 0.169.0", "exit 2");
    let codex = Codex { unbounded_connection_retries: true, ..fake.codex() };
    let turn = turn();
    let started = codex.launch(&turn).unwrap();
    assert_eq!(started, launch(&fake, &turn, "0.169.0", Retries::AsConfigured));
    assert_eq!(fake.asked(), "--version /home/dev/.codex\n");
}

#[test]
fn a_codex_of_unknown_version_starts_with_a_warning() {
    let fake = Fake::new("hello", WITH_FEATURE);
    let turn = turn();
    let message = format!(
        "{} does not say its version as codex does; it is used all the same",
        fake.program.display()
    );
    let warnings = vec![Warning { code: "VERSION_UNKNOWN".to_owned(), message }];
    let expected = Launch { warnings, ..launch(&fake, &turn, "", Retries::Bounded) };
    assert_eq!(fake.codex().launch(&turn).unwrap(), expected);
}

#[test]
fn the_status_says_what_a_turn_would_meet() {
    let fake = Fake::new("codex-cli 0.169.0", WITH_FEATURE);
    let path = Some(fake.program.clone());
    let ready = CodexStatus { path: path.clone(), version: "0.169.0".to_owned(), problem: None };
    let codex = fake.codex();
    assert_eq!(codex.status(), ready);

    fs::write(fake.directory.path().join("new"), "#!/nonexistent/interpreter\n").unwrap();
    fs::set_permissions(fake.directory.path().join("new"), fs::Permissions::from_mode(0o755))
        .unwrap();
    fs::rename(fake.directory.path().join("new"), &fake.program).unwrap();
    let problem = format!(
        "codex {} --version: No such file or directory (os error 2)",
        fake.program.display()
    );
    let broken = CodexStatus { path, version: String::new(), problem: Some(problem.clone()) };
    assert_eq!(codex.status(), broken);
    assert_eq!(codex.launch(&turn()).unwrap_err().to_string(), problem);

    fs::remove_file(&fake.program).unwrap();
    let problem = format!("codex {}: there is no such file", fake.program.display());
    let gone = CodexStatus { path: None, version: String::new(), problem: Some(problem.clone()) };
    assert_eq!(codex.status(), gone);
    let error = codex.launch(&turn()).unwrap_err();
    assert!(matches!(error, Error::AgentUnavailable { problem: said } if said == problem));
}

#[test]
fn a_thread_that_is_lost_is_begun_anew_and_a_fork_is_not() {
    let fake = Fake::new("codex-cli 0.169.0", WITH_FEATURE);
    let thread = "01a1fbeb-e716-7023-89e2-0851ae85c769";
    let resuming = TurnRequest { history: History::Resume(thread), ..turn() };
    let started = fake.codex().launch(&resuming).unwrap();
    let fallback = started.fallback.unwrap();
    let anew = TurnRequest { history: History::New, ..resuming };
    assert_eq!(fallback.args, launch(&fake, &anew, "0.169.0", Retries::Bounded).args);
    assert_eq!(fallback.stderr_contains, LOST_THREAD);
    let forking = TurnRequest { history: History::Fork(thread), ..resuming };
    assert_eq!(fake.codex().launch(&forking).unwrap().fallback, None);
}

#[test]
fn full_danger_is_said_with_who_wants_it_and_variables_are_added() {
    let fake = Fake::new("codex-cli 0.169.0", WITH_FEATURE);
    let path = fake.directory.path().join("codex.toml");
    let codex_config = ConfigFile { path: path.clone(), must_exist: false };
    let codex = fake.codex_with(Options { codex_config, ..Options::default() });
    assert_eq!(codex.launch(&turn()).unwrap().warnings, []);

    fs::write(&path, "full_danger = true\n").unwrap();
    let started = codex.launch(&turn()).unwrap();
    let message = format!(
        "commands run without a sandbox and without approvals by full_danger in {}, although the \
         session asks for the sandbox read-only",
        path.display()
    );
    assert_eq!(started.warnings, [Warning { code: "FULL_DANGER".to_owned(), message }]);

    let options = crate::proto::CodexOptions {
        environment: [("PATH".to_owned(), "/mine".to_owned())].into(),
        ..Default::default()
    };
    let started = codex.launch(&TurnRequest { options: &options, ..turn() }).unwrap();
    assert_eq!(started.env.last(), Some(&("PATH".into(), "/mine".into())));

    fs::write(&path, "full_danger = ").unwrap();
    let problem = codex.launch(&turn()).unwrap_err();
    assert!(matches!(problem, Error::AgentUnavailable { .. }), "{problem}");
}
