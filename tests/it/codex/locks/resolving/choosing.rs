//! Nothing that a request chooses beside a lock is lost in silence: either the turn
//! has it, or it differs from the lock.

use super::*;

/// One lock of those that choices are made beside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Beside {
    /// With a permission profile, and so without a sandbox mode.
    Profile,
    ReadOnly,
    /// Without network.
    WorkspaceWrite,
    /// Made by codex itself, and so without a sandbox.
    OfCodex,
}

use Beside::{OfCodex, Profile, ReadOnly, WorkspaceWrite};

/// A profile of codex that says how briefly it writes.
const PROFILE: &str =
    "developer_instructions = 'Be brief.'\n[sandbox_workspace_write]\nnetwork_access = true\n";

/// What is chosen, the key that it would differ by, and the locks beside which the
/// turn has it all the same.
fn choices() -> Vec<(Asked, &'static str, &'static [Beside])> {
    const NETWORK: &str = "config.sandbox_workspace_write.network_access";
    const ROOTS: &str = "config.sandbox_workspace_write.writable_roots";
    const NONE: &[Beside] = &[];
    const ALL: &[Beside] = &[Profile, ReadOnly, WorkspaceWrite, OfCodex];
    let sandbox = |sandbox| Asked { sandbox, ..Asked::default() };
    let network = |network| Asked { network, ..Asked::default() };
    let options = |options| Asked { options, ..Asked::default() };
    let setting = |key: &'static str, value: &'static str| options(told([(key, value)]));
    let mut choices = vec![
        (Asked { model: Some("gpt-5.4"), ..Asked::default() }, "config.model", NONE),
        (
            Asked { effort: Some(Effort::Low), ..Asked::default() },
            "config.model_reasoning_effort",
            NONE,
        ),
        (sandbox(FilesystemSandbox::ReadOnly), "config.sandbox_mode", &[ReadOnly, OfCodex]),
        (
            sandbox(FilesystemSandbox::WorkspaceWrite),
            "config.sandbox_mode",
            // The profile is the same by another name.
            &[Profile, WorkspaceWrite, OfCodex],
        ),
        (sandbox(FilesystemSandbox::DangerFullAccess), "config.sandbox_mode", &[OfCodex]),
        (network(NetworkAccess::Enabled), NETWORK, &[OfCodex]),
        (
            network(NetworkAccess::Restricted),
            NETWORK,
            &[Profile, ReadOnly, WorkspaceWrite, OfCodex],
        ),
    ];
    choices.extend([
        (
            options(CodexOptions { full_danger: true, ..told([]) }),
            "config.sandbox_mode",
            &[OfCodex] as &[Beside],
        ),
        (
            options(CodexOptions { add_directories: vec!["/usr".to_owned()], ..told([]) }),
            ROOTS,
            &[OfCodex],
        ),
        (
            options(CodexOptions { web_search: WebSearchMode::Live.into(), ..told([]) }),
            "config.web_search",
            NONE,
        ),
        (
            options(CodexOptions { profile: "brief".to_owned(), ..told([]) }),
            "config.developer_instructions",
            NONE,
        ),
        (
            setting("default_permissions", "':workspace'"),
            "config.default_permissions",
            &[Profile, OfCodex],
        ),
        (setting("sandbox_workspace_write.writable_roots", "['/usr']"), ROOTS, &[OfCodex]),
        (setting("model_reasoning_effort", "'low'"), "config.model_reasoning_effort", NONE),
        (setting("developer_instructions", "'Be brief.'"), "config.developer_instructions", NONE),
        (setting("compact_prompt", "'Short.'"), "config.compact_prompt", NONE),
        (setting("mcp_servers.more.command", "'true'"), "config.mcp_servers.more.command", NONE),
        (setting("features.goals", "false"), "config.features.goals", NONE),
        // Old names, one of them of a feature that no lock says unless somebody does.
        (setting("features.collab", "false"), "config.features.multi_agent", NONE),
        (setting("features.connectors", "false"), "config.features.apps", NONE),
        // Codex does as much about these as it would without the lock.
        (setting("features.nobody_has_this", "true"), "", ALL),
        (setting("nobody_has_this.either", "1"), "", ALL),
    ]);
    choices
}

/// Checks all choices beside one lock.
fn check(beside: Beside) {
    let bench = Bench::new();
    fs::write(bench.home.path().join("brief.config.toml"), PROFILE).unwrap();
    let made_with = |asked: &Asked| bench.lock(asked);
    let lock = match beside {
        Profile => made_with(&Asked {
            options: told([("default_permissions", "':workspace'")]),
            ..Asked::default()
        }),
        ReadOnly => made_with(&Asked { sandbox: FilesystemSandbox::ReadOnly, ..Asked::default() }),
        WorkspaceWrite => made_with(&Asked {
            sandbox: FilesystemSandbox::WorkspaceWrite,
            network: NetworkAccess::Restricted,
            ..Asked::default()
        }),
        OfCodex => of_codex(),
    };
    let has_mode = lock.effective.config.contains_key("sandbox_mode");
    assert_eq!(has_mode, matches!(beside, ReadOnly | WorkspaceWrite));
    for (asked, key, has_it) in choices() {
        let asked = Asked { any_version: beside == OfCodex, ..asked };
        let drift = bench.compare(&asked, &lock).drift;
        let found: Vec<_> = drift.values.iter().map(|value| value.key.as_str()).collect();
        if has_it.contains(&beside) {
            assert_eq!(found, [""; 0], "{asked:?}");
            continue;
        }
        assert!(found.contains(&key), "{asked:?}: {found:?}");
        let table = key.rsplit_once('.').map_or(key, |(table, _)| table);
        assert!(found.iter().all(|found| found.starts_with(table)), "{asked:?}: {found:?}");
        let value = drift.values.iter().find(|value| value.key == key).unwrap();
        let of_request = ["controls.", "codex_options.", "prompt.", "/"];
        assert!(of_request.iter().any(|start| value.origin.starts_with(start)), "{value:?}");
    }
}

#[test]
fn beside_a_lock_with_a_permission_profile() {
    check(Profile);
}

#[test]
fn beside_a_lock_that_only_reads() {
    check(ReadOnly);
}

#[test]
fn beside_a_lock_that_writes() {
    check(WorkspaceWrite);
}

#[test]
fn beside_a_lock_that_codex_itself_made() {
    check(OfCodex);
}
