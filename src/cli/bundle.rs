//! `switchboard bundle …`: a session's directory for a report of a bug. Works on
//! the files of the home, and asks no server.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde_json::json;

use super::{
    Context, Failure,
    args::{BundleArgs, BundleCommand},
    render::text::clean,
    show::bytes,
};
use crate::{
    app::MIN_PREFIX,
    bundle::{self, Packed, Rules},
    home::Home,
    id::SessionId,
};

pub(super) fn bundle(cx: &Context, args: BundleArgs) -> Result<(), Failure> {
    let BundleArgs { command, session, output, redact, redact_file } = args;
    match command {
        Some(BundleCommand::Verify { path }) => verify(cx, &path),
        None => {
            let session = session.unwrap_or_default();
            pack(cx, &session, output, redact, &redact_file)
        }
    }
}

fn pack(
    cx: &Context,
    session: &str,
    output: Option<PathBuf>,
    mut redact: Vec<String>,
    redact_files: &[PathBuf],
) -> Result<(), Failure> {
    let home = cx.home()?;
    for path in redact_files {
        let text = fs::read_to_string(path)
            .map_err(|error| Failure::Usage(format!("{}: {error}", path.display())))?;
        let lines = text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#'));
        redact.extend(lines.map(str::to_owned));
    }
    let mut rules = Rules::new(redact.iter().map(String::as_str)).map_err(usage)?;
    // Where the file holds no token, there is none to leave out.
    let token = home.token().ok().flatten();
    for token in [token, cx.environment.text("SWITCHBOARD_TOKEN")].into_iter().flatten() {
        rules.literal("server-token", &token).map_err(failed)?;
    }
    let id = find(&home, session)?;
    let output = output.unwrap_or_else(|| format!("switchboard-{id}.tar.zst").into());
    let directory = home.sessions().join(id.to_string());
    let packed = bundle::pack(id, &directory, rules, &output).map_err(failed)?;
    let Packed { path, size, manifest } = packed;
    if cx.output.json {
        let said = json!({"path": path, "size": size, "manifest": manifest});
        return cx.output.line(&said.to_string());
    }
    let redacted: u64 = manifest.redactions.values().sum();
    for file in &manifest.left_out {
        let is_expected = file.path.starts_with("events/");
        if !is_expected {
            cx.output.note(&clean(&format!("not in it: {}: {}", file.path, file.why)));
        }
    }
    cx.output.line(&clean(&format!(
        "{} ({}): {} files of session {id}, {redacted} secrets left out",
        path.display(),
        bytes(size),
        manifest.files.len(),
    )))?;
    cx.output.note(
        "Look through it before you give it away: only what is known to be secret was left out.",
    );
    Ok(())
}

fn verify(cx: &Context, path: &Path) -> Result<(), Failure> {
    let verified = bundle::verify(path).map_err(failed)?;
    let is_valid = verified.differences.is_empty();
    let manifest = verified.manifest.as_ref();
    if cx.output.json {
        let said = json!({
            "valid": is_valid,
            "sessionId": manifest.map(|manifest| &manifest.session_id),
            "files": manifest.map(|manifest| manifest.files.len()),
            "differences": verified.differences,
            "more": verified.more,
        });
        cx.output.line(&said.to_string())?;
    } else {
        for difference in &verified.differences {
            let bundle::Difference { path, problem, detail } = difference;
            let path = if path.is_empty() { "the bundle" } else { path };
            cx.output.line(&clean(&format!("{problem:<8} {path}: {detail}")))?;
        }
        if verified.more > 0 {
            cx.output.line(&format!("and {} more differences", verified.more))?;
        }
        if let Some(manifest) = manifest.filter(|_| is_valid) {
            let (files, id) = (manifest.files.len(), &manifest.session_id);
            cx.output.line(&clean(&format!("valid: {files} files of session {id}")))?;
        }
    }
    if is_valid { Ok(()) } else { Err(Failure::Differs) }
}

/// The session with this id, or whose id begins so: by the directories, as there may
/// be no server to ask.
fn find(home: &Home, prefix: &str) -> Result<SessionId, Failure> {
    let prefix = prefix.to_ascii_lowercase();
    if prefix.len() < MIN_PREFIX {
        return Err(Failure::Usage(format!(
            "{prefix:?} is too short: give at least {MIN_PREFIX} characters of the id"
        )));
    }
    let directory = home.sessions();
    let entries = match fs::read_dir(&directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(Failure::Failed(format!(
                "there are no sessions in {}",
                home.path().display()
            )));
        }
        Err(error) => return Err(Failure::Failed(format!("{}: {error}", directory.display()))),
    };
    let mut found: Vec<SessionId> = entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|id: &SessionId| id.to_string().starts_with(&prefix))
        .collect();
    found.sort_by_key(ToString::to_string);
    match found.as_slice() {
        [id] => Ok(*id),
        [] => Err(Failure::Failed(format!(
            "no session in {} has an id that begins with {prefix}",
            home.path().display()
        ))),
        several => {
            let ids: Vec<_> = several.iter().map(ToString::to_string).collect();
            Err(Failure::Failed(format!(
                "{prefix} is the beginning of several: {}",
                ids.join(", ")
            )))
        }
    }
}

fn usage(error: bundle::Error) -> Failure {
    Failure::Usage(error.to_string())
}

fn failed(error: bundle::Error) -> Failure {
    Failure::Failed(error.to_string())
}
