//! What a turn does otherwise than its session's controls say, as warnings: what
//! beats them, and what `codex exec` has no way to do.

use super::{command::sandbox_mode, config::AgentConfig};
use crate::{
    agent::{ConfigFile, TurnRequest},
    controls::{approval_word, network_word, sandbox_word},
    proto::{ApprovalPolicy, FilesystemSandbox, NetworkAccess, Warning},
};

/// What is to be said of a turn that is told `config`, which is in `file`.
pub(super) fn warnings(
    turn: &TurnRequest<'_>,
    config: &AgentConfig,
    file: &ConfigFile,
) -> Vec<Warning> {
    // `full_danger` beats what was chosen.
    let sandbox = if turn.options.full_danger || config.full_danger {
        FilesystemSandbox::DangerFullAccess
    } else {
        turn.sandbox
    };
    [
        danger(turn, config, file),
        asks_nobody(turn.approval_policy, sandbox),
        network(turn.network, sandbox),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Says that approvals and sandbox are bypassed, and who wants that.
fn danger(turn: &TurnRequest<'_>, config: &AgentConfig, file: &ConfigFile) -> Option<Warning> {
    let by_whom = match (turn.options.full_danger, config.full_danger) {
        (false, false) => return None,
        (true, _) => "the session's option full_danger".to_owned(),
        (false, true) => format!("full_danger in {}", file.path.display()),
    };
    let beats = sandbox_mode(turn.sandbox)
        .map(|mode| format!(", although the session asks for the sandbox {mode}"))
        .unwrap_or_default();
    Some(Warning {
        code: "FULL_DANGER".to_owned(),
        message: format!(
            "commands run without a sandbox and without approvals by {by_whom}{beats}"
        ),
    })
}

/// Says that codex does not ask in a turn of ours, whatever was chosen: `codex
/// exec` runs with the policy `never`, also where it is told another (0.169).
fn asks_nobody(policy: ApprovalPolicy, sandbox: FilesystemSandbox) -> Option<Warning> {
    let beside = match policy {
        ApprovalPolicy::Unspecified | ApprovalPolicy::Never => return None,
        ApprovalPolicy::OnFailure => ", and codex 0.169 does not know this policy any more",
        ApprovalPolicy::Untrusted | ApprovalPolicy::OnRequest => "",
    };
    let instead = match sandbox {
        FilesystemSandbox::DangerFullAccess => "without a sandbox every command runs",
        FilesystemSandbox::Unspecified
        | FilesystemSandbox::ReadOnly
        | FilesystemSandbox::WorkspaceWrite => "what its sandbox does not allow fails",
    };
    Some(Warning {
        code: "APPROVAL_POLICY_NOT_HONOURED".to_owned(),
        message: format!(
            "the approval policy {:?} is not honoured: codex exec asks nobody{beside}; {instead}",
            approval_word(policy)
        ),
    })
}

/// Says that the network is not as it was chosen: a setting of codex has it in one
/// sandbox only.
///
/// Codex 0.169 has another way, a permission profile, which `-s` beats. It is in
/// development, and a codex that does not know it would go by its own
/// configuration, whatever that allows.
fn network(network: NetworkAccess, sandbox: FilesystemSandbox) -> Option<Warning> {
    use {FilesystemSandbox as Sandbox, NetworkAccess as Network};
    let instead = match (sandbox, network) {
        (Sandbox::ReadOnly, Network::Enabled) => {
            format!("codex's sandbox {} has no network", sandbox_word(sandbox))
        }
        (Sandbox::DangerFullAccess, Network::Restricted) => {
            "without a sandbox commands have the network".to_owned()
        }
        (Sandbox::Unspecified | Sandbox::WorkspaceWrite, _)
        | (Sandbox::ReadOnly, Network::Unspecified | Network::Restricted)
        | (Sandbox::DangerFullAccess, Network::Unspecified | Network::Enabled) => return None,
    };
    Some(Warning {
        code: "NETWORK_ACCESS_NOT_HONOURED".to_owned(),
        message: format!(
            "the network access {:?} is not honoured: {instead}",
            network_word(network)
        ),
    })
}

#[cfg(test)]
mod tests;
