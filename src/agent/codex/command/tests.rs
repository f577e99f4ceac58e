use std::path::Path;

use super::*;
use crate::{
    agent::Effort,
    id::TurnNumber,
    proto::{CodexOptions, NetworkAccess, WebSearchMode},
};

const SESSION: &str = "2f1c6a3e-8d0b-4c55-9a77-0d5a4a3f9b21";
const THREAD: &str = "01a1fbeb-e716-7023-89e2-0851ae85c769";

fn turn() -> TurnRequest<'static> {
    TurnRequest {
        session: SESSION.parse().unwrap(),
        turn: TurnNumber(7),
        working_directory: Path::new("/home/dev/a project"),
        model: None,
        approval_policy: crate::proto::ApprovalPolicy::Unspecified,
        sandbox: FilesystemSandbox::Unspecified,
        network: NetworkAccess::Unspecified,
        options: Box::leak(Box::default()),
        images: &[],
        effort: None,
        history: History::New,
        lock: None,
    }
}

/// Checks the arguments, one on each line.
fn check(turn: TurnRequest<'_>, retries: Retries, expected: &str) {
    let args = arguments(&turn, retries, &AgentConfig::default(), None).unwrap();
    let expected: Vec<OsString> = expected.lines().map(|line| line.trim().into()).collect();
    assert_eq!(args, expected);
}

#[test]
fn a_first_turn_leaves_to_codex_what_was_not_asked_for() {
    check(
        turn(),
        Retries::AsConfigured,
        r#"exec
        --json
        -C
        /home/dev/a project
        --skip-git-repo-check
        -c
        shell_environment_policy.set.SWITCHBOARD_SESSION="2f1c6a3e-8d0b-4c55-9a77-0d5a4a3f9b21"
        -c
        shell_environment_policy.set.SWITCHBOARD_TURN="7"
        -"#,
    );
}

#[test]
fn a_later_turn_says_everything_again_and_before_resume() {
    check(
        TurnRequest {
            model: Some("gpt-5.5"),
            sandbox: FilesystemSandbox::WorkspaceWrite,
            history: History::Resume(THREAD),
            ..turn()
        },
        Retries::Bounded,
        r#"exec
        --json
        -m
        gpt-5.5
        -C
        /home/dev/a project
        -s
        workspace-write
        --skip-git-repo-check
        --disable
        unbounded_connection_retries
        -c
        shell_environment_policy.set.SWITCHBOARD_SESSION="2f1c6a3e-8d0b-4c55-9a77-0d5a4a3f9b21"
        -c
        shell_environment_policy.set.SWITCHBOARD_TURN="7"
        resume
        01a1fbeb-e716-7023-89e2-0851ae85c769
        -"#,
    );
}

#[test]
fn every_sandbox_has_codexs_own_name() {
    let modes = [
        FilesystemSandbox::Unspecified,
        FilesystemSandbox::ReadOnly,
        FilesystemSandbox::WorkspaceWrite,
        FilesystemSandbox::DangerFullAccess,
    ]
    .map(sandbox_mode);
    assert_eq!(
        modes,
        [None, Some("read-only"), Some("workspace-write"), Some("danger-full-access")]
    );
}

#[test]
fn each_sandbox_and_network_has_its_argument_in_a_first_and_in_a_later_turn() {
    use crate::controls::{NETWORK_ACCESSES, SANDBOXES};
    let key = "-c sandbox_workspace_write.network_access";
    let modes = ["read-only", "workspace-write", "danger-full-access"];
    for history in [History::New, History::Resume(THREAD), History::Fork(THREAD)] {
        for (sandbox, mode) in SANDBOXES.into_iter().zip(modes) {
            for (network, enabled) in NETWORK_ACCESSES.into_iter().zip([false, true]) {
                let turn = TurnRequest { sandbox, network, history, ..turn() };
                let expected = [format!("-s {mode}"), format!("{key}={enabled}")];
                assert_eq!(told(&turn, &AgentConfig::default()), expected);
            }
        }
    }
}

#[test]
fn no_approval_policy_is_told() {
    for approval_policy in crate::controls::APPROVAL_POLICIES {
        let asked = TurnRequest { approval_policy, ..turn() };
        let args =
            |turn| arguments(&turn, Retries::Bounded, &AgentConfig::default(), None).unwrap();
        assert_eq!(args(asked), args(turn()));
    }
}

#[test]
fn what_would_read_as_something_else_is_refused() {
    let none = AgentConfig::default();
    let refused = |turn| arguments(&turn, Retries::Bounded, &none, None).unwrap_err().to_string();
    assert_eq!(
        refused(TurnRequest { model: Some("--yolo"), ..turn() }),
        "session.model: \"--yolo\": expected a name that does not begin with a dash"
    );
    assert_eq!(
        refused(TurnRequest { model: Some(" "), ..turn() }),
        "session.model: expected a name"
    );
    for thread in ["", "--last", "my thread"] {
        assert_eq!(
            refused(TurnRequest { history: History::Resume(thread), ..turn() }),
            format!(
                "cannot resume the thread {thread:?}: codex names its threads by UUIDs, and \
                 would begin a new one; create another session"
            )
        );
    }
}

fn leaked(options: CodexOptions) -> &'static CodexOptions {
    Box::leak(Box::new(options))
}

fn map<const N: usize>(pairs: [(&str, &str); N]) -> std::collections::BTreeMap<String, String> {
    pairs.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

#[test]
fn options_and_images_have_each_their_flag() {
    let options = CodexOptions {
        config: map([("model_reasoning_effort", "'high'"), ("features.goals", "false")]),
        output_schema: "/s.json".to_owned(),
        add_directories: vec!["/a".to_owned(), "/b c".to_owned()],
        profile: "work".to_owned(),
        web_search: WebSearchMode::Live.into(),
        strict_config: true,
        ..CodexOptions::default()
    };
    let images = ["/one.png".into(), "/-two.png".into()];
    check(
        TurnRequest {
            network: NetworkAccess::Enabled,
            options: leaked(options),
            images: &images,
            history: History::Fork(THREAD),
            ..turn()
        },
        Retries::AsConfigured,
        r#"exec
        --json
        -C
        /home/dev/a project
        --skip-git-repo-check
        --strict-config
        -p
        work
        --add-dir
        /a
        --add-dir
        /b c
        --output-schema
        /s.json
        -c
        features.goals=false
        -c
        model_reasoning_effort="high"
        -c
        sandbox_workspace_write.network_access=true
        -c
        shell_environment_policy.set.SWITCHBOARD_SESSION="2f1c6a3e-8d0b-4c55-9a77-0d5a4a3f9b21"
        -c
        shell_environment_policy.set.SWITCHBOARD_TURN="7"
        -c
        web_search="live"
        --image=/one.png
        --image=/-two.png
        fork
        01a1fbeb-e716-7023-89e2-0851ae85c769
        -"#,
    );
}

/// What is passed as `-m`, `-s` and the like, and by `-c`, sorted, without the
/// marks of the session.
fn told(turn: &TurnRequest<'_>, config: &AgentConfig) -> Vec<String> {
    let args = arguments(turn, Retries::AsConfigured, config, None).unwrap();
    let args: Vec<_> = args.iter().map(|arg| arg.to_str().unwrap()).collect();
    let mut told: Vec<_> = args
        .windows(2)
        .filter(|pair| ["-m", "-s", "-c"].contains(&pair[0]) && !pair[1].contains("SWITCHBOARD_"))
        .map(|pair| pair.join(" "))
        .collect();
    told.extend(args.iter().filter(|arg| arg.starts_with("--d")).map(|&arg| arg.to_owned()));
    told
}

#[test]
fn the_session_beats_the_agent_configuration_key_by_key() {
    let config = |toml: &str| {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("codex.toml");
        std::fs::write(&path, toml).unwrap();
        AgentConfig::read(&crate::agent::ConfigFile { path, must_exist: true }).unwrap()
    };
    let config = config(
        "model = 'of-file'\nsandbox_mode = 'read-only'\nweb_search = 'cached'\neffort = 'low'\n\
         [sandbox_workspace_write]\nnetwork_access = false\nexclude_slash_tmp = true\n\
         [projects.'/a.b']\ntrust_level = 'trusted'\n",
    );
    assert_eq!(
        told(&turn(), &config),
        [
            "-m of-file",
            "-c effort=\"low\"",
            "-c projects={\"/a.b\"={trust_level=\"trusted\"}}",
            "-c sandbox_mode=\"read-only\"",
            "-c sandbox_workspace_write.exclude_slash_tmp=true",
            "-c sandbox_workspace_write.network_access=false",
            "-c web_search=\"cached\"",
        ]
    );
    let options = leaked(CodexOptions {
        config: map([("effort", "'high'"), ("projects", "{'/c.d' = {x = 1}}")]),
        web_search: WebSearchMode::Disabled.into(),
        ..CodexOptions::default()
    });
    let asked = TurnRequest {
        model: Some("of-session"),
        sandbox: FilesystemSandbox::WorkspaceWrite,
        network: NetworkAccess::Enabled,
        options,
        ..turn()
    };
    let expected = [
        "-m of-session",
        "-s workspace-write",
        "-c effort=\"high\"",
        "-c projects={\"/a.b\"={trust_level=\"trusted\"},\"/c.d\"={x=1}}",
        // Which `-s` beats.
        "-c sandbox_mode=\"read-only\"",
        "-c sandbox_workspace_write.exclude_slash_tmp=true",
        "-c sandbox_workspace_write.network_access=true",
        "-c web_search=\"disabled\"",
    ];
    assert_eq!(told(&asked, &config), expected);
}

#[test]
fn full_danger_of_either_takes_the_place_of_the_sandbox() {
    let asked = TurnRequest { sandbox: FilesystemSandbox::ReadOnly, ..turn() };
    let danger = "--dangerously-bypass-approvals-and-sandbox";
    let of_file = AgentConfig { full_danger: true, ..AgentConfig::default() };
    assert_eq!(told(&asked, &of_file), [danger]);
    let options = leaked(CodexOptions { full_danger: true, ..CodexOptions::default() });
    let of_session = TurnRequest { options, ..asked };
    assert_eq!(told(&of_session, &AgentConfig::default()), [danger]);
    assert_eq!(told(&asked, &AgentConfig::default()), ["-s read-only"]);
}

#[test]
fn the_effort_of_a_turn_beats_that_of_its_session() {
    let options = CodexOptions {
        config: map([("model_reasoning_effort", "'high'")]),
        ..CodexOptions::default()
    };
    let turn = TurnRequest { options: leaked(options), effort: Some(Effort::Low), ..turn() };
    let args = arguments(&turn, Retries::AsConfigured, &AgentConfig::default(), None).unwrap();
    let efforts: Vec<_> = args
        .iter()
        .filter(|arg| arg.to_string_lossy().contains("model_reasoning_effort"))
        .collect();
    assert_eq!(efforts, ["model_reasoning_effort=\"low\""]);
}
