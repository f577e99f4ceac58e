//! The agent configuration, `codex.toml`: what every turn of codex is told,
//! unless its session says otherwise.
//!
//! Its keys are codex's own, beside three that are not: `model`, which a session
//! without a model has; `full_danger`; and `strict`, which is codex's
//! `--strict-config`. It is read again for each turn, so that a change holds for
//! the next without a restart.

use std::io;

use toml::Value;

use super::settings::Settings;
use crate::{
    agent::{ConfigFile, file::read_at_most},
    controls::check_model,
    error::{Error, Result, is_out_of_descriptors},
};

/// The most bytes of the file.
const MAX_FILE_BYTES: usize = 64 << 10;

/// What the file says.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct AgentConfig {
    /// The model of sessions that have none.
    pub model: Option<String>,
    /// Whether approvals and sandbox are bypassed.
    pub full_danger: bool,
    /// Whether a setting that codex does not know fails the turn.
    pub strict: bool,
    /// Everything else.
    pub settings: Settings,
}

impl AgentConfig {
    /// Reads the file, which may be absent unless it was named.
    ///
    /// # Errors
    ///
    /// AGENT_UNAVAILABLE: the text begins with the file's name, and has line and
    /// column where it is no TOML. OVERLOADED where no file can be opened.
    pub(super) fn read(file: &ConfigFile) -> Result<Self> {
        let of_file = |problem: &str| {
            let problem = format!("{}: {problem}", file.path.display());
            Error::AgentUnavailable { problem }
        };
        let bytes = match read_at_most(&file.path, MAX_FILE_BYTES) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return Err(of_file(&format!("larger than {MAX_FILE_BYTES} bytes"))),
            Err(error) if error.kind() == io::ErrorKind::NotFound && !file.must_exist => {
                return Ok(Self::default());
            }
            Err(error) if is_out_of_descriptors(&error) => return Err(Error::system(error)),
            Err(error) => return Err(of_file(&format!("cannot be read: {error}"))),
        };
        let text = String::from_utf8(bytes)
            .map_err(|error| of_file(&format!("not UTF-8: {}", error.utf8_error())))?;
        Self::parse(&text).map_err(|problem| of_file(&problem))
    }

    fn parse(text: &str) -> Result<Self, String> {
        let table = text
            .parse()
            .map_err(|error: toml::de::Error| error.to_string().trim_end().to_owned())?;
        let mut settings = Settings::new(table);
        let model = match settings.take("model") {
            None => None,
            Some(Value::String(model)) if check_model(&model).is_ok() => Some(model),
            Some(_) => return Err("model: expected the name of a model".to_owned()),
        };
        let config = Self {
            model,
            full_danger: take_flag(&mut settings, "full_danger")?,
            strict: take_flag(&mut settings, "strict")?,
            settings,
        };
        if config.settings.get("profile").is_some() {
            return Err("profile: codex takes no profile from here; a session names one in \
                        codex_options.profile"
                .to_owned());
        }
        config.settings.arguments()?;
        Ok(config)
    }
}

fn take_flag(settings: &mut Settings, key: &str) -> Result<bool, String> {
    match settings.take(key) {
        None => Ok(false),
        Some(Value::Boolean(value)) => Ok(value),
        Some(_) => Err(format!("{key}: expected true or false")),
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use rustix::fs::{CWD, FileType, Mode, mknodat};

    use super::*;

    fn parse(text: &str) -> Result<AgentConfig, String> {
        AgentConfig::parse(text)
    }

    #[test]
    fn its_own_keys_are_taken_out_and_the_others_stay_for_codex() {
        let read = parse(
            "model = 'gpt-5.4'\nfull_danger = true\nstrict = true\nsandbox_mode = 'read-only'\n\
             [features]\nmodel = true\n",
        );
        let expected = AgentConfig {
            model: Some("gpt-5.4".to_owned()),
            full_danger: true,
            strict: true,
            settings: Settings::new(
                "sandbox_mode = 'read-only'\n[features]\nmodel = true\n".parse().unwrap(),
            ),
        };
        assert_eq!(read.unwrap(), expected);
        assert_eq!(parse("# nothing\n").unwrap(), AgentConfig::default());
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        let problem = |text: &str| parse(text).unwrap_err();
        assert!(problem("a = 1\nb = \n").starts_with("TOML parse error at line 2, column 5"));
        assert_eq!(problem("full_danger = 1"), "full_danger: expected true or false");
        assert_eq!(problem("strict = 'yes'"), "strict: expected true or false");
        for model in ["1", "''", "' '", "'--yolo'"] {
            let text = format!("model = {model}");
            assert_eq!(problem(&text), "model: expected the name of a model");
        }
        assert!(problem("profile = 'work'").starts_with("profile: codex takes no profile"));
        for key in ["shell_environment_policy", "sandbox_workspace_write"] {
            assert_eq!(problem(&format!("{key} = 1")), format!("{key}: expected a table"));
        }
        assert!(problem("'a.b' = 1").starts_with("\"a.b\": a key outside of tables"));
    }

    #[test]
    fn only_a_file_that_was_named_must_be_there() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("codex.toml");
        let file = |must_exist| ConfigFile { path: path.clone(), must_exist };
        assert_eq!(AgentConfig::read(&file(false)).unwrap(), AgentConfig::default());
        let problem = AgentConfig::read(&file(true)).unwrap_err().to_string();
        assert!(problem.starts_with(&format!("{}: cannot be read: ", path.display())), "{problem}");
        fs::write(&path, "=").unwrap();
        let problem = AgentConfig::read(&file(false)).unwrap_err().to_string();
        let begin = format!("{}: TOML parse error at line 1, column 1\n", path.display());
        assert!(problem.starts_with(&begin), "{problem}");
    }

    #[test]
    fn what_cannot_be_the_file_is_refused_at_once() {
        let home = tempfile::tempdir().unwrap();
        let problem = |path: &Path| {
            let file = ConfigFile { path: path.to_owned(), must_exist: false };
            let error = AgentConfig::read(&file).unwrap_err();
            assert!(matches!(error, Error::AgentUnavailable { .. }), "{error:?}");
            let said = error.to_string();
            said.strip_prefix(&format!("{}: ", path.display())).unwrap_or(&said).to_owned()
        };
        let path = home.path().join("codex.toml");
        mknodat(CWD, &path, FileType::Fifo, Mode::RUSR, 0).unwrap();
        assert_eq!(problem(&path), "cannot be read: it is not a file");
        assert_eq!(problem(home.path()), "cannot be read: it is not a file");
        // It has no end.
        assert_eq!(problem(Path::new("/dev/zero")), "cannot be read: it is not a file");
        fs::remove_file(&path).unwrap();
        let file = fs::File::create(&path).unwrap();
        // More than the memory holds.
        file.set_len(1 << 42).unwrap();
        assert_eq!(problem(&path), "larger than 65536 bytes");
        file.set_len(0).unwrap();
        fs::write(&path, b"a = '\xff'").unwrap();
        assert!(problem(&path).starts_with("not UTF-8: invalid utf-8 sequence"));
    }
}
