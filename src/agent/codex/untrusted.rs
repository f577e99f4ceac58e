//! What is refused of a config lock before any codex hears of it: its author may be
//! anybody, and to ask whether it holds must have no effect of its own.
//!
//! What else a lock has is asked about as [`resolve`](super::resolve) does, where
//! nothing of it runs and nothing goes over the network.

use toml::Table;

use super::{
    resolve::left_out,
    tree::{dotted_path, leaves},
};
use crate::{
    error::{Error, Result},
    lock::{Lock, secrets},
};

/// Checks that a lock has nothing that none of ours would have. Those of codex
/// itself have more, which is taken out of them later.
///
/// # Errors
///
/// [`Error::ConfigLockInvalid`] with the rule `left_out` or `reference`.
pub(super) fn check(lock: &Lock) -> Result<()> {
    let config = &lock.effective.config;
    // Those of codex itself have no directory.
    let is_ours = lock.effective.working_directory.is_some();
    if let (true, Some((key, reason))) = (is_ours, left_out::first(config)) {
        let key = format!("config.{key}");
        let problem = format!("{key} is no part of a config lock: {reason}");
        return Err(Error::ConfigLockInvalid { rule: "left_out", key: Some(key), problem });
    }
    check_references(config, "config.")
}

/// Checks that no value is `env:NAME`: codex would not put the variable's value in
/// its place, but use these words. In an array they may be the argument of a
/// program that does, and are left to it.
///
/// # Errors
///
/// [`Error::ConfigLockInvalid`] with the rule `reference`.
pub(super) fn check_references(config: &Table, prefix: &str) -> Result<()> {
    let references = leaves(config).into_iter();
    let mut references =
        references.filter_map(|(path, value)| Some((path, reference(value.as_str()?)?.to_owned())));
    let Some((path, name)) = references.next() else { return Ok(()) };
    let key = format!("{prefix}{}", dotted_path(&path));
    let problem = format!(
        "{key}: codex would take \"env:{name}\" as it stands, and not the value of {name}; name \
         the variable by env_key, bearer_token_env_var, env_http_headers or env_vars"
    );
    Err(Error::ConfigLockInvalid { rule: "reference", key: Some(key), problem })
}

/// The variable that a value is meant to stand for, alone or behind the scheme of a
/// header.
fn reference(value: &str) -> Option<&str> {
    secrets::variable(value.strip_prefix("Bearer ").unwrap_or(value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lock::{Effective, MadeOf};

    /// Checks by which rule a configuration is refused, and for which key.
    fn check_that(is_ours: bool, config: &str, expected: Option<(&str, &str)>) {
        let effective = Effective {
            working_directory: is_ours.then(|| "/home/dev/project".into()),
            config: config.parse().unwrap(),
            ..Effective::default()
        };
        let found = match check(&Lock { made_of: MadeOf::default(), effective }) {
            Ok(()) => None,
            Err(Error::ConfigLockInvalid { rule, key, .. }) => Some((rule, key.unwrap())),
            Err(other) => panic!("{other:?}"),
        };
        let found = found.as_ref().map(|(rule, key)| (*rule, key.as_str()));
        assert_eq!(found, expected, "{config}");
    }

    #[test]
    fn what_no_lock_of_ours_has_is_refused() {
        for key in ["otel", "notify", "log_dir", "sqlite_home", "hooks", "projects"] {
            let config = format!("model = 'a'\n{key} = 'x'\n");
            check_that(true, &config, Some(("left_out", &format!("config.{key}"))));
            check_that(false, &config, None);
        }
        check_that(true, "model = 'a'\nnew_in_codex = 1\n", None);
    }

    #[test]
    fn a_variable_that_codex_would_not_look_up_is_refused() {
        let header = "[model_providers.a.http_headers]\nX-Key = 'env:TOKEN'\n";
        let expected = Some(("reference", "config.model_providers.a.http_headers.X-Key"));
        check_that(true, header, expected);
        check_that(false, header, expected);
        check_that(true, &header.replace("env:", "Bearer env:"), expected);
        let server = "[mcp_servers.a.env]\nKEY = 'env:TOKEN'\n";
        check_that(true, server, Some(("reference", "config.mcp_servers.a.env.KEY")));
        for config in [
            "[model_providers.a]\nenv_key = 'TOKEN'\n",
            "[mcp_servers.a]\ncommand = 'openssl'\nargs = ['-passin', 'env:PASS']\n",
            "developer_instructions = 'env: see below'\n",
        ] {
            check_that(true, config, None);
        }
    }
}
