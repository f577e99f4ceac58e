//! Profiles: servers by name, in `profiles.toml` beside the configuration file.
//!
//! Asked by `connect` for the server that `--profile` or `SWITCHBOARD_PROFILE`
//! names. The Python client reads the same file by the same rules, which are in
//! `docs/profiles.md`; whoever changes them here changes them there.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde::Deserialize;

use super::{Failure, connect::Target};
use crate::config::Environment;

/// The profile that is always there: the server of this user on this machine.
const LOCAL: &str = "local";

/// A server, and how it lets its caller in.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Profile {
    /// Where it is.
    pub target: Target,
    /// The token for it, and for it alone.
    pub token: Option<String>,
}

/// A table of the file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Keys {
    url: Option<String>,
    unix: Option<String>,
    token: Option<String>,
    token_file: Option<String>,
    tls_ca: Option<String>,
}

impl Profile {
    /// The profile of this name; `None` for the server of this machine, unless the
    /// file says otherwise.
    ///
    /// # Errors
    /// When there is none, or when it does not say where a server is.
    pub(super) fn find(name: &str, environment: &Environment) -> Result<Option<Self>, Failure> {
        let Some(directory) = environment.config_directory() else {
            return Err(Failure::Usage(
                "no profiles: neither HOME nor XDG_CONFIG_HOME is set; give --url".into(),
            ));
        };
        let file = directory.join("profiles.toml");
        let wrong = |problem: String| Failure::Usage(format!("{}: {problem}", file.display()));
        let text = match fs::read_to_string(&file) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(wrong(error.to_string())),
        };
        let mut profiles: toml::Table =
            toml::from_str(&text).map_err(|error| wrong(error.to_string()))?;
        let Some(keys) = profiles.remove(name) else {
            if name == LOCAL {
                return Ok(None);
            }
            let mut known: Vec<_> = profiles.keys().map(String::as_str).collect();
            known.extend((!profiles.contains_key(LOCAL)).then_some(LOCAL));
            known.sort_unstable();
            return Err(wrong(format!("no profile {name:?}; there are: {}", known.join(", "))));
        };
        let in_profile = |problem: String| wrong(format!("[{name}]: {problem}"));
        let keys: Keys = keys.try_into().map_err(|error| in_profile(error.to_string()))?;
        let home = environment.directory("HOME");
        keys.profile(&directory, home.as_deref()).map(Some).map_err(in_profile)
    }
}

impl Keys {
    fn profile(self, directory: &Path, home: Option<&Path>) -> Result<Profile, String> {
        let Self { url, unix, token, token_file, tls_ca } = self;
        let given = [
            ("url", &url),
            ("unix", &unix),
            ("token", &token),
            ("token_file", &token_file),
            ("tls_ca", &tls_ca),
        ];
        if let Some((key, _)) = given.iter().find(|(_, value)| value.as_deref() == Some("")) {
            return Err(format!("{key}: expected a string that is not empty"));
        }
        let path = |text: &str| placed(text, directory, home);
        let target = match (url, unix) {
            (Some(url), None) => url.parse().map_err(|error| format!("url: {error}"))?,
            (None, Some(unix)) => Target::Unix(path(&unix)),
            (Some(_), Some(_)) | (None, None) => return Err("expected either url or unix".into()),
        };
        if tls_ca.is_some() {
            return Err("tls_ca: it is for https://HOST:PORT alone".into());
        }
        let token = match (token, token_file) {
            (Some(_), Some(_)) => return Err("expected either token or token_file".into()),
            (token, None) => token,
            (None, Some(file)) => Some(read_token(&path(&file))?),
        };
        Ok(Profile { target, token })
    }
}

/// A path of the file: below the user's own directory with `~/`, else beside it.
fn placed(text: &str, directory: &Path, home: Option<&Path>) -> PathBuf {
    match (text.strip_prefix("~/"), home) {
        (Some(below), Some(home)) => home.join(below),
        (Some(_), None) | (None, _) => directory.join(text),
    }
}

fn read_token(file: &Path) -> Result<String, String> {
    let text = fs::read_to_string(file)
        .map_err(|error| format!("token_file: {}: {error}", file.display()))?;
    match text.trim() {
        "" => Err(format!("token_file: {} is empty", file.display())),
        token => Ok(token.to_owned()),
    }
}

#[cfg(test)]
#[path = "profile/tests.rs"]
mod tests;
