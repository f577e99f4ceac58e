//! The files of instructions that codex reads beside its configuration, as hashes.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
};

use sha2::{Digest as _, Sha256};

use crate::{agent::file::read_at_most, toml_text::dotted};

/// The most bytes of a file; codex reads 32 kB of one by default.
const MAX_FILE_BYTES: usize = 16 << 20;

/// The SHA-256 of each file, in hexadecimal, by its name in a lock.
///
/// # Errors
///
/// The text names the file that cannot be read.
pub(super) fn hashes(
    files: impl IntoIterator<Item = PathBuf>,
    directory: &Path,
    home: Option<&Path>,
) -> Result<BTreeMap<String, String>, String> {
    let hash = |file: PathBuf| {
        let content = match read_at_most(&file, MAX_FILE_BYTES) {
            Ok(Some(content)) => content,
            Ok(None) => {
                return Err(format!("{}: larger than {MAX_FILE_BYTES} bytes", file.display()));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(format!("{}: {error}", file.display())),
        };
        let hash: String =
            Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect();
        Ok((name(&file, directory, home), hash))
    };
    files.into_iter().map(hash).collect()
}

/// A file's name in a lock. It does not depend on where the directory of the turn
/// and the home of codex are, so that a lock holds for another checkout and for
/// another user too: `./AGENTS.md` is in the directory, `../AGENTS.md` in the one
/// above it, `$CODEX_HOME/AGENTS.md` in codex's home. Other files have their path.
pub(super) fn name(file: &Path, directory: &Path, home: Option<&Path>) -> String {
    let homes = [home.map(Path::to_owned), home.and_then(|home| home.canonicalize().ok())];
    for home in homes.iter().flatten() {
        if let (true, Some(name)) = (file.parent() == Some(home), file.file_name()) {
            return format!("$CODEX_HOME/{}", name.display());
        }
    }
    let directories = [Some(directory.to_owned()), directory.canonicalize().ok()];
    for directory in directories.into_iter().flatten() {
        if let Ok(inside) = file.strip_prefix(&directory) {
            return format!("./{}", inside.display());
        }
    }
    if let Some(inside) = homes.iter().flatten().find_map(|home| file.strip_prefix(home).ok()) {
        return format!("$CODEX_HOME/{}", inside.display());
    }
    // Codex reads those of each directory from the root of the project down.
    let mut up = String::new();
    let directory = directory.canonicalize().unwrap_or_else(|_| directory.to_owned());
    for above in directory.ancestors().skip(1) {
        up.push_str("../");
        if file.parent() == Some(above)
            && let Some(name) = file.file_name()
        {
            return format!("{up}{}", name.display());
        }
    }
    file.display().to_string()
}

/// The file that has a name in a lock.
pub(in crate::agent::codex) fn path(name: &str, directory: &Path, home: Option<&Path>) -> PathBuf {
    let mut above = directory;
    let mut rest = name;
    while let (Some(inner), Some(parent)) = (rest.strip_prefix("../"), above.parent()) {
        (above, rest) = (parent, inner);
    }
    match (rest.strip_prefix("./"), rest.strip_prefix("$CODEX_HOME/"), home) {
        (Some(inside), _, _) => directory.join(inside),
        (None, Some(inside), Some(home)) => home.join(inside),
        (None, _, _) => above.join(rest),
    }
}

/// The key of a name among what differs.
pub(in crate::agent::codex) fn key(name: &str) -> String {
    dotted("instructions", name)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn names_do_not_depend_on_where_directory_and_home_are() {
        let check = |file: &str, expected: &str| {
            let home = Some(Path::new("/home/dev/.codex"));
            let found = name(Path::new(file), Path::new("/home/dev/project/part"), home);
            assert_eq!(found, expected);
            let back = path(expected, Path::new("/home/dev/project/part"), home);
            assert_eq!(back, Path::new(file));
        };
        check("/home/dev/project/part/AGENTS.md", "./AGENTS.md");
        check("/home/dev/project/AGENTS.md", "../AGENTS.md");
        check("/home/dev/.codex/AGENTS.md", "$CODEX_HOME/AGENTS.md");
        check("/etc/codex/AGENTS.md", "/etc/codex/AGENTS.md");
    }

    #[test]
    fn a_file_is_told_by_what_is_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("AGENTS.md");
        fs::write(&file, "abc").unwrap();
        let found = hashes([file.clone()], folder.path(), None).unwrap();
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(found, [("./AGENTS.md".to_owned(), expected.to_owned())].into());
        fs::remove_file(&file).unwrap();
        fs::create_dir(&file).unwrap();
        let problem = hashes([file], folder.path(), None).unwrap_err();
        assert!(problem.ends_with("AGENTS.md: it is not a file"), "{problem}");
    }
}
