//! The layers below the flags as they are read: the file and the environment.

use std::{fmt, fs, io, path::PathBuf, str::FromStr};

use super::{CodexFile, ConfigFile, ControlsFile, Environment, Error, ListenAddr, LogFile, Source};

/// Reads the file that was named, else the default one where there is one.
pub(super) fn read_file(
    flag: Option<PathBuf>,
    environment: &Environment,
) -> Result<(Option<PathBuf>, ConfigFile), Error> {
    let named = flag.or_else(|| environment.raw("SWITCHBOARD_CONFIG").map(PathBuf::from));
    let must_exist = named.is_some();
    let default = || environment.config_directory().map(|directory| directory.join("config.toml"));
    let Some(path) = named.or_else(default) else { return Ok((None, ConfigFile::default())) };
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound && !must_exist => {
            return Ok((None, ConfigFile::default()));
        }
        Err(source) => return Err(Error::Read { path, source }),
    };
    match toml::from_str(&text) {
        Ok(file) => Ok((Some(path), file)),
        Err(error) => Err(Error::Parse { path, problem: error.to_string().trim_end().to_owned() }),
    }
}

/// A value that the environment sets.
fn word_of<T: FromStr<Err: fmt::Display>>(
    environment: &Environment,
    key: &'static str,
    variable: &str,
) -> Result<Option<T>, Error> {
    let parsed = environment.text(variable).map(|text| {
        text.parse().map_err(|error| Error::Value {
            key,
            source_of_value: Source::Environment,
            problem: format!("{variable}: {error}"),
        })
    });
    parsed.transpose()
}

/// What the environment sets.
pub(super) fn from_environment(environment: &Environment) -> Result<ConfigFile, Error> {
    let wrong = |key, variable: &str, problem: String| Error::Value {
        key,
        source_of_value: Source::Environment,
        problem: format!("{variable}: {problem}"),
    };
    let listen = environment.text("SWITCHBOARD_LISTEN").map(|text| {
        let addresses = text.split(',').map(|part| part.trim().parse());
        addresses.collect::<Result<Vec<ListenAddr>, _>>()
    });
    // The names that operators of the settings contract know.
    let controls = ControlsFile {
        lock_defaults: word_of(environment, "controls.lock_defaults", "SESSION_DEFAULTS_LOCKED")?,
        approval_policy: word_of(
            environment,
            "controls.approval_policy",
            "DEFAULT_APPROVAL_POLICY",
        )?,
        network_access: word_of(environment, "controls.network_access", "DEFAULT_NETWORK_ACCESS")?,
        filesystem_sandbox: word_of(
            environment,
            "controls.filesystem_sandbox",
            "DEFAULT_SANDBOX_MODE",
        )?,
    };
    let format = environment.text("SWITCHBOARD_LOG_FORMAT").map(|text| {
        clap::ValueEnum::from_str(&text, true)
            .map_err(|_| format!("{text:?} is no format: expected text or json"))
    });
    Ok(ConfigFile {
        listen: listen
            .transpose()
            .map_err(|error| wrong("listen", "SWITCHBOARD_LISTEN", error.to_string()))?,
        controls,
        codex: CodexFile {
            path: environment.raw("SWITCHBOARD_CODEX").map(PathBuf::from),
            ..CodexFile::default()
        },
        log: LogFile {
            filter: environment.text("SWITCHBOARD_LOG"),
            format: format
                .transpose()
                .map_err(|problem| wrong("log.format", "SWITCHBOARD_LOG_FORMAT", problem))?,
        },
        ..ConfigFile::default()
    })
}
