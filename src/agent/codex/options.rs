//! What a client may have codex told, beside model, directory, sandbox and
//! network: [`CodexOptions`] and images, checked before a session or a turn is
//! made.

use std::path::{Path, PathBuf};

use prost::Message as _;
use toml::Value;

use super::settings::{Settings, parse_value};
use crate::{
    error::{Error, Result},
    proto::{CodexOptions, WebSearchMode},
    toml_text::is_plain,
};

/// The most bytes of all options of a session.
const MAX_OPTIONS_BYTES: usize = 64 << 10;
const MAX_SETTINGS: usize = 128;
const MAX_KEY_BYTES: usize = 256;
const MAX_DIRECTORIES: usize = 16;
const MAX_VARIABLES: usize = 64;
const MAX_NAME_BYTES: usize = 128;
/// The most images of a prompt.
const MAX_IMAGES: usize = 16;

/// The settings that a session or request has fields for, or that codex takes
/// otherwise, with what to do in place of them.
const ELSEWHERE: [(&str, &str); 9] = [
    ("model", "set session.model"),
    ("sandbox_mode", "set session.filesystem_sandbox"),
    ("sandbox_workspace_write.network_access", "set session.network_access"),
    ("approval_policy", "leave it out: codex never asks for approval in a turn"),
    ("profile", "set session.codex_options.profile"),
    ("web_search", "set session.codex_options.web_search"),
    ("full_danger", "set session.codex_options.full_danger"),
    ("strict", "set session.codex_options.strict_config"),
    ("strict_config", "set session.codex_options.strict_config"),
];

/// Whether a session may have these options.
///
/// # Errors
///
/// [`Error::InvalidArgument`] names the field and what to do.
pub(in crate::agent) fn check(options: &CodexOptions) -> Result<()> {
    let size = options.encoded_len();
    if size > MAX_OPTIONS_BYTES {
        let problem = format!("{size} bytes; at most {MAX_OPTIONS_BYTES} are allowed");
        return Err(Error::invalid("session.codex_options", problem));
    }
    let CodexOptions {
        config: _,
        output_schema,
        add_directories,
        profile,
        web_search,
        environment: _,
        full_danger: _,
        strict_config: _,
    } = options;
    settings(options)?;
    if !output_schema.is_empty() {
        check_absolute("session.codex_options.output_schema", output_schema)?;
    }
    let field = "session.codex_options.add_directories";
    if add_directories.len() > MAX_DIRECTORIES {
        let problem =
            format!("{} directories; at most {MAX_DIRECTORIES} are allowed", add_directories.len());
        return Err(Error::invalid(field, problem));
    }
    for directory in add_directories {
        check_absolute(field, directory)?;
    }
    check_profile(profile)?;
    if WebSearchMode::try_from(*web_search).is_err() {
        let problem = format!("{web_search} is no value of it");
        return Err(Error::invalid("session.codex_options.web_search", problem));
    }
    check_environment(options)
}

/// The settings among the options, as a tree.
///
/// # Errors
///
/// [`Error::InvalidArgument`] for what codex cannot be given, or is given by
/// another field.
pub(super) fn settings(options: &CodexOptions) -> Result<Settings> {
    let wrong = |problem| Error::invalid("session.codex_options.config", problem);
    if options.config.len() > MAX_SETTINGS {
        let problem =
            format!("{} settings; at most {MAX_SETTINGS} are allowed", options.config.len());
        return Err(wrong(problem));
    }
    let mut settings = Settings::default();
    for (key, text) in &options.config {
        if key.len() > MAX_KEY_BYTES || !key.split('.').all(is_plain) {
            return Err(wrong(format!(
                "{key:?}: expected a key of at most {MAX_KEY_BYTES} bytes as codex dots it: \
                 letters, digits, dashes and underscores between the dots. A name with others \
                 goes into a table, such as \"projects\" with the value \
                 {{\"/a.b\" = {{trust_level = \"trusted\"}}}}"
            )));
        }
        let value = parse_value(text).map_err(|problem| {
            wrong(format!("{key}: not a value of TOML, where strings have quotes: {problem}"))
        })?;
        settings.set(key, value).map_err(|problem| wrong(format!("{key}: {problem}")))?;
    }
    if let Some((key, instead)) = ELSEWHERE.iter().find(|(key, _)| settings.get(key).is_some()) {
        return Err(wrong(format!("{key}: {instead}")));
    }
    settings.arguments().map_err(wrong)?;
    Ok(settings)
}

/// What `web_search` is set to; none for codex's own default.
pub(super) fn web_search(options: &CodexOptions) -> Option<Value> {
    let mode = match options.web_search() {
        WebSearchMode::Unspecified => return None,
        WebSearchMode::Disabled => "disabled",
        WebSearchMode::Cached => "cached",
        WebSearchMode::Live => "live",
    };
    Some(mode.into())
}

/// Whether codex can be given the images with a prompt: they are files, and
/// their names are no lists of names.
///
/// # Errors
///
/// [`Error::InvalidArgument`].
pub(in crate::agent) fn check_images(images: &[PathBuf]) -> Result<()> {
    let wrong = |problem| Error::invalid("images", problem);
    if images.len() > MAX_IMAGES {
        return Err(wrong(format!("{} images; at most {MAX_IMAGES} are allowed", images.len())));
    }
    for image in images {
        let path = image.display();
        if image.to_string_lossy().contains(',') {
            return Err(wrong(format!(
                "{path}: codex takes a comma for the end of a name; rename or link the file"
            )));
        }
        check_absolute("images", &image.to_string_lossy())?;
        if !image.is_file() {
            return Err(wrong(format!("{path}: there is no such file")));
        }
    }
    Ok(())
}

/// Whether the files that a turn is given are there.
///
/// # Errors
///
/// [`Error::InvalidArgument`].
pub(super) fn check_files(options: &CodexOptions, profiles: Option<&Path>) -> Result<()> {
    let CodexOptions { output_schema, profile, .. } = options;
    if !output_schema.is_empty() && !Path::new(output_schema).is_file() {
        return Err(Error::invalid(
            "session.codex_options.output_schema",
            format!("{output_schema}: there is no such file"),
        ));
    }
    // Codex itself goes on without a profile that is not there, and without a word.
    if let Some(profiles) = profiles.filter(|_| !profile.is_empty()) {
        let file = profiles.join(format!("{profile}.config.toml"));
        if !file.is_file() {
            return Err(Error::invalid(
                "session.codex_options.profile",
                format!("{profile}: there is no {}", file.display()),
            ));
        }
    }
    Ok(())
}

fn check_absolute(field: &'static str, path: &str) -> Result<()> {
    if path.len() > MAX_PATH_BYTES || !path.starts_with('/') || path.contains('\0') {
        return Err(Error::invalid(field, format!("{path:?}: expected an absolute path")));
    }
    Ok(())
}

/// What Linux allows.
const MAX_PATH_BYTES: usize = 4096;

fn check_profile(profile: &str) -> Result<()> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    let fits = profile.len() <= MAX_NAME_BYTES
        && !profile.starts_with(['-', '.'])
        && profile.bytes().all(is_plain);
    if fits {
        return Ok(());
    }
    Err(Error::invalid(
        "session.codex_options.profile",
        format!("{profile:?}: expected a plain name, for NAME.config.toml in codex's home"),
    ))
}

/// The home of codex is the server's to say: the threads are there that it
/// resumes and deletes.
fn check_environment(options: &CodexOptions) -> Result<()> {
    let wrong = |problem| Error::invalid("session.codex_options.environment", problem);
    let count = options.environment.len();
    if count > MAX_VARIABLES {
        return Err(wrong(format!("{count} variables; at most {MAX_VARIABLES} are allowed")));
    }
    for (name, value) in &options.environment {
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        let fits = (1..=MAX_NAME_BYTES).contains(&name.len())
            && name.bytes().all(is_name)
            && !name.starts_with(|first: char| first.is_ascii_digit());
        if !fits {
            return Err(wrong(format!(
                "{name:?}: expected a name of at most {MAX_NAME_BYTES} letters, digits and \
                 underscores that begins with no digit"
            )));
        }
        if name.starts_with("SWITCHBOARD_") || matches!(name.as_str(), "CODEX_HOME" | "HOME") {
            return Err(wrong(format!("{name} is the server's to set")));
        }
        // The value itself is never told.
        if value.contains('\0') {
            return Err(wrong(format!("{name}: the value has a NUL character")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
