//! The arguments of `codex exec` for one turn.

use std::ffi::OsString;

use uuid::Uuid;

use crate::{
    agent::{History, TurnRequest},
    error::{Error, Result},
    proto::FilesystemSandbox,
};

/// The feature by which codex goes on without end when its provider cannot be
/// reached.
pub(super) const UNBOUNDED_RETRIES: &str = "unbounded_connection_retries";

/// What codex does when its provider cannot be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Retries {
    /// It gives up after some attempts, and the turn fails.
    Bounded,
    /// It does as its own configuration says.
    AsConfigured,
}

/// The arguments that make a turn, its prompt to come by standard input.
///
/// Model, directory and sandbox are given for each turn, because a resumed
/// thread inherits none of them; and before `resume`, which does not take the
/// last two. The session and turn are in the environment of the agent's
/// commands too, whatever of its own environment codex lets them have: so they
/// are found should their supervisor die.
///
/// # Errors
///
/// [`Error::InvalidArgument`] for a model that would read as a flag, and
/// [`Error::AgentUnavailable`] for a thread id that is not a UUID: codex would
/// take it for a name, and begin a new thread without a word.
pub(super) fn arguments(turn: &TurnRequest<'_>, retries: Retries) -> Result<Vec<OsString>> {
    let mut args: Vec<OsString> = vec!["exec".into(), "--json".into()];
    if let Some(model) = turn.model {
        if model.starts_with('-') {
            return Err(Error::invalid(
                "session.model",
                format!("{model:?}: expected a name that does not begin with a dash"),
            ));
        }
        args.extend(["-m".into(), model.into()]);
    }
    args.extend(["-C".into(), turn.working_directory.into()]);
    if let Some(mode) = sandbox_mode(turn.sandbox) {
        args.extend(["-s".into(), mode.into()]);
    }
    args.push("--skip-git-repo-check".into());
    match retries {
        Retries::Bounded => args.extend(["--disable".into(), UNBOUNDED_RETRIES.into()]),
        Retries::AsConfigured => {}
    }
    // Single keys, so that a table of the user's own stays.
    for (name, value) in [
        ("SWITCHBOARD_SESSION", turn.session.to_string()),
        ("SWITCHBOARD_TURN", turn.turn.to_string()),
    ] {
        let setting = format!("shell_environment_policy.set.{name}=\"{value}\"");
        args.extend(["-c".into(), setting.into()]);
    }
    match turn.history {
        History::New => {}
        History::Resume(thread) => args.extend(["resume".into(), thread_id(thread)?.into()]),
        History::Fork(thread) => args.extend(["fork".into(), thread_id(thread)?.into()]),
    }
    args.push("-".into());
    Ok(args)
}

/// A thread that codex surely takes for one.
fn thread_id(thread: &str) -> Result<&str> {
    if Uuid::try_parse(thread).is_ok() {
        return Ok(thread);
    }
    Err(Error::AgentUnavailable {
        problem: format!(
            "cannot resume the thread {thread:?}: codex names its threads by UUIDs, and \
             would begin a new one; create another session"
        ),
    })
}

/// What `-s` takes; none for codex's own default.
fn sandbox_mode(sandbox: FilesystemSandbox) -> Option<&'static str> {
    match sandbox {
        FilesystemSandbox::Unspecified => None,
        FilesystemSandbox::ReadOnly => Some("read-only"),
        FilesystemSandbox::WorkspaceWrite => Some("workspace-write"),
        FilesystemSandbox::DangerFullAccess => Some("danger-full-access"),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::{id::TurnNumber, proto::NetworkAccess};

    const SESSION: &str = "2f1c6a3e-8d0b-4c55-9a77-0d5a4a3f9b21";
    const THREAD: &str = "01a1fbeb-e716-7023-89e2-0851ae85c769";

    fn turn() -> TurnRequest<'static> {
        TurnRequest {
            session: SESSION.parse().unwrap(),
            turn: TurnNumber(7),
            working_directory: Path::new("/home/dev/a project"),
            model: None,
            sandbox: FilesystemSandbox::Unspecified,
            network: NetworkAccess::Unspecified,
            options: Box::leak(Box::default()),
            history: History::New,
        }
    }

    /// Checks the arguments, one on each line.
    fn check(turn: TurnRequest<'_>, retries: Retries, expected: &str) {
        let args = arguments(&turn, retries).unwrap();
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
    fn what_would_read_as_something_else_is_refused() {
        let refused = |turn| arguments(&turn, Retries::Bounded).unwrap_err().to_string();
        assert_eq!(
            refused(TurnRequest { model: Some("--yolo"), ..turn() }),
            "session.model: \"--yolo\": expected a name that does not begin with a dash"
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
}
