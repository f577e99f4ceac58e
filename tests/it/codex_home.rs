//! A `CODEX_HOME` in which codex talks to the scripted model alone.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

use crate::{model::Model, toolchain};

/// The folder that codex keeps its state in, with its `config.toml`.
///
/// It must not lie under `/tmp`: codex refuses to link its tools there.
#[derive(Debug)]
pub(crate) struct CodexHome {
    folder: PathBuf,
    /// Removes the folder, where it is a temporary one.
    _temporary: Option<tempfile::TempDir>,
}

impl CodexHome {
    /// Writes the configuration for this model into a folder that exists.
    ///
    /// The plan tool is on, and codex tries a request twice again and a broken
    /// stream once.
    pub(crate) fn new(folder: &Path, model: &Model) -> Self {
        let home = Self { folder: folder.to_owned(), _temporary: None };
        fs::write(home.config(), config(&model.url())).unwrap();
        home
    }

    /// The same in a new folder that is removed at the end.
    pub(crate) fn temporary(model: &Model) -> Self {
        let temporary = tempfile::Builder::new()
            .prefix("codex-")
            .tempdir_in(env!("CARGO_TARGET_TMPDIR"))
            .unwrap();
        let home = Self::new(temporary.path(), model);
        Self { _temporary: Some(temporary), ..home }
    }

    /// Adds the MCP server of the fixtures, by the name `echo`.
    pub(crate) fn with_mcp_echo(self) -> Self {
        let script = toolchain::tests_dir().join("fixtures/mcp_echo.py");
        // Codex begins a turn without a server that is not ready yet, unless it
        // is required.
        self.with_config(&format!(
            "[mcp_servers.echo]\ncommand = \"python3\"\nargs = [{}]\nrequired = true\nstartup_timeout_sec = 60\n",
            quoted(script.to_str().unwrap()),
        ))
    }

    /// Adds tables to the end of `config.toml`.
    pub(crate) fn with_config(self, toml: &str) -> Self {
        let mut config = fs::read_to_string(self.config()).unwrap();
        config.push_str(toml);
        fs::write(self.config(), config).unwrap();
        self
    }

    fn config(&self) -> PathBuf {
        self.folder.join("config.toml")
    }

    /// The folder: the value of `CODEX_HOME`.
    pub(crate) fn path(&self) -> &Path {
        &self.folder
    }
}

/// A JSON string is a basic string of TOML.
fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

fn config(url: &str) -> String {
    format!(
        r#"model = "gpt-5.5"
model_provider = "scripted"
check_for_update_on_startup = false

[analytics]
enabled = false

[tools.update_plan]
enabled = true

[model_providers.scripted]
name = "scripted"
base_url = {}
wire_api = "responses"
request_max_retries = 2
stream_max_retries = 1

"#,
        quoted(url),
    )
}
