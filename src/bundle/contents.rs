//! What of a session's directory goes into its bundle.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::LeftOut;

/// A file that goes into the bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Source {
    /// Its path there.
    pub(super) name: String,
    /// Where it is.
    pub(super) path: PathBuf,
    /// How long it was when it was seen first.
    pub(super) size: u64,
}

/// The files of a directory, by name, and those that stay.
pub(super) fn list(directory: &Path) -> io::Result<(Vec<Source>, Vec<LeftOut>)> {
    let (mut sources, mut left_out) = (Vec::new(), Vec::new());
    walk(directory, "", &mut sources, &mut left_out)?;
    sources.sort_by(|one, other| one.name.cmp(&other.name));
    left_out.sort_by(|one, other| one.path.cmp(&other.path));
    Ok((sources, left_out))
}

fn walk(
    directory: &Path,
    before: &str,
    sources: &mut Vec<Source>,
    left_out: &mut Vec<LeftOut>,
) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let path = entry.path();
        let name = format!("{before}{}", entry.file_name().to_string_lossy());
        let mut leave_out =
            |why: &str| left_out.push(LeftOut { path: name.clone(), why: why.to_owned() });
        // What vanishes meanwhile was never there.
        let Ok(kind) = entry.file_type() else { continue };
        if kind.is_dir() {
            walk(&path, &format!("{name}/"), sources, left_out)?;
            continue;
        }
        let is_rollout = before.is_empty() && name.starts_with("rollout-");
        if kind.is_symlink() && !is_rollout {
            leave_out("it is a link");
            continue;
        }
        if before == "events/" && name.contains(".seg") {
            leave_out("its events are in events.jsonl");
            continue;
        }
        // Files on their way to their names.
        if entry.file_name().to_string_lossy().starts_with('.') || name.ends_with(".new") {
            continue;
        }
        match fs::metadata(&path) {
            Ok(metadata) if metadata.is_file() => {
                sources.push(Source { name, path, size: metadata.len() });
            }
            Ok(_) => leave_out("it is no file"),
            Err(error) if is_rollout => leave_out(&format!("what it links to: {error}")),
            Err(_) => {}
        }
    }
    Ok(())
}
