use std::path::Path;

use super::*;
use crate::{
    agent::History,
    controls::{APPROVAL_POLICIES, NETWORK_ACCESSES, SANDBOXES},
    id::TurnNumber,
    proto::CodexOptions,
};

/// The codes of what is said of a turn with these controls, and the texts.
fn said(
    policy: ApprovalPolicy,
    network: NetworkAccess,
    sandbox: FilesystemSandbox,
    full_danger: bool,
) -> Vec<(String, String)> {
    let options = CodexOptions { full_danger, ..CodexOptions::default() };
    let turn = TurnRequest {
        session: "2f1c6a3e-8d0b-4c55-9a77-0d5a4a3f9b21".parse().unwrap(),
        turn: TurnNumber(1),
        working_directory: Path::new("/home/dev"),
        model: None,
        approval_policy: policy,
        sandbox,
        network,
        options: &options,
        images: &[],
        effort: None,
        history: History::New,
        lock: None,
    };
    let file = ConfigFile { path: "/home/dev/codex.toml".into(), must_exist: false };
    let warnings = warnings(&turn, &AgentConfig::default(), &file);
    warnings.into_iter().map(|warning| (warning.code, warning.message)).collect()
}

#[test]
fn a_policy_with_which_an_agent_would_ask_is_said_and_no_other() {
    let said =
        |policy| said(policy, NetworkAccess::Unspecified, FilesystemSandbox::WorkspaceWrite, false);
    let told = |text: &str| {
        vec![(
            "APPROVAL_POLICY_NOT_HONOURED".to_owned(),
            format!("the approval policy {text}; what its sandbox does not allow fails"),
        )]
    };
    assert_eq!(said(ApprovalPolicy::Unspecified), []);
    let expected = [
        told("\"untrusted\" is not honoured: codex exec asks nobody"),
        told(
            "\"on-failure\" is not honoured: codex exec asks nobody, and codex 0.169 does not \
             know this policy any more",
        ),
        told("\"on-request\" is not honoured: codex exec asks nobody"),
        vec![],
    ];
    assert_eq!(APPROVAL_POLICIES.map(said), expected);
}

#[test]
fn without_a_sandbox_nothing_is_said_to_fail() {
    let sandbox = FilesystemSandbox::DangerFullAccess;
    let warnings = said(ApprovalPolicy::OnRequest, NetworkAccess::Enabled, sandbox, false);
    let expected = "the approval policy \"on-request\" is not honoured: codex exec asks nobody; \
                    without a sandbox every command runs";
    assert_eq!(warnings, [("APPROVAL_POLICY_NOT_HONOURED".to_owned(), expected.to_owned())]);
}

#[test]
fn a_network_that_the_sandbox_does_not_have_or_has_anyway_is_said_where_both_were_chosen() {
    let said =
        |network, sandbox, full_danger| said(ApprovalPolicy::Never, network, sandbox, full_danger);
    let none = "the network access \"enabled\" is not honoured: codex's sandbox read-only has no \
                network";
    let open = "the network access \"restricted\" is not honoured: without a sandbox commands \
                have the network";
    let mut told = Vec::new();
    for sandbox in SANDBOXES {
        for network in NETWORK_ACCESSES {
            for (code, text) in said(network, sandbox, false) {
                assert_eq!(code, "NETWORK_ACCESS_NOT_HONOURED");
                told.push((sandbox, network, text));
            }
        }
        assert_eq!(said(NetworkAccess::Unspecified, sandbox, false), []);
    }
    let expected = [
        (FilesystemSandbox::ReadOnly, NetworkAccess::Enabled, none.to_owned()),
        (FilesystemSandbox::DangerFullAccess, NetworkAccess::Restricted, open.to_owned()),
    ];
    assert_eq!(told, expected);
    for network in NETWORK_ACCESSES {
        assert_eq!(said(network, FilesystemSandbox::Unspecified, false), []);
    }
    // It takes the sandbox away that was chosen, and gives the network.
    let codes = |network| {
        let said = said(network, FilesystemSandbox::ReadOnly, true);
        said.into_iter().map(|(code, _)| code).collect::<Vec<_>>()
    };
    assert_eq!(codes(NetworkAccess::Enabled), ["FULL_DANGER"]);
    assert_eq!(codes(NetworkAccess::Restricted), ["FULL_DANGER", "NETWORK_ACCESS_NOT_HONOURED"]);
}
