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
    /// The plan tool is on, the MCP server `echo` of the fixtures is there, and
    /// codex tries a request twice again and a broken stream once.
    pub(crate) fn new(folder: &Path, model: &Model) -> Self {
        let config = config(&model.url(), &toolchain::tests_dir().join("fixtures/mcp_echo.py"));
        fs::write(folder.join("config.toml"), config).unwrap();
        Self { folder: folder.to_owned(), _temporary: None }
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

    /// The folder: the value of `CODEX_HOME`.
    pub(crate) fn path(&self) -> &Path {
        &self.folder
    }
}

fn config(url: &str, mcp_server: &Path) -> String {
    // A JSON string is a basic string of TOML.
    let quoted = |text: &str| Value::from(text).to_string();
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
base_url = {url}
wire_api = "responses"
request_max_retries = 2
stream_max_retries = 1

[mcp_servers.echo]
command = "python3"
args = [{mcp_server}]
"#,
        url = quoted(url),
        mcp_server = quoted(mcp_server.to_str().unwrap()),
    )
}
