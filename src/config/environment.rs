//! The environment variables that Switchboard looks at, read once.

use std::{collections::BTreeMap, env, ffi::OsString, path::PathBuf};

/// Every variable that the program reads itself. `RUST_LOG` is not among them:
/// the log is set with `SWITCHBOARD_LOG`.
const NAMES: [&str; 21] = [
    "CODEX_HOME",
    "DEFAULT_APPROVAL_POLICY",
    "DEFAULT_NETWORK_ACCESS",
    "DEFAULT_SANDBOX_MODE",
    "HOME",
    "NOTIFY_SOCKET",
    "NO_COLOR",
    "PATH",
    "SESSION_DEFAULTS_LOCKED",
    "SWITCHBOARD_CODEX",
    "SWITCHBOARD_CONFIG",
    "SWITCHBOARD_HOME",
    "SWITCHBOARD_LISTEN",
    "SWITCHBOARD_LOG",
    "SWITCHBOARD_LOG_FORMAT",
    "SWITCHBOARD_PROFILE",
    "SWITCHBOARD_TOKEN",
    "SWITCHBOARD_URL",
    "TERM",
    "XDG_CONFIG_HOME",
    "XDG_STATE_HOME",
];

/// A copy of the variables that count. An empty variable counts as absent.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    variables: BTreeMap<String, OsString>,
}

impl Environment {
    /// Copies them from this process.
    #[must_use]
    pub fn read() -> Self {
        let variables = env::vars_os().filter_map(|(name, value)| {
            let name = name.into_string().ok().filter(|name| NAMES.contains(&name.as_str()))?;
            (!value.is_empty()).then_some((name, value))
        });
        Self { variables: variables.collect() }
    }

    /// Makes one from the given variables, for tests.
    pub fn of<'a>(variables: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let variables = variables.into_iter().map(|(name, value)| (name.into(), value.into()));
        Self { variables: variables.collect() }
    }

    /// The variable as it is.
    #[must_use]
    pub fn raw(&self, name: &str) -> Option<OsString> {
        debug_assert!(NAMES.contains(&name), "{name} is read but not listed");
        self.variables.get(name).cloned()
    }

    /// The variable as text; `None` too when it is not UTF-8.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<String> {
        self.raw(name)?.into_string().ok()
    }

    /// The variable as an absolute path; the XDG specification says to ignore
    /// relative ones.
    #[must_use]
    pub fn directory(&self, name: &str) -> Option<PathBuf> {
        self.raw(name).map(PathBuf::from).filter(|path| path.is_absolute())
    }

    /// Where a file of the user's configuration is by default.
    #[must_use]
    pub fn config_directory(&self) -> Option<PathBuf> {
        self.directory("XDG_CONFIG_HOME")
            .or_else(|| Some(self.directory("HOME")?.join(".config")))
            .map(|base| base.join("switchboard"))
    }

    /// Where the home is by default.
    #[must_use]
    pub fn state_directory(&self) -> Option<PathBuf> {
        self.directory("XDG_STATE_HOME")
            .or_else(|| Some(self.directory("HOME")?.join(".local/state")))
            .map(|base| base.join("switchboard"))
    }
}
